// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/emrys-health/emrys/pkg/client"
	"github.com/emrys-health/emrys/pkg/emr"
)

// Environment variables that stand in for flags.
const (
	profileVariable    = "EMRYS_PROFILE"
	passphraseVariable = "EMRYS_PASSPHRASE_FILE"
)

// app is one execution: its streams, its surroundings and the common flags.
type app struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	getenv         func(string) string

	json           bool
	profile        string
	passphraseFile string

	// record and purpose are what the command is about, for advice in errors.
	record  emr.RecordID
	purpose emr.Purpose
}

func (a *app) command() *cobra.Command {
	root := &cobra.Command{
		Use:   "emrys",
		Short: "Share medical records under the patient's control",
		Long: `Emrys shares medical records between hospitals under the patient's control.

Records are encrypted on the author's device and opened on the reader's. Patients
decide who reads what, for which purpose and how long, and see every reading.
Keys never leave the device they were made on.`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          arguments(cobra.NoArgs),
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	flags := root.PersistentFlags()
	flags.BoolVar(&a.json, "json", false, "write results and errors as JSON")
	flags.StringVar(&a.profile, "profile", "", "directory of the profile (default $"+profileVariable+" or ~/.config/emrys/default)")
	flags.StringVar(&a.passphraseFile, "passphrase-file", "", "file that holds the passphrase of the keys (default $"+passphraseVariable+")")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError(err) })
	root.AddCommand(
		a.joinCommand(), a.whoamiCommand(), a.relationshipCommand(), a.recordCommand(), a.accessCommand(),
		a.consentCommand(), a.inboxCommand(), a.auditCommand(), a.ticketCommand(), a.keyCommand(), a.versionCommand(),
	)
	return root
}

// group is a command that only holds others.
func group(use, short string, commands ...*cobra.Command) *cobra.Command {
	g := &cobra.Command{Use: use, Short: short, Args: arguments(cobra.NoArgs), RunE: func(c *cobra.Command, _ []string) error {
		_ = c.Help()
		return emr.E(emr.CodeInvalid, "say which command of "+c.CommandPath()+" to run")
	}}
	g.AddCommand(commands...)
	return g
}

// arguments gives a mismatch of arguments the code of a usage error.
func arguments(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if err := check(c, args); err != nil {
			return usageError(err)
		}
		return nil
	}
}

func usageError(err error) error { return emr.Wrap(emr.CodeInvalid, err.Error(), err) }

// profileDir is the directory of the profile: flag, variable, default.
func (a *app) profileDir() (string, error) {
	if a.profile != "" {
		return a.profile, nil
	}
	if dir := a.getenv(profileVariable); dir != "" {
		return dir, nil
	}
	if config := a.getenv("XDG_CONFIG_HOME"); filepath.IsAbs(config) {
		return filepath.Join(config, "emrys", "default"), nil
	}
	home := a.getenv("HOME")
	if home == "" {
		var err error
		if home, err = os.UserHomeDir(); err != nil {
			return "", emr.Wrap(emr.CodeInvalid, "there is no home directory; say where the profile is with --profile", err)
		}
	}
	return filepath.Join(home, ".config", "emrys", "default"), nil
}

// withClient runs an action as the person of the profile.
func (a *app) withClient(do func(c *client.Client) error) error {
	c, err := a.open()
	if err != nil {
		return err
	}
	defer c.Close()
	return do(c)
}

// open opens the profile's client, asking for the passphrase when the keys are
// sealed and a person is there to ask.
func (a *app) open() (*client.Client, error) {
	dir, err := a.profileDir()
	if err != nil {
		return nil, err
	}
	passphrase, err := a.passphrase()
	if err != nil {
		return nil, err
	}
	defer clear(passphrase)
	c, err := client.Open(dir, passphrase, client.Options{})
	if passphrase == nil && emr.CodeOf(err) == emr.CodeUnauthenticated {
		asked, askErr := a.ask("Passphrase: ")
		if askErr != nil {
			return nil, askErr
		}
		defer clear(asked)
		c, err = client.Open(dir, asked, client.Options{})
	}
	return c, err
}
