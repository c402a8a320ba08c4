// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledgermodel

import (
	"slices"

	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// What holders say of what they were to destroy.

func things() []emr.ErasureThing {
	return []emr.ErasureThing{emr.ThingCache, emr.ThingContent, emr.ThingFragments}
}

func causes() []emr.ErasureCause {
	return []emr.ErasureCause{
		emr.CauseUnavailable, emr.CauseUnreadable, emr.CauseBackup, emr.CauseRestored, emr.CauseDuty, emr.CauseOther,
	}
}

// done tells whether a holder has destroyed every thing of some versions, by its last word.
func (o *order) done(by emr.OrgID, versions []*record) bool {
	for _, r := range versions {
		for _, thing := range things() {
			if cause, spoken := o.words[word{by, r, thing}]; !spoken || cause != "" {
				return false
			}
		}
	}
	return true
}

// behind is the first part of which a holder has not destroyed everything; -1 for none.
func (o *order) behind(by emr.OrgID) int {
	return slices.IndexFunc(o.parts, func(part []*record) bool { return !o.done(by, part) })
}

// owes tells whether a holder has something left to do, or will have.
func (o *order) owes(by emr.OrgID) bool { return len(o.rest) > 0 || o.behind(by) >= 0 }

// failed tells whether a holder's last word about something is that it is not destroyed.
func (o *order) failed(by emr.OrgID) bool {
	for _, part := range o.parts {
		for _, r := range part {
			for _, thing := range things() {
				if o.words[word{by, r, thing}] != "" {
					return true
				}
			}
		}
	}
	return false
}

// owing is a holder that has not done everything; any one when all have.
func (m *Model) owing(o *order) emr.OrgID {
	for _, id := range o.holders {
		if o.behind(id) >= 0 && m.orgs[id].member && m.mostly(6, "this holder") {
			return id
		}
	}
	return pick(m, o.holders, "holder")
}

// remark is what a holder says of a thing: why it is not destroyed, "" when it is.
type remark struct {
	record *record
	thing  emr.ErasureThing
	cause  emr.ErasureCause
}

func (m *Model) drawConfirmErasure() *step {
	if len(m.orders) == 0 {
		return nil
	}
	o := pick(m, m.orders, "order")
	for _, other := range m.orders {
		if len(other.rest) > 0 && m.seldom(2, "one that goes on") {
			o = other
		}
	}
	by := m.owing(o)
	if m.seldom(6, "another organisation") {
		by = pick(m, m.orgIDs, "who")
	}
	for _, id := range m.members() {
		if !slices.Contains(o.holders, id) && m.seldom(2, "a member that is no holder") {
			by = id
		}
	}
	return m.confirm(o, by)
}

// confirm has somebody say something of a part of an order.
func (m *Model) confirm(o *order, by emr.OrgID) *step {
	part := m.c.Choose(len(o.parts), "part")
	if behind := o.behind(by); behind >= 0 && m.mostly(4, "the first that is left") {
		part = behind
	}
	s, args := newConfirmation(o, by, part)
	all := m.speak(s, o.parts[part], args)
	switch m.c.Choose(24, "what is unknown") {
	case 22:
		args.Erasure = ledgertest.ID[emr.ErasureID](emr.ErasurePrefix)
		s.fault(true, emr.CodeNotFound)
	case 23:
		args.Part = uint32(len(o.parts)) + 1 //nolint:gosec // small
		s.fault(true, emr.CodeNotFound)
	}
	m.heard(s, o, part, all)
	return s
}

// confirmAll has every holder of the members say that all is destroyed which is named so far.
func (m *Model) confirmAll(o *order) {
	for _, by := range o.holders {
		if part := o.behind(by); part >= 0 && m.orgs[by].member {
			s, args := newConfirmation(o, by, part)
			all := everything(o.parts[part])
			tell(all, args)
			m.heard(s, o, part, all)
			m.run(s)
		}
	}
}

func newConfirmation(o *order, by emr.OrgID, part int) (*step, *ledgerapi.ConfirmErasureArgs) {
	args := &ledgerapi.ConfirmErasureArgs{
		Erasure: o.id, Part: uint32(part) + 1, Destroyed: []emr.Destroyed{}, Failed: []emr.Undestroyed{}, //nolint:gosec // small
	}
	return &step{function: ledgerapi.ConfirmErasure, via: by, args: args, event: ledgerapi.EventErasureConfirmed}, args
}

// heard tells what comes of what a holder says.
func (m *Model) heard(s *step, o *order, part int, all []remark) {
	by := s.via
	s.fault(!m.orgs[by].member, emr.CodeForbidden)
	s.fault(!slices.Contains(o.holders, by), emr.CodeForbidden)
	s.says = says(emr.Deny, emr.ReasonNotDestroyed)
	if o.fulfils(by, o.parts[part], all) {
		s.says = says(emr.Permit, o.why())
	}
	s.then = func(a *answer) []emr.AuditEntry {
		for _, of := range all {
			o.words[word{by, of.record, of.thing}] = of.cause
		}
		o.times[speech{by, part}]++
		m.finishOrder(o)
		m.urge = func() *step { return m.confirm(o, m.owing(o)) }
		e := byTheGateway(emr.AuditErasureConfirmed, o.named, by, string(o.id))
		e.Record, e.Decision, e.Reason = o.named.id, a.Decision, a.Reason
		return []emr.AuditEntry{e}
	}
}

// fulfils tells whether a holder has done everything of a part once it has said something.
func (o *order) fulfils(by emr.OrgID, part []*record, all []remark) bool {
	after := &order{words: map[word]emr.ErasureCause{}}
	for of, cause := range o.words {
		after.words[of] = cause
	}
	for _, of := range all {
		after.words[word{by, of.record, of.thing}] = of.cause
	}
	return after.done(by, part)
}

// speak says something of a part: mostly that everything is destroyed, or that one
// thing is, or is not; and now and then what nobody can say.
func (m *Model) speak(s *step, part []*record, args *ledgerapi.ConfirmErasureArgs) []remark {
	r, thing := pick(m, part, "version"), pick(m, things(), "thing")
	all := everything(part)
	switch m.c.Choose(18, "what is said") {
	case 7, 8:
		all = []remark{{r, thing, ""}}
	case 9, 10:
		all = []remark{{r, thing, pick(m, causes(), "cause")}}
	case 11, 12:
		all[m.c.Choose(len(all), "what failed")].cause = pick(m, causes(), "cause")
	case 13: // of a version that the part does not name
		r = pick(m, m.records, "any version")
		s.fault(!slices.Contains(part, r), emr.CodeInvalid)
		all = []remark{{r, thing, pick(m, []emr.ErasureCause{"", emr.CauseOther}, "destroyed or not")}}
	case 14:
		tell(all, args)
		m.distort(args)
		s.fault(true, emr.CodeInvalid)
		return nil
	case 15: // nothing at all
		s.fault(true, emr.CodeInvalid)
		return nil
	}
	tell(all, args)
	return all
}

func everything(part []*record) []remark {
	var all []remark
	for _, r := range part {
		for _, thing := range things() {
			all = append(all, remark{r, thing, ""})
		}
	}
	return all
}

// distort makes of the word that everything is destroyed one that cannot be.
func (m *Model) distort(args *ledgerapi.ConfirmErasureArgs) {
	first := &args.Destroyed[0]
	r, all := first.Record, first.Things
	switch m.c.Choose(7, "what is wrong") {
	case 0:
		first.CID = ledgertest.CID(ledgertest.ID[emr.RecordID](emr.RecordPrefix))
	case 1: // destroyed, and not
		args.Failed = append(args.Failed, emr.Undestroyed{Record: r, Thing: all[0], Cause: emr.CauseBackup})
	case 2: // destroyed twice
		args.Destroyed = append(args.Destroyed, emr.Destroyed{Record: r, CID: first.CID, Things: all[:1]})
	case 3:
		first.Things = append(slices.Clone(all[1:]), "everything")
	case 4:
		first.Things = []emr.ErasureThing{}
	case 5:
		first.Things = all[1:]
		args.Failed = append(args.Failed, emr.Undestroyed{Record: r, Thing: all[0], Cause: "no time"})
	case 6:
		args.Failed = append(args.Failed, emr.Undestroyed{Record: r, Thing: "everything", Cause: emr.CauseOther})
	}
}

// tell writes down what is said, version by version.
func tell(all []remark, args *ledgerapi.ConfirmErasureArgs) {
	for _, of := range all {
		if of.cause != "" {
			args.Failed = append(args.Failed, emr.Undestroyed{Record: of.record.id, Thing: of.thing, Cause: of.cause})
			continue
		}
		at := slices.IndexFunc(args.Destroyed, func(d emr.Destroyed) bool { return d.Record == of.record.id })
		if at < 0 {
			args.Destroyed = append(args.Destroyed, emr.Destroyed{Record: of.record.id, CID: of.record.cid})
			at = len(args.Destroyed) - 1
		}
		args.Destroyed[at].Things = append(args.Destroyed[at].Things, of.thing)
	}
}
