// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/chaincode/ledger"
	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// TestTheStricterRulesHold: what the clinician's hospital and the patient's home
// demand is combined, and nobody else's rules count.
func TestTheStricterRulesHold(t *testing.T) {
	t.Parallel()
	strict := ledgerapi.SetEmergencyRulesArgs{TwoPerson: true, MaxMinutes: 30, ReviewDays: 1}
	lax := ledgerapi.SetEmergencyRulesArgs{MaxMinutes: 24 * 60, ReviewDays: 7}
	for name, test := range map[string]struct {
		clinicians, patients, others *ledgerapi.SetEmergencyRulesArgs
		minutes                      uint32
		want                         emr.Decision
		life                         time.Duration
		review                       int
	}{
		"none: the defaults":         {want: emr.Permit, life: 4 * time.Hour, review: 7},
		"none: a day, asked for":     {minutes: 24 * 60, want: emr.Permit, life: 24 * time.Hour, review: 7},
		"the clinician's hospital":   {clinicians: &strict, want: emr.Ask, life: 30 * time.Minute, review: 1},
		"the patient's home":         {patients: &strict, clinicians: &lax, minutes: 60, want: emr.Ask, life: 30 * time.Minute, review: 1},
		"somebody else's":            {others: &strict, minutes: 10, want: emr.Permit, life: 10 * time.Minute, review: 7},
		"both, less than both allow": {clinicians: &lax, patients: &lax, minutes: 1, want: emr.Permit, life: time.Minute, review: 7},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			for org, rules := range map[emr.OrgID]*ledgerapi.SetEmergencyRulesArgs{
				ledgertest.HospitalB: test.clinicians, ledgertest.HospitalA: test.patients, ledgertest.HospitalC: test.others,
			} {
				if rules != nil {
					s.rules(t, org, *rules)
				}
			}
			args := s.glass()
			args.Minutes = test.minutes
			require.Equal(t, test.want, s.decides(t, s.reader, ledgerapi.OpenEmergency, args).Decision)
			session := s.session(t, args.Session)
			require.Equal(t, s.Now.Add(test.life), session.Until)
			require.Equal(t, session.Until.Add(time.Duration(test.review)*24*time.Hour), session.ReviewBy)
		})
	}
}

func TestOnlyAnAdminSetsTheOwnRulesWithinTheLimits(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	for name, test := range map[string]struct {
		caller *ledger.Caller
		args   ledgerapi.SetEmergencyRulesArgs
		code   emr.Code
	}{
		"a gateway":         {s.Orgs[ledgertest.HospitalA].Gateway, twoPerson(), emr.CodeForbidden},
		"nobody":            {&ledger.Caller{MSP: ledgertest.HospitalA}, twoPerson(), emr.CodeUnauthenticated},
		"another MSP":       {&ledger.Caller{MSP: "OtherMSP", Certificate: s.Orgs[ledgertest.HospitalA].Admin.Certificate}, twoPerson(), emr.CodeForbidden},
		"no time at all":    {s.Orgs[ledgertest.HospitalA].Admin, ledgerapi.SetEmergencyRulesArgs{ReviewDays: 7}, emr.CodeInvalid},
		"more than a day":   {s.Orgs[ledgertest.HospitalA].Admin, ledgerapi.SetEmergencyRulesArgs{MaxMinutes: 1441, ReviewDays: 7}, emr.CodeInvalid},
		"no review":         {s.Orgs[ledgertest.HospitalA].Admin, ledgerapi.SetEmergencyRulesArgs{MaxMinutes: 60}, emr.CodeInvalid},
		"a review too late": {s.Orgs[ledgertest.HospitalA].Admin, ledgerapi.SetEmergencyRulesArgs{MaxMinutes: 60, ReviewDays: 8}, emr.CodeInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ledger.SetEmergencyRules(s.Begin(s.Facts(test.caller)), test.args)
			refuses(t, err, test.code, "")
		})
	}
	s.rules(t, ledgertest.HospitalA, twoPerson())
	s.rules(t, ledgertest.HospitalA, ledgerapi.SetEmergencyRulesArgs{MaxMinutes: 60, ReviewDays: 2})
	rules, err := ledger.GetEmergencyRules(s.Query(s.Orgs[ledgertest.HospitalC]), ledgerapi.EmergencyRulesQuery{Org: ledgertest.HospitalA})
	require.NoError(t, err)
	require.Equal(t, emr.EmergencyRules{V: 1, Org: ledgertest.HospitalA, MaxMinutes: 60, ReviewDays: 2, Version: 2, Updated: s.Now}, *rules)
}

