// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledgermodel

import (
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// The home hospital.

// release is the members' word that a patient may leave a home.
type release struct {
	from       emr.OrgID
	generation uint32
}

// freed tells whether a patient may leave the home without its endorsement.
func (m *Model) freed(p *patient) bool {
	return !m.orgs[p.org].member || p.release != nil && *p.release == release{p.org, p.generation}
}

func (m *Model) drawMove() *step { return m.move(pick(m, knownPatients(m), "patient")) }

func (m *Model) move(p *patient) *step {
	by, home := m.self(p), pick(m, m.homes(), "new home")
	if m.seldom(6, "no hospital") {
		home = pick(m, m.orgIDs, "new home")
	}
	via := home
	if m.seldom(6, "another gateway") {
		via = pick(m, m.orgIDs, "gateway")
	}
	next := p.generation
	if m.freed(p) {
		next++
	}
	args := ledgerapi.MoveHomeArgs{Patient: p.handle, Home: home, Generation: next}
	if m.seldom(8, "another generation") {
		args.Generation++
	}
	s := m.signed(ledgerapi.MoveHome, by, via, args)
	s.onlyPatient(p)
	s.fault(via != home || m.orgs[home].kind != emr.KindHospital, emr.CodeForbidden)
	s.fault(home == p.org, emr.CodeExists)
	s.fault(args.Generation != next, emr.CodeStale)
	s.event = ledgerapi.EventHomeMoved
	s.then = func(*answer) []emr.AuditEntry {
		p.org, p.generation = home, next
		m.urge = func() *step {
			if m.seldom(2, "move on") { // a release serves once
				return m.move(p)
			}
			return m.inspect(m.officer(), logOf(p))
		}
		return []emr.AuditEntry{byThePatient(emr.AuditHome, p, p.actor, string(home))}
	}
	return s
}
