// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/chaincode/ledger"
	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/consent"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// share runs everything that the contract offers, once, and returns the scene.
func share(t testing.TB, check func(*ledgertest.Tx, string, []byte, any, error)) *scene {
	t.Helper()
	s := &scene{Consortium: ledgertest.NewConsortium(t)}
	s.Check = check
	s.patient = s.Patient(t, ledgertest.HospitalA)
	s.author = s.Clinician(t, ledgertest.HospitalA, emr.RolePhysician, emr.LevelPrivate)
	s.reader = s.Clinician(t, ledgertest.HospitalB, emr.RolePhysician, emr.LevelPrivate)
	s.Accept(t, s.patient, s.author)
	s.scope = s.Scope(t, s.patient, emr.LevelPrivate)
	s.record = s.Record(t, s.author, s.scope, emr.ClassMedicalImaging)
	refusedRequest := s.ask(s.record.Record)
	s.Do(t, s.reader, ledgerapi.RequestAccess, refusedRequest)
	s.Do(t, s.patient, ledgerapi.RefuseAccess,
		ledgerapi.RefuseAccessArgs{Patient: s.patient.Handle, Request: refusedRequest.Request})
	request := s.ask(s.record.Record)
	s.Do(t, s.reader, ledgerapi.RequestAccess, request)
	grant := s.Grant(s.scope, s.reader, s.record.Record)
	grant.Request, grant.Terms.MaxUses = request.Request, 2
	s.Do(t, s.patient, ledgerapi.GrantAccess, grant)
	read := s.read(grant.Terms.Grant)
	s.disclose(t, s.reader, read)
	s.Do(t, s.patient, ledgerapi.RevokeAccess,
		ledgerapi.RevokeAccessArgs{Patient: s.patient.Handle, Grant: grant.Terms.Grant})
	s.disclose(t, s.reader, s.read(grant.Terms.Grant))
	attempt := s.open(t, s.reader, read.Disclosure)
	_, err := s.Submit(t, s.Orgs[ledgertest.Regulator], ledgerapi.RecordAttempt, attempt)
	require.NoError(t, err)
	s.put(t, consent.Document{Base: emr.Deny})
	s.withdraw(t)
	delegate := s.Patient(t, ledgertest.HospitalB)
	s.Do(t, s.patient, ledgerapi.NameDelegate, ledgerapi.NameDelegateArgs{
		Patient: s.patient.Handle, Delegate: delegate.Handle, Kind: emr.DelegationChosen, Until: s.Now + 60,
	})
	s.Do(t, delegate, ledgerapi.EndDelegation,
		ledgerapi.EndDelegationArgs{Patient: s.patient.Handle, Delegate: delegate.Handle})
	s.delegate = delegate
	return s
}

func TestAWholeShareLeavesItsTrail(t *testing.T) {
	t.Parallel()
	s := share(t, nil)
	var got []emr.AuditEntry
	for _, e := range s.trail(t, s.patient.Handle) {
		require.Equal(t, s.Now, e.At)
		require.Len(t, e.TxID, 64)
		got = append(got, emr.AuditEntry{Kind: e.Kind, Actor: e.Actor, Org: e.Org, Decision: e.Decision, Reason: e.Reason})
	}
	reader, author := string(s.reader.ID), string(s.author.ID)
	patient, a, b := emr.ActorPatient, ledgertest.HospitalA, ledgertest.HospitalB
	require.ElementsMatch(t, []emr.AuditEntry{
		{Kind: emr.AuditDelegationEnd, Actor: string(s.delegate.Handle), Org: b},
		{Kind: emr.AuditDelegation, Actor: patient, Org: a},
		{Kind: emr.AuditConsentWithdrawal, Actor: patient, Org: a},
		{Kind: emr.AuditConsent, Actor: patient, Org: a},
		{Kind: emr.AuditAttempt, Actor: reader, Org: b, Decision: emr.Deny, Reason: emr.ReasonRevoked},
		{Kind: emr.AuditDisclosure, Actor: reader, Org: b, Decision: emr.Deny, Reason: emr.ReasonRevoked},
		{Kind: emr.AuditRevocation, Actor: patient, Org: a},
		{Kind: emr.AuditDisclosure, Actor: reader, Org: b, Decision: emr.Permit, Reason: emr.ReasonGrant},
		{Kind: emr.AuditGrant, Actor: patient, Org: a},
		{Kind: emr.AuditRequest, Actor: reader, Org: b, Decision: emr.Ask, Reason: emr.ReasonNoGrant},
		{Kind: emr.AuditRefusal, Actor: patient, Org: a, Decision: emr.Deny, Reason: emr.ReasonRefused},
		{Kind: emr.AuditRequest, Actor: reader, Org: b, Decision: emr.Ask, Reason: emr.ReasonNoGrant},
		{Kind: emr.AuditRecord, Actor: author, Org: a},
		{Kind: emr.AuditScopes, Actor: patient, Org: a},
		{Kind: emr.AuditRelationship, Actor: patient, Org: a, Decision: emr.Permit},
		{Kind: emr.AuditRelationship, Actor: author, Org: a, Decision: emr.Ask},
		{Kind: emr.AuditRegistered, Actor: patient, Org: a},
	}, got)
}

