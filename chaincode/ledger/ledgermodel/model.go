// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

// Package ledgermodel is a second, naive telling of the whole contract, and random
// sequences of every transaction by honest and hostile people that hold a ledger
// against it. It calls none of the rules. It knows who has which key, who was given
// what until when, what was taken back, and what a patient must find in the trail;
// of a refusal it knows everything that is wrong, and not which of it comes first.
//
// The same sequences run on a ledger in memory, through the contract's adapter and
// on a network: see [Driver].
package ledgermodel

import (
	"slices"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
	"github.com/emrys-health/emrys/pkg/pre"
)

// T is a test, or one check of a property test.
type T interface {
	require.TestingT
	Helper()
	Logf(format string, args ...any)
}

// Count tells how often a transaction was committed and refused.
type Count struct{ Committed, Refused int }

// Model is what there should be on a ledger. It is not safe for concurrent use.
type Model struct {
	// Counts, when not nil, counts what was exercised, by function.
	Counts map[string]Count
	// Shared tells that others use the ledger, too, and that its time is nobody's to
	// move: nothing is drawn that takes a member away or needs waiting.
	Shared bool
	// Content returns the CID of a new record's content, another one each time; made up when nil.
	Content func() string
	// Hunt prefers what Counts lacks. A sequence then depends on those before it.
	Hunt bool

	t T
	c Chooser
	d Driver

	orgs    map[emr.OrgID]*org
	orgIDs  []emr.OrgID
	found   map[emr.OrgID]org // as they were in the beginning
	people  []*actor          // patients and clinicians, registered or not
	founded bool
	stopped map[string]bool

	patients    []*patient
	clinicians  []*clinician
	records     []*record
	grants      []*grant
	covering    map[string]*grant
	requests    []*request
	disclosures []*disclosure
	inspections []*inspection
	sessions    []*session
	amendments  []*amendment
	recoveries  []*recovery
	proposals   []*proposal
	releases    map[emr.Digest]bool // true while it is not withdrawn

	spent     []spent
	entries   []emr.AuditEntry            // all that there must be
	about     map[string][]emr.AuditEntry // of professionals
	auditKeys map[string]bool
	named     []*named // what seals are made of
	void      []string // certificates that are revoked, by organisation and serial
	// The end of records and scopes.
	orders    []*order
	retention map[emr.Class]emr.RetentionRule
	published map[string]bool // public keys of scopes

	steps  int
	latest emr.Time // of the last commit
	last   string
	answer []byte // of the last commit
	urge   func() *step
}

type org struct {
	id       emr.OrgID
	kind     emr.OrgKind
	profile  ledgerapi.RegisterOrganisationArgs
	member   bool
	known    bool // has ever registered
	removed  emr.Time
	admitted emr.Time // 0: never
	as       emr.OrgKind
	by       emr.Digest // authority of the admission
	two      bool
	minutes  uint32
	days     uint32
}

// actor is somebody who signs.
type actor struct {
	id         string
	name       string // in reports
	org        emr.OrgID
	key        *pre.PrivateKey
	registered bool
	patient    *patient
	clinician  *clinician
}

type patient struct {
	*actor
	handle     emr.Handle
	born       emr.OrgID // where the patient registers; org is the present home
	pseudonym  emr.PatientID
	cert       string
	hybrid     []byte
	version    uint32
	recoveries uint32
	generation uint32   // of the home
	release    *release // from a home
	retired    []*pre.PrivateKey
	scopes     []*scope
	relations  map[emr.OrgID]emr.RelationshipStatus
	standing   *standing
	shown      *shown // a preview, which may be of before
	plan       plan
	guardians  *guardians
	delegates  map[*patient]*delegation
	proposed   map[*actor]*recovery
	chain      uint64
	rule       *wideRule         // about wide grants; nil when none was ever set
	devices    []*pre.PrivateKey // second keys, pinned or not
	coming     emr.ScopeID       // a scope that may follow another, so that a consent can name it before
}

type clinician struct {
	*actor
	cid      emr.ClinicianID
	role     emr.Role
	level    emr.Level
	notAfter emr.Time
	cert     ledgerapi.Certificate // the registered one
	revoked  bool                  // is the certificate
	reading  *pre.PrivateKey
	hybrid   []byte
	version  uint32
	status   emr.ClinicianStatus
	retired  []*pre.PrivateKey
	hybrids  [][]byte // of before
}

// state is the status in effect: who is registered with a revoked certificate does not act.
func (c *clinician) state() emr.ClinicianStatus {
	if c.status == emr.ClinicianActive && c.revoked {
		return emr.ClinicianRevoked
	}
	return c.status
}

type scope struct {
	emr.Scope
	owner *patient
	next  *scope // of the epoch that followed
}

type record struct {
	id         emr.RecordID
	owner      *patient
	scope      *scope
	class      emr.Class
	author     *clinician // of what the patient re-keyed: of the version before
	hospital   emr.OrgID
	restricted bool
	labels     []emr.Label // private
	version    uint32
	series     emr.RecordID
	next       *record
	holders    map[emr.OrgID]emr.HoldGround
	registered emr.Time
	manifest   emr.Digest // of the author's signed manifest
	signing    *signing   // nil when nobody is to sign the record off
	ending
}

