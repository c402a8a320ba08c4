// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledgermodel

import (
	"slices"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// Inspections of the log, and the accounting of disclosures.

type inspection struct {
	id     emr.InspectionID
	by     *clinician
	of     emr.LogSubject
	permit bool
	until  emr.Time
	from   emr.Time // of the entries that are shown
	to     emr.Time // the first that is not shown any more
}

// whose is what an inspection is about.
type whose struct {
	subject emr.LogSubject
	org     emr.OrgID
	patient *patient   // in whose trail it stands
	about   *clinician // in whose log it stands
	nobody  bool
}

func (m *Model) whose() *whose {
	w := &whose{}
	switch kind := m.c.Choose(5, "whose log"); {
	case kind == 1 && len(m.records) > 0:
		r := pick(m, m.records, "record")
		w.subject.Record, w.patient, w.org = r.id, r.owner, r.hospital
	case kind == 2:
		c := pick(m, m.clinicians, "actor")
		w.subject.Actor, w.about, w.org, w.nobody = c.id, c, c.org, !c.registered
	case kind == 3:
		o := m.orgs[pick(m, m.orgIDs, "organisation")]
		w.subject.Org, w.org, w.nobody = o.id, o.id, !o.known
	default:
		w = logOf(pick(m, m.patients, "patient"))
		if kind == 4 {
			w.subject = emr.LogSubject{Actor: w.patient.id}
		}
	}
	return w
}

// logOf is a patient's log, of which the privacy officers of the present home may know.
func logOf(p *patient) *whose {
	return &whose{subject: emr.LogSubject{Patient: p.handle}, patient: p, org: p.org, nobody: !p.registered}
}

func (m *Model) drawInspect() *step {
	return m.inspect(m.orAnybody(m.inspector()), m.whose())
}

func (m *Model) inspect(by *actor, w *whose) *step {
	args := ledgerapi.InspectLogArgs{
		Inspection: ledgertest.ID[emr.InspectionID](emr.InspectionPrefix), Subject: w.subject,
		To: m.now().Add(400 * 24 * time.Hour), Ground: emr.InspectComplaint,
	}
	empty := m.inspected(&args)
	again := m.seldom(12, "once more") && len(m.inspections) > 0
	if again {
		args.Inspection = pick(m, m.inspections, "inspection").id
	}
	bad := m.seldom(12, "no ground")
	if bad {
		args.Ground = "curiosity"
	}
	s := m.signed(ledgerapi.InspectLog, by, m.carrier(by), args)
	s.fault(again, emr.CodeExists)
	s.fault(bad || empty, emr.CodeInvalid)
	s.fault(w.nobody, emr.CodeNotFound)
	if !s.onlyClinician() {
		return s
	}
	c := by.clinician
	var against grounds
	against.add(c.state() != emr.ClinicianActive, statusReason(c))
	against.add(c.role != emr.RoleAuditor && c.role != emr.RolePrivacyOfficer, emr.ReasonRole)
	against.add(c.role == emr.RolePrivacyOfficer && c.org != w.org, emr.ReasonInspectorOrg)
	s.says, s.event = says(emr.Permit, emr.ReasonInspector), ledgerapi.EventLogInspected
	if len(against) > 0 {
		s.says = denied(against)
	}
	s.about = w.about
	if w.patient == nil {
		s.aboutOrg = w.org
	}
	s.then = func(a *answer) []emr.AuditEntry {
		m.inspections = append(m.inspections, &inspection{
			args.Inspection, c, w.subject, a.Decision == emr.Permit, a.Until, args.From, args.To,
		})
		e := emr.AuditEntry{
			Kind: emr.AuditLogRead, Record: w.subject.Record, Actor: c.id, Org: c.org, Decision: a.Decision, Reason: a.Reason,
			Ref: string(args.Inspection),
		}
		if w.patient != nil {
			e.Patient = w.patient.handle
		}
		return []emr.AuditEntry{e}
	}
	return s
}

// inspected chooses of which time a log is read: mostly of all of it. It tells whether that is no time.
func (m *Model) inspected(args *ledgerapi.InspectLogArgs) bool {
	switch m.c.Choose(8, "of which time") {
	case 4: // up to now
		args.To = m.now()
	case 5: // the last hour
		args.From = m.now().Add(-time.Hour)
	case 6: // what comes
		args.From = m.now()
	case 7:
		args.From = args.To
		return true
	}
	return false
}

// inspector is an auditor or a privacy officer.
func (m *Model) inspector() *actor {
	for _, c := range knownClinicians(m) {
		if c.role == emr.RoleAuditor && m.seldom(2, "this auditor") {
			return c.actor
		}
	}
	return m.officer()
}

// readLog reads under an inspection, as the gateway of some organisation: it is
// shown while the inspection lives, to the inspector's own organisation alone, and
// is the whole trail.
func (m *Model) readLog() {
	if len(m.inspections) == 0 {
		return
	}
	i := m.inspections[len(m.inspections)-1]
	via := i.by.org
	if m.seldom(4, "another gateway") {
		via = pick(m, m.members(), "gateway")
	}
	q := ledgerapi.ReadLogQuery{Inspection: i.id, Limit: 100}
	beyond := m.seldom(8, "of more time")
	if beyond {
		q.To = i.to + 1
	}
	var page ledgerapi.AuditPage
	err := m.d.Ask(via, ledgerapi.ReadLog, q, &page)
	shown := i.permit && m.now() < i.until && via == i.by.org && m.orgs[via].member && i.by.state() == emr.ClinicianActive && !beyond
	if !shown {
		require.Error(m.t, err, "the log is shown under an inspection that gives nothing: %s by %s", i.id, i.by.name)
		return
	}
	require.NoError(m.t, err, "%s by %s", i.id, i.by.name)
	if p := m.patientOf(i.of.Patient); p != nil && page.Bookmark == "" {
		want := slices.DeleteFunc(m.trailOf(p.id), func(e emr.AuditEntry) bool { return e.At < i.from || e.At >= i.to })
		require.Len(m.t, page.Items, len(want), "of %v to %v", i.from, i.to)
	}
}

// drawSuspendAccounting withholds a disclosure from the patient's accounting, or lists it again.
func (m *Model) drawSuspendAccounting() *step {
	if len(m.disclosures) == 0 {
		return nil
	}
	d := pick(m, m.disclosures, "disclosure")
	for _, other := range m.disclosures {
		if other.permit && other.reader.clinician != nil && m.seldom(3, "one that can be withheld") {
			d = other
		}
	}
	by := pick(m, []emr.OrgID{m.regulator(), d.record.hospital, pick(m, m.orgIDs, "organisation")}, "who")
	args := ledgerapi.SuspendAccountingArgs{
		Disclosures: []emr.DisclosureID{d.id}, Ground: emr.SuspendOversight, Until: m.now().Add(5 * 24 * time.Hour),
	}
	switch m.c.Choose(10, "what") {
	case 4:
		args.Written, args.Until = true, m.now().Add(365*24*time.Hour)
	case 3:
		args.Written, args.Until = true, m.beyond(365*24*time.Hour)
	case 5:
		args.Until = 0
	case 6:
		args.Until = m.now().Add(60 * 24 * time.Hour) // too long for an oral statement
	case 7:
		args.Disclosures[0] = ledgertest.ID[emr.DisclosureID](emr.DisclosurePrefix)
	}
	s := m.order(ledgerapi.SuspendAccounting, by, args)
	const day = 24 * time.Hour
	longest := map[bool]time.Duration{false: 30 * day, true: 365 * day}[args.Written]
	s.fault(args.Until > m.now().Add(longest), emr.CodeInvalid)
	s.fault(args.Disclosures[0] != d.id, emr.CodeNotFound)
	s.fault(by != d.record.hospital && m.orgs[by].kind != emr.KindRegulator, emr.CodeForbidden)
	own := d.reader.clinician == nil
	s.fault(!own && d.reader.org == by, emr.CodeForbidden)
	s.fault(!d.permit || own, emr.CodeRule)
	s.fault(d.withholder != by && m.now() < d.withheld, emr.CodeForbidden)
	s.then = func(a *answer) []emr.AuditEntry {
		d.withheld, d.withholder = max(args.Until, a.At), by
		e := emr.AuditEntry{Kind: emr.AuditSuspension, Actor: emr.ActorAdmin, Org: by, Decision: emr.Deny, Ref: string(d.id)}
		if args.Until == 0 {
			e.Decision = emr.Permit
		}
		return []emr.AuditEntry{e}
	}
	return s
}

// finishAccounts: a patient's accounting lists what was disclosed, but for what is withheld now.
func (m *Model) finishAccounts() {
	m.t.Helper()
	for _, p := range knownPatients(m) {
		var want, got []string
		for _, d := range m.disclosures {
			if d.record.owner == p && d.permit && m.now() >= d.withheld {
				want = append(want, string(d.id))
			}
		}
		q := ledgerapi.AccountQuery{Patient: p.handle, Exclude: []emr.AccountingClass{}, Limit: 100}
		for {
			var page ledgerapi.AccountPage
			m.ask(ledgerapi.AccountDisclosures, q, &page)
			for _, item := range page.Items {
				got = append(got, string(item.Disclosure))
			}
			if q.Bookmark = page.Bookmark; q.Bookmark == "" {
				break
			}
		}
		require.ElementsMatch(m.t, want, got, "the accounting of %s", p.name)
	}
}
