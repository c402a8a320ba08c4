// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package consent_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/consent"
	"github.com/emrys-health/emrys/pkg/emr"
)

// facts are those of a physician of hospital B who wants an image for treatment.
func facts() consent.Facts {
	return consent.Facts{
		Person: name[emr.ClinicianID]("cli_", 1), Hospital: "BMSP", Role: emr.RolePhysician, Reach: emr.LevelPrivate,
		Purpose: emr.PurposeTreatment, Record: name[emr.RecordID]("rec_", 1), Scope: name[emr.ScopeID]("scp_", 1),
		Class: emr.ClassMedicalImaging, Level: emr.LevelPrivate, Author: name[emr.ClinicianID]("cli_", 9),
	}
}

func with(base emr.Decision, provisions ...consent.Provision) *consent.Consent {
	document := consent.Normal(consent.Document{Base: base, Provisions: provisions, Groups: []consent.Group{
		{Name: "ward", Members: []emr.ClinicianID{name[emr.ClinicianID]("cli_", 1)}, Until: start + 100},
	}})
	return &consent.Consent{V: 1, Version: 7, Status: consent.Active, Document: document}
}

func permit(change func(*consent.Provision)) consent.Provision {
	p := consent.Provision{Effect: emr.Permit}
	change(&p)
	return p
}

func deny(change func(*consent.Provision)) consent.Provision {
	p := permit(change)
	p.Effect = emr.Deny
	return p
}

func TestEverySelectorAdmitsWhatItNamesAndNothingElse(t *testing.T) {
	t.Parallel()
	type change = func(*consent.Provision)
	for selector, test := range map[string]struct{ names, others change }{
		"people": {
			func(p *consent.Provision) { p.People = []emr.ClinicianID{facts().Person} },
			func(p *consent.Provision) { p.People = []emr.ClinicianID{facts().Author} },
		},
		"groups": {
			func(p *consent.Provision) { p.Groups = []string{"other", "ward"} },
			func(p *consent.Provision) { p.Groups = []string{"other"} },
		},
		"hospitals": {
			func(p *consent.Provision) { p.Hospitals = []emr.OrgID{"AMSP", "BMSP"} },
			func(p *consent.Provision) { p.Hospitals = []emr.OrgID{"AMSP"} },
		},
		"roles": {
			func(p *consent.Provision) { p.Roles = []emr.Role{emr.RolePhysician} },
			func(p *consent.Provision) { p.Roles = []emr.Role{emr.RoleNurse} },
		},
		"purposes": {
			func(p *consent.Provision) { p.Purposes = []emr.Purpose{emr.PurposeTreatment} },
			func(p *consent.Provision) { p.Purposes = []emr.Purpose{emr.PurposeResearch} },
		},
		"classes": {
			func(p *consent.Provision) { p.Classes = []emr.Class{emr.ClassMedicalImaging} },
			func(p *consent.Provision) { p.Classes = []emr.Class{emr.ClassOmics} },
		},
		"level": {
			func(p *consent.Provision) { p.Level = emr.LevelPrivate },
			func(p *consent.Provision) { p.Level = emr.LevelModerate },
		},
		"authors": {
			func(p *consent.Provision) { p.Authors = []emr.ClinicianID{facts().Author} },
			func(p *consent.Provision) { p.Authors = []emr.ClinicianID{facts().Person} },
		},
		"records": {
			func(p *consent.Provision) { p.Records = []emr.RecordID{facts().Record} },
			func(p *consent.Provision) { p.Records = []emr.RecordID{name[emr.RecordID]("rec_", 2)} },
		},
		"scopes": {
			func(p *consent.Provision) { p.Scopes = []emr.ScopeID{facts().Scope} },
			func(p *consent.Provision) { p.Scopes = []emr.ScopeID{name[emr.ScopeID]("scp_", 2)} },
		},
		"period": {
			func(p *consent.Provision) { p.From, p.Until = start, start+1 },
			func(p *consent.Provision) { p.From, p.Until = start+1, start+2 },
		},
	} {
		t.Run(selector, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, emr.Permit, consent.Decide(with(emr.Deny, permit(test.names)), facts(), start).Decision)
			require.Equal(t, emr.Deny, consent.Decide(with(emr.Deny, permit(test.others)), facts(), start).Decision)
			require.Equal(t, emr.Deny, consent.Decide(with(emr.Permit, deny(test.names)), facts(), start).Decision)
			require.Equal(t, emr.Permit, consent.Decide(with(emr.Permit, deny(test.others)), facts(), start).Decision)
		})
	}
}

