// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/chaincode/ledger"
	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

func TestARolledScopeTakesNoRecordAndNoGrantAndItsKeysNeverComeBack(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	old := s.scope
	ends, stays := s.give(t), s.Grant(s.scope, s.reader, s.record.Record)
	s.Do(t, s.patient, ledgerapi.GrantAccess, stays)
	late := s.Manifest(t, s.author, old, emr.ClassPrescription)
	s.rolled(t, ends.Terms.Grant)
	view, err := ledger.GetPatient(s.Query(s.Orgs[ledgertest.HospitalC]), ledgerapi.HandleQuery{Patient: s.patient.Handle})
	require.NoError(t, err)
	require.Len(t, view.Scopes, 2)
	require.Equal(t, []any{s.scope.ID, s.Now, uint32(2)}, []any{view.Scopes[1].Successor, view.Scopes[1].Ended, view.Scopes[0].Epoch})
	require.Equal(t, old.ID, view.Scopes[0].Previous)

	_, err = s.Try(t, s.author, ledgerapi.RegisterRecord, late)
	refuses(t, err, emr.CodeStale, "epoch is over")
	_, err = s.Try(t, s.patient, ledgerapi.GrantAccess, s.Grant(old, s.reader, s.record.Record))
	refuses(t, err, emr.CodeStale, "epoch is over")
	require.Equal(t, emr.ReasonGrantEnded, s.disclose(t, s.reader, s.read(ends.Terms.Grant)).Reason)
	require.Empty(t, s.Private(ledgerapi.FragmentKey(ends.Terms.Grant)))
	require.Equal(t, emr.Permit, s.disclose(t, s.reader, s.read(stays.Terms.Grant)).Decision, "it lives on to its end")
	s.Record(t, s.author, s.scope, emr.ClassPrescription)

	other := s.Patient(t, ledgertest.HospitalC)
	for name, change := range map[string]func(*ledgerapi.NewScope){
		"the old delegating key":                     func(n *ledgerapi.NewScope) { n.Delegating = old.Delegating },
		"the old fragment key":                       func(n *ledgerapi.NewScope) { n.Fragment = old.Fragment },
		"the old fragment key as the delegating one": func(n *ledgerapi.NewScope) { n.Delegating = old.Fragment },
		"the present delegating key":                 func(n *ledgerapi.NewScope) { n.Delegating = s.scope.Delegating },
	} {
		for _, by := range []*ledgertest.Patient{s.patient, other} {
			next := ledgertest.NewScope(t, emr.LevelPrivate)
			change(&next)
			_, err := s.Try(t, by, ledgerapi.PublishScopes, ledgerapi.PublishScopesArgs{Patient: by.Handle, Scopes: []ledgerapi.NewScope{next}})
			refuses(t, err, emr.CodeExists, "published before")
			_ = name
		}
		again := s.roll(t, s.scope)
		change(&again.Next)
		_, err := s.Try(t, s.patient, ledgerapi.RollScope, again)
		refuses(t, err, emr.CodeExists, "published before")
	}
}

