// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledgermodel

import (
	"slices"

	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/emr"
)

// endings is what an order is told to end besides.
type endings struct {
	grants       []*grant
	requests     []*request
	amendments   []*amendment
	grantIDs     []emr.GrantID
	requestIDs   []emr.RequestID
	amendmentIDs []emr.AmendmentID
	form         bool // not sorted, one twice, not an id, or too many
	unknown      bool
}

// endings chooses what may end with versions that are closed, or are closed by the
// transaction itself, and now and then what may not.
func (m *Model) endings(p *patient, gone closing) *endings {
	e := &endings{}
	for _, g := range m.grants {
		if g.owner == p && g.onlyGives(gone.closed) && len(e.grants) < 4 && m.mostly(3, "end this grant") {
			e.grants = append(e.grants, g)
		}
	}
	if len(m.grants) > 0 && m.seldom(12, "any grant") {
		e.grants = append(e.grants, pick(m, m.grants, "which"))
	}
	for _, q := range m.requests {
		if q.record.owner == p && gone.closed(q.record) && len(e.requests) < 4 && m.mostly(3, "end this request") {
			e.requests = append(e.requests, q)
		}
	}
	if len(m.requests) > 0 && m.seldom(12, "any request") {
		e.requests = append(e.requests, pick(m, m.requests, "which"))
	}
	for _, a := range m.amendments {
		if a.record.owner == p && gone.erased(a.record) && len(e.amendments) < 4 && m.mostly(3, "end this amendment") {
			e.amendments = append(e.amendments, a)
		}
	}
	if len(m.amendments) > 0 && m.seldom(12, "any amendment") {
		e.amendments = append(e.amendments, pick(m, m.amendments, "which"))
	}
	m.nameEndings(e)
	return e
}

// nameEndings makes the lists of what ends, and now and then lists that are not as they must be.
func (m *Model) nameEndings(e *endings) {
	e.grantIDs = namesOf(e.grants, func(g *grant) emr.GrantID { return g.id })
	e.requestIDs = namesOf(e.requests, func(q *request) emr.RequestID { return q.id })
	e.amendmentIDs = namesOf(e.amendments, func(a *amendment) emr.AmendmentID { return a.id })
	if m.seldom(30, "a grant that nobody gave") {
		e.grantIDs, e.unknown = append(e.grantIDs, ledgertest.ID[emr.GrantID](emr.GrantPrefix)), true
	}
	if m.seldom(30, "an amendment that nobody asked for") {
		e.amendmentIDs, e.unknown = append(e.amendmentIDs, ledgertest.ID[emr.AmendmentID](emr.AmendmentPrefix)), true
	}
	slices.Sort(e.grantIDs)
	slices.Sort(e.amendmentIDs)
	if len(e.requestIDs) > 0 && m.seldom(20, "a request twice") {
		e.requestIDs, e.form = append(e.requestIDs, e.requestIDs[0]), true
	}
	if len(e.amendmentIDs) > 0 && m.seldom(20, "an amendment twice") {
		e.amendmentIDs, e.form = append(e.amendmentIDs, e.amendmentIDs[0]), true
	}
	switch m.c.Choose(60, "amendments of another form") {
	case 1:
		e.amendmentIDs, e.form = append(e.amendmentIDs, "amendment"), true
	case 2:
		e.amendmentIDs, e.form = nil, true
	case 3:
		for range 33 {
			e.amendmentIDs = append(e.amendmentIDs, ledgertest.ID[emr.AmendmentID](emr.AmendmentPrefix))
		}
		slices.Sort(e.amendmentIDs)
		e.form, e.unknown = true, true
	}
}

// namesOf are the ids of things, sorted, none twice.
func namesOf[T any, I ~string](things []T, id func(T) I) []I {
	ids := make([]I, len(things))
	for i, thing := range things {
		ids[i] = id(thing)
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// closing tells what may end with an order: what is about a version that is closed,
// and, for what was said about one, about a version that is erased.
type closing struct{ closed, erased func(*record) bool }

// onlyGives tells whether a grant, as it was signed, names records and none but such.
func (g *grant) onlyGives(gone func(*record) bool) bool {
	return len(g.signedRecords) > 0 && !slices.ContainsFunc(g.signedRecords, func(r *record) bool { return !gone(r) })
}

// faults tells why the endings cannot be: somebody else's, or of something that is not gone.
func (e *endings) faults(s *step, p *patient, gone closing) {
	s.fault(e.unknown, emr.CodeNotFound)
	for _, g := range e.grants {
		s.fault(g.owner != p, emr.CodeNotFound)
		s.fault(!g.onlyGives(gone.closed), emr.CodeRule)
	}
	for _, q := range e.requests {
		s.fault(q.record.owner != p, emr.CodeNotFound)
		s.fault(!gone.closed(q.record), emr.CodeRule)
	}
	for _, a := range e.amendments {
		s.fault(a.record.owner != p, emr.CodeNotFound)
		s.fault(!gone.erased(a.record), emr.CodeRule)
	}
}

// purges is how many private values the endings destroy.
func (e *endings) purges() int {
	n := 0
	for i, g := range e.grants {
		if g.lives() && !slices.Contains(e.grants[:i], g) {
			n++
		}
	}
	for i, q := range e.requests {
		if !q.purged && !slices.Contains(e.requests[:i], q) {
			n++
		}
	}
	for i, a := range e.amendments {
		if !slices.Contains(e.amendments[:i], a) {
			n += a.texts()
		}
	}
	return n
}

func (g *grant) lives() bool { return !g.revoked && !g.ended }

// end ends what is named; what a request learns is why its record is gone.
func (e *endings) end(why emr.Reason) {
	for _, g := range e.grants {
		g.ended = g.ended || g.lives()
	}
	for _, q := range e.requests {
		if q.pending {
			q.pending, q.ended = false, why
		}
		q.purged = true
	}
	for _, a := range e.amendments {
		if a.status == emr.AmendmentAsked {
			a.status = emr.AmendmentEnded
		}
		a.purged = true
	}
}
