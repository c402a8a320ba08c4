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

func TestAnErasureIsCompleteOnlyWhenEveryHolderHasConfirmedEverything(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	second := s.next(t, s.record, nil)
	s.Do(t, s.author, ledgerapi.RegisterRecord, second)
	id := s.erased(t, second.Record)
	view := s.erasure(t, id)
	require.Equal(t, emr.ErasurePartial, view.State)
	require.Equal(t, holders(), view.Erasure.Holders)
	require.Equal(t, holders(), view.Missing)
	require.Empty(t, view.Failed)
	require.Equal(t, s.record.Record, view.Erasure.Series)
	require.Equal(t, []emr.ErasedVersion{
		{Record: s.record.Record, CID: s.record.CID, Digest: s.record.Digest},
		{Record: second.Record, CID: second.CID, Digest: second.Digest},
	}, view.Parts[0].Records)
	s.confirmAll(t, id, holders()[:3]...)
	s.Wait(10 * 365 * day)
	view = s.erasure(t, id)
	require.Equal(t, emr.ErasurePartial, view.State, "time completes nothing")
	require.Equal(t, []emr.OrgID{ledgertest.Regulator}, view.Missing)
	s.Now = view.Erasure.Ordered
	s.confirmAll(t, id, ledgertest.Regulator)
	view = s.erasure(t, id)
	require.Equal(t, emr.ErasureComplete, view.State)
	require.Empty(t, view.Missing)
	for _, holder := range view.Holders {
		require.True(t, holder.Done)
		require.Equal(t, uint32(1), holder.Receipts[0].Attempts)
		require.Len(t, holder.Receipts[0].TxID, 64)
	}
}

func TestAHolderThatFailedConfirmsLater(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	id := s.erased(t, s.record.Record)
	part := s.erasure(t, id).Parts[0]
	s.confirmAll(t, id, holders()[1:]...)
	some := everything(&part)
	some.Destroyed[0].Things = []emr.ErasureThing{emr.ThingFragments}
	some.Failed = []emr.Undestroyed{{Record: s.record.Record, Thing: emr.ThingContent, Cause: emr.CauseUnavailable}}
	answer, err := s.confirm(t, ledgertest.HospitalA, some)
	require.NoError(t, err)
	require.Equal(t, emr.Deny, answer.Decision)
	require.Equal(t, emr.ReasonNotDestroyed, answer.Reason)
	view := s.erasure(t, id)
	require.Equal(t, emr.ErasurePartial, view.State)
	require.Equal(t, []emr.OrgID{ledgertest.HospitalA}, view.Missing)
	require.Equal(t, []emr.OrgID{ledgertest.HospitalA}, view.Failed)

	rest := everything(&part)
	rest.Destroyed[0].Things = []emr.ErasureThing{emr.ThingContent}
	answer, err = s.confirm(t, ledgertest.HospitalA, rest)
	require.NoError(t, err)
	require.Equal(t, emr.Deny, answer.Decision, "the cache is still open")
	view = s.erasure(t, id)
	require.Empty(t, view.Failed, "the last word counts")
	require.Equal(t, []emr.OrgID{ledgertest.HospitalA}, view.Missing, "what is not spoken of is missing")
	rest.Destroyed[0].Things = []emr.ErasureThing{emr.ThingCache}
	answer, err = s.confirm(t, ledgertest.HospitalA, rest)
	require.NoError(t, err)
	require.Equal(t, emr.Permit, answer.Decision)
	require.Equal(t, emr.ErasureComplete, s.erasure(t, id).State)

	back := rest
	back.Destroyed = []emr.Destroyed{}
	back.Failed = []emr.Undestroyed{{Record: s.record.Record, Thing: emr.ThingContent, Cause: emr.CauseRestored}}
	_, err = s.confirm(t, ledgertest.HospitalA, back)
	require.NoError(t, err)
	view = s.erasure(t, id)
	require.Equal(t, emr.ErasurePartial, view.State, "a backup brought it back")
	require.Equal(t, []emr.OrgID{ledgertest.HospitalA}, view.Failed)
	require.Equal(t, uint32(4), view.Holders[0].Receipts[0].Attempts)
	s.confirmAll(t, id, ledgertest.HospitalA)
	require.Equal(t, emr.ErasureComplete, s.erasure(t, id).State)
}

