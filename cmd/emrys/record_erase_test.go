// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// TestAnErasureFromTheCommandLine: mean it, order it, see who is missing, wait.
func TestAnErasureFromTheCommandLine(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	patient := d.join("patient", "HospAMSP", emr.RolePatient, "")
	d.join("author", "HospAMSP", emr.RolePhysician, emr.LevelPrivate)
	reader := d.join("reader", "HospBMSP", emr.RolePhysician, emr.LevelPrivate)
	as := func(who string, args ...string) []string { return append(args, "--profile", d.path(who)) }
	var stored struct{ Record string }
	d.decode(&stored, as("author", "record", "put", d.file("f", "content"), "--patient", patient, "--class", "medicine")...)
	d.must(as("patient", "access", "grant", "--record", stored.Record, "--to", reader, "--purpose", "TREAT")...)
	get := as("reader", "record", "get", stored.Record, "-o", d.path("out"), "--purpose", "TREAT")
	d.must(get...)

	require.Contains(t, d.refused(2, as("patient", "record", "erase", stored.Record)...), "--yes")
	require.Contains(t, d.refused(2, as("patient", "record", "erase", stored.Record, "--yes", "--ground", "retention-over")...), "ground")
	require.Contains(t, d.refused(7, as("reader", "record", "erase", stored.Record, "--yes")...), "only the patient")
	d.Held = true
	require.Contains(t, d.refused(7, as("patient", "record", "erase", stored.Record, "--yes")...), "litigation")
	d.Held = false
	d.must(get...)
	require.Contains(t, d.must(as("patient", "record", "erasure")...), "ORDER")

	var receipt ledgerapi.DecisionReceipt
	d.decode(&receipt, as("patient", "record", "erase", stored.Record, "--ground", "no-longer-needed", "--yes")...)
	require.Equal(t, emr.Permit, receipt.Decision)
	require.Contains(t, d.refused(7, get...), "erased")
	d.refused(5, as("patient", "record", "erase", stored.Record, "--yes")...)
	require.Contains(t, d.must(as("reader", "record", "show", stored.Record)...), "erased")

	show := as("patient", "record", "erasure", receipt.ID)
	d.Confirm("HospAMSP", false)
	d.Confirm("HospBMSP", true)
	shown := d.must(show...)
	require.Contains(t, shown, "partial")
	require.Contains(t, shown, "HospBMSP, HospCMSP, RegMSP")
	require.Contains(t, shown, "content: store-unavailable")
	require.Contains(t, shown, "nothing yet")
	require.Contains(t, d.refused(8, append(show, "--wait", "1ms")...), "HospBMSP")
	require.Contains(t, d.must(as("patient", "record", "erasure")...), receipt.ID)
	d.refused(7, as("reader", "record", "erasure", receipt.ID)...)
	d.refused(7, as("reader", "record", "erasure")...)

	for _, org := range []emr.OrgID{"HospBMSP", "HospCMSP", "RegMSP"} {
		d.Confirm(org, false)
	}
	require.Contains(t, d.must(append(show, "--wait", "1m")...), "complete")
	var view ledgerapi.ErasureView
	d.decode(&view, show...)
	require.Equal(t, emr.ErasureComplete, view.State)
	require.Equal(t, emr.EraseNeedless, view.Erasure.Ground)
}
