// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"fmt"
	"slices"
	"strings"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// maxRelease bounds the product and the version of a release in bytes.
const maxRelease = 64

// checkSubject checks that a proposal says what its kind needs and nothing else, and that it could take effect now.
func checkSubject(s Lookup, subject *emr.Subject) error {
	if _, err := emr.ParseProposalKind("subject.kind", string(subject.Kind)); err != nil {
		return err
	}
	if err := checkSubjectForm(subject); err != nil {
		return err
	}
	return checkEnactable(s, subject)
}

// checkSubjectForm checks a subject by itself.
func checkSubjectForm(subject *emr.Subject) error {
	rest := *subject
	rest.Kind = ""
	var err error
	switch subject.Kind {
	case emr.ProposeAdmission:
		rest.Organisation, rest.OrgKind, rest.Authority = "", "", emr.Digest{}
		err = checkAdmission(subject)
	case emr.ProposeRemoval:
		rest.Organisation = ""
		_, err = emr.ParseOrgID("subject.organisation", string(subject.Organisation))
	case emr.ProposeStop, emr.ProposeResume:
		rest.Function = ""
		err = checkStoppable(subject.Function)
	case emr.ProposeRelease:
		rest.Release = emr.Release{}
		err = checkRelease(&subject.Release)
	case emr.ProposeWithdrawal:
		rest.Release.Digest = emr.Digest{}
		err = checkBundle(subject.Release.Digest)
	case emr.ProposeHomeRelease:
		rest.Organisation, rest.Patient = "", ""
		err = checkHomeRelease(subject)
	case emr.ProposeRetention:
		rest.Retention = emr.RetentionRule{}
		err = checkRetention(&subject.Retention)
	}
	if err == nil && rest != (emr.Subject{}) {
		err = emr.Invalid("subject", "sets a field that does not belong to its kind")
	}
	return err
}

func checkAdmission(subject *emr.Subject) error {
	if _, err := emr.ParseOrgID("subject.organisation", string(subject.Organisation)); err != nil {
		return err
	}
	if subject.OrgKind != emr.KindHospital && subject.OrgKind != emr.KindRegulator {
		return emr.Invalid("subject.orgKind", "must be hospital or regulator")
	}
	if subject.Authority.IsZero() {
		return emr.Invalid("subject.authority", "must be the SHA-256 of the CA certificate")
	}
	return nil
}

// checkStoppable refuses what nobody may stop: taking back, and governance itself.
func checkStoppable(function string) error {
	offered := function == ledgerapi.OpenTicket || slices.Contains(ledgerapi.SignedTransactions(), function)
	if !offered {
		return emr.Invalid("subject.function", "is not a function of people")
	}
	if slices.Contains(ledgerapi.Unstoppable(), function) {
		return &emr.Error{Code: emr.CodeRule, Field: "subject.function", Message: "nobody may stop what takes back or refuses"}
	}
	return nil
}

func checkRelease(release *emr.Release) error {
	const name = "abcdefghijklmnopqrstuvwxyz0123456789-"
	if release.Product == "" || len(release.Product) > maxRelease || strings.Trim(release.Product, name) != "" {
		return emr.Invalid("subject.release.product", "must be 1 to 64 lower-case letters, digits and hyphens")
	}
	if release.Version == "" || len(release.Version) > maxRelease || !printable(release.Version) {
		return emr.Invalid("subject.release.version", "must be 1 to 64 bytes of printable text")
	}
	return checkBundle(release.Digest)
}

func checkBundle(digest emr.Digest) error {
	if digest.IsZero() {
		return emr.Invalid("subject.release.digest", "must be the SHA-256 of the bundle")
	}
	return nil
}

