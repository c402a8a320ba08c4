// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/chaincode/ledger"
	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// The tests of this file are named after defects found in other ledgers of health records.

func TestIdentityBCannotActForPatientA(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	grant := s.give(t)
	request := s.ask(s.record.Record)
	request.Purpose = emr.PurposeResearch
	s.Do(t, s.reader, ledgerapi.RequestAccess, request)
	mallory := s.Patient(t, ledgertest.HospitalB)
	a := s.patient.Handle
	for function, args := range map[string]any{
		ledgerapi.GrantAccess:        s.Grant(s.scope, s.reader, s.record.Record),
		ledgerapi.RevokeAccess:       ledgerapi.RevokeAccessArgs{Patient: a, Grant: grant.Terms.Grant},
		ledgerapi.RefuseAccess:       ledgerapi.RefuseAccessArgs{Patient: a, Request: request.Request},
		ledgerapi.AnswerRelationship: ledgerapi.AnswerRelationshipArgs{Patient: a, Hospital: ledgertest.HospitalA},
		ledgerapi.PublishScopes:      ledgerapi.PublishScopesArgs{Patient: a, Scopes: []ledgerapi.NewScope{ledgertest.NewScope(t, emr.LevelLow)}},
	} {
		t.Run(function, func(t *testing.T) {
			before := s.Dump()
			_, err := s.Try(t, mallory, function, args)
			refuses(t, err, emr.CodeForbidden, "another patient")
			// Naming the victim as the actor does not help: the pinned key decides.
			action := s.Action(t, s.patient, function, args)
			for _, thief := range []ledgertest.Member{mallory, s.reader, s.author} {
				_, err = s.Submit(t, thief.Home(), function, ledgertest.Seal(t, action, thief.ActorKey()))
				refuses(t, err, emr.CodeUnauthenticated, "signature")
			}
			require.Equal(t, before, s.Dump())
		})
	}
}

func TestAHospitalCannotConsentByMintingACertificate(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	home := s.patient.Org
	minted, key := home.Issue(t, ledgertest.Wish{CN: string(s.patient.ID), Role: "patient"})
	impostor := *s.patient
	impostor.Cert, impostor.Consent = minted, key
	_, err := s.Try(t, &impostor, ledgerapi.RegisterPatient, impostor.Args())
	refuses(t, err, emr.CodeExists, "")
	impostor.Handle = ledgertest.ID[emr.Handle]("hnd_")
	_, err = s.Try(t, &impostor, ledgerapi.RegisterPatient, impostor.Args())
	refuses(t, err, emr.CodeExists, "under a handle")
	impostor.Handle = s.patient.Handle
	_, err = s.Try(t, &impostor, ledgerapi.GrantAccess, s.Grant(s.scope, s.author, s.record.Record))
	refuses(t, err, emr.CodeUnauthenticated, "signature")
}

func TestActorAndTimeOfAnEntryAreNotArguments(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.Wait(time.Minute)
	action := s.Action(t, s.reader, ledgerapi.RequestAccess, s.ask(s.record.Record))
	action.Issued -= 40 // what the action says of its time does not matter
	_, err := s.Submit(t, s.reader.Org, ledgerapi.RequestAccess, ledgertest.Seal(t, action, s.reader.Key))
	require.NoError(t, err)
	entry := s.trail(t, s.patient.Handle)[0]
	require.Equal(t, s.Now, entry.At)
	require.Equal(t, string(s.reader.ID), entry.Actor)
	require.Equal(t, ledgertest.HospitalB, entry.Org)
}

func TestRevocationIsStoredAndTheNextReadingIsDenied(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	grant := s.give(t)
	require.Equal(t, emr.Permit, s.disclose(t, s.reader, s.read(grant.Terms.Grant)).Decision)
	s.Do(t, s.patient, ledgerapi.RevokeAccess, ledgerapi.RevokeAccessArgs{Patient: s.patient.Handle, Grant: grant.Terms.Grant})
	require.Equal(t, emr.GrantRevoked, s.getGrant(t, grant.Terms.Grant).Status, "the grant is kept, not deleted")
	require.Equal(t, emr.ReasonRevoked, s.disclose(t, s.reader, s.read(grant.Terms.Grant)).Reason)
}

