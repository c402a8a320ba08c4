// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package service

import (
	"context"
	"sync"
	"time"

	"github.com/emrys-health/emrys/pkg/api"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// Network describes the consortium.
func (s *Service) Network(ctx context.Context) (api.Network, error) {
	orgs, err := s.orgs.list(ctx)
	if err != nil {
		return api.Network{}, err
	}
	return api.Network{
		Channel: s.Channel, Contract: s.Contract, Organisation: s.Organisation,
		Threshold: s.Threshold, Replicas: s.Replicas, Organisations: orgs,
	}, nil
}

// Organisations lists the members of the consortium, from a cache of some seconds.
func (s *Service) Organisations(ctx context.Context) ([]emr.Organisation, error) {
	return s.orgs.list(ctx)
}

var errNoPatient = emr.E(emr.CodeNotFound, "no such patient")

// ResolvePatient finds a patient for a professional, or a patient's own entry.
// Other patients are as absent as unknown ones.
func (s *Service) ResolvePatient(ctx context.Context, who Principal, query ledgerapi.ResolvePatientQuery) (ledgerapi.PatientView, error) {
	var view ledgerapi.PatientView
	if err := emr.CheckID("patient", query.Patient); err != nil {
		return view, err
	}
	if who.IsPatient() && string(query.Patient) != who.Subject {
		return view, errNoPatient
	}
	if err := s.refuseInactive(ctx, who); err != nil {
		return view, err
	}
	err := s.ports.Ledger.Query(ctx, ledgerapi.ResolvePatient, query, &view)
	if emr.CodeOf(err) == emr.CodeNotFound {
		return view, errNoPatient
	}
	return view, err
}

// Clinician returns a professional's registry entry.
func (s *Service) Clinician(ctx context.Context, id emr.ClinicianID) (emr.Clinician, error) {
	var clinician emr.Clinician
	err := s.ports.Ledger.Query(ctx, ledgerapi.GetClinician, ledgerapi.ClinicianQuery{Clinician: id}, &clinician)
	return clinician, err
}

// Page is a caller's wish for a page: at most Limit entries after Cursor.
type Page struct {
	Limit  int
	Cursor string
}

// maxCursor bounds a cursor in bytes.
const maxCursor = 1024

// Validate checks limit (0 means the default) and cursor.
func (p Page) Validate() error {
	if p.Limit < 0 || p.Limit > ledgerapi.MaxPageSize {
		return emr.Invalid("limit", "must be 0 to 100")
	}
	if len(p.Cursor) > maxCursor {
		return emr.Invalid("cursor", "is not a cursor of this gateway")
	}
	return nil
}

// Relationships lists the calling patient's relationships.
func (s *Service) Relationships(ctx context.Context, who Principal, page Page) (ledgerapi.RelationshipPage, error) {
	var out ledgerapi.RelationshipPage
	query, err := s.patientQuery(ctx, who, page)
	if err == nil {
		err = s.ports.Ledger.Query(ctx, ledgerapi.ListRelationships, query, &out)
	}
	return out, err
}

var errPatientsOnly = emr.E(emr.CodeForbidden, "only the patient may see this")

func (s *Service) patientQuery(ctx context.Context, who Principal, page Page) (ledgerapi.PageQuery, error) {
	if !who.IsPatient() {
		return ledgerapi.PageQuery{}, errPatientsOnly
	}
	return s.ownQuery(ctx, who, page)
}

// ownQuery asks for what belongs to the caller.
func (s *Service) ownQuery(ctx context.Context, who Principal, page Page) (ledgerapi.PageQuery, error) {
	query := ledgerapi.PageQuery{Limit: page.Limit, Bookmark: page.Cursor}
	if err := page.Validate(); err != nil {
		return query, err
	}
	if !who.IsPatient() {
		query.Clinician = emr.ClinicianID(who.Subject)
		return query, nil
	}
	handle, err := s.handleOf(ctx, who)
	query.Patient = handle
	return query, err
}

var errNotRegistered = emr.E(emr.CodeNotFound, "the patient is not registered on the ledger yet")

// handleOf returns the calling patient's handle.
func (s *Service) handleOf(ctx context.Context, who Principal) (emr.Handle, error) {
	patient := emr.PatientID(who.Subject)
	if handle, ok := s.handles.get(patient); ok {
		return handle, nil
	}
	var view ledgerapi.PatientView
	err := s.ports.Ledger.Query(ctx, ledgerapi.ResolvePatient, ledgerapi.ResolvePatientQuery{Patient: patient}, &view)
	if emr.CodeOf(err) == emr.CodeNotFound {
		return "", errNotRegistered
	}
	if err != nil {
		return "", err
	}
	s.handles.put(patient, view.Patient.Handle)
	return view.Patient.Handle, nil
}

// maxHandles bounds the cache of handles in entries.
const maxHandles = 4096

// handles caches which handle a patient has: it is given once and never changes.
type handles struct {
	mu sync.Mutex
	of map[emr.PatientID]emr.Handle
}

func newHandles() *handles { return &handles{of: make(map[emr.PatientID]emr.Handle)} }

func (h *handles) get(patient emr.PatientID) (emr.Handle, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	handle, ok := h.of[patient]
	return handle, ok
}

func (h *handles) put(patient emr.PatientID, handle emr.Handle) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.of) >= maxHandles {
		clear(h.of)
	}
	h.of[patient] = handle
}

// organisationsLife is how long the list of organisations is believed.
const organisationsLife = 10 * time.Second

// organisations caches the members of the consortium, which change rarely and
// are asked for often.
type organisations struct {
	ledger Ledger
	now    func() time.Time

	mu    sync.Mutex
	items []emr.Organisation
	until time.Time
}

func newOrganisations(ledger Ledger, now func() time.Time) *organisations {
	return &organisations{ledger: ledger, now: now}
}

// list returns the members. Nobody may change what it returns.
func (o *organisations) list(ctx context.Context) ([]emr.Organisation, error) {
	o.mu.Lock()
	items, fresh := o.items, o.now().Before(o.until)
	o.mu.Unlock()
	if fresh {
		return items, nil
	}
	var list ledgerapi.OrganisationList
	if err := o.ledger.Query(ctx, ledgerapi.GetOrganisations, ledgerapi.Empty{}, &list); err != nil {
		return nil, err
	}
	if list.Items == nil {
		list.Items = []emr.Organisation{}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.items = list.Items
	if len(list.Items) > 0 {
		o.until = o.now().Add(organisationsLife)
	}
	return list.Items, nil
}
