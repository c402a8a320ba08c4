// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/consent"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// model is what a random sequence of calls must keep true, told in the simplest
// terms: who was given what, until when, how often, and what was taken back.
type model struct {
	*scene
	t       *testing.T
	readers []*ledgertest.Clinician
	records []*emr.Manifest
	grants  []*modelGrant
	tickets []*modelTicket
	// excluded are whom the standing consent denies; everybody once withdrawn.
	excluded  []emr.ClinicianID
	withdrawn bool
}

// denied tells whether the standing consent denies a reader.
func (m *model) denied(reader *ledgertest.Clinician) bool {
	return m.withdrawn || slices.Contains(m.excluded, reader.ID)
}

// putConsent excludes some of the readers and leaves the others to be asked for.
func (m *model) putConsent(rt *rapid.T) {
	m.excluded, m.withdrawn = nil, false
	var provisions []consent.Provision
	for _, reader := range m.readers {
		if rapid.Bool().Draw(rt, "exclude") {
			m.excluded = append(m.excluded, reader.ID)
			provisions = append(provisions, exclude(person(reader.ID)))
		}
	}
	m.put(m.t, document(emr.Ask, provisions...))
}

func (m *model) withdrawConsent(*rapid.T) {
	_, err := m.Try(m.t, m.patient, ledgerapi.WithdrawConsent, ledgerapi.WithdrawConsentArgs{Patient: m.patient.Handle})
	if m.withdrawn {
		refuses(m.t, err, emr.CodeGone, "")
		return
	}
	require.NoError(m.t, err)
	m.withdrawn = true
}

type modelGrant struct {
	args    *ledgerapi.GrantAccessArgs
	revoked bool
	uses    uint32
}

type modelTicket struct {
	id     emr.DisclosureID
	reader *ledgertest.Clinician
	grant  *modelGrant
	until  emr.Time
}

// gives tells whether a grant gives a reader a record for treatment now.
func (g *modelGrant) gives(reader *ledgertest.Clinician, record *emr.Manifest, now emr.Time) bool {
	terms := &g.args.Terms
	covered := len(terms.Records) == 0 || slices.Contains(terms.Records, record.Record)
	return !g.revoked && terms.Grantee == reader.ID && covered && now >= terms.NotBefore && now < terms.Until
}

func (m *model) grant(rt *rapid.T) {
	reader := rapid.SampledFrom(m.readers).Draw(rt, "reader")
	var records []emr.RecordID
	if rapid.Bool().Draw(rt, "one record") {
		records = append(records, rapid.SampledFrom(m.records).Draw(rt, "record").Record)
	}
	args := m.Grant(m.scope, reader, records...)
	args.Terms.MaxUses = rapid.Uint32Range(0, 2).Draw(rt, "uses")
	args.Terms.NotBefore = m.Now.Add(time.Duration(rapid.IntRange(0, 2).Draw(rt, "begin")) * time.Minute)
	args.Terms.Until = args.Terms.NotBefore.Add(time.Duration(rapid.IntRange(1, 20).Draw(rt, "life")) * time.Minute)
	_, err := m.Try(m.t, m.patient, ledgerapi.GrantAccess, args)
	if m.denied(reader) {
		refuses(m.t, err, emr.CodeRule, "change the consent first")
		return
	}
	require.NoError(m.t, err)
	m.grants = append(m.grants, &modelGrant{args: args})
}

func (m *model) revoke(rt *rapid.T) {
	if len(m.grants) == 0 {
		return
	}
	g := rapid.SampledFrom(m.grants).Draw(rt, "grant")
	_, err := m.Try(m.t, m.patient, ledgerapi.RevokeAccess,
		ledgerapi.RevokeAccessArgs{Patient: m.patient.Handle, Grant: g.args.Terms.Grant})
	if g.revoked {
		refuses(m.t, err, emr.CodeGone, "")
		return
	}
	require.NoError(m.t, err)
	g.revoked = true
	require.Empty(m.t, m.Private(ledgerapi.FragmentKey(g.args.Terms.Grant)))
}

