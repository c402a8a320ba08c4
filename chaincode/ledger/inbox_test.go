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

// inbox pages through an inbox with pages of a size, and requires that it ends.
func (s *scene) inbox(t testing.TB, q ledgerapi.PageQuery) []ledgerapi.InboxItem {
	t.Helper()
	all := []ledgerapi.InboxItem{}
	for range 200 {
		page, err := ledger.GetInbox(s.Query(s.Orgs[ledgertest.HospitalA]), q)
		require.NoError(t, err)
		if q.Limit > 0 {
			require.LessOrEqual(t, len(page.Items), q.Limit)
		}
		all = append(all, page.Items...)
		if page.Bookmark == "" {
			return all
		}
		q.Bookmark = page.Bookmark
	}
	require.Fail(t, "the inbox has no end")
	return nil
}

// full is a patient for whom one of everything waits, and answered ones between.
func full(t testing.TB) (*household, []ledgerapi.InboxKind) {
	t.Helper()
	h := newHousehold(t, emr.GrantBounds{Scope: true})
	pause := func() { h.Wait(time.Minute) }
	w := &ward{scene: h.scene, friend: h.friend}
	w.all = []ledgertest.Member{h.friend, h.doctor}
	h.Do(t, h.patient, ledgerapi.SetGuardians, w.guardians(0, 2, w.all...))
	asked := h.asked(t)
	pause()
	h.Do(t, h.doctor, ledgerapi.ProposeRelationship, ledgerapi.ProposeRelationshipArgs{Patient: h.patient.Handle, Hospital: ledgertest.HospitalC})
	pause()
	refused := h.ask(h.record.Record)
	h.Do(t, h.reader, ledgerapi.RequestAccess, refused)
	h.Do(t, h.patient, ledgerapi.RefuseAccess, ledgerapi.RefuseAccessArgs{Patient: h.patient.Handle, Request: refused.Request})
	pause()
	h.Do(t, h.reader, ledgerapi.RequestAccess, h.ask(h.record.Record))
	pause()
	w.next = rekeyed(t, h.patient)
	w.propose(t)
	pause()
	h.wide(t)
	pause()
	h.Do(t, h.patient, ledgerapi.SetGrantRule, h.ruling(t, 1, emr.GrantBounds{}, nil))
	pause()
	h.broken(t)
	h.Do(t, h.author, ledgerapi.AnswerAmendment, ledgerapi.AnswerAmendmentArgs{Amendment: asked, Text: "no"})
	return h, []ledgerapi.InboxKind{
		ledgerapi.InboxEmergency, ledgerapi.InboxGrantRule, ledgerapi.InboxGrant, ledgerapi.InboxRecovery, ledgerapi.InboxRequest,
		ledgerapi.InboxRelationship, ledgerapi.InboxAmendment,
	}
}

func TestAPatientsInboxHoldsWhatWaitsNewestFirst(t *testing.T) {
	t.Parallel()
	h, want := full(t)
	whole := h.inbox(t, ledgerapi.PageQuery{Patient: h.patient.Handle})
	var kinds []ledgerapi.InboxKind
	for i, item := range whole {
		kinds = append(kinds, item.Kind)
		require.Equal(t, h.patient.Handle, item.Patient)
		require.NotEmpty(t, item.ID)
		require.NotEmpty(t, item.By)
		if i > 0 {
			require.LessOrEqual(t, item.At, whole[i-1].At)
		}
	}
	require.Equal(t, want, kinds)
	for limit := 1; limit <= len(want); limit++ {
		require.Equal(t, whole, h.inbox(t, ledgerapi.PageQuery{Patient: h.patient.Handle, Limit: limit}), "pages of %d", limit)
	}
}

func TestWhatIsAnsweredLeavesTheInbox(t *testing.T) {
	t.Parallel()
	h, _ := full(t)
	mine := ledgerapi.PageQuery{Patient: h.patient.Handle}
	patient := h.patient.Handle
	for _, item := range h.inbox(t, mine) {
		left := len(h.inbox(t, mine))
		switch item.Kind {
		case ledgerapi.InboxRelationship:
			h.Do(t, h.patient, ledgerapi.AnswerRelationship, ledgerapi.AnswerRelationshipArgs{Patient: patient, Hospital: emr.OrgID(item.ID)})
		case ledgerapi.InboxRequest:
			h.Do(t, h.patient, ledgerapi.RefuseAccess, ledgerapi.RefuseAccessArgs{Patient: patient, Request: emr.RequestID(item.ID)})
		case ledgerapi.InboxRecovery:
			h.Do(t, h.patient, ledgerapi.VetoRecovery, ledgerapi.RecoveryArgs{Patient: patient, Recovery: emr.RecoveryID(item.ID)})
		case ledgerapi.InboxAmendment:
			h.Do(t, h.patient, ledgerapi.DisputeAmendment,
				ledgerapi.DisputeAmendmentArgs{Patient: patient, Amendment: emr.AmendmentID(item.ID), Text: "still not"})
		case ledgerapi.InboxEmergency:
			h.Do(t, h.patient, ledgerapi.ContestEmergency,
				ledgerapi.ContestEmergencyArgs{Patient: patient, Session: emr.SessionID(item.ID), Text: "I was awake and could have been asked"})
		case ledgerapi.InboxGrant:
			h.Do(t, h.patient, ledgerapi.RevokeAccess, ledgerapi.RevokeAccessArgs{Patient: patient, Grant: emr.GrantID(item.ID)})
		case ledgerapi.InboxGrantRule:
			h.Do(t, h.friend, ledgerapi.ConfirmGrantRule, ledgerapi.ConfirmGrantRuleArgs{Patient: patient, Version: 2})
		}
		require.Len(t, h.inbox(t, mine), left-1, item.Kind)
	}
	require.Empty(t, h.inbox(t, mine))
}

