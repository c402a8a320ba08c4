// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/consent"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// TestAConsentFromTheCommandLine: preview, put, be stopped by it, look, withdraw.
func TestAConsentFromTheCommandLine(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	patient := d.join("patient", "HospAMSP", emr.RolePatient, "")
	d.join("author", "HospAMSP", emr.RolePhysician, emr.LevelPrivate)
	reader := d.join("reader", "HospBMSP", emr.RolePhysician, emr.LevelPrivate)
	as := func(who string, args ...string) []string { return append(args, "--profile", d.path(who)) }
	var stored struct{ Record string }
	d.decode(&stored, as("author", "record", "put", d.file("f", "content"), "--patient", patient, "--class", "medicine")...)
	grant := as("patient", "access", "grant", "--record", stored.Record, "--to", reader, "--purpose", "TREAT")
	d.must(grant...)
	get := as("reader", "record", "get", stored.Record, "-o", d.path("out"), "--purpose", "TREAT")
	d.must(get...)

	d.refused(5, as("patient", "consent", "show")...)
	file := d.file("consent.json", `{"base": "ask", "provisions": [
		{"effect": "permit", "hospitals": ["HospBMSP"]}, {"effect": "deny", "people": ["`+reader+`"]}]}`)
	shown := d.must(as("patient", "consent", "preview", file)...)
	require.Contains(t, shown, "loses")
	require.Contains(t, shown, reader)
	var preview ledgerapi.ConsentPreview
	d.decode(&preview, as("patient", "consent", "preview", file)...)
	stale := strings.Repeat("0", 63) + "1"
	require.Contains(t, d.refused(6, as("patient", "consent", "set", file, "--basis", stale)...), "preview again")
	require.Contains(t, d.must(as("patient", "consent", "set", file, "--basis", preview.Previewed.Basis.String())...), "Version")

	require.Contains(t, d.refused(7, get...), "consent-denied")
	shown = d.must(as("patient", "consent", "show")...)
	require.Contains(t, shown, "people "+reader)
	require.Contains(t, shown, "hospitals HospBMSP")
	var current consent.Consent
	d.decode(&current, as("patient", "consent", "show", "1")...)
	require.Equal(t, consent.Active, current.Status)
	require.Equal(t, emr.Ask, current.Document.Base)

	d.must(as("author", "access", "request", stored.Record, "--purpose", "TREAT")...)
	require.Contains(t, d.must(as("patient", "consent", "answer")...), "left to you")
	all := d.file("all.json", `{"base": "permit", "provisions": [{"effect": "deny", "people": ["`+reader+`"]}]}`)
	d.must(as("patient", "consent", "set", all)...)
	require.Contains(t, d.must(as("patient", "consent", "answer", "--until", "2h")...), "granted until")
	require.Contains(t, d.must(as("patient", "consent", "answer")...), "none")
	d.must(as("author", "record", "get", stored.Record, "-o", d.path("by author"), "--purpose", "TREAT")...)

	d.must(as("patient", "consent", "withdraw")...)
	require.Contains(t, d.must(as("patient", "consent", "show")...), "deny to everybody")
	require.Contains(t, d.refused(7, get...), "consent-withdrawn")
	d.refused(5, as("patient", "consent", "show", "9")...)
	require.Contains(t, d.refused(7, as("reader", "consent", "withdraw")...), "only the patient")
}

func TestALabelGuardsARecordFromTheCommandLine(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	patient := d.join("patient", "HospAMSP", emr.RolePatient, "")
	d.join("author", "HospAMSP", emr.RolePhysician, emr.LevelPrivate)
	as := func(who string, args ...string) []string { return append(args, "--profile", d.path(who)) }
	put := as("author", "record", "put", d.file("f", "content"), "--patient", patient, "--class", "medicine")
	require.Contains(t, d.refused(2, append(put, "--label", "secret")...), "reproductive")
	var stored struct{ Record string }
	d.decode(&stored, append(put, "--label", "mental-health", "--label", "hiv,hiv")...)
	shown := d.must(as("author", "record", "show", stored.Record)...)
	require.Contains(t, shown, "Restricted")
	require.NotContains(t, shown, "hiv", "which label it is stays private")
	view := d.View(emr.RecordID(stored.Record))
	require.Contains(t, string(view.Signed.Body), `"labels":["hiv","mental-health"]`)
	d.decode(&stored, put...)
	require.NotContains(t, d.must(as("author", "record", "show", stored.Record)...), "Restricted")
}

func TestAConsentOnTheCommandLineIsRefusedBeforeAnythingIsDone(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.join("patient", "HospAMSP", emr.RolePatient, "")
	d.env["EMRYS_PROFILE"] = d.path("patient")
	good := d.file("good.json", `{"base":"deny"}`)
	for _, line := range []string{
		"consent", "consent show 0", "consent show x", "consent show 1 2", "consent set", "consent preview", "consent withdraw now", "consent answer now",
		"consent answer --until 0s", "consent answer --until 2026-01-01", "consent answer --until 366d",
		"consent set " + good + " --basis x", "consent set " + good + " --basis " + strings.Repeat("A", 64),
		"consent set " + d.file("empty", ""), "consent set " + d.file("base", `{}`), "consent preview " + d.file("text", "deny everybody"),
		"consent set " + d.file("unknown", `{"base":"deny","also":1}`), "consent set " + d.file("two", `{"base":"deny"}{}`),
		"consent set " + d.file("all", `{"base":"deny","provisions":[{"effect":"permit"}]}`),
		"consent set " + d.file("group", `{"base":"deny","groups":[{"name":"a","members":[]}]}`),
	} {
		_, stderr, code := d.run(strings.Fields(line)...)
		require.Equal(t, 2, code, "emrys %s: %s", line, stderr)
	}
	require.Zero(t, d.Count("consent.put"))
	d.refused(5, "consent", "set", d.path("nowhere"))
	_, stderr, code := d.run("consent", "set", d.file("huge", strings.Repeat(" ", maxConsentFile+1)))
	require.NotZero(t, code)
	require.Contains(t, stderr, "too large")
	d.stdin = strings.NewReader(`{"base":"deny"}`)
	d.must("consent", "set", "-")
}
