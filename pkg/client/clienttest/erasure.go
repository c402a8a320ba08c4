// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package clienttest

import (
	"slices"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// eraseRecord orders an erasure, unless the record is held.
func (w *World) eraseRecord(q *request, receipt *ledgerapi.Receipt) (any, error) {
	args, err := decode[ledgerapi.EraseRecordArgs](q)
	if err != nil {
		return nil, err
	}
	view, ok := w.records[args.Record]
	switch {
	case !ok || view.Record.Patient != args.Patient:
		return nil, emr.E(emr.CodeNotFound, "no such record")
	case view.Record.Status != emr.RecordLive:
		return nil, emr.E(emr.CodeGone, "the record is erased")
	}
	answer := ledgerapi.DecisionReceipt{TxID: receipt.TxID, At: receipt.At, ID: string(args.Erasure), Decision: emr.Permit, Reason: emr.ReasonOwner}
	receipt.ID = answer.ID
	if w.Held {
		answer.Decision, answer.Reason = emr.Deny, emr.ReasonHeldLitigation
		return answer, nil
	}
	view.Record.Status, view.Record.Order = emr.RecordErased, args.Erasure
	order := &ledgerapi.ErasureView{
		Erasure: emr.Erasure{
			V: 1, ID: args.Erasure, Kind: emr.OrderErasure, Patient: args.Patient, Record: args.Record, Series: view.Record.Series,
			Hospital: view.Record.Hospital, Ground: args.Ground, By: emr.ActorPatient, Org: q.who.org, Parts: 1, Versions: 1, Ordered: receipt.At,
		},
		Parts: []emr.ErasurePart{{V: 1, Erasure: args.Erasure, Part: 1, At: receipt.At, Records: []emr.ErasedVersion{
			{Record: args.Record, CID: view.Record.CID, Digest: view.Record.Digest},
		}}},
		State: emr.ErasurePartial, Missing: []emr.OrgID{}, Failed: []emr.OrgID{},
	}
	for _, org := range w.orgs {
		order.Erasure.Holders = append(order.Erasure.Holders, org.ID)
		order.Holders = append(order.Holders, ledgerapi.HolderState{Org: org.ID, Receipts: []emr.ErasureReceipt{}})
		order.Missing = append(order.Missing, org.ID)
	}
	w.erasures = append(w.erasures, order)
	return answer, nil
}

// Confirm has a holder confirm every order, or tell that its store failed.
func (w *World) Confirm(org emr.OrgID, failed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, order := range w.erasures {
		at := slices.Index(order.Erasure.Holders, org)
		version := order.Parts[0].Records[0]
		receipt := emr.ErasureReceipt{
			V: 1, Erasure: order.Erasure.ID, Part: 1, Org: org, Attempts: 1, TxID: w.nextTransaction(), At: order.Erasure.Ordered,
			Destroyed: []emr.Destroyed{{Record: version.Record, CID: version.CID, Things: emr.ErasureThings()}}, Failed: []emr.Undestroyed{},
		}
		is := func(id emr.OrgID) bool { return id == org }
		order.Failed = slices.DeleteFunc(order.Failed, is)
		if failed {
			receipt.Destroyed[0].Things = []emr.ErasureThing{emr.ThingCache, emr.ThingFragments}
			receipt.Failed = append(receipt.Failed, emr.Undestroyed{Record: version.Record, Thing: emr.ThingContent, Cause: emr.CauseUnavailable})
			order.Failed = append(order.Failed, org)
		} else {
			order.Missing = slices.DeleteFunc(order.Missing, is)
		}
		order.Holders[at] = ledgerapi.HolderState{Org: org, Done: !failed, Receipts: []emr.ErasureReceipt{receipt}}
		if len(order.Missing) == 0 {
			order.State = emr.ErasureComplete
		}
	}
}

// orders serves the list of erasures.
func (w *World) orders(q *request, patient emr.Handle) (any, error) {
	all := make([]emr.Erasure, len(w.erasures))
	for i, order := range w.erasures {
		all[i] = order.Erasure
	}
	return pageOf(q, all, func(e emr.Erasure) bool { return e.Patient == patient },
		func(items []emr.Erasure, next string) any { return ledgerapi.ErasurePage{Items: items, Bookmark: next} })
}

// erasure finds an order.
func (w *World) erasure(q ledgerapi.ErasureQuery) (any, bool) {
	at := slices.IndexFunc(w.erasures, func(order *ledgerapi.ErasureView) bool { return order.Erasure.ID == q.Erasure })
	if at < 0 {
		return nil, false
	}
	return w.erasures[at], true
}
