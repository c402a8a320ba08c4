// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/network"
	"github.com/emrys-health/emrys/network/runner"
	"github.com/emrys-health/emrys/network/topology"
	"github.com/emrys-health/emrys/pkg/emr"
)

func invoke(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, problems bytes.Buffer
	code = run(t.Context(), args, &out, &problems)
	return code, out.String(), problems.String()
}

func TestWrongUsageExitsWithTwo(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	for name, args := range map[string][]string{
		"an unknown command":              {"fly"},
		"an unknown subcommand":           {"topology", "fly"},
		"a group alone":                   {"render"},
		"an unknown flag":                 {"up", "--fly"},
		"an argument too many":            {"down", "now"},
		"an argument too few":             {"stop"},
		"a number that is none":           {"up", "--port-offset", "many"},
		"a topology that is absent":       {"up", "--topology", filepath.Join(home, "absent.yaml")},
		"an incomplete invitation":        {"invite", "--org", "HospA"},
		"a topology that is none":         {"topology", "check", "main.go"},
		"no subcommand's arguments":       {"topology", "check"},
		"a proposal of nobody":            {"governance", "propose", "--remove", "HospBMSP"},
		"a proposal of nothing":           {"governance", "propose", "--org", "HospA"},
		"a proposal of two things":        {"governance", "propose", "--org", "HospA", "--remove", "HospBMSP", "--stop", "Disclose"},
		"an admission without a CA":       {"governance", "propose", "--org", "HospA", "--admit", "HospDMSP"},
		"a CA that is none":               {"governance", "propose", "--org", "HospA", "--admit", "HospDMSP", "--ca", "main.go"},
		"a CA that is absent":             {"governance", "propose", "--org", "HospA", "--admit", "HospDMSP", "--ca", filepath.Join(home, "absent.pem")},
		"a release of no bundle":          {"governance", "propose", "--org", "HospA", "--release", "portal"},
		"a bundle that is absent":         {"governance", "propose", "--org", "HospA", "--withdraw", filepath.Join(home, "absent.zip")},
		"a vote of nobody":                {"governance", "vote", "pro_00", "--accept"},
		"a vote for neither":              {"governance", "vote", "pro_00", "--org", "HospA"},
		"an upgrade to nothing":           {"upgrade"},
		"an upgrade to what is absent":    {"upgrade", "--topology", filepath.Join(home, "absent.yaml")},
		"a revocation by nobody":          {"revoke", "--ground", "superseded", "main.go"},
		"a revocation without a ground":   {"revoke", "--org", "HospA", "main.go"},
		"a revocation of nothing":         {"revoke", "--org", "HospA", "--ground", "superseded"},
		"a revocation of no certificate":  {"revoke", "--org", "HospA", "--ground", "superseded", "main.go"},
		"a release of a patient and more": {"governance", "propose", "--org", "HospA", "--release-patient", "hnd_0", "--remove", "HospBMSP"},
		"a vote for both":                 {"governance", "vote", "pro_00", "--org", "HospA", "--accept", "--reject"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, stdout, stderr := invoke(t, append(args, "--home", home)...)
			require.Equal(t, exitUsage, code, stderr)
			require.Empty(t, stdout)
			require.Contains(t, stderr, "emrysctl: ")
		})
	}
}

func TestWhatIsNotThereExitsWithEight(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"status"}, {"down"}, {"start", "x"}, {"stop", "x"}, {"logs", "x"}, {"destroy", "--yes"}, {"governance", "show"},
		{"governance", "list"}, {"governance", "propose", "--org", "HospA", "--stop", "Disclose"}, {"governance", "vote", "x", "--org", "HospA", "--accept"}} {
		code, _, stderr := invoke(t, append(args, "--home", filepath.Join(t.TempDir(), "none"))...)
		require.Equal(t, exitUnavailable, code, args)
		require.Contains(t, stderr, "there is no network here")
	}
}