func TestARemovedHolderStaysMissingByName(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	a := &assembly{s.Consortium, t}
	id := s.erased(t, s.record.Record)
	a.pass(removal(ledgertest.HospitalB), ledgertest.HospitalA, ledgertest.HospitalC)
	s.confirmAll(t, id, ledgertest.HospitalA, ledgertest.HospitalC, ledgertest.Regulator)
	part := s.erasure(t, id).Parts[0]
	_, err := s.confirm(t, ledgertest.HospitalB, everything(&part))
	refuses(t, err, emr.CodeForbidden, "removed")
	view := s.erasure(t, id)
	require.Equal(t, emr.ErasurePartial, view.State)
	require.Equal(t, []emr.OrgID{ledgertest.HospitalB}, view.Missing)
	require.True(t, view.Holders[1].Removed)

	t.Run("and one that was removed before is asked for its own records", func(t *testing.T) {
		s := newScene(t)
		a := &assembly{s.Consortium, t}
		a.pass(removal(ledgertest.HospitalA), ledgertest.HospitalB, ledgertest.HospitalC)
		args := s.erase(s.record.Record)
		_, err := s.Submit(t, s.Orgs[ledgertest.HospitalB], ledgerapi.EraseRecord, s.Sign(t, s.patient, ledgerapi.EraseRecord, args))
		require.NoError(t, err)
		view := s.erasure(t, args.Erasure)
		require.Equal(t, holders(), view.Erasure.Holders)
		require.True(t, view.Holders[0].Removed)
	})
}

// nobodyReads requires that nothing gives anybody a version any more.
func (s *scene) nobodyReads(t *testing.T, record emr.RecordID, grant emr.GrantID, session emr.SessionID, reason emr.Reason) {
	t.Helper()
	read := s.read(grant)
	read.Record = record
	require.Equal(t, reason, s.disclose(t, s.reader, read).Reason)
	read = s.under(session)
	read.Record = record
	require.Equal(t, reason, s.disclose(t, s.reader, read).Reason, "not in an emergency either")
	own := ledgerapi.DiscloseArgs{
		Disclosure: ledgertest.ID[emr.DisclosureID](emr.DisclosurePrefix), Record: record, Purpose: emr.PurposePatient,
	}
	require.Equal(t, reason, s.disclose(t, s.patient, own).Reason, "nor the patient")
	require.Equal(t, reason, s.decides(t, s.reader, ledgerapi.RequestAccess, s.ask(record)).Reason)
	read = s.read(grant)
	read.Record = record
	batch := s.batch(t, s.part(t, s.reader, read))
	require.Equal(t, reason, batch.Outcomes[0].Receipt.Reason)
	require.Equal(t, emr.Deny, batch.Outcomes[0].Receipt.Decision)
	_, err := s.Try(t, s.patient, ledgerapi.GrantAccess, s.Grant(s.scope, s.reader, record))
	refuses(t, err, emr.CodeGone, "")
	_, err = ledger.GetManifest(s.Query(s.Orgs[ledgertest.HospitalA]), ledgerapi.RecordQuery{Record: record})
	refuses(t, err, emr.CodeGone, "")
	require.Empty(t, s.Private(ledgerapi.ManifestKey(record)))
}

