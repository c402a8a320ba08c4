// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/emrys-health/emrys/network"
	"github.com/emrys-health/emrys/pkg/emr"
)

func (a *app) revokeCommand() *cobra.Command {
	var org, ground string
	cmd := &cobra.Command{
		Use:   "revoke --org NAME --ground GROUND CERTIFICATE...",
		Short: "Revoke certificates of an organisation's CA on the ledger, for good",
		Long: `Revoke certificates (PEM files) of an organisation's CA on the ledger, for good.

Nobody registers or acts with them from the next block on. An administrator
does not revoke the own certificate. Grounds: ` + grounds() + `.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usageError{errors.New("give one certificate file at least")}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, files []string) error {
			if org == "" || !emr.RevocationGround(ground).Valid() {
				return usageError{errors.New("--org is required, and --ground is one of " + grounds())}
			}
			certificates, err := readCertificates(files)
			if err != nil {
				return usageError{err}
			}
			return a.governs(cmd, &org, func(cmd *cobra.Command, n *network.Network, org string) error {
				receipt, err := n.Revoke(cmd.Context(), org, certificates, emr.RevocationGround(ground))
				if err != nil {
					return err
				}
				if a.json {
					return writeJSON(a.stdout, receipt)
				}
				fmt.Fprintf(a.stderr, "revoked %d certificate(s) of %s\n", len(certificates), org)
				return nil
			})
		},
	}
	orgFlag(cmd, &org, "organisation whose CA has issued them (required)")
	cmd.Flags().StringVar(&ground, "ground", "", "why (required)")
	return cmd
}

func grounds() string {
	var all []string
	for _, g := range emr.RevocationGrounds() {
		all = append(all, string(g))
	}
	return strings.Join(all, ", ")
}

func readCertificates(files []string) ([]*x509.Certificate, error) {
	var certificates []*x509.Certificate
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("read certificate: %w", err)
		}
		block, _ := pem.Decode(text)
		if block == nil || block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("%s holds no PEM certificate", file)
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		certificates = append(certificates, certificate)
	}
	return certificates, nil
}
