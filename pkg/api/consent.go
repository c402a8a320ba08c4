// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"github.com/emrys-health/emrys/pkg/consent"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// CurrentConsent stands for the number of the current version in the path of consent.get.
const CurrentConsent = "current"

// ConsentPreviewRequest asks what would change if the calling patient put a
// document now. Limit counts subjects, at most ledgerapi.MaxPreviewPage.
type ConsentPreviewRequest struct {
	Document consent.Document `json:"document"`
	Limit    int              `json:"limit"`
	Cursor   string           `json:"cursor"`
}

func consentOperations() []Operation {
	return []Operation{
		{Name: "consent.put", Method: "POST", Path: "/v1/consents", Access: AccessPerson, Shape: ShapeAction,
			Function: ledgerapi.PutConsent, Out: ledgerapi.Receipt{}, Summary: "Put the next version of the caller's standing consent"},
		{Name: "consent.withdraw", Method: "POST", Path: "/v1/consents/withdraw", Access: AccessPerson, Shape: ShapeAction,
			Function: ledgerapi.WithdrawConsent, Out: ledgerapi.Receipt{}, Summary: "Withdraw the caller's standing consent"},
		{Name: "consent.get", Method: "GET", Path: "/v1/consents/{version}", Access: AccessPerson, Shape: ShapeJSON,
			Out: consent.Consent{}, Summary: "A version of the calling patient's standing consent, or the current one"},
		{Name: "consent.list", Method: "GET", Path: "/v1/consents", Access: AccessPerson, Shape: ShapeJSON,
			Query: pageQuery(), Out: ledgerapi.ConsentPage{}, Summary: "Every version of the calling patient's standing consent, newest first"},
		{Name: "consent.preview", Method: "POST", Path: "/v1/consents/preview", Access: AccessPerson, Shape: ShapeJSON,
			In: ConsentPreviewRequest{}, Out: ledgerapi.ConsentPreview{}, Summary: "Who would gain and who would lose what by a document"},
		{Name: "delegate.name", Method: "POST", Path: "/v1/delegates", Access: AccessPerson, Shape: ShapeAction,
			Function: ledgerapi.NameDelegate, Out: ledgerapi.Receipt{}, Summary: "Let another patient sign for the caller until a time"},
		{Name: "delegate.end", Method: "POST", Path: "/v1/delegates/end", Access: AccessPerson, Shape: ShapeAction,
			Function: ledgerapi.EndDelegation, Out: ledgerapi.Receipt{}, Summary: "End a delegation, as its patient or its delegate"},
		{Name: "delegate.list", Method: "GET", Path: "/v1/delegates", Access: AccessPerson, Shape: ShapeJSON,
			Query: pageQuery(), Out: ledgerapi.DelegationPage{}, Summary: "Whom the calling patient lets sign, ended delegations included"},
	}
}