func TestAPlanIsRefused(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.decline(t, true)
	other := s.Patient(t, ledgertest.HospitalA)
	foreign := s.Scope(t, other, emr.LevelLow)
	scopes := []emr.ScopeID{s.scope.ID, s.Scope(t, s.patient, emr.LevelLow).ID}
	slices.Sort(scopes)
	for name, test := range map[string]struct {
		by     ledgertest.Member
		change func(*ledgerapi.SetEmergencyPlanArgs)
		code   emr.Code
	}{
		"by another patient":    {other, func(*ledgerapi.SetEmergencyPlanArgs) {}, emr.CodeForbidden},
		"by a clinician":        {s.author, func(*ledgerapi.SetEmergencyPlanArgs) {}, emr.CodeForbidden},
		"over an older version": {s.patient, func(a *ledgerapi.SetEmergencyPlanArgs) { a.Version = 0 }, emr.CodeStale},
		"over a later version":  {s.patient, func(a *ledgerapi.SetEmergencyPlanArgs) { a.Version = 2 }, emr.CodeStale},
		"of another's scope":    {s.patient, func(a *ledgerapi.SetEmergencyPlanArgs) { a.Declined = []emr.ScopeID{foreign.ID} }, emr.CodeNotFound},
		"of an unknown scope": {s.patient, func(a *ledgerapi.SetEmergencyPlanArgs) {
			a.Declined = []emr.ScopeID{ledgertest.ID[emr.ScopeID]("scp_")}
		}, emr.CodeNotFound},
		"of something else":  {s.patient, func(a *ledgerapi.SetEmergencyPlanArgs) { a.Declined = []emr.ScopeID{"x"} }, emr.CodeInvalid},
		"with a scope twice": {s.patient, func(a *ledgerapi.SetEmergencyPlanArgs) { a.Declined = []emr.ScopeID{scopes[0], scopes[0]} }, emr.CodeInvalid},
		"unsorted":           {s.patient, func(a *ledgerapi.SetEmergencyPlanArgs) { a.Declined = []emr.ScopeID{scopes[1], scopes[0]} }, emr.CodeInvalid},
		"without a list":     {s.patient, func(a *ledgerapi.SetEmergencyPlanArgs) { a.Declined = nil }, emr.CodeInvalid},
		"with too many":      {s.patient, func(a *ledgerapi.SetEmergencyPlanArgs) { a.Declined = make([]emr.ScopeID, 65) }, emr.CodeInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			args := ledgerapi.SetEmergencyPlanArgs{Patient: s.patient.Handle, Declined: scopes, Version: 1}
			test.change(&args)
			before := s.Dump()
			_, err := s.Try(t, test.by, ledgerapi.SetEmergencyPlan, args)
			refuses(t, err, test.code, "")
			require.Equal(t, before, s.Dump())
		})
	}
	s.decline(t, false, scopes...)
	plan, err := ledger.GetEmergencyPlan(s.Query(s.Orgs[ledgertest.HospitalC]), ledgerapi.HandleQuery{Patient: s.patient.Handle})
	require.NoError(t, err)
	require.Equal(t, emr.EmergencyPlan{V: 1, Patient: s.patient.Handle, Declined: scopes, Version: 2, Updated: s.Now}, *plan)
	require.Equal(t, emr.AuditEmergencyPlan, s.trail(t, s.patient.Handle)[0].Kind)
}

func TestEmergencyQueriesAreRefused(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	id := s.broken(t)
	view := func(org emr.OrgID) *ledgertest.View { return s.Query(s.Orgs[org]) }
	_, err := ledger.GetEmergency(view(ledgertest.HospitalA), ledgerapi.EmergencyArgs{Session: "x"})
	refuses(t, err, emr.CodeInvalid, "session")
	_, err = ledger.GetEmergency(view(ledgertest.HospitalA), ledgerapi.EmergencyArgs{Session: ledgertest.ID[emr.SessionID]("eme_")})
	refuses(t, err, emr.CodeNotFound, "")
	_, err = ledger.GetEmergencyAction(s.View(s.Facts(s.Orgs[ledgertest.HospitalA].Admin)), ledgerapi.EmergencyArgs{Session: id})
	refuses(t, err, emr.CodeForbidden, "gateway")
	s.DropPrivate(ledgerapi.StatementKey(s.session(t, id).Action))
	_, err = ledger.GetEmergencyAction(view(ledgertest.HospitalA), ledgerapi.EmergencyArgs{Session: id})
	refuses(t, err, emr.CodeUnavailable, "statement")
	for _, q := range []ledgerapi.EmergenciesQuery{
		{}, {Patient: s.patient.Handle, Org: ledgertest.HospitalA}, {Patient: "x"}, {Clinician: "x"}, {Org: "a b"},
		{Patient: s.patient.Handle, Limit: -1}, {Patient: s.patient.Handle, Bookmark: "%"},
	} {
		_, err = ledger.ListEmergencies(view(ledgertest.HospitalA), q)
		refuses(t, err, emr.CodeInvalid, "")
	}
	_, err = ledger.GetEmergencyPlan(view(ledgertest.HospitalA), ledgerapi.HandleQuery{Patient: "x"})
	refuses(t, err, emr.CodeInvalid, "")
	_, err = ledger.GetEmergencyPlan(view(ledgertest.HospitalA), ledgerapi.HandleQuery{Patient: ledgertest.ID[emr.Handle]("hnd_")})
	refuses(t, err, emr.CodeNotFound, "")
	_, err = ledger.GetEmergencyRules(view(ledgertest.HospitalA), ledgerapi.EmergencyRulesQuery{})
	refuses(t, err, emr.CodeInvalid, "")
	_, err = ledger.GetEmergencyDuty(view(ledgertest.HospitalA), ledgerapi.ClinicianQuery{Clinician: "x"})
	refuses(t, err, emr.CodeInvalid, "")
	page, err := ledger.ListEmergencies(view(ledgertest.HospitalA), ledgerapi.EmergenciesQuery{Org: ledgertest.HospitalC})
	require.NoError(t, err)
	require.Equal(t, []emr.Emergency{}, page.Items)
}
