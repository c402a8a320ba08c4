// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"bytes"
	"strconv"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
	"github.com/emrys-health/emrys/pkg/signature"
)

// RotatePatientKeys replaces a patient's consent key, hybrid key or both. The
// current consent key signs it; a new one proves its possession. From the next
// block on the old key signs nothing. What was replaced stays under its version,
// and never comes back.
func RotatePatientKeys(s State, raw []byte) (*ledgerapi.Receipt, error) {
	var args ledgerapi.RotatePatientKeysArgs
	st, err := open(s, raw, ledgerapi.RotatePatientKeys, &args)
	if err != nil {
		return nil, err
	}
	patient, err := st.byPatient(s, args.Patient)
	if err != nil {
		return nil, err
	}
	if err := checkRotation(s, patient, &args); err != nil {
		return nil, err
	}
	if err := replacePatientKeys(s, patient, args.Consent, args.Hybrid); err != nil {
		return nil, err
	}
	if err := audit(s, byThePatient(patient, emr.AuditKeys, version(patient.KeyVersion))); err != nil {
		return nil, err
	}
	if err := emit(s, ledgerapi.EventKeysReplaced, ledgerapi.Event{ID: st.digest.String()}); err != nil {
		return nil, err
	}
	return receipt(s, string(patient.Handle)), st.spend(s, string(patient.Handle))
}

// version writes a version of keys where an entry names what it is about.
func version(v uint32) string { return strconv.FormatUint(uint64(v), 10) }

func checkRotation(s Lookup, patient *emr.Patient, args *ledgerapi.RotatePatientKeysArgs) error {
	if args.Version != patient.KeyVersion {
		return &emr.Error{Code: emr.CodeStale, Field: "version", Message: "the patient's keys are of another version"}
	}
	if err := checkPatientKeys(args.Consent, args.Hybrid); err != nil {
		return err
	}
	sameHybrid := bytes.Equal(args.Hybrid, patient.Hybrid)
	if samePinned(args.Consent, patient.Consent) {
		switch {
		case args.Proof != nil:
			return emr.Invalid("proof", "must be absent when the consent key stays")
		case sameHybrid:
			return emr.Invalid("consent", "replaces nothing: both keys are the current ones")
		}
		return nil
	}
	if args.Proof == nil {
		return emr.Invalid("proof", "the new consent key must prove its possession")
	}
	return provePossession(s, args.Proof, &ledgerapi.ProveKeyArgs{
		Patient: args.Patient, Version: args.Version, Consent: args.Consent, Hybrid: args.Hybrid,
	})
}

func checkPatientKeys(consent emr.PinnedKey, hybrid []byte) error {
	if err := signature.CheckKey("consent.key", consent); err != nil {
		return err
	}
	return checkHybrid("hybrid", hybrid)
}

// samePinned tells whether two pinned keys are the same in every part.
func samePinned(a, b emr.PinnedKey) bool {
	one, err := emr.Canonical(a)
	if err != nil {
		return false
	}
	other, err := emr.Canonical(b)
	return err == nil && bytes.Equal(one, other)
}

// provePossession checks that the key to be pinned has signed exactly this
// change, in time. The proof is not spent by itself: it serves one change only,
// which is made once.
func provePossession(s Lookup, proof *emr.SignedAction, want *ledgerapi.ProveKeyArgs) error {
	var said ledgerapi.ProveKeyArgs
	st, err := openSigned(s, nil, proof, ledgerapi.ProveKey, &said)
	if err != nil {
		return err
	}
	if st.action.Actor != string(want.Patient) {
		return emr.Invalid("proof", "is another person's")
	}
	b, err := emr.Canonical(want)
	if err != nil {
		return err
	}
	if !bytes.Equal(b, st.action.Args) {
		return emr.Invalid("proof", "was signed for another change")
	}
	if err := st.verify(want.Consent); err != nil {
		return err
	}
	return st.checkTime(s.Now())
}

// replacePatientKeys keeps the patient's current keys under their version and
// pins others. The consent key may be the current one, and none that was replaced.
func replacePatientKeys(s State, patient *emr.Patient, consent emr.PinnedKey, hybrid []byte) error {
	if err := put(s, ledgerapi.PatientKeysKey(patient.Handle, patient.KeyVersion), currentKeys(patient, s.Now())); err != nil {
		return err
	}
	err := retire(s, "consent.key", string(patient.Handle), patient.KeyVersion, patient.Consent.Key, consent.Key)
	if err != nil {
		return err
	}
	patient.Consent, patient.Hybrid = consent, hybrid
	patient.KeyVersion, patient.KeysFrom = patient.KeyVersion+1, s.Now()
	return putPatient(s, patient)
}

// retire marks a public key as replaced by another, which must not be marked.
func retire(s State, field, person string, of uint32, old, next []byte) error {
	if bytes.Equal(old, next) {
		return nil
	}
	if err := refuseRetired(s, field, person, next); err != nil {
		return err
	}
	return putID(s, ledgerapi.RetiredKey(person, old), version(of))
}

// refuseRetired refuses a public key that the person has replaced before.
func refuseRetired(s Lookup, field, person string, public []byte) error {
	retired, err := s.Get(ledgerapi.RetiredKey(person, public))
	if err != nil {
		return err
	}
	if retired != nil {
		return &emr.Error{Code: emr.CodeRule, Field: field, Message: "was replaced once and cannot come back"}
	}
	return nil
}

// currentKeys are a patient's keys as a version.
func currentKeys(patient *emr.Patient, until emr.Time) *emr.PatientKeys {
	from := patient.KeysFrom
	if patient.KeyVersion == 0 {
		from = patient.Registered
	}
	return &emr.PatientKeys{
		V: emr.DocumentVersion, Patient: patient.Handle, Version: patient.KeyVersion, Consent: patient.Consent,
		Hybrid: patient.Hybrid, From: from, Until: until,
	}
}

