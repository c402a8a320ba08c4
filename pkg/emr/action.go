// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package emr

import (
	"crypto/sha256"
	"encoding/json"
	"time"
)

// Limits of signed actions.
const (
	// MaxActionLife is the longest time between Issued and Expires.
	MaxActionLife = 15 * time.Minute
	// MaxActionSkew is how far Issued may lie ahead of the transaction's time.
	MaxActionSkew = 2 * time.Minute
	// MaxActionSize is the size limit of an action's body in bytes.
	MaxActionSize = 256 << 10
	nonceBytes    = 16
)

// Action is a statement by a person: do this, once, before then. Its canonical
// encoding is what the person signs.
type Action struct {
	V int `json:"v"`
	// Channel and Contract bind the action to one ledger and one contract.
	Channel  string `json:"channel"`
	Contract string `json:"contract"`
	// Function is the transaction's name.
	Function string `json:"function"`
	// Actor is the signer: a Handle or a ClinicianID.
	Actor   string `json:"actor"`
	Nonce   []byte `json:"nonce"` // 16 random bytes
	Issued  Time   `json:"issued"`
	Expires Time   `json:"expires"`
	// Args is the canonical encoding of the transaction's argument.
	Args json.RawMessage `json:"args"`
}

// Validate checks the form of the action, not its signer or time.
func (a *Action) Validate() error {
	switch {
	case a.V != DocumentVersion:
		return E(CodeUnsupported, "action version is not known")
	case a.Channel == "":
		return Invalid("channel", "must not be empty")
	case a.Contract == "":
		return Invalid("contract", "must not be empty")
	case a.Function == "":
		return Invalid("function", "must not be empty")
	case a.Actor == "":
		return Invalid("actor", "must not be empty")
	case len(a.Nonce) != nonceBytes:
		return Invalid("nonce", "must be 16 bytes")
	case a.Issued <= 0 || a.Expires <= a.Issued:
		return Invalid("expires", "must be after issued")
	case a.Expires > a.Issued.Add(MaxActionLife):
		return Invalid("expires", "must be at most 15 minutes after issued")
	case len(a.Args) == 0:
		return Invalid("args", "must not be empty")
	}
	return nil
}

// SignedAction is an action and its signature. Body is the exact sequence of
// bytes that was signed: it is parsed, never re-encoded.
type SignedAction struct {
	Kind      SignatureKind `json:"kind"`
	Body      []byte        `json:"body"`
	Signature []byte        `json:"signature"`
	// AuthenticatorData and ClientData (clientDataJSON) are of a SignatureWebAuthn
	// alone, and absent from the encoding of any other.
	AuthenticatorData []byte `json:"authenticatorData,omitempty"`
	ClientData        []byte `json:"clientData,omitempty"`
}

// Digest is what is signed: the SHA-256 of the label "EMRYS-ACTION-V1", a zero
// byte and the body. It also names the action: a spent digest cannot be spent again.
func (s *SignedAction) Digest() Digest { return ActionDigest(s.Body) }

// ActionDigest is the digest of an action's body.
func ActionDigest(body []byte) Digest {
	h := sha256.New()
	h.Write(append([]byte("EMRYS-ACTION-V1"), 0))
	h.Write(body)
	return Digest(h.Sum(nil))
}

// Parse decodes and validates the body. It does not verify the signature. It
// refuses a body over MaxActionSize, a body that is not canonical, a signature
// kind that is not offered, and parts of a kind with another.
func (s *SignedAction) Parse() (*Action, error) {
	if len(s.Body) > MaxActionSize {
		return nil, E(CodeTooLarge, "action is larger than 256 KiB")
	}
	if err := s.checkKind(); err != nil {
		return nil, err
	}
	var a Action
	if err := DecodeCanonical(s.Body, &a); err != nil {
		return nil, err
	}
	if err := a.Validate(); err != nil {
		return nil, err
	}
	return &a, nil
}

// checkKind checks that the signature has the parts of its kind and no others.
func (s *SignedAction) checkKind() error {
	assertion := len(s.AuthenticatorData) != 0 && len(s.ClientData) != 0
	switch {
	case s.Kind == SignatureWebAuthn && !assertion:
		return Invalid("clientData", "a WebAuthn signature needs its authenticator data and client data")
	case s.Kind == SignatureP256 && (len(s.AuthenticatorData) != 0 || len(s.ClientData) != 0):
		return Invalid("clientData", "belongs to a WebAuthn signature only")
	case s.Kind != SignatureP256 && s.Kind != SignatureWebAuthn:
		return E(CodeUnsupported, "signature kind is not offered")
	default:
		return nil
	}
}
