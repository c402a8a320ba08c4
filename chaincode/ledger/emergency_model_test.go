// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// glassModel is what a random sequence of emergencies must keep true, in the
// simplest terms: who opened what for whom, until when, and what is still owed.
type glassModel struct {
	*scene
	t        *testing.T
	readers  []*ledgertest.Clinician
	patients []*ledgertest.Patient
	records  []*emr.Manifest // of the patients, in their order
	officers []*ledgertest.Clinician
	sessions []*modelSession
	declined map[emr.Handle]bool
}

type modelSession struct {
	id       emr.SessionID
	by       *ledgertest.Clinician
	patient  emr.Handle
	waiting  bool
	closed   bool
	end      emr.Time
	reviewed bool
}

func (m *glassModel) owed(by *ledgertest.Clinician) (open, owed int, overdue bool) {
	for _, s := range m.sessions {
		if s.by != by || s.reviewed {
			continue
		}
		owed++
		if m.Now < s.end {
			open++
		}
		overdue = overdue || m.Now >= s.end.Add(7*24*time.Hour)
	}
	return open, owed, overdue
}

func (m *glassModel) openOne(rt *rapid.T) {
	by, at := rapid.SampledFrom(m.readers).Draw(rt, "reader"), rapid.IntRange(0, 1).Draw(rt, "patient")
	args := m.glass()
	args.Patient = m.patients[at].Handle
	args.Minutes = rapid.Uint32Range(1, 600).Draw(rt, "minutes")
	receipt := m.decides(m.t, by, ledgerapi.OpenEmergency, args)
	open, owed, overdue := m.owed(by)
	want := emr.Permit
	switch {
	case m.declined[args.Patient], overdue, open >= ledgerapi.MaxOpenEmergencies, owed >= ledgerapi.MaxOwedEmergencies:
		want = emr.Deny
	case by.Org.ID == ledgertest.HospitalB: // which asks for two persons
		want = emr.Ask
	}
	require.Equal(m.t, want, receipt.Decision, "%s", receipt.Reason)
	if want != emr.Deny {
		m.sessions = append(m.sessions, &modelSession{
			id: args.Session, by: by, patient: args.Patient, waiting: want == emr.Ask,
			end: m.Now.Add(time.Duration(args.Minutes) * time.Minute),
		})
	}
}

func (m *glassModel) any(rt *rapid.T) *modelSession {
	if len(m.sessions) == 0 {
		return nil
	}
	return rapid.SampledFrom(m.sessions).Draw(rt, "session")
}

func (m *glassModel) confirm(rt *rapid.T) {
	session, second := m.any(rt), rapid.SampledFrom(m.readers).Draw(rt, "second")
	if session == nil {
		return
	}
	args := ledgerapi.ConfirmEmergencyArgs{Session: session.id, Presence: m.present()}
	answer, err := m.Try(m.t, second, ledgerapi.ConfirmEmergency, args)
	if !session.waiting || session.closed {
		refuses(m.t, err, emr.CodeRule, "")
		return
	}
	require.NoError(m.t, err)
	want := second.Org != session.by.Org && m.Now < session.end
	require.Equal(m.t, want, answer.(*ledgerapi.DecisionReceipt).Decision == emr.Permit)
	session.waiting = !want
}

func (m *glassModel) close(rt *rapid.T) {
	session := m.any(rt)
	if session == nil {
		return
	}
	_, err := m.Try(m.t, session.by, ledgerapi.CloseEmergency, ledgerapi.EmergencyArgs{Session: session.id})
	if session.closed || m.Now >= session.end {
		refuses(m.t, err, emr.CodeGone, "")
		return
	}
	require.NoError(m.t, err)
	session.closed, session.end = true, m.Now
}

