// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package consent

import (
	"crypto/sha256"
	"slices"

	"github.com/emrys-health/emrys/pkg/emr"
)

// Limits of a document. A document that is over one of them is refused, so that
// a decision is bounded whatever a patient signs.
const (
	MaxProvisions = 64
	MaxGroups     = 16
	// MaxMembers bounds the members of a group, MaxNamed each list of a provision.
	MaxMembers = 64
	MaxNamed   = 32
	// MaxName bounds the name of a group in bytes.
	MaxName = 40
	// MaxDays is how far ahead a provision may end, MaxGroupDays a group.
	MaxDays      = 3650
	MaxGroupDays = 365
	// MaxDocument bounds the canonical encoding in bytes.
	MaxDocument = 32 << 10
)

// Document is what a patient signs. All lists are present, sorted and without
// duplicates but for Provisions, whose order means nothing; see [Normal].
type Document struct {
	// Base decides what no provision does: emr.Deny, emr.Ask or emr.Permit. An
	// emr.Permit never extends to restricted records: those are asked for.
	Base       emr.Decision `json:"base"`
	Groups     []Group      `json:"groups"` // by name
	Provisions []Provision  `json:"provisions"`
}

// Group is a named list of professionals. It always ends.
type Group struct {
	// Name is 1 to 40 lower-case letters, digits and hyphens. It stands in public.
	Name    string            `json:"name"`
	Members []emr.ClinicianID `json:"members"`
	Until   emr.Time          `json:"until"` // exclusive
}

// Provision is one exception to the base. Every selector that is set must match;
// within a list any entry may. An empty list, an empty level and a zero time
// select everything. At least one selector besides the period is set.
type Provision struct {
	Effect emr.Decision `json:"effect"` // emr.Permit or emr.Deny
	// From is inclusive, Until exclusive.
	From      emr.Time          `json:"from"`
	Until     emr.Time          `json:"until"`
	People    []emr.ClinicianID `json:"people"`
	Groups    []string          `json:"groups"` // names of groups of this document
	Hospitals []emr.OrgID       `json:"hospitals"`
	Roles     []emr.Role        `json:"roles"`
	Purposes  []emr.Purpose     `json:"purposes"`
	Classes   []emr.Class       `json:"classes"`
	// Level selects records at this level and below.
	Level emr.Level `json:"level"`
	// Restricted selects restricted records alone. A permit without it selects
	// none of them; a deny without it selects them like all others.
	Restricted bool              `json:"restricted"`
	Authors    []emr.ClinicianID `json:"authors"`
	Records    []emr.RecordID    `json:"records"`
	Scopes     []emr.ScopeID     `json:"scopes"`
}

// Status is the state of a consent.
type Status string

// States.
const (
	Active Status = "active"
	// Withdrawn: the patient has withdrawn. Everything is denied to everybody else
	// until the patient puts another consent.
	Withdrawn Status = "withdrawn"
)

// Consent is one version of a patient's consent as it stands on the ledger.
// Versions count up from 1 by one and are never changed.
type Consent struct {
	V       int        `json:"v"`
	Patient emr.Handle `json:"patient"`
	Version uint32     `json:"version"`
	Status  Status     `json:"status"`
	// Document is empty, with base deny, when withdrawn.
	Document Document `json:"document"`
	// By is emr.ActorPatient, or the handle of the delegate who signed.
	By     string     `json:"by"`
	Action emr.Digest `json:"action"` // the signed action
	At     emr.Time   `json:"at"`
}

// Hash is the SHA-256 of the label "EMRYS-CONSENT-V1", a zero byte and the
// document's canonical encoding.
func (d *Document) Hash() (emr.Digest, error) {
	b, err := emr.Canonical(d)
	if err != nil {
		return emr.Digest{}, err
	}
	h := sha256.New()
	h.Write(append([]byte("EMRYS-CONSENT-V1"), 0))
	h.Write(b)
	return emr.Digest(h.Sum(nil)), nil
}

// Nothing is the document of a withdrawn consent.
func Nothing() Document {
	return Document{Base: emr.Deny, Groups: []Group{}, Provisions: []Provision{}}
}

// Normal returns a copy in the form that Validate asks for: lists present, sorted
// and without duplicates. It changes nothing that a decision depends on.
func Normal(d Document) Document {
	out := Document{Base: d.Base, Groups: make([]Group, len(d.Groups)), Provisions: make([]Provision, len(d.Provisions))}
	for i, g := range d.Groups {
		g.Members = sorted(g.Members)
		out.Groups[i] = g
	}
	slices.SortStableFunc(out.Groups, func(a, b Group) int { return compare(a.Name, b.Name) })
	for i, p := range d.Provisions {
		p.People, p.Groups, p.Hospitals = sorted(p.People), sorted(p.Groups), sorted(p.Hospitals)
		p.Roles, p.Purposes, p.Classes = sorted(p.Roles), sorted(p.Purposes), sorted(p.Classes)
		p.Authors, p.Records, p.Scopes = sorted(p.Authors), sorted(p.Records), sorted(p.Scopes)
		out.Provisions[i] = p
	}
	return out
}

func compare(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	default:
		return 0
	}
}

func sorted[T ~string](list []T) []T {
	out := append([]T{}, list...)
	slices.Sort(out)
	return slices.Compact(out)
}

// People returns every reader whom the document names, sorted.
func (d *Document) People() []emr.ClinicianID {
	var all []emr.ClinicianID
	for i := range d.Groups {
		all = append(all, d.Groups[i].Members...)
	}
	for i := range d.Provisions {
		all = append(all, d.Provisions[i].People...)
	}
	return sorted(all)
}

// Hospitals returns every organisation that the document names, sorted.
func (d *Document) Hospitals() []emr.OrgID {
	var all []emr.OrgID
	for i := range d.Provisions {
		all = append(all, d.Provisions[i].Hospitals...)
	}
	return sorted(all)
}

// Turns tells whether the passing of time from after one moment to another, both
// inclusive, begins or ends a provision or a group.
func (d *Document) Turns(after, to emr.Time) bool {
	within := func(t emr.Time) bool { return t != 0 && t > after && t <= to }
	return slices.ContainsFunc(d.Groups, func(g Group) bool { return within(g.Until) }) ||
		slices.ContainsFunc(d.Provisions, func(p Provision) bool { return within(p.From) || within(p.Until) })
}
