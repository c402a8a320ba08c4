// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package consent

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/emrys-health/emrys/pkg/emr"
)

// Parse reads a document that a patient is about to put: its canonical encoding
// and nothing else, valid at the moment given. Unknown fields, another encoding
// and more than MaxDocument bytes are refused.
func Parse(data []byte, now emr.Time) (*Document, error) {
	if len(data) > MaxDocument {
		return nil, errTooLarge()
	}
	var d Document
	if err := emr.DecodeCanonical(data, &d); err != nil {
		return nil, err
	}
	if err := d.Validate(now); err != nil {
		return nil, err
	}
	return &d, nil
}

func errTooLarge() error {
	return &emr.Error{
		Code: emr.CodeTooLarge, Field: "document", Message: fmt.Sprintf("must be at most %d bytes", MaxDocument),
	}
}

// Validate checks a document that is put at a moment. What it accepts is bounded,
// has one encoding, and holds nothing that is over, duplicate or contradicts
// itself. Errors name the field.
func (d *Document) Validate(now emr.Time) error {
	if d.Base != emr.Deny && d.Base != emr.Ask && d.Base != emr.Permit {
		return emr.Invalid("document.base", "must be deny, ask or permit")
	}
	if d.Provisions == nil || len(d.Provisions) > MaxProvisions {
		return emr.Invalid("document.provisions", fmt.Sprintf("must be a list of at most %d provisions", MaxProvisions))
	}
	if err := d.validateGroups(now); err != nil {
		return err
	}
	for i := range d.Provisions {
		if err := d.validateProvision(i, now); err != nil {
			return err
		}
	}
	if err := d.validateUse(); err != nil {
		return err
	}
	b, err := emr.Canonical(d)
	if err != nil {
		return err
	}
	if len(b) > MaxDocument {
		return errTooLarge()
	}
	return nil
}

func (d *Document) validateGroups(now emr.Time) error {
	if d.Groups == nil || len(d.Groups) > MaxGroups {
		return emr.Invalid("document.groups", fmt.Sprintf("must be a list of at most %d groups", MaxGroups))
	}
	for i := range d.Groups {
		field := fmt.Sprintf("document.groups[%d]", i)
		if i > 0 && d.Groups[i-1].Name >= d.Groups[i].Name {
			return emr.Invalid(field+".name", "must follow the name before: groups are sorted, none twice")
		}
		if err := d.Groups[i].validate(field, now); err != nil {
			return err
		}
	}
	return nil
}

func (g *Group) validate(field string, now emr.Time) error {
	if !groupName(g.Name) {
		return emr.Invalid(field+".name", fmt.Sprintf("must be 1 to %d lower-case letters, digits and hyphens", MaxName))
	}
	if len(g.Members) == 0 {
		return emr.Invalid(field+".members", "must name somebody")
	}
	if err := list(field+".members", g.Members, MaxMembers, emr.CheckID); err != nil {
		return err
	}
	if g.Until == 0 {
		return emr.Invalid(field+".until", "must be present: a group always ends")
	}
	return checkEnd(field+".until", g.Until, now, MaxGroupDays)
}

