// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/client"
	"github.com/emrys-health/emrys/pkg/client/clienttest"
	"github.com/emrys-health/emrys/pkg/consent"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

func TestAConsentIsPutOnTheGroundOfItsPreview(t *testing.T) {
	t.Parallel()
	s, ctx := newScene(t), t.Context()
	s.put(t, []byte("content"))
	d := consent.Document{Base: emr.Ask, Provisions: []consent.Provision{
		{Effect: emr.Deny, People: []emr.ClinicianID{emr.ClinicianID(s.reader.Profile().ID)}},
	}}
	preview, err := s.patient.PreviewConsent(ctx, d)
	require.NoError(t, err)
	require.Len(t, preview.Changes, 1)
	receipt, err := s.patient.PutConsent(ctx, d, preview)
	require.NoError(t, err)
	require.Equal(t, "1", receipt.ID)
	_, err = s.patient.PutConsent(ctx, d, preview)
	require.Equal(t, emr.CodeStale, emr.CodeOf(err), "the preview was of the version before")
	got, err := s.patient.Consent(ctx, 0)
	require.NoError(t, err)
	require.Equal(t, consent.Normal(d), got.Document)

	withdrawn, err := s.patient.WithdrawConsent(ctx)
	require.NoError(t, err)
	require.Equal(t, "2", withdrawn.ID)
	_, err = s.patient.WithdrawConsent(ctx)
	require.Equal(t, emr.CodeGone, emr.CodeOf(err))
	all, err := s.patient.Consents(ctx, client.Page{})
	require.NoError(t, err)
	require.Len(t, all.Items, 2)
	require.Equal(t, consent.Withdrawn, all.Items[0].Status)
}

func TestAWithdrawalWhoseAnswerIsLostIsFoundOut(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.LoseAnswers["consent.withdraw"] = 1
	receipt, err := s.patient.WithdrawConsent(t.Context())
	require.NoError(t, err)
	require.Equal(t, "1", receipt.ID)
	require.NotEmpty(t, receipt.TxID)
}

// permissive is what a liar would like the patient's consent to be.
func permissive(patient emr.Handle, version uint32) []byte {
	b, _ := emr.Canonical(consent.Consent{
		V: 1, Patient: patient, Version: version, Status: consent.Active, Document: consent.Normal(consent.Document{Base: emr.Permit}),
	})
	return b
}

func TestAConsentThatOthersHaveNotEndorsedOrThatIsNotTheOneAskedForIsCorrupt(t *testing.T) {
	t.Parallel()
	s, ctx := newScene(t), t.Context()
	_, err := s.patient.Consent(ctx, 0)
	requireCode(t, emr.CodeNotFound, err)
	_, err = s.patient.WithdrawConsent(ctx)
	require.NoError(t, err)
	own := s.patient.Profile().Handle
	s.OnAnswer = func(string, []byte) []byte { return permissive(own, 1) } // changed after it was endorsed
	_, err = s.patient.Consent(ctx, 1)
	requireCode(t, emr.CodeCorrupt, err)
	s.OnAnswer = nil
	s.Endorsers = []emr.OrgID{"HospAMSP", "HospBMSP"}
	_, err = s.patient.Consent(ctx, 1)
	requireCode(t, emr.CodeCorrupt, err)
	s.Endorsers = nil
	for _, other := range [][]byte{permissive("hnd_00000000000000000000000000000000", 1), permissive(own, 2)} {
		s.OnProving = func(p *clienttest.Proving) { p.Answer = other }
		_, err = s.patient.Consent(ctx, 1)
		requireCode(t, emr.CodeCorrupt, err)
	}
	s.OnProving = nil
	found, err := s.patient.Consent(ctx, 1)
	require.NoError(t, err)
	require.Equal(t, consent.Withdrawn, found.Status)
}

func TestOnlyPatientsHaveAConsent(t *testing.T) {
	t.Parallel()
	s, ctx := newScene(t), t.Context()
	for name, try := range map[string]func() error{
		"read":     func() error { _, err := s.reader.Consent(ctx, 0); return err },
		"preview":  func() error { _, err := s.reader.PreviewConsent(ctx, consent.Nothing()); return err },
		"put":      func() error { _, err := s.reader.PutConsent(ctx, consent.Nothing(), nil); return err },
		"answer":   func() error { _, err := s.reader.AnswerStanding(ctx, time.Hour); return err },
		"withdraw": func() error { _, err := s.reader.WithdrawConsent(ctx); return err },
	} {
		require.Equal(t, emr.CodeRule, emr.CodeOf(try()), name)
	}
	_, err := s.patient.PreviewConsent(ctx, consent.Document{})
	require.Equal(t, emr.CodeInvalid, emr.CodeOf(err), "a bad document is refused on the device")
	require.Zero(t, s.Count("consent.preview"))
}