func TestFromTheOrderOnNobodyReads(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	second := s.next(t, s.record, nil)
	s.Do(t, s.author, ledgerapi.RegisterRecord, second)
	other := s.Record(t, s.author, s.scope, emr.ClassPrescription)
	grant := s.Grant(s.scope, s.reader, s.record.Record, second.Record)
	s.Do(t, s.patient, ledgerapi.GrantAccess, grant)
	wide := s.Grant(s.scope, s.reader)
	s.Do(t, s.patient, ledgerapi.GrantAccess, wide)
	session := s.broken(t)
	read, ownRead := s.read(grant.Terms.Grant), s.read("")
	ownRead.Purpose = emr.PurposePatient
	s.disclose(t, s.reader, read)
	s.disclose(t, s.patient, ownRead)
	tickets := []*emr.SignedAction{s.open(t, s.reader, read.Disclosure), s.open(t, s.patient, ownRead.Disclosure)}
	for _, ticket := range tickets {
		require.Equal(t, emr.Permit, s.check(t, ledgertest.Regulator, ticket).Decision)
	}
	s.erased(t, s.record.Record)
	for _, ticket := range tickets {
		got := s.check(t, ledgertest.Regulator, ticket)
		require.Equal(t, emr.ReasonErased, got.Reason)
		require.Empty(t, got.Manifest.Signed.Body)
		require.Empty(t, got.Fragment.Sealed)
	}
	for _, record := range []emr.RecordID{s.record.Record, second.Record} {
		s.nobodyReads(t, record, grant.Terms.Grant, session, emr.ReasonErased)
		s.nobodyReads(t, record, wide.Terms.Grant, session, emr.ReasonErased)
	}
	_, err := s.Try(t, s.patient, ledgerapi.AskAmendment, s.askAmendment())
	refuses(t, err, emr.CodeGone, "erased")
	found, err := ledger.SearchRecords(s.Query(s.Orgs[ledgertest.HospitalA]), ledgerapi.SearchQuery{Patient: s.patient.Handle})
	require.NoError(t, err)
	require.Len(t, found.Items, 1)
	require.Equal(t, other.Record, found.Items[0].ID)
	still := s.read(wide.Terms.Grant)
	still.Record = other.Record
	require.Equal(t, emr.Permit, s.disclose(t, s.reader, still).Decision, "another record is not concerned")
	attempt, err := s.SubmitRaw(s.Orgs[ledgertest.Regulator].Gateway, ledgerapi.RecordAttempt, ledgertest.Raw(t, tickets[0]))
	require.NoError(t, err)
	require.Equal(t, emr.ReasonErased, attempt.(*ledgerapi.DecisionReceipt).Reason)
}

func TestAnAmendmentOfAnErasedRecordEnds(t *testing.T) {
	t.Parallel()
	s, _, denied := amendments(t, nil)
	open := s.asked(t)
	args := s.askAmendment()
	s.Do(t, s.patient, ledgerapi.AskAmendment, args)
	s.Do(t, s.author, ledgerapi.AnswerAmendment, ledgerapi.AnswerAmendmentArgs{Amendment: args.Amendment, Text: "no"})
	s.erased(t, s.record.Record)
	_, err := s.Try(t, s.author, ledgerapi.AnswerAmendment, ledgerapi.AnswerAmendmentArgs{Amendment: open, Text: "no"})
	refuses(t, err, emr.CodeGone, "erased")
	_, err = s.Try(t, s.patient, ledgerapi.DisputeAmendment,
		ledgerapi.DisputeAmendmentArgs{Patient: s.patient.Handle, Amendment: args.Amendment, Text: "x"})
	refuses(t, err, emr.CodeGone, "erased")
	require.Equal(t, emr.AmendmentDenied, s.amendment(t, denied).Status)
}

