// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package gateway_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/api"
	"github.com/emrys-health/emrys/pkg/consent"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// excluding is a document that permits hospital B but for one person.
func excluding(person emr.ClinicianID) consent.Document {
	return consent.Normal(consent.Document{Base: emr.Ask, Provisions: []consent.Provision{
		{Effect: emr.Permit, Hospitals: []emr.OrgID{ledgertest.HospitalB}},
		{Effect: emr.Deny, People: []emr.ClinicianID{person}},
	}})
}

// TestAConsentIsPreviewedPutEnforcedAndWithdrawn goes the whole way over REST: the
// excluded reader holds a live grant and an open ticket, and neither helps.
func TestAConsentIsPreviewedPutEnforcedAndWithdrawn(t *testing.T) {
	t.Parallel()
	c := newCare(t)
	c.put(t)
	c.give(t)
	ticket := c.disclose(t, emr.Permit)
	require.Equal(t, http.StatusOK, c.atReader.get("/v1/disclosures/"+ticket.ID+"/content").status)
	c.atPatient.get("/v1/consents/current").refused(t, emr.CodeNotFound)

	document := excluding(c.reader.ID)
	var preview ledgerapi.ConsentPreview
	c.atPatient.post("/v1/consents/preview", api.ConsentPreviewRequest{Document: document}).into(t, &preview)
	require.True(t, preview.Complete)
	loses := 0
	for _, change := range preview.Changes {
		if change.Person == c.reader.ID && !change.Gains {
			loses++
			require.Equal(t, []emr.RecordID{c.manifest.Record}, change.Records)
			require.Equal(t, change.Purpose == emr.PurposeTreatment, len(change.Open) == 1)
		}
	}
	require.Equal(t, 3, loses, "one change for each purpose of the reader's role")

	args := ledgerapi.PutConsentArgs{
		Patient: c.patient.Handle, Replaces: preview.Replaces, Document: document, Previewed: preview.Previewed,
	}
	forged := args
	forged.Previewed.Basis[0] ^= 1
	c.atPatient.post("/v1/consents", c.sign(t, c.patient, ledgerapi.PutConsent, forged)).refused(t, emr.CodeStale)
	var receipt ledgerapi.Receipt
	c.atPatient.post("/v1/consents", c.sign(t, c.patient, ledgerapi.PutConsent, args)).into(t, &receipt)
	require.Equal(t, "1", receipt.ID)
	c.atPatient.post("/v1/consents", c.sign(t, c.patient, ledgerapi.PutConsent, args)).refused(t, emr.CodeStale)

	c.open(t, ticket.ID).refused(t, emr.CodeRule)
	c.atReader.get("/v1/disclosures/"+ticket.ID+"/content").refused(t, emr.CodeRule)
	denied := c.disclose(t, emr.Deny)
	require.Equal(t, emr.ReasonConsentDenies, denied.Reason)
	require.Equal(t, uint32(1), denied.Consent)

	c.atPatient.post("/v1/consents/withdraw", c.sign(t, c.patient, ledgerapi.WithdrawConsent,
		ledgerapi.WithdrawConsentArgs{Patient: c.patient.Handle})).into(t, &receipt)
	require.Equal(t, emr.ReasonConsentWithdrawn, c.disclose(t, emr.Deny).Reason)

	var current consent.Consent
	c.atPatient.get("/v1/consents/current").into(t, &current)
	require.Equal(t, consent.Withdrawn, current.Status)
	c.atPatient.get("/v1/consents/1").into(t, &current)
	require.Equal(t, document, current.Document)
	var page ledgerapi.ConsentPage
	c.atPatient.get("/v1/consents?limit=1").into(t, &page)
	require.Len(t, page.Items, 1)
	c.atPatient.get("/v1/consents?limit=1&cursor="+page.Bookmark).into(t, &page)
	require.Equal(t, uint32(1), page.Items[0].Version)
	require.Empty(t, page.Bookmark)
}