func (m *glassModel) review(rt *rapid.T) {
	session, by := m.any(rt), rapid.SampledFrom(append(slices.Clone(m.officers), m.readers...)).Draw(rt, "reviewer")
	if session == nil {
		return
	}
	answer, err := m.Try(m.t, by, ledgerapi.ReviewEmergency,
		ledgerapi.ReviewEmergencyArgs{Session: session.id, Outcome: emr.ReviewUnjustified})
	switch {
	case m.Now < session.end:
		refuses(m.t, err, emr.CodeRule, "open")
	case session.reviewed:
		refuses(m.t, err, emr.CodeExists, "")
	default:
		require.NoError(m.t, err)
		standing := by.Org == session.by.Org || by.Org.ID == ledgertest.Regulator || by.Org.ID == ledgertest.HospitalA
		want := slices.Contains(m.officers, by) && standing
		require.Equal(m.t, want, answer.(*ledgerapi.DecisionReceipt).Decision == emr.Permit)
		session.reviewed = want
	}
}

func (m *glassModel) plan(rt *rapid.T) {
	patient := rapid.SampledFrom(m.patients).Draw(rt, "patient")
	before := m.patient
	m.patient = patient
	m.declined[patient.Handle] = rapid.Bool().Draw(rt, "decline")
	m.decline(m.t, m.declined[patient.Handle])
	m.patient = before
}

func (m *glassModel) readOne(rt *rapid.T) {
	session, by := m.any(rt), rapid.SampledFrom(m.readers).Draw(rt, "reader")
	at := rapid.IntRange(0, 1).Draw(rt, "record")
	if session == nil {
		return
	}
	args := m.under(session.id)
	args.Record = m.records[at].Record
	receipt := m.disclose(m.t, by, args)
	want := by == session.by && m.patients[at].Handle == session.patient && !session.waiting && !session.closed &&
		m.Now < session.end && !m.declined[session.patient]
	require.Equal(m.t, want, receipt.Decision == emr.Permit, "%s", receipt.Reason)
	if want {
		require.LessOrEqual(m.t, receipt.Until, session.end)
	}
}

func (m *glassModel) wait(rt *rapid.T) {
	m.Wait(time.Duration(rapid.SampledFrom([]int{1, 60, 3600, 4 * 24 * 3600}).Draw(rt, "seconds")) * time.Second)
}

// agree keeps the invariants that the ledger's duty is the model's, and that every
// trail is a complete chain.
func (m *glassModel) agree(*rapid.T) {
	for _, reader := range m.readers {
		_, owed, _ := m.owed(reader)
		require.Len(m.t, m.duty(m.t, reader), owed)
	}
	for _, patient := range m.patients {
		m.verified(m.t, patient.Handle)
	}
}

func TestRandomEmergenciesGiveNothingWithoutAnOpenSession(t *testing.T) {
	t.Parallel()
	base := newScene(t)
	base.rules(t, ledgertest.HospitalB, twoPerson())
	other := base.Patient(t, ledgertest.HospitalA)
	base.Accept(t, other, base.author)
	record := base.Record(t, base.author, base.Scope(t, other, emr.LevelPrivate), emr.ClassPrescription)
	third := base.Clinician(t, ledgertest.HospitalC, emr.RoleNurse, emr.LevelPrivate)
	officers := []*ledgertest.Clinician{
		base.officer(t, ledgertest.HospitalA), base.officer(t, ledgertest.HospitalB), base.officer(t, ledgertest.HospitalC),
		base.officer(t, ledgertest.Regulator),
	}
	rapid.Check(t, func(rt *rapid.T) {
		copied, consortium := *base, *base.Consortium
		consortium.World, copied.Consortium = base.Clone(), &consortium
		m := &glassModel{
			scene: &copied, t: t, readers: []*ledgertest.Clinician{base.reader, base.author, third},
			patients: []*ledgertest.Patient{base.patient, other}, records: []*emr.Manifest{base.record, record},
			officers: officers, declined: map[emr.Handle]bool{},
		}
		rt.Repeat(map[string]func(*rapid.T){
			"open": m.openOne, "open again": m.openOne, "confirm": m.confirm, "close": m.close, "review": m.review, "plan": m.plan,
			"read": m.readOne, "read again": m.readOne, "wait": m.wait, "": m.agree,
		})
	})
}
