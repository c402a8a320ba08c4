// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledgermodel

import (
	"slices"
	"time"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// What becomes of emergency sessions afterwards.

func (m *Model) drawReview() *step {
	ended := func(s *session) bool { return s.status != emr.EmergencyDenied && !s.done && m.now() >= s.end() }
	if len(m.sessions) == 0 || idle(m, m.sessions, ended) {
		return nil
	}
	of := m.aSession(ended)
	return m.review(of, m.orAnybody(m.officer()))
}

func (m *Model) review(of *session, by *actor) *step {
	outcome := pick(m, []emr.ReviewOutcome{emr.ReviewJustified, emr.ReviewUnjustified, emr.ReviewEscalated, "fine"}, "outcome")
	s := m.signed(ledgerapi.ReviewEmergency, by, m.carrier(by), ledgerapi.ReviewEmergencyArgs{
		Session: of.id, Outcome: outcome, Text: "looked at the chart",
	})
	escalates := outcome == emr.ReviewEscalated
	s.fault(outcome == "fine", emr.CodeInvalid)
	s.fault(of.status == emr.EmergencyDenied || m.now() < of.end(), emr.CodeRule)
	s.fault(of.done, emr.CodeExists)
	s.fault(escalates && len(of.reviews) >= 3, emr.CodeRule)
	if !s.onlyClinician() {
		return s
	}
	c := by.clinician
	s.says, s.event = says(emr.Permit, emr.ReasonEmergency), ledgerapi.EventEmergencyReviewed
	if against := m.againstReviewer(c, of); len(against) > 0 {
		s.says, s.event = denied(against), ledgerapi.EventEmergencyDenied
	}
	s.then = func(a *answer) []emr.AuditEntry {
		if a.Decision == emr.Permit {
			of.reviews = append(of.reviews, review{c, escalates})
			of.done = !escalates
			_, _, days := m.between(of.by.org, of.owner.org)
			if a.At < of.reviewBy {
				of.reviewBy = a.At.Add(time.Duration(days) * 24 * time.Hour)
			}
		}
		return []emr.AuditEntry{of.entry(emr.AuditEmergencyReviewed, by, a.Decision, a.Reason)}
	}
	return s
}

func (m *Model) againstReviewer(c *clinician, of *session) grounds {
	var g grounds
	g.add(onePerson(c, of.by) || of.second != nil && onePerson(c, of.second), emr.ReasonSelfReviewed)
	g.add(c.state() != emr.ClinicianActive, statusReason(c))
	g.add(c.role != emr.RolePrivacyOfficer, emr.ReasonRole)
	again := slices.ContainsFunc(of.reviews, func(r review) bool { return r.by.org == c.org })
	g.add(again || !m.stands(c, of), emr.ReasonReviewStanding)
	return g
}

func (m *Model) drawContest() *step {
	if len(m.sessions) == 0 {
		return nil
	}
	of := m.recentSession()
	by := m.self(of.owner)
	p := of.owner
	if m.seldom(6, "another patient") {
		p = pick(m, knownPatients(m), "patient")
		by = p.actor
	}
	text := "I was awake and could have been asked"
	empty := m.seldom(12, "no text")
	if empty {
		text = "  "
	}
	s := m.signed(ledgerapi.ContestEmergency, by, m.carrier(by), ledgerapi.ContestEmergencyArgs{
		Patient: p.handle, Session: of.id, Text: text,
	})
	s.onlyPatient(p)
	s.fault(p != of.owner, emr.CodeNotFound)
	s.fault(empty, emr.CodeInvalid)
	s.fault(of.contested, emr.CodeExists)
	s.event = ledgerapi.EventEmergencyContested
	s.then = func(*answer) []emr.AuditEntry {
		of.contested = true
		return []emr.AuditEntry{of.entry(emr.AuditEmergencyContested, by, "", "")}
	}
	return s
}
