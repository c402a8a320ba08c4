// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/emr"
)

func TestEveryCodeHasAnExitCode(t *testing.T) {
	t.Parallel()
	table := exitCodes()
	require.Len(t, table, len(emr.Codes()), "no code without an exit code, and none besides")
	for _, code := range emr.Codes() {
		exit, ok := table[code]
		require.True(t, ok, "code %s has no exit code", code)
		require.NotZero(t, exit, "0 is success: %s", code)
		require.Equal(t, exit, exitCode(fmt.Errorf("wrapped: %w", emr.E(code, "x"))))
	}
	require.Zero(t, exitCode(nil))
	require.Equal(t, 1, exitCode(errors.New("undeclared")))
	require.Equal(t, 130, exitCode(fmt.Errorf("interrupted: %w", context.Canceled)))
	require.Equal(t, 10, exitCode(emr.Wrap(emr.CodeUnknownOutcome, "x", context.Canceled)), "an interrupt hides no unknown outcome")
}

func TestUsageErrorsAreRefusedBeforeAnythingIsDone(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.join("patient", "HospAMSP", emr.RolePatient, "")
	d.env["EMRYS_PROFILE"] = d.path("patient")
	const id = "00000000000000000000000000000000"
	for _, line := range []string{
		"join", "whoami extra", "relationship propose", "relationship propose --patient cli_" + id, "relationship accept",
		"relationship accept a/b", "record put", "record put f", "record put f --patient pat_" + id,
		"record put f --patient pat_" + id + " --class nonsense", "record put f --patient pat_" + id + " --class omics --previous x",
		"record erase", "record erase rec_1 --yes", "record erase rec_" + id, "record erase rec_" + id + " --yes --ground x",
		"record erasure ers_1", "record erasure --wait 1m", "record erasure ers_" + id + " --wait -1s", "record erasure ers_" + id + " more",
		"record show", "record show rec_1", "record get", "record get rec_" + id, "record get rec_1 -o f",
		"record get rec_" + id + " -o f --purpose NONSENSE", "record search --class nonsense", "record search --from yesterday",
		"record search --to 1969-01-01", "access request rec_" + id, "access request rec_" + id + " --purpose X",
		"access grant", "access grant req_1", "access grant --record rec_" + id, "access grant req_" + id + " --until never",
		"access grant req_" + id + " --until 0s", "access grant req_" + id + " --until -1h", "access grant req_" + id + " --uses 101",
		"access grant req_" + id + " --uses -1", "access grant req_" + id + " --to pat_" + id, "access grant req_" + id + " --record x",
		"access grant req_" + id + " --to cli_" + id + ",cli_" + strings.Repeat("1", 32),
		"access grant --record rec_" + id + " --purpose TREAT --to cli_" + id + ",cli_" + id,
		"access grant req_" + id + " --purpose X", "access refuse gra_" + id, "access narrow gra_" + id,
		"access narrow req_" + id + " --uses 1", "access narrow gra_" + id + " --uses 101", "access narrow gra_" + id + " --until never",
		"access narrow gra_" + id + " --record x", "access narrow gra_" + id + " --purpose X", "access confirm", "access confirm req_" + id,
		"inbox more", "access rule", "access rule show x",
		"access rule set --level x", "access rule set --confirmer pat_" + id, "access rule confirm", "access rule confirm hnd_" + id,
		"access rule confirm pat_" + id + " --version 1",
		"access rule set --confirmer hnd_" + strings.Repeat(id+",hnd_", 4) + id, "record sign-off", "record sign-off gra_" + id, "record sign-off rec_" + id + " --refuse spite",
		"record put f --patient pat_" + id + " --class omics --signer pat_" + id, "access show", "access show gra_" + id, "access revoke req_" + id,
		"access list --only everything", "access list --cursor 3", "audit log --record x", "ticket open dis_" + id,
		"ticket open x -o f", "version extra", "--nonsense", "nonsense", "record nonsense", "record",
		"key", "key card", "key backup", "key backup --paper", "key backup -o d", "key backup --paper --guardian c -o d", "key guard",
		"key answer", "key answer r --package p -o o", "key recover", "key recover start", "key recover start --owner x",
		"key recover finish", "key recover paper", "key rotate now",
	} {
		_, stderr, code := d.run(strings.Fields(line)...)
		require.Equal(t, 2, code, "emrys %s: %s", line, stderr)
		require.Contains(t, stderr, "emrys: ", line)
	}
}

func TestHelpIsOffered(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	for _, args := range [][]string{{}, {"--help"}, {"record", "--help"}, {"record", "get", "--help"}, {"help", "access", "grant"}} {
		require.Contains(t, d.must(args...), "Usage:")
	}
	require.Contains(t, d.must("completion", "bash"), "emrys")
	require.Contains(t, d.must("version"), "EMRYS-PRE-V1")
	var b build
	d.decode(&b, "version")
	require.Equal(t, "EMRYS-PRE-V1", b.Suite)
}

