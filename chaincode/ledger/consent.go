// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"slices"
	"strconv"

	"github.com/emrys-health/emrys/pkg/consent"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// numberOf returns the version of a consent, 0 when there is none.
func numberOf(standing *consent.Consent) uint32 {
	if standing == nil {
		return 0
	}
	return standing.Version
}

// PutConsent puts a new version of the signer's standing consent. It names the
// version that it replaces, so that two devices do not overwrite one another
// unseen; one that replaces another than the current version is stale. When it
// names a preview, it is stale too when the preview no longer shows what it would do.
func PutConsent(s State, raw []byte) (*ledgerapi.Receipt, error) {
	var args ledgerapi.PutConsentArgs
	st, err := open(s, raw, ledgerapi.PutConsent, &args)
	if err != nil {
		return nil, err
	}
	patient, err := st.forPatient(s, args.Patient)
	if err != nil {
		return nil, err
	}
	if err := checkDocument(s, &args.Document); err != nil {
		return nil, err
	}
	current, err := standingConsent(s, patient.Handle)
	if err != nil {
		return nil, err
	}
	if args.Replaces != numberOf(current) {
		return nil, &emr.Error{
			Code: emr.CodeStale, Field: "replaces", Message: "consent is at version " + number(numberOf(current)) + "; read it and sign anew",
		}
	}
	if err := checkPreviewed(s, &args, current); err != nil {
		return nil, err
	}
	next := consent.Consent{Status: consent.Active, Document: args.Document}
	return st.putConsent(s, patient, current, next, emr.AuditConsent)
}

// checkDocument checks a document by itself, and that the organisations it names
// are registered: a mistyped name would deny nobody.
func checkDocument(s Lookup, d *consent.Document) error {
	if err := d.Validate(s.Now()); err != nil {
		return err
	}
	members, err := roster(s)
	if err != nil {
		return err
	}
	for _, hospital := range d.Hospitals() {
		if !slices.Contains(members, hospital) {
			return emr.Invalid("document.provisions", "names an organisation that is not registered")
		}
	}
	return nil
}

// WithdrawConsent withdraws the signer's standing consent, or states that there is
// none to be had. From this transaction on everything is denied to everybody else,
// live grants and open tickets included, until the patient puts another consent.
// It asks for nothing that giving does not ask for, and no version: a withdrawal is
// never stale. Withdrawing what is withdrawn is gone.
func WithdrawConsent(s State, raw []byte) (*ledgerapi.Receipt, error) {
	var args ledgerapi.WithdrawConsentArgs
	st, err := open(s, raw, ledgerapi.WithdrawConsent, &args)
	if err != nil {
		return nil, err
	}
	patient, err := st.forPatient(s, args.Patient)
	if err != nil {
		return nil, err
	}
	current, err := standingConsent(s, patient.Handle)
	if err != nil {
		return nil, err
	}
	if current != nil && current.Status == consent.Withdrawn {
		return nil, &emr.Error{Code: emr.CodeGone, Reason: emr.ReasonConsentWithdrawn, Message: "consent is already withdrawn"}
	}
	next := consent.Consent{Status: consent.Withdrawn, Document: consent.Nothing()}
	return st.putConsent(s, patient, current, next, emr.AuditConsentWithdrawal)
}

// putCurrent writes a version as the current one. A withdrawal has a key of its own:
// no single hospital's endorsement may stand between a patient and taking back.
func putCurrent(s State, patient *emr.Patient, next *consent.Consent) error {
	if next.Status == consent.Withdrawn {
		return put(s, ledgerapi.ConsentWithdrawalKey(patient.Handle), next)
	}
	return putStanding(s, patient, next)
}

// putConsent writes the next version, as the current one and into the history.
func (st *statement) putConsent(
	s State, patient *emr.Patient, current *consent.Consent, next consent.Consent, kind emr.AuditKind,
) (*ledgerapi.Receipt, error) {
	next.V, next.Patient, next.Version = emr.DocumentVersion, patient.Handle, numberOf(current)+1
	next.By, next.Action, next.At = emr.ActorPatient, st.digest, s.Now()
	if st.delegate != nil {
		next.By = string(st.delegate.Handle)
	}
	if err := putCurrent(s, patient, &next); err != nil {
		return nil, err
	}
	if err := put(s, ledgerapi.ConsentVersionKey(patient.Handle, next.Version), next); err != nil {
		return nil, err
	}
	id := number(next.Version)
	entry := st.entry(patient, kind, id)
	entry.Consent = next.Version
	if err := audit(s, entry); err != nil {
		return nil, err
	}
	if err := emit(s, ledgerapi.EventConsentChanged, ledgerapi.Event{ID: st.digest.String()}); err != nil {
		return nil, err
	}
	return receipt(s, id), st.spend(s, id)
}

