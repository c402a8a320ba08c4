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
	nums, dens := make([]scalar, len(xs)), make([]scalar, len(xs))
	for i, xi := range xs {
		nums[i], dens[i] = scalarFromInt(1), scalarFromInt(1)
		for j, xj := range xs {
			if i == j {
				continue
			}
			nums[i], dens[i] = nums[i].mul(xj), dens[i].mul(xj.sub(xi))
		}
		if dens[i].isZero() {
			return nil, false
		}
	}
	inverses := invertAll(dens)
	for i := range nums {
		nums[i] = nums[i].mul(inverses[i])
	}
	return nums, true
}

// invertAll returns the inverses of non-zero values for the price of one inversion (Montgomery's trick): it inverts the
// product of all and multiplies each value's neighbours back in.
func invertAll(values []scalar) []scalar {
	before := make([]scalar, len(values)) // before[i] is the product of values[:i]
	product := scalarFromInt(1)
	for i, v := range values {
		before[i] = product
		product = product.mul(v)
	}
	inverse := product.inv() // of the product of values[:i+1], going down
	out := make([]scalar, len(values))
	for i := len(values) - 1; i >= 0; i-- {
		out[i] = inverse.mul(before[i])
		inverse = inverse.mul(values[i])
	}
	return out
}
