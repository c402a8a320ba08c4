// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledgermodel

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/chaincode/ledger"
	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// Orders to destroy records.

// partOf is how many versions one transaction closes (docs/spec/erasure.md, E3).
const partOf = 32

// order is one order to destroy versions of a record.
type order struct {
	id      emr.ErasureID
	kind    emr.ErasureKind
	named   *record
	ground  emr.ErasureGround
	by      string
	org     emr.OrgID
	holders []emr.OrgID
	parts   [][]*record
	rest    []*record // versions that no part names yet
	next    *record   // what took the place of a re-keyed version
	at      emr.Time
	// words is the last word about each thing: why it is not destroyed, "" when it
	// is. times counts how often somebody spoke of a part.
	words map[word]emr.ErasureCause
	times map[speech]uint32
}

type word struct {
	org    emr.OrgID
	record *record
	thing  emr.ErasureThing
}

type speech struct {
	org  emr.OrgID
	part int
}

// why is the reason with which an order was given.
func (o *order) why() emr.Reason {
	return map[emr.ErasureKind]emr.Reason{
		emr.OrderErasure: emr.ReasonOwner, emr.OrderRetention: emr.ReasonRetentionOver, emr.OrderRekey: emr.ReasonRekeyed,
	}[o.kind]
}

// gone is what a request learns whose record the order is about.
func (o *order) gone() emr.Reason {
	if o.kind == emr.OrderRekey {
		return emr.ReasonRekeyed
	}
	return emr.ReasonErased
}

func newOrder(kind emr.ErasureKind, named *record) *order {
	return &order{
		id: ledgertest.ID[emr.ErasureID](emr.ErasurePrefix), kind: kind, named: named,
		words: map[word]emr.ErasureCause{}, times: map[speech]uint32{},
	}
}

// call names the holders: the members of this time, the record's hospital, and the gateways of the grants that end.
func (m *Model) call(o *order, e *endings) {
	o.holders = append(m.members(), o.named.hospital)
	for _, g := range e.grants {
		o.holders = append(o.holders, g.gateways...)
	}
	slices.Sort(o.holders)
	o.holders = slices.Compact(o.holders)
}

// take makes a part of the first versions that are left.
func (o *order) take() []*record {
	n := min(len(o.rest), partOf)
	part := o.rest[:n]
	o.rest = o.rest[n:]
	if n > 0 {
		o.parts = append(o.parts, part)
	}
	return part
}

// manifestsOf is how many private manifests are purged with the first of versions.
func manifestsOf(versions []*record) int {
	n := 0
	for _, r := range versions[:min(len(versions), partOf)] {
		if r.rekeyed == nil {
			n++
		}
	}
	return n
}

// decideErasure is what becomes of an order (docs/spec/erasure.md, E2): a hold of
// any version comes first, and then the time since the youngest was registered.
func (m *Model) decideErasure(kind emr.ErasureKind, versions []*record) *verdict {
	if held := heldBy(versions...); len(held) > 0 {
		return denied(held)
	}
	youngest := versions[len(versions)-1]
	rule := m.retention[youngest.class]
	age := time.Duration(m.now()-youngest.registered) * time.Second
	longest, least := time.Duration(rule.MaxDays)*24*time.Hour, time.Duration(rule.MinDays)*24*time.Hour
	switch {
	case kind == emr.OrderRetention && (rule.MaxDays == 0 || age < longest):
		return says(emr.Deny, emr.ReasonNotDue)
	case kind == emr.OrderRetention:
		return says(emr.Permit, emr.ReasonRetentionOver)
	case !rule.PatientOverrides && age < least:
		return says(emr.Deny, emr.ReasonRetention)
	default:
		return says(emr.Permit, emr.ReasonOwner)
	}
}

// toErase is a record, mostly one that is there, and now and then a long one.
func (m *Model) toErase() *record {
	r := pick(m, m.records, "record")
	for _, other := range m.records {
		if other.erased == nil && m.seldom(4, "one that is there") {
			r = other
		}
	}
	if of := m.heldByLeaver(); of != nil && m.seldom(3, "one that somebody holds who has left") {
		r = of
	}
	if m.seldom(20, "a long record") {
		m.lengthen(r)
	}
	return r
}

// heldByLeaver is a record of which somebody who has left holds fragments: a holder for no other reason.
func (m *Model) heldByLeaver() *record {
	for _, g := range slices.Backward(m.grants) {
		left := slices.ContainsFunc(g.gateways, func(id emr.OrgID) bool { return !m.orgs[id].member })
		if left && len(g.signedRecords) > 0 && g.lives() && g.signedRecords[0].erased == nil {
			return g.signedRecords[0]
		}
	}
	return nil
}

// lengthen adds versions until one transaction does not close them all.
func (m *Model) lengthen(r *record) {
	all := m.seriesOf(r)
	last := all[len(all)-1]
	for m.mostly(100, "one more") && len(all) < partOf+3 && !m.Shared {
		s := m.write(r.owner, last.author.actor, last.author.org, recordWish{
			scope: last.scope, class: last.class, label: last.restricted, previous: last,
		})
		if len(s.faults) > 0 {
			return
		}
		m.run(s)
		all = m.seriesOf(r)
		last = all[len(all)-1]
	}
}

