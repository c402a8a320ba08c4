// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/emrys-health/emrys/network"
)

func (a *app) upgradeCommand() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "upgrade --topology FILE",
		Short: "Put another definition of the contract on the channel of the running network",
		Long: `Put another definition of the contract on the channel of the running network.

FILE is the network's topology with another chaincode.version or other
chaincode.collections, and the next chaincode.sequence. Every organisation
approves it, and one commits it. Members of a collection are only ever added.`,
		Args: exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if file == "" {
				return usageError{errors.New("--topology is required")}
			}
			text, err := os.ReadFile(file)
			if err != nil {
				return usageError{fmt.Errorf("read topology: %w", err)}
			}
			return a.upgrade(cmd, text)
		},
	}
	cmd.Flags().StringVar(&file, "topology", "", "changed topology of this network (required)")
	return cmd
}

func (a *app) upgrade(cmd *cobra.Command, text []byte) error {
	options, err := a.options()
	if err != nil {
		return err
	}
	options.Report = func(step network.Step) {
		if !a.json {
			fmt.Fprintln(a.stderr, step.What)
		}
	}
	n, err := network.Open(options)
	if err != nil {
		return err
	}
	ctx, cancel := contextWithTimeout(cmd, upTimeout)
	defer cancel()
	if err := n.Upgrade(ctx, text); err != nil {
		return err
	}
	c := n.Topology().Chaincode
	if a.json {
		return writeJSON(a.stdout, map[string]any{"version": c.Version, "sequence": c.Sequence})
	}
	fmt.Fprintf(a.stderr, "the contract's definition is version %s, sequence %d\n", c.Version, c.Sequence)
	return nil
}
