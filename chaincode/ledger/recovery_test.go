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
	"github.com/emrys-health/emrys/pkg/signature/signaturetest"
)

// ward is a scene whose patient has three guardians, two of whom are enough: a
// friend, and two professionals of different hospitals.
type ward struct {
	*scene
	friend *ledgertest.Patient
	// all are the guardians: friend, author (hospital A), reader (hospital B).
	all []ledgertest.Member
	// next is the patient with the keys of a new device.
	next *ledgertest.Patient
}

func newWard(t testing.TB) *ward {
	t.Helper()
	w := &ward{scene: newScene(t)}
	w.friend = w.Patient(t, ledgertest.HospitalA)
	w.all = []ledgertest.Member{w.friend, w.author, w.reader}
	w.next = rekeyed(t, w.patient)
	w.Do(t, w.patient, ledgerapi.SetGuardians, w.guardians(0, 2, w.all...))
	return w
}

func (w *ward) guardians(version uint32, threshold uint8, who ...ledgertest.Member) ledgerapi.SetGuardiansArgs {
	ids := make([]string, len(who))
	for i, g := range who {
		ids[i] = g.ActorID()
	}
	slices.Sort(ids)
	return ledgerapi.SetGuardiansArgs{Patient: w.patient.Handle, Version: version, Guardians: ids, Threshold: threshold}
}

// proposal makes the arguments that propose next's keys, proof included.
func (w *ward) proposal(t testing.TB, next *ledgertest.Patient) ledgerapi.ProposeRecoveryArgs {
	t.Helper()
	args := ledgerapi.ProposeRecoveryArgs{
		Recovery: ledgertest.ID[emr.RecoveryID](emr.RecoveryPrefix), Patient: next.Handle, Consent: pinned(next),
		Hybrid: next.Hybrid.Public().Bytes(),
	}
	args.Proof = *w.Sign(t, next, ledgerapi.ProveKey, ledgerapi.ProveKeyArgs{
		Patient: args.Patient, Recovery: args.Recovery, Consent: args.Consent, Hybrid: args.Hybrid,
	})
	return args
}

func approval(p *ledgerapi.ProposeRecoveryArgs) ledgerapi.ApproveRecoveryArgs {
	return ledgerapi.ApproveRecoveryArgs{Recovery: p.Recovery, Patient: p.Patient, Claim: p.Proof.Digest()}
}

func named(p *ledgerapi.ProposeRecoveryArgs) ledgerapi.RecoveryArgs {
	return ledgerapi.RecoveryArgs{Recovery: p.Recovery, Patient: p.Patient}
}

// propose proposes next's keys by the friend.
func (w *ward) propose(t testing.TB) *ledgerapi.ProposeRecoveryArgs {
	t.Helper()
	p := w.proposal(t, w.next)
	w.Do(t, w.friend, ledgerapi.ProposeRecovery, p)
	return &p
}

// waiting proposes next's keys and has them approved.
func (w *ward) waiting(t testing.TB) *ledgerapi.ProposeRecoveryArgs {
	t.Helper()
	p := w.propose(t)
	w.Do(t, w.reader, ledgerapi.ApproveRecovery, approval(p))
	return p
}

func (w *ward) recovery(t testing.TB, id emr.RecoveryID) *emr.Recovery {
	t.Helper()
	r, err := ledger.GetRecovery(w.Query(w.Orgs[ledgertest.HospitalC]), ledgerapi.RecoveryQuery{Recovery: id})
	require.NoError(t, err)
	return r
}

func (w *ward) decides(t testing.TB, by ledgertest.Member, function string, args any) *ledgerapi.DecisionReceipt {
	t.Helper()
	return w.Do(t, by, function, args).(*ledgerapi.DecisionReceipt)
}

// refused requires a refusal with a reason that leaves nothing.
func (w *ward) refused(t testing.TB, by ledgertest.Member, function string, args any, code emr.Code, reason emr.Reason) {
	t.Helper()
	before := w.Dump()
	_, err := w.Try(t, by, function, args)
	refuses(t, err, code, "")
	require.Equal(t, reason, emr.Public(err).Reason, "%v", err)
	require.Equal(t, before, w.Dump())
}

const day = 24 * time.Hour

