// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/emrys-health/emrys/gateway"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/keystore"
	"github.com/emrys-health/emrys/pkg/pre"
)

// memoryLimit is the soft limit of the heap in bytes where GOMEMLIMIT sets none.
// Transfers need constant memory; the limit keeps the collector from letting
// garbage pile up beside them.
const memoryLimit = 96 << 20

func command(logs io.Writer, getenv func(string) string) *cobra.Command {
	root := &cobra.Command{
		Use:   "emrys-gateway",
		Short: "One organisation's gateway to the consortium",
		Long: "emrys-gateway serves one organisation: people reach the ledger and the content store through it,\n" +
			"and it re-encrypts, as a proxy, what patients have granted.",
		SilenceErrors: true, SilenceUsage: true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
	}
	root.AddCommand(runCommand(logs, getenv), initCommand(), configCommand(), versionCommand())
	return root
}

// configFlag adds the flag --config, which every command that reads the configuration needs.
func configFlag(c *cobra.Command, path *string) {
	c.Flags().StringVar(path, "config", "", "configuration file (YAML)")
	if err := c.MarkFlagRequired("config"); err != nil {
		c.RunE = func(*cobra.Command, []string) error { return err }
	}
}

func runCommand(logs io.Writer, getenv func(string) string) *cobra.Command {
	var path string
	c := &cobra.Command{
		Use: "run --config FILE", Aliases: []string{"serve"}, Args: cobra.NoArgs,
		Short: "Run the gateway until SIGTERM or an interrupt",
		RunE: func(c *cobra.Command, _ []string) error {
			if getenv("GOMEMLIMIT") == "" {
				debug.SetMemoryLimit(memoryLimit)
			}
			return serve(c.Context(), path, logs)
		},
	}
	configFlag(c, &path)
	return c
}

func serve(ctx context.Context, path string, logs io.Writer) (err error) {
	cfg, err := gateway.Load(path)
	if err != nil {
		return err
	}
	deps, disconnect, err := gateway.Connect(cfg, cfg.Log.Logger(logs))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, disconnect()) }()
	g, err := gateway.New(cfg, deps)
	if err != nil {
		return err
	}
	return g.Run(ctx)
}

func initCommand() *cobra.Command {
	var (
		path   string
		asJSON bool
	)
	c := &cobra.Command{
		Use: "init --config FILE", Args: cobra.NoArgs,
		Short: "Make the gateway's keys where there are none, and show their public part",
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := gateway.Load(path)
			if err != nil {
				return err
			}
			keys, err := publicKeys(filepath.Dir(cfg.KeysFile))
			if err != nil {
				return err
			}
			return showKeys(c.OutOrStdout(), keys, asJSON)
		},
	}
	configFlag(c, &path)
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON: the keys in base64, as the ledger registers them")
	return c
}

// publicKeys opens the gateway's keys, or makes them, and returns their public part.
func publicKeys(dir string) (emr.OrgKeys, error) {
	keys, err := keystore.OpenGateway(dir, nil)
	if errors.Is(err, keystore.ErrNotFound) {
		keys, err = keystore.CreateGateway(dir, nil, rand.Reader)
	}
	if err != nil {
		return emr.OrgKeys{}, fmt.Errorf("gateway keys: %w", err)
	}
	receipt, err := pre.PublicKeyOf(keys.Receipt().Public())
	if err != nil {
		return emr.OrgKeys{}, fmt.Errorf("gateway keys: %w", err)
	}
	return emr.OrgKeys{
		Proxy: keys.Proxy().Public().Bytes(), Record: keys.Record().Public().Bytes(), Receipt: receipt.Bytes(),
	}, nil
}

func showKeys(w io.Writer, keys emr.OrgKeys, asJSON bool) error {
	if asJSON {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(keys)
	}
	_, err := fmt.Fprintf(w, "proxy    %x\nrecord   %x\nreceipt  %x\n", keys.Proxy[:16], keys.Record[:16], keys.Receipt)
	return err
}

func configCommand() *cobra.Command {
	var path string
	check := &cobra.Command{
		Use: "check --config FILE", Args: cobra.NoArgs,
		Short: "Check a configuration and the files that it names",
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := gateway.Load(path)
			if err != nil {
				return err
			}
			_, disconnect, err := gateway.Connect(cfg, cfg.Log.Logger(io.Discard))
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(c.OutOrStdout(), "the configuration is valid and its files can be read")
			return errors.Join(err, disconnect())
		},
	}
	configFlag(check, &path)
	c := &cobra.Command{Use: "config", Short: "Look at configurations", Args: cobra.NoArgs}
	c.AddCommand(check)
	return c
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(c.OutOrStdout(), "emrys-gateway", version())
			return err
		},
	}
}

// version is that of the module, as the Go toolchain recorded it.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "unknown"
	}
	return info.Main.Version
}
