// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package reference

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"math/bits"
)

// Sizes of container.md C1.
const (
	Segment      = 262144
	SegmentPlain = 262116
)

// Layout is one of the two of container.md C2.
type Layout string

// The layouts.
const (
	Plain  Layout = "plain"
	Padded Layout = "padded"
)

func (l Layout) derive(use string, dek, fileID []byte) []byte {
	info := Suite + " " + use
	if l == Padded {
		info += " padded"
	}
	return Must(hkdf.Key(sha256.New, dek, fileID, info, 32))
}

// PayloadKey is K of container.md C2.
func (l Layout) PayloadKey(dek, fileID []byte) []byte { return l.derive("payload", dek, fileID) }

// Commitment is KC of container.md C2.
func (l Layout) Commitment(dek, fileID []byte) []byte { return l.derive("commit", dek, fileID) }

// Padme is container.md C4, for lengths of at least 2.
func Padme(length uint64) uint64 {
	e := bits.Len64(length) - 1
	z := e - bits.Len(uint(e)) //nolint:gosec // e is small
	mask := uint64(1)<<z - 1
	return (length + mask) &^ mask
}

// Plaintext is what is cut into segments.
func (l Layout) Plaintext(content []byte) []byte {
	if l == Plain {
		return content
	}
	out := make([]byte, Padme(uint64(len(content))+8))
	binary.BigEndian.PutUint64(out, uint64(len(content)))
	copy(out[8:], content)
	return out
}

// SealSegment is container.md C3.
func SealSegment(key, fileID, nonce []byte, i uint64, final bool, plaintext []byte) []byte {
	aad := Join([]byte(Suite+" seg"), fileID, binary.BigEndian.AppendUint64(nil, i), []byte{0})
	if final {
		aad[len(aad)-1] = 1
	}
	return GCM(key, nonce, aad, plaintext)
}

// SealPlaintext cuts and seals a plaintext under a payload key. The nonce of a segment is asked of nonce.
func SealPlaintext(key, fileID, plaintext []byte, nonce func(i uint64) []byte) []byte {
	var out []byte
	for i := uint64(0); ; i++ {
		n := min(len(plaintext), SegmentPlain)
		final := n == len(plaintext)
		out = append(out, SealSegment(key, fileID, nonce(i), i, final, plaintext[:n])...)
		if final {
			return out
		}
		plaintext = plaintext[n:]
	}
}
