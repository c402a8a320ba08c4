// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package contract

import (
	"github.com/emrys-health/emrys/chaincode/ledger"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// AuditByPatient is ledger.AuditByPatient.
func (c *Contract) AuditByPatient(ctx *Context, q ledgerapi.PageQuery) (*ledgerapi.AuditPage, error) {
	return ask(ctx, ledgerapi.AuditByPatient, q, ledger.AuditByPatient)
}

// AuditByRecord is ledger.AuditByRecord.
func (c *Contract) AuditByRecord(ctx *Context, q ledgerapi.PageQuery) (*ledgerapi.AuditPage, error) {
	return ask(ctx, ledgerapi.AuditByRecord, q, ledger.AuditByRecord)
}

// GetAuditHead is ledger.GetAuditHead.
func (c *Contract) GetAuditHead(ctx *Context, q ledgerapi.HandleQuery) (*emr.AuditHead, error) {
	return ask(ctx, ledgerapi.GetAuditHead, q, ledger.GetAuditHead)
}

// GetAction is ledger.GetAction.
func (c *Contract) GetAction(ctx *Context, q ledgerapi.ActionQuery) (*ledgerapi.ActionView, error) {
	return ask(ctx, ledgerapi.GetAction, q, ledger.GetAction)
}
