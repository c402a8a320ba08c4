// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/chaincode/ledger"
	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// TestBreakingTheGlassIsDenied covers every reason for which a session is not
// opened. Each denial is committed, and the patient finds it.
func TestBreakingTheGlassIsDenied(t *testing.T) {
	t.Parallel()
	role := func(org emr.OrgID, role emr.Role) func(*testing.T, *scene) ledgertest.Member {
		return func(t *testing.T, s *scene) ledgertest.Member { return s.Clinician(t, org, role, emr.LevelPrivate) }
	}
	for name, test := range map[string]struct {
		by     func(*testing.T, *scene) ledgertest.Member
		change func(*testing.T, *scene, *ledgerapi.OpenEmergencyArgs)
		reason emr.Reason
	}{
		"permit: a physician":             {reason: emr.ReasonEmergency},
		"permit: a nurse":                 {by: role(ledgertest.HospitalC, emr.RoleNurse), reason: emr.ReasonEmergency},
		"permit: break the glass":         {change: func(_ *testing.T, _ *scene, a *ledgerapi.OpenEmergencyArgs) { a.Purpose = emr.PurposeBreakGlass }, reason: emr.ReasonEmergency},
		"permit: authenticated just then": {change: func(_ *testing.T, s *scene, a *ledgerapi.OpenEmergencyArgs) { a.Presence.At = s.Now - 120 }, reason: emr.ReasonEmergency},
		"permit: text of 20 characters":   {change: func(_ *testing.T, _ *scene, a *ledgerapi.OpenEmergencyArgs) { a.Text = strings.Repeat("é", 20) }, reason: emr.ReasonEmergency},
		"permit: single scopes declined":  {change: func(t *testing.T, s *scene, _ *ledgerapi.OpenEmergencyArgs) { s.decline(t, false, s.scope.ID) }, reason: emr.ReasonEmergency},
		"deny: no reason":                 {change: func(_ *testing.T, _ *scene, a *ledgerapi.OpenEmergencyArgs) { a.Ground = "" }, reason: emr.ReasonNoGround},
		"deny: a reason not on the list":  {change: func(_ *testing.T, _ *scene, a *ledgerapi.OpenEmergencyArgs) { a.Ground = "curious about Anna" }, reason: emr.ReasonNoGround},
		"deny: short text":                {change: func(_ *testing.T, _ *scene, a *ledgerapi.OpenEmergencyArgs) { a.Text = strings.Repeat("é", 19) }, reason: emr.ReasonShortText},
		"deny: text of spaces": {change: func(_ *testing.T, _ *scene, a *ledgerapi.OpenEmergencyArgs) {
			a.Text = strings.Repeat(" \t\n", 30) + "x"
		}, reason: emr.ReasonShortText},
		"deny: a researcher":                {by: role(ledgertest.HospitalB, emr.RoleResearcher), reason: emr.ReasonRole},
		"deny: an insurer":                  {by: role(ledgertest.HospitalB, emr.RoleInsurer), reason: emr.ReasonRole},
		"deny: an auditor":                  {by: role(ledgertest.Regulator, emr.RoleAuditor), reason: emr.ReasonRole},
		"deny: a privacy officer":           {by: role(ledgertest.HospitalA, emr.RolePrivacyOfficer), reason: emr.ReasonRole},
		"deny: stale re-authentication":     {change: func(_ *testing.T, s *scene, a *ledgerapi.OpenEmergencyArgs) { a.Presence.At = s.Now - 121 }, reason: emr.ReasonStalePresence},
		"deny: no re-authentication":        {change: func(_ *testing.T, _ *scene, a *ledgerapi.OpenEmergencyArgs) { a.Presence.At = 0 }, reason: emr.ReasonStalePresence},
		"deny: authenticated after signing": {change: func(_ *testing.T, s *scene, a *ledgerapi.OpenEmergencyArgs) { a.Presence.At = s.Now + 1 }, reason: emr.ReasonStalePresence},
		"deny: purpose treatment":           {change: func(_ *testing.T, _ *scene, a *ledgerapi.OpenEmergencyArgs) { a.Purpose = emr.PurposeTreatment }, reason: emr.ReasonPurpose},
		"deny: purpose research":            {change: func(_ *testing.T, _ *scene, a *ledgerapi.OpenEmergencyArgs) { a.Purpose = emr.PurposeResearch }, reason: emr.ReasonPurpose},
		"deny: everything declined":         {change: func(t *testing.T, s *scene, _ *ledgerapi.OpenEmergencyArgs) { s.decline(t, true) }, reason: emr.ReasonDeclined},
		"deny: a bulk of patients": {change: func(t *testing.T, s *scene, _ *ledgerapi.OpenEmergencyArgs) {
			for range ledgerapi.MaxOpenEmergencies {
				args := s.glass()
				args.Patient = s.Patient(t, ledgertest.HospitalC).Handle
				require.Equal(t, emr.Permit, s.decides(t, s.reader, ledgerapi.OpenEmergency, args).Decision)
			}
		}, reason: emr.ReasonEmergencyLimit},
		"deny: an overdue review": {change: func(t *testing.T, s *scene, a *ledgerapi.OpenEmergencyArgs) {
			s.broken(t)
			s.Wait(4*time.Hour + 7*24*time.Hour)
			a.Presence = s.present()
		}, reason: emr.ReasonReviewOverdue},
		"permit: a review due in a second": {change: func(t *testing.T, s *scene, a *ledgerapi.OpenEmergencyArgs) {
			s.broken(t)
			s.Wait(4*time.Hour + 7*24*time.Hour - time.Second)
			a.Presence = s.present()
		}, reason: emr.ReasonEmergency},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			args := s.glass()
			if test.change != nil {
				test.change(t, s, &args)
			}
			by := ledgertest.Member(s.reader)
			if test.by != nil {
				by = test.by(t, s)
			}
			events := len(s.Events)
			receipt := s.decides(t, by, ledgerapi.OpenEmergency, args)
			want, event := emr.Deny, ledgerapi.EventEmergencyDenied
			if test.reason == emr.ReasonEmergency {
				want, event = emr.Permit, ledgerapi.EventEmergencyOpened
			}
			require.Equal(t, test.reason, receipt.Reason)
			require.Equal(t, want, receipt.Decision)
			require.Equal(t, want == emr.Permit, receipt.Until == s.Now.Add(4*time.Hour))
			require.Equal(t, event, s.Events[events].Name)
			entry := s.trail(t, s.patient.Handle)[0]
			require.Equal(t, emr.AuditEmergencyOpened, entry.Kind)
			require.Equal(t, []any{by.ActorID(), by.Home().ID, args.Purpose, want, test.reason, string(args.Session)},
				[]any{entry.Actor, entry.Org, entry.Purpose, entry.Decision, entry.Reason, entry.Ref})
			require.NotContains(t, s.Dump(), "curious", "what a clinician writes does not become public")
			if want == emr.Deny {
				require.Equal(t, emr.Deny, s.disclose(t, by, s.under(args.Session)).Decision)
				require.Equal(t, emr.EmergencyDenied, s.session(t, args.Session).Status)
				require.Nil(t, s.Private(ledgerapi.StatementKey(s.session(t, args.Session).Action)))
				refused := s.glass() // the id is spent
				refused.Session = args.Session
				_, err := s.Try(t, s.reader, ledgerapi.OpenEmergency, refused)
				refuses(t, err, emr.CodeExists, "session")
			}
		})
	}
}