func TestAConsentIsItsPatientsAlone(t *testing.T) {
	t.Parallel()
	c := newCare(t)
	other, atOther := c.network.patient(t, ledgertest.HospitalA)
	document := excluding(c.reader.ID)
	args := ledgerapi.PutConsentArgs{
		Patient: c.patient.Handle, Document: document, Previewed: ledgerapi.Previewed{People: []emr.ClinicianID{}},
	}
	withdraw := ledgerapi.WithdrawConsentArgs{Patient: c.patient.Handle}
	c.atPatient.post("/v1/consents", c.sign(t, c.patient, ledgerapi.PutConsent, args)).into(t, &ledgerapi.Receipt{})
	for name, call := range map[string]func() *answer{
		"a clinician puts": func() *answer {
			return c.atReader.post("/v1/consents", c.sign(t, c.reader, ledgerapi.PutConsent, args))
		},
		"a clinician relays a patient": func() *answer {
			return c.atReader.post("/v1/consents", c.sign(t, c.patient, ledgerapi.PutConsent, args))
		},
		"a clinician withdraws": func() *answer {
			return c.atReader.post("/v1/consents/withdraw", c.sign(t, c.reader, ledgerapi.WithdrawConsent, withdraw))
		},
		"a clinician reads": func() *answer { return c.atReader.get("/v1/consents/current") },
		"a clinician lists": func() *answer { return c.atReader.get("/v1/consents") },
		"a clinician previews": func() *answer {
			return c.atReader.post("/v1/consents/preview", api.ConsentPreviewRequest{Document: document})
		},
		"another patient puts": func() *answer { return atOther.post("/v1/consents", c.sign(t, other, ledgerapi.PutConsent, args)) },
		"another patient withdraws": func() *answer {
			return atOther.post("/v1/consents/withdraw", c.sign(t, other, ledgerapi.WithdrawConsent, withdraw))
		},
	} {
		t.Run(name, func(t *testing.T) { call().refused(t, emr.CodeForbidden) })
	}
	atOther.get("/v1/consents/current").refused(t, emr.CodeNotFound)
	atOther.post("/v1/consents", c.sign(t, c.patient, ledgerapi.PutConsent, args)).refused(t, emr.CodeInvalid)
	for _, version := range []string{"0", "01", "-1", "x", "4294967296", "Current"} {
		c.atPatient.get("/v1/consents/"+version).refused(t, emr.CodeInvalid)
	}
	c.atPatient.post("/v1/consents/preview", map[string]any{"patient": c.patient.Handle}).refused(t, emr.CodeInvalid)
}

// TestADelegatePutsAConsentThroughTheOwnSession: the gateway lets the delegate act
// as nobody but the delegate; that the delegate may do it is the ledger's word.
func TestADelegatePutsAConsentThroughTheOwnSession(t *testing.T) {
	t.Parallel()
	c := newCare(t)
	delegate, atDelegate := c.network.patient(t, ledgertest.HospitalB)
	args := ledgerapi.PutConsentArgs{
		Patient: c.patient.Handle, Document: excluding(c.reader.ID), Previewed: ledgerapi.Previewed{People: []emr.ClinicianID{}},
	}
	put := func() *answer {
		return atDelegate.post("/v1/consents", c.sign(t, delegate, ledgerapi.PutConsent, args))
	}
	put().refused(t, emr.CodeForbidden)
	name := ledgerapi.NameDelegateArgs{
		Patient: c.patient.Handle, Delegate: delegate.Handle, Kind: emr.DelegationChosen, Until: c.Now + 60,
	}
	atDelegate.post("/v1/delegates", c.sign(t, delegate, ledgerapi.NameDelegate, name)).refused(t, emr.CodeForbidden)
	c.atReader.get("/v1/delegates").refused(t, emr.CodeForbidden)
	c.atPatient.post("/v1/delegates", c.sign(t, c.patient, ledgerapi.NameDelegate, name)).into(t, &ledgerapi.Receipt{})
	put().into(t, &ledgerapi.Receipt{})
	var current consent.Consent
	c.atPatient.get("/v1/consents/current").into(t, &current)
	require.Equal(t, string(delegate.Handle), current.By)
	atDelegate.post("/v1/consents", c.sign(t, c.patient, ledgerapi.PutConsent, args)).refused(t, emr.CodeInvalid)

	end := ledgerapi.EndDelegationArgs{Patient: c.patient.Handle, Delegate: delegate.Handle}
	c.atPatient.post("/v1/delegates/end", c.sign(t, c.patient, ledgerapi.EndDelegation, end)).into(t, &ledgerapi.Receipt{})
	args.Replaces = 1
	put().refused(t, emr.CodeForbidden)
	var page ledgerapi.DelegationPage
	c.atPatient.get("/v1/delegates").into(t, &page)
	require.Len(t, page.Items, 1)
	require.Equal(t, emr.DelegationEnded, page.Items[0].Status)
}
