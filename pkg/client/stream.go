// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package client

import (
	"errors"
	"io"
	"sync"
	"time"

	"github.com/emrys-health/emrys/pkg/seal"
)

// aheadBlocks bounds what an aheadReader holds: blocks of one ciphertext segment each.
const aheadBlocks = 8

// finishWithin is how long the end of a source may take to be seen: no waiting at all unless something went wrong.
const finishWithin = 5 * time.Second

// aheadReader reads its source in a goroutine of its own, so that a disk, a
// cipher and a connection work at the same time. It holds at most aheadBlocks
// segments. Close ends the goroutine as soon as the source lets go of it.
type aheadReader struct {
	full    chan block
	free    chan []byte
	stop    chan struct{}
	closing sync.Once
	current []byte
	buffer  []byte // that current lies in
	err     error
	ended   chan struct{} // closed when the goroutine has ended
	last    error         // of the source; valid once ended is closed
}

type block struct {
	data []byte
	err  error
}

func newAheadReader(source io.Reader) *aheadReader {
	r := &aheadReader{
		full: make(chan block, aheadBlocks), free: make(chan []byte, aheadBlocks), stop: make(chan struct{}),
		ended: make(chan struct{}),
	}
	for range aheadBlocks {
		r.free <- nil // allocated at first use: a small file needs one
	}
	go r.run(source)
	return r
}

func (r *aheadReader) run(source io.Reader) {
	defer close(r.ended)
	for {
		var buffer []byte
		select {
		case buffer = <-r.free:
		case <-r.stop:
			return
		}
		if buffer == nil {
			buffer = make([]byte, seal.SegmentSize)
		}
		n, err := fill(source, buffer)
		r.last = err
		select {
		case r.full <- block{buffer[:n], err}:
		case <-r.stop:
			return
		}
		if err != nil {
			return
		}
	}
}

// fill reads until the buffer is full or the source ends or fails; the error is the source's own.
func fill(source io.Reader, buffer []byte) (int, error) {
	n := 0
	for n < len(buffer) {
		m, err := source.Read(buffer[n:])
		n += m
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// Read implements io.Reader.
func (r *aheadReader) Read(p []byte) (int, error) {
	for len(r.current) == 0 {
		if r.err != nil {
			return 0, r.err
		}
		if r.buffer != nil {
			r.free <- r.buffer
			r.buffer = nil
		}
		select {
		case b := <-r.full:
			r.current, r.buffer, r.err = b.data, b.data[:cap(b.data)], b.err
		case <-r.stop:
			return 0, io.ErrClosedPipe
		}
	}
	n := copy(p, r.current)
	r.current = r.current[n:]
	return n, nil
}

// Finished tells, once a consumer has taken what it wanted, whether the source
// was read to its end; if so, what the source computed on the way may be used.
// A goroutine that is not through after finishWithin is stopped: the consumer
// has left something behind.
func (r *aheadReader) Finished() bool {
	timer := time.NewTimer(finishWithin)
	defer timer.Stop()
	select {
	case <-r.ended:
		return r.last == io.EOF //nolint:errorlint // a failure may wrap an io.EOF
	case <-timer.C:
		r.Close()
		return false
	}
}

// Close ends the reading. It may be called more than once.
func (r *aheadReader) Close() {
	r.closing.Do(func() { close(r.stop) })
}

// errShort says that a file was not as long as it was when the upload began.
var errShort = errors.New("the content changed its length while it was read")

// meteredReader reports progress and keeps the error of its source. It is read
// by one goroutine and asked by another.
type meteredReader struct {
	source io.Reader
	size   int64 // -1 when it is not known
	done   int64
	report Progress
	mu     sync.Mutex
	err    error
}

func (r *meteredReader) Read(p []byte) (int, error) {
	n, err := r.source.Read(p)
	r.done += int64(n)
	if r.size >= 0 && (r.done > r.size || err == io.EOF && r.done < r.size) {
		err = errShort
	}
	if n > 0 && r.report != nil {
		r.report(uint64(r.done)) //nolint:gosec // not negative
	}
	if err != nil && err != io.EOF { //nolint:errorlint // a failure may wrap an io.EOF
		r.mu.Lock()
		r.err = err
		r.mu.Unlock()
	}
	return n, err
}

func (r *meteredReader) failure() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

var _ io.Reader = (*aheadReader)(nil)