func TestADisclosureHeldBackDoesNotCommitAfterTheRevocation(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	grant := s.give(t)
	held := s.Begin(s.Facts(s.reader.Org.Gateway))
	answer, err := ledger.Disclose(held, ledgertest.Raw(t, s.Sign(t, s.reader, ledgerapi.Disclose, s.read(grant.Terms.Grant))))
	require.NoError(t, err)
	require.Equal(t, emr.Permit, answer.Decision)
	s.Do(t, s.patient, ledgerapi.RevokeAccess, ledgerapi.RevokeAccessArgs{Patient: s.patient.Handle, Grant: grant.Terms.Grant})
	require.ErrorIs(t, held.Commit(), ledgertest.ErrConflict)
}

func TestARequestHeldBackIsNotPermittedAfterTheRevocation(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	grant := s.give(t)
	held := s.Begin(s.Facts(s.reader.Org.Gateway))
	answer, err := ledger.RequestAccess(held, ledgertest.Raw(t, s.Sign(t, s.reader, ledgerapi.RequestAccess, s.ask(s.record.Record))))
	require.NoError(t, err)
	require.Equal(t, emr.Permit, answer.Decision)
	s.Do(t, s.patient, ledgerapi.RevokeAccess, ledgerapi.RevokeAccessArgs{Patient: s.patient.Handle, Grant: grant.Terms.Grant})
	require.ErrorIs(t, held.Commit(), ledgertest.ErrConflict)
}

func TestEveryKeyIsCompositeAndNoChoiceOfIDsCollides(t *testing.T) {
	t.Parallel()
	share(t, func(tx *ledgertest.Tx, function string, _ []byte, _ any, _ error) {
		for _, w := range tx.Effects().Writes {
			require.True(t, strings.HasPrefix(w, `"\x00`), "%s writes %s", function, w)
		}
	})
}

func TestIndependentTransactionsDoNotConflict(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	grant := s.give(t)
	type prepared struct {
		tx   *ledgertest.Tx
		name string
	}
	var all []prepared
	begin := func(by ledgertest.Member, function string, args any) {
		tx := s.Begin(s.Facts(by.Home().Gateway))
		_, err := ledgertest.Run(tx, function, ledgertest.Raw(t, s.Sign(t, by, function, args)))
		require.NoError(t, err)
		all = append(all, prepared{tx, function})
	}
	for range 3 { // about the same patient, record and grant, at the same second
		begin(s.reader, ledgerapi.RequestAccess, s.ask(s.record.Record))
		begin(s.reader, ledgerapi.Disclose, s.read(grant.Terms.Grant))
		begin(s.author, ledgerapi.RegisterRecord, s.Manifest(t, s.author, s.scope, emr.ClassMedicine))
	}
	// What continues the patient's audit chain conflicts with its like alone.
	begin(s.patient, ledgerapi.GrantAccess, s.Grant(s.scope, s.author, s.record.Record))
	before := len(s.trail(t, s.patient.Handle))
	for _, p := range all {
		require.NoError(t, p.tx.Commit(), p.name)
	}
	require.Len(t, s.trail(t, s.patient.Handle), before+len(all), "no entry replaced another")
}

func TestATransactionOfAnotherChannelOrContractCannotBeReplayed(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	grant := s.Grant(s.scope, s.reader, s.record.Record)
	action := s.Action(t, s.patient, ledgerapi.GrantAccess, grant)
	action.Channel = "test"
	_, err := s.Submit(t, s.patient.Org, ledgerapi.GrantAccess, ledgertest.Seal(t, action, s.patient.Consent))
	refuses(t, err, emr.CodeInvalid, "channel")
}

func TestTheTrailIsAppendedToAndNeverChanged(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	share(t, func(tx *ledgertest.Tx, _ string, _ []byte, _ any, err error) {
		require.NoError(t, err)
		for _, w := range tx.Effects().Writes {
			name, _, _ := strings.Cut(w, "=")
			if strings.Contains(name, "-audit") {
				require.False(t, seen[name], "written twice: %s", name)
				seen[name] = true
			}
		}
		require.False(t, slices.ContainsFunc(tx.Effects().Reads, func(r string) bool { return strings.Contains(r, "-audit") }))
	})
	require.NotEmpty(t, seen)
}
