// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package gateway_test

import (
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/chaincode/ledger"
	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/api"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// custody restarts a gateway so that it carries out what is ordered.
func (n *network) custody(t *testing.T, org emr.OrgID) {
	t.Helper()
	node := n.gateways[org]
	node.stop()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", strings.TrimPrefix(node.url, "https://"))
	require.NoError(t, err)
	node.cfg.Policy.EraseEvery = 5 * time.Millisecond
	n.run(t, node, listener)
}

func members() []emr.OrgID {
	return []emr.OrgID{ledgertest.HospitalA, ledgertest.HospitalB, ledgertest.HospitalC, ledgertest.Regulator}
}

// erase orders the erasure of the record through the patient's gateway.
func (c *care) erase(t *testing.T) emr.ErasureID {
	t.Helper()
	args := ledgerapi.EraseRecordArgs{
		Patient: c.patient.Handle, Erasure: ledgertest.ID[emr.ErasureID](emr.ErasurePrefix), Record: c.manifest.Record,
		Ground: emr.EraseWithdrawn, Grants: []emr.GrantID{}, Requests: []emr.RequestID{}, Amendments: []emr.AmendmentID{},
	}
	var receipt ledgerapi.DecisionReceipt
	c.atPatient.post("/v1/erasures", c.sign(t, c.patient, ledgerapi.EraseRecord, args)).into(t, &receipt)
	require.Equal(t, emr.Permit, receipt.Decision)
	return args.Erasure
}

// until waits until an order stands as wanted; the clock goes on meanwhile.
func (n *network) until(t *testing.T, id emr.ErasureID, holds func(*ledgerapi.ErasureView) bool) {
	t.Helper()
	var view *ledgerapi.ErasureView
	require.Eventually(t, func() bool {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.Wait(time.Second)
		var err error
		view, err = ledger.GetErasure(n.Query(n.Orgs[ledgertest.Regulator]), ledgerapi.ErasureQuery{Erasure: id})
		return err == nil && holds(view)
	}, 20*time.Second, 10*time.Millisecond, "%+v", view)
}

// missing holds while exactly these have not confirmed everything.
func missing(orgs ...emr.OrgID) func(*ledgerapi.ErasureView) bool {
	return func(view *ledgerapi.ErasureView) bool {
		return slices.Equal(view.Missing, orgs) && (view.State == emr.ErasureComplete) == (len(orgs) == 0)
	}
}

// held tells which hospitals have a content, pinned or not.
func (c *care) held(t *testing.T) []emr.OrgID {
	t.Helper()
	var held []emr.OrgID
	for _, org := range members() {
		store := c.gateways[org].store
		store.SetDown(false)
		found, err := store.Holds(t.Context(), c.manifest.CID)
		require.NoError(t, err)
		if found {
			held = append(held, org)
		}
	}
	return held
}

func TestEveryHoldersGatewayCarriesAnErasureOut(t *testing.T) {
	t.Parallel()
	c := newCare(t)
	c.put(t)
	c.give(t)
	ticket := c.disclose(t, emr.Permit)
	asked := ledgerapi.AskAmendmentArgs{
		Patient: c.patient.Handle, Amendment: ledgertest.ID[emr.AmendmentID](emr.AmendmentPrefix), Record: c.manifest.Record,
		Text: "this is not my knee",
	}
	c.atPatient.post("/v1/amendments", c.sign(t, c.patient, ledgerapi.AskAmendment, asked)).into(t, &ledgerapi.Receipt{})
	waiting := c.atAuthor.upload(c.content) // the same octets, for another record
	again := c.describe(t, waiting)
	require.Eventually(t, func() bool { return len(c.held(t)) == 2 }, 10*time.Second, 10*time.Millisecond, "two hospitals keep it")
	patient := (&guarded{care: c}).reissued(t)
	for _, org := range members() {
		c.custody(t, org)
	}
	c.atPatient = c.login(t, patient, ledgertest.HospitalA)
	c.atAuthor = c.login(t, clinicianPerson(c.author), ledgertest.HospitalA)
	c.atReader = c.login(t, clinicianPerson(c.reader), ledgertest.HospitalB)
	c.gateways[ledgertest.HospitalC].stop()
	atHome := c.gateways[ledgertest.HospitalA].store
	atHome.SetDown(true)

	id := c.erase(t)
	c.until(t, id, missing(ledgertest.HospitalA, ledgertest.HospitalC))
	c.until(t, id, func(v *ledgerapi.ErasureView) bool { return slices.Equal(v.Failed, []emr.OrgID{ledgertest.HospitalA}) })
	c.mu.Lock()
	view, err := ledger.GetErasure(c.Query(c.Orgs[ledgertest.Regulator]), ledgerapi.ErasureQuery{Erasure: id})
	c.mu.Unlock()
	require.NoError(t, err)
	require.Equal(t, []emr.Undestroyed{
		{Record: c.manifest.Record, Thing: emr.ThingContent, Cause: emr.CauseUnavailable},
	}, view.Holders[0].Receipts[0].Failed)

	atHome.SetDown(false)
	c.until(t, id, missing(ledgertest.HospitalC))
	c.custody(t, ledgertest.HospitalC)
	c.until(t, id, missing())
	require.Empty(t, c.held(t))
	c.mu.Lock()
	amendment, err := ledger.GetAmendment(c.Query(c.Orgs[ledgertest.Regulator]), ledgerapi.AmendmentQuery{Amendment: asked.Amendment})
	require.NoError(t, err)
	require.Equal(t, emr.AmendmentEnded, amendment.Status, "the gateway of the record's hospital has it ended")
	require.Empty(t, c.Private(ledgerapi.StatementKey(amendment.Asking)))
	c.mu.Unlock()
	content := c.atReader.get("/v1/disclosures/" + ticket.ID + "/content")
	content.refused(t, emr.CodeRule)
	require.Equal(t, emr.ReasonErased, content.problem.Reason)
	forgotten := c.sign(t, c.author, ledgerapi.RegisterRecord, again)
	c.atAuthor.post("/v1/records", forgotten, api.UploadHeader, waiting.ID).refused(t, emr.CodeNotFound)
	c.nothingRemains(t)
}

// nothingRemains looks at every gateway's files and at what they have logged.
func (c *care) nothingRemains(t *testing.T) {
	t.Helper()
	for _, org := range members() {
		node := c.gateways[org]
		node.stop()
		journal, err := filepath.Glob(filepath.Join(node.cfg.StateDir, "uploads", "*.json"))
		require.NoError(t, err)
		require.Empty(t, journal, org)
		progress, err := os.ReadFile(filepath.Join(node.cfg.StateDir, "pins", "progress.jsonl"))
		if org != ledgertest.Regulator {
			require.NoError(t, err)
		}
		if before, _, mentioned := cutLast(string(progress), c.manifest.CID); mentioned {
			require.True(t, strings.HasSuffix(before, `"gone":"`), "%s: %s", org, progress)
		}
	}
	for _, secret := range []string{string(c.patient.ID), string(c.patient.Handle)} {
		require.NotContains(t, c.logs.String(), secret)
	}
}

// cutLast cuts a text around the last instance of a part.
func cutLast(text, part string) (before, after string, found bool) {
	at := strings.LastIndex(text, part)
	if at < 0 {
		return text, "", false
	}
	return text[:at], text[at+len(part):], true
}

func TestAnErasedRecordIsRefusedInClearWords(t *testing.T) {
	t.Parallel()
	c := newCare(t)
	c.put(t)
	var own ledgerapi.DecisionReceipt
	c.atPatient.post("/v1/disclosures", c.sign(t, c.patient, ledgerapi.Disclose, ledgerapi.DiscloseArgs{
		Disclosure: ledgertest.ID[emr.DisclosureID](emr.DisclosurePrefix), Record: c.manifest.Record, Purpose: emr.PurposePatient,
	})).into(t, &own)
	require.Equal(t, c.content, c.atPatient.get("/v1/disclosures/"+own.ID+"/content").body)
	first := c.manifest
	sameOctets, others := c.atAuthor.upload(c.content), c.atAuthor.upload(newContent(t))
	sameContent, sameID := c.describe(t, sameOctets), c.describe(t, others)
	sameID.Record = first.Record
	c.Complete(t, sameID, c.author, c.scope)
	c.erase(t)

	content := c.atPatient.get("/v1/disclosures/" + own.ID + "/content")
	content.refused(t, emr.CodeRule)
	require.Equal(t, emr.ReasonErased, content.problem.Reason, "a ticket that was out gives nothing")
	again := c.atAuthor.post("/v1/records", c.sign(t, c.author, ledgerapi.RegisterRecord, sameContent), api.UploadHeader, sameOctets.ID)
	again.refused(t, emr.CodeGone)
	require.Equal(t, http.StatusGone, again.status)
	require.Contains(t, again.problem.Detail, "gone for good")
	again = c.atAuthor.post("/v1/records", c.sign(t, c.author, ledgerapi.RegisterRecord, sameID), api.UploadHeader, others.ID)
	again.refused(t, emr.CodeExists)
	require.Contains(t, again.problem.Detail, "already")
}

func TestAnOrderIsShownToItsPatientAlone(t *testing.T) {
	t.Parallel()
	c := newCare(t)
	c.put(t)
	id := c.erase(t)
	var page ledgerapi.ErasurePage
	c.atPatient.get("/v1/erasures").into(t, &page)
	require.Len(t, page.Items, 1)
	var view ledgerapi.ErasureView
	c.atPatient.get("/v1/erasures/"+string(id)).into(t, &view)
	require.Equal(t, page.Items[0], view.Erasure)
	require.Equal(t, members(), view.Missing)
	question := canonical(t, ledgerapi.ErasureQuery{Erasure: id})
	require.Equal(t, http.StatusOK, c.atPatient.prove(ledgerapi.GetErasure, question).status)
	_, atStranger := c.network.patient(t, ledgertest.HospitalA)
	for _, s := range []*session{atStranger, c.atAuthor, c.atReader} {
		s.get("/v1/erasures/"+string(id)).refused(t, emr.CodeNotFound)
		s.prove(ledgerapi.GetErasure, question).refused(t, emr.CodeNotFound)
	}
	atStranger.get("/v1/erasures").into(t, &page)
	require.Empty(t, page.Items)
	c.atAuthor.get("/v1/erasures").refused(t, emr.CodeForbidden)
	c.atPatient.get("/v1/erasures/ers_1").refused(t, emr.CodeInvalid)
	c.atPatient.get("/v1/erasures?limit=x").refused(t, emr.CodeInvalid)
	c.atPatient.get("/v1/erasures/"+string(ledgertest.ID[emr.ErasureID](emr.ErasurePrefix))).refused(t, emr.CodeNotFound)
}
