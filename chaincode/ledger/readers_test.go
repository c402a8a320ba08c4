// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/chaincode/ledger"
	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// TestRevokingTellsWhoHasReadAlready: by grant and by record, denials left out.
func TestRevokingTellsWhoHasReadAlready(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	colleague := s.Clinician(t, ledgertest.HospitalC, emr.RolePhysician, emr.LevelPrivate)
	mine, theirs := s.give(t), s.Grant(s.scope, colleague)
	s.Do(t, s.patient, ledgerapi.GrantAccess, theirs)
	first, second := s.read(mine.Terms.Grant), s.read(mine.Terms.Grant)
	s.disclose(t, s.reader, first)
	s.disclose(t, s.reader, second)
	s.disclose(t, colleague, s.read(mine.Terms.Grant)) // denied
	other := s.read(theirs.Terms.Grant)
	s.disclose(t, colleague, other)
	emergency := s.under(s.broken(t))
	s.disclose(t, s.reader, emergency)
	s.Do(t, s.patient, ledgerapi.RevokeAccess, ledgerapi.RevokeAccessArgs{Patient: s.patient.Handle, Grant: mine.Terms.Grant})
	s.disclose(t, s.reader, s.read(mine.Terms.Grant)) // denied
	ask := func(q ledgerapi.WhoHasReadQuery) *ledgerapi.ReadingPage {
		t.Helper()
		q.Patient = s.patient.Handle
		page, err := ledger.WhoHasRead(s.Query(s.Orgs[ledgertest.HospitalA]), q)
		require.NoError(t, err)
		return page
	}
	ids := func(page *ledgerapi.ReadingPage) []emr.DisclosureID {
		var all []emr.DisclosureID
		for _, reading := range page.Items {
			all = append(all, reading.ID)
		}
		return all
	}
	page := ask(ledgerapi.WhoHasReadQuery{Grant: mine.Terms.Grant})
	require.Equal(t, []emr.DisclosureID{second.Disclosure, first.Disclosure}, ids(page))
	require.Equal(t, []string{string(s.reader.ID)}, page.Readers)
	page = ask(ledgerapi.WhoHasReadQuery{Grant: theirs.Terms.Grant})
	require.Equal(t, []string{string(colleague.ID)}, page.Readers)
	s.erased(t, s.record.Record)
	page = ask(ledgerapi.WhoHasReadQuery{Record: s.record.Record})
	require.Equal(t, []emr.DisclosureID{emergency.Disclosure, other.Disclosure, second.Disclosure, first.Disclosure}, ids(page),
		"of an erased record, too")
	require.Equal(t, slices.Sorted(slices.Values([]string{string(s.reader.ID), string(colleague.ID)})), page.Readers)
	one := ask(ledgerapi.WhoHasReadQuery{Record: s.record.Record, Limit: 1})
	require.Len(t, one.Items, 1)
	rest := ask(ledgerapi.WhoHasReadQuery{Record: s.record.Record, Bookmark: one.Bookmark})
	require.Len(t, rest.Items, 3)
}

func TestWhoHasReadIsThePatientsToAsk(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	grant := s.give(t)
	other := s.Patient(t, ledgertest.HospitalA)
	for name, test := range map[string]struct {
		q    ledgerapi.WhoHasReadQuery
		code emr.Code
	}{
		"another patient's grant":  {ledgerapi.WhoHasReadQuery{Patient: other.Handle, Grant: grant.Terms.Grant}, emr.CodeNotFound},
		"another patient's record": {ledgerapi.WhoHasReadQuery{Patient: other.Handle, Record: s.record.Record}, emr.CodeNotFound},
		"nobody":                   {ledgerapi.WhoHasReadQuery{Grant: grant.Terms.Grant}, emr.CodeInvalid},
		"nothing":                  {ledgerapi.WhoHasReadQuery{Patient: s.patient.Handle}, emr.CodeInvalid},
		"both":                     {ledgerapi.WhoHasReadQuery{Patient: s.patient.Handle, Grant: grant.Terms.Grant, Record: s.record.Record}, emr.CodeInvalid},
		"no grant's id":            {ledgerapi.WhoHasReadQuery{Patient: s.patient.Handle, Grant: "x"}, emr.CodeInvalid},
		"an unknown record":        {ledgerapi.WhoHasReadQuery{Patient: s.patient.Handle, Record: ledgertest.ID[emr.RecordID]("rec_")}, emr.CodeNotFound},
		"a bad bookmark":           {ledgerapi.WhoHasReadQuery{Patient: s.patient.Handle, Record: s.record.Record, Bookmark: "?"}, emr.CodeInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ledger.WhoHasRead(s.Query(s.Orgs[ledgertest.HospitalA]), test.q)
			refuses(t, err, test.code, "")
		})
	}
}

