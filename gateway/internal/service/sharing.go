// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package service

import (
	"context"
	"fmt"

	"github.com/emrys-health/emrys/pkg/api"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// Requests lists requests to the calling patient, or by the calling professional.
func (s *Service) Requests(ctx context.Context, who Principal, page Page) (ledgerapi.RequestPage, error) {
	var out ledgerapi.RequestPage
	query, err := s.ownQuery(ctx, who, page)
	if err == nil {
		err = s.ports.Ledger.Query(ctx, ledgerapi.ListRequests, query, &out)
	}
	return out, err
}

// errNoRequest is the one answer for absent and hidden requests.
var errNoRequest = emr.E(emr.CodeNotFound, "no such request")

// Request returns a request as its maker signed it, to its patient and its maker.
// For everybody else it is absent.
func (s *Service) Request(ctx context.Context, who Principal, id emr.RequestID) (ledgerapi.RequestView, error) {
	var request emr.Request
	query := ledgerapi.RequestQuery{Request: id}
	err := s.ports.Ledger.Query(ctx, ledgerapi.GetRequest, query, &request)
	if emr.CodeOf(err) == emr.CodeNotFound {
		return ledgerapi.RequestView{}, errNoRequest
	}
	if err != nil {
		return ledgerapi.RequestView{}, err
	}
	visible, err := s.maySeeRequest(ctx, who, &request)
	if err != nil {
		return ledgerapi.RequestView{}, err
	}
	if !visible {
		return ledgerapi.RequestView{}, errNoRequest
	}
	var view ledgerapi.RequestView
	err = s.ports.Ledger.Query(ctx, ledgerapi.GetRequestAction, query, &view)
	return view, err
}

func (s *Service) maySeeRequest(ctx context.Context, who Principal, request *emr.Request) (bool, error) {
	if who.IsPatient() {
		return s.owns(ctx, who, request.Patient)
	}
	return who.Subject == string(request.By) && who.Org == request.Org, nil
}

// Grants lists grants of the calling patient, or to the calling professional.
func (s *Service) Grants(ctx context.Context, who Principal, page Page) (ledgerapi.GrantPage, error) {
	var out ledgerapi.GrantPage
	query, err := s.ownQuery(ctx, who, page)
	if err == nil {
		err = s.ports.Ledger.Query(ctx, ledgerapi.ListGrants, query, &out)
	}
	return out, err
}

// Revoke takes a grant back and tells who has read under it.
func (s *Service) Revoke(ctx context.Context, who Principal, signed *emr.SignedAction) (api.Revocation, error) {
	out := api.Revocation{Read: []api.Reading{}}
	action, err := s.checkAction(ctx, who, ledgerapi.RevokeAccess, signed)
	if err != nil {
		return out, err
	}
	var args ledgerapi.RevokeAccessArgs
	if err := emr.DecodeCanonical(action.Args, &args); err != nil {
		return out, err
	}
	if err := s.submit(ctx, ledgerapi.RevokeAccess, signed, &out.Receipt); err != nil {
		return out, err
	}
	if out.Read, err = s.readings(ctx, args.Patient, args.Grant); err != nil {
		return out, &emr.Error{
			Code: emr.CodeUnavailable, TxID: out.Receipt.TxID, Err: err,
			Message: "the grant is revoked, but who has read under it could not be listed; see the audit trail",
		}
	}
	return out, nil
}

// maxAuditPages bounds how far back one revocation looks, in pages of 100 entries.
const maxAuditPages = 50

// readings finds the permitted disclosures under a grant, newest first.
func (s *Service) readings(ctx context.Context, patient emr.Handle, id emr.GrantID) ([]api.Reading, error) {
	var grant emr.Grant
	if err := s.ports.Ledger.Query(ctx, ledgerapi.GetGrant, ledgerapi.GrantQuery{Grant: id}, &grant); err != nil {
		return nil, err
	}
	found := []api.Reading{}
	query := ledgerapi.PageQuery{Patient: patient, Limit: ledgerapi.MaxPageSize}
	for range maxAuditPages {
		var page ledgerapi.AuditPage
		if err := s.ports.Ledger.Query(ctx, ledgerapi.AuditByPatient, query, &page); err != nil {
			return nil, err
		}
		for _, entry := range page.Items {
			if entry.At < grant.Given {
				return found, nil
			}
			reading, ok, err := s.readingOf(ctx, &grant, &entry)
			if err != nil {
				return nil, err
			}
			if ok {
				found = append(found, reading)
			}
		}
		if query.Bookmark = page.Bookmark; query.Bookmark == "" {
			return found, nil
		}
	}
	return nil, fmt.Errorf("more than %d pages of audit entries", maxAuditPages)
}

// readingOf tells whether an audit entry is a reading under the grant. The entry
// names the disclosure, and the disclosure the grant.
func (s *Service) readingOf(ctx context.Context, grant *emr.Grant, entry *emr.AuditEntry) (api.Reading, bool, error) {
	if entry.Kind != emr.AuditDisclosure || entry.Decision != emr.Permit || entry.Actor != string(grant.Terms.Grantee) {
		return api.Reading{}, false, nil
	}
	disclosure, err := s.disclosure(ctx, emr.DisclosureID(entry.Ref))
	if err != nil || disclosure.Grant != grant.ID {
		return api.Reading{}, false, err
	}
	return api.Reading{
		Reader: disclosure.Reader, Org: disclosure.Org, Record: disclosure.Record,
		Purpose: disclosure.Purpose, At: disclosure.At,
	}, true, nil
}

func (s *Service) disclosure(ctx context.Context, id emr.DisclosureID) (emr.Disclosure, error) {
	var d emr.Disclosure
	err := s.ports.Ledger.Query(ctx, ledgerapi.GetDisclosure, ledgerapi.DisclosureQuery{Disclosure: id}, &d)
	return d, err
}
