// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package network

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/emrys-health/emrys/network/runner"
)

// portGrace is how long a port may still be held by a process that is ending: the
// kernel closes what a killed process held a moment after the process is gone.
const portGrace = 3 * time.Second

// checkPorts fails when a port that is needed now belongs to somebody else.
// It runs before anything is started.
func (n *Network) checkPorts(ctx context.Context) error {
	running := map[string]bool{}
	statuses, err := n.client.Status(ctx)
	if err != nil && !errors.Is(err, runner.ErrNotRunning) {
		return err
	}
	for _, s := range statuses {
		running[s.Name] = s.State == runner.Running
	}
	for deadline := time.Now().Add(portGrace); ; {
		taken := n.takenPorts(ctx, running)
		if len(taken) == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return &PortError{InUse: taken}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(retryInterval):
		}
	}
}

// takenPorts lists the ports of processes that do not run which somebody has.
func (n *Network) takenPorts(ctx context.Context, running map[string]bool) []PortUse {
	var taken []PortUse
	for _, p := range n.site.Processes(n.t, nil) {
		if running[p.Name] {
			continue
		}
		for _, port := range p.Ports {
			address := net.JoinHostPort(n.site.Bind, strconv.Itoa(port))
			listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
			if err != nil {
				taken = append(taken, PortUse{Process: p.Name, Address: address})
				continue
			}
			_ = listener.Close()
		}
	}
	return taken
}

// PortUse is a port that a process needs and another program has.
type PortUse struct{ Process, Address string }

// PortError means that ports the network needs are in use.
type PortError struct{ InUse []PortUse }

// shownPorts bounds the message: a second network on the same ports has
// dozens in common with the first.
const shownPorts = 5

func (e *PortError) Error() string {
	var b strings.Builder
	for i, use := range e.InUse {
		if i == shownPorts {
			fmt.Fprintf(&b, "and %d more ports are in use; ", len(e.InUse)-i)
			break
		}
		fmt.Fprintf(&b, "%s needs %s, which is in use; ", use.Process, use.Address)
	}
	b.WriteString("end the program that has it, or run this network beside it with --port-offset (or EMRYS_PORT_OFFSET) and a --home of its own")
	return b.String()
}
