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

// TestADisclosureIsDecided covers every reason. Each decision is committed, with
// an entry in the patient's trail and an event.
func TestADisclosureIsDecided(t *testing.T) {
	t.Parallel()
	type give = func(*scene, *ledgerapi.GrantAccessArgs)
	plain := func(*scene, *ledgerapi.GrantAccessArgs) {}
	for name, test := range map[string]struct {
		give   give
		by     func(*testing.T, *scene) ledgertest.Member
		change func(*testing.T, *scene, *ledgerapi.DiscloseArgs)
		reason emr.Reason
	}{
		"permit: a grant":            {reason: emr.ReasonGrant},
		"permit: a grant of a scope": {give: func(_ *scene, g *ledgerapi.GrantAccessArgs) { g.Terms.Records = []emr.RecordID{} }, reason: emr.ReasonGrant},
		"permit: a superseded record": {change: func(t *testing.T, s *scene, _ *ledgerapi.DiscloseArgs) {
			s.Do(t, s.author, ledgerapi.RegisterRecord, s.next(t, s.record, nil))
		}, reason: emr.ReasonGrant},
		"deny: no grant":         {change: func(_ *testing.T, _ *scene, a *ledgerapi.DiscloseArgs) { a.Grant = "" }, reason: emr.ReasonNoGrant},
		"deny: an unknown grant": {change: func(_ *testing.T, _ *scene, a *ledgerapi.DiscloseArgs) { a.Grant = ledgertest.ID[emr.GrantID]("gra_") }, reason: emr.ReasonNoGrant},
		"deny: a colleague's grant": {by: func(t *testing.T, s *scene) ledgertest.Member {
			return s.Clinician(t, ledgertest.HospitalB, emr.RolePhysician, emr.LevelPrivate)
		}, reason: emr.ReasonNotGrantee},
		"deny: another hospital's grant": {by: func(_ *testing.T, s *scene) ledgertest.Member { return s.author }, reason: emr.ReasonNotGrantee},
		"deny: a stolen grant that is revoked": {by: func(_ *testing.T, s *scene) ledgertest.Member { return s.author }, change: func(t *testing.T, s *scene, a *ledgerapi.DiscloseArgs) {
			s.Do(t, s.patient, ledgerapi.RevokeAccess, ledgerapi.RevokeAccessArgs{Patient: s.patient.Handle, Grant: a.Grant})
		}, reason: emr.ReasonNotGrantee},
		"deny: another record of the scope": {change: func(t *testing.T, s *scene, a *ledgerapi.DiscloseArgs) {
			a.Record = s.Record(t, s.author, s.scope, emr.ClassMedicalImaging).Record
		}, reason: emr.ReasonNotCovered},
		"deny: a record of another scope": {give: func(_ *scene, g *ledgerapi.GrantAccessArgs) { g.Terms.Records = []emr.RecordID{} }, change: func(t *testing.T, s *scene, a *ledgerapi.DiscloseArgs) {
			a.Record = s.Record(t, s.author, s.Scope(t, s.patient, emr.LevelPrivate), emr.ClassMedicalImaging).Record
		}, reason: emr.ReasonNotCovered},
		"deny: another patient's record": {give: func(_ *scene, g *ledgerapi.GrantAccessArgs) { g.Terms.Records = []emr.RecordID{} }, change: func(t *testing.T, s *scene, a *ledgerapi.DiscloseArgs) {
			other := s.Patient(t, ledgertest.HospitalA)
			s.Accept(t, other, s.author)
			a.Record = s.Record(t, s.author, s.Scope(t, other, emr.LevelPrivate), emr.ClassMedicalImaging).Record
			s.patient = other
		}, reason: emr.ReasonNotCovered},
		"deny: revoked": {change: func(t *testing.T, s *scene, a *ledgerapi.DiscloseArgs) {
			s.Do(t, s.patient, ledgerapi.RevokeAccess, ledgerapi.RevokeAccessArgs{Patient: s.patient.Handle, Grant: a.Grant})
		}, reason: emr.ReasonRevoked},
		"deny: expired":               {change: func(_ *testing.T, s *scene, _ *ledgerapi.DiscloseArgs) { s.Wait(2 * time.Hour) }, reason: emr.ReasonExpired},
		"permit: in the last second":  {change: func(_ *testing.T, s *scene, _ *ledgerapi.DiscloseArgs) { s.Wait(2*time.Hour - time.Second) }, reason: emr.ReasonGrant},
		"deny: not yet":               {give: func(s *scene, g *ledgerapi.GrantAccessArgs) { g.Terms.NotBefore = s.Now + 1 }, reason: emr.ReasonNotYet},
		"deny: the role's purposes":   {change: func(_ *testing.T, _ *scene, a *ledgerapi.DiscloseArgs) { a.Purpose = emr.PurposePayment }, reason: emr.ReasonPurpose},
		"deny: the patient's purpose": {change: func(_ *testing.T, _ *scene, a *ledgerapi.DiscloseArgs) { a.Purpose = emr.PurposePatient }, reason: emr.ReasonPurpose},
		"deny: the grant's purposes":  {change: func(_ *testing.T, _ *scene, a *ledgerapi.DiscloseArgs) { a.Purpose = emr.PurposeResearch }, reason: emr.ReasonPurpose},
		"deny: the level": {by: func(t *testing.T, s *scene) ledgertest.Member {
			return s.Clinician(t, ledgertest.HospitalB, emr.RolePhysician, emr.LevelLow)
		}, reason: emr.ReasonLevel},
		"deny: the role": {by: func(t *testing.T, s *scene) ledgertest.Member {
			return s.Clinician(t, ledgertest.Regulator, emr.RoleAuditor, emr.LevelPrivate)
		}, reason: emr.ReasonRole},
		"deny: used up": {give: func(_ *scene, g *ledgerapi.GrantAccessArgs) { g.Terms.MaxUses = 2 }, change: func(t *testing.T, s *scene, a *ledgerapi.DiscloseArgs) {
			for range 2 {
				require.Equal(t, emr.Permit, s.disclose(t, s.reader, s.read(a.Grant)).Decision)
			}
		}, reason: emr.ReasonExhausted},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			if test.give == nil {
				test.give = plain
			}
			grant := s.Grant(s.scope, s.reader, s.record.Record)
			test.give(s, grant)
			s.Do(t, s.patient, ledgerapi.GrantAccess, grant)
			args := s.read(grant.Terms.Grant)
			if test.change != nil {
				test.change(t, s, &args)
			}
			by := ledgertest.Member(s.reader)
			if test.by != nil {
				by = test.by(t, s)
			}
			events := len(s.Events)
			receipt := s.disclose(t, by, args)
			want := emr.Deny
			if test.reason == emr.ReasonGrant {
				want = emr.Permit
			}
			require.Equal(t, want, receipt.Decision, receipt.Reason)
			require.Equal(t, test.reason, receipt.Reason)
			require.Equal(t, want == emr.Permit, receipt.Until > s.Now)
			d, err := ledger.GetDisclosure(s.Query(s.Orgs[ledgertest.HospitalA]), ledgerapi.DisclosureQuery{Disclosure: args.Disclosure})
			require.NoError(t, err)
			require.Equal(t, emr.Disclosure{
				V: 1, ID: args.Disclosure, Patient: s.patient.Handle, Record: args.Record, Grant: args.Grant, Reader: by.ActorID(),
				Org: by.Home().ID, Purpose: args.Purpose, Decision: want, Reason: test.reason, Action: d.Action, At: s.Now,
				Until: receipt.Until, Inputs: d.Inputs, From: d.From,
			}, *d)
			require.False(t, d.Inputs.IsZero())
			require.Len(t, s.Events, events+1)
			require.True(t, contains(s.trail(t, s.patient.Handle), func(e emr.AuditEntry) bool {
				return e.Kind == emr.AuditDisclosure && e.Ref == string(args.Disclosure) && e.Actor == by.ActorID() &&
					e.Decision == want && e.Reason == test.reason && e.Purpose == args.Purpose && e.Record == args.Record
			}))
		})
	}
}

