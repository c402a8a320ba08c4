// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledgermodel

import (
	"slices"
	"strings"

	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// Versions under a new key, and scopes whose epoch ends.

func (m *Model) drawRekey() *step {
	if len(m.records) == 0 {
		return nil
	}
	r := pick(m, m.records, "record")
	for _, other := range m.records {
		if other.closed() == "" && other.next == nil && m.seldom(3, "one that can be re-keyed") {
			r = other
		}
	}
	by := r.author.actor
	if m.seldom(3, "by the patient") {
		by = r.owner.actor
	} else if m.seldom(6, "as a patient's helper") {
		by = m.helper(r.owner)
	}
	wish := m.rekeyWish(r)
	switch m.c.Choose(20, "what is not the same") {
	case 13:
		wish.size = 2000
	case 14:
		wish.label = !wish.label
	case 15:
		wish.class = pick(m, []emr.Class{emr.ClassPrescription, emr.ClassMedicine}, "class")
	case 16:
		wish.scope = pick(m, r.owner.scopes, "scope")
	case 17:
		if of := pick(m, m.patients, "whose scope"); len(of.scopes) > 0 {
			wish.scope = of.scopes[0]
		}
	case 18:
		wish.previous = nil
	case 19:
		wish.late = true
	}
	m.reuse(&wish)
	return m.rekey(wish, m.orAnybody(by))
}

// rekeyWish is a re-key as it should be: in the same scope, or the one that followed.
func (m *Model) rekeyWish(r *record) recordWish {
	of := r.scope
	for of.next != nil && m.mostly(12, "the epoch of now") {
		of = of.next
	}
	wish := recordWish{scope: of, class: r.class, label: r.restricted, previous: r}
	if r.signing != nil {
		wish.signers = r.signing.signers
	}
	return wish
}

// follows tells whether a scope is another, or of an epoch that followed it.
func follows(now, old *scope) bool {
	for ; old != nil; old = old.next {
		if old == now {
			return true
		}
	}
	return false
}

// rekey writes a version with the content of another.
func (m *Model) rekey(wish recordWish, by *actor) *step {
	old := wish.previous
	p := wish.scope.owner
	if old != nil {
		p = old.owner
	}
	if m.seldom(20, "of another patient") {
		p = pick(m, knownPatients(m), "patient")
	}
	man := m.manifest(p, by, wish)
	s := m.signed(ledgerapi.RekeyRecord, by, m.carrier(by), man)
	r := m.newRecord(s, man, wish, by.org)
	r.labels = man.Labels
	m.rekeyer(s, p, wish.class)
	s.faultsOfRecord(p, r, wish)
	s.fault(old == nil, emr.CodeInvalid)
	if old == nil {
		return s
	}
	s.fault(old.closed() != "", emr.CodeGone)
	if len(heldBy(old)) == 0 { // what is held is denied whoever is to sign
		m.faultsOfSigners(s, &wish)
	}
	s.fault(old.size != r.size || old.restricted != wish.label || !follows(wish.scope, old.scope), emr.CodeInvalid)
	o := newOrder(emr.OrderRekey, old)
	o.id = emr.ErasureID(emr.ErasurePrefix + strings.TrimPrefix(string(r.id), emr.RecordPrefix))
	s.says, s.event, s.purges = says(emr.Permit, emr.ReasonRekeyed), ledgerapi.EventRecordRegistered, 1 // the manifest of the version before
	if held := heldBy(old); len(held) > 0 {
		s.says, s.event, s.purges = denied(held), ledgerapi.EventErasureDenied, 0
	}
	s.then = func(a *answer) []emr.AuditEntry {
		if a.Decision == emr.Permit {
			m.opensSigning(r, &wish)
		}
		return m.rekeyed(s, o, r, a)
	}
	return s
}

// rekeyer tells what is wrong with who re-keys: the patient may, and who may write for the patient.
func (m *Model) rekeyer(s *step, p *patient, class emr.Class) {
	if s.by.patient != nil {
		s.fault(s.by != p.actor, emr.CodeForbidden)
		return
	}
	m.author(s, p, class)
}

// author tells what is wrong with a professional who writes for a patient.
func (m *Model) author(s *step, p *patient, class emr.Class) {
	if s.active() {
		s.fault(!writes(s.by.clinician.role), emr.CodeRule)
		s.fault(!reaches(s.by.clinician.level, levelOf(class)), emr.CodeRule)
	}
	s.fault(p.relations[s.by.org] != emr.RelationshipAccepted, emr.CodeRule)
}

func (m *Model) rekeyed(s *step, o *order, r *record, a *answer) []emr.AuditEntry {
	old := o.named
	e := byTheClinician(emr.AuditRekeyed, old.owner, s.by, string(o.id))
	if s.by == old.owner.actor {
		e.Actor = emr.ActorPatient
	}
	e.Decision, e.Reason = a.Decision, a.Reason
	if a.Decision != emr.Permit {
		return eachOf([]*record{old}, e)
	}
	m.call(o, &endings{})
	o.ground, o.by, o.org, o.next, o.at = emr.EraseRekeyed, e.Actor, e.Org, r, a.At
	o.rest = []*record{old}
	o.take()
	old.rekeyed = o
	m.registered(s, r, old, a.At)
	m.orders = append(m.orders, o)
	m.urge = func() *step { return m.afterOrder(o) }
	return eachOf([]*record{old, r}, e)
}

// coming is the scope that will follow another of a patient's.
func (m *Model) coming(p *patient) emr.ScopeID {
	if p.coming == "" {
		p.coming = ledgertest.ID[emr.ScopeID](emr.ScopePrefix)
	}
	return p.coming
}

// slips tells whether a standing consent names a scope and not the one that is to follow it.
func (s *standing) slips(old, next emr.ScopeID) bool {
	if s == nil || s.withdrawn {
		return false
	}
	for i := range s.doc.Provisions {
		named := s.doc.Provisions[i].Scopes
		if slices.Contains(named, old) && !slices.Contains(named, next) {
			return true
		}
	}
	return false
}

func (m *Model) drawRoll() *step {
	p := pick(m, knownPatients(m), "patient")
	if len(p.scopes) == 0 {
		return nil
	}
	old := pick(m, p.scopes, "scope")
	for old.next != nil && m.mostly(4, "the epoch of now") {
		old = old.next
	}
	return m.roll(p, old)
}

// roll ends a scope's epoch, with some of its grants.
func (m *Model) roll(p *patient, old *scope) *step {
	next := ledgerapi.NewScope{
		ID: m.coming(p), Epoch: old.Epoch + 1, Level: old.Level, Delegating: m.newKey().Public().Bytes(), Fragment: m.newKey().Public().Bytes(),
	}
	of := p
	if m.seldom(10, "as another patient") {
		of = pick(m, knownPatients(m), "patient")
	}
	by := m.self(of)
	s := m.signed(ledgerapi.RollScope, by, m.carrier(by), nil)
	s.onlyPatient(of)
	s.fault(of != p, emr.CodeNotFound)
	s.fault(old.next != nil, emr.CodeGone)
	m.bend(s, old, &next)
	args := &ledgerapi.RollScopeArgs{Patient: of.handle, Scope: old.ID, Next: next, Grants: []emr.GrantID{}}
	s.args = args
	ended := m.endsOfEpoch(s, of, old, args)
	s.fault(p.standing.slips(old.ID, next.ID), emr.CodeRule)
	s.event, s.purges = ledgerapi.EventScopeRolled, len(ended)
	s.then = func(a *answer) []emr.AuditEntry {
		p.coming = ""
		fresh := m.publishes(p, &next, a.At)
		fresh.Previous, old.Ended, old.Successor, old.next = old.ID, a.At, next.ID, fresh
		for _, g := range ended {
			g.ended = true
		}
		if slices.Contains(p.plan.declined, old) {
			p.plan.declined, p.plan.version = append(slices.Clone(p.plan.declined), fresh), p.plan.version+1
		}
		m.urge = func() *step { return m.afterRoll(old, ended) }
		return []emr.AuditEntry{byThePatient(emr.AuditScopeRolled, p, p.actor, string(next.ID))}
	}
	return s
}

// bend makes a scope such as cannot follow, now and then.
func (m *Model) bend(s *step, old *scope, next *ledgerapi.NewScope) {
	switch m.c.Choose(12, "what does not follow") {
	case 6, 7:
		next.Epoch = pick(m, []uint32{old.Epoch, old.Epoch + 2, 1}, "epoch")
		s.fault(next.Epoch != old.Epoch+1, emr.CodeInvalid)
	case 8, 9:
		next.Level = pick(m, emr.Levels(), "level")
		s.fault(next.Level != old.Level, emr.CodeInvalid)
	case 10:
		m.reuseKey(s, next)
	case 11:
		next.ID = pick(m, old.owner.scopes, "a scope that there is").ID
		s.fault(true, emr.CodeExists)
	}
}

// endsOfEpoch chooses grants of a scope to end with it, and now and then others.
func (m *Model) endsOfEpoch(s *step, by *patient, old *scope, args *ledgerapi.RollScopeArgs) []*grant {
	var all []*grant
	for _, g := range m.grants {
		if g.scope == old && g.owner == by && g.lives() && len(all) < 4 && m.mostly(3, "end this grant") {
			all = append(all, g)
		}
	}
	if len(m.grants) > 0 && m.seldom(8, "any grant") {
		if g := pick(m, m.grants, "which"); !slices.Contains(all, g) {
			all = append(all, g)
		}
	}
	for _, g := range all {
		args.Grants = append(args.Grants, g.id)
		s.fault(g.owner != by, emr.CodeNotFound)
		s.fault(!g.lives(), emr.CodeGone)
		s.fault(g.scope != old, emr.CodeRule)
	}
	slices.Sort(args.Grants)
	if len(all) > 0 && m.seldom(20, "a grant twice") {
		args.Grants = append(args.Grants, args.Grants[0])
		s.fault(true, emr.CodeInvalid)
	}
	return all
}

// afterRoll tries what ended, what lives on, and what can be no more.
func (m *Model) afterRoll(old *scope, ended []*grant) *step {
	switch m.c.Choose(6, "what next") {
	case 5:
		return m.roll(old.owner, old)
	case 0:
		if len(ended) > 0 {
			return m.readUnder(pick(m, ended, "grant"))
		}
		return m.readAgain(func(g *grant) bool { return g.scope == old })
	case 1:
		return m.readAgain(func(g *grant) bool { return g.scope == old && g.lives() })
	case 2:
		for _, r := range m.records {
			if r.scope == old && r.closed() == "" && r.next == nil {
				return m.rekey(m.rekeyWish(r), pick(m, []*actor{r.author.actor, r.owner.actor}, "who re-keys"))
			}
		}
		return nil
	case 3:
		return m.breakAgain(func(of *session) bool { return of.owner == old.owner })
	default:
		g := m.someGrant(old.owner)
		g.scope, g.records = old, nil
		return m.give(g, old.owner.actor, nil)
	}
}
