// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package upload

import "context"

// Forget drops every upload of a content that is to be destroyed: no record can
// ever name it again. The pin is the caller's to remove.
func (s *Store) Forget(_ context.Context, cid string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, e := range s.entries {
		if cid == "" || e.CID != cid {
			continue
		}
		e.closed = true
		if err := s.journal.remove(id); err != nil {
			return err
		}
		delete(s.entries, id)
	}
	return nil
}

// Staged tells whether an upload of a content waits for its record.
func (s *Store) Staged(cid string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.entries {
		if e.CID == cid {
			return true
		}
	}
	return false
}