func TestWhatTheLedgerHoldsInPrivateIsPurged(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	other := s.Record(t, s.author, s.scope, emr.ClassPrescription)
	mine, mixed, wide := s.give(t), s.Grant(s.scope, s.reader, s.record.Record, other.Record), s.Grant(s.scope, s.reader)
	s.Do(t, s.patient, ledgerapi.GrantAccess, mixed)
	s.Do(t, s.patient, ledgerapi.GrantAccess, wide)
	colleague := s.Clinician(t, ledgertest.HospitalC, emr.RolePhysician, emr.LevelPrivate)
	ask, elsewhere := s.ask(s.record.Record), s.ask(other.Record)
	s.Do(t, colleague, ledgerapi.RequestAccess, ask)
	s.Do(t, colleague, ledgerapi.RequestAccess, elsewhere)
	args := s.erase(s.record.Record)
	for name, wrong := range map[string]func(*ledgerapi.EraseRecordArgs){
		"a grant that names another record, too": func(a *ledgerapi.EraseRecordArgs) { a.Grants = []emr.GrantID{mixed.Terms.Grant} },
		"a grant of the whole scope":             func(a *ledgerapi.EraseRecordArgs) { a.Grants = []emr.GrantID{wide.Terms.Grant} },
		"a request for another record":           func(a *ledgerapi.EraseRecordArgs) { a.Requests = []emr.RequestID{elsewhere.Request} },
	} {
		t.Run(name, func(t *testing.T) {
			a := args
			wrong(&a)
			_, err := s.Try(t, s.patient, ledgerapi.EraseRecord, a)
			refuses(t, err, emr.CodeRule, "not closed")
		})
	}
	args.Grants, args.Requests = []emr.GrantID{mine.Terms.Grant}, []emr.RequestID{ask.Request}
	s.Do(t, s.patient, ledgerapi.EraseRecord, args)
	require.Empty(t, s.Private(ledgerapi.ManifestKey(s.record.Record)))
	require.Empty(t, s.Private(ledgerapi.FragmentKey(mine.Terms.Grant)))
	require.Empty(t, s.Private(ledgerapi.NoteKey(ask.Request)))
	require.NotEmpty(t, s.Private(ledgerapi.ManifestKey(other.Record)))
	require.NotEmpty(t, s.Private(ledgerapi.FragmentKey(mixed.Terms.Grant)))
	require.NotEmpty(t, s.Private(ledgerapi.NoteKey(elsewhere.Request)))
	require.Equal(t, emr.GrantEnded, s.getGrant(t, mine.Terms.Grant).Status)
	closed := s.getRequest(t, ask.Request)
	require.Equal(t, []any{emr.RequestClosed, emr.Deny, emr.ReasonErased}, []any{closed.Status, closed.Decision, closed.Reason})
	_, err := s.Try(t, s.patient, ledgerapi.RevokeAccess, ledgerapi.RevokeAccessArgs{Patient: s.patient.Handle, Grant: mine.Terms.Grant})
	refuses(t, err, emr.CodeGone, "ended")
	_, err = s.Try(t, s.patient, ledgerapi.RefuseAccess, ledgerapi.RefuseAccessArgs{Patient: s.patient.Handle, Request: ask.Request})
	refuses(t, err, emr.CodeRule, "not pending")
}

func TestWhatNobodyNamedIsPurgedLater(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	grant := s.give(t)
	ask := s.ask(s.record.Record)
	s.Do(t, s.Clinician(t, ledgertest.HospitalC, emr.RolePhysician, emr.LevelPrivate), ledgerapi.RequestAccess, ask)
	id := s.erased(t, s.record.Record)
	left := func() *ledgerapi.Leftovers {
		found, err := ledger.ListLeftovers(s.Query(s.Orgs[ledgertest.HospitalB]), ledgerapi.LeftoversQuery{Erasure: id})
		require.NoError(t, err)
		return found
	}
	found := left()
	require.Equal(t, []emr.GrantID{grant.Terms.Grant}, found.Grants)
	require.Equal(t, []emr.RequestID{ask.Request}, found.Requests)
	rest := ledgerapi.ContinueErasureArgs{Erasure: id, Grants: found.Grants, Requests: found.Requests, Amendments: found.Amendments}
	gateway := s.Orgs[ledgertest.HospitalC].Gateway
	_, err := told(t, s, gateway, ledger.ContinueErasure, rest)
	require.NoError(t, err)
	require.Empty(t, s.Private(ledgerapi.FragmentKey(grant.Terms.Grant)))
	require.Empty(t, s.Private(ledgerapi.NoteKey(ask.Request)))
	require.Empty(t, left().Grants)
	require.Empty(t, left().Requests)
	_, err = told(t, s, gateway, ledger.ContinueErasure, rest)
	refuses(t, err, emr.CodeRule, "purged already")
	rest.Grants, rest.Requests = []emr.GrantID{}, []emr.RequestID{}
	_, err = told(t, s, gateway, ledger.ContinueErasure, rest)
	refuses(t, err, emr.CodeRule, "already")
	s.verified(t, s.patient.Handle)
}

