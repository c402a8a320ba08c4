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

// Grants that are narrowed, and several given at once.

// narrowing is what is to be left of a grant.
type narrowing struct {
	records  []*record
	purposes []emr.Purpose
	until    emr.Time
	most     uint32
	// Conditions, which are set and never lifted.
	signedOff, noOnward bool
}

// drawNarrow leaves less of a grant, or tries to make it give more.
func (m *Model) drawNarrow() *step {
	if len(m.grants) == 0 {
		return nil
	}
	g := m.recentGrant()
	n := g.left()
	for range 1 + m.c.Choose(2, "things") {
		m.narrowOne(g, n)
	}
	return m.narrow(g, n)
}

// left is what is left of a grant now.
func (g *grant) left() *narrowing {
	return &narrowing{g.records, g.purposes, g.until, g.most, g.signedOff, g.noOnward}
}

func (m *Model) narrow(g *grant, n *narrowing) *step {
	wider, foreign, bad := narrowed(g, n)
	of, by := g.owner, m.orAnybody(m.helper(g.owner))
	if m.seldom(10, "as another patient") {
		of = pick(m, knownPatients(m), "patient")
		by = of.actor
	}
	s := m.signed(ledgerapi.NarrowGrant, by, m.carrier(by), ledgerapi.NarrowGrantArgs{
		Patient: of.handle, Grant: g.id, Records: idsOf(n.records), Purposes: n.purposes, Until: n.until, MaxUses: n.most,
		SignedOff: n.signedOff, NoOnward: n.noOnward,
	})
	m.patientOrDelegate(s, of)
	s.fault(of != g.owner, emr.CodeNotFound)
	s.fault(g.revoked || g.ended, emr.CodeGone)
	s.fault(wider, emr.CodeRule)
	s.fault(foreign, emr.CodeNotFound)
	s.fault(bad || n.until <= g.from, emr.CodeInvalid)
	s.event = ledgerapi.EventAccessNarrowed
	s.then = func(*answer) []emr.AuditEntry {
		entries := entriesOf(emr.AuditNarrowed, g, by, g.records)
		g.records, g.purposes, g.until, g.most, g.signedOff, g.noOnward = n.records, n.purposes, n.until, n.most, n.signedOff, n.noOnward
		m.urge = func() *step {
			if m.undecided(g) && m.mostly(3, "confirm what is left") {
				return m.confirmLate(g)
			}
			return m.readAgain(func(other *grant) bool { return other == g })
		}
		return entries
	}
	return s
}

// narrowed tells whether what is to be left of a grant is more, names another
// patient's record or another scope's, or is all of it.
func narrowed(g *grant, n *narrowing) (wider, foreign, same bool) {
	fewer := len(n.records) > 0 || len(g.records) == 0
	for _, r := range n.records {
		fewer = fewer && g.names(r)
		foreign = foreign || len(g.records) == 0 && (r.owner != g.owner || r.scope != g.scope)
	}
	for _, purpose := range n.purposes {
		fewer = fewer && slices.Contains(g.purposes, purpose)
	}
	uses := g.most == 0 || n.most > 0 && n.most <= g.most
	wider = !fewer || !uses || n.until > g.until || g.signedOff && !n.signedOff || g.noOnward && !n.noOnward
	same = slices.Equal(idsOf(n.records), idsOf(g.records)) && slices.Equal(n.purposes, g.purposes) &&
		n.until == g.until && n.most == g.most && n.signedOff == g.signedOff && n.noOnward == g.noOnward
	return wider, foreign, same
}

// narrowOne changes one thing.
func (m *Model) narrowOne(g *grant, n *narrowing) {
	switch m.c.Choose(12, "what") {
	case 1, 2:
		n.most = 1
	case 3:
		if len(m.records) > 0 {
			n.records = []*record{pick(m, m.records, "record")}
		}
	case 4:
		n.purposes = g.purposes[:1]
	case 5:
		n.until++
	case 6:
		n.most = g.most + 1
	case 7:
		n.purposes = []emr.Purpose{emr.PurposePatient}
	case 8:
		n.signedOff = !g.signedOff
	case 9: // some of them, or of the scope
		n.records = slices.DeleteFunc(slices.Clone(m.records), func(r *record) bool {
			return r.scope != g.scope || !g.names(r) || m.seldom(3, "not this record")
		})
	case 10:
		n.records = nil
	case 11:
		n.noOnward = !g.noOnward
	default:
		n.until -= emr.Time(5 * time.Minute / time.Second)
	}
}

// drawGrantBatch gives one or two grants at once, all or none.
func (m *Model) drawGrantBatch() *step {
	p := pick(m, knownPatients(m), "patient")
	if len(p.scopes) == 0 {
		return nil
	}
	args := ledgerapi.GrantBatchArgs{Patient: p.handle, Grants: []ledgerapi.GrantAccessArgs{}}
	var all []*grant
	records := 0
	for range 1 + m.c.Choose(2, "grants") {
		g := m.someGrant(p)
		g.id, g.reader = ledgertest.ID[emr.GrantID](emr.GrantPrefix), g.to.reading.Public().Bytes()
		all = append(all, g)
		args.Grants = append(args.Grants, *m.terms(g))
		records += len(idsOf(g.records))
	}
	by := m.orAnybody(m.helper(p))
	twice := m.seldom(10, "one twice")
	if twice {
		args.Grants = append(args.Grants, args.Grants[0])
	}
	s := m.signed(ledgerapi.GrantBatch, by, m.carrier(by), args)
	m.patientOrDelegate(s, p)
	s.fault(twice, emr.CodeInvalid)
	for _, g := range all {
		m.faultsOfGrant(s, g, nil)
	}
	for i, g := range all {
		m.hold(g, by, nil, &args.Grants[i], records)
	}
	s.event = ledgerapi.EventGrantsGiven
	s.then = func(*answer) []emr.AuditEntry {
		m.sameWaiting(all)
		var entries []emr.AuditEntry
		for _, g := range all {
			entries = append(entries, m.given(g, by, nil)...)
		}
		return entries
	}
	return s
}