// patientOrGuardian: the patient, or who stands for the patient by law. No delegate whom the patient has chosen.
func (m *Model) patientOrGuardian(s *step, p *patient) {
	ok := s.by == p.actor || m.delegated(p, s.by) && p.delegates[s.by.patient].guardian
	s.fault(!ok, emr.CodeForbidden)
}

func (m *Model) drawErase() *step {
	if len(m.records) == 0 {
		return nil
	}
	r := m.toErase()
	p := r.owner
	if m.seldom(10, "another patient") {
		p = pick(m, knownPatients(m), "patient")
	}
	return m.erase(r, p, m.orAnybody(m.helper(p)))
}

func (m *Model) erase(r *record, p *patient, by *actor) *step {
	o, versions := newOrder(emr.OrderErasure, r), m.seriesOf(r)
	if m.seldom(16, "an order once more") && len(m.orders) > 0 {
		o.id = pick(m, m.orders, "order").id
	}
	grounds := []emr.ErasureGround{emr.EraseWithdrawn, emr.EraseNeedless, emr.EraseObjection, emr.EraseUnlawful, emr.EraseOther}
	o.ground = pick(m, grounds, "ground")
	bad := m.seldom(16, "no ground of a patient")
	if bad {
		o.ground = pick(m, []emr.ErasureGround{"", emr.EraseRetention, emr.EraseRekeyed, "for fun"}, "which")
	}
	gone := within(versions)
	e := m.endings(r.owner, gone)
	args := ledgerapi.EraseRecordArgs{
		Patient: p.handle, Erasure: o.id, Record: r.id, Ground: o.ground, Grants: e.grantIDs, Requests: e.requestIDs,
		Amendments: e.amendmentIDs,
	}
	unknown := m.seldom(24, "no such record")
	if unknown {
		args.Record = ledgertest.ID[emr.RecordID](emr.RecordPrefix)
	}
	s := m.signed(ledgerapi.EraseRecord, by, m.carrier(by), args)
	m.patientOrGuardian(s, p)
	s.fault(unknown || p != r.owner, emr.CodeNotFound)
	s.fault(bad, emr.CodeInvalid)
	m.faultsOfOrder(s, o, versions, e, gone)
	s.then = func(a *answer) []emr.AuditEntry {
		return m.ordered(o, versions, e, a, byThePatient(emr.AuditErasureOrdered, p, by, string(o.id)))
	}
	return s
}

// within tells what is closed, or is by an order about these versions: the first of them.
// All of them are erased, those that were re-keyed before, too.
func within(versions []*record) closing {
	first := versions[:min(len(versions), partOf)]
	return closing{
		closed: func(r *record) bool { return isClosed(r) || slices.Contains(first, r) },
		erased: func(r *record) bool { return isErased(r) || slices.Contains(first, r) },
	}
}

// faultsOfOrder is what both kinds of order to erase have in common.
func (m *Model) faultsOfOrder(s *step, o *order, versions []*record, e *endings, gone closing) {
	s.fault(slices.ContainsFunc(m.orders, func(other *order) bool { return other.id == o.id }), emr.CodeExists)
	s.fault(o.named.erased != nil, emr.CodeGone)
	s.fault(e.form, emr.CodeInvalid)
	s.says, s.event = m.decideErasure(o.kind, versions), ledgerapi.EventErasureDenied
	if s.says.decision == emr.Permit { // what is denied ends nothing
		e.faults(s, o.named.owner, gone)
		s.event, s.purges = ledgerapi.EventErasureOrdered, e.purges()+manifestsOf(versions)
	}
}

// ordered gives an order, or nothing when it was denied.
func (m *Model) ordered(o *order, versions []*record, e *endings, a *answer, entry emr.AuditEntry) []emr.AuditEntry {
	entry.Decision, entry.Reason = a.Decision, a.Reason
	if a.Decision != emr.Permit {
		entry.Record = o.named.id
		return []emr.AuditEntry{entry}
	}
	m.call(o, e)
	e.end(o.gone())
	o.rest, o.by, o.org, o.at = versions, entry.Actor, entry.Org, a.At
	closing := o.take()
	for _, r := range versions {
		r.erased = o
	}
	m.orders = append(m.orders, o)
	m.urge = func() *step { return m.afterOrder(o) }
	return eachOf(closing, entry)
}

func eachOf(versions []*record, entry emr.AuditEntry) []emr.AuditEntry {
	var all []emr.AuditEntry
	for _, r := range versions {
		entry.Record = r.id
		all = append(all, entry)
	}
	return all
}