func TestATicketNeverOutlivesItsGrant(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	grant := s.give(t)
	s.Wait(2*time.Hour - time.Minute)
	receipt := s.disclose(t, s.reader, s.read(grant.Terms.Grant))
	require.Equal(t, grant.Terms.Until, receipt.Until)
}

func TestAChangedReadingKeyEndsAGrant(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.reader = s.NewClinician(t, ledgertest.HospitalB,
		ledgertest.Wish{Role: "physician", Level: "private", Until: s.Now.Std().Add(time.Hour)})
	s.Do(t, s.reader, ledgerapi.RegisterClinician, s.reader.Args())
	grant := s.give(t)
	before := s.read(grant.Terms.Grant)
	s.disclose(t, s.reader, before)
	next := renewed(t, s.reader, ledgertest.Wish{Role: "physician", Level: "private"})
	next.Reading = ledgertest.NewKey(t)
	s.Do(t, next, ledgerapi.RegisterClinician, next.Args())
	require.Equal(t, emr.ReasonReaderKey, s.disclose(t, next, s.read(grant.Terms.Grant)).Reason)
	require.Equal(t, emr.ReasonReaderKey, s.check(t, ledgertest.HospitalA, s.open(t, next, before.Disclosure)).Reason)
}

func TestADisclosureIsRefusedAsAnErrorAndLeavesNothing(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	grant := s.give(t)
	made := s.read(grant.Terms.Grant)
	s.disclose(t, s.reader, made)
	other := s.Patient(t, ledgertest.HospitalA)
	own := func(a *ledgerapi.DiscloseArgs) { a.Grant, a.Purpose = "", emr.PurposePatient }
	for name, test := range map[string]struct {
		by     ledgertest.Member
		change func(*ledgerapi.DiscloseArgs)
		code   emr.Code
	}{
		"of an unknown record":           {s.reader, func(a *ledgerapi.DiscloseArgs) { a.Record = ledgertest.ID[emr.RecordID]("rec_") }, emr.CodeNotFound},
		"of a record of another form":    {s.reader, func(a *ledgerapi.DiscloseArgs) { a.Record = "x" }, emr.CodeInvalid},
		"with an id of another form":     {s.reader, func(a *ledgerapi.DiscloseArgs) { a.Disclosure = "x" }, emr.CodeInvalid},
		"with an id that is taken":       {s.reader, func(a *ledgerapi.DiscloseArgs) { a.Disclosure = made.Disclosure }, emr.CodeExists},
		"with a grant of another form":   {s.reader, func(a *ledgerapi.DiscloseArgs) { a.Grant = "x" }, emr.CodeInvalid},
		"for an unknown purpose":         {s.reader, func(a *ledgerapi.DiscloseArgs) { a.Purpose = "x" }, emr.CodeInvalid},
		"of another patient's record":    {other, own, emr.CodeNotFound},
		"of an unknown record, own":      {other, func(a *ledgerapi.DiscloseArgs) { own(a); a.Record = ledgertest.ID[emr.RecordID]("rec_") }, emr.CodeNotFound},
		"of an own record under a grant": {s.patient, func(a *ledgerapi.DiscloseArgs) { a.Purpose = emr.PurposePatient }, emr.CodeInvalid},
		"of an own record, bad id":       {s.patient, func(a *ledgerapi.DiscloseArgs) { own(a); a.Disclosure = "x" }, emr.CodeInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			args := s.read(grant.Terms.Grant)
			test.change(&args)
			before := s.Dump()
			_, err := s.Try(t, test.by, ledgerapi.Disclose, args)
			refuses(t, err, test.code, "")
			require.Equal(t, before, s.Dump())
		})
	}
}

