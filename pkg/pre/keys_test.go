// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package pre

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestScopeKeysAreSeparateAndReproducible(t *testing.T) {
	t.Parallel()
	seed := bytes.Repeat([]byte{7}, SeedSize)
	seen := map[string]string{}
	add := func(name string, b []byte) {
		require.Empty(t, seen[string(b)], name)
		seen[string(b)] = name
	}
	for _, scope := range []string{"private", "private1", "low"} {
		for _, epoch := range []uint32{0, 1, 1 << 31} {
			k, err := DeriveScopeKey(seed, scope, epoch)
			require.NoError(t, err)
			again, err := DeriveScopeKey(seed, scope, epoch)
			require.NoError(t, err)
			require.Equal(t, k.InsecureBytes(), again.InsecureBytes())
			s, err := DeriveScopeSigner(seed, scope, epoch)
			require.NoError(t, err)
			h, err := DeriveHybridKey(seed, scope, epoch)
			require.NoError(t, err)
			hb, err := h.InsecureBytes()
			require.NoError(t, err)
			add(fmt.Sprint("key ", scope, epoch), k.InsecureBytes())
			add(fmt.Sprint("signer ", scope, epoch), s.InsecureBytes())
			add(fmt.Sprint("hybrid ", scope, epoch), hb)
		}
	}
	for _, bad := range [][]byte{nil, seed[:31], append(bytes.Clone(seed), 0)} {
		_, err := DeriveScopeKey(bad, "private", 1)
		require.ErrorIs(t, err, ErrParameter)
		_, err = DeriveHybridKey(bad, "private", 1)
		require.ErrorIs(t, err, ErrParameter)
	}
	_, err := DeriveScopeSigner(seed, "", 1)
	require.ErrorIs(t, err, ErrParameter)
}

func TestKeyIDIsTheTruncatedHashOfTheEncoding(t *testing.T) {
	t.Parallel()
	k := newKey(t).Public()
	h := sha256.Sum256(k.Bytes())
	require.Equal(t, hex.EncodeToString(h[:16]), k.ID().String())
	require.Contains(t, k.String(), k.ID().String())
	require.False(t, k.Equal(newKey(t).Public()))
	require.False(t, k.Equal(nil))
	require.False(t, (*PublicKey)(nil).Equal(nil))
	hk := newHybrid(t).Public()
	h = sha256.Sum256(hk.Bytes())
	require.Equal(t, hex.EncodeToString(h[:16]), hk.ID().String())
	require.True(t, hk.Equal(hk))
	require.False(t, hk.Equal(newHybrid(t).Public()))
}

func TestKeyAgreementIsSymmetric(t *testing.T) {
	t.Parallel()
	a, b := newKey(t), newKey(t)
	x, err := a.ECDH(b.Public())
	require.NoError(t, err)
	y, err := b.ECDH(a.Public())
	require.NoError(t, err)
	require.Equal(t, x, y)
	require.Len(t, x, 32)
	_, err = a.ECDH(nil)
	require.ErrorIs(t, err, ErrParameter)
}

func TestPrintedNamesIdentify(t *testing.T) {
	t.Parallel()
	w, l := newWorld(t, 1, 1), newLayer(t, 1, 1)
	require.Contains(t, fmt.Sprintf("%v", w.reader), w.reader.Public().ID().String())
	require.Contains(t, fmt.Sprintf("%#v", l.reader), l.reader.Public().ID().String())
	require.Contains(t, fmt.Sprintf("%s", w.kfrags[0]), "Hospital1MSP")
	require.Contains(t, fmt.Sprintf("%v", l.readerShares()[0]), "Hospital1MSP")
	require.Equal(t, w.params.Grant, w.kfrags[0].Grant())
	for _, v := range []fmt.GoStringer{w.reader, l.reader, w.kfrags[0], l.readerShares()[0]} {
		require.Equal(t, fmt.Sprint(v), v.GoString())
	}
	require.Contains(t, l.reader.Public().String(), l.reader.Public().ID().String())
}

