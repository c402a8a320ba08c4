// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/emrys-health/emrys/pkg/client"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

type grantFlags struct {
	records, purposes []string
	to, until         string
	uses              uint32
	scope, direct     bool

	noOnward, signedOff bool
}

func (a *app) grantCommand() *cobra.Command {
	var f grantFlags
	c := &cobra.Command{
		Use:   "grant [REQUEST]",
		Short: "Give access: answer a request, or of your own accord",
		Long: `Give access to records, on this device: it makes the key fragments and seals one
to the proxy of every hospital but the reader's own.

A request names reader, record and purpose. Without one, name them with --to,
--record and --purpose. With --scope the grant covers every record of the
record's level, past and future.

With --direct it gives up to 32 records by keys of their own, sealed to the
reader on this device, and no key fragment is made: proxies that side with the
reader can open the records named and no other. To make the keys this device
reads each record as its own; your audit log shows that. The reader must read
with this program: the browser opens no direct grants yet.`,
		Example: "  emrys access grant req_… --until 2h\n  emrys access grant --record rec_… --to cli_… --purpose TREAT --until 2026-12-31 --uses 3\n" +
			"  emrys access grant --direct --record rec_… --record rec_… --to cli_… --purpose TREAT",
		Args: arguments(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			giving, err := f.parse(args, time.Now())
			if err != nil {
				return err
			}
			return a.withClient(func(c *client.Client) error {
				given, err := c.Grant(cmd.Context(), giving)
				if err != nil {
					return err
				}
				return a.result(given, func(w io.Writer) { writeGiven(w, given) })
			})
		},
	}
	c.Flags().StringArrayVar(&f.records, "record", nil, "a record to cover, rec_…; may be repeated")
	c.Flags().StringVar(&f.to, "to", "", "who may read, cli_…")
	c.Flags().StringVar(&f.until, "until", "24h", "how long (2h, 30d) or until when (RFC 3339 or a date)")
	c.Flags().StringSliceVar(&f.purposes, "purpose", nil, "what for: TREAT, HPAYMT, HOPERAT, HRESCH; may be repeated")
	c.Flags().Uint32Var(&f.uses, "uses", 0, "how many readings at most (default any number)")
	c.Flags().BoolVar(&f.scope, "scope", false, "cover every record of the same level, past and future")
	c.Flags().BoolVar(&f.direct, "direct", false, "give single records by keys sealed to the reader, and no fragments; not with --scope")
	onwardFlags(c, &f.noOnward, &f.signedOff)
	return c
}

// checkDirect refuses what a direct grant cannot be.
func (f grantFlags) checkDirect() error {
	switch {
	case f.direct && f.scope:
		return emr.Invalid("direct", "goes with single records, not with --scope")
	case f.direct && len(f.records) > ledgerapi.MaxDirectRecords:
		return emr.Invalid("record", fmt.Sprintf("name at most %d with --direct", ledgerapi.MaxDirectRecords))
	default:
		return nil
	}
}

func (f grantFlags) parse(args []string, now time.Time) (client.Giving, error) {
	g := client.Giving{WholeScope: f.scope, MaxUses: f.uses, Direct: f.direct, NoOnward: f.noOnward, SignedOff: f.signedOff}
	err := f.checkDirect()
	if err != nil {
		return g, err
	}
	if len(args) == 1 {
		if g.Request, err = emr.ParseID[emr.RequestID]("request", args[0]); err != nil {
			return g, err
		}
	} else if len(f.records) == 0 || f.to == "" || len(f.purposes) == 0 {
		return g, emr.Invalid("request", "name a request, or give --record, --to and --purpose")
	}
	if g.Records, err = parseRecords(f.records); err != nil {
		return g, err
	}
	if g.Purposes, err = parsePurposes(f.purposes); err != nil {
		return g, err
	}
	if f.to != "" {
		if g.To, err = emr.ParseID[emr.ClinicianID]("to", f.to); err != nil {
			return g, err
		}
	}
	if f.uses > ledgerapi.MaxGrantUses {
		return g, errUses
	}
	g.Until, err = parseUntil("until", f.until, now)
	return g, err
}

var errUses = emr.Invalid("uses", "must be at most 100")

func parseRecords(texts []string) ([]emr.RecordID, error) {
	var all []emr.RecordID
	for _, text := range texts {
		record, err := emr.ParseID[emr.RecordID]("record", text)
		if err != nil {
			return nil, err
		}
		all = append(all, record)
	}
	return all, nil
}

func parsePurposes(texts []string) ([]emr.Purpose, error) {
	var all []emr.Purpose
	for _, text := range texts {
		purpose, err := emr.ParsePurpose("purpose", text)
		if err != nil {
			return nil, err
		}
		all = append(all, purpose)
	}
	return all, nil
}

func writeGiven(w io.Writer, given *client.Given) {
	t := &given.Terms
	gateways := make([]string, len(t.Gateways))
	for i, g := range t.Gateways {
		gateways[i] = string(g)
	}
	through := oneOf(int(t.Threshold), gateways)
	if t.Direct {
		through = "keys sealed to the reader, and shares of the records' proxies"
	}
	fields(w,
		"Granted", string(t.Grant), "To", string(t.Grantee)+" of "+string(t.Org), "Covers", covers(t),
		"Purposes", purposes(t.Purposes), "Until", when(t.Until), "Readings", uses(t.MaxUses), "Onward", onward(t),
		"Through", through, "Transaction", given.Receipt.TxID,
		"Next", "take it back with: emrys access revoke "+string(t.Grant))
}
