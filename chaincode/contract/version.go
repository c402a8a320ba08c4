// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package contract

import (
	"github.com/emrys-health/emrys/chaincode/ledger"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// GetContract is ledger.GetContract.
func (c *Contract) GetContract(ctx *Context, q ledgerapi.Empty) (*ledgerapi.ContractView, error) {
	return ask(ctx, ledgerapi.GetContract, q, ledger.GetContract)
}
