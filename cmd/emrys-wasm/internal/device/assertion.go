// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package device

import (
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/signature"
)

// finishAssertion joins an action's body and a passkey's assertion whose challenge was the action's digest, and verifies
// it as the ledger will: under the key as it is pinned, or is about to be.
// (body, authenticatorData, clientData, signature: DER, pinned: JSON of emr.PinnedKey) -> signed: JSON of emr.SignedAction.
func finishAssertion(a *arguments) (Fields, error) {
	signed := emr.SignedAction{
		Kind: emr.SignatureWebAuthn, Body: a.bytes("body"), Signature: a.bytes("signature"),
		AuthenticatorData: a.bytes("authenticatorData"), ClientData: a.bytes("clientData"),
	}
	var pinned emr.PinnedKey
	a.document("pinned", &pinned)
	if err := a.end(); err != nil {
		return nil, err
	}
	if err := checkBody(signed.Body); err != nil {
		return nil, err
	}
	if err := signature.CheckKey("pinned", pinned); err != nil {
		return nil, documentError(err)
	}
	if err := signature.VerifyAction(&signed, pinned); err != nil {
		return nil, failed(CodeProof, emr.Public(err).Message)
	}
	text, err := emr.Canonical(&signed)
	if err != nil {
		return nil, documentError(err)
	}
	return Fields{"signed": string(text)}, nil
}
