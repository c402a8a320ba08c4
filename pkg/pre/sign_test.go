// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package pre

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/asn1"
	"errors"
	"io"
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSignaturesHaveOneEncoding(t *testing.T) {
	t.Parallel()
	k := newKey(t)
	digest := sha256.Sum256([]byte("message"))
	n := elliptic.P256().Params().N
	for range 20 { // about half of raw signatures have a high s
		sig, err := SignP256(nil, k.Signer(), digest[:])
		require.NoError(t, err)
		require.Len(t, sig, SignatureSize)
		require.NoError(t, VerifyP256(k.Public(), digest[:], sig))

		high := append([]byte(nil), sig...)
		s := new(big.Int).SetBytes(sig[32:])
		new(big.Int).Sub(n, s).FillBytes(high[32:])
		pub, err := k.Public().ECDSA()
		require.NoError(t, err)
		require.True(t, ecdsa.Verify(pub, digest[:], new(big.Int).SetBytes(high[:32]), new(big.Int).SetBytes(high[32:])))
		require.ErrorIs(t, VerifyP256(k.Public(), digest[:], high), ErrProof, "the twin with a high s is refused")
	}
}

func TestSignaturesThatAreRefused(t *testing.T) {
	t.Parallel()
	k := newKey(t)
	digest := sha256.Sum256([]byte("message"))
	sig, err := SignP256(nil, k.Signer(), digest[:])
	require.NoError(t, err)
	n := elliptic.P256().Params().N.Bytes()
	zero := make([]byte, 32)
	der, err := k.Signer().Sign(rand.Reader, digest[:], crypto.SHA256)
	require.NoError(t, err)

	for name, b := range map[string][]byte{
		"empty": nil, "63 bytes": sig[:63], "65 bytes": append(append([]byte(nil), sig...), 0), "DER": der,
		"r zero": append(append([]byte(nil), zero...), sig[32:]...), "s zero": append(append([]byte(nil), sig[:32]...), zero...),
		"r the order": append(append([]byte(nil), n...), sig[32:]...), "s the order": append(append([]byte(nil), sig[:32]...), n...),
	} {
		require.ErrorIs(t, VerifyP256(k.Public(), digest[:], b), ErrProof, name)
	}
	flipped(sig, func(i int, b []byte) {
		require.ErrorIs(t, VerifyP256(k.Public(), digest[:], b), ErrProof, "byte %d", i)
	})
	other := sha256.Sum256([]byte("another message"))
	require.ErrorIs(t, VerifyP256(k.Public(), other[:], sig), ErrProof)
	require.ErrorIs(t, VerifyP256(newKey(t).Public(), digest[:], sig), ErrProof)
	require.ErrorIs(t, VerifyP256(k.Public(), digest[:31], sig), ErrParameter)
	require.ErrorIs(t, VerifyP256(nil, digest[:], sig), ErrParameter)
	require.ErrorIs(t, VerifyP256(&PublicKey{}, digest[:], sig), ErrParameter)
}

// token is a signer outside the process.
type token struct {
	pub crypto.PublicKey
	out []byte
	err error
}

func (s token) Public() crypto.PublicKey { return s.pub }
func (s token) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return s.out, s.err
}

func TestForeignSigners(t *testing.T) {
	t.Parallel()
	digest := sha256.Sum256([]byte("message"))
	std, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	pub, err := PublicKeyOf(&std.PublicKey)
	require.NoError(t, err)
	sig, err := SignP256(nil, std, digest[:])
	require.NoError(t, err)
	require.NoError(t, VerifyP256(pub, digest[:], sig), "a key of the standard library signs")

	// A token that returns the high s is brought to the low one.
	n := elliptic.P256().Params().N
	r, s := new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:])
	high, err := asn1.Marshal(struct{ R, S *big.Int }{r, new(big.Int).Sub(n, s)})
	require.NoError(t, err)
	got, err := SignP256(nil, token{pub: &std.PublicKey, out: high}, digest[:])
	require.NoError(t, err)
	require.Equal(t, sig, got)

	zero, err := asn1.Marshal(struct{ R, S *big.Int }{r, new(big.Int)})
	require.NoError(t, err)
	for name, out := range map[string][]byte{
		"no DER": {1, 2, 3}, "bytes left over": append(append([]byte(nil), high...), 0), "s zero": zero,
	} {
		_, err = SignP256(nil, token{pub: &std.PublicKey, out: out}, digest[:])
		require.ErrorIs(t, err, ErrMalformed, name)
	}
	broken := errors.New("token removed")
	_, err = SignP256(nil, token{pub: &std.PublicKey, err: broken}, digest[:])
	require.ErrorIs(t, err, broken)

	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	require.NoError(t, err)
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	for name, key := range map[string]crypto.Signer{"P-384": p384, "Ed25519": ed, "no public key": token{}, "nothing": nil} {
		_, err = SignP256(nil, key, digest[:])
		require.ErrorIs(t, err, ErrParameter, name)
	}
	_, err = SignP256(nil, std, digest[:20])
	require.ErrorIs(t, err, ErrParameter)
	_, err = SignP256(nil, (&PrivateKey{}).Signer(), digest[:])
	require.ErrorIs(t, err, ErrParameter)
}

func TestPublicKeysConvert(t *testing.T) {
	t.Parallel()
	for range 8 { // both parities of y
		k := newKey(t).Public()
		e, err := k.ECDSA()
		require.NoError(t, err)
		h, err := k.ECDH()
		require.NoError(t, err)
		for _, pub := range []crypto.PublicKey{e, h} {
			back, err := PublicKeyOf(pub)
			require.NoError(t, err)
			require.True(t, k.Equal(back))
			require.Equal(t, k.ID(), back.ID())
		}
	}
	x, err := ecdh.P384().GenerateKey(rand.Reader)
	require.NoError(t, err)
	for _, pub := range []crypto.PublicKey{nil, "text", x.PublicKey(), (*ecdsa.PublicKey)(nil), (*ecdh.PublicKey)(nil)} {
		_, err := PublicKeyOf(pub)
		require.ErrorIs(t, err, ErrParameter)
	}
}
