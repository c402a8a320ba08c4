// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package keystore

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/emrys-health/emrys/pkg/pre"
)

const (
	// SeedSize is the length of a root seed in bytes.
	SeedSize = secretSize
	// MaxRoots is the greatest number of seed generations of one person.
	MaxRoots = 255

	rootsVersion = 1
	rootSize     = 4 + secretSize // an encoded generation
	firstEpoch   = 1
)

// Roots are the generations of a person's root seed, oldest first: each serves the scope epochs from its own first epoch to the
// one before its successor's. The first generation begins with epoch 1. It is what a backup holds. It prints without its
// seeds, is immutable and safe for concurrent use.
type Roots struct{ list []root }

// root is one generation, in the order of the key file.
type root struct {
	From uint32  `json:"from"`
	Seed *secret `json:"seed"`
}

// InsecureRoot is one generation in clear, for the paper key.
type InsecureRoot struct {
	From uint32 // the first epoch that it serves
	Seed [SeedSize]byte
}

// NewRoots makes the first generation from rand (crypto/rand.Reader).
func NewRoots(rand io.Reader) (Roots, error) {
	seed, err := generateSecret(rand)
	if err != nil {
		return Roots{}, err
	}
	return Roots{[]root{{From: firstEpoch, Seed: seed}}}, nil
}

// RootsOf takes generations from a backup. ErrMalformed unless there are 1 to MaxRoots, the first of epoch 1 and each of a later
// epoch than the one before, with different seeds.
func RootsOf(list []InsecureRoot) (Roots, error) {
	r := Roots{make([]root, len(list))}
	for i := range list {
		r.list[i] = root{From: list[i].From, Seed: new(secret(list[i].Seed))}
	}
	return r, r.check()
}

func (r Roots) check() error {
	if len(r.list) == 0 || len(r.list) > MaxRoots {
		return fmt.Errorf("%w: %d seed generations", ErrMalformed, len(r.list))
	}
	seen := make(map[secret]bool, len(r.list))
	for i, g := range r.list {
		switch {
		case g.Seed == nil:
			return fmt.Errorf("%w: a seed is missing", ErrMalformed)
		case i == 0 && g.From != firstEpoch:
			return fmt.Errorf("%w: the first seed does not begin with epoch %d", ErrMalformed, firstEpoch)
		case i > 0 && g.From <= r.list[i-1].From:
			return fmt.Errorf("%w: the epochs of the seeds do not rise", ErrMalformed)
		case seen[*g.Seed]:
			return fmt.Errorf("%w: a seed is repeated", ErrMalformed)
		}
		seen[*g.Seed] = true
	}
	return nil
}

// next returns r with one generation more, from rand, for all epochs from from on.
func (r Roots) next(from uint32, rand io.Reader) (Roots, error) {
	if last := r.list[len(r.list)-1].From; from <= last {
		return Roots{}, fmt.Errorf("%w: the newest seed serves epoch %d already; a new one must begin later", ErrEpoch, last)
	}
	seed, err := generateSecret(rand)
	if err != nil {
		return Roots{}, err
	}
	n := Roots{append(append([]root(nil), r.list...), root{From: from, Seed: seed})}
	return n, n.check()
}

// at returns the seed that serves an epoch.
func (r Roots) at(epoch uint32) (*secret, error) {
	for i := len(r.list) - 1; i >= 0; i-- {
		if r.list[i].From <= epoch {
			return r.list[i].Seed, nil
		}
	}
	return nil, fmt.Errorf("%w: no seed serves epoch %d", ErrEpoch, epoch)
}

// ScopeKey derives the delegating key of a scope and epoch: [pre.DeriveScopeKey] with the seed that serves the epoch.
func (r Roots) ScopeKey(scopeID string, epoch uint32) (*pre.PrivateKey, error) {
	seed, err := r.at(epoch)
	if err != nil {
		return nil, err
	}
	return pre.DeriveScopeKey(seed[:], scopeID, epoch)
}

// ScopeSigner derives the key that signs the key fragments of a scope and epoch: [pre.DeriveScopeSigner].
func (r Roots) ScopeSigner(scopeID string, epoch uint32) (*pre.PrivateKey, error) {
	seed, err := r.at(epoch)
	if err != nil {
		return nil, err
	}
	return pre.DeriveScopeSigner(seed[:], scopeID, epoch)
}

