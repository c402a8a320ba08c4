// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/client"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/keystore"
)

// card writes somebody's card and returns its path.
func (d *desk) card(profile string) string {
	d.t.Helper()
	path := d.path(profile + ".card")
	d.must("key", "card", "-o", path, "--profile", d.path(profile))
	return path
}

func (d *desk) state(profile string) client.KeyState {
	d.t.Helper()
	var s client.KeyState
	d.decode(&s, "key", "show", "--profile", d.path(profile))
	return s
}

// guarded is a patient with three guardians who keep packages, two of whom suffice.
func guarded(t *testing.T) (d *desk, patient string) {
	t.Helper()
	d = newDesk(t)
	patient = d.join("patient", "HospAMSP", emr.RolePatient, "")
	d.join("friend", "HospAMSP", emr.RolePatient, "")
	d.join("ann", "HospAMSP", emr.RolePhysician, emr.LevelLow)
	d.join("ben", "HospBMSP", emr.RolePhysician, emr.LevelLow)
	d.must("key", "backup", "--guardian", d.card("friend"), "--guardian", d.card("ann"), "--guardian", d.card("ben"),
		"--threshold", "2", "-o", d.path("packages"), "--profile", d.path("patient"))
	return d, patient
}

func (d *desk) pack(i string) string { return d.path("packages/package-" + i + ".bin") }

// start begins a recovery on a new device and returns the words.
func (d *desk) start(device, owner string) string {
	d.t.Helper()
	var asked struct{ Words []string }
	d.decode(&asked, "key", "recover", "start", "--owner", owner, "-o", d.path(device+".request"), "--profile", d.path(device))
	require.Len(d.t, asked.Words, 6)
	return strings.Join(asked.Words, " ")
}

func TestGuardiansBringTheSeedBack(t *testing.T) {
	t.Parallel()
	d, patient := guarded(t)
	for i, who := range map[string]string{"1": "friend", "2": "ann", "3": "ben"} {
		require.Contains(t, d.must("key", "guard", d.pack(i), "--profile", d.path(who)), patient)
	}
	before := d.state("patient")
	require.Equal(t, []uint32{1}, before.Generations)

	words := d.start("new", patient)
	answer := func(i, who string) string {
		out := d.path("answer-" + i)
		d.must("key", "answer", d.path("new.request"), "--package", d.pack(i), "--words", strings.ToUpper(words), "-o", out, "--profile", d.path(who))
		return out
	}
	first, third := answer("1", "friend"), answer("3", "ben")
	d.refused(2, "key", "recover", "finish", first, third, "--profile", d.path("new"))
	d.refused(2, "key", "recover", "finish", first, third, "--expect", "", "--profile", d.path("new"))
	d.refused(8, "key", "recover", "finish", first, "--expect", "none", "--profile", d.path("new"))
	d.refused(8, "key", "recover", "finish", first, first, "--expect", "none", "--profile", d.path("new"))
	d.refused(9, "key", "recover", "finish", first, third, "--expect", strings.Repeat("0", 32), "--profile", d.path("new"))
	_, err := os.Stat(d.path("new/keys.json"))
	require.ErrorIs(t, err, os.ErrNotExist, "nothing is written before everything is checked")

	broken, err := os.ReadFile(first)
	require.NoError(t, err)
	broken[len(broken)-1] ^= 1
	bad := d.file("broken", string(broken))
	require.Contains(t, d.refused(8, "key", "recover", "finish", bad, third, "--expect", "none", "--profile", d.path("new")), "refused: ")
	second := answer("2", "ann")
	var back client.Recovered
	d.decode(&back, "key", "recover", "finish", bad, second, third, "--expect", before.Hybrid, "--profile", d.path("new"))
	require.Equal(t, before.Hybrid, back.Hybrid)
	require.Len(t, back.Refused, 1)
	_, err = os.Stat(d.path("new/recovery.json"))
	require.ErrorIs(t, err, os.ErrNotExist, "the one-time key is gone")
	d.sameScopeKeys("patient", "new")
	d.refused(5, "key", "recover", "finish", second, third, "--expect", "none", "--profile", d.path("other"))
	d.refused(6, "key", "recover", "start", "--owner", patient, "-o", d.path("again"), "--profile", d.path("new"))
}

