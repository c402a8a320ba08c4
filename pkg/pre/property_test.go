// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package pre

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestAnyThresholdSubsetInAnyOrderOpens(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(1, 6).Draw(rt, "n")
		threshold := rapid.IntRange(1, n).Draw(rt, "threshold")
		order := rapid.Permutation(indices(n)).Draw(rt, "order")
		take := rapid.IntRange(0, n).Draw(rt, "take")

		w := newWorld(t, threshold, n)
		frags := make([]*CapsuleFragment, take)
		for i := range frags {
			frags[i] = w.reencrypt(w.kfrags[order[i]])
		}
		got, err := w.open(frags...)
		if take < threshold {
			require.ErrorIs(rt, err, ErrTooFewFragments)
			return
		}
		require.NoError(rt, err)
		require.Equal(rt, w.kPre, got)
	})
}

func TestAnyThresholdSubsetOfSharesCombines(t *testing.T) {
	t.Parallel()
	l := newLayer(t, 4, 7)
	shares := l.readerShares()
	rapid.Check(t, func(rt *rapid.T) {
		order := rapid.Permutation(indices(7)).Draw(rt, "order")
		take := rapid.IntRange(0, 7).Draw(rt, "take")
		var some []Share
		for _, i := range order[:take] {
			some = append(some, shares[i])
		}
		got, err := CombineShares(4, some)
		if take < 4 {
			require.ErrorIs(rt, err, ErrTooFewFragments)
			return
		}
		require.NoError(rt, err)
		require.Equal(rt, l.kShare, got)
	})
}

func TestLiarsNeverBlockAndAreAlwaysNamed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2, 5)
	honest := w.cfrags()
	rapid.Check(t, func(rt *rapid.T) {
		frags := make([]*CapsuleFragment, len(honest))
		liars := map[string]bool{}
		for i, f := range honest {
			frags[i] = f
			if !rapid.Bool().Draw(rt, "lies") {
				continue
			}
			b := f.Bytes()
			at := rapid.IntRange(0, 325-1).Draw(rt, "at") // leave the gateway's name: it says who lies
			b[at] ^= rapid.ByteRange(1, 255).Draw(rt, "mask")
			lie, err := ParseCapsuleFragment(b)
			if err != nil {
				require.ErrorIs(rt, err, ErrMalformed)
				frags[i] = nil // refused on arrival
				continue
			}
			if lie.Gateway() != f.Gateway() { // the length byte of the name
				frags[i] = nil
				continue
			}
			liars[f.Gateway()] = true
			frags[i] = lie
		}
		key, refused, err := OpenReport(w.reader, w.capsule, 2, w.params, frags)
		named := map[string]bool{}
		for _, r := range refused {
			named[r.Gateway] = true
		}
		require.Equal(rt, liars, named)
		if good := count(frags) - len(liars); good < 2 {
			require.ErrorIs(rt, err, ErrTooFewFragments)
			return
		}
		require.NoError(rt, err)
		require.Equal(rt, w.kPre, key)
	})
}

func indices(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

func count(frags []*CapsuleFragment) int {
	n := 0
	for _, f := range frags {
		if f != nil {
			n++
		}
	}
	return n
}
