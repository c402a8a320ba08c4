// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledgermodel

import (
	"time"

	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
	"github.com/emrys-health/emrys/pkg/pre"
)

// People who register as somebody or something that they are not, and one person who
// is registered as two.

// onePerson tells whether two registrations are one person's as far as anybody can
// see: by name, or by a key that they share now.
func onePerson(a, b *clinician) bool { return a == b || a.key == b.key || a.reading == b.reading }

// falseCertificate is one that does not say what it must: whom it is for, in which
// role, by which authority, or when.
func (m *Model) falseCertificate(of emr.OrgID, wish ledgertest.Wish, other string, key *pre.PrivateKey) string {
	switch m.c.Choose(6, "what is false") {
	case 0:
		if wish.CN == other {
			other = "nobody"
		}
		wish.CN = other
	case 1:
		wish.Role = string(emr.RoleGateway)
	case 2:
		wish.Role = ""
	case 3:
		wish.Until = time.Unix(int64(m.now()), 0) // this second
	case 4:
		wish.From = time.Unix(int64(m.now().Add(time.Hour)), 0)
	default:
		for _, id := range m.orgIDs {
			if id != of {
				return m.issue(id, wish, key)
			}
		}
	}
	return m.issue(of, wish, key)
}

// falsePatient registers somebody with a false certificate, under a handle that is
// another's, or a pseudonym that is registered.
func (m *Model) falsePatient(other *patient) *step {
	p := *other
	p.actor = &actor{org: other.org, key: m.newKey(), name: "an impostor of " + other.name, patient: &p}
	p.handle, p.pseudonym = ledgertest.ID[emr.Handle](emr.HandlePrefix), ledgertest.ID[emr.PatientID](emr.PatientPrefix)
	p.registered, p.born = false, pick(m, m.homes(), "home")
	var code emr.Code
	wish := ledgertest.Wish{CN: string(p.pseudonym), Role: string(emr.RolePatient)}
	switch m.c.Choose(3, "as what") {
	case 0:
		p.cert, code = m.falseCertificate(p.born, wish, string(other.pseudonym), p.key), emr.CodeForbidden
	case 1:
		if !other.registered {
			return nil
		}
		p.pseudonym, code = other.pseudonym, emr.CodeExists
		wish.CN = string(p.pseudonym)
		p.cert = m.issue(p.born, wish, p.key)
	default:
		if !other.registered {
			return nil
		}
		p.handle, code = other.handle, emr.CodeExists
		p.cert = m.issue(p.born, wish, p.key)
	}
	p.id = string(p.handle)
	s := m.registerPatient(&p, p.born)
	s.fault(true, code)
	return s
}

// falseClinician registers or renews somebody with a false certificate, or in
// another organisation's name.
func (m *Model) falseClinician(c *clinician) *step {
	s := m.registerClinician(c, c.org, 900, m.newKey(), c.reading, c.level)
	args := s.args.(ledgerapi.RegisterClinicianArgs)
	wish := ledgertest.Wish{
		CN: c.id, Role: string(m.roleOf(c)), Level: string(c.level), Until: time.Unix(int64(m.now().Add(900*24*time.Hour)), 0),
	}
	if m.seldom(3, "of another organisation") {
		args.Org = pick(m, m.orgIDs, "organisation")
		s.fault(args.Org != c.org, emr.CodeForbidden)
	} else {
		args.Certificate = m.falseCertificate(c.org, wish, pick(m, m.clinicians, "whom").id, s.key)
		s.fault(true, emr.CodeForbidden)
	}
	s.args = args
	if len(s.faults) == 0 {
		return nil
	}
	return s
}

// drawTwin registers somebody with a key of whoever has an emergency session, and lets them confirm or review it.
func (m *Model) drawTwin() *step {
	if len(m.sessions) == 0 {
		return nil
	}
	of, c := m.recentSession(), pick(m, knownClinicians(m), "the twin")
	for _, other := range knownClinicians(m) {
		if other.org != of.by.org && (writes(other.role) || other.role == emr.RolePrivacyOfficer) && m.mostly(2, "of another hospital") {
			c = other
		}
	}
	if c == of.by {
		return nil
	}
	key, reading := m.newKey(), of.by.reading
	if m.seldom(2, "the signing key") {
		key, reading = of.by.key, c.reading
	}
	s := m.registerClinician(c, c.org, 801+m.c.Choose(900, "days"), key, reading, c.level)
	return m.afterwards(s, func() *step {
		if of.status == emr.EmergencyWaiting {
			return m.confirmSession(of, c.actor)
		}
		return m.review(of, c.actor)
	})
}