func TestARollIsRefused(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	first := s.scope
	s.rolled(t)
	other := s.Patient(t, ledgertest.HospitalA)
	elsewhere := s.Scope(t, s.patient, emr.LevelPrivate)
	foreign := s.Grant(elsewhere, s.reader)
	s.Do(t, s.patient, ledgerapi.GrantAccess, foreign)
	revoked := s.Grant(s.scope, s.reader)
	s.Do(t, s.patient, ledgerapi.GrantAccess, revoked)
	s.Do(t, s.patient, ledgerapi.RevokeAccess, ledgerapi.RevokeAccessArgs{Patient: s.patient.Handle, Grant: revoked.Terms.Grant})
	for name, test := range map[string]struct {
		by     ledgertest.Member
		change func(*ledgerapi.RollScopeArgs)
		code   emr.Code
	}{
		"another patient's scope":   {other, func(a *ledgerapi.RollScopeArgs) { a.Patient = other.Handle }, emr.CodeNotFound},
		"in another's name":         {other, func(*ledgerapi.RollScopeArgs) {}, emr.CodeForbidden},
		"by a clinician":            {s.author, func(*ledgerapi.RollScopeArgs) {}, emr.CodeForbidden},
		"a scope that is rolled":    {s.patient, func(a *ledgerapi.RollScopeArgs) { a.Scope = first.ID }, emr.CodeGone},
		"an unknown scope":          {s.patient, func(a *ledgerapi.RollScopeArgs) { a.Scope = ledgertest.ID[emr.ScopeID]("scp_") }, emr.CodeNotFound},
		"no scope":                  {s.patient, func(a *ledgerapi.RollScopeArgs) { a.Scope = "" }, emr.CodeInvalid},
		"into the same epoch":       {s.patient, func(a *ledgerapi.RollScopeArgs) { a.Next.Epoch-- }, emr.CodeInvalid},
		"past the next epoch":       {s.patient, func(a *ledgerapi.RollScopeArgs) { a.Next.Epoch++ }, emr.CodeInvalid},
		"to another level":          {s.patient, func(a *ledgerapi.RollScopeArgs) { a.Next.Level = emr.LevelLow }, emr.CodeInvalid},
		"into itself":               {s.patient, func(a *ledgerapi.RollScopeArgs) { a.Next.ID = a.Scope }, emr.CodeExists},
		"into an older scope":       {s.patient, func(a *ledgerapi.RollScopeArgs) { a.Next.ID = first.ID }, emr.CodeExists},
		"with one key for two ends": {s.patient, func(a *ledgerapi.RollScopeArgs) { a.Next.Fragment = a.Next.Delegating }, emr.CodeInvalid},
		"with no key":               {s.patient, func(a *ledgerapi.RollScopeArgs) { a.Next.Delegating = nil }, emr.CodeInvalid},
		"with a grant elsewhere":    {s.patient, func(a *ledgerapi.RollScopeArgs) { a.Grants = []emr.GrantID{foreign.Terms.Grant} }, emr.CodeRule},
		"with a revoked grant":      {s.patient, func(a *ledgerapi.RollScopeArgs) { a.Grants = []emr.GrantID{revoked.Terms.Grant} }, emr.CodeGone},
		"with too many grants":      {s.patient, func(a *ledgerapi.RollScopeArgs) { a.Grants = make([]emr.GrantID, 33) }, emr.CodeInvalid},
		"with no list of grants":    {s.patient, func(a *ledgerapi.RollScopeArgs) { a.Grants = nil }, emr.CodeInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			args := s.roll(t, s.scope)
			test.change(&args)
			before := s.Dump()
			_, err := s.Try(t, test.by, ledgerapi.RollScope, args)
			refuses(t, err, test.code, "")
			require.Equal(t, before, s.Dump())
		})
	}
}

func TestARollSlipsFromUnderNoConsentAndNoPlan(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.Do(t, s.patient, ledgerapi.SetEmergencyPlan,
		ledgerapi.SetEmergencyPlanArgs{Patient: s.patient.Handle, Declined: []emr.ScopeID{s.scope.ID}})
	provision := exclude(person(s.reader.ID))
	provision.Scopes = []emr.ScopeID{s.scope.ID}
	s.put(t, document(emr.Ask, provision))
	args := s.roll(t, s.scope)
	_, err := s.Try(t, s.patient, ledgerapi.RollScope, args)
	refuses(t, err, emr.CodeRule, "names its successor")
	provision.Scopes = append(provision.Scopes, args.Next.ID)
	s.put(t, document(emr.Ask, provision))
	s.Do(t, s.patient, ledgerapi.RollScope, args)
	kept, err := s.Query(s.Orgs[ledgertest.HospitalA]).Get(ledgerapi.EmergencyPlanVersionKey(s.patient.Handle, 2))
	require.NoError(t, err)
	require.Contains(t, string(kept), string(args.Next.ID), "the plan of before and the plan of now are both kept")
	next := &emr.Scope{
		ID: args.Next.ID, Patient: s.patient.Handle, Epoch: 2, Level: s.scope.Level, Delegating: args.Next.Delegating, Fragment: args.Next.Fragment,
	}
	m := s.Record(t, s.author, next, emr.ClassPrescription)
	session := s.broken(t)
	read := s.under(session)
	read.Record = m.Record
	require.Equal(t, emr.ReasonDeclined, s.disclose(t, s.reader, read).Reason, "what was declined stays declined")
}
