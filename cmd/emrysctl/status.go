// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/emrys-health/emrys/network"
)

const statusTimeout = 15 * time.Second

// errUnhealthy is the outcome of status when something is wrong; what it is,
// the report has said.
var errUnhealthy = errors.New("not every process of the network is healthy")

func (a *app) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Tell how every process of the network is",
		Long: `Tell how every process of the network is.

The exit code is 0 when all are healthy and 8 otherwise.`,
		Args: exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			n, err := a.open()
			if err != nil {
				return err
			}
			ctx, cancel := contextWithTimeout(cmd, statusTimeout)
			defer cancel()
			report, err := n.Status(ctx)
			if err != nil {
				return err
			}
			if err := a.show(report); err != nil {
				return err
			}
			if !report.Healthy {
				return reportedError{errUnhealthy}
			}
			return nil
		},
	}
}

func (a *app) show(report network.Report) error {
	if a.json {
		return writeJSON(a.stdout, report)
	}
	table := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "PROCESS\tADDRESS\tPID\tSTATE\tHEALTH\tHEIGHT\tVERSION\tUPTIME\tRESTARTS")
	for _, p := range report.Processes {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%d\n", p.Name, p.Address, orDash(p.PID), p.State,
			health(p), height(p), orDashText(p.Version), (time.Duration(p.UptimeS) * time.Second).String(), p.Restarts)
	}
	if err := table.Flush(); err != nil {
		return fmt.Errorf("write status: %w", err)
	}
	for _, p := range report.Processes {
		if !p.Healthy && p.Problem != "" {
			fmt.Fprintf(a.stderr, "%s: %s\n", p.Name, p.Problem)
		}
	}
	return nil
}

func health(p network.ProcessReport) string {
	if p.Healthy {
		return "ok"
	}
	return "bad"
}

func height(p network.ProcessReport) string {
	text := orDash(int(p.Height))
	if p.Leader {
		text += " leader"
	}
	return text
}

func orDash(number int) string {
	if number == 0 {
		return "-"
	}
	return fmt.Sprint(number)
}

func orDashText(text string) string {
	if text == "" {
		return "-"
	}
	return text
}
