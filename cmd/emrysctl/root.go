// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/emrys-health/emrys/network"
	"github.com/emrys-health/emrys/network/daemons"
)

// app is one invocation: its output and the flags that all commands share.
type app struct {
	stdout, stderr io.Writer
	home           string
	json           bool
}

const (
	envHome       = "EMRYS_HOME"
	envPortOffset = "EMRYS_PORT_OFFSET"
	envSource     = "EMRYS_SOURCE"
	envCache      = "EMRYS_CACHE"
)

func (a *app) command() *cobra.Command {
	root := &cobra.Command{
		Use:   "emrysctl",
		Short: "Run a consortium on this machine and administer its organisations",
		Long: `emrysctl brings up a whole consortium without containers: certificate
authorities, orderers, peers, chaincode, IPFS daemons and gateways, on loopback.

State lives in one folder (--home, or $EMRYS_HOME, or ./.emrys).

Exit codes: 0 done, 1 internal error, 2 wrong usage or input, 4 forbidden, 5 not found or gone, 6 exists or conflict, 7 a rule
refused, 8 something needed is not available.`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          subcommand,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	flags := root.PersistentFlags()
	flags.StringVar(&a.home, "home", "", "folder of the network's state (default $EMRYS_HOME, or ./.emrys)")
	flags.BoolVar(&a.json, "json", false, "write one JSON document to standard output")
	root.AddCommand(
		a.upCommand(), a.upgradeCommand(), a.revokeCommand(), a.downCommand(), a.statusCommand(), a.startCommand(), a.stopCommand(),
		a.logsCommand(), a.destroyCommand(), a.inviteCommand(), a.topologyCommand(),
		a.renderCommand(), a.containersCommand(), a.demoCommand(), a.daemonsCommand(),
		a.governanceCommand(), a.superviseCommand(),
	)
	return root
}

// subcommand refuses a word that names no subcommand.
func subcommand(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError{fmt.Errorf("%s has no command %q", cmd.CommandPath(), args[0])}
	}
	return nil
}

// group makes a command that only holds others.
func group(use, short string) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Args: subcommand,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return usageError{fmt.Errorf("%s needs a command: see %s --help", cmd.CommandPath(), cmd.CommandPath())}
		},
	}
}

// exactly is cobra.ExactArgs with an error that exits as usage.
func exactly(count int, what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != count {
			return usageError{fmt.Errorf("want %s, got %d argument(s)", what, len(args))}
		}
		return nil
	}
}

func (a *app) homeDir() (string, error) {
	home := a.home
	if home == "" {
		home = os.Getenv(envHome)
	}
	if home == "" {
		home = ".emrys"
	}
	absolute, err := filepath.Abs(home)
	if err != nil {
		return "", fmt.Errorf("find the home folder: %w", err)
	}
	return absolute, nil
}

// options gathers what is common to all commands on a network.
func (a *app) options() (network.Options, error) {
	home, err := a.homeDir()
	if err != nil {
		return network.Options{}, err
	}
	source, err := sourceDir()
	if err != nil && !errors.Is(err, daemons.ErrNoSource) {
		return network.Options{}, err
	}
	cache := os.Getenv(envCache)
	if cache == "" {
		if source == "" {
			return network.Options{}, usageError{daemons.ErrNoSource}
		}
		cache = filepath.Join(source, ".cache")
	}
	if cache, err = filepath.Abs(cache); err != nil {
		return network.Options{}, fmt.Errorf("find the cache folder: %w", err)
	}
	self, err := os.Executable()
	if err != nil {
		return network.Options{}, fmt.Errorf("find this program: %w", err)
	}
	return network.Options{
		Home: home, Source: source, Bin: filepath.Join(cache, "bin"),
		Supervisor: []string{self, "supervise", "--home", home},
	}, nil
}

func sourceDir() (string, error) {
	dir := os.Getenv(envSource)
	if dir == "" {
		var err error
		if dir, err = os.Getwd(); err != nil {
			return "", fmt.Errorf("find the working folder: %w", err)
		}
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("find the source tree: %w", err)
	}
	return daemons.FindSource(dir)
}

// open returns the existing network.
func (a *app) open() (*network.Network, error) {
	options, err := a.options()
	if err != nil {
		return nil, err
	}
	return network.Open(options)
}

func defaultPortOffset() (int, error) {
	text := os.Getenv(envPortOffset)
	if text == "" {
		return 0, nil
	}
	offset, err := strconv.Atoi(text)
	if err != nil {
		return 0, usageError{fmt.Errorf("%s=%q is not a number", envPortOffset, text)}
	}
	return offset, nil
}
