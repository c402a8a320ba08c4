// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

// Package algebra is the mathematics of proxy re-encryption over a group of prime order, apart from every hash, label and
// encoding of a protocol: those are passed in. Package pre is its use with P-256; tests also run it over secp256k1 against another
// implementation of the same equations.
//
// The group is written additively, with generator G and order n; U is a second generator whose logarithm nobody knows. Capital
// letters are points, small ones are integers modulo n. H is the caller's hash to such an integer.
//
//	Encapsulate   E = r·G, V = u·G, s = u + r·h with h = H(E, V, …); the secret is (r+u)·pk
//	CheckCapsule  s·G = V + h·E, a Schnorr proof of r and u; E+V is not the identity
//	Rekey         f(0) = a/d, f of degree t-1
//	KeyFragment   rk = f(x), U1 = rk·U
//	Reencrypt     E1 = rk·E, V1 = rk·V
//	Prove         E2 = w·E, V2 = w·V, U2 = w·U, h = H(E2, V2, U2, …), z = w + h·rk, a Chaum-Pedersen proof of one rk for all three
//	FirstMessage  E2 = z·E - h·E1, V2 = z·V - h·V1, U2 = z·U - h·U1
//	Open          l_i = d·Π_{j≠i} x_j/(x_j-x_i), so that Σ l_i·rk_i = d·f(0) = a; E' = Σ l_i·E1_i = a·E, V' = Σ l_i·V1_i = a·V;
//	              check s·pk = V' + h·E'; the secret is E'+V' = a·(E+V) = (r+u)·pk
//	Commit        C_j = f_j·G, the commitments of Feldman's sharing (1987)
//	CheckShare    y·G = Σ i^j·C_j
//
// Scalar arithmetic and scalar multiplication run in constant time in their values. How many shares or coefficients there are, and
// whether a check failed, is public. Nothing here panics on values that came from Parse, Reduce, Random or Small; the zero Scalar
// and the zero Point belong to no field or group, and nothing but Valid may be called on them.
package algebra

import "errors"

// ErrDegenerate says that random values met in a way that has probability 2^-250: a zero or the identity where the
// scheme has none. A source of randomness that is broken gets there.
var ErrDegenerate = errors.New("randomness is degenerate")

// Must returns v, and panics if err is not nil. It is for values that are fixed when the program is written.
func Must[T any](v T, err error) T {
	if err != nil {
		panic("algebra: a constant is wrong: " + err.Error())
	}
	return v
}
