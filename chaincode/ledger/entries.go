// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"bytes"
	"fmt"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// An entry about a patient is stored once, in the patient's trail. Everywhere else
// that it stands, the value is the patient's handle: the entry has the same moment
// and id there. So no two places can tell different things of one act, and a
// reading costs every peer a third less. Entries about nobody, which are few, are
// stored whole wherever they stand.

// entriesOf is the query of an owner's entries in one of the indexes of the audit trail.
func entriesOf(typ, owner string, limit int, bookmark string) query {
	q := byOwner(typ, owner, limit, bookmark)
	q.follow = true
	return q
}

// valueAt is what is stored of an entry at a place; whole is the entry itself.
func valueAt(at place, entry *emr.AuditEntry, whole []byte) []byte {
	if entry.Patient == "" || at.typ == ledgerapi.TypeAuditByPatient {
		return whole
	}
	return []byte(entry.Patient)
}

// whereIs returns the key of the entry of which a value at a key of an index is, and
// false when the value is the entry itself.
func whereIs(key *ledgerapi.Key, value []byte) (ledgerapi.Key, bool) {
	if !bytes.HasPrefix(value, []byte(emr.HandlePrefix)) {
		return ledgerapi.Key{}, false
	}
	tail := key.Attributes[len(key.Attributes)-indexTail:]
	return ledgerapi.Key{Type: ledgerapi.TypeAuditByPatient, Attributes: []string{string(value), tail[0], tail[1]}}, true
}

// follow puts the entries themselves in the place of the handles that lead to them,
// and reads them in one step.
func follow(s Lookup, entries []Entry) error {
	var keys []ledgerapi.Key
	var at []int
	for i := range entries {
		if key, elsewhere := whereIs(&entries[i].Key, entries[i].Value); elsewhere {
			keys, at = append(keys, key), append(at, i)
		}
	}
	if len(keys) == 0 {
		return nil
	}
	values, err := s.GetAll(keys)
	if err != nil {
		return fmt.Errorf("ledger: read entries: %w", err)
	}
	for i, value := range values {
		if value == nil {
			return emr.E(emr.CodeCorrupt, "an audit entry is missing from this peer's ledger")
		}
		entries[at[i]].Value = value
	}
	return nil
}
