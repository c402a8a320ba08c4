// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package contract

import (
	"github.com/emrys-health/emrys/chaincode/ledger"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// AskAmendment is ledger.AskAmendment.
func (c *Contract) AskAmendment(ctx *Context) (*ledgerapi.Receipt, error) {
	return submit(ctx, ledgerapi.AskAmendment, ledger.AskAmendment)
}

// AnswerAmendment is ledger.AnswerAmendment.
func (c *Contract) AnswerAmendment(ctx *Context) (*ledgerapi.Receipt, error) {
	return submit(ctx, ledgerapi.AnswerAmendment, ledger.AnswerAmendment)
}

// DisputeAmendment is ledger.DisputeAmendment.
func (c *Contract) DisputeAmendment(ctx *Context) (*ledgerapi.Receipt, error) {
	return submit(ctx, ledgerapi.DisputeAmendment, ledger.DisputeAmendment)
}

// HoldRecord is ledger.HoldRecord.
func (c *Contract) HoldRecord(ctx *Context, args ledgerapi.HoldRecordArgs) (*ledgerapi.Receipt, error) {
	return administer(ctx, ledgerapi.HoldRecord, args, ledger.HoldRecord)
}

// GetAmendment is ledger.GetAmendment.
func (c *Contract) GetAmendment(ctx *Context, q ledgerapi.AmendmentQuery) (*emr.Amendment, error) {
	return ask(ctx, ledgerapi.GetAmendment, q, ledger.GetAmendment)
}

// GetAmendmentAction is ledger.GetAmendmentAction.
func (c *Contract) GetAmendmentAction(ctx *Context, q ledgerapi.AmendmentQuery) (*ledgerapi.AmendmentView, error) {
	return ask(ctx, ledgerapi.GetAmendmentAction, q, ledger.GetAmendmentAction)
}

// ListAmendments is ledger.ListAmendments.
func (c *Contract) ListAmendments(ctx *Context, q ledgerapi.PageQuery) (*ledgerapi.AmendmentPage, error) {
	return ask(ctx, ledgerapi.ListAmendments, q, ledger.ListAmendments)
}

// GetHold is ledger.GetHold.
func (c *Contract) GetHold(ctx *Context, q ledgerapi.RecordQuery) (*emr.Hold, error) {
	return ask(ctx, ledgerapi.GetHold, q, ledger.GetHold)
}
