// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package clienttest

import (
	"slices"
	"strconv"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// refine runs the transactions of narrowing, confirming and signing off.
func (w *World) refine(function string, q *request, receipt *ledgerapi.Receipt) (any, error) {
	switch function {
	case ledgerapi.GrantBatch:
		return w.grantBatch(q, receipt)
	case ledgerapi.NarrowGrant:
		return w.narrow(q, receipt)
	case ledgerapi.ConfirmGrant:
		return w.confirmGrant(q, receipt)
	case ledgerapi.SignOff:
		return w.signOff(q, receipt)
	case ledgerapi.SetGrantRule:
		return w.setGrantRule(q, receipt)
	case ledgerapi.ConfirmGrantRule:
		return w.confirmGrantRule(q, receipt)
	default:
		return nil, emr.E(emr.CodeUnsupported, function)
	}
}

// setGrantRule sets a rule; in this world every rule after the first is looser.
func (w *World) setGrantRule(q *request, receipt *ledgerapi.Receipt) (any, error) {
	args, err := decode[ledgerapi.SetGrantRuleArgs](q)
	if err != nil {
		return nil, err
	}
	rule := w.rules[args.Patient]
	if rule.Version != args.Version {
		return nil, emr.E(emr.CodeStale, "the patient's rule is of another version")
	}
	answer := ledgerapi.DecisionReceipt{TxID: receipt.TxID, At: receipt.At, Decision: emr.Permit}
	if rule.Version == 0 {
		rule = emr.GrantRule{V: 1, Patient: args.Patient, Terms: args.Terms}
	} else {
		rule.Next, answer.Decision, answer.Reason = &args.Terms, emr.Ask, emr.ReasonGrantWaiting
	}
	rule.Version, rule.Set = rule.Version+1, receipt.At
	w.rules[args.Patient] = rule
	receipt.ID = strconv.FormatUint(uint64(rule.Version), 10)
	answer.ID = receipt.ID
	return answer, nil
}

func (w *World) confirmGrantRule(q *request, receipt *ledgerapi.Receipt) (any, error) {
	args, err := decode[ledgerapi.ConfirmGrantRuleArgs](q)
	if err != nil {
		return nil, err
	}
	rule := w.rules[args.Patient]
	switch {
	case !slices.Contains(rule.Terms.Confirmers, q.action.Actor):
		return nil, emr.E(emr.CodeForbidden, "not named by the patient")
	case rule.Version != args.Version || rule.Next == nil:
		return nil, emr.E(emr.CodeStale, "no rule of this version waits")
	}
	rule.Terms, rule.Next = *rule.Next, nil
	rule.Version++
	w.rules[args.Patient] = rule
	receipt.ID = strconv.FormatUint(uint64(rule.Version), 10)
	return receipt, nil
}

// grantBatch gives every grant of a batch, or none.
func (w *World) grantBatch(q *request, receipt *ledgerapi.Receipt) (any, error) {
	args, err := decode[ledgerapi.GrantBatchArgs](q)
	if err != nil {
		return nil, err
	}
	before := len(w.grants)
	answer := ledgerapi.GrantBatchReceipt{TxID: receipt.TxID, At: receipt.At, Waiting: []emr.GrantID{}}
	for i := range args.Grants {
		if _, err := w.give(q, &args.Grants[i], receipt); err != nil {
			w.grants = w.grants[:before]
			return nil, err
		}
		answer.IDs = append(answer.IDs, args.Grants[i].Terms.Grant)
	}
	receipt.ID = string(answer.IDs[0])
	return answer, nil
}

// narrow leaves of a grant what is named.
func (w *World) narrow(q *request, receipt *ledgerapi.Receipt) (any, error) {
	args, err := decode[ledgerapi.NarrowGrantArgs](q)
	if err != nil {
		return nil, err
	}
	g := w.grant(args.Grant)
	if g == nil || g.Terms.Patient != args.Patient || string(args.Patient) != q.action.Actor {
		return nil, emr.E(emr.CodeNotFound, "no such grant")
	}
	g.Limits = &emr.Limits{
		Records: args.Records, Purposes: args.Purposes, Until: args.Until, MaxUses: args.MaxUses, NoOnward: args.NoOnward,
		SignedOff: args.SignedOff, Action: q.signed.Digest(), At: receipt.At,
	}
	receipt.ID = string(args.Grant)
	return receipt, nil
}

func (w *World) confirmGrant(q *request, receipt *ledgerapi.Receipt) (any, error) {
	args, err := decode[ledgerapi.ConfirmGrantArgs](q)
	if err != nil {
		return nil, err
	}
	g := w.grant(args.Grant)
	if g == nil || !slices.Contains(w.Confirmers, q.action.Actor) {
		return nil, emr.E(emr.CodeForbidden, "not named by the patient")
	}
	if terms, err := g.Terms.Hash(); err != nil || terms != args.Terms {
		return nil, emr.Invalid("terms", "are not those of the grant")
	}
	g.Status, receipt.ID = emr.GrantLive, string(args.Grant)
	return ledgerapi.DecisionReceipt{TxID: receipt.TxID, At: receipt.At, ID: receipt.ID, Decision: emr.Permit}, nil
}

func (w *World) signOff(q *request, receipt *ledgerapi.Receipt) (any, error) {
	args, err := decode[ledgerapi.SignOffArgs](q)
	if err != nil {
		return nil, err
	}
	view, ok := w.records[args.Record]
	if !ok {
		return nil, emr.E(emr.CodeNotFound, "no such record")
	}
	signers := w.signers[args.Record]
	switch {
	case view.Record.Manifest != args.Manifest:
		return nil, emr.Invalid("manifest", "is not that of the record")
	case len(signers) == 0 || string(signers[0].Clinician) != q.action.Actor:
		return nil, emr.Refused(emr.ReasonSignOffOrder, "it is not the caller's turn")
	}
	w.signers[args.Record] = signers[1:]
	if args.Refuse {
		w.signers[args.Record] = nil
	}
	receipt.ID = string(args.Record)
	return ledgerapi.DecisionReceipt{TxID: receipt.TxID, At: receipt.At, ID: receipt.ID, Decision: emr.Permit}, nil
}

// shownGrant serves a grant to those who may see it.
func (w *World) shownGrant(q *request) (any, error) {
	actor := w.actorOf(q.who)
	g := w.grant(emr.GrantID(q.r.PathValue("grant")))
	if g == nil || string(g.Terms.Patient) != actor && string(g.Terms.Grantee) != actor &&
		(g.Status != emr.GrantWaiting || !slices.Contains(w.Confirmers, actor)) {
		return nil, emr.E(emr.CodeNotFound, "no such grant")
	}
	shown := *g
	if w.OnGrant != nil {
		w.OnGrant(&shown)
	}
	return shown, nil
}

// inbox serves what waits: requests, relationships, wide grants and sign-offs.
func (w *World) inbox(q *request) (any, error) {
	actor := w.actorOf(q.who)
	var all []ledgerapi.InboxItem
	for _, r := range w.relations {
		if string(r.Patient) == actor && r.Status == emr.RelationshipProposed {
			all = append(all, ledgerapi.InboxItem{
				Kind: ledgerapi.InboxRelationship, ID: string(r.Hospital), Patient: r.Patient, By: string(r.By), Org: r.Hospital, At: r.Proposed,
			})
		}
	}
	for i := range w.requests {
		if r := &w.requests[i]; string(r.Patient) == actor && r.Status == emr.RequestPending {
			all = append(all, ledgerapi.InboxItem{
				Kind: ledgerapi.InboxRequest, ID: string(r.ID), Patient: r.Patient, Record: r.Record, By: string(r.By), Org: r.Org, At: r.Made,
			})
		}
	}
	for _, g := range w.grants {
		if g.Status == emr.GrantWaiting && slices.Contains(w.Confirmers, actor) {
			all = append(all, ledgerapi.InboxItem{
				Kind: ledgerapi.InboxConfirm, ID: string(g.ID), Patient: g.Terms.Patient, By: string(g.Terms.Grantee), Org: g.Terms.Org,
				At: g.Given, Until: g.Terms.Until,
			})
		}
	}
	for _, id := range w.order {
		if s := w.signers[id]; len(s) > 0 && string(s[0].Clinician) == actor {
			r := &w.records[id].Record
			all = append(all, ledgerapi.InboxItem{
				Kind: ledgerapi.InboxSignOff, ID: string(id), Patient: r.Patient, Record: id, By: string(r.Author), Org: r.Hospital, At: r.Registered,
			})
		}
	}
	return pageOf(q, all, func(ledgerapi.InboxItem) bool { return true },
		func(items []ledgerapi.InboxItem, next string) any {
			return ledgerapi.InboxPage{Items: items, Bookmark: next}
		})
}
