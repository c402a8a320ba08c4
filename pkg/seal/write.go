// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package seal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Writer seals what is written to it and passes the segments on. How much it holds in memory: see [Workers]. Its first
// error is final: every later call returns it. Not safe for concurrent use.
type Writer struct {
	dst    io.Writer
	ring   *ring
	index  uint64 // of the next segment
	first  uint64 // segment that this writer began with
	plain  []byte // waiting plaintext, in the free slot; full only while nothing is known to follow
	size   uint64
	padded bool
	left   uint64 // of a padded payload: content that must still come
	total  uint64 // of a padded payload: plaintext length
	err    error
}

// NewWriter returns a Writer that seals to dst. Call [Writer.Close] to write the final segment: without it the payload is
// truncated and every reader will say so. A failure of the set-up is returned by the first Write or Close.
func NewWriter(dst io.Writer, key *DataKey, fileID [FileIDSize]byte, opts ...WriteOption) *Writer {
	o := newWriteOptions(opts)
	w := &Writer{dst: dst, index: o.from, first: o.from, size: o.from * SegmentPlainSize, padded: o.layout == Padded}
	b, err := newBox(key, fileID, o.layout)
	if err != nil {
		w.err = err
		return w
	}
	w.ring = newRing(b, false, o.workers, o.tee)
	w.collect()
	w.err = w.begin(o)
	return w
}

// begin checks where a payload begins or goes on, and writes the length field of a padded one.
func (w *Writer) begin(o *writeOptions) error {
	p, err := newPadding(o)
	if err != nil || p == nil {
		return err
	}
	w.left, w.total = p.left, p.total
	_, err = w.write(p.head, false)
	return err
}

// Write seals p. It keeps up to one segment back until it knows whether more follows, and with more than one worker those
// that are being sealed.
func (w *Writer) Write(p []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	if w.padded {
		if uint64(len(p)) > w.left {
			w.err = errLonger
			return 0, w.err
		}
		w.left -= uint64(len(p))
	}
	// With several workers a plaintext that is long enough for all of them to be busy is sealed where it is; a shorter one
	// is copied, so that the workers need not wait for the next.
	direct := w.ring.inline() || len(p) >= 4*len(w.ring.slots)*SegmentPlainSize
	n, err := w.write(p, direct)
	if direct {
		w.ring.settle() // nobody may use p after Write
	}
	w.err = err
	return n, err
}

func (w *Writer) write(p []byte, direct bool) (int, error) {
	total := len(p)
	for len(p) > 0 {
		n, err := w.accept(p, direct)
		w.size += uint64(n)
		p = p[n:]
		if err != nil {
			return total - len(p), err
		}
	}
	return total, nil
}

// accept takes some of p, which is not empty, and says how many bytes of it have been sealed or kept.
func (w *Writer) accept(p []byte, direct bool) (int, error) {
	if len(w.plain) == SegmentPlainSize {
		if err := w.emit(w.plain, false); err != nil {
			return 0, err
		}
	}
	// A whole segment that is certainly not the last needs no copy.
	if direct && len(w.plain) == 0 && len(p) > SegmentPlainSize {
		if err := w.emit(p[:SegmentPlainSize], false); err != nil {
			return 0, err
		}
		return SegmentPlainSize, nil
	}
	n := min(len(p), SegmentPlainSize-len(w.plain))
	w.plain = append(w.plain, p[:n]...)
	return n, nil
}

// collect makes the free slot the place for plaintext.
func (w *Writer) collect() { w.plain = w.ring.free().input(SegmentPlainSize)[:0] }

// emit gives one segment to the workers and passes on what they have finished. Afterwards a slot is free.
func (w *Writer) emit(plain []byte, final bool) error {
	s := w.ring.free()
	s.index, s.final, s.in, s.out = w.index, final, plain, s.output(SegmentSize)
	w.index++
	w.ring.submit()
	for w.ring.full() || w.ring.ready() {
		if err := w.flush(); err != nil {
			return err
		}
	}
	w.collect()
	return nil
}

// flush writes the oldest segment.
func (w *Writer) flush() error {
	s := w.ring.take()
	if s.err != nil {
		return s.err
	}
	n, err := w.dst.Write(s.out)
	if err != nil {
		return fmt.Errorf("write sealed segment: %w", err)
	}
	if n != len(s.out) {
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
	err := w.finish()
	w.ring.wipe()
	if err != nil {
		w.err = err
		return err
	}
	w.err = ErrClosed
	return nil
}

func (w *Writer) finish() error {
	if w.left > 0 {
		return errShorter
	}
	for zeros := make([]byte, 4096); w.size < w.total; {
		if _, err := w.write(zeros[:min(uint64(len(zeros)), w.total-w.size)], false); err != nil {
			return err
		}
	}
	if err := checkLast(len(w.plain), w.index, w.first); err != nil {
		return err
	}
	if err := w.emit(w.plain, true); err != nil {
		return err
	}
	for !w.ring.empty() {
		if err := w.flush(); err != nil {
			return err
		}
	}
	return nil
}

// Size returns the plaintext length in bytes of the payload so far, segments before [From] and a length field included;
// after Close it is the length for the ledger.
func (w *Writer) Size() uint64 { return w.size }

// checkLast refuses an empty segment behind others, which a continuation with nothing left would make (C9.2).
func checkLast(size int, index, first uint64) error {
	if size == 0 && index == first && index > 0 {
		return fmt.Errorf("%w: nothing is left for segment %d, with which the sealing was to go on", ErrSize, index)
	}
	return nil
}

// padding is what surrounds the content in the plaintext of a padded payload, from the segment on that a sealing begins with.
type padding struct {
	head  []byte // length field, or nothing when it has been sealed already
	left  uint64 // content to come
	total uint64 // plaintext length
	zeros uint64 // zeros to come
}

// newPadding returns nil for the layout Plain.
func newPadding(o *writeOptions) (*padding, error) {
	if o.from > MaxSegments {
		return nil, fmt.Errorf("%w: more than %d segments", ErrSize, uint64(MaxSegments))
	}
	if o.layout != Padded {
		return nil, nil //nolint:nilnil // there is none
	}
	total, err := PaddedSize(o.content)
	if err != nil {
		return nil, err
	}
	begin := o.from * SegmentPlainSize
	if o.from > 0 && begin >= total {
		return nil, fmt.Errorf("%w: nothing is left for segment %d, with which the sealing was to go on", ErrSize, o.from)
	}
	p := &padding{left: o.content - min(o.content, Padded.ContentOffset(o.from)), total: total}
	if o.from == 0 {
		p.head = binary.BigEndian.AppendUint64(nil, o.content)
	}
	p.zeros = total - begin - uint64(len(p.head)) - p.left
	return p, nil
}
