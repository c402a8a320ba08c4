// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package network

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"time"

	"github.com/emrys-health/emrys/network/lifecycle"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// closeFounding ends the time in which any member of the channel could register,
// once every organisation of the topology has.
func (n *Network) closeFounding(ctx context.Context) error {
	founder := n.t.Organisations[0].MSP
	for {
		err := n.tryCloseFounding(ctx, founder)
		if err == nil {
			return nil
		}
		if refused := contractError(err); refused != nil && refused.Code != emr.CodeInternal && refused.Code != emr.CodeExists {
			return fmt.Errorf("close the founding: %w", refused)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("close the founding: %w (last: %w)", ctx.Err(), err)
		case <-time.After(retryInterval):
		}
	}
}

func (n *Network) tryCloseFounding(ctx context.Context, founder string) error {
	ctx, cancel := context.WithTimeout(ctx, submitTimeout)
	defer cancel()
	var c ledgerapi.ConstitutionView
	if err := n.govern(ctx, founder, ledgerapi.GetConstitution, ledgerapi.Empty{}, &c); err != nil || c.Constitution.Founded != 0 {
		return err
	}
	return n.govern(ctx, founder, ledgerapi.CloseFounding, ledgerapi.Empty{}, &ledgerapi.Receipt{})
}

// govern runs a function of governance as an organisation's administrator, in this administrator's own name.
func (n *Network) govern(ctx context.Context, organisation, function string, args, answer any) error {
	org, found := n.t.Organisation(organisation)
	if !found {
		return emr.Invalid("org", fmt.Sprintf("%q is no organisation of this network", organisation))
	}
	member, err := lifecycle.Open(n.site, n.t, org)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNoNetwork, err)
	}
	defer member.Close()
	argument, err := emr.Canonical(args)
	if err != nil {
		return fmt.Errorf("encode argument: %w", err)
	}
	call := member.Evaluate
	switch function {
	case ledgerapi.CloseFounding, ledgerapi.Propose, ledgerapi.CastVote, ledgerapi.RevokeCertificates:
		call = member.Submit
	}
	raw, err := call(ctx, function, string(argument))
	if err != nil {
		return err
	}
	if err := json.Unmarshal(raw, answer); err != nil {
		return fmt.Errorf("read the answer of %s: %w", function, err)
	}
	return nil
}

// told prefers the contract's own words to those of the way they came.
func told(err error) error {
	if err == nil {
		return nil
	}
	if refused := contractError(err); refused != nil {
		return refused
	}
	return err
}

// Constitution tells what the members have decided of the ledger itself, as an organisation's peers see it.
func (n *Network) Constitution(ctx context.Context, organisation string) (*ledgerapi.ConstitutionView, error) {
	var c ledgerapi.ConstitutionView
	return &c, told(n.govern(ctx, organisation, ledgerapi.GetConstitution, ledgerapi.Empty{}, &c))
}

// Proposals lists what was put to the members, newest first.
func (n *Network) Proposals(ctx context.Context, organisation string, q ledgerapi.ListQuery) (*ledgerapi.ProposalPage, error) {
	var page ledgerapi.ProposalPage
	return &page, told(n.govern(ctx, organisation, ledgerapi.ListProposals, q, &page))
}

// Proposal returns one proposal with its votes.
func (n *Network) Proposal(ctx context.Context, organisation string, id emr.ProposalID) (*emr.Proposal, error) {
	var p emr.Proposal
	return &p, told(n.govern(ctx, organisation, ledgerapi.GetProposal, ledgerapi.ProposalQuery{Proposal: id}, &p))
}

// Propose puts a question to the members as an organisation's administrator, open for life. It returns its id.
func (n *Network) Propose(ctx context.Context, organisation string, subject emr.Subject, life time.Duration) (emr.ProposalID, error) {
	id, err := emr.GenerateID[emr.ProposalID](rand.Reader)
	if err != nil {
		return "", fmt.Errorf("draw the proposal's id: %w", err)
	}
	args := ledgerapi.ProposeArgs{Proposal: id, Subject: subject, Expires: emr.TimeOf(time.Now()).Add(life)}
	return id, told(n.govern(ctx, organisation, ledgerapi.Propose, args, &ledgerapi.Receipt{}))
}

// CastVote answers a proposal as an organisation's administrator.
func (n *Network) CastVote(ctx context.Context, organisation string, id emr.ProposalID, accept bool) error {
	args := ledgerapi.CastVoteArgs{Proposal: id, Accept: accept}
	return told(n.govern(ctx, organisation, ledgerapi.CastVote, args, &ledgerapi.Receipt{}))
}
