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
	left    uint64 // plaintext bytes of the payload from the next segment on
	count   uint64 // segments to read
	skip    int    // plaintext bytes of the next segment before the range
	want    uint64 // plaintext bytes of the range not released yet
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
	r := &Reader{src: src, left: plainSize, count: segments(plainSize), want: plainSize}
	return r.init(key, fileID, plainSize)
}

// NewRangeReader returns a reader of length plaintext bytes from offset, of a payload of plainSize bytes. src holds exactly the
// stored bytes that [StoredRange] names for this range. The range is cut off at the end of the payload. Segments outside
// the range are neither read nor verified; within it the errors are those of [NewReader].
func NewRangeReader(src io.Reader, key *DataKey, fileID [FileIDSize]byte, plainSize, offset, length uint64) *Reader {
	r := &Reader{src: src, left: plainSize}
	first, count := rangeSegments(plainSize, offset, length)
	r.init(key, fileID, plainSize)
	if r.err != nil {
		return r
	}
	if count == 0 {
		r.err = io.EOF
		return r
	}
	r.seg.index, r.left, r.count = first, plainSize-first*SegmentPlainSize, count
	r.skip, r.want = int(offset%SegmentPlainSize), min(length, plainSize-offset) //nolint:gosec // less than SegmentPlainSize
	return r
}

func (r *Reader) init(key *DataKey, fileID [FileIDSize]byte, plainSize uint64) *Reader {
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
		if len(p) >= SegmentPlainSize && r.skip == 0 {
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

// nextInto opens the next segment into dst and returns what it holds of the range, or sets err and returns nothing. After the
// last segment it sets err to io.EOF.
func (r *Reader) nextInto(dst []byte) []byte {
	plain, err := r.next(dst)
	if err != nil {
		r.err = err
		return nil
	}
	if r.count == 0 {
		r.err = io.EOF
	}
	plain = plain[r.skip:]
	plain = plain[:min(uint64(len(plain)), r.want)]
	r.skip = 0
	r.want -= uint64(len(plain))
	return plain
}

func (r *Reader) next(dst []byte) ([]byte, error) {
	size := min(r.left, SegmentPlainSize)
	segment := r.segment[:size+SegmentOverhead]
	if _, err := readFull(r.src, segment); errors.Is(err, errEnd) {
		return nil, fmt.Errorf("segment %d: %w", r.seg.index, ErrTruncated)
	} else if err != nil {
		return nil, fmt.Errorf("read sealed segment: %w", err)
	}
	plain, err := r.seg.open(dst, segment, r.left <= SegmentPlainSize)
	if err != nil {
		return nil, err
	}
	if r.count == 1 {
		if err := r.atEnd(); err != nil {
			clear(plain)
			return nil, err
		}
	}
	r.count--
	r.left -= size
	return plain, nil
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
