// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/emrys-health/emrys/pkg/client"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

func (a *app) auditCommand() *cobra.Command {
	return group("audit", "Who did what, when and why", a.auditLogCommand())
}

func (a *app) auditLogCommand() *cobra.Command {
	var record string
	var page client.Page
	c := &cobra.Command{
		Use:   "log",
		Short: "Show your audit trail, or that of one record",
		Long:  "Show what is on the ledger about your records, newest first: requests, grants, readings, and what was refused.",
		Args:  arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var id emr.RecordID
			if record != "" {
				var err error
				if id, err = emr.ParseID[emr.RecordID]("record", record); err != nil {
					return err
				}
			}
			return a.withClient(func(c *client.Client) error {
				var found *ledgerapi.AuditPage
				var err error
				if id == "" {
					found, err = c.Audit(cmd.Context(), page)
				} else {
					found, err = c.AuditOfRecord(cmd.Context(), id, page)
				}
				if err != nil {
					return err
				}
				return a.result(found, func(w io.Writer) { writeAudit(w, found) })
			})
		},
	}
	c.Flags().StringVar(&record, "record", "", "only this record, rec_…")
	pageFlags(c, &page)
	return c
}

func writeAudit(w io.Writer, page *ledgerapi.AuditPage) {
	var rows [][]string
	for _, e := range page.Items {
		rows = append(rows, []string{
			when(e.At), string(e.Kind), e.Actor, string(e.Org), string(e.Purpose), verdict(e), string(e.Record), e.Ref,
		})
	}
	table(w, []string{"WHEN", "WHAT", "WHO", "ORGANISATION", "PURPOSE", "DECISION", "RECORD", "REFERENCE"}, rows)
	more(w, page.Bookmark)
}

func verdict(e emr.AuditEntry) string {
	if e.Reason == "" {
		return string(e.Decision)
	}
	return string(e.Decision) + ": " + string(e.Reason)
}

// oneOf says how many of which organisations it takes.
func oneOf(threshold int, names []string) string {
	return fmt.Sprintf("any %d of %s", threshold, strings.Join(names, ", "))
}
