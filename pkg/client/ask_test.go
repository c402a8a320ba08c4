// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"bytes"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/client"
	"github.com/emrys-health/emrys/pkg/client/clienttest"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// wanted is a scene in which the reader has asked for a record.
type wanted struct {
	*scene
	record emr.RecordID
	id     emr.RequestID
}

func newWanted(t *testing.T) *wanted {
	t.Helper()
	s := newScene(t)
	w := &wanted{scene: s, record: s.put(t, []byte("content")).Record}
	w.id = w.ask(t, s.reader, w.record)
	return w
}

func (w *wanted) ask(t *testing.T, by *client.Client, record emr.RecordID) emr.RequestID {
	t.Helper()
	asked, err := by.RequestAccess(t.Context(), record, emr.PurposeTreatment, "second opinion")
	require.NoError(t, err)
	require.Equal(t, emr.Ask, asked.Decision)
	return emr.RequestID(asked.ID)
}

func (w *wanted) grant(t *testing.T) error {
	t.Helper()
	_, err := w.patient.Grant(t.Context(), client.Giving{Request: w.id, Until: time.Now().Add(time.Hour)})
	return err
}

// view is a request as the gateway would tell it.
func (w *wanted) view(t *testing.T, id emr.RequestID) ledgerapi.RequestView {
	t.Helper()
	var seen ledgerapi.RequestView
	w.OnRequest = func(v *ledgerapi.RequestView) { seen = *v }
	_, err := w.patient.Request(t.Context(), id)
	require.NoError(t, err)
	w.OnRequest = nil
	return seen
}

func TestARequestIsSeenByBothSides(t *testing.T) {
	t.Parallel()
	w := newWanted(t)
	for _, c := range []*client.Client{w.patient, w.reader} {
		asked, err := c.Request(t.Context(), w.id)
		require.NoError(t, err)
		require.Equal(t, "second opinion", asked.Note)
		require.Equal(t, w.record, asked.Request.Record)
		require.Equal(t, emr.PurposeTreatment, asked.Request.Purpose)
		require.Equal(t, w.reader.Profile().ID, string(asked.By.ID))
		require.Equal(t, emr.OrgID("HospBMSP"), asked.By.Org)
	}
	_, err := w.author.Request(t.Context(), w.id)
	requireCode(t, emr.CodeNotFound, err)
	require.NoError(t, w.grant(t))
	asked, err := w.reader.Request(t.Context(), w.id)
	require.NoError(t, err)
	require.Equal(t, emr.RequestGranted, asked.Request.Status)
}

// resigned changes what was signed and keeps the signature.
func resigned(t *testing.T, v *ledgerapi.RequestView, change func(*emr.Action, *ledgerapi.RequestAccessArgs)) {
	t.Helper()
	action, err := v.Signed.Parse()
	require.NoError(t, err)
	var args ledgerapi.RequestAccessArgs
	require.NoError(t, emr.DecodeCanonical(action.Args, &args))
	change(action, &args)
	action.Args, err = emr.Canonical(&args)
	require.NoError(t, err)
	v.Signed.Body, err = emr.Canonical(action)
	require.NoError(t, err)
}

