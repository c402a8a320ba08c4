// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledgermodel

import (
	"slices"
	"time"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/pre"
)

// Rules about wide grants as patients might set them.

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
	if m.seldom(5, "no rule any more") {
		return &ruleTerms{}
	}
	if m.mostly(3, "a bound that there is") {
		return m.changedBound(t)
	}
	switch m.c.Choose(11, "what changes") {
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
	case 10: // tighter in one respect, looser in another
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
