// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// recordOf returns a version as it stands. One transaction closes the first
// versions of a record that is erased, and all of them in most cases; a later
// version that no transaction has reached yet is erased all the same.
func recordOf(s Lookup, id emr.RecordID) (*emr.Record, error) {
	record, err := require(s, ledgerapi.RecordKey(id), versionOfRecord)
	if err != nil || record.Status == emr.RecordErased || record.Version <= ledgerapi.MaxErasedVersions {
		return record, err
	}
	end, err := s.Get(ledgerapi.SeriesEndKey(record.Series))
	if err != nil {
		return nil, fmt.Errorf("ledger: read %s: %w", ledgerapi.TypeSeriesEnd, err)
	}
	if end != nil {
		record.Status, record.Order = emr.RecordErased, emr.ErasureID(end)
	}
	return record, nil
}

// refuseClosed refuses a version that is erased or re-keyed.
func refuseClosed(record *emr.Record) error {
	if reason := record.Status.Denial(); reason != "" {
		return &emr.Error{Code: emr.CodeGone, Reason: reason, Field: "record", Message: reason.Explain()}
	}
	return nil
}

// notErased refuses an erased version. One that is re-keyed lives on in its successor.
func notErased(record *emr.Record) error {
	if record.Status != emr.RecordErased {
		return nil
	}
	return refuseClosed(record)
}

// liveRecord is recordOf that refuses a version that is erased or re-keyed.
func liveRecord(s Lookup, id emr.RecordID) (*emr.Record, error) {
	record, err := recordOf(s, id)
	if err != nil {
		return nil, err
	}
	return record, refuseClosed(record)
}

// seriesFrom returns a version and all that follow it. It is bounded, because a
// series is; it reads each version, so that a new one invalidates the transaction.
func seriesFrom(s Lookup, id emr.RecordID) ([]*emr.Record, error) {
	var versions []*emr.Record
	for id != "" {
		if len(versions) == ledgerapi.MaxSeriesVersions {
			return nil, fmt.Errorf("ledger: series is longer than it can be")
		}
		version, err := require(s, ledgerapi.RecordKey(id), versionOfRecord)
		if err != nil {
			return nil, err
		}
		versions = append(versions, version)
		id = version.SupersededBy
	}
	return versions, nil
}

// uses are the keys that mark what a record is registered with.
func uses(cid string, digest, capsule emr.Digest) []ledgerapi.Key {
	keys := []ledgerapi.Key{
		ledgerapi.UsedKey(ledgerapi.UsedContent, cid), ledgerapi.UsedKey(ledgerapi.UsedDigest, digest.String()),
	}
	if !capsule.IsZero() {
		keys = append(keys, ledgerapi.UsedKey(ledgerapi.UsedCapsule, capsule.String()))
	}
	return keys
}

// checkUnused refuses a ciphertext or capsule that a record was registered with,
// whether it lives or not: what is erased does not come back under another name,
// and nobody has a record erased that names somebody else's ciphertext. A store
// keeps blocks by their hash, so that the content id of the same hash under the
// other codec names the same block.
func checkUnused(s State, record *emr.Record) error {
	keys := append([]ledgerapi.Key{ledgerapi.UsedKey(ledgerapi.UsedContent, otherCodec(record.CID))}, uses(record.CID, record.Digest, record.Capsule)...)
	values, err := s.GetAll(keys)
	if err != nil {
		return fmt.Errorf("ledger: read %s: %w", ledgerapi.TypeUsed, err)
	}
	for i, field := range []string{"cid", "cid", "digest", "capsule"}[:len(values)] {
		if values[i] == nil {
			continue
		}
		used, err := recordOf(s, emr.RecordID(values[i]))
		if err != nil {
			return err
		}
		if err := refuseClosed(used); err != nil {
			return &emr.Error{Code: emr.CodeGone, Reason: used.Status.Denial(), Field: field, Message: "is that of a record that is gone for good"}
		}
		return &emr.Error{Code: emr.CodeExists, Field: field, Message: "is another record's already"}
	}
	return nil
}

// markUsed marks what a record is registered with, for ever.
func markUsed(s State, record *emr.Record) error {
	for _, key := range uses(record.CID, record.Digest, record.Capsule) {
		if err := putID(s, key, string(record.ID)); err != nil {
			return err
		}
	}
	return nil
}

// claimScopeKeys marks the public keys of a scope as published, and refuses those
// that ever were, by whomever and in whichever role.
func claimScopeKeys(s State, scope *ledgerapi.NewScope) error {
	if bytes.Equal(scope.Delegating, scope.Fragment) {
		return emr.Invalid("fragment", "must differ from the delegating key")
	}
	keys := []ledgerapi.Key{ledgerapi.ScopeKeyKey(scope.Delegating), ledgerapi.ScopeKeyKey(scope.Fragment)}
	values, err := s.GetAll(keys)
	if err != nil {
		return fmt.Errorf("ledger: read %s: %w", ledgerapi.TypeScopeKey, err)
	}
	for i, field := range []string{"delegating", "fragment"} {
		if values[i] != nil {
			return &emr.Error{Code: emr.CodeExists, Field: field, Message: "was published before; draw a new key"}
		}
		if err := putID(s, keys[i], string(scope.ID)); err != nil {
			return err
		}
	}
	return nil
}

// authorOf returns the author of a version as of its signature. A patient who
// re-keyed it stands in the form of a professional: id, home, signing key.
func authorOf(s Lookup, record *emr.Record) (*emr.Clinician, error) {
	if !strings.HasPrefix(string(record.Author), emr.HandlePrefix) {
		return clinicianOf(s, record.Author, record.AuthorKeys)
	}
	patient, err := requirePatient(s, record.Patient)
	if err != nil {
		return nil, err
	}
	if patient.KeyVersion == record.AuthorKeys {
		return patientAsAuthor(patient, patient.Consent), nil
	}
	keys, err := require(s, ledgerapi.PatientKeysKey(patient.Handle, record.AuthorKeys), versionOfPatientKeys)
	if err != nil {
		return nil, err
	}
	return patientAsAuthor(patient, keys.Consent), nil
}

func patientAsAuthor(patient *emr.Patient, key emr.PinnedKey) *emr.Clinician {
	return &emr.Clinician{
		V: emr.DocumentVersion, ID: emr.ClinicianID(patient.Handle), Org: patient.Home, Role: emr.RolePatient, Level: emr.LevelPrivate,
		Signing: key, Hybrid: patient.Hybrid, Registered: patient.Registered,
	}
}
