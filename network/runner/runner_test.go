// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package runner

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/network/lockfile"
)

const (
	soon = 20 * time.Second // on a machine that is busy with other tests
	tick = 5 * time.Millisecond
)

// supervised runs a supervisor for the test and returns a client of it.
func supervised(t *testing.T) (*Client, Dirs) {
	t.Helper()
	home, err := os.MkdirTemp("", "runner") //nolint:usetesting // a socket's name must be short
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(home) })
	dirs := In(home)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- Supervise(ctx, dirs, slog.New(slog.DiscardHandler)) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
	})
	client := NewClient(dirs)
	require.Eventually(t, func() bool {
		_, err := client.Status(t.Context())
		return err == nil
	}, soon, tick)
	return client, dirs
}

func shell(name, script string) Spec {
	return Spec{Name: name, Command: []string{"/bin/sh", "-c", script}, Dir: "/"}
}

const forever = "while :; do sleep 0.05; done"

func statusOf(t *testing.T, client *Client, name string) Status {
	t.Helper()
	all, err := client.Status(t.Context())
	require.NoError(t, err)
	for _, s := range all {
		if s.Name == name {
			return s
		}
	}
	return Status{}
}

func alive(pid int) bool { return syscall.Kill(pid, 0) == nil }

func TestADeadProcessIsStartedAgain(t *testing.T) {
	t.Parallel()
	client, _ := supervised(t)
	require.NoError(t, client.Run(t.Context(), shell("p", forever)))
	before := statusOf(t, client, "p")
	require.Equal(t, Running, before.State)
	require.NoError(t, syscall.Kill(before.PID, syscall.SIGKILL))
	require.Eventually(t, func() bool {
		s := statusOf(t, client, "p")
		return s.State == Running && s.PID != before.PID && s.Restarts == 1
	}, soon, tick)
	require.Contains(t, statusOf(t, client, "p").LastExit, "killed")
}

func TestAProcessThatKeepsDyingIsStartedEverMoreSlowly(t *testing.T) {
	t.Parallel()
	client, dirs := supervised(t)
	require.NoError(t, client.Run(t.Context(), shell("p", "date +%s%N; exit 3")))
	require.Eventually(t, func() bool { return statusOf(t, client, "p").Restarts >= 3 }, soon, tick)
	require.Equal(t, "exit status 3", statusOf(t, client, "p").LastExit)
	require.NoError(t, client.Stop(t.Context(), "p"))
	raw, err := os.ReadFile(dirs.LogFile("p"))
	require.NoError(t, err)
	var starts []int64
	for line := range strings.Lines(string(raw)) {
		at, err := strconv.ParseInt(strings.TrimSpace(line), 10, 64)
		require.NoError(t, err)
		starts = append(starts, at)
	}
	for i := 1; i < len(starts); i++ {
		pause := time.Duration(starts[i] - starts[i-1])
		require.GreaterOrEqual(t, pause, firstBackoff<<(i-1), "before start %d", i)
	}
}

func TestAStoppedProcessStaysStoppedUntilStarted(t *testing.T) {
	t.Parallel()
	client, _ := supervised(t)
	require.NoError(t, client.Run(t.Context(), shell("p", forever)))
	pid := statusOf(t, client, "p").PID
	require.NoError(t, client.Stop(t.Context(), "p"))
	require.False(t, alive(pid))
	require.Equal(t, Stopped, statusOf(t, client, "p").State)
	require.NoError(t, client.Stop(t.Context(), "p"), "stopping twice is no error")
	require.NoError(t, client.Start(t.Context(), "p"))
	again := statusOf(t, client, "p")
	require.Equal(t, Running, again.State)
	require.Zero(t, again.Restarts, "a wanted start is no restart")
	require.NoError(t, client.Start(t.Context(), "p"))
	require.Equal(t, again.PID, statusOf(t, client, "p").PID, "starting twice changes nothing")
}

func TestOnlyAChangedSpecStartsAProcessAnew(t *testing.T) {
	t.Parallel()
	client, _ := supervised(t)
	spec := shell("p", forever)
	require.NoError(t, client.Run(t.Context(), spec))
	first := statusOf(t, client, "p").PID
	require.NoError(t, client.Run(t.Context(), spec))
	require.Equal(t, first, statusOf(t, client, "p").PID)
	spec.Fingerprint = "a new program"
	require.NoError(t, client.Run(t.Context(), spec))
	require.NotEqual(t, first, statusOf(t, client, "p").PID)
	require.False(t, alive(first))
}

func TestAProcessThatCannotStartIsAnError(t *testing.T) {
	t.Parallel()
	client, _ := supervised(t)
	err := client.Run(t.Context(), Spec{Name: "p", Command: []string{"/does/not/exist"}, Dir: "/"})
	require.ErrorContains(t, err, "start p")
	for name, spec := range map[string]Spec{
		"no name":               {Command: []string{"/bin/true"}},
		"a name that is a path": {Name: "../p", Command: []string{"/bin/true"}},
		"no command":            {Name: "p"},
	} {
		require.Error(t, client.Run(t.Context(), spec), name)
	}
}

func TestUnknownProcessesAreTold(t *testing.T) {
	t.Parallel()
	client, _ := supervised(t)
	require.ErrorIs(t, client.Start(t.Context(), "nobody"), ErrUnknown)
	require.ErrorIs(t, client.Stop(t.Context(), "nobody"), ErrUnknown)
}

