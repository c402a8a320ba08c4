// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/api"
	"github.com/emrys-health/emrys/pkg/client"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// TestTheStory types what the people of one share type, and compares all that
// they see with the transcript in testdata.
func TestTheStory(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	patient := d.join("patient", "HospAMSP", emr.RolePatient, "")
	d.join("author", "HospAMSP", emr.RolePhysician, emr.LevelPrivate)
	d.join("reader", "HospBMSP", emr.RolePhysician, emr.LevelPrivate)
	as := func(who string, args ...string) []string { return append(args, "--profile", d.path(who)) }

	d.must(as("patient", "whoami")...)
	d.must(as("author", "relationship", "propose", "--patient", patient)...)
	d.must(as("patient", "relationship", "list")...)
	d.must(as("patient", "relationship", "accept", "HospAMSP")...)

	study := append(make([]byte, 128), "DICM and then the study"...)
	file := d.file("study.dcm", string(study))
	d.must(as("author", "record", "put", file, "--patient", patient, "--class", "medical-imaging")...)
	d.must(as("reader", "record", "search", "--patient", patient)...)
	var found ledgerapi.RecordPage
	d.decode(&found, as("reader", "record", "search", "--patient", patient)...)
	record := string(found.Items[0].ID)
	d.must(as("reader", "record", "show", record)...)

	copied := d.path("copy.dcm")
	d.refused(7, as("reader", "record", "get", record, "-o", copied, "--purpose", "TREAT")...)
	require.NoFileExists(t, copied)
	d.must(as("reader", "access", "request", record, "--purpose", "TREAT", "--note", "second opinion")...)
	d.refused(7, as("reader", "access", "request", record, "--purpose", "HPAYMT")...)
	d.must(as("patient", "access", "list", "--only", "requests")...)
	var asked accesses
	d.decode(&asked, as("patient", "access", "list")...)
	d.must(as("patient", "access", "show", string(asked.Requests[1].ID))...)
	d.must(as("reader", "access", "show", string(asked.Requests[0].ID))...)
	d.refused(5, as("author", "access", "show", string(asked.Requests[1].ID))...)
	d.must(as("patient", "access", "grant", string(asked.Requests[1].ID), "--until", "2h")...)
	d.must(as("reader", "access", "list")...)
	var given accesses
	d.decode(&given, as("patient", "access", "list")...)
	grant := string(given.Grants[0].ID)

	d.must(as("reader", "record", "get", record, "-o", copied, "--purpose", "TREAT")...)
	got, err := os.ReadFile(copied)
	require.NoError(t, err)
	require.Equal(t, study, got)
	d.refused(7, as("reader", "record", "get", record, "-o", copied, "--purpose", "HRESCH", "--grant", grant)...)

	d.must(as("patient", "audit", "log")...)
	d.must(as("patient", "audit", "verify")...)
	d.must(as("patient", "access", "revoke", grant)...)
	d.refused(7, as("reader", "record", "get", record, "-o", copied, "--purpose", "TREAT")...)
	d.golden("story.txt")
}

func TestATicketIsOpenedAgainAndNotByOthers(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	patient := d.join("patient", "HospAMSP", emr.RolePatient, "")
	d.join("author", "HospAMSP", emr.RolePhysician, emr.LevelPrivate)
	reader := d.join("reader", "HospBMSP", emr.RolePhysician, emr.LevelPrivate)
	d.join("thief", "HospCMSP", emr.RolePhysician, emr.LevelPrivate)
	var stored struct{ Record string }
	d.stdin = strings.NewReader("from standard input")
	d.decode(&stored, "record", "put", "-", "--patient", patient, "--class", "medicine", "--profile", d.path("author"))
	d.must("access", "grant", "--record", stored.Record, "--to", reader, "--purpose", "TREAT", "--uses", "3", "--profile", d.path("patient"))

	var done reading
	d.decode(&done, "record", "get", stored.Record, "-o", d.path("one"), "--purpose", "TREAT", "--profile", d.path("reader"))
	require.EqualValues(t, 19, done.PlainSize)
	ticket := string(done.Disclosure)
	d.must("ticket", "open", ticket, "-o", d.path("two"), "--profile", d.path("reader"))
	stolen := d.refused(7, "ticket", "open", ticket, "-o", d.path("three"), "--profile", d.path("thief"))
	require.Contains(t, stolen, "not-the-reader")
	require.NoFileExists(t, d.path("three"))

	out := d.must("ticket", "open", ticket, "-o", "-", "--profile", d.path("reader"))
	require.Equal(t, "from standard input", out, "standard output holds the content and nothing else")
	out = d.must("record", "get", stored.Record, "-o", "-", "--profile", d.path("patient"), "--json")
	require.Equal(t, "from standard input", out)
}

func TestAPaddedRecordIsRecognisedWhenItIsRead(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	patient := d.join("patient", "HospAMSP", emr.RolePatient, "")
	d.join("author", "HospAMSP", emr.RolePhysician, emr.LevelPrivate)
	put := []string{"record", "put", d.file("f", "content"), "--pad", "--patient", patient, "--class", "medicine", "--profile", d.path("author")}
	require.Contains(t, d.must(put...), "7 B, padded to 16 B")
	var stored struct {
		Record    string
		PlainSize uint64
	}
	d.decode(&stored, put...)
	require.EqualValues(t, 16, stored.PlainSize)
	var done reading
	d.decode(&done, "record", "get", stored.Record, "-o", d.path("one"), "--profile", d.path("patient"))
	require.EqualValues(t, 7, done.PlainSize)
	got, err := os.ReadFile(d.path("one"))
	require.NoError(t, err)
	require.Equal(t, "content", string(got))

	d.stdin = strings.NewReader("of unknown length")
	put[2] = "-"
	require.Contains(t, d.refused(2, put...), "length is known")
}

