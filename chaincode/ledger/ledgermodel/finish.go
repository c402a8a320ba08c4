// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledgermodel

import (
	"encoding/json"
	"slices"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/consent"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
	"github.com/emrys-health/emrys/pkg/trail"
)

// Finish reads everything back by the queries and holds it against the model:
// every trail, entry by entry, and every document.
func (m *Model) Finish() {
	m.t.Helper()
	for _, p := range knownPatients(m) {
		m.finishTrail(p)
		m.finishPatient(p)
	}
	for _, c := range knownClinicians(m) {
		m.sameTrail(ledgerapi.AuditByClinician, ledgerapi.PageQuery{Clinician: c.cid}, m.about[c.id])
		var found emr.Clinician
		m.ask(ledgerapi.GetClinician, ledgerapi.ClinicianQuery{Clinician: c.cid}, &found)
		require.Equal(m.t, c.state(), found.Status)
		require.Equal(m.t, c.reading.Public().Bytes(), found.Reading)
		require.Equal(m.t, c.version, found.KeyVersion)
	}
	m.finishSharing()
	m.finishWideGrants()
	m.finishSignOffs()
	m.finishInboxes()
	m.finishEnds()
	m.finishCases()
	m.finishGovernance()
	m.finishSeals()
	m.finishAccounts()
}

// ask asks any member's gateway.
func (m *Model) ask(function string, q, answer any) {
	m.t.Helper()
	require.NoError(m.t, m.d.Ask(m.members()[0], function, q, answer), "%s %v", function, q)
}

// read reads a trail in pages of a number of entries that is drawn.
func (m *Model) read(function string, q ledgerapi.PageQuery) []emr.AuditEntry {
	q.Limit = pick(m, []int{100, 7, 26}, "entries of a page")
	var all []emr.AuditEntry
	for {
		var page ledgerapi.AuditPage
		m.ask(function, q, &page)
		all = append(all, page.Items...)
		if page.Bookmark == "" {
			return all
		}
		q.Bookmark = page.Bookmark
	}
}

// sameTrail compares a trail with all that must stand in it, and nothing else.
func (m *Model) sameTrail(function string, q ledgerapi.PageQuery, want []emr.AuditEntry) []emr.AuditEntry {
	m.t.Helper()
	got := m.read(function, q)
	bare := slices.Clone(got)
	for i := range bare {
		bare[i].Previous = emr.Digest{}
	}
	require.Equal(m.t, sorted(want), sorted(bare), "%s of %v", function, q)
	return got
}

func sorted(entries []emr.AuditEntry) []string {
	all := []string{}
	for i := range entries {
		b, _ := json.Marshal(entries[i])
		all = append(all, string(b))
	}
	slices.Sort(all)
	return all
}

// finishTrail: a patient finds everything, each once, and the chain is whole.
func (m *Model) finishTrail(p *patient) {
	m.t.Helper()
	got := m.sameTrail(ledgerapi.AuditByPatient, ledgerapi.PageQuery{Patient: p.handle}, m.trailOf(p.id))
	var head emr.AuditHead
	m.ask(ledgerapi.GetAuditHead, ledgerapi.HandleQuery{Patient: p.handle}, &head)
	report, err := trail.Verify(got, head)
	require.NoError(m.t, err)
	require.Equal(m.t, trail.Complete, report.Verdict, "%v", report.Faults)
	require.Len(m.t, report.Chain, int(p.chain)) //nolint:gosec // small
	for _, d := range m.disclosures {
		if d.record.owner != p {
			continue
		}
		want := emr.Deny
		if d.permit {
			want = emr.Permit
		}
		require.True(m.t, slices.ContainsFunc(got, func(e emr.AuditEntry) bool {
			return e.Kind == emr.AuditDisclosure && e.Ref == string(d.id) && e.Decision == want && e.Record == d.record.id
		}), "a disclosure that its patient does not find: %s", d.id)
	}
}

func (m *Model) finishPatient(p *patient) {
	m.t.Helper()
	var view ledgerapi.PatientView
	m.ask(ledgerapi.GetPatient, ledgerapi.HandleQuery{Patient: p.handle}, &view)
	require.Equal(m.t, pinned(p.key), view.Patient.Consent)
	require.Equal(m.t, p.hybrid, view.Patient.Hybrid)
	require.Equal(m.t, p.version, view.Patient.KeyVersion)
	require.Equal(m.t, p.org, view.Patient.Home)
	require.Len(m.t, view.Scopes, len(p.scopes))
	if p.standing != nil {
		var current consent.Consent
		m.ask(ledgerapi.GetConsent, ledgerapi.ConsentQuery{Patient: p.handle}, &current)
		require.Equal(m.t, p.standing.version, current.Version)
		require.Equal(m.t, p.standing.withdrawn, current.Status == consent.Withdrawn)
		if !p.standing.withdrawn {
			require.Equal(m.t, p.standing.doc, current.Document)
		}
	}
	var relations ledgerapi.RelationshipPage
	m.ask(ledgerapi.ListRelationships, ledgerapi.PageQuery{Patient: p.handle, Limit: 100}, &relations)
	require.Len(m.t, relations.Items, len(p.relations))
	for _, r := range relations.Items {
		require.Equal(m.t, p.relations[r.Hospital], r.Status)
	}
	var delegations ledgerapi.DelegationPage
	m.ask(ledgerapi.ListDelegations, ledgerapi.PageQuery{Patient: p.handle, Limit: 100}, &delegations)
	require.Len(m.t, delegations.Items, len(p.delegates))
	for _, found := range delegations.Items {
		d := p.delegates[m.patientOf(found.Delegate)]
		require.Equal(m.t, d.ended, found.Status == emr.DelegationEnded)
		require.Equal(m.t, d.until, found.Until)
	}
	if p.plan.version > 0 {
		var found emr.EmergencyPlan
		m.ask(ledgerapi.GetEmergencyPlan, ledgerapi.HandleQuery{Patient: p.handle}, &found)
		require.Equal(m.t, p.plan.all, found.DeclineAll)
		require.Len(m.t, found.Declined, len(p.plan.declined))
	}
	if p.guardians != nil {
		var set emr.GuardianSet
		m.ask(ledgerapi.GetGuardians, ledgerapi.HandleQuery{Patient: p.handle}, &set)
		require.Equal(m.t, p.guardians.version, set.Version)
		require.Len(m.t, set.Guardians, len(p.guardians.all))
	}
}

