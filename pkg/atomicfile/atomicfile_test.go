// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package atomicfile_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/atomicfile"
)

func TestWriteMakesTheFileWithItsModeAndNothingElse(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "a", "b")
	file := filepath.Join(dir, "f")
	require.NoError(t, atomicfile.Write(file, []byte("one"), 0o600))
	require.NoError(t, atomicfile.Write(file, []byte("two"), 0o644))
	raw, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, "two", string(raw))
	info, err := os.Stat(file)
	require.NoError(t, err)
	require.EqualValues(t, 0o644, info.Mode().Perm())
	parent, err := os.Stat(dir)
	require.NoError(t, err)
	require.EqualValues(t, 0o700, parent.Mode().Perm())
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1, "no temporary file stays")
}

func TestAFailedWriteLeavesTheOldFileAndNoRemains(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	target := filepath.Join(dir, "target")
	require.NoError(t, os.MkdirAll(filepath.Join(target, "child"), 0o700)) // rename onto it must fail
	require.Error(t, atomicfile.Write(target, []byte("x"), 0o600))
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1)
}

func TestUpdateTouchesOnlyWhatDiffers(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "f")
	changed, err := atomicfile.Update(file, []byte("one"), 0o600)
	require.NoError(t, err)
	require.True(t, changed)
	past := time.Unix(1, 0)
	require.NoError(t, os.Chtimes(file, past, past))
	changed, err = atomicfile.Update(file, []byte("one"), 0o600)
	require.NoError(t, err)
	require.False(t, changed)
	info, err := os.Stat(file)
	require.NoError(t, err)
	require.True(t, info.ModTime().Equal(past))
	changed, err = atomicfile.Update(file, []byte("two"), 0o600)
	require.NoError(t, err)
	require.True(t, changed)
}

func TestWriteDirMakesAllOfADirectoryOverTheRemainsOfAnother(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "msp")
	require.NoError(t, atomicfile.Write(filepath.Join(dir+".part", "stale"), []byte("x"), 0o600))
	require.NoError(t, atomicfile.WriteDir(dir, []atomicfile.File{
		{Name: "signcerts/cert.pem", Data: []byte("cert"), Mode: 0o644},
		{Name: "keystore/key", Data: []byte("key"), Mode: 0o600},
	}))
	raw, err := os.ReadFile(filepath.Join(dir, "signcerts", "cert.pem"))
	require.NoError(t, err)
	require.Equal(t, "cert", string(raw))
	require.NoFileExists(t, filepath.Join(dir, "stale"))
	require.NoDirExists(t, dir+".part")
}

func TestWriteDirLeavesAnExistingDirectoryAlone(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "msp")
	first := []atomicfile.File{{Name: "f", Data: []byte("first"), Mode: 0o600}}
	require.NoError(t, atomicfile.WriteDir(dir, first))
	require.Error(t, atomicfile.WriteDir(dir, []atomicfile.File{{Name: "g", Data: []byte("second"), Mode: 0o600}}))
	raw, err := os.ReadFile(filepath.Join(dir, "f"))
	require.NoError(t, err)
	require.Equal(t, "first", string(raw))
}

func TestANewFileReplacesNothing(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "f")
	require.NoError(t, atomicfile.WriteNew(file, []byte("first"), 0o600))
	require.ErrorIs(t, atomicfile.WriteNew(file, []byte("second"), 0o600), fs.ErrExist)
	raw, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, "first", string(raw))
	entries, err := os.ReadDir(filepath.Dir(file))
	require.NoError(t, err)
	require.Len(t, entries, 1, "no draft stays")
}

func TestADraftShowsNothingBeforeItsCommitAndLeavesNothingWhenDiscarded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "f")
	draft, err := atomicfile.Create(file)
	require.NoError(t, err)
	info, err := draft.File.Stat()
	require.NoError(t, err)
	require.EqualValues(t, 0o600, info.Mode().Perm())
	_, err = draft.File.WriteString("whole")
	require.NoError(t, err)
	require.NoFileExists(t, file)
	draft.Discard()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, entries)
	require.Error(t, draft.Commit(), "what was discarded is not committed")

	draft, err = atomicfile.Create(file)
	require.NoError(t, err)
	_, err = draft.File.WriteString("whole")
	require.NoError(t, err)
	require.NoError(t, draft.Commit())
	draft.Discard()
	raw, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, "whole", string(raw))

	_, err = atomicfile.Create(filepath.Join(dir, "absent", "f"))
	require.ErrorIs(t, err, fs.ErrNotExist)
}
