// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package contract

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
	"github.com/emrys-health/emrys/pkg/trail"
)

// auditThroughTheAdapter seals what hospital A has done, proves one entry of it,
// reads the patient's log as an inspector, and withholds a disclosure from the accounting.
func auditThroughTheAdapter(
	t *testing.T, r *rig, p *ledgertest.Patient, record emr.RecordID, disclosure emr.DisclosureID,
	do func(ledgertest.Member, string, any), ask func(string, any, any),
) {
	t.Helper()
	var waiting ledgerapi.UnsealedPage
	ask(ledgerapi.ListUnsealed, ledgerapi.UnsealedQuery{Org: ledgertest.HospitalA}, &waiting)
	require.NotEmpty(t, waiting.Items)
	var names []ledgerapi.EntryName
	for _, e := range waiting.Items {
		names = append(names, e.Name)
	}
	args, err := emr.Canonical(ledgerapi.SealReadingsArgs{Entries: names})
	require.NoError(t, err)
	r.succeeds(r.call(ledgerapi.SealReadings, string(args)))
	require.Equal(t, emr.CodeExists, r.fails(r.call(ledgerapi.SealReadings, string(args))).Code)
	ask(ledgerapi.ListUnsealed, ledgerapi.UnsealedQuery{Org: ledgertest.HospitalA}, &waiting)
	require.Empty(t, waiting.Items)

	var page ledgerapi.SealPage
	ask(ledgerapi.ListSeals, ledgerapi.SealsQuery{Org: ledgertest.HospitalA}, &page)
	report, err := trail.VerifySeals(page.Items, page.Head)
	require.NoError(t, err)
	require.Equal(t, trail.Complete, report.Verdict)
	var seal emr.Seal
	ask(ledgerapi.GetSeal, ledgerapi.SealQuery{Org: ledgertest.HospitalA, Sequence: 1}, &seal)
	require.Equal(t, page.Items[0], seal)
	var log ledgerapi.AuditPage
	ask(ledgerapi.AuditByRecord, ledgerapi.PageQuery{Record: record}, &log)
	registered := log.Items[slices.IndexFunc(log.Items, func(e emr.AuditEntry) bool { return e.Kind == emr.AuditRecord })]
	var proof emr.Inclusion
	ask(ledgerapi.ProveSealed, ledgerapi.SealedQuery{Org: registered.Org, TxID: registered.TxID, Record: record, Ref: registered.Ref}, &proof)
	require.Equal(t, registered, proof.Entry)
	require.NoError(t, trail.VerifyInclusion(&proof))

	officer := r.NewClinician(t, ledgertest.HospitalA, ledgertest.Wish{Role: string(emr.RolePrivacyOfficer), Level: string(emr.LevelLow)})
	do(officer, ledgerapi.RegisterClinician, officer.Args())
	inspection := ledgerapi.InspectLogArgs{
		Inspection: ledgertest.ID[emr.InspectionID](emr.InspectionPrefix), Subject: emr.LogSubject{Record: record}, To: r.Now + 1, Ground: emr.InspectRoutine,
	}
	do(officer, ledgerapi.InspectLog, inspection)
	var inspected emr.Inspection
	ask(ledgerapi.GetInspection, ledgerapi.InspectionQuery{Inspection: inspection.Inspection}, &inspected)
	require.Equal(t, emr.Permit, inspected.Decision)
	ask(ledgerapi.ReadLog, ledgerapi.ReadLogQuery{Inspection: inspection.Inspection}, &log)
	require.NotEmpty(t, log.Items)
	require.Equal(t, p.Handle, log.Items[0].Patient)

	var replay ledgerapi.ReplayView
	ask(ledgerapi.ReplayDecision, ledgerapi.DisclosureQuery{Disclosure: disclosure}, &replay)
	require.Equal(t, emr.ReplaySame, replay.Verdict)
	var accounting ledgerapi.AccountPage
	ask(ledgerapi.AccountDisclosures, ledgerapi.AccountQuery{Patient: p.Handle}, &accounting)
	listed := len(accounting.Items)
	require.NotZero(t, listed)
	suspension, err := emr.Canonical(ledgerapi.SuspendAccountingArgs{
		Disclosures: []emr.DisclosureID{disclosure}, Ground: emr.SuspendOversight, Until: r.Now + 60,
	})
	require.NoError(t, err)
	r.succeeds(r.fabric.stub(identity(t, r.Orgs[ledgertest.HospitalA].Admin), r.Now, ledgerapi.SuspendAccounting, string(suspension)))
	require.Equal(t, emr.CodeForbidden, r.fails(r.call(ledgerapi.SuspendAccounting, string(suspension))).Code)
	ask(ledgerapi.AccountDisclosures, ledgerapi.AccountQuery{Patient: p.Handle}, &accounting)
	require.Len(t, accounting.Items, listed-1)
}