// RotateClinicianKeys replaces the keys by which a clinician reads. Grants that
// name the old reading key end with it. A new signing key comes with a new
// certificate, by RegisterClinician.
func RotateClinicianKeys(s State, raw []byte) (*ledgerapi.Receipt, error) {
	var args ledgerapi.RotateClinicianKeysArgs
	st, err := open(s, raw, ledgerapi.RotateClinicianKeys, &args)
	if err != nil {
		return nil, err
	}
	previous, err := st.byActiveClinician(s)
	if err != nil {
		return nil, err
	}
	if err := checkClinicianRotation(previous, &args); err != nil {
		return nil, err
	}
	next := *previous
	next.Reading, next.Hybrid = args.Reading, args.Hybrid
	if err := succeedClinician(s, &next, previous); err != nil {
		return nil, err
	}
	if err := auditClinician(s, aboutClinician(&next, emr.AuditKeys)); err != nil {
		return nil, err
	}
	return receipt(s, string(next.ID)), st.spend(s, string(next.ID))
}

func checkClinicianRotation(previous *emr.Clinician, args *ledgerapi.RotateClinicianKeysArgs) error {
	if args.Clinician != previous.ID {
		return emr.E(emr.CodeForbidden, "action names another clinician than its signer")
	}
	if args.Version != previous.KeyVersion {
		return &emr.Error{Code: emr.CodeStale, Field: "version", Message: "the clinician's keys are of another version"}
	}
	if err := checkPoint("reading", args.Reading); err != nil {
		return err
	}
	if err := checkHybrid("hybrid", args.Hybrid); err != nil {
		return err
	}
	if bytes.Equal(args.Reading, previous.Reading) && bytes.Equal(args.Hybrid, previous.Hybrid) {
		return emr.Invalid("reading", "replaces nothing: both keys are the current ones")
	}
	return nil
}

// succeedClinician writes a clinician's entry. When there is a previous one it is
// kept under its version, and a reading key that it replaces never comes back.
func succeedClinician(s State, clinician, previous *emr.Clinician) error {
	if previous == nil {
		return put(s, ledgerapi.ClinicianKey(clinician.ID), clinician)
	}
	if err := put(s, ledgerapi.ClinicianKeysKey(previous.ID, previous.KeyVersion), previous); err != nil {
		return err
	}
	if err := retire(s, "reading", string(previous.ID), previous.KeyVersion, previous.Reading, clinician.Reading); err != nil {
		return err
	}
	clinician.KeyVersion, clinician.KeysFrom = previous.KeyVersion+1, s.Now()
	if err := put(s, ledgerapi.ClinicianKey(clinician.ID), clinician); err != nil {
		return err
	}
	return emit(s, ledgerapi.EventKeysReplaced, ledgerapi.Event{ID: string(clinician.ID)})
}

// GetPatientKeys returns one version of a patient's keys, the current one included.
func GetPatientKeys(r Reader, q ledgerapi.PatientKeysQuery) (*emr.PatientKeys, error) {
	patient, err := patientOf(r, q.Patient)
	if err != nil {
		return nil, err
	}
	if q.Version == patient.KeyVersion {
		return currentKeys(patient, 0), nil
	}
	return require(r, ledgerapi.PatientKeysKey(q.Patient, q.Version), versionOfPatientKeys)
}

func patientOf(s Lookup, handle emr.Handle) (*emr.Patient, error) {
	if err := emr.CheckID("patient", handle); err != nil {
		return nil, err
	}
	return requirePatient(s, handle)
}

// GetClinicianKeys returns a clinician's entry as it was in a version.
func GetClinicianKeys(r Reader, q ledgerapi.ClinicianKeysQuery) (*emr.Clinician, error) {
	if err := emr.CheckID("clinician", q.Clinician); err != nil {
		return nil, err
	}
	return clinicianOf(r, q.Clinician, q.Version)
}

// clinicianOf returns a clinician's entry as it was in a version: what was signed
// then is verified by the keys of then.
func clinicianOf(s Lookup, id emr.ClinicianID, version uint32) (*emr.Clinician, error) {
	clinician, err := require(s, ledgerapi.ClinicianKey(id), versionOfClinician)
	if err != nil || clinician.KeyVersion == version {
		return clinician, err
	}
	return require(s, ledgerapi.ClinicianKeysKey(id, version), versionOfClinician)
}

// aboutClinician begins an entry about a clinician by the clinician's own act. It
// names no patient.
func aboutClinician(clinician *emr.Clinician, kind emr.AuditKind) emr.AuditEntry {
	return emr.AuditEntry{
		Kind: kind, Actor: string(clinician.ID), Org: clinician.Org, Ref: string(clinician.ID),
	}
}

// auditClinician writes an entry into the trail of the clinician that it is about, named by Ref.
func auditClinician(s State, entry emr.AuditEntry) error {
	entry.V, entry.TxID, entry.At = emr.DocumentVersion, s.TxID(), s.Now()
	return putEntry(s, &entry, place{ledgerapi.TypeAuditByClinician, entry.Ref})
}

// AuditByClinician lists what happened to a clinician's registration, newest first.
func AuditByClinician(r Reader, q ledgerapi.PageQuery) (*ledgerapi.AuditPage, error) {
	if q.Patient != "" || q.Record != "" {
		return nil, emr.Invalid("clinician", "only the clinician must be set")
	}
	if err := emr.CheckID("clinician", q.Clinician); err != nil {
		return nil, err
	}
	return trail(r, entriesOf(ledgerapi.TypeAuditByClinician, string(q.Clinician), q.Limit, q.Bookmark))
}
