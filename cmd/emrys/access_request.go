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

func (a *app) requestCommand() *cobra.Command {
	var purpose, note string
	c := &cobra.Command{
		Use:     "request RECORD --purpose PURPOSE",
		Short:   "Ask a patient for access to a record",
		Example: `  emrys access request rec_… --purpose TREAT --note "second opinion"`,
		Args:    arguments(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			record, err := emr.ParseID[emr.RecordID]("record", args[0])
			if err != nil {
				return err
			}
			what, err := emr.ParsePurpose("purpose", purpose)
			if err != nil {
				return err
			}
			return a.withClient(func(c *client.Client) error {
				answer, err := c.RequestAccess(cmd.Context(), record, what, note)
				if err != nil {
					return err
				}
				return a.decided(record, what, answer)
			})
		},
	}
	c.Flags().StringVar(&purpose, "purpose", "", "what for: TREAT, HPAYMT, HOPERAT, HRESCH")
	c.Flags().StringVar(&note, "note", "", "a line to the patient, kept in private data")
	return c
}

// decided shows the decision. A denial is shown and is the command's error too.
func (a *app) decided(record emr.RecordID, purpose emr.Purpose, d *ledgerapi.DecisionReceipt) error {
	next := "wait for the patient; look with: emrys access list"
	if d.Decision == emr.Permit {
		next = "emrys record get " + string(record) + " -o FILE --purpose " + string(purpose)
	}
	reason := d.Reason.Explain()
	switch d.Decision {
	case emr.Deny:
		next = ""
	case emr.Ask:
		reason = "" // that nothing covers it yet is why the patient is asked
	}
	err := a.result(d, func(w io.Writer) {
		fields(w, "Request", d.ID, "Decision", decisionText(d.Decision), "Reason", reason, "Grant", string(d.Grant),
			"At", when(d.At), "Transaction", d.TxID, "Next", next)
	})
	if err == nil && d.Decision == emr.Deny {
		return &emr.Error{
			Code: emr.CodeRule, Reason: d.Reason, TxID: d.TxID, Message: "the request was denied: " + d.Reason.Explain(),
		}
	}
	return err
}

func decisionText(d emr.Decision) string {
	switch d {
	case emr.Permit:
		return "permitted"
	case emr.Ask:
		return "the patient is asked"
	case emr.Deny:
		return "denied"
	default:
		return string(d)
	}
}
