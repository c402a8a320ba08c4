// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"crypto/sha256"
	"slices"

	"github.com/emrys-health/emrys/pkg/consent"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// outlook is what a preview is computed from and what PutConsent can read again by
// exact keys. Records are not part of it: their class, level, label and author
// never change, and new ones come all the time.
type outlook struct {
	Channel       string       `json:"channel"`
	Patient       emr.Handle   `json:"patient"`
	Replaces      uint32       `json:"replaces"`
	Candidate     emr.Digest   `json:"candidate"`
	Relationships []tie        `json:"relationships"`
	People        []registered `json:"people"`
}

// tie is the state of a relationship, absent when there never was one.
type tie struct {
	Hospital emr.OrgID              `json:"hospital"`
	Status   emr.RelationshipStatus `json:"status"`
}

// registered is what of a registry entry decides; empty but for the id when there is none.
type registered struct {
	ID    emr.ClinicianID `json:"id"`
	Org   emr.OrgID       `json:"org"`
	Role  emr.Role        `json:"role"`
	Level emr.Level       `json:"level"`
}

// outlookOf reads the basis of a candidate. people must be sorted.
func outlookOf(
	s Lookup, patient emr.Handle, replaces uint32, candidate *consent.Document, people []emr.ClinicianID,
) (*outlook, error) {
	digest, err := candidate.Hash()
	if err != nil {
		return nil, err
	}
	b := &outlook{
		Channel: s.Channel(), Patient: patient, Replaces: replaces, Candidate: digest,
		Relationships: []tie{}, People: []registered{},
	}
	members, err := roster(s)
	if err != nil {
		return nil, err
	}
	for _, hospital := range members {
		found, err := relationship(s, patient, hospital)
		if err != nil {
			return nil, err
		}
		state := tie{Hospital: hospital}
		if found != nil {
			state.Status = found.Status
		}
		b.Relationships = append(b.Relationships, state)
	}
	for _, id := range people {
		found, err := findClinician(s, id)
		if err != nil {
			return nil, err
		}
		entry := registered{ID: id}
		if found != nil {
			entry = registered{ID: id, Org: found.Org, Role: found.Role, Level: found.Level}
		}
		b.People = append(b.People, entry)
	}
	return b, nil
}

// hash is the SHA-256 of the label "EMRYS-PREVIEW-V1", a zero byte and the
// canonical encoding of the basis.
func (b *outlook) hash() (emr.Digest, error) {
	encoded, err := emr.Canonical(b)
	if err != nil {
		return emr.Digest{}, err
	}
	return emr.Digest(sha256.Sum256(append([]byte("EMRYS-PREVIEW-V1\x00"), encoded...))), nil
}

// checkPreviewed refuses a consent whose preview no longer shows what it would do.
func checkPreviewed(s Lookup, args *ledgerapi.PutConsentArgs, current *consent.Consent) error {
	p := &args.Previewed
	if err := checkPreviewForm(p); err != nil || p.Basis.IsZero() {
		return err
	}
	if p.At <= 0 || p.At > s.Now().Add(emr.MaxActionSkew) {
		return emr.Invalid("previewed.at", "must be the time of the preview")
	}
	now, err := outlookOf(s, args.Patient, args.Replaces, &args.Document, p.People)
	if err != nil {
		return err
	}
	hash, err := now.hash()
	if err != nil {
		return err
	}
	turned := args.Document.Turns(p.At, s.Now()) || current != nil && current.Document.Turns(p.At, s.Now())
	if hash != p.Basis || turned {
		return &emr.Error{Code: emr.CodeStale, Field: "previewed.basis", Message: "what the preview showed has changed; preview again"}
	}
	return nil
}

func checkPreviewForm(p *ledgerapi.Previewed) error {
	if p.People == nil || len(p.People) > ledgerapi.MaxPreviewPeople || !rising(p.People) {
		return emr.Invalid("previewed.people", "must be a list of at most 100 professionals, sorted, none twice")
	}
	for _, id := range p.People {
		if err := emr.CheckID("previewed.people", id); err != nil {
			return err
		}
	}
	if p.Basis.IsZero() && (p.At != 0 || len(p.People) > 0) {
		return emr.Invalid("previewed.basis", "must be present when anything else of a preview is")
	}
	return nil
}

// PreviewConsent tells what would change if the patient put a document now: for
// everybody who is named, has a grant or has asked, and for anybody else of the
// hospitals named or related, by purpose and record. It decides with the function
// that decides in earnest. It is bounded, and says when it left something out.
func PreviewConsent(r Reader, q ledgerapi.PreviewConsentQuery) (*ledgerapi.ConsentPreview, error) {
	if err := emr.CheckID("patient", q.Patient); err != nil {
		return nil, err
	}
	if _, err := requirePatient(r, q.Patient); err != nil {
		return nil, err
	}
	if err := checkDocument(r, &q.Document); err != nil {
		return nil, err
	}
	current, err := standingConsent(r, q.Patient)
	if err != nil {
		return nil, err
	}
	p := &preview{patient: q.Patient, current: current, complete: true}
	p.candidate = &consent.Consent{Version: numberOf(current) + 1, Status: consent.Active, Document: q.Document}
	if err := p.look(r); err != nil {
		return nil, err
	}
	b, err := outlookOf(r, q.Patient, numberOf(current), &q.Document, p.people)
	if err != nil {
		return nil, err
	}
	out := &ledgerapi.ConsentPreview{
		Replaces: b.Replaces, Complete: p.complete, Previewed: ledgerapi.Previewed{At: r.Now(), People: p.people},
	}
	if out.Previewed.Basis, err = b.hash(); err != nil {
		return nil, err
	}
	return out, p.fill(r, &q, b, out)
}

