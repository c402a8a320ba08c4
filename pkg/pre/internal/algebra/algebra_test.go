// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package algebra

import (
	"bytes"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"
	"testing"
	"testing/iotest"

	"filippo.io/nistec"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestTheOrderIsThatOfTheCurve(t *testing.T) {
	t.Parallel()
	n := elliptic.P256().Params().N
	require.Equal(t, n.Bytes(), []byte(p256Order))
	require.Equal(t, new(big.Int).Sub(n, big.NewInt(2)).Bytes(), P256().Field().minusTwo)
	require.True(t, P256().IsIdentity(P256().Add(
		P256().BaseMul(P256().Field().Small(1)), P256().BaseMul(random(t, -1)))), "(n-1)·G = -G")
}

// random returns a random scalar of P-256, or -1.
func random(tb testing.TB, fixed int) Scalar {
	tb.Helper()
	f := P256().Field()
	if fixed == -1 {
		return f.Small(0).Sub(f.Small(1))
	}
	s, err := f.Random(rand.Reader)
	require.NoError(tb, err)
	return s
}

func TestOrdersThatAreRefused(t *testing.T) {
	t.Parallel()
	even := bytes.Repeat([]byte{0xfe}, 32)
	for name, order := range map[string][]byte{
		"empty": nil, "31 bytes": make([]byte, 31), "255 bits": append([]byte{0x7f}, even[1:]...), "even": even,
	} {
		_, err := NewField(order)
		require.Error(t, err, name)
	}
	require.Panics(t, func() { Must(NewField(nil)) })
}

func TestScalarsFollowTheLawsOfTheField(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]*Field{"P-256": P256().Field(), "secp256k1": secp256k1Group(t).Field()} {
		n := new(big.Int).Add(new(big.Int).SetBytes(f.Small(0).Sub(f.Small(1)).Bytes()), big.NewInt(1))
		value := func(s Scalar) *big.Int { return new(big.Int).SetBytes(s.Bytes()) }
		enc := func(x *big.Int) []byte { return x.Mod(x, n).FillBytes(make([]byte, ScalarSize)) }
		rapid.Check(t, func(t *rapid.T) {
			draw := func(name string) Scalar {
				wide := rapid.SliceOfN(rapid.Byte(), WideSize, WideSize).Draw(t, name)
				s := f.Reduce((*[WideSize]byte)(wide))
				require.Equal(t, enc(new(big.Int).SetBytes(wide)), s.Bytes())
				return s
			}
			a, b := draw("a"), draw("b")
			before := a.Bytes()
			require.Equal(t, enc(new(big.Int).Add(value(a), value(b))), a.Add(b).Bytes())
			require.Equal(t, enc(new(big.Int).Sub(value(a), value(b))), a.Sub(b).Bytes())
			require.Equal(t, enc(new(big.Int).Mul(value(a), value(b))), a.Mul(b).Bytes())
			require.Equal(t, enc(new(big.Int).Mul(value(a), value(a))), a.Mul(a).Bytes())
			if !a.IsZero() {
				require.True(t, a.Mul(a.Inv()).Equal(f.Small(1)))
				parsed, err := f.Parse(a.Bytes())
				require.NoError(t, err)
				require.True(t, parsed.Equal(a))
			}
			require.Equal(t, before, a.Bytes(), "operations do not change their operands")
		})
		require.True(t, f.Small(0).Inv().IsZero(), name)
		require.True(t, f.Small(1).Valid())
	}
	require.False(t, Scalar{}.Valid())
}

func TestScalarsThatAreRefused(t *testing.T) {
	t.Parallel()
	n := elliptic.P256().Params().N
	for name, b := range map[string][]byte{
		"zero": make([]byte, 32), "the order": n.Bytes(), "above it": new(big.Int).Add(n, big.NewInt(1)).Bytes(),
		"all ones": bytes.Repeat([]byte{0xff}, 32), "empty": nil, "31 bytes": make([]byte, 31), "33 bytes": make([]byte, 33),
	} {
		_, err := P256().Field().Parse(b)
		require.Error(t, err, name)
	}
}

func TestRandomScalarsNeedRandomness(t *testing.T) {
	t.Parallel()
	broken := errors.New("no entropy")
	f := P256().Field()
	_, err := f.Random(iotest.ErrReader(broken))
	require.ErrorIs(t, err, broken)
	_, err = f.Random(bytes.NewReader(make([]byte, WideSize)))
	require.Error(t, err, "one zero is drawn again")
	_, err = f.Random(bytes.NewReader(make([]byte, 2*WideSize)))
	require.ErrorIs(t, err, ErrDegenerate)
	s, err := f.Random(bytes.NewReader(append(make([]byte, 2*WideSize-1), 5)))
	require.NoError(t, err)
	require.True(t, s.Equal(f.Small(5)))
	_, err = NewPolynomial(iotest.ErrReader(broken), s, 2)
	require.ErrorIs(t, err, broken)
}

