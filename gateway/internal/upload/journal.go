// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package upload

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/emrys-health/emrys/pkg/api"
	"github.com/emrys-health/emrys/pkg/atomicfile"
	"github.com/emrys-health/emrys/pkg/emr"
)

const entryVersion = 1

// entry is one upload in the journal.
type entry struct {
	V       int        `json:"v"`
	ID      string     `json:"id"`
	Owner   string     `json:"owner"`
	CID     string     `json:"cid"` // empty until all of the content has arrived
	Digest  emr.Digest `json:"digest"`
	Size    uint64     `json:"size"`
	Expires emr.Time   `json:"expires"`
	// Shared: the content was pinned for something else already, so it is never unpinned here.
	Shared bool `json:"shared"`
	// Action is the action that registers the record, zero when there is none;
	// it cannot be ordered long after ActionExpires.
	Action        emr.Digest `json:"action"`
	ActionExpires emr.Time   `json:"actionExpires"`

	receiving bool // its content is on the way
	closed    bool // being discarded
}

func (e *entry) claimed() bool { return !e.Action.IsZero() }

func (e *entry) api() api.Upload {
	return api.Upload{ID: e.ID, CID: e.CID, Digest: e.Digest, Size: e.Size, Expires: e.Expires}
}

// journal is a directory with one file per upload, each replaced as a whole.
type journal struct{ dir string }

const journalSuffix = ".json"

func (j journal) path(id string) string { return filepath.Join(j.dir, id+journalSuffix) }

func (j journal) load() (map[string]*entry, error) {
	if err := os.MkdirAll(j.dir, atomicfile.DirMode); err != nil {
		return nil, fmt.Errorf("make upload journal: %w", err)
	}
	files, err := os.ReadDir(j.dir)
	if err != nil {
		return nil, fmt.Errorf("read upload journal: %w", err)
	}
	entries := make(map[string]*entry, len(files))
	for _, f := range files {
		if !strings.HasPrefix(f.Name(), uploadPrefix) || !strings.HasSuffix(f.Name(), journalSuffix) {
			continue // a temporary file of an interrupted write
		}
		e, err := j.read(strings.TrimSuffix(f.Name(), journalSuffix))
		if err != nil {
			return nil, err
		}
		entries[e.ID] = e
	}
	return entries, nil
}

func (j journal) read(id string) (*entry, error) {
	text, err := os.ReadFile(j.path(id))
	if err != nil {
		return nil, fmt.Errorf("read upload journal: %w", err)
	}
	e := new(entry)
	if err := emr.Decode(text, e); err != nil {
		return nil, fmt.Errorf("read upload journal: %w", err)
	}
	if e.V != entryVersion || e.ID != id {
		return nil, errors.New("read upload journal: not an entry of this version")
	}
	return e, nil
}

func (j journal) write(e *entry) error {
	text, err := emr.Canonical(e)
	if err != nil {
		return err
	}
	if err := atomicfile.Write(j.path(e.ID), text, 0o600); err != nil {
		return fmt.Errorf("write upload journal: %w", err)
	}
	return nil
}

func (j journal) remove(id string) error {
	if err := os.Remove(j.path(id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove from upload journal: %w", err)
	}
	return nil
}
