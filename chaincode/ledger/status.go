// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// SuspendClinician stops an active clinician of the caller's own organisation:
// requests, readings and tickets are denied, and every other act is refused, from
// the next block on. What the clinician signed before stays what it is.
func SuspendClinician(s State, args ledgerapi.ClinicianStatusArgs) (*ledgerapi.Receipt, error) {
	return changeStatus(s, args.Clinician, emr.ClinicianSuspended)
}

// ReinstateClinician lets a suspended clinician of the caller's own organisation act again.
func ReinstateClinician(s State, args ledgerapi.ClinicianStatusArgs) (*ledgerapi.Receipt, error) {
	return changeStatus(s, args.Clinician, emr.ClinicianActive)
}

// OffboardClinician stops a clinician of the caller's own organisation for good.
func OffboardClinician(s State, args ledgerapi.ClinicianStatusArgs) (*ledgerapi.Receipt, error) {
	return changeStatus(s, args.Clinician, emr.ClinicianOffboarded)
}

// changeStatus moves a clinician to a status by order of an administrator. Whose
// administrator the caller is, the channel's MSPs say and no argument.
func changeStatus(s State, id emr.ClinicianID, to emr.ClinicianStatus) (*ledgerapi.Receipt, error) {
	member, err := callingMember(s)
	if err != nil {
		return nil, err
	}
	if err := emr.CheckID("clinician", id); err != nil {
		return nil, err
	}
	clinician, err := require(s, ledgerapi.ClinicianKey(id), versionOfClinician)
	if err != nil {
		return nil, err
	}
	if clinician.Org != member.ID {
		return nil, emr.E(emr.CodeForbidden, "clinician is of another organisation")
	}
	if !mayBecome(clinician.Status, to) {
		return nil, &emr.Error{
			Code: emr.CodeRule, Reason: clinician.Status.Denial(), Field: "clinician",
			Message: "the clinician's present status does not allow it",
		}
	}
	clinician.Status, clinician.StatusFrom = to, s.Now()
	if err := put(s, ledgerapi.ClinicianKey(id), clinician); err != nil {
		return nil, err
	}
	if err := auditClinician(s, statusEntry(clinician)); err != nil {
		return nil, err
	}
	return receipt(s, string(id)), emit(s, ledgerapi.EventClinicianStatus, ledgerapi.Event{ID: string(id)})
}

// mayBecome is the state machine: active and suspended become each other, and
// either becomes off-boarded, which stays.
func mayBecome(from, to emr.ClinicianStatus) bool {
	switch from {
	case emr.ClinicianActive:
		return to == emr.ClinicianSuspended || to == emr.ClinicianOffboarded
	case emr.ClinicianSuspended:
		return to == emr.ClinicianActive || to == emr.ClinicianOffboarded
	default:
		return false
	}
}

func statusEntry(clinician *emr.Clinician) emr.AuditEntry {
	entry := emr.AuditEntry{
		Kind: emr.AuditStatus, Actor: emr.ActorAdmin, Org: clinician.Org, Decision: emr.Permit, Ref: string(clinician.ID),
	}
	if reason := clinician.Status.Denial(); reason != "" {
		entry.Decision, entry.Reason = emr.Deny, reason
	}
	return entry
}

// refuseInactive refuses a clinician who is suspended or off-boarded.
func refuseInactive(clinician *emr.Clinician) error {
	if reason := clinician.Status.Denial(); reason != "" {
		return emr.Refused(reason, reason.Explain())
	}
	return nil
}

// byActiveClinician is byOwnClinician for what a suspended clinician may not do
// and what commits no denial.
func (st *statement) byActiveClinician(s Lookup) (*emr.Clinician, error) {
	clinician, err := st.byOwnClinician(s)
	if err != nil {
		return nil, err
	}
	return clinician, refuseInactive(clinician)
}