func TestAnErasureOrderIsRefused(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	other := s.Patient(t, ledgertest.HospitalA)
	gone := s.Record(t, s.author, s.scope, emr.ClassPrescription)
	taken := s.erased(t, gone.Record)
	foreign := func() emr.GrantID {
		scope := s.Scope(t, other, emr.LevelPrivate)
		s.Accept(t, other, s.author)
		args := s.Grant(scope, s.reader, s.Record(t, s.author, scope, emr.ClassPrescription).Record)
		s.Do(t, other, ledgerapi.GrantAccess, args)
		return args.Terms.Grant
	}()
	many := make([]emr.GrantID, ledgerapi.MaxEnded+1)
	for name, test := range map[string]struct {
		by     ledgertest.Member
		change func(*ledgerapi.EraseRecordArgs)
		code   emr.Code
	}{
		"another patient's record":    {other, func(a *ledgerapi.EraseRecordArgs) { a.Patient = other.Handle }, emr.CodeNotFound},
		"in another patient's name":   {other, func(*ledgerapi.EraseRecordArgs) {}, emr.CodeForbidden},
		"by the author":               {s.author, func(*ledgerapi.EraseRecordArgs) {}, emr.CodeForbidden},
		"an unknown record":           {s.patient, func(a *ledgerapi.EraseRecordArgs) { a.Record = ledgertest.ID[emr.RecordID]("rec_") }, emr.CodeNotFound},
		"no record":                   {s.patient, func(a *ledgerapi.EraseRecordArgs) { a.Record = "" }, emr.CodeInvalid},
		"an order's id that is taken": {s.patient, func(a *ledgerapi.EraseRecordArgs) { a.Erasure = taken }, emr.CodeExists},
		"an id of another form":       {s.patient, func(a *ledgerapi.EraseRecordArgs) { a.Erasure = "ers_1" }, emr.CodeInvalid},
		"what is erased":              {s.patient, func(a *ledgerapi.EraseRecordArgs) { a.Record = gone.Record }, emr.CodeGone},
		"no ground":                   {s.patient, func(a *ledgerapi.EraseRecordArgs) { a.Ground = "" }, emr.CodeInvalid},
		"a ground off the list":       {s.patient, func(a *ledgerapi.EraseRecordArgs) { a.Ground = "spite" }, emr.CodeInvalid},
		"a ground of the members":     {s.patient, func(a *ledgerapi.EraseRecordArgs) { a.Ground = emr.EraseRetention }, emr.CodeInvalid},
		"no list of grants":           {s.patient, func(a *ledgerapi.EraseRecordArgs) { a.Grants = nil }, emr.CodeInvalid},
		"no list of requests":         {s.patient, func(a *ledgerapi.EraseRecordArgs) { a.Requests = nil }, emr.CodeInvalid},
		"too many grants":             {s.patient, func(a *ledgerapi.EraseRecordArgs) { a.Grants = many }, emr.CodeInvalid},
		"a grant that is none":        {s.patient, func(a *ledgerapi.EraseRecordArgs) { a.Grants = []emr.GrantID{"x"} }, emr.CodeInvalid},
		"an unknown grant":            {s.patient, func(a *ledgerapi.EraseRecordArgs) { a.Grants = []emr.GrantID{ledgertest.ID[emr.GrantID]("gra_")} }, emr.CodeNotFound},
		"another patient's grant":     {s.patient, func(a *ledgerapi.EraseRecordArgs) { a.Grants = []emr.GrantID{foreign} }, emr.CodeNotFound},
		"an unknown request":          {s.patient, func(a *ledgerapi.EraseRecordArgs) { a.Requests = []emr.RequestID{ledgertest.ID[emr.RequestID]("req_")} }, emr.CodeNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			args := s.erase(s.record.Record)
			test.change(&args)
			before := s.Dump()
			_, err := s.Try(t, test.by, ledgerapi.EraseRecord, args)
			refuses(t, err, test.code, "")
			require.Equal(t, before, s.Dump())
		})
	}
}

