// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"slices"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// NarrowGrant takes back a part of a grant: what is left is at most what held
// before, field by field. The terms stay as they were signed, since the fragments
// are bound to them, and need not be made anew. Every decision from this transaction
// on, those about open tickets included, is made from what is left.
func NarrowGrant(s State, raw []byte) (*ledgerapi.Receipt, error) {
	var args ledgerapi.NarrowGrantArgs
	st, err := open(s, raw, ledgerapi.NarrowGrant, &args)
	if err != nil {
		return nil, err
	}
	patient, err := st.forPatient(s, args.Patient)
	if err != nil {
		return nil, err
	}
	grant, err := ownGrant(s, patient.Handle, args.Grant)
	if err != nil {
		return nil, err
	}
	before := grant.Effective()
	if err := checkNarrower(s, &before, &args); err != nil {
		return nil, err
	}
	grant.Limits = &emr.Limits{
		Records: args.Records, Purposes: args.Purposes, Until: args.Until, MaxUses: args.MaxUses,
		NoOnward: args.NoOnward, SignedOff: args.SignedOff, Action: st.digest, At: s.Now(),
	}
	if err := put(s, ledgerapi.GrantKey(grant.ID), grant); err != nil {
		return nil, err
	}
	if err := auditEach(s, before.Records, st.grantEntry(patient, grant, emr.AuditNarrowed)); err != nil {
		return nil, err
	}
	if err := emit(s, ledgerapi.EventAccessNarrowed, ledgerapi.Event{ID: string(grant.ID)}); err != nil {
		return nil, err
	}
	return receipt(s, string(grant.ID)), st.spend(s, string(grant.ID))
}

// checkNarrower refuses limits that are malformed, that give anything which does not
// hold now, or that leave everything as it is.
func checkNarrower(s Lookup, now *emr.GrantTerms, next *ledgerapi.NarrowGrantArgs) error {
	if err := checkFewer(s, now, next); err != nil {
		return err
	}
	if err := checkLess(now, next); err != nil {
		return err
	}
	same := slices.Equal(next.Records, now.Records) && slices.Equal(next.Purposes, now.Purposes) && next.Until == now.Until &&
		next.MaxUses == now.MaxUses && next.NoOnward == now.NoOnward && next.SignedOff == now.SignedOff
	if same {
		return emr.Invalid("", "narrows nothing")
	}
	return nil
}

// checkLess checks purposes, end, uses and conditions that are left.
func checkLess(now *emr.GrantTerms, next *ledgerapi.NarrowGrantArgs) error {
	if err := checkPurposes(next.Purposes); err != nil {
		return err
	}
	for _, purpose := range next.Purposes {
		if !slices.Contains(now.Purposes, purpose) {
			return wider("purposes")
		}
	}
	switch {
	case next.Until <= 0 || next.Until > now.Until:
		return wider("until")
	case next.Until <= now.NotBefore:
		return emr.Invalid("until", "must be after the grant's beginning; revoke the grant to end it")
	case now.MaxUses != 0 && (next.MaxUses == 0 || next.MaxUses > now.MaxUses), next.MaxUses > ledgerapi.MaxGrantUses:
		return wider("maxUses")
	case now.NoOnward && !next.NoOnward:
		return wider("noOnward")
	case now.SignedOff && !next.SignedOff:
		return wider("signedOff")
	default:
		return nil
	}
}

// checkFewer checks the records that are left: all of them when none are named of a
// grant of a whole scope, and otherwise some of those that the grant covers.
func checkFewer(s Lookup, now *emr.GrantTerms, next *ledgerapi.NarrowGrantArgs) error {
	if next.Records == nil || len(next.Records) > ledgerapi.MaxRecordsPerGrant || !rising(next.Records) {
		return emr.Invalid("records", "must be a list of at most 100 records, sorted, none twice")
	}
	if len(next.Records) == 0 && len(now.Records) > 0 {
		return wider("records")
	}
	for _, id := range next.Records {
		if err := emr.CheckID("records", id); err != nil {
			return err
		}
		if !now.Covers(id) {
			return wider("records")
		}
		if len(now.Records) > 0 {
			continue
		}
		record, err := require(s, ledgerapi.RecordKey(id), versionOfRecord)
		if err != nil {
			return err
		}
		if record.Patient != now.Patient || record.Scope != now.Scope {
			return missing(ledgerapi.TypeRecord + " in the scope")
		}
	}
	return nil
}

func wider(field string) error {
	return &emr.Error{Code: emr.CodeRule, Field: field, Message: "gives more than the grant does; a grant is only ever narrowed"}
}
