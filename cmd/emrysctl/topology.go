// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/emrys-health/emrys/network/topology"
)

func (a *app) topologyCommand() *cobra.Command {
	parent := group("topology", "Show or judge a topology file")
	parent.AddCommand(
		&cobra.Command{
			Use:   "default",
			Short: "Write the built-in topology to standard output",
			Args:  exactly(0, "no arguments"),
			RunE: func(*cobra.Command, []string) error {
				_, err := a.stdout.Write(topology.Default())
				return err
			},
		},
		&cobra.Command{
			Use:   "check FILE",
			Short: "Report every problem of a topology file",
			Args:  exactly(1, "a topology file"),
			RunE: func(_ *cobra.Command, args []string) error {
				t, err := readTopology(args[0])
				if err != nil {
					return err
				}
				if a.json {
					return writeJSON(a.stdout, map[string]any{"valid": true, "organisations": len(t.Organisations)})
				}
				fmt.Fprintf(a.stderr, "%s is valid: %d organisations\n", args[0], len(t.Organisations))
				return nil
			},
		},
	)
	return parent
}

func readTopology(file string) (*topology.Topology, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, usageError{fmt.Errorf("read topology: %w", err)}
	}
	return topology.Parse(text)
}
