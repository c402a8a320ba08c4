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
	"github.com/emrys-health/emrys/pkg/trail"
)

func (a *app) auditCommand() *cobra.Command {
	return group("audit", "Who did what, when and why", a.auditLogCommand(), a.auditVerifyCommand())
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

func (a *app) auditVerifyCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "verify",
		Short: "Check that your gateway shows you your whole trail, unaltered",
		Long: "Read your whole audit trail and hold it against its end, as the peers of other organisations have signed it. Whatever you, your delegates,\n" +
			"guardians and emergencies have changed is counted and chained, so that nothing of it can be left out, altered or made up unseen. Readings and\n" +
			"requests are not chained: they are counted only. Ends with code 9 unless the trail is complete.",
		Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withClient(func(c *client.Client) error {
				bar := a.counter("entries")
				found, err := c.VerifyTrail(cmd.Context(), bar.count)
				bar.end(err == nil)
				if err != nil {
					return err
				}
				if err := a.result(found, func(w io.Writer) { writeTrailReport(w, found) }); err != nil {
					return err
				}
				if found.Verdict != trail.Complete {
					return emr.E(emr.CodeCorrupt, "the trail is "+string(found.Verdict)+
						": ask again, then at another organisation's gateway, and show the faults to the regulator")
				}
				return nil
			})
		},
	}
}

func writeTrailReport(w io.Writer, r *client.TrailReport) {
	fields(w,
		"Verdict", string(r.Verdict),
		"Chained entries", fmt.Sprintf("%d of %d", r.Chained, r.Head.Sequence),
		"Others", fmt.Sprintf("%d readings, requests and records, which no chain covers", r.Loose))
	for _, f := range r.Faults {
		fmt.Fprintf(w, "%s\n", trail.Fault(f))
	}
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
