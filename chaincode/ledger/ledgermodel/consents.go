// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledgermodel

import (
	"slices"
	"strconv"
	"time"

	"github.com/emrys-health/emrys/pkg/consent"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// Standing consent and delegation.

// standing is the current consent; nil when the patient has put none.
type standing struct {
	version   uint32
	withdrawn bool
	doc       consent.Document
}

func (s *standing) number() uint32 {
	if s == nil {
		return 0
	}
	return s.version
}

func said[E comparable](list []E, is E) bool { return len(list) == 0 || slices.Contains(list, is) }

// matches tells whether a provision is about somebody, a purpose and a time.
func (s *standing) matches(p *consent.Provision, c *clinician, purpose emr.Purpose, now emr.Time) bool {
	if now < p.From || p.Until != 0 && now >= p.Until {
		return false
	}
	grouped := len(p.Groups) == 0
	for _, g := range s.doc.Groups {
		grouped = grouped || slices.Contains(p.Groups, g.Name) && now < g.Until && slices.Contains(g.Members, c.cid)
	}
	return grouped && said(p.People, c.cid) && said(p.Hospitals, c.org) && said(p.Roles, c.role) && said(p.Purposes, purpose)
}

// say is what the patient has said (docs/spec/consent.md, C4), and the reason.
func (s *standing) say(c *clinician, r *record, purpose emr.Purpose, now emr.Time) (emr.Decision, emr.Reason) {
	if s == nil {
		return emr.Ask, emr.ReasonNoConsent
	}
	if s.withdrawn {
		return emr.Deny, emr.ReasonConsentWithdrawn
	}
	var permits, denies bool
	for i := range s.doc.Provisions {
		p := &s.doc.Provisions[i]
		about := said(p.Classes, r.class) && (p.Level == "" || reaches(p.Level, levelOf(r.class))) &&
			said(p.Authors, r.writer()) && said(p.Records, r.id) && said(p.Scopes, r.scope.ID)
		if !about || !s.matches(p, c, purpose, now) {
			continue
		}
		permits = permits || p.Effect == emr.Permit && p.Restricted == r.restricted
		denies = denies || p.Effect == emr.Deny && (r.restricted || !p.Restricted)
	}
	switch {
	case denies:
		return emr.Deny, emr.ReasonConsentDenies
	case permits:
		return emr.Permit, emr.ReasonConsentPermits
	case s.doc.Base == emr.Permit && r.restricted:
		return emr.Ask, emr.ReasonConsentRestricted
	case s.doc.Base == emr.Permit:
		return emr.Permit, emr.ReasonConsentPermits
	case s.doc.Base == emr.Ask:
		return emr.Ask, emr.ReasonConsentAsks
	default:
		return emr.Deny, emr.ReasonConsentDenies
	}
}

// excludes tells whether somebody can have no record of a scope for a purpose.
func (s *standing) excludes(c *clinician, of *scope, purpose emr.Purpose, now emr.Time) bool {
	if s == nil || s.withdrawn {
		return s != nil
	}
	hope := s.doc.Base != emr.Deny
	for i := range s.doc.Provisions {
		p := &s.doc.Provisions[i]
		if !s.matches(p, c, purpose, now) || !said(p.Scopes, of.ID) {
			continue
		}
		if p.Effect == emr.Permit {
			hope = true
			continue
		}
		if len(p.Classes)+len(p.Authors)+len(p.Records) == 0 && p.Level == "" && !p.Restricted {
			return true
		}
	}
	return !hope
}

func (m *Model) drawPutConsent() *step {
	p := pick(m, knownPatients(m), "patient")
	by := m.orAnybody(m.helper(p))
	doc, good := m.document(p)
	replaces, is := p.standing.number(), m.drawShown(p, doc, good)
	if is != nil {
		doc, good = is.doc, true
	}
	if m.seldom(8, "another version") {
		replaces++
	}
	args := &ledgerapi.PutConsentArgs{
		Patient: p.handle, Replaces: replaces, Document: doc, Previewed: ledgerapi.Previewed{People: []emr.ClinicianID{}},
	}
	s := m.signed(ledgerapi.PutConsent, by, m.carrier(by), args)
	if is != nil {
		m.faultsOfShown(s, p, is, args)
	}
	m.patientOrDelegate(s, p)
	s.fault(!good, emr.CodeInvalid)
	s.fault(replaces != p.standing.number(), emr.CodeStale)
	s.event = ledgerapi.EventConsentChanged
	s.then = func(*answer) []emr.AuditEntry {
		p.standing = &standing{version: replaces + 1, doc: doc}
		m.urge = func() *step { return m.readAgain(func(g *grant) bool { return g.owner == p }) }
		e := byThePatient(emr.AuditConsent, p, by, strconv.FormatUint(uint64(p.standing.version), 10))
		e.Consent = p.standing.version
		return []emr.AuditEntry{e}
	}
	return s
}

func (m *Model) drawWithdraw() *step {
	p := pick(m, knownPatients(m), "patient")
	by := m.orAnybody(m.helper(p))
	s := m.signed(ledgerapi.WithdrawConsent, by, m.carrier(by), ledgerapi.WithdrawConsentArgs{Patient: p.handle})
	m.patientOrDelegate(s, p)
	s.fault(p.standing != nil && p.standing.withdrawn, emr.CodeGone)
	s.event = ledgerapi.EventConsentChanged
	s.then = func(*answer) []emr.AuditEntry {
		p.standing = &standing{version: p.standing.number() + 1, withdrawn: true}
		m.urge = func() *step { return m.readAgain(func(g *grant) bool { return g.owner == p }) }
		e := byThePatient(emr.AuditConsentWithdrawal, p, by, strconv.FormatUint(uint64(p.standing.version), 10))
		e.Consent = p.standing.version
		return []emr.AuditEntry{e}
	}
	return s
}

type delegation struct {
	guardian bool
	until    emr.Time
	ended    bool
}

func (d *delegation) holds(now emr.Time) bool { return !d.ended && now < d.until }

func (m *Model) drawNameDelegate() *step {
	p := pick(m, knownPatients(m), "patient")
	by, to := m.self(p), pick(m, m.patients, "delegate")
	until, kind := m.later("until"), emr.DelegationChosen
	if m.seldom(4, "a guardian") {
		kind = emr.DelegationGuardian
	}
	const day = 24 * time.Hour
	longest := map[emr.DelegationKind]time.Duration{emr.DelegationChosen: 365 * day, emr.DelegationGuardian: 6588 * day}[kind]
	switch m.c.Choose(16, "until or kind") {
	case 11:
		until = m.now().Add(longest)
	case 12:
		until = m.beyond(longest)
	case 13:
		kind = "proxy"
	case 14, 15: // over already
		until = m.now().Add(-time.Hour)
	}
	return m.nameDelegate(p, by, m.carrier(by), to, kind, until)
}

func (m *Model) nameDelegate(
	p *patient, by *actor, via emr.OrgID, to *patient, kind emr.DelegationKind, until emr.Time,
) *step {
	s := m.signed(ledgerapi.NameDelegate, by, via, ledgerapi.NameDelegateArgs{
		Patient: p.handle, Delegate: to.handle, Kind: kind, Until: until,
	})
	s.onlyPatient(p)
	longest := emr.Time(365 * 24 * 3600)
	if kind == emr.DelegationGuardian {
		longest = 6588 * 24 * 3600
	}
	s.fault(to == p || until <= m.now() || until > m.now()+longest, emr.CodeInvalid)
	s.fault(kind != emr.DelegationChosen && kind != emr.DelegationGuardian, emr.CodeInvalid)
	s.fault(!to.registered, emr.CodeNotFound)
	old := p.delegates[to]
	guarded := kind == emr.DelegationGuardian || old != nil && old.guardian && old.holds(m.now())
	s.fault(guarded && via != p.org, emr.CodeForbidden)
	s.event = ledgerapi.EventDelegationChanged
	s.then = func(*answer) []emr.AuditEntry {
		p.delegates[to] = &delegation{guardian: kind == emr.DelegationGuardian, until: until}
		return []emr.AuditEntry{byThePatient(emr.AuditDelegation, p, p.actor, to.id)}
	}
	return s
}

func (m *Model) drawEndDelegation() *step {
	p, to := pick(m, knownPatients(m), "patient"), pick(m, m.patients, "delegate")
	found := false
	for _, of := range knownPatients(m) {
		for _, q := range m.patients {
			if d := of.delegates[q]; d != nil && d.holds(m.now()) && m.mostly(4, "one that there is") {
				p, to, found = of, q, true
			}
		}
	}
	if !found && m.mostly(4, "nothing to do") {
		return nil
	}
	by := m.orAnybody(pick(m, []*actor{p.actor, to.actor}, "who ends it"))
	via := m.carrier(by)
	s := m.signed(ledgerapi.EndDelegation, by, via, ledgerapi.EndDelegationArgs{Patient: p.handle, Delegate: to.handle})
	s.fault(by != p.actor && by != to.actor, emr.CodeForbidden)
	d := p.delegates[to]
	s.fault(d == nil, emr.CodeNotFound)
	if d != nil {
		s.fault(!d.holds(m.now()), emr.CodeGone)
		s.fault(d.guardian && by == p.actor && via != p.org, emr.CodeForbidden)
	}
	s.event = ledgerapi.EventDelegationChanged
	s.then = func(*answer) []emr.AuditEntry {
		d.ended = true
		return []emr.AuditEntry{byThePatient(emr.AuditDelegationEnd, p, by, to.id)}
	}
	return s
}
