// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledgermodel

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
	"github.com/emrys-health/emrys/pkg/pre"
)

// Wide grants, which wait for somebody else's word (docs/spec/granting.md, G6).

// held is what becomes of a grant that was wide when it was given.
type held struct {
	terms     emr.Digest // of what was shown
	by        *actor     // who signed it: the patient or a delegate
	answers   *request   // which it answers once it is confirmed
	told      []*actor   // who might confirm it when it was given
	confirmed *actor     // nil while it waits
	ready     emr.Time   // from when a confirmed one gives; 0 for at once
}

// gives tells whether a grant that was wide gives anything now.
func (h *held) gives(now emr.Time) bool { return h == nil || h.confirmed != nil && now >= h.ready }

// measures are how much of a rule's four bounds a grant is: at or above a bound it is wide.
type measures struct {
	whole   bool
	seconds emr.Time
	records int
	levels  []emr.Level
}

// measure measures a grant that is given in an action which gives so many records in all.
func (m *Model) measure(g *grant, records int) measures {
	all := measures{whole: len(g.records) == 0, seconds: g.until - m.now(), records: records}
	for _, r := range g.records {
		all.levels = append(all.levels, levelOf(r.class))
	}
	if all.whole {
		all.levels = []emr.Level{g.scope.Level}
	}
	return all
}

// wide tells whether a patient's rule in force calls it wide.
func (r *wideRule) wide(is measures) bool {
	if r == nil {
		return false
	}
	const day = emr.Time(24 * time.Hour / time.Second)
	b := r.terms.bounds
	byScope := b.Scope && is.whole
	byDays := b.Days > 0 && is.seconds > emr.Time(b.Days)*day
	byRecords := b.Records > 0 && (is.whole || is.records > int(b.Records))
	byLevel := b.Level != "" && slices.ContainsFunc(is.levels, func(l emr.Level) bool { return reaches(l, b.Level) })
	return byScope || byDays || byRecords || byLevel
}

// hold lets a grant wait, when the patient's rule says so.
func (m *Model) hold(g *grant, by *actor, q *request, args *ledgerapi.GrantAccessArgs, records int) {
	rule := g.owner.rule
	if !rule.wide(m.measure(g, records)) {
		return
	}
	hash, err := args.Terms.Hash()
	require.NoError(m.t, err)
	g.held = &held{terms: hash, by: by, answers: q, told: rule.terms.confirmers}
}

// waits tells of a grant that was just committed and waits: it gives nothing until somebody else says so.
func (m *Model) waits(g *grant, entries []emr.AuditEntry) []emr.AuditEntry {
	for i := range entries {
		entries[i].Decision, entries[i].Reason = emr.Ask, emr.ReasonGrantWaiting
	}
	m.urge = func() *step {
		switch m.c.Choose(8, "what waits") {
		case 2:
			return m.confirmFresh(g)
		case 6:
			return m.afterwards(m.rotatePatientKeys(g.owner, toSecondKey), func() *step { return m.confirmGrantBy(g, g.owner, g.owner.actor, nil) })
		case 3:
			n := g.left()
			n.until = min(n.until-1, m.now().Add(time.Hour))
			return m.narrow(g, n)
		case 4:
			m.urge = func() *step { return m.confirmGrant(g) }
			return m.readAgain(func(other *grant) bool { return other == g })
		case 5:
			return m.confirmLate(g)
		}
		return m.confirmGrant(g)
	}
	return entries
}

// confirmFresh lets somebody who may confirm a grant replace keys, and confirm it at once.
func (m *Model) confirmFresh(g *grant) *step {
	if len(g.held.told) == 0 {
		return m.confirmGrant(g)
	}
	a := pick(m, g.held.told, "confirmer")
	confirm := func() *step { return m.confirmGrantBy(g, g.owner, a, nil) }
	if a.patient != nil {
		return m.afterwards(m.rotatePatientKeys(a.patient, 0), confirm)
	}
	return m.afterwards(m.rotateClinicianKeys(a.clinician), confirm)
}

// afterwards asks for another step when a step is committed.
func (m *Model) afterwards(s *step, next func() *step) *step {
	if then := s.then; then != nil {
		s.then = func(a *answer) []emr.AuditEntry {
			entries := then(a)
			m.urge = next
			return entries
		}
	}
	return s
}

// confirmLate confirms what ends this second, or the next one.
func (m *Model) confirmLate(g *grant) *step {
	left := g.until - m.now() - emr.Time(m.c.Choose(2, "a second early"))
	if wait := time.Duration(left) * time.Second; wait > 0 && wait <= 24*time.Hour && !m.Shared {
		m.d.Wait(wait)
	}
	return m.confirmGrant(g)
}

