// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledgermodel

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/emrys-health/emrys/pkg/consent"
	"github.com/emrys-health/emrys/pkg/emr"
)

// Documents of consent as patients might put them (docs/spec/consent.md, C2 and C3).

// focus is what a provision is about: mostly what somebody reads already, so that
// provisions meet one another and the next reading.
type focus struct {
	c       *clinician
	purpose emr.Purpose
	record  *record
	scope   *scope
}

func (m *Model) focusOf(p *patient) *focus {
	f := &focus{c: pick(m, knownClinicians(m), "about whom"), purpose: pick(m, []emr.Purpose{
		emr.PurposeTreatment, emr.PurposePayment, emr.PurposeResearch,
	}, "purpose")}
	if len(m.records) > 0 {
		f.record = pick(m, m.records, "record")
	}
	if len(p.scopes) > 0 {
		f.scope = pick(m, p.scopes, "scope")
	}
	for _, g := range slices.Backward(m.grants) {
		if g.owner != p || m.seldom(4, "not this grant") {
			continue
		}
		f.c, f.scope = g.to, g.scope
		if g.purposes[0] != emr.PurposePatient && g.purposes[0] != emr.PurposeEmergency && g.purposes[0] != emr.PurposeBreakGlass {
			f.purpose = g.purposes[0]
		}
		if len(g.records) > 0 {
			f.record = g.records[0]
		}
		break
	}
	return f
}

// document makes a consent of up to four provisions, and tells whether it may be put.
func (m *Model) document(p *patient) (doc consent.Document, good bool) {
	d := consent.Document{Base: pick(m, []emr.Decision{emr.Ask, emr.Permit, emr.Deny}, "base")}
	shapes := []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}
	for range m.c.Choose(5, "provisions") {
		at := m.c.Choose(len(shapes), "shape")
		shape := shapes[at]
		shapes = slices.Delete(shapes, at, at+1)
		v := consent.Provision{Effect: pick(m, []emr.Decision{emr.Permit, emr.Deny}, "effect")}
		f := m.focusOf(p)
		if !m.shape(&v, &d, shape, f) {
			continue
		}
		if m.seldom(3, "another selector") {
			m.shape(&v, &d, pick(m, []int{0, 1, 2, 3, 4, 5, 11}, "which"), f)
		}
		m.widen(&v, p)
		m.period(&v)
		d.Provisions = append(d.Provisions, v)
	}
	good = m.sensible(&d)
	d = consent.Normal(d)
	if m.seldom(10, "malformed") {
		pick(m, badDocuments(), "what is wrong")(m, &d)
		good = false
	}
	return d, good
}

// widen names somebody or something besides.
func (m *Model) widen(v *consent.Provision, p *patient) {
	if m.mostly(3, "one of each") {
		return
	}
	f := m.focusOf(p)
	switch {
	case len(v.People) > 0:
		v.People = append(v.People, f.c.cid)
	case len(v.Hospitals) > 0:
		v.Hospitals = append(v.Hospitals, f.c.org)
	case len(v.Roles) > 0:
		v.Roles = append(v.Roles, emr.RoleResearcher)
	case len(v.Purposes) > 0:
		v.Purposes = append(v.Purposes, emr.PurposeOperations)
	case len(v.Classes) > 0:
		v.Classes = append(v.Classes, emr.ClassMedicine)
	case len(v.Records) > 0 && f.record != nil:
		v.Records = append(v.Records, f.record.id)
	case len(v.Authors) > 0:
		v.Authors = append(v.Authors, f.c.cid)
	}
}

// period lets a provision begin later, or end.
func (m *Model) period(v *consent.Provision) {
	if m.seldom(3, "an end") {
		v.Until = m.later("end")
	}
	if m.seldom(4, "a beginning") {
		v.From = m.later("beginning")
		if m.seldom(3, "in the past") {
			v.From = m.now().Add(-time.Minute)
		}
		if v.Until != 0 && m.mostly(4, "before the end") {
			v.Until = v.From + v.Until - m.now()
		}
	}
}

// sensible tells whether a document names members only, no period that cannot be, no
// selectors that nothing matches together, and nothing twice at one time.
func (m *Model) sensible(d *consent.Document) bool {
	good, all := true, consent.Normal(*d).Provisions
	for i := range all {
		v := &all[i]
		for _, hospital := range v.Hospitals {
			good = good && m.orgs[hospital].member
		}
		roles := len(v.Roles) == 0 || len(v.Purposes) == 0
		for _, role := range v.Roles {
			roles = roles || slices.ContainsFunc(v.Purposes, func(p emr.Purpose) bool { return uses(role, p) })
		}
		classes := v.Level == "" || len(v.Classes) == 0 ||
			slices.ContainsFunc(v.Classes, func(c emr.Class) bool { return reaches(v.Level, levelOf(c)) })
		good = good && roles && classes && (v.Until == 0 || v.From < v.Until)
		for j := range i {
			meet := (v.Until == 0 || all[j].From < v.Until) && (all[j].Until == 0 || v.From < all[j].Until)
			good = good && (!meet || selectors(v) != selectors(&all[j]))
		}
	}
	return good
}

