// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/spf13/cobra"

	"github.com/emrys-health/emrys/pkg/client"
	"github.com/emrys-health/emrys/pkg/emr"
)

func (a *app) ticketCommand() *cobra.Command {
	return group("ticket", "Readings whose ticket is still valid", a.openTicketCommand())
}

func (a *app) openTicketCommand() *cobra.Command {
	var output string
	c := &cobra.Command{
		Use:   "open TICKET -o FILE",
		Short: "Resume a reading whose ticket is still valid",
		Long:  "Present a ticket (dis_…) to the proxies again and read its record, for example after a broken transfer.",
		Args:  arguments(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			ticket, err := emr.ParseID[emr.DisclosureID]("ticket", args[0])
			if err != nil {
				return err
			}
			if output == "" {
				return emr.Invalid("output", "say where to write: -o FILE, or -o - for standard output")
			}
			return a.withClient(func(c *client.Client) error {
				return a.read(cmd.Context(), c, ticket, output)
			})
		},
	}
	c.Flags().StringVarP(&output, "output", "o", "", "file to write, or - for standard output")
	return c
}
