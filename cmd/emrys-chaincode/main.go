// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

// Command emrys-chaincode serves the contract to the peers of one organisation,
// as an external chaincode service with mutual TLS.
//
// It is configured by its environment alone:
//
//	CHAINCODE_SERVER_ADDRESS        address to listen on, host:port
//	CORE_CHAINCODE_ID_NAME          package id that the peers call, label:hash
//	EMRYS_CHAINCODE_TLS_KEY         file of the server's private key, PEM
//	EMRYS_CHAINCODE_TLS_CERT        file of the server's certificate, PEM
//	EMRYS_CHAINCODE_TLS_CLIENT_CA   file of the CA certificates of the peers' client certificates, PEM
//	EMRYS_CHAINCODE_INSECURE_PLAINTEXT=yes   serve without TLS; never on a network
//	EMRYS_CHAINCODE_LOG_LEVEL       debug, info (default), warn or error
//
// It logs JSON lines to standard error and stops on SIGTERM or SIGINT after the
// invocations under way have been answered.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/emrys-health/emrys/chaincode/contract"
)

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr, os.Getenv)
	stop()
	os.Exit(code)
}

// run is main without the process: it returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer, getenv func(string) string) int {
	flags := flag.NewFlagSet("emrys-chaincode", flag.ContinueOnError)
	flags.SetOutput(stderr)
	showVersion := flags.Bool("version", false, "print the version and exit")
	if err := flags.Parse(args); err != nil {
		return exitUsage
	}
	if flags.NArg() != 0 {
		_, _ = fmt.Fprintln(stderr, "emrys-chaincode takes no arguments; see --help")
		return exitUsage
	}
	if *showVersion {
		_, _ = fmt.Fprintln(stdout, "emrys-chaincode", version())
		return exitOK
	}
	cfg, err := loadConfig(getenv)
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "emrys-chaincode:", err)
		return exitUsage
	}
	logger := slog.New(slog.NewJSONHandler(stderr, &slog.HandlerOptions{Level: cfg.logLevel}))
	chaincode, err := contract.New(version())
	if err == nil {
		err = serve(ctx, cfg, chaincode, logger)
	}
	if err != nil {
		logger.Error("chaincode failed", slog.String("error", err.Error()))
		return exitFailed
	}
	return exitOK
}

// version is that of the build: the module's, or the commit it was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" {
			return setting.Value
		}
	}
	return "development"
}
