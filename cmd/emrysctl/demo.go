// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/emrys-health/emrys/network"
	"github.com/emrys-health/emrys/network/daemons"
	"github.com/emrys-health/emrys/network/demo"
)

func (a *app) demoCommand() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Share a record across the running network, step by step",
		Long: `Share a record across the running network with the commands that a person would
type, and show each command, its answer and its time. Without --file a synthetic
CT slice is generated. The program emrys must stand beside this one.`,
		Args: exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.demo(cmd, file) },
	}
	cmd.Flags().StringVar(&file, "file", "", "file to share (default: a generated DICOM file)")
	return cmd
}

func (a *app) demo(cmd *cobra.Command, file string) error {
	n, err := a.open()
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if file != "" {
		if file, err = filepath.Abs(file); err != nil {
			return err
		}
		if _, err := os.Stat(file); err != nil {
			return usageError{err}
		}
	}
	out := a.stdout
	if a.json {
		out = a.stderr // the story is for people; its outcome is the exit code
	}
	options := demo.Options{BinDir: filepath.Dir(self), Home: n.Site().Home, File: file, Out: out, Env: os.Environ()}
	if err := demo.Run(cmd.Context(), options); err != nil {
		return err
	}
	if a.json {
		return writeJSON(a.stdout, map[string]bool{"asTold": true})
	}
	return nil
}

func (a *app) daemonsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "daemons",
		Short: "Build the programs of the network from source, as up does",
		Args:  exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			options, err := a.options()
			if err != nil {
				return err
			}
			if options.Source == "" {
				return usageError{daemons.ErrNoSource}
			}
			progress := &progress{began: time.Now(), app: a}
			b := daemons.Builder{Source: options.Source, Bin: options.Bin, Report: func(what string) {
				progress.step(network.Step{What: what})
			}}
			if err := b.Build(cmd.Context()); err != nil {
				return err
			}
			if a.json {
				return writeJSON(a.stdout, map[string]string{"bin": options.Bin})
			}
			return nil
		},
	}
}