func TestGuardiansRecoverAPatientWhoHasLostTheKeys(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	p := w.propose(t)
	require.Equal(t, emr.RecoveryProposed, w.recovery(t, p.Recovery).Status)
	w.Wait(time.Hour)
	receipt := w.decides(t, w.reader, ledgerapi.ApproveRecovery, approval(p))
	require.Equal(t, emr.ReasonWaiting, receipt.Reason)
	require.Equal(t, w.Now.Add(72*time.Hour), receipt.Until)
	waiting := w.recovery(t, p.Recovery)
	require.Equal(t, emr.RecoveryWaiting, waiting.Status)
	require.Len(t, waiting.Approvals, 2)

	w.Wait(72 * time.Hour)
	done := w.decides(t, w.next, ledgerapi.CompleteRecovery, named(p))
	require.Equal(t, emr.Permit, done.Decision)
	ended := w.recovery(t, p.Recovery)
	require.Equal(t, emr.RecoveryCompleted, ended.Status)
	require.Equal(t, w.Now, ended.Ended)
	view, err := ledger.GetPatient(w.Query(w.patient.Org), ledgerapi.HandleQuery{Patient: w.patient.Handle})
	require.NoError(t, err)
	require.Equal(t, pinned(w.next), view.Patient.Consent)
	require.Equal(t, w.next.Hybrid.Public().Bytes(), view.Patient.Hybrid)
	require.Equal(t, uint32(1), view.Patient.KeyVersion)
	old, err := patientKeys(t, w.Consortium, w.patient, 0)
	require.NoError(t, err)
	require.Equal(t, pinned(w.patient), old.Consent)

	_, err = w.Try(t, w.patient, ledgerapi.GrantAccess, w.Grant(w.scope, w.reader, w.record.Record))
	refuses(t, err, emr.CodeUnauthenticated, "signature")
	w.Do(t, w.next, ledgerapi.GrantAccess, w.Grant(w.scope, w.reader, w.record.Record))
}

func TestEveryStepOfARecoveryIsInTheTrailAndAnEvent(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	from := len(w.Events) - 1 // the guardian set's
	p := w.waiting(t)
	w.decides(t, w.patient, ledgerapi.VetoRecovery, named(p))
	second := w.proposal(t, w.next)
	w.Do(t, w.reader, ledgerapi.ProposeRecovery, second)
	w.Do(t, w.author, ledgerapi.ApproveRecovery, approval(&second))
	w.Wait(4 * day)
	w.Do(t, w.next, ledgerapi.CompleteRecovery, named(&second))
	type line struct {
		kind     emr.AuditKind
		actor    string
		org      emr.OrgID
		decision emr.Decision
		reason   emr.Reason
		ref      string
	}
	friend, reader, author := string(w.friend.Handle), string(w.reader.ID), string(w.author.ID)
	one, two := string(p.Recovery), string(second.Recovery)
	a, b := ledgertest.HospitalA, ledgertest.HospitalB
	want := []line{
		{emr.AuditRecoveryCompleted, emr.ActorPatient, a, emr.Permit, emr.ReasonCompleted, two},
		{emr.AuditRecoveryApproved, author, a, emr.Ask, emr.ReasonWaiting, two},
		{emr.AuditRecoveryProposed, reader, b, emr.Ask, emr.ReasonApprovals, two},
		{emr.AuditRecoveryVetoed, emr.ActorPatient, a, emr.Permit, emr.ReasonVetoed, one},
		{emr.AuditRecoveryApproved, reader, b, emr.Ask, emr.ReasonWaiting, one},
		{emr.AuditRecoveryProposed, friend, a, emr.Ask, emr.ReasonApprovals, one},
		{emr.AuditGuardians, emr.ActorPatient, a, "", "", "1"},
	}
	for i, e := range w.trail(t, w.patient.Handle)[:len(want)] {
		require.Equal(t, want[i], line{e.Kind, e.Actor, e.Org, e.Decision, e.Reason, e.Ref})
	}
	var events []string
	for _, e := range w.Events[from:] {
		events = append(events, e.Name)
		require.NotContains(t, string(e.Payload), emr.HandlePrefix)
	}
	require.Equal(t, []string{
		ledgerapi.EventGuardiansSet, ledgerapi.EventRecoveryProposed, ledgerapi.EventRecoveryWaiting,
		ledgerapi.EventRecoveryVetoed, ledgerapi.EventRecoveryProposed, ledgerapi.EventRecoveryWaiting, ledgerapi.EventRecoveryCompleted,
	}, events)
	list, err := ledger.ListRecoveries(w.Query(w.patient.Org), ledgerapi.PageQuery{Patient: w.patient.Handle})
	require.NoError(t, err)
	require.Equal(t, []emr.RecoveryID{second.Recovery, p.Recovery}, []emr.RecoveryID{list.Items[0].ID, list.Items[1].ID})
}

// The abuses.

func TestFewerApprovalsThanTheThresholdRecoverNothing(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	w.Do(t, w.patient, ledgerapi.SetGuardians, w.guardians(1, 3, append(w.all, w.Patient(t, ledgertest.HospitalC))...))
	p := w.propose(t)
	require.Equal(t, emr.ReasonApprovals, w.decides(t, w.reader, ledgerapi.ApproveRecovery, approval(p)).Reason)
	for _, wait := range []time.Duration{0, 3 * day, 26 * day} {
		w.Wait(wait)
		w.refused(t, w.next, ledgerapi.CompleteRecovery, named(p), emr.CodeRule, emr.ReasonApprovals)
	}
}

func TestOneGuardianCannotApproveTwice(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	p := w.propose(t)
	w.refused(t, w.friend, ledgerapi.ApproveRecovery, approval(p), emr.CodeExists, "")
	require.Len(t, w.recovery(t, p.Recovery).Approvals, 1)
}

