// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// signedGrant is what the patient last signed of a grant, in the simplest terms.
type signedGrant struct {
	id       emr.GrantID
	args     *ledgerapi.GrantAccessArgs
	left     ledgerapi.NarrowGrantArgs
	waiting  bool
	revoked  bool
	uses     uint32
	tickets  []emr.DisclosureID
	readings []emr.RecordID
}

// gives tells whether the patient's last word gives a record for treatment now.
func (g *signedGrant) gives(record emr.RecordID, now emr.Time) bool {
	covered := len(g.left.Records) == 0 || slices.Contains(g.left.Records, record)
	return !g.waiting && !g.revoked && covered && now < g.left.Until && slices.Contains(g.left.Purposes, emr.PurposeTreatment)
}

// grantingModel keeps every grant's last signed word, and compares all that is
// decided with it.
type grantingModel struct {
	*household
	t       *testing.T
	records []emr.RecordID
	grants  []*signedGrant
	bounds  emr.GrantBounds
	loose   *emr.GrantBounds // that waits for its confirmation
}

// draw makes a grant of some records, or of the scope, and tells whether it is wide.
func (m *grantingModel) draw(rt *rapid.T) *ledgerapi.GrantAccessArgs {
	var records []emr.RecordID
	for _, record := range m.records {
		if rapid.Bool().Draw(rt, "record") {
			records = append(records, record)
		}
	}
	args := m.Grant(m.scope, m.reader, records...)
	args.Terms.Purposes = []emr.Purpose{emr.PurposeResearch, emr.PurposeTreatment}
	args.Terms.MaxUses = rapid.Uint32Range(0, 4).Draw(rt, "uses")
	args.Terms.Until = m.Now.Add(time.Duration(rapid.IntRange(1, 60).Draw(rt, "minutes")) * time.Minute)
	return args
}

func (m *grantingModel) isWide(args *ledgerapi.GrantAccessArgs, records int) bool {
	whole := len(args.Terms.Records) == 0
	return m.bounds.Scope && whole || m.bounds.Records != 0 && (whole || records > int(m.bounds.Records))
}

func (m *grantingModel) keep(args *ledgerapi.GrantAccessArgs, records int) {
	m.grants = append(m.grants, &signedGrant{
		id: args.Terms.Grant, args: args, left: narrowing(args), waiting: m.isWide(args, records),
	})
}

func (m *grantingModel) grant(rt *rapid.T) {
	args := m.draw(rt)
	m.Do(m.t, m.patient, ledgerapi.GrantAccess, args)
	m.keep(args, len(args.Terms.Records))
}

func (m *grantingModel) batch(rt *rapid.T) {
	args := []*ledgerapi.GrantAccessArgs{m.draw(rt), m.draw(rt)}
	spoilt := rapid.IntRange(0, 3).Draw(rt, "spoilt") == 0
	if spoilt {
		args[1].Terms.Until = m.Now
	}
	_, err := m.Try(m.t, m.patient, ledgerapi.GrantBatch, m.several(args...))
	if spoilt {
		refuses(m.t, err, emr.CodeInvalid, "grants[1]")
		return
	}
	require.NoError(m.t, err)
	for _, one := range args {
		m.keep(one, len(args[0].Terms.Records)+len(args[1].Terms.Records))
	}
}

func (m *grantingModel) any(rt *rapid.T) *signedGrant {
	if len(m.grants) == 0 {
		return nil
	}
	return rapid.SampledFrom(m.grants).Draw(rt, "grant")
}

