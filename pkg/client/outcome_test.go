// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/client"
	"github.com/emrys-health/emrys/pkg/client/clienttest"
	"github.com/emrys-health/emrys/pkg/emr"
)

// TestALostAnswerIsLookedUp loses the answer of every transaction after it was
// committed: the ledger knows, and nothing happens twice.
func TestALostAnswerIsLookedUp(t *testing.T) {
	t.Parallel()
	s, ctx := newScene(t), t.Context()
	lose := func(operation string) { s.LoseAnswers[operation] = 1 }

	lose("record.register")
	stored := s.put(t, []byte("content"))
	require.NotEmpty(t, stored.TxID)
	require.Equal(t, 1, s.Records())
	require.Zero(t, s.Count("upload.delete"), "the content of a registered record is not discarded")

	lose("request.create")
	asked, err := s.reader.RequestAccess(ctx, stored.Record, emr.PurposeTreatment, "")
	require.NoError(t, err)
	require.Equal(t, emr.Ask, asked.Decision, "the decision was looked up")

	lose("grant.create")
	given, err := s.patient.Grant(ctx, client.Giving{Request: emr.RequestID(asked.ID), Until: time.Now().Add(time.Hour)})
	require.NoError(t, err)
	require.NotEmpty(t, given.Receipt.TxID)

	lose("disclosure.create")
	receipt, err := s.reader.Disclose(ctx, stored.Record, given.Terms.Grant, emr.PurposeTreatment)
	require.NoError(t, err)
	got, _, err := read(t, s.reader, emr.DisclosureID(receipt.ID))
	require.NoError(t, err)
	require.Equal(t, "content", string(got))

	lose("grant.revoke")
	revoked, err := s.patient.Revoke(ctx, given.Terms.Grant)
	require.NoError(t, err)
	require.NotEmpty(t, revoked.Receipt.TxID)
	require.Nil(t, revoked.Read, "who has read is not known, and not said to be nobody")

	permitted, denied := s.Disclosures()
	require.Equal(t, 1, permitted)
	require.Zero(t, denied)
}

func TestADenialWhoseAnswerIsLostStaysADenial(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	record := s.put(t, []byte("content")).Record
	s.LoseAnswers["disclosure.create"] = 1
	receipt, err := s.reader.Disclose(t.Context(), record, "", emr.PurposeTreatment)
	require.NoError(t, err)
	require.Empty(t, receipt.Decision, "not known, and not said to be a permission")
	_, err = s.reader.OpenTicket(t.Context(), emr.DisclosureID(receipt.ID))
	requireCode(t, emr.CodeRule, err)
	require.Equal(t, emr.ReasonNoGrant, emr.Public(err).Reason)
}

// answer makes an operation fail with err, the first n times.
func answer(s *scene, operation string, n int32, fail func(http.ResponseWriter)) {
	var seen atomic.Int32
	s.Intercept = func(op string, w http.ResponseWriter, _ *http.Request) bool {
		if op != operation || seen.Add(1) > n {
			return false
		}
		fail(w)
		return true
	}
}

func problem(code emr.Code, tx string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		clienttest.WriteProblem(w, &emr.Error{Code: code, Message: "as the test wants it", TxID: tx})
	}
}

func TestTheSameActionIsSubmittedAgainWhenItWasNeverCommitted(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func(http.ResponseWriter){
		"no answer":          clienttest.Hangup,
		"unknown outcome":    problem(emr.CodeUnknownOutcome, "tx-1"),
		"another's 502":      func(w http.ResponseWriter) { w.WriteHeader(http.StatusBadGateway) },
		"answer of nonsense": func(w http.ResponseWriter) { _, _ = w.Write([]byte("<html>")) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			answer(s, "relationship.propose", 1, fail)
			_, err := s.reader.ProposeRelationship(t.Context(), emr.PatientID(s.patient.Profile().ID))
			require.NoError(t, err)
			page, err := s.patient.Relationships(t.Context(), client.Page{})
			require.NoError(t, err)
			require.Len(t, page.Items, 1, "exactly once")
			require.Equal(t, 2, s.Count("relationship.propose"))
			require.Positive(t, s.Count("action.get"), "it was looked up before it was submitted again")
		})
	}
}

func TestAnOutcomeThatStaysUnknownIsSaidToBeUnknown(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	answer(s, "relationship.propose", 1000, problem(emr.CodeUnknownOutcome, "tx-1"))
	_, err := s.reader.ProposeRelationship(t.Context(), emr.PatientID(s.patient.Profile().ID))
	requireCode(t, emr.CodeUnknownOutcome, err)
	require.Equal(t, "tx-1", emr.Public(err).TxID)
	require.Equal(t, 2, s.Count("relationship.propose"), "submitted again once and no more")

	up := s.upload(3)
	answer(s, "record.register", 1000, clienttest.Hangup)
	_, err = s.author.PutRecord(t.Context(), bytes.NewReader([]byte("abc")), up)
	requireCode(t, emr.CodeUnknownOutcome, err)
	require.Zero(t, s.Count("upload.delete"), "the record may stand: its content is left alone")
	require.Equal(t, 1, s.Uploads())
}

func TestACommitThatBecomesVisibleLateIsFound(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	var blind atomic.Int32
	s.LoseAnswers["relationship.propose"] = 1
	s.Intercept = func(op string, w http.ResponseWriter, _ *http.Request) bool {
		if op == "action.get" && blind.Add(1) <= 3 {
			problem(emr.CodeUnavailable, "")(w)
			return true
		}
		return false
	}
	receipt, err := s.reader.ProposeRelationship(t.Context(), emr.PatientID(s.patient.Profile().ID))
	require.NoError(t, err)
	require.NotEmpty(t, receipt.TxID)
}