func number(n uint32) string { return strconv.FormatUint(uint64(n), 10) }

// checkStanding refuses a grant of what the standing consent denies: the patient
// changes the consent first. A grant that names no records is refused when the
// consent leaves the grantee none of the scope; each use is decided again anyway.
func checkStanding(s Lookup, terms *emr.GrantTerms, grantee *emr.Clinician) error {
	standing, err := standingConsent(s, terms.Patient)
	if err != nil || standing == nil {
		return err
	}
	for _, purpose := range terms.Purposes {
		facts := consent.Facts{Purpose: purpose, Scope: terms.Scope}.By(grantee)
		if consent.Excludes(standing, facts, s.Now()) {
			return errDenied(standing)
		}
		for _, id := range terms.Records {
			record, err := require(s, ledgerapi.RecordKey(id), versionOfRecord)
			if err != nil {
				return err
			}
			if sayOf(standing, grantee, record, purpose, s.Now()).Decision == emr.Deny {
				return errDenied(standing)
			}
		}
	}
	return nil
}

func errDenied(standing *consent.Consent) error {
	reason := emr.ReasonConsentDenies
	if standing.Status == consent.Withdrawn {
		reason = emr.ReasonConsentWithdrawn
	}
	return &emr.Error{
		Code: emr.CodeRule, Reason: reason, Field: "terms.grantee",
		Message: "the standing consent, version " + number(standing.Version) + ", denies this; change the consent first",
	}
}

// GetConsent returns a version of a patient's consent, the current one for 0.
func GetConsent(r Reader, q ledgerapi.ConsentQuery) (*consent.Consent, error) {
	if err := emr.CheckID("patient", q.Patient); err != nil {
		return nil, err
	}
	if q.Version == 0 {
		current, err := standingConsent(r, q.Patient)
		if err == nil && current == nil {
			return nil, missing(ledgerapi.TypeConsent)
		}
		return current, err
	}
	return require(r, ledgerapi.ConsentVersionKey(q.Patient, q.Version), versionOfConsent)
}

// ListConsents lists every version of a patient's consent, newest first, by exact
// keys: versions count up by one, so that none can be missing unseen.
func ListConsents(r Reader, q ledgerapi.PageQuery) (*ledgerapi.ConsentPage, error) {
	if q.Clinician != "" || q.Record != "" {
		return nil, emr.Invalid("patient", "only the patient must be set")
	}
	if err := emr.CheckID("patient", q.Patient); err != nil {
		return nil, err
	}
	size, err := pageSize(q.Limit)
	if err != nil {
		return nil, err
	}
	current, err := standingConsent(r, q.Patient)
	if err != nil {
		return nil, err
	}
	next, err := countdown(q.Bookmark, numberOf(current))
	if err != nil {
		return nil, err
	}
	out := &ledgerapi.ConsentPage{Items: []consent.Consent{}}
	for ; next > 0 && len(out.Items) < size; next-- {
		found, err := find(r, ledgerapi.ConsentVersionKey(q.Patient, next), versionOfConsent)
		if err != nil {
			return nil, err
		}
		if found == nil {
			return nil, emr.E(emr.CodeCorrupt, "a version of the consent is missing from this peer's ledger")
		}
		out.Items = append(out.Items, *found)
	}
	if next > 0 {
		out.Bookmark = number(next)
	}
	return out, nil
}

// countdown reads a bookmark that is a number from 1 to most; without one it begins at most.
func countdown(bookmark string, most uint32) (uint32, error) {
	if bookmark == "" {
		return most, nil
	}
	n, err := strconv.ParseUint(bookmark, 10, 32)
	if err != nil || n == 0 || n > uint64(most) || number(uint32(n)) != bookmark {
		return 0, emr.Invalid("bookmark", "is not a bookmark of this query")
	}
	return uint32(n), nil
}
