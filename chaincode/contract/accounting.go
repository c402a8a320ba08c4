// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package contract

import (
	"github.com/emrys-health/emrys/chaincode/ledger"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// SuspendAccounting is ledger.SuspendAccounting.
func (c *Contract) SuspendAccounting(ctx *Context, args ledgerapi.SuspendAccountingArgs) (*ledgerapi.Receipt, error) {
	return administer(ctx, ledgerapi.SuspendAccounting, args, ledger.SuspendAccounting)
}

// AccountDisclosures is ledger.AccountDisclosures.
func (c *Contract) AccountDisclosures(ctx *Context, q ledgerapi.AccountQuery) (*ledgerapi.AccountPage, error) {
	return ask(ctx, ledgerapi.AccountDisclosures, q, ledger.AccountDisclosures)
}
