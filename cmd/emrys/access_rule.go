// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/emrys-health/emrys/pkg/client"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

type ruleFlags struct {
	scope         bool
	days, records uint32
	level         string
	confirmers    []string
	wait          uint32
}

func (a *app) ruleCommand() *cobra.Command {
	return group("rule", "Which of your grants somebody else must confirm", a.ruleShowCommand(), a.ruleSetCommand(), a.ruleConfirmCommand())
}

func (a *app) ruleShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show",
		Short: "Show your rule about wide grants",
		Args:  arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withClient(func(c *client.Client) error {
				rule, err := c.GrantRule(cmd.Context())
				if err != nil {
					return err
				}
				return a.result(rule, func(w io.Writer) { writeRule(w, rule) })
			})
		},
	}
}

func (a *app) ruleSetCommand() *cobra.Command {
	var f ruleFlags
	c := &cobra.Command{
		Use:   "set",
		Short: "Rule which grants are wide, and who confirms them",
		Long: `Rule which of your grants are wide and who must confirm one before it gives
anything: at most four people who are registered, patients (hnd_…) or professionals
(cli_…). A tighter rule holds at once. A looser one, and so one without any bound,
waits until somebody whom the present rule names has confirmed it.`,
		Example: "  emrys access rule set --scope --days 30 --confirmer hnd_…",
		Args:    arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			terms, err := f.parse()
			if err != nil {
				return err
			}
			return a.withClient(func(c *client.Client) error { return a.setRule(cmd.Context(), c, terms) })
		},
	}
	c.Flags().BoolVar(&f.scope, "scope", false, "grants of every record of a level are wide")
	c.Flags().Uint32Var(&f.days, "days", 0, "grants that last longer are wide (default: no bound)")
	c.Flags().Uint32Var(&f.records, "records", 0, "grants of more records are wide (default: no bound)")
	c.Flags().StringVar(&f.level, "level", "", "grants of anything at this level or above are wide")
	c.Flags().StringSliceVar(&f.confirmers, "confirmer", nil, "who may confirm, hnd_… or cli_…; may be repeated")
	c.Flags().Uint32Var(&f.wait, "wait-hours", 0, "how long a key counts as new, and what it confirms waits (default 72)")
	return c
}

func (f ruleFlags) parse() (emr.GrantRuleTerms, error) {
	terms := emr.GrantRuleTerms{Bounds: emr.GrantBounds{Scope: f.scope, Days: f.days, Records: f.records}, WaitHours: f.wait}
	if f.level != "" {
		level, err := emr.ParseLevel("level", f.level)
		if err != nil {
			return terms, err
		}
		terms.Bounds.Level = level
	}
	if len(f.confirmers) > ledgerapi.MaxConfirmers {
		return terms, emr.Invalid("confirmer", "name at most "+strconv.Itoa(ledgerapi.MaxConfirmers))
	}
	for _, text := range f.confirmers {
		if _, err := emr.ParseID[emr.Handle]("confirmer", text); err == nil {
			terms.Confirmers = append(terms.Confirmers, text)
			continue
		}
		if _, err := emr.ParseID[emr.ClinicianID]("confirmer", text); err != nil {
			return terms, emr.Invalid("confirmer", "must be a patient's handle, hnd_…, or a professional, cli_…")
		}
		terms.Confirmers = append(terms.Confirmers, text)
	}
	return terms, nil
}

func (a *app) setRule(ctx context.Context, c *client.Client, terms emr.GrantRuleTerms) error {
	before, err := c.GrantRule(ctx)
	if err != nil {
		return err
	}
	terms.Second = before.Terms.Second // pinned on another device, and changed from there
	receipt, err := c.SetGrantRule(ctx, before.Version, terms)
	if err != nil {
		return err
	}
	return a.result(receipt, func(w io.Writer) {
		state, next := "in force", ""
		if receipt.Decision == emr.Ask {
			state = "waits for its confirmation"
			next = "it is looser; somebody whom the present rule names: emrys access rule confirm " +
				string(c.Profile().Handle) + " --version " + receipt.ID
		}
		fields(w, "Rule", state, "Version", receipt.ID, "At", when(receipt.At),
			"Transaction", receipt.TxID, "Next", next)
	})
}

func writeRule(w io.Writer, rule *emr.GrantRule) {
	if rule.Version == 0 {
		fields(w, "Rule", "none: no grant needs a confirmation")
		return
	}
	next := ""
	if rule.Next != nil {
		next = boundsText(&rule.Next.Bounds)
	}
	fields(w,
		"Version", strconv.FormatUint(uint64(rule.Version), 10), "Wide", boundsText(&rule.Terms.Bounds),
		"Confirmed by", strings.Join(rule.Terms.Confirmers, ", "), "Set", when(rule.Set), "Waiting", next)
}

func boundsText(b *emr.GrantBounds) string {
	var all []string
	if b.Scope {
		all = append(all, "every record of a level")
	}
	if b.Days > 0 {
		all = append(all, "longer than "+strconv.FormatUint(uint64(b.Days), 10)+" days")
	}
	if b.Records > 0 {
		all = append(all, "more than "+strconv.FormatUint(uint64(b.Records), 10)+" records")
	}
	if b.Level != "" {
		all = append(all, "anything "+string(b.Level)+" or above")
	}
	if len(all) == 0 {
		return "nothing"
	}
	return strings.Join(all, "; ")
}

func (a *app) ruleConfirmCommand() *cobra.Command {
	var version uint32
	c := &cobra.Command{
		Use:   "confirm PATIENT --version VERSION",
		Short: "Confirm that a patient's rule becomes looser",
		Long: `Confirm the looser rule of a patient, hnd_…, who has named you for that. Ask the
patient, by voice, whether it is meant. VERSION is that which the patient was told.`,
		Args: arguments(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			patient, err := emr.ParseID[emr.Handle]("patient", args[0])
			if err != nil {
				return err
			}
			if version == 0 {
				return emr.Invalid("version", "must be given: the patient sees it with emrys access rule show")
			}
			return a.withClient(func(c *client.Client) error {
				receipt, err := c.ConfirmGrantRule(cmd.Context(), patient, version)
				if err != nil {
					return err
				}
				return a.receipt(receipt, "Confirmed", "")
			})
		},
	}
	c.Flags().Uint32Var(&version, "version", 0, "the version that the patient sees")
	return c
}
