// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger_test

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/chaincode/ledger"
	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// queries are all queries with the arguments of a function, answered as an error.
func queries(r ledger.Reader, id string, page ledgerapi.PageQuery) map[string]error {
	drop := func(_ any, err error) error { return err }
	return map[string]error{
		ledgerapi.GetPatient:        drop(ledger.GetPatient(r, ledgerapi.HandleQuery{Patient: emr.Handle(id)})),
		ledgerapi.ResolvePatient:    drop(ledger.ResolvePatient(r, ledgerapi.ResolvePatientQuery{Patient: emr.PatientID(id)})),
		ledgerapi.GetClinician:      drop(ledger.GetClinician(r, ledgerapi.ClinicianQuery{Clinician: emr.ClinicianID(id)})),
		ledgerapi.GetRecord:         drop(ledger.GetRecord(r, ledgerapi.RecordQuery{Record: emr.RecordID(id)})),
		ledgerapi.GetManifest:       drop(ledger.GetManifest(r, ledgerapi.RecordQuery{Record: emr.RecordID(id)})),
		ledgerapi.GetRequest:        drop(ledger.GetRequest(r, ledgerapi.RequestQuery{Request: emr.RequestID(id)})),
		ledgerapi.GetRequestAction:  drop(ledger.GetRequestAction(r, ledgerapi.RequestQuery{Request: emr.RequestID(id)})),
		ledgerapi.GetGrant:          drop(ledger.GetGrant(r, ledgerapi.GrantQuery{Grant: emr.GrantID(id)})),
		ledgerapi.GetDisclosure:     drop(ledger.GetDisclosure(r, ledgerapi.DisclosureQuery{Disclosure: emr.DisclosureID(id)})),
		ledgerapi.GetAction:         drop(ledger.GetAction(r, ledgerapi.ActionQuery{})),
		ledgerapi.ListRelationships: drop(ledger.ListRelationships(r, page)),
		ledgerapi.ListRequests:      drop(ledger.ListRequests(r, page)),
		ledgerapi.ListGrants:        drop(ledger.ListGrants(r, page)),
		ledgerapi.AuditByPatient:    drop(ledger.AuditByPatient(r, page)),
		ledgerapi.AuditByRecord:     drop(ledger.AuditByRecord(r, page)),
		ledgerapi.GetAuditHead:      drop(ledger.GetAuditHead(r, ledgerapi.HandleQuery{Patient: emr.Handle(id)})),
	}
}

func TestQueriesRefuseWhatIsNoID(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	id := func(prefix string) string { return ledgertest.ID[string](prefix) }
	for name, page := range map[string]ledgerapi.PageQuery{
		"no owner":      {},
		"every owner":   {Patient: emr.Handle(id("hnd_")), Clinician: emr.ClinicianID(id("cli_")), Record: emr.RecordID(id("rec_"))},
		"no ids":        {Patient: "x"},
		"no clinician":  {Clinician: "x"},
		"no record":     {Record: "x"},
		"two owners":    {Patient: emr.Handle(id("hnd_")), Clinician: emr.ClinicianID(id("cli_"))},
		"another owner": {Patient: emr.Handle(id("hnd_")), Record: emr.RecordID(id("rec_"))},
	} {
		for _, bad := range []string{"", "x", "rec_\x00", strings.Repeat("a", 1000)} {
			for function, err := range queries(s.Query(s.Orgs[ledgertest.HospitalA]), bad, page) {
				refuses(t, err, emr.CodeInvalid, "")
				require.NotEmpty(t, function+name)
			}
		}
	}
}

func TestQueriesOfTheUnknownAreNotFoundOrEmpty(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	r := s.Query(s.Orgs[ledgertest.HospitalA])
	digits := strings.Repeat("0", 32)
	for _, prefix := range []string{"hnd_", "pat_", "cli_", "rec_", "req_", "gra_", "dis_"} {
		found := 0
		for _, err := range queries(r, prefix+digits, ledgerapi.PageQuery{}) {
			if emr.CodeOf(err) == emr.CodeNotFound {
				found++
			}
		}
		require.NotZero(t, found, prefix)
	}
	p, c, rec := emr.Handle("hnd_"+digits), emr.ClinicianID("cli_"+digits), emr.RecordID("rec_"+digits)
	relationships, err := ledger.ListRelationships(r, ledgerapi.PageQuery{Patient: p})
	require.NoError(t, err)
	requests, err := ledger.ListRequests(r, ledgerapi.PageQuery{Clinician: c})
	require.NoError(t, err)
	grants, err := ledger.ListGrants(r, ledgerapi.PageQuery{Patient: p})
	require.NoError(t, err)
	byPatient, err := ledger.AuditByPatient(r, ledgerapi.PageQuery{Patient: p})
	require.NoError(t, err)
	byRecord, err := ledger.AuditByRecord(r, ledgerapi.PageQuery{Record: rec})
	require.NoError(t, err)
	for _, page := range []any{relationships, requests, grants, byPatient, byRecord} {
		b, err := emr.Canonical(page)
		require.NoError(t, err)
		require.Equal(t, `{"items":[],"bookmark":""}`, string(b))
	}
}

