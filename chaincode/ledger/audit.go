// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// audit writes an entry into the patient's trail. A transaction calls audit or
// auditEach once: a second call would not see the head that the first one wrote.
func audit(s State, entry emr.AuditEntry) error { return auditAll(s, []emr.AuditEntry{entry}) }

// auditAll writes entries of one kind about one patient. Time and transaction are
// those of the transaction, never an argument's. Entries of chained kinds continue
// the patient's chain; for the others nothing is read, so that they never conflict.
func auditAll(s State, entries []emr.AuditEntry) error {
	for i := range entries {
		entries[i].V, entries[i].TxID, entries[i].At = emr.DocumentVersion, s.TxID(), s.Now()
	}
	if entries[0].Kind.Chained() {
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

// putEntry writes an entry into the patient's trail and, when it concerns a
// record, into the record's. The keys end in what names the entry, so that none
// replaces another.
func putEntry(s State, entry *emr.AuditEntry) error {
	// One transaction may write one entry for each of several records, or disclosures.
	id := entry.TxID + string(entry.Record) + entry.Ref
	key := ledgerapi.Index(ledgerapi.TypeAuditByPatient, string(entry.Patient), entry.At, s.Nanos(), id)
	if err := put(s, key, entry); err != nil {
		return err
	}
	if entry.Record == "" {
		return nil
	}
	return put(s, ledgerapi.Index(ledgerapi.TypeAuditByRecord, string(entry.Record), entry.At, s.Nanos(), entry.TxID+entry.Ref), entry)
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