// decline sets the patient's plan anew.
func (s *scene) decline(t testing.TB, all bool, scopes ...emr.ScopeID) {
	t.Helper()
	plan, err := ledger.GetEmergencyPlan(s.Query(s.Orgs[ledgertest.HospitalA]), ledgerapi.HandleQuery{Patient: s.patient.Handle})
	require.NoError(t, err)
	s.Do(t, s.patient, ledgerapi.SetEmergencyPlan, ledgerapi.SetEmergencyPlanArgs{
		Patient: s.patient.Handle, DeclineAll: all, Declined: append([]emr.ScopeID{}, scopes...), Version: plan.Version,
	})
}

// TestBreakingTheGlassIsRefused covers what leaves nothing on the ledger.
func TestBreakingTheGlassIsRefused(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	taken := s.broken(t)
	for name, test := range map[string]struct {
		change func(*ledgerapi.OpenEmergencyArgs)
		code   emr.Code
	}{
		"session id reuse":               {func(a *ledgerapi.OpenEmergencyArgs) { a.Session = taken }, emr.CodeExists},
		"an id of another form":          {func(a *ledgerapi.OpenEmergencyArgs) { a.Session = "eme_1" }, emr.CodeInvalid},
		"an id of another kind":          {func(a *ledgerapi.OpenEmergencyArgs) { a.Session = emr.SessionID(s.record.Record) }, emr.CodeInvalid},
		"nobody":                         {func(a *ledgerapi.OpenEmergencyArgs) { a.Patient = "" }, emr.CodeInvalid},
		"an unknown patient":             {func(a *ledgerapi.OpenEmergencyArgs) { a.Patient = ledgertest.ID[emr.Handle]("hnd_") }, emr.CodeNotFound},
		"an unknown purpose":             {func(a *ledgerapi.OpenEmergencyArgs) { a.Purpose = "x" }, emr.CodeInvalid},
		"more than a day":                {func(a *ledgerapi.OpenEmergencyArgs) { a.Minutes = 24*60 + 1 }, emr.CodeInvalid},
		"an unknown authentication":      {func(a *ledgerapi.OpenEmergencyArgs) { a.Presence.Method = "" }, emr.CodeInvalid},
		"a text too long for the ledger": {func(a *ledgerapi.OpenEmergencyArgs) { a.Text = strings.Repeat("x", 4001) }, emr.CodeTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			args := s.glass()
			test.change(&args)
			before := s.Dump()
			_, err := s.Try(t, s.reader, ledgerapi.OpenEmergency, args)
			refuses(t, err, test.code, "")
			require.Equal(t, before, s.Dump())
		})
	}
	before := s.Dump()
	_, err := s.Try(t, s.patient, ledgerapi.OpenEmergency, s.glass())
	refuses(t, err, emr.CodeForbidden, "clinicians")
	_, err = s.Submit(t, s.Orgs[ledgertest.HospitalC], ledgerapi.OpenEmergency, s.Sign(t, s.reader, ledgerapi.OpenEmergency, s.glass()))
	refuses(t, err, emr.CodeForbidden, "own organisation")
	forged := ledgertest.Seal(t, s.Action(t, s.reader, ledgerapi.OpenEmergency, s.glass()), s.author.Key)
	_, err = s.Submit(t, s.reader.Org, ledgerapi.OpenEmergency, forged)
	refuses(t, err, emr.CodeUnauthenticated, "signature")
	// A gateway is no person: it has an identity of Fabric and no registration.
	stranger := s.NewClinician(t, ledgertest.HospitalB, ledgertest.Wish{Role: string(emr.RoleGateway)})
	_, err = s.Try(t, stranger, ledgerapi.OpenEmergency, s.glass())
	refuses(t, err, emr.CodeUnauthenticated, "registered")
	_, err = s.Try(t, stranger, ledgerapi.RegisterClinician, stranger.Args())
	refuses(t, err, emr.CodeForbidden, "role")
	require.Equal(t, before, s.Dump())
}

