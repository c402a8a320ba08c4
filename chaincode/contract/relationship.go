// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package contract

import (
	"github.com/emrys-health/emrys/chaincode/ledger"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// ProposeRelationship is ledger.ProposeRelationship.
func (c *Contract) ProposeRelationship(ctx *Context) (*ledgerapi.Receipt, error) {
	return submit(ctx, ledgerapi.ProposeRelationship, ledger.ProposeRelationship)
}

// AnswerRelationship is ledger.AnswerRelationship.
func (c *Contract) AnswerRelationship(ctx *Context) (*ledgerapi.Receipt, error) {
	return submit(ctx, ledgerapi.AnswerRelationship, ledger.AnswerRelationship)
}

// ListRelationships is ledger.ListRelationships.
func (c *Contract) ListRelationships(ctx *Context, q ledgerapi.PageQuery) (*ledgerapi.RelationshipPage, error) {
	return ask(ctx, ledgerapi.ListRelationships, q, ledger.ListRelationships)
}
