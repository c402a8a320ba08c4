// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"time"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

const day = 24 * time.Hour

// CloseFounding ends the time in which every channel member may register as an
// organisation. From then on the members decide who joins. It cannot be undone.
func CloseFounding(s State, _ ledgerapi.Empty) (*ledgerapi.Receipt, error) {
	member, err := callingMember(s)
	if err != nil {
		return nil, err
	}
	members, err := roster(s)
	if err != nil {
		return nil, err
	}
	if len(members) < ledgerapi.MinMembers {
		return nil, emr.E(emr.CodeRule, fmt.Sprintf("a consortium has at least %d members", ledgerapi.MinMembers))
	}
	c, err := constitution(s)
	if err != nil {
		return nil, err
	}
	if c.Founded != 0 {
		return nil, emr.E(emr.CodeExists, "the founding is over already")
	}
	c.Founded = s.Now()
	return receipt(s, string(member.ID)), put(s, ledgerapi.ConstitutionKey(), c)
}

// Propose puts a question to the members. The proposer's is the first vote for it.
func Propose(s State, args ledgerapi.ProposeArgs) (*ledgerapi.Receipt, error) {
	member, err := callingMember(s)
	if err != nil {
		return nil, err
	}
	if err := checkProposalTime(s, &args); err != nil {
		return nil, err
	}
	if err := checkSubject(s, &args.Subject); err != nil {
		return nil, err
	}
	if err := mayVote(&args.Subject, member.ID); err != nil {
		return nil, err
	}
	p := &emr.Proposal{
		V: emr.DocumentVersion, ID: args.Proposal, Subject: args.Subject, By: member.ID, Status: emr.ProposalOpen,
		Made: s.Now(), Expires: args.Expires, Votes: []emr.Vote{},
	}
	index := ledgerapi.Index(ledgerapi.TypeProposals, allProposals, s.Now(), s.Nanos(), string(p.ID))
	if err := putID(s, index, string(p.ID)); err != nil {
		return nil, err
	}
	return vote(s, p, member.ID, true, ledgerapi.EventProposed)
}

// allProposals is the owner of the index of proposals.
const allProposals = "all"

// CastVote answers an open proposal, once for each member. The vote that makes a
// majority of the members, for or against, decides it and takes effect with it.
func CastVote(s State, args ledgerapi.CastVoteArgs) (*ledgerapi.Receipt, error) {
	member, err := callingMember(s)
	if err != nil {
		return nil, err
	}
	if err := emr.CheckID("proposal", args.Proposal); err != nil {
		return nil, err
	}
	p, err := require(s, ledgerapi.ProposalKey(args.Proposal), versionOfProposal)
	if err != nil {
		return nil, err
	}
	if err := mayVote(&p.Subject, member.ID); err != nil {
		return nil, err
	}
	switch {
	case p.Status != emr.ProposalOpen:
		return nil, emr.E(emr.CodeGone, "proposal is "+string(p.Status)+" already")
	case s.Now() >= p.Expires:
		return nil, emr.E(emr.CodeGone, "proposal has expired; propose it anew")
	case slices.ContainsFunc(p.Votes, func(v emr.Vote) bool { return v.Org == member.ID }):
		return nil, emr.E(emr.CodeExists, "organisation has voted already")
	}
	return vote(s, p, member.ID, args.Accept, "")
}

// vote adds a vote, decides the proposal when it can be decided, and writes both.
func vote(s State, p *emr.Proposal, by emr.OrgID, accept bool, event string) (*ledgerapi.Receipt, error) {
	p.Votes = append(p.Votes, emr.Vote{Org: by, Accept: accept, At: s.Now()})
	members, err := roster(s)
	if err != nil {
		return nil, err
	}
	if p.Status = tally(p, members); p.Status != emr.ProposalOpen {
		p.Decided, event = s.Now(), ledgerapi.EventDecided
	}
	if p.Status == emr.ProposalAccepted {
		if err := enact(s, p); err != nil {
			return nil, err
		}
	}
	if err := put(s, ledgerapi.ProposalKey(p.ID), p); err != nil {
		return nil, err
	}
	if event != "" {
		if err := emit(s, event, ledgerapi.Event{ID: string(p.ID)}); err != nil {
			return nil, err
		}
	}
	return receipt(s, string(p.ID)), nil
}