func TestALegalGuardianErasesAndAChosenDelegateDoesNot(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	friend, parent := s.Patient(t, ledgertest.HospitalA), s.Patient(t, ledgertest.HospitalA)
	for delegate, kind := range map[*ledgertest.Patient]emr.DelegationKind{friend: emr.DelegationChosen, parent: emr.DelegationGuardian} {
		s.Do(t, s.patient, ledgerapi.NameDelegate, ledgerapi.NameDelegateArgs{
			Patient: s.patient.Handle, Delegate: delegate.Handle, Kind: kind, Until: s.Now.Add(time.Hour),
		})
	}
	args := s.erase(s.record.Record)
	_, err := s.Try(t, friend, ledgerapi.EraseRecord, args)
	refuses(t, err, emr.CodeForbidden, "delegate cannot erase")
	_, err = s.Try(t, parent, ledgerapi.RollScope, s.roll(t, s.scope))
	refuses(t, err, emr.CodeForbidden, "")
	s.Do(t, parent, ledgerapi.EraseRecord, args)
	order := s.erasure(t, args.Erasure).Erasure
	require.Equal(t, string(parent.Handle), order.By)
	require.Equal(t, string(parent.Handle), s.trail(t, s.patient.Handle)[0].Actor)
	s.Wait(2 * time.Hour)
	later := s.Record(t, s.author, s.scope, emr.ClassPrescription)
	_, err = s.Try(t, parent, ledgerapi.EraseRecord, s.erase(later.Record))
	refuses(t, err, emr.CodeForbidden, "no delegate")
}

func TestAHeldRecordIsNotErasedAndThePatientFindsTheGround(t *testing.T) {
	t.Parallel()
	for ground, reason := range map[emr.HoldGround]emr.Reason{
		emr.HoldLitigation: emr.ReasonHeldLitigation, emr.HoldInvestigation: emr.ReasonHeldInvestigation,
		emr.HoldRetention: emr.ReasonHeldRetention,
	} {
		t.Run(string(ground), func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			grant := s.give(t)
			second := s.next(t, s.record, nil)
			s.Do(t, s.author, ledgerapi.RegisterRecord, second)
			regulator := s.Orgs[ledgertest.Regulator].Admin
			require.NoError(t, s.hold(regulator, ledgerapi.HoldRecordArgs{Record: second.Record, Hold: true, Ground: ground}))
			args := s.erase(s.record.Record) // another version than the one that is held
			signed := s.Sign(t, s.patient, ledgerapi.EraseRecord, args)
			answer, err := s.Submit(t, s.patient.Org, ledgerapi.EraseRecord, signed)
			require.NoError(t, err, "a denial is a committed fact")
			require.Equal(t, emr.Deny, answer.(*ledgerapi.DecisionReceipt).Decision)
			require.Equal(t, reason, answer.(*ledgerapi.DecisionReceipt).Reason)
			_, err = s.Submit(t, s.patient.Org, ledgerapi.EraseRecord, signed)
			refuses(t, err, emr.CodeExists, "spent")
			s.verified(t, s.patient.Handle)
			last := s.trail(t, s.patient.Handle)[0]
			require.Equal(t, []any{emr.AuditErasureOrdered, emr.Deny, reason, s.record.Record, string(args.Erasure)},
				[]any{last.Kind, last.Decision, last.Reason, last.Record, last.Ref})
			require.Equal(t, ledgerapi.EventErasureDenied, s.Events[len(s.Events)-1].Name)
			_, err = ledger.GetErasure(s.Query(s.Orgs[ledgertest.HospitalA]), ledgerapi.ErasureQuery{Erasure: args.Erasure})
			refuses(t, err, emr.CodeNotFound, "")
			require.Equal(t, emr.Permit, s.disclose(t, s.reader, s.read(grant.Terms.Grant)).Decision)
			require.NotEmpty(t, s.Private(ledgerapi.ManifestKey(s.record.Record)))

			require.NoError(t, s.hold(regulator, ledgerapi.HoldRecordArgs{Record: second.Record}))
			s.erased(t, s.record.Record)
			refuses(t, s.hold(regulator, ledgerapi.HoldRecordArgs{Record: second.Record, Hold: true, Ground: ground}), emr.CodeGone, "erased")
		})
	}
}

