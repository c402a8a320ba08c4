// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"

	"github.com/spf13/cobra"

	"github.com/emrys-health/emrys/pkg/client"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

func (a *app) inboxCommand() *cobra.Command {
	var page client.Page
	c := &cobra.Command{
		Use:   "inbox",
		Short: "List what waits for your answer",
		Long: `List what waits for your answer, newest first: for a patient relationships that
hospitals propose, requests, answered amendments, emergency sessions, keys that
somebody recovers and wide grants; for a professional records to sign off; for
everybody wide grants of others that they may confirm.`,
		Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withClient(func(c *client.Client) error {
				found, err := c.Inbox(cmd.Context(), page)
				if err != nil {
					return err
				}
				return a.result(found, func(w io.Writer) { writeInbox(w, found) })
			})
		},
	}
	pageFlags(c, &page)
	return c
}

func writeInbox(w io.Writer, page *ledgerapi.InboxPage) {
	var rows [][]string
	for i := range page.Items {
		item := &page.Items[i]
		rows = append(rows, []string{
			string(item.Kind), item.ID, string(item.Record), item.By, string(item.Org), when(item.At), when(item.Until), answerOf(item),
		})
	}
	table(w, []string{"WAITS", "ID", "RECORD", "BY", "ORGANISATION", "SINCE", "UNTIL", "NEXT"}, rows)
	more(w, page.Bookmark)
}

// answerOf is the command that answers an item; empty where there is none.
func answerOf(item *ledgerapi.InboxItem) string {
	switch item.Kind {
	case ledgerapi.InboxRelationship:
		return "emrys relationship accept " + item.ID
	case ledgerapi.InboxRequest:
		return "emrys access show " + item.ID
	case ledgerapi.InboxConfirm:
		return "emrys access confirm " + item.ID
	case ledgerapi.InboxGrant:
		return "emrys access revoke " + item.ID
	case ledgerapi.InboxSignOff:
		return "emrys record sign-off " + item.ID
	default:
		return ""
	}
}
