// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package contract

import (
	"github.com/emrys-health/emrys/chaincode/ledger"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// CloseFounding is ledger.CloseFounding.
func (c *Contract) CloseFounding(ctx *Context, args ledgerapi.Empty) (*ledgerapi.Receipt, error) {
	return administer(ctx, ledgerapi.CloseFounding, args, ledger.CloseFounding)
}

// Propose is ledger.Propose.
func (c *Contract) Propose(ctx *Context, args ledgerapi.ProposeArgs) (*ledgerapi.Receipt, error) {
	return administer(ctx, ledgerapi.Propose, args, ledger.Propose)
}

// CastVote is ledger.CastVote.
func (c *Contract) CastVote(ctx *Context, args ledgerapi.CastVoteArgs) (*ledgerapi.Receipt, error) {
	return administer(ctx, ledgerapi.CastVote, args, ledger.CastVote)
}

// GetConstitution is ledger.GetConstitution.
func (c *Contract) GetConstitution(ctx *Context, q ledgerapi.Empty) (*ledgerapi.ConstitutionView, error) {
	return ask(ctx, ledgerapi.GetConstitution, q, ledger.GetConstitution)
}

// GetProposal is ledger.GetProposal.
func (c *Contract) GetProposal(ctx *Context, q ledgerapi.ProposalQuery) (*emr.Proposal, error) {
	return ask(ctx, ledgerapi.GetProposal, q, ledger.GetProposal)
}

// ListProposals is ledger.ListProposals.
func (c *Contract) ListProposals(ctx *Context, q ledgerapi.ListQuery) (*ledgerapi.ProposalPage, error) {
	return ask(ctx, ledgerapi.ListProposals, q, ledger.ListProposals)
}

// GetRelease is ledger.GetRelease.
func (c *Contract) GetRelease(ctx *Context, q ledgerapi.ReleaseQuery) (*emr.PublishedRelease, error) {
	return ask(ctx, ledgerapi.GetRelease, q, ledger.GetRelease)
}
