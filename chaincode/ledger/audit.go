// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// audit writes an entry into the patient's trail and, when it concerns a record,
// into the record's. Time and transaction are those of the transaction, never an
// argument's. The keys end in the transaction's id: nothing is read, so that
// entries never conflict and never replace one another.
func audit(s State, entry emr.AuditEntry) error {
	entry.V, entry.TxID, entry.At = emr.DocumentVersion, s.TxID(), s.Now()
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
	for _, record := range records {
		entry.Record = record
		if err := audit(s, entry); err != nil {
			return err
		}
	}
	return nil
}

// byThePatient begins an entry about something that the patient did.
func byThePatient(patient *emr.Patient, kind emr.AuditKind, ref string) emr.AuditEntry {
	return emr.AuditEntry{Kind: kind, Patient: patient.Handle, Actor: emr.ActorPatient, Org: patient.Home, Ref: ref}
}

// byTheClinician begins an entry about something that a clinician did.
func byTheClinician(clinician *emr.Clinician, patient emr.Handle, kind emr.AuditKind, ref string) emr.AuditEntry {
	return emr.AuditEntry{Kind: kind, Patient: patient, Actor: string(clinician.ID), Org: clinician.Org, Ref: ref}
}