// preview is what one preview looks at.
type preview struct {
	patient   emr.Handle
	current   *consent.Consent
	candidate *consent.Consent
	people    []emr.ClinicianID // sorted
	records   []emr.Record      // newest first
	grants    []emr.Grant
	complete  bool
}

// look collects people, records and grants, each up to its bound.
func (p *preview) look(r Reader) error {
	records, err := SearchRecords(r, ledgerapi.SearchQuery{Patient: p.patient, Limit: ledgerapi.MaxPreviewRecords})
	if err != nil {
		return err
	}
	list := ledgerapi.PageQuery{Patient: p.patient, Limit: ledgerapi.MaxPreviewPeople}
	grants, err := ListGrants(r, list)
	if err != nil {
		return err
	}
	requests, err := ListRequests(r, list)
	if err != nil {
		return err
	}
	p.records, p.grants = records.Items, grants.Items
	p.complete = records.Bookmark+grants.Bookmark+requests.Bookmark == ""
	for i := range p.grants {
		p.meet(p.grants[i].Terms.Grantee)
	}
	for i := range requests.Items {
		p.meet(requests.Items[i].By)
	}
	for _, id := range p.candidate.Document.People() {
		p.meet(id)
	}
	if p.current != nil {
		for _, id := range p.current.Document.People() {
			p.meet(id)
		}
	}
	slices.Sort(p.people)
	if p.people == nil {
		p.people = []emr.ClinicianID{}
	}
	return nil
}

func (p *preview) meet(id emr.ClinicianID) {
	switch {
	case slices.Contains(p.people, id):
	case len(p.people) == ledgerapi.MaxPreviewPeople:
		p.complete = false
	default:
		p.people = append(p.people, id)
	}
}

// subjects are the people of the basis who are registered, and for each hospital
// that is related or named one stranger of each role.
func (p *preview) subjects(b *outlook) []consent.Facts {
	var all []consent.Facts
	for _, person := range b.People {
		if person.Org != "" {
			all = append(all, consent.Facts{Person: person.ID, Hospital: person.Org, Role: person.Role, Reach: person.Level})
		}
	}
	named := p.candidate.Document.Hospitals()
	if p.current != nil {
		named = append(named, p.current.Document.Hospitals()...)
	}
	for _, state := range b.Relationships {
		if state.Status != emr.RelationshipAccepted && !slices.Contains(named, state.Hospital) {
			continue
		}
		for _, role := range emr.Professions() {
			all = append(all, consent.Facts{Hospital: state.Hospital, Role: role, Reach: emr.LevelPrivate})
		}
	}
	return all
}

// fill writes one page of changes.
func (p *preview) fill(r Reader, q *ledgerapi.PreviewConsentQuery, b *outlook, out *ledgerapi.ConsentPreview) error {
	subjects := p.subjects(b)
	size, err := pageSize(q.Limit)
	if err != nil {
		return err
	}
	if q.Limit == 0 {
		size = ledgerapi.DefaultPreviewPage
	}
	left, err := countdown(q.Bookmark, uint32(len(subjects))) //nolint:gosec // some hundreds at most
	if err != nil {
		return err
	}
	out.Changes = []ledgerapi.ConsentChange{}
	page := subjects[len(subjects)-int(left):]
	for i := range page[:min(len(page), size, ledgerapi.MaxPreviewPage)] {
		left--
		for _, purpose := range emr.Purposes() {
			if page[i].Role.MayUse(purpose) && !purpose.Emergency() {
				page[i].Purpose = purpose
				out.Changes = append(out.Changes, p.changes(page[i], r.Now())...)
			}
		}
	}
	if left > 0 {
		out.Bookmark = number(left)
	}
	return nil
}

// changes compares the decision of every record before and after.
func (p *preview) changes(facts consent.Facts, now emr.Time) []ledgerapi.ConsentChange {
	var all []ledgerapi.ConsentChange
	for i := range p.records {
		record := &p.records[i]
		about := facts.About(record)
		before, after := consent.Decide(p.current, about, now), consent.Decide(p.candidate, about, now)
		if before.Decision == after.Decision {
			continue
		}
		same := func(c ledgerapi.ConsentChange) bool {
			return c.Before == before.Decision && c.After == after.Decision && c.Reason == after.Reason
		}
		at := slices.IndexFunc(all, same)
		if at < 0 {
			at = len(all)
			all = append(all, ledgerapi.ConsentChange{
				Person: facts.Person, Hospital: facts.Hospital, Role: facts.Role, Purpose: facts.Purpose,
				Gains: more(before.Decision, after.Decision), Before: before.Decision, After: after.Decision,
				Reason: after.Reason, Records: []emr.RecordID{}, Open: []emr.RecordID{},
			})
		}
		all[at].Records = append(all[at].Records, record.ID)
		if before.Decision != emr.Deny && p.open(&facts, record, before, now) {
			all[at].Open = append(all[at].Open, record.ID)
		}
	}
	return all
}

// more tells whether a decision lets more happen than the one before.
func more(before, after emr.Decision) bool {
	return after == emr.Permit || before == emr.Deny && after == emr.Ask
}

// open tells whether a live grant gives the person the record now.
func (p *preview) open(f *consent.Facts, record *emr.Record, before consent.Outcome, now emr.Time) bool {
	return slices.ContainsFunc(p.grants, func(g emr.Grant) bool {
		t := g.Effective()
		return extends(&g, record, before) && t.Grantee == f.Person && t.Org == f.Hospital && t.Scope == record.Scope && t.Covers(record.ID) &&
			g.Status == emr.GrantLive && now >= max(t.NotBefore, g.Ready) && now < t.Until && slices.Contains(t.Purposes, f.Purpose)
	})
}
