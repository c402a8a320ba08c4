// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package api

import "github.com/emrys-health/emrys/pkg/ledgerapi"

// auditOperations let inspectors read logs, after they have said that they will (docs/spec/audit.md).
func auditOperations() []Operation {
	return []Operation{
		{Name: "log.inspect", Method: "POST", Path: "/v1/inspections", Access: AccessPerson, Shape: ShapeAction,
			Function: ledgerapi.InspectLog, Out: ledgerapi.DecisionReceipt{}, Summary: "Commit, as an auditor or privacy officer, that a log will be read"},
		{Name: "log.read", Method: "GET", Path: "/v1/inspections/{inspection}/log", Access: AccessPerson, Shape: ShapeJSON,
			Query: pageQuery(), Out: ledgerapi.AuditPage{}, Summary: "The log that the caller's own inspection names, newest first"},
	}
}
