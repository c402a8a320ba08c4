// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package consent_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/emrys-health/emrys/pkg/consent"
	"github.com/emrys-health/emrys/pkg/emr"
)

// The model is written from docs/spec/consent.md and shares no code with the
// package: it asks of each provision whether anything speaks against a match, and
// counts votes.

// told answers a decision and a reason.
func told(c *consent.Consent, f consent.Facts, now emr.Time) (emr.Decision, emr.Reason) {
	height := map[emr.Level]int{"low": 1, "moderate": 2, "private": 3}
	if height[f.Reach] == 0 || height[f.Level] == 0 || height[f.Reach] < height[f.Level] {
		return "deny", "level"
	}
	if c == nil {
		return "ask", "no-consent"
	}
	if c.Status == "withdrawn" {
		return "deny", "consent-withdrawn"
	}
	permits := 0
	for _, p := range c.Document.Provisions {
		if against(c.Document.Groups, p, f, now, height) {
			continue
		}
		if p.Effect == "deny" {
			return "deny", "consent-denied"
		}
		permits++
	}
	if permits > 0 {
		return "permit", "consent-permits"
	}
	answers := map[emr.Decision]emr.Reason{"deny": "consent-denied", "ask": "consent-asks", "permit": "consent-permits"}
	if c.Document.Base == "permit" && f.Restricted {
		return "ask", "consent-restricted"
	}
	return c.Document.Base, answers[c.Document.Base]
}

// against tells whether some selector speaks against the facts.
func against(groups []consent.Group, p consent.Provision, f consent.Facts, now emr.Time, height map[emr.Level]int) bool {
	misses := 0
	miss := func(selected int, found bool) {
		if selected > 0 && !found {
			misses++
		}
	}
	miss(len(p.People), has(p.People, f.Person))
	miss(len(p.Hospitals), has(p.Hospitals, f.Hospital))
	miss(len(p.Roles), has(p.Roles, f.Role))
	miss(len(p.Purposes), has(p.Purposes, f.Purpose))
	miss(len(p.Classes), has(p.Classes, f.Class))
	miss(len(p.Authors), has(p.Authors, f.Author))
	miss(len(p.Records), has(p.Records, f.Record))
	miss(len(p.Scopes), has(p.Scopes, f.Scope))
	member := false
	for _, name := range p.Groups {
		for _, g := range groups {
			member = member || g.Name == name && has(g.Members, f.Person) && now < g.Until
		}
	}
	miss(len(p.Groups), member)
	if p.Level != "" && height[f.Level] > height[p.Level] {
		misses++
	}
	switch {
	case p.Restricted && !f.Restricted, !p.Restricted && f.Restricted && p.Effect == "permit":
		misses++
	case p.From != 0 && now < p.From, p.Until != 0 && now >= p.Until:
		misses++
	}
	return misses > 0
}

func has[T comparable](list []T, one T) bool {
	for _, x := range list {
		if x == one {
			return true
		}
	}
	return false
}

func name[T ~string](prefix string, n int) T {
	return T(prefix + "0000000000000000000000000000000" + string(rune('0'+n)))
}

func names[T ~string](prefix string) []T {
	return []T{name[T](prefix, 1), name[T](prefix, 2), name[T](prefix, 3)}
}

const start = emr.Time(1_800_000_000)

