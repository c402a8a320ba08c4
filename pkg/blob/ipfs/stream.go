// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ipfs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

// source is the reader of a Put. The HTTP transport may go on reading a request body after it has returned; stop prevents it,
// so that the caller's reader is free again when Put returns.
type source struct {
	mu      sync.Mutex
	r       io.Reader
	n       uint64
	err     error // of r, other than io.EOF
	end     bool
	stopped bool
}

func (s *source) Read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.stopped:
		return 0, errors.New("the call that owns this reader has ended")
	case s.err != nil:
		return 0, s.err
	case s.end:
		return 0, io.EOF
	}
	n, err := s.r.Read(p)
	s.n += uint64(max(n, 0)) //nolint:gosec // not negative
	if err == io.EOF {       //nolint:errorlint // the io.Reader contract
		s.end = true
	} else if err != nil {
		s.err = err
	}
	return n, err
}

func (s *source) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
}

func (s *source) ended() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.end
}

func (s *source) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

func (s *source) size() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.n
}

// watchdog ends a request that makes no progress. Its context carries the reason as its cause.
type watchdog struct {
	ctx    context.Context //nolint:containedctx // the context of one request, which the watchdog ends
	parent context.Context //nolint:containedctx // the caller's, to tell whose end it was
	cancel context.CancelCauseFunc

	mu       sync.Mutex
	timer    *time.Timer // one for all waits: a stream arms it for each Read
	deadline time.Time   // zero while disarmed
	cause    error
}

func newWatchdog(parent context.Context) *watchdog {
	w := &watchdog{parent: parent}
	w.ctx, w.cancel = context.WithCancelCause(parent)
	return w
}

// arm starts the wait anew. When it runs out the request ends with cause.
func (w *watchdog) arm(wait time.Duration, cause error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.deadline, w.cause = time.Now().Add(wait), cause
	if w.timer == nil {
		w.timer = time.AfterFunc(wait, w.fire)
		return
	}
	w.timer.Reset(wait)
}

func (w *watchdog) disarm() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.deadline = time.Time{}
	if w.timer != nil {
		w.timer.Stop()
	}
}

// fire ends the request, unless the wait was ended or begun anew in the meantime.
func (w *watchdog) fire() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.deadline.IsZero() && !time.Now().Before(w.deadline) {
		w.cancel(w.cause)
	}
}

// end releases the watchdog and the request.
func (w *watchdog) end() {
	w.disarm()
	w.cancel(nil)
}

// translate is the package's translate, and knows whether the watchdog was the reason.
func (w *watchdog) translate(err error) error {
	if cause := context.Cause(w.ctx); w.parent.Err() == nil && cause != nil && !errors.Is(cause, context.Canceled) {
		return cause
	}
	return translate(w.parent, err)
}

// stream is the answer of a Get. The watchdog runs only while a Read waits: a slow consumer is no stall.
type stream struct {
	body    io.ReadCloser
	watch   *watchdog
	id      string
	wait    time.Duration // for the next byte
	waitErr error
	stall   time.Duration
	err     error
}

func (s *stream) Read(p []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	s.watch.arm(s.wait, s.waitErr)
	n, err := s.body.Read(p)
	s.watch.disarm()
	if n > 0 {
		s.wait, s.waitErr = s.stall, errStall
	}
	if err == io.EOF { //nolint:errorlint // the io.Reader contract
		s.err = io.EOF
	} else if err != nil {
		s.err = fmt.Errorf("get %s: %w", s.id, s.watch.translate(err))
	}
	return n, s.err
}

// Close ends the transfer, also half-way.
func (s *stream) Close() error {
	s.watch.end()
	if s.err == nil {
		s.err = errors.New("read of a closed stream")
	}
	if err := s.body.Close(); err != nil {
		return fmt.Errorf("close stream of %s: %w", s.id, err)
	}
	return nil
}

// keyedLock is one lock per key, whose wait a context can end. The zero value is ready.
type keyedLock struct {
	mu   sync.Mutex
	held map[string]chan struct{} // closed when released
}

func (l *keyedLock) lock(ctx context.Context, key string) (unlock func(), err error) {
	for {
		l.mu.Lock()
		held, busy := l.held[key]
		if !busy {
			if l.held == nil {
				l.held = make(map[string]chan struct{})
			}
			l.held[key] = make(chan struct{})
			l.mu.Unlock()
			return func() { l.unlock(key) }, nil
		}
		l.mu.Unlock()
		select {
		case <-held:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (l *keyedLock) unlock(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.held[key])
	delete(l.held, key)
}
