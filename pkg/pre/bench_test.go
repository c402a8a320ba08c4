// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package pre

import (
	"crypto/sha256"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// shapes are the thresholds the benchmarks run over.
func shapes() []struct{ t, n int } { return []struct{ t, n int }{{1, 1}, {2, 3}, {3, 5}, {4, 6}} }

func bench(b *testing.B, f func() error) {
	b.Helper()
	b.ReportAllocs()
	for b.Loop() {
		if err := f(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncapsulate(b *testing.B) {
	w := newWorld(b, 1, 1)
	bench(b, func() error { _, _, err := Encapsulate(nil, w.params.Delegating, w.params.Context); return err })
}

func BenchmarkCapsuleVerify(b *testing.B) {
	w := newWorld(b, 1, 1)
	bench(b, func() error { return w.capsule.Verify(w.params.Delegating, w.params.Context) })
}

func BenchmarkDecapsulate(b *testing.B) {
	w := newWorld(b, 1, 1)
	bench(b, func() error { _, err := Decapsulate(w.delegating, w.capsule, w.params.Context); return err })
}

func BenchmarkRekey(b *testing.B) {
	for _, s := range shapes() {
		b.Run(fmt.Sprintf("%dof%d", s.t, s.n), func(b *testing.B) {
			w := newWorld(b, s.t, s.n)
			p := RekeyParams{Grant: w.params.Grant, Reader: w.params.Reader, Gateways: w.gateways, Threshold: s.t}
			bench(b, func() error { _, err := Rekey(nil, w.delegating, w.signer.Signer(), p); return err })
		})
	}
}

func BenchmarkKeyFragmentVerify(b *testing.B) {
	w := newWorld(b, 1, 1)
	p := w.at(w.gateways[0])
	bench(b, func() error { return w.kfrags[0].Verify(p.Delegating, p.Reader, p.Signer, p.Gateway, p.Grant) })
}

// BenchmarkReencrypt is a gateway's whole work on the capsule: verify capsule and key fragment, transform, prove.
func BenchmarkReencrypt(b *testing.B) {
	w := newWorld(b, 1, 1)
	p := w.at(w.gateways[0])
	bench(b, func() error { _, err := Reencrypt(nil, w.capsule, w.kfrags[0], p); return err })
}

func BenchmarkCapsuleFragmentVerify(b *testing.B) {
	w := newWorld(b, 1, 1)
	f, p := w.reencrypt(w.kfrags[0]), w.at(w.gateways[0])
	bench(b, func() error { return f.Verify(w.capsule, p) })
}

// BenchmarkOpen verifies capsule and t fragments and combines them.
func BenchmarkOpen(b *testing.B) {
	for _, s := range shapes() {
		b.Run(fmt.Sprintf("%dof%d", s.t, s.n), func(b *testing.B) {
			w := newWorld(b, s.t, s.n)
			frags := w.cfrags()[:s.t]
			bench(b, func() error { _, err := w.open(frags...); return err })
		})
	}
}

// BenchmarkCombine is Open without the verification.
func BenchmarkCombine(b *testing.B) {
	for _, s := range shapes() {
		b.Run(fmt.Sprintf("%dof%d", s.t, s.n), func(b *testing.B) {
			w := newWorld(b, s.t, s.n)
			frags := w.cfrags()[:s.t]
			bench(b, func() error { _, err := combine(w.reader, w.capsule, w.params, frags); return err })
		})
	}
}

func BenchmarkParse(b *testing.B) {
	w, l := newWorld(b, 1, 1), newLayer(b, 2, 3)
	c, k, f := w.capsule.Bytes(), w.kfrags[0].Bytes(), w.reencrypt(w.kfrags[0]).Bytes()
	e, err := l.envelope().Marshal()
	require.NoError(b, err)
	b.Run("capsule", func(b *testing.B) { bench(b, func() error { _, err := ParseCapsule(c); return err }) })
	b.Run("key fragment", func(b *testing.B) { bench(b, func() error { _, err := ParseKeyFragment(k); return err }) })
	b.Run("capsule fragment", func(b *testing.B) { bench(b, func() error { _, err := ParseCapsuleFragment(f); return err }) })
	b.Run("envelope", func(b *testing.B) { bench(b, func() error { _, err := ParseEnvelope(e); return err }) })
}

func BenchmarkSplitShares(b *testing.B) {
	for _, s := range shapes() {
		b.Run(fmt.Sprintf("%dof%d", s.t, s.n), func(b *testing.B) {
			l := newLayer(b, s.t, s.n)
			to := make([]Recipient, s.n)
			for i, g := range l.gateways {
				to[i] = Recipient{l.set.Shares[i].Gateway, g.Public()}
			}
			bench(b, func() error { _, _, err := SplitShares(nil, l.ctx, s.t, to); return err })
		})
	}
}

func BenchmarkReSealShare(b *testing.B) {
	l := newLayer(b, 1, 1)
	bench(b, func() error {
		_, err := ReSealShare(l.gateways[0], l.ctx, l.request, l.set.Shares[0], l.reader.Public())
		return err
	})
}

func BenchmarkOpenReSealedShare(b *testing.B) {
	l := newLayer(b, 1, 1)
	sealed := l.reseal(0)
	bench(b, func() error {
		_, err := OpenReSealedShare(l.reader, l.ctx, l.request, l.set.Shares[0], sealed)
		return err
	})
}

func BenchmarkCombineShares(b *testing.B) {
	l := newLayer(b, 3, 5)
	shares := l.readerShares()[:3]
	bench(b, func() error { _, err := CombineShares(3, shares); return err })
}

func BenchmarkSealTo(b *testing.B) {
	pk := newHybrid(b).Public()
	bench(b, func() error { _, err := SealTo(pk, []byte("info"), make([]byte, 32)); return err })
}

func BenchmarkOpenFrom(b *testing.B) {
	sk := newHybrid(b)
	sealed, err := SealTo(sk.Public(), []byte("info"), make([]byte, 32))
	require.NoError(b, err)
	bench(b, func() error { _, err := sk.OpenFrom([]byte("info"), sealed); return err })
}

func BenchmarkParseHybridPrivateKey(b *testing.B) {
	seed := make([]byte, HybridPrivateKeySize)
	bench(b, func() error { _, err := ParseHybridPrivateKey(seed); return err })
}

func BenchmarkSignP256(b *testing.B) {
	s, digest := newKey(b).Signer(), sha256.Sum256(nil)
	bench(b, func() error { _, err := SignP256(nil, s, digest[:]); return err })
}

func BenchmarkVerifyP256(b *testing.B) {
	k, digest := newKey(b), sha256.Sum256(nil)
	sig, err := SignP256(nil, k.Signer(), digest[:])
	require.NoError(b, err)
	bench(b, func() error { return VerifyP256(k.Public(), digest[:], sig) })
}

func BenchmarkDeriveScopeKey(b *testing.B) {
	seed := make([]byte, SeedSize)
	bench(b, func() error { _, err := DeriveScopeKey(seed, "private", 1); return err })
}

func BenchmarkContextHash(b *testing.B) {
	c := sampleContext(b, newKey(b).Public())
	bench(b, func() error { _, err := c.Hash(); return err })
}

func BenchmarkScalar(b *testing.B) {
	x, err := randomScalar(nil)
	require.NoError(b, err)
	b.Run("mul", func(b *testing.B) { bench(b, func() error { x.Mul(x); return nil }) })
	b.Run("inv", func(b *testing.B) { bench(b, func() error { x.Inv(); return nil }) })
	b.Run("point mul", func(b *testing.B) { bench(b, func() error { suite().Mul(x, suite().U.Element); return nil }) })
}
