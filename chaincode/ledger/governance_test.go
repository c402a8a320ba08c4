// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger_test

import (
	"crypto/sha256"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/emrys-health/emrys/chaincode/ledger"
	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// assembly is a consortium whose administrators decide things.
type assembly struct {
	*ledgertest.Consortium
	t *testing.T
}

func newAssembly(t *testing.T) *assembly {
	t.Helper()
	return &assembly{ledgertest.NewConsortium(t), t}
}

// govern runs a transaction of an organisation twice, compares what it would write, and commits it unless it fails.
func govern[Q any](a *assembly, caller *ledger.Caller, rule func(ledger.State, Q) (*ledgerapi.Receipt, error), args Q) error {
	a.t.Helper()
	tx := a.Begin(a.Facts(caller))
	again := tx.Again()
	_, err := rule(tx, args)
	_, errAgain := rule(again, args)
	require.Equal(a.t, err, errAgain)
	require.Equal(a.t, tx.Effects(), again.Effects())
	if err != nil {
		return err
	}
	return tx.Commit()
}

func (a *assembly) propose(by emr.OrgID, subject emr.Subject) (emr.ProposalID, error) {
	a.t.Helper()
	args := ledgerapi.ProposeArgs{
		Proposal: ledgertest.ID[emr.ProposalID](emr.ProposalPrefix), Subject: subject, Expires: a.Now.Add(7 * 24 * time.Hour),
	}
	return args.Proposal, govern(a, a.Orgs[by].Admin, ledger.Propose, args)
}

func (a *assembly) vote(by emr.OrgID, id emr.ProposalID, accept bool) error {
	a.t.Helper()
	return govern(a, a.Orgs[by].Admin, ledger.CastVote, ledgerapi.CastVoteArgs{Proposal: id, Accept: accept})
}

// pass proposes and brings a majority.
func (a *assembly) pass(subject emr.Subject, by ...emr.OrgID) *emr.Proposal {
	a.t.Helper()
	id, err := a.propose(by[0], subject)
	require.NoError(a.t, err)
	for _, org := range by[1:] {
		require.NoError(a.t, a.vote(org, id, true))
	}
	p := a.proposal(id)
	require.Equal(a.t, emr.ProposalAccepted, p.Status)
	return p
}

func (a *assembly) proposal(id emr.ProposalID) *emr.Proposal {
	a.t.Helper()
	p, err := ledger.GetProposal(a.Query(a.Orgs[ledgertest.HospitalA]), ledgerapi.ProposalQuery{Proposal: id})
	require.NoError(a.t, err)
	return p
}

func (a *assembly) constitution() *ledgerapi.ConstitutionView {
	a.t.Helper()
	c, err := ledger.GetConstitution(a.Query(a.Orgs[ledgertest.HospitalA]), ledgerapi.Empty{})
	require.NoError(a.t, err)
	return c
}

func (a *assembly) found() {
	a.t.Helper()
	require.NoError(a.t, govern(a, a.Orgs[ledgertest.HospitalA].Admin, ledger.CloseFounding, ledgerapi.Empty{}))
}

// newcomer is an organisation that no ledger knows, and what it takes to admit it.
func (a *assembly) newcomer(id emr.OrgID) (*ledgertest.Org, emr.Subject) {
	a.t.Helper()
	now := a.Now.Std()
	org := ledgertest.NewOrg(a.t, id, emr.KindHospital, now.AddDate(-1, 0, 0), now.AddDate(9, 0, 0))
	a.Orgs[id] = org
	return org, emr.Subject{
		Kind: emr.ProposeAdmission, Organisation: id, OrgKind: emr.KindHospital, Authority: sha256.Sum256(org.CA.Certificate.Raw),
	}
}

func removal(id emr.OrgID) emr.Subject {
	return emr.Subject{Kind: emr.ProposeRemoval, Organisation: id}
}

func TestAfterTheFoundingAnOrganisationJoinsByVote(t *testing.T) {
	t.Parallel()
	a := newAssembly(t)
	org, subject := a.newcomer("HospitalDMSP")
	a.found()
	require.NotZero(t, a.constitution().Constitution.Founded)
	_, err := a.RegisterOrg(org.Admin, org.Args())
	refuses(t, err, emr.CodeForbidden, "not admitted")

	id, err := a.propose(ledgertest.HospitalA, subject)
	require.NoError(t, err)
	require.NoError(t, a.vote(ledgertest.HospitalB, id, true))
	_, err = a.RegisterOrg(org.Admin, org.Args())
	refuses(t, err, emr.CodeForbidden, "not admitted") // two of four are no majority
	require.NoError(t, a.vote(ledgertest.Regulator, id, true))

	other := org.Args()
	other.Kind, other.IPFS = emr.KindRegulator, nil
	_, err = a.RegisterOrg(org.Admin, other)
	refuses(t, err, emr.CodeForbidden, "another kind")
	impostor := ledgertest.NewOrg(t, org.ID, emr.KindHospital, a.Now.Std().AddDate(-1, 0, 0), a.Now.Std().AddDate(9, 0, 0))
	_, err = a.RegisterOrg(impostor.Admin, impostor.Args())
	refuses(t, err, emr.CodeForbidden, "CA certificate")
	_, err = a.RegisterOrg(org.Admin, org.Args())
	require.NoError(t, err)
	require.Len(t, a.constitution().Members, 5)
	_, err = a.propose(ledgertest.HospitalA, subject)
	refuses(t, err, emr.CodeExists, "member already")
}

func TestTheFoundingIsClosedOnceAndByAMember(t *testing.T) {
	t.Parallel()
	a := newAssembly(t)
	org, _ := a.newcomer("HospitalDMSP")
	refuses(t, govern(a, org.Admin, ledger.CloseFounding, ledgerapi.Empty{}), emr.CodeForbidden, "not a member")
	refuses(t, govern(a, a.Orgs[ledgertest.HospitalA].Gateway, ledger.CloseFounding, ledgerapi.Empty{}), emr.CodeForbidden, "administrator")
	a.found()
	refuses(t, govern(a, a.Orgs[ledgertest.HospitalB].Admin, ledger.CloseFounding, ledgerapi.Empty{}), emr.CodeExists, "over already")

	small := &assembly{&ledgertest.Consortium{World: ledgertest.NewWorld(ledgertest.Channel), Now: a.Now, Orgs: a.Orgs}, t}
	for _, id := range []emr.OrgID{ledgertest.HospitalA, ledgertest.HospitalB} {
		_, err := small.RegisterOrg(a.Orgs[id].Admin, a.Orgs[id].Args())
		require.NoError(t, err)
	}
	refuses(t, govern(small, a.Orgs[ledgertest.HospitalA].Admin, ledger.CloseFounding, ledgerapi.Empty{}), emr.CodeRule, "at least 3")
}

func TestARemovedOrganisationAndItsPeopleActNoMore(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	a := &assembly{s.Consortium, t}
	grant := s.Grant(s.scope, s.reader, s.record.Record)
	s.Do(t, s.patient, ledgerapi.GrantAccess, grant)
	read := s.read(grant.Terms.Grant)
	s.disclose(t, s.reader, read)
	open := s.open(t, s.reader, read.Disclosure)
	require.Equal(t, emr.Permit, s.check(t, ledgertest.Regulator, open).Decision)

	removed := s.reader.Org.ID
	_, err := a.propose(removed, removal(removed))
	refuses(t, err, emr.CodeForbidden, "own removal")
	a.pass(removal(removed), ledgertest.HospitalA, ledgertest.HospitalC)
	require.NotContains(t, a.constitution().Members, removed)

	got := s.check(t, ledgertest.Regulator, open)
	require.Equal(t, emr.Deny, got.Decision)
	require.Equal(t, emr.ReasonOrganisation, got.Reason)
	require.Empty(t, got.Fragment.Sealed)
	_, err = s.Try(t, s.reader, ledgerapi.RequestAccess, s.ask(s.record.Record))
	refuses(t, err, emr.CodeForbidden, "removed")
	_, err = s.Try(t, s.patient, ledgerapi.GrantAccess, s.Grant(s.scope, s.reader, s.record.Record))
	refuses(t, err, emr.CodeRule, "")
	withProxy := s.Grant(s.scope, s.author, s.record.Record)
	_, err = s.Try(t, s.patient, ledgerapi.GrantAccess, withProxy)
	refuses(t, err, emr.CodeInvalid, "not a member")
	_, err = a.RegisterOrg(s.reader.Org.Admin, s.reader.Org.Args())
	refuses(t, err, emr.CodeForbidden, "not admitted")
	_, err = a.propose(removed, removal(ledgertest.HospitalA))
	refuses(t, err, emr.CodeForbidden, "not a member")
	_, err = a.propose(ledgertest.HospitalA, removal(ledgertest.HospitalC))
	refuses(t, err, emr.CodeRule, "at least 3")
	_, err = a.propose(ledgertest.HospitalA, removal(removed))
	refuses(t, err, emr.CodeGone, "removed already")
}

func TestARemovedOrganisationComesBackByANewAdmissionOnly(t *testing.T) {
	t.Parallel()
	a := newAssembly(t)
	org, subject := a.newcomer("HospitalDMSP")
	a.found()
	a.pass(subject, ledgertest.HospitalA, ledgertest.HospitalB, ledgertest.HospitalC)
	_, err := a.RegisterOrg(org.Admin, org.Args())
	require.NoError(t, err)
	a.Wait(time.Hour)
	a.pass(removal(org.ID), ledgertest.HospitalA, ledgertest.HospitalB, ledgertest.HospitalC)
	_, err = a.RegisterOrg(org.Admin, org.Args())
	refuses(t, err, emr.CodeForbidden, "not admitted")
	a.Wait(time.Hour)
	a.pass(subject, ledgertest.HospitalA, ledgertest.HospitalB, ledgertest.HospitalC)
	_, err = a.RegisterOrg(org.Admin, org.Args())
	require.NoError(t, err)
	require.Len(t, a.constitution().Members, 5)
}

// TestVotesOfBeforeARemovalAdmitNobodyAfterIt: a second admission, which was open
// when the first one passed, does not bring back whom the members have removed since.
func TestVotesOfBeforeARemovalAdmitNobodyAfterIt(t *testing.T) {
	t.Parallel()
	a := newAssembly(t)
	org, subject := a.newcomer("HospitalDMSP")
	a.found()
	spare, err := a.propose(ledgertest.HospitalA, subject)
	require.NoError(t, err)
	require.NoError(t, a.vote(ledgertest.HospitalB, spare, true))
	a.pass(subject, ledgertest.HospitalA, ledgertest.HospitalB, ledgertest.HospitalC)
	_, err = a.RegisterOrg(org.Admin, org.Args())
	require.NoError(t, err)
	require.NoError(t, a.vote(ledgertest.HospitalC, spare, false))
	a.Wait(time.Hour)
	stale, err := a.propose(ledgertest.HospitalA, removal(org.ID))
	require.NoError(t, err)
	a.pass(removal(org.ID), ledgertest.HospitalA, ledgertest.HospitalB, ledgertest.HospitalC)
	a.Wait(time.Hour)
	refuses(t, a.vote(ledgertest.Regulator, spare, true), emr.CodeRule, "propose it anew")
	_, err = a.RegisterOrg(org.Admin, org.Args())
	refuses(t, err, emr.CodeForbidden, "not admitted")

	a.pass(subject, ledgertest.HospitalA, ledgertest.HospitalB, ledgertest.HospitalC)
	_, err = a.RegisterOrg(org.Admin, org.Args())
	require.NoError(t, err)
	require.NoError(t, a.vote(ledgertest.HospitalB, stale, true))
	refuses(t, a.vote(ledgertest.HospitalC, stale, true), emr.CodeRule, "propose it anew")
	require.Len(t, a.constitution().Members, 5)
}

// TestAMemberIsNotAdmittedAgain: an admission on stock would outlast a removal.
func TestAMemberIsNotAdmittedAgain(t *testing.T) {
	t.Parallel()
	a := newAssembly(t)
	org, subject := a.newcomer("HospitalDMSP")
	spare, err := a.propose(ledgertest.HospitalA, subject)
	require.NoError(t, err)
	require.NoError(t, a.vote(ledgertest.HospitalB, spare, true))
	_, err = a.RegisterOrg(org.Admin, org.Args())
	require.NoError(t, err)
	refuses(t, a.vote(ledgertest.HospitalC, spare, true), emr.CodeExists, "member already")
}

func TestAStoppedFunctionIsRefusedUntilItIsResumed(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	a := &assembly{s.Consortium, t}
	stop := emr.Subject{Kind: emr.ProposeStop, Function: ledgerapi.RequestAccess}
	a.pass(stop, ledgertest.HospitalA, ledgertest.HospitalB, ledgertest.HospitalC)
	require.Equal(t, []string{ledgerapi.RequestAccess}, a.constitution().Constitution.Stopped)
	_, err := s.Try(t, s.reader, ledgerapi.RequestAccess, s.ask(s.record.Record))
	refuses(t, err, emr.CodeUnsupported, "stopped")
	s.Do(t, s.patient, ledgerapi.GrantAccess, s.Grant(s.scope, s.reader, s.record.Record))
	_, err = a.propose(ledgertest.HospitalA, stop)
	refuses(t, err, emr.CodeExists, "")
	a.pass(emr.Subject{Kind: emr.ProposeStop, Function: ledgerapi.OpenTicket}, ledgertest.HospitalA, ledgertest.HospitalB, ledgertest.HospitalC)
	signed := s.Sign(t, s.reader, ledgerapi.OpenTicket, ledgerapi.OpenTicketArgs{Disclosure: "dis_00"})
	_, err = ledger.CheckTicket(s.Query(a.Orgs[ledgertest.Regulator]), ledgerapi.CheckTicketQuery{Signed: *signed})
	refuses(t, err, emr.CodeUnsupported, "stopped")
	a.pass(emr.Subject{Kind: emr.ProposeResume, Function: ledgerapi.RequestAccess}, ledgertest.HospitalA, ledgertest.HospitalB, ledgertest.HospitalC)
	s.Do(t, s.reader, ledgerapi.RequestAccess, s.ask(s.record.Record))
	for _, function := range append(ledgerapi.Unstoppable(), "Nonsense", ledgerapi.CastVote, ledgerapi.GetRecord) {
		_, err := a.propose(ledgertest.HospitalA, emr.Subject{Kind: emr.ProposeStop, Function: function})
		require.Contains(t, []emr.Code{emr.CodeRule, emr.CodeInvalid}, emr.CodeOf(err), function)
	}
}

func TestAReleaseIsPublishedAndWithdrawn(t *testing.T) {
	t.Parallel()
	a := newAssembly(t)
	bundle := sha256.Sum256([]byte("bundle"))
	view := a.Query(a.Orgs[ledgertest.HospitalA])
	_, err := ledger.GetRelease(view, ledgerapi.ReleaseQuery{Digest: bundle})
	refuses(t, err, emr.CodeNotFound, "")
	_, err = ledger.GetRelease(view, ledgerapi.ReleaseQuery{})
	refuses(t, err, emr.CodeInvalid, "")
	withdraw := emr.Subject{Kind: emr.ProposeWithdrawal, Release: emr.Release{Digest: bundle}}
	_, err = a.propose(ledgertest.HospitalA, withdraw)
	refuses(t, err, emr.CodeNotFound, "")
	publish := emr.Subject{Kind: emr.ProposeRelease, Release: emr.Release{Product: "portal", Version: "1.0.0", Digest: bundle}}
	a.pass(publish, ledgertest.Regulator, ledgertest.HospitalB, ledgertest.HospitalA)
	got, err := ledger.GetRelease(a.Query(a.Orgs[ledgertest.HospitalA]), ledgerapi.ReleaseQuery{Digest: bundle})
	require.NoError(t, err)
	require.Equal(t, []emr.OrgID{ledgertest.HospitalA, ledgertest.HospitalB, ledgertest.Regulator}, got.Approvals)
	require.Zero(t, got.Withdrawn)
	_, err = a.propose(ledgertest.HospitalA, publish)
	refuses(t, err, emr.CodeExists, "")
	a.pass(withdraw, ledgertest.HospitalA, ledgertest.HospitalB, ledgertest.HospitalC)
	got, err = ledger.GetRelease(a.Query(a.Orgs[ledgertest.HospitalA]), ledgerapi.ReleaseQuery{Digest: bundle})
	require.NoError(t, err)
	require.Equal(t, a.Now, got.Withdrawn)
	_, err = a.propose(ledgertest.HospitalA, withdraw)
	refuses(t, err, emr.CodeGone, "")
}

func TestAProposalIsRefused(t *testing.T) {
	t.Parallel()
	a := newAssembly(t)
	bundle := emr.Digest(sha256.Sum256([]byte("x")))
	good := emr.Subject{Kind: emr.ProposeRelease, Release: emr.Release{Product: "portal", Version: "1", Digest: bundle}}
	_, admission := a.newcomer("HospitalDMSP")
	for name, test := range map[string]struct {
		change func(*ledgerapi.ProposeArgs)
		code   emr.Code
		text   string
	}{
		"of no kind":                     {func(p *ledgerapi.ProposeArgs) { p.Subject.Kind = "" }, emr.CodeInvalid, "kind"},
		"of an unknown kind":             {func(p *ledgerapi.ProposeArgs) { p.Subject.Kind = "declare-war" }, emr.CodeInvalid, "kind"},
		"with a field of another kind":   {func(p *ledgerapi.ProposeArgs) { p.Subject.Function = ledgerapi.Disclose }, emr.CodeInvalid, "does not belong"},
		"with a bad id":                  {func(p *ledgerapi.ProposeArgs) { p.Proposal = "pro_1" }, emr.CodeInvalid, "proposal"},
		"that ends too soon":             {func(p *ledgerapi.ProposeArgs) { p.Expires = a.Now.Add(24*time.Hour - time.Second) }, emr.CodeInvalid, "expires"},
		"that ends too late":             {func(p *ledgerapi.ProposeArgs) { p.Expires = a.Now.Add(30*24*time.Hour + time.Second) }, emr.CodeInvalid, "expires"},
		"of a release without a product": {func(p *ledgerapi.ProposeArgs) { p.Subject.Release.Product = "" }, emr.CodeInvalid, "product"},
		"of a product in capitals":       {func(p *ledgerapi.ProposeArgs) { p.Subject.Release.Product = "Portal" }, emr.CodeInvalid, "product"},
		"of a release without a version": {func(p *ledgerapi.ProposeArgs) { p.Subject.Release.Version = "" }, emr.CodeInvalid, "version"},
		"of a release without a digest":  {func(p *ledgerapi.ProposeArgs) { p.Subject.Release.Digest = emr.Digest{} }, emr.CodeInvalid, "digest"},
		"to withdraw nothing":            {func(p *ledgerapi.ProposeArgs) { p.Subject = emr.Subject{Kind: emr.ProposeWithdrawal} }, emr.CodeInvalid, "digest"},
		"to remove nobody":               {func(p *ledgerapi.ProposeArgs) { p.Subject = removal("") }, emr.CodeInvalid, "organisation"},
		"to remove a stranger":           {func(p *ledgerapi.ProposeArgs) { p.Subject = removal("NobodyMSP") }, emr.CodeNotFound, ""},
		"to admit without an id":         {func(p *ledgerapi.ProposeArgs) { p.Subject = admission; p.Subject.Organisation = "" }, emr.CodeInvalid, "organisation"},
		"to admit of an unknown kind":    {func(p *ledgerapi.ProposeArgs) { p.Subject = admission; p.Subject.OrgKind = "bank" }, emr.CodeInvalid, "orgKind"},
		"to admit without an authority":  {func(p *ledgerapi.ProposeArgs) { p.Subject = admission; p.Subject.Authority = emr.Digest{} }, emr.CodeInvalid, "authority"},
		"to resume what is offered": {func(p *ledgerapi.ProposeArgs) {
			p.Subject = emr.Subject{Kind: emr.ProposeResume, Function: ledgerapi.Disclose}
		}, emr.CodeExists, ""},
		"to stop the registration of all": {func(p *ledgerapi.ProposeArgs) {
			p.Subject = emr.Subject{Kind: emr.ProposeStop, Function: ledgerapi.RegisterOrganisation}
		}, emr.CodeInvalid, "function"},
	} {
		t.Run(name, func(t *testing.T) {
			args := ledgerapi.ProposeArgs{
				Proposal: ledgertest.ID[emr.ProposalID](emr.ProposalPrefix), Subject: good, Expires: a.Now.Add(24 * time.Hour),
			}
			test.change(&args)
			before := a.Dump()
			refuses(t, govern(a, a.Orgs[ledgertest.HospitalA].Admin, ledger.Propose, args), test.code, test.text)
			require.Equal(t, before, a.Dump())
		})
	}
	args := ledgerapi.ProposeArgs{Proposal: ledgertest.ID[emr.ProposalID](emr.ProposalPrefix), Subject: good, Expires: a.Now.Add(24 * time.Hour)}
	require.NoError(t, govern(a, a.Orgs[ledgertest.HospitalA].Admin, ledger.Propose, args))
	refuses(t, govern(a, a.Orgs[ledgertest.HospitalB].Admin, ledger.Propose, args), emr.CodeExists, "already made")
	refuses(t, govern(a, a.Orgs[ledgertest.HospitalB].Gateway, ledger.Propose, args), emr.CodeForbidden, "administrator")
	refuses(t, govern(a, &ledger.Caller{MSP: ledgertest.HospitalB, Certificate: a.Orgs[ledgertest.HospitalA].Admin.Certificate}, ledger.Propose, args),
		emr.CodeForbidden, "not issued")
}

func TestAVoteIsRefused(t *testing.T) {
	t.Parallel()
	a := newAssembly(t)
	id, err := a.propose(ledgertest.HospitalA, removal(ledgertest.HospitalC))
	require.NoError(t, err)
	refuses(t, a.vote(ledgertest.HospitalA, id, false), emr.CodeExists, "voted")
	refuses(t, a.vote(ledgertest.HospitalC, id, false), emr.CodeForbidden, "own removal")
	refuses(t, a.vote(ledgertest.HospitalB, "pro_x", true), emr.CodeInvalid, "")
	refuses(t, a.vote(ledgertest.HospitalB, ledgertest.ID[emr.ProposalID](emr.ProposalPrefix), true), emr.CodeNotFound, "")
	a.Wait(7*24*time.Hour - time.Second)
	tx := a.Begin(a.Facts(a.Orgs[ledgertest.HospitalB].Admin))
	_, err = ledger.CastVote(tx, ledgerapi.CastVoteArgs{Proposal: id, Accept: true})
	require.NoError(t, err, "a second before its end")
	a.Wait(time.Second)
	refuses(t, a.vote(ledgertest.HospitalB, id, true), emr.CodeGone, "expired")

	id, err = a.propose(ledgertest.HospitalA, removal(ledgertest.HospitalC))
	require.NoError(t, err)
	require.NoError(t, a.vote(ledgertest.HospitalB, id, false))
	require.NoError(t, a.vote(ledgertest.Regulator, id, false))
	require.Equal(t, emr.ProposalRejected, a.proposal(id).Status)
	refuses(t, a.vote(ledgertest.HospitalB, id, true), emr.CodeGone, "rejected")
}

func TestTwoDecidingVotesAtOnceConflict(t *testing.T) {
	t.Parallel()
	a := newAssembly(t)
	id, err := a.propose(ledgertest.HospitalA, removal(ledgertest.HospitalC))
	require.NoError(t, err)
	first, second := a.Begin(a.Facts(a.Orgs[ledgertest.HospitalB].Admin)), a.Begin(a.Facts(a.Orgs[ledgertest.Regulator].Admin))
	for _, tx := range []*ledgertest.Tx{first, second} {
		_, err := ledger.CastVote(tx, ledgerapi.CastVoteArgs{Proposal: id, Accept: true})
		require.NoError(t, err)
	}
	require.NoError(t, first.Commit())
	require.ErrorIs(t, second.Commit(), ledgertest.ErrConflict)
}

func TestADecisionThatTheWorldHasOvertakenIsNotTaken(t *testing.T) {
	t.Parallel()
	a := newAssembly(t)
	one, err := a.propose(ledgertest.HospitalA, removal(ledgertest.HospitalB))
	require.NoError(t, err)
	a.pass(removal(ledgertest.HospitalC), ledgertest.HospitalA, ledgertest.Regulator)
	refuses(t, a.vote(ledgertest.Regulator, one, true), emr.CodeRule, "at least 3")
	require.Equal(t, emr.ProposalOpen, a.proposal(one).Status)
}

func TestProposalsAreListedNewestFirst(t *testing.T) {
	t.Parallel()
	a := newAssembly(t)
	var made []emr.ProposalID
	for range 3 {
		id, err := a.propose(ledgertest.HospitalA, removal(ledgertest.HospitalC))
		require.NoError(t, err)
		made = append([]emr.ProposalID{id}, made...)
		a.Wait(time.Second)
	}
	var seen []emr.ProposalID
	bookmark := ""
	for range 3 {
		page, err := ledger.ListProposals(a.Query(a.Orgs[ledgertest.HospitalA]), ledgerapi.ListQuery{Limit: 1, Bookmark: bookmark})
		require.NoError(t, err)
		require.Len(t, page.Items, 1)
		seen, bookmark = append(seen, page.Items[0].ID), page.Bookmark
	}
	require.Equal(t, made, seen)
	require.Empty(t, bookmark)
	_, err := ledger.ListProposals(a.Query(a.Orgs[ledgertest.HospitalA]), ledgerapi.ListQuery{Limit: -1})
	refuses(t, err, emr.CodeInvalid, "limit")
}

// TestAMajorityOfTheMembersDecidesAndNobodyElse votes at random, and counts by itself.
func TestAMajorityOfTheMembersDecidesAndNobodyElse(t *testing.T) {
	t.Parallel()
	base := newAssembly(t)
	all := []emr.OrgID{ledgertest.HospitalA, ledgertest.HospitalB, ledgertest.HospitalC, ledgertest.Regulator}
	rapid.Check(t, func(rt *rapid.T) {
		c := *base.Consortium
		c.World = base.Clone()
		a := &assembly{&c, t}
		subject, voters := removal(ledgertest.HospitalC), 3
		if rapid.Bool().Draw(rt, "stop a function") {
			subject, voters = emr.Subject{Kind: emr.ProposeStop, Function: ledgerapi.Disclose}, 4
		}
		voted := map[emr.OrgID]bool{ledgertest.HospitalA: true}
		id, err := a.propose(ledgertest.HospitalA, subject)
		require.NoError(t, err)
		want := emr.ProposalOpen
		for range rapid.IntRange(1, 8).Draw(rt, "votes") {
			by, accept := rapid.SampledFrom(all).Draw(rt, "by"), rapid.Bool().Draw(rt, "accept")
			_, again := voted[by]
			excluded := voters == 3 && by == ledgertest.HospitalC
			err := a.vote(by, id, accept)
			require.Equal(t, want == emr.ProposalOpen && !again && !excluded, err == nil, "%v", err)
			if err != nil {
				continue
			}
			voted[by] = accept
			yes, no := 0, 0
			for _, v := range voted {
				if v {
					yes++
				} else {
					no++
				}
			}
			switch {
			case yes > voters/2:
				want = emr.ProposalAccepted
			case voters-no <= voters/2:
				want = emr.ProposalRejected
			}
			require.Equal(t, want, a.proposal(id).Status)
		}
		stopped, err := json.Marshal(a.constitution().Constitution.Stopped)
		require.NoError(t, err)
		require.Equal(t, voters == 4 && want == emr.ProposalAccepted, string(stopped) != "[]")
		require.Equal(t, voters == 3 && want == emr.ProposalAccepted, len(a.constitution().Members) == 3)
	})
}
