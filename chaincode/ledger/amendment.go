// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"strings"
	"time"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// AskAmendment asks that an own record be corrected. The record's hospital has 60 days to answer.
func AskAmendment(s State, raw []byte) (*ledgerapi.Receipt, error) {
	var args ledgerapi.AskAmendmentArgs
	st, err := open(s, raw, ledgerapi.AskAmendment, &args)
	if err != nil {
		return nil, err
	}
	patient, err := st.byPatient(s, args.Patient)
	if err != nil {
		return nil, err
	}
	record, err := checkAsking(s, patient, &args)
	if err != nil {
		return nil, err
	}
	amendment := &emr.Amendment{
		V: emr.DocumentVersion, ID: args.Amendment, Patient: patient.Handle, Record: record.ID, Hospital: record.Hospital,
		Status: emr.AmendmentAsked, Asked: s.Now(), Due: s.Now().Add(ledgerapi.AmendmentDays * 24 * time.Hour), Asking: st.digest,
	}
	id := string(amendment.ID)
	byPatient := ledgerapi.Index(ledgerapi.TypeAmendmentByPatient, string(amendment.Patient), s.Now(), s.Nanos(), id)
	if err := putID(s, byPatient, id); err != nil {
		return nil, err
	}
	byRecord := ledgerapi.Index(ledgerapi.TypeAmendmentByRecord, string(amendment.Record), s.Now(), s.Nanos(), id)
	if err := putID(s, byRecord, id); err != nil {
		return nil, err
	}
	entry := byThePatient(patient, emr.AuditAmendmentAsked, id)
	entry.Decision = emr.Ask
	return st.putAmendment(s, amendment, entry, ledgerapi.EventAmendmentAsked)
}

func checkAsking(s Lookup, patient *emr.Patient, args *ledgerapi.AskAmendmentArgs) (*emr.Record, error) {
	if err := emr.CheckID("amendment", args.Amendment); err != nil {
		return nil, err
	}
	if err := emr.CheckID("record", args.Record); err != nil {
		return nil, err
	}
	if err := checkSaid(args.Text); err != nil {
		return nil, err
	}
	existing, err := s.Get(ledgerapi.AmendmentKey(args.Amendment))
	if err != nil {
		return nil, err
	}
	if existing != nil {
		return nil, emr.E(emr.CodeExists, "amendment is already asked for")
	}
	record, err := recordOf(s, args.Record)
	if err != nil {
		return nil, err
	}
	if record.Patient != patient.Handle {
		return nil, missing(ledgerapi.TypeRecord)
	}
	return record, notErased(record)
}

// checkSaid refuses a text that says nothing, or too much.
func checkSaid(text string) error {
	if strings.TrimSpace(text) == "" {
		return emr.Invalid("text", "must not be empty")
	}
	return checkStatement(text)
}

// putAmendment ends every transaction about an amendment: document, private text,
// audit entry in the trails of patient and record, event, spent action.
func (st *statement) putAmendment(
	s State, amendment *emr.Amendment, entry emr.AuditEntry, event string,
) (*ledgerapi.Receipt, error) {
	if err := put(s, ledgerapi.AmendmentKey(amendment.ID), amendment); err != nil {
		return nil, err
	}
	if err := st.putSigned(s, ledgerapi.StatementKey(st.digest)); err != nil {
		return nil, err
	}
	entry.Record = amendment.Record
	if err := audit(s, entry); err != nil {
		return nil, err
	}
	told := ledgerapi.Event{ID: string(amendment.ID), Record: amendment.Record, Hospital: amendment.Hospital}
	if err := emit(s, event, told); err != nil {
		return nil, err
	}
	return receipt(s, string(amendment.ID)), st.spend(s, string(amendment.ID))
}

func knownAmendment(s Lookup, id emr.AmendmentID) (*emr.Amendment, error) {
	if err := emr.CheckID("amendment", id); err != nil {
		return nil, err
	}
	return require(s, ledgerapi.AmendmentKey(id), versionOfAmendment)
}

// AnswerAmendment accepts or denies, by somebody of the record's hospital who may
// write records. Accepting names the later version of the record that holds the
// correction: nothing that was registered is ever changed.
func AnswerAmendment(s State, raw []byte) (*ledgerapi.Receipt, error) {
	var args ledgerapi.AnswerAmendmentArgs
	st, err := open(s, raw, ledgerapi.AnswerAmendment, &args)
	if err != nil {
		return nil, err
	}
	clinician, err := st.byActiveClinician(s)
	if err != nil {
		return nil, err
	}
	amendment, err := knownAmendment(s, args.Amendment)
	if err != nil {
		return nil, err
	}
	if err := checkAnswer(s, clinician, amendment, &args); err != nil {
		return nil, err
	}
	entry := byTheClinician(clinician, amendment.Patient, emr.AuditAmendmentAnswered, string(amendment.ID))
	amendment.Status, entry.Decision = emr.AmendmentDenied, emr.Deny
	if args.Accept {
		amendment.Status, entry.Decision = emr.AmendmentAccepted, emr.Permit
	}
	amendment.Version, amendment.By, amendment.Answered, amendment.Answer = args.Version, clinician.ID, s.Now(), st.digest
	return st.putAmendment(s, amendment, entry, ledgerapi.EventAmendmentAnswered)
}

