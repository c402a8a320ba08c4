// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package contract

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/consent"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// shareConsent calls everything about standing consent through the adapter.
func shareConsent(
	t *testing.T, p, delegate *ledgertest.Patient, reader *ledgertest.Clinician,
	do func(ledgertest.Member, string, any), ask func(string, any, any),
) {
	t.Helper()
	document := consent.Normal(consent.Document{
		Base: emr.Ask, Provisions: []consent.Provision{{Effect: emr.Deny, People: []emr.ClinicianID{reader.ID}}},
	})
	var preview ledgerapi.ConsentPreview
	ask(ledgerapi.PreviewConsent, ledgerapi.PreviewConsentQuery{Patient: p.Handle, Document: document}, &preview)
	require.True(t, preview.Complete)
	require.Contains(t, preview.Previewed.People, reader.ID)
	require.NotEmpty(t, preview.Changes)
	do(p, ledgerapi.PutConsent, ledgerapi.PutConsentArgs{
		Patient: p.Handle, Replaces: preview.Replaces, Document: document, Previewed: preview.Previewed,
	})
	var current consent.Consent
	ask(ledgerapi.GetConsent, ledgerapi.ConsentQuery{Patient: p.Handle}, &current)
	require.Equal(t, document, current.Document)
	do(p, ledgerapi.WithdrawConsent, ledgerapi.WithdrawConsentArgs{Patient: p.Handle})
	var versions ledgerapi.ConsentPage
	ask(ledgerapi.ListConsents, ledgerapi.PageQuery{Patient: p.Handle}, &versions)
	require.Len(t, versions.Items, 2)
	require.Equal(t, consent.Withdrawn, versions.Items[0].Status)
	do(delegate, ledgerapi.RegisterPatient, delegate.Args())
	do(p, ledgerapi.NameDelegate, ledgerapi.NameDelegateArgs{
		Patient: p.Handle, Delegate: delegate.Handle, Kind: emr.DelegationChosen, Until: current.At + 60,
	})
	do(delegate, ledgerapi.EndDelegation, ledgerapi.EndDelegationArgs{Patient: p.Handle, Delegate: delegate.Handle})
	var delegations ledgerapi.DelegationPage
	ask(ledgerapi.ListDelegations, ledgerapi.PageQuery{Patient: p.Handle}, &delegations)
	require.Equal(t, emr.DelegationEnded, delegations.Items[0].Status)
}
