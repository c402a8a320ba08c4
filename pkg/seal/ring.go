// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package seal

import (
	"fmt"
	"io"
	"sync"
)

// slot is one segment on its way through the cipher, with the buffers that it needs.
type slot struct {
	index uint64
	final bool
	in    []byte // plaintext to seal, or segment to open
	out   []byte // destination, then what came of it
	after error  // of a segment to open: what is wrong behind its end
	err   error

	store []byte // for in; nil until it is needed
	room  []byte // for out; nil until it is needed
	aad   additional

	finished bool // done, tee included; guarded by the ring
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

// ring takes segments in and gives them back in the same order, sealed or opened, having written their stored form to the
// tee in that order.
//
// With one worker submit does all the work. With more, submit only queues; helpers, which are goroutines that end as soon
// as they find the queue empty, and the caller while it waits, take segments from the queue. A helper waits for nothing but
// its turn at the tee, so none outlives an abandoned ring by more than the work that was queued. That the caller works as
// well matters: waking a sleeping goroutine takes about as long as sealing a segment. So does that each segment meets the
// tee where it was computed, in that core's cache: a hash of bytes that are somewhere else is a third slower.
//
// The methods are for one goroutine, except help and step.
type ring struct {
	box     *box
	opening bool
	tee     io.Writer
	slots   []slot // segment number q of this ring is in slots[q%len]

	mu        sync.Mutex
	changed   sync.Cond // a segment was finished
	submitted uint64
	claimed   uint64 // begun
	passed    uint64 // through the tee
	taken     uint64 // by the caller
	helpers   int
	limit     int // of helpers
}

// newRing makes a ring for n workers, the caller being one.
func newRing(b *box, opening bool, n int, tee io.Writer) *ring {
	r := &ring{box: b, opening: opening, tee: tee, slots: make([]slot, 1), limit: n - 1}
	if n > 1 {
		r.slots = make([]slot, slotsPerWorker*n)
	}
	r.changed.L = &r.mu
	return r
}

// slotsPerWorker makes it likely that neither the caller nor a helper has to wait for the other.
const slotsPerWorker = 2

// inline tells that there is one worker.
func (r *ring) inline() bool { return r.limit == 0 }

// empty tells that nothing is left to take.
func (r *ring) empty() bool { return r.submitted == r.taken }

// full tells that nothing can be submitted before something is taken.
func (r *ring) full() bool { return r.submitted-r.taken == uint64(len(r.slots)) }

func (r *ring) slot(number uint64) *slot { return &r.slots[number%uint64(len(r.slots))] }

// free returns the slot that is submitted next. The ring must not be full.
func (r *ring) free() *slot { return r.slot(r.submitted) }

// submit hands over the free slot, in which index, final, in and out are set.
func (r *ring) submit() {
	s := r.free()
	s.err = nil
	if r.inline() {
		r.submitted++
		s.compute(r.box, r.opening)
		s.pass(r.tee, r.opening)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	s.finished = false
	r.submitted++
	if r.helpers < r.limit {
		r.helpers++
		go r.help()
	}
}

// help works until there is nothing to do.
func (r *ring) help() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.step() {
	}
	r.helpers--
}

// step takes a segment from the queue, does what is to be done with it, and reports whether there was one. It is called with mu
// locked, and unlocks it meanwhile.
func (r *ring) step() bool {
	if r.claimed == r.submitted {
		return false
	}
	number := r.claimed
	s := r.slot(number)
	r.claimed++
	r.mu.Unlock()
	s.compute(r.box, r.opening)
	r.mu.Lock()
	if r.tee != nil {
		for r.passed != number { // whoever has the segment before passes it without waiting for this one
			r.changed.Wait()
		}
		r.mu.Unlock()
		s.pass(r.tee, r.opening)
		r.mu.Lock()
		r.passed++
	}
	s.finished = true
	r.changed.Broadcast()
	return true
}

func (s *slot) compute(b *box, opening bool) {
	if opening {
		s.out, s.err = b.open(s.out, s.in, &s.aad, s.index, s.final)
	} else {
		s.out, s.err = b.seal(s.out, s.in, &s.aad, s.index, s.final)
	}
}

// pass gives the stored form of the segment to the tee.
func (s *slot) pass(tee io.Writer, opening bool) {
	if tee == nil || s.err != nil {
		return
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
		s.err = fmt.Errorf("write to tee: %w", err)
	}
}

// ready tells whether there is an oldest segment and it is done.
func (r *ring) ready() bool {
	if r.empty() || r.inline() {
		return !r.empty()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.slot(r.taken).finished
}

// take returns the oldest segment, done; there must be one. The slot is the caller's until the next submit.
func (r *ring) take() *slot {
	s := r.slot(r.taken)
	r.await(s)
	r.taken++
	return s
}

// await returns when a segment is done, and works meanwhile.
func (r *ring) await(s *slot) {
	if r.inline() {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for !s.finished {
		if !r.step() {
			r.changed.Wait()
		}
	}
}

// settle returns when everything that was submitted is done.
func (r *ring) settle() {
	for q := r.taken; q < r.submitted; q++ {
		r.await(r.slot(q))
	}
}

// wipe clears the buffers of what went in.
func (r *ring) wipe() {
	r.settle()
	for i := range r.slots {
		clear(r.slots[i].store)
	}
}