func TestAPatientReadsAnOwnRecord(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	args := s.read("")
	args.Purpose = emr.PurposePatient
	receipt := s.disclose(t, s.patient, args)
	require.Equal(t, emr.Permit, receipt.Decision)
	require.Equal(t, emr.ReasonOwner, receipt.Reason)
	signed := s.open(t, s.patient, args.Disclosure)
	ticket := s.check(t, ledgertest.HospitalC, signed)
	require.Equal(t, emr.Permit, ticket.Decision)
	require.Equal(t, emr.ReasonOwner, ticket.Reason)
	require.Equal(t, s.record.Record, ticket.Manifest.Record.ID)
	require.Zero(t, ticket.Fragment)
	require.Zero(t, ticket.Reader)
	require.Zero(t, ticket.Grant)
	require.Equal(t, string(s.patient.Handle), ticket.Disclosure.Reader)
	require.Empty(t, ticket.Disclosure.Org)

	args = s.read("")
	require.Equal(t, emr.ReasonPurpose, s.disclose(t, s.patient, args).Reason)
	require.Equal(t, emr.ReasonPurpose, s.check(t, ledgertest.HospitalC, s.open(t, s.patient, args.Disclosure)).Reason)
}

func TestATicketIsCheckedAgain(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*testing.T, *scene, *ledgerapi.GrantAccessArgs)
		by     func(*testing.T, *scene) ledgertest.Actor
		reason emr.Reason
	}{
		"it holds at once":        {reason: emr.ReasonGrant},
		"it holds for 10 minutes": {change: func(_ *testing.T, s *scene, _ *ledgerapi.GrantAccessArgs) { s.Wait(10*time.Minute - time.Second) }, reason: emr.ReasonGrant},
		"it is over after that":   {change: func(_ *testing.T, s *scene, _ *ledgerapi.GrantAccessArgs) { s.Wait(10 * time.Minute) }, reason: emr.ReasonTicketExpired},
		"the grant is revoked": {change: func(t *testing.T, s *scene, g *ledgerapi.GrantAccessArgs) {
			s.Do(t, s.patient, ledgerapi.RevokeAccess, ledgerapi.RevokeAccessArgs{Patient: s.patient.Handle, Grant: g.Terms.Grant})
		}, reason: emr.ReasonRevoked},
		"it was stolen by a colleague": {by: func(t *testing.T, s *scene) ledgertest.Actor {
			return s.Clinician(t, ledgertest.HospitalB, emr.RolePhysician, emr.LevelPrivate)
		}, reason: emr.ReasonNotReader},
		"it was stolen by another hospital": {by: func(_ *testing.T, s *scene) ledgertest.Actor { return s.author }, reason: emr.ReasonNotReader},
		"it was stolen by a patient":        {by: func(t *testing.T, s *scene) ledgertest.Actor { return s.Patient(t, ledgertest.HospitalC) }, reason: emr.ReasonNotReader},
		"the patient takes it":              {by: func(_ *testing.T, s *scene) ledgertest.Actor { return s.patient }, reason: emr.ReasonNotReader},
		"the record has a newer version": {change: func(t *testing.T, s *scene, _ *ledgerapi.GrantAccessArgs) {
			s.Do(t, s.author, ledgerapi.RegisterRecord, s.next(t, s.record, nil))
		}, reason: emr.ReasonGrant},
		"the reader's level has sunk": {change: func(t *testing.T, s *scene, _ *ledgerapi.GrantAccessArgs) {
			next := renewed(t, s.reader, ledgertest.Wish{Role: "physician", Level: "low", Until: s.Now.Std().AddDate(9, 0, 0)})
			s.Do(t, next, ledgerapi.RegisterClinician, next.Args())
			s.reader = next
		}, reason: emr.ReasonLevel},
		"the reader's role has changed": {change: func(t *testing.T, s *scene, _ *ledgerapi.GrantAccessArgs) {
			next := renewed(t, s.reader, ledgertest.Wish{Role: "insurer", Level: "private", Until: s.Now.Std().AddDate(9, 0, 0)})
			s.Do(t, next, ledgerapi.RegisterClinician, next.Args())
			s.reader = next
		}, reason: emr.ReasonPurpose},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			s.reader = s.NewClinician(t, ledgertest.HospitalB,
				ledgertest.Wish{Role: "physician", Level: "private", Until: s.Now.Std().AddDate(1, 0, 0)})
			s.Do(t, s.reader, ledgerapi.RegisterClinician, s.reader.Args())
			grant := s.give(t)
			read := s.read(grant.Terms.Grant)
			require.Equal(t, emr.Permit, s.disclose(t, s.reader, read).Decision)
			if test.change != nil {
				test.change(t, s, grant)
			}
			by := ledgertest.Actor(s.reader)
			if test.by != nil {
				by = test.by(t, s)
			}
			signed := s.open(t, by, read.Disclosure)
			ticket := s.check(t, ledgertest.HospitalA, signed)
			require.Equal(t, test.reason, ticket.Reason)
			require.Equal(t, read.Disclosure, ticket.Disclosure.ID)
			answer, err := s.Submit(t, s.Orgs[ledgertest.HospitalA], ledgerapi.RecordAttempt, signed)
			if test.reason == emr.ReasonGrant {
				require.Equal(t, emr.Permit, ticket.Decision)
				refuses(t, err, emr.CodeRule, "holds")
				return
			}
			require.Equal(t, &ledgerapi.Ticket{Decision: emr.Deny, Reason: test.reason, Disclosure: ticket.Disclosure}, ticket)
			require.NoError(t, err)
			require.Equal(t, test.reason, answer.(*ledgerapi.DecisionReceipt).Reason)
			actor := by.ActorID()
			if actor == string(s.patient.Handle) {
				actor = emr.ActorPatient
			}
			attempts := func(e emr.AuditEntry) bool {
				return e.Kind == emr.AuditAttempt && e.Actor == actor && e.Reason == test.reason && e.Decision == emr.Deny &&
					e.Org == by.(ledgertest.Member).Home().ID && e.Ref == string(read.Disclosure) && e.Record == s.record.Record
			}
			require.True(t, contains(s.trail(t, s.patient.Handle), attempts))
			_, err = s.Submit(t, s.Orgs[ledgertest.Regulator], ledgerapi.RecordAttempt, signed)
			refuses(t, err, emr.CodeExists, "already spent")
		})
	}
}