// The hybrid key follows from the first seed, so that a restored patient still opens the copies of old records. It stays when the
// seed is rotated, as long as the ledger cannot replace a pinned key.
const (
	hybridPurpose = "copies"
	hybridEpoch   = firstEpoch
)

// Hybrid derives the person's hybrid key: [pre.DeriveHybridKey] with the first seed.
func (r Roots) Hybrid() (*HybridKey, error) {
	seed, err := r.at(hybridEpoch)
	if err != nil {
		return nil, err
	}
	return pre.DeriveHybridKey(seed[:], hybridPurpose, hybridEpoch)
}

// Generations returns the first epoch of every generation, rising.
func (r Roots) Generations() []uint32 {
	from := make([]uint32, len(r.list))
	for i, g := range r.list {
		from[i] = g.From
	}
	return from
}

// checkScope is the scope whose public key stands for a generation in Check. No record is ever in it.
const checkScope = "emrys:root-check"

// Check returns 32 bytes by which restored roots are recognised: the SHA-256 of, for each generation, its first epoch as four
// bytes big-endian and the 33-byte public key of the scope "emrys:root-check" of that epoch. It is public and gives no seed away.
func (r Roots) Check() ([]byte, error) {
	var b []byte
	for _, g := range r.list {
		key, err := pre.DeriveScopeKey(g.Seed[:], checkScope, g.From)
		if err != nil {
			return nil, fmt.Errorf("derive check value: %w", err)
		}
		b = binary.BigEndian.AppendUint32(b, g.From)
		b = append(b, key.Public().Bytes()...)
	}
	sum := sha256.Sum256(b)
	return sum[:], nil
}

// InsecureMarshal returns the encoding that guardians share: version 1 as one byte, the number of generations as one byte, and for
// each its first epoch as four bytes big-endian and its seed of 32. Whoever has it can, with a threshold of gateways, read every
// record of the person.
func (r Roots) InsecureMarshal() []byte {
	b := make([]byte, 0, 2+len(r.list)*rootSize)
	b = append(b, rootsVersion, byte(len(r.list))) //nolint:gosec // at most MaxRoots
	for _, g := range r.list {
		b = binary.BigEndian.AppendUint32(b, g.From)
		b = append(b, g.Seed[:]...)
	}
	return b
}

// InsecureList returns the generations in clear, for the paper key.
func (r Roots) InsecureList() []InsecureRoot {
	list := make([]InsecureRoot, len(r.list))
	for i, g := range r.list {
		list[i] = InsecureRoot{From: g.From, Seed: *g.Seed}
	}
	return list
}

// ParseRoots decodes what InsecureMarshal wrote, and nothing else: ErrMalformed.
func ParseRoots(b []byte) (Roots, error) {
	if len(b) < 2 || b[0] != rootsVersion || len(b) != 2+int(b[1])*rootSize {
		return Roots{}, fmt.Errorf("%w: not the encoding of seed generations", ErrMalformed)
	}
	var list []root
	for rest := b[2:]; len(rest) > 0; rest = rest[rootSize:] {
		list = append(list, root{From: binary.BigEndian.Uint32(rest), Seed: new(secret(rest[4:rootSize]))})
	}
	r := Roots{list}
	return r, r.check()
}

// Equal reports whether both are the same generations.
func (r Roots) Equal(other Roots) bool {
	return bytes.Equal(r.InsecureMarshal(), other.InsecureMarshal())
}

func (r Roots) name() string { return fmt.Sprintf("keystore.Roots(%d generations)", len(r.list)) }

// String returns the number of generations.
func (r Roots) String() string { return r.name() }

// GoString is String.
func (r Roots) GoString() string { return r.name() }

// Format writes String for every verb.
func (r Roots) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, r.name()) }

// LogValue returns String.
func (r Roots) LogValue() slog.Value { return slog.StringValue(r.name()) }

// MarshalText always fails: seeds leave a store only through its file or a backup.
func (r Roots) MarshalText() ([]byte, error) {
	return nil, errors.New("root seeds cannot be marshalled")
}
