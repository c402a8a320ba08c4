// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/emrys-health/emrys/pkg/client"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

func (a *app) eraseCommand() *cobra.Command {
	var ground string
	var sure bool
	c := &cobra.Command{
		Use:   "erase RECORD --yes",
		Short: "Have a record destroyed by every holder, for good",
		Long: `Have a record destroyed, with all its versions, by every organisation that may
hold it. From now on nobody reads it, you included, and nothing brings it back.
Each holder's gateway destroys its copy and says so; record erasure shows who has.
What somebody has read and kept is beyond anybody's reach.`,
		Example: "  emrys record erase rec_… --ground no-longer-needed --yes",
		Args:    arguments(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := emr.ParseID[emr.RecordID]("record", args[0])
			if err != nil {
				return err
			}
			switch {
			case !emr.ErasureGround(ground).PatientMayGive():
				return emr.Invalid("ground", "must be consent-withdrawn, no-longer-needed, objection, unlawful-processing or other")
			case !sure:
				return emr.Invalid("yes", "an erasure cannot be undone; give --yes to say that you mean it")
			}
			return a.withClient(func(c *client.Client) error {
				receipt, err := c.EraseRecord(cmd.Context(), id, emr.ErasureGround(ground))
				if err != nil {
					return err
				}
				return a.result(receipt, func(w io.Writer) {
					fields(w, "Erased", string(id), "Order", receipt.ID, "At", when(receipt.At), "Transaction", receipt.TxID,
						"Next", "see who has destroyed it with: emrys record erasure "+receipt.ID)
				})
			})
		},
	}
	c.Flags().StringVar(&ground, "ground", string(emr.EraseWithdrawn),
		"why: consent-withdrawn, no-longer-needed, objection, unlawful-processing or other")
	c.Flags().BoolVar(&sure, "yes", false, "say that you mean it")
	return c
}

func (a *app) erasureCommand() *cobra.Command {
	var wait time.Duration
	var page client.Page
	c := &cobra.Command{
		Use:   "erasure [ORDER]",
		Short: "Show who has destroyed an erased record, or list your orders",
		Long: `Show how an order to destroy a record stands, holder by holder. It is complete
only when every holder has confirmed everything; who has not is named. Without an
order, list them, newest first.

With --wait, wait until it is complete; the exit code is 8 when it is not by then.`,
		Example: "  emrys record erasure ers_… --wait 2m",
		Args:    arguments(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if wait < 0 || wait > 0 && len(args) == 0 {
				return emr.Invalid("wait", "must be a span like 2m, with an order")
			}
			if len(args) == 0 {
				return a.withClient(func(c *client.Client) error { return a.listErasures(cmd.Context(), c, page) })
			}
			id, err := emr.ParseID[emr.ErasureID]("order", args[0])
			if err != nil {
				return err
			}
			return a.withClient(func(c *client.Client) error { return a.showErasure(cmd.Context(), c, id, wait) })
		},
	}
	c.Flags().DurationVar(&wait, "wait", 0, "wait so long at most until it is complete")
	pageFlags(c, &page)
	return c
}

func (a *app) listErasures(ctx context.Context, c *client.Client, page client.Page) error {
	found, err := c.Erasures(ctx, page)
	if err != nil {
		return err
	}
	return a.result(found, func(w io.Writer) {
		var rows [][]string
		for i := range found.Items {
			e := &found.Items[i]
			rows = append(rows, []string{string(e.ID), string(e.Kind), string(e.Record), string(e.Ground), when(e.Ordered)})
		}
		table(w, []string{"ORDER", "KIND", "RECORD", "GROUND", "ORDERED"}, rows)
		if found.Bookmark != "" {
			fields(w, "More", "--cursor "+found.Bookmark)
		}
	})
}

// erasurePause is the time between looks at an order that is waited for.
const erasurePause = time.Second

func (a *app) showErasure(ctx context.Context, c *client.Client, id emr.ErasureID, wait time.Duration) error {
	end := time.Now().Add(wait)
	view, err := c.Erasure(ctx, id)
	if err != nil {
		return err
	}
	bar := a.counter("of " + strconv.Itoa(len(view.Holders)) + " holders")
	for ; view.State != emr.ErasureComplete && time.Now().Before(end); view, err = c.Erasure(ctx, id) {
		if err != nil {
			break
		}
		bar.count(len(view.Holders) - len(view.Missing))
		if err = pauseFor(ctx, min(erasurePause, time.Until(end))); err != nil {
			break
		}
	}
	bar.end(err == nil)
	if err != nil {
		return err
	}
	if err := a.result(view, func(w io.Writer) { writeErasure(w, view) }); err != nil {
		return err
	}
	if wait > 0 && view.State != emr.ErasureComplete {
		return emr.E(emr.CodeTimeout, "not complete yet: "+strings.Join(words(view.Missing), ", "))
	}
	return nil
}

func pauseFor(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func writeErasure(w io.Writer, v *ledgerapi.ErasureView) {
	e := &v.Erasure
	fields(w, "Order", string(e.ID), "State", string(v.State), "Kind", string(e.Kind), "Record", string(e.Record), "Ground", string(e.Ground),
		"By", e.By, "Ordered", when(e.Ordered), "Versions", strconv.FormatUint(uint64(e.Versions), 10), "Successor", string(e.Successor),
		"Missing", strings.Join(words(v.Missing), ", "))
	var rows [][]string
	for i := range v.Holders {
		h := &v.Holders[i]
		var at emr.Time
		var causes []string
		for _, receipt := range h.Receipts {
			at = max(at, receipt.At)
			for _, failed := range receipt.Failed {
				causes = append(causes, string(failed.Thing)+": "+string(failed.Cause))
			}
		}
		said := "nothing yet"
		switch {
		case h.Done:
			said = "destroyed"
		case len(causes) > 0:
			slices.Sort(causes)
			said = strings.Join(slices.Compact(causes), ", ")
		case len(h.Receipts) > 0:
			said = "in part"
		}
		if h.Removed {
			said += " (left the consortium)"
		}
		rows = append(rows, []string{string(h.Org), said, when(at)})
	}
	table(w, []string{"HOLDER", "SAYS", "AT"}, rows)
}