func (d *desk) sameScopeKeys(a, b string) {
	d.t.Helper()
	old, err := keystore.Open(d.path(a), nil)
	require.NoError(d.t, err)
	restored, err := keystore.Open(d.path(b), nil)
	require.NoError(d.t, err)
	require.True(d.t, old.Roots().Equal(restored.Roots()))
	require.NotEqual(d.t, old.Consent().Pinned(), restored.Consent().Pinned())
}

func TestAGuardianAnswersOnlyWhoIsKnown(t *testing.T) {
	t.Parallel()
	d, patient := guarded(t)
	words := d.start("new", patient)
	answer := []string{"key", "answer", d.path("new.request"), "--package", d.pack("2"), "-o", d.path("a"), "--profile", d.path("ann")}
	d.refused(4, append(answer, "--words", "one two three four five six")...)
	d.refused(4, append(answer, "--words", strings.Join(strings.Fields(words)[:5], " "))...)
	d.refused(2, answer...)
	_, err := os.Stat(d.path("a"))
	require.ErrorIs(t, err, os.ErrNotExist)

	thief := d.start("thief", "pat_00000000000000000000000000000000")
	d.refused(2, "key", "answer", d.path("thief.request"), "--package", d.pack("2"), "--words", thief, "-o", d.path("a"), "--profile", d.path("ann"))
	d.refused(9, "key", "answer", d.path("new.request"), "--package", d.pack("3"), "--words", words, "-o", d.path("a"), "--profile", d.path("ann"))
	d.refused(9, "key", "guard", d.pack("3"), "--profile", d.path("ann"))
	d.refused(9, "key", "answer", d.pack("2"), "--package", d.pack("2"), "--words", words, "-o", d.path("a"), "--profile", d.path("ann"))
	again := d.path("again.request")
	require.Contains(t, d.must("key", "recover", "start", "--owner", patient, "-o", again, "--profile", d.path("new")), words, "the request waits")
}

func TestOneHospitalsPeopleAreNoQuorum(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.join("patient", "HospAMSP", emr.RolePatient, "")
	for _, name := range []string{"ann", "amy"} {
		d.join(name, "HospAMSP", emr.RolePhysician, emr.LevelLow)
	}
	d.join("ben", "HospBMSP", emr.RolePhysician, emr.LevelLow)
	backup := func(threshold string, names ...string) []string {
		args := []string{"key", "backup", "--threshold", threshold, "-o", d.path("out" + threshold), "--profile", d.path("patient")}
		for _, n := range names {
			if _, err := os.Stat(d.path(n + ".card")); err != nil {
				d.card(n)
			}
			args = append(args, "--guardian", d.path(n+".card"))
		}
		return args
	}
	require.Contains(t, d.refused(7, backup("2", "ann", "amy", "ben")...), "one organisation")
	d.refused(2, backup("1", "ann", "ben")...)
	d.refused(2, backup("2", "ann")...)
	d.refused(2, backup("2", "ann", "ann")...)
	_, err := os.Stat(d.path("out2"))
	require.ErrorIs(t, err, os.ErrNotExist)
	d.must(backup("3", "ann", "amy", "ben")...)
	d.refused(6, backup("3", "ann", "amy", "ben")...)
}