func TestALiarIsNamedOnStandardError(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	patient := d.join("patient", "HospAMSP", emr.RolePatient, "")
	d.join("author", "HospAMSP", emr.RolePhysician, emr.LevelPrivate)
	reader := d.join("reader", "HospBMSP", emr.RolePhysician, emr.LevelPrivate)
	file := d.file("f", "content")
	var stored struct{ Record string }
	d.decode(&stored, "record", "put", file, "--patient", patient, "--class", "medicine", "--profile", d.path("author"))
	d.must("access", "grant", "--record", stored.Record, "--to", reader, "--purpose", "TREAT", "--profile", d.path("patient"))
	get := []string{"record", "get", stored.Record, "-o", d.path("out"), "--purpose", "TREAT", "--profile", d.path("reader")}

	d.OnFragment = func(f *api.Fragment) {
		if f.Gateway == "HospCMSP" {
			f.Capsule[80] ^= 1
		}
	}
	_, stderr, code := d.run(get...)
	require.Zero(t, code)
	require.Contains(t, stderr, "warning: proxy HospCMSP did not serve")
	var done reading
	d.decode(&done, get...)
	require.Equal(t, emr.OrgID("HospCMSP"), done.Faults[0].Gateway)

	d.Down["HospAMSP"] = true
	require.NoError(t, os.Remove(d.path("out")))
	refusal := d.refused(9, get...)
	require.Contains(t, refusal, "HospCMSP")
	require.NoFileExists(t, d.path("out"))

	d.OnFragment = nil
	d.Down["HospCMSP"] = true
	d.refused(8, get...)
}

func TestAlteredContentEndsWithNineAndWithoutAFile(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	patient := d.join("patient", "HospAMSP", emr.RolePatient, "")
	d.join("author", "HospAMSP", emr.RolePhysician, emr.LevelPrivate)
	file := d.file("f", "content")
	var stored struct{ Record string }
	d.decode(&stored, "record", "put", file, "--patient", patient, "--class", "medicine", "--profile", d.path("author"))
	d.OnContent = func(b []byte) []byte { b = bytes.Clone(b); b[20] ^= 1; return b }
	d.refused(9, "record", "get", stored.Record, "-o", d.path("out"), "--profile", d.path("patient"))
	require.NoFileExists(t, d.path("out"))
	out, _, code := d.run("record", "get", stored.Record, "-o", "-", "--profile", d.path("patient"))
	require.Equal(t, 9, code)
	require.Empty(t, out, "no octet that is not authenticated")
}

func TestANoteIsShownOnOneLineAndWholeAsJSON(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	patient := d.join("patient", "HospAMSP", emr.RolePatient, "")
	d.join("author", "HospAMSP", emr.RolePhysician, emr.LevelPrivate)
	reader := d.join("reader", "HospBMSP", emr.RolePhysician, emr.LevelPrivate)
	var stored struct{ Record string }
	d.decode(&stored, "record", "put", d.file("f", "content"), "--patient", patient, "--class", "medicine", "--profile", d.path("author"))
	const note = "Grüße\nStatus  granted\x1b[2J\u202e"
	var asked struct{ ID string }
	d.decode(&asked, "access", "request", stored.Record, "--purpose", "TREAT", "--note", note, "--profile", d.path("reader"))
	out := d.must("access", "show", asked.ID, "--profile", d.path("patient"))
	require.Contains(t, out, "Grüße Status  granted\ufffd[2J\ufffd\n")
	require.NotContains(t, out, "\x1b")
	var shown client.Asked
	d.decode(&shown, "access", "show", asked.ID, "--profile", d.path("patient"))
	require.Equal(t, note, shown.Note)
	require.Equal(t, emr.ClinicianID(reader), shown.By.ID)
	require.Equal(t, emr.RequestPending, shown.Request.Status)

	d.OnRequest = func(v *ledgerapi.RequestView) { v.Request.Purpose = emr.PurposeResearch }
	for _, command := range []string{"show", "grant"} {
		require.Contains(t, d.refused(9, "access", command, asked.ID, "--profile", d.path("patient")), "another purpose")
	}
	require.Zero(t, d.Grants())
}

func TestErrorsAsJSON(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.join("reader", "HospBMSP", emr.RolePhysician, emr.LevelPrivate)
	stdout, stderr, code := d.run("record", "show", "rec_00000000000000000000000000000000", "--json", "--profile", d.path("reader"))
	require.Equal(t, 5, code)
	require.Empty(t, stdout)
	var body struct{ Error failure }
	require.NoError(t, json.Unmarshal([]byte(stderr), &body))
	require.Equal(t, emr.CodeNotFound, body.Error.Code)
	require.Equal(t, "request-1", body.Error.RequestID)
	for _, args := range [][]string{
		{"record", "show", "x", "--json"}, {"nonsense", "--json"}, {"record", "--json"}, {"record", "show", "--json"},
		{"record", "show", "--json", "--nonsense"},
	} {
		_, stderr, code := d.run(args...)
		require.Equal(t, 2, code, args)
		require.NoError(t, json.Unmarshal([]byte(stderr), &body), "%v: %s", args, stderr)
		require.Equal(t, emr.CodeInvalid, body.Error.Code)
	}
}