func checkAnswer(s Lookup, clinician *emr.Clinician, amendment *emr.Amendment, args *ledgerapi.AnswerAmendmentArgs) error {
	switch {
	case clinician.Org != amendment.Hospital:
		return emr.E(emr.CodeForbidden, "the record is another hospital's")
	case !clinician.Role.MayWrite():
		return emr.Refused(emr.ReasonRole, "the role does not allow to answer for a record")
	}
	record, err := recordOf(s, amendment.Record)
	if err != nil {
		return err
	}
	if err := notErased(record); err != nil {
		return err
	}
	if amendment.Status != emr.AmendmentAsked {
		return emr.E(emr.CodeExists, "amendment is already "+string(amendment.Status))
	}
	if !args.Accept {
		if args.Version != "" {
			return emr.Invalid("version", "must be empty when the amendment is denied")
		}
		return checkSaid(args.Text)
	}
	if err := checkStatement(args.Text); err != nil {
		return err
	}
	return checkCorrection(s, amendment, record, args.Version)
}

// checkCorrection checks that a version is a later one of the record that is to be corrected.
func checkCorrection(s Lookup, amendment *emr.Amendment, old *emr.Record, version emr.RecordID) error {
	if err := emr.CheckID("version", version); err != nil {
		return err
	}
	corrected, err := require(s, ledgerapi.RecordKey(version), versionOfRecord)
	if err != nil {
		return err
	}
	if corrected.Series != old.Series || corrected.Version <= old.Version || corrected.Registered < amendment.Asked {
		return &emr.Error{
			Code: emr.CodeRule, Field: "version", Message: "must be a later version of the record, registered since the amendment was asked for",
		}
	}
	return nil
}

// DisputeAmendment is the patient's statement of disagreement with a denial, once.
func DisputeAmendment(s State, raw []byte) (*ledgerapi.Receipt, error) {
	var args ledgerapi.DisputeAmendmentArgs
	st, err := open(s, raw, ledgerapi.DisputeAmendment, &args)
	if err != nil {
		return nil, err
	}
	patient, err := st.byPatient(s, args.Patient)
	if err != nil {
		return nil, err
	}
	if err := checkSaid(args.Text); err != nil {
		return nil, err
	}
	amendment, err := knownAmendment(s, args.Amendment)
	if err != nil {
		return nil, err
	}
	if err := checkDispute(s, patient, amendment); err != nil {
		return nil, err
	}
	amendment.Disputed, amendment.Dispute = s.Now(), st.digest
	entry := byThePatient(patient, emr.AuditAmendmentDisputed, string(amendment.ID))
	return st.putAmendment(s, amendment, entry, ledgerapi.EventAmendmentDisputed)
}

func checkDispute(s Lookup, patient *emr.Patient, amendment *emr.Amendment) error {
	if amendment.Patient != patient.Handle {
		return missing(ledgerapi.TypeAmendment)
	}
	record, err := recordOf(s, amendment.Record)
	if err != nil {
		return err
	}
	if err := notErased(record); err != nil {
		return err
	}
	switch {
	case amendment.Status != emr.AmendmentDenied:
		return emr.E(emr.CodeRule, "only a denial can be disputed: amendment is "+string(amendment.Status))
	case amendment.Disputed != 0:
		return emr.E(emr.CodeExists, "denial is already disputed")
	}
	return nil
}

// GetAmendment returns an amendment.
func GetAmendment(r Reader, q ledgerapi.AmendmentQuery) (*emr.Amendment, error) {
	return knownAmendment(r, q.Amendment)
}

// GetAmendmentAction returns an amendment with its private texts. It is for gateways
// only. Once the record is erased it is gone, whatever a peer still holds.
func GetAmendmentAction(r Reader, q ledgerapi.AmendmentQuery) (*ledgerapi.AmendmentView, error) {
	if _, err := requireGateway(r); err != nil {
		return nil, err
	}
	amendment, err := knownAmendment(r, q.Amendment)
	if err != nil {
		return nil, err
	}
	record, err := recordOf(r, amendment.Record)
	if err != nil {
		return nil, err
	}
	if err := notErased(record); err != nil {
		return nil, err
	}
	view := &ledgerapi.AmendmentView{Amendment: *amendment}
	for _, part := range []struct {
		digest emr.Digest
		into   *emr.SignedAction
	}{{amendment.Asking, &view.Asking}, {amendment.Answer, &view.Answer}, {amendment.Dispute, &view.Dispute}} {
		if part.digest.IsZero() {
			continue
		}
		signed, _, err := privateAction(r, ledgerapi.StatementKey(part.digest))
		if err != nil {
			return nil, err
		}
		*part.into = *signed
	}
	return view, nil
}

// ListAmendments lists the amendments that a patient has asked for, or those of a record, newest first.
func ListAmendments(r Reader, q ledgerapi.PageQuery) (*ledgerapi.AmendmentPage, error) {
	var list query
	var err error
	switch {
	case q.Clinician != "" || (q.Patient == "") == (q.Record == ""):
		err = emr.Invalid("patient", "exactly one of patient and record must be set")
	case q.Patient != "":
		list = byOwner(ledgerapi.TypeAmendmentByPatient, string(q.Patient), q.Limit, q.Bookmark)
		err = emr.CheckID("patient", q.Patient)
	default:
		list = byOwner(ledgerapi.TypeAmendmentByRecord, string(q.Record), q.Limit, q.Bookmark)
		err = emr.CheckID("record", q.Record)
	}
	if err != nil {
		return nil, err
	}
	items, bookmark, err := page(r, list, func(e Entry) (*emr.Amendment, step, error) {
		found, err := require(r, ledgerapi.AmendmentKey(emr.AmendmentID(e.Value)), versionOfAmendment)
		return found, keep, err
	})
	if err != nil {
		return nil, err
	}
	return &ledgerapi.AmendmentPage{Items: items, Bookmark: bookmark}, nil
}
