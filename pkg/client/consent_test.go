// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/client"
	"github.com/emrys-health/emrys/pkg/consent"
	"github.com/emrys-health/emrys/pkg/emr"
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

func TestAConsentThatIsNotTheOneAskedForIsCorrupt(t *testing.T) {
	t.Parallel()
	s, ctx := newScene(t), t.Context()
	_, err := s.patient.WithdrawConsent(ctx)
	require.NoError(t, err)
	other := join(t, s.World, "HospAMSP", emr.RolePatient, "")
	_, err = other.Consent(ctx, 0)
	require.Equal(t, emr.CodeNotFound, emr.CodeOf(err))
	answer := `{"v":1,"patient":"` + string(other.Profile().Handle) + `","version":1,"status":"active","document":` +
		`{"base":"permit","groups":[],"provisions":[]},"by":"patient","action":"` + emr.Digest{}.String() + `","at":""}`
	s.Intercept = func(operation string, w http.ResponseWriter, _ *http.Request) bool {
		if operation != "consent.get" {
			return false
		}
		_, _ = w.Write([]byte(answer))
		return true
	}
	_, err = s.patient.Consent(ctx, 1)
	require.Equal(t, emr.CodeCorrupt, emr.CodeOf(err), "%v", err)
	_, err = other.Consent(ctx, 2)
	require.Equal(t, emr.CodeCorrupt, emr.CodeOf(err), "%v", err)
	_, err = other.Consent(ctx, 1)
	require.NoError(t, err)
}

func TestOnlyPatientsHaveAConsent(t *testing.T) {
	t.Parallel()
	s, ctx := newScene(t), t.Context()
	for name, try := range map[string]func() error{
		"read":     func() error { _, err := s.reader.Consent(ctx, 0); return err },
		"preview":  func() error { _, err := s.reader.PreviewConsent(ctx, consent.Nothing()); return err },
		"put":      func() error { _, err := s.reader.PutConsent(ctx, consent.Nothing(), nil); return err },
		"withdraw": func() error { _, err := s.reader.WithdrawConsent(ctx); return err },
	} {
		require.Equal(t, emr.CodeRule, emr.CodeOf(try()), name)
	}
	_, err := s.patient.PreviewConsent(ctx, consent.Document{})
	require.Equal(t, emr.CodeInvalid, emr.CodeOf(err), "a bad document is refused on the device")
	require.Zero(t, s.Count("consent.preview"))
}
