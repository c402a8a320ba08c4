// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package consent_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/consent"
	"github.com/emrys-health/emrys/pkg/emr"
)

// whole is a valid document in which everything occurs.
func whole() consent.Document {
	return consent.Normal(consent.Document{
		Base: emr.Deny,
		Groups: []consent.Group{
			{Name: "ward-7", Members: names[emr.ClinicianID]("cli_"), Until: start.Add(30 * 24 * time.Hour)},
			{Name: "study", Members: names[emr.ClinicianID]("cli_")[:1], Until: start + 1},
		},
		Provisions: []consent.Provision{
			permit(func(p *consent.Provision) { p.Hospitals, p.Roles = []emr.OrgID{"BMSP", "AMSP"}, roles()[:2] }),
			deny(func(p *consent.Provision) { p.People = names[emr.ClinicianID]("cli_") }),
			permit(func(p *consent.Provision) {
				p.Groups, p.Purposes = []string{"ward-7"}, []emr.Purpose{emr.PurposeTreatment}
				p.From, p.Until, p.Level = start, start+50, emr.LevelLow
				p.Classes, p.Authors = []emr.Class{emr.ClassMedicine}, names[emr.ClinicianID]("cli_")
				p.Records, p.Scopes = names[emr.RecordID]("rec_"), names[emr.ScopeID]("scp_")
			}),
			permit(func(p *consent.Provision) { p.Groups, p.Restricted = []string{"study"}, true }),
		},
	})
}

func TestAWholeDocumentIsAccepted(t *testing.T) {
	t.Parallel()
	d := whole()
	require.NoError(t, d.Validate(start))
	b, err := emr.Canonical(d)
	require.NoError(t, err)
	got, err := consent.Parse(b, start)
	require.NoError(t, err)
	require.Equal(t, &d, got)
	for _, base := range []emr.Decision{emr.Deny, emr.Ask, emr.Permit} {
		bare := consent.Nothing()
		bare.Base = base
		require.NoError(t, bare.Validate(start))
	}
}

