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

// erase are the arguments by which the patient erases a record and nothing else.
func (s *scene) erase(record emr.RecordID) ledgerapi.EraseRecordArgs {
	return ledgerapi.EraseRecordArgs{
		Patient: s.patient.Handle, Erasure: ledgertest.ID[emr.ErasureID](emr.ErasurePrefix), Record: record,
		Ground: emr.EraseWithdrawn, Grants: []emr.GrantID{}, Requests: []emr.RequestID{}, Amendments: []emr.AmendmentID{},
	}
}

// erased erases a record and returns the order.
func (s *scene) erased(t testing.TB, record emr.RecordID) emr.ErasureID {
	t.Helper()
	args := s.erase(record)
	require.Equal(t, emr.Permit, s.decides(t, s.patient, ledgerapi.EraseRecord, args).Decision)
	return args.Erasure
}

func (s *scene) erasure(t testing.TB, id emr.ErasureID) *ledgerapi.ErasureView {
	t.Helper()
	view, err := ledger.GetErasure(s.Query(s.Orgs[ledgertest.HospitalB]), ledgerapi.ErasureQuery{Erasure: id})
	require.NoError(t, err)
	return view
}

func (s *scene) getRecord(t testing.TB, id emr.RecordID) *emr.Record {
	t.Helper()
	record, err := ledger.GetRecord(s.Query(s.Orgs[ledgertest.HospitalB]), ledgerapi.RecordQuery{Record: id})
	require.NoError(t, err)
	return record
}

// told runs a transaction of an organisation twice, compares what the two would
// endorse, and commits it unless it fails.
func told[Q, A any](t testing.TB, s *scene, caller *ledger.Caller, rule func(ledger.State, Q) (*A, error), args Q) (*A, error) {
	t.Helper()
	tx := s.Begin(s.Facts(caller))
	again := tx.Again()
	answer, err := rule(tx, args)
	second, errAgain := rule(again, args)
	require.Equal(t, err, errAgain)
	if err != nil {
		return nil, err
	}
	require.Equal(t, answer, second)
	require.Equal(t, tx.Effects(), again.Effects())
	return answer, tx.Commit()
}

// everything is the confirmation that everything of a part is destroyed.
func everything(part *emr.ErasurePart) ledgerapi.ConfirmErasureArgs {
	args := ledgerapi.ConfirmErasureArgs{
		Erasure: part.Erasure, Part: part.Part, Destroyed: []emr.Destroyed{}, Failed: []emr.Undestroyed{},
	}
	for _, version := range part.Records {
		args.Destroyed = append(args.Destroyed, emr.Destroyed{Record: version.Record, CID: version.CID, Things: emr.ErasureThings()})
	}
	return args
}

func (s *scene) confirm(t testing.TB, org emr.OrgID, args ledgerapi.ConfirmErasureArgs) (*ledgerapi.DecisionReceipt, error) {
	t.Helper()
	return told(t, s, s.Orgs[org].Gateway, ledger.ConfirmErasure, args)
}

// confirmAll has organisations confirm every part of an order.
func (s *scene) confirmAll(t testing.TB, id emr.ErasureID, orgs ...emr.OrgID) {
	t.Helper()
	for _, part := range s.erasure(t, id).Parts {
		for _, org := range orgs {
			answer, err := s.confirm(t, org, everything(&part))
			require.NoError(t, err)
			require.Equal(t, emr.Permit, answer.Decision)
		}
	}
}

func holders() []emr.OrgID {
	return []emr.OrgID{ledgertest.HospitalA, ledgertest.HospitalB, ledgertest.HospitalC, ledgertest.Regulator}
}

// rekeyOf is the manifest of a re-key of a version by an author.
func (s *scene) rekeyOf(t testing.TB, by *ledgertest.Clinician, previous *emr.Manifest, change func(*emr.Manifest)) *emr.Manifest {
	t.Helper()
	m := s.Manifest(t, s.author, s.scope, previous.Class)
	m.Previous, m.Version, m.Labels = previous.Record, previous.Version+1, previous.Labels
	if change != nil {
		change(m)
	}
	s.Complete(t, m, by, s.scope)
	return m
}

