// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/chaincode/ledger"
	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/consent"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// mover is a patient of hospital A, with a consent, and an assembly that may decide about the home.
type mover struct {
	*assembly
	patient *ledgertest.Patient
}

func newMover(t *testing.T) *mover {
	t.Helper()
	a := newAssembly(t)
	a.Check = sameAgain(t)
	m := &mover{a, a.Patient(t, ledgertest.HospitalA)}
	a.Do(t, m.patient, ledgerapi.PutConsent, m.consents(0))
	return m
}

func (m *mover) consents(replaces uint32) ledgerapi.PutConsentArgs {
	return ledgerapi.PutConsentArgs{
		Patient: m.patient.Handle, Replaces: replaces, Document: consent.Nothing(), Previewed: ledgerapi.Previewed{People: []emr.ClinicianID{}},
	}
}

// at makes a hospital's gateway the one that carries the patient's actions.
func (m *mover) at(org emr.OrgID) *ledgertest.Patient {
	moved := *m.patient
	moved.Org = m.Orgs[org]
	return &moved
}

func (m *mover) to(home emr.OrgID, generation uint32) ledgerapi.MoveHomeArgs {
	return ledgerapi.MoveHomeArgs{Patient: m.patient.Handle, Home: home, Generation: generation}
}

func (m *mover) entry() *emr.Patient {
	m.t.Helper()
	view, err := ledger.GetPatient(m.Query(m.Orgs[ledgertest.HospitalB]), ledgerapi.HandleQuery{Patient: m.patient.Handle})
	require.NoError(m.t, err)
	return &view.Patient
}

func (m *mover) guardedBy(home emr.OrgID, generation uint32) {
	m.t.Helper()
	for _, key := range []ledgerapi.Key{
		ledgerapi.PatientKeyAt(m.patient.Handle, generation), ledgerapi.ConsentKeyAt(m.patient.Handle, generation),
		ledgerapi.GuardiansKeyAt(m.patient.Handle, generation), ledgerapi.GrantRuleKeyAt(m.patient.Handle, generation),
	} {
		guard, guarded := m.GuardOf(key)
		require.True(m.t, guarded, key.Type)
		require.Equal(m.t, home, guard.Home, key.Type)
		require.NotContains(m.t, guard.Others, home)
	}
}

// guardedTypes are the values that have a guard, and all of them.
func guardedTypes() []string {
	return []string{ledgerapi.TypeConsent, ledgerapi.TypeGrantRule, ledgerapi.TypeGuardians, ledgerapi.TypePatient}
}

func homeRelease(patient emr.Handle, from emr.OrgID) emr.Subject {
	return emr.Subject{Kind: emr.ProposeHomeRelease, Organisation: from, Patient: patient}
}

func TestARegisteredPatientsValuesAreGuardedBeforeTheyAreSet(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	for _, key := range []ledgerapi.Key{
		ledgerapi.PatientKey(s.patient.Handle), ledgerapi.ConsentKey(s.patient.Handle), ledgerapi.GuardiansKey(s.patient.Handle),
		ledgerapi.GrantRuleKey(s.patient.Handle),
	} {
		guard, guarded := s.GuardOf(key)
		require.True(t, guarded, key.Type)
		require.Equal(t, ledger.Guard{
			Home: ledgertest.HospitalA, Others: []emr.OrgID{ledgertest.HospitalB, ledgertest.HospitalC, ledgertest.Regulator}, Need: 2,
		}, guard)
	}
	r := s.Query(s.Orgs[ledgertest.HospitalA])
	_, err := ledger.GetConsent(r, ledgerapi.ConsentQuery{Patient: s.patient.Handle})
	refuses(t, err, emr.CodeNotFound, "consent")
	_, err = ledger.GetGuardians(r, ledgerapi.HandleQuery{Patient: s.patient.Handle})
	refuses(t, err, emr.CodeNotFound, "guardians")
	page, err := ledger.ListConsents(r, ledgerapi.PageQuery{Patient: s.patient.Handle})
	require.NoError(t, err)
	require.Empty(t, page.Items)
}

