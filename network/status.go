// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package network

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/emrys-health/emrys/network/render"
	"github.com/emrys-health/emrys/network/runner"
)

// Report is how a network is.
type Report struct {
	Home      string          `json:"home"`
	Channel   string          `json:"channel"`
	Running   bool            `json:"running"` // it has a supervisor
	Healthy   bool            `json:"healthy"` // every process is
	Processes []ProcessReport `json:"processes"`
}

// ProcessReport is how one process is.
type ProcessReport struct {
	Name         string       `json:"name"`
	Kind         string       `json:"kind"`
	Organisation string       `json:"organisation"`
	Address      string       `json:"address"`
	State        runner.State `json:"state"`
	PID          int          `json:"pid,omitempty"`
	Healthy      bool         `json:"healthy"`
	Problem      string       `json:"problem,omitempty"`
	Height       uint64       `json:"height,omitempty"` // blocks, of an orderer or a peer
	Leader       bool         `json:"leader,omitempty"` // of the orderers
	Version      string       `json:"version,omitempty"`
	UptimeS      int64        `json:"uptimeSeconds,omitempty"`
	Restarts     int          `json:"restarts"`
}

// probeTimeout bounds the question to one process.
const probeTimeout = 3 * time.Second

// Status asks the supervisor and every process that runs.
func (n *Network) Status(ctx context.Context) (Report, error) {
	report := Report{Home: n.options.Home, Channel: n.t.Channel.Name}
	statuses, err := n.client.Status(ctx)
	if err != nil && !errors.Is(err, runner.ErrNotRunning) {
		return report, err
	}
	report.Running = err == nil
	known := map[string]runner.Status{}
	for _, s := range statuses {
		known[s.Name] = s
	}
	processes := n.site.Processes(n.t, nil)
	report.Processes = make([]ProcessReport, len(processes))
	var group sync.WaitGroup
	for i, p := range processes {
		group.Go(func() { report.Processes[i] = n.reportOn(ctx, p, known[p.Name]) })
	}
	group.Wait()
	report.Healthy = report.Running
	for _, p := range report.Processes {
		report.Healthy = report.Healthy && p.Healthy
	}
	return report, nil
}

func (n *Network) reportOn(ctx context.Context, p render.Process, s runner.Status) ProcessReport {
	r := ProcessReport{
		Name: p.Name, Kind: string(p.Kind), Organisation: p.Org.MSP, Address: p.Address,
		State: s.State, PID: s.PID, Restarts: s.Restarts,
	}
	if r.State == "" {
		r.State = runner.Stopped
	}
	if r.State != runner.Running {
		r.Problem = s.LastExit
		return r
	}
	r.UptimeS = int64(time.Since(s.Started).Seconds())
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	seen, err := n.probe(ctx, p)
	r.Healthy, r.Height, r.Leader, r.Version = err == nil, seen.height, seen.leader, seen.version
	if err != nil {
		r.Problem = err.Error()
	}
	return r
}
