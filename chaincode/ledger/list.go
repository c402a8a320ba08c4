// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"math"
	"slices"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// indexTail is the number of attributes after the owner in a key of an index:
// inverted time and id.
const indexTail = 2

func byOwner(typ, owner string, limit int, bookmark string) query {
	return query{
		prefix: ledgerapi.Key{Type: typ, Attributes: []string{owner}}, tail: indexTail, limit: limit, bookmark: bookmark,
	}
}

// within lets a list begin at the newest key before the time to; 0 is the newest of
// all. Keys descend in time: who chooses the entries stops at the first before from.
func within(list query, from, to emr.Time) (query, error) {
	if from < 0 || to < 0 || to != 0 && to <= from {
		return list, emr.Invalid("to", "must be after from")
	}
	if to != 0 {
		list.from = &ledgerapi.Key{
			Type: list.prefix.Type, Attributes: append(slices.Clone(list.prefix.Attributes), ledgerapi.Inverted(to-1, math.MaxInt32)),
		}
	}
	return list, nil
}

// SearchRecords finds a patient's records, newest first. Superseded versions are
// left out unless all are asked for. A page may be short, or empty, and still
// have a bookmark: what one query reads is bounded.
func SearchRecords(r Reader, q ledgerapi.SearchQuery) (*ledgerapi.RecordPage, error) {
	if err := checkSearch(&q); err != nil {
		return nil, err
	}
	search, err := within(byOwner(ledgerapi.TypeRecordByPatient, string(q.Patient), q.Limit, q.Bookmark), q.From, q.To)
	if err != nil {
		return nil, err
	}
	items, bookmark, err := page(r, search, func(e Entry) (*emr.Record, step, error) {
		record, err := recordOf(r, emr.RecordID(e.Value))
		if err != nil {
			return nil, stop, err
		}
		return record, matches(&q, record), nil
	})
	if err != nil {
		return nil, err
	}
	return &ledgerapi.RecordPage{Items: items, Bookmark: bookmark}, nil
}

func checkSearch(q *ledgerapi.SearchQuery) error {
	if err := emr.CheckID("patient", q.Patient); err != nil {
		return err
	}
	if q.Class != "" {
		if _, err := emr.ParseClass("class", string(q.Class)); err != nil {
			return err
		}
	}
	if q.Level != "" {
		if _, err := emr.ParseLevel("level", string(q.Level)); err != nil {
			return err
		}
	}
	return nil
}

// matches tells whether a record belongs on the page; what is older than From ends it.
func matches(q *ledgerapi.SearchQuery, record *emr.Record) step {
	switch {
	case record.Registered < q.From:
		return stop
	case q.To != 0 && record.Registered >= q.To,
		q.Class != "" && record.Class != q.Class,
		q.Level != "" && !q.Level.Covers(record.Level),
		!q.All && (record.SupersededBy != "" || record.Status != emr.RecordLive):
		return skip
	default:
		return keep
	}
}

// ListRelationships lists a patient's relationships, by hospital.
func ListRelationships(r Reader, q ledgerapi.PageQuery) (*ledgerapi.RelationshipPage, error) {
	if q.Clinician != "" || q.Record != "" {
		return nil, emr.Invalid("patient", "relationships are listed by patient only")
	}
	if err := emr.CheckID("patient", q.Patient); err != nil {
		return nil, err
	}
	list := byOwner(ledgerapi.TypeRelationship, string(q.Patient), q.Limit, q.Bookmark)
	list.tail = 1 // the hospital
	items, bookmark, err := page(r, list, func(e Entry) (*emr.Relationship, step, error) {
		found, err := decode(e.Key.Type, e.Value, versionOfRelationship)
		return found, keep, err
	})
	if err != nil {
		return nil, err
	}
	return &ledgerapi.RelationshipPage{Items: items, Bookmark: bookmark}, nil
}

