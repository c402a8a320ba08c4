// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package network

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// Revoke revokes certificates on the ledger, as the administrator of the
// organisation whose CA has issued them. It is for good.
func (n *Network) Revoke(
	ctx context.Context, organisation string, certificates []*x509.Certificate, ground emr.RevocationGround,
) (*ledgerapi.Receipt, error) {
	org, found := n.t.Organisation(organisation)
	if !found {
		return nil, emr.Invalid("org", fmt.Sprintf("%q is no organisation of this network", organisation))
	}
	var list ledgerapi.OrganisationList
	if err := n.govern(ctx, org.MSP, ledgerapi.GetOrganisations, ledgerapi.Empty{}, &list); err != nil {
		return nil, told(err)
	}
	at := slices.IndexFunc(list.Items, func(o emr.Organisation) bool { return string(o.ID) == org.MSP })
	if at < 0 {
		return nil, emr.E(emr.CodeNotFound, org.ID+" is not registered")
	}
	args, err := revocation(list.Items[at].CACert, certificates, ground)
	if err != nil {
		return nil, err
	}
	var receipt ledgerapi.Receipt
	return &receipt, told(n.govern(ctx, org.MSP, ledgerapi.RevokeCertificates, args, &receipt))
}

// revocation names certificates as the contract does. One of another CA is refused
// here: on the ledger its serial number would stand for a certificate of this one.
func revocation(
	authority string, certificates []*x509.Certificate, ground emr.RevocationGround,
) (*ledgerapi.RevokeCertificatesArgs, error) {
	block, _ := pem.Decode([]byte(authority))
	if block == nil {
		return nil, emr.E(emr.CodeCorrupt, "the registered CA certificate cannot be read")
	}
	ca, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, emr.E(emr.CodeCorrupt, "the registered CA certificate cannot be read")
	}
	args := &ledgerapi.RevokeCertificatesArgs{
		Authority: sha256.Sum256(ca.Raw), Ground: ground, Certificates: []ledgerapi.Certificate{},
	}
	for _, c := range certificates {
		if c.CheckSignatureFrom(ca) != nil {
			return nil, emr.Invalid("certificate", "was not issued by the organisation's CA")
		}
		args.Certificates = append(args.Certificates, ledgerapi.Certificate{Serial: c.SerialNumber.Text(16), Digest: sha256.Sum256(c.Raw)})
	}
	slices.SortFunc(args.Certificates, func(a, b ledgerapi.Certificate) int { return strings.Compare(a.Serial, b.Serial) })
	return args, nil
}