func TestAnOutcomeTellsWhatItRestsOn(t *testing.T) {
	t.Parallel()
	hospital := func(p *consent.Provision) { p.Hospitals = []emr.OrgID{"BMSP"} }
	person := func(p *consent.Provision) { p.People = []emr.ClinicianID{facts().Person} }
	withdrawn := with(emr.Permit)
	withdrawn.Status = consent.Withdrawn
	unknown := with("perhaps")
	low, restricted := facts(), facts()
	low.Reach, restricted.Restricted = emr.LevelModerate, true
	labelled := func(p *consent.Provision) { hospital(p); p.Restricted = true }
	yes, no := emr.Permit, emr.Deny
	for name, test := range map[string]struct {
		consent *consent.Consent
		facts   consent.Facts
		want    consent.Outcome
	}{
		"no consent: the patient is asked":             {nil, facts(), consent.Outcome{Decision: emr.Ask, Reason: emr.ReasonNoConsent, Ground: consent.GroundNone, Won: -1}},
		"above the person's level, whatever is put":    {with(yes, permit(person)), low, consent.Outcome{Decision: no, Reason: emr.ReasonLevel, Version: 7, Ground: consent.GroundLevel, Won: -1}},
		"above the person's level, nothing put":        {nil, low, consent.Outcome{Decision: no, Reason: emr.ReasonLevel, Ground: consent.GroundLevel, Won: -1}},
		"withdrawn":                                    {withdrawn, facts(), consent.Outcome{Decision: no, Reason: emr.ReasonConsentWithdrawn, Version: 7, Ground: consent.GroundWithdrawn, Won: -1}},
		"the base denies":                              {with(no), facts(), consent.Outcome{Decision: no, Reason: emr.ReasonConsentDenies, Version: 7, Ground: consent.GroundBase, Won: -1}},
		"the base asks":                                {with(emr.Ask), facts(), consent.Outcome{Decision: emr.Ask, Reason: emr.ReasonConsentAsks, Version: 7, Ground: consent.GroundBase, Won: -1}},
		"the base permits":                             {with(yes), facts(), consent.Outcome{Decision: yes, Reason: emr.ReasonConsentPermits, Version: 7, Ground: consent.GroundBase, Won: -1}},
		"a base that nobody knows denies":              {unknown, facts(), consent.Outcome{Decision: no, Reason: emr.ReasonConsentDenies, Version: 7, Ground: consent.GroundBase, Won: -1}},
		"the base permits, but the record is guarded":  {with(yes), restricted, consent.Outcome{Decision: emr.Ask, Reason: emr.ReasonConsentRestricted, Version: 7, Ground: consent.GroundBase, Won: -1}},
		"a general permit leaves guarded records out":  {with(no, permit(hospital)), restricted, consent.Outcome{Decision: no, Reason: emr.ReasonConsentDenies, Version: 7, Ground: consent.GroundBase, Won: -1}},
		"a permit that names the label takes them in":  {with(no, permit(labelled)), restricted, consent.Outcome{Decision: yes, Reason: emr.ReasonConsentPermits, Version: 7, Ground: consent.GroundProvision, Won: 0, Matched: []consent.Match{{Index: 0, Effect: yes}}}},
		"and is about nothing else":                    {with(no, permit(labelled)), facts(), consent.Outcome{Decision: no, Reason: emr.ReasonConsentDenies, Version: 7, Ground: consent.GroundBase, Won: -1}},
		"a general deny reaches guarded records":       {with(yes, deny(hospital), permit(labelled)), restricted, consent.Outcome{Decision: no, Reason: emr.ReasonConsentDenies, Version: 7, Ground: consent.GroundProvision, Won: 0, Matched: []consent.Match{{Index: 0, Effect: no}, {Index: 1, Effect: yes}}}},
		"a deny of guarded records leaves the others":  {with(yes, deny(labelled)), facts(), consent.Outcome{Decision: yes, Reason: emr.ReasonConsentPermits, Version: 7, Ground: consent.GroundBase, Won: -1}},
		"one person excluded inside an allowed clinic": {with(no, permit(hospital), deny(person)), facts(), consent.Outcome{Decision: no, Reason: emr.ReasonConsentDenies, Version: 7, Ground: consent.GroundProvision, Won: 1, Matched: []consent.Match{{Index: 0, Effect: yes}, {Index: 1, Effect: no}}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if test.want.Matched == nil {
				test.want.Matched = []consent.Match{}
			}
			require.Equal(t, test.want, consent.Decide(test.consent, test.facts, start))
		})
	}
	colleague := facts()
	colleague.Person = name[emr.ClinicianID]("cli_", 2)
	require.Equal(t, emr.Permit, consent.Decide(with(no, permit(hospital), deny(person)), colleague, start).Decision)
}

func TestTimesHoldToTheSecond(t *testing.T) {
	t.Parallel()
	period := with(emr.Deny, permit(func(p *consent.Provision) { p.Roles, p.From, p.Until = roles(), start+10, start+20 }))
	group := with(emr.Deny, permit(func(p *consent.Provision) { p.Groups = []string{"ward"} }))
	for now, want := range map[emr.Time]emr.Decision{
		start + 9: emr.Deny, start + 10: emr.Permit, start + 19: emr.Permit, start + 20: emr.Deny,
	} {
		require.Equal(t, want, consent.Decide(period, facts(), now).Decision, now-start)
	}
	require.Equal(t, emr.Permit, consent.Decide(group, facts(), start+99).Decision)
	require.Equal(t, emr.Deny, consent.Decide(group, facts(), start+100).Decision)
	require.False(t, group.Document.Turns(start, start+99))
	require.True(t, group.Document.Turns(start, start+100))
	require.False(t, group.Document.Turns(start+100, start+200))
}

