// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ipfs_test

import (
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/blob"
)

// TestErasingABlockUnderItsOtherCodecDestroysNobodysContent: the daemon keeps blocks by their hash and pins by their whole
// id, so that the raw id of somebody's first block is another content, made of the same block.
func TestErasingABlockUnderItsOtherCodecDestroysNobodysContent(t *testing.T) {
	t.Parallel()
	d := start(t, "")
	s := d.store(t)
	content := noise(9, 3<<20)
	victim := put(t, s, content)
	twin := raw(t, victim)
	require.NotEqual(t, victim, twin)
	require.NoError(t, s.Pin(t.Context(), twin))
	require.ErrorIs(t, s.Erase(t.Context(), twin), blob.ErrShared)
	r, err := s.Get(t.Context(), victim, 0, -1)
	require.NoError(t, err)
	got, err := io.ReadAll(r)
	require.NoError(t, err)
	require.NoError(t, r.Close())
	require.Equal(t, content, got)

	tree := d.tree(t, victim)
	require.NoError(t, s.Erase(t.Context(), victim))
	d.requireGone(t, tree, "the owner's own erasure")
}
