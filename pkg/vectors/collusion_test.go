// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package vectors

import (
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/pre"
	ref "github.com/emrys-health/emrys/pkg/vectors/internal/reference"
)

// Who holds what together, and what it gives them (pre.md P15.2, P15.3).

func TestAttackA_ThresholdGatewaysAndTheReaderOpenOneScopeAndEpochForEver(t *testing.T) {
	t.Parallel()
	w := newNetwork(t, 2, 3)
	s := w.scope("private", 1)
	w.record(s, "the record that the grant names")
	never := w.record(s, "a record that was never disclosed")

	a := collude(s.fragments[1:], scalarOf(w.reader))
	require.Equal(t, s.a.InsecureBytes(), ref.B32(a), "the stated limit (P15.3.1)")

	// Offline, without a gateway being asked: the scope key opens the capsule, their own shares give the rest.
	stolen := keyOf(t, a)
	kPre, err := pre.Decapsulate(stolen, never.capsule, never.ctx)
	require.NoError(t, err)
	dek, err := pre.UnwrapKey(never.ctx, ref.B32(w.collectShares(never, 1, 2)), kPre, never.envelope.Wrapped)
	require.NoError(t, err)
	require.Equal(t, never.dek, dek)
}

func TestAttackA_WhatTheStolenScopeKeyDoesNotGive(t *testing.T) {
	t.Parallel()
	w := newNetwork(t, 2, 3)
	s := w.scope("private", 1)
	r := w.record(s, "record")
	stolen := keyOf(t, collude(s.fragments[:2], scalarOf(w.reader)))

	t.Run("no other scope and no other epoch", func(t *testing.T) {
		for _, other := range []*scope{w.scope("private", 2), w.scope("private", 0), w.scope("Private", 1), w.scope("moderate", 1)} {
			require.NotEqual(t, other.a.InsecureBytes(), stolen.InsecureBytes())
			closed := w.record(other, "record")
			_, err := pre.Decapsulate(stolen, closed.capsule, closed.ctx)
			require.ErrorIs(t, err, pre.ErrProof)
			c := ref.ParseCapsule(closed.capsule.Bytes())
			_, err = pre.UnwrapKey(closed.ctx, closed.kShare, ref.Decapsulate(scalarOf(stolen), c, closed.ctx[:]), closed.envelope.Wrapped)
			require.ErrorIs(t, err, pre.ErrDecrypt, "nor by leaving the check out")
		}
	})
	t.Run("not the scope signer: no fragments can be forged", func(t *testing.T) {
		require.NotEqual(t, s.signer.InsecureBytes(), stolen.InsecureBytes())
		accomplice := newNetwork(t, 1, 1)
		for _, signer := range []*pre.PrivateKey{stolen, accomplice.reader} {
			ks, err := pre.Rekey(nil, stolen, signer.Signer(), pre.RekeyParams{
				Grant: s.grant, Reader: accomplice.reader.Public(), Gateways: w.ids[:1], Threshold: 1,
			})
			require.NoError(t, err)
			p := w.params(s, r, "request", w.ids[0])
			p.Reader = accomplice.reader.Public()
			_, err = pre.Reencrypt(nil, r.capsule, ks[0], p)
			require.ErrorIs(t, err, pre.ErrProof, "an honest gateway takes the signer from the ledger")
		}
	})
	t.Run("not the hybrid key and not the seed", func(t *testing.T) {
		for _, guess := range [][]byte{stolen.InsecureBytes(), w.reader.InsecureBytes()} {
			k, err := pre.ParseHybridPrivateKey(guess)
			require.NoError(t, err)
			_, err = pre.OpenPatientCopy(k, r.ctx, r.envelope.PatientCopy)
			require.ErrorIs(t, err, pre.ErrDecrypt)
			derived, err := pre.DeriveScopeKey(guess, s.name, s.epoch)
			require.NoError(t, err)
			require.NotEqual(t, s.a.InsecureBytes(), derived.InsecureBytes(), "it is not the seed")
		}
	})
	t.Run("not what lies beside a record that was given by direct key", func(t *testing.T) {
		single := w.scope("single", 1)
		given, beside := w.record(single, "given"), w.record(single, "beside")
		sealed, err := pre.SealDirectKey(w.readerKEM.Public(), given.ctx, single.grant, given.kPre)
		require.NoError(t, err)
		kPre, err := pre.OpenDirectKey(w.readerKEM, given.ctx, single.grant, sealed)
		require.NoError(t, err)
		dek, err := pre.UnwrapKey(given.ctx, ref.B32(w.collectShares(given, 0, 1, 2)), kPre, given.envelope.Wrapped)
		require.NoError(t, err)
		require.Equal(t, given.dek, dek, "what was given")
		_, err = pre.UnwrapKey(beside.ctx, ref.B32(w.collectShares(beside, 0, 1, 2)), kPre, beside.envelope.Wrapped)
		require.ErrorIs(t, err, pre.ErrDecrypt, "all gateways and the reader together, for the record beside it")
		_, err = pre.OpenDirectKey(w.readerKEM, beside.ctx, single.grant, sealed)
		require.ErrorIs(t, err, pre.ErrDecrypt)
	})
}