func (m *Model) finishSharing() {
	m.t.Helper()
	for _, r := range m.records {
		var found emr.Record
		m.ask(ledgerapi.GetRecord, ledgerapi.RecordQuery{Record: r.id}, &found)
		require.Equal(m.t, r.restricted, found.Restricted)
		require.Equal(m.t, r.next != nil, found.SupersededBy != "")
		require.Equal(m.t, r.owner.handle, found.Patient)
		var about []emr.AuditEntry
		for _, e := range m.entries {
			if e.Record == r.id {
				about = append(about, e)
			}
		}
		m.sameTrail(ledgerapi.AuditByRecord, ledgerapi.PageQuery{Record: r.id}, about)
	}
	for _, g := range m.grants {
		var found emr.Grant
		m.ask(ledgerapi.GetGrant, ledgerapi.GrantQuery{Grant: g.id}, &found)
		require.Equal(m.t, g.revoked, found.Status == emr.GrantRevoked)
		require.Equal(m.t, g.ended, found.Status == emr.GrantEnded)
		require.Equal(m.t, g.owner.handle, found.Terms.Patient)
		require.Equal(m.t, g.to.cid, found.Terms.Grantee)
	}
	m.finishRequests()
	for _, d := range m.disclosures {
		var found emr.Disclosure
		m.ask(ledgerapi.GetDisclosure, ledgerapi.DisclosureQuery{Disclosure: d.id}, &found)
		require.Equal(m.t, d.permit, found.Decision == emr.Permit)
		require.Equal(m.t, d.reader.id, found.Reader)
		require.Equal(m.t, []any{d.onward, d.noOnward}, []any{found.Onward, found.NoOnward}, "what is said of onward use")
	}
}

func (m *Model) finishCases() {
	m.t.Helper()
	for _, s := range m.sessions {
		var found emr.Emergency
		m.ask(ledgerapi.GetEmergency, ledgerapi.EmergencyArgs{Session: s.id}, &found)
		require.Equal(m.t, s.status, found.Status)
		require.Equal(m.t, s.until, found.Until)
		require.Equal(m.t, s.done, found.Reviewed())
		require.Equal(m.t, s.contested, found.Contested != 0)
	}
	for _, c := range knownClinicians(m) {
		_, owed, _ := m.owes(c)
		var duty emr.EmergencyDuty
		m.ask(ledgerapi.GetEmergencyDuty, ledgerapi.ClinicianQuery{Clinician: c.cid}, &duty)
		require.Len(m.t, duty.Owed, owed)
	}
	for _, am := range m.amendments {
		var found emr.Amendment
		m.ask(ledgerapi.GetAmendment, ledgerapi.AmendmentQuery{Amendment: am.id}, &found)
		require.Equal(m.t, am.status, found.Status)
		require.Equal(m.t, am.disputed, found.Disputed != 0)
		m.finishTexts(am, &found)
	}
	for _, r := range m.recoveries {
		var found emr.Recovery
		m.ask(ledgerapi.GetRecovery, ledgerapi.RecoveryQuery{Recovery: r.id}, &found)
		require.Equal(m.t, m.statusOf(r), found.Status)
		require.Len(m.t, found.Approvals, len(r.approvals))
	}
	for _, r := range m.records {
		var found emr.Hold
		m.ask(ledgerapi.GetHold, ledgerapi.RecordQuery{Record: r.id}, &found)
		for _, id := range m.orgIDs {
			at := slices.IndexFunc(found.Holders, func(h emr.Holder) bool { return h.Org == id })
			require.Equal(m.t, r.holders[id] != "", at >= 0)
			if at >= 0 {
				require.Equal(m.t, r.holders[id], found.Holders[at].Ground)
			}
		}
	}
}

func (m *Model) finishGovernance() {
	m.t.Helper()
	var is ledgerapi.ConstitutionView
	m.ask(ledgerapi.GetConstitution, ledgerapi.Empty{}, &is)
	require.Equal(m.t, m.members(), is.Members)
	require.Equal(m.t, m.founded, is.Constitution.Founded != 0)
	for _, function := range stoppable() {
		require.Equal(m.t, m.stopped[function], slices.Contains(is.Constitution.Stopped, function), function)
	}
	for _, p := range m.proposals {
		var found emr.Proposal
		m.ask(ledgerapi.GetProposal, ledgerapi.ProposalQuery{Proposal: p.id}, &found)
		require.Equal(m.t, p.status, found.Status)
		require.Len(m.t, found.Votes, len(p.votes))
	}
}
