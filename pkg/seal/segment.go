// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"fmt"
)

const (
	aadLabel  = "EMRYS-PRE-V1 seg"
	indexAt   = len(aadLabel) + FileIDSize
	finalAt   = indexAt + 8
	aadLength = finalAt + 1
)

// additional is the additional data of one segment (C3).
type additional [aadLength]byte

// box seals and opens the segments of one payload. It is safe for concurrent use: the cipher keeps no state between calls.
type box struct {
	aead cipher.AEAD
	aad  additional // its number is filled in per segment
}

func newBox(key *DataKey, fileID [FileIDSize]byte, layout Layout) (*box, error) {
	label, _, err := layout.labels()
	if err != nil {
		return nil, err
	}
	payloadKey, err := key.derive(fileID, label, DataKeySize)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(payloadKey)
	clear(payloadKey)
	if err != nil {
		return nil, fmt.Errorf("set up payload cipher: %w", err)
	}
	b := new(box)
	if b.aead, err = cipher.NewGCMWithRandomNonce(block); err != nil {
		return nil, fmt.Errorf("set up payload cipher: %w", err)
	}
	copy(b.aad[:], aadLabel)
	copy(b.aad[len(aadLabel):], fileID[:])
	return b, nil
}

// number fills in the additional data of a segment. The caller keeps aad, so that a segment costs no allocation.
func (b *box) number(aad *additional, index uint64, final bool) {
	*aad = b.aad
	binary.BigEndian.PutUint64(aad[indexAt:], index)
	if final {
		aad[finalAt] = 1
	}
}

// seal writes a segment into dst, whose capacity must be SegmentSize and which must not overlap plain.
func (b *box) seal(dst, plain []byte, aad *additional, index uint64, final bool) ([]byte, error) {
	if index >= MaxSegments {
		return nil, fmt.Errorf("%w: more than %d segments", ErrSize, uint64(MaxSegments))
	}
	b.number(aad, index, final)
	return b.aead.Seal(dst[:0], nil, plain, aad[:]), nil
}

// open writes the plaintext of a segment into dst, which must have the capacity for it. When it fails, dst holds no
// plaintext: AES-GCM clears it before it returns.
func (b *box) open(dst, segment []byte, aad *additional, index uint64, final bool) ([]byte, error) {
	b.number(aad, index, final)
	plain, err := b.aead.Open(dst[:0], nil, segment, aad[:])
	if err != nil {
		return nil, fmt.Errorf("segment %d: %w", index, ErrAuthentication)
	}
	return plain, nil
}
