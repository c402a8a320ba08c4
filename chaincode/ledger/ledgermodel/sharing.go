// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledgermodel

import (
	"bytes"
	"slices"
	"strings"
	"time"

	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// Grants.

type grant struct {
	id          emr.GrantID
	owner       *patient
	scope       *scope
	to          *clinician
	reader      []byte
	records     []*record
	purposes    []emr.Purpose
	from, until emr.Time
	most, used  uint32
	revoked     bool
	ended       bool // with its records, or its scope's epoch
	gateways    []emr.OrgID
	// wide, signedRecords and signedPurposes are as they were given; the others as they were narrowed since.
	wide           bool
	signedRecords  []*record
	signedPurposes []emr.Purpose
	signedOff      bool     // gives only what is signed off
	noOnward       bool     // forbids to share on
	direct         *direct  // nil when it is of fragments
	bad            emr.Code // with which it must be refused, since it is malformed
	held           *held    // nil when it was not wide
}

func (g *grant) names(r *record) bool { return len(g.records) == 0 || slices.Contains(g.records, r) }

func (m *Model) purpose(of *clinician) emr.Purpose {
	right := emr.PurposeTreatment
	switch {
	case of == nil:
		right = emr.PurposePatient
	case of.role == emr.RoleInsurer:
		right = emr.PurposePayment
	case of.role == emr.RoleResearcher:
		right = emr.PurposeResearch
	}
	if m.seldom(8, "another purpose") {
		return pick(m, emr.Purposes(), "purpose")
	}
	return right
}

// uses tells which purposes a role may ask for.
func uses(role emr.Role, purpose emr.Purpose) bool {
	switch purpose {
	case emr.PurposePayment:
		return role == emr.RoleInsurer
	case emr.PurposeResearch:
		return writes(role) || role == emr.RoleResearcher
	case emr.PurposePatient:
		return role == emr.RolePatient
	default:
		return writes(role)
	}
}

// againstPerson is what speaks against somebody whatever a patient gives.
func againstPerson(c *clinician, r *record, purpose emr.Purpose) grounds {
	var g grounds
	g.add(c.state() != emr.ClinicianActive, statusReason(c))
	g.add(c.role == emr.RoleAuditor || c.role == emr.RolePrivacyOfficer, emr.ReasonRole)
	g.add(!uses(c.role, purpose), emr.ReasonPurpose)
	g.add(!reaches(c.level, levelOf(r.class)), emr.ReasonLevel)
	return g
}

// againstGrant is what speaks against a grant now. Of another's grant nobody learns the state.
func (m *Model) againstGrant(g *grant, c *clinician, r *record, purpose emr.Purpose) grounds {
	var all grounds
	if g == nil {
		return grounds{emr.ReasonNoGrant}
	}
	if g.to != c {
		return grounds{emr.ReasonNotGrantee}
	}
	all.add(g.owner != r.owner || g.scope != r.scope || !g.names(r), emr.ReasonNotCovered)
	all.add(g.revoked, emr.ReasonRevoked)
	all.add(!g.held.gives(m.now()), emr.ReasonGrantWaiting)
	all.add(g.ended, emr.ReasonGrantEnded)
	all.add(m.now() < g.from, emr.ReasonNotYet)
	all.add(m.now() >= g.until, emr.ReasonExpired)
	all.add(!slices.Contains(g.purposes, purpose), emr.ReasonPurpose)
	all.add(!bytes.Equal(g.reader, c.reading.Public().Bytes()) || g.direct.replaced(c), emr.ReasonReaderKey)
	return all
}

// drawGrant gives, mostly as an answer to somebody who has a use for it.
func (m *Model) drawGrant() *step {
	p := pick(m, knownPatients(m), "patient")
	if len(p.scopes) == 0 {
		return nil
	}
	if m.seldom(6, "about as much as a rule allows") {
		return m.giveMuch()
	}
	g := m.someGrant(p)
	return m.give(g, m.orAnybody(m.helper(p)), m.answering(g))
}

// someGrant is a grant that a patient with a scope might give.
func (m *Model) someGrant(p *patient) *grant {
	g := &grant{owner: p, scope: pick(m, p.scopes, "scope"), to: pick(m, m.readers(), "grantee")}
	own := slices.DeleteFunc(slices.Clone(m.records), func(r *record) bool { return r.owner != p })
	if len(own) > 0 && m.mostly(4, "a scope with records") {
		g.scope = pick(m, own, "record").scope
	}
	in := slices.DeleteFunc(own, func(r *record) bool { return r.scope != g.scope })
	if len(in) > 0 && m.mostly(3, "records") {
		g.records = []*record{pick(m, in, "record")}
		if m.seldom(3, "one more") {
			g.records = append(g.records, in...)
		}
	}
	if m.seldom(10, "another's record") && len(m.records) > 0 {
		g.records = append(g.records, pick(m, m.records, "record"))
	}
	g.purposes = []emr.Purpose{m.purpose(g.to)}
	if m.seldom(4, "another purpose") {
		g.purposes = append(g.purposes, emr.PurposeResearch)
	}
	g.from = m.now().Add(time.Duration(pick(m, []int{0, 0, 0, 10}, "begin")) * time.Minute)
	if m.Shared {
		g.from = m.now().Add(-time.Minute)
	}
	g.until, g.most = g.from+(m.later("until")-m.now()), uint32(pick(m, []int{0, 1, 2, 0}, "uses")) //nolint:gosec // small
	g.signedOff, g.noOnward = m.seldom(5, "only what is signed off"), m.seldom(4, "not to be shared on")
	m.byKeys(g)
	if m.seldom(24, "over already") {
		g.until = m.now()
	}
	return g
}

func (m *Model) terms(g *grant) *ledgerapi.GrantAccessArgs {
	records := []emr.RecordID{}
	for _, r := range g.records {
		records = append(records, r.id)
	}
	slices.Sort(records)
	slices.Sort(g.purposes)
	g.purposes = slices.Compact(g.purposes)
	args := &ledgerapi.GrantAccessArgs{Terms: emr.GrantTerms{
		Channel: m.d.Channel(), Grant: g.id, Patient: g.owner.handle, Scope: g.scope.ID, Epoch: g.scope.Epoch, Grantee: g.to.cid, Org: g.to.org,
		Reader: g.reader, Records: slices.Compact(records), Purposes: g.purposes, NotBefore: g.from, Until: g.until,
		MaxUses: g.most, Threshold: 2, Gateways: []emr.OrgID{}, SignedOff: g.signedOff, NoOnward: g.noOnward,
	}}
	for _, id := range m.members() {
		if id != g.to.org {
			args.Terms.Gateways = append(args.Terms.Gateways, id)
			args.Fragments = append(args.Fragments, fragmentFor(id))
		}
	}
	m.chooseGateways(args)
	if g.direct != nil {
		m.sealKeys(g, args)
	}
	g.gateways = args.Terms.Gateways
	if g.bad = ""; m.seldom(10, "malformed") {
		m.spoilGrant(g, args)
	}
	return args
}

// chooseGateways gives fragments to all of them or to one fewer, as many of whom are needed as it may be.
func (m *Model) chooseGateways(args *ledgerapi.GrantAccessArgs) {
	if n := len(args.Fragments); n > 2 && m.seldom(3, "one fewer") {
		args.Terms.Gateways, args.Fragments = args.Terms.Gateways[:n-1], args.Fragments[:n-1]
	}
	args.Terms.Threshold = uint8(2 + m.c.Choose(len(args.Fragments)-1, "threshold")) //nolint:gosec // small
}

func (m *Model) give(g *grant, by *actor, q *request) *step {
	g.id, g.reader = ledgertest.ID[emr.GrantID](emr.GrantPrefix), g.to.reading.Public().Bytes()
	again := len(m.grants) > 0 && m.seldom(20, "a grant once more")
	if again {
		g.id = pick(m, m.grants, "grant").id
	}
	if len(g.to.retired) > 0 && m.seldom(4, "an old reading key") {
		g.reader = g.to.retired[0].Public().Bytes()
	}
	args := m.terms(g)
	if q != nil {
		args.Request = q.id
	}
	s := m.signed(ledgerapi.GrantAccess, by, m.carrier(by), args)
	m.patientOrDelegate(s, g.owner)
	s.fault(again, emr.CodeExists)
	m.faultsOfGrant(s, g, q)
	s.event = ledgerapi.EventAccessGranted
	if m.hold(g, by, q, args, len(args.Terms.Records)); g.held != nil {
		s.event = ledgerapi.EventGrantWaiting
	}
	s.then = func(*answer) []emr.AuditEntry { return m.given(g, by, q) }
	return s
}

// faultsOfGrant is everything that can be wrong with the terms.
func (m *Model) faultsOfGrant(s *step, g *grant, q *request) {
	c := g.to
	s.fault(g.until <= m.now() || g.until <= g.from, emr.CodeInvalid)
	s.fault(g.bad != "", g.bad)
	s.faultsOfDirect(g)
	s.fault(c.state() != emr.ClinicianActive, emr.CodeRule)
	s.fault(!m.orgs[c.org].member, emr.CodeRule)
	s.fault(!bytes.Equal(g.reader, c.reading.Public().Bytes()), emr.CodeStale)
	s.fault(g.scope.owner != g.owner, emr.CodeNotFound)
	s.fault(g.scope.next != nil, emr.CodeStale)
	s.fault(len(g.records) == 0 && !reaches(c.level, g.scope.Level), emr.CodeRule)
	for _, purpose := range g.purposes {
		s.fault(!uses(c.role, purpose) || purpose.Emergency(), emr.CodeRule)
		s.fault(g.owner.standing.excludes(c, g.scope, purpose, m.now()), emr.CodeRule)
	}
	for _, r := range g.records {
		s.fault(r.owner != g.owner || r.scope != g.scope, emr.CodeNotFound)
		s.fault(r.closed() != "", emr.CodeGone)
		s.fault(!reaches(c.level, levelOf(r.class)), emr.CodeRule)
		for _, purpose := range g.purposes {
			said, _ := g.owner.standing.say(c, r, purpose, m.now())
			s.fault(said == emr.Deny, emr.CodeRule)
		}
	}
	if q != nil {
		s.fault(q.record.owner != g.owner, emr.CodeNotFound)
		s.fault(q.record.closed() != "", emr.CodeGone)
		s.fault(!q.pending || !g.answers(q), emr.CodeRule)
	}
}

func (m *Model) given(g *grant, by *actor, q *request) []emr.AuditEntry {
	g.wide, g.signedRecords, g.signedPurposes = len(g.records) == 0, g.records, g.purposes
	m.grants = append(m.grants, g)
	entries := entriesOf(emr.AuditGrant, g, by, g.signedRecords)
	if g.held != nil {
		return m.waits(g, entries)
	}
	if q != nil {
		q.answer(g)
	}
	m.cover(g)
	m.urge = func() *step {
		switch {
		case m.seldom(3, "ask for more"):
			return m.asksBeside(g)
		case m.seldom(3, "the rest by another grant"):
			return m.giveRest(g)
		case g.direct != nil && m.seldom(2, "to a key that is replaced"):
			return m.replaceHybrid(g)
		}
		return m.readAgain(func(other *grant) bool { return other == g })
	}
	return entries
}

// entriesOf are the entries about a grant: one for each record that it names, or one.
func entriesOf(kind emr.AuditKind, g *grant, by *actor, records []*record) []emr.AuditEntry {
	e := byThePatient(kind, g.owner, by, string(g.id))
	if len(g.signedPurposes) == 1 {
		e.Purpose = g.signedPurposes[0]
	}
	if len(records) == 0 {
		return []emr.AuditEntry{e}
	}
	sorted := slices.SortedFunc(slices.Values(records), func(a, b *record) int { return strings.Compare(string(a.id), string(b.id)) })
	var all []emr.AuditEntry
	for _, r := range slices.Compact(sorted) {
		e.Record = r.id
		all = append(all, e)
	}
	return all
}

func (m *Model) drawRevoke() *step {
	if len(m.grants) == 0 {
		return nil
	}
	g := pick(m, m.grants, "grant")
	of, by := g.owner, m.orAnybody(m.helper(g.owner))
	if m.seldom(8, "as another patient") {
		of = pick(m, knownPatients(m), "patient")
		by = of.actor
	}
	s := m.signed(ledgerapi.RevokeAccess, by, m.carrier(by), ledgerapi.RevokeAccessArgs{Patient: of.handle, Grant: g.id})
	m.patientOrDelegate(s, of)
	s.fault(of != g.owner, emr.CodeNotFound)
	s.fault(g.revoked || g.ended, emr.CodeGone)
	s.event, s.purges = ledgerapi.EventAccessRevoked, 1 // the key fragments
	s.then = func(*answer) []emr.AuditEntry {
		g.revoked = true
		m.urge = func() *step { return m.readAgain(func(other *grant) bool { return other == g }) } // which must fail
		return entriesOf(emr.AuditRevocation, g, by, g.signedRecords)
	}
	return s
}