// putDocument puts a document as the scene's patient.
func (s *scene) putDocument(t *testing.T, d consent.Document) {
	t.Helper()
	preview, err := s.patient.PreviewConsent(t.Context(), d)
	require.NoError(t, err)
	_, err = s.patient.PutConsent(t.Context(), d, preview)
	require.NoError(t, err)
}

func TestWhatTheConsentPermitsIsAnsweredByTheDeviceAndNothingElse(t *testing.T) {
	t.Parallel()
	s, ctx := newScene(t), t.Context()
	record := s.put(t, []byte("content")).Record
	reader := emr.ClinicianID(s.reader.Profile().ID)
	soon := emr.TimeOf(time.Now().Add(10 * time.Minute))
	s.putDocument(t, consent.Document{Base: emr.Ask, Provisions: []consent.Provision{
		{Effect: emr.Permit, People: []emr.ClinicianID{reader}, Purposes: []emr.Purpose{emr.PurposeTreatment}, Until: soon},
	}})
	for _, purpose := range []emr.Purpose{emr.PurposeTreatment, emr.PurposeResearch} {
		_, err := s.reader.RequestAccess(ctx, record, purpose, "")
		require.NoError(t, err)
	}
	answers, err := s.patient.AnswerStanding(ctx, time.Hour)
	require.NoError(t, err)
	require.Len(t, answers, 2)
	require.Equal(t, emr.Ask, answers[0].Decision)
	require.Equal(t, emr.ReasonConsentAsks, answers[0].Reason)
	require.Nil(t, answers[0].Given)
	require.Equal(t, emr.ReasonConsentPermits, answers[1].Reason)
	terms := answers[1].Given.Terms
	require.Equal(t, reader, terms.Grantee)
	require.Equal(t, []emr.RecordID{record}, terms.Records)
	require.Equal(t, []emr.Purpose{emr.PurposeTreatment}, terms.Purposes)
	require.Equal(t, soon, terms.Until, "a grant does not outlive the permission that it rests on")

	answers, err = s.patient.AnswerStanding(ctx, time.Hour)
	require.NoError(t, err)
	require.Len(t, answers, 1, "what was answered waits no more")
	require.Equal(t, emr.Ask, answers[0].Decision)
	_, err = s.patient.WithdrawConsent(ctx)
	require.NoError(t, err)
	answers, err = s.patient.AnswerStanding(ctx, time.Hour)
	require.NoError(t, err)
	require.Equal(t, emr.Deny, answers[0].Decision)
	require.Equal(t, 1, s.Grants())
}

// TestAGatewayCannotMakeTheDeviceAnswer: whatever it says of consent, request or
// reader, nothing is given.
func TestAGatewayCannotMakeTheDeviceAnswer(t *testing.T) {
	t.Parallel()
	s, ctx := newScene(t), t.Context()
	record := s.put(t, []byte("content")).Record
	s.putDocument(t, consent.Document{Base: emr.Ask})
	_, err := s.reader.RequestAccess(ctx, record, emr.PurposeTreatment, "")
	require.NoError(t, err)
	s.OnAnswer = func(function string, answer []byte) []byte {
		if function == ledgerapi.GetConsent {
			return permissive(s.patient.Profile().Handle, 1)
		}
		return answer
	}
	_, err = s.patient.AnswerStanding(ctx, time.Hour)
	requireCode(t, emr.CodeCorrupt, err)
	s.OnAnswer = nil
	s.putDocument(t, consent.Document{Base: emr.Permit})
	s.OnRequest = func(v *ledgerapi.RequestView) { v.Request.Purpose = emr.PurposeResearch }
	answers, err := s.patient.AnswerStanding(ctx, time.Hour)
	require.NoError(t, err)
	require.Equal(t, emr.CodeCorrupt, answers[0].Failed)
	require.Nil(t, answers[0].Given)
	require.Zero(t, s.Grants())
}
