// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package runner

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/emrys-health/emrys/pkg/atomicfile"
)

// record identifies a process beyond its number, which the system reuses:
// with the same number but another start, it is not ours and is left alone.
type record struct {
	PID   int    `json:"pid"`
	Start string `json:"start"`
}

func newRecord(pid int) (record, error) {
	start, err := startTime(pid)
	if err != nil {
		return record{}, err
	}
	return record{PID: pid, Start: start}, nil
}

// alive reports whether the very process that was recorded still runs.
func (r record) alive() bool {
	if r.PID <= 1 {
		return false
	}
	start, err := startTime(r.PID)
	return err == nil && start == r.Start
}

func (r record) save(file string) error {
	raw, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encode process record: %w", err)
	}
	return atomicfile.Write(file, raw, 0o600)
}

func loadRecord(file string) (record, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return record{}, err
	}
	var r record
	if err := json.Unmarshal(raw, &r); err != nil {
		return record{}, fmt.Errorf("read process record %s: %w", file, err)
	}
	return r, nil
}

// terminate ends the recorded process's group: politely, then not. It does
// nothing when the process is gone or its number belongs to another.
func (r record) terminate(grace time.Duration) {
	if !r.alive() {
		return
	}
	_ = syscall.Kill(-r.PID, syscall.SIGTERM)
	for deadline := time.Now().Add(grace); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if !r.alive() {
			return
		}
	}
	if r.alive() {
		_ = syscall.Kill(-r.PID, syscall.SIGKILL)
	}
}

// EndOrphans ends what a supervisor that is gone (killed, or the machine ran
// out of memory) left running, and returns the names. It must not be called
// while a supervisor holds the lock.
func EndOrphans(dirs Dirs, grace time.Duration) ([]string, error) {
	files, err := filepath.Glob(dirs.processRecord("*"))
	if err != nil {
		return nil, fmt.Errorf("list process records: %w", err)
	}
	var ended []string
	for _, file := range files {
		r, err := loadRecord(file)
		if err == nil && r.alive() {
			r.terminate(grace)
			name := filepath.Base(file)
			ended = append(ended, name[:len(name)-len(filepath.Ext(name))])
		}
		if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return ended, fmt.Errorf("remove process record: %w", err)
		}
	}
	return ended, nil
}
