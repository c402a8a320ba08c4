// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package consent

import (
	"slices"

	"github.com/emrys-health/emrys/pkg/emr"
)

// Facts are what a decision is made from besides the consent: who asks, what for,
// and for which record. Person, Hospital, Role and Reach come from the registry,
// which holds what a certificate asserts, never from the request.
type Facts struct {
	Person   emr.ClinicianID `json:"person"`
	Hospital emr.OrgID       `json:"hospital"`
	Role     emr.Role        `json:"role"`
	// Reach is the highest level that the person's certificate gives.
	Reach   emr.Level   `json:"reach"`
	Purpose emr.Purpose `json:"purpose"`

	Record     emr.RecordID    `json:"record"`
	Scope      emr.ScopeID     `json:"scope"`
	Class      emr.Class       `json:"class"`
	Level      emr.Level       `json:"level"`
	Restricted bool            `json:"restricted"`
	Author     emr.ClinicianID `json:"author"`
}

// About fills in the facts of a record.
func (f Facts) About(r *emr.Record) Facts {
	f.Record, f.Scope, f.Class, f.Level = r.ID, r.Scope, r.Class, r.Level
	f.Restricted, f.Author = r.Restricted, r.Author
	return f
}

// By fills in the facts of a professional.
func (f Facts) By(c *emr.Clinician) Facts {
	f.Person, f.Hospital, f.Role, f.Reach = c.ID, c.Org, c.Role, c.Level
	return f
}

// Ground tells what an outcome rests on.
type Ground string

// Grounds.
const (
	// GroundLevel: the record is above the person's level. No consent can change it.
	GroundLevel Ground = "level"
	// GroundNone: the patient has put no consent.
	GroundNone Ground = "none"
	// GroundWithdrawn: the patient has withdrawn the consent.
	GroundWithdrawn Ground = "withdrawn"
	// GroundProvision: the provision Won of the document.
	GroundProvision Ground = "provision"
	// GroundBase: no provision matched.
	GroundBase Ground = "base"
)

// Match is a provision that matched.
type Match struct {
	Index  int          `json:"index"` // in Document.Provisions
	Effect emr.Decision `json:"effect"`
}

// Outcome is a decision with everything that is needed to explain it.
type Outcome struct {
	Decision emr.Decision `json:"decision"`
	Reason   emr.Reason   `json:"reason"`
	// Version is that of the consent; 0 when there is none.
	Version uint32 `json:"version"`
	Ground  Ground `json:"ground"`
	// Won is the index of the provision that decided; -1 unless Ground is GroundProvision.
	Won int `json:"won"`
	// Matched lists the provisions that matched, in the document's order. It is never nil.
	Matched []Match `json:"matched"`
}

// Decide decides from a consent, nil when the patient has put none, what the
// patient has said about the facts at a moment:
//
//   - deny: it must not be, even with a grant;
//   - ask: nothing stands against it, and the patient is asked;
//   - permit: the patient wants it, so that the patient's device may answer without
//     asking the person. Keys are still the device's to give.
//
// It knows nothing of grants. Deny beats permit; the order of provisions decides
// nothing but which of several equals is named in Won.
func Decide(c *Consent, facts Facts, now emr.Time) Outcome {
	out := Outcome{Won: -1, Matched: []Match{}}
	if c != nil {
		out.Version = c.Version
	}
	switch {
	case !facts.Reach.Covers(facts.Level):
		return out.rests(GroundLevel, emr.Deny, emr.ReasonLevel)
	case c == nil:
		return out.rests(GroundNone, emr.Ask, emr.ReasonNoConsent)
	case c.Status != Active:
		return out.rests(GroundWithdrawn, emr.Deny, emr.ReasonConsentWithdrawn)
	}
	for i := range c.Document.Provisions {
		if p := &c.Document.Provisions[i]; p.matches(&c.Document, &facts, now) {
			out.Matched = append(out.Matched, Match{i, p.Effect})
		}
	}
	if at := slices.IndexFunc(out.Matched, denies); at >= 0 {
		out.Won = out.Matched[at].Index
		return out.rests(GroundProvision, emr.Deny, emr.ReasonConsentDenies)
	}
	if len(out.Matched) > 0 {
		out.Won = out.Matched[0].Index
		return out.rests(GroundProvision, emr.Permit, emr.ReasonConsentPermits)
	}
	return out.byBase(c.Document.Base, facts.Restricted)
}