// sameWaiting holds the answer to a batch against what must wait of it.
func (m *Model) sameWaiting(all []*grant) {
	var answer ledgerapi.GrantBatchReceipt
	require.NoError(m.t, json.Unmarshal(m.answer, &answer))
	want := []emr.GrantID{}
	for _, g := range all {
		if g.held != nil {
			want = append(want, g.id)
		}
	}
	require.Equal(m.t, want, answer.Waiting, "what waits of a batch")
}

// keysSince is since when somebody's keys are the present ones, as the trail tells.
func (m *Model) keysSince(a *actor) emr.Time {
	since := emr.Time(0)
	for i := range m.entries {
		e := &m.entries[i]
		if a.patient != nil && string(e.Patient) == a.id &&
			(e.Kind == emr.AuditRegistered || e.Kind == emr.AuditKeys || e.Kind == emr.AuditRecoveryCompleted) ||
			a.clinician != nil && e.Patient == "" && e.Ref == a.id && (e.Kind == emr.AuditClinician || e.Kind == emr.AuditKeys) {
			since = max(since, e.At)
		}
	}
	return since
}

// confirms makes a step that of somebody who confirms under a patient's rule, with
// what is wrong with that somebody. It returns from when on no key that takes part is new.
func (m *Model) confirms(s *step, p *patient) emr.Time {
	rule := p.rule
	if rule == nil {
		s.fault(true, emr.CodeNotFound)
		return 0
	}
	from := max(rule.since, m.keysSince(p.actor))
	switch by := s.by; {
	case by == p.actor: // by another device, whose key is not the one that signs grants
		second := rule.terms.second
		if second == nil || second == p.key {
			s.fault(true, emr.CodeForbidden)
			second = p.key
		}
		s.fault(s.keyThen() != second, emr.CodeUnauthenticated)
	case !slices.Contains(rule.terms.confirmers, by):
		s.fault(true, emr.CodeForbidden)
	default:
		if by.clinician != nil {
			s.active()
		}
		from = max(from, m.keysSince(by))
	}
	return from.Add(time.Duration(rule.terms.hours) * time.Hour)
}

// confirmer is mostly somebody who may confirm for a patient, and now and then a
// key of the patient's that may not. The key is nil for the person's own.
func (m *Model) confirmer(p *patient) (*actor, *pre.PrivateKey) {
	kind := m.c.Choose(20, "who confirms")
	rule := p.rule
	if rule == nil || kind == 19 {
		return m.anybody(), nil
	}
	if kind == 18 {
		return p.actor, nil
	}
	if kind == 17 && len(p.devices) > 0 {
		return p.actor, pick(m, p.devices, "device")
	}
	all := len(rule.terms.confirmers)
	if rule.terms.second == nil && all == 0 {
		return m.anybody(), nil
	}
	if at := m.c.Choose(all+1, "confirmer"); at < all {
		return rule.terms.confirmers[at], nil
	}
	return p.actor, rule.terms.second
}

func (m *Model) drawConfirmGrant() *step {
	waits := m.undecided
	if !slices.ContainsFunc(m.grants, waits) && m.mostly(4, "a grant that may wait") || m.seldom(4, "one more") {
		return m.giveMuch()
	}
	if len(m.grants) == 0 {
		return nil
	}
	g := pick(m, m.grants, "grant")
	for _, other := range m.grants {
		if waits(other) && m.mostly(3, "one that waits") {
			g = other
		}
	}
	return m.confirmGrant(g)
}

// giveMuch gives as much as a bound of the patient's rule allows, or a little more,
// and mostly what can be given.
func (m *Model) giveMuch() *step {
	p := m.ruler()
	if p.rule == nil || len(p.scopes) == 0 {
		return nil
	}
	s := m.giveAbout(p)
	for range 3 {
		if len(s.faults) > 0 {
			s = m.giveAbout(p)
		}
	}
	return s
}

func (m *Model) giveAbout(p *patient) *step {
	g := m.someGrant(p)
	in := slices.DeleteFunc(slices.Clone(m.records), func(r *record) bool { return r.scope != g.scope })
	switch m.c.Choose(3, "how much") {
	case 0:
		g.records = nil
	case 1:
		g.records = in
	}
	if days := p.rule.terms.bounds.Days; !m.Shared {
		g.until = m.now().Add(time.Duration(max(days, 1)) * 24 * time.Hour)
		if days == 0 || m.seldom(2, "a second more") {
			g.until++
		}
	}
	by := m.helper(p)
	for _, a := range m.delegatesOf(p) {
		if slices.Contains(p.rule.terms.confirmers, a) && m.mostly(2, "a delegate who may confirm others' grants") {
			by = a
		}
	}
	return m.give(g, by, nil)
}

