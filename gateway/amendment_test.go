// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package gateway_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

func TestAnAmendmentPassesThroughTheGateways(t *testing.T) {
	t.Parallel()
	c := newCare(t)
	c.put(t)
	_, atOther := c.network.patient(t, ledgertest.HospitalA)
	_, atResearcher := c.doctor(t, ledgertest.HospitalA, emr.RoleResearcher)
	_, atAuditor := c.doctor(t, ledgertest.Regulator, emr.RoleAuditor)
	asked := ledgerapi.AskAmendmentArgs{
		Patient: c.patient.Handle, Amendment: ledgertest.ID[emr.AmendmentID](emr.AmendmentPrefix), Record: c.manifest.Record,
		Text: "this is not my knee",
	}
	c.atPatient.post("/v1/amendments", c.sign(t, c.patient, ledgerapi.AskAmendment, asked)).into(t, &ledgerapi.Receipt{})
	c.atReader.post("/v1/amendments/answer", c.sign(t, c.reader, ledgerapi.AnswerAmendment,
		ledgerapi.AnswerAmendmentArgs{Amendment: asked.Amendment, Text: "no"})).refused(t, emr.CodeForbidden)
	c.atPatient.post("/v1/amendments/answer", c.sign(t, c.patient, ledgerapi.AnswerAmendment,
		ledgerapi.AnswerAmendmentArgs{Amendment: asked.Amendment, Text: "yes"})).refused(t, emr.CodeForbidden)
	c.atAuthor.post("/v1/amendments/answer", c.sign(t, c.author, ledgerapi.AnswerAmendment,
		ledgerapi.AnswerAmendmentArgs{Amendment: asked.Amendment, Text: "it is"})).into(t, &ledgerapi.Receipt{})
	c.atPatient.post("/v1/amendments/dispute", c.sign(t, c.patient, ledgerapi.DisputeAmendment,
		ledgerapi.DisputeAmendmentArgs{Patient: c.patient.Handle, Amendment: asked.Amendment, Text: "it is not"})).into(t, &ledgerapi.Receipt{})

	path := "/v1/amendments/" + string(asked.Amendment)
	for _, at := range []*session{c.atPatient, c.atAuthor, atAuditor} {
		var view ledgerapi.AmendmentView
		at.get(path).into(t, &view)
		require.Equal(t, view.Amendment.Dispute, view.Dispute.Digest())
		require.NotZero(t, view.Amendment.Disputed)
	}
	for _, at := range []*session{c.atReader, atOther, atResearcher} {
		at.get(path).refused(t, emr.CodeNotFound)
	}
	c.atPatient.get("/v1/amendments/amd_1").refused(t, emr.CodeInvalid)
	c.atPatient.get("/v1/amendments/"+string(ledgertest.ID[emr.AmendmentID](emr.AmendmentPrefix))).refused(t, emr.CodeNotFound)

	ofRecord := "/v1/records/" + string(c.manifest.Record) + "/amendments"
	for at, path := range map[*session]string{c.atPatient: "/v1/amendments", c.atReader: ofRecord, c.atAuthor: ofRecord} {
		var page ledgerapi.AmendmentPage
		at.get(path).into(t, &page)
		require.Len(t, page.Items, 1)
		require.Equal(t, emr.AmendmentDenied, page.Items[0].Status)
	}
	atOther.get(ofRecord).refused(t, emr.CodeNotFound)
	c.atAuthor.get("/v1/amendments").refused(t, emr.CodeForbidden)
	var none ledgerapi.AmendmentPage
	atOther.get("/v1/amendments").into(t, &none)
	require.Empty(t, none.Items)

	c.erase(t)
	for _, at := range []*session{c.atPatient, c.atAuthor, atAuditor} {
		gone := at.get(path)
		gone.refused(t, emr.CodeGone)
		require.Equal(t, emr.ReasonErased, gone.problem.Reason, "nobody is shown what was said about a record that is erased")
	}
	for _, at := range []*session{c.atReader, atOther, atResearcher} {
		at.get(path).refused(t, emr.CodeNotFound)
	}
	c.atPatient.get("/v1/amendments").into(t, &none)
	require.Len(t, none.Items, 1, "that something was asked is no secret")
}
