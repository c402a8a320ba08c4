//go:build e2e

// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package sharing

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	fabric "github.com/hyperledger/fabric-gateway/pkg/client"
	"github.com/hyperledger/fabric-protos-go-apiv2/peer"
	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// TestASingleOrganisationsEndorsementIsInvalid has one hospital's peers alone endorse what a patient and a clinician have signed: the orderers take it,
// and every peer finds it invalid. The same actions, endorsed by a majority, are valid.
func TestASingleOrganisationsEndorsementIsInvalid(t *testing.T) {
	w := newWard(t)
	stored := w.put(strings.NewReader("x"))
	patient, reader := w.signerOf("patient", w.patient), w.signerOf("reader", w.reader)
	own, err := net.AsGateway("HospBMSP")
	require.NoError(t, err)
	t.Cleanup(own.Close)
	request := ledgerapi.RequestAccessArgs{
		Request: fresh[emr.RequestID](t, emr.RequestPrefix), Record: stored.Record, Purpose: emr.PurposeTreatment,
	}
	actions := map[string]*emr.SignedAction{
		ledgerapi.RequestAccess:   reader.sign(reader.action(ledgerapi.RequestAccess, request)),
		ledgerapi.WithdrawConsent: patient.sign(patient.action(ledgerapi.WithdrawConsent, ledgerapi.WithdrawConsentArgs{Patient: w.patient.Profile().Handle})),
	}
	for function, signed := range actions {
		raw, err := emr.Canonical(signed)
		require.NoError(t, err)
		submit := func(endorsers ...string) error {
			_, err := own.Contract(ledgerapi.ChaincodeName).SubmitWithContext(t.Context(), function,
				fabric.WithTransient(map[string][]byte{ledgerapi.TransientAction: raw}), fabric.WithEndorsingOrganizations(endorsers...))
			return err
		}
		for _, few := range [][]string{{"HospBMSP"}, {"HospBMSP", "HospAMSP"}} { // one, and a half of four
			var invalid *fabric.CommitError
			err := submit(few...)
			require.True(t, errors.As(err, &invalid), "%s by %v: %v", function, few, err)
			require.Equal(t, peer.TxValidationCode_ENDORSEMENT_POLICY_FAILURE, invalid.Code)
			var view ledgerapi.ActionView
			require.NoError(t, own.Query(t.Context(), ledgerapi.GetAction, ledgerapi.ActionQuery{Action: signed.Digest()}, &view))
			require.False(t, view.Committed, "%s by %v left something", function, few)
		}
		require.NoError(t, submit("HospAMSP", "HospBMSP", "HospCMSP"), function)
	}
}

// TestWipingAGatewayChangesNoDecision removes everything that the gateways of reader and patient keep for themselves but their keys and
// configuration: what was permitted stays permitted, what was revoked stays denied, and the patient's trail is whole.
func TestWipingAGatewayChangesNoDecision(t *testing.T) {
	w := newWard(t)
	stored := w.put(strings.NewReader("x"))
	live, revoked := w.grant(time.Hour, stored.Record), w.grant(time.Hour, stored.Record)
	_, err := w.patient.Revoke(t.Context(), revoked)
	require.NoError(t, err)
	decided := func() {
		t.Helper()
		_, _, _, err := w.read(w.reader, stored.Record, live)
		require.NoError(t, err)
		_, _, _, err = w.read(w.reader, stored.Record, revoked)
		requireRefused(t, err, emr.CodeRule, emr.ReasonRevoked)
		_, _, _, err = w.read(w.outsider, stored.Record, live)
		requireRefused(t, err, emr.CodeRule, emr.ReasonNotGrantee)
	}
	decided()
	before := w.trailLength(t)
	for _, name := range []string{"hospa", "hospb"} {
		_, err := net.Control(t.Context(), "stop", "gateway."+name)
		require.NoError(t, err)
		org, found := net.Topology.Organisation(name)
		require.True(t, found)
		wipe(t, net.Network.Site().GatewayDir(org))
		_, err = net.Control(t.Context(), "start", "gateway."+name)
		require.NoError(t, err)
	}
	settle(t)
	decided()
	require.Eventually(t, func() bool { return w.trailLength(t) == before+3 }, 20*time.Second, 100*time.Millisecond, "the three decisions more, and none less")
}

func (w *ward) trailLength(t *testing.T) int {
	t.Helper()
	member, err := net.AsGateway("HospAMSP")
	require.NoError(t, err)
	defer member.Close()
	return len(pages(t, member, ledgerapi.PageQuery{Patient: w.patient.Profile().Handle, Limit: ledgerapi.MaxPageSize}))
}

// wipe removes everything in a gateway's folder but its keys, certificates and configuration.
func wipe(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	removed := 0
	for _, entry := range entries {
		switch name := entry.Name(); {
		case name == "msp", name == "tls", name == "gateway-keys.json", name == "ipfs-authorization", strings.HasSuffix(name, ".yaml"):
		default:
			require.NoError(t, os.RemoveAll(filepath.Join(dir, name)))
			removed++
		}
	}
	require.NotZero(t, removed, "the gateway keeps something")
}
