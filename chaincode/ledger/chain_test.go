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
	"github.com/emrys-health/emrys/pkg/trail"
)

func (s *scene) head(t testing.TB, patient emr.Handle) emr.AuditHead {
	t.Helper()
	head, err := ledger.GetAuditHead(s.Query(s.Orgs[ledgertest.HospitalA]), ledgerapi.HandleQuery{Patient: patient})
	require.NoError(t, err)
	return *head
}

// verified requires that the ledger's trail of a patient is complete, and returns its chain.
func (s *scene) verified(t testing.TB, patient emr.Handle) []emr.AuditEntry {
	t.Helper()
	report, err := trail.Verify(s.trail(t, patient), s.head(t, patient))
	require.NoError(t, err)
	require.Equal(t, trail.Complete, report.Verdict, "%v", report.Faults)
	return report.Chain
}

func TestTheTrailOfEverythingIsAChain(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]*scene{
		"a share": share(t, nil), "an emergency": func() *scene { s, _ := emergency(t, nil); return s }(),
	} {
		t.Run(name, func(t *testing.T) {
			chained := s.verified(t, s.patient.Handle)
			require.Equal(t, emr.AuditRegistered, chained[0].Kind)
			require.GreaterOrEqual(t, len(chained), 7)
			for _, e := range s.trail(t, s.patient.Handle) {
				require.Equal(t, e.Chained(), e.Sequence > 0, e.Kind)
			}
			last := chained[len(chained)-1]
			head := s.head(t, s.patient.Handle)
			require.Equal(t, []any{last.Sequence, last.TxID, last.At}, []any{head.Sequence, head.TxID, head.At})
		})
	}
}

// TestAGrantOfSeveralRecordsIsSeveralLinks: one transaction, one entry per record.
func TestAGrantOfSeveralRecordsIsSeveralLinks(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	before := s.head(t, s.patient.Handle).Sequence
	second := s.Record(t, s.author, s.scope, emr.ClassPrescription)
	third := s.Record(t, s.author, s.scope, emr.ClassPrescription)
	grant := s.Grant(s.scope, s.reader, s.record.Record, second.Record, third.Record)
	s.Do(t, s.patient, ledgerapi.GrantAccess, grant)
	s.Do(t, s.patient, ledgerapi.RevokeAccess, ledgerapi.RevokeAccessArgs{Patient: s.patient.Handle, Grant: grant.Terms.Grant})
	require.Equal(t, before+6, s.head(t, s.patient.Handle).Sequence)
	s.verified(t, s.patient.Handle)
}

// TestTheHotPathLeavesTheHeadAlone: who reads and asks waits for nobody.
func TestTheHotPathLeavesTheHeadAlone(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	grant := s.give(t)
	before := s.head(t, s.patient.Handle)
	s.disclose(t, s.reader, s.read(grant.Terms.Grant))
	s.disclose(t, s.reader, s.read(""))
	s.Do(t, s.reader, ledgerapi.RequestAccess, s.ask(s.record.Record))
	s.Record(t, s.author, s.scope, emr.ClassMedicine)
	s.batch(t, s.part(t, s.reader, s.read(grant.Terms.Grant)))
	require.Equal(t, before, s.head(t, s.patient.Handle))
}

// TestTheChainOfOnePatientConflictsWithItselfAlone: of two transactions at once
// that continue one chain the second is invalid, and holds when endorsed anew.
func TestTheChainOfOnePatientConflictsWithItselfAlone(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	other := s.Patient(t, ledgertest.HospitalC)
	begin := func(by ledgertest.Member, function string, args any) (*ledgertest.Tx, *emr.SignedAction) {
		signed := s.Sign(t, by, function, args)
		tx := s.Begin(s.Facts(by.Home().Gateway))
		_, err := ledgertest.Run(tx, function, ledgertest.Raw(t, signed))
		require.NoError(t, err)
		return tx, signed
	}
	grant := func() any { return s.Grant(s.scope, s.reader, s.record.Record) }
	first, _ := begin(s.patient, ledgerapi.GrantAccess, grant())
	loser, signed := begin(s.patient, ledgerapi.GrantAccess, grant())
	clinicians, _ := begin(s.reader, ledgerapi.ProposeRelationship,
		ledgerapi.ProposeRelationshipArgs{Patient: s.patient.Handle, Hospital: ledgertest.HospitalB})
	strangers, _ := begin(other, ledgerapi.PublishScopes, ledgerapi.PublishScopesArgs{
		Patient: other.Handle, Scopes: []ledgerapi.NewScope{ledgertest.NewScope(t, emr.LevelLow)},
	})
	require.NoError(t, first.Commit())
	require.ErrorIs(t, loser.Commit(), ledgertest.ErrConflict)
	require.ErrorIs(t, clinicians.Commit(), ledgertest.ErrConflict)
	require.NoError(t, strangers.Commit(), "another patient's chain is another key")
	_, err := s.Submit(t, s.patient.Org, ledgerapi.GrantAccess, signed)
	require.NoError(t, err, "the same action, endorsed anew")
	s.verified(t, s.patient.Handle)
	s.verified(t, other.Handle)
}

func TestNobodysHeadIsEmpty(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	nobody := ledgertest.ID[emr.Handle](emr.HandlePrefix)
	require.Equal(t, emr.AuditHead{V: 1, Patient: nobody}, s.head(t, nobody))
	require.Empty(t, s.verified(t, nobody))
}

// TestNobodyHoldsUpARevocationByBeingDenied: what is denied reads and writes nothing of
// the patient's chain, so that it may be asked for again and again between the
// endorsement of what the patient signs and its commit.
func TestNobodyHoldsUpARevocationByBeingDenied(t *testing.T) {
	t.Parallel()
	for name, beDenied := range map[string]func(*testing.T, *scene){
		"an early order of a gateway": func(t *testing.T, s *scene) {
			answer, err := told(t, s, s.Orgs[ledgertest.HospitalC].Gateway, ledger.EraseExpired, s.expired(s.record.Record))
			require.NoError(t, err)
			require.Equal(t, emr.Deny, answer.Decision)
		},
		"an inspection by somebody who is no inspector": func(t *testing.T, s *scene) {
			require.Equal(t, emr.Deny, s.inspect(t, s.reader, inspecting(emr.LogSubject{Patient: s.patient.Handle})).Decision)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			grant := s.give(t)
			tx := s.Begin(s.Facts(s.patient.Org.Gateway))
			_, err := ledgertest.Run(tx, ledgerapi.RevokeAccess, ledgertest.Raw(t, s.Sign(t, s.patient, ledgerapi.RevokeAccess,
				ledgerapi.RevokeAccessArgs{Patient: s.patient.Handle, Grant: grant.Terms.Grant})))
			require.NoError(t, err)
			beDenied(t, s)
			require.NoError(t, tx.Commit(), "the patient's word does not wait for it")
			trail := s.trail(t, s.patient.Handle)
			at := slices.IndexFunc(trail, func(e emr.AuditEntry) bool { return e.Decision == emr.Deny })
			require.GreaterOrEqual(t, at, 0, "and the patient finds it all the same")
			require.Zero(t, trail[at].Sequence)
			s.verified(t, s.patient.Handle)
		})
	}
}