func TestWhereTheProfileIs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		flag string
		env  map[string]string
		want string
	}{
		{"here", map[string]string{"EMRYS_PROFILE": "there", "HOME": "/h"}, "here"},
		{"", map[string]string{"EMRYS_PROFILE": "there", "HOME": "/h"}, "there"},
		{"", map[string]string{"HOME": "/h"}, "/h/.config/emrys/default"},
		{"", map[string]string{"HOME": "/h", "XDG_CONFIG_HOME": "/c"}, "/c/emrys/default"},
		{"", map[string]string{"HOME": "/h", "XDG_CONFIG_HOME": "relative"}, "/h/.config/emrys/default"},
	} {
		a := &app{profile: c.flag, getenv: func(name string) string { return c.env[name] }}
		dir, err := a.profileDir()
		require.NoError(t, err)
		require.Equal(t, c.want, dir)
	}
}

func TestSealedProfiles(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	good, bad := d.file("good", "correct horse\nsecond line"), d.file("bad", "wrong")
	empty, long := d.file("empty", "\n"), d.file("long", strings.Repeat("x", 2000))
	invite := d.file("i.json", string(d.Invite("HospAMSP", emr.RolePhysician, emr.LevelLow)))
	profile := d.path("p")
	d.must("join", "--invite", invite, "--profile", profile, "--passphrase-file", good)
	_, err := os.Stat(profile + "/keys.jwe")
	require.NoError(t, err)
	require.Contains(t, d.must("whoami", "--profile", profile), "sealed", "who one is needs no passphrase")

	d.must("access", "list", "--profile", profile, "--passphrase-file", good)
	d.env["EMRYS_PASSPHRASE_FILE"] = good
	d.must("access", "list", "--profile", profile)
	d.must("join", "--invite", invite, "--profile", profile)
	d.env["EMRYS_PASSPHRASE_FILE"] = ""
	d.refused(3, "access", "list", "--profile", profile)
	d.refused(3, "join", "--invite", invite, "--profile", profile)
	d.refused(3, "access", "list", "--profile", profile, "--passphrase-file", bad)
	d.refused(2, "access", "list", "--profile", profile, "--passphrase-file", empty)
	d.refused(2, "access", "list", "--profile", profile, "--passphrase-file", long)
	d.refused(2, "access", "list", "--profile", profile, "--passphrase-file", d.path("absent"))
	require.NotContains(t, d.written.String(), "correct horse")

	d.join("plain", "HospAMSP", emr.RolePhysician, emr.LevelLow)
	d.refused(4, "access", "list", "--profile", d.path("plain"), "--passphrase-file", good)
}

func TestFilesThatCannotBeRead(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	patient := d.join("patient", "HospAMSP", emr.RolePatient, "")
	d.join("author", "HospAMSP", emr.RolePhysician, emr.LevelPrivate)
	put := func(path string) []string {
		return []string{"record", "put", path, "--patient", patient, "--class", "omics", "--profile", d.path("author")}
	}
	d.refused(5, put(d.path("absent"))...)
	d.refused(2, put(d.dir)...)
	d.refused(5, "join", "--invite", d.path("absent"))
	d.refused(2, "join", "--invite", d.file("bad.json", "{"))
	d.refused(5, "whoami")
	d.refused(5, "access", "list")
	file := d.file("f", "content")
	var stored struct{ Record string }
	d.decode(&stored, put(file)...)
	d.refused(2, "record", "get", stored.Record, "-o", d.path("no/such/directory/f"), "--profile", d.path("patient"))
}

func TestTimesThatPeopleType(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"2h":                        now.Add(2 * time.Hour),
		"90m":                       now.Add(90 * time.Minute),
		"30d":                       now.Add(30 * 24 * time.Hour),
		"2026-12-31T18:00:00+01:00": time.Date(2026, 12, 31, 17, 0, 0, 0, time.UTC),
		"2026-12-31":                time.Date(2026, 12, 31, 0, 0, 0, 0, time.UTC),
	} {
		got, err := parseUntil("until", text, now)
		require.NoError(t, err, text)
		require.True(t, want.Equal(got), "%s: %s", text, got)
	}
	for _, text := range []string{"", "0s", "-2h", "0d", "-1d", "d", "1.5d", "2 h", "tomorrow", "99999999999d", "2026-13-01", "106752d"} {
		_, err := parseUntil("until", text, now)
		require.Error(t, err, text)
		require.Equal(t, emr.CodeInvalid, emr.CodeOf(err))
	}
}

func FuzzParseUntil(f *testing.F) {
	for _, text := range []string{"2h", "30d", "2026-12-31", "2026-12-31T18:00:00Z", "-1h", "999999999999d", ""} {
		f.Add(text)
	}
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, text string) {
		got, err := parseUntil("until", text, now)
		if err != nil {
			require.Equal(t, emr.CodeInvalid, emr.CodeOf(err))
			return
		}
		if _, ok := parseSpan(text); ok {
			require.True(t, got.After(now), "a span lies ahead: %q", text)
		}
	})
}

func TestSizesForPeople(t *testing.T) {
	t.Parallel()
	for n, want := range map[uint64]string{
		0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 1536: "1.5 KiB", 1 << 20: "1.0 MiB", 1 << 30: "1.0 GiB", 1 << 50: "1.0 PiB",
		1 << 62: "4096.0 PiB",
	} {
		require.Equal(t, want, size(n))
	}
}
