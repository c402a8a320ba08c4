// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/client/clienttest"
	"github.com/emrys-health/emrys/pkg/emr"
)

var update = flag.Bool("update", false, "write the golden transcripts anew")

func TestMain(m *testing.M) {
	time.Local = time.UTC // what people see depends on where they are
	os.Exit(m.Run())
}

// desk is a place where commands are typed.
type desk struct {
	*clienttest.World
	t       *testing.T
	dir     string
	stdin   io.Reader
	env     map[string]string
	written strings.Builder // the transcript
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	dir := t.TempDir()
	return &desk{World: clienttest.New(t), t: t, dir: dir, env: map[string]string{"HOME": dir}}
}

// run executes a command and returns what it wrote.
func (d *desk) run(args ...string) (stdout, stderr string, code int) {
	d.t.Helper()
	var out, errs bytes.Buffer
	stdin := d.stdin
	if stdin == nil {
		stdin = strings.NewReader("")
	}
	code = run(d.t.Context(), args, stdin, &out, &errs, func(name string) string { return d.env[name] })
	fmt.Fprintf(&d.written, "$ emrys %s\n%s%s", strings.Join(args, " "), out.String(), errs.String())
	if code != 0 {
		fmt.Fprintf(&d.written, "[exit %d]\n", code)
	}
	d.written.WriteString("\n")
	return out.String(), errs.String(), code
}

func (d *desk) must(args ...string) string {
	d.t.Helper()
	stdout, stderr, code := d.run(args...)
	require.Zero(d.t, code, "emrys %v: %s", args, stderr)
	return stdout
}

func (d *desk) refused(code int, args ...string) string {
	d.t.Helper()
	_, stderr, got := d.run(args...)
	require.Equal(d.t, code, got, "emrys %v: %s", args, stderr)
	return stderr
}

// decode runs a command with --json and decodes its output.
func (d *desk) decode(into any, args ...string) {
	d.t.Helper()
	written := d.written.String()
	out := d.must(append(args, "--json")...)
	d.written.Reset()
	d.written.WriteString(written) // look-ups of the test are no part of the transcript
	require.NoError(d.t, json.Unmarshal([]byte(out), into))
}

func (d *desk) path(name string) string { return filepath.Join(d.dir, name) }

func (d *desk) file(name, content string) string {
	d.t.Helper()
	require.NoError(d.t, os.WriteFile(d.path(name), []byte(content), 0o600))
	return d.path(name)
}

// join makes a profile and returns its id.
func (d *desk) join(name string, org emr.OrgID, role emr.Role, level emr.Level) string {
	d.t.Helper()
	invite := d.file(name+".json", string(d.Invite(org, role, level)))
	d.must("join", "--invite", invite, "--profile", d.path(name))
	var who identity
	d.decode(&who, "whoami", "--profile", d.path(name))
	return who.ID
}

// volatile are the parts of an output that differ from run to run.
func volatile(dir string) *strings.Replacer {
	return strings.NewReplacer(dir, "DIR")
}

var patterns = []struct {
	find    *regexp.Regexp
	replace string
}{
	{regexp.MustCompile(`\b(pat|hnd|cli|rec|scp|gra|req|dis)_[0-9a-f]{32}\b`), "${1}_ID"},
	{regexp.MustCompile(`\bbafk[0-9a-f]{40}\b`), "CID"},
	{regexp.MustCompile(`\b[0-9a-f]{64}\b`), "HEX"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC`), "TIME"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`), "TIME"},
	{regexp.MustCompile(`127\.0\.0\.1:\d+`), "GATEWAY"},
}

func (d *desk) golden(name string) {
	d.t.Helper()
	got := volatile(d.dir).Replace(d.written.String())
	for _, p := range patterns {
		got = p.find.ReplaceAllString(got, p.replace)
	}
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(d.t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(d.t, err)
	require.Equal(d.t, string(want), got)
}
