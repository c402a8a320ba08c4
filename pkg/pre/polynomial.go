// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package pre

import "io"

// polynomial is f over Z_n by its coefficients, constant term first. Sharing a secret means evaluating one of degree t-1.
type polynomial []scalar

// newPolynomial draws a polynomial with f(0) = secret and threshold-1 random non-zero coefficients.
func newPolynomial(source io.Reader, secret scalar, threshold int) (polynomial, error) {
	f := make(polynomial, threshold)
	f[0] = secret
	for i := 1; i < threshold; i++ {
		c, err := randomScalar(source)
		if err != nil {
			return nil, err
		}
		f[i] = c
	}
	return f, nil
}

// at returns f(x) by Horner's rule.
func (f polynomial) at(x scalar) scalar {
	y := f[len(f)-1]
	for i := len(f) - 2; i >= 0; i-- {
		y = y.mul(x).add(f[i])
	}
	return y
}

// lagrangeAtZero returns the coefficients with f(0) = Σ λ_i·f(x_i), λ_i = Π_{j≠i} x_j/(x_j-x_i). The x_i must be distinct
// and may be secret; false says that two of them are equal.
func lagrangeAtZero(xs []scalar) ([]scalar, bool) {
	lambdas := make([]scalar, len(xs))
	for i, xi := range xs {
		num, den := scalarFromInt(1), scalarFromInt(1)
		for j, xj := range xs {
			if i == j {
				continue
			}
			num, den = num.mul(xj), den.mul(xj.sub(xi))
		}
		if den.isZero() {
			return nil, false
		}
		lambdas[i] = num.mul(den.inv())
	}
	return lambdas, true
}
