// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/emrys-health/emrys/network"
	"github.com/emrys-health/emrys/pkg/emr"
)

const inviteTimeout = 30 * time.Second

type inviteFlags struct {
	org, role, level, licence, department, label, out string
}

// invited is the public part of an invitation.
type invited struct {
	ID    string   `json:"id"`
	Org   string   `json:"org"`
	Role  emr.Role `json:"role"`
	Label string   `json:"label,omitempty"`
	File  string   `json:"file"`
}

func (a *app) inviteCommand() *cobra.Command {
	var flags inviteFlags
	cmd := &cobra.Command{
		Use:   "invite --org NAME --role ROLE -o FILE",
		Short: "Invite a person: register a pseudonym and write an invitation",
		Long: `Invite a person: register a fresh pseudonym with the organisation's certificate
authority and write an invitation that is good for one enrolment.

What the invitation makes the person's device trust, the certificate authorities of
all organisations and their revocation lists, is that of today: a peer of the
organisation is asked for the channel's configuration.

The file holds a secret: hand it to the person only. A label is shown here and
nowhere else; keep the map from person to pseudonym yourself.`,
		Example: "  emrysctl invite --org HospA --role patient -o patient.json\n" +
			"  emrysctl invite --org HospB --role physician --level private --licence KR-1234 -o physician.json",
		Args: exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.invite(cmd, flags) },
	}
	f := cmd.Flags()
	f.StringVar(&flags.org, "org", "", "organisation: its name, id or MSP id (required)")
	f.StringVar(&flags.role, "role", "", "patient, physician, nurse, researcher, insurer, auditor or privacy-officer (required)")
	f.StringVar(&flags.level, "level", "", "highest security level: low, moderate or private (default by role)")
	f.StringVar(&flags.licence, "licence", "", "professional licence number")
	f.StringVar(&flags.department, "department", "", "department")
	f.StringVar(&flags.label, "label", "", "your own note, not stored")
	f.StringVarP(&flags.out, "out", "o", "", "file of the invitation (required)")
	return cmd
}

func (a *app) invite(cmd *cobra.Command, flags inviteFlags) error {
	if flags.org == "" || flags.role == "" || flags.out == "" {
		return usageError{errors.New("--org, --role and --out are required")}
	}
	n, err := a.open()
	if err != nil {
		return err
	}
	// First: a person must not be registered for an invitation that is lost.
	file, err := os.OpenFile(flags.out, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return usageError{fmt.Errorf("make the invitation's file, which must not exist: %w", err)}
	}
	ctx, cancel := contextWithTimeout(cmd, inviteTimeout)
	defer cancel()
	invitation, err := n.Invite(ctx, flags.org, network.Person{
		Role: emr.Role(flags.role), Level: emr.Level(flags.level), Licence: flags.licence, Department: flags.department,
	})
	if err == nil {
		err = writeJSON(file, invitation)
	}
	if err = errors.Join(err, file.Close()); err != nil {
		_ = os.Remove(flags.out)
		return err
	}
	public := invited{ID: invitation.ID, Org: invitation.Org, Role: invitation.Role, Label: flags.label, File: flags.out}
	if a.json {
		return writeJSON(a.stdout, public)
	}
	fmt.Fprintf(a.stderr, "invited %s %s of %s: %s\n", public.Role, public.ID, public.Org, public.File)
	return nil
}
