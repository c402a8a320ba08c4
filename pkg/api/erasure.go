// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package api

import "github.com/emrys-health/emrys/pkg/ledgerapi"

// erasureOperations relay the transactions of taking back, and show how orders stand (docs/spec/erasure.md).
func erasureOperations() []Operation {
	return []Operation{
		{Name: "record.erase", Method: "POST", Path: "/v1/erasures", Access: AccessPerson, Shape: ShapeAction,
			Function: ledgerapi.EraseRecord, Out: ledgerapi.DecisionReceipt{}, Summary: "Have a record destroyed by every holder"},
		{Name: "erasure.list", Method: "GET", Path: "/v1/erasures", Access: AccessPerson, Shape: ShapeJSON,
			Query: pageQuery(), Out: ledgerapi.ErasurePage{}, Summary: "The calling patient's orders to destroy"},
		{Name: "erasure.get", Method: "GET", Path: "/v1/erasures/{erasure}", Access: AccessPerson, Shape: ShapeJSON,
			Out: ledgerapi.ErasureView{}, Summary: "How an order to destroy stands, holder by holder"},
		{Name: "record.rekey", Method: "POST", Path: "/v1/records/rekey", Access: AccessPerson, Shape: ShapeAction,
			Function: ledgerapi.RekeyRecord, Out: ledgerapi.DecisionReceipt{}, Summary: "Register an upload as a record's content under a new key"},
		{Name: "scope.roll", Method: "POST", Path: "/v1/scopes/roll", Access: AccessPerson, Shape: ShapeAction,
			Function: ledgerapi.RollScope, Out: ledgerapi.Receipt{}, Summary: "End a scope's epoch and begin the next"},
	}
}
