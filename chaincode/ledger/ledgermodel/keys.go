// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledgermodel

import (
	"slices"
	"strconv"
	"time"

	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
	"github.com/emrys-health/emrys/pkg/pre"
)

// Keys of patients, guardians and recoveries.

func (p *patient) replace(key *pre.PrivateKey, hybrid []byte) {
	if key != p.key {
		p.retired = append(p.retired, p.key)
	}
	p.key, p.hybrid = key, hybrid
	p.version++
}

func (m *Model) drawRotatePatientKeys() *step {
	return m.rotatePatientKeys(pick(m, knownPatients(m), "patient"), m.c.Choose(11, "what"))
}

// toSecondKey is the kind of a rotation to the key of the patient's second device.
const toSecondKey = 8

func (m *Model) rotatePatientKeys(p *patient, kind int) *step {
	by := m.self(p)
	key, hybrid, version := m.newKey(), p.hybrid, p.version
	proves := true
	var prover *pre.PrivateKey
	switch kind {
	case toSecondKey: // one key for everything
		if p.rule != nil && p.rule.terms.second != nil {
			key = p.rule.terms.second
		}
	case 2:
		key, hybrid, proves = p.key, m.newHybrid(), false
	case 3:
		key, proves = p.key, false
	case 4:
		version++
	case 5:
		if len(p.retired) > 0 {
			key = pick(m, p.retired, "a key of before")
		}
	case 6:
		proves = false
	case 7:
		prover = p.key
	}
	args := ledgerapi.RotatePatientKeysArgs{Patient: p.handle, Version: version, Consent: pinned(key), Hybrid: hybrid}
	if proves {
		if prover == nil {
			prover = key
		}
		says := ledgerapi.ProveKeyArgs{Patient: p.handle, Version: version, Consent: args.Consent, Hybrid: hybrid}
		if kind > toSecondKey {
			m.misprove(&says)
		}
		args.Proof = m.prove(p, prover, says)
	}
	s := m.signed(ledgerapi.RotatePatientKeys, by, m.carrier(by), args)
	s.onlyPatient(p)
	s.fault(version != p.version, emr.CodeStale)
	s.fault(key == p.key && slices.Equal(hybrid, p.hybrid), emr.CodeInvalid)
	s.fault(key != p.key && !proves || kind > toSecondKey, emr.CodeInvalid)
	s.fault(proves && prover != key, emr.CodeUnauthenticated)
	s.fault(slices.Contains(p.retired, key), emr.CodeRule)
	s.event = ledgerapi.EventKeysReplaced
	s.then = func(*answer) []emr.AuditEntry {
		p.replace(key, hybrid)
		return []emr.AuditEntry{byThePatient(emr.AuditKeys, p, p.actor, strconv.FormatUint(uint64(p.version), 10))}
	}
	return s
}

type guardians struct {
	version   uint32
	all       []*actor
	threshold int
	hours     uint32
}

func (m *Model) drawSetGuardians() *step {
	p := pick(m, knownPatients(m), "patient")
	var chosen []*actor
	for range 2 + m.c.Choose(3, "guardians") {
		if a := m.anybody(); !slices.Contains(chosen, a) {
			chosen = append(chosen, a)
		}
	}
	if m.seldom(24, "none") {
		chosen = nil
	}
	return m.setGuardians(p, m.self(p), chosen, pick(m, []int{2, 2, 3, 1}, "threshold"))
}

func (m *Model) setGuardians(p *patient, by *actor, chosen []*actor, threshold int) *step {
	set := &guardians{all: chosen, threshold: threshold, hours: pick(m, []uint32{24, 0, 24, 0, 24, 0, 720, 23, 721}, "hours")}
	version := uint32(0)
	if p.guardians != nil {
		version = p.guardians.version
	}
	stale := m.seldom(12, "another version")
	if stale {
		version++
	}
	if len(chosen) == 0 {
		set.threshold, set.hours = 0, 0
	}
	ids := []string{}
	for _, a := range chosen {
		ids = append(ids, a.id)
	}
	slices.Sort(ids)
	s := m.signed(ledgerapi.SetGuardians, by, m.carrier(by), ledgerapi.SetGuardiansArgs{
		Patient: p.handle, Version: version, Guardians: ids, Threshold: uint8(set.threshold), WaitHours: set.hours, //nolint:gosec // small
	})
	s.onlyPatient(p)
	s.fault(stale, emr.CodeStale)
	s.fault(slices.Contains(chosen, p.actor) || set.hours != 0 && (set.hours < 24 || set.hours > 720), emr.CodeInvalid)
	s.fault(len(chosen) > 0 && (set.threshold < 2 || set.threshold > len(chosen)), emr.CodeInvalid)
	of := map[emr.OrgID]int{}
	for _, a := range chosen {
		s.fault(!a.registered, emr.CodeNotFound)
		if c := a.clinician; c != nil {
			of[c.org]++
			s.fault(c.state() != emr.ClinicianActive || of[c.org] >= set.threshold, emr.CodeRule)
		}
	}
	s.event = ledgerapi.EventGuardiansSet
	s.then = func(*answer) []emr.AuditEntry {
		set.version = version + 1
		if set.hours == 0 {
			set.hours = 72
		}
		p.guardians = set
		return []emr.AuditEntry{byThePatient(emr.AuditGuardians, p, p.actor, strconv.FormatUint(uint64(set.version), 10))}
	}
	return s
}