func TestAllGatewaysWithoutTheReaderHaveSharesButNoKey(t *testing.T) {
	t.Parallel()
	w := newNetwork(t, 2, 3)
	s := w.scope("private", 1)
	r := w.record(s, "record")
	kShare := w.collectShares(r, 0, 1, 2)
	require.Equal(t, r.kShare, ref.B32(kShare), "the share layer alone does not hold against a threshold of gateways")

	// They lack the coordinates, which hash x(x_A·pk_B). Whatever a' is: there are coordinates that fit it, so what they hold
	// does not say which a it is. For a line f through f(0) with slope c, x_i = (rk_i - f(0))/c.
	for range 5 {
		want, d, c := randomScalar(t), randomScalar(t), randomScalar(t)
		f0 := ref.TimesMod(want, ref.InvMod(d))
		var xs, ys []*big.Int
		for _, k := range s.fragments {
			rk := ref.ParseKeyFragment(k.Bytes()).RK
			xs, ys = append(xs, ref.TimesMod(ref.MinusMod(rk, f0), ref.InvMod(c))), append(ys, rk)
		}
		require.Equal(t, ref.B32(want), ref.B32(ref.TimesMod(ref.Interpolate(xs[:2], ys[:2], new(big.Int)), d)))
		require.Equal(t, ref.B32(ys[2]), ref.B32(ref.Interpolate(xs[:2], ys[:2], xs[2])), "and the third fits too")
	}
	// What they might try: the coordinates of somebody else's exchange, small ones, or none.
	guesses := []*big.Int{collude(s.fragments, randomScalar(t)), collude(s.fragments, big.NewInt(1))}
	_, _, ys := points(s.fragments, big.NewInt(1))
	guesses = append(guesses, ref.Interpolate([]*big.Int{big.NewInt(1), big.NewInt(2), big.NewInt(3)}, ys, new(big.Int)), ys[0])
	for _, guess := range guesses {
		_, err := pre.Decapsulate(keyOf(t, guess), r.capsule, r.ctx)
		require.ErrorIs(t, err, pre.ErrProof)
		kPre := ref.Decapsulate(guess, ref.ParseCapsule(r.capsule.Bytes()), r.ctx[:])
		_, err = pre.UnwrapKey(r.ctx, ref.B32(kShare), kPre, r.envelope.Wrapped)
		require.ErrorIs(t, err, pre.ErrDecrypt)
	}
}

func TestAReaderAloneHasNothing(t *testing.T) {
	t.Parallel()
	w := newNetwork(t, 2, 3)
	s := w.scope("private", 1)
	r := w.record(s, "record")
	_, err := pre.Open(w.reader, r.capsule, w.threshold, w.params(s, r, "request", ""), nil)
	require.ErrorIs(t, err, pre.ErrTooFewFragments)
	_, err = pre.Decapsulate(w.reader, r.capsule, r.ctx)
	require.ErrorIs(t, err, pre.ErrProof)
	_, err = pre.CombineShares(w.threshold, nil)
	require.ErrorIs(t, err, pre.ErrTooFewFragments)
	for _, share := range r.envelope.Shares.Shares {
		_, err = pre.ReSealShare(w.readerKEM, r.ctx, [32]byte{}, share, w.readerKEM.Public())
		require.ErrorIs(t, err, pre.ErrDecrypt)
		_, err = pre.OpenReSealedShare(w.readerKEM, r.ctx, [32]byte{}, share, share.Sealed)
		require.ErrorIs(t, err, pre.ErrDecrypt)
	}
	_, err = pre.OpenPatientCopy(w.readerKEM, r.ctx, r.envelope.PatientCopy)
	require.ErrorIs(t, err, pre.ErrDecrypt)
	_, err = pre.OpenHospitalCopy(w.readerKEM, r.ctx, r.envelope.HospitalCopy)
	require.ErrorIs(t, err, pre.ErrDecrypt)
}

