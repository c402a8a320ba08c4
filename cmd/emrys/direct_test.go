// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/client"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

func TestRecordsAreGivenByKeysOfTheirOwn(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	patient := d.join("patient", "HospAMSP", emr.RolePatient, "")
	d.join("author", "HospAMSP", emr.RolePhysician, emr.LevelPrivate)
	reader := d.join("reader", "HospBMSP", emr.RolePhysician, emr.LevelPrivate)
	put := func(content string) string {
		var stored struct{ Record string }
		d.decode(&stored, "record", "put", d.file("f", content), "--patient", patient, "--class", "medicine", "--profile", d.path("author"))
		return stored.Record
	}
	first, second := put("first"), put("second")
	grant := []string{
		"access", "grant", "--direct", "--record", first, "--to", reader, "--purpose", "TREAT", "--profile", d.path("patient"),
	}
	shown := d.must(grant...)
	require.Contains(t, shown, "keys sealed to the reader")
	require.NotContains(t, shown, "any 0 of")
	var given client.Given
	d.decode(&given, grant...)
	require.True(t, given.Terms.Direct)
	require.Equal(t, []emr.OrgID{}, given.Terms.Gateways)

	get := []string{"record", "get", first, "-o", d.path("out"), "--purpose", "TREAT", "--profile", d.path("reader")}
	d.must(get...)
	content, err := os.ReadFile(d.path("out"))
	require.NoError(t, err)
	require.Equal(t, "first", string(content))
	require.NoError(t, os.Remove(d.path("out")))
	get[2] = second
	require.Contains(t, d.refused(7, get...), "no-grant", "the other record was not given")

	var list accesses
	d.decode(&list, "access", "list", "--only", "grants", "--profile", d.path("reader"))
	for _, g := range list.Grants {
		d.must("access", "revoke", string(g.ID), "--profile", d.path("patient"))
	}
	get[2] = first
	require.Contains(t, d.refused(7, get...), "revoked")
	require.NoFileExists(t, d.path("out"))

	var asked struct{ ID string }
	d.decode(&asked, "access", "request", second, "--purpose", "TREAT", "--profile", d.path("reader"))
	d.must("access", "grant", asked.ID, "--direct", "--profile", d.path("patient"))
	get[2] = second
	d.must(get...)
}

func TestDirectGrantsThatAreRefusedAsTyped(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.join("patient", "HospAMSP", emr.RolePatient, "")
	d.env["EMRYS_PROFILE"] = d.path("patient")
	const id = "00000000000000000000000000000000"
	before := d.Count("registry.prove")
	to := " --to cli_" + id + " --purpose TREAT"
	for line, message := range map[string]string{
		"access grant --direct":                                                                          "name a request",
		"access grant --direct" + to:                                                                     "name a request",
		"access grant --direct --scope --record rec_" + id + to:                                          "not with --scope",
		"access grant req_" + id + " --direct --scope":                                                   "not with --scope",
		"access grant --direct=maybe --record rec_" + id + to:                                            "direct",
		"access grant --direct" + strings.Repeat(" --record rec_"+id, ledgerapi.MaxDirectRecords+1) + to: "at most 32",
	} {
		stderr := d.refused(2, strings.Fields(line)...)
		require.Contains(t, stderr, message, line)
	}
	require.Equal(t, before, d.Count("registry.prove"), "nothing was asked")
	require.Zero(t, d.Grants())
	help := d.must("access", "grant", "--help")
	require.Contains(t, help, "--direct")
	require.Contains(t, help, "no key fragment is made")
}
