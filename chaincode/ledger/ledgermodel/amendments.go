// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledgermodel

import (
	"slices"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// Amendments and holds.

type amendment struct {
	id       emr.AmendmentID
	record   *record
	status   emr.AmendmentStatus
	asked    emr.Time
	disputed bool
	purged   bool
}

// texts is how many private texts there are.
func (a *amendment) texts() int {
	n := 1
	if a.status == emr.AmendmentAccepted || a.status == emr.AmendmentDenied {
		n++
	}
	if a.disputed {
		n++
	}
	if a.purged {
		n = 0
	}
	return n
}

func (m *Model) drawAsk() *step {
	if len(m.records) == 0 {
		return nil
	}
	r := pick(m, m.records, "record")
	p := r.owner
	if m.seldom(8, "another patient") {
		p = pick(m, knownPatients(m), "patient")
	}
	by := m.self(p)
	args := ledgerapi.AskAmendmentArgs{
		Patient: p.handle, Amendment: ledgertest.ID[emr.AmendmentID](emr.AmendmentPrefix), Record: r.id, Text: "the dose is wrong",
	}
	again := m.seldom(12, "once more") && len(m.amendments) > 0
	if again {
		args.Amendment = pick(m, m.amendments, "amendment").id
	}
	s := m.signed(ledgerapi.AskAmendment, by, m.carrier(by), args)
	s.onlyPatient(p)
	s.fault(p != r.owner, emr.CodeNotFound)
	s.fault(r.erased != nil, emr.CodeGone)
	s.fault(again, emr.CodeExists)
	s.event = ledgerapi.EventAmendmentAsked
	s.then = func(a *answer) []emr.AuditEntry {
		m.amendments = append(m.amendments, &amendment{id: args.Amendment, record: r, status: emr.AmendmentAsked, asked: a.At})
		e := byThePatient(emr.AuditAmendmentAsked, p, p.actor, a.ID)
		e.Record, e.Decision = r.id, emr.Ask
		return []emr.AuditEntry{e}
	}
	return s
}

func (m *Model) drawAnswerAmendment() *step {
	asked := func(a *amendment) bool { return a.status == emr.AmendmentAsked }
	if !slices.ContainsFunc(m.amendments, asked) && m.mostly(4, "something to answer") || len(m.amendments) == 0 {
		return m.drawAsk()
	}
	am := pick(m, m.amendments, "amendment")
	for _, other := range m.amendments {
		if other.status == emr.AmendmentAsked && other.record.erased == nil && m.seldom(2, "one that waits") {
			am = other
		}
	}
	by := m.orAnybody(am.record.author.actor)
	if m.seldom(3, "a colleague") {
		by = pick(m, knownClinicians(m), "colleague").actor
	}
	args := ledgerapi.AnswerAmendmentArgs{Amendment: am.id, Text: "the chart says otherwise", Accept: m.seldom(2, "accept")}
	var version *record
	if args.Accept && len(m.records) > 0 {
		version = pick(m, m.records, "version")
		for r := am.record.next; r != nil && m.mostly(4, "its next version"); r = r.next {
			version = r
		}
		args.Version = version.id
	}
	mute := m.seldom(12, "no text") && !args.Accept
	if mute {
		args.Text = " "
	}
	s := m.signed(ledgerapi.AnswerAmendment, by, m.carrier(by), args)
	if s.active() {
		s.fault(!writes(by.clinician.role), emr.CodeRule)
	}
	s.fault(by.org != am.record.hospital, emr.CodeForbidden)
	s.fault(am.record.erased == nil && am.status != emr.AmendmentAsked, emr.CodeExists)
	s.fault(am.record.erased != nil, emr.CodeGone)
	s.fault(mute, emr.CodeInvalid)
	if version != nil {
		s.fault(version.series != am.record.series || version.version <= am.record.version || version.registered < am.asked, emr.CodeRule)
	}
	s.event = ledgerapi.EventAmendmentAnswered
	s.then = func(*answer) []emr.AuditEntry {
		e := byTheClinician(emr.AuditAmendmentAnswered, am.record.owner, by, string(am.id))
		am.status, e.Decision = emr.AmendmentDenied, emr.Deny
		if args.Accept {
			am.status, e.Decision = emr.AmendmentAccepted, emr.Permit
		}
		e.Record = am.record.id
		if !args.Accept {
			m.urge = func() *step { return m.dispute(am) }
		}
		return []emr.AuditEntry{e}
	}
	return s
}

func (m *Model) drawDispute() *step {
	denied := func(a *amendment) bool { return a.status == emr.AmendmentDenied && !a.disputed }
	if !slices.ContainsFunc(m.amendments, denied) && m.mostly(4, "something to dispute") || len(m.amendments) == 0 {
		return m.drawAnswerAmendment()
	}
	am := pick(m, m.amendments, "amendment")
	for _, other := range m.amendments {
		if denied(other) && m.mostly(3, "a denied one") {
			am = other
		}
	}
	return m.dispute(am)
}

func (m *Model) dispute(am *amendment) *step {
	p := am.record.owner
	if m.seldom(8, "another patient") {
		p = pick(m, knownPatients(m), "patient")
	}
	by := m.self(p)
	s := m.signed(ledgerapi.DisputeAmendment, by, m.carrier(by), ledgerapi.DisputeAmendmentArgs{
		Patient: p.handle, Amendment: am.id, Text: "I disagree",
	})
	s.onlyPatient(p)
	s.fault(p != am.record.owner, emr.CodeNotFound)
	s.fault(am.record.erased == nil && am.status != emr.AmendmentDenied, emr.CodeRule)
	s.fault(am.record.erased == nil && am.disputed, emr.CodeExists)
	s.fault(am.record.erased != nil, emr.CodeGone)
	s.event = ledgerapi.EventAmendmentDisputed
	s.then = func(*answer) []emr.AuditEntry {
		am.disputed = true
		e := byThePatient(emr.AuditAmendmentDisputed, p, p.actor, string(am.id))
		e.Record = am.record.id
		return []emr.AuditEntry{e}
	}
	return s
}

func (m *Model) drawHold() *step {
	if len(m.records) == 0 {
		return nil
	}
	r := pick(m, m.records, "record")
	by := pick(m, []emr.OrgID{r.hospital, m.regulator(), r.hospital, pick(m, m.orgIDs, "organisation")}, "who holds")
	args := ledgerapi.HoldRecordArgs{Record: r.id, Hold: m.mostly(3, "hold"), Ground: m.holdGround()}
	if !args.Hold {
		args.Ground = ""
	}
	bad := m.seldom(12, "no ground, or one too many")
	if bad {
		args.Ground = map[bool]emr.HoldGround{true: "", false: emr.HoldLitigation}[args.Hold]
	}
	s := m.order(ledgerapi.HoldRecord, by, args)
	s.fault(bad, emr.CodeInvalid)
	s.fault(by != r.hospital && m.orgs[by].kind != emr.KindRegulator, emr.CodeForbidden)
	s.fault(args.Hold && r.holders[by] != "", emr.CodeExists)
	abandoned := m.abandoned(r, by)
	s.fault(!args.Hold && r.holders[by] == "" && len(abandoned) == 0, emr.CodeRule)
	s.fault(r.closed() != "", emr.CodeGone)
	s.event = ledgerapi.EventRecordReleased
	kind := emr.AuditRecordReleased
	if args.Hold {
		s.event, kind = ledgerapi.EventRecordHeld, emr.AuditRecordHeld
	}
	s.then = func(*answer) []emr.AuditEntry {
		if !args.Hold && r.holders[by] == "" {
			for _, left := range abandoned {
				r.holders[left] = ""
			}
		}
		r.holders[by] = args.Ground
		m.urge = func() *step { return m.endHeld(r) }
		return []emr.AuditEntry{{Kind: kind, Patient: r.owner.handle, Record: r.id, Actor: emr.ActorAdmin, Org: by}}
	}
	return s
}

// abandoned are those who hold a record and were removed, whose holds a regulator may end.
func (m *Model) abandoned(r *record, by emr.OrgID) []emr.OrgID {
	if m.orgs[by].kind != emr.KindRegulator {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(m.orgIDs), func(id emr.OrgID) bool { return r.holders[id] == "" || m.orgs[id].member })
}

func (m *Model) regulator() emr.OrgID {
	for _, id := range m.orgIDs {
		if m.orgs[id].kind == emr.KindRegulator {
			return id
		}
	}
	return m.orgIDs[0]
}

// finishTexts: what was said about a record is shown while the record is not erased,
// and is gone once an order has ended it. A re-key changes nothing about it.
func (m *Model) finishTexts(am *amendment, found *emr.Amendment) {
	m.t.Helper()
	var view ledgerapi.AmendmentView
	err := m.d.Ask(m.members()[0], ledgerapi.GetAmendmentAction, ledgerapi.AmendmentQuery{Amendment: am.id}, &view)
	if am.record.erased != nil {
		require.Equal(m.t, emr.CodeGone, emr.CodeOf(err), "the texts of %s", am.id)
	} else {
		require.NoError(m.t, err, "the texts of %s", am.id)
		require.Equal(m.t, found.Asking, view.Asking.Digest())
	}
	d, is := m.d.(*Memory)
	if !is {
		return
	}
	n := 0
	for _, digest := range []emr.Digest{found.Asking, found.Answer, found.Dispute} {
		if !digest.IsZero() && len(d.Private(ledgerapi.StatementKey(digest))) > 0 {
			n++
		}
	}
	require.Equal(m.t, am.texts(), n, "texts of %s that are left", am.id)
}
