// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package quota_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/gateway/internal/quota"
)

func TestAKeyHasItsOwnRate(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	l := quota.New(2, func() time.Time { return now })
	for range 4 {
		require.True(t, l.Allow("a"), "a burst of two seconds' worth")
	}
	require.False(t, l.Allow("a"))
	require.True(t, l.Allow("b"))
	now = now.Add(500 * time.Millisecond)
	require.True(t, l.Allow("a"))
	require.False(t, l.Allow("a"))
}

func TestKeysAreForgottenOnceTheyAreIdle(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	l := quota.New(1, func() time.Time { return now })
	for i := range 10_000 {
		require.True(t, l.Allow(fmt.Sprint(i)))
	}
	require.False(t, l.Allow("new"), "more than can be remembered")
	now = now.Add(2 * time.Minute)
	require.True(t, l.Allow("new"))
}
