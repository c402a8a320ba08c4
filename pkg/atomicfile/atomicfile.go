// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

// Package atomicfile writes files so that a reader, or a run after a crash,
// finds the whole of the old content or the whole of the new, never a part.
package atomicfile

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
)

// DirMode is the mode of the directories that Write makes: their owner's only.
const DirMode = 0o700

// Draft is a file under construction beside its final place, of which a reader
// sees nothing before Commit. Not safe for concurrent use, but its File may be
// synced while it is written.
type Draft struct {
	// File is open for writing, mode 0600.
	File *os.File
	path string
}

// Create begins a draft of path. The directory must exist. Discard must be called
// in any case; after a commit it does nothing.
func Create(path string) (*Draft, error) {
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*.part")
	if err != nil {
		return nil, fmt.Errorf("make temporary file: %w", err)
	}
	return &Draft{File: file, path: path}, nil
}

// Commit puts the draft at its place, whatever is there, and returns when both
// content and name are on the disk.
func (d *Draft) Commit() error { return d.commit(os.Rename) }

// CommitNew is Commit for a path at which nothing may be yet: of two that commit
// at once one fails, with an error that is fs.ErrExist.
func (d *Draft) CommitNew() error { return d.commit(os.Link) }

func (d *Draft) commit(move func(from, to string) error) error {
	defer d.Discard()
	if err := errors.Join(d.File.Sync(), d.File.Close()); err != nil {
		return fmt.Errorf("write %s: %w", d.path, err)
	}
	if err := move(d.File.Name(), d.path); err != nil {
		return fmt.Errorf("put %s in place: %w", d.path, err)
	}
	return SyncDir(filepath.Dir(d.path))
}

// Discard removes what no commit has moved.
func (d *Draft) Discard() {
	_ = d.File.Close()
	_ = os.Remove(d.File.Name())
}

// Write replaces path with data. Missing directories are made for the owner only.
func Write(path string, data []byte, mode fs.FileMode) error {
	return write(path, data, mode, (*Draft).Commit)
}

// WriteNew is Write for a path at which nothing may be yet: otherwise the error is fs.ErrExist.
func WriteNew(path string, data []byte, mode fs.FileMode) error {
	return write(path, data, mode, (*Draft).CommitNew)
}

func write(path string, data []byte, mode fs.FileMode, commit func(*Draft) error) error {
	if err := os.MkdirAll(filepath.Dir(path), DirMode); err != nil {
		return fmt.Errorf("make directory: %w", err)
	}
	draft, err := Create(path)
	if err != nil {
		return err
	}
	defer draft.Discard()
	if err := draft.File.Chmod(mode); err != nil {
		return fmt.Errorf("set mode of %s: %w", path, err)
	}
	if _, err := draft.File.Write(data); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return commit(draft)
}

// SyncDir returns when the names in a directory are on the disk. Where a
// directory cannot be synced (Windows, some network file systems) it does nothing.
func SyncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("open directory: %w", err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, syscall.EINVAL) {
		return fmt.Errorf("sync directory: %w", err)
	}
	return nil
}

// File is one file of a directory.
type File struct {
	Name string // relative to the directory, slashes between the parts
	Data []byte
	Mode fs.FileMode
}

// WriteDir makes a directory with files, all of them or none. The directory
// must not exist. For directories whose readers take every file they find,
// where the remains of an interrupted [Write] would do harm.
func WriteDir(dir string, files []File) error {
	part := dir + ".part"
	if err := os.RemoveAll(part); err != nil {
		return fmt.Errorf("remove remains of an interrupted run: %w", err)
	}
	for _, f := range files {
		if err := Write(filepath.Join(part, filepath.FromSlash(f.Name)), f.Data, f.Mode); err != nil {
			return err
		}
	}
	if err := os.Rename(part, dir); err != nil {
		return fmt.Errorf("put %s in place: %w", dir, err)
	}
	return nil
}

// Update writes data to path unless the file already holds exactly that, and
// reports whether it wrote. It keeps an idempotent run from touching anything.
func Update(path string, data []byte, mode fs.FileMode) (changed bool, err error) {
	present, err := os.ReadFile(path)
	if err == nil && bytes.Equal(present, data) {
		return false, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, fmt.Errorf("read %s: %w", path, err)
	}
	return true, Write(path, data, mode)
}

// Exists reports whether path is there. An error other than absence counts as
// there, so that the caller meets it when it reads.
func Exists(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, fs.ErrNotExist)
}