func TestAnApprovalCannotBeReplayed(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	w.Do(t, w.patient, ledgerapi.SetGuardians, w.guardians(1, 3, append(w.all, w.Patient(t, ledgertest.HospitalC))...))
	p := w.propose(t)
	signed := w.Sign(t, w.reader, ledgerapi.ApproveRecovery, approval(p))
	_, err := w.Submit(t, w.reader.Org, ledgerapi.ApproveRecovery, signed)
	require.NoError(t, err)
	before := w.Dump()
	_, err = w.Submit(t, w.reader.Org, ledgerapi.ApproveRecovery, signed)
	refuses(t, err, emr.CodeExists, "already spent")
	require.Equal(t, before, w.Dump())
	require.Len(t, w.recovery(t, p.Recovery).Approvals, 2)
}

func TestTwoCopiesOfAnApprovalCannotBothCommit(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	p := w.propose(t)
	var all []*ledgertest.Tx
	for range 2 { // two actions of one guardian, endorsed at once
		tx := w.Begin(w.Facts(w.reader.Org.Gateway))
		_, err := ledger.ApproveRecovery(tx, ledgertest.Raw(t, w.Sign(t, w.reader, ledgerapi.ApproveRecovery, approval(p))))
		require.NoError(t, err)
		all = append(all, tx)
	}
	require.NoError(t, all[0].Commit())
	require.ErrorIs(t, all[1].Commit(), ledgertest.ErrConflict)
}

func TestAGuardianOfAnOldSetCannotActUnderTheNewOne(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	fresh := w.Patient(t, ledgertest.HospitalC)
	w.Do(t, w.patient, ledgerapi.SetGuardians, w.guardians(1, 2, w.author, w.reader, fresh))
	p := w.proposal(t, w.next)
	w.refused(t, w.friend, ledgerapi.ProposeRecovery, p, emr.CodeForbidden, emr.ReasonNotGuardian)
	w.Do(t, fresh, ledgerapi.ProposeRecovery, p)
	w.refused(t, w.friend, ledgerapi.ApproveRecovery, approval(&p), emr.CodeForbidden, emr.ReasonNotGuardian)
}

// TestAChangedGuardianSetCancelsNothingSilently fixes what docs/spec/ledger-keys.md
// says: an open recovery goes on under its own set until it is vetoed.
func TestAChangedGuardianSetCancelsNothingSilently(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	p := w.propose(t)
	set := w.recovery(t, p.Recovery).Set
	fresh := w.Patient(t, ledgertest.HospitalC)
	w.Do(t, w.patient, ledgerapi.SetGuardians, w.guardians(1, 2, w.author, fresh))
	w.refused(t, fresh, ledgerapi.ApproveRecovery, approval(p), emr.CodeForbidden, emr.ReasonNotGuardian)
	require.Equal(t, set, w.recovery(t, p.Recovery).Set)
	require.Equal(t, emr.ReasonWaiting, w.decides(t, w.reader, ledgerapi.ApproveRecovery, approval(p)).Reason)
	// No guardians at all changes nothing in it either. The veto does.
	w.Do(t, w.patient, ledgerapi.SetGuardians, ledgerapi.SetGuardiansArgs{Patient: w.patient.Handle, Version: 2, Guardians: []string{}})
	require.Equal(t, emr.RecoveryWaiting, w.recovery(t, p.Recovery).Status)
	w.decides(t, w.patient, ledgerapi.VetoRecovery, named(p))
	w.Wait(4 * day)
	w.refused(t, w.next, ledgerapi.CompleteRecovery, named(p), emr.CodeRule, emr.ReasonVetoed)
	w.refused(t, w.author, ledgerapi.ProposeRecovery, w.proposal(t, w.next), emr.CodeForbidden, emr.ReasonNotGuardian)
}

func TestAnApprovalForAnotherRecoveryDoesNotCount(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	mine := w.propose(t)
	thief := rekeyed(t, w.patient)
	theirs := w.proposal(t, thief)
	w.Do(t, w.reader, ledgerapi.ProposeRecovery, theirs)
	mixed := approval(mine)
	mixed.Recovery = theirs.Recovery // the claim names other keys
	before := w.Dump()
	_, err := w.Try(t, w.author, ledgerapi.ApproveRecovery, mixed)
	refuses(t, err, emr.CodeInvalid, "claim")
	require.Equal(t, before, w.Dump())
	w.Do(t, w.author, ledgerapi.ApproveRecovery, approval(mine))
	require.Equal(t, emr.RecoveryWaiting, w.recovery(t, mine.Recovery).Status)
	require.Len(t, w.recovery(t, theirs.Recovery).Approvals, 1)
	require.Equal(t, emr.RecoveryProposed, w.recovery(t, theirs.Recovery).Status)
}

func TestARecoveryIsNotCompletedOneSecondEarly(t *testing.T) {
	t.Parallel()
	for hours, want := range map[uint32]time.Duration{0: 72 * time.Hour, 24: day, 720: 30 * day} {
		w := newWard(t)
		set := w.guardians(1, 2, w.all...)
		set.WaitHours = hours
		w.Do(t, w.patient, ledgerapi.SetGuardians, set)
		p := w.waiting(t)
		w.Wait(want - time.Second)
		w.refused(t, w.next, ledgerapi.CompleteRecovery, named(p), emr.CodeRule, emr.ReasonWaiting)
		w.Wait(time.Second)
		require.Equal(t, emr.Permit, w.decides(t, w.next, ledgerapi.CompleteRecovery, named(p)).Decision)
	}
}