// few draws a sorted list of up to two of the values, mostly empty.
func few[T ~string](rt *rapid.T, label string, of []T) []T {
	n := rapid.SampledFrom([]int{0, 0, 0, 1, 2}).Draw(rt, label+" count")
	out := []T{}
	for range n {
		out = append(out, rapid.SampledFrom(of).Draw(rt, label))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func moment(rt *rapid.T, label string) emr.Time {
	return start + emr.Time(rapid.IntRange(-3, 3).Draw(rt, label))
}

func period(rt *rapid.T) (from, until emr.Time) {
	if rapid.Bool().Draw(rt, "has from") {
		from = moment(rt, "from")
	}
	if rapid.Bool().Draw(rt, "has until") {
		until = moment(rt, "until")
	}
	return from, until
}

func roles() []emr.Role {
	return []emr.Role{emr.RolePhysician, emr.RoleNurse, emr.RoleResearcher, emr.RoleInsurer}
}

func orgs() []emr.OrgID { return []emr.OrgID{"AMSP", "BMSP", "CMSP"} }

func drawProvision(rt *rapid.T) consent.Provision {
	p := consent.Provision{
		Effect: rapid.SampledFrom([]emr.Decision{emr.Permit, emr.Deny}).Draw(rt, "effect"),
		People: few(rt, "people", names[emr.ClinicianID]("cli_")), Groups: few(rt, "groups", []string{"a", "b"}),
		Hospitals: few(rt, "hospitals", orgs()), Roles: few(rt, "roles", roles()),
		Purposes:   few(rt, "purposes", []emr.Purpose{emr.PurposeTreatment, emr.PurposeResearch, emr.PurposePayment}),
		Classes:    few(rt, "classes", emr.Classes()[:4]),
		Level:      rapid.SampledFrom([]emr.Level{"", "", "", "low", "moderate", "private"}).Draw(rt, "level"),
		Restricted: rapid.SampledFrom([]bool{false, false, true}).Draw(rt, "restricted"),
		Authors:    few(rt, "authors", names[emr.ClinicianID]("cli_")), Records: few(rt, "records", names[emr.RecordID]("rec_")),
		Scopes: few(rt, "scopes", names[emr.ScopeID]("scp_")),
	}
	p.From, p.Until = period(rt)
	return p
}

func drawConsent(rt *rapid.T) *consent.Consent {
	c := &consent.Consent{
		V: 1, Version: rapid.Uint32Range(1, 9).Draw(rt, "version"), Status: consent.Active,
		Document: consent.Document{Base: rapid.SampledFrom([]emr.Decision{"deny", "ask", "permit"}).Draw(rt, "base")},
	}
	for _, name := range []string{"a", "b"} {
		c.Document.Groups = append(c.Document.Groups, consent.Group{
			Name: name, Members: few(rt, "members", names[emr.ClinicianID]("cli_")), Until: moment(rt, "group until"),
		})
	}
	c.Document.Provisions = rapid.SliceOfN(rapid.Custom(drawProvision), 0, 5).Draw(rt, "provisions")
	if rapid.IntRange(0, 19).Draw(rt, "withdrawn") == 0 {
		c.Status = consent.Withdrawn
	}
	return c
}

func drawFacts(rt *rapid.T) consent.Facts {
	return consent.Facts{
		Person:   rapid.SampledFrom(names[emr.ClinicianID]("cli_")).Draw(rt, "person"),
		Hospital: rapid.SampledFrom(orgs()).Draw(rt, "hospital"), Role: rapid.SampledFrom(roles()).Draw(rt, "role"),
		Reach:   rapid.SampledFrom([]emr.Level{"low", "moderate", "private", "private", "private"}).Draw(rt, "reach"),
		Purpose: rapid.SampledFrom([]emr.Purpose{emr.PurposeTreatment, emr.PurposeResearch}).Draw(rt, "purpose"),
		Record:  rapid.SampledFrom(names[emr.RecordID]("rec_")).Draw(rt, "record"),
		Scope:   rapid.SampledFrom(names[emr.ScopeID]("scp_")).Draw(rt, "scope"),
		Class:   rapid.SampledFrom(emr.Classes()[:4]).Draw(rt, "class"), Level: rapid.SampledFrom(emr.Levels()).Draw(rt, "level of it"),
		Restricted: rapid.Bool().Draw(rt, "is restricted"),
		Author:     rapid.SampledFrom(names[emr.ClinicianID]("cli_")).Draw(rt, "author"),
	}
}

// rank orders decisions by what they let happen.
func rank(t require.TestingT, d emr.Decision) int {
	at := slices.Index([]emr.Decision{emr.Deny, emr.Ask, emr.Permit}, d)
	require.GreaterOrEqual(t, at, 0, "%q", d)
	return at
}

func TestDecisionsAreThoseOfTheModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		c, f, now := drawConsent(rt), drawFacts(rt), moment(rt, "now")
		if rapid.IntRange(0, 29).Draw(rt, "none") == 0 {
			c = nil
		}
		got := consent.Decide(c, f, now)
		decision, reason := told(c, f, now)
		require.Equal(rt, decision, got.Decision)
		require.Equal(rt, reason, got.Reason)
		require.True(rt, got.Reason.Valid())
		explained(rt, c, &got)
	})
}

// explained checks that an outcome can be told: what matched, in order, and which one won.
func explained(t require.TestingT, c *consent.Consent, o *consent.Outcome) {
	require.NotNil(t, o.Matched)
	if c == nil {
		require.Zero(t, o.Version)
	} else {
		require.Equal(t, c.Version, o.Version)
	}
	require.True(t, slices.IsSortedFunc(o.Matched, func(a, b consent.Match) int { return a.Index - b.Index }))
	if o.Ground != consent.GroundProvision {
		require.Equal(t, -1, o.Won)
		require.Empty(t, o.Matched)
		return
	}
	require.Contains(t, o.Matched, consent.Match{Index: o.Won, Effect: o.Decision})
	for _, m := range o.Matched {
		require.Equal(t, c.Document.Provisions[m.Index].Effect, m.Effect)
	}
}