// afterOrder tries what is closed, or goes on with its end.
func (m *Model) afterOrder(o *order) *step {
	r := o.named
	if len(o.rest) > 0 && m.mostly(3, "confirm what is named, and no more is yet") {
		m.confirmAll(o)
		return m.resume(o)
	}
	switch m.c.Choose(6, "what next") {
	case 0:
		return m.confirm(o, m.owing(o))
	case 1:
		return m.resume(o)
	case 2:
		return m.disclose(m.reads(r.owner.actor, r))
	case 3:
		return m.readAgain(func(g *grant) bool { return g.scope == r.scope && g.names(r) })
	case 4:
		wish := recordWish{scope: r.scope, class: r.class, label: r.restricted}
		wish.resurrects(r, pick(m, []string{"cid", "digest", "id", "capsule"}, "what of it"))
		return m.write(r.owner, r.author.actor, r.author.org, wish)
	default:
		return m.breakAgain(func(of *session) bool { return of.owner == r.owner })
	}
}

func (m *Model) drawExpired() *step {
	if len(m.records) == 0 {
		return nil
	}
	r := m.toErase()
	for _, other := range m.records {
		due := len(heldBy(other)) == 0 && m.decideErasure(emr.OrderRetention, m.seriesOf(other)).decision == emr.Permit
		if due && other.erased == nil && m.mostly(3, "one that is due") {
			r = other
		}
	}
	return m.expire(r)
}

func (m *Model) expire(r *record) *step {
	o, versions, via := newOrder(emr.OrderRetention, r), m.seriesOf(r), pick(m, m.orgIDs, "gateway")
	o.ground = emr.EraseRetention
	gone := within(versions)
	e := m.endings(r.owner, gone)
	s := &step{function: ledgerapi.EraseExpired, via: via, args: ledgerapi.EraseExpiredArgs{
		Erasure: o.id, Record: r.id, Grants: e.grantIDs, Requests: e.requestIDs, Amendments: e.amendmentIDs,
	}}
	s.fault(!m.orgs[via].member, emr.CodeForbidden)
	m.faultsOfOrder(s, o, versions, e, gone)
	s.then = func(a *answer) []emr.AuditEntry {
		return m.ordered(o, versions, e, a, byTheGateway(emr.AuditErasureOrdered, r, via, string(o.id)))
	}
	return s
}

func byTheGateway(kind emr.AuditKind, r *record, via emr.OrgID, ref string) emr.AuditEntry {
	return emr.AuditEntry{Kind: kind, Patient: r.owner.handle, Actor: emr.ActorGateway, Org: via, Ref: ref}
}

func (m *Model) drawContinue() *step {
	if len(m.orders) == 0 {
		return nil
	}
	o := pick(m, m.orders, "order")
	for _, other := range m.orders {
		if len(other.rest) > 0 && m.mostly(4, "one that goes on") {
			o = other
		}
	}
	return m.resume(o)
}

func isClosed(r *record) bool { return r.closed() != "" }

func isErased(r *record) bool { return r.erased != nil }

// ended is what may end with an order that has been given. A re-key ends nothing
// that was said about a record.
func (o *order) ended() closing {
	return closing{closed: isClosed, erased: func(r *record) bool { return o.kind != emr.OrderRekey && isErased(r) }}
}

// resume goes on with an order: it names the next versions, and ends what was left.
func (m *Model) resume(o *order) *step {
	p, via := o.named.owner, pick(m, m.orgIDs, "gateway")
	e := m.endings(p, o.ended())
	args := ledgerapi.ContinueErasureArgs{Erasure: o.id, Grants: e.grantIDs, Requests: e.requestIDs, Amendments: e.amendmentIDs}
	unknown := m.seldom(16, "no such order")
	if unknown {
		args.Erasure = ledgertest.ID[emr.ErasureID](emr.ErasurePrefix)
	}
	s := &step{function: ledgerapi.ContinueErasure, via: via, args: args, event: ledgerapi.EventErasureContinued}
	s.fault(!m.orgs[via].member, emr.CodeForbidden)
	s.fault(unknown, emr.CodeNotFound)
	s.fault(e.form, emr.CodeInvalid)
	s.fault(len(o.rest)+len(args.Grants)+len(args.Requests)+len(args.Amendments) == 0, emr.CodeRule)
	e.faults(s, p, o.ended())
	s.purges = e.purges() + manifestsOf(o.rest)
	s.fault(s.purges == 0 && len(o.rest) == 0, emr.CodeRule)
	s.then = func(*answer) []emr.AuditEntry {
		e.end(o.gone())
		about := o.take()
		if len(about) == 0 {
			about = []*record{o.named}
		}
		entry := byTheGateway(emr.AuditErasureOrdered, o.named, via, string(o.id))
		entry.Decision, entry.Reason = emr.Permit, o.why()
		m.finishOrder(o)
		return eachOf(about, entry)
	}
	return s
}

// onlyEnds tells whether an entry that nobody has signed for is a grant that a
// gateway has ended, as it may when nothing is left of what the grant names.
func (m *Model) onlyEnds(s *step, w ledger.Entry) bool {
	if w.Key.Type != ledgerapi.TypeGrant || s.function != ledgerapi.EraseExpired && s.function != ledgerapi.ContinueErasure {
		return false
	}
	var found emr.Grant
	require.NoError(m.t, json.Unmarshal(w.Value, &found))
	at := slices.IndexFunc(m.grants, func(g *grant) bool { return g.id == found.ID })
	return at >= 0 && found.Status == emr.GrantEnded && len(m.grants[at].signedRecords) > 0
}
