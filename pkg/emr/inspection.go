// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package emr

import "slices"

// InspectionGround is the coded reason for which somebody reads another person's
// audit log. The zero value is invalid; the list is append-only.
type InspectionGround string

// Grounds of an inspection.
const (
	// InspectComplaint: somebody has complained.
	InspectComplaint InspectionGround = "complaint"
	// InspectIncident: a breach, or the suspicion of one, is looked into.
	InspectIncident InspectionGround = "incident"
	// InspectPatientAsked: the patient has asked for it.
	InspectPatientAsked InspectionGround = "patient-request"
	// InspectRoutine: an audit without a particular occasion.
	InspectRoutine InspectionGround = "routine"
	// InspectLegalDuty: a court or an authority demands it.
	InspectLegalDuty InspectionGround = "legal-duty"
)

// InspectionGrounds returns every ground.
func InspectionGrounds() []InspectionGround {
	return []InspectionGround{InspectComplaint, InspectIncident, InspectPatientAsked, InspectRoutine, InspectLegalDuty}
}

// Valid tells whether the ground is on the list.
func (g InspectionGround) Valid() bool { return slices.Contains(InspectionGrounds(), g) }

// LogSubject is whose log is read: exactly one of the fields is set.
type LogSubject struct {
	Patient Handle   `json:"patient"`
	Record  RecordID `json:"record"`
	Actor   string   `json:"actor"` // a ClinicianID or a Handle
	Org     OrgID    `json:"org"`
}

// Inspection is the committed decision that somebody may read a log, or may not.
// Nothing is read before it stands. Key: InspectionID.
type Inspection struct {
	V       int          `json:"v"`
	ID      InspectionID `json:"id"`
	By      ClinicianID  `json:"by"`
	Org     OrgID        `json:"org"` // the inspector's
	Subject LogSubject   `json:"subject"`
	// From and To bound the entries that may be read: From inclusive, To exclusive.
	From     Time             `json:"from"`
	To       Time             `json:"to"`
	Ground   InspectionGround `json:"ground"`
	Decision Decision         `json:"decision"`
	Reason   Reason           `json:"reason"`
	Action   Digest           `json:"action"` // the inspector's signed action
	At       Time             `json:"at"`
	Until    Time             `json:"until"` // exclusive: nothing is read by it any more
}
