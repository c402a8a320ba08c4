// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"crypto/sha256"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
	"github.com/emrys-health/emrys/pkg/manifest"
)

// RegisterRecord registers one version of a record. The author's manifest goes to
// private data as signed; the public record names it by its digest. The capsule's
// proof is verified, so that a capsule copied from another record, patient or
// scope cannot be registered.
func RegisterRecord(s State, raw []byte) (*ledgerapi.Receipt, error) {
	var m emr.Manifest
	st, err := open(s, raw, ledgerapi.RegisterRecord, &m)
	if err != nil {
		return nil, err
	}
	author, err := st.byActiveClinician(s)
	if err != nil {
		return nil, err
	}
	if err := checkManifest(&m); err != nil {
		return nil, err
	}
	if err := checkAuthor(s, author, &m); err != nil {
		return nil, err
	}
	if err := checkSealed(s, author, &m); err != nil {
		return nil, err
	}
	record := newRecord(s, st, author, &m)
	if err := checkUnused(s, record); err != nil {
		return nil, err
	}
	previous, err := supersede(s, record)
	if err != nil {
		return nil, err
	}
	if previous != nil {
		if err := put(s, ledgerapi.RecordKey(previous.ID), previous); err != nil {
			return nil, err
		}
	}
	if err := openSignOff(s, record, m.Signers); err != nil {
		return nil, err
	}
	if err := st.putRecord(s, record, ""); err != nil {
		return nil, err
	}
	entry := byTheClinician(author, m.Patient, emr.AuditRecord, string(m.Record))
	entry.Record = m.Record
	if err := audit(s, entry); err != nil {
		return nil, err
	}
	return receipt(s, string(m.Record)), st.spend(s, string(m.Record))
}

// checkAuthor checks that the author may write this class for this patient, and that the record is new.
func checkAuthor(s Lookup, author *emr.Clinician, m *emr.Manifest) error {
	if !author.Role.MayWrite() {
		return emr.Refused(emr.ReasonRole, "the role does not allow to register records")
	}
	if !author.Level.Covers(m.Level) {
		return emr.Refused(emr.ReasonLevel, "the author's level is below that of the record's class")
	}
	if _, err := requirePatient(s, m.Patient); err != nil {
		return err
	}
	if err := requireAccepted(s, m.Patient, author.Org); err != nil {
		return err
	}
	return checkNewRecord(s, m.Record)
}

func checkNewRecord(s Lookup, id emr.RecordID) error {
	existing, err := s.Get(ledgerapi.RecordKey(id))
	if err != nil {
		return err
	}
	if existing != nil {
		return emr.E(emr.CodeExists, "record is already registered")
	}
	return nil
}

// checkSealed checks scope, capsule and envelope against one another and the roster.
func checkSealed(s Lookup, author *emr.Clinician, m *emr.Manifest) error {
	scope, err := scopeOf(s, m.Patient, m.Scope, m.Epoch)
	if err != nil {
		return err
	}
	if !scope.Level.Covers(m.Level) {
		return &emr.Error{
			Code: emr.CodeRule, Reason: emr.ReasonLevel, Field: "scope", Message: "the scope's level is below that of the record's class",
		}
	}
	members, err := roster(s)
	if err != nil {
		return err
	}
	if err := checkEnvelope(m, members); err != nil {
		return err
	}
	return manifest.VerifyCapsule(s.Channel(), m, author, scope)
}

// scopeOf returns the patient's scope in the epoch named, which is not over. Another patient's scope is not found.
func scopeOf(s Lookup, patient emr.Handle, id emr.ScopeID, epoch uint32) (*emr.Scope, error) {
	scope, err := require(s, ledgerapi.ScopeKey(id), versionOfScope)
	if err != nil {
		return nil, err
	}
	if scope.Patient != patient {
		return nil, missing(ledgerapi.TypeScope)
	}
	if scope.Epoch != epoch {
		return nil, &emr.Error{Code: emr.CodeStale, Field: "epoch", Message: "scope is in another epoch"}
	}
	if scope.Ended != 0 {
		return nil, &emr.Error{
			Code: emr.CodeStale, Reason: emr.ReasonScopeEnded, Field: "scope", Message: emr.ReasonScopeEnded.Explain(),
		}
	}
	return scope, nil
}

