// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/emrys-health/emrys/network"
)

// upTimeout bounds the whole of up beyond the building of programs, which on
// a first run takes minutes and ends by itself.
const upTimeout = 20 * time.Minute

type upFlags struct {
	topology   string
	portOffset int
	noBuild    bool
}

type upResult struct {
	Home   string         `json:"home"`
	Steps  []network.Step `json:"steps"`
	TookMS int64          `json:"tookMs"`
}

func (a *app) upCommand() *cobra.Command {
	var flags upFlags
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Start the network, making it first if there is none",
		Long: `Start the network, making it first if there is none.

A second run changes nothing. After a reboot, a crash or an interrupt, up goes
on where it is needed.`,
		Args: exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.up(cmd, flags) },
	}
	cmd.Flags().StringVar(&flags.topology, "topology", "", "topology file of a new network (default: the built-in one)")
	cmd.Flags().IntVar(&flags.portOffset, "port-offset", 0, "shift every port of a new network (default $EMRYS_PORT_OFFSET)")
	cmd.Flags().BoolVar(&flags.noBuild, "no-build", false, "use the programs that are there")
	return cmd
}

func (a *app) up(cmd *cobra.Command, flags upFlags) error {
	options, err := a.upOptions(cmd, flags)
	if err != nil {
		return err
	}
	began := time.Now()
	progress := &progress{began: began, app: a}
	options.Report = progress.step
	n, err := network.Create(options)
	if err != nil {
		return err
	}
	ctx, cancel := contextWithTimeout(cmd, upTimeout)
	defer cancel()
	if err := n.Up(ctx); err != nil {
		return err
	}
	took := time.Since(began)
	if a.json {
		return writeJSON(a.stdout, upResult{Home: options.Home, Steps: progress.steps, TookMS: took.Milliseconds()})
	}
	fmt.Fprintf(a.stderr, "%6.1fs  the network is up; see it with: emrysctl status\n", took.Seconds())
	return nil
}

func (a *app) upOptions(cmd *cobra.Command, flags upFlags) (network.Options, error) {
	options, err := a.options()
	if err != nil {
		return options, err
	}
	options.PortOffset = flags.portOffset
	if !cmd.Flags().Changed("port-offset") {
		if options.PortOffset, err = defaultPortOffset(); err != nil {
			return options, err
		}
	}
	if flags.noBuild {
		options.Source = ""
	}
	if flags.topology != "" {
		if options.Topology, err = os.ReadFile(flags.topology); err != nil {
			return options, usageError{fmt.Errorf("read topology: %w", err)}
		}
	}
	return options, nil
}

// progress shows steps as they happen, with the time since the start.
type progress struct {
	began time.Time
	app   *app

	mu    sync.Mutex
	steps []network.Step
}

func (p *progress) step(step network.Step) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.steps = append(p.steps, step)
	if p.app.json {
		return
	}
	line := fmt.Sprintf("%6.1fs  %s", time.Since(p.began).Seconds(), step.What)
	if step.Took >= 100*time.Millisecond {
		line += fmt.Sprintf(" (%.1fs)", step.Took.Seconds())
	}
	fmt.Fprintln(p.app.stderr, line)
}
