// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package pre

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/asn1"
	"fmt"
	"io"
	"math/big"
)

// SignatureSize is the length in bytes of a signature: r then s, 32 bytes big-endian each, s at most n/2.
const SignatureSize = 64

// Signer returns the key as a crypto.Signer for SHA-256 digests. What it returns prints no secret.
func (k *PrivateKey) Signer() crypto.Signer { return &signer{k} }

// signer implements crypto.Signer, whose Public has another result type than ECDHer's.
type signer struct{ key *PrivateKey }

func (s *signer) Public() crypto.PublicKey {
	pub, err := s.key.Public().ECDSA()
	if err != nil {
		return nil
	}
	return pub
}

func (s *signer) Sign(source io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	if !s.key.valid() {
		return nil, parameter("no signing key")
	}
	priv, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), s.key.d.Bytes())
	if err != nil {
		return nil, fmt.Errorf("convert private key: %w", err)
	}
	return priv.Sign(randomOr(source), digest, opts)
}

func (s *signer) String() string             { return s.key.String() }
func (s *signer) GoString() string           { return s.key.String() }
func (s *signer) Format(f fmt.State, _ rune) { redact(f, s.key.String()) }

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
	var sig struct{ R, S *big.Int }
	if rest, err := asn1.Unmarshal(der, &sig); err != nil || len(rest) != 0 {
		return nil, malformed("signature of the key operation")
	}
	n := elliptic.P256().Params().N
	if !inOrder(sig.R, n) || !inOrder(sig.S, n) {
		return nil, malformed("signature of the key operation")
	}
	if highS(sig.S, n) {
		sig.S.Sub(n, sig.S)
	}
	out := make([]byte, SignatureSize)
	sig.R.FillBytes(out[:SignatureSize/2])
	sig.S.FillBytes(out[SignatureSize/2:])
	return out, nil
}

func checkSignArgs(key crypto.Signer, digest []byte) error {
	if key == nil {
		return parameter("no signing key")
	}
	if len(digest) != sha256.Size {
		return parameter("digest of %d bytes", len(digest))
	}
	_, err := PublicKeyOf(key.Public())
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
	n := elliptic.P256().Params().N
	r, s := new(big.Int).SetBytes(sig[:SignatureSize/2]), new(big.Int).SetBytes(sig[SignatureSize/2:])
	if !inOrder(r, n) || !inOrder(s, n) || highS(s, n) {
		return unproven("signature out of range")
	}
	key, err := pub.ECDSA()
	if err != nil {
		return err
	}
	if !ecdsa.Verify(key, digest, r, s) {
		return unproven("signature of key %s", pub.ID())
	}
	return nil
}

func inOrder(x, n *big.Int) bool { return x != nil && x.Sign() > 0 && x.Cmp(n) < 0 }

func highS(s, n *big.Int) bool { return s.Cmp(new(big.Int).Rsh(n, 1)) > 0 }