// TestOfAHoldAndAnErasureAtOnceOneCommits: and of a new version and an erasure.
func TestOfAHoldAndAnErasureAtOnceOneCommits(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	erase := s.Begin(s.Facts(s.patient.Org.Gateway))
	_, err := ledger.EraseRecord(erase, ledgertest.Raw(t, s.Sign(t, s.patient, ledgerapi.EraseRecord, s.erase(s.record.Record))))
	require.NoError(t, err)
	version := s.Begin(s.Facts(s.author.Org.Gateway))
	_, err = ledger.RegisterRecord(version, ledgertest.Raw(t, s.Sign(t, s.author, ledgerapi.RegisterRecord, s.next(t, s.record, nil))))
	require.NoError(t, err)
	read := s.read(s.give(t).Terms.Grant)
	reading := s.Begin(s.Facts(s.reader.Org.Gateway))
	_, err = ledger.Disclose(reading, ledgertest.Raw(t, s.Sign(t, s.reader, ledgerapi.Disclose, read)))
	require.NoError(t, err)
	again := s.Begin(s.Facts(s.patient.Org.Gateway))
	_, err = ledger.EraseRecord(again, ledgertest.Raw(t, s.Sign(t, s.patient, ledgerapi.EraseRecord, s.erase(s.record.Record))))
	require.NoError(t, err)
	require.NoError(t, again.Commit())
	for name, loser := range map[string]*ledgertest.Tx{"a second order": erase, "a new version": version, "a reading": reading} {
		require.ErrorIs(t, loser.Commit(), ledgertest.ErrConflict, name)
	}

	s = newScene(t)
	erase = s.Begin(s.Facts(s.patient.Org.Gateway))
	_, err = ledger.EraseRecord(erase, ledgertest.Raw(t, s.Sign(t, s.patient, ledgerapi.EraseRecord, s.erase(s.record.Record))))
	require.NoError(t, err)
	require.NoError(t, s.hold(s.Orgs[ledgertest.HospitalA].Admin,
		ledgerapi.HoldRecordArgs{Record: s.record.Record, Hold: true, Ground: emr.HoldLitigation}))
	require.ErrorIs(t, erase.Commit(), ledgertest.ErrConflict, "a hold")
}

// TestHoldersDoNotWaitForOneAnother: nor do erasures of different records' holders.
func TestHoldersDoNotWaitForOneAnother(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	part := s.erasure(t, s.erased(t, s.record.Record)).Parts[0]
	var all []*ledgertest.Tx
	for _, org := range holders() {
		tx := s.Begin(s.Facts(s.Orgs[org].Gateway))
		_, err := ledger.ConfirmErasure(tx, everything(&part))
		require.NoError(t, err)
		all = append(all, tx)
	}
	for _, tx := range all {
		require.NoError(t, tx.Commit())
	}
	require.Equal(t, emr.ErasureComplete, s.erasure(t, part.Erasure).State)
}

