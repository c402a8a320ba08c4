// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package contract

import (
	"github.com/emrys-health/emrys/chaincode/ledger"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// NarrowGrant is ledger.NarrowGrant.
func (c *Contract) NarrowGrant(ctx *Context) (*ledgerapi.Receipt, error) {
	return submit(ctx, ledgerapi.NarrowGrant, ledger.NarrowGrant)
}

// GrantBatch is ledger.GrantBatch.
func (c *Contract) GrantBatch(ctx *Context) (*ledgerapi.GrantBatchReceipt, error) {
	return submit(ctx, ledgerapi.GrantBatch, ledger.GrantBatch)
}

// SetGrantRule is ledger.SetGrantRule.
func (c *Contract) SetGrantRule(ctx *Context) (*ledgerapi.DecisionReceipt, error) {
	return submit(ctx, ledgerapi.SetGrantRule, ledger.SetGrantRule)
}

// ConfirmGrantRule is ledger.ConfirmGrantRule.
func (c *Contract) ConfirmGrantRule(ctx *Context) (*ledgerapi.Receipt, error) {
	return submit(ctx, ledgerapi.ConfirmGrantRule, ledger.ConfirmGrantRule)
}

// ConfirmGrant is ledger.ConfirmGrant.
func (c *Contract) ConfirmGrant(ctx *Context) (*ledgerapi.DecisionReceipt, error) {
	return submit(ctx, ledgerapi.ConfirmGrant, ledger.ConfirmGrant)
}

// SignOff is ledger.SignOff.
func (c *Contract) SignOff(ctx *Context) (*ledgerapi.DecisionReceipt, error) {
	return submit(ctx, ledgerapi.SignOff, ledger.SignOff)
}

// GetGrantRule is ledger.GetGrantRule.
func (c *Contract) GetGrantRule(ctx *Context, q ledgerapi.HandleQuery) (*emr.GrantRule, error) {
	return ask(ctx, ledgerapi.GetGrantRule, q, ledger.GetGrantRule)
}

// GetSignOff is ledger.GetSignOff.
func (c *Contract) GetSignOff(ctx *Context, q ledgerapi.RecordQuery) (*emr.SignOff, error) {
	return ask(ctx, ledgerapi.GetSignOff, q, ledger.GetSignOff)
}

// GetSignOffAction is ledger.GetSignOffAction.
func (c *Contract) GetSignOffAction(ctx *Context, q ledgerapi.RecordQuery) (*ledgerapi.SignOffView, error) {
	return ask(ctx, ledgerapi.GetSignOffAction, q, ledger.GetSignOffAction)
}

// ListSignOffs is ledger.ListSignOffs.
func (c *Contract) ListSignOffs(ctx *Context, q ledgerapi.PageQuery) (*ledgerapi.SignOffPage, error) {
	return ask(ctx, ledgerapi.ListSignOffs, q, ledger.ListSignOffs)
}

// GetInbox is ledger.GetInbox.
func (c *Contract) GetInbox(ctx *Context, q ledgerapi.PageQuery) (*ledgerapi.InboxPage, error) {
	return ask(ctx, ledgerapi.GetInbox, q, ledger.GetInbox)
}
