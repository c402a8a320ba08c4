// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/chaincode/ledger"
	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// TestAnEntryAboutAPatientIsStoredOnce: it is found by everybody whom it concerns, and there is one of it.
func TestAnEntryAboutAPatientIsStoredOnce(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	auditor := s.auditor(t)
	tx := s.Begin(s.Facts(s.reader.Org.Gateway))
	_, err := ledger.Disclose(tx, s.part(t, s.reader, s.read("")))
	require.NoError(t, err)
	places := map[string]string{}
	for _, w := range writesOf(t, tx) {
		switch w.key.Type {
		case ledgerapi.TypeAuditByRecord, ledgerapi.TypeAuditByActor, ledgerapi.TypeAuditByOrg, ledgerapi.TypeAuditByPatient:
			require.Empty(t, places[w.key.Type])
			places[w.key.Type] = w.value
		}
	}
	require.Len(t, places, 4)
	var stored emr.AuditEntry
	require.NoError(t, emr.Decode([]byte(places[ledgerapi.TypeAuditByPatient]), &stored))
	for typ, value := range places {
		if typ != ledgerapi.TypeAuditByPatient {
			require.Equal(t, string(s.patient.Handle), value, typ)
		}
	}
	require.NoError(t, tx.Commit())
	for _, subject := range []emr.LogSubject{
		{Patient: s.patient.Handle}, {Record: s.record.Record}, {Actor: string(s.reader.ID)}, {Org: s.reader.Org.ID},
	} {
		asked := inspecting(subject)
		s.inspect(t, auditor, asked)
		require.Contains(t, s.readLog(t, ledgertest.Regulator, reading(asked)), stored, "%v", subject)
	}
}

// TestALogThatLeadsNowhereIsDamage: an index that names an entry which this peer does not have is told as damage, and by every door that follows it.
func TestALogThatLeadsNowhereIsDamage(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.disclose(t, s.reader, s.read(""))
	waiting := s.unsealed(t, ledgertest.HospitalB)
	_, err := s.seal(t, ledgertest.HospitalB, namesOf(waiting)...)
	require.NoError(t, err)
	s.disclose(t, s.reader, s.read(""))
	fresh := s.unsealed(t, ledgertest.HospitalB)
	readings := s.trail(t, s.patient.Handle)[:2]
	doors := map[string]func(r ledger.Reader) error{
		"a record's trail": func(r ledger.Reader) error {
			_, err := ledger.AuditByRecord(r, ledgerapi.PageQuery{Record: s.record.Record})
			return err
		},
		"what is unsealed": func(r ledger.Reader) error {
			_, err := ledger.ListUnsealed(r, ledgerapi.UnsealedQuery{Org: ledgertest.HospitalB})
			return err
		},
		"a proof": func(r ledger.Reader) error {
			_, err := ledger.ProveSealed(r, proofOf(&readings[1]))
			return err
		},
	}
	broken := errors.New("the store is broken")
	for name, open := range doors {
		require.NoError(t, open(s.Query(s.Orgs[ledgertest.HospitalB])), name)
		gets := ledgertest.Hooks{Fail: func(operation string) error {
			if operation == "get" {
				return broken
			}
			return nil
		}}
		require.ErrorIs(t, open(s.Query(s.Orgs[ledgertest.HospitalB]).With(gets)), broken, name)
	}
	for _, e := range readings {
		key := ledgerapi.Key{Type: ledgerapi.TypeAuditByPatient, Attributes: []string{
			string(s.patient.Handle), s.momentOf(t, ledgertest.HospitalB, &e), ledgerapi.EntryID(e.TxID, e.Record, e.Ref),
		}}
		s.Overwrite(key, nil)
	}
	for _, open := range doors {
		refuses(t, open(s.Query(s.Orgs[ledgertest.HospitalB])), emr.CodeCorrupt, "missing")
	}
	before := s.Dump()
	_, err = ledger.SealReadings(s.Begin(s.Facts(s.Orgs[ledgertest.HospitalB].Gateway)), ledgerapi.SealReadingsArgs{Entries: namesOf(fresh)})
	refuses(t, err, emr.CodeCorrupt, "missing")
	require.Equal(t, before, s.Dump())
}