// confirmGrant confirms a grant, or tries to.
func (m *Model) confirmGrant(g *grant) *step {
	of := g.owner
	if m.seldom(12, "as of another patient") {
		of = pick(m, knownPatients(m), "patient")
	}
	by, key := m.confirmer(of)
	switch {
	case m.seldom(12, "who receives it"):
		by, key = g.to.actor, nil
	case g.held != nil && g.held.by != g.owner.actor && m.mostly(2, "the delegate who signed it"):
		by, key = g.held.by, nil
	}
	return m.confirmGrantBy(g, of, by, key)
}

func (m *Model) confirmGrantBy(g *grant, of *patient, by *actor, key *pre.PrivateKey) *step {
	args := ledgerapi.ConfirmGrantArgs{Patient: of.handle, Grant: g.id, Terms: emr.Digest(random(32))}
	shown := g.held != nil && m.mostly(12, "what was shown")
	if shown {
		args.Terms = g.held.terms
	}
	unknown := m.seldom(24, "no such grant")
	if unknown {
		args.Grant = ledgertest.ID[emr.GrantID](emr.GrantPrefix)
	}
	s := m.signed(ledgerapi.ConfirmGrant, by, m.carrier(by), args)
	s.key = key
	from := m.confirms(s, of)
	s.fault(unknown || of != g.owner, emr.CodeNotFound)
	s.fault(!g.lives(), emr.CodeGone)
	s.fault(g.held == nil || g.held.confirmed != nil, emr.CodeExists)
	s.fault(!shown, emr.CodeInvalid)
	s.fault(by == g.to.actor || g.held != nil && by == g.held.by && by != g.owner.actor, emr.CodeForbidden)
	s.fault(m.now() >= g.until, emr.CodeRule)
	s.event, s.says = ledgerapi.EventAccessGranted, says(emr.Permit, "")
	s.then = func(a *answer) []emr.AuditEntry {
		require.Equal(m.t, g.id, a.Grant)
		g.held.confirmed = by
		if from > a.At {
			g.held.ready = from
		}
		require.Equal(m.t, g.held.ready, a.Until, "from when a grant gives")
		return m.confirmed(g)
	}
	return s
}

// confirmed is what a grant does that waits no more: it is found, and it answers
// its request, if that still waits and what is left of the grant answers it.
func (m *Model) confirmed(g *grant) []emr.AuditEntry {
	m.cover(g)
	if q := g.held.answers; q != nil && q.pending && q.record.closed() == "" && g.answers(q) {
		q.answer(g)
	}
	m.urge = func() *step {
		if early := g.held.ready - m.now(); early > 0 && g.until > g.held.ready && !m.Shared {
			m.d.Wait(time.Duration(early-emr.Time(m.c.Choose(2, "a second early"))) * time.Second)
		}
		if m.seldom(2, "ask for it") {
			return m.requestOf(g)
		}
		return m.readAgain(func(other *grant) bool { return other == g })
	}
	entries := entriesOf(emr.AuditConfirmed, g, g.held.confirmed, g.signedRecords)
	for i := range entries {
		entries[i].Decision, entries[i].Purpose = emr.Permit, ""
	}
	return entries
}

// requestOf asks for what a grant gives already.
func (m *Model) requestOf(g *grant) *step {
	in := slices.DeleteFunc(slices.Clone(m.records), func(r *record) bool { return r.scope != g.scope || !g.names(r) || r.next != nil })
	if len(in) == 0 {
		return nil
	}
	return m.request(g.to.actor, pick(m, in, "record"), g.purposes[0])
}

// cover lets requests find a grant.
func (m *Model) cover(g *grant) {
	if len(g.signedRecords) == 0 {
		m.covering[string(g.scope.ID)+g.to.id] = g
	}
	for _, r := range g.signedRecords {
		m.covering[string(r.id)+g.to.id] = g
	}
}

// mayConfirm verifies, by the signature alone, that a grant or a rule is confirmed
// by a key that the patient's rule names.
func (m *Model) mayConfirm(s *step, p *patient, typ string) bool {
	confirms := s.function == ledgerapi.ConfirmGrant && typ == ledgerapi.TypeGrant ||
		s.function == ledgerapi.ConfirmGrantRule && typ == ledgerapi.TypeGrantRule
	if !confirms || p.rule == nil {
		return false
	}
	if second := p.rule.terms.second; second != p.key && m.signedBy(s.sent, second) {
		return true
	}
	return slices.ContainsFunc(p.rule.terms.confirmers, func(a *actor) bool { return m.signedBy(s.sent, a.key) })
}