func TestAnActionSignedLongAgoBreaksNoGlass(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	held := s.Sign(t, s.reader, ledgerapi.OpenEmergency, s.glass())
	s.Wait(121 * time.Second) // the action itself lives for five minutes
	answer, err := s.Submit(t, s.reader.Org, ledgerapi.OpenEmergency, held)
	require.NoError(t, err)
	require.Equal(t, emr.ReasonStalePresence, answer.(*ledgerapi.DecisionReceipt).Reason)
}

// TestAReadingUnderASessionIsDecided covers every reason for and against it.
func TestAReadingUnderASessionIsDecided(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		by     func(*testing.T, *scene) ledgertest.Member
		change func(*testing.T, *scene, *ledgerapi.DiscloseArgs)
		reason emr.Reason
	}{
		"permit: an open session": {reason: emr.ReasonEmergency},
		"permit: in the last second": {change: func(_ *testing.T, s *scene, _ *ledgerapi.DiscloseArgs) {
			s.Wait(4*time.Hour - time.Second)
		}, reason: emr.ReasonEmergency},
		"deny: after expiry by one second": {change: func(_ *testing.T, s *scene, _ *ledgerapi.DiscloseArgs) {
			s.Wait(4*time.Hour + time.Second)
		}, reason: emr.ReasonSessionExpired},
		"deny: at its end": {change: func(_ *testing.T, s *scene, _ *ledgerapi.DiscloseArgs) { s.Wait(4 * time.Hour) }, reason: emr.ReasonSessionExpired},
		"deny: closed": {change: func(t *testing.T, s *scene, a *ledgerapi.DiscloseArgs) {
			s.Do(t, s.reader, ledgerapi.CloseEmergency, ledgerapi.EmergencyArgs{Session: a.Session})
		}, reason: emr.ReasonSessionClosed},
		"deny: closed by the patient": {change: func(t *testing.T, s *scene, a *ledgerapi.DiscloseArgs) {
			s.Do(t, s.patient, ledgerapi.CloseEmergency, ledgerapi.EmergencyArgs{Session: a.Session})
		}, reason: emr.ReasonSessionClosed},
		"deny: an unknown session": {change: func(_ *testing.T, _ *scene, a *ledgerapi.DiscloseArgs) {
			a.Session = ledgertest.ID[emr.SessionID]("eme_")
		}, reason: emr.ReasonNoSession},
		"deny: another clinician uses the session": {by: func(t *testing.T, s *scene) ledgertest.Member {
			return s.Clinician(t, ledgertest.HospitalB, emr.RolePhysician, emr.LevelPrivate)
		}, reason: emr.ReasonNotSession},
		"deny: another hospital uses a closed session": {by: func(_ *testing.T, s *scene) ledgertest.Member { return s.author }, change: func(t *testing.T, s *scene, a *ledgerapi.DiscloseArgs) {
			s.Do(t, s.reader, ledgerapi.CloseEmergency, ledgerapi.EmergencyArgs{Session: a.Session})
		}, reason: emr.ReasonNotSession},
		"deny: another patient": {change: func(t *testing.T, s *scene, a *ledgerapi.DiscloseArgs) {
			other := s.Patient(t, ledgertest.HospitalA)
			s.Accept(t, other, s.author)
			a.Record = s.Record(t, s.author, s.Scope(t, other, emr.LevelPrivate), emr.ClassMedicalImaging).Record
			s.patient = other
		}, reason: emr.ReasonSessionPatient},
		"deny: purpose treatment":           {change: func(_ *testing.T, _ *scene, a *ledgerapi.DiscloseArgs) { a.Purpose = emr.PurposeTreatment }, reason: emr.ReasonPurpose},
		"deny: the session's other purpose": {change: func(_ *testing.T, _ *scene, a *ledgerapi.DiscloseArgs) { a.Purpose = emr.PurposeBreakGlass }, reason: emr.ReasonPurpose},
		"deny: the scope is declined":       {change: func(t *testing.T, s *scene, _ *ledgerapi.DiscloseArgs) { s.decline(t, false, s.scope.ID) }, reason: emr.ReasonDeclined},
		"deny: everything is declined":      {change: func(t *testing.T, s *scene, _ *ledgerapi.DiscloseArgs) { s.decline(t, true) }, reason: emr.ReasonDeclined},
		"permit: another scope is declined": {change: func(t *testing.T, s *scene, _ *ledgerapi.DiscloseArgs) {
			s.decline(t, false, s.Scope(t, s.patient, emr.LevelLow).ID)
		}, reason: emr.ReasonEmergency},
		"permit: what was declined is given": {change: func(t *testing.T, s *scene, _ *ledgerapi.DiscloseArgs) { s.decline(t, true); s.decline(t, false) }, reason: emr.ReasonEmergency},
		"permit: a superseded record": {change: func(t *testing.T, s *scene, _ *ledgerapi.DiscloseArgs) {
			s.Do(t, s.author, ledgerapi.RegisterRecord, s.next(t, s.record, nil))
		}, reason: emr.ReasonEmergency},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			args := s.under(s.broken(t))
			if test.change != nil {
				test.change(t, s, &args)
			}
			by := ledgertest.Member(s.reader)
			if test.by != nil {
				by = test.by(t, s)
			}
			receipt := s.disclose(t, by, args)
			want := emr.Deny
			if test.reason == emr.ReasonEmergency {
				want = emr.Permit
			}
			require.Equal(t, test.reason, receipt.Reason)
			require.Equal(t, want, receipt.Decision)
			d, err := ledger.GetDisclosure(s.Query(s.Orgs[ledgertest.HospitalA]), ledgerapi.DisclosureQuery{Disclosure: args.Disclosure})
			require.NoError(t, err)
			require.Equal(t, args.Session, d.Session)
			require.Empty(t, d.Grant)
			require.True(t, contains(s.trail(t, s.patient.Handle), func(e emr.AuditEntry) bool {
				return e.Kind == emr.AuditDisclosure && e.Ref == string(args.Disclosure) && e.Decision == want && e.Reason == test.reason
			}))
			ticket := s.check(t, ledgertest.HospitalA, s.open(t, by, args.Disclosure))
			require.Equal(t, test.reason, ticket.Reason)
			require.Equal(t, want == emr.Permit, ticket.Session.ID == args.Session)
			require.Zero(t, ticket.Fragment, "no gateway holds emergency fragments yet")
			if want == emr.Permit {
				require.LessOrEqual(t, receipt.Until, s.session(t, args.Session).Until)
				require.Equal(t, s.reader.ID, ticket.Reader.ID)
				require.Equal(t, s.record.Record, ticket.Manifest.Record.ID)
			}
		})
	}
}