func TestPublicStateAndEventsNeverHoldThePseudonym(t *testing.T) {
	t.Parallel()
	s := share(t, nil)
	public := s.Dump()
	require.Contains(t, public, string(s.patient.Handle))
	require.NotContains(t, public, string(s.patient.ID))
	require.NotContains(t, public, emr.PatientPrefix)
	require.NotContains(t, public, "please", "the note of a request is private")
	require.NotEmpty(t, s.Events)
	for _, e := range s.Events {
		require.NotContains(t, string(e.Payload), emr.PatientPrefix)
		require.NotContains(t, string(e.Payload), string(s.patient.Handle), "an event names no patient")
	}
}

func TestNothingThatOpensARecordIsPublic(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	grant := s.give(t)
	public := s.Dump()
	for _, f := range grant.Fragments {
		require.NotContains(t, public, string(f.Sealed))
	}
	for _, secret := range [][]byte{s.record.Capsule, s.record.Envelope} {
		encoded, err := emr.Canonical(secret)
		require.NoError(t, err)
		require.NotContains(t, public, string(encoded[1:60]))
	}
}

// lives runs every transaction of people once at least, in the order of whole lives. A new transaction gets its place in one of them.
func lives(t *testing.T, check func(*ledgertest.Tx, string, []byte, any, error)) {
	t.Helper()
	share(t, check)
	live(t, check)
	emergency(t, check)
	amendments(t, check)
	inspections(t, check)
	granting(t, check)
	erasures(t, check)
}

// TestEveryPeerComputesTheSame runs each transaction of a whole share again on a
// copy of the state, and compares what a peer would endorse.
func TestEveryPeerComputesTheSame(t *testing.T) {
	t.Parallel()
	runs, functions := 0, map[string]bool{}
	check := func(tx *ledgertest.Tx, function string, raw []byte, answer any, err error) {
		functions[function] = true
		for range 80 {
			again := tx.Again()
			secondAnswer, secondErr := ledgertest.Run(again, function, raw)
			require.Equal(t, err, secondErr)
			require.Equal(t, answer, secondAnswer)
			require.Equal(t, tx.Effects(), again.Effects())
			runs++
		}
	}
	lives(t, check)
	require.GreaterOrEqual(t, runs, 1000)
	for _, function := range append(ledgerapi.SignedTransactions(), ledgerapi.RecordAttempt) {
		require.True(t, functions[function], function)
	}
}

func TestNoValueOfPublicStateIsLarge(t *testing.T) {
	t.Parallel()
	check := func(tx *ledgertest.Tx, function string, _ []byte, _ any, _ error) {
		for _, w := range tx.Effects().Writes {
			require.Less(t, len(w), 4<<10, function)
		}
	}
	share(t, check)
	emergency(t, check)
	amendments(t, check)
	inspections(t, check)
	granting(t, check)
	erasures(t, check)
}

func TestATicketServesEachGatewayItsOwnFragmentAlone(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	grant := s.give(t)
	read := s.read(grant.Terms.Grant)
	receipt := s.disclose(t, s.reader, read)
	require.Equal(t, emr.Permit, receipt.Decision)
	require.Equal(t, s.Now.Add(10*time.Minute), receipt.Until)
	signed := s.open(t, s.reader, read.Disclosure)
	for i, gateway := range grant.Terms.Gateways {
		ticket := s.check(t, gateway, signed)
		require.Equal(t, emr.Permit, ticket.Decision)
		require.Equal(t, emr.ReasonGrant, ticket.Reason)
		require.Equal(t, grant.Fragments[i], ticket.Fragment)
		require.Equal(t, s.reader.ID, ticket.Reader.ID)
		require.Equal(t, grant.Terms, ticket.Grant.Terms)
		require.Equal(t, s.record.Record, ticket.Manifest.Record.ID)
		require.Equal(t, s.author.ID, ticket.Manifest.Author.ID)
		require.Equal(t, s.scope.Delegating, ticket.Manifest.Scope.Delegating)
		require.Equal(t, ticket.Manifest.Record.Manifest, ticket.Manifest.Signed.Digest())
	}
	own := s.check(t, s.reader.Org.ID, signed)
	require.Equal(t, emr.Permit, own.Decision)
	require.Zero(t, own.Fragment, "the reader's own hospital holds none")
}

func TestEveryTransactionOfAPersonIsFoundByItsAction(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	r := s.Query(s.Orgs[ledgertest.HospitalC])
	signed := s.Sign(t, s.reader, ledgerapi.RequestAccess, s.ask(s.record.Record))
	before, err := ledger.GetAction(r, ledgerapi.ActionQuery{Action: signed.Digest()})
	require.NoError(t, err)
	require.Equal(t, &ledgerapi.ActionView{}, before)
	answer, err := s.Submit(t, s.reader.Org, ledgerapi.RequestAccess, signed)
	require.NoError(t, err)
	receipt := answer.(*ledgerapi.DecisionReceipt)
	after, err := ledger.GetAction(r, ledgerapi.ActionQuery{Action: signed.Digest()})
	require.NoError(t, err)
	require.Equal(t, &ledgerapi.ActionView{Committed: true, TxID: receipt.TxID, ID: receipt.ID}, after)
}
