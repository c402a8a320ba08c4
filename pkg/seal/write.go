// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package seal

import (
	"errors"
	"fmt"
	"io"
)

// Writer seals what is written to it and passes the segments on. It holds two segments in memory and no more. Its first
// error is final: every later call returns it. Not safe for concurrent use.
type Writer struct {
	dst     io.Writer
	seg     segmenter
	plain   []byte // waiting plaintext; full only while nothing is known to follow
	segment []byte
	size    uint64
	err     error
}

// NewWriter returns a Writer that seals to dst. Call [Writer.Close] to write the final segment: without it the payload is
// truncated and every reader will say so. A failure of the set-up is returned by the first Write or Close.
func NewWriter(dst io.Writer, key *DataKey, fileID [FileIDSize]byte) *Writer {
	w := &Writer{dst: dst, plain: make([]byte, 0, SegmentPlainSize), segment: make([]byte, 0, SegmentSize)}
	w.err = w.seg.init(key, fileID)
	return w
}

// Write seals p. It keeps up to one segment back until it knows whether more follows.
func (w *Writer) Write(p []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	total := len(p)
	for len(p) > 0 {
		n, err := w.accept(p)
		w.size += uint64(n)
		p = p[n:]
		if err != nil {
			w.err = err
			return total - len(p), err
		}
	}
	return total, nil
}

// accept takes some of p, which is not empty, and says how many bytes of it have been sealed or kept.
func (w *Writer) accept(p []byte) (int, error) {
	if len(w.plain) == SegmentPlainSize {
		if err := w.emit(w.plain, false); err != nil {
			return 0, err
		}
		w.plain = w.plain[:0]
	}
	// A whole segment that is certainly not the last needs no copy.
	if len(w.plain) == 0 && len(p) > SegmentPlainSize {
		if err := w.emit(p[:SegmentPlainSize], false); err != nil {
			return 0, err
		}
		return SegmentPlainSize, nil
	}
	n := min(len(p), SegmentPlainSize-len(w.plain))
	w.plain = append(w.plain, p[:n]...)
	return n, nil
}

func (w *Writer) emit(plain []byte, final bool) error {
	segment, err := w.seg.seal(w.segment, plain, final)
	if err != nil {
		return err
	}
	n, err := w.dst.Write(segment)
	if err != nil {
		return fmt.Errorf("write sealed segment: %w", err)
	}
	if n != len(segment) {
		return fmt.Errorf("write sealed segment: %w", io.ErrShortWrite)
	}
	return nil
}

// Close seals and writes the final segment. It does not close the destination. A second Close does nothing; after an
// error Close writes nothing and returns that error.
func (w *Writer) Close() error {
	if errors.Is(w.err, ErrClosed) {
		return nil
	}
	if w.err != nil {
		return w.err
	}
	err := w.emit(w.plain, true)
	clear(w.plain[:cap(w.plain)])
	if err != nil {
		w.err = err
		return err
	}
	w.err = ErrClosed
	return nil
}

// Size returns the number of plaintext bytes accepted so far.
func (w *Writer) Size() uint64 { return w.size }

// SealingReader seals a plaintext source while it is read: the pull form of [Writer], for an HTTP request body. It holds
// two segments in memory. Its first error is final. Not safe for concurrent use.
type SealingReader struct {
	src     io.Reader
	seg     segmenter
	plain   []byte // one byte longer than a segment: the byte that shows whether more follows
	kept    int    // bytes of plain already read
	segment []byte // unread part of the current segment
	buf     []byte
	size    uint64
	err     error // returned once segment is used up
}

// NewSealingReader returns a reader of the sealed form of src. It ends with io.EOF after the final segment; an error of src
// is wrapped, and then the output is truncated, which every reader detects.
func NewSealingReader(src io.Reader, key *DataKey, fileID [FileIDSize]byte) *SealingReader {
	r := &SealingReader{src: src, plain: make([]byte, SegmentPlainSize+1), buf: make([]byte, 0, SegmentSize)}
	r.err = r.seg.init(key, fileID)
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
		if len(p) >= SegmentSize { // sealed in place: one copy less
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

// Size returns the number of plaintext bytes sealed so far; after io.EOF it is the plaintext length of the payload.
func (r *SealingReader) Size() uint64 { return r.size }

func (r *SealingReader) fill() { r.segment = r.nextInto(r.buf) }

// nextInto seals the next segment into dst, or sets err and returns nothing. A segment is sealed only when it is known
// whether another follows; after the final one err is io.EOF.
func (r *SealingReader) nextInto(dst []byte) []byte {
	n, err := readFull(r.src, r.plain[r.kept:])
	n += r.kept
	final := errors.Is(err, errEnd)
	if err != nil && !final {
		r.err = fmt.Errorf("read plaintext: %w", err)
		return nil
	}
	size := min(n, SegmentPlainSize)
	segment, err := r.seg.seal(dst, r.plain[:size], final)
	if err != nil {
		r.err = err
		return nil
	}
	r.size += uint64(size)
	if final {
		clear(r.plain)
		r.err = io.EOF
		return segment
	}
	r.plain[0] = r.plain[SegmentPlainSize]
	r.kept = 1
	return segment
}
