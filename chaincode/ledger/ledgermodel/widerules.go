// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledgermodel

import (
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
	"github.com/emrys-health/emrys/pkg/pre"
)

// A patient's rule about wide grants.

type wideRule struct {
	version uint32
	terms   ruleTerms
	since   emr.Time   // when somebody was named who may confirm
	next    *ruleTerms // looser, and waits
}

type ruleTerms struct {
	bounds     emr.GrantBounds
	confirmers []*actor
	second     *pre.PrivateKey
	hours      uint32
}

func (t *ruleTerms) binds() bool { return t.bounds != emr.GrantBounds{} }

// freedoms are what a rule leaves to the patient's one key, and how soon others may
// act: every number is larger the more it leaves.
func (t *ruleTerms) freedoms() []float64 {
	or := func(bound uint32) float64 {
		if bound == 0 {
			return math.Inf(1)
		}
		return float64(bound)
	}
	scopes := 1.0
	if t.bounds.Scope {
		scopes = 0
	}
	below := map[emr.Level]float64{emr.LevelLow: 1, emr.LevelModerate: 2, emr.LevelPrivate: 3, "": math.Inf(1)}[t.bounds.Level]
	return []float64{scopes, or(t.bounds.Days), or(t.bounds.Records), below, -float64(t.hours)}
}

// names tells whether somebody may confirm under the next terms who may not under these.
func (t *ruleTerms) names(next *ruleTerms) bool {
	return next.second != nil && next.second != t.second ||
		slices.ContainsFunc(next.confirmers, func(a *actor) bool { return !slices.Contains(t.confirmers, a) })
}

// loosens tells whether the next terms leave more in any respect.
func (t *ruleTerms) loosens(next *ruleTerms) bool {
	now, then := t.freedoms(), next.freedoms()
	for i := range now {
		if then[i] > now[i] {
			return true
		}
	}
	return t.names(next)
}

// document writes the terms as they are signed.
func (t *ruleTerms) document() emr.GrantRuleTerms {
	d := emr.GrantRuleTerms{Bounds: t.bounds, Confirmers: []string{}, WaitHours: t.hours}
	for _, a := range t.confirmers {
		d.Confirmers = append(d.Confirmers, a.id)
	}
	slices.Sort(d.Confirmers)
	if t.second != nil {
		key := pinned(t.second)
		d.Second = &key
	}
	return d
}

func (m *Model) drawSetGrantRule() *step {
	p := m.ruler()
	return m.setGrantRule(p, m.self(p), m.someRule(p))
}

// setGrantRule sets a rule, or tries to.
func (m *Model) setGrantRule(p *patient, by *actor, t *ruleTerms) *step {
	spoilt := m.spoilRule(p, t)
	args := ledgerapi.SetGrantRuleArgs{Patient: p.handle, Terms: t.document()}
	if p.rule != nil {
		args.Version = p.rule.version
	}
	stale := m.seldom(16, "another version")
	if stale {
		args.Version++
	}
	args.Terms.Confirmers = append(args.Terms.Confirmers, spoilt...)
	slices.Sort(args.Terms.Confirmers)
	s := m.signed(ledgerapi.SetGrantRule, by, m.carrier(by), nil)
	if p.rule != nil && p.rule.terms.second != nil && by == p.actor && m.seldom(12, "by the second key") {
		s.key = p.rule.terms.second
		s.fault(s.key != p.key, emr.CodeUnauthenticated)
	}
	m.proveSecond(s, p, t, &args)
	s.args = args
	s.onlyPatient(p)
	s.fault(stale, emr.CodeStale)
	s.fault(len(spoilt) > 0, emr.CodeInvalid)
	m.faultsOfRule(s, p, t)
	m.ruled(s, p, t)
	return s
}

// spoilRule makes terms such as cannot be, now and then. It returns names that nobody may have.
func (m *Model) spoilRule(p *patient, t *ruleTerms) []string {
	switch m.c.Choose(32, "what is wrong") {
	case 24:
		t.name(p.actor)
	case 25:
		t.hours = 30*24 + 1
	case 26:
		t.bounds.Level = "secret"
	case 27:
		t.confirmers, t.second = nil, nil
	case 28:
		t.bounds = emr.GrantBounds{}
	case 29:
		for range 12 {
			t.name(m.anybody())
		}
	case 30:
		if len(p.retired) > 0 {
			t.second = p.retired[0]
		} else {
			t.second = p.key
		}
	case 31:
		return []string{pick(m, []string{"patient", string(emr.ActorAdmin), string(ledgertest.ID[emr.Handle](emr.HandlePrefix))}, "nobody")}
	}
	return nil
}

// proveSecond shows that somebody holds a second key that is new, mostly.
func (m *Model) proveSecond(s *step, p *patient, t *ruleTerms, args *ledgerapi.SetGrantRuleArgs) {
	fresh := t.second != nil && (p.rule == nil || p.rule.terms.second != t.second)
	wrong := m.seldom(16, "no proof, or one too many")
	s.fault(wrong, emr.CodeInvalid)
	if fresh == wrong {
		return
	}
	key := t.second
	if key == nil {
		key = m.newKey()
	}
	said := ledgerapi.ProveSecondKeyArgs{Patient: p.handle, Version: args.Version, Second: pinned(key)}
	proof := &step{function: ledgerapi.ProveSecondKey, by: p.actor}
	switch m.c.Choose(24, "proof") {
	case 19:
		said.Version++
		s.fault(true, emr.CodeInvalid)
	case 20:
		s.fault(key != p.key, emr.CodeUnauthenticated)
		key = p.key
	case 21:
		proof.by = m.anybody()
		s.fault(proof.by != p.actor, emr.CodeInvalid)
	case 22:
		proof.function = ledgerapi.ProveKey
		s.fault(true, emr.CodeInvalid)
	case 23: // made before, for this change
		proof.spoil = func(a *emr.Action) { a.Issued, a.Expires = a.Issued.Add(-10*time.Minute), a.Issued }
		s.fault(true, emr.CodeUnauthenticated)
	}
	proof.args = said
	args.Proof = m.sign(m.action(proof), key)
}

