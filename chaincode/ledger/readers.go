// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"slices"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// WhoHasRead tells a patient who was given tickets, under a grant or of a record:
// what taking back does not undo. A ticket is a chance to have read; that it was
// used, the proxies know. It is a query beside RevokeAccess and EraseRecord,
// because a submitted transaction does not scan.
func WhoHasRead(r Reader, q ledgerapi.WhoHasReadQuery) (*ledgerapi.ReadingPage, error) {
	list, err := readingsOf(r, &q)
	if err != nil {
		return nil, err
	}
	items, bookmark, err := page(r, list, func(e Entry) (*emr.Disclosure, step, error) {
		entry, err := decode(e.Key.Type, e.Value, versionOfAudit)
		if err != nil {
			return nil, stop, err
		}
		if entry.Kind != emr.AuditDisclosure || entry.Decision != emr.Permit {
			return nil, skip, nil
		}
		found, err := require(r, ledgerapi.DisclosureKey(emr.DisclosureID(entry.Ref)), versionOfDisclosure)
		if err != nil {
			return nil, stop, err
		}
		if q.Grant != "" && found.Grant != q.Grant {
			return nil, skip, nil
		}
		return found, keep, nil
	})
	if err != nil {
		return nil, err
	}
	answer := &ledgerapi.ReadingPage{Items: items, Readers: []string{}, Bookmark: bookmark}
	for i := range items {
		answer.Readers = append(answer.Readers, items[i].Reader)
	}
	slices.Sort(answer.Readers)
	answer.Readers = slices.Compact(answer.Readers)
	return answer, nil
}

// readingsOf returns the list in which the readings are: the record's trail, or
// the patient's for a grant. Both must be the patient's.
func readingsOf(r Reader, q *ledgerapi.WhoHasReadQuery) (query, error) {
	if err := emr.CheckID("patient", q.Patient); err != nil {
		return query{}, err
	}
	switch {
	case (q.Grant == "") == (q.Record == ""):
		return query{}, emr.Invalid("grant", "exactly one of grant and record must be set")
	case q.Record != "":
		record, err := GetRecord(r, ledgerapi.RecordQuery{Record: q.Record})
		if err != nil {
			return query{}, err
		}
		if record.Patient != q.Patient {
			return query{}, missing(ledgerapi.TypeRecord)
		}
		return entriesOf(ledgerapi.TypeAuditByRecord, string(q.Record), q.Limit, q.Bookmark), nil
	default:
		grant, err := GetGrant(r, ledgerapi.GrantQuery{Grant: q.Grant})
		if err != nil {
			return query{}, err
		}
		if grant.Terms.Patient != q.Patient {
			return query{}, missing(ledgerapi.TypeGrant)
		}
		return entriesOf(ledgerapi.TypeAuditByPatient, string(q.Patient), q.Limit, q.Bookmark), nil
	}
}