func TestADocumentIsRefused(t *testing.T) {
	t.Parallel()
	const days = emr.Time(24 * 60 * 60)
	many := func(n int) []emr.ClinicianID {
		var all []emr.ClinicianID
		for i := range n {
			all = append(all, emr.ClinicianID(fmt.Sprintf("cli_%032x", i)))
		}
		return all
	}
	for name, test := range map[string]struct {
		change func(*consent.Document)
		field  string
	}{
		"without a base":              {func(d *consent.Document) { d.Base = "" }, "base"},
		"with an unknown base":        {func(d *consent.Document) { d.Base = "allow" }, "base"},
		"without groups":              {func(d *consent.Document) { d.Groups = nil }, "groups"},
		"with too many groups":        {func(d *consent.Document) { d.Groups = slices.Repeat(d.Groups, 9) }, "groups"},
		"with groups out of order":    {func(d *consent.Document) { slices.Reverse(d.Groups) }, "groups[1].name"},
		"with a group twice":          {func(d *consent.Document) { d.Groups[1].Name = d.Groups[0].Name }, "groups[1].name"},
		"with a nameless group":       {func(d *consent.Document) { d.Groups[0].Name = "" }, "groups[0].name"},
		"with a person's name":        {func(d *consent.Document) { d.Groups[0].Name = "Dr. Who" }, "groups[0].name"},
		"with a long name":            {func(d *consent.Document) { d.Groups[0].Name = strings.Repeat("a", 41) }, "groups[0].name"},
		"with an empty group":         {func(d *consent.Document) { d.Groups[0].Members = []emr.ClinicianID{} }, "groups[0].members"},
		"with too large a group":      {func(d *consent.Document) { d.Groups[0].Members = many(65) }, "groups[0].members"},
		"with a member of no form":    {func(d *consent.Document) { d.Groups[0].Members = []emr.ClinicianID{"x"} }, "groups[0].members"},
		"with a group without an end": {func(d *consent.Document) { d.Groups[0].Until = 0 }, "groups[0].until"},
		"with a group that is over":   {func(d *consent.Document) { d.Groups[0].Until = start }, "groups[0].until"},
		"with a group for two years":  {func(d *consent.Document) { d.Groups[0].Until = start + 366*days }, "groups[0].until"},
		"with a group nobody uses":    {func(d *consent.Document) { d.Provisions = d.Provisions[:3] }, "groups[0]"},

		"without provisions":         {func(d *consent.Document) { d.Provisions = nil }, "provisions"},
		"with 65 provisions":         {func(d *consent.Document) { d.Provisions = slices.Repeat(d.Provisions[:1], 65) }, "provisions"},
		"with 10,000 provisions":     {func(d *consent.Document) { d.Provisions = slices.Repeat(d.Provisions[:1], 10000) }, "provisions"},
		"with an effect of ask":      {func(d *consent.Document) { d.Provisions[0].Effect = emr.Ask }, "provisions[0].effect"},
		"with no effect":             {func(d *consent.Document) { d.Provisions[0].Effect = "" }, "provisions[0].effect"},
		"with a period of nothing":   {func(d *consent.Document) { d.Provisions[2].From = start + 50 }, "provisions[2].until"},
		"with a time before time":    {func(d *consent.Document) { d.Provisions[2].From = -1 }, "provisions[2].from"},
		"with a beginning in a life": {func(d *consent.Document) { d.Provisions[0].From = start + 3651*days }, "provisions[0].from"},
		"with a provision over":      {func(d *consent.Document) { d.Provisions[1].Until = start }, "provisions[1].until"},
		"for a hundred years":        {func(d *consent.Document) { d.Provisions[1].Until = start + 36500*days }, "provisions[1].until"},
		"with an unknown level":      {func(d *consent.Document) { d.Provisions[0].Level = "secret" }, "provisions[0].level"},
		"with a list left out":       {func(d *consent.Document) { d.Provisions[0].Records = nil }, "provisions[0].records"},
		"with too long a list":       {func(d *consent.Document) { d.Provisions[1].People = many(33) }, "provisions[1].people"},
		"with a list out of order":   {func(d *consent.Document) { slices.Reverse(d.Provisions[1].People) }, "provisions[1].people"},
		"with somebody twice":        {func(d *consent.Document) { d.Provisions[1].People[1] = d.Provisions[1].People[0] }, "provisions[1].people"},
		"with a group it lacks":      {func(d *consent.Document) { d.Provisions[2].Groups = []string{"nobody"} }, "provisions[2].groups"},
		"with a hospital of no form": {func(d *consent.Document) { d.Provisions[0].Hospitals = []emr.OrgID{"a b"} }, "provisions[0].hospitals"},
		"for the role of patients":   {func(d *consent.Document) { d.Provisions[0].Roles = []emr.Role{emr.RolePatient} }, "provisions[0].roles"},
		"for auditors":               {func(d *consent.Document) { d.Provisions[0].Roles = []emr.Role{emr.RoleAuditor} }, "provisions[0].roles"},
		"for an unknown role":        {func(d *consent.Document) { d.Provisions[0].Roles = []emr.Role{"king"} }, "provisions[0].roles"},
		"for the patient's purpose":  {func(d *consent.Document) { d.Provisions[2].Purposes = []emr.Purpose{emr.PurposePatient} }, "provisions[2].purposes"},
		"for an unknown purpose":     {func(d *consent.Document) { d.Provisions[2].Purposes = []emr.Purpose{"FUN"} }, "provisions[2].purposes"},
		"for an unknown class":       {func(d *consent.Document) { d.Provisions[2].Classes = []emr.Class{"x"} }, "provisions[2].classes"},
		"with an author of no form":  {func(d *consent.Document) { d.Provisions[2].Authors = []emr.ClinicianID{"x"} }, "provisions[2].authors"},
		"with a record of no form":   {func(d *consent.Document) { d.Provisions[2].Records = []emr.RecordID{"x"} }, "provisions[2].records"},
		"with a scope of no form":    {func(d *consent.Document) { d.Provisions[2].Scopes = []emr.ScopeID{"x"} }, "provisions[2].scopes"},

		"with a provision about everything": {func(d *consent.Document) {
			d.Provisions[1].People = []emr.ClinicianID{}
		}, "provisions[1]"},
		"with a provision about a time only": {func(d *consent.Document) {
			d.Provisions[1].People, d.Provisions[1].Until = []emr.ClinicianID{}, start+9
		}, "provisions[1]"},
		"with roles that cannot use the purposes": {func(d *consent.Document) {
			d.Provisions[0].Roles, d.Provisions[0].Purposes = []emr.Role{emr.RoleInsurer}, []emr.Purpose{emr.PurposeTreatment}
		}, "provisions[0].purposes"},
		"with classes above the level": {func(d *consent.Document) {
			d.Provisions[2].Classes = []emr.Class{emr.ClassOmics}
		}, "provisions[2].level"},
		"with a provision twice": {func(d *consent.Document) { d.Provisions = append(d.Provisions, d.Provisions[1]) }, "provisions[4]"},
		"with a provision and its opposite": {func(d *consent.Document) {
			d.Provisions = append(d.Provisions, d.Provisions[1])
			d.Provisions[4].Effect = emr.Permit
		}, "provisions[4]"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := whole()
			test.change(&d)
			err := d.Validate(start)
			require.Equal(t, emr.CodeInvalid, emr.CodeOf(err), "%v", err)
			require.Contains(t, emr.Public(err).Field, "document."+test.field)
			b, err := emr.Canonical(d)
			require.NoError(t, err)
			_, err = consent.Parse(b, start)
			require.Error(t, err)
		})
	}
}

