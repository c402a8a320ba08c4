// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package algebra

import (
	"errors"
	"io"
)

// Scheme is proxy re-encryption over one group and one second generator U, whose logarithm nobody may know.
type Scheme[P any] struct {
	Group[P]
	U Point[P]
}

func (s Scheme[P]) times(k Scalar, p Point[P]) Point[P] { return PointOf(s.Group, s.Mul(k, p.Element)) }

// Capsule is a secret encapsulated to a public key, with the proof that whoever made it knew r and u.
type Capsule[P any] struct {
	E, V Point[P]
	S    Scalar
}

// Valid reports whether all parts are there.
func (c Capsule[P]) Valid() bool { return c.E.Valid() && c.V.Valid() && c.S.Valid() }

// Encapsulate makes a capsule for pk from the secret randomness r and u, and returns it with the secret (r+u)·pk. The challenge
// is the hash of E and V and whatever the capsule shall be bound to.
func (s Scheme[P]) Encapsulate(
	pk Point[P], r, u Scalar, challenge func(e, v Point[P]) Scalar,
) (Capsule[P], Point[P], error) {
	c := Capsule[P]{E: PointOf(s.Group, s.BaseMul(r)), V: PointOf(s.Group, s.BaseMul(u))}
	c.S = u.Add(r.Mul(challenge(c.E, c.V)))
	secret := s.times(r.Add(u), pk)
	if !c.Valid() || c.S.IsZero() || !secret.Valid() {
		return Capsule[P]{}, Point[P]{}, ErrDegenerate
	}
	return c, secret, nil
}

// CheckCapsule checks s·G = V + h·E, where h is the challenge of E and V, and that the capsule encapsulates something.
func (s Scheme[P]) CheckCapsule(c Capsule[P], h Scalar) error {
	if !s.Equal(s.BaseMul(c.S), s.Add(c.V.Element, s.Mul(h, c.E.Element))) {
		return errors.New("the capsule's proof does not hold")
	}
	if s.IsIdentity(s.Add(c.E.Element, c.V.Element)) {
		return errors.New("the capsule encapsulates nothing")
	}
	return nil
}

// Sum returns E+V: its product with the owner's private key is the capsule's secret.
func (s Scheme[P]) Sum(c Capsule[P]) Point[P] {
	return PointOf(s.Group, s.Add(c.E.Element, c.V.Element))
}

// Rekey returns the polynomial whose values are the key fragments from private key a to the reader with whom d is shared.
func (s Scheme[P]) Rekey(source io.Reader, a, d Scalar, threshold int) (Polynomial, error) {
	return NewPolynomial(source, a.Mul(d.Inv()), threshold)
}

// KeyFragment returns rk = f(x) and its commitment U1 = rk·U.
func (s Scheme[P]) KeyFragment(f Polynomial, x Scalar) (rk Scalar, u1 Point[P], err error) {
	rk = f.At(x)
	if u1 = s.times(rk, s.U); !u1.Valid() {
		return Scalar{}, Point[P]{}, ErrDegenerate
	}
	return rk, u1, nil
}

// CheckKeyFragment reports whether u1 = rk·U.
func (s Scheme[P]) CheckKeyFragment(rk Scalar, u1 Point[P]) bool {
	return s.Equal(s.Mul(rk, s.U.Element), u1.Element)
}

// Image is what one key fragment makes of a capsule's E and V and of U: all three times rk.
type Image[P any] struct{ E1, V1, U1 Point[P] }

// Reencrypt multiplies a capsule by the key fragment rk, whose commitment is u1.
func (s Scheme[P]) Reencrypt(c Capsule[P], rk Scalar, u1 Point[P]) Image[P] {
	return Image[P]{s.times(rk, c.E), s.times(rk, c.V), u1}
}

// First is the prover's first message: E, V and U times a secret w.
type First[P any] struct{ E2, V2, U2 Point[P] }

func (f First[P]) valid() bool { return f.E2.Valid() && f.V2.Valid() && f.U2.Valid() }

// Prove proves that a capsule's image was made with one number rk, from the secret randomness w, which must never be used
// for two challenges. The challenge is the hash of the first message, the statement and whatever it shall be bound to.
func (s Scheme[P]) Prove(c Capsule[P], rk, w Scalar, challenge func(First[P]) Scalar) (h, z Scalar, err error) {
	first := First[P]{s.times(w, c.E), s.times(w, c.V), s.times(w, s.U)}
	h = challenge(first)
	z = w.Add(h.Mul(rk))
	if !first.valid() || z.IsZero() {
		return Scalar{}, Scalar{}, ErrDegenerate
	}
	return h, z, nil
}

// FirstMessage returns what the first message must have been for the proof (h, z) of an image to hold. The proof holds if
// the challenge of that message is h. False says that there is no such message.
func (s Scheme[P]) FirstMessage(c Capsule[P], i Image[P], h, z Scalar) (First[P], bool) {
	commit := func(base, image Point[P]) Point[P] {
		return PointOf(s.Group, s.Sub(s.Mul(z, base.Element), s.Mul(h, image.Element)))
	}
	first := First[P]{commit(c.E, i.E1), commit(c.V, i.V1), commit(s.U, i.U1)}
	return first, first.valid()
}

// Open combines images of one capsule, made by fragments at coordinates xs, into the capsule's secret. Public key pk is the
// owner's, h the capsule's challenge, d what the reader shares with the owner. It fails if the fragments are not values of
// one polynomial of degree below their number with f(0) = a/d.
func (s Scheme[P]) Open(c Capsule[P], pk Point[P], h, d Scalar, xs []Scalar, images []Image[P]) (Point[P], error) {
	lambdas, err := LagrangeAtZero(xs)
	if err != nil {
		return Point[P]{}, err
	}
	var e, v P
	for i, image := range images {
		l := lambdas[i].Mul(d)
		ei, vi := s.Mul(l, image.E1.Element), s.Mul(l, image.V1.Element)
		if i == 0 {
			e, v = ei, vi
		} else {
			e, v = s.Add(e, ei), s.Add(v, vi)
		}
	}
	if !s.Equal(s.Mul(c.S, pk.Element), s.Add(v, s.Mul(h, e))) {
		return Point[P]{}, errors.New("the key fragments do not belong together or the threshold is too low")
	}
	secret := PointOf(s.Group, s.Add(e, v))
	if !secret.Valid() {
		return Point[P]{}, errors.New("the fragments combine to nothing")
	}
	return secret, nil
}