func TestNothingOfAnEmergencyOrATrailIsGuarded(t *testing.T) {
	t.Parallel()
	s := share(t, nil)
	require.Equal(t, guardedTypes(), s.Guarded())
	s, _ = emergency(t, nil)
	require.Equal(t, guardedTypes(), s.Guarded())
}

func TestAGuardFollowsTheMembersWhenTheValueIsWritten(t *testing.T) {
	t.Parallel()
	m := newMover(t)
	org, subject := m.newcomer("HospitalDMSP")
	m.found()
	m.pass(subject, ledgertest.HospitalA, ledgertest.HospitalB, ledgertest.HospitalC)
	_, err := m.RegisterOrg(org.Admin, org.Args())
	require.NoError(t, err)
	before, _ := m.GuardOf(ledgerapi.ConsentKey(m.patient.Handle))
	require.NotContains(t, before.Others, org.ID)
	m.Do(t, m.patient, ledgerapi.PutConsent, m.consents(1))
	after, _ := m.GuardOf(ledgerapi.ConsentKey(m.patient.Handle))
	require.Contains(t, after.Others, org.ID)
	require.Equal(t, 2, after.Need, "with the home, three of five")
}

func TestAGuardIsWrittenOnlyWhenItChanges(t *testing.T) {
	t.Parallel()
	m := newMover(t)
	guards := 0
	m.Check = func(tx *ledgertest.Tx, _ string, _ []byte, _ any, _ error) { guards += len(tx.Effects().Guards) }
	m.Do(t, m.patient, ledgerapi.PutConsent, m.consents(1))
	require.Zero(t, guards)
}

func TestAWithdrawalNeedsNoHome(t *testing.T) {
	t.Parallel()
	m := newMover(t)
	m.Check = func(tx *ledgertest.Tx, _ string, _ []byte, _ any, _ error) {
		for _, w := range tx.Effects().Writes {
			for _, guarded := range guardedTypes() {
				require.NotContains(t, w, `"\x00`+guarded+`\x00`)
			}
		}
	}
	m.Do(t, m.patient, ledgerapi.WithdrawConsent, ledgerapi.WithdrawConsentArgs{Patient: m.patient.Handle})
	m.Check = nil
	r := m.Query(m.Orgs[ledgertest.HospitalB])
	current, err := ledger.GetConsent(r, ledgerapi.ConsentQuery{Patient: m.patient.Handle})
	require.NoError(t, err)
	require.Equal(t, consent.Withdrawn, current.Status)
	require.EqualValues(t, 2, current.Version)
	m.Do(t, m.patient, ledgerapi.PutConsent, m.consents(2))
	current, err = ledger.GetConsent(m.Query(m.Orgs[ledgertest.HospitalB]), ledgerapi.ConsentQuery{Patient: m.patient.Handle})
	require.NoError(t, err)
	require.Equal(t, consent.Active, current.Status)
	require.EqualValues(t, 3, current.Version)
}

func TestAPatientMovesToAnotherHomeWithTheOldOnesEndorsement(t *testing.T) {
	t.Parallel()
	m := newMover(t)
	m.Do(t, m.at(ledgertest.HospitalB), ledgerapi.MoveHome, m.to(ledgertest.HospitalB, 0))
	require.Equal(t, ledgertest.HospitalB, m.entry().Home)
	require.Zero(t, m.entry().Generation, "the same keys, so that the old home had to endorse")
	m.guardedBy(ledgertest.HospitalB, 0)
	m.Do(t, m.patient, ledgerapi.PutConsent, m.consents(1))
}

