// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package keystore

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"

	"github.com/emrys-health/emrys/pkg/atomicfile"
)

const (
	fileMode = 0o600
	dirMode  = 0o700

	// maxFileSize bounds a key file, in bytes; a real one has less than two thousand.
	maxFileSize = 64 << 10
)

// makeDir creates the directory when it is missing and refuses one that others may write to: they could replace the file.
func makeDir(dir string) error {
	if err := os.MkdirAll(dir, dirMode); err != nil {
		return fmt.Errorf("create key directory: %w", err)
	}
	return checkDir(dir)
}

func checkDir(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("look at key directory: %w", err)
	}
	if !info.IsDir() {
		return fmt.Errorf("%w: %s is not a directory", ErrInsecure, dir)
	}
	if hasModes() && info.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("%w: directory %s may be written by others (mode %04o); run: chmod 700 %s",
			ErrInsecure, dir, info.Mode().Perm(), dir)
	}
	return nil
}

// hasModes reports whether file modes say who may read a file.
func hasModes() bool { return runtime.GOOS != "windows" }

// exists reports whether anything, even a dangling link, has this path.
func exists(path string) (bool, error) {
	_, err := os.Lstat(path)
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	default:
		return false, fmt.Errorf("look for key file: %w", err)
	}
}

// readPrivate reads a key file. It refuses links, anything but a regular file, and a file that others may read or write.
// The checks are made on the opened file, so nothing can be swapped in between.
func readPrivate(path string) ([]byte, error) {
	named, err := os.Lstat(path)
	if err != nil {
		return nil, fmt.Errorf("look for key file: %w", err)
	}
	if !named.Mode().IsRegular() {
		return nil, fmt.Errorf("%w: %s is not a regular file", ErrInsecure, path)
	}
	f, err := os.Open(path) //nolint:gosec // the path is the caller's key directory; links are refused
	if err != nil {
		return nil, fmt.Errorf("open key file: %w", err)
	}
	defer func() { _ = f.Close() }() // read only: nothing can be lost
	opened, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("look at key file: %w", err)
	}
	if !os.SameFile(named, opened) {
		return nil, fmt.Errorf("%w: %s changed while it was opened", ErrInsecure, path)
	}
	if hasModes() && opened.Mode().Perm()&^fileMode != 0 {
		return nil, fmt.Errorf("%w: %s is open to others (mode %04o); run: chmod 600 %s",
			ErrInsecure, path, opened.Mode().Perm(), path)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxFileSize+1))
	if err != nil {
		return nil, fmt.Errorf("read key file: %w", err)
	}
	if len(b) > maxFileSize {
		return nil, fmt.Errorf("%w: %s is longer than %d bytes", ErrMalformed, path, maxFileSize)
	}
	return b, nil
}

// writePrivate writes a key file so that a crash leaves the old file or the new one and nothing between. Without replace
// an existing file is never overwritten, not even by two callers at once.
func writePrivate(path string, content []byte, replace bool) error {
	write := atomicfile.WriteNew
	if replace {
		write = atomicfile.Write
	}
	if err := write(path, content, fileMode); errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%w: %s", ErrExists, path)
	} else if err != nil {
		return fmt.Errorf("write key file: %w", err)
	}
	return nil
}
