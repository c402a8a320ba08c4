// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package contract

import (
	"github.com/emrys-health/emrys/chaincode/ledger"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// NameDelegate is ledger.NameDelegate.
func (c *Contract) NameDelegate(ctx *Context) (*ledgerapi.Receipt, error) {
	return submit(ctx, ledgerapi.NameDelegate, ledger.NameDelegate)
}

// EndDelegation is ledger.EndDelegation.
func (c *Contract) EndDelegation(ctx *Context) (*ledgerapi.Receipt, error) {
	return submit(ctx, ledgerapi.EndDelegation, ledger.EndDelegation)
}

// ListDelegations is ledger.ListDelegations.
func (c *Contract) ListDelegations(ctx *Context, q ledgerapi.PageQuery) (*ledgerapi.DelegationPage, error) {
	return ask(ctx, ledgerapi.ListDelegations, q, ledger.ListDelegations)
}
