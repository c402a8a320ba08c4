// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package pre

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/asn1"
	"fmt"
	"io"
	"sync"
)

// SignatureSize is the length in bytes of a signature: r then s, 32 bytes big-endian each, s at most n/2.
const SignatureSize = 64

// Signer returns the key as a crypto.Signer for SHA-256 digests. What it returns prints no secret and is safe for concurrent
// use.
func (k *PrivateKey) Signer() crypto.Signer {
	return &signer{k, sync.OnceValues(k.ecdsa)}
}

// signer implements crypto.Signer, whose Public has another result type than ECDHer's. The conversion to the standard
// library's key costs as much as a signature, so it is made once.
type signer struct {
	key  *PrivateKey
	priv func() (*ecdsa.PrivateKey, error)
}

func (k *PrivateKey) ecdsa() (*ecdsa.PrivateKey, error) {
	if !k.valid() {
		return nil, parameter("no signing key")
	}
	priv, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), k.d.Bytes())
	if err != nil {
		return nil, fmt.Errorf("convert private key: %w", err)
	}
	return priv, nil
}

func (s *signer) Public() crypto.PublicKey {
	priv, err := s.priv()
	if err != nil {
		return nil
	}
	pub := priv.PublicKey
	return &pub
}

func (s *signer) Sign(source io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	priv, err := s.priv()
	if err != nil {
		return nil, err
	}
	return priv.Sign(randomOr(source), digest, opts)
}

// SignP256 signs a SHA-256 digest with any P-256 crypto.Signer and returns the one encoding VerifyP256 accepts: r‖s, 64
// bytes, low s. A nil source means crypto/rand. A digest that is not 32 bytes, or a key on another curve, is ErrParameter.
func SignP256(source io.Reader, key crypto.Signer, digest []byte) ([]byte, error) {
	if err := checkSignArgs(key, digest); err != nil {
		return nil, err
	}
	der, err := key.Sign(randomOr(source), digest, crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	return lowS(der)
}

// lowS turns the DER signature of a key operation, which may be foreign hardware, into r‖s with the smaller of the two s that
// are right.
func lowS(der []byte) ([]byte, error) {
	var sig signatureDER
	if _, err := asn1.Unmarshal(der, &sig); err != nil {
		return nil, malformed("signature of the key operation")
	}
	r, rErr := parseInteger(sig.R)
	s, sErr := parseInteger(sig.S)
	if rErr != nil || sErr != nil || !bytes.Equal(derSignature(r, s), der) {
		return nil, malformed("signature of the key operation")
	}
	if isHigh(s) {
		s = negated(s)
	}
	return append(r.Bytes(), s.Bytes()...), nil
}

func checkSignArgs(key crypto.Signer, digest []byte) error {
	if key == nil {
		return parameter("no signing key")
	}
	if len(digest) != sha256.Size {
		return parameter("digest of %d bytes", len(digest))
	}
	_, err := uncompressed(key.Public())
	return err
}

// VerifyP256 checks a signature made by SignP256. A signature of another length, with r or s out of range, with the larger of
// the two possible s, or simply wrong, is ErrProof; so every message has exactly one valid encoding per signing operation.
func VerifyP256(pub *PublicKey, digest, sig []byte) error {
	if !pub.valid() {
		return parameter("no public key")
	}
	if len(digest) != sha256.Size {
		return parameter("digest of %d bytes", len(digest))
	}
	if len(sig) != SignatureSize {
		return unproven("signature of %d bytes", len(sig))
	}
	r, rErr := parseScalar(sig[:ScalarSize])
	s, sErr := parseScalar(sig[ScalarSize:])
	if rErr != nil || sErr != nil || isHigh(s) {
		return unproven("signature out of range")
	}
	key, err := pub.ECDSA()
	if err != nil {
		return err
	}
	if !ecdsa.VerifyASN1(key, digest, derSignature(r, s)) {
		return unproven("signature of key %s", pub.ID())
	}
	return nil
}

// isHigh reports whether s is the larger of s and n-s. Signatures are public, so this need not be constant in time.
func isHigh(s scalar) bool { return bytes.Compare(s.Bytes(), negated(s).Bytes()) > 0 }

func negated(s scalar) scalar { return suite().Field().Small(0).Sub(s) }

// signatureDER is a signature as the standard library writes it (SEC 1, C.5).
type signatureDER struct{ R, S asn1.RawValue }

// derSignature returns the one DER encoding of a signature.
func derSignature(r, s scalar) []byte {
	body := append(derInteger(r), derInteger(s)...)
	return append([]byte{asn1.TagSequence | derConstructed, byte(len(body))}, body...)
}

// derConstructed marks a DER value that consists of others.
const derConstructed = 0x20

// derInteger returns a positive integer without superfluous zeros, with one where the first bit would make it negative.
func derInteger(x scalar) []byte {
	b := bytes.TrimLeft(x.Bytes(), "\x00")
	if b[0]&0x80 != 0 {
		b = append([]byte{0}, b...)
	}
	return append([]byte{asn1.TagInteger, byte(len(b))}, b...)
}

// parseInteger reads an integer of a signature. Whether it was written the one right way shows when it is written again.
func parseInteger(v asn1.RawValue) (scalar, error) {
	b := bytes.TrimLeft(v.Bytes, "\x00")
	if len(b) > ScalarSize {
		return scalar{}, malformed("integer of %d bytes", len(b))
	}
	return parseScalar(append(make([]byte, ScalarSize-len(b)), b...))
}
