// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledgermodel

import (
	"crypto/sha256"
	"encoding/pem"
	"slices"
	"time"

	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// The members and what they decide together.

type proposal struct {
	id      emr.ProposalID
	subject emr.Subject
	expires emr.Time
	made    emr.Time
	votes   map[emr.OrgID]bool
	status  emr.ProposalStatus
}

func authorityOf(o *org) emr.Digest {
	block, _ := pem.Decode([]byte(o.profile.CACert))
	return sha256.Sum256(block.Bytes)
}

func (m *Model) drawRegisterOrganisation() *step {
	o := m.orgs[pick(m, m.orgIDs, "organisation")]
	for _, id := range m.orgIDs {
		if !m.orgs[id].member && m.mostly(2, "one that is none") {
			o = m.orgs[id]
		}
	}
	args := o.profile
	s := m.registerOrganisation(o, args)
	switch m.c.Choose(8, "what") {
	case 5: // another authority
		other := m.orgs[pick(m, m.orgIDs, "whose authority")]
		args.CACert = other.profile.CACert
		s.fault(other != o, emr.CodeForbidden)
	case 6:
		args.Kind = map[emr.OrgKind]emr.OrgKind{emr.KindHospital: emr.KindRegulator, emr.KindRegulator: emr.KindHospital}[args.Kind]
		args.IPFS = []string{}
		s.fault(o.known, emr.CodeRule)
		s.fault(!o.known && m.founded, emr.CodeForbidden)
		if !o.known && !m.founded {
			return nil
		}
	case 7:
		args.GatewayURL = "http://plain.example"
		s.fault(true, emr.CodeInvalid)
	}
	s.args = args
	return s
}

func (m *Model) registerOrganisation(o *org, args ledgerapi.RegisterOrganisationArgs) *step {
	s := m.order(ledgerapi.RegisterOrganisation, o.id, args)
	needs := !o.member && (m.founded || o.known)
	fits := o.admitted != 0 && o.as == o.kind && o.by == authorityOf(o) && (!o.known || o.admitted > o.removed)
	s.fault(needs && !fits, emr.CodeForbidden)
	s.then = func(*answer) []emr.AuditEntry {
		if !o.member && len(m.orders) > 0 {
			m.urge = func() *step { return m.confirm(pick(m, m.orders, "order of before"), o.id) }
		}
		o.member, o.known = true, true
		return nil
	}
	return s
}

func (m *Model) drawCloseFounding() *step {
	by := pick(m, m.orgIDs, "organisation")
	s := m.order(ledgerapi.CloseFounding, by, ledgerapi.Empty{})
	s.fault(m.founded, emr.CodeExists)
	s.then = func(*answer) []emr.AuditEntry {
		m.founded = true
		return nil
	}
	return s
}

func stoppable() []string {
	return append(ledgerapi.SignedTransactions(), ledgerapi.OpenTicket)
}

// drawProposal puts a question to the members.
func (m *Model) drawProposal() *step {
	by := pick(m, m.orgIDs, "proposer")
	subject := m.subject()
	expires := m.now().Add(48 * time.Hour)
	late := m.seldom(16, "for too short")
	if late {
		expires = m.now().Add(time.Hour)
	}
	return m.put(by, subject, expires, late)
}

func (m *Model) put(by emr.OrgID, subject emr.Subject, expires emr.Time, late bool) *step {
	p := &proposal{
		id: ledgertest.ID[emr.ProposalID](emr.ProposalPrefix), subject: subject, expires: expires, votes: map[emr.OrgID]bool{},
		status: emr.ProposalOpen,
	}
	s := m.order(ledgerapi.Propose, by, ledgerapi.ProposeArgs{Proposal: p.id, Subject: subject, Expires: expires})
	s.fault(late, emr.CodeInvalid)
	s.fault(concerns(&subject, by), emr.CodeForbidden)
	m.faultsOfSubject(s, &subject)
	m.vote(s, p, by, true, ledgerapi.EventProposed)
	return s
}

// concerns tells whether a question is about an organisation, which then has no vote.
func concerns(subject *emr.Subject, id emr.OrgID) bool {
	return (subject.Kind == emr.ProposeRemoval || subject.Kind == emr.ProposeHomeRelease) && subject.Organisation == id
}

// faultsOfSubject tells why a question has no answer that could take effect now.
func (m *Model) faultsOfSubject(s *step, subject *emr.Subject) {
	switch subject.Kind {
	case emr.ProposeAdmission:
		o := m.orgs[subject.Organisation]
		s.fault(o.member, emr.CodeExists)
	case emr.ProposeRemoval:
		o := m.orgs[subject.Organisation]
		s.fault(!o.known, emr.CodeNotFound)
		s.fault(o.known && !o.member, emr.CodeGone)
		s.fault(len(m.members()) <= 3, emr.CodeRule)
	case emr.ProposeHomeRelease:
		p := m.patientOf(subject.Patient)
		s.fault(!p.registered, emr.CodeNotFound)
		s.fault(p.org != subject.Organisation, emr.CodeRule)
		s.fault(m.freed(p), emr.CodeExists)
	case emr.ProposeStop, emr.ProposeResume:
		s.fault(!slices.Contains(stoppable(), subject.Function), emr.CodeInvalid)
		s.fault(slices.Contains(ledgerapi.Unstoppable(), subject.Function), emr.CodeRule)
		s.fault(m.stopped[subject.Function] == (subject.Kind == emr.ProposeStop), emr.CodeExists)
	case emr.ProposeRelease:
		_, known := m.releases[subject.Release.Digest]
		s.fault(known, emr.CodeExists)
	case emr.ProposeWithdrawal:
		live, known := m.releases[subject.Release.Digest]
		s.fault(!known, emr.CodeNotFound)
		s.fault(known && !live, emr.CodeGone)
	case emr.ProposeRetention:
		m.faultsOfRetention(s, &subject.Retention)
	}
}

func (m *Model) subject() emr.Subject {
	kinds := []emr.ProposalKind{
		emr.ProposeRelease, emr.ProposeStop, emr.ProposeResume, emr.ProposeWithdrawal, emr.ProposeHomeRelease,
	}
	if !m.Shared {
		kinds = append(kinds, emr.ProposeAdmission, emr.ProposeRemoval, emr.ProposeRetention, emr.ProposeRetention)
	}
	subject := emr.Subject{Kind: pick(m, kinds, "kind")}
	switch subject.Kind {
	case emr.ProposeAdmission, emr.ProposeRemoval:
		o := m.orgs[pick(m, m.orgIDs, "whom")]
		for _, id := range m.orgIDs {
			if m.orgs[id].member == (subject.Kind == emr.ProposeRemoval) && m.seldom(3, "one whom it makes sense for") {
				o = m.orgs[id]
			}
		}
		subject.Organisation = o.id
		if subject.Kind == emr.ProposeAdmission {
			subject.OrgKind, subject.Authority = o.kind, authorityOf(o)
			if m.seldom(6, "another authority") {
				subject.Authority = sha256.Sum256([]byte("another"))
			}
		}
	case emr.ProposeHomeRelease:
		p := pick(m, m.patients, "patient")
		subject.Patient, subject.Organisation = p.handle, p.org
		if m.seldom(6, "from another hospital") {
			subject.Organisation = pick(m, m.orgIDs, "hospital")
		}
	case emr.ProposeStop:
		subject.Function = pick(m, append(stoppable(), "NoSuchFunction"), "function")
	case emr.ProposeResume:
		subject.Function = pick(m, stoppable(), "function")
		for _, function := range stoppable() {
			if m.stopped[function] && m.mostly(3, "a stopped one") {
				subject.Function = function
			}
		}
	case emr.ProposeWithdrawal:
		subject.Release.Digest = m.aRelease()
	case emr.ProposeRetention:
		subject.Retention = m.aRule()
	default:
		subject.Release = emr.Release{Product: "portal", Version: "1.0.0", Digest: m.aRelease()}
		if m.mostly(4, "a new one") {
			subject.Release.Digest = sha256.Sum256(random(8))
		}
	}
	return subject
}

func (m *Model) aRelease() emr.Digest {
	for _, p := range m.proposals {
		if p.subject.Kind == emr.ProposeRelease && m.seldom(2, "this release") {
			return p.subject.Release.Digest
		}
	}
	return sha256.Sum256([]byte("a release that nobody published"))
}

func (m *Model) drawVote() *step {
	open := func(p *proposal) bool { return p.status == emr.ProposalOpen && m.now() < p.expires }
	if len(m.proposals) == 0 || idle(m, m.proposals, open) {
		return nil
	}
	p := pick(m, m.proposals, "proposal")
	for _, q := range m.proposals {
		if open(q) && m.mostly(4, "an open one") {
			p = q
		}
	}
	by := pick(m, m.orgIDs, "voter")
	if _, voted := p.votes[by]; voted {
		by = pick(m, m.orgIDs, "another voter")
	}
	return m.castVote(p, by, m.mostly(6, "accept"))
}

func (m *Model) castVote(p *proposal, by emr.OrgID, accept bool) *step {
	s := m.order(ledgerapi.CastVote, by, ledgerapi.CastVoteArgs{Proposal: p.id, Accept: accept})
	s.fault(concerns(&p.subject, by), emr.CodeForbidden)
	_, voted := p.votes[by]
	s.fault(p.status != emr.ProposalOpen || m.now() >= p.expires, emr.CodeGone)
	s.fault(voted, emr.CodeExists)
	m.vote(s, p, by, accept, "")
	return s
}

// vote tells what a vote does. One that decides for something which cannot take
// effect any more is refused.
func (m *Model) vote(s *step, p *proposal, by emr.OrgID, accept bool, event string) {
	status := m.tally(p, by, accept)
	s.event = event
	if status != emr.ProposalOpen {
		s.event = ledgerapi.EventDecided
	}
	if status == emr.ProposalAccepted {
		m.faultsOfSubject(s, &p.subject)
		o := m.orgs[p.subject.Organisation]
		s.fault(p.subject.Kind == emr.ProposeAdmission && o.known && !o.member && p.made <= o.removed, emr.CodeRule)
		s.fault(p.subject.Kind == emr.ProposeRemoval && p.made < o.admitted, emr.CodeRule)
	}
	first := event != ""
	s.then = func(a *answer) []emr.AuditEntry {
		if first {
			p.made = a.At
			m.proposals = append(m.proposals, p)
		}
		p.votes[by], p.status = accept, status
		switch status {
		case emr.ProposalAccepted:
			m.enact(&p.subject, a.At)
			m.urge = func() *step { return m.after(&p.subject) }
		case emr.ProposalOpen:
			m.urge = func() *step { return m.castVote(p, pick(m, m.members(), "voter"), m.mostly(6, "accept")) }
		}
		return nil
	}
}

// after is what tries a decision at once: a function that was stopped, an
// organisation that was removed or admitted.
func (m *Model) after(subject *emr.Subject) *step {
	switch subject.Kind {
	case emr.ProposeStop, emr.ProposeResume:
		function := subject.Function
		if function == ledgerapi.OpenTicket {
			function = ledgerapi.RecordAttempt
		}
		all := blocks()
		at := slices.IndexFunc(all, func(b block) bool { return b.function == function })
		if at < 0 { // one that is not in the model yet
			return nil
		}
		return all[at].draw(m)
	case emr.ProposeAdmission:
		o := m.orgs[subject.Organisation]
		return m.registerOrganisation(o, o.profile)
	case emr.ProposeHomeRelease:
		return m.move(m.patientOf(subject.Patient))
	case emr.ProposeRemoval:
		if r := m.heldByLeaver(); r != nil && m.seldom(2, "erase what it holds") {
			return m.erase(r, r.owner, r.owner.actor)
		}
		for _, p := range knownPatients(m) {
			if p.org == subject.Organisation {
				return m.move(p)
			}
		}
		return nil
	case emr.ProposeRetention:
		return m.drawExpired()
	default:
		return nil
	}
}

// tally counts the votes of those who are members now and may vote.
func (m *Model) tally(p *proposal, by emr.OrgID, accept bool) emr.ProposalStatus {
	voters, yes, no := 0, 0, 0
	for _, id := range m.members() {
		if concerns(&p.subject, id) {
			continue
		}
		voters++
		said, voted := p.votes[id]
		if id == by {
			said, voted = accept, true
		}
		if voted && said {
			yes++
		} else if voted {
			no++
		}
	}
	switch {
	case yes > voters-yes:
		return emr.ProposalAccepted
	case no >= voters-no:
		return emr.ProposalRejected
	default:
		return emr.ProposalOpen
	}
}

func (m *Model) enact(subject *emr.Subject, at emr.Time) {
	switch subject.Kind {
	case emr.ProposeAdmission:
		o := m.orgs[subject.Organisation]
		o.admitted, o.as, o.by = at, subject.OrgKind, subject.Authority
	case emr.ProposeRemoval:
		o := m.orgs[subject.Organisation]
		o.member, o.removed = false, at
	case emr.ProposeHomeRelease:
		p := m.patientOf(subject.Patient)
		p.release = &release{from: p.org, generation: p.generation}
	case emr.ProposeStop, emr.ProposeResume:
		m.stopped[subject.Function] = subject.Kind == emr.ProposeStop
	case emr.ProposeRetention:
		m.retention[subject.Retention.Class] = subject.Retention
	default:
		m.releases[subject.Release.Digest] = subject.Kind == emr.ProposeRelease
	}
}