func TestOneGatewayTooFewAndTheReaderLearnNothing(t *testing.T) {
	t.Parallel()
	for _, size := range []struct{ t, n int }{{2, 3}, {3, 3}, {4, 5}} {
		w := newNetwork(t, size.t, size.n)
		s := w.scope("private", 1)
		r := w.record(s, "record")
		held := s.fragments[:size.t-1]
		ex, xs, ys := points(held, scalarOf(w.reader))
		require.NotEqual(t, s.a.InsecureBytes(), ref.B32(collude(held, scalarOf(w.reader))))

		// For any other key there is a polynomial of the right degree through all points that they know.
		for range 3 {
			want := randomScalar(t)
			withZero := append([]*big.Int{new(big.Int)}, xs...)
			values := append([]*big.Int{ref.TimesMod(want, ref.InvMod(ex.D()))}, ys...)
			missing := ex.Coordinate(random(32))
			extra := ref.Interpolate(withZero, values, missing)
			require.Equal(t, ref.B32(want), ref.B32(ref.TimesMod(ref.Interpolate(append(xs[:len(xs):len(xs)], missing), append(ys[:len(ys):len(ys)], extra), new(big.Int)), ex.D())))
		}
		// The same for the shares.
		wrong := w.collectShares(r, indices(size.t-1)...)
		require.NotEqual(t, r.kShare, ref.B32(wrong))

		var frags []*pre.CapsuleFragment
		for i := range size.t - 1 {
			frags = append(frags, w.reencrypt(s, r, "request", i))
		}
		_, err := pre.Open(w.reader, r.capsule, size.t, w.params(s, r, "request", ""), frags)
		require.ErrorIs(t, err, pre.ErrTooFewFragments)
		_, err = pre.Open(w.reader, r.capsule, size.t-1, w.params(s, r, "request", ""), frags)
		require.ErrorIs(t, err, pre.ErrProof, "a reader who claims a lower threshold")
		_, err = pre.UnwrapKey(r.ctx, ref.B32(wrong), r.kPre, r.envelope.Wrapped)
		require.ErrorIs(t, err, pre.ErrDecrypt)
	}
}

func indices(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

func TestARecorderWhoBreaksTheCurveLaterHasNoShares(t *testing.T) {
	t.Parallel()
	w := newNetwork(t, 2, 3)
	s := w.scope("private", 1)
	r := w.record(s, "record")
	request := [32]byte{7}

	// Discrete logarithms are free: the scope key, and the P-256 half of every hybrid key.
	kPre := ref.Decapsulate(scalarOf(s.a), ref.ParseCapsule(r.capsule.Bytes()), r.ctx[:])
	require.Equal(t, r.kPre, kPre, "every K_pre is known")
	for i, share := range r.envelope.Shares.Shares {
		info := ref.ShareInfo(r.ctx[:], share.Gateway, share.Index, share.Commitment[:])
		broken := ref.NewHybrid(insecure(t, w.gateways[i])).E
		public := w.gateways[i].Public().Bytes()
		ctT := share.Sealed[2+1088 : 2+1153]
		ssT := ref.X(ref.Mul(broken, ref.Compressed(ctT)))
		for name, ssPQ := range map[string][]byte{
			"zero bytes": make([]byte, 32), "nothing": nil, "the P-256 half again": ssT, "the start of the ciphertext": share.Sealed[2:34],
		} {
			key := ref.SealKey(ref.Combine(ssPQ, ssT, ctT, public[1184:]), info)
			_, err := ref.OpenGCM(key, share.Sealed[1155:], share.Sealed[:1155])
			require.Error(t, err, name)
		}
		// The same half with the other opens, so that the attempts above are real ones.
		key := ref.SealKey(ref.NewHybrid(insecure(t, w.gateways[i])).Decapsulate(share.Sealed[2:1155]), info)
		_, err := ref.OpenGCM(key, share.Sealed[1155:], share.Sealed[:1155])
		require.NoError(t, err)
		resealed, err := pre.ReSealShare(w.gateways[i], r.ctx, request, share, w.readerKEM.Public())
		require.NoError(t, err)
		require.Len(t, resealed, pre.SealedShareSize, "on its way to the reader it is sealed the same way")
	}
	for _, guess := range [][]byte{make([]byte, 32), kPre, random(32)} {
		_, err := pre.UnwrapKey(r.ctx, guess, kPre, r.envelope.Wrapped)
		require.ErrorIs(t, err, pre.ErrDecrypt)
	}
	dek, err := pre.UnwrapKey(r.ctx, r.kShare, kPre, r.envelope.Wrapped)
	require.NoError(t, err)
	require.Equal(t, r.dek, dek, "K_share is all that is missing")
}
