// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package service

import (
	"context"
	"slices"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// Inbox lists what waits for the caller's answer, newest first. A page may be short,
// or empty, and still have a cursor.
func (s *Service) Inbox(ctx context.Context, who Principal, page Page) (ledgerapi.InboxPage, error) {
	var out ledgerapi.InboxPage
	query, err := s.ownQuery(ctx, who, page)
	if err == nil {
		err = s.ports.Ledger.Query(ctx, ledgerapi.GetInbox, query, &out)
	}
	return out, err
}

// errNoGrant is the one answer for absent and hidden grants.
var errNoGrant = emr.E(emr.CodeNotFound, "no such grant")

// Grant returns a grant to its patient, its grantee and, while it waits, to those who
// may confirm it. For everybody else it is absent.
func (s *Service) Grant(ctx context.Context, who Principal, id emr.GrantID) (emr.Grant, error) {
	var grant emr.Grant
	err := s.ports.Ledger.Query(ctx, ledgerapi.GetGrant, ledgerapi.GrantQuery{Grant: id}, &grant)
	if emr.CodeOf(err) == emr.CodeNotFound {
		return emr.Grant{}, errNoGrant
	}
	if err != nil {
		return emr.Grant{}, err
	}
	visible, err := s.maySeeGrant(ctx, who, &grant)
	if err != nil {
		return emr.Grant{}, err
	}
	if !visible {
		return emr.Grant{}, errNoGrant
	}
	return grant, nil
}

func (s *Service) maySeeGrant(ctx context.Context, who Principal, grant *emr.Grant) (bool, error) {
	actor := who.Subject
	if who.IsPatient() {
		handle, err := s.handleOf(ctx, who)
		if err != nil || handle == grant.Terms.Patient {
			return err == nil, err
		}
		actor = string(handle)
	} else if actor == string(grant.Terms.Grantee) && who.Org == grant.Terms.Org {
		return true, nil
	}
	if grant.Status != emr.GrantWaiting {
		return false, nil
	}
	rule, err := s.grantRule(ctx, grant.Terms.Patient)
	return err == nil && slices.Contains(rule.Terms.Confirmers, actor), err
}

// GrantRule returns the calling patient's rule about wide grants.
func (s *Service) GrantRule(ctx context.Context, who Principal) (emr.GrantRule, error) {
	if !who.IsPatient() {
		return emr.GrantRule{}, errPatientsOnly
	}
	handle, err := s.handleOf(ctx, who)
	if err != nil {
		return emr.GrantRule{}, err
	}
	return s.grantRule(ctx, handle)
}

func (s *Service) grantRule(ctx context.Context, patient emr.Handle) (emr.GrantRule, error) {
	var rule emr.GrantRule
	err := s.ports.Ledger.Query(ctx, ledgerapi.GetGrantRule, ledgerapi.HandleQuery{Patient: patient}, &rule)
	return rule, err
}
