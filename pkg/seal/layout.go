// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package seal

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"strconv"
)

// Layout says what the plaintext of a payload is: the content itself, or the content with its length before it and zeros
// after it (specification C4). The key schedule binds it, so a key commitment belongs to one layout: see
// [DataKey.Layout]. As an option it tells a reader the layout; without it a payload is Plain.
type Layout uint8

const (
	// Plain is the layout whose plaintext is the content.
	Plain Layout = iota
	// Padded is the layout whose plaintext length says little of the content's: Padmé (Nikitin et al., PETS 2019).
	Padded
)

// lengthSize is the length in bytes of the length field of a padded plaintext.
const lengthSize = 8

// String returns "plain" or "padded".
func (l Layout) String() string {
	switch l {
	case Plain:
		return "plain"
	case Padded:
		return "padded"
	default:
		return "Layout(" + strconv.Itoa(int(l)) + ")"
	}
}

func (l Layout) applyRead(o *readOptions) { o.layout = l }

// labels returns the labels of the key schedule (C2).
func (l Layout) labels() (payload, commit string, err error) {
	switch l {
	case Plain:
		return "EMRYS-PRE-V1 payload", "EMRYS-PRE-V1 commit", nil
	case Padded:
		return "EMRYS-PRE-V1 payload padded", "EMRYS-PRE-V1 commit padded", nil
	default:
		return "", "", fmt.Errorf("%w: %s is no layout", ErrCommitment, l)
	}
}

// ContentOffset returns the offset in the content, in bytes, of what stands first in a segment: where the source of a
// continued sealing must be ([From]). It does not know where the content ends: take the content's length when that is less.
func (l Layout) ContentOffset(segment uint64) uint64 {
	offset := segment * SegmentPlainSize
	if l == Padded {
		return max(offset, lengthSize) - lengthSize
	}
	return offset
}

// check refuses a plaintext length that no payload of this layout has.
func (l Layout) check(plain uint64) error {
	if _, err := CipherSize(plain); err != nil {
		return err
	}
	if l == Padded && (plain < lengthSize || padme(plain) != plain) {
		return fmt.Errorf("%w: no padded plaintext has %d bytes", ErrSize, plain)
	}
	return nil
}

// PaddedSize returns the plaintext length in bytes of content bytes in the layout [Padded]. It fails with [ErrSize] when
// that is too long for one data key.
func PaddedSize(content uint64) (uint64, error) {
	if content > maxPlain-lengthSize {
		return 0, fmt.Errorf("%w: %d bytes of content exceed one data key", ErrSize, content)
	}
	plain := padme(content + lengthSize)
	if _, err := CipherSize(plain); err != nil {
		return 0, err
	}
	return plain, nil
}

// padme rounds a length of at least 2 up to one whose low bits are zero (C4).
func padme(length uint64) uint64 {
	exponent := bits.Len64(length) - 1
	low := uint64(1)<<(exponent-bits.Len(uint(exponent))) - 1 //nolint:gosec // not negative
	return (length + low) &^ low
}

// parseLength reads the length field at the beginning of a padded plaintext of plain bytes, at least lengthSize, and refuses
// one that does not fit.
func parseLength(head []byte, plain uint64) (uint64, error) {
	content := binary.BigEndian.Uint64(head)
	if content > plain-lengthSize || padme(content+lengthSize) != plain {
		return 0, fmt.Errorf("%w: the length field does not fit", ErrPadding)
	}
	return content, nil
}

// checkZeros refuses padding that is not zero.
func checkZeros(padding []byte) error {
	var any byte
	for _, b := range padding {
		any |= b
	}
	if any != 0 {
		return fmt.Errorf("%w: a padding byte is not zero", ErrPadding)
	}
	return nil
}
