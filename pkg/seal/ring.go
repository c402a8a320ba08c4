// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package seal

import (
	"fmt"
	"io"
)

// slot is one segment on its way through the cipher, with the buffers that it needs.
type slot struct {
	index uint64
	final bool
	in    []byte // plaintext to seal, or segment to open
	out   []byte // what came of it
	err   error

	after error  // of a segment to open: what is wrong behind its end
	store []byte // for in; nil until it is needed
	room  []byte // for out; nil until it is needed
	aad   additional
	done  chan struct{}
	ready bool
}

// input returns the slot's own buffer for what goes in, of at least size bytes.
func (s *slot) input(size int) []byte {
	if cap(s.store) < size {
		s.store = make([]byte, size)
	}
	return s.store[:size]
}

// output returns the slot's own buffer for what comes out, empty, with a capacity of at least size bytes.
func (s *slot) output(size int) []byte {
	if cap(s.room) < size {
		s.room = make([]byte, 0, size)
	}
	return s.room[:0]
}

// ring takes segments in and gives them back in the same order, sealed or opened. With one worker a segment is done when
// submit returns. With more, every segment has a goroutine that does nothing but compute (and pass bytes to a tee) and so
// ends soon after, whether or not anybody asks for the result. Its methods are for one goroutine.
type ring struct {
	box     *box
	opening bool
	tee     io.Writer
	teed    <-chan struct{} // closed when the newest segment has passed the tee
	slots   []slot
	head    int // oldest
	count   int // submitted and not taken
}

// newRing makes a ring for n segments in work at a time, and one more that the caller uses meanwhile.
func newRing(b *box, opening bool, n int, tee io.Writer) *ring {
	if n > 1 {
		n++
	}
	r := &ring{box: b, opening: opening, tee: tee, slots: make([]slot, n)}
	for i := range r.slots {
		r.slots[i].done = make(chan struct{}, 1)
	}
	return r
}

// inline tells that there is one worker.
func (r *ring) inline() bool { return len(r.slots) == 1 }

// full tells that no segment can be submitted before one is taken.
func (r *ring) full() bool { return r.count == len(r.slots) }

// free returns the slot that is submitted next. The ring must not be full.
func (r *ring) free() *slot { return &r.slots[(r.head+r.count)%len(r.slots)] }

// submit starts work on the free slot, in which index, final, in and out (the destination) are set.
func (r *ring) submit() {
	s := r.free()
	r.count++
	s.ready, s.err = r.inline(), nil
	if r.inline() {
		if s.err = s.compute(r.box, r.opening); s.err == nil {
			s.err = s.pass(r.tee, r.opening)
		}
		return
	}
	before, after := r.teed, chan struct{}(nil)
	if r.tee != nil {
		after = make(chan struct{})
		r.teed = after
	}
	go s.run(r.box, r.opening, r.tee, before, after)
}

// run is the goroutine of one segment. It waits for nothing but the segment before it to pass the tee.
func (s *slot) run(b *box, opening bool, tee io.Writer, before <-chan struct{}, after chan<- struct{}) {
	s.err = s.compute(b, opening)
	if tee != nil {
		if before != nil {
			<-before
		}
		if s.err == nil {
			s.err = s.pass(tee, opening)
		}
		close(after)
	}
	s.done <- struct{}{}
}

func (s *slot) compute(b *box, opening bool) (err error) {
	if opening {
		s.out, err = b.open(s.out, s.in, &s.aad, s.index, s.final)
	} else {
		s.out, err = b.seal(s.out, s.in, &s.aad, s.index, s.final)
	}
	return err
}

// pass gives the stored form of the segment to the tee.
func (s *slot) pass(tee io.Writer, opening bool) error {
	if tee == nil {
		return nil
	}
	stored := s.out
	if opening {
		stored = s.in
	}
	n, err := tee.Write(stored)
	if err == nil && n != len(stored) {
		err = io.ErrShortWrite
	}
	if err != nil {
		return fmt.Errorf("write to tee: %w", err)
	}
	return nil
}

// poll tells whether there is an oldest segment and it is done.
func (r *ring) poll() bool {
	if r.count == 0 {
		return false
	}
	s := &r.slots[r.head]
	if !s.ready {
		select {
		case <-s.done:
			s.ready = true
		default:
		}
	}
	return s.ready
}

// take waits for the oldest segment and returns it, done. The slot is the caller's until the next submit.
func (r *ring) take() *slot {
	s := &r.slots[r.head]
	s.wait()
	r.head = (r.head + 1) % len(r.slots)
	r.count--
	return s
}

func (s *slot) wait() {
	if !s.ready {
		<-s.done
		s.ready = true
	}
}

// settle waits until everything that was submitted is done.
func (r *ring) settle() {
	for i := range r.count {
		r.slots[(r.head+i)%len(r.slots)].wait()
	}
}

// wipe clears the buffers of what went in.
func (r *ring) wipe() {
	r.settle()
	for i := range r.slots {
		clear(r.slots[i].store)
	}
}
