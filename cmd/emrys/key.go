// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/emrys-health/emrys/pkg/client"
	"github.com/emrys-health/emrys/pkg/emr"
)

// maxKeyFile bounds cards, packages, requests, answers and paper keys, in bytes.
const maxKeyFile = 1 << 20

func (a *app) keyCommand() *cobra.Command {
	return group("key", "Back up, recover and rotate the keys of this profile",
		a.keyShowCommand(), a.keyCardCommand(), a.keyBackupCommand(), a.keyGuardCommand(), a.keyAnswerCommand(),
		a.keyRecoverCommand(), a.keyRotateCommand())
}

// withKeys opens the profile's keys, asking for the passphrase when they are sealed and a person is there to ask.
func (a *app) withKeys(do func(k *client.KeyRing) error) error {
	dir, err := a.profileDir()
	if err != nil {
		return err
	}
	passphrase, err := a.passphraseOf(dir)
	if err != nil {
		return err
	}
	defer clear(passphrase)
	k, err := client.OpenKeys(dir, passphrase)
	if err != nil {
		return err
	}
	return do(k)
}

// passphraseOf returns the passphrase of the keys in dir, or nil when they need none.
func (a *app) passphraseOf(dir string) ([]byte, error) {
	given, err := a.passphrase()
	if given != nil || err != nil {
		return given, err
	}
	if state, err := client.HasKeys(dir); err != nil || state != client.KeysSealed {
		return nil, err
	}
	return a.ask("Passphrase: ")
}

func (a *app) keyShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show",
		Short: "Show fingerprints and seed generations",
		Args:  arguments(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			return a.withKeys(func(k *client.KeyRing) error {
				s, err := k.State()
				if err != nil {
					return err
				}
				return a.result(s, func(w io.Writer) {
					fields(w, "Keys of", s.Owner, "Seed serves", epochs(s.Generations), "Paper check", s.Check,
						"Sealed to", s.Hybrid, "Signs as", s.Consent)
				})
			})
		},
	}
}

// epochs says which generation of the seed serves which epochs.
func epochs(from []uint32) string {
	parts := make([]string, len(from))
	for i, f := range from {
		last := "on"
		if i+1 < len(from) {
			last = "to " + strconv.FormatUint(uint64(from[i+1]-1), 10)
		}
		parts[i] = fmt.Sprintf("epochs %d %s", f, last)
	}
	return strings.Join(parts, ", ")
}

func (a *app) keyCardCommand() *cobra.Command {
	var out string
	c := &cobra.Command{
		Use:   "card -o FILE",
		Short: "Write this person's card, for somebody who wants a guardian",
		Long: `Write a card: who you are and the key that a backup is sealed to. It is public.
Read its fingerprint to the other person, so that nobody can slip in a card of their own.`,
		Args: arguments(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			return a.withKeys(func(k *client.KeyRing) error {
				card := k.Card()
				content, err := emr.Canonical(card)
				if err != nil {
					return err
				}
				if err := a.writeNew(out, content); err != nil {
					return err
				}
				result := map[string]string{"id": card.ID, "organisation": card.Organisation, "fingerprint": card.Fingerprint(), "file": out}
				return a.result(result, func(w io.Writer) {
					fields(w, "Card of", card.ID, "Organisation", card.Organisation, "Fingerprint", card.Fingerprint(), "Wrote", out)
				})
			})
		},
	}
	outputFlag(c, &out, "file to write")
	return c
}

func outputFlag(c *cobra.Command, out *string, use string) {
	c.Flags().StringVarP(out, "output", "o", "", use)
	mustGive(c, "output")
}

// mustGive refuses a command line without these flags, as a usage error.
func mustGive(c *cobra.Command, names ...string) {
	before := c.PreRunE
	c.PreRunE = func(c *cobra.Command, args []string) error {
		for _, name := range names {
			if !c.Flags().Changed(name) {
				return emr.Invalid(name, "must be given, see: "+c.CommandPath()+" --help")
			}
		}
		if before != nil {
			return before(c, args)
		}
		return nil
	}
}

func (a *app) keyRotateCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "rotate",
		Short: "Make a new seed for records from now on, and publish its keys",
		Long: `Make a new generation of the seed and publish keys of the next epoch, to which
authors encrypt from then on. Whoever has the old seed, or words on paper of it,
cannot open what is written later. Older records keep their keys.

Run it again if it is interrupted. Then make new backups: the old ones do not
hold the new seed; and give access to new records anew.`,
		Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := a.profileDir()
			if err != nil {
				return err
			}
			passphrase, err := a.passphraseOf(dir)
			if err != nil {
				return err
			}
			defer clear(passphrase)
			r, err := client.Rotate(cmd.Context(), dir, passphrase, client.Options{})
			if err != nil {
				return err
			}
			return a.result(r, func(w io.Writer) {
				fields(w, "New seed", fmt.Sprintf("serves epoch %d on", r.Epoch), "Published", fmt.Sprintf("%d scopes", len(r.Scopes)),
					"Transaction", r.TxID, "Next", "make a new backup: emrys key backup …")
			})
		},
	}
}

// writeNew writes a file of mode 0600 that must not exist yet.
func (a *app) writeNew(path string, content []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return emr.E(emr.CodeExists, path+" exists already; name another file with -o")
	}
	if err != nil {
		return emr.Wrap(emr.CodeInvalid, "cannot write "+path, err)
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return emr.Wrap(emr.CodeInvalid, "cannot write "+path, errors.Join(err, os.Remove(path)))
	}
	return nil
}

// readSmall reads a file, or standard input for "-".
func (a *app) readSmall(path string) ([]byte, error) {
	source := a.stdin
	if path != "-" {
		f, err := os.Open(filepath.Clean(path))
		if errors.Is(err, fs.ErrNotExist) {
			return nil, emr.Wrap(emr.CodeNotFound, "there is no file "+path, err)
		}
		if err != nil {
			return nil, emr.Wrap(emr.CodeInvalid, "cannot read "+path, err)
		}
		defer f.Close()
		source = f
	}
	content, err := io.ReadAll(io.LimitReader(source, maxKeyFile+1))
	if err != nil {
		return nil, emr.Wrap(emr.CodeInvalid, "cannot read "+path, err)
	}
	if len(content) > maxKeyFile {
		return nil, emr.E(emr.CodeTooLarge, path+" is larger than 1 MiB")
	}
	return content, nil
}
