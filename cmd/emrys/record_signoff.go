// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/spf13/cobra"

	"github.com/emrys-health/emrys/pkg/client"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

func (a *app) signOffCommand() *cobra.Command {
	var refusal string
	c := &cobra.Command{
		Use:   "sign-off RECORD",
		Short: "Sign a record off in your turn, or refuse to",
		Long: `Sign off a record whose author has named you, in your turn; your inbox tells when
it comes. Read the record first: that needs a grant, as every reading does. A
refusal ends the sign-off; every reader is told how far it has come.`,
		Args: arguments(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := emr.ParseID[emr.RecordID]("record", args[0])
			if err != nil {
				return err
			}
			ground := emr.SignOffGround(refusal)
			if refusal != "" && !ground.Valid() {
				return emr.Invalid("refuse", "must be disagree, incomplete, wrong-patient or not-my-subject")
			}
			return a.withClient(func(c *client.Client) error {
				receipt, err := c.SignOff(cmd.Context(), id, ground)
				if err != nil {
					return err
				}
				done := "Signed off"
				if refusal != "" {
					done = "Refused"
				}
				return a.receipt(&ledgerapi.Receipt{TxID: receipt.TxID, At: receipt.At, ID: receipt.ID}, done, "")
			})
		},
	}
	c.Flags().StringVar(&refusal, "refuse", "", "refuse, on a ground: disagree, incomplete, wrong-patient, not-my-subject")
	return c
}
