// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// emergencyOperations relay the transactions of emergency sessions, and show them
// (docs/spec/emergency.md); the head belongs to docs/spec/audit.md.
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
		{Name: "emergency.list", Method: "GET", Path: "/v1/emergencies", Access: AccessPerson, Shape: ShapeJSON,
			Query: pageQuery(), Out: ledgerapi.EmergencyPage{}, Summary: "The caller's emergency sessions; for a privacy officer the organisation's"},
		{Name: "emergency.get", Method: "GET", Path: "/v1/emergencies/{session}", Access: AccessPerson, Shape: ShapeJSON,
			Out: ledgerapi.EmergencyView{}, Summary: "An emergency session with its ground and texts, for those who take part"},
		{Name: "emergency.own-plan", Method: "GET", Path: "/v1/emergencies/plan", Access: AccessPerson, Shape: ShapeJSON,
			Out: emr.EmergencyPlan{}, Summary: "The calling patient's emergency plan"},
		{Name: "audit.head", Method: "GET", Path: "/v1/audit/head", Access: AccessPerson, Shape: ShapeJSON,
			Out: emr.AuditHead{}, Summary: "The end of the calling patient's audit chain"},
	}
}