type recovery struct {
	id        emr.RecoveryID
	owner     *patient
	set       *guardians
	after     uint32
	key       *pre.PrivateKey
	hybrid    []byte
	claim     emr.Digest
	approvals []*actor
	status    emr.RecoveryStatus
	ready     emr.Time
	expires   emr.Time
}

// now tells the status of a recovery at this moment.
func (m *Model) statusOf(r *recovery) emr.RecoveryStatus {
	open := r.status == emr.RecoveryProposed || r.status == emr.RecoveryWaiting
	switch {
	case open && r.after != r.owner.recoveries:
		return emr.RecoverySuperseded
	case open && m.now() >= r.expires:
		return emr.RecoveryExpired
	default:
		return r.status
	}
}

func opens(status emr.RecoveryStatus) bool {
	return status == emr.RecoveryProposed || status == emr.RecoveryWaiting
}

// guardian tells what is wrong with somebody as a guardian of a set.
func (s *step) guardian(set *guardians) {
	if s.by.clinician != nil {
		s.active()
	}
	s.fault(set == nil || !slices.Contains(set.all, s.by), emr.CodeForbidden)
}

func (m *Model) drawProposeRecovery() *step {
	p := pick(m, knownPatients(m), "patient")
	for _, q := range knownPatients(m) {
		if q.guardians != nil && len(q.guardians.all) > 0 && m.mostly(3, "one who has guardians") {
			p = q
		}
	}
	by := p.actor
	if p.guardians != nil && len(p.guardians.all) > 0 {
		by = pick(m, p.guardians.all, "guardian")
	}
	by = m.orAnybody(by)
	r := &recovery{
		id: ledgertest.ID[emr.RecoveryID](emr.RecoveryPrefix), owner: p, set: p.guardians, after: p.recoveries, key: m.newKey(),
		hybrid: m.newHybrid(), status: emr.RecoveryProposed, approvals: []*actor{by},
	}
	kind := m.c.Choose(14, "what")
	if kind == 5 && len(p.retired) > 0 {
		r.key = p.retired[0]
	}
	if kind == 6 {
		r.key = p.key
	}
	args := ledgerapi.ProposeRecoveryArgs{Recovery: r.id, Patient: p.handle, Consent: pinned(r.key), Hybrid: r.hybrid}
	prover := r.key
	if kind == 7 {
		prover = m.newKey()
	}
	said := ledgerapi.ProveKeyArgs{Patient: p.handle, Recovery: r.id, Consent: args.Consent, Hybrid: r.hybrid}
	if kind == 8 {
		m.misprove(&said)
	}
	proof := m.prove(p, prover, said)
	args.Proof, r.claim = *proof, proof.Digest()
	s := m.signed(ledgerapi.ProposeRecovery, by, m.carrier(by), args)
	s.guardian(p.guardians)
	s.fault(r.key == p.key || kind == 8, emr.CodeInvalid)
	s.fault(slices.Contains(p.retired, r.key), emr.CodeRule)
	s.fault(prover != r.key, emr.CodeUnauthenticated)
	earlier := p.proposed[by]
	s.fault(earlier != nil && opens(m.statusOf(earlier)), emr.CodeExists)
	s.event = ledgerapi.EventRecoveryProposed
	s.then = func(a *answer) []emr.AuditEntry {
		r.expires = a.At.Add(30 * 24 * time.Hour)
		m.recoveries = append(m.recoveries, r)
		p.proposed[by] = r
		return []emr.AuditEntry{r.entry(emr.AuditRecoveryProposed, by, emr.Ask, emr.ReasonApprovals)}
	}
	return s
}

func (r *recovery) entry(kind emr.AuditKind, by *actor, d emr.Decision, reason emr.Reason) emr.AuditEntry {
	e := byThePatient(kind, r.owner, by, string(r.id))
	e.Decision, e.Reason = d, reason
	return e
}

// why is the reason that goes with a status.
func why(status emr.RecoveryStatus) emr.Reason {
	return map[emr.RecoveryStatus]emr.Reason{
		emr.RecoveryProposed: emr.ReasonApprovals, emr.RecoveryWaiting: emr.ReasonWaiting, emr.RecoveryVetoed: emr.ReasonVetoed,
		emr.RecoveryCompleted: emr.ReasonCompleted, emr.RecoverySuperseded: emr.ReasonOtherRecovery,
		emr.RecoveryExpired: emr.ReasonLapsed,
	}[status]
}

// ends makes the step that of a recovery whose end nobody has told yet: it is
// committed as a denial. It returns true when the recovery is over.
func (m *Model) ends(s *step, r *recovery) bool {
	status := m.statusOf(r)
	if opens(status) {
		return false
	}
	s.fault(status == r.status, emr.CodeRule)
	s.says, s.event = says(emr.Deny, why(status)), ledgerapi.EventRecoveryEnded
	s.then = func(*answer) []emr.AuditEntry {
		r.status = status
		return []emr.AuditEntry{r.entry(emr.AuditRecoveryEnded, s.by, emr.Deny, why(status))}
	}
	return true
}

