// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package api

import "github.com/emrys-health/emrys/pkg/ledgerapi"

// emergencyOperations relay the transactions of emergency sessions (docs/spec/emergency.md).
func emergencyOperations() []Operation {
	return []Operation{
		{Name: "emergency.plan", Method: "POST", Path: "/v1/emergencies/plan", Access: AccessPerson, Shape: ShapeAction,
			Function: ledgerapi.SetEmergencyPlan, Out: ledgerapi.Receipt{}, Summary: "Decline emergency access in advance, or take that back"},
		{Name: "emergency.open", Method: "POST", Path: "/v1/emergencies", Access: AccessPerson, Shape: ShapeAction,
			Function: ledgerapi.OpenEmergency, Out: ledgerapi.DecisionReceipt{}, Summary: "Break the glass for one patient"},
		{Name: "emergency.confirm", Method: "POST", Path: "/v1/emergencies/confirm", Access: AccessPerson, Shape: ShapeAction,
			Function: ledgerapi.ConfirmEmergency, Out: ledgerapi.DecisionReceipt{}, Summary: "Confirm another organisation's emergency session"},
		{Name: "emergency.close", Method: "POST", Path: "/v1/emergencies/close", Access: AccessPerson, Shape: ShapeAction,
			Function: ledgerapi.CloseEmergency, Out: ledgerapi.Receipt{}, Summary: "End an emergency session before its time"},
		{Name: "emergency.review", Method: "POST", Path: "/v1/emergencies/review", Access: AccessPerson, Shape: ShapeAction,
			Function: ledgerapi.ReviewEmergency, Out: ledgerapi.DecisionReceipt{}, Summary: "Review an emergency session that has ended"},
		{Name: "emergency.contest", Method: "POST", Path: "/v1/emergencies/contest", Access: AccessPerson, Shape: ShapeAction,
			Function: ledgerapi.ContestEmergency, Out: ledgerapi.Receipt{}, Summary: "The patient's statement about an emergency session"},
	}
}