func TestNilAndZeroValuesAreRefusedNotFollowed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, 1)
	p, pp := w.params, w.at(w.gateways[0])
	f := w.reencrypt(w.kfrags[0])
	var nilKey *PrivateKey
	for name, try := range map[string]func() error{
		"capsule verify nil":       func() error { return (*Capsule)(nil).Verify(p.Delegating, p.Context) },
		"capsule verify zero":      func() error { return (&Capsule{}).Verify(p.Delegating, p.Context) },
		"capsule verify no key":    func() error { return w.capsule.Verify(&PublicKey{}, p.Context) },
		"encapsulate no key":       func() error { _, _, err := Encapsulate(nil, nil, p.Context); return err },
		"decapsulate no key":       func() error { _, err := Decapsulate(nil, w.capsule, p.Context); return err },
		"decapsulate typed nil":    func() error { _, err := Decapsulate(nilKey, w.capsule, p.Context); return err },
		"decapsulate no capsule":   func() error { _, err := Decapsulate(w.delegating, nil, p.Context); return err },
		"re-encrypt no capsule":    func() error { _, err := Reencrypt(nil, nil, w.kfrags[0], pp); return err },
		"re-encrypt zero fragment": func() error { _, err := Reencrypt(nil, w.capsule, &KeyFragment{}, pp); return err },
		"re-encrypt no parameters": func() error { _, err := Reencrypt(nil, w.capsule, w.kfrags[0], ReencryptParams{}); return err },
		"verify zero fragment":     func() error { return (&CapsuleFragment{}).Verify(w.capsule, pp) },
		"verify no capsule":        func() error { return f.Verify(nil, pp) },
		"verify no parameters":     func() error { return f.Verify(w.capsule, ReencryptParams{}) },
		"open no reader":           func() error { _, err := Open(nil, w.capsule, 1, p, nil); return err },
		"open typed nil":           func() error { _, err := Open(nilKey, w.capsule, 1, p, nil); return err },
		"open no capsule":          func() error { _, err := Open(w.reader, nil, 1, p, nil); return err },
		"open threshold zero":      func() error { _, err := Open(w.reader, w.capsule, 0, p, nil); return err },
		"open threshold 256":       func() error { _, err := Open(w.reader, w.capsule, 256, p, nil); return err },
		"open no parameters":       func() error { _, err := Open(w.reader, w.capsule, 1, ReencryptParams{}, nil); return err },
		"seal no key":              func() error { _, err := SealTo(nil, nil, nil); return err },
		"seal zero key":            func() error { _, err := SealTo(&HybridPublicKey{}, nil, nil); return err },
		"open sealed no key":       func() error { _, err := (*HybridPrivateKey)(nil).OpenFrom(nil, nil); return err },
		"open sealed zero key":     func() error { _, err := (&HybridPrivateKey{}).OpenFrom(nil, nil); return err },
		"seal no fragment":         func() error { _, err := SealKeyFragment(newHybrid(t).Public(), nil); return err },
		"marshal no envelope":      func() error { _, err := (*Envelope)(nil).Marshal(); return err },
		"marshal empty envelope":   func() error { _, err := (&Envelope{}).Marshal(); return err },
		"sign with nil key":        func() error { _, err := SignP256(nil, nilKey.Signer(), make([]byte, 32)); return err },
		"ECDH with nil key":        func() error { _, err := nilKey.ECDH(p.Reader); return err },
		"rekey with zero key":      func() error { _, err := Rekey(nil, &PrivateKey{}, w.signer.Signer(), RekeyParams{}); return err },
		"combine an empty share":   func() error { _, err := CombineShares(1, []Share{{}}); return err },
		"combine threshold zero":   func() error { _, err := CombineShares(0, nil); return err },
		"re-seal no key":           func() error { _, err := ReSealShare(nil, p.Context, p.Request, SealedShare{}, nil); return err },
		"open share no key":        func() error { _, err := OpenReSealedShare(nil, p.Context, p.Request, SealedShare{}, nil); return err },
		"rotate no key":            func() error { _, err := RotateShare(nil, p.Context, SealedShare{}, nil); return err },
	} {
		require.ErrorIs(t, try(), ErrParameter, name)
	}
	_, err := Open(w.reader, w.capsule, 1, p, []*CapsuleFragment{nil, {}})
	require.ErrorIs(t, err, ErrTooFewFragments)
	for _, v := range []fmt.Stringer{nilKey, &PrivateKey{}, &PublicKey{}, (*PublicKey)(nil), (*KeyFragment)(nil),
		(*HybridPrivateKey)(nil), (*HybridPublicKey)(nil)} {
		require.Contains(t, v.String(), "nil")
	}
	for _, v := range []interface{ Bytes() []byte }{(*PublicKey)(nil), &PublicKey{}, (*HybridPublicKey)(nil), &HybridPublicKey{},
		&Capsule{}, &KeyFragment{}, &CapsuleFragment{}} {
		require.Empty(t, v.Bytes())
	}
	require.Empty(t, nilKey.InsecureBytes())
	require.Nil(t, (*HybridPrivateKey)(nil).Public())
	_, err = (&HybridPrivateKey{}).InsecureBytes()
	require.ErrorIs(t, err, ErrParameter)
	require.Zero(t, (*PublicKey)(nil).ID())
	require.Zero(t, (&HybridPublicKey{}).ID())
}
