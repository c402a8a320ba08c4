// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"io"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/emrys-health/emrys/pkg/client"
	"github.com/emrys-health/emrys/pkg/emr"
)

// maxInvitation bounds an invitation file in bytes.
const maxInvitation = 1 << 20

func (a *app) joinCommand() *cobra.Command {
	var invite string
	c := &cobra.Command{
		Use:   "join --invite FILE",
		Short: "Become a member with the invitation of a hospital",
		Long: `Make keys on this device, enrol at the hospital's certificate authority and
register on the ledger. The keys never leave this device.

A join that was interrupted goes on where it stopped when it is run again. The
invitation holds a secret that is good once: remove the file afterwards.`,
		Example: "  emrys join --invite invitation.json\n  emrys join --invite invitation.json --profile ~/.config/emrys/clinic",
		Args:    arguments(cobra.NoArgs),
		RunE:    func(c *cobra.Command, _ []string) error { return a.join(c, invite) },
	}
	c.Flags().StringVar(&invite, "invite", "", "the invitation file")
	return c
}

func (a *app) join(cmd *cobra.Command, invite string) error {
	inv, err := readInvitation(invite)
	if err != nil {
		return err
	}
	dir, err := a.profileDir()
	if err != nil {
		return err
	}
	passphrase, err := a.joinPassphrase(dir)
	if err != nil {
		return err
	}
	defer clear(passphrase)
	c, err := client.Join(cmd.Context(), dir, inv, passphrase, client.Options{}, func(s client.JoinStep) { a.note("%s", s) })
	if err != nil {
		return err
	}
	defer c.Close()
	p := c.Profile()
	id := identityOf(dir, p, c.Certificate())
	return a.result(id, func(w io.Writer) {
		next := "emrys record put FILE --patient PATIENT --class CLASS, or emrys record search --patient PATIENT"
		if p.IsPatient() {
			next = "give " + p.ID + " to your physician; requests appear in: emrys access list"
		}
		writeIdentity(w, id, next)
	})
}

// joinPassphrase asks for a new passphrase unless there are keys already.
func (a *app) joinPassphrase(dir string) ([]byte, error) {
	switch found, err := client.HasKeys(dir); {
	case err != nil:
		return nil, err
	case found == client.KeysSealed:
		given, err := a.passphrase()
		if given != nil || err != nil {
			return given, err
		}
		return a.ask("Passphrase: ")
	case found == client.KeysPlain:
		return nil, nil
	}
	return a.newPassphrase()
}

func readInvitation(path string) (*client.Invitation, error) {
	if path == "" {
		return nil, emr.Invalid("invite", "name the invitation file that the hospital's registrar gave you")
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, emr.Wrap(emr.CodeNotFound, "there is no file "+path, err)
	}
	if err != nil {
		return nil, emr.Wrap(emr.CodeInvalid, "the invitation cannot be opened: "+path, err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxInvitation))
	if err != nil {
		return nil, emr.Wrap(emr.CodeInvalid, "the invitation cannot be read: "+path, err)
	}
	defer clear(data)
	return client.ParseInvitation(data)
}
