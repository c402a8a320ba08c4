// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package api

import "github.com/emrys-health/emrys/pkg/ledgerapi"

// amendmentOperations relay the transactions of amendments, and show them (docs/spec/amendment.md).
func amendmentOperations() []Operation {
	return []Operation{
		{Name: "amendment.ask", Method: "POST", Path: "/v1/amendments", Access: AccessPerson, Shape: ShapeAction,
			Function: ledgerapi.AskAmendment, Out: ledgerapi.Receipt{}, Summary: "Ask that an own record be corrected"},
		{Name: "amendment.answer", Method: "POST", Path: "/v1/amendments/answer", Access: AccessPerson, Shape: ShapeAction,
			Function: ledgerapi.AnswerAmendment, Out: ledgerapi.Receipt{}, Summary: "Accept or deny a correction of the hospital's record"},
		{Name: "amendment.dispute", Method: "POST", Path: "/v1/amendments/dispute", Access: AccessPerson, Shape: ShapeAction,
			Function: ledgerapi.DisputeAmendment, Out: ledgerapi.Receipt{}, Summary: "The patient's disagreement with a denial"},
		{Name: "amendment.list", Method: "GET", Path: "/v1/amendments", Access: AccessPerson, Shape: ShapeJSON,
			Query: pageQuery(), Out: ledgerapi.AmendmentPage{}, Summary: "The calling patient's amendments"},
		{Name: "amendment.get", Method: "GET", Path: "/v1/amendments/{amendment}", Access: AccessPerson, Shape: ShapeJSON,
			Out: ledgerapi.AmendmentView{}, Summary: "An amendment with its texts, for the patient and the record's hospital"},
		{Name: "amendment.record", Method: "GET", Path: "/v1/records/{record}/amendments", Access: AccessPerson, Shape: ShapeJSON,
			Query: pageQuery(), Out: ledgerapi.AmendmentPage{}, Summary: "A record's amendments, newest first"},
	}
}
