// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package contract

import (
	"github.com/emrys-health/emrys/chaincode/ledger"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// RevokeCertificates is ledger.RevokeCertificates.
func (c *Contract) RevokeCertificates(ctx *Context, args ledgerapi.RevokeCertificatesArgs) (*ledgerapi.Receipt, error) {
	return administer(ctx, ledgerapi.RevokeCertificates, args, ledger.RevokeCertificates)
}

// ListRevocations is ledger.ListRevocations.
func (c *Contract) ListRevocations(ctx *Context, q ledgerapi.RevocationQuery) (*ledgerapi.RevocationPage, error) {
	return ask(ctx, ledgerapi.ListRevocations, q, ledger.ListRevocations)
}
