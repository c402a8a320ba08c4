// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"

	"github.com/spf13/cobra"

	"github.com/emrys-health/emrys/pkg/client"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

func (a *app) relationshipCommand() *cobra.Command {
	return group("relationship", "Treatment relationships of patients and hospitals",
		a.proposeCommand(), a.relationshipsCommand(), a.answerCommand("accept", true), a.answerCommand("refuse", false))
}

func (a *app) proposeCommand() *cobra.Command {
	var patient string
	c := &cobra.Command{
		Use:   "propose --patient PATIENT",
		Short: "Propose a treatment relationship of your hospital with a patient",
		Args:  arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			id, err := emr.ParseID[emr.PatientID]("patient", patient)
			if err != nil {
				return err
			}
			return a.withClient(func(c *client.Client) error {
				receipt, err := c.ProposeRelationship(cmd.Context(), id)
				if err != nil {
					return err
				}
				return a.receipt(receipt, "Proposed", "the patient answers: emrys relationship accept "+string(c.Profile().Org))
			})
		},
	}
	c.Flags().StringVar(&patient, "patient", "", "the patient's pseudonym, pat_…")
	return c
}

func (a *app) relationshipsCommand() *cobra.Command {
	var page client.Page
	c := &cobra.Command{
		Use:   "list",
		Short: "List your treatment relationships",
		Args:  arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withClient(func(c *client.Client) error {
				found, err := c.Relationships(cmd.Context(), page)
				if err != nil {
					return err
				}
				return a.result(found, func(w io.Writer) { writeRelationships(w, found) })
			})
		},
	}
	pageFlags(c, &page)
	return c
}

func writeRelationships(w io.Writer, page *ledgerapi.RelationshipPage) {
	var rows [][]string
	proposed := ""
	for _, r := range page.Items {
		rows = append(rows, []string{string(r.Hospital), string(r.Status), string(r.By), when(r.Proposed), when(r.Answered)})
		if r.Status == emr.RelationshipProposed {
			proposed = string(r.Hospital)
		}
	}
	table(w, []string{"HOSPITAL", "STATUS", "PROPOSED BY", "PROPOSED", "ANSWERED"}, rows)
	if proposed != "" {
		fields(w, "Next", "emrys relationship accept "+proposed+", or refuse")
	}
	more(w, page.Bookmark)
}

func (a *app) answerCommand(verb string, accept bool) *cobra.Command {
	short := "Accept a hospital's treatment relationship"
	if !accept {
		short = "Refuse a hospital's treatment relationship, or end one"
	}
	return &cobra.Command{
		Use:   verb + " HOSPITAL",
		Short: short,
		Args:  arguments(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			hospital, err := emr.ParseOrgID("hospital", args[0])
			if err != nil {
				return err
			}
			return a.withClient(func(c *client.Client) error {
				receipt, err := c.AnswerRelationship(cmd.Context(), hospital, accept)
				if err != nil {
					return err
				}
				done := "Accepted"
				if !accept {
					done = "Refused"
				}
				return a.receipt(receipt, done, "")
			})
		},
	}
}

// receipt shows a committed transaction.
func (a *app) receipt(r *ledgerapi.Receipt, done, next string) error {
	return a.result(r, func(w io.Writer) {
		fields(w, done, r.ID, "At", when(r.At), "Transaction", r.TxID, "Next", next)
	})
}

// pageFlags adds the flags of a list.
func pageFlags(c *cobra.Command, p *client.Page) {
	c.Flags().IntVar(&p.Limit, "limit", 0, "how many to show, at most 100 (default 50)")
	c.Flags().StringVar(&p.Cursor, "cursor", "", "go on where another page ended")
}

// more tells how to go on in a list.
func more(w io.Writer, cursor string) {
	if cursor != "" {
		fields(w, "More", "--cursor "+cursor)
	}
}
