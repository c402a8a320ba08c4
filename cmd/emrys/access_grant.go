// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/emrys-health/emrys/pkg/client"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

type grantFlags struct {
	records, purposes []string
	to                []string
	until             string
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
--record and --purpose; several readers get a grant each, all or none, and --json
writes a list of them. With --scope the grant covers every record of the record's
level, past and future.

With --direct it gives up to 32 records by keys of their own, sealed to the
reader on this device, and no key fragment is made: proxies that side with the
reader can open the records named and no other. To make the keys this device
reads each record as its own; your audit log shows that. The reader must read
with this program: the browser opens no direct grants yet.`,
		Example: "  emrys access grant req_… --until 2h\n  emrys access grant --record rec_… --to cli_… --purpose TREAT --until 2026-12-31 --uses 3\n" +
			"  emrys access grant --direct --record rec_… --record rec_… --to cli_… --purpose TREAT",
		Args: arguments(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			list, err := f.parse(args, time.Now())
			if err != nil {
				return err
			}
			return a.withClient(func(c *client.Client) error {
				return a.give(cmd.Context(), c, list)
			})
		},
	}
	c.Flags().StringArrayVar(&f.records, "record", nil, "a record to cover, rec_…; may be repeated")
	c.Flags().StringSliceVar(&f.to, "to", nil, "who may read, cli_…; may be repeated: then all are given a grant each, or none is")
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

// parse reads what is given: one grant, or one for each of several readers.
func (f grantFlags) parse(args []string, now time.Time) ([]client.Giving, error) {
	g := client.Giving{WholeScope: f.scope, MaxUses: f.uses, Direct: f.direct, NoOnward: f.noOnward, SignedOff: f.signedOff}
	err := f.checkDirect()
	if err != nil {
		return nil, err
	}
	if len(args) == 1 {
		if g.Request, err = emr.ParseID[emr.RequestID]("request", args[0]); err != nil {
			return nil, err
		}
	} else if len(f.records) == 0 || len(f.to) == 0 || len(f.purposes) == 0 {
		return nil, emr.Invalid("request", "name a request, or give --record, --to and --purpose")
	}
	if g.Records, err = parseEach("record", f.records, emr.ParseID[emr.RecordID]); err != nil {
		return nil, err
	}
	if g.Purposes, err = parseEach("purpose", f.purposes, emr.ParsePurpose); err != nil {
		return nil, err
	}
	readers, err := parseReaders(f.to, len(args) == 1)
	if err != nil {
		return nil, err
	}
	if f.uses > ledgerapi.MaxGrantUses {
		return nil, errUses
	}
	if g.Until, err = parseUntil("until", f.until, now); err != nil || len(readers) == 0 {
		return []client.Giving{g}, err
	}
	list := make([]client.Giving, len(readers))
	for i, reader := range readers {
		list[i] = g
		list[i].To = reader
	}
	return list, nil
}

// parseReaders reads who is given something, of whom there is at most one for a request.
func parseReaders(texts []string, answers bool) ([]emr.ClinicianID, error) {
	if len(texts) > ledgerapi.MaxGrantBatch || answers && len(texts) > 1 {
		return nil, emr.Invalid("to", fmt.Sprintf("name one reader for a request, and at most %d without", ledgerapi.MaxGrantBatch))
	}
	for i, text := range texts {
		if slices.Contains(texts[:i], text) {
			return nil, emr.Invalid("to", "names a reader twice")
		}
	}
	return parseEach("to", texts, emr.ParseID[emr.ClinicianID])
}

var errUses = emr.Invalid("uses", "must be at most 100")

// parseEach reads every value of a flag that may be repeated; nil when there is none.
func parseEach[T any](field string, texts []string, parse func(field, text string) (T, error)) ([]T, error) {
	var all []T
	for _, text := range texts {
		one, err := parse(field, text)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, nil
}

// give gives one grant, or, to several readers, one each by one signed action.
func (a *app) give(ctx context.Context, c *client.Client, list []client.Giving) error {
	if len(list) == 1 {
		given, err := c.Grant(ctx, list[0])
		if err != nil {
			return err
		}
		state := a.stateOf(ctx, c, given)
		return a.result(given, func(w io.Writer) { writeGiven(w, given, state) })
	}
	all, err := c.GrantAll(ctx, list)
	if err != nil {
		return err
	}
	states := make([]string, len(all))
	for i := range all {
		states[i] = a.stateOf(ctx, c, &all[i])
	}
	return a.result(all, func(w io.Writer) {
		for i := range all {
			writeGiven(w, &all[i], states[i])
		}
	})
}

// stateOf tells, where the result is for people, when a grant waits for somebody's word.
func (a *app) stateOf(ctx context.Context, c *client.Client, given *client.Given) string {
	if a.json {
		return ""
	}
	shown, err := c.ShownGrant(ctx, given.Terms.Grant)
	if err != nil || shown.Status != emr.GrantWaiting {
		return "" // it is given, whatever can be shown of it now
	}
	return "it waits until somebody whom your rule names confirms it: emrys access confirm " + string(shown.ID)
}

func writeGiven(w io.Writer, given *client.Given, state string) {
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
		"Granted", string(t.Grant), "State", state, "To", string(t.Grantee)+" of "+string(t.Org), "Covers", covers(t),
		"Purposes", purposes(t.Purposes), "Until", when(t.Until), "Readings", uses(t.MaxUses), "Onward", onward(t),
		"Through", through, "Transaction", given.Receipt.TxID,
		"Next", "take it back with: emrys access revoke "+string(t.Grant))
}
