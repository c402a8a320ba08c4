// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledgermodel

import (
	"slices"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// Readings and tickets.

type disclosure struct {
	id      emr.DisclosureID
	record  *record
	reader  *actor
	purpose emr.Purpose
	permit  bool
	reason  emr.Reason
	until   emr.Time
	grant   *grant
	session *session
	// onward is what was declared, and noOnward what was told.
	onward   emr.Onward
	noOnward bool
	// withheld is until when it is left out of the patient's accounting.
	withheld emr.Time
	// withholder is who withholds it, or did last.
	withholder emr.OrgID
}

// reading is what somebody wants to read, and on what ground.
type reading struct {
	id      emr.DisclosureID
	by      *actor
	record  *record
	purpose emr.Purpose
	grant   *grant
	session *session
	onward  emr.Onward // what is declared
	again   bool       // an id that was used before
	nobody  bool       // names a grant or session that nobody gave
}

func (m *Model) drawDisclose() *step {
	if len(m.records) == 0 {
		return nil
	}
	switch m.c.Choose(4, "ground") {
	case 0:
		if len(m.grants) > 0 {
			return m.readUnder(m.recentGrant())
		}
	case 1:
		if len(m.sessions) > 0 {
			return m.disclose(m.underSession(m.recentSession()))
		}
	case 2:
		r := pick(m, m.records, "record")
		return m.disclose(m.reads(m.orAnybody(r.owner.actor), r))
	}
	return m.disclose(m.reads(m.anybody(), pick(m, m.records, "record")))
}

// recentGrant prefers what was given last.
func (m *Model) recentGrant() *grant {
	if m.mostly(2, "a recent one") {
		return pick(m, m.grants[max(0, len(m.grants)-3):], "grant")
	}
	return pick(m, m.grants, "grant")
}

func (m *Model) recentSession() *session {
	if m.mostly(2, "a recent one") {
		return pick(m, m.sessions[max(0, len(m.sessions)-3):], "session")
	}
	return pick(m, m.sessions, "session")
}

func (m *Model) reads(by *actor, r *record) *reading {
	return &reading{
		id: ledgertest.ID[emr.DisclosureID](emr.DisclosurePrefix), by: by, record: r, purpose: m.purpose(by.clinician),
		onward: m.declares(),
	}
}

// readAgain reads under the last grant of which something holds that has just
// changed: what changed must be seen by the very next reading.
func (m *Model) readAgain(holds func(*grant) bool) *step {
	for _, g := range slices.Backward(m.grants) {
		if holds(g) && len(m.records) > 0 {
			return m.readUnder(g)
		}
	}
	return nil
}

// breakAgain is readAgain under an emergency session.
func (m *Model) breakAgain(holds func(*session) bool) *step {
	for _, s := range slices.Backward(m.sessions) {
		if holds(s) && len(m.records) > 0 {
			return m.disclose(m.underSession(s))
		}
	}
	return nil
}

// readUnder reads what a grant names, mostly by whom it names.
func (m *Model) readUnder(g *grant) *step { return m.disclose(m.underGrant(g)) }

func (m *Model) underGrant(g *grant) *reading {
	var r *record
	for _, of := range m.records {
		if of.scope == g.scope && g.names(of) && (r == nil || m.mostly(2, "this record")) {
			r = of
		}
	}
	if r == nil || m.seldom(8, "another record") {
		r = pick(m, m.records, "record")
	}
	by := g.to.actor
	if m.seldom(6, "another reader") {
		by = pick(m, knownClinicians(m), "reader").actor
	}
	want := m.reads(by, r)
	want.grant = g
	if m.mostly(8, "a purpose of the grant") {
		want.purpose = pick(m, g.purposes, "purpose")
	}
	return want
}

func (m *Model) underSession(s *session) *reading {
	var own []*record
	for _, r := range m.records {
		if r.owner == s.owner {
			own = append(own, r)
		}
	}
	r := pick(m, m.records, "record")
	if len(own) > 0 && m.mostly(6, "a record of the patient") {
		r = pick(m, own, "record")
	}
	by := s.by.actor
	if m.seldom(6, "another reader") {
		by = pick(m, knownClinicians(m), "reader").actor
	}
	want := m.reads(by, r)
	want.session, want.purpose = s, s.purpose
	if m.seldom(8, "another purpose") {
		want.purpose = pick(m, emr.Purposes(), "purpose")
	}
	return want
}

func (m *Model) disclose(want *reading) *step {
	if len(m.disclosures) > 0 && m.seldom(20, "once more") {
		want.id, want.again = pick(m, m.disclosures, "disclosure").id, true
	}
	args := want.args()
	if want.grant == nil && want.session == nil && want.by.clinician != nil && m.seldom(6, "a ground that nobody gave") {
		want.nobody = true
		args.Grant = ledgertest.ID[emr.GrantID](emr.GrantPrefix)
	}
	s := m.signed(ledgerapi.Disclose, want.by, m.carrier(want.by), args)
	m.expect(s, want)
	s.event = ledgerapi.EventDisclosed
	return s
}

func (want *reading) args() ledgerapi.DiscloseArgs {
	args := ledgerapi.DiscloseArgs{Disclosure: want.id, Record: want.record.id, Purpose: want.purpose, Onward: want.onward}
	if want.grant != nil {
		args.Grant = want.grant.id
	}
	if want.session != nil {
		args.Session = want.session.id
	}
	return args
}

// expect tells of a reading what must come of it.
func (m *Model) expect(s *step, want *reading) {
	s.fault(want.again, emr.CodeExists)
	s.fault(!isUse(want.onward), emr.CodeInvalid)
	r, c := want.record, want.by.clinician
	if c == nil {
		s.fault(want.grant != nil || want.session != nil || want.onward != "", emr.CodeInvalid)
		s.fault(r.owner.actor != want.by, emr.CodeNotFound)
		s.says = decideOwn(r, want.purpose)
	} else {
		s.says = m.decideReading(want, true)
	}
	s.then = func(a *answer) []emr.AuditEntry { return m.disclosed(want, a) }
}

// decideReading is the heart of it: what speaks against a reading. Whatever does
// beats everything that speaks for it.
func (m *Model) decideReading(want *reading, counted bool) *verdict {
	r, c := want.record, want.by.clinician
	against := againstPerson(c, r, want.purpose)
	against.add(r.closed() != "", r.closed())
	against = append(against, want.againstOnward()...)
	permit := emr.ReasonGrant
	if want.session != nil {
		permit = emr.ReasonEmergency
		against = append(against, m.againstSession(want.session, c, r, want.purpose)...)
	} else {
		said, why := r.owner.standing.say(c, r, want.purpose, m.now())
		against.add(said == emr.Deny, why)
		against.add(want.purpose.Emergency(), emr.ReasonPurpose)
		g := want.grant
		against = append(against, m.againstGrant(g, c, r, want.purpose)...)
		if g != nil && g.to == c {
			against.add(counted && g.most > 0 && g.used >= g.most, emr.ReasonExhausted)
			against.add(r.restricted && g.wide && said != emr.Permit, emr.ReasonConsentRestricted)
			against.add(g.signedOff && r.signed() != emr.SignOffSigned, emr.ReasonNotSignedOff)
		}
	}
	if len(against) > 0 {
		return denied(against)
	}
	return says(emr.Permit, permit)
}

// decideOwn is what speaks against a patient's reading of an own record.
func decideOwn(r *record, purpose emr.Purpose) *verdict {
	var against grounds
	against.add(purpose != emr.PurposePatient, emr.ReasonPurpose)
	against.add(r.closed() != "", r.closed())
	if len(against) > 0 {
		return denied(against)
	}
	return says(emr.Permit, emr.ReasonOwner)
}

func (m *Model) disclosed(want *reading, a *answer) []emr.AuditEntry {
	r := want.record
	d := &disclosure{
		id: want.id, record: r, reader: want.by, purpose: want.purpose, permit: a.Decision == emr.Permit, reason: a.Reason,
		grant: want.grant, session: want.session, onward: want.onward, noOnward: a.Decision == emr.Permit && want.noOnward(),
	}
	require.Equal(m.t, d.noOnward, a.NoOnward, "whether it may be shared on")
	e := byTheClinician(emr.AuditDisclosure, r.owner, want.by, string(want.id))
	if d.permit && want.grant != nil && want.grant.most > want.grant.used+1 {
		m.urge = func() *step { return m.readUnder(want.grant) }
	}
	if want.by.patient != nil {
		e.Actor = emr.ActorPatient
	} else {
		e.Consent = r.owner.standing.number()
	}
	require.Equal(m.t, e.Consent, a.Consent)
	require.Equal(m.t, r.signed(), a.SignOff, "how far the sign-off has come")
	e.Record, e.Purpose, e.Decision, e.Reason = r.id, want.purpose, a.Decision, a.Reason
	if d.permit {
		d.until = a.At.Add(10 * time.Minute)
		if want.grant != nil {
			if want.grant.most > 0 { // without a limit nothing is counted
				want.grant.used++
			}
			d.until = min(d.until, want.grant.until)
		}
		if want.session != nil {
			d.until = min(d.until, want.session.end())
		}
	}
	require.Equal(m.t, d.until, a.Until, "of the ticket")
	m.disclosures = append(m.disclosures, d)
	return []emr.AuditEntry{e}
}

// holds tells whether a ticket holds for who presents it: everything that it rests
// on is looked at again.
func (m *Model) holds(d *disclosure, by *actor) *verdict {
	if by != d.reader {
		return says(emr.Deny, emr.ReasonNotReader)
	}
	var against grounds
	against.add(!d.permit, d.reason)
	against.add(m.now() >= d.until, emr.ReasonTicketExpired)
	permit := emr.ReasonOwner
	if by.clinician == nil {
		if again := decideOwn(d.record, d.purpose); again.decision == emr.Deny {
			against = append(against, again.reasons...)
		}
	} else {
		again := m.decideReading(&reading{
			by: by, record: d.record, purpose: d.purpose, grant: d.grant, session: d.session, onward: d.onward,
		}, false)
		if again.decision == emr.Deny {
			against = append(against, again.reasons...)
		}
		permit = again.reasons[0]
		against.add(!m.orgs[by.org].member, emr.ReasonOrganisation)
	}
	if len(against) > 0 {
		return denied(against)
	}
	return says(emr.Permit, permit)
}

// present shows a ticket to a proxy, which asks its own peer.
func (m *Model) present() {
	if len(m.disclosures) == 0 || m.stopped[ledgerapi.OpenTicket] {
		return
	}
	d := pick(m, m.disclosures[max(0, len(m.disclosures)-8):], "ticket")
	by := d.reader
	if m.seldom(6, "another presenter") {
		by = m.anybody()
	}
	if by.clinician != nil && m.now() >= by.clinician.notAfter {
		return
	}
	s := &step{function: ledgerapi.OpenTicket, by: by, args: ledgerapi.OpenTicketArgs{Disclosure: d.id}}
	signed := m.sign(m.action(s), by.key)
	var ticket ledgerapi.Ticket
	proxy := pick(m, m.members(), "proxy")
	require.NoError(m.t, m.d.Ask(proxy, ledgerapi.CheckTicket, ledgerapi.CheckTicketQuery{Signed: *signed}, &ticket))
	want := m.holds(d, by)
	require.Equal(m.t, want.decision, ticket.Decision, "%s: %s of %s for %s", ticket.Reason, d.id, d.reader.name, by.name)
	require.Contains(m.t, want.reasons, ticket.Reason)
	if want.decision == emr.Permit {
		require.Equal(m.t, d.record.signed(), ticket.SignOff.Status, "a reader is told whether a record is final")
		m.sameStatements(d, &ticket)
		m.sameKeys(d, proxy, &ticket)
	}
	if want.decision != emr.Permit {
		require.Empty(m.t, ticket.Fragment.Sealed, "nothing is handed out with a refusal")
		require.Empty(m.t, ticket.Direct.Sealed)
		require.Empty(m.t, ticket.Statements)
		require.Empty(m.t, ticket.Manifest.Signed.Body)
		return
	}
	require.NotEmpty(m.t, ticket.Manifest.Signed.Body)
}

func (m *Model) drawAttempt() *step {
	if len(m.disclosures) == 0 {
		return nil
	}
	d := pick(m, m.disclosures, "ticket")
	by := d.reader
	if m.seldom(2, "another presenter") {
		by = m.anybody()
	}
	s := m.signed(ledgerapi.RecordAttempt, by, pick(m, m.orgIDs, "proxy"), ledgerapi.OpenTicketArgs{Disclosure: d.id})
	want := m.holds(d, by)
	s.fault(want.decision == emr.Permit, emr.CodeRule)
	s.says = want
	s.then = func(a *answer) []emr.AuditEntry {
		e := byTheClinician(emr.AuditAttempt, d.record.owner, by, string(d.id))
		if by == d.record.owner.actor {
			e.Actor = emr.ActorPatient
		}
		e.Record, e.Purpose, e.Decision, e.Reason = d.record.id, d.purpose, emr.Deny, a.Reason
		e.Consent = d.record.owner.standing.number()
		return []emr.AuditEntry{e}
	}
	return s
}
