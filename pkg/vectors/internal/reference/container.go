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

// Recipe says how a payload is made, right or wrong.
type Recipe struct {
	DEK, FileID []byte
	Layout      Layout
	Content     []byte
	Nonce       byte
	Length      int // of the plaintext, whatever the layout says; negative: as the layout says
	Patches     map[int][]byte
	Relabel     map[uint64]SegmentLabel
}

// SegmentLabel is what stands in a segment's AAD.
type SegmentLabel struct {
	Number uint64
	Final  bool
}

// Counting returns content of n bytes, byte j being j mod 251.
func Counting(n int) []byte {
	out := make([]byte, n)
	for j := range out {
		out[j] = byte(j % 251)
	}
	return out
}

// Bytes seals the payload.
func (r Recipe) Bytes() []byte {
	plaintext := append([]byte{}, r.Layout.Plaintext(r.Content)...)
	if r.Length >= 0 {
		plaintext = append(plaintext, make([]byte, max(r.Length-len(plaintext), 0))...)[:r.Length]
	}
	for offset, b := range r.Patches {
		copy(plaintext[offset:], b)
	}
	key := r.Layout.PayloadKey(r.DEK, r.FileID)
	var out []byte
	for i := uint64(0); ; i++ {
		n := min(len(plaintext), SegmentPlain)
		end := n == len(plaintext)
		label := SegmentLabel{i, end}
		if other, ok := r.Relabel[i]; ok {
			label = other
		}
		out = append(out, SealSegment(key, r.FileID, nonceOf(r.Nonce, i), label.Number, label.Final, plaintext[:n])...)
		if plaintext = plaintext[n:]; end {
			return out
		}
	}
}

func nonceOf(first byte, i uint64) []byte {
	nonce := make([]byte, 12)
	for j := range nonce {
		nonce[j] = first + byte(i) //nolint:gosec // modulo 256
	}
	return nonce
}