func TestARefusalThatMayPassIsTriedAgain(t *testing.T) {
	t.Parallel()
	for _, code := range []emr.Code{emr.CodeConflict, emr.CodeUnavailable, emr.CodeTimeout, emr.CodeRateLimited} {
		s := newScene(t)
		answer(s, "relationship.propose", 2, problem(code, ""))
		_, err := s.reader.ProposeRelationship(t.Context(), emr.PatientID(s.patient.Profile().ID))
		require.NoError(t, err)
		require.Equal(t, 3, s.Count("relationship.propose"))
		answer(s, "relationship.propose", 1000, problem(code, ""))
		_, err = s.reader.ProposeRelationship(t.Context(), emr.PatientID(s.patient.Profile().ID))
		require.Equal(t, code, emr.CodeOf(err), "after some attempts it is said")
		answer(s, "registry.prove", 2, problem(code, ""))
		_, err = s.reader.Clinician(t.Context(), emr.ClinicianID(s.author.Profile().ID))
		require.NoError(t, err)
	}
}

func TestACommitThatIsReportedAsAFailureIsFound(t *testing.T) {
	t.Parallel()
	for name, misreport := range map[string]error{
		"it may pass":                       emr.E(emr.CodeUnavailable, "after the commit"),
		"it may pass, with a transaction":   &emr.Error{Code: emr.CodeUnavailable, TxID: "tx-1"},
		"the action was spent already":      &emr.Error{Code: emr.CodeExists, TxID: "tx-1"},
		"a conflict with its other attempt": emr.E(emr.CodeConflict, "with itself"),
	} {
		s := newScene(t)
		s.Misreport["relationship.propose"] = misreport
		receipt, err := s.reader.ProposeRelationship(t.Context(), emr.PatientID(s.patient.Profile().ID))
		require.NoError(t, err, name)
		require.NotEmpty(t, receipt.TxID)
		page, err := s.patient.Relationships(t.Context(), client.Page{})
		require.NoError(t, err)
		require.Len(t, page.Items, 1, "exactly once")
	}
}

func TestAnAnswerAboutAnotherDisclosureIsRefused(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	record := s.put(t, []byte("content")).Record
	answer(s, "disclosure.create", 1000, func(w http.ResponseWriter) {
		_, _ = io.WriteString(w, `{"decision":"permit","id":"dis_00000000000000000000000000000000"}`)
	})
	_, err := s.reader.Disclose(t.Context(), record, "", emr.PurposeTreatment)
	requireCode(t, emr.CodeCorrupt, err)
}

func TestARefusalThatDoesNotPassIsNotTriedAgain(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	for _, code := range []emr.Code{emr.CodeInvalid, emr.CodeForbidden, emr.CodeNotFound, emr.CodeRule, emr.CodeInternal} {
		before := s.Count("relationship.propose")
		answer(s, "relationship.propose", 1000, problem(code, ""))
		_, err := s.reader.ProposeRelationship(t.Context(), emr.PatientID(s.patient.Profile().ID))
		requireCode(t, code, err)
		require.Equal(t, before+1, s.Count("relationship.propose"))
	}
}

func TestAnExpiredTokenIsRenewedOnce(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	record := s.put(t, []byte("content")).Record
	before := s.Count("token.create")
	s.ForgetTokens()
	_, err := s.reader.Record(t.Context(), record)
	require.NoError(t, err)
	require.Equal(t, before+1, s.Count("token.create"))
	s.ForgetTokens()
	s.put(t, random(t, 700000)) // an upload is not spent on a token that is refused

	answer(s, "registry.prove", 1000, problem(emr.CodeUnauthenticated, ""))
	before = s.Count("registry.prove")
	_, err = s.reader.Record(t.Context(), record)
	requireCode(t, emr.CodeUnauthenticated, err)
	require.Equal(t, before+2, s.Count("registry.prove"), "no endless renewal")
}

func TestATokenIsRenewedBeforeItEnds(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.TokenLife = 20 * time.Second // shorter than the margin: never used twice
	s.ForgetTokens()
	record := s.put(t, []byte("content")).Record
	before := s.Count("token.create")
	for range 3 {
		_, err := s.reader.Record(t.Context(), record)
		require.NoError(t, err)
	}
	require.GreaterOrEqual(t, s.Count("token.create"), before+3)
}

func TestAnInterruptIsNoFailure(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	record := s.put(t, []byte("content")).Record
	ctx, cancel := context.WithCancel(t.Context())
	asking := "registry.prove"
	s.Intercept = func(op string, _ http.ResponseWriter, r *http.Request) bool {
		if op != asking {
			return false
		}
		_, _ = io.Copy(io.Discard, r.Body) // else the server does not notice that the client is gone
		cancel()
		<-r.Context().Done()
		return true
	}
	_, err := s.reader.Record(ctx, record)
	require.ErrorIs(t, err, context.Canceled)
	ctx, cancel = context.WithCancel(t.Context())
	defer cancel()
	asking = "relationship.propose"
	_, err = s.reader.ProposeRelationship(ctx, emr.PatientID(s.patient.Profile().ID))
	requireCode(t, emr.CodeUnknownOutcome, err)
}

func TestAGatewayThatIsNotReachedHasDoneNothing(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	record := s.put(t, []byte("content")).Record
	s.reader.Close() // drops idle connections: over a stale one nobody knows what arrived
	s.Org("HospBMSP").Gateway.Close()
	_, err := s.reader.RequestAccess(t.Context(), record, emr.PurposeTreatment, "")
	requireCode(t, emr.CodeUnavailable, err)
	_, err = s.reader.Record(t.Context(), record)
	requireCode(t, emr.CodeUnavailable, err)
}
