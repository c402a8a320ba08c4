// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// waiting breaks the glass where two persons are asked for.
func (s *scene) waiting(t testing.TB) emr.SessionID {
	t.Helper()
	s.rules(t, ledgertest.HospitalB, twoPerson())
	args := s.glass()
	require.Equal(t, emr.Ask, s.decides(t, s.reader, ledgerapi.OpenEmergency, args).Decision)
	return args.Session
}

func TestTheSecondPersonIsDecided(t *testing.T) {
	t.Parallel()
	by := func(org emr.OrgID, role emr.Role) func(*testing.T, *scene) *ledgertest.Clinician {
		return func(t *testing.T, s *scene) *ledgertest.Clinician { return s.Clinician(t, org, role, emr.LevelLow) }
	}
	for name, test := range map[string]struct {
		by     func(*testing.T, *scene) *ledgertest.Clinician
		change func(*scene, *ledgerapi.ConfirmEmergencyArgs)
		reason emr.Reason
	}{
		"permit: a physician of another hospital": {by: by(ledgertest.HospitalC, emr.RolePhysician), reason: emr.ReasonEmergency},
		"permit: a nurse of the patient's home":   {by: by(ledgertest.HospitalA, emr.RoleNurse), reason: emr.ReasonEmergency},
		"permit: the regulator's privacy officer": {by: by(ledgertest.Regulator, emr.RolePrivacyOfficer), reason: emr.ReasonEmergency},
		"deny: the same person":                   {by: func(_ *testing.T, s *scene) *ledgertest.Clinician { return s.reader }, reason: emr.ReasonSelfConfirmed},
		"deny: the same organisation":             {by: by(ledgertest.HospitalB, emr.RolePhysician), reason: emr.ReasonOrgConfirmed},
		"deny: the same organisation's officer":   {by: by(ledgertest.HospitalB, emr.RolePrivacyOfficer), reason: emr.ReasonOrgConfirmed},
		"deny: a researcher":                      {by: by(ledgertest.HospitalC, emr.RoleResearcher), reason: emr.ReasonRole},
		"deny: an auditor":                        {by: by(ledgertest.Regulator, emr.RoleAuditor), reason: emr.ReasonRole},
		"deny: the same person at two hospitals, by the reading key": {by: func(t *testing.T, s *scene) *ledgertest.Clinician {
			twin := s.NewClinician(t, ledgertest.HospitalC, ledgertest.Wish{Role: string(emr.RolePhysician)})
			twin.Reading = s.reader.Reading
			s.Do(t, twin, ledgerapi.RegisterClinician, twin.Args())
			return twin
		}, reason: emr.ReasonSelfConfirmed},
		"deny: the same person at two hospitals, by the signing key": {by: func(t *testing.T, s *scene) *ledgertest.Clinician {
			twin := s.NewClinician(t, ledgertest.HospitalC, ledgertest.Wish{})
			twin.Key = s.reader.Key
			twin.Cert = twin.Org.IssueFor(t, ledgertest.Wish{CN: string(twin.ID), Role: string(emr.RolePhysician)}, twin.Key)
			s.Do(t, twin, ledgerapi.RegisterClinician, twin.Args())
			return twin
		}, reason: emr.ReasonSelfConfirmed},
		"deny: stale re-authentication": {by: by(ledgertest.HospitalC, emr.RolePhysician), change: func(s *scene, a *ledgerapi.ConfirmEmergencyArgs) {
			a.Presence.At = s.Now - 121
		}, reason: emr.ReasonStalePresence},
		"permit: in the last second": {by: by(ledgertest.HospitalC, emr.RolePhysician), change: func(s *scene, a *ledgerapi.ConfirmEmergencyArgs) {
			s.Wait(4*time.Hour - time.Second)
			a.Presence = s.present()
		}, reason: emr.ReasonEmergency},
		"deny: too late": {by: by(ledgertest.HospitalC, emr.RolePhysician), change: func(s *scene, a *ledgerapi.ConfirmEmergencyArgs) {
			s.Wait(4 * time.Hour)
			a.Presence = s.present()
		}, reason: emr.ReasonSessionExpired},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			id := s.waiting(t)
			second := test.by(t, s)
			args := ledgerapi.ConfirmEmergencyArgs{Session: id, Presence: s.present()}
			if test.change != nil {
				test.change(s, &args)
			}
			receipt := s.decides(t, second, ledgerapi.ConfirmEmergency, args)
			require.Equal(t, test.reason, receipt.Reason)
			entry := s.trail(t, s.patient.Handle)[0]
			require.Equal(t, []any{emr.AuditEmergencyConfirmed, string(second.ID), test.reason, receipt.Decision},
				[]any{entry.Kind, entry.Actor, entry.Reason, entry.Decision})
			reading := s.disclose(t, s.reader, s.under(id))
			if test.reason == emr.ReasonEmergency {
				require.Equal(t, emr.Permit, reading.Decision)
				require.Equal(t, second.ID, s.session(t, id).ConfirmedBy)
				_, err := s.Try(t, second, ledgerapi.ConfirmEmergency, args)
				refuses(t, err, emr.CodeRule, "does not wait")
				return
			}
			require.Equal(t, emr.Deny, reading.Decision, "a session that waits gives nothing")
			require.Equal(t, emr.EmergencyWaiting, s.session(t, id).Status)
		})
	}
}

