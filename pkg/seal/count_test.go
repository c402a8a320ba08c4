// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package seal_test

import (
	"bytes"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/seal"
)

// miscounter is a source and a destination that counts what is not there.
type miscounter int

func (l miscounter) Read(p []byte) (int, error)  { return l.count(len(p)), nil }
func (l miscounter) Write(p []byte) (int, error) { return l.count(len(p)), nil }

func (l miscounter) count(n int) int {
	if l < 0 {
		return int(l)
	}
	return n + int(l)
}

func TestAnImpossibleCountIsAnErrorAndNoPanic(t *testing.T) {
	t.Parallel()
	key, id := newKey(t), newFileID(t)
	stored, plain := sealedAs(t, key, id, seal.Plain, content(1000))
	for _, l := range []miscounter{-1, 1, 1 << 20} {
		_, err := io.ReadAll(seal.NewReader(l, key, id, 1000))
		require.ErrorContains(t, err, "impossible count")
		_, err = io.ReadAll(seal.NewSealingReader(l, key, id))
		require.ErrorContains(t, err, "impossible count")
		_, err = io.ReadAll(seal.NewSealingReader(l, key, id, seal.Pad(1000)))
		require.ErrorContains(t, err, "impossible count")
		_, err = seal.NewReader(bytes.NewReader(stored), key, id, plain).WriteTo(l)
		require.ErrorContains(t, err, "impossible count")
	}
}
