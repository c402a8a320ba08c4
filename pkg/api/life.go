// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// lifeOperations are those of the life of keys and people.
func lifeOperations() []Operation {
	return []Operation{
		{Name: "clinician.keys", Method: "GET", Path: "/v1/clinicians/{clinician}/keys/{version}", Access: AccessPerson, Shape: ShapeJSON,
			Out: emr.Clinician{}, Summary: "A professional's registry entry as it was in a version of the keys"},
		{Name: "guardians.get", Method: "GET", Path: "/v1/guardians", Access: AccessPerson, Shape: ShapeJSON,
			Out: emr.GuardianSet{}, Summary: "Whom the calling patient trusts with a recovery"},
		{Name: "recovery.list", Method: "GET", Path: "/v1/recoveries", Access: AccessPerson, Shape: ShapeJSON,
			Query: pageQuery(), Out: ledgerapi.RecoveryPage{}, Summary: "Recoveries of the calling patient's keys, newest first"},
		{Name: "recovery.get", Method: "GET", Path: "/v1/recoveries/{recovery}", Access: AccessPerson, Shape: ShapeJSON,
			Out: emr.Recovery{}, Summary: "A recovery, for its patient and its guardians"},
		{Name: "guardians.set", Method: "POST", Path: "/v1/guardians", Access: AccessPerson, Shape: ShapeAction,
			Function: ledgerapi.SetGuardians, Out: ledgerapi.Receipt{}, Summary: "Name whom the calling patient trusts with a recovery"},
		{Name: "recovery.propose", Method: "POST", Path: "/v1/recoveries", Access: AccessPerson, Shape: ShapeAction,
			Function: ledgerapi.ProposeRecovery, Out: ledgerapi.Receipt{}, Summary: "Propose new keys for a patient, as a guardian"},
		{Name: "recovery.approve", Method: "POST", Path: "/v1/recoveries/approve", Access: AccessPerson, Shape: ShapeAction,
			Function: ledgerapi.ApproveRecovery, Out: ledgerapi.DecisionReceipt{}, Summary: "Approve a recovery, as another guardian"},
		{Name: "recovery.veto", Method: "POST", Path: "/v1/recoveries/veto", Access: AccessPerson, Shape: ShapeAction,
			Function: ledgerapi.VetoRecovery, Out: ledgerapi.DecisionReceipt{}, Summary: "Veto a recovery, as the patient by the current key"},
		{Name: "recovery.complete", Method: "POST", Path: "/v1/recoveries/complete", Access: AccessPerson, Shape: ShapeAction,
			Function: ledgerapi.CompleteRecovery, Out: ledgerapi.DecisionReceipt{}, Summary: "Complete a recovery by its new key, after its wait"},
		{Name: "patient.rotate", Method: "POST", Path: "/v1/patients/keys", Access: AccessPerson, Shape: ShapeAction,
			Function: ledgerapi.RotatePatientKeys, Out: ledgerapi.Receipt{}, Summary: "Replace the calling patient's pinned keys"},
		{Name: "patient.move", Method: "POST", Path: "/v1/patients/home", Access: AccessPerson, Shape: ShapeAction,
			Function: ledgerapi.MoveHome, Out: ledgerapi.Receipt{}, Summary: "Make the gateway's hospital the calling patient's home"},
		{Name: "clinician.rotate", Method: "POST", Path: "/v1/clinicians/keys", Access: AccessPerson, Shape: ShapeAction,
			Function: ledgerapi.RotateClinicianKeys, Out: ledgerapi.Receipt{}, Summary: "Replace the keys by which the caller reads"},
	}
}
