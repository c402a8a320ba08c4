// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/x509"
	"io"

	"github.com/spf13/cobra"

	"github.com/emrys-health/emrys/pkg/client"
	"github.com/emrys-health/emrys/pkg/emr"
)

// identity is who a profile is.
type identity struct {
	ID       string     `json:"id"`
	Handle   emr.Handle `json:"handle,omitempty"`
	Role     emr.Role   `json:"role"`
	Org      emr.OrgID  `json:"org"`
	Gateway  string     `json:"gateway"`
	Channel  string     `json:"channel"`
	Joined   bool       `json:"joined"`
	NotAfter emr.Time   `json:"notAfter"` // of the certificate
	Sealed   bool       `json:"sealed"`
	Profile  string     `json:"profile"`
}

func identityOf(dir string, p *client.Profile, certificate *x509.Certificate) identity {
	keys, _ := client.HasKeys(dir) // shown, not relied on
	id := identity{
		ID: p.ID, Handle: p.Handle, Role: p.Role, Org: p.Org, Gateway: p.Gateway, Channel: p.Channel, Joined: p.Joined(),
		Sealed: keys == client.KeysSealed, Profile: dir,
	}
	if certificate != nil {
		id.NotAfter = emr.TimeOf(certificate.NotAfter)
	}
	return id
}

func (a *app) whoamiCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "whoami",
		Short: "Show who this profile is",
		Args:  arguments(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			dir, err := a.profileDir()
			if err != nil {
				return err
			}
			p, err := client.LoadProfile(dir)
			if err != nil {
				return err
			}
			certificate, err := client.LoadCertificate(dir)
			if err != nil && emr.CodeOf(err) != emr.CodeNotFound {
				return err
			}
			id := identityOf(dir, p, certificate)
			return a.result(id, func(w io.Writer) {
				next := ""
				if !id.Joined {
					next = "finish the join: emrys join --invite FILE"
				}
				writeIdentity(w, id, next)
			})
		},
	}
}

func writeIdentity(w io.Writer, id identity, next string) {
	keys := "unsealed (anyone who can read the disk can use them)"
	if id.Sealed {
		keys = "sealed with a passphrase"
	}
	fields(w,
		"You are", id.ID, "Role", string(id.Role), "Organisation", string(id.Org), "On the ledger", string(id.Handle),
		"Gateway", id.Gateway, "Certificate", until(id.NotAfter), "Keys", keys, "Profile", id.Profile, "Next", next)
}

func until(t emr.Time) string {
	if t.IsZero() {
		return ""
	}
	return "until " + when(t)
}