func TestAnEffectThatNobodyKnowsDenies(t *testing.T) {
	t.Parallel()
	c := with(emr.Permit, permit(func(p *consent.Provision) { p.Effect, p.Roles = "perhaps", roles() }))
	require.Equal(t, emr.Deny, consent.Decide(c, facts(), start).Decision)
	require.True(t, consent.Excludes(c, facts(), start))
}

func TestWhomAConsentExcludes(t *testing.T) {
	t.Parallel()
	person := func(p *consent.Provision) { p.People = []emr.ClinicianID{facts().Person} }
	other := func(p *consent.Provision) { p.People = []emr.ClinicianID{facts().Author} }
	narrowed := func(p *consent.Provision) { person(p); p.Classes = []emr.Class{emr.ClassOmics} }
	elsewhere := func(p *consent.Provision) { person(p); p.Scopes = []emr.ScopeID{name[emr.ScopeID]("scp_", 2)} }
	here := func(p *consent.Provision) { person(p); p.Scopes = []emr.ScopeID{facts().Scope} }
	withdrawn := with(emr.Permit)
	withdrawn.Status = consent.Withdrawn
	for name, test := range map[string]struct {
		consent *consent.Consent
		want    bool
	}{
		"nobody without a consent":            {nil, false},
		"everybody when withdrawn":            {withdrawn, true},
		"nobody when the base permits":        {with(emr.Permit), false},
		"nobody when the base asks":           {with(emr.Ask), false},
		"everybody when the base denies":      {with(emr.Deny), true},
		"not whom a permit names":             {with(emr.Deny, permit(person)), false},
		"not whom a narrow permit names":      {with(emr.Deny, permit(narrowed)), false},
		"whom a permit of another names":      {with(emr.Deny, permit(other)), true},
		"whom a permit elsewhere names":       {with(emr.Deny, permit(elsewhere)), true},
		"whom a deny names":                   {with(emr.Permit, deny(person)), true},
		"not whom a deny of some names":       {with(emr.Permit, deny(narrowed)), false},
		"not whom a deny elsewhere names":     {with(emr.Permit, deny(elsewhere)), false},
		"whom a deny of the whole scope does": {with(emr.Permit, deny(here)), true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, test.want, consent.Excludes(test.consent, facts(), start))
		})
	}
}

func TestFactsComeFromTheRegistryAndTheRecord(t *testing.T) {
	t.Parallel()
	want := facts()
	want.Restricted = true
	got := consent.Facts{Purpose: want.Purpose}.
		By(&emr.Clinician{ID: want.Person, Org: want.Hospital, Role: want.Role, Level: want.Reach}).
		About(&emr.Record{
			ID: want.Record, Scope: want.Scope, Class: want.Class, Level: want.Level, Restricted: true, Author: want.Author,
		})
	require.Equal(t, want, got)
}

// BenchmarkDecide decides from the largest document that nothing matches.
func BenchmarkDecide(b *testing.B) {
	d := consent.Document{Base: emr.Deny}
	for range consent.MaxProvisions {
		d.Provisions = append(d.Provisions, permit(func(p *consent.Provision) {
			p.Hospitals, p.Roles, p.Level = []emr.OrgID{"BMSP"}, roles(), emr.LevelPrivate
			p.Records = names[emr.RecordID]("rec_")[1:]
		}))
	}
	c := &consent.Consent{Version: 1, Status: consent.Active, Document: d}
	for b.Loop() {
		if consent.Decide(c, facts(), start).Decision != emr.Deny {
			b.Fatal("something matched")
		}
	}
}

func TestHowLongAPermitLasts(t *testing.T) {
	t.Parallel()
	span := func(from, until emr.Time) func(*consent.Provision) {
		return func(p *consent.Provision) { p.Hospitals, p.From, p.Until = []emr.OrgID{"BMSP"}, from, until }
	}
	group := func(p *consent.Provision) { p.Groups = []string{"ward"} } // until start + 100
	for name, test := range map[string]struct {
		consent *consent.Consent
		want    emr.Time
	}{
		"nothing permits":                {with(emr.Ask), start},
		"the base permits for good":      {with(emr.Permit), start + 500},
		"until the provision ends":       {with(emr.Ask, permit(span(0, start+10))), start + 10},
		"until the group ends":           {with(emr.Deny, permit(group)), start + 100},
		"until a deny begins":            {with(emr.Permit, deny(span(start+20, 0))), start + 20},
		"over a seam without a gap":      {with(emr.Ask, permit(span(0, start+10)), permit(span(start+10, start+30))), start + 30},
		"not over a gap of one second":   {with(emr.Ask, permit(span(0, start+10)), permit(span(start+11, start+30))), start + 10},
		"past what ends beside it":       {with(emr.Permit, permit(span(0, start+10))), start + 500},
		"not from what begins later":     {with(emr.Ask, permit(span(start+1, 0))), start},
		"what ends with the span itself": {with(emr.Ask, permit(span(0, start+500))), start + 500},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, test.want, consent.Lasts(test.consent, facts(), start, start+500))
		})
	}
}
