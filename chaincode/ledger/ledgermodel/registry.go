// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledgermodel

import (
	"fmt"
	"slices"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
	"github.com/emrys-health/emrys/pkg/pre"
)

func (m *Model) newKey() *pre.PrivateKey {
	key, err := pre.GeneratePrivateKey(nil)
	require.NoError(m.t, err)
	return key
}

func (m *Model) newHybrid() []byte {
	key, err := pre.GenerateHybridKey()
	require.NoError(m.t, err)
	return key.Public().Bytes()
}

func pinned(key *pre.PrivateKey) emr.PinnedKey {
	return emr.PinnedKey{Kind: emr.SignatureP256, Key: key.Public().Bytes()}
}

func (m *Model) issue(org emr.OrgID, wish ledgertest.Wish, key *pre.PrivateKey) string {
	cert, err := m.d.Issue(org, wish, key)
	require.NoError(m.t, err)
	return cert
}

// addPatient makes a patient who is not registered yet.
func (m *Model) addPatient(home emr.OrgID) *patient {
	p := &patient{
		actor: &actor{org: home, key: m.newKey(), name: fmt.Sprintf("patient %d of %s", len(m.patients), home)},
		born:  home, handle: ledgertest.ID[emr.Handle](emr.HandlePrefix), pseudonym: ledgertest.ID[emr.PatientID](emr.PatientPrefix),
		hybrid: m.newHybrid(), relations: map[emr.OrgID]emr.RelationshipStatus{}, delegates: map[*patient]*delegation{},
		proposed: map[*actor]*recovery{},
	}
	p.id, p.patient = string(p.handle), p
	p.cert = m.issue(home, ledgertest.Wish{CN: string(p.pseudonym), Role: string(emr.RolePatient)}, p.key)
	m.patients, m.people = append(m.patients, p), append(m.people, p.actor)
	return p
}

// addClinician makes a professional who is not registered yet.
func (m *Model) addClinician(of emr.OrgID, role emr.Role, level emr.Level) *clinician {
	c := &clinician{
		actor: &actor{org: of, key: m.newKey(), name: fmt.Sprintf("%s %d of %s", role, len(m.clinicians), of)},
		cid:   ledgertest.ID[emr.ClinicianID](emr.ClinicianPrefix), role: role, level: level,
		reading: m.newKey(), hybrid: m.newHybrid(),
	}
	c.id, c.clinician = string(c.cid), c
	m.clinicians, m.people = append(m.clinicians, c), append(m.people, c.actor)
	return c
}

func (m *Model) drawRegisterPatient() *step {
	if len(m.patients) < 6 && m.seldom(3, "a new patient") {
		m.addPatient(pick(m, m.homes(), "home"))
	}
	p := pick(m, m.patients, "patient")
	if m.seldom(6, "somebody else") {
		return m.falsePatient(p)
	}
	fresh := slices.IndexFunc(m.patients, func(p *patient) bool { return !p.registered })
	if fresh >= 0 && m.mostly(3, "a fresh patient") {
		p = m.patients[fresh]
	}
	return m.registerPatient(p, m.carrier(p.actor))
}

func (m *Model) homes() []emr.OrgID {
	return slices.DeleteFunc(m.members(), func(id emr.OrgID) bool { return m.orgs[id].kind != emr.KindHospital })
}

func (m *Model) registerPatient(p *patient, via emr.OrgID) *step {
	s := &step{function: ledgerapi.RegisterPatient, by: p.actor, via: via, args: ledgerapi.RegisterPatientArgs{
		Patient: p.pseudonym, Handle: p.handle, Home: p.born, Certificate: p.cert, Consent: pinned(p.key), Hybrid: p.hybrid,
	}}
	s.fault(!m.orgs[via].member, emr.CodeForbidden)
	s.fault(m.stopped[s.function], emr.CodeUnsupported)
	s.fault(via != p.born, emr.CodeForbidden)
	s.fault(p.registered, emr.CodeExists)
	s.then = func(*answer) []emr.AuditEntry {
		p.registered = true
		return []emr.AuditEntry{byThePatient(emr.AuditRegistered, p, p.actor, "")}
	}
	return s
}