func TestADeniedDisclosureIsNoTicket(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	read := s.read("")
	require.Equal(t, emr.ReasonNoGrant, s.disclose(t, s.reader, read).Reason)
	s.give(t) // a grant that comes later does not make it one
	require.Equal(t, emr.ReasonNoGrant, s.check(t, ledgertest.HospitalA, s.open(t, s.reader, read.Disclosure)).Reason)
}

func TestCheckingATicketIsRefused(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	grant := s.give(t)
	read := s.read(grant.Terms.Grant)
	s.disclose(t, s.reader, read)
	stranger := s.NewClinician(t, ledgertest.HospitalB, ledgertest.Wish{Role: "physician"})
	forged := ledgertest.Seal(t, s.Action(t, s.reader, ledgerapi.OpenTicket, ledgerapi.OpenTicketArgs{Disclosure: read.Disclosure}), s.author.Key)
	old := s.Action(t, s.reader, ledgerapi.OpenTicket, ledgerapi.OpenTicketArgs{Disclosure: read.Disclosure})
	old.Issued, old.Expires = s.Now-100, s.Now
	for name, test := range map[string]struct {
		signed *emr.SignedAction
		code   emr.Code
	}{
		"an unknown disclosure":         {s.open(t, s.reader, ledgertest.ID[emr.DisclosureID]("dis_")), emr.CodeNotFound},
		"a disclosure of another form":  {s.open(t, s.reader, "x"), emr.CodeInvalid},
		"a signature by somebody else":  {forged, emr.CodeUnauthenticated},
		"an action that has expired":    {ledgertest.Seal(t, old, s.reader.Key), emr.CodeUnauthenticated},
		"somebody who is unregistered":  {s.open(t, stranger, read.Disclosure), emr.CodeUnauthenticated},
		"an action of another function": {s.Sign(t, s.reader, ledgerapi.Disclose, read), emr.CodeInvalid},
		"no action":                     {&emr.SignedAction{}, emr.CodeUnsupported},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ledger.CheckTicket(s.Query(s.Orgs[ledgertest.HospitalA]), ledgerapi.CheckTicketQuery{Signed: *test.signed})
			refuses(t, err, test.code, "")
			before := s.Dump()
			_, err = s.Submit(t, s.Orgs[ledgertest.HospitalA], ledgerapi.RecordAttempt, test.signed)
			refuses(t, err, test.code, "")
			require.Equal(t, before, s.Dump())
		})
	}
}

