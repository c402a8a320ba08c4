// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledgermodel

import (
	"crypto/sha256"
	"slices"
	"strings"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
	"github.com/emrys-health/emrys/pkg/manifest"
	"github.com/emrys-health/emrys/pkg/pre"
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
	m.drawSigners(&wish)
	m.reuse(&wish)
	if m.seldom(12, "another's scope") {
		if of := pick(m, m.patients, "whose"); len(of.scopes) > 0 {
			wish.scope = of.scopes[0]
		}
	}
	return m.write(p, author, m.carrier(author), wish)
}

type recordWish struct {
	scope    *scope
	class    emr.Class
	label    bool
	previous *record
	signers  []signer
	size     uint64 // of the content; 0: as usual
	late     bool   // names another epoch
	used     *record
	as       string // what of it is used once more
}

func (m *Model) write(p *patient, by *actor, via emr.OrgID, wish recordWish) *step {
	man := m.manifest(p, by, wish)
	s := m.signed(ledgerapi.RegisterRecord, by, via, man)
	m.author(s, p, wish.class)
	r := m.newRecord(s, man, wish, by.org)
	r.labels = man.Labels
	s.faultsOfRecord(p, r, wish)
	m.faultsOfSigners(s, &wish)
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

// manifest makes a whole manifest with a capsule and an envelope for the members.
func (m *Model) manifest(p *patient, by *actor, wish recordWish) *emr.Manifest {
	id := ledgertest.ID[emr.RecordID](emr.RecordPrefix)
	if wish.as == "id" {
		id = wish.used.id
	}
	plain := max(wish.size, 1000)
	cipher, err := manifest.CipherSize(plain)
	require.NoError(m.t, err)
	man := &emr.Manifest{
		Record: id, Patient: p.handle, Scope: wish.scope.ID, Epoch: wish.scope.Epoch, Class: wish.class, Level: levelOf(wish.class), Version: 1,
		ContentType: "application/dicom", CID: ledgertest.CID(id), Digest: sha256.Sum256([]byte("digest " + id)),
		PlainSize: plain, CipherSize: cipher, SegmentSize: manifest.SegmentSize,
		FileID: sha256.Sum256([]byte("file " + id)), KeyCommitment: sha256.Sum256([]byte("commit " + id)), Threshold: 2,
	}
	if m.Content != nil {
		man.CID = m.Content()
	}
	for _, of := range wish.signers {
		man.Signers = append(man.Signers, emr.Signer{Clinician: of.cid, Org: of.in, Role: of.as})
	}
	man.Labels = m.labelsOf(&wish)
	if wish.previous != nil {
		man.Previous, man.Version = wish.previous.id, wish.previous.version+1
	}
	wish.claim(man)
	author := &emr.Clinician{ID: emr.ClinicianID(by.id), Signing: pinned(by.key)}
	hash, err := manifest.Context(m.d.Channel(), man, author, &wish.scope.Scope).Hash()
	require.NoError(m.t, err)
	delegating, err := pre.ParsePublicKey(wish.scope.Delegating)
	require.NoError(m.t, err)
	capsule, kPre, err := pre.Encapsulate(nil, delegating, hash)
	require.NoError(m.t, err)
	man.Capsule, man.Envelope = capsule.Bytes(), m.envelope(hash, kPre, by.org)
	if wish.as == "capsule" {
		man.Capsule = wish.used.capsule
	}
	return man
}

func (m *Model) envelope(ctx [32]byte, kPre []byte, hospital emr.OrgID) []byte {
	var to []pre.Recipient
	for _, id := range m.members() {
		key, err := pre.ParseHybridPublicKey(m.orgs[id].profile.Keys.Proxy)
		require.NoError(m.t, err)
		to = append(to, pre.Recipient{ID: string(id), Key: key})
	}
	slices.SortFunc(to, func(a, b pre.Recipient) int { return strings.Compare(a.ID, b.ID) })
	kShare, shares, err := pre.SplitShares(nil, ctx, 2, to)
	require.NoError(m.t, err)
	dek := slices.Repeat([]byte{7}, pre.KeySize)
	wrapped, err := pre.WrapKey(ctx, kShare, kPre, dek)
	require.NoError(m.t, err)
	own, err := pre.ParseHybridPublicKey(m.orgs[hospital].profile.Keys.Record)
	require.NoError(m.t, err)
	copied, err := pre.SealPatientCopy(own, ctx, kShare)
	require.NoError(m.t, err)
	legal, err := pre.SealHospitalCopy(own, ctx, dek)
	require.NoError(m.t, err)
	sealed := pre.Envelope{Wrapped: wrapped, Shares: *shares, PatientCopy: copied, HospitalCopy: legal}
	b, err := sealed.Marshal()
	require.NoError(m.t, err)
	return b
}