func TestAMoveIsRefused(t *testing.T) {
	t.Parallel()
	m := newMover(t)
	other := m.Patient(t, ledgertest.HospitalB)
	for name, c := range map[string]struct {
		by   ledgertest.Member
		args ledgerapi.MoveHomeArgs
		code emr.Code
	}{
		"to a hospital that does not carry it": {m.at(ledgertest.HospitalC), m.to(ledgertest.HospitalB, 0), emr.CodeForbidden},
		"to the regulator":                     {m.at(ledgertest.Regulator), m.to(ledgertest.Regulator, 0), emr.CodeForbidden},
		"to the home":                          {m.patient, m.to(ledgertest.HospitalA, 0), emr.CodeExists},
		"of another patient":                   {other, m.to(ledgertest.HospitalB, 0), emr.CodeForbidden},
		"out of a home that nobody released":   {m.at(ledgertest.HospitalB), m.to(ledgertest.HospitalB, 1), emr.CodeStale},
	} {
		_, err := m.Try(t, c.by, ledgerapi.MoveHome, c.args)
		require.Equal(t, c.code, emr.CodeOf(err), "%s: %v", name, err)
	}
	require.Equal(t, ledgertest.HospitalA, m.entry().Home)
}

func TestTheMembersReleaseAPatientFromAHomeThatDoesNotEndorse(t *testing.T) {
	t.Parallel()
	m := newMover(t)
	m.Do(t, m.patient, ledgerapi.PutConsent, m.consents(1))
	m.pass(homeRelease(m.patient.Handle, ledgertest.HospitalA), ledgertest.HospitalB, ledgertest.HospitalC)
	_, err := m.Try(t, m.at(ledgertest.HospitalB), ledgerapi.MoveHome, m.to(ledgertest.HospitalB, 0))
	require.Equal(t, emr.CodeStale, emr.CodeOf(err), "the patient signs that the old values are left behind")
	m.Check = func(tx *ledgertest.Tx, _ string, _ []byte, _ any, _ error) {
		for _, w := range tx.Effects().Writes {
			require.NotContains(t, w, `"\x00consent\x00`+string(m.patient.Handle)+`\x00"`, "the old home need not endorse")
		}
	}
	m.Do(t, m.at(ledgertest.HospitalB), ledgerapi.MoveHome, m.to(ledgertest.HospitalB, 1))
	m.Check = sameAgain(t)
	require.EqualValues(t, 1, m.entry().Generation)
	m.guardedBy(ledgertest.HospitalB, 1)
	current, err := ledger.GetConsent(m.Query(m.Orgs[ledgertest.HospitalC]), ledgerapi.ConsentQuery{Patient: m.patient.Handle})
	require.NoError(t, err)
	require.EqualValues(t, 2, current.Version, "the consent has moved along")
	m.Do(t, m.patient, ledgerapi.PutConsent, m.consents(2))
	next := rekeyed(t, m.patient)
	m.Do(t, m.patient, ledgerapi.RotatePatientKeys, rotation(t, m.Consortium, next, 0))
	require.EqualValues(t, 1, m.entry().KeyVersion)
	_, err = m.Try(t, next, ledgerapi.MoveHome, m.to(ledgertest.HospitalA, 2))
	require.Equal(t, emr.CodeStale, emr.CodeOf(err), "a release serves once")
}

func TestAPatientOfARemovedHospitalMovesWithoutAVote(t *testing.T) {
	t.Parallel()
	m := newMover(t)
	m.pass(removal(ledgertest.HospitalA), ledgertest.HospitalB, ledgertest.HospitalC)
	m.Do(t, m.at(ledgertest.HospitalC), ledgerapi.MoveHome, m.to(ledgertest.HospitalC, 1))
	m.guardedBy(ledgertest.HospitalC, 1)
	guard, _ := m.GuardOf(ledgerapi.PatientKeyAt(m.patient.Handle, 1))
	require.NotContains(t, guard.Others, ledgertest.HospitalA)
}

