// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ipfs_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAPinIsFoundByExactlyItsName(t *testing.T) {
	t.Parallel()
	s := start(t, "").store(t)
	one, err := s.PutNamed(t.Context(), strings.NewReader("one"), "upl_1")
	require.NoError(t, err)
	_, err = s.PutNamed(t.Context(), strings.NewReader("eleven"), "upl_11")
	require.NoError(t, err)
	_, err = s.Put(t.Context(), strings.NewReader("without a name"))
	require.NoError(t, err)
	pinned, err := s.Pinned(t.Context(), one.CID)
	require.NoError(t, err)
	require.True(t, pinned)
	found, err := s.Named(t.Context(), "upl_1")
	require.NoError(t, err)
	require.Equal(t, []string{one.CID}, found)
	require.NoError(t, s.Unpin(t.Context(), one.CID))
	found, err = s.Named(t.Context(), "upl_1")
	require.NoError(t, err)
	require.Empty(t, found)
}