// narrow signs anything, narrower or not; what is accepted is the patient's last word.
func (m *grantingModel) narrow(rt *rapid.T) {
	g := m.any(rt)
	if g == nil {
		return
	}
	next := g.left
	next.Records = []emr.RecordID{}
	for _, record := range m.records {
		if rapid.Bool().Draw(rt, "left") {
			next.Records = append(next.Records, record)
		}
	}
	if rapid.Bool().Draw(rt, "same records") {
		next.Records = g.left.Records
	}
	next.MaxUses = rapid.Uint32Range(0, 4).Draw(rt, "uses left")
	next.Until += emr.Time(rapid.IntRange(-300, 20).Draw(rt, "seconds"))
	if rapid.Bool().Draw(rt, "for research alone") {
		next.Purposes = []emr.Purpose{emr.PurposeResearch}
	}
	_, err := m.Try(m.t, m.patient, ledgerapi.NarrowGrant, next)
	if g.revoked {
		refuses(m.t, err, emr.CodeGone, "")
		return
	}
	fewer := func(all []emr.RecordID, some []emr.RecordID) bool {
		return !slices.ContainsFunc(some, func(r emr.RecordID) bool { return !slices.Contains(all, r) })
	}
	records := len(g.left.Records) == 0 || len(next.Records) > 0 && fewer(g.left.Records, next.Records)
	uses := g.left.MaxUses == 0 || next.MaxUses != 0 && next.MaxUses <= g.left.MaxUses
	purposes := len(next.Purposes) <= len(g.left.Purposes)
	same := slices.Equal(next.Records, g.left.Records) && next.MaxUses == g.left.MaxUses && next.Until == g.left.Until &&
		len(next.Purposes) == len(g.left.Purposes)
	less := records && uses && purposes && next.Until <= g.left.Until && next.Until > g.args.Terms.NotBefore && !same
	require.Equal(m.t, less, err == nil, "%v", err)
	if less {
		if g.left.MaxUses == 0 {
			g.uses = 0 // there was nothing to count
		}
		g.left = next
	}
}

func (m *grantingModel) confirm(rt *rapid.T) {
	g := m.any(rt)
	if g == nil {
		return
	}
	by := rapid.SampledFrom([]ledgertest.Member{m.device, m.friend, m.patient, m.reader}).Draw(rt, "by")
	_, err := m.Try(m.t, by, ledgerapi.ConfirmGrant, m.confirmation(m.t, g.id))
	lifted := m.bounds == emr.GrantBounds{}
	may := (by == m.device || by == m.friend) && !lifted && g.waiting && !g.revoked && m.Now < g.left.Until
	require.Equal(m.t, may, err == nil, "%v", err)
	if may {
		g.waiting = false
	}
}

func (m *grantingModel) revoke(rt *rapid.T) {
	g := m.any(rt)
	if g == nil {
		return
	}
	_, err := m.Try(m.t, m.patient, ledgerapi.RevokeAccess, ledgerapi.RevokeAccessArgs{Patient: m.patient.Handle, Grant: g.id})
	require.Equal(m.t, !g.revoked, err == nil)
	g.revoked = true
}

func (m *grantingModel) read(rt *rapid.T) {
	g := m.any(rt)
	if g == nil {
		return
	}
	args := m.scene.read(g.id)
	args.Record = rapid.SampledFrom(m.records).Draw(rt, "record")
	receipt := m.disclose(m.t, m.reader, args)
	want := g.gives(args.Record, m.Now) && (g.left.MaxUses == 0 || g.uses < g.left.MaxUses)
	require.Equal(m.t, want, receipt.Decision == emr.Permit, "%s", receipt.Reason)
	if want {
		g.uses++
		g.tickets, g.readings = append(g.tickets, args.Disclosure), append(g.readings, args.Record)
	}
}

// present shows an earlier ticket: it obeys the patient's last word, too.
func (m *grantingModel) present(rt *rapid.T) {
	g := m.any(rt)
	if g == nil || len(g.tickets) == 0 {
		return
	}
	at := rapid.IntRange(0, len(g.tickets)-1).Draw(rt, "ticket")
	ticket := m.check(m.t, ledgertest.Regulator, m.open(m.t, m.reader, g.tickets[at]))
	if ticket.Decision == emr.Permit {
		require.True(m.t, g.gives(g.readings[at], m.Now))
	} else {
		require.True(m.t, !g.gives(g.readings[at], m.Now) || m.Now >= ticket.Disclosure.Until, "%s", ticket.Reason)
	}
}

