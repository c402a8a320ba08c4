// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger_test

import (
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

// narrowing leaves everything of a grant as it is, for a test to take something away.
func narrowing(g *ledgerapi.GrantAccessArgs) ledgerapi.NarrowGrantArgs {
	t := g.Terms
	return ledgerapi.NarrowGrantArgs{
		Patient: t.Patient, Grant: t.Grant, Records: t.Records, Purposes: t.Purposes, Until: t.Until, MaxUses: t.MaxUses,
		NoOnward: t.NoOnward, SignedOff: t.SignedOff,
	}
}

// direct makes a direct grant of records of the scene's scope.
func (s *scene) direct(t testing.TB, records ...emr.RecordID) *ledgerapi.GrantAccessArgs {
	t.Helper()
	args := s.Grant(s.scope, s.reader, records...)
	args.Terms.Direct, args.Terms.Threshold, args.Terms.Gateways = true, 0, []emr.OrgID{}
	args.Terms.ReaderHybrid = sha256.Sum256(s.reader.Hybrid.Public().Bytes())
	args.Fragments = []emr.SealedFragment{}
	s.sealDirect(t, args)
	return args
}

// sealDirect seals a key of each record to the reader.
func (s *scene) sealDirect(t testing.TB, args *ledgerapi.GrantAccessArgs) {
	t.Helper()
	hash, err := args.Terms.Hash()
	require.NoError(t, err)
	args.Direct = nil
	for _, record := range args.Terms.Records {
		key := sha256.Sum256([]byte("K_pre of " + record))
		sealed, err := pre.SealDirectKey(s.reader.Hybrid.Public(), sha256.Sum256([]byte(record)), hash, key[:])
		require.NoError(t, err)
		one := emr.SealedKey{Record: record, Sealed: sealed}
		one.Commitment, err = one.Commit(args.Terms.Grant)
		require.NoError(t, err)
		args.Direct = append(args.Direct, one)
	}
}

// ruling sets a rule about wide grants; second is pinned when it is not nil.
func (s *scene) ruling(
	t testing.TB, version uint32, bounds emr.GrantBounds, second *second, people ...ledgertest.Actor,
) ledgerapi.SetGrantRuleArgs {
	t.Helper()
	args := ledgerapi.SetGrantRuleArgs{
		Patient: s.patient.Handle, Version: version, Terms: emr.GrantRuleTerms{Bounds: bounds, Confirmers: []string{}},
	}
	for _, p := range people {
		args.Terms.Confirmers = append(args.Terms.Confirmers, p.ActorID())
	}
	slices.Sort(args.Terms.Confirmers)
	if second != nil {
		pinned := second.pinned()
		args.Terms.Second = &pinned
		args.Proof = s.Sign(t, second, ledgerapi.ProveSecondKey,
			ledgerapi.ProveSecondKeyArgs{Patient: s.patient.Handle, Version: version, Second: pinned})
	}
	return args
}

// second is a patient's second device: the same person with another key.
type second struct {
	*ledgertest.Patient
	key *pre.PrivateKey
}

func (s *second) ActorKey() *pre.PrivateKey { return s.key }

func (s *second) pinned() emr.PinnedKey {
	return emr.PinnedKey{Kind: emr.SignatureP256, Key: s.key.Public().Bytes()}
}

func (s *scene) secondDevice(t testing.TB) *second {
	t.Helper()
	return &second{s.patient, ledgertest.NewKey(t)}
}

func (s *scene) confirmation(t testing.TB, id emr.GrantID) ledgerapi.ConfirmGrantArgs {
	t.Helper()
	terms := s.getGrant(t, id).Terms
	hash, err := terms.Hash()
	require.NoError(t, err)
	return ledgerapi.ConfirmGrantArgs{Patient: s.patient.Handle, Grant: id, Terms: hash}
}

// rule returns the patient's rule as a query shows it.
func (s *scene) rule(t testing.TB) *emr.GrantRule {
	t.Helper()
	rule, err := ledger.GetGrantRule(s.Query(s.Orgs[ledgertest.HospitalC]), ledgerapi.HandleQuery{Patient: s.patient.Handle})
	require.NoError(t, err)
	return rule
}

// signable registers a record with signers, and returns its manifest.
func (s *scene) signable(t testing.TB, signers ...*ledgertest.Clinician) *emr.Manifest {
	t.Helper()
	m := s.Manifest(t, s.author, s.scope, emr.ClassMedicalImaging)
	for _, one := range signers {
		m.Signers = append(m.Signers, emr.Signer{Clinician: one.ID, Org: one.Org.ID, Role: emr.RolePhysician})
	}
	s.Do(t, s.author, ledgerapi.RegisterRecord, m)
	return m
}

func (s *scene) signing(t testing.TB, id emr.RecordID) ledgerapi.SignOffArgs {
	t.Helper()
	record, err := ledger.GetRecord(s.Query(s.Orgs[ledgertest.HospitalC]), ledgerapi.RecordQuery{Record: id})
	require.NoError(t, err)
	return ledgerapi.SignOffArgs{Record: id, Manifest: record.Manifest}
}

func (s *scene) signOff(t testing.TB, id emr.RecordID) *emr.SignOff {
	t.Helper()
	found, err := ledger.GetSignOff(s.Query(s.Orgs[ledgertest.HospitalC]), ledgerapi.RecordQuery{Record: id})
	require.NoError(t, err)
	return found
}

// granting runs every transaction of asking, granting and signing off once.
func granting(t testing.TB, check func(*ledgertest.Tx, string, []byte, any, error)) *scene {
	t.Helper()
	s := newScene(t)
	s.Check = check
	friend, device := s.Patient(t, ledgertest.HospitalC), s.secondDevice(t)
	s.Wait(73 * time.Hour)
	second := s.Record(t, s.author, s.scope, emr.ClassMedicalImaging)
	request := s.ask(s.record.Record)
	request.Wish = &emr.Wish{Records: []emr.RecordID{second.Record}, Purposes: []emr.Purpose{emr.PurposeResearch}, Until: s.Now + 90, MaxUses: 3}
	s.Do(t, s.reader, ledgerapi.RequestAccess, request)
	grant := s.Grant(s.scope, s.reader, s.record.Record)
	grant.Request, grant.Terms.MaxUses, grant.Terms.NoOnward = request.Request, 2, true
	s.Do(t, s.patient, ledgerapi.GrantAccess, grant)
	s.disclose(t, s.reader, s.read(grant.Terms.Grant))
	less := narrowing(grant)
	less.MaxUses = 1
	s.Do(t, s.patient, ledgerapi.NarrowGrant, less)
	s.disclose(t, s.reader, s.read(grant.Terms.Grant))

	s.Do(t, s.patient, ledgerapi.SetGrantRule, s.ruling(t, 0, emr.GrantBounds{Scope: true}, device, friend))
	s.Wait(73 * time.Hour)
	wide, narrow := s.Grant(s.scope, s.reader), s.direct(t, s.record.Record)
	s.Do(t, s.patient, ledgerapi.GrantBatch, ledgerapi.GrantBatchArgs{
		Patient: s.patient.Handle, Grants: []ledgerapi.GrantAccessArgs{*wide, *narrow},
	})
	s.disclose(t, s.reader, s.read(wide.Terms.Grant))
	s.Do(t, friend, ledgerapi.ConfirmGrant, s.confirmation(t, wide.Terms.Grant))
	s.disclose(t, s.reader, s.read(wide.Terms.Grant))
	s.disclose(t, s.reader, s.read(narrow.Terms.Grant))
	s.Do(t, s.patient, ledgerapi.RevokeAccess, ledgerapi.RevokeAccessArgs{Patient: s.patient.Handle, Grant: narrow.Terms.Grant})
	s.Do(t, s.patient, ledgerapi.SetGrantRule, s.ruling(t, 1, emr.GrantBounds{}, nil))
	s.Do(t, device, ledgerapi.ConfirmGrantRule, ledgerapi.ConfirmGrantRuleArgs{Patient: s.patient.Handle, Version: 2})

	m := s.signable(t, s.author, s.reader)
	s.Do(t, s.author, ledgerapi.SignOff, s.signing(t, m.Record))
	refusal := s.signing(t, m.Record)
	refusal.Refuse, refusal.Ground = true, emr.SignOffIncomplete
	s.Do(t, s.reader, ledgerapi.SignOff, refusal)
	return s
}

func TestGrantingLeavesItsTrailAndItsEvents(t *testing.T) {
	t.Parallel()
	s := granting(t, sameAgain(t))
	s.verified(t, s.patient.Handle)
	entries := s.trail(t, s.patient.Handle)
	for i := range len(entries) - 1 { // two of one transaction are in the order of their digests
		if entries[i].TxID == entries[i+1].TxID && entries[i].Decision < entries[i+1].Decision {
			entries[i], entries[i+1] = entries[i+1], entries[i]
		}
	}
	var told []any
	for _, e := range entries {
		switch e.Kind {
		case emr.AuditRegistered, emr.AuditRelationship, emr.AuditScopes, emr.AuditRecord:
		default:
			told = append([]any{e.Kind, e.Decision, e.Reason}, told...)
		}
	}
	none, permit := emr.Reason(""), emr.Permit
	require.Equal(t, []any{
		emr.AuditRequest, emr.Ask, emr.ReasonNoGrant, emr.AuditRequest, emr.Ask, emr.ReasonNoGrant,
		emr.AuditGrant, emr.Decision(""), none, emr.AuditDisclosure, permit, emr.ReasonGrant,
		emr.AuditNarrowed, emr.Decision(""), none, emr.AuditDisclosure, emr.Deny, emr.ReasonExhausted,
		emr.AuditGrantRule, permit, none, emr.AuditGrant, emr.Decision(""), none, emr.AuditGrant, emr.Ask, emr.ReasonGrantWaiting,
		emr.AuditDisclosure, emr.Deny, emr.ReasonGrantWaiting, emr.AuditConfirmed, permit, none,
		emr.AuditDisclosure, permit, emr.ReasonGrant, emr.AuditDisclosure, permit, emr.ReasonGrant, emr.AuditRevocation, emr.Decision(""), none,
		emr.AuditGrantRule, emr.Ask, emr.ReasonGrantWaiting, emr.AuditGrantRule, permit, none,
		emr.AuditSignOff, permit, none, emr.AuditSignOff, emr.Deny, none,
	}, told)
	var events []string
	for _, e := range s.Events {
		require.NotContains(t, string(e.Payload), emr.HandlePrefix, e.Name)
		require.NotContains(t, string(e.Payload), emr.PatientPrefix, e.Name)
		events = append(events, e.Name)
	}
	require.Equal(t, []string{
		ledgerapi.EventRecordRegistered, ledgerapi.EventRecordRegistered, ledgerapi.EventAccessRequested, ledgerapi.EventAccessGranted,
		ledgerapi.EventDisclosed, ledgerapi.EventAccessNarrowed, ledgerapi.EventDisclosed, ledgerapi.EventGrantRule,
		ledgerapi.EventGrantsGiven, ledgerapi.EventDisclosed, ledgerapi.EventAccessGranted, ledgerapi.EventDisclosed,
		ledgerapi.EventDisclosed, ledgerapi.EventAccessRevoked, ledgerapi.EventGrantRule, ledgerapi.EventGrantRule,
		ledgerapi.EventRecordRegistered, ledgerapi.EventSignedOff, ledgerapi.EventSignedOff,
	}, events)
}