func TestPagesAreBounded(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	for range 120 {
		s.Do(t, s.reader, ledgerapi.RequestAccess, s.ask(s.record.Record))
	}
	for limit, want := range map[int]int{0: ledgerapi.DefaultPageSize, 1: 1, 100: 100, 101: 100, 1 << 40: 100} {
		r := s.Query(s.Orgs[ledgertest.HospitalA])
		page, err := ledger.ListRequests(r, ledgerapi.PageQuery{Patient: s.patient.Handle, Limit: limit})
		require.NoError(t, err)
		require.Len(t, page.Items, want)
		require.NotEmpty(t, page.Bookmark)
		require.LessOrEqual(t, r.Reads(), 101)
	}
	require.Len(t, s.trail(t, s.patient.Handle), 125)
}

func TestASearchThatFindsNothingIsBoundedAndMakesProgress(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	const records = 260
	for range records {
		s.Record(t, s.author, s.scope, emr.ClassMedicine)
	}
	q := ledgerapi.SearchQuery{Patient: s.patient.Handle, Class: emr.ClassOmics, Limit: 1}
	pages := 0
	for {
		r := s.Query(s.Orgs[ledgertest.HospitalA])
		page, err := ledger.SearchRecords(r, q)
		require.NoError(t, err)
		require.Empty(t, page.Items)
		require.LessOrEqual(t, r.Reads(), 250)
		pages++
		if page.Bookmark == "" {
			break
		}
		require.NotEqual(t, q.Bookmark, page.Bookmark)
		q.Bookmark = page.Bookmark
	}
	require.Equal(t, 2, pages)
}

func TestAForgedBookmarkShowsNobodyElsesEntries(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	other := s.Patient(t, ledgertest.HospitalA)
	mark := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	for _, text := range []string{
		"0/0", "9999999999999999999/z", "-/-", "0/" + string(s.record.Record), "../x", "a/b/c", "a", "", "/", "a/", "/b",
		"a\x00b/c", "a/\U0010FFFF", string(s.patient.Handle) + "/0", "0/" + strings.Repeat("x", 161), "a b/c", "\x00patient-audit\x00/",
	} {
		bookmark := mark(text)
		page, err := ledger.AuditByPatient(s.Query(s.Orgs[ledgertest.HospitalA]),
			ledgerapi.PageQuery{Patient: other.Handle, Bookmark: bookmark})
		if err != nil {
			refuses(t, err, emr.CodeInvalid, "bookmark")
			continue
		}
		for _, entry := range page.Items {
			require.Equal(t, other.Handle, entry.Patient)
		}
	}
	for _, bookmark := range []string{"%%%", "YQ==", "YS9i=", "YS9j\n", "\x00"} {
		_, err := ledger.AuditByPatient(s.Query(s.Orgs[ledgertest.HospitalA]),
			ledgerapi.PageQuery{Patient: other.Handle, Bookmark: bookmark})
		refuses(t, err, emr.CodeInvalid, "bookmark")
	}
}

func TestDamagedStateIsAnInternalError(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	r := s.Query(s.Orgs[ledgertest.HospitalA])
	for name, value := range map[string]string{
		"not JSON": `{`, "an unknown version": strings.Replace(documentOf(t, s), `"v":1`, `"v":0`, 1),
		"an unknown field": strings.Replace(documentOf(t, s), `"v":1`, `"v":1,"x":1`, 1),
	} {
		s.Overwrite(ledgerapi.RecordKey(s.record.Record), []byte(value))
		_, err := ledger.GetRecord(r, ledgerapi.RecordQuery{Record: s.record.Record})
		refuses(t, err, emr.CodeInternal, "")
		require.Equal(t, emr.InternalMessage, emr.Public(err).Message, name)
		_, err = s.Try(t, s.reader, ledgerapi.RequestAccess, s.ask(s.record.Record))
		refuses(t, err, emr.CodeInternal, "")
	}
}

