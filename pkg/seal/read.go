// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package seal

import (
	"errors"
	"fmt"
	"io"
)

// Reader opens a sealed payload. It holds two segments in memory, releases no byte before its segment has been
// authenticated, and releases nothing of the final segment before the source has been seen to end there, so whoever has
// received all plaintext bytes has a complete and unaltered payload even without reading on to io.EOF.
// Its first error is final. Not safe for concurrent use.
type Reader struct {
	src     io.Reader
	seg     segmenter
	left    uint64 // plaintext bytes in segments not read yet
	segment []byte
	buf     []byte
	plain   []byte // authenticated plaintext not released yet
	err     error  // returned once plain is used up
}

// NewReader returns a reader of the plaintext sealed in src. plainSize is the payload's length in bytes, which the caller
// knows from authenticated metadata; a payload of any other length is refused.
//
// Errors: [ErrAuthentication], [ErrTruncated], [ErrTrailing], [ErrSize]; an error of src is wrapped and keeps its
// identity. Call [DataKey.VerifyCommitment] first when the key came from somebody else.
func NewReader(src io.Reader, key *DataKey, fileID [FileIDSize]byte, plainSize uint64) *Reader {
	r := &Reader{src: src, left: plainSize}
	if r.err = r.seg.init(key, fileID); r.err != nil {
		return r
	}
	if _, r.err = CipherSize(plainSize); r.err != nil {
		return r
	}
	size := int(min(plainSize, SegmentPlainSize)) //nolint:gosec // at most SegmentPlainSize
	r.segment = make([]byte, size+SegmentOverhead)
	r.buf = make([]byte, 0, size)
	return r
}

// Read returns authenticated plaintext.
func (r *Reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for len(r.plain) == 0 {
		if r.err != nil {
			return 0, r.err
		}
		// A destination that takes a whole segment is decrypted into directly: one copy less. AES-GCM verifies the tag
		// before it decrypts, and clears the destination when that fails.
		if len(p) >= SegmentPlainSize {
			if n := len(r.nextInto(p)); n > 0 {
				return n, nil
			}
			continue
		}
		r.fill()
	}
	n := copy(p, r.plain)
	r.plain = r.plain[n:]
	return n, nil
}

// WriteTo writes the rest of the plaintext to dst, one authenticated segment at a time.
func (r *Reader) WriteTo(dst io.Writer) (int64, error) {
	return drain(dst, &r.plain, &r.err, r.fill)
}

func (r *Reader) fill() { r.plain = r.nextInto(r.buf) }

// nextInto opens the next segment into dst and returns its plaintext, or sets err and returns nothing. After the final
// segment it sets err to io.EOF.
func (r *Reader) nextInto(dst []byte) []byte {
	plain, final, err := r.next(dst)
	switch {
	case err != nil:
		r.err = err
		return nil
	case final:
		r.err = io.EOF
	}
	return plain
}

func (r *Reader) next(dst []byte) (plain []byte, final bool, err error) {
	size := min(r.left, SegmentPlainSize)
	final = r.left <= SegmentPlainSize
	segment := r.segment[:size+SegmentOverhead]
	if _, err := readFull(r.src, segment); errors.Is(err, errEnd) {
		return nil, false, fmt.Errorf("segment %d: %w", r.seg.index, ErrTruncated)
	} else if err != nil {
		return nil, false, fmt.Errorf("read sealed segment: %w", err)
	}
	if plain, err = r.seg.open(dst, segment, final); err != nil {
		return nil, false, err
	}
	if final {
		if err := r.atEnd(); err != nil {
			clear(plain)
			return nil, false, err
		}
	}
	r.left -= size
	return plain, final, nil
}

// atEnd reports an error unless the source has nothing more.
func (r *Reader) atEnd() error {
	var extra [1]byte
	_, err := readFull(r.src, extra[:])
	switch {
	case err == nil:
		return ErrTrailing
	case errors.Is(err, errEnd):
		return nil
	default:
		return fmt.Errorf("read past the final segment: %w", err)
	}
}
