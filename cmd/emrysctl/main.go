// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

// Command emrysctl runs a consortium on this machine and serves the
// administrators of its organisations.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run executes one command line and returns its exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	app := &app{stdout: stdout, stderr: stderr}
	root := app.command()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	code := exitCode(err)
	if errors.As(err, new(reportedError)) {
		return code
	}
	if app.json {
		_ = writeJSON(stdout, failure{Error: err.Error(), Code: code})
	} else {
		fmt.Fprintln(stderr, "emrysctl:", err)
	}
	return code
}
