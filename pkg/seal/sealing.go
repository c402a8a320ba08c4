// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package seal

import (
	"errors"
	"fmt"
	"io"
)

// What [Pad] promised and the source did not keep.
var (
	errShorter = fmt.Errorf("%w: the content is shorter than was said for its padding", ErrSize)
	errLonger  = fmt.Errorf("%w: the content is longer than was said for its padding", ErrSize)
)

// SealingReader seals a plaintext source while it is read: the pull form of [Writer], for an HTTP request body. How much it
// holds in memory: see [Workers]. Its first error is final. Not safe for concurrent use.
type SealingReader struct {
	src     io.Reader
	ring    *ring
	index   uint64 // of the next segment to read
	first   uint64 // segment that this reader began with
	kept    []byte // the byte that showed that more follows
	segment []byte // unread part of the current segment
	size    uint64
	end     error // what ended the source; returned once every segment is used up
	err     error // returned once segment is used up
}

// NewSealingReader returns a reader of the sealed form of src. It ends with io.EOF after the final segment; an error of src
// is wrapped, and then the output is truncated, which every reader detects.
func NewSealingReader(src io.Reader, key *DataKey, fileID [FileIDSize]byte, opts ...WriteOption) *SealingReader {
	o := newWriteOptions(opts)
	r := &SealingReader{src: src, index: o.from, first: o.from, size: o.from * SegmentPlainSize, kept: make([]byte, 0, 1)}
	p, err := newPadding(o)
	if err != nil {
		r.err = err
		return r
	}
	if p != nil {
		r.src = &paddedSource{padding: *p, src: src}
	}
	b, err := newBox(key, fileID, o.layout)
	if err != nil {
		r.err = err
		return r
	}
	r.ring = newRing(b, false, o.workers, o.tee)
	return r
}

// Read returns sealed bytes.
func (r *SealingReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for len(r.segment) == 0 {
		if r.err != nil {
			return 0, r.err
		}
		if len(p) >= SegmentSize && r.ring.inline() { // sealed in place: one copy less
			if n := len(r.nextInto(p)); n > 0 {
				return n, nil
			}
			continue
		}
		r.fill()
	}
	n := copy(p, r.segment)
	r.segment = r.segment[n:]
	return n, nil
}

// WriteTo writes the rest of the sealed form to dst, segment by segment.
func (r *SealingReader) WriteTo(dst io.Writer) (int64, error) {
	return drain(dst, &r.segment, &r.err, r.fill)
}

// Size returns the plaintext length in bytes of what has been returned sealed so far, segments before [From] and what
// padding adds included; after io.EOF it is the plaintext length of the payload, for the ledger.
func (r *SealingReader) Size() uint64 { return r.size }

func (r *SealingReader) fill() { r.segment = r.nextInto(nil) }

// nextInto returns the next sealed segment, or sets err and returns nothing. With one worker it is sealed into dst, unless
// that is nil.
func (r *SealingReader) nextInto(dst []byte) []byte {
	r.ahead(dst)
	if r.ring.empty() {
		r.ring.wipe()
		r.err = r.end
		return nil
	}
	s := r.ring.take()
	if s.err != nil {
		r.err = s.err
		return nil
	}
	r.size += uint64(len(s.out) - SegmentOverhead)
	return s.out
}

// ahead reads segments from the source: one whenever there is room, and more as long as none has been sealed.
func (r *SealingReader) ahead(dst []byte) {
	for r.end == nil && !r.ring.full() {
		if !r.read(dst) || r.ring.ready() {
			return
		}
	}
}

// read gives the next segment to the workers. A segment is sealed only when it is known whether another follows. It reports
// false, and sets end, when the source gave none.
func (r *SealingReader) read(dst []byte) bool {
	s := r.ring.free()
	plain := s.input(SegmentPlainSize + 1) // one byte longer than a segment: it shows whether more follows
	n := copy(plain, r.kept)
	m, err := readFull(r.src, plain[n:])
	n += m
	final := errors.Is(err, errEnd)
	if err != nil && !final {
		r.end = fmt.Errorf("read plaintext: %w", err)
		return false
	}
	if final {
		if r.end = checkLast(n, r.index, r.first); r.end != nil {
			return false
		}
		r.end = io.EOF
	} else {
		n--
		r.kept = append(r.kept[:0], plain[n])
	}
	if s.out = dst; dst == nil {
		s.out = s.output(SegmentSize)
	}
	s.index, s.final, s.in = r.index, final, plain[:n]
	r.index++
	r.ring.submit()
	return true
}

// paddedSource puts the length field before the content and zeros after it, and demands exactly as much content as it says.
type paddedSource struct {
	padding

	src   io.Reader
	ended bool // the source has been seen to end
}

func (s *paddedSource) Read(p []byte) (int, error) {
	switch {
	case len(s.head) > 0:
		n := copy(p, s.head)
		s.head = s.head[n:]
		return n, nil
	case s.left > 0:
		return s.content(p[:min(uint64(len(p)), s.left)])
	case !s.ended:
		if err := s.finish(); err != nil {
			return 0, err
		}
	}
	if s.zeros == 0 {
		return 0, io.EOF
	}
	p = p[:min(uint64(len(p)), s.zeros)]
	clear(p)
	s.zeros -= uint64(len(p))
	return len(p), nil
}

func (s *paddedSource) content(p []byte) (int, error) {
	n, err := s.src.Read(p)
	if n < 0 || n > len(p) {
		return 0, errCount
	}
	s.left -= uint64(n)
	if err == io.EOF { //nolint:errorlint // the io.Reader contract: io.EOF itself, not wrapped
		if err = nil; s.left > 0 {
			err = errShorter
		}
		s.ended = true
	}
	return n, err
}

// finish sees the source end where it should.
func (s *paddedSource) finish() error {
	var extra [1]byte
	_, err := readFull(s.src, extra[:])
	switch {
	case err == nil:
		return errLonger
	case !errors.Is(err, errEnd):
		return err
	}
	s.ended = true
	return nil
}
