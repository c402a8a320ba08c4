// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package algebra

import (
	"errors"
	"fmt"
	"io"
)

// errRepeated says that two coordinates are equal.
var errRepeated = errors.New("two shares have the same coordinate")

// Polynomial is f by its coefficients, constant term first. Sharing a secret among t means evaluating one of degree t-1.
type Polynomial []Scalar

// NewPolynomial draws a polynomial with f(0) = secret and threshold-1 random non-zero coefficients; threshold is at least 1.
func NewPolynomial(source io.Reader, secret Scalar, threshold int) (Polynomial, error) {
	f := Polynomial{secret}
	for len(f) < threshold {
		c, err := secret.f.Random(source)
		if err != nil {
			return nil, err
		}
		f = append(f, c)
	}
	return f, nil
}

// At returns f(x) by Horner's rule.
func (f Polynomial) At(x Scalar) Scalar {
	y := f[len(f)-1]
	for i := len(f) - 2; i >= 0; i-- {
		y = y.Mul(x).Add(f[i])
	}
	return y
}

// LagrangeAtZero returns the coefficients with f(0) = Σ λ_i·f(x_i), λ_i = Π_{j≠i} x_j/(x_j-x_i), for at least one coordinate. The
// x_i may be secret. Equal ones are an error.
func LagrangeAtZero(xs []Scalar) ([]Scalar, error) {
	one := xs[0].f.Small(1)
	numerators, denominators := make([]Scalar, len(xs)), make([]Scalar, len(xs))
	for i, xi := range xs {
		numerator, denominator := one, one
		for j, xj := range xs {
			if i != j {
				numerator, denominator = numerator.Mul(xj), denominator.Mul(xj.Sub(xi))
			}
		}
		if denominator.IsZero() {
			return nil, errRepeated
		}
		numerators[i], denominators[i] = numerator, denominator
	}
	for i, inverse := range invertAll(denominators) {
		numerators[i] = numerators[i].Mul(inverse)
	}
	return numerators, nil
}

// invertAll returns the inverses of non-zero values for the price of one inversion (Montgomery's trick): it inverts the
// product of all and multiplies each value's neighbours back in.
func invertAll(values []Scalar) []Scalar {
	before := make([]Scalar, len(values)) // before[i] is the product of values[:i]
	product := values[0].f.Small(1)
	for i, v := range values {
		before[i] = product
		product = product.Mul(v)
	}
	inverse := product.Inv() // of the product of values[:i+1], going down
	out := make([]Scalar, len(values))
	for i := len(values) - 1; i >= 0; i-- {
		out[i] = inverse.Mul(before[i])
		inverse = inverse.Mul(values[i])
	}
	return out
}

// Share is a value Y = f(X) of a polynomial at a small public coordinate.
type Share struct {
	X uint8
	Y Scalar
}

// Combine returns f(0) of the polynomial of degree below threshold on which all shares lie. It is an error if there are fewer
// than threshold shares, if two of the first threshold have one coordinate, or if another is not on the polynomial through these.
func Combine(threshold int, shares []Share) (Scalar, error) {
	if threshold < 1 || len(shares) < threshold {
		return Scalar{}, fmt.Errorf("%d shares of %d", len(shares), threshold)
	}
	secret, err := Interpolate(shares[:threshold], 0)
	if err != nil {
		return Scalar{}, err
	}
	for _, s := range shares[threshold:] {
		if y, err := Interpolate(shares[:threshold], s.X); err != nil || !y.Equal(s.Y) {
			return Scalar{}, errors.New("the shares do not belong together")
		}
	}
	return secret, nil
}

// Interpolate returns f(at) of the polynomial of least degree through the shares, of which there must be at least one. Equal
// coordinates are an error.
func Interpolate(shares []Share, at uint8) (Scalar, error) {
	xs := make([]Scalar, len(shares)) // moved so that at lies at zero
	for i, s := range shares {
		xs[i] = s.Y.f.Small(s.X).Sub(s.Y.f.Small(at))
	}
	lambdas, err := LagrangeAtZero(xs)
	if err != nil {
		return Scalar{}, err
	}
	y := lambdas[0].Mul(shares[0].Y)
	for i, s := range shares[1:] {
		y = y.Add(lambdas[i+1].Mul(s.Y))
	}
	return y, nil
}
