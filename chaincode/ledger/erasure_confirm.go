// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"slices"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// ConfirmErasure is a holder's word about a part of an order: what it destroyed
// and what it could not, with the cause. The transaction's creator is the
// organisation's gateway, whose signature makes the word a receipt. It may speak
// again: about each thing of each version the last word counts, so that a failure
// is made good, and a backup that brought something back is admitted. Holders do
// not wait for one another: each has a key of its own.
func ConfirmErasure(s State, args ledgerapi.ConfirmErasureArgs) (*ledgerapi.DecisionReceipt, error) {
	gateway, err := requireGateway(s)
	if err != nil {
		return nil, err
	}
	if err := emr.CheckID("erasure", args.Erasure); err != nil {
		return nil, err
	}
	order, err := require(s, ledgerapi.ErasureKey(args.Erasure), versionOfErasure)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(order.Holders, gateway.ID) {
		return nil, emr.E(emr.CodeForbidden, "organisation is no holder of what the order is about")
	}
	part, err := require(s, ledgerapi.ErasurePartKey(order.ID, args.Part), versionOfPart)
	if err != nil {
		return nil, err
	}
	key := ledgerapi.ErasureReceiptKey(order.ID, args.Part, gateway.ID)
	last, err := find(s, key, versionOfReceipt)
	if err != nil {
		return nil, err
	}
	if last == nil {
		last = &emr.ErasureReceipt{V: emr.DocumentVersion, Erasure: order.ID, Part: args.Part, Org: gateway.ID}
	}
	if err := amendReceipt(last, part, &args); err != nil {
		return nil, err
	}
	last.Attempts, last.TxID, last.At = last.Attempts+1, s.TxID(), s.Now()
	if err := put(s, key, last); err != nil {
		return nil, err
	}
	return confirmed(s, order, last, last.Fulfils(part))
}

func confirmed(s State, order *emr.Erasure, last *emr.ErasureReceipt, done bool) (*ledgerapi.DecisionReceipt, error) {
	v := deny(emr.ReasonNotDestroyed)
	if done {
		v = verdict{emr.Permit, reasonOfOrder(order)}
	}
	err := audit(s, emr.AuditEntry{
		Kind: emr.AuditErasureConfirmed, Patient: order.Patient, Record: order.Record, Actor: emr.ActorGateway, Org: last.Org,
		Decision: v.decision, Reason: v.reason, Ref: string(order.ID),
	})
	if err != nil {
		return nil, err
	}
	err = emit(s, ledgerapi.EventErasureConfirmed, ledgerapi.Event{ID: string(order.ID), Record: order.Record, Hospital: last.Org})
	return &ledgerapi.DecisionReceipt{
		TxID: s.TxID(), At: s.Now(), ID: string(order.ID), Decision: v.decision, Reason: v.reason,
	}, err
}

// state is what is known of one thing of one version: destroyed, failed with a cause, or neither.
type thingState struct {
	destroyed bool
	cause     emr.ErasureCause
}

// amendReceipt adds what a holder says to what it said before.
func amendReceipt(last *emr.ErasureReceipt, part *emr.ErasurePart, args *ledgerapi.ConfirmErasureArgs) error {
	if len(args.Destroyed)+len(args.Failed) == 0 {
		return emr.Invalid("destroyed", "a confirmation must say something")
	}
	things := emr.ErasureThings()
	states := make([][]thingState, len(part.Records))
	for i := range states {
		states[i] = make([]thingState, len(things))
	}
	said := make([][]bool, len(part.Records))
	for i := range said {
		said[i] = make([]bool, len(things))
	}
	recall(states, part, last)
	if err := sayDestroyed(states, said, part, args.Destroyed); err != nil {
		return err
	}
	if err := sayFailed(states, said, part, args.Failed); err != nil {
		return err
	}
	last.Destroyed, last.Failed = []emr.Destroyed{}, []emr.Undestroyed{}
	for i := range part.Records {
		version := &part.Records[i]
		done := emr.Destroyed{Record: version.Record, CID: version.CID, Things: []emr.ErasureThing{}}
		for j, thing := range things {
			switch {
			case states[i][j].destroyed:
				done.Things = append(done.Things, thing)
			case states[i][j].cause != "":
				last.Failed = append(last.Failed, emr.Undestroyed{Record: version.Record, Thing: thing, Cause: states[i][j].cause})
			}
		}
		last.Destroyed = append(last.Destroyed, done)
	}
	return nil
}

// recall fills in what the receipt has said so far; it was written by amendReceipt.
func recall(states [][]thingState, part *emr.ErasurePart, last *emr.ErasureReceipt) {
	for i := range last.Destroyed {
		for _, thing := range last.Destroyed[i].Things {
			states[i][slices.Index(emr.ErasureThings(), thing)].destroyed = true
		}
	}
	for _, failed := range last.Failed {
		at := versionAt(part, failed.Record)
		states[at][slices.Index(emr.ErasureThings(), failed.Thing)].cause = failed.Cause
	}
}

func versionAt(part *emr.ErasurePart, record emr.RecordID) int {
	return slices.IndexFunc(part.Records, func(v emr.ErasedVersion) bool { return v.Record == record })
}

func sayDestroyed(states [][]thingState, said [][]bool, part *emr.ErasurePart, all []emr.Destroyed) error {
	for i := range all {
		at := versionAt(part, all[i].Record)
		if at < 0 {
			return emr.Invalid("destroyed", "names a version that is not of this part of the order")
		}
		if all[i].CID != part.Records[at].CID {
			return emr.Invalid("destroyed", "names another content id than the version's")
		}
		if len(all[i].Things) == 0 {
			return emr.Invalid("destroyed", "must name at least one thing of each version")
		}
		for _, thing := range all[i].Things {
			if err := sayOnce(said[at], "destroyed", thing); err != nil {
				return err
			}
			states[at][slices.Index(emr.ErasureThings(), thing)] = thingState{destroyed: true}
		}
	}
	return nil
}

func sayFailed(states [][]thingState, said [][]bool, part *emr.ErasurePart, all []emr.Undestroyed) error {
	for _, failed := range all {
		at := versionAt(part, failed.Record)
		if at < 0 {
			return emr.Invalid("failed", "names a version that is not of this part of the order")
		}
		if !failed.Cause.Valid() {
			return emr.Invalid("failed", "must name a cause of the list")
		}
		if err := sayOnce(said[at], "failed", failed.Thing); err != nil {
			return err
		}
		states[at][slices.Index(emr.ErasureThings(), failed.Thing)] = thingState{cause: failed.Cause}
	}
	return nil
}

// sayOnce refuses a thing that is not on the list or that one confirmation speaks of twice.
func sayOnce(said []bool, field string, thing emr.ErasureThing) error {
	at := slices.Index(emr.ErasureThings(), thing)
	if at < 0 {
		return emr.Invalid(field, "must name content, fragments or cache")
	}
	if said[at] {
		return emr.Invalid(field, "speaks of a thing twice")
	}
	said[at] = true
	return nil
}