// denies is true of everything but a permit: an effect that Validate would have
// refused must not permit.
func denies(m Match) bool { return m.Effect != emr.Permit }

func (o Outcome) byBase(base emr.Decision, restricted bool) Outcome {
	switch {
	case base == emr.Permit && restricted:
		return o.rests(GroundBase, emr.Ask, emr.ReasonConsentRestricted)
	case base == emr.Permit:
		return o.rests(GroundBase, emr.Permit, emr.ReasonConsentPermits)
	case base == emr.Ask:
		return o.rests(GroundBase, emr.Ask, emr.ReasonConsentAsks)
	default:
		return o.rests(GroundBase, emr.Deny, emr.ReasonConsentDenies)
	}
}

func (o Outcome) rests(ground Ground, decision emr.Decision, reason emr.Reason) Outcome {
	o.Ground, o.Decision, o.Reason = ground, decision, reason
	return o
}

// matches tells whether a provision is about the facts now.
func (p *Provision) matches(d *Document, f *Facts, now emr.Time) bool {
	return p.matchesPerson(d, f, now) && p.matchesRecord(f)
}

func (p *Provision) matchesPerson(d *Document, f *Facts, now emr.Time) bool {
	return p.inTime(now) && named(p.People, f.Person) && p.inGroup(d, f.Person, now) &&
		named(p.Hospitals, f.Hospital) && named(p.Roles, f.Role) && named(p.Purposes, f.Purpose)
}

func (p *Provision) matchesRecord(f *Facts) bool {
	return named(p.Classes, f.Class) && (p.Level == "" || p.Level.Covers(f.Level)) && p.matchesLabel(f.Restricted) &&
		named(p.Authors, f.Author) && named(p.Records, f.Record) && named(p.Scopes, f.Scope)
}

func (p *Provision) inTime(now emr.Time) bool {
	return now >= p.From && (p.Until == 0 || now < p.Until)
}

// matchesLabel keeps restricted records out of permits that do not say so.
func (p *Provision) matchesLabel(restricted bool) bool {
	return p.Restricted == restricted || p.Effect != emr.Permit && !p.Restricted
}

func (p *Provision) inGroup(d *Document, person emr.ClinicianID, now emr.Time) bool {
	if len(p.Groups) == 0 {
		return true
	}
	return slices.ContainsFunc(d.Groups, func(g Group) bool {
		return slices.Contains(p.Groups, g.Name) && now < g.Until && slices.Contains(g.Members, person)
	})
}

// named tells whether a list selects something; an empty one selects everything.
func named[T comparable](list []T, of T) bool { return len(list) == 0 || slices.Contains(list, of) }

// Excludes tells whether the consent denies the person of the facts every record
// of the scope for the purpose, now: it is what can be said of a grant that names
// no records. When it is false, each record is still decided by itself.
func Excludes(c *Consent, facts Facts, now emr.Time) bool {
	if c == nil {
		return false
	}
	if c.Status != Active {
		return true
	}
	hope := c.Document.Base != emr.Deny
	for i := range c.Document.Provisions {
		p := &c.Document.Provisions[i]
		if !p.matchesPerson(&c.Document, &facts, now) || !named(p.Scopes, facts.Scope) {
			continue
		}
		if p.Effect == emr.Permit {
			hope = true
		} else if !p.narrows() {
			return true
		}
	}
	return !hope
}

// narrows tells whether a provision is about some records of a scope only.
func (p *Provision) narrows() bool {
	return len(p.Classes)+len(p.Authors)+len(p.Records) > 0 || p.Level != "" || p.Restricted
}