func TestAnOrganisationIsToldWhatItStillOwes(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	first := s.erased(t, s.erasable(t))
	second := s.erased(t, s.erasable(t))
	list := func(q ledgerapi.ErasuresQuery) []emr.ErasureID {
		t.Helper()
		page, err := ledger.ListErasures(s.Query(s.Orgs[ledgertest.HospitalA]), q)
		require.NoError(t, err)
		var ids []emr.ErasureID
		for _, order := range page.Items {
			ids = append(ids, order.ID)
		}
		return ids
	}
	require.Equal(t, []emr.ErasureID{second, first}, list(ledgerapi.ErasuresQuery{Org: ledgertest.HospitalB}))
	s.confirmAll(t, first, ledgertest.HospitalB)
	require.Equal(t, []emr.ErasureID{second}, list(ledgerapi.ErasuresQuery{Org: ledgertest.HospitalB}))
	require.Equal(t, []emr.ErasureID{second, first}, list(ledgerapi.ErasuresQuery{Org: ledgertest.HospitalC}), "each owes for itself")
	require.Equal(t, []emr.ErasureID{second, first}, list(ledgerapi.ErasuresQuery{Patient: s.patient.Handle}))
	require.Empty(t, list(ledgerapi.ErasuresQuery{Org: "NobodyMSP"}))
	for _, q := range []ledgerapi.ErasuresQuery{
		{}, {Patient: s.patient.Handle, Org: ledgertest.HospitalA}, {Patient: "x"}, {Org: "a b"}, {Org: ledgertest.HospitalA, Bookmark: "?"},
	} {
		_, err := ledger.ListErasures(s.Query(s.Orgs[ledgertest.HospitalA]), q)
		refuses(t, err, emr.CodeInvalid, "")
	}
	for _, id := range []emr.ErasureID{"x", ledgertest.ID[emr.ErasureID](emr.ErasurePrefix)} {
		_, err := ledger.GetErasure(s.Query(s.Orgs[ledgertest.HospitalA]), ledgerapi.ErasureQuery{Erasure: id})
		require.Error(t, err)
		_, err = ledger.ListLeftovers(s.Query(s.Orgs[ledgertest.HospitalA]), ledgerapi.LeftoversQuery{Erasure: id})
		require.Error(t, err)
	}
}

func (s *scene) erasable(t *testing.T) emr.RecordID {
	t.Helper()
	return s.Record(t, s.author, s.scope, emr.ClassPrescription).Record
}

// TestTheEventsOfAnErasureNameNoPatient, and public state holds no note and no pseudonym.
func TestTheEventsOfAnErasureNameNoPatient(t *testing.T) {
	t.Parallel()
	s := erasures(t, nil)
	for _, e := range s.Events {
		require.NotContains(t, string(e.Payload), emr.PatientPrefix, e.Name)
		require.NotContains(t, string(e.Payload), emr.HandlePrefix, e.Name)
	}
	require.NotContains(t, s.Dump(), emr.PatientPrefix)
	require.NotContains(t, s.Dump(), "please")
	s.verified(t, s.patient.Handle)
}