func TestDenyBeatsPermit(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		c, f, now := drawConsent(rt), drawFacts(rt), moment(rt, "now")
		got := consent.Decide(c, f, now)
		if slices.ContainsFunc(got.Matched, func(m consent.Match) bool { return m.Effect == emr.Deny }) {
			require.Equal(rt, emr.Deny, got.Decision)
		}
	})
}

func TestAddingADenyNeverPermitsMore(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		c, f, now := drawConsent(rt), drawFacts(rt), moment(rt, "now")
		before := consent.Decide(c, f, now)
		more := drawProvision(rt)
		more.Effect = emr.Deny
		at := rapid.IntRange(0, len(c.Document.Provisions)).Draw(rt, "at")
		c.Document.Provisions = slices.Insert(c.Document.Provisions, at, more)
		require.LessOrEqual(rt, rank(rt, consent.Decide(c, f, now).Decision), rank(rt, before.Decision))
	})
}

// TestRemovingAPermitNeverPermitsMore also covers the base: a permit is the most it gives.
func TestRemovingAPermitNeverPermitsMore(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		c, f, now := drawConsent(rt), drawFacts(rt), moment(rt, "now")
		before := consent.Decide(c, f, now)
		at := slices.IndexFunc(c.Document.Provisions, func(p consent.Provision) bool { return p.Effect == emr.Permit })
		if at < 0 {
			return
		}
		c.Document.Provisions = slices.Delete(slices.Clone(c.Document.Provisions), at, at+1)
		require.LessOrEqual(rt, rank(rt, consent.Decide(c, f, now).Decision), rank(rt, before.Decision))
	})
}

func TestWithdrawingNeverPermitsMore(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		c, f, now := drawConsent(rt), drawFacts(rt), moment(rt, "now")
		c.Status = consent.Withdrawn
		require.Equal(rt, emr.Deny, consent.Decide(c, f, now).Decision)
	})
}

func TestTheOrderOfProvisionsDecidesNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		c, f, now := drawConsent(rt), drawFacts(rt), moment(rt, "now")
		before := consent.Decide(c, f, now)
		seed := rapid.Uint64().Draw(rt, "seed")
		list := c.Document.Provisions
		rand.New(rand.NewPCG(seed, 1)).Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		after := consent.Decide(c, f, now)
		require.Equal(rt, before.Decision, after.Decision)
		require.Equal(rt, before.Reason, after.Reason)
		require.Len(rt, after.Matched, len(before.Matched))
	})
}

// TestADecisionChangesOnlyWhenATimeOfTheDocumentPasses walks a window second by second.
func TestADecisionChangesOnlyWhenATimeOfTheDocumentPasses(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		c, f := drawConsent(rt), drawFacts(rt)
		for now := start - 5; now < start+5; now++ {
			a, b := consent.Decide(c, f, now), consent.Decide(c, f, now+1)
			if !c.Document.Turns(now, now+1) {
				require.Equal(rt, a, b)
			}
		}
	})
}

// TestExcludesMeansDeniedEveryRecord: whom it names gets no record of the scope.
func TestExcludesMeansDeniedEveryRecord(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		c, f, now := drawConsent(rt), drawFacts(rt), moment(rt, "now")
		f.Reach = emr.LevelPrivate
		person := f
		person.Record, person.Class, person.Level, person.Restricted, person.Author = "", "", "", false, ""
		if consent.Excludes(c, person, now) {
			require.Equal(rt, emr.Deny, consent.Decide(c, f, now).Decision)
		}
	})
}

// TestAPermitLastsExactlyAsLongAsItIsSaid compares with a look at every second.
func TestAPermitLastsExactlyAsLongAsItIsSaid(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		c, f, now := drawConsent(rt), drawFacts(rt), moment(rt, "now")
		until := now + emr.Time(rapid.IntRange(0, 8).Draw(rt, "span"))
		want := now
		for want < until {
			if decision, _ := told(c, f, want); decision != emr.Permit {
				break
			}
			want++
		}
		require.Equal(rt, want, consent.Lasts(c, f, now, until))
	})
	require.Equal(t, start, consent.Lasts(nil, facts(), start, start+9))
}