// ListRequests lists the requests to a patient or by a clinician, newest first.
func ListRequests(r Reader, q ledgerapi.PageQuery) (*ledgerapi.RequestPage, error) {
	list, err := byPatientOrClinician(&q, ledgerapi.TypeRequestByPatient, ledgerapi.TypeRequestByClinician)
	if err != nil {
		return nil, err
	}
	items, bookmark, err := page(r, list, func(e Entry) (*emr.Request, step, error) {
		found, err := require(r, ledgerapi.RequestKey(emr.RequestID(e.Value)), versionOfRequest)
		return found, keep, err
	})
	if err != nil {
		return nil, err
	}
	return &ledgerapi.RequestPage{Items: items, Bookmark: bookmark}, nil
}

// ListGrants lists the grants of a patient or to a clinician, newest first.
func ListGrants(r Reader, q ledgerapi.PageQuery) (*ledgerapi.GrantPage, error) {
	list, err := byPatientOrClinician(&q, ledgerapi.TypeGrantByPatient, ledgerapi.TypeGrantByClinician)
	if err != nil {
		return nil, err
	}
	items, bookmark, err := page(r, list, func(e Entry) (*emr.Grant, step, error) {
		found, err := require(r, ledgerapi.GrantKey(emr.GrantID(e.Value)), versionOfGrant)
		return found, keep, err
	})
	if err != nil {
		return nil, err
	}
	return &ledgerapi.GrantPage{Items: items, Bookmark: bookmark}, nil
}

func byPatientOrClinician(q *ledgerapi.PageQuery, patientIndex, clinicianIndex string) (query, error) {
	switch {
	case q.Record != "" || (q.Patient == "") == (q.Clinician == ""):
		return query{}, emr.Invalid("patient", "exactly one of patient and clinician must be set")
	case q.Patient != "":
		return byOwner(patientIndex, string(q.Patient), q.Limit, q.Bookmark), emr.CheckID("patient", q.Patient)
	default:
		return byOwner(clinicianIndex, string(q.Clinician), q.Limit, q.Bookmark), emr.CheckID("clinician", q.Clinician)
	}
}

// AuditByPatient lists a patient's trail, newest first.
func AuditByPatient(r Reader, q ledgerapi.PageQuery) (*ledgerapi.AuditPage, error) {
	if q.Clinician != "" || q.Record != "" {
		return nil, emr.Invalid("patient", "only the patient must be set")
	}
	if err := emr.CheckID("patient", q.Patient); err != nil {
		return nil, err
	}
	return trail(r, entriesOf(ledgerapi.TypeAuditByPatient, string(q.Patient), q.Limit, q.Bookmark))
}

// GetAuditHead returns the end of a patient's audit chain; of a patient without
// entries, and of nobody, an empty one.
func GetAuditHead(r Reader, q ledgerapi.HandleQuery) (*emr.AuditHead, error) {
	if err := emr.CheckID("patient", q.Patient); err != nil {
		return nil, err
	}
	return headOf(r, q.Patient)
}

// AuditByRecord lists a record's trail, newest first.
func AuditByRecord(r Reader, q ledgerapi.PageQuery) (*ledgerapi.AuditPage, error) {
	if q.Clinician != "" || q.Patient != "" {
		return nil, emr.Invalid("record", "only the record must be set")
	}
	if err := emr.CheckID("record", q.Record); err != nil {
		return nil, err
	}
	return trail(r, entriesOf(ledgerapi.TypeAuditByRecord, string(q.Record), q.Limit, q.Bookmark))
}

func trail(r Reader, q query) (*ledgerapi.AuditPage, error) {
	items, bookmark, err := page(r, q, func(e Entry) (*emr.AuditEntry, step, error) {
		entry, err := decode(e.Key.Type, e.Value, versionOfAudit)
		return entry, keep, err
	})
	if err != nil {
		return nil, err
	}
	return &ledgerapi.AuditPage{Items: items, Bookmark: bookmark}, nil
}
