// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// An inbox is the merge of several indexes of one owner. Every index sorts by
// inverted time and id, so that the newest of all is found by looking at the head of
// each, and one place in that order is a bookmark for all of them.

// inboxSource is one index and what becomes of an entry: an item that waits, or nil.
type inboxSource struct {
	typ  string
	item func(r Reader, id string) (*ledgerapi.InboxItem, error)
}

// spot is where something stands in the order of all indexes.
type spot struct{ inverted, id string }

func (p spot) compare(q spot) int {
	return cmp.Or(strings.Compare(p.inverted, q.inverted), strings.Compare(p.id, q.id))
}

// waiting is an entry of one of the sources, at its place.
type waiting struct {
	at   spot
	item func() (*ledgerapi.InboxItem, error)
}

// GetInbox lists what waits for an answer of a patient, or of a clinician, newest
// first. What one query looks at is bounded, so that a page may be short.
func GetInbox(r Reader, q ledgerapi.PageQuery) (*ledgerapi.InboxPage, error) {
	owner, err := byPatientOrClinician(&q, "", "")
	if err != nil {
		return nil, err
	}
	size, err := pageSize(q.Limit)
	if err != nil {
		return nil, err
	}
	owner.tail = indexTail
	from, err := owner.start()
	if err != nil {
		return nil, err
	}
	id := owner.prefix.Attributes[0]
	all, end, err := gather(r, id, sourcesOf(&q), from, max(size, minBatch))
	if err != nil {
		return nil, err
	}
	if q.Patient != "" {
		unindexed, err := withoutIndex(r, q.Patient, from)
		if err != nil {
			return nil, err
		}
		all = append(all, unindexed...)
	}
	slices.SortStableFunc(all, func(a, b waiting) int { return a.at.compare(b.at) })
	return fillInbox(all, end, size)
}

// gather reads the head of every source. end is the first place that some source has
// not shown: what lies there and behind it is for the next page.
func gather(r Reader, owner string, sources []inboxSource, from *ledgerapi.Key, limit int) ([]waiting, *spot, error) {
	var all []waiting
	var end *spot
	for _, source := range sources {
		prefix := ledgerapi.Key{Type: source.typ, Attributes: []string{owner}}
		var start *ledgerapi.Key
		if from != nil {
			start = &ledgerapi.Key{Type: source.typ, Attributes: from.Attributes}
		}
		entries, next, err := r.Scan(prefix, start, min(limit, ledgerapi.MaxPageSize))
		if err != nil {
			return nil, nil, err
		}
		for _, e := range entries {
			all = append(all, waiting{spotOf(&e.Key), func() (*ledgerapi.InboxItem, error) { return source.item(r, string(e.Value)) }})
		}
		if next != nil {
			if at := spotOf(next); end == nil || at.compare(*end) < 0 {
				end = &at
			}
		}
	}
	return all, end, nil
}

func spotOf(key *ledgerapi.Key) spot { return spot{key.Attributes[1], key.Attributes[2]} }

// fillInbox makes the page of what waits before the end, in order.
func fillInbox(all []waiting, end *spot, size int) (*ledgerapi.InboxPage, error) {
	out := &ledgerapi.InboxPage{Items: []ledgerapi.InboxItem{}}
	for _, w := range all {
		if end != nil && w.at.compare(*end) >= 0 {
			break
		}
		if len(out.Items) == size {
			end = &w.at
			break
		}
		item, err := w.item()
		if err != nil {
			return nil, err
		}
		if item != nil {
			out.Items = append(out.Items, *item)
		}
	}
	if end != nil {
		out.Bookmark = bookmarkOf(ledgerapi.Key{Attributes: []string{""}}, &ledgerapi.Key{Attributes: []string{"", end.inverted, end.id}})
	}
	return out, nil
}

func sourcesOf(q *ledgerapi.PageQuery) []inboxSource {
	if q.Clinician != "" {
		return []inboxSource{
			{ledgerapi.TypeSignOffTurn, signOffItem(q.Clinician)},
			{ledgerapi.TypeWaitingGrant, grantItem(string(q.Clinician))},
		}
	}
	return []inboxSource{
		{ledgerapi.TypeRequestByPatient, requestItem},
		{ledgerapi.TypeRecoveryByPatient, recoveryItem},
		{ledgerapi.TypeAmendmentByPatient, amendmentItem},
		{ledgerapi.TypeEmergencyByPatient, emergencyItem},
		{ledgerapi.TypeWaitingGrant, grantItem(string(q.Patient))},
	}
}

func requestItem(r Reader, id string) (*ledgerapi.InboxItem, error) {
	found, err := require(r, ledgerapi.RequestKey(emr.RequestID(id)), versionOfRequest)
	if err != nil || found.Status != emr.RequestPending {
		return nil, err
	}
	return &ledgerapi.InboxItem{
		Kind: ledgerapi.InboxRequest, ID: id, Patient: found.Patient, Record: found.Record, By: string(found.By), Org: found.Org, At: found.Made,
	}, nil
}

