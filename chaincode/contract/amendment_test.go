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

// amendmentThroughTheAdapter runs a denial, its dispute and a hold over the stub.
func amendmentThroughTheAdapter(
	t *testing.T, r *rig, p *ledgertest.Patient, author *ledgertest.Clinician, record emr.RecordID,
	do func(ledgertest.Member, string, any), ask func(string, any, any),
) {
	t.Helper()
	asked := ledgerapi.AskAmendmentArgs{
		Patient: p.Handle, Amendment: ledgertest.ID[emr.AmendmentID](emr.AmendmentPrefix), Record: record, Text: "not my knee",
	}
	do(p, ledgerapi.AskAmendment, asked)
	do(author, ledgerapi.AnswerAmendment, ledgerapi.AnswerAmendmentArgs{Amendment: asked.Amendment, Text: "it is"})
	do(p, ledgerapi.DisputeAmendment,
		ledgerapi.DisputeAmendmentArgs{Patient: p.Handle, Amendment: asked.Amendment, Text: "it is not"})
	hold, err := emr.Canonical(ledgerapi.HoldRecordArgs{Record: record, Hold: true, Ground: emr.HoldInvestigation})
	require.NoError(t, err)
	r.succeeds(r.fabric.stub(identity(t, r.Orgs[ledgertest.Regulator].Admin), r.Now, ledgerapi.HoldRecord, string(hold)))
	require.Equal(t, emr.CodeForbidden, r.fails(r.call(ledgerapi.HoldRecord, string(hold))).Code)

	var amendment emr.Amendment
	ask(ledgerapi.GetAmendment, ledgerapi.AmendmentQuery{Amendment: asked.Amendment}, &amendment)
	require.Equal(t, emr.AmendmentDenied, amendment.Status)
	var view ledgerapi.AmendmentView
	ask(ledgerapi.GetAmendmentAction, ledgerapi.AmendmentQuery{Amendment: asked.Amendment}, &view)
	require.Equal(t, amendment.Dispute, view.Dispute.Digest())
	var page ledgerapi.AmendmentPage
	ask(ledgerapi.ListAmendments, ledgerapi.PageQuery{Record: record}, &page)
	require.Equal(t, []emr.Amendment{amendment}, page.Items)
	var held emr.Hold
	ask(ledgerapi.GetHold, ledgerapi.RecordQuery{Record: record}, &held)
	require.Equal(t, ledgertest.Regulator, held.Holders[0].Org)
}
