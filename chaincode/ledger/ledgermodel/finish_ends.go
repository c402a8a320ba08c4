// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledgermodel

import (
	"slices"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// finishEnds reads back what has ended and how far the holders are.
func (m *Model) finishEnds() {
	m.t.Helper()
	for _, o := range m.orders {
		m.finishOrder(o)
		m.finishLeftovers(o)
	}
	for _, r := range m.records {
		m.finishVersion(r)
		m.finishIntegrity(r)
	}
	for _, p := range knownPatients(m) {
		m.finishSearch(p)
		m.finishScopes(p)
		var want []emr.ErasureID
		for _, o := range m.orders {
			if o.named.owner == p {
				want = append(want, o.id)
			}
		}
		require.ElementsMatch(m.t, want, m.listErasures(ledgerapi.ErasuresQuery{Patient: p.handle}))
	}
	m.finishOwed()
	m.finishRetention()
}

// finishOrder holds an order against the receipts: it is complete when every holder
// of its list has destroyed everything of every version, and never before.
func (m *Model) finishOrder(o *order) {
	m.t.Helper()
	var view ledgerapi.ErasureView
	m.ask(ledgerapi.GetErasure, ledgerapi.ErasureQuery{Erasure: o.id}, &view)
	missing, failed := []emr.OrgID{}, []emr.OrgID{}
	for _, id := range o.holders {
		if slices.ContainsFunc(o.parts, func(part []*record) bool { return !o.done(id, part) }) {
			missing = append(missing, id)
		}
		if o.failed(id) {
			failed = append(failed, id)
		}
	}
	require.Equal(m.t, missing, view.Missing, "who has not destroyed everything of %s", o.id)
	require.Equal(m.t, failed, view.Failed)
	state := emr.ErasurePartial
	if len(missing) == 0 && len(o.rest) == 0 {
		state = emr.ErasureComplete
	}
	require.Equal(m.t, state, view.State)
	m.sameOrder(o, &view.Erasure)
	require.Len(m.t, view.Parts, len(o.parts))
	for i, part := range o.parts {
		require.Len(m.t, view.Parts[i].Records, len(part))
		for j, r := range part {
			require.Equal(m.t, emr.ErasedVersion{Record: r.id, CID: r.cid, Digest: r.digest}, view.Parts[i].Records[j])
		}
	}
	require.Len(m.t, view.Holders, len(o.holders))
	for i := range view.Holders {
		m.sameHolder(o, &view.Holders[i])
	}
}

func (m *Model) sameOrder(o *order, found *emr.Erasure) {
	m.t.Helper()
	require.Equal(m.t, o.kind, found.Kind)
	require.Equal(m.t, o.holders, found.Holders, "nobody leaves the list of %s", o.id)
	require.Equal(m.t, o.named.owner.handle, found.Patient)
	require.Equal(m.t, []emr.RecordID{o.named.id, o.named.series}, []emr.RecordID{found.Record, found.Series})
	require.Equal(m.t, o.ground, found.Ground)
	require.Equal(m.t, o.by+string(o.org), found.By+string(found.Org))
	require.Equal(m.t, o.named.hospital, found.Hospital)
	require.Equal(m.t, o.at, found.Ordered)
	var next, successor emr.RecordID
	if len(o.rest) > 0 {
		next = o.rest[0].id
	}
	if o.next != nil {
		successor = o.next.id
	}
	require.Equal(m.t, next, found.Next, "the version that no part of %s names yet", o.id)
	require.Equal(m.t, successor, found.Successor)
}

func (m *Model) sameHolder(o *order, found *ledgerapi.HolderState) {
	m.t.Helper()
	require.Contains(m.t, o.holders, found.Org)
	require.Equal(m.t, !m.orgs[found.Org].member, found.Removed)
	times := map[uint32]uint32{}
	for _, receipt := range found.Receipts {
		times[receipt.Part] = receipt.Attempts
		said := map[word]emr.ErasureCause{}
		for _, d := range receipt.Destroyed {
			for _, thing := range d.Things {
				said[word{found.Org, m.recordOf(d.Record), thing}] = ""
			}
		}
		for _, f := range receipt.Failed {
			said[word{found.Org, m.recordOf(f.Record), f.Thing}] = f.Cause
		}
		want := map[word]emr.ErasureCause{}
		for of, cause := range o.words {
			if of.org == found.Org && slices.Contains(o.parts[receipt.Part-1], of.record) {
				want[of] = cause
			}
		}
		require.Equal(m.t, len(want), len(said), "words of %s about %s", found.Org, o.id)
		for of, cause := range want {
			got, is := said[of]
			require.True(m.t, is && got == cause, "%s about %s of %s", found.Org, of.thing, of.record.id)
		}
	}
	for part := range o.parts {
		require.Equal(m.t, o.times[speech{found.Org, part}], times[uint32(part)+1]) //nolint:gosec // small
	}
}

func (m *Model) recordOf(id emr.RecordID) *record {
	at := slices.IndexFunc(m.records, func(r *record) bool { return r.id == id })
	if at < 0 {
		return nil
	}
	return m.records[at]
}

// finishLeftovers: what names nothing but what is gone, and was not ended, is listed to be.
func (m *Model) finishLeftovers(o *order) {
	m.t.Helper()
	p := o.named.owner
	var grants []emr.GrantID
	for _, g := range m.grants {
		if g.owner == p && g.lives() && g.onlyGives(isClosed) {
			grants = append(grants, g.id)
		}
	}
	var requests []emr.RequestID
	for _, q := range m.requests {
		if q.record.owner == p && isClosed(q.record) && (q.pending || !q.purged) {
			requests = append(requests, q.id)
		}
	}
	var amendments []emr.AmendmentID
	for _, a := range m.amendments {
		if o.kind != emr.OrderRekey && a.record.owner == p && isErased(a.record) && !a.purged {
			amendments = append(amendments, a.id)
		}
	}
	var gotGrants []emr.GrantID
	var gotRequests []emr.RequestID
	var gotAmendments []emr.AmendmentID
	q := ledgerapi.LeftoversQuery{Erasure: o.id}
	for more := true; more; more = q.GrantBookmark != "" {
		var left ledgerapi.Leftovers
		m.ask(ledgerapi.ListLeftovers, q, &left)
		gotGrants, q.GrantBookmark = append(gotGrants, left.Grants...), left.GrantBookmark
	}
	for more := true; more; more = q.RequestBookmark != "" {
		var left ledgerapi.Leftovers
		m.ask(ledgerapi.ListLeftovers, q, &left)
		gotRequests, q.RequestBookmark = append(gotRequests, left.Requests...), left.RequestBookmark
	}
	for more := true; more; more = q.AmendmentBookmark != "" {
		var left ledgerapi.Leftovers
		m.ask(ledgerapi.ListLeftovers, q, &left)
		gotAmendments, q.AmendmentBookmark = append(gotAmendments, left.Amendments...), left.AmendmentBookmark
	}
	require.ElementsMatch(m.t, amendments, gotAmendments, "amendments that %s has left", o.id)
	require.ElementsMatch(m.t, grants, gotGrants, "grants that %s has left", o.id)
	require.ElementsMatch(m.t, requests, gotRequests, "requests that %s has left", o.id)
}

// finishVersion: a version tells what became of it, by whatever it is asked for.
func (m *Model) finishVersion(r *record) {
	m.t.Helper()
	status, by := r.status()
	var found emr.Record
	m.ask(ledgerapi.GetRecord, ledgerapi.RecordQuery{Record: r.id}, &found)
	require.Equal(m.t, status, found.Status, "of %s", r.id)
	require.Equal(m.t, by, found.Order)
	require.Equal(m.t, r.writer(), found.Author)
	require.Equal(m.t, r.hospital, found.Hospital)
	require.Equal(m.t, r.scope.ID, found.Scope)
	require.Equal(m.t, r.series, found.Series)
	var list ledgerapi.ErasedList
	m.ask(ledgerapi.IsErased, ledgerapi.IsErasedQuery{
		Records: []emr.RecordID{r.id}, CIDs: []string{r.cid}, Digests: []emr.Digest{r.digest, r.capsuleOf(), r.manifest, {1}},
	}, &list)
	require.Len(m.t, list.Items, 6)
	for i := range list.Items[:5] {
		item := list.Items[i]
		item.Asked = ""
		require.Equal(m.t, ledgerapi.ErasedItem{Known: true, Record: r.id, Status: status, Order: by, Destroy: status != emr.RecordLive}, item)
	}
	require.False(m.t, list.Items[5].Known)
	var view ledgerapi.ManifestView
	err := m.d.Ask(m.members()[0], ledgerapi.GetManifest, ledgerapi.RecordQuery{Record: r.id}, &view)
	if status != emr.RecordLive {
		require.Equal(m.t, emr.CodeGone, emr.CodeOf(err), "the manifest of %s", r.id)
		m.finishReaders(r)
		return
	}
	require.NoError(m.t, err)
	require.Equal(m.t, r.key, view.Author.Signing, "who wrote %s", r.id)
	require.Equal(m.t, r.manifest, view.Signed.Digest())
}

// finishReaders: who was given a record is told of one that is gone, too.
func (m *Model) finishReaders(r *record) {
	m.t.Helper()
	var want, got []string
	for _, d := range m.disclosures {
		if d.record == r && d.permit {
			want = append(want, string(d.id))
		}
	}
	q := ledgerapi.WhoHasReadQuery{Patient: r.owner.handle, Record: r.id, Limit: 50}
	for more := true; more; more = q.Bookmark != "" {
		var page ledgerapi.ReadingPage
		m.ask(ledgerapi.WhoHasRead, q, &page)
		for i := range page.Items {
			got = append(got, string(page.Items[i].ID))
		}
		q.Bookmark = page.Bookmark
	}
	require.ElementsMatch(m.t, want, got, "who has read %s", r.id)
}

// finishSearch: a search finds what can be read and is the newest, and all when all is asked for.
func (m *Model) finishSearch(p *patient) {
	m.t.Helper()
	for _, all := range []bool{false, true} {
		var want, got []emr.RecordID
		for _, r := range m.records {
			if r.owner == p && (all || r.closed() == "" && r.next == nil) {
				want = append(want, r.id)
			}
		}
		q := ledgerapi.SearchQuery{Patient: p.handle, All: all, Limit: 100}
		for more := true; more; more = q.Bookmark != "" {
			var page ledgerapi.RecordPage
			m.ask(ledgerapi.SearchRecords, q, &page)
			for i := range page.Items {
				got = append(got, page.Items[i].ID)
			}
			q.Bookmark = page.Bookmark
		}
		require.ElementsMatch(m.t, want, got, "records of %s", p.name)
	}
}

func (m *Model) finishScopes(p *patient) {
	m.t.Helper()
	var view ledgerapi.PatientView
	m.ask(ledgerapi.GetPatient, ledgerapi.HandleQuery{Patient: p.handle}, &view)
	for _, of := range p.scopes {
		require.Contains(m.t, view.Scopes, of.Scope, "a scope of %s", p.name)
	}
	if p.plan.version == 0 {
		return
	}
	var plan emr.EmergencyPlan
	m.ask(ledgerapi.GetEmergencyPlan, ledgerapi.HandleQuery{Patient: p.handle}, &plan)
	require.Equal(m.t, p.plan.version, plan.Version)
	for _, of := range p.plan.declined {
		require.Contains(m.t, plan.Declined, of.ID)
	}
}

// finishOwed: an organisation is told what it still owes, and nothing else.
func (m *Model) finishOwed() {
	m.t.Helper()
	for _, id := range m.orgIDs {
		var want []emr.ErasureID
		for _, o := range m.orders {
			if slices.Contains(o.holders, id) && o.owes(id) {
				want = append(want, o.id)
			}
		}
		got := m.listErasures(ledgerapi.ErasuresQuery{Org: id})
		if m.Shared { // others have orders, too
			require.Subset(m.t, got, want)
			continue
		}
		require.ElementsMatch(m.t, want, got, "what %s owes", id)
	}
}

func (m *Model) listErasures(q ledgerapi.ErasuresQuery) []emr.ErasureID {
	all := []emr.ErasureID{}
	q.Limit = pick(m, []int{100, 3}, "orders of a page")
	for more := true; more; more = q.Bookmark != "" {
		var page ledgerapi.ErasurePage
		m.ask(ledgerapi.ListErasures, q, &page)
		for i := range page.Items {
			all = append(all, page.Items[i].ID)
		}
		q.Bookmark = page.Bookmark
	}
	return all
}
