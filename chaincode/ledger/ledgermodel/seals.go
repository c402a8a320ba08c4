// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledgermodel

import (
	"slices"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
	"github.com/emrys-health/emrys/pkg/trail"
)

// Seals of the audit trail.

// named is an audit entry by its exact name, and whether it is sealed.
type named struct {
	org      emr.OrgID
	name     ledgerapi.EntryName
	sealable bool
	sealed   bool
}

// namesOf lists the entries of an organisation. What another ledger does not show
// of itself is asked for.
func (m *Model) namesOf(org emr.OrgID) []*named {
	if !m.Shared {
		return slices.DeleteFunc(slices.Clone(m.named), func(n *named) bool { return n.org != org })
	}
	var page ledgerapi.UnsealedPage
	require.NoError(m.t, m.d.Ask(org, ledgerapi.ListUnsealed, ledgerapi.UnsealedQuery{Org: org}, &page))
	var all []*named
	for _, e := range page.Items {
		all = append(all, &named{org: org, name: e.Name, sealable: true})
	}
	return all
}

// drawSeal seals some entries, mostly such as can be.
func (m *Model) drawSeal() *step {
	org := pick(m, m.members(), "organisation")
	names := m.namesOf(org)
	if len(names) == 0 {
		return nil
	}
	var chosen []*named
	for range 1 + m.c.Choose(3, "entries") {
		n := pick(m, names, "entry")
		fits := slices.IndexFunc(names, func(n *named) bool { return n.sealable && !n.sealed && !slices.Contains(chosen, n) })
		if fits >= 0 && m.mostly(4, "one that fits") {
			n = names[fits]
		}
		chosen = append(chosen, n)
	}
	if m.seldom(8, "another's entry") && !m.Shared {
		chosen = append(chosen, pick(m, m.named, "whose"))
	}
	s := &step{function: ledgerapi.SealReadings, via: org, event: ledgerapi.EventReadingsSealed}
	args := ledgerapi.SealReadingsArgs{}
	for i, n := range chosen {
		args.Entries = append(args.Entries, n.name)
		s.fault(n.org != org, emr.CodeNotFound)
		s.fault(n.sealed, emr.CodeExists)
		s.fault(!n.sealable, emr.CodeRule)
		s.fault(slices.Contains(chosen[:i], n), emr.CodeInvalid)
	}
	s.args = args
	if m.Shared { // the gateways seal, too
		s.tolerates = []emr.Code{emr.CodeExists, emr.CodeConflict}
	}
	s.then = func(*answer) []emr.AuditEntry {
		for _, n := range chosen {
			n.sealed = true
		}
		return nil
	}
	return s
}

// finishSeals: every organisation's seals are one chain, every entry under one can
// be proven, and what waits is what nobody has sealed.
func (m *Model) finishSeals() {
	m.t.Helper()
	for _, org := range m.members() {
		var page ledgerapi.SealPage
		m.ask(ledgerapi.ListSeals, ledgerapi.SealsQuery{Org: org, Limit: 100}, &page)
		if page.Bookmark == "" {
			report, err := trail.VerifySeals(page.Items, page.Head)
			require.NoError(m.t, err)
			require.Equal(m.t, trail.Complete, report.Verdict)
		}
		if m.Shared {
			continue
		}
		var sealed uint64
		for _, n := range m.namesOf(org) {
			if n.sealed {
				sealed++
			}
		}
		require.Equal(m.t, sealed, page.Head.Entries, "entries under the seals of %s", org)
	}
	for _, e := range m.entries {
		n := m.nameOf(&e)
		if n == nil || !n.sealed || !m.orgs[e.Org].member {
			continue
		}
		var proof emr.Inclusion
		m.ask(ledgerapi.ProveSealed, ledgerapi.SealedQuery{Org: e.Org, TxID: e.TxID, Record: e.Record, Ref: e.Ref}, &proof)
		require.NoError(m.t, trail.VerifyInclusion(&proof))
		require.Equal(m.t, e, proof.Entry)
	}
}

func (m *Model) nameOf(e *emr.AuditEntry) *named {
	id := ledgerapi.EntryID(e.TxID, e.Record, e.Ref)
	at := slices.IndexFunc(m.named, func(n *named) bool { return n.org == e.Org && n.name.ID == id })
	if at < 0 {
		return nil
	}
	return m.named[at]
}
