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

// Wishes: asking for more than one record and purpose, and giving less (docs/spec/granting.md, G2).

// wish is what a request asks for besides.
type wish struct {
	records  []*record
	purposes []emr.Purpose
	until    emr.Time // 0: no end is asked for
	most     uint32   // 0: no limit is asked for
}

// document is the wish as it is sent, nil for none.
func (w *wish) document() *emr.Wish {
	if w == nil {
		return nil
	}
	return &emr.Wish{Records: idsOf(w.records), Purposes: append([]emr.Purpose{}, w.purposes...), Until: w.until, MaxUses: w.most}
}

// records is all that is asked for, the first record first.
func (q *request) records() []*record {
	if q.wish == nil {
		return []*record{q.record}
	}
	return append([]*record{q.record}, q.wish.records...)
}

func (q *request) purposes() []emr.Purpose {
	if q.wish == nil {
		return []emr.Purpose{q.purpose}
	}
	return append([]emr.Purpose{q.purpose}, q.wish.purposes...)
}

// someWish asks for more of the scope, and now and then for what is elsewhere.
func (m *Model) someWish(q *request) *wish {
	w := &wish{}
	for _, r := range m.records {
		same := r.scope == q.record.scope && r.closed() == "" && r.next == nil
		if r != q.record && len(w.records) < 3 && (same && m.mostly(3, "this one, too") || m.seldom(30, "any record")) {
			w.records = append(w.records, r)
		}
	}
	sortRecords(w.records)
	if m.seldom(3, "another purpose") {
		other := emr.PurposeResearch
		if m.seldom(4, "any purpose") {
			other = pick(m, emr.Purposes(), "purpose")
		}
		if other != q.purpose {
			w.purposes = append(w.purposes, other)
		}
	}
	if m.seldom(3, "an end") {
		w.until = m.later("end")
	}
	if m.seldom(3, "uses") {
		w.most = pick(m, []uint32{2, 1, ledgerapi.MaxGrantUses}, "uses")
	}
	return w
}

// faultsOfWish is everything that can be wrong with a wish.
func (m *Model) faultsOfWish(s *step, q *request, args *ledgerapi.RequestAccessArgs) {
	w := q.wish
	if w == nil {
		return
	}
	s.fault(len(w.records)+len(w.purposes) == 0 && w.until == 0 && w.most == 0, emr.CodeInvalid)
	s.fault(w.until != 0 && w.until <= m.now() || w.most > ledgerapi.MaxGrantUses, emr.CodeInvalid)
	for _, r := range w.records {
		s.fault(r.owner != q.record.owner || r.scope != q.record.scope, emr.CodeNotFound)
	}
	if m.seldom(6, "a malformed wish") {
		of := pick(m, badWishes(), "what is wrong")
		of.make(m, args)
		s.fault(true, of.code)
	}
}

type badWish struct {
	code emr.Code
	make func(*Model, *ledgerapi.RequestAccessArgs)
}

func badWishes() []badWish {
	record := func() emr.RecordID { return ledgertest.ID[emr.RecordID](emr.RecordPrefix) }
	return []badWish{
		{emr.CodeNotFound, func(_ *Model, a *ledgerapi.RequestAccessArgs) {
			a.Wish.Records = append(a.Wish.Records, record())
			slices.Sort(a.Wish.Records)
		}},
		{emr.CodeInvalid, func(_ *Model, a *ledgerapi.RequestAccessArgs) { a.Wish.Records = nil }},
		{emr.CodeInvalid, func(_ *Model, a *ledgerapi.RequestAccessArgs) {
			a.Wish.Records = append(a.Wish.Records, a.Record)
			slices.Sort(a.Wish.Records)
		}},
		{emr.CodeInvalid, func(_ *Model, a *ledgerapi.RequestAccessArgs) {
			one := record()
			a.Wish.Records = []emr.RecordID{one, one}
		}},
		{emr.CodeInvalid, func(_ *Model, a *ledgerapi.RequestAccessArgs) {
			for range 16 {
				a.Wish.Records = append(a.Wish.Records, record())
			}
			slices.Sort(a.Wish.Records)
		}},
		{emr.CodeInvalid, func(_ *Model, a *ledgerapi.RequestAccessArgs) { a.Wish.Purposes = nil }},
		{emr.CodeInvalid, func(_ *Model, a *ledgerapi.RequestAccessArgs) { a.Wish.Purposes = []emr.Purpose{a.Purpose} }},
		{emr.CodeInvalid, func(_ *Model, a *ledgerapi.RequestAccessArgs) { a.Wish.Purposes = []emr.Purpose{"FUN"} }},
		{emr.CodeInvalid, func(m *Model, a *ledgerapi.RequestAccessArgs) { a.Wish.Until = m.now() }},
		{emr.CodeInvalid, func(m *Model, a *ledgerapi.RequestAccessArgs) { a.Wish.Until = m.beyond(365 * 24 * time.Hour) }},
		{emr.CodeInvalid, func(_ *Model, a *ledgerapi.RequestAccessArgs) { a.Wish.MaxUses = 101 }},
	}
}

// beyond is the first second that is further ahead than allowed; a little later where
// the time of the ledger is not known to the second.
func (m *Model) beyond(limit time.Duration) emr.Time {
	if m.Shared {
		limit += time.Hour
	}
	return m.now().Add(limit) + 1
}

// suffices tells whether a grant lasts as long, and gives as often, as is wished.
func (q *request) suffices(g *grant) bool {
	sooner, fewer := q.shortOf(g)
	return !sooner && !fewer
}

func (q *request) shortOf(g *grant) (sooner, fewer bool) {
	if q.wish == nil {
		return false, false
	}
	return q.wish.until > g.until, q.wish.most > 0 && g.most > 0 && g.most < q.wish.most
}

// giveOf gives all that was asked for, or a part of it.
func (m *Model) giveOf(g *grant, q *request) {
	part := func(n int) int {
		if m.mostly(3, "all of it") {
			return n
		}
		return 1 + m.c.Choose(n, "how many")
	}
	g.records, g.purposes = q.records(), q.purposes()
	if m.seldom(4, "from the end") {
		slices.Reverse(g.records)
	}
	g.records, g.purposes = g.records[:part(len(g.records))], g.purposes[:part(len(g.purposes))]
	if w := q.wish; w != nil {
		if w.until > g.from+1 && w.until > m.now()+1 && m.mostly(3, "to the end") {
			g.until = w.until - emr.Time(m.c.Choose(2, "a second sooner"))
		}
		if w.most > 0 && m.mostly(3, "the uses") {
			g.most = w.most - uint32(m.c.Choose(2, "one fewer")) //nolint:gosec // small
		}
	}
}

// leaves is what a grant does not give of what was asked for; nil when it gives all.
func (g *grant) leaves(q *request) *emr.LeftOut {
	left := &emr.LeftOut{Records: []emr.RecordID{}, Purposes: []emr.Purpose{}, Onward: q.onward != "" && g.noOnward}
	for _, r := range q.records() {
		if !g.names(r) {
			left.Records = append(left.Records, r.id)
		}
	}
	for _, purpose := range q.purposes() {
		if !slices.Contains(g.purposes, purpose) {
			left.Purposes = append(left.Purposes, purpose)
		}
	}
	slices.Sort(left.Records)
	slices.Sort(left.Purposes)
	left.Until, left.MaxUses = q.shortOf(g)
	if len(left.Records)+len(left.Purposes) == 0 && !left.Until && !left.MaxUses && !left.Onward {
		return nil
	}
	return left
}
