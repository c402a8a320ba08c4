// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package emr

// AmendmentStatus is the state of a request to correct a record.
type AmendmentStatus string

// States: asked by the patient, then accepted or denied by the record's hospital,
// or ended without an answer, because the record is erased.
const (
	AmendmentAsked    AmendmentStatus = "asked"
	AmendmentAccepted AmendmentStatus = "accepted"
	AmendmentDenied   AmendmentStatus = "denied"
	AmendmentEnded    AmendmentStatus = "ended"
)

// Amendment is a patient's request that a record be corrected, and what became of
// it (45 CFR 164.526, GDPR article 16). Its texts are private, in the signed
// actions that are named here. Key: AmendmentID.
type Amendment struct {
	V        int             `json:"v"`
	ID       AmendmentID     `json:"id"`
	Patient  Handle          `json:"patient"`
	Record   RecordID        `json:"record"`
	Hospital OrgID           `json:"hospital"` // that answers
	Status   AmendmentStatus `json:"status"`
	// Version is the record's later version that holds the correction, when accepted.
	Version  RecordID    `json:"version"`
	By       ClinicianID `json:"by"` // who answered
	Asked    Time        `json:"asked"`
	Due      Time        `json:"due"`
	Answered Time        `json:"answered"`
	Disputed Time        `json:"disputed"` // by the patient, a denial
	// Asking, Answer and Dispute are the signed actions; absent ones are zero.
	Asking  Digest `json:"asking"`
	Answer  Digest `json:"answer"`
	Dispute Digest `json:"dispute"`
}

// HoldGround is the coded ground on which a record must be kept. The list is append-only.
type HoldGround string

// Grounds of a hold.
const (
	HoldLitigation    HoldGround = "litigation"
	HoldInvestigation HoldGround = "investigation"
	HoldRetention     HoldGround = "retention-duty"
)

// Valid tells whether the ground is on the list.
func (g HoldGround) Valid() bool {
	return g == HoldLitigation || g == HoldInvestigation || g == HoldRetention
}

// Hold tells which organisations demand that a record be kept. Key: RecordID.
type Hold struct {
	V      int      `json:"v"`
	Record RecordID `json:"record"`
	// Holders is sorted by organisation; empty when nobody holds the record any more.
	Holders []Holder `json:"holders"`
}

// Holder is one organisation's demand.
type Holder struct {
	Org    OrgID      `json:"org"`
	Ground HoldGround `json:"ground"`
	Since  Time       `json:"since"`
}
