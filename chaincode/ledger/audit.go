// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"fmt"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// audit writes an entry into the patient's trail. A transaction calls audit or
// auditEach once: a second call would not see the head that the first one wrote.
func audit(s State, entry emr.AuditEntry) error { return auditAll(s, []emr.AuditEntry{entry}) }

// auditAll writes entries of one kind and decision about one patient. Time and
// transaction are those of the transaction, never an argument's. Chained entries
// continue the patient's chain; for the others nothing is read, so that they never conflict.
func auditAll(s State, entries []emr.AuditEntry) error {
	for i := range entries {
		entries[i].V, entries[i].TxID, entries[i].At = emr.DocumentVersion, s.TxID(), s.Now()
	}
	if entries[0].Chained() {
		if err := chain(s, entries); err != nil {
			return err
		}
	}
	for i := range entries {
		if err := putEntry(s, &entries[i]); err != nil {
			return err
		}
	}
	return nil
}

// chain numbers the entries and links each to the one before it. The head is read
// and written: of two transactions that continue one patient's chain at once the
// second is invalid and must be endorsed anew.
func chain(s State, entries []emr.AuditEntry) error {
	head, err := headOf(s, entries[0].Patient)
	if err != nil {
		return err
	}
	for i := range entries {
		entries[i].Sequence, entries[i].Previous = head.Sequence+1, head.Hash
		hash, err := entries[i].Hash()
		if err != nil {
			return err
		}
		head.Sequence, head.Hash, head.TxID, head.At = entries[i].Sequence, hash, s.TxID(), s.Now()
	}
	return put(s, ledgerapi.AuditHeadKey(head.Patient), head)
}

// headOf returns the end of a patient's chain; an empty one when there is none yet.
func headOf(s Lookup, patient emr.Handle) (*emr.AuditHead, error) {
	head, err := find(s, ledgerapi.AuditHeadKey(patient), versionOfHead)
	if err == nil && head == nil {
		head = &emr.AuditHead{V: emr.DocumentVersion, Patient: patient}
	}
	return head, err
}

// place is where an entry stands in an index.
type place struct{ typ, owner string }

// placesOf lists where every entry stands: in the trail of the patient and of the
// record that it concerns, and under who acted and under the organisation that
// vouches for the actor.
func placesOf(entry *emr.AuditEntry) []place {
	places := []place{{ledgerapi.TypeAuditByOrg, string(entry.Org)}}
	if actor := actorOf(entry); actor != "" {
		places = append(places, place{ledgerapi.TypeAuditByActor, actor})
	}
	if entry.Patient != "" {
		places = append(places, place{ledgerapi.TypeAuditByPatient, string(entry.Patient)})
	}
	if entry.Record != "" {
		places = append(places, place{ledgerapi.TypeAuditByRecord, string(entry.Record)})
	}
	return places
}

// actorOf returns who is named as acting: the patient by the handle, and nobody for
// an administrator or a gateway, whom the ledger does not know by name.
func actorOf(entry *emr.AuditEntry) string {
	switch entry.Actor {
	case emr.ActorPatient:
		return string(entry.Patient)
	case emr.ActorAdmin, emr.ActorGateway:
		return ""
	default:
		return entry.Actor
	}
}

// putEntry writes an entry wherever every entry stands, and at further places. What
// names the entry ends its keys, so that none replaces another; nothing is read, so
// that none waits for another.
func putEntry(s State, entry *emr.AuditEntry, further ...place) error {
	b, err := emr.Canonical(entry)
	if err != nil {
		return err
	}
	// One transaction may write one entry for each of several records, or disclosures.
	id := ledgerapi.EntryID(entry.TxID, entry.Record, entry.Ref)
	for _, at := range append(placesOf(entry), further...) {
		if err := s.Put(ledgerapi.Index(at.typ, at.owner, entry.At, s.Nanos(), id), valueAt(at, entry, b)); err != nil {
			return fmt.Errorf("ledger: write %s: %w", at.typ, err)
		}
	}
	return nil
}

// auditEach writes the entry once for each record, or once without a record when there are none.
func auditEach(s State, records []emr.RecordID, entry emr.AuditEntry) error {
	if len(records) == 0 {
		return audit(s, entry)
	}
	entries := make([]emr.AuditEntry, len(records))
	for i, record := range records {
		entries[i] = entry
		entries[i].Record = record
	}
	return auditAll(s, entries)
}

// byThePatient begins an entry about something that the patient did.
func byThePatient(patient *emr.Patient, kind emr.AuditKind, ref string) emr.AuditEntry {
	return emr.AuditEntry{Kind: kind, Patient: patient.Handle, Actor: emr.ActorPatient, Org: patient.Home, Ref: ref}
}

// byTheClinician begins an entry about something that a clinician did.
func byTheClinician(clinician *emr.Clinician, patient emr.Handle, kind emr.AuditKind, ref string) emr.AuditEntry {
	return emr.AuditEntry{Kind: kind, Patient: patient, Actor: string(clinician.ID), Org: clinician.Org, Ref: ref}
}
