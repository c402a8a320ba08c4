// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledgermodel

import (
	"slices"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// block draws steps of one function. It returns nil when there is nothing to draw
// from yet.
type block struct {
	function string
	weight   int
	draw     func(*Model) *step
}

// blocks are the functions that the model knows. A function that is new on the
// ledger joins here.
func blocks() []block {
	return []block{
		{ledgerapi.RegisterPatient, 2, (*Model).drawRegisterPatient},
		{ledgerapi.RegisterClinician, 2, (*Model).drawRegisterClinician},
		{ledgerapi.PublishScopes, 2, (*Model).drawPublishScopes},
		{ledgerapi.ProposeRelationship, 2, (*Model).drawPropose},
		{ledgerapi.AnswerRelationship, 2, (*Model).drawAnswer},
		{ledgerapi.RegisterRecord, 3, (*Model).drawRegisterRecord},
		{ledgerapi.RequestAccess, 4, (*Model).drawRequest},
		{ledgerapi.RefuseAccess, 2, (*Model).drawRefuse},
		{ledgerapi.GrantAccess, 6, (*Model).drawGrant},
		{ledgerapi.RevokeAccess, 2, (*Model).drawRevoke},
		{ledgerapi.NarrowGrant, 2, (*Model).drawNarrow},
		{ledgerapi.GrantBatch, 2, (*Model).drawGrantBatch},
		{ledgerapi.Disclose, 10, (*Model).drawDisclose},
		{ledgerapi.DiscloseBatch, 3, (*Model).drawBatch},
		{ledgerapi.RecordAttempt, 2, (*Model).drawAttempt},
		// Standing consent.
		{ledgerapi.PutConsent, 3, (*Model).drawPutConsent},
		{ledgerapi.WithdrawConsent, 1, (*Model).drawWithdraw},
		{ledgerapi.NameDelegate, 2, (*Model).drawNameDelegate},
		{ledgerapi.EndDelegation, 2, (*Model).drawEndDelegation},
		// The life of keys and people.
		{ledgerapi.RotatePatientKeys, 1, (*Model).drawRotatePatientKeys},
		{ledgerapi.RotateClinicianKeys, 1, (*Model).drawRotateClinicianKeys},
		{ledgerapi.SetGuardians, 2, (*Model).drawSetGuardians},
		{ledgerapi.ProposeRecovery, 2, (*Model).drawProposeRecovery},
		{ledgerapi.ApproveRecovery, 2, (*Model).drawApproveRecovery},
		{ledgerapi.VetoRecovery, 1, (*Model).drawVetoRecovery},
		{ledgerapi.CompleteRecovery, 2, (*Model).drawCompleteRecovery},
		{ledgerapi.SuspendClinician, 1, drawStatus(ledgerapi.SuspendClinician)},
		{ledgerapi.ReinstateClinician, 2, drawStatus(ledgerapi.ReinstateClinician)},
		{ledgerapi.OffboardClinician, 1, drawStatus(ledgerapi.OffboardClinician)},
		// Emergency sessions.
		{ledgerapi.SetEmergencyPlan, 1, (*Model).drawSetPlan},
		{ledgerapi.SetEmergencyRules, 1, (*Model).drawRules},
		{ledgerapi.OpenEmergency, 3, (*Model).drawOpen},
		{ledgerapi.ConfirmEmergency, 2, (*Model).drawConfirm},
		{ledgerapi.CloseEmergency, 2, (*Model).drawClose},
		{ledgerapi.ReviewEmergency, 2, (*Model).drawReview},
		{ledgerapi.ContestEmergency, 1, (*Model).drawContest},
		// Amendments and holds.
		{ledgerapi.AskAmendment, 2, (*Model).drawAsk},
		{ledgerapi.AnswerAmendment, 2, (*Model).drawAnswerAmendment},
		{ledgerapi.DisputeAmendment, 1, (*Model).drawDispute},
		{ledgerapi.HoldRecord, 2, (*Model).drawHold},
		// Governance.
		{ledgerapi.RegisterOrganisation, 1, (*Model).drawRegisterOrganisation},
		{ledgerapi.CloseFounding, 1, (*Model).drawCloseFounding},
		{ledgerapi.Propose, 2, (*Model).drawProposal},
		{ledgerapi.CastVote, 4, (*Model).drawVote},
		// The audit trail.
		{ledgerapi.SealReadings, 2, (*Model).drawSeal},
		{ledgerapi.InspectLog, 2, (*Model).drawInspect},
		{ledgerapi.SuspendAccounting, 2, (*Model).drawSuspendAccounting},
		// Certificates.
		{ledgerapi.RevokeCertificates, 1, (*Model).drawRevokeCertificates},
		// The end of records and scopes.
		{ledgerapi.EraseRecord, 2, (*Model).drawErase},
		{ledgerapi.EraseExpired, 1, (*Model).drawExpired},
		{ledgerapi.ContinueErasure, 2, (*Model).drawContinue},
		{ledgerapi.ConfirmErasure, 4, (*Model).drawConfirmErasure},
		{ledgerapi.RekeyRecord, 3, (*Model).drawRekey},
		{ledgerapi.RollScope, 3, (*Model).drawRoll},
		{ledgerapi.ReportIntegrity, 2, (*Model).drawReport},
		// The home hospital.
		{ledgerapi.MoveHome, 2, (*Model).drawMove},
		// Wide grants and sign-offs.
		{ledgerapi.SetGrantRule, 3, (*Model).drawSetGrantRule},
		{ledgerapi.ConfirmGrantRule, 3, (*Model).drawConfirmGrantRule},
		{ledgerapi.ConfirmGrant, 6, (*Model).drawConfirmGrant},
		{ledgerapi.SignOff, 4, (*Model).drawSignOff},
	}
}

func drawStatus(function string) func(*Model) *step {
	return func(m *Model) *step { return m.drawStatus(function) }
}

// Functions lists the transactions that the model knows.
func Functions() []string {
	var all []string
	for _, b := range blocks() {
		all = append(all, b.function)
	}
	return all
}

// Missing lists what was never committed, or never refused.
func Missing(counts map[string]Count) []string {
	var all []string
	for _, function := range Functions() {
		if counts[function].Committed == 0 {
			all = append(all, function+" was never committed")
		}
		if counts[function].Refused == 0 {
			all = append(all, function+" was never refused")
		}
	}
	return all
}

// New returns the model of what there is on a driver's ledger of organisations and
// what they have decided. It knows of nobody else, and nobody else may change it.
func New(t T, c Chooser, d Driver) *Model {
	t.Helper()
	m := &Model{
		t: t, c: c, d: d, orgs: map[emr.OrgID]*org{}, stopped: map[string]bool{}, covering: map[string]*grant{},
		releases: map[emr.Digest]bool{}, auditKeys: map[string]bool{}, about: map[string][]emr.AuditEntry{}, found: map[emr.OrgID]org{},
	}
	for id, profile := range d.Profiles() {
		m.orgs[id] = &org{id: id, kind: profile.Kind, profile: profile, minutes: ledgerapi.MaxEmergencyMinutes, days: ledgerapi.DefaultReviewDays}
		m.orgIDs = append(m.orgIDs, id)
	}
	slices.Sort(m.orgIDs)
	any := m.orgIDs[0]
	var list ledgerapi.OrganisationList
	require.NoError(t, d.Ask(any, ledgerapi.GetOrganisations, ledgerapi.Empty{}, &list))
	for _, found := range list.Items {
		o := m.orgs[found.ID]
		o.known, o.member, o.removed = true, found.Removed == 0, found.Removed
		var rules emr.EmergencyRules
		require.NoError(t, d.Ask(any, ledgerapi.GetEmergencyRules, ledgerapi.EmergencyRulesQuery{Org: o.id}, &rules))
		o.two, o.minutes, o.days = rules.TwoPerson, rules.MaxMinutes, rules.ReviewDays
		m.found[o.id] = *o
	}
	var is ledgerapi.ConstitutionView
	require.NoError(t, d.Ask(any, ledgerapi.GetConstitution, ledgerapi.Empty{}, &is))
	m.founded = is.Constitution.Founded != 0
	for _, function := range is.Constitution.Stopped {
		m.stopped[function] = true
	}
	m.foundRetention()
	return m
}

// Found makes the beginning of a sequence: organisations, people, relationships,
// scopes and a few records. All of it goes through the same checks as what follows.
func (m *Model) Found() {
	m.t.Helper()
	for _, id := range m.orgIDs {
		if o := m.orgs[id]; !o.known && id != Newcomer {
			m.run(m.registerOrganisation(o, o.profile))
		}
	}
	h := m.homes()
	for _, home := range []emr.OrgID{h[0], h[0], h[1]} {
		p := m.addPatient(home)
		m.run(m.registerPatient(p, home))
	}
	m.addPatient(h[2]) // registers when it is drawn
	m.staff(h)
	p, q := m.patients[0], m.patients[2]
	author, other := m.clinicians[0], m.clinicians[1]
	for _, of := range []struct {
		p  *patient
		by *clinician
	}{{p, author}, {m.patients[1], author}, {q, other}} {
		m.run(m.propose(of.p, of.by.actor, of.by.org, of.by.org))
		m.run(m.answerTo(of.p, of.p.actor, of.p.org, of.by.org, true))
		m.run(m.publish(of.p, of.p.actor, of.p.org, emr.LevelPrivate))
		m.run(m.write(of.p, of.by.actor, of.by.org, recordWish{scope: of.p.scopes[0], class: emr.ClassPrescription}))
	}
	m.run(m.rules(h[2], true, 720, 5))
	m.run(m.setGuardians(p, p.actor, []*actor{author.actor, other.actor, m.patients[1].actor}, 2))
	m.run(m.publish(p, p.actor, p.org, emr.LevelLow))
	m.run(m.write(p, author.actor, author.org, recordWish{scope: p.scopes[0], class: emr.ClassMedicalImaging, label: true}))
	m.run(m.write(p, author.actor, author.org, recordWish{scope: p.scopes[1], class: emr.ClassMedicine}))
	m.foundRule(q, m.patients[1])
	m.foundSigning(q, other)
}

// staff registers a physician of each hospital first, and then the others.
func (m *Model) staff(h []emr.OrgID) {
	for _, of := range []struct {
		org   emr.OrgID
		role  emr.Role
		level emr.Level
	}{
		{h[0], emr.RolePhysician, emr.LevelPrivate}, {h[1], emr.RolePhysician, emr.LevelPrivate},
		{h[2], emr.RolePhysician, emr.LevelPrivate}, {h[1], emr.RolePhysician, emr.LevelPrivate}, {h[0], emr.RoleNurse, emr.LevelLow},
		{h[1], emr.RoleInsurer, emr.LevelPrivate}, {h[0], emr.RolePrivacyOfficer, emr.LevelLow},
		{h[1], emr.RolePrivacyOfficer, emr.LevelLow}, {m.regulator(), emr.RolePrivacyOfficer, emr.LevelLow},
		{m.regulator(), emr.RoleAuditor, emr.LevelPrivate}, {h[1], emr.RoleNurse, emr.LevelModerate},
	} {
		c := m.addClinician(of.org, of.role, of.level)
		m.run(m.registerClinician(c, c.org, 400, c.key, c.reading, c.level))
	}
}

// Step runs one random step.
func (m *Model) Step() {
	m.t.Helper()
	if m.seldom(8, "wait") && m.wait() {
		return
	}
	s := m.next()
	if s == nil {
		return
	}
	if len(s.faults) == 0 && !s.any && m.seldom(8, "hostile") {
		if s = m.deceive(s); s == nil {
			return
		}
	}
	m.run(s)
	if m.seldom(3, "present a ticket") {
		m.present()
		m.readLog()
		m.restoreBackup()
	}
}

// next draws a step: what the last one asks for, a replay, or any function.
func (m *Model) next() *step {
	if urge := m.urge; urge != nil {
		m.urge = nil
		if m.mostly(3, "at once") {
			if s := urge(); s != nil {
				return s
			}
		}
	}
	if m.seldom(16, "replay") {
		return m.replay()
	}
	all := blocks()
	total := 0
	for _, b := range all {
		total += b.weight
	}
	n := m.c.Choose(total, "function")
	if m.Hunt && m.mostly(3, "what is missing") {
		missing := slices.DeleteFunc(all, func(b block) bool {
			c := m.Counts[b.function]
			return c.Committed > 0 && c.Refused > 0
		})
		if len(missing) > 0 {
			if s := m.draw(pick(m, missing, "what is missing")); s != nil {
				return s
			}
		}
	}
	for _, b := range all {
		if n < b.weight {
			return m.draw(b)
		}
		n -= b.weight
	}
	return nil
}

// draw draws once more, now and then, when something is wrong with the first.
func (m *Model) draw(b block) *step {
	s := b.draw(m)
	if s != nil && len(s.faults) > 0 && m.mostly(2, "draw again") {
		s = b.draw(m)
	}
	return s
}

// wait lets time pass, now and then up to the very second that matters to a recovery.
func (m *Model) wait() bool {
	if m.Shared {
		return false
	}
	for _, r := range m.recoveries {
		if r.status == emr.RecoveryWaiting && r.ready > m.now() && m.seldom(2, "for a recovery") {
			m.urge = func() *step { return m.complete(r) }
			return m.d.Wait(time.Duration(r.ready-m.now()-emr.Time(m.c.Choose(2, "a second early"))) * time.Second)
		}
	}
	if m.waitForBound() {
		return true
	}
	of := []time.Duration{
		time.Second, time.Second, time.Minute, 10 * time.Minute, 10 * time.Minute, time.Minute, time.Second, 24 * time.Hour,
		time.Second, time.Second, time.Minute, 10 * time.Minute, 10 * time.Minute, time.Minute, time.Minute, 8 * 24 * time.Hour,
		time.Second, time.Second, time.Minute, 10 * time.Minute, 10 * time.Minute, time.Minute, time.Hour, 40 * 24 * time.Hour,
	}
	return m.d.Wait(pick(m, of, "how long"))
}

// Restore offers again what was stopped, and sets the rules of emergencies as they
// were found: others use the ledger, too.
func (m *Model) Restore() {
	m.t.Helper()
	for _, function := range stoppable() {
		if !m.stopped[function] {
			continue
		}
		by := m.members()
		m.run(m.put(by[0], emr.Subject{Kind: emr.ProposeResume, Function: function}, m.now().Add(48*time.Hour), false))
		p := m.proposals[len(m.proposals)-1]
		for _, voter := range by[1:] {
			if p.status == emr.ProposalOpen {
				m.run(m.castVote(p, voter, true))
			}
		}
	}
	for _, id := range m.orgIDs {
		o := m.orgs[id]
		if was := m.found[id]; o.member && (o.two != was.two || o.minutes != was.minutes || o.days != was.days) {
			m.run(m.rules(id, was.two, was.minutes, was.days))
		}
	}
}