func TestAVetoIsPossibleUntilTheEndAndFinal(t *testing.T) {
	t.Parallel()
	for name, before := range map[string]func(*testing.T, *ward) *ledgerapi.ProposeRecoveryArgs{
		"while approvals are missing": func(t *testing.T, w *ward) *ledgerapi.ProposeRecoveryArgs { return w.propose(t) },
		"while it waits":              func(t *testing.T, w *ward) *ledgerapi.ProposeRecoveryArgs { return w.waiting(t) },
		"after the waiting period is over": func(t *testing.T, w *ward) *ledgerapi.ProposeRecoveryArgs {
			p := w.waiting(t)
			w.Wait(10 * day)
			return p
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWard(t)
			p := before(t, w)
			require.Equal(t, emr.Permit, w.decides(t, w.patient, ledgerapi.VetoRecovery, named(p)).Decision)
			require.Equal(t, emr.RecoveryVetoed, w.recovery(t, p.Recovery).Status)
			w.refused(t, w.author, ledgerapi.ApproveRecovery, approval(p), emr.CodeRule, emr.ReasonVetoed)
			w.refused(t, w.patient, ledgerapi.VetoRecovery, named(p), emr.CodeRule, emr.ReasonVetoed)
			w.Wait(5 * day)
			w.refused(t, w.next, ledgerapi.CompleteRecovery, named(p), emr.CodeRule, emr.ReasonVetoed)
			w.Wait(60 * day)
			w.refused(t, w.next, ledgerapi.CompleteRecovery, named(p), emr.CodeRule, emr.ReasonVetoed)
		})
	}
}

func TestOnlyTheCurrentKeyVetoes(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	p := w.waiting(t)
	before := w.Dump()
	_, err := w.Try(t, w.next, ledgerapi.VetoRecovery, named(p))
	refuses(t, err, emr.CodeUnauthenticated, "signature")
	for _, other := range []ledgertest.Member{w.friend, w.reader} {
		_, err = w.Try(t, other, ledgerapi.VetoRecovery, named(p))
		refuses(t, err, emr.CodeForbidden, "another patient")
	}
	require.Equal(t, before, w.Dump())
}

func TestACompletionHeldBackDoesNotCommitAfterTheVeto(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	p := w.waiting(t)
	w.Wait(3 * day)
	held := w.Begin(w.Facts(w.patient.Org.Gateway))
	_, err := ledger.CompleteRecovery(held, ledgertest.Raw(t, w.Sign(t, w.next, ledgerapi.CompleteRecovery, named(p))))
	require.NoError(t, err)
	w.decides(t, w.patient, ledgerapi.VetoRecovery, named(p))
	require.ErrorIs(t, held.Commit(), ledgertest.ErrConflict)
}

func TestACompletedRecoveryIsOver(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	p := w.waiting(t)
	w.Wait(3 * day)
	w.Do(t, w.next, ledgerapi.CompleteRecovery, named(p))
	w.refused(t, w.next, ledgerapi.CompleteRecovery, named(p), emr.CodeRule, emr.ReasonCompleted)
	w.refused(t, w.next, ledgerapi.VetoRecovery, named(p), emr.CodeRule, emr.ReasonCompleted)
	w.refused(t, w.author, ledgerapi.ApproveRecovery, approval(p), emr.CodeRule, emr.ReasonCompleted)
	// The lost key cannot be brought back, not even by guardians.
	back := w.proposal(t, w.patient)
	_, err := w.Try(t, w.reader, ledgerapi.ProposeRecovery, back)
	refuses(t, err, emr.CodeRule, "cannot come back")
}

func TestARecoveryOfAnotherHandleIsNotReached(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	p := w.waiting(t)
	other := w.Patient(t, ledgertest.HospitalB)
	w.Wait(3 * day)
	// Another patient's own key, naming the recovery under the own handle or the victim's.
	args := ledgerapi.RecoveryArgs{Recovery: p.Recovery, Patient: other.Handle}
	w.refused(t, other, ledgerapi.VetoRecovery, args, emr.CodeNotFound, "")
	w.refused(t, other, ledgerapi.CompleteRecovery, args, emr.CodeNotFound, "")
	w.refused(t, other, ledgerapi.CompleteRecovery, named(p), emr.CodeForbidden, "")
	approve := approval(p)
	approve.Patient = other.Handle
	w.refused(t, w.author, ledgerapi.ApproveRecovery, approve, emr.CodeNotFound, "")
	// The new key, claiming another handle.
	impostor := *w.next
	impostor.Handle = other.Handle
	w.refused(t, &impostor, ledgerapi.CompleteRecovery, args, emr.CodeNotFound, "")
	// Guardians of one patient are nobody to another.
	victim := *other
	victim.Consent, victim.Hybrid = ledgertest.NewKey(t), ledgertest.NewHybrid(t)
	w.refused(t, w.friend, ledgerapi.ProposeRecovery, w.proposal(t, &victim), emr.CodeForbidden, emr.ReasonNotGuardian)
	// Whoever saw the new key's actions cannot complete without it.
	before := w.Dump()
	_, err := w.Try(t, w.patient, ledgerapi.CompleteRecovery, named(p))
	refuses(t, err, emr.CodeUnauthenticated, "signature")
	require.Equal(t, before, w.Dump())
}