func TestOutputGoesToALogForItsOwnerOnly(t *testing.T) {
	t.Parallel()
	client, dirs := supervised(t)
	require.NoError(t, client.Run(t.Context(), shell("p", "echo out; echo err >&2; "+forever)))
	require.Eventually(t, func() bool {
		raw, err := os.ReadFile(dirs.LogFile("p"))
		return err == nil && string(raw) == "out\nerr\n"
	}, soon, tick)
	info, err := os.Stat(dirs.LogFile("p"))
	require.NoError(t, err)
	require.EqualValues(t, 0o600, info.Mode().Perm())
}

func TestTheUsersEnvironmentDoesNotReachAProcess(t *testing.T) {
	t.Setenv("CORE_PEER_LOCALMSPID", "from the user's shell")
	client, dirs := supervised(t)
	spec := shell("p", `echo "[$CORE_PEER_LOCALMSPID][$GIVEN]"; `+forever)
	spec.Env = []string{"GIVEN=yes"}
	require.NoError(t, client.Run(t.Context(), spec))
	require.Eventually(t, func() bool {
		raw, err := os.ReadFile(dirs.LogFile("p"))
		return err == nil && string(raw) == "[][yes]\n"
	}, soon, tick)
}

func TestShutdownEndsEverythingItStarted(t *testing.T) {
	t.Parallel()
	client, dirs := supervised(t)
	var pids []int
	for _, name := range []string{"a", "b"} {
		require.NoError(t, client.Run(t.Context(), shell(name, forever)))
		pids = append(pids, statusOf(t, client, name).PID)
	}
	ended, err := client.Shutdown(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{"a", "b"}, ended)
	for _, pid := range pids {
		require.False(t, alive(pid))
	}
	_, err = client.Status(t.Context())
	require.ErrorIs(t, err, ErrNotRunning)
	ended, err = client.Shutdown(t.Context())
	require.NoError(t, err, "a second shutdown is no error")
	require.Empty(t, ended)
	records, err := filepath.Glob(dirs.processRecord("*"))
	require.NoError(t, err)
	require.Empty(t, records)
}

func TestANetworkHasOneSupervisor(t *testing.T) {
	t.Parallel()
	_, dirs := supervised(t)
	err := Supervise(t.Context(), dirs, slog.New(slog.DiscardHandler))
	require.ErrorIs(t, err, lockfile.ErrHeld)
}

// stray starts a process that no supervisor knows.
func stray(t *testing.T) int {
	t.Helper()
	cmd := exec.Command("/bin/sh", "-c", forever)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	require.NoError(t, cmd.Start())
	exited := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(exited)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-exited
	})
	return cmd.Process.Pid
}

func TestOrphansAreEndedAndStrangersAreNot(t *testing.T) {
	t.Parallel()
	dirs := In(t.TempDir())
	orphan, stranger := stray(t), stray(t)
	mine, err := newRecord(orphan)
	require.NoError(t, err)
	require.NoError(t, mine.save(dirs.processRecord("orphan")))
	// The number of a process that ended long ago, in use by another since.
	reused, err := newRecord(stranger)
	require.NoError(t, err)
	reused.Start = "1@another boot"
	require.NoError(t, reused.save(dirs.processRecord("reused")))
	require.NoError(t, os.WriteFile(dirs.processRecord("broken"), []byte("{"), 0o600))

	ended, err := EndOrphans(dirs, time.Second)
	require.NoError(t, err)
	require.Equal(t, []string{"orphan"}, ended)
	require.False(t, mine.alive())
	require.True(t, alive(stranger), "a recycled process id must never be killed")
	records, err := filepath.Glob(dirs.processRecord("*"))
	require.NoError(t, err)
	require.Empty(t, records)
}

func TestAProcessThatIgnoresTheRequestIsKilled(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("/bin/sh", "-c", "trap '' TERM; echo ready; "+forever)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	_, err = out.Read(make([]byte, 1)) // the trap is set
	require.NoError(t, err)
	r, err := newRecord(cmd.Process.Pid)
	require.NoError(t, err)
	go r.terminate(50 * time.Millisecond)
	var exit *exec.ExitError
	require.True(t, errors.As(cmd.Wait(), &exit))
	status, ok := exit.Sys().(syscall.WaitStatus)
	require.True(t, ok)
	require.Equal(t, syscall.SIGKILL, status.Signal())
}

func TestARecordOfNobodyIsNotAlive(t *testing.T) {
	t.Parallel()
	for _, pid := range []int{-1, 0, 1} {
		require.False(t, record{PID: pid, Start: "x"}.alive(), "pid %d would signal a whole group", pid)
	}
}

func TestTheSocketOfADeepHomeIsShort(t *testing.T) {
	t.Parallel()
	deep := In("/" + strings.Repeat("very-deep/", 30))
	require.LessOrEqual(t, len(deep.Socket()), maxSocketPath)
	require.NotEqual(t, deep.Socket(), In("/"+strings.Repeat("very-deep/", 31)).Socket())
	require.Equal(t, "/home/run/supervisor.sock", In("/home").Socket())
}

func TestEnsureTellsOfASupervisorThatDiesAtOnce(t *testing.T) {
	t.Parallel()
	err := NewClient(In(t.TempDir())).Ensure(t.Context(), "/bin/false")
	require.ErrorContains(t, err, "ended at once")
}