func recoveryItem(r Reader, id string) (*ledgerapi.InboxItem, error) {
	found, err := recoveryNow(r, emr.RecoveryID(id))
	if err != nil || !found.Status.Open() {
		return nil, err
	}
	first := found.Approvals[0].Guardian
	by, _ := found.Set.Find(first)
	return &ledgerapi.InboxItem{
		Kind: ledgerapi.InboxRecovery, ID: id, Patient: found.Patient, By: first, Org: by.Org, At: found.Proposed, Until: found.Expires,
	}, nil
}

// lately is how far back what needs no answer stands in an inbox.
const lately = ledgerapi.InboxDays * 24 * time.Hour

func amendmentItem(r Reader, id string) (*ledgerapi.InboxItem, error) {
	found, err := require(r, ledgerapi.AmendmentKey(emr.AmendmentID(id)), versionOfAmendment)
	if err != nil || found.Answered == 0 || found.Disputed != 0 || r.Now() >= found.Answered.Add(lately) {
		return nil, err
	}
	if erased, err := isErased(r, found.Record, nil); err != nil || erased { // there is nothing to dispute, nor to read
		return nil, err
	}
	return &ledgerapi.InboxItem{
		Kind: ledgerapi.InboxAmendment, ID: id, Patient: found.Patient, Record: found.Record, By: string(found.By), Org: found.Hospital,
		At: found.Asked, Until: found.Answered.Add(lately),
	}, nil
}

func emergencyItem(r Reader, id string) (*ledgerapi.InboxItem, error) {
	found, err := require(r, ledgerapi.EmergencyKey(emr.SessionID(id)), versionOfEmergency)
	if err != nil || found.Status == emr.EmergencyDenied || found.Contested != 0 || r.Now() >= found.Opened.Add(lately) {
		return nil, err
	}
	return &ledgerapi.InboxItem{
		Kind: ledgerapi.InboxEmergency, ID: id, Patient: found.Patient, By: string(found.By), Org: found.Org, At: found.Opened,
		Until: found.Opened.Add(lately),
	}, nil
}

// grantItem shows waiting grants: the patient's own, and those that the owner may confirm.
func grantItem(owner string) func(Reader, string) (*ledgerapi.InboxItem, error) {
	return func(r Reader, id string) (*ledgerapi.InboxItem, error) {
		found, err := require(r, ledgerapi.GrantKey(emr.GrantID(id)), versionOfGrant)
		if err != nil {
			return nil, err
		}
		terms := found.Effective()
		if found.Status != emr.GrantWaiting || r.Now() >= terms.Until {
			return nil, nil
		}
		item := &ledgerapi.InboxItem{
			Kind: ledgerapi.InboxGrant, ID: id, Patient: terms.Patient, By: string(terms.Grantee), Org: terms.Org, At: found.Given, Until: terms.Until,
		}
		if owner == string(terms.Patient) {
			return item, nil
		}
		item.Kind = ledgerapi.InboxConfirm
		rule, err := grantRuleOf(r, terms.Patient)
		if err != nil || rule == nil || !slices.Contains(rule.Terms.Confirmers, owner) ||
			owner == string(found.By) || owner == string(terms.Grantee) {
			return nil, err
		}
		return item, nil
	}
}

func signOffItem(clinician emr.ClinicianID) func(Reader, string) (*ledgerapi.InboxItem, error) {
	return func(r Reader, id string) (*ledgerapi.InboxItem, error) {
		found, err := waitingSignOff(r, emr.RecordID(id), clinician)
		if err != nil || found == nil {
			return nil, err
		}
		record, err := require(r, ledgerapi.RecordKey(found.Record), versionOfRecord)
		if err != nil {
			return nil, err
		}
		return &ledgerapi.InboxItem{
			Kind: ledgerapi.InboxSignOff, ID: id, Patient: found.Patient, Record: found.Record, By: string(record.Author), Org: record.Hospital,
			At: found.Opened,
		}, nil
	}
}

// withoutIndex finds what waits and stands in no index by time: relationships, of
// which there is one for each hospital, and the rule about wide grants.
func withoutIndex(r Reader, patient emr.Handle, from *ledgerapi.Key) ([]waiting, error) {
	list := ledgerapi.PageQuery{Patient: patient, Limit: ledgerapi.MaxPageSize}
	relationships, err := ListRelationships(r, list)
	if err != nil {
		return nil, err
	}
	var all []waiting
	add := func(at emr.Time, item ledgerapi.InboxItem) {
		stands := spot{ledgerapi.Inverted(at, 0), item.ID}
		if from == nil || stands.compare(spotOf(from)) >= 0 {
			item.Patient, item.At = patient, at
			all = append(all, waiting{stands, func() (*ledgerapi.InboxItem, error) { return &item, nil }})
		}
	}
	for i := range relationships.Items {
		if one := &relationships.Items[i]; one.Status == emr.RelationshipProposed {
			add(one.Proposed, ledgerapi.InboxItem{
				Kind: ledgerapi.InboxRelationship, ID: string(one.Hospital), By: string(one.By), Org: one.Hospital,
			})
		}
	}
	rule, err := grantRuleOf(r, patient)
	if err == nil && rule != nil && rule.Next != nil {
		add(rule.Set, ledgerapi.InboxItem{Kind: ledgerapi.InboxGrantRule, ID: number(rule.Version), By: string(patient)})
	}
	return all, err
}
