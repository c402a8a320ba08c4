// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package vectors

import (
	"bytes"
	"crypto/sha256"
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/pre"
	ref "github.com/emrys-health/emrys/pkg/vectors/internal/reference"
)

// Attacks on keys by way of what is computed with them.

func TestAReadersKeyIsNotAnOracle(t *testing.T) {
	t.Parallel()
	w := newNetwork(t, 2, 3)
	s := w.scope("private", 1)
	r := w.record(s, "record")
	// Gateways choose X_A, of which the reader's key takes a Diffie-Hellman value: points of their own are refused before it is used.
	var frags []*pre.CapsuleFragment
	for i := range w.ids {
		f := ref.ParseCapsuleFragment(w.reencrypt(s, r, "request", i).Bytes())
		f.XA = ref.Base(big.NewInt(2))
		parsed, err := pre.ParseCapsuleFragment(f.Bytes())
		require.NoError(t, err)
		frags = append(frags, parsed)
	}
	key := &counting{PrivateKey: w.reader}
	_, err := pre.Open(key, r.capsule, 2, w.params(s, r, "request", ""), frags)
	require.ErrorIs(t, err, pre.ErrTooFewFragments)
	require.Zero(t, key.uses)

	// Nor does the patient's key answer for a capsule that was not made for it.
	owner := &counting{PrivateKey: s.a}
	c := ref.ParseCapsule(r.capsule.Bytes())
	c.E = ref.Add(c.E, ref.Base(big.NewInt(1)))
	chosen, err := pre.ParseCapsule(c.Bytes())
	require.NoError(t, err)
	_, err = pre.Decapsulate(owner, chosen, r.ctx)
	require.ErrorIs(t, err, pre.ErrProof)
	require.Zero(t, owner.uses)

	_, err = pre.Decapsulate(owner, r.capsule, r.ctx)
	require.NoError(t, err)
	require.Equal(t, 1, owner.uses, "one operation of the private key")
	_, err = pre.Open(key, r.capsule, 2, w.params(s, r, "request", ""),
		[]*pre.CapsuleFragment{w.reencrypt(s, r, "request", 0), w.reencrypt(s, r, "request", 1)})
	require.NoError(t, err)
	require.Equal(t, 1, key.uses)
}

func TestFragmentsOfTwoRunsDoNotMix(t *testing.T) {
	t.Parallel()
	w := newNetwork(t, 2, 3)
	s := w.scope("private", 1)
	r := w.record(s, "record")
	first := w.reencrypt(s, r, "request", 0)
	b := scalarOf(w.reader)
	old := s.fragments
	s.fragments = w.rekey(s)
	second := w.reencrypt(s, r, "request", 1)
	_, refused, err := pre.OpenReport(w.reader, r.capsule, 2, w.params(s, r, "request", ""), []*pre.CapsuleFragment{first, second})
	require.ErrorIs(t, err, pre.ErrTooFewFragments)
	require.Len(t, refused, 1)
	// A collusion over two runs, each with fewer than t, gains nothing either.
	mixed := []*pre.KeyFragment{old[0], s.fragments[1]}
	require.NotEqual(t, s.a.InsecureBytes(), ref.B32(collude(mixed, b)))
	require.Equal(t, s.a.InsecureBytes(), ref.B32(collude(s.fragments[:2], b)), "while two of one run do")
}

func TestARepeatedRandomSourceGivesNothingAway(t *testing.T) {
	t.Parallel()
	w := newNetwork(t, 1, 1)
	s := w.scope("private", 1)
	r := w.record(s, "record")
	constant := func() *bytes.Reader { return bytes.NewReader(bytes.Repeat([]byte{7}, 48)) }
	rk := ref.ParseKeyFragment(s.fragments[0].Bytes()).RK
	solve := func(f, g ref.CapsuleFragment) *big.Int {
		return ref.TimesMod(ref.MinusMod(f.Z, g.Z), ref.InvMod(ref.MinusMod(f.H, g.H)))
	}
	// Two proofs with one w give rk away ...
	c, p := ref.ParseCapsule(r.capsule.Bytes()), w.params(s, r, "one", w.ids[0])
	n := ref.Names{PKA: p.Delegating.Bytes(), PKB: p.Reader.Bytes(), PKS: p.Signer.Bytes()}
	k, nonce := ref.ParseKeyFragment(s.fragments[0].Bytes()), randomScalar(t)
	naive := func(request string) ref.CapsuleFragment {
		q := sha256.Sum256([]byte(request))
		return ref.Reencrypt(k, c, n, p.Context[:], q[:], nonce)
	}
	require.Equal(t, rk, solve(naive("one"), naive("two")), "the attack works where w repeats")
	// ... and here w is another one for another request, whatever the source says.
	answer := func(request string) ref.CapsuleFragment {
		f, err := pre.Reencrypt(constant(), r.capsule, s.fragments[0], w.params(s, r, request, w.ids[0]))
		require.NoError(t, err)
		return ref.ParseCapsuleFragment(f.Bytes())
	}
	require.NotEqual(t, rk, solve(answer("one"), answer("two")))

	// The same for capsules: one r and u in two records give r = (s - s')/(h - h').
	ctx1, ctx2, pkA := sha256.Sum256([]byte("1")), sha256.Sum256([]byte("2")), ref.Point(s.a.Public().Bytes())
	solveR := func(c, d ref.Capsule) *big.Int {
		return ref.TimesMod(ref.MinusMod(c.S, d.S), ref.InvMod(ref.MinusMod(c.Challenge(pkA, ctx1[:]), d.Challenge(pkA, ctx2[:]))))
	}
	x, y := randomScalar(t), randomScalar(t)
	c1, _ := ref.NewCapsule(x, y, pkA, ctx1[:])
	c2, _ := ref.NewCapsule(x, y, pkA, ctx2[:])
	require.Equal(t, x, solveR(c1, c2), "the attack works where r and u repeat")
	e1, _, err := pre.Encapsulate(constant(), s.a.Public(), ctx1)
	require.NoError(t, err)
	e2, _, err := pre.Encapsulate(constant(), s.a.Public(), ctx2)
	require.NoError(t, err)
	d1, d2 := ref.ParseCapsule(e1.Bytes()), ref.ParseCapsule(e2.Bytes())
	require.NotEqual(t, d1.E, ref.Base(solveR(d1, d2)))
}

func TestThereAreNoSmallSubgroupsAndNoInvalidPoints(t *testing.T) {
	t.Parallel()
	// The curve has prime order: every point but the identity generates the whole group.
	require.True(t, ref.Order().ProbablyPrime(64))
	for range 3 {
		p := ref.Base(randomScalar(t))
		minusOne := new(big.Int).Sub(ref.Order(), big.NewInt(1))
		require.Equal(t, ref.Point{0}, ref.Add(ref.Mul(minusOne, p), p), "n·P is the identity")
	}
	// Points of the twist, half of all x, would leak a key that is multiplied with them: no decoder lets one in.
	refused := 0
	for x := int64(1); x < 200; x++ {
		_, err := pre.ParsePublicKey(ref.Join([]byte{2}, ref.B32(big.NewInt(x))))
		if err != nil {
			require.ErrorIs(t, err, pre.ErrMalformed)
			refused++
		}
	}
	require.InDelta(t, 100, refused, 40)
}
