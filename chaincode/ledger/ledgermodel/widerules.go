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

// foundRule is the rule with which a sequence begins: what is wide needs the second
// key or a physician's word, or that of a delegate, who may give, too.
func (m *Model) foundRule(p, delegate *patient) {
	t := &ruleTerms{confirmers: []*actor{m.clinicians[0].actor}, second: m.device(p), hours: 1}
	t.bounds = pick(m, []emr.GrantBounds{
		{Scope: true, Records: 1}, {Level: emr.LevelModerate}, {Days: 1, Level: emr.LevelPrivate}, {Days: 1, Records: 1},
	}, "bounds")
	if m.mostly(2, "a delegate") {
		m.run(m.nameDelegate(p, p.actor, p.org, delegate, emr.DelegationChosen, m.now().Add(30*24*time.Hour)))
		t.name(delegate.actor)
	}
	m.run(m.setGrantRule(p, p.actor, t))
}

// newRule draws terms from nothing.
func (m *Model) newRule(p *patient) *ruleTerms {
	t := &ruleTerms{hours: pick(m, []uint32{1, 0, 2, 24}, "hours")}
	for range 1 + m.c.Choose(2, "bounds") {
		switch m.c.Choose(5, "bound") {
		case 0, 1:
			t.bounds.Scope = true
		case 2:
			t.bounds.Days = pick(m, []uint32{1, 30}, "days")
		case 3:
			t.bounds.Records = pick(m, []uint32{1, 2}, "records")
		case 4:
			t.bounds.Level = pick(m, emr.Levels(), "level")
		}
	}
	for range m.c.Choose(3, "confirmers") {
		t.name(m.someConfirmer(p))
	}
	for _, a := range m.delegatesOf(p) { // who may not confirm what they signed themselves
		if m.mostly(3, "a delegate") {
			t.name(a)
		}
	}
	if len(t.confirmers) == 0 || m.mostly(2, "a second key") {
		t.second = m.device(p)
	}
	return t
}

// someConfirmer is anybody, or somebody who may want to confirm the own doing.
func (m *Model) someConfirmer(p *patient) *actor {
	switch m.c.Choose(4, "who") {
	case 2:
		return m.helper(p)
	case 3:
		return pick(m, m.readers(), "reader").actor
	}
	return m.anybody()
}

// delegatesOf are those who may sign for a patient now.
func (m *Model) delegatesOf(p *patient) []*actor {
	var all []*actor
	for _, q := range m.patients {
		if m.delegated(p, q.actor) {
			all = append(all, q.actor)
		}
	}
	return all
}

func (t *ruleTerms) name(a *actor) {
	if !slices.Contains(t.confirmers, a) {
		t.confirmers = append(slices.Clone(t.confirmers), a)
	}
}

// device is a key on another device of the patient, mostly a new one.
func (m *Model) device(p *patient) *pre.PrivateKey {
	if len(p.devices) > 0 && m.seldom(3, "one of before") {
		return pick(m, p.devices, "device")
	}
	key := m.newKey()
	p.devices = append(p.devices, key)
	return key
}

// changedRule changes one thing of the terms in force, or nothing.
func (m *Model) changedRule(p *patient) *ruleTerms {
	t := p.rule.terms
	if m.mostly(3, "a bound that there is") {
		return m.changedBound(t)
	}
	switch m.c.Choose(12, "what changes") {
	case 1:
		t.bounds.Scope = !t.bounds.Scope
	case 2:
		t.bounds.Days = pick(m, []uint32{1, 30, 0, 29}, "days")
	case 3:
		t.bounds.Records = pick(m, []uint32{1, 2, 0, 3}, "records")
	case 4:
		t.bounds.Level = pick(m, append(emr.Levels(), ""), "level")
	case 5:
		t.hours = pick(m, []uint32{1, 2, 3, 24}, "hours")
	case 6:
		t.name(m.someConfirmer(p))
	case 7:
		if len(t.confirmers) > 0 {
			t.confirmers = t.confirmers[1:]
		}
	case 8:
		t.second = nil
	case 9:
		t.second = m.device(p)
	case 10:
		t = ruleTerms{}
	case 11: // tighter in one respect, looser in another
		t.hours, t.bounds.Records = t.hours+1, t.bounds.Records+1
	}
	return &t
}

// changedBound moves a bound that there is, or takes it away.
func (m *Model) changedBound(t ruleTerms) *ruleTerms {
	var moves []func()
	b := &t.bounds
	if b.Scope {
		moves = append(moves, func() { b.Scope = false })
	}
	if b.Days > 0 {
		moves = append(moves, func() { b.Days = pick(m, []uint32{30, 1, 0}, "days") })
	}
	if b.Records > 0 {
		moves = append(moves, func() { b.Records = pick(m, []uint32{2, 1, 0}, "records") })
	}
	if b.Level != "" {
		moves = append(moves, func() { b.Level = pick(m, append(emr.Levels(), ""), "level") })
	}
	pick(m, moves, "bound")()
	return &t
}

func (m *Model) drawSetGrantRule() *step {
	p := m.ruler()
	return m.setGrantRule(p, m.self(p), m.someRule(p))
}

// ruler is a patient, mostly one who has a rule.
func (m *Model) ruler() *patient {
	p := pick(m, knownPatients(m), "patient")
	for _, other := range m.patients {
		if other.rule != nil && other.rule.terms.binds() && m.mostly(3, "one who has a rule") {
			p = other
		}
	}
	return p
}

func (m *Model) someRule(p *patient) *ruleTerms {
	if p.rule == nil || !p.rule.terms.binds() || m.seldom(6, "anew") {
		return m.newRule(p)
	}
	return m.changedRule(p)
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
		e := byThePatient(emr.AuditGrantRule, p, by, strconv.FormatUint(uint64(r.version), 10))
		e.Decision = emr.Permit
		return []emr.AuditEntry{e}
	}
	return s
}
