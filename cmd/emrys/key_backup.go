// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/emrys-health/emrys/pkg/client"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/pre/recovery"
)

type backupFlags struct {
	paper     bool
	guardians []string
	threshold int
	out       string
}

func (a *app) keyBackupCommand() *cobra.Command {
	var f backupFlags
	c := &cobra.Command{
		Use:   "backup (--paper -o FILE | --guardian CARD… --threshold T -o DIR)",
		Short: "Back up the seed on paper, or among guardians",
		Long: `Back up the seed from which every key of your records follows.

On paper: words that you write down or print and lock away. Whoever has them can,
with the hospitals' proxies, read every record.

Among guardians: people or organisations you trust, each of whom keeps a sealed
file. Any T of them together bring the seed back, fewer learn nothing. The people
of one hospital may not suffice. Compare each card's fingerprint with its owner
before you use it.`,
		Example: "  emrys key backup --paper -o words.txt\n  emrys key backup --guardian ann.card --guardian ben.card --guardian eve.card --threshold 2 -o packages",
		Args:    arguments(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			if f.paper == (len(f.guardians) > 0) {
				return emr.Invalid("guardian", "say either --paper or --guardian CARD")
			}
			return a.withKeys(func(k *client.KeyRing) error {
				if f.paper {
					return a.backupToPaper(k, f.out)
				}
				return a.backupToGuardians(k, f)
			})
		},
	}
	c.Flags().BoolVar(&f.paper, "paper", false, "write words for paper")
	c.Flags().StringArrayVar(&f.guardians, "guardian", nil, "a guardian's card; may be repeated")
	c.Flags().IntVar(&f.threshold, "threshold", 2, "how many guardians bring the seed back")
	outputFlag(c, &f.out, "file of the words (- for the terminal), or folder for the guardians' packages")
	return c
}

func (a *app) backupToPaper(k *client.KeyRing, out string) error {
	sheet, err := k.Paper()
	if err != nil {
		return err
	}
	if out == "-" {
		if a.json {
			return emr.Invalid("output", "words are not written as JSON; name a file with -o")
		}
		_, err := io.WriteString(a.stdout, sheet)
		return err
	}
	if err := a.writeNew(out, []byte(sheet)); err != nil {
		return err
	}
	s, err := k.State()
	if err != nil {
		return err
	}
	return a.result(map[string]any{"file": out, "check": s.Check, "generations": s.Generations}, func(w io.Writer) {
		fields(w, "Wrote", out, "Check", s.Check, "Next", "print it, lock the paper away, and delete the file")
	})
}

// guardianPackage is one file of a backup.
type guardianPackage struct {
	Guardian    string `json:"guardian"`
	Fingerprint string `json:"fingerprint"`
	File        string `json:"file"`
}

func (a *app) backupToGuardians(k *client.KeyRing, f backupFlags) error {
	var cards []*client.Card
	for _, path := range f.guardians {
		content, err := a.readSmall(path)
		if err != nil {
			return err
		}
		card, err := client.ParseCard(content)
		if err != nil {
			return err
		}
		cards = append(cards, card)
	}
	packages, err := k.Backup(cards, f.threshold, time.Now())
	if err != nil {
		return err
	}
	if err := os.MkdirAll(f.out, 0o700); err != nil {
		return emr.Wrap(emr.CodeInvalid, "cannot make the folder "+f.out, err)
	}
	written := make([]guardianPackage, len(packages))
	for i, p := range packages {
		path := filepath.Join(f.out, fmt.Sprintf("package-%d.bin", i+1))
		if err := a.writeNew(path, p.Sealed); err != nil {
			return err
		}
		written[i] = guardianPackage{p.Guardian, cards[i].Fingerprint(), path}
	}
	return a.result(map[string]any{"threshold": f.threshold, "packages": written}, func(w io.Writer) {
		rows := make([][]string, len(written))
		for i, p := range written {
			rows[i] = []string{p.Guardian, p.Fingerprint, p.File}
		}
		table(w, []string{"GUARDIAN", "FINGERPRINT", "PACKAGE"}, rows)
		fmt.Fprintf(w, "Any %d of them bring the seed back. Give each package to its guardian, who checks it with: emrys key guard FILE\n", f.threshold)
	})
}

// keptPackage is what a guardian sees of a package.
type keptPackage struct {
	Owner     string            `json:"owner"`
	Created   emr.Time          `json:"created"`
	Threshold int               `json:"threshold"`
	Guardians []recovery.Member `json:"guardians"`
}

func (a *app) keyGuardCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "guard PACKAGE",
		Short: "Check a package that somebody gave you to keep",
		Args:  arguments(cobra.ExactArgs(1)),
		RunE: func(_ *cobra.Command, args []string) error {
			return a.withPackage(args[0], func(p *recovery.Package) error {
				kept := keptPackage{p.Owner(), emr.TimeOf(p.Created()), p.Threshold(), p.Guardians()}
				return a.result(kept, func(w io.Writer) {
					fields(w, "Package of", kept.Owner, "Made", when(kept.Created), "You are", p.Self().ID,
						"Brought back by", fmt.Sprintf("%d of %d guardians", kept.Threshold, len(kept.Guardians)),
						"Next", "keep the file; it is of use only with your keys")
				})
			})
		},
	}
}

func (a *app) withPackage(path string, do func(*recovery.Package) error) error {
	content, err := a.readSmall(path)
	if err != nil {
		return err
	}
	return a.withKeys(func(k *client.KeyRing) error {
		p, err := k.OpenPackage(content)
		if err != nil {
			return err
		}
		return do(p)
	})
}

func (a *app) keyAnswerCommand() *cobra.Command {
	var file, out, words string
	c := &cobra.Command{
		Use:   "answer REQUEST --package FILE --words \"…\" -o FILE",
		Short: "Give your share to the new device of somebody whose guardian you are",
		Long: `Answer a recovery request with your share of somebody's seed.

Be sure who asks. Call the person, on a number you know, or meet: let them read
the six words that their new device shows, and type them with --words. Without
--words the command shows who asks and answers nothing.`,
		Args: arguments(cobra.ExactArgs(1)),
		RunE: func(_ *cobra.Command, args []string) error {
			content, err := a.readSmall(args[0])
			if err != nil {
				return err
			}
			r, err := client.ParseRecoveryRequest(content)
			if err != nil {
				return err
			}
			if strings.Join(strings.Fields(strings.ToLower(words)), " ") != strings.Join(r.Words(), " ") {
				return emr.E(emr.CodeForbidden, "these are not the six words of the request by "+r.Owner+" ("+r.Device+
					"), so nothing was answered; hear them from the person, not from the file, and give them with --words")
			}
			return a.withPackage(file, func(p *recovery.Package) error {
				answer, err := client.Answer(p, r, time.Now())
				if err != nil {
					return err
				}
				if err := a.writeNew(out, answer); err != nil {
					return err
				}
				return a.result(map[string]string{"owner": r.Owner, "file": out}, func(w io.Writer) {
					fields(w, "Answered", r.Owner, "Wrote", out, "Next", "send the file; only the new device can open it")
				})
			})
		},
	}
	c.Flags().StringVar(&file, "package", "", "the package that you keep")
	c.Flags().StringVar(&words, "words", "", "the six words, as the person read them to you")
	mustGive(c, "package", "words")
	outputFlag(c, &out, "file to write")
	return c
}
