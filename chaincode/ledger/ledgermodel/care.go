// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledgermodel

import (
	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// Scopes, relationships and records.

func (m *Model) drawPublishScopes() *step {
	p := pick(m, knownPatients(m), "patient")
	by := m.self(p)
	s := m.publish(p, by, m.carrier(by), pick(m, emr.Levels(), "level"))
	args := s.args.(*ledgerapi.PublishScopesArgs)
	switch m.c.Choose(8, "what") {
	case 6: // somebody's scope once more
		if of := pick(m, m.patients, "whose"); len(of.scopes) > 0 {
			args.Scopes[0].ID = of.scopes[0].ID
			s.fault(true, emr.CodeExists)
		}
	case 7:
		args.Scopes = append(args.Scopes, args.Scopes[0])
		s.fault(true, emr.CodeInvalid)
	case 5:
		m.reuseKey(s, &args.Scopes[0])
	}
	return s
}

func (m *Model) publish(p *patient, by *actor, via emr.OrgID, level emr.Level) *step {
	fresh := ledgerapi.NewScope{
		ID: ledgertest.ID[emr.ScopeID](emr.ScopePrefix), Epoch: 1, Level: level,
		Delegating: m.newKey().Public().Bytes(), Fragment: m.newKey().Public().Bytes(),
	}
	s := m.signed(ledgerapi.PublishScopes, by, via, &ledgerapi.PublishScopesArgs{
		Patient: p.handle, Scopes: []ledgerapi.NewScope{fresh},
	})
	s.onlyPatient(p)
	s.then = func(a *answer) []emr.AuditEntry {
		m.publishes(p, &fresh, a.At)
		return []emr.AuditEntry{byThePatient(emr.AuditScopes, p, p.actor, "")}
	}
	return s
}

func (m *Model) drawPropose() *step {
	p, by := pick(m, m.patients, "patient"), m.orAnybody(pick(m, m.writers(), "professional").actor)
	if status := p.relations[by.org]; status == emr.RelationshipAccepted || status == emr.RelationshipProposed {
		p = pick(m, m.patients, "another patient")
	}
	hospital := by.org
	if m.seldom(8, "another hospital") {
		hospital = pick(m, m.orgIDs, "hospital")
	}
	return m.propose(p, by, m.carrier(by), hospital)
}

func (m *Model) propose(p *patient, by *actor, via, hospital emr.OrgID) *step {
	s := m.signed(ledgerapi.ProposeRelationship, by, via, ledgerapi.ProposeRelationshipArgs{Patient: p.handle, Hospital: hospital})
	if s.active() {
		s.fault(hospital != by.org, emr.CodeForbidden)
		s.fault(!writes(by.clinician.role), emr.CodeRule)
	}
	s.fault(!p.registered, emr.CodeNotFound)
	status := p.relations[hospital]
	s.fault(status == emr.RelationshipProposed || status == emr.RelationshipAccepted, emr.CodeExists)
	s.then = func(*answer) []emr.AuditEntry {
		p.relations[hospital] = emr.RelationshipProposed
		e := byTheClinician(emr.AuditRelationship, p, by, string(hospital))
		e.Decision = emr.Ask
		return []emr.AuditEntry{e}
	}
	return s
}

func (m *Model) drawAnswer() *step {
	p := pick(m, knownPatients(m), "patient")
	hospital := pick(m, m.orgIDs, "hospital")
	found := false
	for _, of := range knownPatients(m) {
		for _, id := range m.orgIDs {
			if of.relations[id] == emr.RelationshipProposed && m.mostly(3, "what was proposed") {
				p, hospital, found = of, id, true
			}
		}
	}
	if !found && m.mostly(3, "nothing to do") {
		return nil
	}
	by := m.orAnybody(m.helper(p))
	return m.answerTo(p, by, m.carrier(by), hospital, m.mostly(3, "accept"))
}

// self is the patient where nobody else will do: somebody else now and then, and
// those to whom the patient has delegated other things.
func (m *Model) self(p *patient) *actor {
	if m.seldom(4, "a delegate beyond the delegation") {
		return m.helper(p)
	}
	return m.orAnybody(p.actor)
}

// helper is the patient, or somebody to whom the patient has ever delegated.
func (m *Model) helper(p *patient) *actor {
	var all []*actor
	for _, q := range m.patients {
		if d := p.delegates[q]; d != nil && (d.holds(m.now()) || m.seldom(3, "of before")) {
			all = append(all, q.actor)
		}
	}
	if len(all) > 0 && m.seldom(2, "a delegate") {
		return pick(m, all, "delegate")
	}
	return p.actor
}

func (m *Model) answerTo(p *patient, by *actor, via, hospital emr.OrgID, accept bool) *step {
	s := m.signed(ledgerapi.AnswerRelationship, by, via, ledgerapi.AnswerRelationshipArgs{
		Patient: p.handle, Hospital: hospital, Accept: accept,
	})
	m.patientOrDelegate(s, p)
	status, known := p.relations[hospital]
	s.fault(!known, emr.CodeNotFound)
	s.fault(accept && status != emr.RelationshipProposed || !accept && status == emr.RelationshipRefused, emr.CodeRule)
	s.then = func(*answer) []emr.AuditEntry {
		e := byThePatient(emr.AuditRelationship, p, by, string(hospital))
		p.relations[hospital], e.Decision = emr.RelationshipRefused, emr.Deny
		if accept {
			p.relations[hospital], e.Decision = emr.RelationshipAccepted, emr.Permit
		}
		return []emr.AuditEntry{e}
	}
	return s
}

func writes(role emr.Role) bool { return role == emr.RolePhysician || role == emr.RoleNurse }

// levelOf is the level of a class, as the architecture's table says.
func levelOf(class emr.Class) emr.Level {
	switch class {
	case emr.ClassMedicalDevice, emr.ClassMedicine, emr.ClassClinicalObservation:
		return emr.LevelLow
	case emr.ClassLifelogSensor:
		return emr.LevelModerate
	default:
		return emr.LevelPrivate
	}
}

// reaches tells whether a level covers another.
func reaches(a, b emr.Level) bool {
	rank := map[emr.Level]int{emr.LevelLow: 1, emr.LevelModerate: 2, emr.LevelPrivate: 3}
	return rank[a] >= rank[b]
}

func (m *Model) drawRegisterRecord() *step {
	p := pick(m, knownPatients(m), "patient")
	if len(p.scopes) == 0 {
		return nil
	}
	author := pick(m, knownClinicians(m), "author").actor
	for _, c := range knownClinicians(m) {
		if writes(c.role) && p.relations[c.org] == emr.RelationshipAccepted && m.mostly(3, "a hospital that may") {
			author = c.actor
		}
	}
	wish := recordWish{
		scope: pick(m, p.scopes, "scope"), class: pick(m, []emr.Class{
			emr.ClassPrescription, emr.ClassMedicine, emr.ClassLifelogSensor, emr.ClassMedicalImaging,
		}, "class"), label: m.seldom(4, "a label"),
	}
	if len(m.records) > 0 && m.seldom(3, "a version") {
		wish.previous = pick(m, m.records, "of which")
		if m.mostly(3, "by its author") {
			p, author = wish.previous.owner, wish.previous.author.actor
			wish.scope, wish.class = wish.previous.scope, wish.previous.class
		}
	}
	if m.seldom(8, "malformed") {
		bad := pick(m, m.badManifests(), "what is wrong")
		wish.bad = &bad
	}
	m.drawSigners(&wish)
	m.reuse(&wish)
	if m.seldom(12, "another's scope") {
		if of := pick(m, m.patients, "whose"); len(of.scopes) > 0 {
			wish.scope = of.scopes[0]
		}
	}
	return m.write(p, author, m.carrier(author), wish)
}

func (m *Model) write(p *patient, by *actor, via emr.OrgID, wish recordWish) *step {
	man := m.manifest(p, by, wish)
	s := m.signed(ledgerapi.RegisterRecord, by, via, man)
	m.author(s, p, wish.class)
	r := m.newRecord(s, man, wish, by.org)
	r.labels = man.Labels
	s.faultsOfRecord(p, r, wish)
	m.faultsOfSigners(s, &wish)
	if wish.bad != nil {
		s.fault(true, wish.bad.code)
	}
	s.event = ledgerapi.EventRecordRegistered
	s.then = func(a *answer) []emr.AuditEntry {
		m.registered(s, r, wish.previous, a.At)
		m.opensSigning(r, &wish)
		e := byTheClinician(emr.AuditRecord, p, by, string(r.id))
		e.Record = r.id
		return []emr.AuditEntry{e}
	}
	return s
}
