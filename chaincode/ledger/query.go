// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"fmt"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// maxScopes is the number of a patient's scopes that a view shows, newest first.
const maxScopes = ledgerapi.MaxPageSize

// GetOrganisations returns every registered organisation, by id.
func GetOrganisations(r Reader, _ ledgerapi.Empty) (*ledgerapi.OrganisationList, error) {
	members, err := roster(r)
	if err != nil {
		return nil, err
	}
	list := &ledgerapi.OrganisationList{Items: []emr.Organisation{}}
	for _, id := range members {
		org, err := require(r, ledgerapi.OrganisationKey(id), versionOfOrganisation)
		if err != nil {
			return nil, err
		}
		list.Items = append(list.Items, *org)
	}
	return list, nil
}

// ResolvePatient finds a patient by the CA's pseudonym, whose link to the handle
// is private. It is for gateways only.
func ResolvePatient(r Reader, q ledgerapi.ResolvePatientQuery) (*ledgerapi.PatientView, error) {
	if _, err := requireGateway(r); err != nil {
		return nil, err
	}
	if err := emr.CheckID("patient", q.Patient); err != nil {
		return nil, err
	}
	value, err := r.GetPrivate(ledgerapi.LinkKey(q.Patient))
	if err != nil {
		return nil, fmt.Errorf("ledger: read private link: %w", err)
	}
	if value == nil {
		return nil, missing(ledgerapi.TypePatient)
	}
	_, action, err := privateAction(r, ledgerapi.LinkKey(q.Patient))
	if err != nil {
		return nil, err
	}
	return patientView(r, emr.Handle(action.Actor))
}

// GetPatient returns a patient's registry entry and scopes, newest first.
func GetPatient(r Reader, q ledgerapi.HandleQuery) (*ledgerapi.PatientView, error) {
	if err := emr.CheckID("patient", q.Patient); err != nil {
		return nil, err
	}
	return patientView(r, q.Patient)
}

func patientView(r Reader, handle emr.Handle) (*ledgerapi.PatientView, error) {
	patient, err := requirePatient(r, handle)
	if err != nil {
		return nil, err
	}
	scopes, _, err := page(r, byOwner(ledgerapi.TypeScopeByPatient, string(handle), maxScopes, ""),
		func(e Entry) (*emr.Scope, step, error) {
			scope, err := require(r, ledgerapi.ScopeKey(emr.ScopeID(e.Value)), versionOfScope)
			return scope, keep, err
		})
	if err != nil {
		return nil, err
	}
	return &ledgerapi.PatientView{Patient: *patient, Scopes: scopes}, nil
}

// GetClinician returns a clinician's registry entry.
func GetClinician(r Reader, q ledgerapi.ClinicianQuery) (*emr.Clinician, error) {
	if err := emr.CheckID("clinician", q.Clinician); err != nil {
		return nil, err
	}
	return requireClinician(r, q.Clinician)
}

// GetRecord returns a record's public part.
func GetRecord(r Reader, q ledgerapi.RecordQuery) (*emr.Record, error) {
	if err := emr.CheckID("record", q.Record); err != nil {
		return nil, err
	}
	return recordOf(r, q.Record)
}

// GetManifest returns a record with its author's signed manifest, which is
// private. It is for gateways only.
func GetManifest(r Reader, q ledgerapi.RecordQuery) (*ledgerapi.ManifestView, error) {
	if _, err := requireGateway(r); err != nil {
		return nil, err
	}
	record, err := GetRecord(r, q)
	if err != nil {
		return nil, err
	}
	if err := refuseClosed(record); err != nil {
		return nil, err
	}
	return manifestView(r, record)
}

func manifestView(r Reader, record *emr.Record) (*ledgerapi.ManifestView, error) {
	signed, _, err := privateAction(r, ledgerapi.ManifestKey(record.ID))
	if err != nil {
		return nil, err
	}
	author, err := authorOf(r, record)
	if err != nil {
		return nil, err
	}
	scope, err := require(r, ledgerapi.ScopeKey(record.Scope), versionOfScope)
	if err != nil {
		return nil, err
	}
	return &ledgerapi.ManifestView{Record: *record, Signed: *signed, Author: *author, Scope: *scope}, nil
}

// GetRequest returns a request for access.
func GetRequest(r Reader, q ledgerapi.RequestQuery) (*emr.Request, error) {
	if err := emr.CheckID("request", q.Request); err != nil {
		return nil, err
	}
	return require(r, ledgerapi.RequestKey(q.Request), versionOfRequest)
}

// GetRequestAction returns a request with the action that its maker signed, which
// is private. It is for gateways only.
func GetRequestAction(r Reader, q ledgerapi.RequestQuery) (*ledgerapi.RequestView, error) {
	if _, err := requireGateway(r); err != nil {
		return nil, err
	}
	request, err := GetRequest(r, q)
	if err != nil {
		return nil, err
	}
	signed, _, err := privateAction(r, ledgerapi.NoteKey(request.ID))
	if err != nil {
		return nil, err
	}
	maker, err := clinicianOf(r, request.By, request.ByKeys)
	if err != nil {
		return nil, err
	}
	return &ledgerapi.RequestView{Request: *request, Signed: *signed, Maker: *maker}, nil
}

// GetGrant returns a grant's public part.
func GetGrant(r Reader, q ledgerapi.GrantQuery) (*emr.Grant, error) {
	if err := emr.CheckID("grant", q.Grant); err != nil {
		return nil, err
	}
	return require(r, ledgerapi.GrantKey(q.Grant), versionOfGrant)
}

// GetDisclosure returns a disclosure.
func GetDisclosure(r Reader, q ledgerapi.DisclosureQuery) (*emr.Disclosure, error) {
	if err := emr.CheckID("disclosure", q.Disclosure); err != nil {
		return nil, err
	}
	return require(r, ledgerapi.DisclosureKey(q.Disclosure), versionOfDisclosure)
}

// GetAction tells whether an action was committed, and as which transaction.
func GetAction(r Reader, q ledgerapi.ActionQuery) (*ledgerapi.ActionView, error) {
	if q.Action.IsZero() {
		return nil, emr.Invalid("action", "must be present")
	}
	spent, err := spentAction(r, q.Action)
	if err != nil || spent == nil {
		return &ledgerapi.ActionView{}, err
	}
	return &ledgerapi.ActionView{Committed: true, TxID: spent.TxID, ID: spent.ID}, nil
}
