// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

// Package signaturetest is a passkey in software for tests: it answers as a
// browser and an authenticator do together (WebAuthn Level 2, section 6.3.3), and
// lets a test change any part of the answer before it is signed.
package signaturetest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/pre"
)

// Flags of an ordinary assertion: user present, user verified.
const Flags = 0x05

// Passkey is a credential of a relying party, used from one origin.
type Passkey struct {
	Party, Origin string
	key           *ecdsa.PrivateKey
}

// New makes a passkey.
func New(t testing.TB, party, origin string) *Passkey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	return &Passkey{Party: party, Origin: origin, key: key}
}

// Pinned is the passkey as a patient registers it.
func (p *Passkey) Pinned(t testing.TB) emr.PinnedKey {
	t.Helper()
	public, err := pre.PublicKeyOf(&p.key.PublicKey)
	require.NoError(t, err)
	return emr.PinnedKey{
		Kind: emr.SignatureWebAuthn, Key: public.Bytes(), RelyingParty: p.Party, Origins: []string{p.Origin},
	}
}

// Answer is what is signed, before it is signed.
type Answer struct {
	AuthenticatorData, ClientData []byte
}

// Answer makes the answer to a challenge as it should be.
func (p *Passkey) Answer(challenge []byte) *Answer {
	party := sha256.Sum256([]byte(p.Party))
	return &Answer{
		AuthenticatorData: append(party[:], Flags, 0, 0, 0, 0),
		ClientData: fmt.Appendf(nil, `{"type":"webauthn.get","challenge":%q,"origin":%q,"crossOrigin":false}`,
			base64.RawURLEncoding.EncodeToString(challenge), p.Origin),
	}
}

// Sign signs an action's body. A change, where there is one, is made before the signature.
func (p *Passkey) Sign(t testing.TB, body []byte, change func(*Answer)) *emr.SignedAction {
	t.Helper()
	digest := emr.ActionDigest(body)
	answer := p.Answer(digest[:])
	if change != nil {
		change(answer)
	}
	client := sha256.Sum256(answer.ClientData)
	message := sha256.Sum256(append(append([]byte{}, answer.AuthenticatorData...), client[:]...))
	der, err := ecdsa.SignASN1(rand.Reader, p.key, message[:])
	require.NoError(t, err)
	return &emr.SignedAction{
		Kind: emr.SignatureWebAuthn, Body: body, Signature: der,
		AuthenticatorData: answer.AuthenticatorData, ClientData: answer.ClientData,
	}
}