func TestConfirmingIsRefused(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	open := s.broken(t)
	for name, test := range map[string]struct {
		by   ledgertest.Member
		args ledgerapi.ConfirmEmergencyArgs
		code emr.Code
	}{
		"a session that asks for nobody":    {s.author, ledgerapi.ConfirmEmergencyArgs{Session: open, Presence: s.present()}, emr.CodeRule},
		"an unknown session":                {s.author, ledgerapi.ConfirmEmergencyArgs{Session: ledgertest.ID[emr.SessionID]("eme_"), Presence: s.present()}, emr.CodeNotFound},
		"a session of another form":         {s.author, ledgerapi.ConfirmEmergencyArgs{Session: "x", Presence: s.present()}, emr.CodeInvalid},
		"no way of authentication":          {s.author, ledgerapi.ConfirmEmergencyArgs{Session: open}, emr.CodeInvalid},
		"by the patient":                    {s.patient, ledgerapi.ConfirmEmergencyArgs{Session: open, Presence: s.present()}, emr.CodeForbidden},
		"by somebody who is not registered": {s.NewClinician(t, ledgertest.HospitalC, ledgertest.Wish{}), ledgerapi.ConfirmEmergencyArgs{Session: open, Presence: s.present()}, emr.CodeUnauthenticated},
	} {
		t.Run(name, func(t *testing.T) {
			before := s.Dump()
			_, err := s.Try(t, test.by, ledgerapi.ConfirmEmergency, test.args)
			refuses(t, err, test.code, "")
			require.Equal(t, before, s.Dump())
		})
	}
}

func TestAReviewIsDecided(t *testing.T) {
	t.Parallel()
	officer := func(org emr.OrgID) func(*testing.T, *scene) *ledgertest.Clinician {
		return func(t *testing.T, s *scene) *ledgertest.Clinician { return s.officer(t, org) }
	}
	for name, test := range map[string]struct {
		by     func(*testing.T, *scene) *ledgertest.Clinician
		reason emr.Reason
	}{
		"permit: the clinician's hospital": {officer(ledgertest.HospitalB), emr.ReasonEmergency},
		"permit: the patient's home":       {officer(ledgertest.HospitalA), emr.ReasonEmergency},
		"permit: the regulator":            {officer(ledgertest.Regulator), emr.ReasonEmergency},
		"deny: an uninvolved hospital":     {officer(ledgertest.HospitalC), emr.ReasonReviewStanding},
		"deny: reviewing oneself":          {func(_ *testing.T, s *scene) *ledgertest.Clinician { return s.reader }, emr.ReasonSelfReviewed},
		"deny: reviewing oneself as an officer": {func(t *testing.T, s *scene) *ledgertest.Clinician {
			twin := s.NewClinician(t, ledgertest.HospitalB, ledgertest.Wish{Role: string(emr.RolePrivacyOfficer)})
			twin.Reading = s.reader.Reading
			s.Do(t, twin, ledgerapi.RegisterClinician, twin.Args())
			return twin
		}, emr.ReasonSelfReviewed},
		"deny: a colleague": {func(t *testing.T, s *scene) *ledgertest.Clinician {
			return s.Clinician(t, ledgertest.HospitalB, emr.RolePhysician, emr.LevelPrivate)
		}, emr.ReasonRole},
		"deny: an auditor": {func(t *testing.T, s *scene) *ledgertest.Clinician {
			return s.Clinician(t, ledgertest.Regulator, emr.RoleAuditor, emr.LevelPrivate)
		}, emr.ReasonRole},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			id := s.broken(t)
			s.Wait(4 * time.Hour)
			by := test.by(t, s)
			review := ledgerapi.ReviewEmergencyArgs{Session: id, Outcome: emr.ReviewUnjustified, Text: "nobody was unconscious"}
			receipt := s.decides(t, by, ledgerapi.ReviewEmergency, review)
			require.Equal(t, test.reason, receipt.Reason)
			permitted := test.reason == emr.ReasonEmergency
			require.Equal(t, permitted, receipt.Decision == emr.Permit)
			require.Equal(t, permitted, s.session(t, id).Reviewed())
			require.Equal(t, permitted, len(s.duty(t, s.reader)) == 0)
			entry := s.trail(t, s.patient.Handle)[0]
			require.Equal(t, []any{emr.AuditEmergencyReviewed, string(by.ID), test.reason}, []any{entry.Kind, entry.Actor, entry.Reason})
			if permitted {
				_, err := s.Try(t, by, ledgerapi.ReviewEmergency, review)
				refuses(t, err, emr.CodeExists, "already reviewed")
			}
		})
	}
}