func TestOneHospitalsStaffAloneAreNoQuorum(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	second := w.Clinician(t, ledgertest.HospitalA, emr.RoleNurse, emr.LevelLow)
	third := w.Clinician(t, ledgertest.HospitalA, emr.RoleNurse, emr.LevelLow)
	for _, set := range []ledgerapi.SetGuardiansArgs{
		w.guardians(1, 2, w.author, second),
		w.guardians(1, 2, w.author, second, w.reader, w.friend),
		w.guardians(1, 3, w.author, second, third, w.reader, w.friend),
	} {
		w.refused(t, w.patient, ledgerapi.SetGuardians, set, emr.CodeRule, emr.ReasonOneOrganisation)
	}
	// Where they are fewer than the threshold, they are not enough, and all of them together neither.
	w.Do(t, w.patient, ledgerapi.SetGuardians, w.guardians(1, 3, w.author, second, w.reader, w.friend))
	p := w.proposal(t, w.next)
	w.Do(t, w.author, ledgerapi.ProposeRecovery, p)
	require.Equal(t, emr.ReasonApprovals, w.decides(t, second, ledgerapi.ApproveRecovery, approval(&p)).Reason)
	w.refused(t, third, ledgerapi.ApproveRecovery, approval(&p), emr.CodeForbidden, emr.ReasonNotGuardian)
	w.Wait(5 * day)
	w.refused(t, w.next, ledgerapi.CompleteRecovery, named(&p), emr.CodeRule, emr.ReasonApprovals)
}

func TestAHospitalThatMintsCertificatesApprovesForItsOwnPeopleOnly(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	p := w.propose(t)
	minted := *w.reader
	minted.Org = w.Orgs[ledgertest.HospitalA]
	taken := renewed(t, &minted, ledgertest.Wish{Role: "physician"})
	_, err := w.Try(t, taken, ledgerapi.RegisterClinician, taken.Args())
	refuses(t, err, emr.CodeExists, "another organisation")
	before := w.Dump()
	_, err = w.Try(t, taken, ledgerapi.ApproveRecovery, approval(p))
	refuses(t, err, emr.CodeUnauthenticated, "signature")
	signed := w.Sign(t, w.reader, ledgerapi.ApproveRecovery, approval(p))
	_, err = w.Submit(t, w.Orgs[ledgertest.HospitalA], ledgerapi.ApproveRecovery, signed)
	refuses(t, err, emr.CodeForbidden, "own organisation")
	require.Equal(t, before, w.Dump())
}

func TestASuspendedGuardianApprovesNothing(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	p := w.propose(t)
	w.order(t, ledger.SuspendClinician, w.reader)
	w.refused(t, w.reader, ledgerapi.ApproveRecovery, approval(p), emr.CodeRule, emr.ReasonSuspended)
	w.refused(t, w.patient, ledgerapi.SetGuardians, w.guardians(1, 2, w.all...), emr.CodeRule, emr.ReasonSuspended)
}

func TestARecoveryExpiresAndTheEndIsStored(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		begin func(*testing.T, *ward) *ledgerapi.ProposeRecoveryArgs
		after time.Duration
		end   func(*ward, *ledgerapi.ProposeRecoveryArgs) (ledgertest.Member, string, any)
	}{
		"without approvals": {
			func(t *testing.T, w *ward) *ledgerapi.ProposeRecoveryArgs { return w.propose(t) }, 30 * day,
			func(w *ward, p *ledgerapi.ProposeRecoveryArgs) (ledgertest.Member, string, any) {
				return w.reader, ledgerapi.ApproveRecovery, approval(p)
			},
		},
		"without completion": {
			func(t *testing.T, w *ward) *ledgerapi.ProposeRecoveryArgs { return w.waiting(t) }, 33 * day,
			func(w *ward, p *ledgerapi.ProposeRecoveryArgs) (ledgertest.Member, string, any) {
				return w.next, ledgerapi.CompleteRecovery, named(p)
			},
		},
		"and is vetoed": {
			func(t *testing.T, w *ward) *ledgerapi.ProposeRecoveryArgs { return w.waiting(t) }, 33 * day,
			func(w *ward, p *ledgerapi.ProposeRecoveryArgs) (ledgertest.Member, string, any) {
				return w.patient, ledgerapi.VetoRecovery, named(p)
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWard(t)
			p := test.begin(t, w)
			w.Wait(test.after - time.Second)
			require.True(t, w.recovery(t, p.Recovery).Status.Open())
			w.Wait(time.Second)
			require.Equal(t, emr.RecoveryExpired, w.recovery(t, p.Recovery).Status, "a query tells it at once")
			by, function, args := test.end(w, p)
			receipt := w.decides(t, by, function, args)
			require.Equal(t, emr.Deny, receipt.Decision)
			require.Equal(t, emr.ReasonLapsed, receipt.Reason)
			require.Contains(t, w.Dump(), `"status":"expired"`)
			entry := w.trail(t, w.patient.Handle)[0]
			require.Equal(t, emr.AuditRecoveryEnded, entry.Kind)
			require.Equal(t, emr.ReasonLapsed, entry.Reason)
			require.Equal(t, ledgerapi.EventRecoveryEnded, w.Events[len(w.Events)-1].Name)
			w.refused(t, by, function, args, emr.CodeRule, emr.ReasonLapsed)
			_, err := w.Try(t, w.next, ledgerapi.PublishScopes, ledgerapi.PublishScopesArgs{Patient: w.patient.Handle})
			refuses(t, err, emr.CodeUnauthenticated, "signature")
			w.Do(t, w.friend, ledgerapi.ProposeRecovery, w.proposal(t, w.next))
		})
	}
}

