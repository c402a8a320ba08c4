// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package seal

import (
	"errors"
	"fmt"
	"io"
	"sync"
)

// ReaderAt opens a sealed payload at any place (specification C8). Each access reads and authenticates the segments that it
// touches and no others; the segment opened last is kept. Segments that are never touched are never verified, and the source
// may go on behind the payload. Safe for concurrent use when its source is.
type ReaderAt struct {
	src     io.ReaderAt
	box     *box
	layout  Layout
	plain   uint64 // length of the plaintext
	head    uint64 // plaintext bytes before the content
	content uint64
	buffers sync.Pool // of *page

	mu   sync.Mutex
	last *page // opened last; nil before the first
}

// page is one opened segment with the buffers that opening takes.
type page struct {
	index  uint64
	plain  []byte // in room
	room   []byte
	stored []byte
	aad    additional
}

// NewReaderAt returns a reader of the content sealed in src, whose offset 0 is the beginning of segment 0. plainSize is the
// payload's plaintext length in bytes, from authenticated metadata. Of the options it takes the [Layout]; that of a padded
// payload reads segment 0 at once, for the length of the content.
//
// Errors, also of ReadAt: [ErrAuthentication], [ErrTruncated], [ErrSize], [ErrPadding]; an error of src is wrapped and keeps
// its identity. Errors of ReadAt are not final: a later call reads the source again.
func NewReaderAt(src io.ReaderAt, key *DataKey, fileID [FileIDSize]byte, plainSize uint64, opts ...ReadOption) (*ReaderAt, error) {
	o := newReadOptions(opts)
	if err := o.layout.check(plainSize); err != nil {
		return nil, err
	}
	b, err := newBox(key, fileID, o.layout)
	if err != nil {
		return nil, err
	}
	r := &ReaderAt{src: src, box: b, layout: o.layout, plain: plainSize, content: plainSize}
	if r.layout == Padded {
		var field [lengthSize]byte
		if err := r.read(field[:], 0); err != nil {
			return nil, err
		}
		r.head = lengthSize
	}
	return r, nil
}

// Size returns the length of the content in bytes.
func (r *ReaderAt) Size() int64 { return int64(r.content) } //nolint:gosec // at most 2^50

// ReadAt reads content bytes from off, as io.ReaderAt describes. With an error, the n bytes before it are authenticated and
// the rest of p holds no content.
func (r *ReaderAt) ReadAt(p []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, fmt.Errorf("%w: negative offset", ErrSize)
	}
	if uint64(off) >= r.content {
		return 0, io.EOF
	}
	end := error(nil)
	if left := r.content - uint64(off); uint64(len(p)) > left {
		p, end = p[:left], io.EOF
	}
	for n < len(p) {
		at := r.head + uint64(off) + uint64(n) //nolint:gosec // not negative
		part := p[n:min(uint64(len(p)), uint64(n)+SegmentPlainSize-at%SegmentPlainSize)]
		if err := r.read(part, at); err != nil {
			return n, err
		}
		n += len(part)
	}
	return n, end
}

// read copies plaintext from offset at on, within one segment.
func (r *ReaderAt) read(p []byte, at uint64) error {
	index, from := at/SegmentPlainSize, at%SegmentPlainSize
	if r.kept(p, index, from) {
		return nil
	}
	g, ok := r.buffers.Get().(*page)
	if !ok {
		size := segmentSize(r.plain, 0)
		g = &page{room: make([]byte, 0, size), stored: make([]byte, size+SegmentOverhead)}
	}
	// A whole segment goes where it is wanted, without a copy, and is not kept: who reads in sequence does not come back.
	if from == 0 && len(p) == segmentSize(r.plain, index) {
		err := r.open(g, p, index)
		r.buffers.Put(g)
		return err
	}
	if err := r.open(g, g.room, index); err != nil {
		r.buffers.Put(g)
		return err
	}
	copy(p, g.plain[from:])
	r.mu.Lock()
	g, r.last = r.last, g
	r.mu.Unlock()
	if g != nil {
		r.buffers.Put(g)
	}
	return nil
}

// kept serves p from the segment opened last, if it is that one.
func (r *ReaderAt) kept(p []byte, index, from uint64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.last == nil || r.last.index != index {
		return false
	}
	copy(p, r.last.plain[from:])
	return true
}

// open reads a segment and opens it into dst, whose capacity is enough. On failure dst holds no plaintext.
func (r *ReaderAt) open(g *page, dst []byte, index uint64) error {
	stored := g.stored[:segmentSize(r.plain, index)+SegmentOverhead]
	if err := readFullAt(r.src, stored, index*SegmentSize); errors.Is(err, errEnd) {
		return fmt.Errorf("segment %d: %w", index, ErrTruncated)
	} else if err != nil {
		return fmt.Errorf("read sealed segment %d: %w", index, err)
	}
	plain, err := r.box.open(dst, stored, &g.aad, index, index == segments(r.plain)-1)
	if err != nil {
		return err
	}
	g.index, g.plain = index, plain
	if r.layout != Padded {
		return nil
	}
	if err := r.inspect(plain, index); err != nil {
		clear(plain)
		return err
	}
	return nil
}

// inspect checks the length field and the padding in an opened segment of a padded payload.
func (r *ReaderAt) inspect(plain []byte, index uint64) error {
	if index == 0 {
		content, err := parseLength(plain, r.plain)
		if err != nil {
			return err
		}
		if r.head == 0 { // in the constructor, before anybody else has r
			r.content = content
		}
	}
	return checkPadding(plain, index, r.content)
}

// readFullAt fills p from the stored offset. It returns errEnd when the source ends before that.
func readFullAt(src io.ReaderAt, p []byte, offset uint64) error {
	n, err := src.ReadAt(p, int64(offset)) //nolint:gosec // at most 2^50
	switch {
	case n < 0 || n > len(p):
		return errCount
	case n == len(p): // the contract allows io.EOF with the last byte
		return nil
	case err == io.EOF: //nolint:errorlint // the contract: io.EOF itself, not wrapped
		return errEnd
	case err == nil:
		return errCount
	default:
		return err
	}
}

var _ io.ReaderAt = (*ReaderAt)(nil)