// checkEnactable refuses a proposal whose effect is there already, or could not be.
func checkEnactable(s Lookup, subject *emr.Subject) error {
	switch subject.Kind {
	case emr.ProposeAdmission:
		org, err := organisation(s, subject.Organisation)
		if err == nil && org != nil && org.Removed == 0 {
			err = emr.E(emr.CodeExists, "organisation is a member already")
		}
		return err
	case emr.ProposeRemoval:
		_, err := removable(s, subject.Organisation)
		return err
	case emr.ProposeStop, emr.ProposeResume:
		_, err := restop(s, subject)
		return err
	case emr.ProposeHomeRelease:
		_, err := releasable(s, subject)
		return err
	case emr.ProposeRetention:
		return checkNewRetention(s, &subject.Retention)
	default:
		_, err := rerelease(s, subject)
		return err
	}
}

// enact makes what an accepted proposal says so. The world may have moved since it
// was proposed: then the deciding vote is refused, and the proposal stays open.
func enact(s State, p *emr.Proposal) error {
	subject := &p.Subject
	if err := refuseOvertaken(s, p); err != nil {
		return err
	}
	switch subject.Kind {
	case emr.ProposeAdmission:
		return put(s, ledgerapi.AdmissionKey(subject.Organisation), emr.Admission{
			V: emr.DocumentVersion, Organisation: subject.Organisation, Kind: subject.OrgKind, Authority: subject.Authority, Proposal: p.ID,
			Admitted: s.Now(),
		})
	case emr.ProposeRemoval:
		return remove(s, subject.Organisation)
	case emr.ProposeStop, emr.ProposeResume:
		c, err := restop(s, subject)
		if err != nil {
			return err
		}
		return put(s, ledgerapi.ConstitutionKey(), c)
	case emr.ProposeHomeRelease:
		return enactHomeRelease(s, p)
	case emr.ProposeRetention:
		return put(s, ledgerapi.RetentionKey(subject.Retention.Class), emr.Retention{
			V: emr.DocumentVersion, Rule: subject.Retention, Proposal: p.ID, Since: s.Now(),
		})
	default:
		release, err := rerelease(s, subject)
		if err != nil {
			return err
		}
		if subject.Kind == emr.ProposeRelease {
			release.Approvals = approvals(p)
		}
		return put(s, ledgerapi.ReleaseKey(subject.Release.Digest), release)
	}
}

// refuseOvertaken refuses an admission or a removal that was proposed before the
// organisation was removed, or admitted: what was voted for then was not voted for now.
func refuseOvertaken(s Lookup, p *emr.Proposal) error {
	id, overtaken := p.Subject.Organisation, false
	switch p.Subject.Kind {
	case emr.ProposeAdmission:
		if err := checkEnactable(s, &p.Subject); err != nil {
			return err
		}
		org, err := organisation(s, id)
		if err != nil {
			return err
		}
		overtaken = org != nil && p.Made <= org.Removed
	case emr.ProposeRemoval:
		admission, err := find(s, ledgerapi.AdmissionKey(id), versionOfAdmission)
		if err != nil {
			return err
		}
		overtaken = admission != nil && p.Made < admission.Admitted
	}
	if overtaken {
		return emr.E(emr.CodeRule, "the organisation has been removed or admitted since; propose it anew")
	}
	return nil
}

// removable returns the member, unless too few would be left.
func removable(s Lookup, id emr.OrgID) (*emr.Organisation, error) {
	org, err := require(s, ledgerapi.OrganisationKey(id), versionOfOrganisation)
	if err != nil {
		return nil, err
	}
	members, err := roster(s)
	if err != nil {
		return nil, err
	}
	switch {
	case org.Removed != 0:
		return nil, emr.E(emr.CodeGone, "organisation has been removed already")
	case len(members) <= ledgerapi.MinMembers:
		return nil, emr.E(emr.CodeRule, fmt.Sprintf("a consortium has at least %d members", ledgerapi.MinMembers))
	}
	return org, nil
}

// remove ends a membership: gateway, people and proxy act no more, and an admission of before does not bring them back.
func remove(s State, id emr.OrgID) error {
	org, err := removable(s, id)
	if err != nil {
		return err
	}
	org.Removed = s.Now()
	org.Version++
	if err := put(s, ledgerapi.OrganisationKey(id), org); err != nil {
		return err
	}
	members, err := roster(s)
	if err != nil {
		return err
	}
	at, found := slices.BinarySearch(members, id)
	if !found {
		return fmt.Errorf("ledger: roster lacks a member")
	}
	return put(s, ledgerapi.RosterKey(), ledgerapi.Roster{
		V: emr.DocumentVersion, Organisations: slices.Delete(members, at, at+1),
	})
}

