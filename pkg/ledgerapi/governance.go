// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledgerapi

import "github.com/emrys-health/emrys/pkg/emr"

// ProposeArgs puts a question to the members. It is the caller's vote for it, too.
type ProposeArgs struct {
	Proposal emr.ProposalID `json:"proposal"`
	Subject  emr.Subject    `json:"subject"`
	Expires  emr.Time       `json:"expires"`
}

// CastVoteArgs answers a question.
type CastVoteArgs struct {
	Proposal emr.ProposalID `json:"proposal"`
	Accept   bool           `json:"accept"`
}

// ConstitutionView is what the members have decided of the ledger itself, and the rules that this peer executes.
type ConstitutionView struct {
	Constitution    emr.Constitution `json:"constitution"`
	ContractVersion int              `json:"contractVersion"`
	Members         []emr.OrgID      `json:"members"` // sorted
}

// ProposalQuery names a proposal.
type ProposalQuery struct {
	Proposal emr.ProposalID `json:"proposal"`
}

// ListQuery lists things that have no owner.
type ListQuery struct {
	Limit    int    `json:"limit"`
	Bookmark string `json:"bookmark"`
}

// ReleaseQuery names a bundle by its SHA-256.
type ReleaseQuery struct {
	Digest emr.Digest `json:"digest"`
}

// ProposalPage is a page of proposals, newest first.
type ProposalPage struct {
	Items    []emr.Proposal `json:"items"`
	Bookmark string         `json:"bookmark"`
}