// drawRegisterClinician registers a professional, or renews the certificate.
func (m *Model) drawRegisterClinician() *step {
	if len(m.clinicians) < 14 && m.seldom(4, "a new professional") {
		roles := []emr.Role{emr.RolePhysician, emr.RoleNurse, emr.RoleInsurer, emr.RolePrivacyOfficer, emr.RoleAuditor}
		m.addClinician(pick(m, m.homes(), "organisation"), pick(m, roles, "role"), pick(m, emr.Levels(), "level"))
	}
	c := pick(m, m.clinicians, "professional")
	switch m.c.Choose(8, "an impostor") {
	case 6:
		return m.falseClinician(c)
	case 7:
		return m.drawTwin()
	}
	days := pick(m, []int{400, 30, 800, 3}, "days")
	key := c.key
	if m.seldom(2, "another key") {
		key = m.newKey()
	}
	reading := c.reading
	switch m.c.Choose(6, "reading key") {
	case 4:
		reading = m.newKey()
	case 5:
		if len(c.retired) > 0 {
			reading = pick(m, c.retired, "a key of before")
		}
	}
	level := c.level
	if m.seldom(3, "another level") {
		level = pick(m, emr.Levels(), "level")
	}
	return m.registerClinician(c, m.carrier(c.actor), days, key, reading, level)
}

func (m *Model) registerClinician(
	c *clinician, via emr.OrgID, days int, key, reading *pre.PrivateKey, level emr.Level,
) *step {
	until := m.now().Add(time.Duration(days) * 24 * time.Hour)
	role := m.roleOf(c)
	wish := ledgertest.Wish{CN: c.id, Role: string(role), Level: string(level), Until: time.Unix(int64(until), 0)}
	cert := m.issue(c.org, wish, key)
	s := &step{function: ledgerapi.RegisterClinician, by: c.actor, via: via, key: key, args: ledgerapi.RegisterClinicianArgs{
		Clinician: c.cid, Org: c.org, Certificate: cert, Reading: reading.Public().Bytes(), Hybrid: c.hybrid,
	}}
	s.fault(!m.orgs[via].member, emr.CodeForbidden)
	s.fault(m.stopped[s.function], emr.CodeUnsupported)
	s.fault(via != c.org, emr.CodeForbidden)
	auditor := c.role == emr.RoleAuditor
	s.fault(auditor != (m.orgs[c.org].kind == emr.KindRegulator) && c.role != emr.RolePrivacyOfficer, emr.CodeForbidden)
	if c.registered {
		s.fault(until <= c.notAfter, emr.CodeExists)
		s.fault(c.status == emr.ClinicianOffboarded, emr.CodeRule)
		s.fault(reading != c.reading && slices.Contains(c.retired, reading), emr.CodeRule)
		s.event = ledgerapi.EventKeysReplaced
	}
	s.then = func(*answer) []emr.AuditEntry {
		if c.registered {
			c.version++
			c.read(reading)
		}
		c.registered, c.notAfter, c.key, c.level, c.reading = true, until, key, level, reading
		c.role = role
		c.cert, c.revoked = m.certificate(cert), false
		m.urge = func() *step { return m.readAgain(func(g *grant) bool { return g.to == c }) }
		return []emr.AuditEntry{about(emr.AuditClinician, c)}
	}
	return s
}

// read replaces a reading key.
func (c *clinician) read(by *pre.PrivateKey) {
	if by != c.reading {
		c.retired = append(c.retired, c.reading)
		c.reading = by
	}
}

// readBy replaces a hybrid key.
func (c *clinician) readBy(hybrid []byte) {
	if !slices.Equal(hybrid, c.hybrid) {
		c.hybrids, c.hybrid = append(c.hybrids, c.hybrid), hybrid
	}
}

func about(kind emr.AuditKind, c *clinician) emr.AuditEntry {
	return emr.AuditEntry{Kind: kind, Actor: c.id, Org: c.org, Ref: c.id}
}

func (m *Model) drawRotateClinicianKeys() *step {
	c := pick(m, knownClinicians(m), "professional")
	if len(m.grants) > 0 && m.mostly(3, "one with a grant") {
		c = m.recentGrant().to
	}
	return m.rotateClinicianKeys(c)
}