// patientAuthor is the patient in the form in which capsules name authors.
func (s *scene) patientAuthor() *ledgertest.Clinician {
	return &ledgertest.Clinician{ID: emr.ClinicianID(s.patient.Handle), Org: s.Orgs[ledgertest.HospitalA], Key: s.patient.Consent}
}

func (s *scene) rekeyed(t testing.TB, previous *emr.Manifest) *emr.Manifest {
	t.Helper()
	m := s.rekeyOf(t, s.author, previous, nil)
	require.Equal(t, emr.Permit, s.decides(t, s.author, ledgerapi.RekeyRecord, m).Decision)
	return m
}

func (s *scene) roll(t testing.TB, old *emr.Scope, grants ...emr.GrantID) ledgerapi.RollScopeArgs {
	next := ledgertest.NewScope(t, old.Level)
	next.Epoch = old.Epoch + 1
	grants = append([]emr.GrantID{}, grants...)
	slices.Sort(grants)
	return ledgerapi.RollScopeArgs{Patient: s.patient.Handle, Scope: old.ID, Next: next, Grants: grants}
}

// rolled ends the epoch of the scene's scope; the scene goes on in the next one.
func (s *scene) rolled(t testing.TB, grants ...emr.GrantID) {
	t.Helper()
	args := s.roll(t, s.scope, grants...)
	s.Do(t, s.patient, ledgerapi.RollScope, args)
	s.scope = &emr.Scope{
		V: 1, ID: args.Next.ID, Patient: s.patient.Handle, Epoch: args.Next.Epoch, Level: args.Next.Level,
		Delegating: args.Next.Delegating, Fragment: args.Next.Fragment, Published: s.Now, Previous: args.Scope,
	}
}

// erasures runs a re-key by each author, a roll, a denied and a permitted erasure.
func erasures(t *testing.T, check func(*ledgertest.Tx, string, []byte, any, error)) *scene {
	t.Helper()
	s := newScene(t)
	if check != nil {
		s.Check = check
	}
	grant := s.give(t)
	ask := s.ask(s.record.Record)
	ask.Purpose = emr.PurposeTreatment
	s.Do(t, s.reader, ledgerapi.RequestAccess, ask)
	denied, open := s.refused(t, s.record.Record), s.asked(t)
	s.Do(t, s.patient, ledgerapi.DisputeAmendment,
		ledgerapi.DisputeAmendmentArgs{Patient: s.patient.Handle, Amendment: denied, Text: "I have two knees"})
	s.rolled(t)
	second := s.rekeyed(t, s.record)
	third := s.rekeyOf(t, s.patientAuthor(), second, nil)
	s.Do(t, s.patient, ledgerapi.RekeyRecord, third)
	hold := ledgerapi.HoldRecordArgs{Record: third.Record, Hold: true, Ground: emr.HoldLitigation}
	require.NoError(t, s.hold(s.Orgs[ledgertest.Regulator].Admin, hold))
	require.Equal(t, emr.Deny, s.decides(t, s.patient, ledgerapi.EraseRecord, s.erase(s.record.Record)).Decision)
	require.NoError(t, s.hold(s.Orgs[ledgertest.Regulator].Admin, ledgerapi.HoldRecordArgs{Record: third.Record}))
	args := s.erase(second.Record)
	args.Grants, args.Requests = []emr.GrantID{grant.Terms.Grant}, []emr.RequestID{ask.Request}
	args.Amendments = sorted(denied, open)
	require.Equal(t, emr.Permit, s.decides(t, s.patient, ledgerapi.EraseRecord, args).Decision)
	s.confirmAll(t, args.Erasure, holders()...)
	require.Equal(t, emr.ErasureComplete, s.erasure(t, args.Erasure).State)
	return s
}