// faultsOfRule is what can be wrong with terms.
func (m *Model) faultsOfRule(s *step, p *patient, t *ruleTerms) {
	s.fault(slices.Contains(t.confirmers, p.actor) || len(t.confirmers) > 4, emr.CodeInvalid)
	for _, a := range t.confirmers {
		s.fault(!a.registered, emr.CodeInvalid)
		s.fault(a.clinician != nil && a.clinician.state() != emr.ClinicianActive, emr.CodeRule)
	}
	s.fault(t.hours > 30*24, emr.CodeInvalid)
	s.fault(t.bounds.Level != "" && !slices.Contains(emr.Levels(), t.bounds.Level), emr.CodeInvalid)
	nobody := len(t.confirmers) == 0 && t.second == nil
	s.fault(t.binds() && nobody || !t.binds() && (!nobody || t.hours > 0), emr.CodeInvalid)
	if t.second != nil && (p.rule == nil || p.rule.terms.second != t.second) {
		s.fault(t.second == p.key, emr.CodeInvalid)
		s.fault(slices.Contains(p.retired, t.second), emr.CodeRule)
	}
}

// ruled tells what becomes of a rule: tighter, it holds at once, and looser it waits.
func (m *Model) ruled(s *step, p *patient, t *ruleTerms) {
	if t.binds() && t.hours == 0 {
		t.hours = 72
	}
	old := p.rule
	waits := old != nil && old.terms.binds() && old.terms.loosens(t)
	s.event, s.says = ledgerapi.EventGrantRule, says(emr.Permit, "")
	if waits {
		s.says = says(emr.Ask, emr.ReasonGrantWaiting)
	}
	s.then = func(a *answer) []emr.AuditEntry {
		next := &wideRule{version: 1, since: a.At, terms: *t}
		if old != nil {
			next.version = old.version + 1
			if old.terms.binds() {
				next.since = old.since
			}
		}
		if waits {
			next.terms, next.next = old.terms, t
			m.urge = func() *step { return m.loosen(p) }
		}
		p.rule = next
		e := byThePatient(emr.AuditGrantRule, p, p.actor, strconv.FormatUint(uint64(next.version), 10))
		e.Decision, e.Reason = a.Decision, a.Reason
		return []emr.AuditEntry{e}
	}
}

// loosen confirms a rule, often at the second from which on no key counts as new, or one before.
func (m *Model) loosen(p *patient) *step {
	by, key := m.confirmer(p)
	from := m.confirms(&step{by: by, key: key}, p)
	if early := from - m.now(); early > 0 && !m.Shared && m.mostly(3, "wait for it") {
		m.d.Wait(time.Duration(early-emr.Time(m.c.Choose(2, "a second early"))) * time.Second)
	}
	return m.confirmRule(p, by, key)
}

func (m *Model) drawConfirmGrantRule() *step {
	waits := func(p *patient) bool { return p.rule != nil && p.rule.next != nil }
	if !slices.ContainsFunc(m.patients, waits) && m.mostly(4, "a rule that may wait") {
		p := m.ruler()
		return m.setGrantRule(p, p.actor, m.someRule(p))
	}
	p := pick(m, knownPatients(m), "patient")
	for _, other := range m.patients {
		if waits(other) && m.mostly(3, "one whose rule waits") {
			p = other
		}
	}
	by, key := m.confirmer(p)
	return m.confirmRule(p, by, key)
}

func (m *Model) confirmRule(p *patient, by *actor, key *pre.PrivateKey) *step {
	args := ledgerapi.ConfirmGrantRuleArgs{Patient: p.handle}
	if p.rule != nil {
		args.Version = p.rule.version
	}
	stale := m.seldom(12, "another version")
	if stale {
		args.Version--
	}
	s := m.signed(ledgerapi.ConfirmGrantRule, by, m.carrier(by), args)
	s.key = key
	from := m.confirms(s, p)
	s.fault(stale, emr.CodeStale)
	s.fault(p.rule == nil || p.rule.next == nil || from > m.now(), emr.CodeRule)
	s.event = ledgerapi.EventGrantRule
	s.then = func(a *answer) []emr.AuditEntry {
		r := *p.rule
		if r.terms.names(r.next) {
			r.since = a.At
		}
		r.terms, r.next, r.version = *r.next, nil, r.version+1
		p.rule = &r
		if !r.terms.binds() { // and who is named next is named anew
			m.urge = func() *step { return m.setGrantRule(p, p.actor, m.newRule(p)) }
		}
		e := byThePatient(emr.AuditGrantRule, p, by, strconv.FormatUint(uint64(r.version), 10))
		e.Decision = emr.Permit
		return []emr.AuditEntry{e}
	}
	return s
}
