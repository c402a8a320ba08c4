// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package service

import (
	"context"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// errNoAmendment is the one answer for absent amendments and those that are not the caller's to see.
var errNoAmendment = emr.E(emr.CodeNotFound, "no such amendment of the caller's")

// Amendments lists what the calling patient has asked to be corrected.
func (s *Service) Amendments(ctx context.Context, who Principal, page Page) (ledgerapi.AmendmentPage, error) {
	var out ledgerapi.AmendmentPage
	query, err := s.patientQuery(ctx, who, page)
	if err == nil {
		err = s.ports.Ledger.Query(ctx, ledgerapi.ListAmendments, query, &out)
	}
	return out, err
}

// RecordAmendments lists what was asked to be corrected in a record, without
// texts, for whoever may see the record.
func (s *Service) RecordAmendments(ctx context.Context, who Principal, id emr.RecordID, page Page) (ledgerapi.AmendmentPage, error) {
	var out ledgerapi.AmendmentPage
	if err := page.Validate(); err != nil {
		return out, err
	}
	if _, err := s.Record(ctx, who, id); err != nil {
		return out, err
	}
	query := ledgerapi.PageQuery{Record: id, Limit: page.Limit, Bookmark: page.Cursor}
	err := s.ports.Ledger.Query(ctx, ledgerapi.ListAmendments, query, &out)
	return out, err
}

// Amendment returns an amendment with its texts, for the patient, for those of
// the record's hospital who may answer it, and for auditors.
func (s *Service) Amendment(ctx context.Context, who Principal, id emr.AmendmentID) (ledgerapi.AmendmentView, error) {
	query := ledgerapi.AmendmentQuery{Amendment: id}
	var amendment emr.Amendment
	err := s.ports.Ledger.Query(ctx, ledgerapi.GetAmendment, query, &amendment)
	if emr.CodeOf(err) == emr.CodeNotFound {
		return ledgerapi.AmendmentView{}, errNoAmendment
	}
	if err != nil {
		return ledgerapi.AmendmentView{}, err
	}
	visible := who.Role == emr.RoleAuditor || who.Org == amendment.Hospital && who.Role.MayWrite()
	if who.IsPatient() {
		if visible, err = s.owns(ctx, who, amendment.Patient); err != nil {
			return ledgerapi.AmendmentView{}, err
		}
	}
	if !visible {
		return ledgerapi.AmendmentView{}, errNoAmendment
	}
	var view ledgerapi.AmendmentView
	err = s.ports.Ledger.Query(ctx, ledgerapi.GetAmendmentAction, query, &view)
	return view, err
}
