// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger_test

import (
	"bytes"
	"crypto/sha256"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/chaincode/ledger"
	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
	"github.com/emrys-health/emrys/pkg/pre"
)

// TestADirectKeyIsHandedOutAgainstATicketAlone runs a direct grant to the key that the reader opens.
func TestADirectKeyIsHandedOutAgainstATicketAlone(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	second := s.Record(t, s.author, s.scope, emr.ClassPrescription).Record
	grant := s.direct(t, s.record.Record, second)
	s.Do(t, s.patient, ledgerapi.GrantAccess, grant)
	stored := s.getGrant(t, grant.Terms.Grant)
	require.Equal(t, []emr.Digest{grant.Direct[0].Commitment, grant.Direct[1].Commitment}, stored.Commitments)
	for i := range grant.Direct {
		encoded, err := emr.Canonical(grant.Direct[i].Sealed)
		require.NoError(t, err)
		require.NotContains(t, s.Dump(), string(encoded[1:60]), "what is sealed is private")
	}
	hash, err := grant.Terms.Hash()
	require.NoError(t, err)
	for i, record := range grant.Terms.Records {
		read := s.read(grant.Terms.Grant)
		read.Record = record
		require.Equal(t, emr.Permit, s.disclose(t, s.reader, read).Decision)
		for _, org := range []emr.OrgID{ledgertest.HospitalA, ledgertest.HospitalB} {
			ticket := s.check(t, org, s.open(t, s.reader, read.Disclosure))
			require.Equal(t, grant.Direct[i], ticket.Direct, "of this record and no other")
			require.Zero(t, ticket.Fragment, "there is nothing for a proxy to re-encrypt with")
		}
		ticket := s.check(t, ledgertest.HospitalB, s.open(t, s.reader, read.Disclosure))
		key, err := pre.OpenDirectKey(s.reader.Hybrid, sha256.Sum256([]byte(record)), hash, ticket.Direct.Sealed)
		require.NoError(t, err)
		want := sha256.Sum256([]byte("K_pre of " + record))
		require.Equal(t, want[:], key)
	}
	read := s.read(grant.Terms.Grant)
	s.disclose(t, s.reader, read)
	thief := s.check(t, ledgertest.HospitalB, s.open(t, s.author, read.Disclosure))
	require.Equal(t, emr.ReasonNotReader, thief.Reason)
	require.Zero(t, thief.Direct)
	s.Wait(11 * time.Minute)
	require.Zero(t, s.check(t, ledgertest.HospitalB, s.open(t, s.reader, read.Disclosure)).Direct, "not after the ticket's time")

	read = s.read(grant.Terms.Grant)
	s.disclose(t, s.reader, read)
	less := narrowing(grant)
	less.Records = []emr.RecordID{second}
	s.Do(t, s.patient, ledgerapi.NarrowGrant, less)
	narrowed := s.check(t, ledgertest.HospitalB, s.open(t, s.reader, read.Disclosure))
	require.Equal(t, emr.ReasonNotCovered, narrowed.Reason)
	require.Zero(t, narrowed.Direct)
	s.Do(t, s.patient, ledgerapi.RevokeAccess, ledgerapi.RevokeAccessArgs{Patient: s.patient.Handle, Grant: grant.Terms.Grant})
	require.Empty(t, s.Private(ledgerapi.FragmentKey(grant.Terms.Grant)), "revocation purges it")
	require.Zero(t, s.check(t, ledgertest.HospitalB, s.open(t, s.reader, read.Disclosure)).Direct)
}

func TestADirectGrantOfARecordGivesNoOther(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	second := s.Record(t, s.author, s.scope, emr.ClassPrescription).Record
	grant := s.direct(t, s.record.Record)
	s.Do(t, s.patient, ledgerapi.GrantAccess, grant)
	read := s.read(grant.Terms.Grant)
	read.Record = second
	require.Equal(t, emr.ReasonNotCovered, s.disclose(t, s.reader, read).Reason)
}

// TestADirectGrantEndsWithTheHybridKey: it was sealed to that key.
func TestADirectGrantEndsWithTheHybridKey(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	grant, fragments := s.direct(t, s.record.Record), s.Grant(s.scope, s.reader, s.record.Record)
	s.Do(t, s.patient, ledgerapi.GrantAccess, grant)
	s.Do(t, s.patient, ledgerapi.GrantAccess, fragments)
	read := s.read(grant.Terms.Grant)
	s.disclose(t, s.reader, read)
	s.Do(t, s.reader, ledgerapi.RotateClinicianKeys, ledgerapi.RotateClinicianKeysArgs{
		Clinician: s.reader.ID, Reading: s.reader.Reading.Public().Bytes(), Hybrid: ledgertest.NewHybrid(t).Public().Bytes(),
	})
	require.Equal(t, emr.ReasonReaderKey, s.disclose(t, s.reader, s.read(grant.Terms.Grant)).Reason)
	require.Equal(t, emr.ReasonReaderKey, s.check(t, ledgertest.HospitalA, s.open(t, s.reader, read.Disclosure)).Reason)
	require.Equal(t, emr.Permit, s.disclose(t, s.reader, s.read(fragments.Terms.Grant)).Decision, "fragments are to the reading key")
	_, err := s.Try(t, s.patient, ledgerapi.GrantAccess, s.direct(t, s.record.Record))
	refuses(t, err, emr.CodeStale, "terms.readerHybrid")
}

