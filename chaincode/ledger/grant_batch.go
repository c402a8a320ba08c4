// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"fmt"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// GrantBatch gives several grants of one patient by one signed action, all or none:
// to the people of a ward, or of several scopes to one. Each is checked as if it were
// alone. Each has its private part under its own key, so that revoking one purges
// its own and no other's.
func GrantBatch(s State, raw []byte) (*ledgerapi.GrantBatchReceipt, error) {
	var args ledgerapi.GrantBatchArgs
	st, err := open(s, raw, ledgerapi.GrantBatch, &args)
	if err != nil {
		return nil, err
	}
	patient, err := st.forPatient(s, args.Patient)
	if err != nil {
		return nil, err
	}
	records, err := checkBatchOfGrants(&args)
	if err != nil {
		return nil, err
	}
	rule, err := grantRuleOf(s, patient.Handle)
	if err != nil {
		return nil, err
	}
	answer := &ledgerapi.GrantBatchReceipt{TxID: s.TxID(), At: s.Now(), IDs: []emr.GrantID{}, Waiting: []emr.GrantID{}}
	var entries []emr.AuditEntry
	var ids []string
	for i := range args.Grants {
		grant, err := st.giveApart(s, &args.Grants[i], rule, records)
		if err != nil {
			return nil, inBatch(i, err)
		}
		answer.IDs, ids = append(answer.IDs, grant.ID), append(ids, string(grant.ID))
		if grant.Status == emr.GrantWaiting {
			answer.Waiting = append(answer.Waiting, grant.ID)
		}
		entries = append(entries, st.grantEntries(patient, grant)...)
	}
	if err := auditAll(s, entries); err != nil {
		return nil, err
	}
	if err := emit(s, ledgerapi.EventGrantsGiven, ledgerapi.Event{IDs: ids}); err != nil {
		return nil, err
	}
	return answer, st.spend(s, ids[0])
}

// checkBatchOfGrants checks what is particular to a batch and returns the number of
// records that it names: nothing in it may depend on another part of it, as reads see
// committed state alone.
func checkBatchOfGrants(args *ledgerapi.GrantBatchArgs) (int, error) {
	if len(args.Grants) == 0 || len(args.Grants) > ledgerapi.MaxGrantBatch {
		return 0, emr.Invalid("grants", fmt.Sprintf("must hold 1 to %d grants", ledgerapi.MaxGrantBatch))
	}
	records := 0
	for i := range args.Grants {
		one := &args.Grants[i]
		if one.Terms.Patient != args.Patient {
			return 0, emr.E(emr.CodeForbidden, "a batch is of one patient's grants")
		}
		for j := range i {
			if args.Grants[j].Terms.Grant == one.Terms.Grant {
				return 0, emr.Invalid("grants", "must not name a grant twice")
			}
			if one.Request != "" && args.Grants[j].Request == one.Request {
				return 0, emr.Invalid("grants", "must not answer a request twice")
			}
		}
		records += len(one.Terms.Records)
	}
	if records > ledgerapi.MaxBatchRecords {
		return 0, emr.Invalid("grants", fmt.Sprintf("must name at most %d records in all", ledgerapi.MaxBatchRecords))
	}
	return records, nil
}

// giveApart is give with the private part by itself: the action holds every grant's.
func (st *statement) giveApart(
	s State, args *ledgerapi.GrantAccessArgs, rule *emr.GrantRule, records int,
) (*emr.Grant, error) {
	st.apart = true
	grant, err := st.give(s, args, rule, records)
	if err != nil {
		return nil, err
	}
	secret := emr.GrantSecret{V: emr.DocumentVersion, Grant: grant.ID, Fragments: args.Fragments, Direct: args.Direct}
	b, err := emr.Canonical(&secret)
	if err != nil {
		return nil, err
	}
	if err := s.PutPrivate(ledgerapi.FragmentKey(grant.ID), b); err != nil {
		return nil, fmt.Errorf("ledger: write private fragments: %w", err)
	}
	return grant, nil
}

// grantEntries are the audit entries of one grant: one for each record, or one for the scope.
func (st *statement) grantEntries(patient *emr.Patient, grant *emr.Grant) []emr.AuditEntry {
	entry := st.grantEntry(patient, grant, emr.AuditGrant)
	if len(grant.Terms.Records) == 0 {
		return []emr.AuditEntry{entry}
	}
	var all []emr.AuditEntry
	for _, record := range grant.Terms.Records {
		entry.Record = record
		all = append(all, entry)
	}
	return all
}

// inBatch names the part of a batch that an error is about.
func inBatch(i int, err error) error {
	shown := emr.Public(err)
	if shown.Code == emr.CodeInternal {
		return err
	}
	named := *shown
	named.Field = fmt.Sprintf("grants[%d]", i)
	if shown.Field != "" {
		named.Field += "." + shown.Field
	}
	return &named
}
