// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package seal

import "fmt"

// maxPlain is the plaintext length of MaxSegments full segments, maxCipher their stored length.
const (
	maxPlain  = uint64(MaxSegments) * SegmentPlainSize
	maxCipher = uint64(MaxSegments) * SegmentSize
)

// CipherSize returns the stored length in bytes of a payload of plain bytes. It fails with [ErrSize] when the payload is
// too long for one data key.
func CipherSize(plain uint64) (uint64, error) {
	if plain > maxPlain {
		return 0, fmt.Errorf("%w: %d bytes of plaintext exceed the %d of one data key", ErrSize, plain, maxPlain)
	}
	return plain + segments(plain)*SegmentOverhead, nil
}

// PlainSize returns the plaintext length in bytes of a payload stored in cipher bytes. It fails with [ErrSize] when no
// payload has this stored length.
func PlainSize(cipher uint64) (uint64, error) {
	if cipher > maxCipher {
		return 0, fmt.Errorf("%w: %d bytes of ciphertext exceed the %d of one data key", ErrSize, cipher, maxCipher)
	}
	full, rest := cipher/SegmentSize, cipher%SegmentSize
	switch {
	case rest == 0 && full > 0:
		return full * SegmentPlainSize, nil
	case rest > SegmentOverhead, rest == SegmentOverhead && full == 0:
		return full*SegmentPlainSize + rest - SegmentOverhead, nil
	default:
		return 0, fmt.Errorf("%w: no payload is stored in %d bytes", ErrSize, cipher)
	}
}

// segments returns the number of segments of a payload: at least one.
func segments(plain uint64) uint64 {
	n := plain / SegmentPlainSize
	if plain%SegmentPlainSize != 0 || n == 0 {
		n++
	}
	return n
}

// StoredRange returns which bytes of the stored payload hold length plaintext bytes from offset, of a payload of plain bytes:
// whole segments, for [NewRangeReader]. The range is cut off at the end of the payload; an empty one needs no bytes.
// It fails with [ErrSize] like [CipherSize].
func StoredRange(plain, offset, length uint64) (storedOffset, storedLength uint64, err error) {
	stored, err := CipherSize(plain)
	if err != nil {
		return 0, 0, err
	}
	first, count := rangeSegments(plain, offset, length)
	if count == 0 {
		return 0, 0, nil
	}
	storedOffset = first * SegmentSize
	return storedOffset, min(count*SegmentSize, stored-storedOffset), nil
}

// rangeSegments returns the first segment of a range and the number of its segments, 0 for an empty range.
func rangeSegments(plain, offset, length uint64) (first, count uint64) {
	if offset >= plain || length == 0 {
		return 0, 0
	}
	first = offset / SegmentPlainSize
	last := (offset + min(length, plain-offset) - 1) / SegmentPlainSize
	return first, last - first + 1
}