// aRecovery prefers those of which something holds; nil when there is nothing to do.
func (m *Model) aRecovery(holds func(*recovery) bool) *recovery {
	if len(m.recoveries) == 0 || idle(m, m.recoveries, holds) {
		return nil
	}
	r := pick(m, m.recoveries, "recovery")
	for _, q := range m.recoveries {
		if holds(q) && m.mostly(3, "one that fits") {
			r = q
		}
	}
	return r
}

func (m *Model) drawApproveRecovery() *step {
	r := m.aRecovery(func(r *recovery) bool { return r.status == emr.RecoveryProposed })
	if r == nil {
		return nil
	}
	by := m.orAnybody(pick(m, r.set.all, "guardian"))
	claim, handle := r.claim, r.owner.handle
	other := m.seldom(12, "another claim")
	if other {
		claim = emr.Digest(random(32))
	}
	foreign := m.seldom(12, "of another patient")
	if foreign {
		handle = pick(m, m.patients, "patient").handle
		foreign = handle != r.owner.handle
	}
	s := m.signed(ledgerapi.ApproveRecovery, by, m.carrier(by), ledgerapi.ApproveRecoveryArgs{
		Recovery: r.id, Patient: handle, Claim: claim,
	})
	s.fault(foreign, emr.CodeNotFound)
	s.guardian(r.set)
	if m.ends(s, r) {
		return s
	}
	s.fault(r.status == emr.RecoveryWaiting, emr.CodeRule)
	s.fault(other, emr.CodeInvalid)
	s.fault(slices.Contains(r.approvals, by), emr.CodeExists)
	s.says, s.event = says(emr.Ask, emr.ReasonApprovals), ledgerapi.EventRecoveryApproved
	enough := len(r.approvals)+1 >= r.set.threshold
	if enough {
		s.says, s.event = says(emr.Ask, emr.ReasonWaiting), ledgerapi.EventRecoveryWaiting
	}
	s.then = func(a *answer) []emr.AuditEntry {
		r.approvals = append(r.approvals, by)
		if enough {
			r.status, r.ready = emr.RecoveryWaiting, a.At.Add(time.Duration(r.set.hours)*time.Hour)
			r.expires = r.ready.Add(30 * 24 * time.Hour)
			m.urge = func() *step { return m.complete(r) } // too early
		}
		return []emr.AuditEntry{r.entry(emr.AuditRecoveryApproved, by, emr.Ask, a.Reason)}
	}
	return s
}

func (m *Model) drawVetoRecovery() *step {
	r := m.aRecovery(func(r *recovery) bool { return opens(r.status) })
	if r == nil {
		return nil
	}
	by := m.self(r.owner)
	s := m.signed(ledgerapi.VetoRecovery, by, m.carrier(by), ledgerapi.RecoveryArgs{Recovery: r.id, Patient: r.owner.handle})
	s.onlyPatient(r.owner)
	if m.ends(s, r) {
		return s
	}
	s.says, s.event = says(emr.Permit, emr.ReasonVetoed), ledgerapi.EventRecoveryVetoed
	s.then = func(*answer) []emr.AuditEntry {
		r.status = emr.RecoveryVetoed
		return []emr.AuditEntry{r.entry(emr.AuditRecoveryVetoed, by, emr.Permit, emr.ReasonVetoed)}
	}
	return s
}

// drawCompleteRecovery is signed by the new key, which nobody has pinned yet.
func (m *Model) drawCompleteRecovery() *step {
	r := m.aRecovery(func(r *recovery) bool { return r.status == emr.RecoveryWaiting })
	if r == nil {
		return nil
	}
	return m.complete(r)
}

func (m *Model) complete(r *recovery) *step {
	by := m.self(r.owner)
	s := m.signed(ledgerapi.CompleteRecovery, by, m.carrier(by), ledgerapi.RecoveryArgs{Recovery: r.id, Patient: r.owner.handle})
	s.key = r.key
	s.onlyPatient(r.owner)
	if m.seldom(8, "the old key") {
		s.key = r.owner.key
		s.fault(s.key != r.key, emr.CodeUnauthenticated)
	}
	if m.ends(s, r) {
		return s
	}
	s.fault(r.status != emr.RecoveryWaiting || m.now() < r.ready, emr.CodeRule)
	s.fault(slices.Contains(r.owner.retired, r.key), emr.CodeRule)
	s.says, s.event = says(emr.Permit, emr.ReasonCompleted), ledgerapi.EventRecoveryCompleted
	s.then = func(*answer) []emr.AuditEntry {
		r.owner.replace(r.key, r.hybrid)
		r.owner.recoveries++
		r.status = emr.RecoveryCompleted
		return []emr.AuditEntry{r.entry(emr.AuditRecoveryCompleted, r.owner.actor, emr.Permit, emr.ReasonCompleted)}
	}
	return s
}