func newRecord(s Lookup, st *statement, author *emr.Clinician, m *emr.Manifest) *emr.Record {
	return &emr.Record{
		V: emr.DocumentVersion, ID: m.Record, Patient: m.Patient, Scope: m.Scope, Class: m.Class, Level: m.Level,
		Author: author.ID, Hospital: author.Org, CID: m.CID, Digest: m.Digest, CipherSize: m.CipherSize,
		Manifest: st.digest, Series: m.Record, Version: m.Version, Previous: m.Previous, Registered: s.Now(),
		Restricted: len(m.Labels) > 0,
		AuthorKeys: author.KeyVersion, Capsule: sha256.Sum256(m.Capsule),
	}
}

// supersede puts a record at the end of its version chain, and returns the version
// before it as it is to be written. A first version begins a chain and has none.
func supersede(s Lookup, record *emr.Record) (*emr.Record, error) {
	if record.Previous == "" {
		if record.Version != 1 {
			return nil, emr.Invalid("version", "must be 1 for a record without a previous version")
		}
		return nil, nil
	}
	previous, err := recordOf(s, record.Previous)
	if err != nil {
		return nil, err
	}
	if err := checkSuccession(record, previous); err != nil {
		return nil, err
	}
	record.Series = previous.Series
	previous.SupersededBy = record.ID
	return previous, nil
}

// checkSuccession checks that a record may follow a version.
func checkSuccession(record, previous *emr.Record) error {
	switch {
	case previous.Patient != record.Patient:
		return missing(ledgerapi.TypeRecord)
	case previous.Hospital != record.Hospital:
		return emr.E(emr.CodeForbidden, "the previous version is another hospital's")
	case previous.Status == emr.RecordErased:
		return &emr.Error{Code: emr.CodeGone, Reason: emr.ReasonErased, Field: "previous", Message: emr.ReasonErased.Explain()}
	case previous.Class != record.Class:
		return emr.Invalid("class", "must be that of the previous version")
	case previous.Restricted && !record.Restricted:
		return &emr.Error{Code: emr.CodeRule, Field: "labels", Message: "a new version of a restricted record must hold a label too"}
	case previous.SupersededBy != "":
		return &emr.Error{
			Code: emr.CodeStale, Reason: emr.ReasonSuperseded, Field: "previous", Message: emr.ReasonSuperseded.Explain(),
		}
	case record.Version != previous.Version+1:
		return emr.Invalid("version", "must follow that of the previous version")
	case record.Version > ledgerapi.MaxSeriesVersions:
		return emr.Invalid("version", "a record has at most 1024 versions; register a new record")
	default:
		return nil
	}
}

// putRecord writes a new version. order is the order to destroy the version that it replaces; empty when there is none.
func (st *statement) putRecord(s State, record *emr.Record, order emr.ErasureID) error {
	if err := put(s, ledgerapi.RecordKey(record.ID), record); err != nil {
		return err
	}
	key := ledgerapi.Index(ledgerapi.TypeRecordByPatient, string(record.Patient), s.Now(), s.Nanos(), string(record.ID))
	if err := putID(s, key, string(record.ID)); err != nil {
		return err
	}
	if err := st.putSigned(s, ledgerapi.ManifestKey(record.ID)); err != nil {
		return err
	}
	if err := markUsed(s, record); err != nil {
		return err
	}
	return emit(s, ledgerapi.EventRecordRegistered, ledgerapi.Event{
		ID: string(record.ID), Record: record.ID, Hospital: record.Hospital, CID: record.CID, Erasure: order,
	})
}
