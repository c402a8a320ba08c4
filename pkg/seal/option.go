// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package seal

import (
	"io"
	"runtime"
)

// WriteOption changes how [NewWriter] and [NewSealingReader] work: [Workers], [Tee], [Pad] and [From].
type WriteOption interface{ applyWrite(o *writeOptions) }

// ReadOption changes how a payload is opened: [Layout], [Workers], [Tee], [Range] and [Retry].
type ReadOption interface{ applyRead(o *readOptions) }

// Workers is the number of segments that are sealed or opened at the same time. 1, the default, works in the caller's own
// goroutine and holds two segments in memory. n > 1 holds at most 4n, and works in the caller's goroutine and in up to n-1
// others. Those only compute: sources and destinations are used by the caller's goroutine alone, and the others end as soon
// as the segments at hand are done, so a stream may be abandoned at any point. 0 stands for GOMAXPROCS, at most 8. The
// bytes, their order and the errors are the same for every number.
type Workers int

// Bounds of [Workers].
const (
	defaultWorkers = 8
	maxWorkers     = 64
)

func (w Workers) applyWrite(o *writeOptions) { o.workers = w.number() }
func (w Workers) applyRead(o *readOptions)   { o.workers = w.number() }

func (w Workers) number() int {
	if w <= 0 {
		return min(runtime.GOMAXPROCS(0), defaultWorkers)
	}
	return min(int(w), maxWorkers)
}

// Tee is written the stored bytes of every segment in order, each segment once and whole: a hash in it has, at the end of
// the stream, the digest of the payload that the ledger holds. When segments are opened, only authenticated ones are
// written, and a transfer that is resumed leaves no trace. With more than one worker it is written from other goroutines,
// never from two at once, and never after the end of the stream was reported. After an error what it has is meaningless.
type Tee struct{ io.Writer }

func (t Tee) applyWrite(o *writeOptions) { o.tee = t.Writer }
func (t Tee) applyRead(o *readOptions)   { o.tee = t.Writer }

// Pad seals in the layout [Padded]. It is the length of the content in bytes, which must be known before: content of
// another length is refused with [ErrSize]. Key commitments are then those of Padded.
type Pad uint64

func (p Pad) applyWrite(o *writeOptions) {
	o.layout, o.content = Padded, uint64(p)
}

// From continues a sealing that broke when so many whole segments had been stored. The source, or what is written, begins
// at [Layout.ContentOffset] of this number; it must be the same content as before the interruption. The segments get new
// nonces (specification C9.2).
type From uint64

func (f From) applyWrite(o *writeOptions) { o.from = uint64(f) }

// Range opens only Length content bytes from Offset; it is cut off at the end of the content. Only [NewSourceReader] takes
// it. Segments outside of the range are neither fetched nor verified, except segment 0 of a padded payload, which says how
// long the content is.
type Range struct{ Offset, Length uint64 }

func (r Range) applyRead(o *readOptions) { o.window = &r }

// Retry says how [NewSourceReader] takes broken transfers. After a failure the source is opened again where the first
// segment that is missing begins. Only failures of the transfer are retried; what fails verification fails for good.
type Retry struct {
	// Attempts is how many failures in a row, without a whole segment between them, are followed by another try.
	Attempts int
	// Pause is called before each try with the number of failures in a row and the last one. An error ends the reading with
	// that error: so it decides which failures may pass, and waits. Nil waits for nothing.
	Pause func(failures int, cause error) error
}

func (r Retry) applyRead(o *readOptions) { o.retry = r }

type writeOptions struct {
	workers int
	tee     io.Writer
	layout  Layout
	content uint64 // length; of the layout Padded only
	from    uint64
}

func newWriteOptions(opts []WriteOption) *writeOptions {
	o := &writeOptions{workers: 1}
	for _, opt := range opts {
		opt.applyWrite(o)
	}
	return o
}

type readOptions struct {
	workers int
	tee     io.Writer
	layout  Layout
	window  *Range
	retry   Retry
}

func newReadOptions(opts []ReadOption) *readOptions {
	o := &readOptions{workers: 1}
	for _, opt := range opts {
		opt.applyRead(o)
	}
	return o
}
