// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/emrys-health/emrys/network"
)

// stopTimeout is longer than the supervisor waits for the slowest process.
const stopTimeout = 60 * time.Second

func contextWithTimeout(cmd *cobra.Command, timeout time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(cmd.Context(), timeout)
}

func (a *app) downCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "down",
		Short: "Stop every process of the network; its state stays",
		Args:  exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			n, err := a.open()
			if err != nil {
				return err
			}
			ctx, cancel := contextWithTimeout(cmd, stopTimeout)
			defer cancel()
			stopped, err := n.Down(ctx)
			if err != nil {
				return err
			}
			if a.json {
				return writeJSON(a.stdout, map[string][]string{"stopped": append([]string{}, stopped...)})
			}
			fmt.Fprintf(a.stderr, "stopped %d processes\n", len(stopped))
			return nil
		},
	}
}

func (a *app) startCommand() *cobra.Command {
	return a.processCommand("start", "Start a stopped process again", "started", (*network.Network).Start)
}

func (a *app) stopCommand() *cobra.Command {
	return a.processCommand("stop", "Stop one process until it is started again", "stopped", (*network.Network).Stop)
}

func (a *app) processCommand(verb, short, done string, act func(*network.Network, context.Context, string) error) *cobra.Command {
	return &cobra.Command{
		Use:               verb + " NAME",
		Short:             short,
		Args:              exactly(1, "the name of a process"),
		ValidArgsFunction: a.completeProcess,
		RunE: func(cmd *cobra.Command, args []string) error {
			n, err := a.open()
			if err != nil {
				return err
			}
			ctx, cancel := contextWithTimeout(cmd, stopTimeout)
			defer cancel()
			if err := act(n, ctx, args[0]); err != nil {
				return err
			}
			if a.json {
				return writeJSON(a.stdout, map[string]string{done: args[0]})
			}
			fmt.Fprintf(a.stderr, "%s %s\n", done, args[0])
			return nil
		},
	}
}

func (a *app) completeProcess(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	n, err := a.open()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, p := range n.Site().Processes(n.Topology(), nil) {
		names = append(names, p.Name)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

func (a *app) destroyCommand() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "destroy",
		Short: "Stop the network and remove all its state, after asking",
		Args:  exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			n, err := a.open()
			if err != nil {
				return err
			}
			home := n.Site().Home
			if !yes {
				if err := a.confirm(cmd, home); err != nil {
					return err
				}
			}
			ctx, cancel := contextWithTimeout(cmd, stopTimeout)
			defer cancel()
			if err := n.Destroy(ctx); err != nil {
				return err
			}
			if a.json {
				return writeJSON(a.stdout, map[string]string{"destroyed": home})
			}
			fmt.Fprintf(a.stderr, "removed %s\n", home)
			return nil
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return cmd
}

func (a *app) confirm(cmd *cobra.Command, home string) error {
	fmt.Fprintf(a.stderr, "This removes all ledgers, keys and records in %s for good.\nType yes to go on: ", home)
	line, err := bufio.NewReader(cmd.InOrStdin()).ReadString('\n')
	if err != nil || strings.TrimSpace(line) != "yes" {
		return usageError{errors.New("not destroyed: answer yes, or give --yes")}
	}
	return nil
}

// superviseCommand is what up runs detached; nobody types it.
func (a *app) superviseCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "supervise",
		Short:  "Run the supervisor of a network in the foreground",
		Hidden: true,
		Args:   exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			home, err := a.homeDir()
			if err != nil {
				return err
			}
			return network.Supervise(cmd.Context(), home, slog.New(slog.NewJSONHandler(os.Stderr, nil)))
		},
	}
}
