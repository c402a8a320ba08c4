// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/emrys-health/emrys/pkg/client"
	"github.com/emrys-health/emrys/pkg/emr"
)

func (a *app) keyRecoverCommand() *cobra.Command {
	return group("recover", "Bring the keys back on a new device", a.recoverStartCommand(), a.recoverFinishCommand(), a.recoverPaperCommand())
}

func (a *app) recoverStartCommand() *cobra.Command {
	var owner, out string
	c := &cobra.Command{
		Use:   "start --owner ID -o FILE",
		Short: "Make a request for your guardians",
		Long: `Make a request that your guardians answer with their shares, and show the six
words by which they know that it is yours. Run again, it gives the same request
for as long as that may be answered (7 days).`,
		Args: arguments(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			dir, err := a.profileDir()
			if err != nil {
				return err
			}
			device, err := os.Hostname()
			if err != nil {
				device = ""
			}
			r, err := client.StartRecovery(dir, owner, device, time.Now())
			if err != nil {
				return err
			}
			if err := a.writeNew(out, r.Bytes()); err != nil {
				return err
			}
			result := map[string]any{"owner": r.Owner, "words": r.Words(), "expires": emr.TimeOf(r.Expires), "file": out}
			return a.result(result, func(w io.Writer) {
				fields(w, "Request of", r.Owner, "Words", strings.Join(r.Words(), " "), "Answer until", when(emr.TimeOf(r.Expires)), "Wrote", out,
					"Next", "send the file to your guardians and read them the words yourself; then: emrys key recover finish ANSWER… --expect FINGERPRINT")
			})
		},
	}
	c.Flags().StringVar(&owner, "owner", "", "your id, as the backup names it (pat_… or cli_…)")
	mustGive(c, "owner")
	outputFlag(c, &out, "file to write")
	return c
}

func (a *app) recoverFinishCommand() *cobra.Command {
	var expect string
	c := &cobra.Command{
		Use:   "finish ANSWER…",
		Short: "Combine the guardians' answers and write the keys",
		Long: `Combine the guardians' answers and write the keys.

Whoever saw your request can make up a whole backup and the answers to it. Only
the fingerprint of your own key tells yours from theirs: give it with --expect,
from an old card, from the output of emrys key show, or from your hospital's
registrar. If you have it from nowhere, give --expect none, and compare the
fingerprint that is shown with the registrar's before you use the keys.`,
		Args: arguments(cobra.MinimumNArgs(1)),
		RunE: func(_ *cobra.Command, args []string) error {
			answers := make([][]byte, len(args))
			for i, path := range args {
				var err error
				if answers[i], err = a.readSmall(path); err != nil {
					return err
				}
			}
			return a.recovered(func(dir string, passphrase []byte) (*client.Recovered, error) {
				return client.FinishRecovery(dir, passphrase, answers, expect)
			})
		},
	}
	expectFlag(c, &expect)
	mustGive(c, "expect")
	return c
}

func (a *app) recoverPaperCommand() *cobra.Command {
	var expect string
	c := &cobra.Command{
		Use:   "paper FILE",
		Short: "Write the keys that a paper key gives (- reads the words from the terminal)",
		Args:  arguments(cobra.ExactArgs(1)),
		RunE: func(_ *cobra.Command, args []string) error {
			sheet, err := a.readSmall(args[0])
			if err != nil {
				return err
			}
			defer clear(sheet)
			return a.recovered(func(dir string, passphrase []byte) (*client.Recovered, error) {
				return client.RecoverFromPaper(dir, passphrase, string(sheet), expect)
			})
		},
	}
	expectFlag(c, &expect)
	return c
}

func expectFlag(c *cobra.Command, expect *string) {
	c.Flags().StringVar(expect, "expect", "", "fingerprint that the recovered key must have, or none")
}

// recovered runs a recovery into the profile and shows what came back.
func (a *app) recovered(run func(dir string, passphrase []byte) (*client.Recovered, error)) error {
	dir, err := a.profileDir()
	if err != nil {
		return err
	}
	passphrase, err := a.newPassphrase()
	if err != nil {
		return err
	}
	defer clear(passphrase)
	r, err := run(dir, passphrase)
	if err != nil {
		return err
	}
	return a.result(r, func(w io.Writer) {
		fields(w, "Recovered", r.Owner, "Seed serves", epochs(r.Generations), "Sealed to", r.Hybrid,
			"Refused", strings.Join(r.Refused, ", "), "Keys", dir,
			"Next", "compare the fingerprint with an old card; the keys that sign are new: ask your registrar for an invitation")
	})
}
