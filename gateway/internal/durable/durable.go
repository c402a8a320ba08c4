// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

// Package durable writes small files so that a crash leaves the whole of the old
// content or the whole of the new.
package durable

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// DirMode is the mode of directories that hold state.
const DirMode = 0o700

// Write replaces the file at path with data, mode 0600, and returns when both the
// content and the name are on the disk. The directory must exist.
func Write(path string, data []byte) (err error) {
	dir := filepath.Dir(path)
	temp, err := os.CreateTemp(dir, ".tmp-*")
	if err != nil {
		return fmt.Errorf("make temporary file: %w", err)
	}
	defer func() {
		if err != nil {
			_ = temp.Close()
			_ = os.Remove(temp.Name())
		}
	}()
	if _, err := temp.Write(data); err != nil {
		return fmt.Errorf("write temporary file: %w", err)
	}
	if err := errors.Join(temp.Sync(), temp.Close()); err != nil {
		return fmt.Errorf("finish temporary file: %w", err)
	}
	if err := os.Rename(temp.Name(), path); err != nil {
		return fmt.Errorf("put file in place: %w", err)
	}
	return syncDir(dir)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("open directory: %w", err)
	}
	return errors.Join(d.Sync(), d.Close())
}