func TestOneCompletedRecoveryEndsTheOthers(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	thief := rekeyed(t, w.patient)
	theirs := w.proposal(t, thief)
	w.Do(t, w.author, ledgerapi.ProposeRecovery, theirs)
	mine := w.waiting(t)
	w.Do(t, w.reader, ledgerapi.ApproveRecovery, approval(&theirs))
	w.Wait(3 * day)
	w.Do(t, w.next, ledgerapi.CompleteRecovery, named(mine))
	require.Equal(t, emr.RecoverySuperseded, w.recovery(t, theirs.Recovery).Status)
	receipt := w.decides(t, thief, ledgerapi.CompleteRecovery, named(&theirs))
	require.Equal(t, emr.Deny, receipt.Decision)
	require.Equal(t, emr.ReasonOtherRecovery, receipt.Reason)
	require.Equal(t, emr.ReasonOtherRecovery, w.trail(t, w.patient.Handle)[0].Reason)
	w.Do(t, w.next, ledgerapi.GrantAccess, w.Grant(w.scope, w.reader, w.record.Record))
}

func TestAGuardianCannotCrowdOutAnothersProposal(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	junk := w.proposal(t, rekeyed(t, w.patient))
	w.Do(t, w.author, ledgerapi.ProposeRecovery, junk)
	w.refused(t, w.author, ledgerapi.ProposeRecovery, w.proposal(t, rekeyed(t, w.patient)), emr.CodeExists, "")
	w.waiting(t)
	w.Do(t, w.patient, ledgerapi.VetoRecovery, named(&junk))
	w.Do(t, w.author, ledgerapi.ProposeRecovery, w.proposal(t, rekeyed(t, w.patient)))
}

// TestNothingElseChangesWhileARecoveryWaits fixes what docs/spec/ledger-keys.md
// says: the current key acts as before, and a rotation leaves the recovery open.
func TestNothingElseChangesWhileARecoveryWaits(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	p := w.waiting(t)
	grant := w.give(t)
	require.Equal(t, emr.Permit, w.disclose(t, w.reader, w.read(grant.Terms.Grant)).Decision)
	_, err := w.Try(t, w.next, ledgerapi.RevokeAccess, ledgerapi.RevokeAccessArgs{Patient: w.patient.Handle, Grant: grant.Terms.Grant})
	refuses(t, err, emr.CodeUnauthenticated, "signature")
	rotated := rekeyed(t, w.patient)
	w.Do(t, w.patient, ledgerapi.RotatePatientKeys, rotation(t, w.Consortium, rotated, 0))
	require.Equal(t, emr.RecoveryWaiting, w.recovery(t, p.Recovery).Status)
	_, err = w.Try(t, w.patient, ledgerapi.VetoRecovery, named(p))
	refuses(t, err, emr.CodeUnauthenticated, "signature")
	w.Wait(3 * day)
	w.Do(t, w.next, ledgerapi.CompleteRecovery, named(p))
	last, err := patientKeys(t, w.Consortium, w.patient, 2)
	require.NoError(t, err)
	require.Equal(t, pinned(w.next), last.Consent)
	_, err = w.Try(t, rotated, ledgerapi.RevokeAccess, ledgerapi.RevokeAccessArgs{Patient: w.patient.Handle, Grant: grant.Terms.Grant})
	refuses(t, err, emr.CodeUnauthenticated, "signature")
	w.Do(t, w.next, ledgerapi.RevokeAccess, ledgerapi.RevokeAccessArgs{Patient: w.patient.Handle, Grant: grant.Terms.Grant})
}

func TestTheRotatedKeyMayVeto(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	p := w.waiting(t)
	rotated := rekeyed(t, w.patient)
	w.Do(t, w.patient, ledgerapi.RotatePatientKeys, rotation(t, w.Consortium, rotated, 0))
	require.Equal(t, emr.Permit, w.decides(t, rotated, ledgerapi.VetoRecovery, named(p)).Decision)
}

