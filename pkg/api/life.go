// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package api

import "github.com/emrys-health/emrys/pkg/ledgerapi"

// lifeOperations are those of the life of keys and people.
func lifeOperations() []Operation {
	return []Operation{
		{Name: "patient.rotate", Method: "POST", Path: "/v1/patients/keys", Access: AccessPerson, Shape: ShapeAction,
			Function: ledgerapi.RotatePatientKeys, Out: ledgerapi.Receipt{}, Summary: "Replace the calling patient's pinned keys"},
		{Name: "clinician.rotate", Method: "POST", Path: "/v1/clinicians/keys", Access: AccessPerson, Shape: ShapeAction,
			Function: ledgerapi.RotateClinicianKeys, Out: ledgerapi.Receipt{}, Summary: "Replace the keys by which the caller reads"},
	}
}
