// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

// Package signature verifies what persons sign: an action under a pinned key, of
// either kind that the vocabulary knows. The contract, the gateways' clients and
// the browser's device call the same code. It keeps no state, reads no clock and
// draws no randomness, so that every peer computes the same answer; everything in
// it may be called concurrently.
package signature

import (
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/pre"
)

// VerifyAction verifies the signature of an action by a pinned key, which must be
// of the signature's own kind. It does not parse the body, and knows nothing of
// time or of what was spent.
//
// Errors: unauthenticated when the signature is not by the key over the action, or
// is an assertion that the key's registration does not allow; invalid when the
// pinned key itself is none.
func VerifyAction(signed *emr.SignedAction, key emr.PinnedKey) error {
	if signed.Kind != key.Kind {
		return emr.E(emr.CodeUnauthenticated, "signature is not of the kind of the pinned key")
	}
	if err := CheckKey("key", key); err != nil {
		return err
	}
	digest := signed.Digest()
	if key.Kind == emr.SignatureWebAuthn {
		return verifyAssertion(signed, key, digest)
	}
	if len(signed.AuthenticatorData) != 0 || len(signed.ClientData) != 0 {
		return emr.E(emr.CodeUnauthenticated, "signature carries parts of another kind")
	}
	public, err := pre.ParsePublicKey(key.Key)
	if err != nil {
		return emr.Wrap(emr.CodeInvalid, "pinned key cannot be read", err)
	}
	if err := pre.VerifyP256(public, digest[:], signed.Signature); err != nil {
		return emr.Wrap(emr.CodeUnauthenticated, "signature does not verify under the actor's pinned key", err)
	}
	return nil
}

// CheckKey refuses a key that cannot be pinned: of a kind that is not offered, not
// a compressed P-256 point, or a passkey without a relying party id and 1 to
// MaxOrigins origins of it, sorted, none twice. Errors name field.
func CheckKey(field string, key emr.PinnedKey) error {
	switch key.Kind {
	case emr.SignatureP256:
		if key.RelyingParty != "" || len(key.Origins) != 0 {
			return emr.Invalid(field, "names a relying party, which is for WebAuthn only")
		}
	case emr.SignatureWebAuthn:
		if err := checkParty(field, key); err != nil {
			return err
		}
	default:
		return &emr.Error{Code: emr.CodeUnsupported, Field: field, Message: "signature kind is not offered"}
	}
	if _, err := pre.ParsePublicKey(key.Key); err != nil {
		return &emr.Error{Code: emr.CodeInvalid, Field: field, Message: "is not a compressed P-256 public key", Err: err}
	}
	return nil
}