// restop returns the constitution with the function stopped, or offered again.
func restop(s Lookup, subject *emr.Subject) (*emr.Constitution, error) {
	c, err := constitution(s)
	if err != nil {
		return nil, err
	}
	at, stopped := slices.BinarySearch(c.Stopped, subject.Function)
	switch {
	case stopped == (subject.Kind == emr.ProposeStop):
		return nil, emr.E(emr.CodeExists, "function is in that state already")
	case stopped:
		c.Stopped = slices.Delete(c.Stopped, at, at+1)
	default:
		c.Stopped = slices.Insert(c.Stopped, at, subject.Function)
	}
	return c, nil
}

// rerelease returns the release as it is to be, published or withdrawn.
func rerelease(s Lookup, subject *emr.Subject) (*emr.PublishedRelease, error) {
	existing, err := find(s, ledgerapi.ReleaseKey(subject.Release.Digest), versionOfRelease)
	switch {
	case err != nil:
		return nil, err
	case subject.Kind == emr.ProposeRelease && existing == nil:
		return &emr.PublishedRelease{V: emr.DocumentVersion, Release: subject.Release, Published: s.Now()}, nil
	case subject.Kind == emr.ProposeRelease:
		return nil, emr.E(emr.CodeExists, "release was published already")
	case existing == nil:
		return nil, missing(ledgerapi.TypeRelease)
	case existing.Withdrawn != 0:
		return nil, emr.E(emr.CodeGone, "release has been withdrawn already")
	}
	existing.Withdrawn = s.Now()
	return existing, nil
}

func approvals(p *emr.Proposal) []emr.OrgID {
	orgs := []emr.OrgID{}
	for _, v := range p.Votes {
		if v.Accept {
			orgs = append(orgs, v.Org)
		}
	}
	slices.Sort(orgs)
	return orgs
}

// GetConstitution returns what the members have decided of the ledger itself.
func GetConstitution(r Reader, _ ledgerapi.Empty) (*ledgerapi.ConstitutionView, error) {
	c, err := constitution(r)
	if err != nil {
		return nil, err
	}
	members, err := roster(r)
	if err != nil {
		return nil, err
	}
	return &ledgerapi.ConstitutionView{
		Constitution: *c, ContractVersion: ledgerapi.ContractVersion, Members: append([]emr.OrgID{}, members...),
	}, nil
}

// GetProposal returns a proposal with its votes.
func GetProposal(r Reader, q ledgerapi.ProposalQuery) (*emr.Proposal, error) {
	if err := emr.CheckID("proposal", q.Proposal); err != nil {
		return nil, err
	}
	return require(r, ledgerapi.ProposalKey(q.Proposal), versionOfProposal)
}

// ListProposals lists every proposal, newest first.
func ListProposals(r Reader, q ledgerapi.ListQuery) (*ledgerapi.ProposalPage, error) {
	items, bookmark, err := page(r, byOwner(ledgerapi.TypeProposals, allProposals, q.Limit, q.Bookmark),
		func(e Entry) (*emr.Proposal, step, error) {
			p, err := require(r, ledgerapi.ProposalKey(emr.ProposalID(e.Value)), versionOfProposal)
			return p, keep, err
		})
	if err != nil {
		return nil, err
	}
	return &ledgerapi.ProposalPage{Items: items, Bookmark: bookmark}, nil
}

// GetRelease tells whether, and by whom, a bundle was published. Not found: it never was.
func GetRelease(r Reader, q ledgerapi.ReleaseQuery) (*emr.PublishedRelease, error) {
	if err := checkBundle(q.Digest); err != nil {
		return nil, err
	}
	return require(r, ledgerapi.ReleaseKey(q.Digest), versionOfRelease)
}
