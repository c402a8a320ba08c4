// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package pre

import (
	"bytes"
	"crypto/elliptic"
	"testing"

	"github.com/stretchr/testify/require"
)

// fuzzParser feeds a parser and requires that it refuses with ErrMalformed or reads bytes that it writes again unchanged.
func fuzzParser(f *testing.F, seed []byte, parse func(*testing.T, []byte) (func() []byte, error)) {
	f.Helper()
	f.Add(seed)
	f.Add([]byte{})
	f.Add(seed[:len(seed)-1])
	f.Add(append(bytes.Clone(seed), 0))
	f.Add(make([]byte, len(seed)))
	f.Add(bytes.Repeat([]byte{0xff}, len(seed)))
	f.Fuzz(func(t *testing.T, b []byte) {
		encode, err := parse(t, b)
		if err != nil {
			require.ErrorIs(t, err, ErrMalformed)
			return
		}
		require.Equal(t, b, encode())
	})
}

func FuzzParsePublicKey(f *testing.F) {
	fuzzParser(f, suite().U.Bytes(), func(_ *testing.T, b []byte) (func() []byte, error) {
		k, err := ParsePublicKey(b)
		return func() []byte { return k.Bytes() }, err
	})
}

func FuzzParsePrivateKey(f *testing.F) {
	f.Add(elliptic.P256().Params().N.Bytes())
	fuzzParser(f, bytes.Repeat([]byte{1}, ScalarSize), func(_ *testing.T, b []byte) (func() []byte, error) {
		k, err := ParsePrivateKey(b)
		return func() []byte { return k.InsecureBytes() }, err
	})
}

func FuzzParseCapsule(f *testing.F) {
	v := loadVectors(f)
	_, _, p := v.keys(f)
	fuzzParser(f, v.Capsule, func(t *testing.T, b []byte) (func() []byte, error) {
		c, err := ParseCapsule(b)
		if err == nil && !bytes.Equal(b, v.Capsule) {
			require.ErrorIs(t, c.Verify(p.Delegating, p.Context), ErrProof)
		}
		return func() []byte { return c.Bytes() }, err
	})
}

func FuzzParseKeyFragment(f *testing.F) {
	v := loadVectors(f)
	_, _, p := v.keys(f)
	fuzzParser(f, v.KeyFragments[0], func(t *testing.T, b []byte) (func() []byte, error) {
		k, err := ParseKeyFragment(b)
		if err == nil && !bytes.Equal(b, v.KeyFragments[0]) {
			require.ErrorIs(t, k.Verify(p.Delegating, p.Reader, p.Signer, p.Gateway, p.Grant), ErrProof)
		}
		return func() []byte { return k.Bytes() }, err
	})
}

func FuzzParseCapsuleFragment(f *testing.F) {
	v := loadVectors(f)
	_, _, p := v.keys(f)
	capsule, err := ParseCapsule(v.Capsule)
	require.NoError(f, err)
	fuzzParser(f, v.Fragments[0], func(t *testing.T, b []byte) (func() []byte, error) {
		c, err := ParseCapsuleFragment(b)
		if err == nil && !bytes.Equal(b, v.Fragments[0]) {
			require.ErrorIs(t, c.Verify(capsule, p), ErrProof)
		}
		return func() []byte { return c.Bytes() }, err
	})
}

func FuzzParseHybridPublicKey(f *testing.F) {
	key, err := ParseHybridPrivateKey(loadVectors(f).HybridSeed)
	require.NoError(f, err)
	fuzzParser(f, key.Public().Bytes(), func(_ *testing.T, b []byte) (func() []byte, error) {
		k, err := ParseHybridPublicKey(b)
		return func() []byte { return k.Bytes() }, err
	})
}

func FuzzParseHybridPrivateKey(f *testing.F) {
	fuzzParser(f, bytes.Repeat([]byte{1}, HybridPrivateKeySize), func(t *testing.T, b []byte) (func() []byte, error) {
		k, err := ParseHybridPrivateKey(b)
		return func() []byte {
			out, err := k.InsecureBytes()
			require.NoError(t, err)
			return out
		}, err
	})
}

func FuzzParseEnvelope(f *testing.F) {
	f.Add([]byte{0x88, 0x01, 0x6c})
	fuzzParser(f, loadVectors(f).Envelope, func(t *testing.T, b []byte) (func() []byte, error) {
		e, err := ParseEnvelope(b)
		return func() []byte {
			out, err := e.Marshal()
			require.NoError(t, err)
			return out
		}, err
	})
}

func FuzzOpenFrom(f *testing.F) {
	v := loadVectors(f)
	_, _, p := v.keys(f)
	key, err := ParseHybridPrivateKey(v.ReaderHybrid)
	require.NoError(f, err)
	share := v.envelope(f).Shares.Shares[0]
	good := []byte(v.ReSealed[0])
	f.Add(good)
	f.Add(good[:SealOverhead])
	f.Add(make([]byte, SealOverhead+1))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, err := OpenReSealedShare(key, p.Context, p.Request, share, b)
		if bytes.Equal(b, good) {
			require.NoError(t, err)
			return
		}
		requireOneOf(t, err, -1, ErrMalformed, ErrDecrypt)
	})
}

func FuzzVerifyP256(f *testing.F) {
	v := loadVectors(f)
	_, _, p := v.keys(f)
	k, err := ParseKeyFragment(v.KeyFragments[0])
	require.NoError(f, err)
	digest := k.digest(p.names())
	f.Add(k.sig[:])
	f.Add(make([]byte, SignatureSize))
	f.Add(bytes.Repeat([]byte{0xff}, SignatureSize))
	f.Fuzz(func(t *testing.T, sig []byte) {
		err := VerifyP256(p.Signer, digest[:], sig)
		if bytes.Equal(sig, k.sig[:]) {
			require.NoError(t, err)
			return
		}
		require.ErrorIs(t, err, ErrProof)
	})
}
