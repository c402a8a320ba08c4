// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package signature

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"slices"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/pre"
)

// Limits of an assertion in bytes.
const (
	MaxAuthenticatorData = 512
	MaxClientData        = 1024
	// maxDER is the longest ECDSA-Sig-Value of P-256: two integers of 33 octets.
	maxDER = 72
)

// Layout of authenticator data (WebAuthn Level 2, section 6.1): the SHA-256 of the
// relying party id, flags, and a counter. Extensions may follow.
const (
	partyHashSize = sha256.Size
	flagsAt       = partyHashSize
	plainSize     = partyHashSize + 1 + 4

	flagUserPresent    = 1 << 0
	flagUserVerified   = 1 << 2
	flagBackupEligible = 1 << 3
	flagBackedUp       = 1 << 4
	flagAttested       = 1 << 6
	flagExtensions     = 1 << 7
)

// verifyAssertion verifies a WebAuthn assertion over an action's digest, as a
// relying party does (WebAuthn Level 2, section 7.2), with the key and the party
// that were pinned. The user must have been verified, not just present. The
// counter is not looked at: a passkey that is kept on several devices has none
// that rises, and an action is spent once by its digest. S may be high: no
// authenticator promises a low one, and nothing here is named by its signature.
func verifyAssertion(signed *emr.SignedAction, key emr.PinnedKey, digest emr.Digest) error {
	if len(signed.AuthenticatorData) > MaxAuthenticatorData || len(signed.ClientData) > MaxClientData ||
		len(signed.Signature) > maxDER {
		return refused("WebAuthn assertion is too large")
	}
	client, err := parseClientData(signed.ClientData)
	if err != nil {
		return err
	}
	if err := client.check(key.Origins, digest); err != nil {
		return err
	}
	if err := checkAuthenticator(signed.AuthenticatorData, key.RelyingParty); err != nil {
		return err
	}
	return verifyES256(signed, key)
}

// refused is the error of an assertion that is well formed or not, but is no consent.
func refused(message string) error { return emr.E(emr.CodeUnauthenticated, message) }

// check checks that a page of an allowed origin asked for exactly this action.
func (c *clientData) check(origins []string, digest emr.Digest) error {
	challenge := base64.RawURLEncoding.EncodeToString(digest[:])
	switch {
	case c.typ != "webauthn.get":
		return refused("WebAuthn client data is not of an assertion")
	case subtle.ConstantTimeCompare([]byte(c.challenge), []byte(challenge)) != 1:
		return refused("WebAuthn challenge is not the action's digest")
	case !slices.Contains(origins, c.origin):
		return refused("WebAuthn origin is not one that the key was pinned with")
	case c.crossOrigin || c.topOrigin:
		return refused("WebAuthn assertion was made in a frame of another origin")
	default:
		return nil
	}
}

// checkAuthenticator checks the authenticator's own statement: for which party,
// and that it verified its user.
func checkAuthenticator(data []byte, party string) error {
	if len(data) < plainSize {
		return refused("WebAuthn authenticator data is too short")
	}
	want := sha256.Sum256([]byte(party))
	flags := data[flagsAt]
	switch {
	case subtle.ConstantTimeCompare(data[:partyHashSize], want[:]) != 1:
		return refused("WebAuthn assertion is for another relying party")
	case flags&flagUserPresent == 0:
		return refused("WebAuthn user was not present")
	case flags&flagUserVerified == 0:
		return refused("WebAuthn user was not verified")
	case flags&flagBackedUp != 0 && flags&flagBackupEligible == 0:
		return refused("WebAuthn flags contradict each other")
	case flags&flagAttested != 0:
		return refused("WebAuthn assertion carries a new credential")
	case (flags&flagExtensions != 0) != (len(data) > plainSize):
		return refused("WebAuthn authenticator data has another length than its flags say")
	default:
		return nil
	}
}

// verifyES256 verifies ECDSA over P-256 and SHA-256 of authenticatorData ‖
// SHA-256(clientDataJSON). ecdsa.VerifyASN1 takes the one DER encoding of a
// signature and no other.
func verifyES256(signed *emr.SignedAction, key emr.PinnedKey) error {
	point, err := pre.ParsePublicKey(key.Key)
	if err != nil {
		return emr.Wrap(emr.CodeInvalid, "pinned key cannot be read", err)
	}
	public, err := point.ECDSA()
	if err != nil {
		return emr.Wrap(emr.CodeInvalid, "pinned key cannot be read", err)
	}
	client := sha256.Sum256(signed.ClientData)
	message := sha256.Sum256(append(slices.Clone(signed.AuthenticatorData), client[:]...))
	if !ecdsa.VerifyASN1(public, message[:], signed.Signature) {
		return refused("signature does not verify under the actor's pinned key")
	}
	return nil
}
