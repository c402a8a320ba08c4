// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package keystore

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/emrys-health/emrys/pkg/pre"
)

const (
	secretSize      = 32 // bytes: a P-256 scalar or a seed
	fingerprintSize = 16 // bytes of the SHA-256 of a public key
)

// secret is the 32 bytes of a key as the file holds them. Only the file's encoder ever sees it as text.
type secret [secretSize]byte

func (s *secret) MarshalText() ([]byte, error) {
	return base64.RawURLEncoding.AppendEncode(nil, s[:]), nil
}

func (s *secret) UnmarshalText(text []byte) error {
	b, err := base64.RawURLEncoding.Strict().DecodeString(string(text))
	if err != nil || len(b) != secretSize {
		return errors.New("key is not 32 bytes of base64url")
	}
	copy(s[:], b)
	return nil
}

func (s *secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "redacted") }
func (s *secret) LogValue() slog.Value       { return slog.StringValue("redacted") }

func generateSecret(rand io.Reader) (*secret, error) {
	s := new(secret)
	if _, err := io.ReadFull(rand, s[:]); err != nil {
		return nil, fmt.Errorf("generate key: %w", err)
	}
	return s, nil
}

// generateScalar draws a P-256 private scalar by rejection: one draw in 2^32 is out of range.
func generateScalar(rand io.Reader) (*secret, error) {
	for {
		s, err := generateSecret(rand)
		if err != nil {
			return nil, err
		}
		if _, err := ecdh.P256().NewPrivateKey(s[:]); err == nil {
			return s, nil
		}
	}
}

// label is how a key shows itself in print and logs: what it is for, and the fingerprint of its public half.
type label string

func newLabel(use string, public []byte) label {
	return label("keystore." + use + "(" + fingerprint(public) + ")")
}

// fingerprint is the first 16 bytes of the SHA-256 of a public key's encoding, in hexadecimal.
func fingerprint(public []byte) string {
	sum := sha256.Sum256(public)
	return hex.EncodeToString(sum[:fingerprintSize])
}

// String returns the key's name and fingerprint.
func (l label) String() string { return string(l) }

// GoString returns the key's name and fingerprint.
func (l label) GoString() string { return string(l) }

// Format writes the key's name and fingerprint for every verb.
func (l label) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, string(l)) }

// LogValue returns the key's name and fingerprint.
func (l label) LogValue() slog.Value { return slog.StringValue(string(l)) }

// MarshalText always fails: keys leave a store only through its file.
func (l label) MarshalText() ([]byte, error) {
	return nil, errors.New("a private key cannot be marshalled")
}

// softSigner is a [Signer] in this process's memory.
type softSigner struct {
	label
	key    *ecdsa.PrivateKey
	pinned *pre.PublicKey
	id     string
}

func newSigner(use string, s *secret) (*softSigner, error) {
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), s[:])
	if err != nil {
		return nil, fmt.Errorf("%w: %s key is out of range", ErrMalformed, use)
	}
	spki, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("encode public key: %w", err)
	}
	pinned, err := pre.PublicKeyOf(&key.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("encode public key: %w", err)
	}
	return &softSigner{label: newLabel(use, spki), key: key, pinned: pinned, id: fingerprint(spki)}, nil
}

// Public returns the public key, an *ecdsa.PublicKey on P-256.
func (s *softSigner) Public() crypto.PublicKey { return &s.key.PublicKey }

// Sign signs a SHA-256 digest and returns an ASN.1 DER signature.
func (s *softSigner) Sign(rand io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	if err := CheckDigest(digest, opts); err != nil {
		return nil, err
	}
	signature, err := s.key.Sign(rand, digest, opts)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	return signature, nil
}

// CheckDigest refuses what is not a SHA-256 digest. Every [Signer] signs nothing else.
func CheckDigest(digest []byte, opts crypto.SignerOpts) error {
	if opts == nil || opts.HashFunc() != crypto.SHA256 || len(digest) != sha256.Size {
		return errors.New("sign: only SHA-256 digests are signed")
	}
	return nil
}

// KeyID returns the key's identifier: the first 16 bytes of the SHA-256 of its SubjectPublicKeyInfo, in hexadecimal.
func (s *softSigner) KeyID() string { return s.id }

// Pinned returns the public key as the ledger pins it: the 33-byte compressed point.
func (s *softSigner) Pinned() []byte { return s.pinned.Bytes() }

// SignDigest signs a SHA-256 digest in the ledger's form: r and s as 64 bytes big-endian, low s.
func (s *softSigner) SignDigest(digest [sha256.Size]byte) ([]byte, error) {
	return pre.SignP256(nil, s.key, digest[:])
}

// ReadingKey opens what gateways re-encrypt to a person. It is a [pre.ECDHer]. Safe for concurrent use.
type ReadingKey struct {
	label
	key *pre.PrivateKey
}

func newReadingKey(use string, s *secret) (*ReadingKey, error) {
	key, err := pre.ParsePrivateKey(s[:])
	if err != nil {
		return nil, fmt.Errorf("%w: %s key is out of range", ErrMalformed, use)
	}
	return &ReadingKey{label: newLabel(use, key.Public().Bytes()), key: key}, nil
}

// Public returns the public key.
func (k *ReadingKey) Public() *pre.PublicKey { return k.key.Public() }

// ECDH returns the x-coordinate of the shared point (NIST SP 800-56A section 5.7.1.2), 32 bytes. The result is secret.
func (k *ReadingKey) ECDH(peer *pre.PublicKey) ([]byte, error) { return k.key.ECDH(peer) }

// HybridKey opens what is sealed to its owner under MLKEM768-P256: shares, copies, fragments.
type HybridKey = pre.HybridPrivateKey

func newHybridKey(use string, s *secret) (*HybridKey, error) {
	key, err := pre.ParseHybridPrivateKey(s[:])
	if err != nil {
		return nil, fmt.Errorf("%w: %s key", ErrMalformed, use)
	}
	return key, nil
}

var (
	_ Signer     = (*softSigner)(nil)
	_ pre.ECDHer = (*ReadingKey)(nil)
)