// now is the time of the next transaction as near as anybody can tell: a driver whose
// clock is behind the ledger's must not make what was just committed one of the future.
func (m *Model) now() emr.Time { return max(m.d.Now(), m.latest) }

// trailOf is everything that must stand in the trail of a patient.
func (m *Model) trailOf(owner string) []emr.AuditEntry {
	var all []emr.AuditEntry
	for _, e := range m.entries {
		if string(e.Patient) == owner {
			all = append(all, e)
		}
	}
	return all
}

func (m *Model) members() []emr.OrgID {
	var all []emr.OrgID
	for _, id := range m.orgIDs {
		if m.orgs[id].member {
			all = append(all, id)
		}
	}
	return all
}

// knownPatients are the registered ones.
func knownPatients(m *Model) []*patient {
	return slices.DeleteFunc(slices.Clone(m.patients), func(p *patient) bool { return !p.registered })
}

func knownClinicians(m *Model) []*clinician {
	return slices.DeleteFunc(slices.Clone(m.clinicians), func(c *clinician) bool { return !c.registered })
}

// able are the professionals who may act now.
func (m *Model) able() []*clinician {
	all := slices.DeleteFunc(knownClinicians(m), func(c *clinician) bool {
		return c.state() != emr.ClinicianActive || !m.orgs[c.org].member || m.now() >= c.notAfter
	})
	if len(all) == 0 || m.seldom(6, "one who may not") {
		return knownClinicians(m)
	}
	return all
}

// readers are those of them who may read something.
func (m *Model) readers() []*clinician {
	all := slices.DeleteFunc(m.able(), func(c *clinician) bool { return !writes(c.role) && c.role != emr.RoleInsurer })
	if len(all) == 0 {
		return knownClinicians(m)
	}
	return all
}

// writers are those of them who may treat.
func (m *Model) writers() []*clinician {
	all := slices.DeleteFunc(m.able(), func(c *clinician) bool { return !writes(c.role) })
	if len(all) == 0 {
		return knownClinicians(m)
	}
	return all
}

// idle tells, most of the time, not to draw when there is nothing of which holds
// what the step is for: a sequence is better spent on something else.
func idle[E any](m *Model, list []E, holds func(E) bool) bool {
	return !slices.ContainsFunc(list, holds) && m.mostly(4, "nothing to do")
}

// anybody is any registered person.
func (m *Model) anybody() *actor {
	known := slices.DeleteFunc(slices.Clone(m.people), func(a *actor) bool { return !a.registered })
	return pick(m, known, "anybody")
}

// orAnybody is mostly the one named.
func (m *Model) orAnybody(right *actor) *actor {
	if m.seldom(10, "somebody else") {
		return m.anybody()
	}
	return right
}

// carrier is through whose gateway somebody's action comes.
func (m *Model) carrier(by *actor) emr.OrgID {
	if by.patient != nil && m.seldom(3, "another gateway") || m.seldom(24, "a wrong gateway") {
		return pick(m, m.orgIDs, "gateway")
	}
	return by.org
}

// later is a time ahead, on a grid that waiting meets to the second.
func (m *Model) later(what string) emr.Time {
	lives := []time.Duration{time.Hour, 10 * time.Minute, 24 * time.Hour, 30 * 24 * time.Hour}
	if m.Shared {
		lives = lives[:1]
	}
	return m.now().Add(pick(m, lives, what))
}

// byThePatient is an entry of something that was done as the patient.
func byThePatient(kind emr.AuditKind, p *patient, by *actor, ref string) emr.AuditEntry {
	e := emr.AuditEntry{Kind: kind, Patient: p.handle, Actor: emr.ActorPatient, Org: p.org, Ref: ref}
	if by != p.actor {
		e.Actor, e.Org = by.id, by.org
	}
	return e
}

func byTheClinician(kind emr.AuditKind, p *patient, by *actor, ref string) emr.AuditEntry {
	return emr.AuditEntry{Kind: kind, Patient: p.handle, Actor: by.id, Org: by.org, Ref: ref}
}

// onlyPatient: the patient's own key and nobody else's.
func (s *step) onlyPatient(p *patient) { s.fault(s.by != p.actor, emr.CodeForbidden) }

// patientOrDelegate: the patient, or somebody to whom the patient has delegated it.
func (m *Model) patientOrDelegate(s *step, p *patient) {
	s.fault(s.by != p.actor && !m.delegated(p, s.by), emr.CodeForbidden)
}

func (m *Model) delegated(p *patient, to *actor) bool {
	if to.patient == nil {
		return false
	}
	d := p.delegates[to.patient]
	return d != nil && d.holds(m.now())
}

// onlyClinician: no patient.
func (s *step) onlyClinician() bool {
	s.fault(s.by.clinician == nil, emr.CodeForbidden)
	return s.by.clinician != nil
}

// active: a clinician whom the own organisation lets act.
func (s *step) active() bool {
	if !s.onlyClinician() {
		return false
	}
	s.fault(s.by.clinician.state() != emr.ClinicianActive, emr.CodeRule)
	return true
}

// Steps is how many transactions were sent.
func (m *Model) Steps() int { return m.steps }
