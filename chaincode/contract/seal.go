// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package contract

import (
	"github.com/emrys-health/emrys/chaincode/ledger"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// SealReadings is ledger.SealReadings.
func (c *Contract) SealReadings(ctx *Context, args ledgerapi.SealReadingsArgs) (*ledgerapi.Receipt, error) {
	return administer(ctx, ledgerapi.SealReadings, args, ledger.SealReadings)
}

// GetSeal is ledger.GetSeal.
func (c *Contract) GetSeal(ctx *Context, q ledgerapi.SealQuery) (*emr.Seal, error) {
	return ask(ctx, ledgerapi.GetSeal, q, ledger.GetSeal)
}

// ListSeals is ledger.ListSeals.
func (c *Contract) ListSeals(ctx *Context, q ledgerapi.SealsQuery) (*ledgerapi.SealPage, error) {
	return ask(ctx, ledgerapi.ListSeals, q, ledger.ListSeals)
}

// ProveSealed is ledger.ProveSealed.
func (c *Contract) ProveSealed(ctx *Context, q ledgerapi.SealedQuery) (*emr.Inclusion, error) {
	return ask(ctx, ledgerapi.ProveSealed, q, ledger.ProveSealed)
}

// ListUnsealed is ledger.ListUnsealed.
func (c *Contract) ListUnsealed(ctx *Context, q ledgerapi.UnsealedQuery) (*ledgerapi.UnsealedPage, error) {
	return ask(ctx, ledgerapi.ListUnsealed, q, ledger.ListUnsealed)
}
