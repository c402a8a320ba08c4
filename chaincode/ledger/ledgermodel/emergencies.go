// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledgermodel

import (
	"slices"
	"time"

	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// Emergency sessions.

type plan struct {
	version  uint32
	all      bool
	declined []*scope
}

type session struct {
	id        emr.SessionID
	owner     *patient
	by        *clinician
	purpose   emr.Purpose
	status    emr.EmergencyStatus
	until     emr.Time
	closed    emr.Time
	second    *clinician
	reviews   []review
	done      bool // the last word is spoken
	reviewBy  emr.Time
	contested bool
}

type review struct {
	by        *clinician
	escalated bool
}

func (s *session) end() emr.Time {
	if s.closed != 0 {
		return s.closed
	}
	return s.until
}

// againstSession is what speaks against an emergency session as the ground of a
// reading. Of another's session nobody learns the state.
func (m *Model) againstSession(s *session, c *clinician, r *record, purpose emr.Purpose) grounds {
	if s.by != c {
		return grounds{emr.ReasonNotSession}
	}
	var g grounds
	g.add(s.owner != r.owner, emr.ReasonSessionPatient)
	g.add(s.purpose != purpose, emr.ReasonPurpose)
	g.add(r.owner.plan.all || slices.Contains(r.owner.plan.declined, r.scope), emr.ReasonDeclined)
	g.add(s.status == emr.EmergencyDenied, emr.ReasonSessionDenied)
	g.add(s.status == emr.EmergencyClosed, emr.ReasonSessionClosed)
	g.add(m.now() >= s.until, emr.ReasonSessionExpired)
	g.add(s.status == emr.EmergencyWaiting, emr.ReasonUnconfirmed)
	return g
}

func (m *Model) drawSetPlan() *step {
	p := pick(m, knownPatients(m), "patient")
	by := m.self(p)
	next := plan{version: p.plan.version + 1, all: m.seldom(5, "decline all")}
	args := ledgerapi.SetEmergencyPlanArgs{
		Patient: p.handle, DeclineAll: next.all, Declined: []emr.ScopeID{}, Version: p.plan.version,
	}
	if m.seldom(8, "another version") {
		args.Version++
	}
	foreign := false
	if m.seldom(3, "decline a scope") {
		of := p
		if m.seldom(4, "another patient's") {
			of = pick(m, m.patients, "whose")
		}
		if len(of.scopes) > 0 {
			next.declined = []*scope{pick(m, of.scopes, "scope")}
			args.Declined = append(args.Declined, next.declined[0].ID)
			foreign = of != p
		}
	}
	s := m.signed(ledgerapi.SetEmergencyPlan, by, m.carrier(by), args)
	s.onlyPatient(p)
	s.fault(args.Version != p.plan.version, emr.CodeStale)
	s.fault(foreign, emr.CodeNotFound)
	s.event = ledgerapi.EventEmergencyPlan
	s.then = func(*answer) []emr.AuditEntry {
		p.plan = next
		m.urge = func() *step { return m.breakAgain(func(of *session) bool { return of.owner == p }) }
		e := byThePatient(emr.AuditEmergencyPlan, p, p.actor, "")
		e.Decision = emr.Permit
		if next.all || len(next.declined) > 0 {
			e.Decision = emr.Deny
		}
		return []emr.AuditEntry{e}
	}
	return s
}

func (m *Model) drawRules() *step {
	org, by := pick(m, m.orgIDs, "organisation"), pick(m, []uint32{1440, 60, 720, 1440, 0, 1441}, "minutes")
	return m.rules(org, m.seldom(3, "two persons"), by, pick(m, []uint32{7, 3, 7, 5, 0, 8}, "days"))
}

func (m *Model) rules(of emr.OrgID, two bool, minutes, days uint32) *step {
	s := m.order(ledgerapi.SetEmergencyRules, of, ledgerapi.SetEmergencyRulesArgs{TwoPerson: two, MaxMinutes: minutes, ReviewDays: days})
	s.fault(minutes < 1 || minutes > 1440 || days < 1 || days > 7, emr.CodeInvalid)
	s.then = func(*answer) []emr.AuditEntry {
		o := m.orgs[of]
		o.two, o.minutes, o.days = two, minutes, days
		return nil
	}
	return s
}

// between is the stricter of what two organisations demand.
func (m *Model) between(a, b emr.OrgID) (two bool, minutes, days uint32) {
	x, y := m.orgs[a], m.orgs[b]
	return x.two || y.two, min(x.minutes, y.minutes), min(x.days, y.days)
}

// owes is what a clinician owes: how many sessions are running, how many are not
// reviewed, and whether a review is overdue.
func (m *Model) owes(c *clinician) (running, owed int, overdue bool) {
	for _, s := range m.sessions {
		if s.by != c || s.done || s.status == emr.EmergencyDenied {
			continue
		}
		owed++
		if m.now() < s.end() {
			running++
		}
		overdue = overdue || m.now() >= s.reviewBy
	}
	return running, owed, overdue
}

const saying = "the patient is unconscious and nobody knows the medication"

func (m *Model) drawOpen() *step {
	p, by := pick(m, m.patients, "patient"), m.orAnybody(pick(m, m.able(), "professional").actor)
	for _, c := range knownClinicians(m) {
		_, _, overdue := m.owes(c)
		if writes(c.role) && c.state() == emr.ClinicianActive && !overdue && m.seldom(3, "one who may") {
			by = c.actor
		}
	}
	args := ledgerapi.OpenEmergencyArgs{
		Session: ledgertest.ID[emr.SessionID](emr.SessionPrefix), Patient: p.handle, Purpose: emr.PurposeBreakGlass,
		Ground: emr.GroundUnconscious, Text: saying, Minutes: pick(m, []uint32{60, 240, 0, 10}, "minutes"),
		Presence: emr.Presence{Method: emr.PresenceCard, At: m.now()},
	}
	var against grounds
	again := false
	bad := false
	switch m.c.Choose(24, "what") {
	case 10:
		args.Purpose = pick(m, emr.Purposes(), "purpose")
		against.add(args.Purpose != emr.PurposeEmergency && args.Purpose != emr.PurposeBreakGlass, emr.ReasonPurpose)
	case 11:
		args.Ground = "curiosity"
		against.add(true, emr.ReasonNoGround)
	case 12:
		args.Text = "   urgent   "
		against.add(true, emr.ReasonShortText)
	case 13:
		args.Presence.At = m.now().Add(-time.Hour)
		against.add(true, emr.ReasonStalePresence)
	case 15:
		args.Presence.Method, bad = "nod", true
	case 16:
		args.Minutes, bad = 1441, true
	case 17: // after the action that states it
		args.Presence.At = m.now() + 60
		against.add(true, emr.ReasonStalePresence)
	case 18:
		args.Presence.At = 0
		against.add(true, emr.ReasonStalePresence)
	case 19, 20: // the last second, and the first one after it
		if late := emr.Time(m.c.Choose(2, "a second late")); !m.Shared {
			args.Presence.At = m.now() - 120 - late
			against.add(late > 0, emr.ReasonStalePresence)
		}
	case 14:
		again = len(m.sessions) > 0
		if again {
			args.Session = pick(m, m.sessions, "session").id
		}
	}
	s := m.signed(ledgerapi.OpenEmergency, by, m.carrier(by), args)
	s.fault(!p.registered, emr.CodeNotFound)
	s.fault(again, emr.CodeExists)
	s.fault(bad, emr.CodeInvalid)
	if s.onlyClinician() {
		m.opening(s, p, &args, against)
	}
	return s
}

func (m *Model) opening(s *step, p *patient, args *ledgerapi.OpenEmergencyArgs, against grounds) {
	c := s.by.clinician
	running, owed, overdue := m.owes(c)
	against.add(c.state() != emr.ClinicianActive, statusReason(c))
	against.add(!writes(c.role), emr.ReasonRole)
	against.add(p.plan.all, emr.ReasonDeclined)
	against.add(overdue, emr.ReasonReviewOverdue)
	against.add(running >= 3 || owed >= 10, emr.ReasonEmergencyLimit)
	two, minutes, days := m.between(c.org, p.org)
	next := &session{id: args.Session, owner: p, by: c, purpose: args.Purpose, status: emr.EmergencyOpen}
	s.says, s.event = says(emr.Permit, emr.ReasonEmergency), ledgerapi.EventEmergencyOpened
	switch {
	case len(against) > 0:
		s.says, s.event, next.status = denied(against), ledgerapi.EventEmergencyDenied, emr.EmergencyDenied
	case two:
		s.says, next.status = says(emr.Ask, emr.ReasonUnconfirmed), emr.EmergencyWaiting
	}
	s.then = func(a *answer) []emr.AuditEntry {
		next.until = a.At
		if a.Decision != emr.Deny {
			life := args.Minutes
			if life == 0 {
				life = 240
			}
			next.until = a.At.Add(time.Duration(min(life, minutes)) * time.Minute)
			next.reviewBy = next.until.Add(time.Duration(days) * 24 * time.Hour)
		}
		m.sessions = append(m.sessions, next)
		m.urge = func() *step { return m.breakAgain(func(of *session) bool { return of == next }) }
		return []emr.AuditEntry{next.entry(emr.AuditEmergencyOpened, s.by, a.Decision, a.Reason)}
	}
}

func (s *session) entry(kind emr.AuditKind, by *actor, d emr.Decision, reason emr.Reason) emr.AuditEntry {
	e := byTheClinician(kind, s.owner, by, string(s.id))
	if by == s.owner.actor {
		e.Actor = emr.ActorPatient
	}
	e.Purpose, e.Decision, e.Reason = s.purpose, d, reason
	return e
}

// aSession prefers those of which something holds.
func (m *Model) aSession(holds func(*session) bool) *session {
	found := m.recentSession()
	for _, s := range m.sessions {
		if holds(s) && m.mostly(3, "one that fits") {
			found = s
		}
	}
	return found
}

func (m *Model) drawConfirm() *step {
	waits := func(s *session) bool { return s.status == emr.EmergencyWaiting && m.now() < s.until }
	if len(m.sessions) == 0 || idle(m, m.sessions, waits) {
		return nil
	}
	of := m.aSession(waits)
	return m.confirmSession(of, m.orAnybody(pick(m, m.able(), "second person").actor))
}

func (m *Model) confirmSession(of *session, by *actor) *step {
	args := ledgerapi.ConfirmEmergencyArgs{Session: of.id, Presence: emr.Presence{Method: emr.PresencePasskey, At: m.now()}}
	stale := m.seldom(10, "a stale presence")
	if stale {
		args.Presence.At = m.now().Add(-time.Hour)
	}
	s := m.signed(ledgerapi.ConfirmEmergency, by, m.carrier(by), args)
	s.fault(of.status != emr.EmergencyWaiting, emr.CodeRule)
	if !s.onlyClinician() {
		return s
	}
	c := by.clinician
	var against grounds
	against.add(onePerson(c, of.by), emr.ReasonSelfConfirmed)
	against.add(c != of.by && c.org == of.by.org, emr.ReasonOrgConfirmed)
	against.add(c.state() != emr.ClinicianActive, statusReason(c))
	against.add(!writes(c.role) && c.role != emr.RolePrivacyOfficer, emr.ReasonRole)
	against.add(stale, emr.ReasonStalePresence)
	against.add(m.now() >= of.until, emr.ReasonSessionExpired)
	s.says, s.event = says(emr.Permit, emr.ReasonEmergency), ledgerapi.EventEmergencyConfirmed
	if len(against) > 0 {
		s.says, s.event = denied(against), ledgerapi.EventEmergencyDenied
	}
	s.then = func(a *answer) []emr.AuditEntry {
		if a.Decision == emr.Permit {
			of.status, of.second = emr.EmergencyOpen, c
			m.urge = func() *step { return m.breakAgain(func(other *session) bool { return other == of }) }
		}
		return []emr.AuditEntry{of.entry(emr.AuditEmergencyConfirmed, by, a.Decision, a.Reason)}
	}
	return s
}

// stands tells whether somebody's organisation may look after a session.
func (m *Model) stands(c *clinician, of *session) bool {
	return c.org == of.by.org || c.org == of.owner.org || m.orgs[c.org].kind == emr.KindRegulator
}

func (m *Model) drawClose() *step {
	running := func(s *session) bool {
		return (s.status == emr.EmergencyOpen || s.status == emr.EmergencyWaiting) && m.now() < s.until
	}
	if len(m.sessions) == 0 || idle(m, m.sessions, running) {
		return nil
	}
	of := m.aSession(running)
	by := m.orAnybody(pick(m, []*actor{of.by.actor, of.owner.actor, m.officer()}, "who"))
	s := m.signed(ledgerapi.CloseEmergency, by, m.carrier(by), ledgerapi.EmergencyArgs{Session: of.id})
	s.fault(by.patient != nil && by != of.owner.actor, emr.CodeNotFound)
	if c := by.clinician; c != nil && c != of.by {
		s.fault(c.role != emr.RolePrivacyOfficer || !m.stands(c, of), emr.CodeForbidden)
		s.fault(c.state() != emr.ClinicianActive, emr.CodeRule)
	}
	s.fault(!running(of), emr.CodeGone)
	s.event = ledgerapi.EventEmergencyClosed
	s.then = func(a *answer) []emr.AuditEntry {
		of.reviewBy -= of.until - a.At
		of.status, of.closed = emr.EmergencyClosed, a.At
		m.urge = func() *step { return m.breakAgain(func(other *session) bool { return other == of }) }
		return []emr.AuditEntry{of.entry(emr.AuditEmergencyClosed, by, "", "")}
	}
	return s
}

// officer is a privacy officer, when there is one.
func (m *Model) officer() *actor {
	var all []*actor
	for _, c := range knownClinicians(m) {
		if c.role == emr.RolePrivacyOfficer {
			all = append(all, c.actor)
		}
	}
	if len(all) == 0 {
		return m.anybody()
	}
	return pick(m, all, "officer")
}
