// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package service

import (
	"context"
	"slices"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// errNoSession is the one answer for absent sessions and those that are not the caller's to see.
var errNoSession = emr.E(emr.CodeNotFound, "no such emergency session of the caller's")

// Emergencies lists emergency sessions: for a patient those into the own records,
// for a privacy officer those that concern the own organisation, for every other
// professional the own ones.
func (s *Service) Emergencies(ctx context.Context, who Principal, page Page) (ledgerapi.EmergencyPage, error) {
	var out ledgerapi.EmergencyPage
	own, err := s.ownQuery(ctx, who, page)
	if err != nil {
		return out, err
	}
	query := ledgerapi.EmergenciesQuery{Patient: own.Patient, Clinician: own.Clinician, Limit: own.Limit, Bookmark: own.Bookmark}
	if who.Role == emr.RolePrivacyOfficer {
		query.Clinician, query.Org = "", who.Org
	}
	err = s.ports.Ledger.Query(ctx, ledgerapi.ListEmergencies, query, &out)
	return out, err
}

// Emergency returns a session with its ground and texts. It is for those who take
// part: the patient, the clinician, the second person or, while one is waited for,
// whoever may be it, auditors, and privacy officers with standing.
func (s *Service) Emergency(ctx context.Context, who Principal, id emr.SessionID) (ledgerapi.EmergencyView, error) {
	var session emr.Emergency
	err := s.ports.Ledger.Query(ctx, ledgerapi.GetEmergency, ledgerapi.EmergencyArgs{Session: id}, &session)
	if emr.CodeOf(err) == emr.CodeNotFound {
		return ledgerapi.EmergencyView{}, errNoSession
	}
	if err != nil {
		return ledgerapi.EmergencyView{}, err
	}
	visible, err := s.maySeeEmergency(ctx, who, &session)
	if err != nil {
		return ledgerapi.EmergencyView{}, err
	}
	if !visible {
		return ledgerapi.EmergencyView{}, errNoSession
	}
	var view ledgerapi.EmergencyView
	err = s.ports.Ledger.Query(ctx, ledgerapi.GetEmergencyAction, ledgerapi.EmergencyArgs{Session: id}, &view)
	return view, err
}

func (s *Service) maySeeEmergency(ctx context.Context, who Principal, session *emr.Emergency) (bool, error) {
	asked := session.Status == emr.EmergencyWaiting && who.Org != session.Org && s.now() < session.Until
	switch {
	case who.IsPatient():
		return s.owns(ctx, who, session.Patient)
	case who.Subject == string(session.By), who.Subject == string(session.ConfirmedBy), who.Role == emr.RoleAuditor:
		return true, nil
	case who.Role == emr.RolePrivacyOfficer:
		if asked || who.Org == session.Org {
			return true, nil
		}
		return s.looksAfter(ctx, who.Org, session.Patient)
	default:
		return asked && who.Role.MayUse(emr.PurposeEmergency), nil
	}
}

// looksAfter tells whether an organisation is a patient's home or a regulator.
func (s *Service) looksAfter(ctx context.Context, org emr.OrgID, patient emr.Handle) (bool, error) {
	orgs, err := s.orgs.list(ctx)
	if err != nil {
		return false, err
	}
	regulator := func(o emr.Organisation) bool { return o.ID == org && o.Kind == emr.KindRegulator }
	if slices.ContainsFunc(orgs, regulator) {
		return true, nil
	}
	var view ledgerapi.PatientView
	err = s.ports.Ledger.Query(ctx, ledgerapi.GetPatient, ledgerapi.HandleQuery{Patient: patient}, &view)
	return view.Patient.Home == org, err
}

// EmergencyPlan returns the calling patient's plan.
func (s *Service) EmergencyPlan(ctx context.Context, who Principal) (emr.EmergencyPlan, error) {
	var plan emr.EmergencyPlan
	handle, err := s.ownHandle(ctx, who)
	if err == nil {
		err = s.ports.Ledger.Query(ctx, ledgerapi.GetEmergencyPlan, ledgerapi.HandleQuery{Patient: handle}, &plan)
	}
	return plan, err
}

// AuditHead returns the end of the calling patient's audit chain.
func (s *Service) AuditHead(ctx context.Context, who Principal) (emr.AuditHead, error) {
	var head emr.AuditHead
	handle, err := s.ownHandle(ctx, who)
	if err == nil {
		err = s.ports.Ledger.Query(ctx, ledgerapi.GetAuditHead, ledgerapi.HandleQuery{Patient: handle}, &head)
	}
	return head, err
}

func (s *Service) ownHandle(ctx context.Context, who Principal) (emr.Handle, error) {
	if !who.IsPatient() {
		return "", errPatientsOnly
	}
	return s.handleOf(ctx, who)
}
