// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package contract

import (
	"github.com/emrys-health/emrys/chaincode/ledger"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// InspectLog is ledger.InspectLog.
func (c *Contract) InspectLog(ctx *Context) (*ledgerapi.DecisionReceipt, error) {
	return submit(ctx, ledgerapi.InspectLog, ledger.InspectLog)
}

// GetInspection is ledger.GetInspection.
func (c *Contract) GetInspection(ctx *Context, q ledgerapi.InspectionQuery) (*emr.Inspection, error) {
	return ask(ctx, ledgerapi.GetInspection, q, ledger.GetInspection)
}

// ReadLog is ledger.ReadLog.
func (c *Contract) ReadLog(ctx *Context, q ledgerapi.ReadLogQuery) (*ledgerapi.AuditPage, error) {
	return ask(ctx, ledgerapi.ReadLog, q, ledger.ReadLog)
}