// TestLevelsHoldInAnEmergency: a session takes the place of the patient's consent
// alone. What the own hospital does not trust a clinician with stays closed.
func TestLevelsHoldInAnEmergency(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.reader = s.Clinician(t, ledgertest.HospitalB, emr.RoleNurse, emr.LevelModerate)
	require.Equal(t, emr.ReasonLevel, s.disclose(t, s.reader, s.under(s.broken(t))).Reason)
}

func TestAReadingUnderASessionIsRefused(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	session, grant := s.broken(t), s.give(t)
	for name, test := range map[string]struct {
		by     ledgertest.Member
		change func(*ledgerapi.DiscloseArgs)
	}{
		"with a grant beside it":       {s.reader, func(a *ledgerapi.DiscloseArgs) { a.Grant = grant.Terms.Grant }},
		"with a session of other form": {s.reader, func(a *ledgerapi.DiscloseArgs) { a.Session = "eme_x" }},
		"by the patient":               {s.patient, func(a *ledgerapi.DiscloseArgs) { a.Purpose = emr.PurposePatient }},
	} {
		t.Run(name, func(t *testing.T) {
			args := s.under(session)
			test.change(&args)
			before := s.Dump()
			_, err := s.Try(t, test.by, ledgerapi.Disclose, args)
			refuses(t, err, emr.CodeInvalid, "")
			require.Equal(t, before, s.Dump())
		})
	}
}

