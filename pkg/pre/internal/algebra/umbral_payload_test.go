// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package algebra

import (
	"bytes"
	"crypto/cipher"
	"crypto/fips140"
	"crypto/hkdf"
	"crypto/sha256"
	"io"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"
	"golang.org/x/crypto/chacha20poly1305"
)

// Payloads: XChaCha20-Poly1305 with a random nonce, bound to the capsule.

func umbralAEAD(secret k1Point) (aead cipher.AEAD, err error) {
	key, err := hkdf.Key(sha256.New, secret.Bytes(), nil, "", chacha20poly1305.KeySize)
	if err != nil {
		return nil, err
	}
	// Not approved by FIPS 140-3, and no cipher of ours.
	fips140.WithoutEnforcement(func() { aead, err = chacha20poly1305.NewX(key) })
	return aead, err
}

func umbralSeal(source io.Reader, secret k1Point, c k1Capsule, plaintext []byte) ([]byte, error) {
	aead, err := umbralAEAD(secret)
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, aead.NonceSize())
	if _, err := io.ReadFull(source, nonce); err != nil {
		return nil, err
	}
	return aead.Seal(nonce, nonce, plaintext, simpleCapsule(c)), nil
}

func umbralUnseal(secret k1Point, c k1Capsule, ciphertext []byte) ([]byte, error) {
	aead, err := umbralAEAD(secret)
	if err != nil {
		return nil, err
	}
	if len(ciphertext) < aead.NonceSize() {
		return nil, errUmbralFormat
	}
	return aead.Open(nil, ciphertext[:aead.NonceSize()], ciphertext[aead.NonceSize():], simpleCapsule(c))
}

func simpleCapsule(c k1Capsule) []byte {
	return bytes.Join([][]byte{c.E.Bytes(), c.V.Bytes(), c.S.Bytes()}, nil)
}

// Signatures: ECDSA over SHA-256, r ‖ s with the low s only, with deterministic nonces.

func umbralSign(key Scalar, message []byte) []byte {
	digest := sha256.Sum256(message)
	sig := ecdsa.Sign(secp256k1.NewPrivateKey(k1Scalar(key)), digest[:])
	r, s := sig.R(), sig.S()
	rb, sb := r.Bytes(), s.Bytes()
	return append(rb[:], sb[:]...)
}

func umbralVerify(pk k1Point, message, sig []byte) bool {
	key, err := secp256k1.ParsePubKey(pk.Bytes())
	if err != nil || len(sig) != 64 {
		return false
	}
	var r, s secp256k1.ModNScalar
	if r.SetByteSlice(sig[:32]) || s.SetByteSlice(sig[32:]) || s.IsOverHalfOrder() {
		return false
	}
	digest := sha256.Sum256(message)
	return ecdsa.NewSignature(&r, &s).Verify(digest[:], key)
}