func TestAConfirmationIsRefused(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	other := s.Record(t, s.author, s.scope, emr.ClassPrescription)
	id := s.erased(t, s.record.Record)
	part := s.erasure(t, id).Parts[0]
	failed := func(thing emr.ErasureThing, cause emr.ErasureCause) emr.Undestroyed {
		return emr.Undestroyed{Record: s.record.Record, Thing: thing, Cause: cause}
	}
	gateway := s.Orgs[ledgertest.HospitalA].Gateway
	for name, test := range map[string]struct {
		caller *ledger.Caller
		change func(*ledgerapi.ConfirmErasureArgs)
		code   emr.Code
	}{
		"by an administrator":       {s.Orgs[ledgertest.HospitalA].Admin, func(*ledgerapi.ConfirmErasureArgs) {}, emr.CodeForbidden},
		"by nobody":                 {&ledger.Caller{MSP: ledgertest.HospitalA}, func(*ledgerapi.ConfirmErasureArgs) {}, emr.CodeUnauthenticated},
		"of an unknown order":       {gateway, func(a *ledgerapi.ConfirmErasureArgs) { a.Erasure = ledgertest.ID[emr.ErasureID]("ers_") }, emr.CodeNotFound},
		"of an order of other form": {gateway, func(a *ledgerapi.ConfirmErasureArgs) { a.Erasure = "x" }, emr.CodeInvalid},
		"of no part":                {gateway, func(a *ledgerapi.ConfirmErasureArgs) { a.Part = 0 }, emr.CodeNotFound},
		"of a part that is not":     {gateway, func(a *ledgerapi.ConfirmErasureArgs) { a.Part = 2 }, emr.CodeNotFound},
		"that says nothing":         {gateway, func(a *ledgerapi.ConfirmErasureArgs) { a.Destroyed = nil }, emr.CodeInvalid},
		"of another record":         {gateway, func(a *ledgerapi.ConfirmErasureArgs) { a.Destroyed[0].Record = other.Record }, emr.CodeInvalid},
		"of another content id":     {gateway, func(a *ledgerapi.ConfirmErasureArgs) { a.Destroyed[0].CID = other.CID }, emr.CodeInvalid},
		"of no thing":               {gateway, func(a *ledgerapi.ConfirmErasureArgs) { a.Destroyed[0].Things = nil }, emr.CodeInvalid},
		"of a thing off the list":   {gateway, func(a *ledgerapi.ConfirmErasureArgs) { a.Destroyed[0].Things = []emr.ErasureThing{"soul"} }, emr.CodeInvalid},
		"of a thing twice":          {gateway, func(a *ledgerapi.ConfirmErasureArgs) { a.Destroyed = append(a.Destroyed, a.Destroyed[0]) }, emr.CodeInvalid},
		"of a thing done and failed": {gateway, func(a *ledgerapi.ConfirmErasureArgs) {
			a.Failed = append(a.Failed, failed(emr.ThingCache, emr.CauseOther))
		}, emr.CodeInvalid},
		"of a failure without cause": {gateway, func(a *ledgerapi.ConfirmErasureArgs) {
			a.Destroyed, a.Failed = nil, append(a.Failed, failed(emr.ThingCache, ""))
		}, emr.CodeInvalid},
		"of a failure of another record": {gateway, func(a *ledgerapi.ConfirmErasureArgs) {
			a.Failed = append(a.Failed, emr.Undestroyed{Record: other.Record, Thing: emr.ThingCache, Cause: emr.CauseOther})
		}, emr.CodeInvalid},
		"of a failure of no thing": {gateway, func(a *ledgerapi.ConfirmErasureArgs) {
			a.Destroyed, a.Failed = nil, append(a.Failed, failed("", emr.CauseOther))
		}, emr.CodeInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			args := everything(&part)
			test.change(&args)
			before := s.Dump()
			_, err := told(t, s, test.caller, ledger.ConfirmErasure, args)
			refuses(t, err, test.code, "")
			require.Equal(t, before, s.Dump())
		})
	}
	t.Run("by an organisation that joined later", func(t *testing.T) {
		a := &assembly{s.Consortium, t}
		org, _ := a.newcomer("HospitalDMSP")
		_, err := a.RegisterOrg(org.Admin, org.Args())
		require.NoError(t, err)
		_, err = told(t, s, org.Gateway, ledger.ConfirmErasure, everything(&part))
		refuses(t, err, emr.CodeForbidden, "no holder")
	})
}

// TestAnOrderIsNotContinuedForNothing: who names again what is ended already changes
// nothing, and lengthens nobody's chain.
func TestAnOrderIsNotContinuedForNothing(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	grant := s.give(t)
	id := s.erased(t, s.record.Record)
	args := ledgerapi.ContinueErasureArgs{
		Erasure: id, Grants: []emr.GrantID{grant.Terms.Grant}, Requests: []emr.RequestID{}, Amendments: []emr.AmendmentID{},
	}
	gateway := s.Orgs[ledgertest.HospitalC].Gateway
	before := s.head(t, s.patient.Handle).Sequence
	_, err := told(t, s, gateway, ledger.ContinueErasure, args)
	require.NoError(t, err)
	require.Equal(t, before+1, s.head(t, s.patient.Handle).Sequence)
	_, err = told(t, s, gateway, ledger.ContinueErasure, args)
	refuses(t, err, emr.CodeRule, "already")
	require.Equal(t, before+1, s.head(t, s.patient.Handle).Sequence)
}
