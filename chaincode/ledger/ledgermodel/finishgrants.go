// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledgermodel

import (
	"slices"
	"strconv"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// What is read back in the end of wide grants, the rules about them, and inboxes.

// finishWideGrants: every rule is the one last set and confirmed, and a grant that
// was wide is as far as somebody else's word has brought it.
func (m *Model) finishWideGrants() {
	m.t.Helper()
	for _, p := range knownPatients(m) {
		var found emr.GrantRule
		m.ask(ledgerapi.GetGrantRule, ledgerapi.HandleQuery{Patient: p.handle}, &found)
		if p.rule == nil {
			require.Zero(m.t, found.Version)
			continue
		}
		require.Equal(m.t, p.rule.version, found.Version)
		require.Equal(m.t, p.rule.since, found.Since, "since when who may confirm is named")
		require.Equal(m.t, p.rule.terms.document(), found.Terms)
		require.Equal(m.t, p.rule.next != nil, found.Next != nil)
		if p.rule.next != nil {
			require.Equal(m.t, p.rule.next.document(), *found.Next)
		}
	}
	for _, g := range m.grants {
		var found emr.Grant
		m.ask(ledgerapi.GetGrant, ledgerapi.GrantQuery{Grant: g.id}, &found)
		left := found.Effective()
		require.Equal(m.t, []any{g.until, g.most, g.purposes, g.signedOff, g.noOnward},
			[]any{left.Until, left.MaxUses, left.Purposes, left.SignedOff, left.NoOnward})
		require.Equal(m.t, idsOf(g.records), left.Records)
		require.Equal(m.t, idsOf(g.signedRecords), found.Terms.Records, "the terms stay as they were signed")
		require.Equal(m.t, g.committed(), found.Commitments, "what %s commits to", g.id)
		waits, by, ready := false, "", emr.Time(0)
		if g.held != nil {
			if waits = g.held.confirmed == nil; !waits {
				by, ready = g.held.confirmed.id, g.held.ready
			}
		}
		require.Equal(m.t, []any{by, ready}, []any{found.ConfirmedBy, found.Ready}, "%s", g.id)
		if g.lives() {
			require.Equal(m.t, waits, found.Status == emr.GrantWaiting)
		}
	}
}

// finishInboxes: everybody finds what waits for the own word.
func (m *Model) finishInboxes() {
	m.t.Helper()
	for _, p := range knownPatients(m) {
		want := m.waitingFor(p.actor)
		for _, g := range m.grants {
			if g.owner == p && m.undecided(g) {
				want = append(want, string(ledgerapi.InboxGrant)+" "+string(g.id))
			}
		}
		if p.rule != nil && p.rule.next != nil {
			want = append(want, string(ledgerapi.InboxGrantRule)+" "+strconv.FormatUint(uint64(p.rule.version), 10))
		}
		m.sameInbox(ledgerapi.PageQuery{Patient: p.handle}, want)
	}
	for _, c := range knownClinicians(m) {
		want := m.waitingFor(c.actor)
		for _, r := range m.turnsOf(c) {
			want = append(want, string(ledgerapi.InboxSignOff)+" "+string(r.id))
		}
		m.sameInbox(ledgerapi.PageQuery{Clinician: c.cid}, want)
	}
}

func (m *Model) undecided(g *grant) bool {
	return g.held != nil && g.held.confirmed == nil && g.lives() && m.now() < g.until
}

// waitingFor is what others gave that somebody was told of and may still confirm.
func (m *Model) waitingFor(a *actor) []string {
	var all []string
	for _, g := range m.grants {
		if m.undecided(g) && slices.Contains(g.held.told, a) && slices.Contains(g.owner.rule.terms.confirmers, a) &&
			a != g.held.by && a != g.to.actor {
			all = append(all, string(ledgerapi.InboxConfirm)+" "+string(g.id))
		}
	}
	return all
}

func (m *Model) sameInbox(q ledgerapi.PageQuery, want []string) {
	m.t.Helper()
	kinds := []ledgerapi.InboxKind{ledgerapi.InboxGrant, ledgerapi.InboxGrantRule, ledgerapi.InboxConfirm, ledgerapi.InboxSignOff}
	q.Limit = pick(m, []int{100, 3}, "items of a page")
	var got []string
	for {
		var page ledgerapi.InboxPage
		m.ask(ledgerapi.GetInbox, q, &page)
		for _, item := range page.Items {
			if slices.Contains(kinds, item.Kind) {
				got = append(got, string(item.Kind)+" "+item.ID)
			}
		}
		if q.Bookmark = page.Bookmark; q.Bookmark == "" {
			break
		}
	}
	require.ElementsMatch(m.t, want, got, "the inbox of %s%s", q.Patient, q.Clinician)
}

func idsOf(records []*record) []emr.RecordID {
	all := []emr.RecordID{}
	for _, r := range records {
		all = append(all, r.id)
	}
	slices.Sort(all)
	return slices.Compact(all)
}
