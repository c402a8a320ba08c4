// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package contract

import (
	"github.com/emrys-health/emrys/chaincode/ledger"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// EraseRecord is ledger.EraseRecord.
func (c *Contract) EraseRecord(ctx *Context) (*ledgerapi.DecisionReceipt, error) {
	return submit(ctx, ledgerapi.EraseRecord, ledger.EraseRecord)
}

// RekeyRecord is ledger.RekeyRecord.
func (c *Contract) RekeyRecord(ctx *Context) (*ledgerapi.DecisionReceipt, error) {
	return submit(ctx, ledgerapi.RekeyRecord, ledger.RekeyRecord)
}

// RollScope is ledger.RollScope.
func (c *Contract) RollScope(ctx *Context) (*ledgerapi.Receipt, error) {
	return submit(ctx, ledgerapi.RollScope, ledger.RollScope)
}

// EraseExpired is ledger.EraseExpired.
func (c *Contract) EraseExpired(ctx *Context, args ledgerapi.EraseExpiredArgs) (*ledgerapi.DecisionReceipt, error) {
	return administer(ctx, ledgerapi.EraseExpired, args, ledger.EraseExpired)
}

// ContinueErasure is ledger.ContinueErasure.
func (c *Contract) ContinueErasure(ctx *Context, args ledgerapi.ContinueErasureArgs) (*ledgerapi.Receipt, error) {
	return administer(ctx, ledgerapi.ContinueErasure, args, ledger.ContinueErasure)
}

// ConfirmErasure is ledger.ConfirmErasure.
func (c *Contract) ConfirmErasure(ctx *Context, args ledgerapi.ConfirmErasureArgs) (*ledgerapi.DecisionReceipt, error) {
	return administer(ctx, ledgerapi.ConfirmErasure, args, ledger.ConfirmErasure)
}

// ReportIntegrity is ledger.ReportIntegrity.
func (c *Contract) ReportIntegrity(ctx *Context, args ledgerapi.ReportIntegrityArgs) (*ledgerapi.Receipt, error) {
	return administer(ctx, ledgerapi.ReportIntegrity, args, ledger.ReportIntegrity)
}

// GetErasure is ledger.GetErasure.
func (c *Contract) GetErasure(ctx *Context, q ledgerapi.ErasureQuery) (*ledgerapi.ErasureView, error) {
	return ask(ctx, ledgerapi.GetErasure, q, ledger.GetErasure)
}

// ListErasures is ledger.ListErasures.
func (c *Contract) ListErasures(ctx *Context, q ledgerapi.ErasuresQuery) (*ledgerapi.ErasurePage, error) {
	return ask(ctx, ledgerapi.ListErasures, q, ledger.ListErasures)
}

// ListLeftovers is ledger.ListLeftovers.
func (c *Contract) ListLeftovers(ctx *Context, q ledgerapi.LeftoversQuery) (*ledgerapi.Leftovers, error) {
	return ask(ctx, ledgerapi.ListLeftovers, q, ledger.ListLeftovers)
}

// IsErased is ledger.IsErased.
func (c *Contract) IsErased(ctx *Context, q ledgerapi.IsErasedQuery) (*ledgerapi.ErasedList, error) {
	return ask(ctx, ledgerapi.IsErased, q, ledger.IsErased)
}

// WhoHasRead is ledger.WhoHasRead.
func (c *Contract) WhoHasRead(ctx *Context, q ledgerapi.WhoHasReadQuery) (*ledgerapi.ReadingPage, error) {
	return ask(ctx, ledgerapi.WhoHasRead, q, ledger.WhoHasRead)
}

// GetRetention is ledger.GetRetention.
func (c *Contract) GetRetention(ctx *Context, q ledgerapi.Empty) (*ledgerapi.RetentionList, error) {
	return ask(ctx, ledgerapi.GetRetention, q, ledger.GetRetention)
}

// CheckIntegrity is ledger.CheckIntegrity.
func (c *Contract) CheckIntegrity(ctx *Context, q ledgerapi.IntegrityQuery) (*ledgerapi.IntegrityView, error) {
	return ask(ctx, ledgerapi.CheckIntegrity, q, ledger.CheckIntegrity)
}

// GetIntegrity is ledger.GetIntegrity.
func (c *Contract) GetIntegrity(ctx *Context, q ledgerapi.RecordQuery) (*ledgerapi.IntegrityList, error) {
	return ask(ctx, ledgerapi.GetIntegrity, q, ledger.GetIntegrity)
}
