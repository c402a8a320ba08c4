// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestTheCommittedFilesAreWhatTheGeneratorWrites keeps both from drifting apart: a vector that was edited by hand, a case that
// was added and not written, or a generator whose formulas changed.
func TestTheCommittedFilesAreWhatTheGeneratorWrites(t *testing.T) {
	t.Parallel()
	root := filepath.Join("..", "..", "..")
	for committed, generate := range map[string]func(string) error{
		filepath.Join(root, "docs", "spec", "vectors"):        writeAll,
		filepath.Join(root, "pkg", "pre", "testdata", "fuzz"): writeCorpus,
	} {
		dir := t.TempDir()
		require.NoError(t, generate(dir))
		n := 0
		require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			n++
			relative, err := filepath.Rel(dir, path)
			require.NoError(t, err)
			want, err := os.ReadFile(filepath.Join(committed, relative))
			require.NoError(t, err)
			got, err := os.ReadFile(path)
			require.NoError(t, err)
			require.True(t, string(want) == string(got), "%s differs: run go run ./pkg/vectors/generate, and with corpus", relative)
			return nil
		}))
		require.Greater(t, n, 10)
	}
}