// A gateway that could swap who asks, for what or why would choose who reads: the
// patient's device believes the requester's signature instead.
func TestARequestThatIsNotWhatWasSignedIsNotAnswered(t *testing.T) {
	t.Parallel()
	w := newWanted(t)
	accomplice := join(t, w.World, "HospCMSP", emr.RolePhysician, emr.LevelPrivate)
	other := w.put(t, []byte("other")).Record
	id := emr.ClinicianID(accomplice.Profile().ID)
	theirs, another := w.view(t, w.ask(t, accomplice, w.record)), w.view(t, w.ask(t, w.reader, other))
	stranger := join(t, w.World, "HospAMSP", emr.RolePatient, "")
	type args = ledgerapi.RequestAccessArgs
	for name, lie := range map[string]func(*ledgerapi.RequestView){
		"another requester": func(v *ledgerapi.RequestView) { v.Request.By, v.Request.Org = id, "HospCMSP" },
		"another requester, also within": func(v *ledgerapi.RequestView) {
			v.Request.By, v.Request.Org = id, "HospCMSP"
			resigned(t, v, func(a *emr.Action, _ *args) { a.Actor = string(id) })
		},
		"another's request and its maker": func(v *ledgerapi.RequestView) { *v = theirs },
		"another's request by its id": func(v *ledgerapi.RequestView) {
			*v = theirs
			v.Request.ID = w.id
		},
		"another's signature":  func(v *ledgerapi.RequestView) { v.Signed.Signature = theirs.Signed.Signature },
		"another organisation": func(v *ledgerapi.RequestView) { v.Request.Org = "HospCMSP" },
		"another record":       func(v *ledgerapi.RequestView) { v.Request.Record = other },
		"another record, also within": func(v *ledgerapi.RequestView) {
			v.Request.Record = other
			resigned(t, v, func(_ *emr.Action, a *args) { a.Record = other })
		},
		"an older request for the other": func(v *ledgerapi.RequestView) { v.Request.Record, v.Signed = other, another.Signed },
		"another purpose":                func(v *ledgerapi.RequestView) { v.Request.Purpose = emr.PurposeResearch },
		"another purpose, also within": func(v *ledgerapi.RequestView) {
			v.Request.Purpose = emr.PurposeResearch
			resigned(t, v, func(_ *emr.Action, a *args) { a.Purpose = emr.PurposeResearch })
		},
		"another note":    func(v *ledgerapi.RequestView) { resigned(t, v, func(_ *emr.Action, a *args) { a.Note = "please" }) },
		"another patient": func(v *ledgerapi.RequestView) { v.Request.Patient = stranger.Profile().Handle },
		"another function": func(v *ledgerapi.RequestView) {
			resigned(t, v, func(a *emr.Action, _ *args) { a.Function = ledgerapi.Disclose })
		},
		"another channel":           func(v *ledgerapi.RequestView) { resigned(t, v, func(a *emr.Action, _ *args) { a.Channel = "other" }) },
		"another contract":          func(v *ledgerapi.RequestView) { resigned(t, v, func(a *emr.Action, _ *args) { a.Contract = "other" }) },
		"a later time":              func(v *ledgerapi.RequestView) { v.Request.Made = v.Request.Made.Add(time.Hour) },
		"an earlier time":           func(v *ledgerapi.RequestView) { v.Request.Made = v.Request.Made.Add(-time.Hour) },
		"another kind of signature": func(v *ledgerapi.RequestView) { v.Signed.Kind = "none" },
		"a body that is none":       func(v *ledgerapi.RequestView) { v.Signed.Body = []byte("{}") },
		"no signature":              func(v *ledgerapi.RequestView) { v.Signed.Signature = nil },
		"a signature with a bit of it off": func(v *ledgerapi.RequestView) {
			v.Signed.Signature = bytes.Clone(v.Signed.Signature)
			v.Signed.Signature[9] ^= 1
		},
		"nothing signed": func(v *ledgerapi.RequestView) { v.Signed = emr.SignedAction{} },
	} {
		w.OnRequest = lie
		_, err := w.patient.Request(t.Context(), w.id)
		require.Equal(t, emr.CodeCorrupt, emr.CodeOf(err), "%s: %v", name, err)
		err = w.grant(t)
		require.Equal(t, emr.CodeCorrupt, emr.CodeOf(err), "%s: %v", name, err)
	}
	require.Zero(t, w.Count("grant.create"), "no grant leaves the device")
	w.OnRequest = nil
	require.NoError(t, w.grant(t), "told the truth, it works")
}

// The key of the requester is not the gateway's to name either.
func TestALieAboutTheRequestersKeyIsRefused(t *testing.T) {
	t.Parallel()
	w := newWanted(t)
	accomplice := join(t, w.World, "HospCMSP", emr.RolePhysician, emr.LevelPrivate)
	key := w.Professional(emr.ClinicianID(accomplice.Profile().ID)).Signing
	lie := rewritten(t, func(c *emr.Clinician) { c.Signing = key })
	w.OnAnswer = telling{answer: lie}.onAnswer(ledgerapi.GetClinician)
	_, err := w.patient.Request(t.Context(), w.id)
	requireCode(t, emr.CodeCorrupt, err)
	requireCode(t, emr.CodeCorrupt, w.grant(t))
	require.Zero(t, w.Count("grant.create"))
}

// late hides a request for the first looks, as a peer does that lags.
func (w *wanted) late(looks int) {
	w.Intercept = func(operation string, rw http.ResponseWriter, _ *http.Request) bool {
		if operation != "request.get" || w.Count(operation) > looks {
			return false
		}
		clienttest.WriteProblem(rw, emr.E(emr.CodeNotFound, "no such request"))
		return true
	}
}

func TestAGrantWaitsShortlyForARequestThatIsOnItsWay(t *testing.T) {
	t.Parallel()
	w := newWanted(t)
	w.late(3)
	require.NoError(t, w.grant(t))
	require.Equal(t, 4, w.Count("request.get"))

	w = newWanted(t)
	w.late(1000)
	requireCode(t, emr.CodeNotFound, w.grant(t))
	require.LessOrEqual(t, w.Count("request.get"), 9, "for two seconds")
	require.Greater(t, w.Count("request.get"), 1)
	require.Zero(t, w.Count("grant.create"))
}
