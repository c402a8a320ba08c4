// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package lockfile_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/network/lockfile"
)

func TestALockHasOneHolder(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "sub", "lock")
	first, err := lockfile.TryAcquire(path)
	require.NoError(t, err)
	_, err = lockfile.TryAcquire(path)
	require.ErrorIs(t, err, lockfile.ErrHeld)
	first.Release()
	second, err := lockfile.TryAcquire(path)
	require.NoError(t, err)
	second.Release()
}

func TestAcquireWaitsForTheHolder(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	first, err := lockfile.TryAcquire(path)
	require.NoError(t, err)
	got := make(chan error, 1)
	go func() {
		lock, err := lockfile.Acquire(context.Background(), path)
		if err == nil {
			lock.Release()
		}
		got <- err
	}()
	first.Release()
	require.NoError(t, <-got)
}

func TestAcquireGivesUpWithItsContext(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	held, err := lockfile.TryAcquire(path)
	require.NoError(t, err)
	defer held.Release()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	_, err = lockfile.Acquire(ctx, path)
	require.ErrorIs(t, err, lockfile.ErrHeld)
	require.ErrorIs(t, err, context.DeadlineExceeded)
}
