// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package seal

import (
	"errors"
	"fmt"
	"io"
)

// Reader opens a sealed payload. It releases no byte before its segment has been authenticated, and the last content byte
// only after everything behind it has been checked and the source has been seen to end there, so whoever has received all
// content bytes has a complete and unaltered content even without reading on to io.EOF. (A [Range] ends where it ends, and
// says nothing of what is outside.) How much it holds in memory: see [Workers]; at the end of a padded content one segment
// more. Its first error is final. Not safe for concurrent use.
type Reader struct {
	feed   feed
	ring   *ring
	layout Layout
	size   uint64 // plaintext length
	window *Range // nil: everything

	next, stop uint64 // segments to fetch
	from, to   uint64 // plaintext offsets to release; known once measured
	content    uint64 // its length
	measured   bool

	plain []byte // authenticated content not released yet
	cause error  // what ended the fetching; returned once every segment before is used up
	err   error  // returned once plain is used up
}

// NewReader returns a reader of the content sealed in src, which begins with segment 0. plainSize is the payload's plaintext
// length in bytes, which the caller knows from authenticated metadata; a payload of any other length is refused.
//
// Errors: [ErrAuthentication], [ErrTruncated], [ErrTrailing], [ErrSize], [ErrPadding]; an error of src is wrapped and keeps
// its identity. Call [DataKey.Layout] first: it verifies a key that came from somebody else and gives the layout, which is
// an option here.
func NewReader(src io.Reader, key *DataKey, fileID [FileIDSize]byte, plainSize uint64, opts ...ReadOption) *Reader {
	r := newReader(key, fileID, plainSize, newReadOptions(opts))
	if r.window != nil && r.err == nil {
		r.err = errors.New("a range cannot be read from a stream")
	}
	r.feed.src = src
	return r
}

// NewSourceReader is [NewReader] over a source that can be opened at any stored offset: it can resume a broken transfer
// ([Retry]) and fetch a part alone ([Range]). The source is opened at the first Read; what it returned is closed when the
// reader has ended with io.EOF or an error, or by Close.
func NewSourceReader(src Source, key *DataKey, fileID [FileIDSize]byte, plainSize uint64, opts ...ReadOption) *Reader {
	o := newReadOptions(opts)
	r := newReader(key, fileID, plainSize, o)
	r.feed.open, r.feed.retry = src, o.retry
	return r
}

func newReader(key *DataKey, fileID [FileIDSize]byte, plainSize uint64, o *readOptions) *Reader {
	r := &Reader{layout: o.layout, size: plainSize, window: o.window}
	if r.err = o.layout.check(plainSize); r.err != nil {
		return r
	}
	b, err := newBox(key, fileID, o.layout)
	if err != nil {
		r.err = err
		return r
	}
	count := segments(plainSize)
	r.ring = newRing(b, true, int(min(uint64(o.workers), count)), o.tee) //nolint:gosec // at most maxWorkers
	switch {
	case r.layout == Plain:
		r.measure(plainSize)
		r.next, r.stop = r.span(0)
	case r.window == nil:
		r.stop = count
	default:
		r.stop = 1 // the length field comes first
	}
	return r
}

// measure takes note of how long the content is.
func (r *Reader) measure(content uint64) {
	r.content, r.measured = content, true
	first, last := uint64(0), content
	if r.window != nil {
		first = min(r.window.Offset, content)
		last = first + min(r.window.Length, content-first)
	}
	head := r.head()
	r.from, r.to = head+first, head+last
}

// head returns how many plaintext bytes precede the content.
func (r *Reader) head() uint64 {
	if r.layout == Padded {
		return lengthSize
	}
	return 0
}

// span returns which segments must be fetched, when those below done have been.
func (r *Reader) span(done uint64) (next, stop uint64) {
	if r.window == nil {
		return done, segments(r.size)
	}
	if r.from == r.to {
		return done, done
	}
	return max(done, r.from/SegmentPlainSize), max(done, (r.to-1)/SegmentPlainSize+1)
}

// ContentSize returns the length of the whole content in bytes. For a padded payload it fetches and opens segment 0 when
// that has not happened yet, and fails as Read would.
func (r *Reader) ContentSize() (uint64, error) {
	if !r.measured && r.err == nil {
		r.fill()
	}
	if !r.measured {
		return 0, r.err
	}
	return r.content, nil
}

