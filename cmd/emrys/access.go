// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/emrys-health/emrys/pkg/api"
	"github.com/emrys-health/emrys/pkg/client"
	"github.com/emrys-health/emrys/pkg/emr"
)

func (a *app) accessCommand() *cobra.Command {
	return group("access", "Ask for access, give it, refuse it, take it back",
		a.requestCommand(), a.accessListCommand(), a.accessShowCommand(), a.grantCommand(), a.refuseCommand(),
		a.narrowCommand(), a.ruleCommand(), a.confirmCommand(), a.revokeCommand())
}

func (a *app) refuseCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "refuse REQUEST",
		Short: "Refuse a request",
		Args:  arguments(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := emr.ParseID[emr.RequestID]("request", args[0])
			if err != nil {
				return err
			}
			return a.withClient(func(c *client.Client) error {
				receipt, err := c.RefuseAccess(cmd.Context(), id)
				if err != nil {
					return err
				}
				return a.receipt(receipt, "Refused", "")
			})
		},
	}
}

func (a *app) revokeCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "revoke GRANT",
		Short: "Take a grant back",
		Long: `Take a grant back. The proxies stop serving it at once and destroy their part of
the key. What was read stays read: the answer names who has.`,
		Args: arguments(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := emr.ParseID[emr.GrantID]("grant", args[0])
			if err != nil {
				return err
			}
			return a.withClient(func(c *client.Client) error {
				answer, err := c.Revoke(cmd.Context(), id)
				if err != nil {
					return err
				}
				return a.result(answer, func(w io.Writer) { writeRevocation(w, answer) })
			})
		},
	}
}

func writeRevocation(w io.Writer, answer *api.Revocation) {
	readings := "the answer was lost; see emrys audit log"
	if answer.Read != nil {
		readings = strconv.Itoa(len(answer.Read))
	}
	fields(w, "Revoked", answer.Receipt.ID, "At", when(answer.Receipt.At), "Transaction", answer.Receipt.TxID, "Readings", readings)
	var rows [][]string
	for _, r := range answer.Read {
		rows = append(rows, []string{r.Reader, string(r.Org), string(r.Record), string(r.Purpose), when(r.At)})
	}
	if len(rows) > 0 {
		table(w, []string{"READER", "ORGANISATION", "RECORD", "PURPOSE", "READ"}, rows)
	}
}
