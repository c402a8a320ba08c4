// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package control_test

import (
	"encoding/json"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/network"
	"github.com/emrys-health/emrys/network/runner"
)

// TestNetwork goes through the life of one network, from a port in use to its
// destruction: steps in order, each leaving the network up.
func TestNetwork(t *testing.T) {
	l := newLab(t)
	steps := []struct {
		name string
		do   func(*testing.T, *lab)
	}{
		{"a port in use is told before anything starts", portInUse},
		{"an up that is killed again and again is resumed", interruptedUp},
		{"every process is healthy", allHealthy},
		{"a second up changes nothing", upTwice},
		{"two commands do not change a network at once", busy},
		{"one process is stopped and started", stopAndStart},
		{"a killed orderer is started again and catches up", killOrderer},
		{"writes go on within seconds of a leader's restart", killLeader},
		{"writes go on within seconds of a leader's death", killLeaderForGood},
		{"an invited person enrols once", inviteAndEnrol},
		{"the members decide by majority", governance},
		{"no secret is seen from outside", noSecretsOutside},
		{"a killed supervisor's network is taken over", killSupervisor},
		{"a reboot keeps the ledger", reboot},
		{"another topology or offset is refused", otherSettings},
		{"destroy asks first", destroyAsks},
	}
	for _, step := range steps {
		if !t.Run(step.name, func(t *testing.T) { step.do(t, l) }) {
			t.FailNow()
		}
	}
}

func portInUse(t *testing.T, l *lab) {
	listener, err := net.Listen("tcp", "127.0.0.1:31250")
	require.NoError(t, err)
	defer listener.Close()
	o := l.ctl(t, "up")
	require.Equal(t, 8, o.code, o.stderr)
	require.Contains(t, o.stderr, "gateway.hospb needs 127.0.0.1:31250")
	require.Contains(t, o.stderr, "--port-offset")
	require.Empty(t, l.processes(t))
}

// interruptedUp kills up as soon as a file appears that is written in the
// midst of a step, for files all along the way.
func interruptedUp(t *testing.T, l *lab) {
	for _, file := range []string{
		"channel/swarm.key",
		"orgs/hospa/ca/fabric-ca-server-config.yaml",
		"run/supervisor.json",
		"orgs/hospb/msp/cacerts/ca.pem",
		"orgs/hospb/registrar/msp/keystore/priv_sk",
		"orgs/hospb/peers/peer1/msp.part/signcerts",
		"orgs/hospc/orderer/tls.part",
		"orgs/hospc/peers/peer0/msp/signcerts/cert.pem",
		"orgs/regulator/gateway/tls/server.key",
		"orgs/hospa/consortium-tls-roots.pem",
		"channel/configtx.yaml",
		"channel/genesis.block",
		"orgs/hospa/orderer/data",
		"orgs/hospa/peers/peer0/data/ledgersData/chains/chains/emrys",
		"orgs/hospb/peers/peer0/data/lifecycle/chaincodes",
		"orgs/hospc/gateway/gateway-keys.json",
	} {
		cmd := l.command("up")
		require.NoError(t, cmd.Start())
		exited := make(chan struct{})
		go func() {
			defer close(exited)
			_ = cmd.Wait()
		}()
		waitForFile(t, filepath.Join(l.home, file), exited)
		_ = cmd.Process.Kill()
		<-exited
	}
	// What a kill in the midst of a write leaves must not be taken for a file.
	require.NoError(t, os.MkdirAll(filepath.Join(l.home, "orgs/hospb/admin/msp.part/signcerts"), 0o700))
	l.must(t, "up")
}

// waitForFile returns when file is there, or up ended before it was noticed.
func waitForFile(t *testing.T, file string, exited <-chan struct{}) {
	t.Helper()
	fleeting := strings.Contains(file, ".part") // may come and go unseen
	deadline := time.After(2 * soon)
	for {
		if _, err := os.Stat(file); err == nil || fleeting && exists(strings.Replace(file, ".part", "", 1)) {
			return
		}
		select {
		case <-exited:
			_, statErr := os.Stat(file)
			require.True(t, statErr == nil || fleeting, "up ended without making %s", file)
			return
		case <-deadline:
			t.Fatalf("%s was not made", file)
		case <-time.After(time.Millisecond):
		}
	}
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}

func allHealthy(t *testing.T, l *lab) {
	o := l.must(t, "status", "--json")
	var report network.Report
	require.NoError(t, json.Unmarshal([]byte(o.stdout), &report))
	require.True(t, report.Healthy)
	require.Len(t, report.Processes, 26)
	for _, p := range report.Processes {
		require.True(t, healthy(p), "%+v", p)
		require.NotZero(t, p.PID, p.Name)
		require.True(t, strings.HasPrefix(p.Address, "127.0.0.1:3"), p.Address)
		switch p.Kind {
		case "orderer", "peer":
			require.NotZero(t, p.Height, p.Name)
			require.Equal(t, "v3.1.1", p.Version)
		case "ca", "ipfs":
			require.NotEmpty(t, p.Version, p.Name)
		}
	}
	// While the leader changes, as it may when the machine is busy, the old one tells of itself a little longer.
	require.Eventually(t, func() bool {
		leaders := 0
		for _, p := range l.status(t).Processes {
			if p.Leader {
				leaders++
			}
		}
		return leaders == 1
	}, soon, tick)
	require.Contains(t, l.must(t, "status").stdout, "peer0.regulator")
}