func groupName(name string) bool {
	if name == "" || len(name) > MaxName {
		return false
	}
	for _, c := range []byte(name) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

func checkEnd(field string, until, now emr.Time, days int) error {
	switch {
	case until <= now:
		return emr.Invalid(field, "is over already")
	case until > now.Add(time.Duration(days)*24*time.Hour):
		return emr.Invalid(field, fmt.Sprintf("must be at most %d days ahead", days))
	default:
		return nil
	}
}

func (d *Document) validateProvision(i int, now emr.Time) error {
	p, field := &d.Provisions[i], fmt.Sprintf("document.provisions[%d]", i)
	if p.Effect != emr.Permit && p.Effect != emr.Deny {
		return emr.Invalid(field+".effect", "must be permit or deny")
	}
	if err := p.validatePeriod(field, now); err != nil {
		return err
	}
	if err := p.validateLists(field, d.Groups); err != nil {
		return err
	}
	if p.Level != "" {
		if _, err := emr.ParseLevel(field+".level", string(p.Level)); err != nil {
			return err
		}
	}
	if !p.selects() {
		return emr.Invalid(field, "must select something besides a period: for everything there is the base")
	}
	return p.validateSense(field)
}

func (p *Provision) validatePeriod(field string, now emr.Time) error {
	if p.From < 0 {
		return emr.Invalid(field+".from", "must not be negative")
	}
	if p.From > now.Add(MaxDays*24*time.Hour) {
		return emr.Invalid(field+".from", fmt.Sprintf("must be at most %d days ahead", MaxDays))
	}
	if p.Until == 0 {
		return nil
	}
	if p.From >= p.Until {
		return emr.Invalid(field+".until", "must be after from")
	}
	return checkEnd(field+".until", p.Until, now, MaxDays)
}

// validateLists checks the form of every list.
func (p *Provision) validateLists(field string, groups []Group) error {
	known := func(field, name string) error {
		if !slices.ContainsFunc(groups, func(g Group) bool { return g.Name == name }) {
			return emr.Invalid(field, "names a group that the document does not hold")
		}
		return nil
	}
	return cmp.Or(
		list(field+".people", p.People, MaxNamed, emr.CheckID),
		list(field+".groups", p.Groups, MaxNamed, known),
		list(field+".hospitals", p.Hospitals, MaxNamed, check(emr.ParseOrgID)),
		list(field+".roles", p.Roles, MaxNamed, checkRole),
		list(field+".purposes", p.Purposes, MaxNamed, checkPurpose),
		list(field+".classes", p.Classes, MaxNamed, check(emr.ParseClass)),
		list(field+".authors", p.Authors, MaxNamed, emr.CheckID),
		list(field+".records", p.Records, MaxNamed, emr.CheckID),
		list(field+".scopes", p.Scopes, MaxNamed, emr.CheckID),
	)
}

// list checks that a list is present, bounded, sorted and without duplicates, and each entry of it.
func list[T ~string](field string, entries []T, most int, check func(string, T) error) error {
	if entries == nil || len(entries) > most {
		return emr.Invalid(field, fmt.Sprintf("must be a list of at most %d entries", most))
	}
	for i, entry := range entries {
		if i > 0 && entries[i-1] >= entry {
			return emr.Invalid(field, "must be sorted and name nothing twice")
		}
		if err := check(field, entry); err != nil {
			return err
		}
	}
	return nil
}

func check[T ~string](parse func(field, text string) (T, error)) func(string, T) error {
	return func(field string, value T) error {
		_, err := parse(field, string(value))
		return err
	}
}

// checkRole accepts the roles that may ask for records at all.
func checkRole(field string, role emr.Role) error {
	if role == emr.RolePatient || !slices.ContainsFunc(emr.Purposes(), role.MayUse) {
		return emr.Invalid(field, "must be the role of a professional who may read: physician, nurse, researcher or insurer")
	}
	return nil
}

// checkPurpose accepts every purpose but the patient's own, about which a consent says nothing.
func checkPurpose(field string, purpose emr.Purpose) error {
	if purpose == emr.PurposePatient {
		return emr.Invalid(field, "must not be PATRQT: a consent is about others")
	}
	if purpose.Emergency() {
		return emr.Invalid(field, "must not be an emergency's: emergency access is declined in the emergency plan")
	}
	_, err := emr.ParsePurpose(field, string(purpose))
	return err
}

func (p *Provision) selects() bool {
	who := len(p.People) + len(p.Groups) + len(p.Hospitals) + len(p.Roles) + len(p.Purposes)
	return who > 0 || len(p.Scopes) > 0 || p.narrows()
}

// validateSense refuses selectors that nothing can match together.
func (p *Provision) validateSense(field string) error {
	uses := func(role emr.Role) bool { return slices.ContainsFunc(p.Purposes, role.MayUse) }
	if len(p.Roles) > 0 && len(p.Purposes) > 0 && !slices.ContainsFunc(p.Roles, uses) {
		return emr.Invalid(field+".purposes", "contradicts roles: none of the roles may use any of the purposes")
	}
	within := func(class emr.Class) bool { return p.Level.Covers(class.Level()) }
	if p.Level != "" && len(p.Classes) > 0 && !slices.ContainsFunc(p.Classes, within) {
		return emr.Invalid(field+".level", "contradicts classes: none of the classes is kept at this level or below")
	}
	return nil
}

// validateUse refuses groups that no provision names, provisions that say the
// same twice, and provisions that say the opposite of the same.
func (d *Document) validateUse() error {
	for i := range d.Groups {
		uses := func(p Provision) bool { return slices.Contains(p.Groups, d.Groups[i].Name) }
		if !slices.ContainsFunc(d.Provisions, uses) {
			return emr.Invalid(fmt.Sprintf("document.groups[%d]", i), "is named by no provision")
		}
	}
	for i := range d.Provisions {
		for j := range i {
			a, b := &d.Provisions[j], &d.Provisions[i]
			if !a.selectsAs(b) || !a.overlaps(b) {
				continue
			}
			if a.Effect == b.Effect {
				return emr.Invalid(fmt.Sprintf("document.provisions[%d]", i), fmt.Sprintf("says the same as provision %d", j))
			}
			return emr.Invalid(fmt.Sprintf("document.provisions[%d]", i), fmt.Sprintf("contradicts provision %d", j))
		}
	}
	return nil
}

// selectsAs tells whether two provisions have the same selectors, whatever their effects and periods.
func (p *Provision) selectsAs(other *Provision) bool {
	return slices.Equal(p.People, other.People) && slices.Equal(p.Groups, other.Groups) &&
		slices.Equal(p.Hospitals, other.Hospitals) && slices.Equal(p.Roles, other.Roles) &&
		slices.Equal(p.Purposes, other.Purposes) && p.sameRecords(other)
}

func (p *Provision) sameRecords(other *Provision) bool {
	return slices.Equal(p.Classes, other.Classes) && p.Level == other.Level && p.Restricted == other.Restricted &&
		slices.Equal(p.Authors, other.Authors) && slices.Equal(p.Records, other.Records) && slices.Equal(p.Scopes, other.Scopes)
}

func (p *Provision) overlaps(other *Provision) bool {
	return (p.Until == 0 || other.From < p.Until) && (other.Until == 0 || p.From < other.Until)
}
