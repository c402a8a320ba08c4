// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"strings"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// maxEpochs bounds how many epochs a re-key may skip.
const maxEpochs = 64

// RekeyRecord registers a version with the content of the one before under a new
// data key, capsule and content id, by the patient or by a clinician of the
// record's hospital, who asserts by the signature that the content is the same.
// From this transaction on the version before gives nothing to anybody, whatever
// grants and tickets there are, and its holders are ordered to destroy it. A hold
// denies it: the denial is committed.
func RekeyRecord(s State, raw []byte) (*ledgerapi.DecisionReceipt, error) {
	var m emr.Manifest
	st, err := open(s, raw, ledgerapi.RekeyRecord, &m)
	if err != nil {
		return nil, err
	}
	author, entry, err := st.rekeyer(s, &m)
	if err != nil {
		return nil, err
	}
	if err := checkManifest(&m); err != nil {
		return nil, err
	}
	if err := checkRekeyer(s, author, &m); err != nil {
		return nil, err
	}
	previous, err := checkRekeyed(s, author, &m)
	if err != nil {
		return nil, err
	}
	if err := checkSealed(s, author, &m); err != nil {
		return nil, err
	}
	record := newRecord(s, st, author, &m)
	record.Rekeys = true
	if err := checkUnused(s, record); err != nil {
		return nil, err
	}
	if err := checkSuccession(record, previous); err != nil { // what cannot be is refused, held or not
		return nil, err
	}
	record.Series = previous.Series
	entry.Ref = string(orderOfRekey(record.ID))
	holds, err := holdsOf(s, []*emr.Record{previous})
	if err != nil {
		return nil, err
	}
	if reason := denialOfHolds(holds); reason != "" {
		return st.denyRekey(s, previous, entry, reason)
	}
	if err := openSignOff(s, record, m.Signers); err != nil { // signatures are of the manifest, which is another one
		return nil, err
	}
	return st.rekey(s, record, previous, entry)
}

// rekeyer authenticates the author: the patient, or a clinician who may write.
func (st *statement) rekeyer(s Lookup, m *emr.Manifest) (*emr.Clinician, emr.AuditEntry, error) {
	if !st.fromPatient() {
		author, err := st.byActiveClinician(s)
		if err != nil {
			return nil, emr.AuditEntry{}, err
		}
		return author, byTheClinician(author, m.Patient, emr.AuditRekeyed, ""), nil
	}
	patient, err := st.byPatient(s, m.Patient)
	if err != nil {
		return nil, emr.AuditEntry{}, err
	}
	author := patientAsAuthor(patient, patient.Consent)
	author.KeyVersion = patient.KeyVersion
	return author, byThePatient(patient, emr.AuditRekeyed, ""), nil
}

// checkRekeyer checks that the author may write this record, which is new. The
// patient may whatever the patient's relationships are.
func checkRekeyer(s Lookup, author *emr.Clinician, m *emr.Manifest) error {
	if author.Role == emr.RolePatient {
		return checkNewRecord(s, m.Record)
	}
	return checkAuthor(s, author, m)
}

// checkRekeyed checks that a manifest is one of the same content: as far as the
// public part of the version before tells, which holds no plaintext and no hash of one.
func checkRekeyed(s Lookup, author *emr.Clinician, m *emr.Manifest) (*emr.Record, error) {
	if m.Previous == "" {
		return nil, emr.Invalid("previous", "must be the version that is re-keyed")
	}
	previous, err := recordOf(s, m.Previous)
	if err != nil {
		return nil, err
	}
	if previous.Patient != m.Patient {
		return nil, missing(ledgerapi.TypeRecord)
	}
	if author.Role == emr.RolePatient {
		author.Org = previous.Hospital // whose record it stays
	}
	if err := refuseClosed(previous); err != nil {
		return nil, err
	}
	switch {
	case previous.CipherSize != m.CipherSize:
		return nil, emr.Invalid("plainSize", "must be that of the version that is re-keyed")
	case previous.Restricted != (len(m.Labels) > 0):
		return nil, emr.Invalid("labels", "must be those of the version that is re-keyed")
	}
	return previous, checkSameScope(s, previous.Scope, m.Scope)
}

// checkSameScope checks that a scope is another or one of the epochs that followed it.
func checkSameScope(s Lookup, old, now emr.ScopeID) error {
	for range maxEpochs {
		if old == now {
			return nil
		}
		scope, err := require(s, ledgerapi.ScopeKey(old), versionOfScope)
		if err != nil {
			return err
		}
		if scope.Successor == "" {
			break
		}
		old = scope.Successor
	}
	return emr.Invalid("scope", "must be that of the version that is re-keyed, in the same or a later epoch")
}

// orderOfRekey names the order to destroy what a version has replaced, after the version.
func orderOfRekey(record emr.RecordID) emr.ErasureID {
	return emr.ErasureID(emr.ErasurePrefix + strings.TrimPrefix(string(record), emr.RecordPrefix))
}

func (st *statement) denyRekey(
	s State, previous *emr.Record, entry emr.AuditEntry, reason emr.Reason,
) (*ledgerapi.DecisionReceipt, error) {
	entry.Record, entry.Decision, entry.Reason = previous.ID, emr.Deny, reason
	if err := audit(s, entry); err != nil {
		return nil, err
	}
	told := ledgerapi.Event{ID: entry.Ref, Record: previous.ID, Hospital: previous.Hospital}
	if err := emit(s, ledgerapi.EventErasureDenied, told); err != nil {
		return nil, err
	}
	return &ledgerapi.DecisionReceipt{
		TxID: s.TxID(), At: s.Now(), ID: string(previous.ID), Decision: emr.Deny, Reason: reason,
	}, st.spend(s, string(previous.ID))
}

// rekey writes the new version, and the order about the one before.
func (st *statement) rekey(s State, record, previous *emr.Record, entry emr.AuditEntry) (*ledgerapi.DecisionReceipt, error) {
	if err := checkNewErasure(s, orderOfRekey(record.ID)); err != nil {
		return nil, err
	}
	order := &emr.Erasure{
		V: emr.DocumentVersion, ID: orderOfRekey(record.ID), Kind: emr.OrderRekey, Patient: record.Patient, Record: previous.ID,
		Series: record.Series, Hospital: record.Hospital, Ground: emr.EraseRekeyed, By: entry.Actor, Org: entry.Org,
		Action: st.digest, Successor: record.ID, Ordered: s.Now(),
	}
	var err error
	if order.Holders, err = holdersOf(s, []*emr.Record{previous}, nil); err != nil {
		return nil, err
	}
	previous.SupersededBy = record.ID
	if err := closePart(s, order, []*emr.Record{previous}, emr.RecordRekeyed); err != nil {
		return nil, err
	}
	if err := putOrder(s, order); err != nil {
		return nil, err
	}
	if err := st.putRecord(s, record, order.ID); err != nil {
		return nil, err
	}
	entry.Decision, entry.Reason = emr.Permit, emr.ReasonRekeyed
	if err := auditEach(s, []emr.RecordID{previous.ID, record.ID}, entry); err != nil {
		return nil, err
	}
	return &ledgerapi.DecisionReceipt{
		TxID: s.TxID(), At: s.Now(), ID: string(record.ID), Decision: emr.Permit, Reason: emr.ReasonRekeyed,
	}, st.spend(s, string(record.ID))
}
