// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/spf13/cobra"
)

// followInterval is how often a followed log is looked at.
const followInterval = 200 * time.Millisecond

func (a *app) logsCommand() *cobra.Command {
	var follow bool
	cmd := &cobra.Command{
		Use:               "logs NAME",
		Short:             "Show what a process wrote (NAME may be supervisor)",
		Args:              exactly(1, "the name of a process"),
		ValidArgsFunction: a.completeProcess,
		RunE: func(cmd *cobra.Command, args []string) error {
			n, err := a.open()
			if err != nil {
				return err
			}
			file, err := n.LogFile(args[0])
			if err != nil {
				return err
			}
			if a.json {
				return writeJSON(a.stdout, map[string]string{"process": args[0], "file": file})
			}
			return show(cmd.Context(), a.stdout, file, follow)
		},
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on showing what is written")
	return cmd
}

// show copies a log, and with follow what is added to it, across rotation.
func show(ctx context.Context, out io.Writer, file string, follow bool) error {
	log, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) && !follow {
		return nil // nothing was written yet
	}
	if err != nil && !follow {
		return fmt.Errorf("open log: %w", err)
	}
	defer func() { _ = log.Close() }()
	for {
		if log != nil {
			if _, err := io.Copy(out, log); err != nil {
				return fmt.Errorf("show log: %w", err)
			}
		}
		if !follow {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(followInterval):
		}
		if next := rotated(log, file); next != nil {
			_ = log.Close()
			log = next
		}
	}
}

// rotated returns the log's new file when the open one is no longer it.
func rotated(log *os.File, file string) *os.File {
	next, err := os.Open(file)
	if err != nil {
		return nil
	}
	if log != nil {
		before, errBefore := log.Stat()
		after, errAfter := next.Stat()
		if errBefore != nil || errAfter != nil || os.SameFile(before, after) {
			_ = next.Close()
			return nil
		}
	}
	return next
}
