// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package emr

import "slices"

// ProposalKind is what the members of the consortium may decide together. The
// list is append-only. The zero value is invalid.
type ProposalKind string

// Kinds of proposal.
const (
	// ProposeAdmission: an organisation may register itself.
	ProposeAdmission ProposalKind = "admit-organisation"
	// ProposeRemoval: an organisation, its gateway and its people act no more.
	ProposeRemoval ProposalKind = "remove-organisation"
	// ProposeStop: a function of the contract is refused.
	ProposeStop ProposalKind = "stop-function"
	// ProposeResume: a stopped function is offered again.
	ProposeResume ProposalKind = "resume-function"
	// ProposeRelease: a build of a product is one that people may run.
	ProposeRelease ProposalKind = "publish-release"
	// ProposeWithdrawal: a release is one that nobody should run any more.
	ProposeWithdrawal ProposalKind = "withdraw-release"
	// ProposeRetention: records of a class are kept for at least, or at most, a time.
	ProposeRetention ProposalKind = "set-retention"
)

// ProposalKinds returns every kind of proposal.
func ProposalKinds() []ProposalKind {
	return []ProposalKind{
		ProposeAdmission, ProposeRemoval, ProposeStop, ProposeResume, ProposeRelease, ProposeWithdrawal,
		// A patient's home.
		ProposeHomeRelease,
		ProposeRetention,
	}
}

// ParseProposalKind takes text for a kind of proposal.
func ParseProposalKind(field, text string) (ProposalKind, error) {
	if k := ProposalKind(text); slices.Contains(ProposalKinds(), k) {
		return k, nil
	}
	return "", Invalid(field, "is not a kind of proposal")
}

// Subject is what a proposal is about. The kind tells which fields are set; the others are zero.
type Subject struct {
	Kind ProposalKind `json:"kind"`
	// Organisation to admit or remove, or from which to release a patient, with the kind and the SHA-256 of the CA certificate (DER) of one to admit.
	Organisation OrgID   `json:"organisation"`
	OrgKind      OrgKind `json:"orgKind"`
	Authority    Digest  `json:"authority"`
	// Function to stop or resume.
	Function string `json:"function"`
	// Release to publish, or whose Digest alone to withdraw.
	Release Release `json:"release"`
	// Patient to release from the home hospital Organisation.
	Patient Handle `json:"patient,omitempty"`
	// Retention to set; with neither bound the class has no rule any more.
	Retention RetentionRule `json:"retention,omitzero"`
}

// Release is a build of a product that people run: a digest that anybody can compare with what a server hands out.
type Release struct {
	Product string `json:"product"` // lower-case name, such as portal
	Version string `json:"version"`
	Digest  Digest `json:"digest"` // SHA-256 of the bundle
}

// ProposalStatus is the state of a proposal. One that is open after its time is expired; nothing has to say so.
type ProposalStatus string

// States of a proposal.
const (
	ProposalOpen     ProposalStatus = "open"
	ProposalAccepted ProposalStatus = "accepted"
	ProposalRejected ProposalStatus = "rejected"
)

// Vote is one organisation's answer to a proposal. It is given once.
type Vote struct {
	Org    OrgID `json:"org"`
	Accept bool  `json:"accept"`
	At     Time  `json:"at"`
}

// Proposal is a question to the members of the consortium. Key: ProposalID.
type Proposal struct {
	V       int            `json:"v"`
	ID      ProposalID     `json:"id"`
	Subject Subject        `json:"subject"`
	By      OrgID          `json:"by"`
	Votes   []Vote         `json:"votes"` // in the order in which they were given, the proposer's first
	Status  ProposalStatus `json:"status"`
	Made    Time           `json:"made"`
	Expires Time           `json:"expires"`
	Decided Time           `json:"decided"`
}

// Admission allows an organisation to register. Key: OrgID.
type Admission struct {
	V            int        `json:"v"`
	Organisation OrgID      `json:"organisation"`
	Kind         OrgKind    `json:"kind"`
	Authority    Digest     `json:"authority"` // SHA-256 of the CA certificate (DER)
	Proposal     ProposalID `json:"proposal"`
	Admitted     Time       `json:"admitted"`
}

// PublishedRelease is a release that the members have published. Key: Digest.
type PublishedRelease struct {
	V         int     `json:"v"`
	Release   Release `json:"release"`
	Approvals []OrgID `json:"approvals"` // sorted
	Published Time    `json:"published"`
	Withdrawn Time    `json:"withdrawn"` // zero while it may be run
}

// Constitution is what the members have decided of the ledger itself. It has one key.
type Constitution struct {
	V int `json:"v"`
	// Founded is when the founding ended; zero while every channel member may still register.
	Founded Time `json:"founded"`
	// Stopped lists the functions that are refused, sorted.
	Stopped []string `json:"stopped"`
}