// disclose reads any record under any grant by anybody.
func (m *model) discloseAny(rt *rapid.T) {
	if len(m.grants) == 0 {
		return
	}
	g := rapid.SampledFrom(m.grants).Draw(rt, "grant")
	reader := rapid.SampledFrom(m.readers).Draw(rt, "reader")
	record := rapid.SampledFrom(m.records).Draw(rt, "record")
	args := m.read(g.args.Terms.Grant)
	args.Record = record.Record
	receipt := m.disclose(m.t, reader, args)
	limit := g.args.Terms.MaxUses
	want := g.gives(reader, record, m.Now) && (limit == 0 || g.uses < limit) && !m.denied(reader)
	require.Equal(m.t, want, receipt.Decision == emr.Permit, "%s", receipt.Reason)
	if want {
		g.uses++
		require.LessOrEqual(m.t, receipt.Until, g.args.Terms.Until)
		m.tickets = append(m.tickets, &modelTicket{args.Disclosure, reader, g, receipt.Until})
	}
}

// present shows any ticket by anybody to a proxy.
func (m *model) present(rt *rapid.T) {
	if len(m.tickets) == 0 {
		return
	}
	ticket := rapid.SampledFrom(m.tickets).Draw(rt, "ticket")
	by := rapid.SampledFrom(m.readers).Draw(rt, "presenter")
	got := m.check(m.t, ledgertest.Regulator, m.open(m.t, by, ticket.id))
	want := by == ticket.reader && m.Now < ticket.until && !ticket.grant.revoked && m.Now < ticket.grant.args.Terms.Until &&
		!m.denied(by)
	require.Equal(m.t, want, got.Decision == emr.Permit, "%s", got.Reason)
	require.Equal(m.t, want, len(got.Fragment.Sealed) != 0)
}

// request asks for any record: it is permitted only by a grant that gives it.
func (m *model) request(rt *rapid.T) {
	reader := rapid.SampledFrom(m.readers).Draw(rt, "reader")
	record := rapid.SampledFrom(m.records).Draw(rt, "record")
	args := m.ask(record.Record)
	receipt := m.Do(m.t, reader, ledgerapi.RequestAccess, args).(*ledgerapi.DecisionReceipt)
	require.Equal(m.t, m.denied(reader), receipt.Decision == emr.Deny)
	if receipt.Decision != emr.Permit {
		return
	}
	at := slices.IndexFunc(m.grants, func(g *modelGrant) bool { return g.args.Terms.Grant == receipt.Grant })
	require.True(m.t, m.grants[at].gives(reader, record, m.Now))
}

func (m *model) wait(rt *rapid.T) {
	m.Wait(time.Duration(rapid.IntRange(1, 300).Draw(rt, "seconds")) * time.Second)
}

// check keeps the invariant that the ledger and the model agree on every grant.
func (m *model) agree(*rapid.T) {
	for _, g := range m.grants {
		stored := m.getGrant(m.t, g.args.Terms.Grant)
		require.Equal(m.t, g.revoked, stored.Status == emr.GrantRevoked)
	}
}

func TestRandomSequencesPermitNothingWithoutALiveGrant(t *testing.T) {
	t.Parallel()
	base := newScene(t)
	second := base.Record(t, base.author, base.scope, emr.ClassPrescription)
	other := base.Clinician(t, ledgertest.HospitalC, emr.RolePhysician, emr.LevelPrivate)
	rapid.Check(t, func(rt *rapid.T) {
		copied := *base
		consortium := *base.Consortium
		consortium.World = base.Clone()
		copied.Consortium = &consortium
		m := &model{
			scene: &copied, t: t, readers: []*ledgertest.Clinician{base.reader, base.author, other},
			records: []*emr.Manifest{base.record, second},
		}
		rt.Repeat(map[string]func(*rapid.T){
			"grant": m.grant, "revoke": m.revoke, "disclose": m.discloseAny, "disclose again": m.discloseAny,
			"present": m.present, "request": m.request, "wait": m.wait, "": m.agree,
			"put consent": m.putConsent, "withdraw consent": m.withdrawConsent,
		})
	})
}
