// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledgermodel

import (
	"slices"
	"strings"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// Requests, and what comes of them.

type request struct {
	id      emr.RequestID
	record  *record
	by      *clinician
	purpose emr.Purpose
	onward  emr.Onward // what is declared
	wish    *wish      // nil when nothing more is asked for
	pending bool
	ended   emr.Reason // for which it was closed, when its record was
	purged  bool       // is its note
	// reason is that of the last word about it, grant what answers it, and left what that does not give.
	reason emr.Reason
	grant  *grant
	left   *emr.LeftOut
}

func (m *Model) drawRequest() *step {
	if len(m.records) == 0 {
		return nil
	}
	if len(m.grants) > 0 && m.seldom(3, "beside what a grant gives") {
		if s := m.asksBeside(m.recentGrant()); s != nil {
			return s
		}
	}
	by := m.orAnybody(pick(m, m.able(), "professional").actor)
	q := &request{record: pick(m, m.records, "record"), purpose: m.purpose(by.clinician), onward: m.declares()}
	if m.seldom(2, "more than that") {
		q.wish = m.someWish(q)
	}
	return m.asks(q, by)
}

// asksBeside asks for what a grant gives, and for what others may give.
func (m *Model) asksBeside(g *grant) *step {
	in := slices.DeleteFunc(slices.Clone(m.records), func(r *record) bool { return r.scope != g.scope || r.next != nil || r.closed() != "" })
	if len(in) == 0 {
		return nil
	}
	q := &request{record: pick(m, in, "record"), purpose: g.purposes[0], wish: &wish{}}
	for _, r := range in {
		if r != q.record && len(q.wish.records) < 3 && m.mostly(4, "this one, too") {
			q.wish.records = append(q.wish.records, r)
		}
	}
	sortRecords(q.wish.records)
	switch m.c.Choose(5, "what else") {
	case 1:
		q.wish.until = g.until + emr.Time(m.c.Choose(2, "a second more"))
	case 2:
		q.wish.most = g.most + uint32(m.c.Choose(2, "one more")) //nolint:gosec // small
	case 3:
		q.onward = emr.OnwardExport
	}
	return m.asks(q, g.to.actor)
}

// giveRest gives the other records of a scope by another grant, and lets the reader ask for all of them.
func (m *Model) giveRest(g *grant) *step {
	next := &grant{owner: g.owner, scope: g.scope, to: g.to, purposes: g.signedPurposes, from: g.from, until: g.until}
	for _, r := range m.records {
		if r.scope == g.scope && !slices.Contains(g.signedRecords, r) && r.closed() == "" {
			next.records = append(next.records, r)
		}
	}
	if len(next.records) == 0 || len(g.signedRecords) == 0 {
		return nil
	}
	return m.afterwards(m.give(next, g.owner.actor, nil), func() *step { return m.asksBeside(next) })
}

func sortRecords(all []*record) {
	slices.SortFunc(all, func(a, b *record) int { return strings.Compare(string(a.id), string(b.id)) })
}

// request asks for one record and nothing more.
func (m *Model) request(by *actor, r *record, purpose emr.Purpose) *step {
	return m.asks(&request{record: r, purpose: purpose}, by)
}

func (q *request) args() *ledgerapi.RequestAccessArgs {
	return &ledgerapi.RequestAccessArgs{
		Request: q.id, Record: q.record.id, Purpose: q.purpose, Note: "please", Onward: q.onward, Wish: q.wish.document(),
	}
}

func (m *Model) asks(q *request, by *actor) *step {
	q.id = ledgertest.ID[emr.RequestID](emr.RequestPrefix)
	again := m.seldom(12, "once more") && len(m.requests) > 0
	if again {
		q.id = pick(m, m.requests, "request").id
	}
	args := q.args()
	s := m.signed(ledgerapi.RequestAccess, by, m.carrier(by), args)
	s.fault(again, emr.CodeExists)
	s.fault(!isUse(q.onward), emr.CodeInvalid)
	m.faultsOfWish(s, q, args)
	if m.seldom(16, "no such record") {
		args.Record = ledgertest.ID[emr.RecordID](emr.RecordPrefix)
		s.fault(true, emr.CodeNotFound)
	}
	if m.seldom(24, "a long note") {
		args.Note = string(make([]byte, 2001))
		s.fault(true, emr.CodeTooLarge)
	}
	s.event = ledgerapi.EventAccessRequested
	if q.by = by.clinician; !s.onlyClinician() {
		return s
	}
	var covers *grant
	s.says, covers = m.decideRequest(q)
	s.then = func(a *answer) []emr.AuditEntry {
		q.pending, q.reason, q.grant = a.Decision == emr.Ask, a.Reason, covers
		m.requests = append(m.requests, q)
		e := byTheClinician(emr.AuditRequest, q.record.owner, by, a.ID)
		e.Purpose, e.Decision, e.Reason, e.Consent = q.purpose, a.Decision, a.Reason, q.record.owner.standing.number()
		return forEach(e, q.records())
	}
	return s
}

// forEach is an entry once for each record.
func forEach(e emr.AuditEntry, records []*record) []emr.AuditEntry {
	var all []emr.AuditEntry
	for _, r := range records {
		e.Record = r.id
		all = append(all, e)
	}
	return all
}

// decideRequest decides each record and purpose by itself: one that is denied denies
// all, and only a grant that gives all of it already permits. It returns that grant.
func (m *Model) decideRequest(q *request) (*verdict, *grant) {
	var against grounds
	var given []*grant
	for _, r := range q.records() {
		for _, purpose := range q.purposes() {
			against = append(against, m.againstAsking(q, r, purpose)...)
			given = append(given, m.atHand(q, r, purpose))
		}
	}
	if len(against) > 0 {
		return denied(against), nil
	}
	if given[0] == nil {
		return says(emr.Ask, m.whyAsked(q, given)), nil
	}
	if slices.ContainsFunc(given, func(g *grant) bool { return g != given[0] }) {
		return says(emr.Ask, emr.ReasonNoGrant), nil
	}
	return says(emr.Permit, emr.ReasonGrant), given[0]
}

// whyAsked is what the consent says of the first record and purpose; that it permits,
// only when it permits all of them, and no grant gives some already.
func (m *Model) whyAsked(q *request, given []*grant) emr.Reason {
	standing, at := q.record.owner.standing, 0
	if standing == nil {
		return emr.ReasonNoGrant
	}
	for _, r := range q.records() {
		for _, purpose := range q.purposes() {
			if _, why := standing.say(q.by, r, purpose, m.now()); given[at] != nil {
				return emr.ReasonNoGrant
			} else if why != emr.ReasonConsentPermits {
				return why
			}
			at++
		}
	}
	return emr.ReasonConsentPermits
}

// againstAsking is what speaks against a request whatever the patient will say.
func (m *Model) againstAsking(q *request, r *record, purpose emr.Purpose) grounds {
	against := againstPerson(q.by, r, purpose)
	against.add(purpose.Emergency(), emr.ReasonPurpose)
	said, why := r.owner.standing.say(q.by, r, purpose, m.now())
	against.add(said == emr.Deny, why)
	against.add(r.next != nil, emr.ReasonSuperseded)
	against.add(r.closed() != "", r.closed())
	against.add(q.onward != "" && r.restricted, emr.ReasonNoOnward)
	return against
}

// atHand is the grant that gives a record already: the latest that names it, or else
// the latest of its scope. It is nil when neither does.
func (m *Model) atHand(q *request, r *record, purpose emr.Purpose) *grant {
	said, _ := r.owner.standing.say(q.by, r, purpose, m.now())
	for _, name := range []string{string(r.id), string(r.scope.ID)} {
		g := m.covering[name+q.by.id]
		if g != nil && len(m.againstGrant(g, q.by, r, purpose)) == 0 && (g.most == 0 || g.used < g.most) && q.suffices(g) &&
			(!r.restricted || !g.wide || said == emr.Permit) && (!g.signedOff || r.signed() == emr.SignOffSigned) &&
			(q.onward == "" || !g.noOnward) {
			return g
		}
	}
	return nil
}

func (m *Model) drawRefuse() *step {
	pending := func(q *request) bool { return q.pending }
	if len(m.requests) == 0 || idle(m, m.requests, pending) {
		return nil
	}
	q := pick(m, m.requests, "request")
	for _, other := range m.requests {
		if other.pending && m.mostly(3, "a pending one") {
			q = other
		}
	}
	p := q.record.owner
	by := m.orAnybody(m.helper(p))
	args := ledgerapi.RefuseAccessArgs{Patient: p.handle, Request: q.id}
	of := p
	if m.seldom(8, "as another patient") {
		of = pick(m, knownPatients(m), "patient")
		by, args.Patient = of.actor, of.handle
	}
	s := m.signed(ledgerapi.RefuseAccess, by, m.carrier(by), args)
	m.patientOrDelegate(s, of)
	s.fault(of != p, emr.CodeNotFound)
	s.fault(!q.pending, emr.CodeRule)
	s.then = func(*answer) []emr.AuditEntry {
		q.pending, q.reason = false, emr.ReasonRefused
		e := byThePatient(emr.AuditRefusal, p, by, string(q.id))
		e.Record, e.Purpose, e.Decision, e.Reason = q.record.id, q.purpose, emr.Deny, emr.ReasonRefused
		return []emr.AuditEntry{e}
	}
	return s
}

// answering is a request that the grant may answer; nil for none.
func (m *Model) answering(g *grant) *request {
	for _, q := range m.requests {
		if q.pending && q.record.owner == g.owner && m.mostly(3, "answer it") {
			g.scope, g.to = q.record.scope, q.by
			m.giveOf(g, q)
			if m.seldom(5, "to somebody else") {
				g.to = pick(m, m.readers(), "grantee")
			}
			return q
		}
	}
	if len(m.requests) > 0 && m.seldom(10, "any request") {
		return pick(m, m.requests, "request")
	}
	return nil
}

// answers tells whether a grant gives something of what was asked for.
func (g *grant) answers(q *request) bool {
	return g.to == q.by && g.scope == q.record.scope && slices.ContainsFunc(q.records(), g.names) &&
		slices.ContainsFunc(q.purposes(), func(p emr.Purpose) bool { return slices.Contains(g.purposes, p) })
}

// answer ends a request by a grant, as far as the grant gives what was asked for.
func (q *request) answer(g *grant) {
	q.pending, q.grant, q.left, q.reason = false, g, g.leaves(q), emr.ReasonGrant
	if q.left != nil {
		q.reason = emr.ReasonNarrowed
	}
}

// finishRequests: every request tells what was asked for, and what came of it.
func (m *Model) finishRequests() {
	m.t.Helper()
	for _, q := range m.requests {
		var found emr.Request
		m.ask(ledgerapi.GetRequest, ledgerapi.RequestQuery{Request: q.id}, &found)
		require.Equal(m.t, q.pending, found.Status == emr.RequestPending)
		reason, by := q.reason, emr.GrantID("")
		if q.ended != "" {
			reason = q.ended
		}
		if q.grant != nil {
			by = q.grant.id
		}
		require.Equal(m.t, []any{reason, by}, []any{found.Reason, found.Grant}, "what came of %s", q.id)
		require.Equal(m.t, q.left, found.LeftOut, "what was left out of %s", q.id)
		require.Equal(m.t, []any{q.onward, q.wish.document()}, []any{found.Onward, found.Wish})
	}
}