func (m *Model) rotateClinicianKeys(c *clinician) *step {
	return m.rotateOf(c, m.orAnybody(c.actor), m.c.Choose(8, "what"))
}

// onlyHybrid is the kind of a rotation that leaves the reading key.
const onlyHybrid = 5

func (m *Model) rotateOf(c *clinician, by *actor, kind int) *step {
	reading, hybrid, version := m.newKey(), c.hybrid, c.version
	switch kind {
	case 4:
		reading = c.reading
	case onlyHybrid:
		reading, hybrid = c.reading, m.newHybrid()
	case 6:
		version++
	case 7:
		if len(c.retired) > 0 {
			reading = pick(m, c.retired, "a key of before")
		}
	}
	s := m.signed(ledgerapi.RotateClinicianKeys, by, m.carrier(by), ledgerapi.RotateClinicianKeysArgs{
		Clinician: c.cid, Version: version, Reading: reading.Public().Bytes(), Hybrid: hybrid,
	})
	s.active()
	s.fault(by != c.actor, emr.CodeForbidden)
	s.fault(version != c.version, emr.CodeStale)
	s.fault(reading == c.reading && slices.Equal(hybrid, c.hybrid), emr.CodeInvalid)
	s.fault(slices.Contains(c.retired, reading), emr.CodeRule)
	s.event = ledgerapi.EventKeysReplaced
	s.then = func(*answer) []emr.AuditEntry {
		c.version++
		c.readBy(hybrid)
		c.read(reading)
		m.urge = func() *step { return m.readAgain(func(g *grant) bool { return g.to == c }) }
		return []emr.AuditEntry{about(emr.AuditKeys, c)}
	}
	return s
}

// drawStatus suspends, reinstates or off-boards.
func (m *Model) drawStatus(function string) *step {
	c := pick(m, knownClinicians(m), "professional")
	suspended := func(c *clinician) bool { return c.status == emr.ClinicianSuspended }
	if function == ledgerapi.ReinstateClinician && idle(m, m.clinicians, suspended) {
		return nil
	}
	for _, other := range knownClinicians(m) {
		if function == ledgerapi.ReinstateClinician && suspended(other) {
			c = other
		}
	}
	if function == ledgerapi.OffboardClinician && m.mostly(12, "none of the first") {
		c = m.clinicians[len(m.clinicians)-1]
	}
	by := c.org
	if m.seldom(6, "another organisation") {
		by = pick(m, m.orgIDs, "organisation")
	}
	return m.status(function, c, by)
}

func (m *Model) status(function string, c *clinician, by emr.OrgID) *step {
	s := m.order(function, by, ledgerapi.ClinicianStatusArgs{Clinician: c.cid})
	s.fault(!c.registered, emr.CodeNotFound)
	s.fault(by != c.org, emr.CodeForbidden)
	to := map[string]emr.ClinicianStatus{
		ledgerapi.SuspendClinician: emr.ClinicianSuspended, ledgerapi.ReinstateClinician: emr.ClinicianActive,
		ledgerapi.OffboardClinician: emr.ClinicianOffboarded,
	}[function]
	s.fault(c.status == to || c.status == emr.ClinicianOffboarded, emr.CodeRule)
	s.event = ledgerapi.EventClinicianStatus
	s.then = func(*answer) []emr.AuditEntry {
		c.status = to
		m.urge = func() *step {
			if writes(c.role) && m.seldom(2, "as a signer") {
				return m.nameSigner(c)
			}
			return m.readAgain(func(g *grant) bool { return g.to == c })
		}
		e := emr.AuditEntry{Kind: emr.AuditStatus, Actor: emr.ActorAdmin, Org: c.org, Decision: emr.Permit, Ref: c.id}
		if to != emr.ClinicianActive {
			e.Decision, e.Reason = emr.Deny, statusReason(c)
		}
		return []emr.AuditEntry{e}
	}
	return s
}

func statusReason(c *clinician) emr.Reason {
	return map[emr.ClinicianStatus]emr.Reason{
		emr.ClinicianSuspended: emr.ReasonSuspended, emr.ClinicianOffboarded: emr.ReasonOffboarded,
		emr.ClinicianRevoked: emr.ReasonRevokedCertificate,
	}[c.state()]
}
