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

// segmentSize returns the plaintext length of segment index of a payload of plain bytes.
func segmentSize(plain, index uint64) int {
	return int(min(plain-index*SegmentPlainSize, SegmentPlainSize)) //nolint:gosec // at most SegmentPlainSize
}
