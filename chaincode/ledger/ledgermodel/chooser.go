// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledgermodel

import (
	"math/bits"
	"math/rand/v2"

	"pgregory.net/rapid"
)

// Chooser makes the choices of a sequence.
type Chooser interface {
	// Choose returns one of 0 to n-1, each as likely as the others. 0 is the simplest.
	Choose(n int, what string) int
}

// Rapid chooses by a property test, which shrinks a sequence that fails.
type Rapid struct{ T *rapid.T }

// Choose implements Chooser. It draws bits, because rapid's own numbers prefer small ones.
func (r Rapid) Choose(n int, what string) int {
	if n <= 1 {
		return 0
	}
	draw := rapid.Custom(func(t *rapid.T) int {
		v := 0
		for range bits.Len(uint(n-1)) + 3 {
			v <<= 1
			if rapid.Bool().Draw(t, "bit") {
				v |= 1
			}
		}
		return v % n
	})
	return draw.Draw(r.T, what)
}

// Seeded chooses as a seed says: the same seed makes the same choices.
type Seeded struct{ random *rand.Rand }

// NewSeeded returns the choices of a seed.
func NewSeeded(seed uint64) Seeded {
	return Seeded{rand.New(rand.NewPCG(seed, 0))} //nolint:gosec // a test's choices are no secret
}

// Choose implements Chooser.
func (s Seeded) Choose(n int, _ string) int {
	if n <= 1 {
		return 0
	}
	return s.random.IntN(n)
}

// pick chooses one of a list, which must not be empty.
func pick[E any](m *Model, list []E, what string) E { return list[m.c.Choose(len(list), what)] }

// seldom is true once in n times. The simplest choice is no.
func (m *Model) seldom(n int, what string) bool { return m.c.Choose(n, what) == n-1 }

// mostly is false once in n times. The simplest choice is yes.
func (m *Model) mostly(n int, what string) bool { return !m.seldom(n, what) }
