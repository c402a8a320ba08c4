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

// segmenter seals or opens the segments of one file in order. Its additional data is built once and then only renumbered,
// so a segment costs no allocation. Not safe for concurrent use.
type segmenter struct {
	aead  cipher.AEAD
	aad   [aadLength]byte
	index uint64 // of the next segment
}

func (s *segmenter) init(key *DataKey, fileID [FileIDSize]byte) error {
	payloadKey, err := key.derive(fileID, labelPayload, DataKeySize)
	if err != nil {
		return err
	}
	block, err := aes.NewCipher(payloadKey)
	clear(payloadKey)
	if err != nil {
		return fmt.Errorf("set up payload cipher: %w", err)
	}
	if s.aead, err = cipher.NewGCMWithRandomNonce(block); err != nil {
		return fmt.Errorf("set up payload cipher: %w", err)
	}
	copy(s.aad[:], aadLabel)
	copy(s.aad[len(aadLabel):], fileID[:])
	return nil
}

// next numbers the additional data for the next segment.
func (s *segmenter) next(final bool) error {
	if s.index >= MaxSegments {
		return fmt.Errorf("%w: more than %d segments", ErrSize, uint64(MaxSegments))
	}
	binary.BigEndian.PutUint64(s.aad[indexAt:], s.index)
	s.aad[finalAt] = 0
	if final {
		s.aad[finalAt] = 1
	}
	s.index++
	return nil
}

// seal writes the next segment into dst, whose capacity must be SegmentSize and which must not overlap plain.
func (s *segmenter) seal(dst, plain []byte, final bool) ([]byte, error) {
	if err := s.next(final); err != nil {
		return nil, err
	}
	return s.aead.Seal(dst[:0], nil, plain, s.aad[:]), nil
}

// open writes the plaintext of the next segment into dst. On failure dst holds no plaintext.
func (s *segmenter) open(dst, segment []byte, final bool) ([]byte, error) {
	index := s.index
	if err := s.next(final); err != nil {
		return nil, err
	}
	plain, err := s.aead.Open(dst[:0], nil, segment, s.aad[:])
	if err != nil {
		return nil, fmt.Errorf("segment %d: %w", index, ErrAuthentication)
	}
	return plain, nil
}
