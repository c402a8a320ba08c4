// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/emrys-health/emrys/pkg/client"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

type narrowFlags struct {
	records, purposes   []string
	until               string
	uses                uint32
	noOnward, signedOff bool
}

func (a *app) narrowCommand() *cobra.Command {
	var f narrowFlags
	c := &cobra.Command{
		Use:   "narrow GRANT",
		Short: "Take back a part of a grant",
		Long: `Take back a part of a grant: name what is to be left of it. What you do not name
stays as it is; nothing can be made wider. No key changes, and the grant's id stays.`,
		Example: "  emrys access narrow gra_… --until 2h\n  emrys access narrow gra_… --record rec_… --uses 3 --no-onward",
		Args:    arguments(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := emr.ParseID[emr.GrantID]("grant", args[0])
			if err != nil {
				return err
			}
			left, err := f.parse(time.Now())
			if err != nil {
				return err
			}
			return a.withClient(func(c *client.Client) error {
				given, err := c.NarrowGrant(cmd.Context(), id, left)
				if err != nil {
					return err
				}
				return a.result(given, func(w io.Writer) { writeNarrowed(w, given) })
			})
		},
	}
	c.Flags().StringArrayVar(&f.records, "record", nil, "a record that stays covered, rec_…; may be repeated")
	c.Flags().StringSliceVar(&f.purposes, "purpose", nil, "a purpose that stays; may be repeated")
	c.Flags().StringVar(&f.until, "until", "", "an earlier end: a span (2h, 30d), a time (RFC 3339) or a date")
	c.Flags().Uint32Var(&f.uses, "uses", 0, "how many readings at most; without a limit so far, from now on")
	onwardFlags(c, &f.noOnward, &f.signedOff)
	return c
}

// onwardFlags adds what a grant can say of its use.
func onwardFlags(c *cobra.Command, noOnward, signedOff *bool) {
	c.Flags().BoolVar(noOnward, "no-onward", false, "forbid the reader to share it further")
	c.Flags().BoolVar(signedOff, "signed-off", false, "only records that every named clinician has signed off")
}

func (f narrowFlags) parse(now time.Time) (client.Narrowing, error) {
	left := client.Narrowing{MaxUses: f.uses, NoOnward: f.noOnward, SignedOff: f.signedOff}
	var err error
	if left.Records, err = parseEach("record", f.records, emr.ParseID[emr.RecordID]); err != nil {
		return left, err
	}
	if left.Purposes, err = parseEach("purpose", f.purposes, emr.ParsePurpose); err != nil {
		return left, err
	}
	if f.uses > ledgerapi.MaxGrantUses {
		return left, errUses
	}
	if f.until != "" {
		if left.Until, err = parseUntil("until", f.until, now); err != nil {
			return left, err
		}
	}
	if len(left.Records)+len(left.Purposes) == 0 && f.until == "" && f.uses == 0 && !f.noOnward && !f.signedOff {
		return left, emr.Invalid("narrow", "say what is to be left: --record, --purpose, --until, --uses, --no-onward or --signed-off")
	}
	return left, nil
}

func writeNarrowed(w io.Writer, given *client.Given) {
	t := &given.Terms
	fields(w,
		"Narrowed", given.Receipt.ID, "At", when(given.Receipt.At), "Covers", covers(t), "Purposes", purposes(t.Purposes),
		"Until", when(t.Until), "Readings", uses(t.MaxUses), "Onward", onward(t), "Transaction", given.Receipt.TxID)
}

func onward(t *emr.GrantTerms) string {
	if t.NoOnward {
		return "forbidden"
	}
	return ""
}

func (a *app) confirmCommand() *cobra.Command {
	var yes bool
	c := &cobra.Command{
		Use:   "confirm GRANT",
		Short: "Confirm somebody's wide grant",
		Long: `Show a wide grant that waits for you, because its patient has named you for that,
and, with --yes, confirm it. What you sign names exactly the terms that are shown.`,
		Args: arguments(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := emr.ParseID[emr.GrantID]("grant", args[0])
			if err != nil {
				return err
			}
			return a.withClient(func(c *client.Client) error {
				shown, err := c.ShownGrant(cmd.Context(), id)
				if err != nil {
					return err
				}
				if !yes {
					return a.result(shown, func(w io.Writer) { writeWaiting(w, shown) })
				}
				receipt, err := c.ConfirmGrant(cmd.Context(), shown)
				if err != nil {
					return err
				}
				return a.result(receipt, func(w io.Writer) {
					fields(w, "Confirmed", receipt.ID, "At", when(receipt.At), "Gives from", when(receipt.Until), "Transaction", receipt.TxID)
				})
			})
		},
	}
	c.Flags().BoolVar(&yes, "yes", false, "confirm it")
	return c
}

func writeWaiting(w io.Writer, g *emr.Grant) {
	t := g.Effective()
	fields(w,
		"Grant", string(g.ID), "Of", string(t.Patient), "To", string(t.Grantee)+" of "+string(t.Org), "Covers", covers(&t),
		"Purposes", purposes(t.Purposes), "Until", when(t.Until), "Readings", uses(t.MaxUses), "State", string(g.Status),
		"Next", "ask the patient whether it is meant; then: emrys access confirm "+string(g.ID)+" --yes")
}
