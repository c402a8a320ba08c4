// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package contract

import (
	"github.com/emrys-health/emrys/chaincode/ledger"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// ReplayDecision is ledger.ReplayDecision.
func (c *Contract) ReplayDecision(ctx *Context, q ledgerapi.DisclosureQuery) (*ledgerapi.ReplayView, error) {
	return ask(ctx, ledgerapi.ReplayDecision, q, ledger.ReplayDecision)
}