func TestScalarsDoNotPrint(t *testing.T) {
	t.Parallel()
	s := random(t, 0)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		require.Equal(t, "algebra.Scalar", fmt.Sprintf(verb, s))
		require.NotContains(t, fmt.Sprintf(verb, struct{ s *Scalar }{&s}), "limbs")
	}
	require.Equal(t, s.String(), s.GoString())
}

func TestPointsHaveOneEncoding(t *testing.T) {
	t.Parallel()
	g := P256()
	p := PointOf(g, g.BaseMul(random(t, 0)))
	require.True(t, p.Valid())
	back, err := ParsePoint(g, p.Bytes())
	require.NoError(t, err)
	require.Equal(t, p.Encoding(), back.Encoding())
	require.True(t, g.Equal(p.Element, back.Element))
	x, err := p.Element.BytesX()
	require.NoError(t, err)
	require.Equal(t, x, p.X())

	require.False(t, PointOf(g, g.Sub(p.Element, p.Element)).Valid(), "the identity is no point")
	require.False(t, Point[P256Element]{}.Valid())
	for name, b := range map[string][]byte{
		"the identity": {0}, "uncompressed": p.Element.Bytes(), "zeros": make([]byte, 33), "all ones": bytes.Repeat([]byte{0xff}, 33),
		"no y": append([]byte{2}, big.NewInt(1).FillBytes(make([]byte, 32))...), "empty": nil, "34 bytes": append(p.Bytes(), 0),
	} {
		_, err := ParsePoint(g, b)
		require.Error(t, err, name)
	}
	require.True(t, g.IsIdentity(orIdentity(nistec.NewP256Point().ScalarBaseMult(make([]byte, 31)))))
}

func TestSharesOfOnePolynomialInterpolate(t *testing.T) {
	t.Parallel()
	field := P256().Field()
	rapid.Check(t, func(t *rapid.T) {
		threshold := rapid.IntRange(1, 8).Draw(t, "threshold")
		secret, err := field.Random(rand.Reader)
		require.NoError(t, err)
		f, err := NewPolynomial(rand.Reader, secret, threshold)
		require.NoError(t, err)
		require.Len(t, f, threshold)
		at := rapid.SliceOfNDistinct(rapid.Uint8Range(1, 255), threshold, threshold+2, rapid.ID).Draw(t, "at")
		shares := make([]Share, len(at))
		for i, x := range at {
			shares[i] = Share{x, f.At(field.Small(x))}
		}
		got, err := Combine(threshold, shares)
		require.NoError(t, err)
		require.True(t, secret.Equal(got))
		for _, s := range shares {
			y, err := Interpolate(shares[:threshold], s.X)
			require.NoError(t, err)
			require.True(t, y.Equal(s.Y))
		}
		if threshold > 1 {
			got, err = Combine(threshold-1, shares[1:threshold])
			require.NoError(t, err)
			require.False(t, secret.Equal(got), "one less gives another value")
			_, err = Combine(threshold-1, shares[:threshold])
			require.Error(t, err, "a share too many of a higher degree is noticed")
		}
	})
}

func TestSharesThatDoNotCombine(t *testing.T) {
	t.Parallel()
	one := P256().Field().Small(1)
	for name, try := range map[string]func() error{
		"none":                 func() error { _, err := Combine(1, nil); return err },
		"threshold zero":       func() error { _, err := Combine(0, []Share{{1, one}}); return err },
		"one of two":           func() error { _, err := Combine(2, []Share{{1, one}}); return err },
		"a coordinate twice":   func() error { _, err := Combine(2, []Share{{1, one}, {1, one}}); return err },
		"another value at one": func() error { _, err := Combine(1, []Share{{1, one}, {1, random(t, 0)}}); return err },
	} {
		require.Error(t, try(), name)
	}
}

func TestCommitmentsTellGoodSharesFromBad(t *testing.T) {
	t.Parallel()
	g := P256()
	for threshold := 1; threshold <= 4; threshold++ {
		f, err := NewPolynomial(rand.Reader, random(t, 0), threshold)
		require.NoError(t, err)
		commitments, err := Commit(g, f)
		require.NoError(t, err)
		require.Len(t, commitments, threshold)
		require.True(t, g.Equal(commitments[0].Element, CommitmentAt(g, commitments, 0)), "at zero lies the secret times G")
		for _, x := range []uint8{1, 2, 17, 255} {
			y := f.At(g.Field().Small(x))
			require.True(t, CheckShare(g, commitments, Share{x, y}))
			require.False(t, CheckShare(g, commitments, Share{x, y.Add(g.Field().Small(1))}))
			if threshold > 1 {
				require.False(t, CheckShare(g, commitments, Share{x - 1, y}))
			}
		}
	}
	_, err := Commit(g, Polynomial{g.Field().Small(0)})
	require.ErrorIs(t, err, ErrDegenerate)
}