func TestProposingARecoveryIsRefused(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	taken := w.propose(t)
	other := w.Patient(t, ledgertest.HospitalA)
	unregistered := *w.NewPatient(t, ledgertest.HospitalA)
	type args = ledgerapi.ProposeRecoveryArgs
	for name, test := range map[string]struct {
		change func(*testing.T, *args)
		by     ledgertest.Member
		code   emr.Code
		text   string
	}{
		"by somebody who is no guardian": {by: other, code: emr.CodeForbidden, text: "guardian"},
		"by the patient":                 {by: w.patient, code: emr.CodeForbidden, text: "guardian"},
		"by the new key":                 {by: w.next, code: emr.CodeUnauthenticated, text: "signature"},
		"of an id that is taken":         {change: func(_ *testing.T, x *args) { x.Recovery = taken.Recovery }, code: emr.CodeExists, text: "already proposed"},
		"of an id of another form":       {change: func(_ *testing.T, x *args) { x.Recovery = "rcv_1" }, code: emr.CodeInvalid, text: "recovery"},
		"of the current key":             {change: func(t *testing.T, x *args) { *x = w.proposal(t, w.patient) }, code: emr.CodeInvalid, text: "replaces nothing"},
		"of a key that is none":          {change: func(_ *testing.T, x *args) { x.Consent.Key = nil }, code: emr.CodeInvalid, text: "consent"},
		"of a hybrid key that is none":   {change: func(_ *testing.T, x *args) { x.Hybrid = nil }, code: emr.CodeInvalid, text: "hybrid"},
		"with another recovery's proof":  {change: func(_ *testing.T, x *args) { x.Proof = taken.Proof }, code: emr.CodeInvalid, text: "another change"},
		"with a proof for a rotation":    {change: func(t *testing.T, x *args) { x.Proof = *rotation(t, w.Consortium, w.next, 0).Proof }, code: emr.CodeInvalid, text: "another change"},
		"with a proof by another key": {change: func(t *testing.T, x *args) {
			thief := rekeyed(t, w.patient)
			x.Proof = *w.Sign(t, thief, ledgerapi.ProveKey, ledgerapi.ProveKeyArgs{Patient: x.Patient, Recovery: x.Recovery, Consent: x.Consent, Hybrid: x.Hybrid})
		}, code: emr.CodeUnauthenticated, text: "signature"},
		"of a patient who has no guardians": {change: func(_ *testing.T, x *args) { x.Patient = other.Handle }, code: emr.CodeForbidden, text: "guardian"},
		"of somebody not registered":        {change: func(_ *testing.T, x *args) { x.Patient = unregistered.Handle }, code: emr.CodeNotFound},
		"of somebody who is no patient":     {change: func(_ *testing.T, x *args) { x.Patient = "hnd_1" }, code: emr.CodeInvalid, text: "patient"},
	} {
		t.Run(name, func(t *testing.T) {
			x := w.proposal(t, w.next)
			if test.change != nil {
				test.change(t, &x)
			}
			by := test.by
			if by == nil {
				by = w.reader
			}
			before := w.Dump()
			_, err := w.Try(t, by, ledgerapi.ProposeRecovery, x)
			refuses(t, err, test.code, test.text)
			require.Equal(t, before, w.Dump())
		})
	}
}

func TestNamingGuardiansIsRefused(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	stranger := w.NewPatient(t, ledgertest.HospitalA)
	many := w.guardians(1, 2, w.all...)
	for range ledgerapi.MaxGuardians {
		many.Guardians = append(many.Guardians, ledgertest.ID[string](emr.HandlePrefix))
	}
	slices.Sort(many.Guardians)
	type args = ledgerapi.SetGuardiansArgs
	for name, test := range map[string]struct {
		change func(*args)
		by     ledgertest.Member
		code   emr.Code
		text   string
	}{
		"by another patient":            {by: w.friend, code: emr.CodeForbidden, text: "another patient"},
		"by a clinician":                {by: w.reader, code: emr.CodeForbidden, text: "another patient"},
		"in place of a version before":  {change: func(x *args) { x.Version = 0 }, code: emr.CodeStale, text: "version"},
		"in place of a version to come": {change: func(x *args) { x.Version = 2 }, code: emr.CodeStale, text: "version"},
		"with a threshold of one":       {change: func(x *args) { x.Threshold = 1 }, code: emr.CodeInvalid, text: "threshold"},
		"with a threshold of none":      {change: func(x *args) { x.Threshold = 0 }, code: emr.CodeInvalid, text: "threshold"},
		"with too high a threshold":     {change: func(x *args) { x.Threshold = 4 }, code: emr.CodeInvalid, text: "threshold"},
		"with a threshold and nobody":   {change: func(x *args) { x.Guardians = []string{} }, code: emr.CodeInvalid, text: "threshold"},
		"with no list":                  {change: func(x *args) { x.Guardians = nil }, code: emr.CodeInvalid, text: "guardians"},
		"with too short a wait":         {change: func(x *args) { x.WaitHours = 23 }, code: emr.CodeInvalid, text: "waitHours"},
		"with too long a wait":          {change: func(x *args) { x.WaitHours = 721 }, code: emr.CodeInvalid, text: "waitHours"},
		"out of order":                  {change: func(x *args) { slices.Reverse(x.Guardians) }, code: emr.CodeInvalid, text: "sorted"},
		"one twice":                     {change: func(x *args) { x.Guardians[1] = x.Guardians[0] }, code: emr.CodeInvalid, text: "twice"},
		"the patient": {change: func(x *args) {
			x.Guardians = []string{string(w.patient.Handle), "hnd_" + strings.Repeat("f", 32)}
			slices.Sort(x.Guardians)
		}, code: emr.CodeInvalid, text: "the patient"},
		"somebody not registered":    {change: func(x *args) { x.Guardians = []string{string(stranger.Handle), "hnd_" + strings.Repeat("f", 32)} }, code: emr.CodeNotFound},
		"a clinician not registered": {change: func(x *args) { x.Guardians[0] = "cli_" + strings.Repeat("0", 32) }, code: emr.CodeNotFound},
		"a pseudonym":                {change: func(x *args) { x.Guardians[2] = "pat_" + strings.Repeat("f", 32) }, code: emr.CodeInvalid, text: "handle"},
		"too many":                   {change: func(x *args) { *x = many }, code: emr.CodeInvalid, text: "at most 16"},
	} {
		t.Run(name, func(t *testing.T) {
			x := w.guardians(1, 2, w.all...)
			if test.change != nil {
				test.change(&x)
			}
			by := test.by
			if by == nil {
				by = w.patient
			}
			before := w.Dump()
			_, err := w.Try(t, by, ledgerapi.SetGuardians, x)
			refuses(t, err, test.code, test.text)
			require.Equal(t, before, w.Dump())
		})
	}
	set, err := ledger.GetGuardians(w.Query(w.patient.Org), ledgerapi.HandleQuery{Patient: w.patient.Handle})
	require.NoError(t, err)
	require.Equal(t, uint32(1), set.Version)
	require.Equal(t, uint32(72), set.WaitHours)
	_, err = ledger.GetGuardians(w.Query(w.patient.Org), ledgerapi.HandleQuery{Patient: w.friend.Handle})
	refuses(t, err, emr.CodeNotFound, "")
}

