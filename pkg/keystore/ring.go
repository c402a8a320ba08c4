// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package keystore

import (
	"crypto"
	"crypto/sha256"
	"errors"
	"io"

	"github.com/emrys-health/emrys/pkg/pre"
)

// Keys are a person's keys, as operations: whoever holds one can use the keys and cannot read them. [Store] keeps them in a
// file, [Memory] nowhere; package pkcs11 keeps the signing and reading keys in a token. Safe for concurrent use. Every
// implementation passes keystoretest.Run.
type Keys interface {
	// Consent returns the key that signs the person's actions on the ledger.
	Consent() Signer
	// Enrolment returns the key of the person's certificate: it signs the certificate request and authenticates at gateways.
	Enrolment() Signer
	// Reading returns the key agreement key that opens what is re-encrypted to this person.
	Reading() pre.ECDHer
	// Hybrid returns the key that opens what is sealed to this person: a patient's copies, a reader's shares. It is a
	// handle of this process in every implementation: no token knows the KEM.
	Hybrid() *HybridKey
	// ScopeKey derives the delegating key of one scope and epoch from the seed generation that serves the epoch: records are
	// encapsulated to its public key. The result is a handle that holds the scalar, because making key fragments is
	// arithmetic with it that no token offers. ErrEpoch when no generation serves the epoch.
	ScopeKey(scopeID string, epoch uint32) (*pre.PrivateKey, error)
	// ScopeSigner derives the key that signs the key fragments of one scope and epoch.
	ScopeSigner(scopeID string, epoch uint32) (*pre.PrivateKey, error)
}

// Signer signs with a P-256 ECDSA key. It is a [crypto.Signer] for SHA-256 digests that returns ASN.1 DER, so it fits
// x509.CreateCertificateRequest, tls.Certificate and JWS libraries. Safe for concurrent use.
type Signer interface {
	crypto.Signer
	// KeyID returns the key's identifier: the first 16 bytes of the SHA-256 of its SubjectPublicKeyInfo, in hexadecimal.
	KeyID() string
	// Pinned returns the public key as the ledger pins it: the 33-byte compressed point.
	Pinned() []byte
	// SignDigest signs a SHA-256 digest in the ledger's form: r and s as 64 bytes big-endian, low s.
	SignDigest(digest [sha256.Size]byte) ([]byte, error)
}

// ring is a person's keys in this process's memory: what all software implementations share.
type ring struct {
	label
	roots     Roots
	consent   *softSigner
	enrolment *softSigner
	reading   *ReadingKey
	hybrid    *HybridKey
}

// ringSecrets are the secrets of a ring, in the order of the key file.
type ringSecrets struct {
	Roots     []root  `json:"roots"`
	Consent   *secret `json:"consent"`
	Enrolment *secret `json:"enrolment"`
	Reading   *secret `json:"reading"`
}

func generateRing(roots Roots, rand io.Reader) (ringSecrets, error) {
	s := ringSecrets{Roots: roots.list}
	err := errors.Join(
		generateInto(&s.Consent, generateScalar, rand),
		generateInto(&s.Enrolment, generateScalar, rand),
		generateInto(&s.Reading, generateScalar, rand),
	)
	return s, err
}

func generateInto(field **secret, generate func(io.Reader) (*secret, error), rand io.Reader) (err error) {
	*field, err = generate(rand)
	return err
}

func newRing(use string, s ringSecrets) (*ring, error) {
	r := &ring{roots: Roots{s.Roots}}
	if err := r.roots.check(); err != nil {
		return nil, err
	}
	var errs [4]error
	r.consent, errs[0] = newSigner("ConsentKey", s.Consent)
	r.enrolment, errs[1] = newSigner("EnrolmentKey", s.Enrolment)
	r.reading, errs[2] = newReadingKey("ReadingKey", s.Reading)
	r.hybrid, errs[3] = r.roots.Hybrid()
	if err := errors.Join(errs[:]...); err != nil {
		return nil, err
	}
	r.label = label("keystore." + use + "(" + r.consent.KeyID() + ")")
	return r, nil
}

// Consent implements [Keys].
func (r *ring) Consent() Signer { return r.consent }

// Enrolment implements [Keys].
func (r *ring) Enrolment() Signer { return r.enrolment }

// Reading implements [Keys].
func (r *ring) Reading() pre.ECDHer { return r.reading }

// Hybrid implements [Keys].
func (r *ring) Hybrid() *HybridKey { return r.hybrid }

// ScopeKey implements [Keys] with [pre.DeriveScopeKey].
func (r *ring) ScopeKey(scopeID string, epoch uint32) (*pre.PrivateKey, error) {
	return r.roots.ScopeKey(scopeID, epoch)
}

// ScopeSigner implements [Keys] with [pre.DeriveScopeSigner].
func (r *ring) ScopeSigner(scopeID string, epoch uint32) (*pre.PrivateKey, error) {
	return r.roots.ScopeSigner(scopeID, epoch)
}

// Roots returns the seed generations: for a backup (guardians, paper). They print without their seeds.
func (r *ring) Roots() Roots { return r.roots }

// Memory is a person's keys that are gone with the process: for an agent that restores them for one task, and for tests.
type Memory struct{ *ring }

var _ Keys = (*Memory)(nil)

// NewMemory makes keys from rand (crypto/rand.Reader) with these seed generations. See [NewRoots].
func NewMemory(roots Roots, rand io.Reader) (*Memory, error) {
	s, err := generateRing(roots, rand)
	if err != nil {
		return nil, err
	}
	r, err := newRing("Memory", s)
	if err != nil {
		return nil, err
	}
	return &Memory{r}, nil
}
