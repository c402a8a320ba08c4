// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// grantingOperations relay the transactions of narrowing, batches, confirmations and
// sign-off, and show what waits for whom (docs/spec/granting.md).
func grantingOperations() []Operation {
	return []Operation{
		{Name: "grant.narrow", Method: "POST", Path: "/v1/grants/narrow", Access: AccessPerson, Shape: ShapeAction,
			Function: ledgerapi.NarrowGrant, Out: ledgerapi.Receipt{}, Summary: "Take back a part of a grant"},
		{Name: "grant.batch", Method: "POST", Path: "/v1/grants/batch", Access: AccessPerson, Shape: ShapeAction,
			Function: ledgerapi.GrantBatch, Out: ledgerapi.GrantBatchReceipt{}, Summary: "Give several grants, all or none"},
		{Name: "grant.confirm", Method: "POST", Path: "/v1/grants/confirm", Access: AccessPerson, Shape: ShapeAction,
			Function: ledgerapi.ConfirmGrant, Out: ledgerapi.DecisionReceipt{}, Summary: "Confirm a wide grant"},
		{Name: "grant-rule.set", Method: "POST", Path: "/v1/grant-rule", Access: AccessPerson, Shape: ShapeAction,
			Function: ledgerapi.SetGrantRule, Out: ledgerapi.DecisionReceipt{}, Summary: "Rule which grants need a confirmation"},
		{Name: "grant-rule.confirm", Method: "POST", Path: "/v1/grant-rule/confirm", Access: AccessPerson, Shape: ShapeAction,
			Function: ledgerapi.ConfirmGrantRule, Out: ledgerapi.Receipt{}, Summary: "Confirm a looser rule about wide grants"},
		{Name: "record.signoff", Method: "POST", Path: "/v1/records/sign-off", Access: AccessPerson, Shape: ShapeAction,
			Function: ledgerapi.SignOff, Out: ledgerapi.DecisionReceipt{}, Summary: "Sign a record off, or refuse to"},
		{Name: "inbox.list", Method: "GET", Path: "/v1/inbox", Access: AccessPerson, Shape: ShapeJSON,
			Query: pageQuery(), Out: ledgerapi.InboxPage{}, Summary: "What waits for the caller's answer, newest first"},
		{Name: "grant.get", Method: "GET", Path: "/v1/grants/{grant}", Access: AccessPerson, Shape: ShapeJSON,
			Out: emr.Grant{}, Summary: "A grant, for its patient, its grantee and those who may confirm it"},
		{Name: "grant-rule.get", Method: "GET", Path: "/v1/grant-rule", Access: AccessPerson, Shape: ShapeJSON,
			Out: emr.GrantRule{}, Summary: "The calling patient's rule about wide grants; of version 0 when there is none"},
	}
}
