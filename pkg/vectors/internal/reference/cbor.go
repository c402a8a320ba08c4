// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package reference

import "encoding/binary"

// Major types of CBOR (RFC 8949, 3.1).
const (
	MajorUint  = 0
	MajorBytes = 2
	MajorText  = 3
	MajorArray = 4
	MajorMap   = 5
	MajorTag   = 6
)

// Head is the head of a CBOR item in its shortest form.
func Head(major byte, n uint64) []byte {
	switch {
	case n < 24:
		return []byte{major<<5 | byte(n)}
	case n < 1<<8:
		return HeadIn(major, 1, n)
	case n < 1<<16:
		return HeadIn(major, 2, n)
	case n < 1<<32:
		return HeadIn(major, 4, n)
	}
	return HeadIn(major, 8, n)
}

// HeadIn is a head whose number takes size bytes, 1, 2, 4 or 8, needed or not.
func HeadIn(major byte, size int, n uint64) []byte {
	info := map[int]byte{1: 24, 2: 25, 4: 26, 8: 27}[size]
	return append([]byte{major<<5 | info}, binary.BigEndian.AppendUint64(nil, n)[8-size:]...)
}

// Uint is an unsigned integer.
func Uint(n uint64) []byte { return Head(MajorUint, n) }

// Text is a text string.
func Text(s string) []byte { return append(Head(MajorText, uint64(len(s))), s...) }

// Bytes is a byte string.
func Bytes(b []byte) []byte { return append(Head(MajorBytes, uint64(len(b))), b...) }

// Array is an array of encoded items.
func Array(items ...[]byte) []byte { return Join(Head(MajorArray, uint64(len(items))), Join(items...)) }
