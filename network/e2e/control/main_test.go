// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

// Package control_test runs emrysctl as an administrator would, on a network
// of its own: real daemons, in a temporary home, on shifted ports.
package control_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/network"
	"github.com/emrys-health/emrys/network/runner"
)

// portOffset keeps clear of the default network, of the other end-to-end
// tests, and of the ports that the system gives to clients (32768 and up).
const portOffset = "24000"

const (
	soon = 60 * time.Second
	tick = 50 * time.Millisecond
)

// emrysctl is the program under test, built once.
var emrysctl string

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "emrysctl")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	emrysctl = filepath.Join(dir, "emrysctl")
	build := exec.Command("go", "build", "-o", emrysctl, "github.com/emrys-health/emrys/cmd/emrysctl")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build emrysctl: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// lab is one network's home.
type lab struct{ home string }

// newLab makes a home and promises that nothing of it outlives the test.
func newLab(t *testing.T) *lab {
	t.Helper()
	home, err := os.MkdirTemp("", "emrys-e2e") //nolint:usetesting // kept for a look when the test fails
	require.NoError(t, err)
	l := &lab{home: filepath.Join(home, "home")}
	t.Cleanup(func() {
		l.ctl(t, "down")
		require.Empty(t, l.processes(t), "processes outlived the network")
		if t.Failed() {
			t.Logf("the state is kept in %s", home)
			return
		}
		require.NoError(t, os.RemoveAll(home))
	})
	return l
}

// outcome is what a command did.
type outcome struct {
	code           int
	stdout, stderr string
}

func (l *lab) command(args ...string) *exec.Cmd {
	cmd := exec.Command(emrysctl, append(args, "--home", l.home)...)
	cmd.Env = append(os.Environ(), "EMRYS_PORT_OFFSET="+portOffset)
	return cmd
}

func (l *lab) ctl(t *testing.T, args ...string) outcome {
	t.Helper()
	cmd := l.command(args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		require.NoError(t, err)
	}
	return outcome{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// must runs a command that has to work.
func (l *lab) must(t *testing.T, args ...string) outcome {
	t.Helper()
	o := l.ctl(t, args...)
	require.Zero(t, o.code, "emrysctl %s: %s%s", strings.Join(args, " "), o.stdout, o.stderr)
	return o
}

func (l *lab) status(t *testing.T) network.Report {
	t.Helper()
	o := l.ctl(t, "status", "--json")
	var report network.Report
	require.NoError(t, json.Unmarshal([]byte(o.stdout), &report), "%s%s", o.stdout, o.stderr)
	return report
}

func (l *lab) process(t *testing.T, name string) network.ProcessReport {
	t.Helper()
	for _, p := range l.status(t).Processes {
		if p.Name == name {
			return p
		}
	}
	t.Fatalf("status does not know %s", name)
	return network.ProcessReport{}
}

// eventually waits until one process is as wanted.
func (l *lab) eventually(t *testing.T, name string, wanted func(network.ProcessReport) bool) {
	t.Helper()
	var last network.ProcessReport
	ok := false
	for deadline := time.Now().Add(soon); time.Now().Before(deadline) && !ok; time.Sleep(tick) {
		last = l.process(t, name)
		ok = wanted(last)
	}
	require.True(t, ok, "%+v", last)
}

func healthy(p network.ProcessReport) bool { return p.State == runner.Running && p.Healthy }

// processes lists the processes of the machine that mention the home.
func (l *lab) processes(t *testing.T) []string {
	t.Helper()
	var found []string
	for _, p := range commandLines(t) {
		if strings.Contains(p, l.home) {
			found = append(found, p)
		}
	}
	return found
}

// commandLines returns each process's arguments and environment.
func commandLines(t *testing.T) []string {
	t.Helper()
	dirs, err := filepath.Glob("/proc/[0-9]*")
	require.NoError(t, err)
	var lines []string
	for _, dir := range dirs {
		if dir == fmt.Sprintf("/proc/%d", os.Getpid()) {
			continue
		}
		args, _ := os.ReadFile(filepath.Join(dir, "cmdline"))
		environment, _ := os.ReadFile(filepath.Join(dir, "environ"))
		lines = append(lines, string(args)+"\x00"+string(environment))
	}
	return lines
}

func kill(t *testing.T, pid int) {
	t.Helper()
	require.Greater(t, pid, 1)
	require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
}