// tally tells how a proposal stands among the present members. The organisation
// whose removal is proposed has no vote, and votes of former members do not count.
func tally(p *emr.Proposal, members []emr.OrgID) emr.ProposalStatus {
	voters, accepted, rejected := 0, 0, 0
	for _, member := range members {
		if mayVote(&p.Subject, member) != nil {
			continue
		}
		voters++
		for _, v := range p.Votes {
			switch {
			case v.Org == member && v.Accept:
				accepted++
			case v.Org == member:
				rejected++
			}
		}
	}
	switch {
	case 2*accepted > voters:
		return emr.ProposalAccepted
	case 2*rejected >= voters: // no majority is left to be had
		return emr.ProposalRejected
	default:
		return emr.ProposalOpen
	}
}

func mayVote(subject *emr.Subject, org emr.OrgID) error {
	if subject.Organisation != org {
		return nil
	}
	switch subject.Kind {
	case emr.ProposeRemoval:
		return emr.E(emr.CodeForbidden, "an organisation has no vote on its own removal")
	case emr.ProposeHomeRelease:
		return emr.E(emr.CodeForbidden, "a home has no vote on a patient's release from it")
	}
	return nil
}

// callingMember returns the member whose administrator the caller is.
func callingMember(s Lookup) (*emr.Organisation, error) {
	caller, err := requireAdmin(s)
	if err != nil {
		return nil, err
	}
	org, err := organisation(s, caller.MSP)
	if err != nil {
		return nil, err
	}
	if org == nil || org.Removed != 0 {
		return nil, emr.E(emr.CodeForbidden, "caller's organisation is not a member")
	}
	// The MSP's word for who is an administrator is that of the CA that the organisation registered.
	return org, checkIssued("caller", caller.Certificate, org, s.Now())
}

func constitution(s Lookup) (*emr.Constitution, error) {
	c, err := find(s, ledgerapi.ConstitutionKey(), versionOfConstitution)
	if err == nil && c == nil {
		c = &emr.Constitution{V: emr.DocumentVersion, Stopped: []string{}}
	}
	return c, err
}

// requireOffered refuses a function that the members have stopped.
func requireOffered(s Lookup, function string) error {
	c, err := constitution(s)
	if err != nil {
		return err
	}
	if _, stopped := slices.BinarySearch(c.Stopped, function); stopped {
		return emr.E(emr.CodeUnsupported, "the members of the consortium have stopped this function")
	}
	return nil
}

// requireAdmission refuses an organisation that the members have not admitted: a
// new one once the founding is over, and one that they removed at any time. What it
// registers must be what they admitted.
func requireAdmission(s Lookup, org, previous *emr.Organisation) error {
	c, err := constitution(s)
	if err != nil {
		return err
	}
	if c.Founded == 0 && previous == nil {
		return nil
	}
	admission, err := find(s, ledgerapi.AdmissionKey(org.ID), versionOfAdmission)
	if err != nil {
		return err
	}
	if admission == nil || previous != nil && admission.Admitted <= previous.Removed {
		return emr.E(emr.CodeForbidden, "the members have not admitted this organisation; one of them has to propose it")
	}
	authority, err := parseCertificate("caCert", org.CACert)
	if err != nil {
		return err
	}
	if admission.Kind != org.Kind || admission.Authority != emr.Digest(sha256.Sum256(authority.Raw)) {
		return emr.E(emr.CodeForbidden, "the members have admitted an organisation of another kind or CA certificate")
	}
	return nil
}

func checkProposalTime(s Lookup, args *ledgerapi.ProposeArgs) error {
	if err := emr.CheckID("proposal", args.Proposal); err != nil {
		return err
	}
	if args.Expires < s.Now().Add(ledgerapi.MinProposalDays*day) || args.Expires > s.Now().Add(ledgerapi.MaxProposalDays*day) {
		return emr.Invalid("expires", fmt.Sprintf("must be %d to %d days ahead", ledgerapi.MinProposalDays, ledgerapi.MaxProposalDays))
	}
	existing, err := s.Get(ledgerapi.ProposalKey(args.Proposal))
	if err != nil {
		return err
	}
	if existing != nil {
		return emr.E(emr.CodeExists, "proposal is already made")
	}
	return nil
}