// TestWhatLapsesLeavesTheInbox by time alone.
func TestWhatLapsesLeavesTheInbox(t *testing.T) {
	t.Parallel()
	h, _ := full(t)
	h.Wait(31 * 24 * time.Hour)
	var kinds []ledgerapi.InboxKind
	for _, item := range h.inbox(t, ledgerapi.PageQuery{Patient: h.patient.Handle}) {
		kinds = append(kinds, item.Kind)
	}
	require.Equal(t, []ledgerapi.InboxKind{ledgerapi.InboxGrantRule, ledgerapi.InboxRequest, ledgerapi.InboxRelationship}, kinds)
}

func TestAConfirmersInboxHoldsWhatTheyMayConfirm(t *testing.T) {
	t.Parallel()
	h := newHousehold(t, emr.GrantBounds{Scope: true})
	first := h.wide(t)
	toDoctor := h.Grant(h.scope, h.doctor)
	h.Do(t, h.patient, ledgerapi.GrantAccess, toDoctor)
	m := h.signable(t, h.doctor)
	ids := func(q ledgerapi.PageQuery) []string {
		var all []string
		for _, item := range h.inbox(t, q) {
			all = append(all, string(item.Kind)+" "+item.ID)
		}
		return all
	}
	one, two := "confirm-grant "+string(first.Terms.Grant), "confirm-grant "+string(toDoctor.Terms.Grant)
	require.Equal(t, []string{"sign-off " + string(m.Record), one}, ids(ledgerapi.PageQuery{Clinician: h.doctor.ID}), "nobody confirms the own")
	require.Equal(t, []string{two, one}, ids(ledgerapi.PageQuery{Patient: h.friend.Handle}))
	require.Empty(t, ids(ledgerapi.PageQuery{Clinician: h.reader.ID}))
	h.Do(t, h.friend, ledgerapi.ConfirmGrant, h.confirmation(t, first.Terms.Grant))
	h.Do(t, h.doctor, ledgerapi.SignOff, h.signing(t, m.Record))
	require.Empty(t, ids(ledgerapi.PageQuery{Clinician: h.doctor.ID}))
	terms := h.rule(t).Terms
	terms.Confirmers = []string{string(h.doctor.ID)}
	h.Do(t, h.patient, ledgerapi.SetGrantRule, ledgerapi.SetGrantRuleArgs{Patient: h.patient.Handle, Version: 1, Terms: terms})
	require.Empty(t, ids(ledgerapi.PageQuery{Patient: h.friend.Handle}), "who may not confirm any more is not asked")
}

// TestAnInboxIsReadInBoundedSteps: behind hundreds of answered requests stands one
// that waits. Every page looks at a bounded number of them, and none is lost.
func TestAnInboxIsReadInBoundedSteps(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.Check = nil
	waiting := s.ask(s.record.Record)
	s.Do(t, s.reader, ledgerapi.RequestAccess, waiting)
	s.Wait(time.Second)
	s.give(t)
	for range 130 {
		s.Do(t, s.reader, ledgerapi.RequestAccess, s.ask(s.record.Record)) // permitted at once
	}
	s.Do(t, s.author, ledgerapi.RequestAccess, s.ask(s.record.Record))
	q, pages, found := ledgerapi.PageQuery{Patient: s.patient.Handle, Limit: 2}, 0, 0
	for {
		view := s.Query(s.Orgs[ledgertest.HospitalA])
		page, err := ledger.GetInbox(view, q)
		require.NoError(t, err)
		require.LessOrEqual(t, view.Reads(), 40, "what one page reads is bounded")
		pages, found = pages+1, found+len(page.Items)
		if page.Bookmark == "" {
			require.Equal(t, string(waiting.Request), page.Items[len(page.Items)-1].ID)
			break
		}
		q.Bookmark = page.Bookmark
	}
	require.Equal(t, 2, found)
	require.GreaterOrEqual(t, pages, 5)
}

func TestInboxesAreRefused(t *testing.T) {
	t.Parallel()
	h, _ := full(t)
	r := h.Query(h.Orgs[ledgertest.HospitalA])
	for _, q := range []ledgerapi.PageQuery{
		{}, {Patient: "x"}, {Clinician: "x"}, {Record: h.record.Record}, {Patient: h.patient.Handle, Clinician: h.reader.ID},
		{Patient: h.patient.Handle, Limit: -1}, {Patient: h.patient.Handle, Bookmark: "x"}, {Patient: h.patient.Handle, Bookmark: "YS9iL2M"},
	} {
		_, err := ledger.GetInbox(r, q)
		refuses(t, err, emr.CodeInvalid, "")
	}
	page, err := ledger.GetInbox(r, ledgerapi.PageQuery{Patient: h.patient.Handle, Limit: 1})
	require.NoError(t, err)
	other, err := ledger.GetInbox(r, ledgerapi.PageQuery{Patient: ledgertest.ID[emr.Handle](emr.HandlePrefix), Bookmark: page.Bookmark})
	require.NoError(t, err, "a bookmark names a place and no owner")
	require.Empty(t, other.Items)
}