// selectors is all that a provision selects by, but for its period.
func selectors(v *consent.Provision) string {
	bare := *v
	bare.Effect, bare.From, bare.Until = "", 0, 0
	b, _ := json.Marshal(bare)
	return string(b)
}

// badDocuments make a document malformed.
func badDocuments() []func(*Model, *consent.Document) {
	with := func(change func(*Model, *consent.Provision)) func(*Model, *consent.Document) {
		return func(m *Model, d *consent.Document) {
			only := consent.Normal(consent.Document{Base: d.Base, Provisions: []consent.Provision{{
				Effect: emr.Deny, Roles: []emr.Role{emr.RoleInsurer},
			}}})
			change(m, &only.Provisions[0])
			*d = only
		}
	}
	group := func(change func(*Model, *consent.Group)) func(*Model, *consent.Document) {
		return func(m *Model, d *consent.Document) {
			g := consent.Group{Name: "night", Members: []emr.ClinicianID{m.clinicians[0].cid}, Until: m.now().Add(time.Hour)}
			change(m, &g)
			*d = consent.Normal(consent.Document{Base: d.Base, Groups: []consent.Group{g}, Provisions: []consent.Provision{{
				Effect: emr.Permit, Groups: []string{"night"},
			}}})
		}
	}
	const day = 24 * time.Hour
	return []func(*Model, *consent.Document){
		func(_ *Model, d *consent.Document) { d.Base = "maybe" },
		func(_ *Model, d *consent.Document) { d.Provisions = nil },
		with(func(_ *Model, v *consent.Provision) { v.Effect = emr.Ask }),
		with(func(_ *Model, v *consent.Provision) { v.Roles = []emr.Role{} }),
		with(func(_ *Model, v *consent.Provision) { v.Roles = []emr.Role{emr.RoleAuditor} }),
		with(func(_ *Model, v *consent.Provision) { v.Purposes = []emr.Purpose{emr.PurposePatient} }),
		with(func(_ *Model, v *consent.Provision) { v.Purposes = []emr.Purpose{emr.PurposeBreakGlass} }),
		with(func(_ *Model, v *consent.Provision) { v.Groups = []string{"nobody"} }),
		with(func(_ *Model, v *consent.Provision) { v.Level = "secret" }),
		with(func(m *Model, v *consent.Provision) { v.Until = m.now() }),
		with(func(m *Model, v *consent.Provision) { v.Until = m.beyond(3650 * day) }),
		with(func(m *Model, v *consent.Provision) { v.From = m.beyond(3650 * day) }),
		group(func(_ *Model, g *consent.Group) { g.Name = "Night" }),
		group(func(_ *Model, g *consent.Group) { g.Members = []emr.ClinicianID{} }),
		group(func(_ *Model, g *consent.Group) { g.Until = 0 }),
		group(func(m *Model, g *consent.Group) { g.Until = m.now() }),
		group(func(m *Model, g *consent.Group) { g.Until = m.beyond(365 * day) }),
		func(m *Model, d *consent.Document) { // which no provision names
			d.Groups = []consent.Group{{Name: "night", Members: []emr.ClinicianID{m.clinicians[0].cid}, Until: m.now().Add(time.Hour)}}
			d.Provisions = []consent.Provision{}
		},
	}
}

// shape fills in one selector; false when there is nothing to select.
func (m *Model) shape(v *consent.Provision, d *consent.Document, shape int, f *focus) bool {
	switch shape {
	case 0:
		v.People = []emr.ClinicianID{f.c.cid}
	case 1:
		v.Hospitals = []emr.OrgID{f.c.org}
		if m.seldom(6, "another hospital") {
			v.Hospitals = []emr.OrgID{pick(m, m.orgIDs, "hospital")}
		}
	case 2:
		v.Roles = []emr.Role{emr.RolePhysician}
		if f.c.role == emr.RoleNurse || f.c.role == emr.RoleInsurer {
			v.Roles = []emr.Role{f.c.role}
		}
	case 3:
		v.Purposes = []emr.Purpose{f.purpose}
	case 5:
		v.Restricted = true
	case 9, 10:
		name := map[int]string{9: "ward", 10: "board"}[shape]
		v.Groups = []string{name}
		g := consent.Group{Name: name, Members: []emr.ClinicianID{f.c.cid}, Until: m.later("end of the group")}
		if m.seldom(2, "and somebody else") {
			g.Members = append(g.Members, pick(m, m.clinicians, "member").cid)
		}
		d.Groups = append(d.Groups, g)
	case 11:
		v.Level = pick(m, emr.Levels(), "level")
	case 8:
		if f.scope == nil {
			return false
		}
		v.Scopes = []emr.ScopeID{f.scope.ID}
		if m.seldom(2, "and its successor") {
			v.Scopes = append(v.Scopes, m.coming(f.scope.owner))
		}
	default:
		if f.record == nil {
			return false
		}
		switch shape {
		case 4:
			v.Classes = []emr.Class{f.record.class}
		case 6:
			v.Authors = []emr.ClinicianID{f.record.author.cid}
		default:
			v.Records = []emr.RecordID{f.record.id}
		}
	}
	return true
}
