// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"
	"strings"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/emrys-health/emrys/pkg/client"
	"github.com/emrys-health/emrys/pkg/emr"
)

func (a *app) accessShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show REQUEST",
		Short: "Show a request: who asks, for what, and the note",
		Long: `Show a request to you as a patient, or by you as a professional. This device has
verified that who is named has signed for the record, the purpose and the note.`,
		Args: arguments(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := emr.ParseID[emr.RequestID]("request", args[0])
			if err != nil {
				return err
			}
			return a.withClient(func(c *client.Client) error {
				asked, err := c.Request(cmd.Context(), id)
				if err != nil {
					return err
				}
				patient := c.Profile().IsPatient()
				return a.result(asked, func(w io.Writer) { writeAsked(w, asked, patient) })
			})
		},
	}
}

func writeAsked(w io.Writer, asked *client.Asked, patient bool) {
	r := &asked.Request
	reason, next := "", ""
	if r.Decision == emr.Deny {
		reason = r.Reason.Explain()
	}
	if patient && r.Status == emr.RequestPending {
		next = "emrys access grant " + string(r.ID) + " --until 2h, or emrys access refuse " + string(r.ID)
	}
	fields(w,
		"Request", string(r.ID), "Record", string(r.Record), "By", string(r.By), "Organisation", string(asked.By.Org),
		"Role", string(asked.By.Role), "Purpose", string(r.Purpose), "Note", printable(asked.Note),
		"Decision", decisionText(r.Decision), "Reason", reason, "Status", string(r.Status), "Grant", string(r.Grant),
		"Made", when(r.Made), "Answered", when(r.Answered), "Next", next)
}

// printable writes somebody else's text on one line: without control and format
// characters, by which it could pretend to be something else on a terminal.
func printable(text string) string {
	shown := strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r):
			return unicode.ReplacementChar
		}
		return r
	}, text)
	return strings.TrimSpace(shown)
}