func TestTheSameSelectorsMayStandInPeriodsThatDoNotMeet(t *testing.T) {
	t.Parallel()
	d := consent.Nothing()
	hospital := func(p *consent.Provision) { p.Hospitals = []emr.OrgID{"AMSP"} }
	d.Provisions = []consent.Provision{permit(hospital), deny(hospital)}
	d.Provisions[0].Until, d.Provisions[1].From = start+10, start+10
	d = consent.Normal(d)
	require.NoError(t, d.Validate(start))
	d.Provisions[1].From--
	require.Error(t, d.Validate(start))
}

func TestADocumentOfTooManyBytesIsRefused(t *testing.T) {
	t.Parallel()
	d := consent.Nothing()
	for i := range consent.MaxProvisions {
		d.Provisions = append(d.Provisions, permit(func(p *consent.Provision) {
			for j := range consent.MaxNamed {
				p.Records = append(p.Records, emr.RecordID(fmt.Sprintf("rec_%016x%016x", i, j)))
			}
		}))
	}
	d = consent.Normal(d)
	require.Equal(t, emr.CodeTooLarge, emr.CodeOf(d.Validate(start)))
	b, err := emr.Canonical(d)
	require.NoError(t, err)
	_, err = consent.Parse(b, start)
	require.Equal(t, emr.CodeTooLarge, emr.CodeOf(err))
}

func TestNormalFormChangesNoDecision(t *testing.T) {
	t.Parallel()
	d := whole()
	d.Groups[0], d.Groups[1] = d.Groups[1], d.Groups[0]
	slices.Reverse(d.Provisions[1].People)
	d.Provisions[1].People = append(d.Provisions[1].People, d.Provisions[1].People[0])
	d.Provisions[0].Records = nil
	require.Error(t, d.Validate(start))
	require.Equal(t, whole(), consent.Normal(d))
	same := consent.Document{Groups: []consent.Group{{Name: "a"}, {Name: "a"}}}
	require.Len(t, consent.Normal(same).Groups, 2, "a duplicate group is for Validate to refuse")
}

func TestADocumentHasOneHash(t *testing.T) {
	t.Parallel()
	a, b := whole(), whole()
	first, err := a.Hash()
	require.NoError(t, err)
	second, err := b.Hash()
	require.NoError(t, err)
	require.Equal(t, first, second)
	b.Provisions[0].Restricted = true
	third, err := b.Hash()
	require.NoError(t, err)
	require.NotEqual(t, first, third)
}

func TestWhomADocumentNames(t *testing.T) {
	t.Parallel()
	d := whole()
	require.Equal(t, names[emr.ClinicianID]("cli_"), d.People())
	require.Equal(t, []emr.OrgID{"AMSP", "BMSP"}, d.Hospitals())
}

// FuzzParse reads octets as a document: nothing panics, what is accepted is
// bounded and has exactly the bytes it came in, and deciding from it is safe.
func FuzzParse(f *testing.F) {
	for _, d := range []consent.Document{whole(), consent.Nothing()} {
		b, err := emr.Canonical(d)
		require.NoError(f, err)
		f.Add(b)
		f.Add(bytes.Replace(b, []byte(`"deny"`), []byte(`"permit"`), 1))
		f.Add(append(b, ' '))
	}
	f.Add([]byte(`{"base":"deny","groups":null,"provisions":[]}`))
	f.Add([]byte(`{"base":"deny","groups":[],"provisions":[],"x":1}`))
	f.Add([]byte(`{"base":"deny","base":"permit","groups":[],"provisions":[]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := consent.Parse(data, start)
		if err != nil {
			require.Contains(t, []emr.Code{emr.CodeInvalid, emr.CodeTooLarge}, emr.CodeOf(err))
			return
		}
		again, err := emr.Canonical(d)
		require.NoError(t, err)
		require.Equal(t, string(data), string(again))
		require.LessOrEqual(t, len(d.Provisions), consent.MaxProvisions)
		require.Equal(t, *d, consent.Normal(*d))
		c := &consent.Consent{Version: 1, Status: consent.Active, Document: *d}
		o := consent.Decide(c, facts(), start)
		decision, reason := told(c, facts(), start)
		require.Equal(t, decision, o.Decision)
		require.Equal(t, reason, o.Reason)
	})
}