func TestALateApprovalDoesNotBeginTheWaitAgain(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	p := w.waiting(t)
	ready := w.recovery(t, p.Recovery).Ready
	w.Wait(2 * day)
	w.refused(t, w.author, ledgerapi.ApproveRecovery, approval(p), emr.CodeRule, emr.ReasonWaiting)
	require.Equal(t, ready, w.recovery(t, p.Recovery).Ready)
	require.Len(t, w.recovery(t, p.Recovery).Approvals, 2)
}

func TestAnExpiredProposalDoesNotStandInTheWayOfTheNext(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	p := w.propose(t)
	w.Wait(30 * day)
	require.NotContains(t, w.Dump(), `"status":"expired"`, "nobody has said so")
	w.propose(t)
	require.Equal(t, emr.RecoveryExpired, w.recovery(t, p.Recovery).Status)
}

func TestAGuardianWithAnExpiredCertificateApprovesNothing(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	late := w.NewClinician(t, ledgertest.HospitalB,
		ledgertest.Wish{Role: "physician", Level: "private", Until: w.Now.Std().Add(time.Hour)})
	w.Do(t, late, ledgerapi.RegisterClinician, late.Args())
	w.Do(t, w.patient, ledgerapi.SetGuardians, w.guardians(1, 2, w.friend, late))
	p := w.propose(t)
	w.Wait(time.Hour)
	w.refused(t, late, ledgerapi.ApproveRecovery, approval(p), emr.CodeUnauthenticated, "")
	next := renewed(t, late, ledgertest.Wish{Role: "physician", Level: "private"})
	w.Do(t, next, ledgerapi.RegisterClinician, next.Args())
	require.Equal(t, emr.ReasonWaiting, w.decides(t, next, ledgerapi.ApproveRecovery, approval(p)).Reason)
}

func TestARecoveryMayPinAPasskey(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	passkey := signaturetest.New(t, "emrys.example", "https://patient.emrys.example")
	args := w.proposal(t, w.next)
	args.Consent = passkey.Pinned(t)
	statement := ledgerapi.ProveKeyArgs{Patient: args.Patient, Recovery: args.Recovery, Consent: args.Consent, Hybrid: args.Hybrid}
	args.Proof = *assertion(t, passkey, w.Action(t, w.patient, ledgerapi.ProveKey, statement), nil)
	w.Do(t, w.friend, ledgerapi.ProposeRecovery, args)
	w.Do(t, w.reader, ledgerapi.ApproveRecovery, approval(&args))
	w.Wait(3 * day)
	complete := w.Action(t, w.patient, ledgerapi.CompleteRecovery, named(&args))
	_, err := w.Submit(t, w.patient.Org, ledgerapi.CompleteRecovery, ledgertest.Seal(t, complete, w.patient.Consent))
	refuses(t, err, emr.CodeUnauthenticated, "kind")
	_, err = w.Submit(t, w.patient.Org, ledgerapi.CompleteRecovery, assertion(t, passkey, complete, nil))
	require.NoError(t, err)
	keys, err := patientKeys(t, w.Consortium, w.patient, 1)
	require.NoError(t, err)
	require.Equal(t, passkey.Pinned(t), keys.Consent)
}