func TestAReleaseIsRefusedWhereItMakesNoSense(t *testing.T) {
	t.Parallel()
	m := newMover(t)
	unknown := ledgertest.ID[emr.Handle](emr.HandlePrefix)
	with := homeRelease(m.patient.Handle, ledgertest.HospitalA)
	with.Function = ledgerapi.Disclose
	for name, c := range map[string]struct {
		by      emr.OrgID
		subject emr.Subject
		code    emr.Code
	}{
		"of a patient whom nobody knows": {ledgertest.HospitalB, homeRelease(unknown, ledgertest.HospitalA), emr.CodeNotFound},
		"from another than the home":     {ledgertest.HospitalC, homeRelease(m.patient.Handle, ledgertest.HospitalB), emr.CodeRule},
		"by the home itself":             {ledgertest.HospitalA, homeRelease(m.patient.Handle, ledgertest.HospitalA), emr.CodeForbidden},
		"of nobody":                      {ledgertest.HospitalB, homeRelease("", ledgertest.HospitalA), emr.CodeInvalid},
		"with a field of another kind":   {ledgertest.HospitalB, with, emr.CodeInvalid},
	} {
		_, err := m.propose(c.by, c.subject)
		require.Equal(t, c.code, emr.CodeOf(err), "%s: %v", name, err)
	}
	id, err := m.propose(ledgertest.HospitalB, homeRelease(m.patient.Handle, ledgertest.HospitalA))
	require.NoError(t, err)
	refuses(t, m.vote(ledgertest.HospitalA, id, false), emr.CodeForbidden, "no vote")
	require.NoError(t, m.vote(ledgertest.HospitalC, id, true))
	_, err = m.propose(ledgertest.HospitalB, homeRelease(m.patient.Handle, ledgertest.HospitalA))
	refuses(t, err, emr.CodeExists, "released")
}

// What a majority without the home could write by itself, with a contract of its
// own: a move, and values of the generation that it begins.
func TestAMoveThatThePatientDidNotSignCountsForNothing(t *testing.T) {
	t.Parallel()
	m := newMover(t)
	real := m.Sign(t, m.patient, ledgerapi.MoveHome, m.to(ledgertest.HospitalB, 0)) // of a move with the home's endorsement
	stranger := *m.patient
	stranger.Consent = ledgertest.NewKey(t)
	for name, signed := range map[string]*emr.SignedAction{
		"signed by another key":     m.Sign(t, &stranger, ledgerapi.MoveHome, m.to(ledgertest.HospitalB, 1)),
		"signed for another move":   real,
		"signed for another matter": m.Sign(t, m.patient, ledgerapi.PutConsent, m.to(ledgertest.HospitalB, 1)),
		"signed for another home":   m.Sign(t, m.patient, ledgerapi.MoveHome, m.to(ledgertest.HospitalC, 1)),
		"not signed":                {Kind: emr.SignatureP256, Body: []byte("{}"), Signature: []byte{}},
	} {
		forged := m.Clone()
		value, err := emr.Canonical(emr.HomeMove{
			V: emr.DocumentVersion, Patient: m.patient.Handle, Generation: 1, From: ledgertest.HospitalA, To: ledgertest.HospitalB,
			At: m.Now, Signed: *signed,
		})
		require.NoError(t, err)
		forged.Overwrite(ledgerapi.HomeMoveKey(m.patient.Handle, 1), value)
		entry := m.entry()
		entry.Consent.Key, entry.Generation = stranger.Consent.Public().Bytes(), 1
		value, err = emr.Canonical(entry)
		require.NoError(t, err)
		forged.Overwrite(ledgerapi.PatientKeyAt(m.patient.Handle, 1), value)
		_, err = ledger.GetPatient(forged.View(m.Facts(m.Orgs[ledgertest.HospitalA].Gateway)), ledgerapi.HandleQuery{Patient: m.patient.Handle})
		require.Equal(t, emr.CodeCorrupt, emr.CodeOf(err), "%s: %v", name, err)
	}
}