func TestWhoConfirmedDoesNotReview(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	id := s.waiting(t)
	officer := s.officer(t, ledgertest.HospitalA)
	s.decides(t, officer, ledgerapi.ConfirmEmergency, ledgerapi.ConfirmEmergencyArgs{Session: id, Presence: s.present()})
	s.Wait(4 * time.Hour)
	receipt := s.decides(t, officer, ledgerapi.ReviewEmergency, ledgerapi.ReviewEmergencyArgs{Session: id, Outcome: emr.ReviewJustified})
	require.Equal(t, emr.ReasonSelfReviewed, receipt.Reason)
}

func TestReviewingIsRefused(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	officer := s.officer(t, ledgertest.HospitalB)
	id := s.broken(t)
	denied := s.glass()
	denied.Ground = ""
	s.decides(t, s.reader, ledgerapi.OpenEmergency, denied)
	for name, test := range map[string]struct {
		by   ledgertest.Member
		args ledgerapi.ReviewEmergencyArgs
		code emr.Code
		text string
	}{
		"a session that is open":     {officer, ledgerapi.ReviewEmergencyArgs{Session: id, Outcome: emr.ReviewJustified}, emr.CodeRule, "still open"},
		"a session that was refused": {officer, ledgerapi.ReviewEmergencyArgs{Session: denied.Session, Outcome: emr.ReviewJustified}, emr.CodeRule, "refused"},
		"an unknown session":         {officer, ledgerapi.ReviewEmergencyArgs{Session: ledgertest.ID[emr.SessionID]("eme_"), Outcome: emr.ReviewJustified}, emr.CodeNotFound, ""},
		"no outcome":                 {officer, ledgerapi.ReviewEmergencyArgs{Session: id}, emr.CodeInvalid, "outcome"},
		"a text too long":            {officer, ledgerapi.ReviewEmergencyArgs{Session: id, Outcome: emr.ReviewJustified, Text: strings.Repeat("x", 4001)}, emr.CodeTooLarge, "text"},
		"the patient is no officer":  {s.patient, ledgerapi.ReviewEmergencyArgs{Session: id, Outcome: emr.ReviewUnjustified}, emr.CodeForbidden, ""},
	} {
		t.Run(name, func(t *testing.T) {
			before := s.Dump()
			_, err := s.Try(t, test.by, ledgerapi.ReviewEmergency, test.args)
			refuses(t, err, test.code, test.text)
			require.Equal(t, before, s.Dump())
		})
	}
}

// TestAnEscalatedSessionIsJudgedElsewhere: until another organisation has spoken
// the last word, the clinician owes the review, with new time for it.
func TestAnEscalatedSessionIsJudgedElsewhere(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	id := s.broken(t)
	s.Wait(4*time.Hour + 6*24*time.Hour)
	review := func(by *ledgertest.Clinician, outcome emr.ReviewOutcome) *ledgerapi.DecisionReceipt {
		return s.decides(t, by, ledgerapi.ReviewEmergency, ledgerapi.ReviewEmergencyArgs{Session: id, Outcome: outcome})
	}
	own := s.officer(t, ledgertest.HospitalB)
	require.Equal(t, emr.Permit, review(own, emr.ReviewEscalated).Decision)
	require.False(t, s.session(t, id).Reviewed())
	require.Equal(t, s.Now.Add(7*24*time.Hour), s.duty(t, s.reader)[0].ReviewBy)
	require.Equal(t, emr.ReasonReviewStanding, review(own, emr.ReviewJustified).Reason)
	require.Equal(t, emr.ReasonReviewStanding, review(s.officer(t, ledgertest.HospitalB), emr.ReviewJustified).Reason)
	s.Wait(7 * 24 * time.Hour)
	require.Equal(t, emr.ReasonReviewOverdue, s.decides(t, s.reader, ledgerapi.OpenEmergency, s.glass()).Reason)
	require.Equal(t, emr.Permit, review(s.officer(t, ledgertest.HospitalA), emr.ReviewEscalated).Decision)
	require.Equal(t, emr.ReasonReviewOverdue, s.decides(t, s.reader, ledgerapi.OpenEmergency, s.glass()).Reason,
		"who escalates what is overdue lets nobody off")
	require.Equal(t, emr.Permit, review(s.officer(t, ledgertest.Regulator), emr.ReviewUnjustified).Decision)
	require.Len(t, s.session(t, id).Reviews, 3)
	require.Empty(t, s.duty(t, s.reader))
	require.Equal(t, emr.Permit, s.decides(t, s.reader, ledgerapi.OpenEmergency, s.glass()).Decision)
}