func TestErrorsAreJSONWhenJSONIsAskedFor(t *testing.T) {
	t.Parallel()
	code, stdout, stderr := invoke(t, "status", "--json", "--home", filepath.Join(t.TempDir(), "none"))
	require.Equal(t, exitUnavailable, code)
	require.Empty(t, stderr)
	var told failure
	require.NoError(t, json.Unmarshal([]byte(stdout), &told))
	require.Equal(t, exitUnavailable, told.Code)
	require.NotEmpty(t, told.Error)
}

func TestEveryErrorHasItsExitCode(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		err  error
		code int
	}{
		{usageError{errors.New("x")}, exitUsage},
		{&topology.InvalidError{}, exitUsage},
		{runner.ErrUnknown, exitUsage},
		{emr.Invalid("role", "x"), exitUsage},
		{&network.PortError{}, exitUnavailable},
		{network.ErrBusy, exitUnavailable},
		{network.ErrNoNetwork, exitUnavailable},
		{network.ErrUnreachable, exitUnavailable},
		{runner.ErrNotRunning, exitUnavailable},
		{context.DeadlineExceeded, exitUnavailable},
		{context.Canceled, exitUnavailable},
		{reportedError{errUnhealthy}, exitUnavailable},
		{errors.New("anything else"), exitInternal},
	} {
		require.Equal(t, test.code, exitCode(fmt.Errorf("wrapped: %w", test.err)), "%v", test.err)
	}
}

func TestTopologyCommandsShowAndJudge(t *testing.T) {
	t.Parallel()
	code, stdout, _ := invoke(t, "topology", "default")
	require.Zero(t, code)
	require.Equal(t, string(topology.Default()), stdout)
	file := filepath.Join(t.TempDir(), "t.yaml")
	require.NoError(t, os.WriteFile(file, []byte(stdout), 0o600))
	code, stdout, _ = invoke(t, "topology", "check", file, "--json")
	require.Zero(t, code)
	require.JSONEq(t, `{"valid": true, "organisations": 4}`, stdout)
	code, custom, _ := invoke(t, "render", "compose", "--topology", file)
	require.Zero(t, code)
	code, builtIn, _ := invoke(t, "render", "compose")
	require.Zero(t, code)
	require.Equal(t, builtIn, custom)
}

func TestStatusOfANetworkThatIsDownTellsAndExitsWithEight(t *testing.T) {
	t.Parallel()
	home := filepath.Join(t.TempDir(), "home")
	_, err := network.Create(network.Options{Home: home})
	require.NoError(t, err)
	code, stdout, _ := invoke(t, "status", "--json", "--home", home)
	require.Equal(t, exitUnavailable, code)
	var report network.Report
	require.NoError(t, json.Unmarshal([]byte(stdout), &report), "one document, not a report and an error")
	require.False(t, report.Running)
	code, stdout, _ = invoke(t, "status", "--home", home)
	require.Equal(t, exitUnavailable, code)
	require.Contains(t, stdout, "peer0.hospa")
}

func TestAFollowedLogGoesOnAcrossRotation(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "p.log")
	require.NoError(t, os.WriteFile(file, []byte("one\n"), 0o600))
	ctx, cancel := context.WithCancel(t.Context())
	out := &lines{seen: make(chan string, 8)}
	ended := make(chan error, 1)
	go func() { ended <- show(ctx, out, file, true) }()
	require.Equal(t, "one\n", out.next(t))
	require.NoError(t, os.Rename(file, file+".1"))
	require.NoError(t, os.WriteFile(file, []byte("two\n"), 0o600))
	require.Equal(t, "two\n", out.next(t))
	cancel()
	require.NoError(t, <-ended)
}

// lines hands each write on.
type lines struct{ seen chan string }

func (l *lines) Write(p []byte) (int, error) {
	l.seen <- string(p)
	return len(p), nil
}

func (l *lines) next(t *testing.T) string {
	t.Helper()
	select {
	case line := <-l.seen:
		return line
	case <-time.After(20 * time.Second):
		t.Fatal("nothing was shown")
		return ""
	}
}