func TestPaperBringsTheSeedBack(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.join("patient", "HospAMSP", emr.RolePatient, "")
	d.must("key", "rotate", "--profile", d.path("patient"))
	words := d.path("words.txt")
	d.must("key", "backup", "--paper", "-o", words, "--profile", d.path("patient"))
	info, err := os.Stat(words)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	sheet, err := os.ReadFile(words)
	require.NoError(t, err)
	before := d.state("patient")
	require.Equal(t, []uint32{1, 2}, before.Generations)

	var back client.Recovered
	d.decode(&back, "key", "recover", "paper", words, "--expect", before.Hybrid, "--profile", d.path("new"))
	require.Equal(t, before.Generations, back.Generations)
	d.sameScopeKeys("patient", "new")
	d.stdin = strings.NewReader(strings.ToUpper(string(sheet)))
	d.must("key", "recover", "paper", "-", "--profile", d.path("typed"))
	d.sameScopeKeys("patient", "typed")
	d.stdin = nil

	lines := strings.Split(strings.TrimSpace(string(sheet)), "\n")
	typed := strings.Fields(lines[3])[1:]
	typo := strings.Replace(string(sheet), strings.Fields(lines[3])[5], "emrys", 1)
	for name, tc := range map[string]struct {
		content string
		code    int
	}{
		"a wrong word":          {typo, 2},
		"the newest seed only":  {strings.Join(append(lines[:3:3], lines[4]), "\n"), 2},
		"the first seed only":   {strings.Join(lines[:4], "\n"), 9},
		"nothing":               {"", 2},
		"another person's card": {"{}", 2},
	} {
		message := d.refused(tc.code, "key", "recover", "paper", d.file("bad", tc.content), "--profile", d.path("never"))
		// Single words of the list are ordinary ones, which a message may use by chance: no two in a row.
		for i := range typed[1:] {
			require.NotContains(t, message, typed[i]+" "+typed[i+1], name)
		}
	}
	d.refused(9, "key", "recover", "paper", words, "--expect", "00", "--profile", d.path("never"))
	d.refused(6, "key", "recover", "paper", words, "--profile", d.path("new"))
	d.refused(5, "key", "recover", "paper", d.path("absent"), "--profile", d.path("never"))
	for i := range typed[1:] {
		require.NotContains(t, d.written.String(), typed[i]+" "+typed[i+1], "no output held the words")
	}
	require.Contains(t, d.must("key", "backup", "--paper", "-o", "-", "--profile", d.path("patient")), lines[3])
	d.refused(2, "key", "backup", "--paper", "-o", "-", "--json", "--profile", d.path("patient"))
	_, err = os.Stat(d.path("never"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestNewRecordsGoToTheRotatedSeed(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	patient := d.join("patient", "HospAMSP", emr.RolePatient, "")
	d.join("author", "HospAMSP", emr.RolePhysician, emr.LevelPrivate)
	d.must("relationship", "propose", "--patient", patient, "--profile", d.path("author"))
	d.must("relationship", "accept", "HospAMSP", "--profile", d.path("patient"))
	put := func(name string) (id string, scope emr.ScopeID) {
		var stored struct{ Record string }
		d.decode(&stored, "record", "put", d.file(name, name), "--patient", patient, "--class", "omics", "--profile", d.path("author"))
		var shown struct{ Scope emr.ScopeID }
		d.decode(&shown, "record", "show", stored.Record, "--profile", d.path("patient"))
		return stored.Record, shown.Scope
	}
	read := func(record, want string) {
		out := d.path("copy-" + want)
		d.must("record", "get", record, "-o", out, "--profile", d.path("patient"))
		got, err := os.ReadFile(out)
		require.NoError(t, err)
		require.Equal(t, want, string(got))
	}
	old, oldScope := put("before")
	var rotated client.Rotated
	d.decode(&rotated, "key", "rotate", "--profile", d.path("patient"))
	require.EqualValues(t, 2, rotated.Epoch)
	var scopes []emr.ScopeID
	for _, s := range rotated.Scopes {
		scopes = append(scopes, s.ID)
	}
	fresh, newScope := put("after")
	require.NotContains(t, scopes, oldScope)
	require.Contains(t, scopes, newScope)
	read(old, "before")
	read(fresh, "after")
	d.decode(&rotated, "key", "rotate", "--profile", d.path("patient"))
	require.EqualValues(t, 3, rotated.Epoch)
	require.Equal(t, []uint32{1, 2, 3}, d.state("patient").Generations)
	d.refused(4, "key", "rotate", "--profile", d.path("author"))
}

func TestASealedProfileRotatesAndBacksUpUnderItsPassphrase(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	good, bad := d.file("good", "correct horse"), d.file("wrong", "battery")
	invite := d.file("i.json", string(d.Invite("HospAMSP", emr.RolePatient, "")))
	profile := d.path("p")
	d.must("join", "--invite", invite, "--profile", profile, "--passphrase-file", good)
	d.refused(3, "key", "rotate", "--profile", profile)
	d.refused(3, "key", "rotate", "--profile", profile, "--passphrase-file", bad)
	d.refused(3, "key", "show", "--profile", profile, "--passphrase-file", bad)
	d.must("key", "rotate", "--profile", profile, "--passphrase-file", good)
	words := d.path("words")
	d.must("key", "backup", "--paper", "-o", words, "--profile", profile, "--passphrase-file", good)
	d.must("key", "recover", "paper", words, "--profile", d.path("q"), "--passphrase-file", good)
	_, err := os.Stat(filepath.Join(d.path("q"), "keys.jwe"))
	require.NoError(t, err, "recovered keys are sealed")
}
