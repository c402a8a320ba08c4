// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"cmp"
	"slices"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// HoldRecord puts an organisation's hold on a record, with its ground, or takes
// the same organisation's hold away. The caller is an administrator of the
// record's hospital or of a regulator, which may end holds of organisations that have
// been removed. The patient finds both in the trail.
func HoldRecord(s State, args ledgerapi.HoldRecordArgs) (*ledgerapi.Receipt, error) {
	org, err := callingMember(s)
	if err != nil {
		return nil, err
	}
	if err := emr.CheckID("record", args.Record); err != nil {
		return nil, err
	}
	if args.Hold != args.Ground.Valid() || !args.Hold && args.Ground != "" {
		return nil, emr.Invalid("ground", "must be litigation, investigation or retention-duty for a hold, and empty for its end")
	}
	record, err := recordOf(s, args.Record)
	if err != nil {
		return nil, err
	}
	if record.Hospital != org.ID && org.Kind != emr.KindRegulator {
		return nil, emr.E(emr.CodeForbidden, "the record is another hospital's")
	}
	if err := refuseClosed(record); err != nil {
		return nil, err
	}
	hold, err := holdOf(s, record.ID)
	if err != nil {
		return nil, err
	}
	if err := changeHold(s, hold, org, &args); err != nil {
		return nil, err
	}
	return receipt(s, string(record.ID)), putHold(s, org, record, hold, args.Hold)
}

// holdOf returns who holds a record; an empty document when nobody ever did.
func holdOf(s Lookup, record emr.RecordID) (*emr.Hold, error) {
	hold, err := find(s, ledgerapi.HoldKey(record), versionOfHold)
	if err == nil && hold == nil {
		hold = &emr.Hold{V: emr.DocumentVersion, Record: record, Holders: []emr.Holder{}}
	}
	return hold, err
}

// changeHold adds or removes one organisation's demand, or what a regulator may remove.
func changeHold(s Lookup, hold *emr.Hold, org *emr.Organisation, args *ledgerapi.HoldRecordArgs) error {
	at, held := slices.BinarySearchFunc(hold.Holders, org.ID, func(h emr.Holder, id emr.OrgID) int { return cmp.Compare(h.Org, id) })
	switch {
	case args.Hold && held:
		return emr.E(emr.CodeExists, "organisation holds the record already")
	case !args.Hold && !held:
		return releaseAbandoned(s, hold, org)
	case args.Hold:
		hold.Holders = slices.Insert(hold.Holders, at, emr.Holder{Org: org.ID, Ground: args.Ground, Since: s.Now()})
	default:
		hold.Holders = slices.Delete(hold.Holders, at, at+1)
	}
	return nil
}

// releaseAbandoned ends the holds of organisations that the members have removed: they
// cannot end them any more, and a record would be held for ever. A regulator does so,
// who holds nothing itself and puts its own hold first where the ground still stands.
func releaseAbandoned(s Lookup, hold *emr.Hold, org *emr.Organisation) error {
	before := len(hold.Holders)
	if org.Kind == emr.KindRegulator {
		members, err := roster(s)
		if err != nil {
			return err
		}
		hold.Holders = slices.DeleteFunc(hold.Holders, func(h emr.Holder) bool { return !slices.Contains(members, h.Org) })
	}
	if len(hold.Holders) == before {
		return emr.E(emr.CodeRule, "organisation does not hold the record")
	}
	return nil
}

func putHold(s State, org *emr.Organisation, record *emr.Record, hold *emr.Hold, held bool) error {
	if err := put(s, ledgerapi.HoldKey(record.ID), hold); err != nil {
		return err
	}
	kind, event := emr.AuditRecordReleased, ledgerapi.EventRecordReleased
	if held {
		kind, event = emr.AuditRecordHeld, ledgerapi.EventRecordHeld
	}
	err := audit(s, emr.AuditEntry{Kind: kind, Patient: record.Patient, Record: record.ID, Actor: emr.ActorAdmin, Org: org.ID})
	if err != nil {
		return err
	}
	return emit(s, event, ledgerapi.Event{ID: string(record.ID), Record: record.ID, Hospital: org.ID})
}

// GetHold returns who holds a record.
func GetHold(r Reader, q ledgerapi.RecordQuery) (*emr.Hold, error) {
	if err := emr.CheckID("record", q.Record); err != nil {
		return nil, err
	}
	if _, err := require(r, ledgerapi.RecordKey(q.Record), versionOfRecord); err != nil {
		return nil, err
	}
	return holdOf(r, q.Record)
}