// TestATicketEndsWithItsSession: an open ticket does not outlive what it rests on.
func TestATicketEndsWithItsSession(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*testing.T, *scene, emr.SessionID)
		reason emr.Reason
	}{
		"the session is closed": {func(t *testing.T, s *scene, id emr.SessionID) {
			s.Do(t, s.reader, ledgerapi.CloseEmergency, ledgerapi.EmergencyArgs{Session: id})
		}, emr.ReasonSessionClosed},
		"the patient declines": {func(t *testing.T, s *scene, _ emr.SessionID) { s.decline(t, false, s.scope.ID) }, emr.ReasonDeclined},
		"the session expires":  {func(_ *testing.T, s *scene, _ emr.SessionID) { s.Wait(61 * time.Second) }, emr.ReasonTicketExpired},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			id := s.broken(t)
			s.Wait(4*time.Hour - time.Minute)
			args := s.under(id)
			require.Equal(t, s.session(t, id).Until, s.disclose(t, s.reader, args).Until)
			signed := s.open(t, s.reader, args.Disclosure)
			require.Equal(t, emr.Permit, s.check(t, ledgertest.HospitalC, signed).Decision)
			test.change(t, s, id)
			require.Equal(t, test.reason, s.check(t, ledgertest.HospitalC, signed).Reason)
			_, err := s.Submit(t, s.Orgs[ledgertest.HospitalC], ledgerapi.RecordAttempt, signed)
			require.NoError(t, err)
			require.Equal(t, emr.AuditAttempt, s.trail(t, s.patient.Handle)[0].Kind)
		})
	}
}