func TestTheSameOpenTicketServesSeveralProxiesAndAgain(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	grant := s.give(t)
	read := s.read(grant.Terms.Grant)
	s.disclose(t, s.reader, read)
	signed := s.open(t, s.reader, read.Disclosure)
	for range 3 {
		require.Equal(t, emr.Permit, s.check(t, ledgertest.HospitalA, signed).Decision)
		require.Equal(t, emr.Permit, s.check(t, ledgertest.Regulator, signed).Decision)
	}
}

func TestAPeerThatLacksPrivateDataSaysSo(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	grant := s.give(t)
	read := s.read(grant.Terms.Grant)
	s.disclose(t, s.reader, read)
	signed := s.open(t, s.reader, read.Disclosure)
	s.DropPrivate(ledgerapi.FragmentKey(grant.Terms.Grant))
	_, err := ledger.CheckTicket(s.Query(s.Orgs[ledgertest.HospitalA]), ledgerapi.CheckTicketQuery{Signed: *signed})
	refuses(t, err, emr.CodeUnavailable, "fragment")
	s.DropPrivate(ledgerapi.ManifestKey(s.record.Record))
	_, err = ledger.GetManifest(s.Query(s.Orgs[ledgertest.HospitalA]), ledgerapi.RecordQuery{Record: s.record.Record})
	refuses(t, err, emr.CodeUnavailable, "manifest")
	request := s.ask(s.record.Record)
	s.Do(t, s.reader, ledgerapi.RequestAccess, request)
	s.DropPrivate(ledgerapi.NoteKey(request.Request))
	_, err = ledger.GetRequestAction(s.Query(s.Orgs[ledgertest.HospitalA]), ledgerapi.RequestQuery{Request: request.Request})
	refuses(t, err, emr.CodeUnavailable, "note")
	s.DropPrivate(ledgerapi.LinkKey(s.patient.ID))
	_, err = ledger.ResolvePatient(s.Query(s.Orgs[ledgertest.HospitalA]), ledgerapi.ResolvePatientQuery{Patient: s.patient.ID})
	refuses(t, err, emr.CodeNotFound, "patient")
}

func TestTwoReadingsAtOnceDoNotShareTheLastUse(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	grant := s.Grant(s.scope, s.reader, s.record.Record)
	grant.Terms.MaxUses = 1
	s.Do(t, s.patient, ledgerapi.GrantAccess, grant)
	var txs []*ledgertest.Tx
	for range 2 {
		tx := s.Begin(s.Facts(s.reader.Org.Gateway))
		answer, err := ledger.Disclose(tx, ledgertest.Raw(t, s.Sign(t, s.reader, ledgerapi.Disclose, s.read(grant.Terms.Grant))))
		require.NoError(t, err)
		require.Equal(t, emr.Permit, answer.Decision)
		txs = append(txs, tx)
	}
	require.NoError(t, txs[0].Commit())
	require.ErrorIs(t, txs[1].Commit(), ledgertest.ErrConflict)
}
