// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package service

import (
	"context"
	"io"

	"github.com/emrys-health/emrys/pkg/api"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

var (
	// errNoRecord is the one answer for absent and hidden records.
	errNoRecord  = emr.E(emr.CodeNotFound, "no such record")
	errNoContent = emr.E(emr.CodeUnsupported, "this organisation keeps no content")
)

// CreateUpload stores ciphertext for a record to come.
func (s *Service) CreateUpload(ctx context.Context, who Principal, body io.Reader, expect Expect) (api.Upload, error) {
	if err := s.checkAuthor(who); err != nil {
		return api.Upload{}, err
	}
	if err := s.refuseInactive(ctx, who); err != nil {
		return api.Upload{}, err
	}
	return s.ports.Uploads.Create(ctx, who.Subject, body, expect)
}

// DeleteUpload discards an upload of the caller's that no record names.
func (s *Service) DeleteUpload(ctx context.Context, who Principal, id string) error {
	if err := s.checkAuthor(who); err != nil {
		return err
	}
	return s.ports.Uploads.Delete(ctx, who.Subject, id)
}

func (s *Service) checkAuthor(who Principal) error {
	if !who.Role.MayWrite() {
		return emr.E(emr.CodeForbidden, "a caller of this role cannot author records")
	}
	if s.ports.Uploads == nil {
		return errNoContent
	}
	return nil
}

// RegisterRecord registers the record whose ciphertext an upload of the caller's
// holds. Until the ledger has answered for certain the upload stays claimed.
func (s *Service) RegisterRecord(ctx context.Context, who Principal, upload string, signed *emr.SignedAction) (ledgerapi.Receipt, error) {
	var receipt ledgerapi.Receipt
	err := s.submitUpload(ctx, who, ledgerapi.RegisterRecord, upload, signed, &receipt, func() bool { return true })
	return receipt, err
}

// RekeyRecord is RegisterRecord of the content of the version before under a new
// key. A denial is committed and names no upload: the upload is free again.
func (s *Service) RekeyRecord(ctx context.Context, who Principal, upload string, signed *emr.SignedAction) (ledgerapi.DecisionReceipt, error) {
	var receipt ledgerapi.DecisionReceipt
	err := s.submitUpload(ctx, who, ledgerapi.RekeyRecord, upload, signed, &receipt,
		func() bool { return receipt.Decision == emr.Permit })
	return receipt, err
}

// submitUpload submits an action whose argument is the manifest of an upload.
// registered tells from the result whether a record names the upload now.
func (s *Service) submitUpload(
	ctx context.Context, who Principal, function, upload string, signed *emr.SignedAction, result any, registered func() bool,
) error {
	if err := s.checkAuthor(who); err != nil {
		return err
	}
	action, err := s.checkAction(ctx, who, function, signed)
	if err != nil {
		return err
	}
	var manifest emr.Manifest
	if err := emr.DecodeCanonical(action.Args, &manifest); err != nil {
		return err
	}
	// From here on a caller who hangs up must not leave the upload undecided.
	ctx = context.WithoutCancel(ctx)
	err = s.ports.Uploads.Claim(ctx, who.Subject, upload, &manifest, signed.Digest(), action.Expires)
	if emr.CodeOf(err) == emr.CodeNotFound {
		return s.explainMissing(ctx, signed.Digest(), err)
	}
	if err != nil {
		return err
	}
	err = s.submit(ctx, function, signed, result)
	if err == nil && !registered() {
		return s.ports.Uploads.Release(ctx, upload)
	}
	return s.settleUpload(ctx, upload, err)
}

// explainMissing tells an upload that is gone because its record stands from one that is not there.
func (s *Service) explainMissing(ctx context.Context, digest emr.Digest, missing error) error {
	view, err := s.Action(ctx, digest)
	if err != nil || !view.Committed {
		return missing
	}
	return &emr.Error{Code: emr.CodeExists, Message: "the record is registered already", TxID: view.TxID}
}

// settleUpload tells the uploads how a registration ended and returns how it ended.
func (s *Service) settleUpload(ctx context.Context, upload string, outcome error) error {
	switch emr.CodeOf(outcome) {
	case "":
		return s.ports.Uploads.Commit(ctx, upload)
	case emr.CodeUnknownOutcome, emr.CodeExists, emr.CodeInternal:
		return outcome // it may stand: the janitor asks the ledger later
	}
	if err := s.ports.Uploads.Release(ctx, upload); err != nil {
		return err
	}
	return outcome
}

// Record returns a record's public part to its patient, to auditors, and to
// professionals whose level covers it.
func (s *Service) Record(ctx context.Context, who Principal, id emr.RecordID) (emr.Record, error) {
	if err := s.refuseInactive(ctx, who); err != nil {
		return emr.Record{}, err
	}
	record, err := s.findRecord(ctx, id)
	if err != nil {
		return emr.Record{}, err
	}
	visible, err := s.maySeeRecord(ctx, who, &record)
	if err != nil {
		return emr.Record{}, err
	}
	if !visible {
		return emr.Record{}, errNoRecord
	}
	return record, nil
}

func (s *Service) findRecord(ctx context.Context, id emr.RecordID) (emr.Record, error) {
	var record emr.Record
	err := s.ports.Ledger.Query(ctx, ledgerapi.GetRecord, ledgerapi.RecordQuery{Record: id}, &record)
	if emr.CodeOf(err) == emr.CodeNotFound {
		return emr.Record{}, errNoRecord
	}
	return record, err
}

func (s *Service) maySeeRecord(ctx context.Context, who Principal, record *emr.Record) (bool, error) {
	if who.IsPatient() {
		return s.owns(ctx, who, record.Patient)
	}
	return who.Role == emr.RoleAuditor || who.Level.Covers(record.Level), nil
}

// owns tells whether the calling patient is the one behind a handle.
func (s *Service) owns(ctx context.Context, who Principal, handle emr.Handle) (bool, error) {
	own, err := s.handleOf(ctx, who)
	if emr.CodeOf(err) == emr.CodeNotFound {
		return false, nil
	}
	return err == nil && own == handle, err
}

// SearchRecords finds a patient's records: a patient's own, for a professional
// those that the professional's level covers, for an auditor all.
func (s *Service) SearchRecords(ctx context.Context, who Principal, in api.Search) (ledgerapi.RecordPage, error) {
	var page ledgerapi.RecordPage
	if err := checkSearch(&in); err != nil {
		return page, err
	}
	level, err := searchLevel(who, in.Patient)
	if err != nil {
		return page, err
	}
	view, err := s.ResolvePatient(ctx, who, ledgerapi.ResolvePatientQuery{Patient: in.Patient})
	if err != nil {
		return page, err
	}
	err = s.ports.Ledger.Query(ctx, ledgerapi.SearchRecords, ledgerapi.SearchQuery{
		Patient: view.Patient.Handle, Class: in.Class, Level: level, From: in.From, To: in.To,
		All: in.All, Limit: in.Limit, Bookmark: in.Cursor,
	}, &page)
	return page, err
}

func checkSearch(in *api.Search) error {
	if err := emr.CheckID("patient", in.Patient); err != nil {
		return err
	}
	if in.Class != "" {
		if _, err := emr.ParseClass("class", string(in.Class)); err != nil {
			return err
		}
	}
	if !in.To.IsZero() && in.To <= in.From {
		return emr.Invalid("to", "must be after from")
	}
	return Page{Limit: in.Limit, Cursor: in.Cursor}.Validate()
}

// searchLevel is the highest level that the caller may see of a patient.
func searchLevel(who Principal, patient emr.PatientID) (emr.Level, error) {
	switch {
	case who.IsPatient() && string(patient) != who.Subject:
		return "", errNoPatient
	case who.IsPatient(), who.Role == emr.RoleAuditor:
		return emr.LevelPrivate, nil
	case who.Level == "":
		return "", emr.E(emr.CodeForbidden, "the certificate names no security level")
	default:
		return who.Level, nil
	}
}

// Audit lists the calling patient's audit trail, newest first.
func (s *Service) Audit(ctx context.Context, who Principal, page Page) (ledgerapi.AuditPage, error) {
	var out ledgerapi.AuditPage
	query, err := s.patientQuery(ctx, who, page)
	if err == nil {
		err = s.ports.Ledger.Query(ctx, ledgerapi.AuditByPatient, query, &out)
	}
	return out, err
}

// RecordAudit lists a record's audit trail for its patient and its author. Auditors
// read it by ReadLog. For everybody else the record is absent.
func (s *Service) RecordAudit(ctx context.Context, who Principal, id emr.RecordID, page Page) (ledgerapi.AuditPage, error) {
	var out ledgerapi.AuditPage
	if err := page.Validate(); err != nil {
		return out, err
	}
	record, err := s.findRecord(ctx, id)
	if err != nil {
		return out, err
	}
	if who.Role == emr.RoleAuditor {
		return out, errUninspected
	}
	visible := who.Subject == string(record.Author)
	if who.IsPatient() {
		if visible, err = s.owns(ctx, who, record.Patient); err != nil {
			return out, err
		}
	}
	if !visible {
		return out, errNoRecord
	}
	if err := s.refuseInactive(ctx, who); err != nil {
		return out, err
	}
	query := ledgerapi.PageQuery{Record: id, Limit: page.Limit, Bookmark: page.Cursor}
	err = s.ports.Ledger.Query(ctx, ledgerapi.AuditByRecord, query, &out)
	return out, err
}