// TestDecliningOrClosingFirstInvalidatesAReading: both are read by the disclosure,
// so that a reading which was endorsed before and commits after does not count.
func TestDecliningOrClosingFirstInvalidatesAReading(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*testing.T, *scene, emr.SessionID){
		"declining": func(t *testing.T, s *scene, _ emr.SessionID) { s.decline(t, true) },
		"closing": func(t *testing.T, s *scene, id emr.SessionID) {
			s.Do(t, s.patient, ledgerapi.CloseEmergency, ledgerapi.EmergencyArgs{Session: id})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			id := s.broken(t)
			tx := s.Begin(s.Facts(s.reader.Org.Gateway))
			_, err := ledger.Disclose(tx, ledgertest.Raw(t, s.Sign(t, s.reader, ledgerapi.Disclose, s.under(id))))
			require.NoError(t, err)
			change(t, s, id)
			require.ErrorIs(t, tx.Commit(), ledgertest.ErrConflict)
		})
	}
}

func TestReadingsOfOneSessionDoNotConflict(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	id := s.broken(t)
	var txs []*ledgertest.Tx
	for range 3 {
		tx := s.Begin(s.Facts(s.reader.Org.Gateway))
		answer, err := ledger.Disclose(tx, ledgertest.Raw(t, s.Sign(t, s.reader, ledgerapi.Disclose, s.under(id))))
		require.NoError(t, err)
		require.Equal(t, emr.Permit, answer.Decision)
		txs = append(txs, tx)
	}
	for _, tx := range txs {
		require.NoError(t, tx.Commit())
	}
}

func TestTwoSessionsAtOnceDoNotShareTheLastPlace(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	var txs []*ledgertest.Tx
	for range 2 {
		tx := s.Begin(s.Facts(s.reader.Org.Gateway))
		_, err := ledger.OpenEmergency(tx, ledgertest.Raw(t, s.Sign(t, s.reader, ledgerapi.OpenEmergency, s.glass())))
		require.NoError(t, err)
		txs = append(txs, tx)
	}
	require.NoError(t, txs[0].Commit())
	require.ErrorIs(t, txs[1].Commit(), ledgertest.ErrConflict)
}

// TestClosingDoesNotMakeRoomForEver: who opens, reads and closes, patient after
// patient, runs into the limit of sessions that nobody has reviewed.
func TestClosingDoesNotMakeRoomForEver(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	for range ledgerapi.MaxOwedEmergencies {
		id := s.broken(t)
		s.Wait(time.Minute)
		s.Do(t, s.reader, ledgerapi.CloseEmergency, ledgerapi.EmergencyArgs{Session: id})
	}
	require.Equal(t, emr.ReasonEmergencyLimit, s.decides(t, s.reader, ledgerapi.OpenEmergency, s.glass()).Reason)
	require.Len(t, s.duty(t, s.reader), ledgerapi.MaxOwedEmergencies)
	officer := s.officer(t, ledgertest.HospitalA)
	s.Do(t, officer, ledgerapi.ReviewEmergency,
		ledgerapi.ReviewEmergencyArgs{Session: s.duty(t, s.reader)[3].Session, Outcome: emr.ReviewUnjustified})
	require.Equal(t, emr.Permit, s.decides(t, s.reader, ledgerapi.OpenEmergency, s.glass()).Decision)
}