func TestADirectGrantIsRefused(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	second := s.Record(t, s.author, s.scope, emr.ClassPrescription).Record
	plain := s.Grant(s.scope, s.reader, s.record.Record)
	type args = ledgerapi.GrantAccessArgs
	for name, test := range map[string]struct {
		change func(*testing.T, *args)
		code   emr.Code
		field  string
	}{
		"of a whole scope":             {func(_ *testing.T, a *args) { a.Terms.Records, a.Direct = []emr.RecordID{}, nil }, emr.CodeInvalid, "terms.records"},
		"of too many records":          {func(_ *testing.T, a *args) { a.Terms.Records = manyRecords(33) }, emr.CodeInvalid, "terms.records"},
		"with a threshold":             {func(_ *testing.T, a *args) { a.Terms.Threshold = 2 }, emr.CodeInvalid, "terms.threshold"},
		"with gateways":                {func(_ *testing.T, a *args) { a.Terms.Gateways = plain.Terms.Gateways }, emr.CodeInvalid, "terms.gateways"},
		"with no list of gateways":     {func(_ *testing.T, a *args) { a.Terms.Gateways = nil }, emr.CodeInvalid, "terms.gateways"},
		"with fragments":               {func(_ *testing.T, a *args) { a.Fragments = plain.Fragments }, emr.CodeInvalid, "fragments"},
		"with a key too few":           {func(_ *testing.T, a *args) { a.Direct = a.Direct[:1] }, emr.CodeInvalid, "direct"},
		"with no key":                  {func(_ *testing.T, a *args) { a.Direct = nil }, emr.CodeInvalid, "direct"},
		"with keys out of order":       {func(_ *testing.T, a *args) { a.Direct[0], a.Direct[1] = a.Direct[1], a.Direct[0] }, emr.CodeInvalid, "direct[0].record"},
		"with a key of another size":   {func(_ *testing.T, a *args) { a.Direct[1].Sealed = a.Direct[1].Sealed[1:] }, emr.CodeInvalid, "direct[1].sealed"},
		"with a key of another KEM":    {func(_ *testing.T, a *args) { a.Direct[1].Sealed[1]++ }, emr.CodeInvalid, "direct[1].sealed"},
		"with octets that are changed": {func(_ *testing.T, a *args) { a.Direct[1].Sealed[9]++ }, emr.CodeInvalid, "direct[1].commitment"},
		"with another grant's key":     {func(_ *testing.T, a *args) { a.Terms.Grant = ledgertest.ID[emr.GrantID]("gra_") }, emr.CodeInvalid, "direct[0].commitment"},
		"with one key for two records": {func(t *testing.T, a *args) {
			a.Direct[1].Sealed = bytes.Clone(a.Direct[0].Sealed)
			var err error
			a.Direct[1].Commitment, err = a.Direct[1].Commit(a.Terms.Grant)
			require.NoError(t, err)
		}, emr.CodeInvalid, "direct[1].sealed"},
		"to another hybrid key":  {func(_ *testing.T, a *args) { a.Terms.ReaderHybrid[0]++ }, emr.CodeStale, "terms.readerHybrid"},
		"to no hybrid key":       {func(_ *testing.T, a *args) { a.Terms.ReaderHybrid = emr.Digest{} }, emr.CodeStale, "terms.readerHybrid"},
		"to another reading key": {func(t *testing.T, a *args) { a.Terms.Reader = ledgertest.NewKey(t).Public().Bytes() }, emr.CodeStale, "terms.reader"},
		"keys beside fragments": {func(_ *testing.T, a *args) {
			keys := a.Direct
			*a = *s.Grant(s.scope, s.reader, s.record.Record, second)
			a.Direct = keys
		}, emr.CodeInvalid, "direct"},
		"a hybrid key beside fragments": {func(_ *testing.T, a *args) {
			hybrid := a.Terms.ReaderHybrid
			*a = *s.Grant(s.scope, s.reader, s.record.Record, second)
			a.Terms.ReaderHybrid = hybrid
		}, emr.CodeInvalid, "terms.readerHybrid"},
	} {
		t.Run(name, func(t *testing.T) {
			a := s.direct(t, s.record.Record, second)
			test.change(t, a)
			before := s.Dump()
			_, err := s.Try(t, s.patient, ledgerapi.GrantAccess, a)
			refuses(t, err, test.code, test.field)
			require.Equal(t, before, s.Dump())
		})
	}
}

func manyRecords(n int) []emr.RecordID {
	var all []emr.RecordID
	for i := range n {
		sum := sha256.Sum256([]byte{byte(i)})
		all = append(all, emr.RecordID("rec_"+emr.Digest(sum).String()[:32]))
	}
	slices.Sort(all)
	return all
}

func TestAPeerWithoutTheSealedKeySaysSo(t *testing.T) {
	t.Parallel()
	for name, function := range map[string]string{"alone": ledgerapi.GrantAccess, "in a batch": ledgerapi.GrantBatch} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			grant := s.direct(t, s.record.Record)
			if function == ledgerapi.GrantBatch {
				s.Do(t, s.patient, function, s.several(grant))
			} else {
				s.Do(t, s.patient, function, grant)
			}
			read := s.read(grant.Terms.Grant)
			s.disclose(t, s.reader, read)
			open := ledgerapi.CheckTicketQuery{Signed: *s.open(t, s.reader, read.Disclosure)}
			ticket, err := ledger.CheckTicket(s.Query(s.Orgs[ledgertest.HospitalB]), open)
			require.NoError(t, err)
			require.Equal(t, grant.Direct[0], ticket.Direct)
			s.DropPrivate(ledgerapi.FragmentKey(grant.Terms.Grant))
			_, err = ledger.CheckTicket(s.Query(s.Orgs[ledgertest.HospitalB]), open)
			refuses(t, err, emr.CodeUnavailable, "fragment")
		})
	}
}
