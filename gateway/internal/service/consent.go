// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package service

import (
	"context"

	"github.com/emrys-health/emrys/pkg/api"
	"github.com/emrys-health/emrys/pkg/consent"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// errNoStanding: whom a patient trusts is nobody else's to read through a gateway.
var errNoStanding = emr.E(emr.CodeForbidden, "only patients have a standing consent or delegates")

// Consent returns a version of the calling patient's standing consent, the current one for 0.
func (s *Service) Consent(ctx context.Context, who Principal, version uint32) (consent.Consent, error) {
	var out consent.Consent
	handle, err := s.patientOf(ctx, who)
	if err != nil {
		return out, err
	}
	err = s.ports.Ledger.Query(ctx, ledgerapi.GetConsent, ledgerapi.ConsentQuery{Patient: handle, Version: version}, &out)
	return out, err
}

// Consents lists every version of the calling patient's standing consent.
func (s *Service) Consents(ctx context.Context, who Principal, page Page) (ledgerapi.ConsentPage, error) {
	var out ledgerapi.ConsentPage
	if !who.IsPatient() {
		return out, errNoStanding
	}
	query, err := s.ownQuery(ctx, who, page)
	if err == nil {
		err = s.ports.Ledger.Query(ctx, ledgerapi.ListConsents, query, &out)
	}
	return out, err
}

// Delegations lists what the calling patient has delegated.
func (s *Service) Delegations(ctx context.Context, who Principal, page Page) (ledgerapi.DelegationPage, error) {
	var out ledgerapi.DelegationPage
	if !who.IsPatient() {
		return out, errNoStanding
	}
	query, err := s.ownQuery(ctx, who, page)
	if err == nil {
		err = s.ports.Ledger.Query(ctx, ledgerapi.ListDelegations, query, &out)
	}
	return out, err
}

// PreviewConsent tells what would change if the calling patient put a document.
func (s *Service) PreviewConsent(
	ctx context.Context, who Principal, in api.ConsentPreviewRequest,
) (ledgerapi.ConsentPreview, error) {
	var out ledgerapi.ConsentPreview
	handle, err := s.patientOf(ctx, who)
	if err != nil {
		return out, err
	}
	query := ledgerapi.PreviewConsentQuery{Patient: handle, Document: in.Document, Limit: in.Limit, Bookmark: in.Cursor}
	err = s.ports.Ledger.Query(ctx, ledgerapi.PreviewConsent, query, &out)
	return out, err
}

// errNoConsent is the one answer for absent and foreign consents.
var errNoConsent = emr.E(emr.CodeNotFound, "there is no such consent of the caller's")

func (s *Service) checkOwnConsent(ctx context.Context, who Principal, patient emr.Handle) error {
	handle, err := s.patientOf(ctx, who)
	if err != nil {
		return err
	}
	if patient != handle {
		return errNoConsent
	}
	return nil
}

func (s *Service) patientOf(ctx context.Context, who Principal) (emr.Handle, error) {
	if !who.IsPatient() {
		return "", errNoStanding
	}
	return s.handleOf(ctx, who)
}

// checkStanding refuses a professional the content of a ticket that the patient's
// standing consent denies by now.
func (s *Service) checkStanding(ctx context.Context, who Principal, ticket *emr.Disclosure, record *emr.Record) error {
	if who.IsPatient() {
		return nil
	}
	var standing consent.Consent
	err := s.ports.Ledger.Query(ctx, ledgerapi.GetConsent, ledgerapi.ConsentQuery{Patient: ticket.Patient}, &standing)
	if emr.CodeOf(err) == emr.CodeNotFound {
		return nil
	}
	if err != nil {
		return err
	}
	reader, err := s.Clinician(ctx, emr.ClinicianID(ticket.Reader))
	if err != nil {
		return err
	}
	said := consent.Decide(&standing, consent.Facts{Purpose: ticket.Purpose}.By(&reader).About(record), s.now())
	if said.Decision == emr.Deny {
		return emr.Refused(said.Reason, said.Reason.Explain())
	}
	return nil
}