// request permits only what a grant gives by the patient's last word.
func (m *grantingModel) request(rt *rapid.T) {
	args := m.ask(rapid.SampledFrom(m.records).Draw(rt, "record"))
	receipt := m.Do(m.t, m.reader, ledgerapi.RequestAccess, args).(*ledgerapi.DecisionReceipt)
	if receipt.Decision != emr.Permit {
		return
	}
	at := slices.IndexFunc(m.grants, func(g *signedGrant) bool { return g.id == receipt.Grant })
	require.True(m.t, m.grants[at].gives(args.Record, m.Now))
}

// rule sets other bounds: tighter ones hold at once, looser ones when confirmed.
func (m *grantingModel) setRule(rt *rapid.T) {
	current := m.rule(m.t)
	next := emr.GrantBounds{Scope: true, Records: rapid.Uint32Range(0, 3).Draw(rt, "bound")}
	terms := current.Terms
	terms.Bounds = next
	m.Do(m.t, m.patient, ledgerapi.SetGrantRule,
		ledgerapi.SetGrantRuleArgs{Patient: m.patient.Handle, Version: current.Version, Terms: terms})
	if m.bounds.Records == 0 || next.Records != 0 && next.Records <= m.bounds.Records {
		m.bounds, m.loose = next, nil
	} else {
		m.loose = &next
	}
}

func (m *grantingModel) confirmRule(rt *rapid.T) {
	by := rapid.SampledFrom([]ledgertest.Member{m.device, m.friend, m.patient, m.reader}).Draw(rt, "by")
	_, err := m.Try(m.t, by, ledgerapi.ConfirmGrantRule,
		ledgerapi.ConfirmGrantRuleArgs{Patient: m.patient.Handle, Version: m.rule(m.t).Version})
	may := (by == m.device || by == m.friend) && m.loose != nil
	require.Equal(m.t, may, err == nil, "%v", err)
	if may {
		m.bounds, m.loose = *m.loose, nil
	}
}

// agree compares every stored grant and the rule with the patient's last word.
func (m *grantingModel) agree(*rapid.T) {
	require.Equal(m.t, m.bounds, m.rule(m.t).Terms.Bounds)
	for _, g := range m.grants {
		stored := m.getGrant(m.t, g.id)
		effective := stored.Effective()
		require.Equal(m.t, g.args.Terms, stored.Terms)
		require.Equal(m.t, []any{g.left.Records, g.left.Purposes, g.left.Until, g.left.MaxUses},
			[]any{effective.Records, effective.Purposes, effective.Until, effective.MaxUses})
		require.Equal(m.t, g.revoked, stored.Status == emr.GrantRevoked)
		require.Equal(m.t, g.revoked, len(m.Private(ledgerapi.FragmentKey(g.id))) == 0)
		if !g.revoked {
			require.Equal(m.t, g.waiting, stored.Status == emr.GrantWaiting)
		}
	}
}

// TestAGrantNeverGivesMoreThanThePatientLastSigned narrows, batches, confirms and
// revokes at random, and reads in between.
func TestAGrantNeverGivesMoreThanThePatientLastSigned(t *testing.T) {
	t.Parallel()
	base := newHousehold(t, emr.GrantBounds{Scope: true})
	second := base.Record(t, base.author, base.scope, emr.ClassPrescription)
	records := []emr.RecordID{base.record.Record, second.Record}
	slices.Sort(records)
	rapid.Check(t, func(rt *rapid.T) {
		scene, consortium, home := *base.scene, *base.Consortium, *base
		consortium.World, consortium.Check = base.Clone(), nil
		scene.Consortium = &consortium
		home.scene = &scene
		m := &grantingModel{household: &home, t: t, records: records, bounds: emr.GrantBounds{Scope: true}}
		rt.Repeat(map[string]func(*rapid.T){
			"grant": m.grant, "batch": m.batch, "narrow": m.narrow, "narrow again": m.narrow, "confirm": m.confirm, "revoke": m.revoke,
			"read": m.read, "read again": m.read, "present": m.present, "request": m.request, "rule": m.setRule, "confirm rule": m.confirmRule,
			"wait": func(rt *rapid.T) { m.Wait(time.Duration(rapid.IntRange(1, 300).Draw(rt, "seconds")) * time.Second) }, "": m.agree,
		})
	})
}