// snapshot maps each file of the home that a run of up writes to its time.
func snapshot(t *testing.T, home string) map[string]time.Time {
	t.Helper()
	times := map[string]time.Time{}
	for _, dir := range []string{"orgs", "channel", "topology.yaml", "settings.json"} {
		err := filepath.WalkDir(filepath.Join(home, dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return nil //nolint:nilerr // daemons make and remove files of their own
			}
			if d.IsDir() && (d.Name() == "data" || d.Name() == "ipfs" || d.Name() == "state" || d.Name() == "ca") {
				return filepath.SkipDir
			}
			if info, err := d.Info(); err == nil && !d.IsDir() {
				times[path] = info.ModTime()
			}
			return nil
		})
		require.NoError(t, err)
	}
	return times
}

func pids(report network.Report) map[string]int {
	all := map[string]int{}
	for _, p := range report.Processes {
		all[p.Name] = p.PID
	}
	return all
}

func upTwice(t *testing.T, l *lab) {
	l.must(t, "up") // this one may find a program that was rebuilt
	before, files := l.status(t), snapshot(t, l.home)
	o := l.must(t, "up", "--json")
	after := l.status(t)
	require.Equal(t, pids(before), pids(after))
	require.Equal(t, files, snapshot(t, l.home))
	for i, p := range after.Processes {
		require.Equal(t, before.Processes[i].Height, p.Height, "%s: an idle up must write nothing", p.Name)
	}
	var result struct{ Steps []network.Step }
	require.NoError(t, json.Unmarshal([]byte(o.stdout), &result))
	var took time.Duration
	for _, step := range result.Steps {
		if step.What != "daemons built" && step.What != "contract and gateway built" {
			took += step.Took
		}
	}
	require.Less(t, took, 5*time.Second)
}

func busy(t *testing.T, l *lab) {
	lock, err := os.OpenFile(filepath.Join(l.home, "lock"), os.O_RDWR, 0)
	require.NoError(t, err)
	defer lock.Close()
	require.NoError(t, flock(lock))
	for _, command := range []string{"up", "down"} {
		o := l.ctl(t, command)
		require.Equal(t, 8, o.code, o.stderr)
		require.Contains(t, o.stderr, "another emrysctl is at work")
	}
}

func stopAndStart(t *testing.T, l *lab) {
	const name = "peer1.hospb"
	pid := l.process(t, name).PID
	l.must(t, "stop", name)
	stopped := l.ctl(t, "status")
	require.Equal(t, 8, stopped.code, "a stopped process is not healthy")
	require.Equal(t, runner.Stopped, l.process(t, name).State)
	l.must(t, "start", name)
	l.eventually(t, name, healthy)
	require.NotEqual(t, pid, l.process(t, name).PID)
	unknown := l.ctl(t, "stop", "peer9.hospb")
	require.Equal(t, 2, unknown.code, unknown.stderr)
}

func killOrderer(t *testing.T, l *lab) {
	name := ""
	for _, p := range l.status(t).Processes {
		if p.Kind == "orderer" && !p.Leader {
			name = p.Name
		}
	}
	before := l.process(t, name)
	kill(t, before.PID)
	l.eventually(t, name, func(p network.ProcessReport) bool {
		return healthy(p) && p.PID != before.PID && p.Restarts > before.Restarts
	})
	height := write(t, l)
	l.eventually(t, name, func(p network.ProcessReport) bool { return p.Height >= height })
}

func killSupervisor(t *testing.T, l *lab) {
	raw, err := os.ReadFile(filepath.Join(l.home, "run", "supervisor.json"))
	require.NoError(t, err)
	var supervisor struct{ PID int }
	require.NoError(t, json.Unmarshal(raw, &supervisor))
	kill(t, supervisor.PID)
	require.Eventually(t, func() bool { return !l.status(t).Running }, soon, tick)
	// Whatever it left behind goes before a new one starts the same.
	l.must(t, "down")
	require.Empty(t, l.processes(t))
	l.must(t, "up")
	require.True(t, l.status(t).Healthy)
}

func reboot(t *testing.T, l *lab) {
	before := l.process(t, "peer0.hospa").Height
	o := l.must(t, "down", "--json")
	var result struct{ Stopped []string }
	require.NoError(t, json.Unmarshal([]byte(o.stdout), &result))
	require.Len(t, result.Stopped, 26)
	require.Empty(t, l.processes(t))
	require.Equal(t, 8, l.ctl(t, "status").code)
	l.must(t, "up")
	require.GreaterOrEqual(t, l.process(t, "peer0.hospa").Height, before)
	require.Greater(t, write(t, l), before)
}

func otherSettings(t *testing.T, l *lab) {
	o := l.ctl(t, "up", "--port-offset", "25000")
	require.NotZero(t, o.code)
	require.Contains(t, o.stderr, "port offset 24000")
	text, err := os.ReadFile(filepath.Join(l.home, "topology.yaml"))
	require.NoError(t, err)
	other := filepath.Join(t.TempDir(), "other.yaml")
	require.NoError(t, os.WriteFile(other, []byte(strings.Replace(string(text), "name: HospB", "name: HospX", 1)), 0o600))
	o = l.ctl(t, "up", "--topology", other)
	require.NotZero(t, o.code)
	require.Contains(t, o.stderr, "another topology")
	require.True(t, l.status(t).Healthy, "a refused up must leave the network alone")
}

func destroyAsks(t *testing.T, l *lab) {
	o := l.ctl(t, "destroy") // standard input is empty
	require.Equal(t, 2, o.code)
	require.True(t, l.status(t).Running)
	l.must(t, "destroy", "--yes")
	require.Empty(t, l.processes(t))
	require.NoDirExists(t, l.home)
	o = l.ctl(t, "status")
	require.Equal(t, 8, o.code)
	require.Contains(t, o.stderr, "no network here")
}
