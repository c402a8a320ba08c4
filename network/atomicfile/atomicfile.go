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
)

const dirMode = 0o700

// Write replaces path with data. Missing directories are made for the owner only.
func Write(path string, data []byte, mode fs.FileMode) (err error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, dirMode); err != nil {
		return fmt.Errorf("make directory: %w", err)
	}
	temp, err := os.CreateTemp(dir, "."+filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("make temporary file: %w", err)
	}
	defer func() {
		if err != nil {
			_ = temp.Close()
			_ = os.Remove(temp.Name())
		}
	}()
	if err := temp.Chmod(mode); err != nil {
		return fmt.Errorf("set mode of %s: %w", path, err)
	}
	if _, err := temp.Write(data); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := temp.Sync(); err != nil {
		return fmt.Errorf("sync %s: %w", path, err)
	}
	if err := temp.Close(); err != nil {
		return fmt.Errorf("close %s: %w", path, err)
	}
	if err := os.Rename(temp.Name(), path); err != nil {
		return fmt.Errorf("put %s in place: %w", path, err)
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
