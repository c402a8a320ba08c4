// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package pre

import (
	"bytes"
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
	fuzzParser(f, newKey(f).Public().Bytes(), func(t *testing.T, b []byte) (func() []byte, error) {
		k, err := ParsePublicKey(b)
		return func() []byte { return k.Bytes() }, err
	})
}

func FuzzParsePrivateKey(f *testing.F) {
	fuzzParser(f, newKey(f).InsecureBytes(), func(t *testing.T, b []byte) (func() []byte, error) {
		k, err := ParsePrivateKey(b)
		return func() []byte { return k.InsecureBytes() }, err
	})
}

func FuzzParseCapsule(f *testing.F) {
	w := newWorld(f, 1, 1)
	fuzzParser(f, w.capsule.Bytes(), func(t *testing.T, b []byte) (func() []byte, error) {
		c, err := ParseCapsule(b)
		if err == nil && !bytes.Equal(b, w.capsule.Bytes()) {
			require.ErrorIs(t, c.Verify(w.params.Delegating, w.params.Context), ErrProof)
		}
		return func() []byte { return c.Bytes() }, err
	})
}

func FuzzParseKeyFragment(f *testing.F) {
	w := newWorld(f, 1, 1)
	fuzzParser(f, w.kfrags[0].Bytes(), func(t *testing.T, b []byte) (func() []byte, error) {
		k, err := ParseKeyFragment(b)
		if err == nil && !bytes.Equal(b, w.kfrags[0].Bytes()) {
			p := w.params
			require.ErrorIs(t, k.Verify(p.Delegating, p.Reader, p.Signer, k.Gateway(), p.Grant), ErrProof)
		}
		return func() []byte { return k.Bytes() }, err
	})
}

func FuzzParseCapsuleFragment(f *testing.F) {
	w := newWorld(f, 1, 1)
	good := w.reencrypt(w.kfrags[0]).Bytes()
	fuzzParser(f, good, func(t *testing.T, b []byte) (func() []byte, error) {
		c, err := ParseCapsuleFragment(b)
		if err == nil && !bytes.Equal(b, good) {
			require.ErrorIs(t, c.Verify(w.capsule, w.at(c.Gateway())), ErrProof)
		}
		return func() []byte { return c.Bytes() }, err
	})
}

func FuzzParseHybridPublicKey(f *testing.F) {
	fuzzParser(f, newHybrid(f).Public().Bytes(), func(t *testing.T, b []byte) (func() []byte, error) {
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
	l := newLayer(f, 1, 1)
	b, err := l.envelope().Marshal()
	require.NoError(f, err)
	f.Add([]byte{0x88, 0x01, 0x6c})
	fuzzParser(f, b, func(t *testing.T, b []byte) (func() []byte, error) {
		e, err := ParseEnvelope(b)
		return func() []byte {
			out, err := e.Marshal()
			require.NoError(t, err)
			return out
		}, err
	})
}

func FuzzOpenFrom(f *testing.F) {
	key := newHybrid(f)
	good, err := SealTo(key.Public(), []byte("info"), []byte("plaintext"))
	require.NoError(f, err)
	f.Add(good)
	f.Add(good[:SealOverhead])
	f.Add(make([]byte, SealOverhead+1))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, err := key.OpenFrom([]byte("info"), b)
		if !bytes.Equal(b, good) {
			requireOneOf(t, err, -1, ErrMalformed, ErrDecrypt)
		}
	})
}

func FuzzVerifyP256(f *testing.F) {
	key, digest := newKey(f), make([]byte, 32)
	good, err := SignP256(nil, key.Signer(), digest)
	require.NoError(f, err)
	f.Add(good)
	f.Add(make([]byte, SignatureSize))
	f.Add(bytes.Repeat([]byte{0xff}, SignatureSize))
	f.Fuzz(func(t *testing.T, sig []byte) {
		if err := VerifyP256(key.Public(), digest, sig); !bytes.Equal(sig, good) {
			require.ErrorIs(t, err, ErrProof)
		}
	})
}
