// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package contract

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// erasureThroughTheAdapter rolls a scope, re-keys a record, reports and checks a
// copy, erases the record and has it confirmed, over the stub.
func erasureThroughTheAdapter(
	t *testing.T, r *rig, called map[string]bool, p *ledgertest.Patient, author *ledgertest.Clinician, scope *emr.Scope,
	do func(ledgertest.Member, string, any), ask func(string, any, any),
) {
	t.Helper()
	order := func(org emr.OrgID, function string, args any) {
		t.Helper()
		called[function] = true
		argument, err := emr.Canonical(args)
		require.NoError(t, err)
		require.Equal(t, emr.CodeForbidden,
			r.fails(r.fabric.stub(identity(t, r.Orgs[org].Admin), r.Now, function, string(argument))).Code, "an administrator is no gateway")
		r.succeeds(r.fabric.stub(identity(t, r.Orgs[org].Gateway), r.Now, function, string(argument)))
	}
	next := ledgertest.NewScope(t, scope.Level)
	next.Epoch = scope.Epoch + 1
	do(p, ledgerapi.RollScope, ledgerapi.RollScopeArgs{Patient: p.Handle, Scope: scope.ID, Next: next, Grants: []emr.GrantID{}})
	rolled := &emr.Scope{
		ID: next.ID, Patient: p.Handle, Epoch: next.Epoch, Level: next.Level, Delegating: next.Delegating, Fragment: next.Fragment,
	}
	first := r.Manifest(t, author, rolled, emr.ClassMedicalImaging)
	do(author, ledgerapi.RegisterRecord, first)
	rekey := r.Manifest(t, author, rolled, first.Class)
	rekey.Previous, rekey.Version = first.Record, 2
	r.Complete(t, rekey, author, rolled)
	do(author, ledgerapi.RekeyRecord, rekey)

	order(ledgertest.HospitalC, ledgerapi.ReportIntegrity, ledgerapi.ReportIntegrityArgs{Record: rekey.Record, Finding: emr.FindingMissing})
	var found ledgerapi.IntegrityList
	ask(ledgerapi.GetIntegrity, ledgerapi.RecordQuery{Record: rekey.Record}, &found)
	require.Len(t, found.Items, 1)
	var check ledgerapi.IntegrityView
	q := ledgerapi.IntegrityQuery{Record: rekey.Record, CID: rekey.CID, Digest: rekey.Digest, Size: rekey.CipherSize}
	ask(ledgerapi.CheckIntegrity, q, &check)
	require.Equal(t, ledgerapi.VerdictMatches, check.Verdict)
	require.Equal(t, ledgerapi.ManifestMatches, check.Manifest)
	expired := ledgerapi.EraseExpiredArgs{
		Erasure: ledgertest.ID[emr.ErasureID](emr.ErasurePrefix), Record: rekey.Record,
		Grants: []emr.GrantID{}, Requests: []emr.RequestID{}, Amendments: []emr.AmendmentID{},
	}
	order(ledgertest.HospitalB, ledgerapi.EraseExpired, expired) // denied, and committed
	erase := ledgerapi.EraseRecordArgs{
		Patient: p.Handle, Erasure: expired.Erasure, Record: first.Record, Ground: emr.EraseObjection,
		Grants: []emr.GrantID{}, Requests: []emr.RequestID{}, Amendments: []emr.AmendmentID{},
	}
	request := ledgerapi.RequestAccessArgs{
		Request: ledgertest.ID[emr.RequestID](emr.RequestPrefix), Record: rekey.Record, Purpose: emr.PurposeTreatment,
	}
	do(author, ledgerapi.RequestAccess, request)
	asking := ledgerapi.AskAmendmentArgs{
		Patient: p.Handle, Amendment: ledgertest.ID[emr.AmendmentID](emr.AmendmentPrefix), Record: first.Record, Text: "this is not my knee",
	}
	do(p, ledgerapi.AskAmendment, asking)
	do(p, ledgerapi.EraseRecord, erase)
	var left ledgerapi.Leftovers
	ask(ledgerapi.ListLeftovers, ledgerapi.LeftoversQuery{Erasure: erase.Erasure}, &left)
	require.Equal(t, []emr.RequestID{request.Request}, left.Requests)
	require.Equal(t, []emr.AmendmentID{asking.Amendment}, left.Amendments)
	order(ledgertest.HospitalB, ledgerapi.ContinueErasure,
		ledgerapi.ContinueErasureArgs{Erasure: erase.Erasure, Grants: left.Grants, Requests: left.Requests, Amendments: left.Amendments})
	ask(ledgerapi.ListLeftovers, ledgerapi.LeftoversQuery{Erasure: erase.Erasure}, &left)
	require.Empty(t, left.Requests)
	require.Empty(t, left.Amendments)
	order(ledgertest.HospitalA, ledgerapi.ConfirmErasure, ledgerapi.ConfirmErasureArgs{
		Erasure: erase.Erasure, Part: 1, Failed: []emr.Undestroyed{},
		Destroyed: []emr.Destroyed{{Record: rekey.Record, CID: rekey.CID, Things: emr.ErasureThings()}},
	})
	erasureIsShown(t, p, rekey, erase.Erasure, ask)
}

// erasureIsShown asks every query about an erasure that is under way.
func erasureIsShown(t *testing.T, p *ledgertest.Patient, m *emr.Manifest, id emr.ErasureID, ask func(string, any, any)) {
	t.Helper()
	var view ledgerapi.ErasureView
	ask(ledgerapi.GetErasure, ledgerapi.ErasureQuery{Erasure: id}, &view)
	require.Equal(t, emr.ErasurePartial, view.State)
	require.Len(t, view.Missing, 4, "the first version is not confirmed by anybody")
	var owed ledgerapi.ErasurePage
	ask(ledgerapi.ListErasures, ledgerapi.ErasuresQuery{Org: ledgertest.HospitalC}, &owed)
	require.Len(t, owed.Items, 2)
	var erased ledgerapi.ErasedList
	ask(ledgerapi.IsErased, ledgerapi.IsErasedQuery{CIDs: []string{m.CID}, Records: []emr.RecordID{}, Digests: []emr.Digest{m.Digest}}, &erased)
	require.True(t, erased.Items[0].Destroy)
	require.True(t, erased.Items[1].Destroy)
	var readings ledgerapi.ReadingPage
	ask(ledgerapi.WhoHasRead, ledgerapi.WhoHasReadQuery{Patient: p.Handle, Record: m.Record}, &readings)
	require.Empty(t, readings.Items)
	var rules ledgerapi.RetentionList
	ask(ledgerapi.GetRetention, ledgerapi.Empty{}, &rules)
	require.Empty(t, rules.Items)
}
