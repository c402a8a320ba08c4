// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

// Package reference computes what docs/spec/pre.md and docs/spec/container.md specify, formula by formula, over math/big and
// without a care for time or secrecy. It exists to make vectors, malicious ones above all, and to mount attacks: it takes every
// random value as an argument, and checks nothing. It shares no code with pkg/pre and pkg/seal. Never use it for anything real.
//
// Functions panic on arguments that are not encodings at all: a generator that passes such has a bug.
package reference

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"math/big"
)

// Suite is the name of the suite (pre.md P1).
const Suite = "EMRYS-PRE-V1"

// Must returns v, or panics with err.
func Must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// Join concatenates byte strings.
func Join(list ...[]byte) []byte { return bytes.Join(list, nil) }

// U32 is u32(i) of pre.md P1.
func U32(i uint32) []byte { return binary.BigEndian.AppendUint32(nil, i) }

// Parts is pre.md P4.1.
func Parts(list ...[]byte) []byte {
	var out []byte
	for _, p := range list {
		out = append(append(out, U32(uint32(len(p)))...), p...) //nolint:gosec // parts are short
	}
	return out
}

// Joined is pre.md P4.1.
func Joined(label string, list ...[]byte) []byte {
	return Parts(append([][]byte{[]byte(Suite), []byte(label)}, list...)...)
}

// H is pre.md P4.2.
func H(label string, list ...[]byte) []byte {
	h := sha256.Sum256(Joined(label, list...))
	return h[:]
}

// Expand is expand_message_xmd with SHA-256 (RFC 9380, 5.3.1), of at most 255·32 bytes.
func Expand(msg []byte, dst string, size int) []byte {
	sum := func(list ...[]byte) []byte { h := sha256.Sum256(Join(list...)); return h[:] }
	prime := append([]byte(dst), byte(len(dst)))
	zero := sum(make([]byte, sha256.BlockSize), msg, []byte{byte(size >> 8), byte(size), 0}, prime)
	block := make([]byte, sha256.Size)
	var out []byte
	for i := byte(1); len(out) < size; i++ {
		mixed := make([]byte, sha256.Size)
		for j := range mixed {
			mixed[j] = zero[j] ^ block[j]
		}
		block = sum(mixed, []byte{i}, prime)
		out = append(out, block...)
	}
	return out[:size]
}

// HashToScalar is H_s of pre.md P4.3.
func HashToScalar(label string, list ...[]byte) *big.Int {
	s := Reduce(Expand(Parts(list...), Suite+"-P256-"+label, 48))
	if s.Sign() == 0 {
		return big.NewInt(1)
	}
	return s
}

// KDF is pre.md P4.4.
func KDF(secret, salt []byte, size int, label string, list ...[]byte) []byte {
	return Must(hkdf.Key(sha256.New, secret, salt, string(Joined(label, list...)), size))
}

// DeriveScalar is a delegating key ("scope key") or scope signer ("scope signer") of pre.md P4.5.
func DeriveScalar(label string, seed []byte, name string, epoch uint32) *big.Int {
	return Reduce(KDF(seed, nil, 48, label, []byte(name), U32(epoch)))
}

// DeriveHybrid is the hybrid private key of pre.md P4.5.
func DeriveHybrid(seed []byte, purpose string, epoch uint32) []byte {
	return KDF(seed, nil, 32, "hybrid key", []byte(purpose), U32(epoch))
}

// Gateway is gw(id) of pre.md P5.5.
func Gateway(id string) []byte { return H("gateway", []byte(id)) }

// Random is a deterministic stream: SHA-256 of a seed and a counter. For vectors only.
type Random struct {
	seed    []byte
	counter uint64
	rest    []byte
}

// NewRandom returns the stream that a name selects.
func NewRandom(name string) *Random { return &Random{seed: []byte(name)} }

// Read fills b. It never fails.
func (r *Random) Read(b []byte) (int, error) {
	for n := 0; n < len(b); {
		if len(r.rest) == 0 {
			h := sha256.Sum256(append(binary.BigEndian.AppendUint64(nil, r.counter), r.seed...))
			r.counter++
			r.rest = h[:]
		}
		k := copy(b[n:], r.rest)
		r.rest, n = r.rest[k:], n+k
	}
	return len(b), nil
}

// Bytes returns the next n bytes.
func (r *Random) Bytes(n int) []byte {
	b := make([]byte, n)
	_, _ = r.Read(b)
	return b
}

// Scalar returns a scalar other than zero.
func (r *Random) Scalar() *big.Int {
	for {
		if s := Reduce(r.Bytes(48)); s.Sign() != 0 {
			return s
		}
	}
}