func TestADocumentOfALaterSchemaIsUnsupportedAndNotMisread(t *testing.T) {
	t.Parallel()
	for _, change := range []string{`"v":2`, `"v":2,"later":true`} {
		s := newScene(t)
		s.Overwrite(ledgerapi.RecordKey(s.record.Record), []byte(strings.Replace(documentOf(t, s), `"v":1`, change, 1)))
		_, err := ledger.GetRecord(s.Query(s.Orgs[ledgertest.HospitalA]), ledgerapi.RecordQuery{Record: s.record.Record})
		refuses(t, err, emr.CodeUnsupported, "upgraded")
		require.Contains(t, emr.Public(err).Message, "version 2", "whoever asks learns why")
		_, err = s.Try(t, s.reader, ledgerapi.RequestAccess, s.ask(s.record.Record))
		refuses(t, err, emr.CodeUnsupported, "upgraded")
	}
}

func documentOf(t *testing.T, s *scene) string {
	t.Helper()
	record := emr.Record{V: 1, ID: s.record.Record}
	b, err := emr.Canonical(record)
	require.NoError(t, err)
	return string(b)
}

var errStore = errors.New("store of peer0 fails")

// TestAFailingStoreFailsTheTransaction makes each operation of each transaction of
// people fail in turn: the rule must report it and not go on.
func TestAFailingStoreFailsTheTransaction(t *testing.T) {
	t.Parallel()
	runs := 0
	lives(t, func(tx *ledgertest.Tx, function string, raw []byte, _ any, err error) {
		if err != nil {
			return
		}
		for failing := 0; ; failing++ {
			n := 0
			again := tx.Again().With(ledgertest.Hooks{Fail: func(string) error {
				if n++; n > failing {
					return errStore
				}
				return nil
			}})
			_, err := ledgertest.Run(again, function, raw)
			if n <= failing { // every operation went well
				require.NoError(t, err)
				break
			}
			require.ErrorIs(t, err, errStore, "%s, operation %d", function, failing)
			require.Equal(t, emr.CodeInternal, emr.CodeOf(err))
			runs++
		}
	})
	require.Greater(t, runs, 1000)
}

func TestAFailingStoreFailsTheQuery(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	grant := s.give(t)
	read := s.read(grant.Terms.Grant)
	s.disclose(t, s.reader, read)
	signed := s.open(t, s.reader, read.Disclosure)
	request := s.ask(s.record.Record)
	s.Do(t, s.reader, ledgerapi.RequestAccess, request)
	drop := func(_ any, err error) error { return err }
	p := ledgerapi.PageQuery{Patient: s.patient.Handle}
	for name, query := range map[string]func(ledger.Reader) error{
		ledgerapi.GetOrganisations: func(r ledger.Reader) error { return drop(ledger.GetOrganisations(r, ledgerapi.Empty{})) },
		ledgerapi.ResolvePatient: func(r ledger.Reader) error {
			return drop(ledger.ResolvePatient(r, ledgerapi.ResolvePatientQuery{Patient: s.patient.ID}))
		},
		ledgerapi.GetManifest: func(r ledger.Reader) error {
			return drop(ledger.GetManifest(r, ledgerapi.RecordQuery{Record: s.record.Record}))
		},
		ledgerapi.GetRequestAction: func(r ledger.Reader) error {
			return drop(ledger.GetRequestAction(r, ledgerapi.RequestQuery{Request: request.Request}))
		},
		ledgerapi.SearchRecords: func(r ledger.Reader) error {
			return drop(ledger.SearchRecords(r, ledgerapi.SearchQuery{Patient: s.patient.Handle}))
		},
		ledgerapi.ListRelationships: func(r ledger.Reader) error { return drop(ledger.ListRelationships(r, p)) },
		ledgerapi.ListRequests:      func(r ledger.Reader) error { return drop(ledger.ListRequests(r, p)) },
		ledgerapi.ListGrants:        func(r ledger.Reader) error { return drop(ledger.ListGrants(r, p)) },
		ledgerapi.GetAction: func(r ledger.Reader) error {
			return drop(ledger.GetAction(r, ledgerapi.ActionQuery{Action: signed.Digest()}))
		},
		ledgerapi.CheckTicket: func(r ledger.Reader) error {
			return drop(ledger.CheckTicket(r, ledgerapi.CheckTicketQuery{Signed: *signed}))
		},
		ledgerapi.AuditByPatient: func(r ledger.Reader) error { return drop(ledger.AuditByPatient(r, p)) },
		ledgerapi.AuditByRecord: func(r ledger.Reader) error {
			return drop(ledger.AuditByRecord(r, ledgerapi.PageQuery{Record: s.record.Record}))
		},
	} {
		require.NoError(t, query(s.Query(s.Orgs[ledgertest.HospitalA])), name)
		for failing := 0; ; failing++ {
			n := 0
			r := s.Query(s.Orgs[ledgertest.HospitalA]).With(ledgertest.Hooks{Fail: func(string) error {
				if n++; n > failing {
					return errStore
				}
				return nil
			}})
			err := query(r)
			if n <= failing {
				break
			}
			require.ErrorIs(t, err, errStore, name)
		}
	}
}