// Read returns authenticated content.
func (r *Reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for len(r.plain) == 0 {
		if r.err != nil {
			return 0, r.err
		}
		// A destination that takes a whole segment is decrypted into directly: one copy less. Until Read returns nothing
		// in it is released, and when the segment fails AES-GCM clears it.
		if len(p) >= SegmentPlainSize && r.direct() {
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

// direct tells that the next segment is released from its first byte on.
func (r *Reader) direct() bool {
	return r.ring.inline() && r.measured && r.from <= r.next*SegmentPlainSize
}

// WriteTo writes the rest of the content to dst, one authenticated segment at a time.
func (r *Reader) WriteTo(dst io.Writer) (int64, error) {
	return drain(dst, &r.plain, &r.err, r.fill)
}

// Close closes what the source opened; later calls return [ErrClosed]. It need not be called after io.EOF or another error.
func (r *Reader) Close() error {
	r.plain = nil
	if r.err == nil {
		r.end(ErrClosed)
	}
	return nil
}

func (r *Reader) end(err error) {
	r.err = err
	r.feed.drop()
}

func (r *Reader) fill() { r.plain = r.nextInto(nil) }

// nextInto opens segments until one holds something to release, and returns that; or it ends the reader and returns
// nothing. With one worker the segment is opened into dst, unless that is nil.
func (r *Reader) nextInto(dst []byte) []byte {
	for {
		s, err := r.segment(dst)
		if err != nil {
			r.end(err)
			return nil
		}
		if s == nil {
			r.end(io.EOF)
			return nil
		}
		part, err := r.admit(s)
		if err != nil {
			r.end(err)
			return nil
		}
		if len(part) > 0 {
			return part
		}
	}
}

// admit checks an opened segment and returns what it holds of what is to be released. At the end of a padded content that
// is only returned when everything behind it has been checked as well.
func (r *Reader) admit(s *slot) ([]byte, error) {
	if err := r.inspect(s); err != nil {
		return nil, err
	}
	begin := s.index * SegmentPlainSize
	from, to := max(begin, r.from), min(begin+uint64(len(s.out)), r.to)
	if from >= to {
		return nil, nil
	}
	part := s.out[from-begin : to-begin]
	if r.window != nil || to != r.to || s.final {
		return part, nil
	}
	s.room = nil // part lies in it; the slot takes another one
	if err := r.checkRest(); err != nil {
		clear(part)
		return nil, err
	}
	return part, nil
}

// checkRest opens and checks all segments that are left.
func (r *Reader) checkRest() error {
	for {
		s, err := r.segment(nil)
		if s == nil || err != nil {
			return err
		}
		if err := r.inspect(s); err != nil {
			return err
		}
	}
}

// inspect reads the length field and checks the padding in an opened segment of a padded payload (C6, steps 3.4 and 3.5).
func (r *Reader) inspect(s *slot) error {
	if r.layout != Padded {
		return nil
	}
	if !r.measured {
		content, err := parseLength(s.out, r.size)
		if err != nil {
			return wiped(s, err)
		}
		r.measure(content)
		r.next, r.stop = r.span(max(r.next, 1))
	}
	return wiped(s, checkPadding(s.out, s.index, r.content))
}

// checkPadding checks the zeros in segment index of a padded payload.
func checkPadding(plain []byte, index, content uint64) error {
	begin := index * SegmentPlainSize
	zeros := max(begin, lengthSize+content) - begin
	return checkZeros(plain[min(zeros, uint64(len(plain))):])
}

// wiped clears the segment when there is an error.
func wiped(s *slot, err error) error {
	if err != nil {
		clear(s.out)
	}
	return err
}

// segment returns the next segment opened, and nil at the end. An error is that of the first segment that has one.
func (r *Reader) segment(dst []byte) (*slot, error) {
	r.ahead(dst)
	if r.ring.empty() {
		return nil, r.cause
	}
	s := r.ring.take()
	if s.err != nil {
		return nil, s.err
	}
	return s, wiped(s, s.after)
}

// ahead fetches segments: one whenever there is room, and more as long as none has been opened.
func (r *Reader) ahead(dst []byte) {
	for r.cause == nil && r.next < r.stop && !r.ring.full() {
		if r.cause = r.fetch(dst); r.cause != nil || r.ring.ready() {
			return
		}
	}
}

// fetch gives the next segment to the workers.
func (r *Reader) fetch(dst []byte) error {
	s := r.ring.free()
	size := segmentSize(r.size, r.next)
	s.index, s.final = r.next, r.next == segments(r.size)-1
	s.in = s.input(size + SegmentOverhead)
	until := uint64(0)
	if r.window != nil {
		until = r.stop * SegmentSize
		if r.stop == segments(r.size) {
			until = r.size + r.stop*SegmentOverhead
		}
	}
	var err error
	if s.after, err = r.feed.segment(s.in, r.next*SegmentSize, until, s.final); errors.Is(err, errEnd) {
		return fmt.Errorf("segment %d: %w", r.next, ErrTruncated)
	} else if err != nil {
		return fmt.Errorf("read sealed segment %d: %w", r.next, err)
	}
	if s.out = dst; dst == nil {
		s.out = s.output(size)
	}
	r.next++
	r.ring.submit()
	return nil
}
