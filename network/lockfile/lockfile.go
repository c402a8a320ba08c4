// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

// Package lockfile holds a file locked for as long as a process lives. The
// system drops the lock when the holder dies, so there are no stale locks.
package lockfile

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// ErrHeld means that another process holds the lock.
var ErrHeld = errors.New("the lock is held by another process")

const pollInterval = 20 * time.Millisecond

// Lock is a held lock.
type Lock struct{ file *os.File }

// TryAcquire takes the lock or returns [ErrHeld] at once.
func TryAcquire(path string) (*Lock, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("make lock directory: %w", err)
	}
	// Go opens files close-on-exec: children do not inherit the lock.
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock: %w", err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = file.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, ErrHeld
		}
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return &Lock{file: file}, nil
}

// Acquire waits for the lock until ctx ends.
func Acquire(ctx context.Context, path string) (*Lock, error) {
	for {
		lock, err := TryAcquire(path)
		if !errors.Is(err, ErrHeld) {
			return lock, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", ErrHeld, ctx.Err())
		case <-time.After(pollInterval):
		}
	}
}

// Release gives the lock up.
func (l *Lock) Release() { _ = l.file.Close() }
