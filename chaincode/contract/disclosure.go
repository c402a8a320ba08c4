// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package contract

import (
	"github.com/emrys-health/emrys/chaincode/ledger"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// Disclose is ledger.Disclose.
func (c *Contract) Disclose(ctx *Context) (*ledgerapi.DecisionReceipt, error) {
	return submit(ctx, ledgerapi.Disclose, ledger.Disclose)
}

// RecordAttempt is ledger.RecordAttempt.
func (c *Contract) RecordAttempt(ctx *Context) (*ledgerapi.DecisionReceipt, error) {
	return submit(ctx, ledgerapi.RecordAttempt, ledger.RecordAttempt)
}

// DiscloseBatch is ledger.DiscloseBatch.
func (c *Contract) DiscloseBatch(ctx *Context) (*ledgerapi.BatchReceipt, error) {
	s, err := newSubmission(ctx.stub)
	if err != nil {
		return nil, wire(ledgerapi.DiscloseBatch, err)
	}
	actions, err := transientField(ctx.stub, ledgerapi.TransientActions)
	if err != nil {
		return nil, wire(ledgerapi.DiscloseBatch, err)
	}
	answer, err := ledger.DiscloseBatch(s, actions)
	return answer, wire(ledgerapi.DiscloseBatch, err)
}

// CheckTicket is ledger.CheckTicket.
func (c *Contract) CheckTicket(ctx *Context, q ledgerapi.CheckTicketQuery) (*ledgerapi.Ticket, error) {
	return ask(ctx, ledgerapi.CheckTicket, q, ledger.CheckTicket)
}

// GetDisclosure is ledger.GetDisclosure.
func (c *Contract) GetDisclosure(ctx *Context, q ledgerapi.DisclosureQuery) (*emr.Disclosure, error) {
	return ask(ctx, ledgerapi.GetDisclosure, q, ledger.GetDisclosure)
}
