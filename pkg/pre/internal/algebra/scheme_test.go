// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package algebra

import (
	"crypto/rand"
	"crypto/sha512"
	"errors"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

// The scheme's equations are one piece of code for every group; these tests run them over both that we have.

func TestTheSchemeOverP256(t *testing.T) {
	t.Parallel()
	runScheme(t, Scheme[P256Element]{Group: P256(), U: PointOf(P256(), P256().BaseMul(random(t, 0)))})
}

func TestTheSchemeOverSecp256k1(t *testing.T) {
	t.Parallel()
	g := secp256k1Group(t)
	u, err := g.Field().Random(rand.Reader)
	require.NoError(t, err)
	runScheme(t, Scheme[k1Element]{Group: g, U: PointOf[k1Element](g, g.BaseMul(u))})
}

// party is one run of the scheme: owner a, reader who shares d, three fragments of which two open.
type party[P any] struct {
	*testing.T
	s      Scheme[P]
	a      Scalar
	pk     Point[P]
	c      Capsule[P]
	secret Point[P]
	d      Scalar
	xs     []Scalar
	rks    []Scalar
	images []Image[P]
}

func (p *party[P]) random() Scalar {
	p.Helper()
	x, err := p.s.Field().Random(rand.Reader)
	require.NoError(p, err)
	return x
}

// hash is some hash of points to a scalar.
func (p *party[P]) hash(points ...Point[P]) Scalar {
	h := sha512.New384()
	for _, pt := range points {
		h.Write(pt.Bytes())
	}
	return p.s.Field().Reduce((*[WideSize]byte)(h.Sum(nil)))
}

func newParty[P any](t *testing.T, s Scheme[P]) *party[P] {
	t.Helper()
	p := &party[P]{T: t, s: s}
	p.a, p.d = p.random(), p.random()
	p.pk = PointOf(s.Group, s.BaseMul(p.a))
	var err error
	p.c, p.secret, err = s.Encapsulate(p.pk, p.random(), p.random(), func(e, v Point[P]) Scalar { return p.hash(e, v) })
	require.NoError(t, err)
	f, err := s.Rekey(rand.Reader, p.a, p.d, 2)
	require.NoError(t, err)
	for range 3 {
		x := p.random()
		rk, u1, err := s.KeyFragment(f, x)
		require.NoError(t, err)
		require.True(t, s.CheckKeyFragment(rk, u1))
		p.xs, p.rks = append(p.xs, x), append(p.rks, rk)
		p.images = append(p.images, s.Reencrypt(p.c, rk, u1))
	}
	return p
}

func (p *party[P]) open(d Scalar, which ...int) (Point[P], error) {
	var xs []Scalar
	var images []Image[P]
	for _, i := range which {
		xs, images = append(xs, p.xs[i]), append(images, p.images[i])
	}
	return p.s.Open(p.c, p.pk, p.hash(p.c.E, p.c.V), d, xs, images)
}

func runScheme[P any](t *testing.T, s Scheme[P]) {
	t.Helper()
	for name, test := range map[string]func(*party[P]){
		"a capsule proves itself and opens for its owner":       testCapsule[P],
		"images open for the reader":                            testOpen[P],
		"a proof holds for its image and no other":              testProof[P],
		"randomness that meets where it must not is noticed":    testDegenerate[P],
		"a capsule or an image that stands for nothing is none": testNothing[P],
	} {
		t.Run(name, func(t *testing.T) { t.Parallel(); test(newParty(t, s)) })
	}
}

func testCapsule[P any](p *party[P]) {
	h := p.hash(p.c.E, p.c.V)
	require.NoError(p, p.s.CheckCapsule(p.c, h))
	require.Error(p, p.s.CheckCapsule(p.c, h.Add(p.s.Field().Small(1))))
	require.Error(p, p.s.CheckCapsule(Capsule[P]{p.c.V, p.c.E, p.c.S}, h))
	require.Equal(p, p.secret.Bytes(), p.s.times(p.a, p.s.Sum(p.c)).Bytes())
}

func testOpen[P any](p *party[P]) {
	for _, which := range [][]int{{0, 1}, {2, 0}, {0, 1, 2}} {
		got, err := p.open(p.d, which...)
		require.NoError(p, err)
		require.Equal(p, p.secret.Bytes(), got.Bytes())
	}
	_, err := p.open(p.d, 0)
	require.ErrorContains(p, err, "do not belong together", "one fragment is too few")
	_, err = p.open(p.random(), 0, 1)
	require.ErrorContains(p, err, "do not belong together", "another reader")
	_, err = p.open(p.d, 1, 1)
	require.ErrorIs(p, err, errRepeated)
	p.images[0].E1, p.images[0].V1 = p.images[0].V1, p.images[0].E1
	_, err = p.open(p.d, 0, 1)
	require.ErrorContains(p, err, "do not belong together")
}

func testProof[P any](p *party[P]) {
	challenge := func(f First[P]) Scalar { return p.hash(f.E2, f.V2, f.U2) }
	h, z, err := p.s.Prove(p.c, p.rks[0], p.random(), challenge)
	require.NoError(p, err)
	holds := func(i Image[P], h, z Scalar) bool {
		first, ok := p.s.FirstMessage(p.c, i, h, z)
		return ok && challenge(first).Equal(h)
	}
	require.True(p, holds(p.images[0], h, z))
	require.False(p, holds(p.images[1], h, z))
	one := p.s.Field().Small(1)
	require.False(p, holds(p.images[0], h, z.Add(one)))
	require.False(p, holds(p.images[0], h.Add(one), z))
	for name, image := range map[string]Image[P]{
		"E1 of another": {p.images[1].E1, p.images[0].V1, p.images[0].U1},
		"V1 of another": {p.images[0].E1, p.images[1].V1, p.images[0].U1},
		"U1 of another": {p.images[0].E1, p.images[0].V1, p.images[1].U1},
	} {
		require.False(p, holds(image, h, z), name)
	}
	require.False(p, p.s.CheckKeyFragment(p.rks[1], p.images[0].U1))
}

func testDegenerate[P any](p *party[P]) {
	zero, one := p.s.Field().Small(0), p.s.Field().Small(1)
	fixed := func(Point[P], Point[P]) Scalar { return one }
	r := p.random()
	for name, randomness := range map[string][2]Scalar{
		"r zero": {zero, r}, "u zero": {r, zero}, "u = -r": {r, zero.Sub(r)},
	} {
		_, _, err := p.s.Encapsulate(p.pk, randomness[0], randomness[1], fixed)
		require.ErrorIs(p, err, ErrDegenerate, name)
	}
	_, _, err := p.s.Encapsulate(p.pk, r, r, func(Point[P], Point[P]) Scalar { return zero.Sub(one) })
	require.ErrorIs(p, err, ErrDegenerate, "s = r - r")

	_, _, err = p.s.KeyFragment(Polynomial{zero}, one)
	require.ErrorIs(p, err, ErrDegenerate)
	_, _, err = p.s.Prove(p.c, r, zero, func(First[P]) Scalar { return one })
	require.ErrorIs(p, err, ErrDegenerate, "w zero")
	_, _, err = p.s.Prove(p.c, r, zero.Sub(r), func(First[P]) Scalar { return one })
	require.ErrorIs(p, err, ErrDegenerate, "z = -r + r")

	broken := errors.New("no entropy")
	_, err = p.s.Rekey(iotest.ErrReader(broken), p.a, p.d, 2)
	require.ErrorIs(p, err, broken)
}

func testNothing[P any](p *party[P]) {
	r, h := p.random(), p.random()
	minus := p.s.Field().Small(0).Sub(r)
	e, v := PointOf(p.s.Group, p.s.BaseMul(r)), PointOf(p.s.Group, p.s.BaseMul(minus))
	c := Capsule[P]{e, v, minus.Add(r.Mul(h))}
	require.True(p, c.Valid())
	require.ErrorContains(p, p.s.CheckCapsule(c, h), "encapsulates nothing")
	require.False(p, p.s.Sum(c).Valid())
	require.False(p, Capsule[P]{}.Valid())

	// Images E' = -V' pass the check of Open where s·pk = (h-1)·E'.
	one := p.s.Field().Small(1)
	k := c.S.Mul(p.a).Mul(h.Sub(one).Inv())
	e1 := PointOf(p.s.Group, p.s.BaseMul(k.Mul(p.d.Inv())))
	v1 := PointOf(p.s.Group, p.s.BaseMul(p.s.Field().Small(0).Sub(k.Mul(p.d.Inv()))))
	_, err := p.s.Open(c, p.pk, h, p.d, []Scalar{one}, []Image[P]{{E1: e1, V1: v1}})
	require.ErrorContains(p, err, "combine to nothing")

	_, ok := p.s.FirstMessage(p.c, Image[P]{p.c.E, p.c.V, p.s.U}, one, one)
	require.False(p, ok, "z·B = h·B1 leaves no first message")
}
