// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package contract

import (
	"github.com/emrys-health/emrys/chaincode/ledger"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// RegisterRecord is ledger.RegisterRecord.
func (c *Contract) RegisterRecord(ctx *Context) (*ledgerapi.Receipt, error) {
	return submit(ctx, ledgerapi.RegisterRecord, ledger.RegisterRecord)
}

// GetRecord is ledger.GetRecord.
func (c *Contract) GetRecord(ctx *Context, q ledgerapi.RecordQuery) (*emr.Record, error) {
	return ask(ctx, ledgerapi.GetRecord, q, ledger.GetRecord)
}

// GetManifest is ledger.GetManifest.
func (c *Contract) GetManifest(ctx *Context, q ledgerapi.RecordQuery) (*ledgerapi.ManifestView, error) {
	return ask(ctx, ledgerapi.GetManifest, q, ledger.GetManifest)
}

// SearchRecords is ledger.SearchRecords.
func (c *Contract) SearchRecords(ctx *Context, q ledgerapi.SearchQuery) (*ledgerapi.RecordPage, error) {
	return ask(ctx, ledgerapi.SearchRecords, q, ledger.SearchRecords)
}
