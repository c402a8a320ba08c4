// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package algebra

// Commit returns the commitments C_j = f_j·G to a polynomial's coefficients, constant term first (Feldman, 1987). They show whether
// a share is of this polynomial and hide its coefficients only as well as discrete logarithms are hard: the secret
// f(0) must have full entropy. A zero coefficient is ErrDegenerate.
func Commit[P any](g Group[P], f Polynomial) ([]Point[P], error) {
	commitments := make([]Point[P], len(f))
	for j, c := range f {
		if commitments[j] = PointOf(g, g.BaseMul(c)); !commitments[j].Valid() {
			return nil, ErrDegenerate
		}
	}
	return commitments, nil
}

// CommitmentAt returns Σ x^j·C_j = f(x)·G from the commitments to f, of which there must be at least one. It may be the identity.
func CommitmentAt[P any](g Group[P], commitments []Point[P], x uint8) P {
	at := g.Field().Small(x)
	sum := commitments[len(commitments)-1].Element
	for j := len(commitments) - 2; j >= 0; j-- {
		sum = g.Add(g.Mul(at, sum), commitments[j].Element)
	}
	return sum
}

// CheckShare reports whether share is the value at its coordinate of the polynomial with these commitments.
func CheckShare[P any](g Group[P], commitments []Point[P], share Share) bool {
	return g.Equal(g.BaseMul(share.Y), CommitmentAt(g, commitments, share.X))
}
