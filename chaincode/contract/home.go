// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package contract

import (
	"github.com/emrys-health/emrys/chaincode/ledger"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// MoveHome is ledger.MoveHome.
func (c *Contract) MoveHome(ctx *Context) (*ledgerapi.Receipt, error) {
	return submit(ctx, ledgerapi.MoveHome, ledger.MoveHome)
}
