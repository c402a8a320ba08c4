// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/emrys-health/emrys/network"
	"github.com/emrys-health/emrys/network/render"
	"github.com/emrys-health/emrys/network/topology"
	"github.com/emrys-health/emrys/pkg/atomicfile"
)

func (a *app) renderCommand() *cobra.Command {
	var file, out string
	parent := group("render", "Render a topology for other ways to run it")
	compose := &cobra.Command{
		Use:   "compose",
		Short: "Render docker-compose.yaml",
		Args:  exactly(0, "no arguments"),
		RunE: func(*cobra.Command, []string) error {
			t, err := topology.Parse(topology.Default())
			if file != "" {
				t, err = readTopology(file)
			}
			if err != nil {
				return err
			}
			text, err := render.Compose(t)
			if err != nil {
				return err
			}
			if out == "" {
				_, err = a.stdout.Write(text)
				return err
			}
			_, err = atomicfile.Update(out, text, 0o644)
			return err
		},
	}
	compose.Flags().StringVarP(&out, "out", "o", "", "file to write (default: standard output)")
	compose.Flags().StringVar(&file, "topology", "", "topology file (default: the built-in one)")
	parent.AddCommand(compose)
	return parent
}

// containersTimeout bounds one step: images are pulled before it begins, but
// many containers start at once.
const containersTimeout = 5 * time.Minute

// containersCommand holds the steps that the rendered Compose file runs.
func (a *app) containersCommand() *cobra.Command {
	parent := group("containers", "Steps of a network in containers")
	parent.Hidden = true
	for _, step := range []struct {
		name, short string
		run         func(*network.Network, context.Context) error
	}{
		{"prepare", "Write what CA servers and IPFS daemons need", (*network.Network).Prepare},
		{"enrol", "Obtain certificates and write configuration", (*network.Network).Enrol},
		{"deploy", "Join the channel, deploy the contract, register organisations", (*network.Network).Deploy},
	} {
		parent.AddCommand(&cobra.Command{
			Use: step.name, Short: step.short, Args: exactly(0, "no arguments"),
			RunE: func(cmd *cobra.Command, _ []string) error {
				n, err := a.containersNetwork()
				if err != nil {
					return err
				}
				ctx, cancel := contextWithTimeout(cmd, containersTimeout)
				defer cancel()
				return step.run(n, ctx)
			},
		})
	}
	return parent
}

// containersNetwork opens the network of a container: programs lie beside
// this one, and there is no source tree.
func (a *app) containersNetwork() (*network.Network, error) {
	home, err := a.homeDir()
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	progress := &progress{began: time.Now(), app: a}
	return network.Create(network.Options{
		Home: home, Bin: filepath.Dir(self), Containers: true, Report: progress.step,
	})
}
