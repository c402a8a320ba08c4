// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/chaincode/ledger"
	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// story is the free text of the tests' emergency sessions.
const story = "brought in unconscious after a collision, allergies unknown"

// glass returns arguments by which the reader breaks the glass for the scene's patient.
func (s *scene) glass() ledgerapi.OpenEmergencyArgs {
	return ledgerapi.OpenEmergencyArgs{
		Session: ledgertest.ID[emr.SessionID](emr.SessionPrefix), Patient: s.patient.Handle, Purpose: emr.PurposeEmergency,
		Ground: emr.GroundUnconscious, Text: story, Presence: s.present(),
	}
}

func (s *scene) present() emr.Presence { return emr.Presence{Method: emr.PresencePasskey, At: s.Now} }

// decides signs and submits a transaction that decides.
func (s *scene) decides(t testing.TB, by ledgertest.Member, function string, args any) *ledgerapi.DecisionReceipt {
	t.Helper()
	return s.Do(t, by, function, args).(*ledgerapi.DecisionReceipt)
}

// broken breaks the glass and requires that the session is open.
func (s *scene) broken(t testing.TB) emr.SessionID {
	t.Helper()
	args := s.glass()
	require.Equal(t, emr.Permit, s.decides(t, s.reader, ledgerapi.OpenEmergency, args).Decision)
	return args.Session
}

// under returns arguments of a reading under a session.
func (s *scene) under(session emr.SessionID) ledgerapi.DiscloseArgs {
	args := s.read("")
	args.Session, args.Purpose = session, emr.PurposeEmergency
	return args
}

func (s *scene) officer(t testing.TB, org emr.OrgID) *ledgertest.Clinician {
	t.Helper()
	return s.Clinician(t, org, emr.RolePrivacyOfficer, emr.LevelLow)
}

func (s *scene) session(t testing.TB, id emr.SessionID) *emr.Emergency {
	t.Helper()
	session, err := ledger.GetEmergency(s.Query(s.Orgs[ledgertest.HospitalC]), ledgerapi.EmergencyArgs{Session: id})
	require.NoError(t, err)
	return session
}

func (s *scene) duty(t testing.TB, of *ledgertest.Clinician) []emr.OwedEntry {
	t.Helper()
	duty, err := ledger.GetEmergencyDuty(s.Query(of.Org), ledgerapi.ClinicianQuery{Clinician: of.ID})
	require.NoError(t, err)
	return duty.Owed
}

// rules sets an organisation's rules.
func (s *scene) rules(t testing.TB, org emr.OrgID, args ledgerapi.SetEmergencyRulesArgs) {
	t.Helper()
	tx := s.Begin(s.Facts(s.Orgs[org].Admin))
	_, err := ledger.SetEmergencyRules(tx, args)
	require.NoError(t, err)
	require.NoError(t, tx.Commit())
}

func twoPerson() ledgerapi.SetEmergencyRulesArgs {
	return ledgerapi.SetEmergencyRulesArgs{TwoPerson: true, MaxMinutes: ledgerapi.MaxEmergencyMinutes, ReviewDays: 7}
}

// emergency runs the whole life of a session under the two-person rule, with a
// reading, and returns the scene.
func emergency(t testing.TB, check func(*ledgertest.Tx, string, []byte, any, error)) (*scene, emr.SessionID) {
	t.Helper()
	s := newScene(t)
	if check != nil {
		s.Check = check
	}
	s.rules(t, ledgertest.HospitalA, twoPerson())
	second := s.Clinician(t, ledgertest.HospitalC, emr.RolePhysician, emr.LevelLow)
	officer := s.officer(t, ledgertest.HospitalB)
	s.Do(t, s.patient, ledgerapi.SetEmergencyPlan, ledgerapi.SetEmergencyPlanArgs{Patient: s.patient.Handle, Declined: []emr.ScopeID{}})
	args := s.glass()
	receipt := s.decides(t, s.reader, ledgerapi.OpenEmergency, args)
	require.Equal(t, emr.Ask, receipt.Decision)
	require.Equal(t, emr.ReasonUnconfirmed, s.disclose(t, s.reader, s.under(args.Session)).Reason)
	confirm := ledgerapi.ConfirmEmergencyArgs{Session: args.Session, Presence: s.present()}
	require.Equal(t, emr.Permit, s.decides(t, second, ledgerapi.ConfirmEmergency, confirm).Decision)
	require.Equal(t, emr.ReasonEmergency, s.disclose(t, s.reader, s.under(args.Session)).Reason)
	s.Wait(time.Hour)
	s.Do(t, s.reader, ledgerapi.CloseEmergency, ledgerapi.EmergencyArgs{Session: args.Session})
	s.Do(t, s.patient, ledgerapi.ContestEmergency,
		ledgerapi.ContestEmergencyArgs{Patient: s.patient.Handle, Session: args.Session, Text: "I was awake"})
	review := ledgerapi.ReviewEmergencyArgs{Session: args.Session, Outcome: emr.ReviewJustified, Text: "chart agrees"}
	require.Equal(t, emr.Permit, s.decides(t, officer, ledgerapi.ReviewEmergency, review).Decision)
	return s, args.Session
}

func TestAnEmergencySessionFromOpeningToReview(t *testing.T) {
	t.Parallel()
	s, id := emergency(t, nil)
	session := s.session(t, id)
	require.Equal(t, emr.EmergencyClosed, session.Status)
	require.Equal(t, ledgertest.HospitalC, session.ConfirmedOrg)
	require.True(t, session.Reviewed())
	require.NotZero(t, session.Contested)
	require.Empty(t, s.duty(t, s.reader))
	var kinds []emr.AuditKind
	for _, e := range s.trail(t, s.patient.Handle)[:8] {
		kinds = append(kinds, e.Kind)
	}
	require.Equal(t, []emr.AuditKind{
		emr.AuditEmergencyReviewed, emr.AuditEmergencyContested, emr.AuditEmergencyClosed, emr.AuditDisclosure,
		emr.AuditEmergencyConfirmed, emr.AuditDisclosure, emr.AuditEmergencyOpened, emr.AuditEmergencyPlan,
	}, kinds)
	var events []string
	for _, e := range s.Events[1:] { // after the record
		events = append(events, e.Name)
		require.NotContains(t, string(e.Payload), string(s.patient.Handle), "an event names no patient")
	}
	require.Equal(t, []string{
		ledgerapi.EventEmergencyPlan, ledgerapi.EventEmergencyOpened, ledgerapi.EventDisclosed, ledgerapi.EventEmergencyConfirmed,
		ledgerapi.EventDisclosed, ledgerapi.EventEmergencyClosed, ledgerapi.EventEmergencyContested, ledgerapi.EventEmergencyReviewed,
	}, events)
	for _, private := range []string{story, string(emr.GroundUnconscious), "I was awake", "chart agrees"} {
		require.NotContains(t, s.Dump(), private, "what it says of the patient is private")
	}
	view, err := ledger.GetEmergencyAction(s.Query(s.Orgs[ledgertest.HospitalA]), ledgerapi.EmergencyArgs{Session: id})
	require.NoError(t, err)
	for text, signed := range map[string]emr.SignedAction{
		story: view.Signed, "chart agrees": view.Reviews[0], "I was awake": view.Complaint,
	} {
		action, err := signed.Parse()
		require.NoError(t, err)
		require.Contains(t, string(action.Args), text)
	}
}