func TestTheTimeForAReviewRunsFromTheEnd(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	id := s.broken(t)
	s.Wait(time.Hour)
	s.Do(t, s.reader, ledgerapi.CloseEmergency, ledgerapi.EmergencyArgs{Session: id})
	want := s.Now.Add(7 * 24 * time.Hour)
	require.Equal(t, want, s.session(t, id).ReviewBy)
	require.Equal(t, []emr.OwedEntry{{Session: id, Until: s.Now, ReviewBy: want}}, s.duty(t, s.reader))
}

func TestClosingIsRefused(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	id := s.broken(t)
	colleague := s.Clinician(t, ledgertest.HospitalB, emr.RolePhysician, emr.LevelPrivate)
	for name, test := range map[string]struct {
		by   ledgertest.Member
		id   emr.SessionID
		code emr.Code
	}{
		"by a colleague":                      {colleague, id, emr.CodeForbidden},
		"by another hospital's physician":     {s.author, id, emr.CodeForbidden},
		"by an uninvolved hospital's officer": {s.officer(t, ledgertest.HospitalC), id, emr.CodeForbidden},
		"by another patient":                  {s.Patient(t, ledgertest.HospitalA), id, emr.CodeNotFound},
		"of an unknown session":               {s.reader, ledgertest.ID[emr.SessionID]("eme_"), emr.CodeNotFound},
		"of another form":                     {s.reader, "x", emr.CodeInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			before := s.Dump()
			_, err := s.Try(t, test.by, ledgerapi.CloseEmergency, ledgerapi.EmergencyArgs{Session: test.id})
			refuses(t, err, test.code, "")
			require.Equal(t, before, s.Dump())
		})
	}
	s.Do(t, s.officer(t, ledgertest.Regulator), ledgerapi.CloseEmergency, ledgerapi.EmergencyArgs{Session: id})
	_, err := s.Try(t, s.reader, ledgerapi.CloseEmergency, ledgerapi.EmergencyArgs{Session: id})
	refuses(t, err, emr.CodeGone, "ended")
	over := s.broken(t)
	s.Wait(4 * time.Hour)
	_, err = s.Try(t, s.reader, ledgerapi.CloseEmergency, ledgerapi.EmergencyArgs{Session: over})
	refuses(t, err, emr.CodeGone, "ended")
}

func TestContestingIsRefused(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	args := ledgerapi.ContestEmergencyArgs{Patient: s.patient.Handle, Session: s.broken(t), Text: "I never saw them"}
	for name, test := range map[string]struct {
		by     ledgertest.Member
		change func(*ledgerapi.ContestEmergencyArgs)
		code   emr.Code
	}{
		"another patient's session":  {nil, func(a *ledgerapi.ContestEmergencyArgs) {}, emr.CodeNotFound},
		"in another patient's name":  {s.Patient(t, ledgertest.HospitalC), func(*ledgerapi.ContestEmergencyArgs) {}, emr.CodeForbidden},
		"by the clinician":           {s.reader, func(*ledgerapi.ContestEmergencyArgs) {}, emr.CodeForbidden},
		"without a text":             {s.patient, func(a *ledgerapi.ContestEmergencyArgs) { a.Text = " \n" }, emr.CodeInvalid},
		"with a text too long":       {s.patient, func(a *ledgerapi.ContestEmergencyArgs) { a.Text = strings.Repeat("x", 4001) }, emr.CodeTooLarge},
		"of a session of other form": {s.patient, func(a *ledgerapi.ContestEmergencyArgs) { a.Session = "x" }, emr.CodeInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			refused := args
			test.change(&refused)
			by := test.by
			if by == nil {
				other := s.Patient(t, ledgertest.HospitalA)
				refused.Patient, by = other.Handle, other
			}
			before := s.Dump()
			_, err := s.Try(t, by, ledgerapi.ContestEmergency, refused)
			refuses(t, err, test.code, "")
			require.Equal(t, before, s.Dump())
		})
	}
	s.Do(t, s.patient, ledgerapi.ContestEmergency, args)
	_, err := s.Try(t, s.patient, ledgerapi.ContestEmergency, args)
	refuses(t, err, emr.CodeExists, "contested")
}
