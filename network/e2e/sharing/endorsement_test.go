//go:build e2e

// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package sharing

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/hyperledger/fabric-protos-go-apiv2/peer"
	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/network/e2e/testnet"
	"github.com/emrys-health/emrys/pkg/consent"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// The patient's home is hospital A throughout; hospital B carries what the patient signs.
func TestAPatientsValuesNeedTheHomeHospital(t *testing.T) {
	w := newWard(t)
	b, err := net.AsGateway("HospBMSP")
	require.NoError(t, err)
	t.Cleanup(b.Close)
	patient, reader := w.signerOf("patient", w.patient), w.signerOf("reader", w.reader)
	handle := w.patient.Profile().Handle
	put := func(replaces uint32) *emr.SignedAction {
		return patient.sign(patient.action(ledgerapi.PutConsent, ledgerapi.PutConsentArgs{
			Patient: handle, Replaces: replaces, Document: consent.Nothing(), Previewed: ledgerapi.Previewed{People: []emr.ClinicianID{}},
		}))
	}
	current := func() (*consent.Consent, error) {
		var c consent.Consent
		err := b.Query(t.Context(), ledgerapi.GetConsent, ledgerapi.ConsentQuery{Patient: handle}, &c)
		return &c, err
	}
	// B's peers commit the registration in their own time.
	require.Eventually(t, func() bool {
		return b.Query(t.Context(), ledgerapi.GetPatient, ledgerapi.HandleQuery{Patient: handle}, &ledgerapi.PatientView{}) == nil
	}, 20*time.Second, 100*time.Millisecond)

	t.Run("a consent that the home did not endorse is invalid", func(t *testing.T) {
		for _, orgs := range [][]string{{"HospBMSP", "HospCMSP"}, {"HospBMSP", "HospCMSP", "RegulatorMSP"}} {
			code, err := b.SubmitEndorsed(t.Context(), ledgerapi.PutConsent, put(0), orgs...)
			require.NoError(t, err)
			require.Equal(t, peer.TxValidationCode_ENDORSEMENT_POLICY_FAILURE, code, "%v", orgs)
		}
		_, err := current()
		require.Equal(t, emr.CodeNotFound, emr.CodeOf(err), "%v", err)
	})
	t.Run("nor is one of the home without a majority", func(t *testing.T) {
		code, err := b.SubmitEndorsed(t.Context(), ledgerapi.PutConsent, put(0), "HospAMSP", "HospBMSP")
		require.NoError(t, err)
		require.Equal(t, peer.TxValidationCode_ENDORSEMENT_POLICY_FAILURE, code)
	})
	t.Run("the home and two others are enough", func(t *testing.T) {
		code, err := b.SubmitEndorsed(t.Context(), ledgerapi.PutConsent, put(0), "HospAMSP", "HospBMSP", "RegulatorMSP")
		require.NoError(t, err)
		require.Equal(t, peer.TxValidationCode_VALID, code)
	})
	t.Run("a peer that is left to choose finds the home", func(t *testing.T) {
		require.NoError(t, b.SubmitAction(t.Context(), ledgerapi.PutConsent, put(1)))
		c, err := current()
		require.NoError(t, err)
		require.EqualValues(t, 2, c.Version)
	})
	t.Run("the gateway program finds it, too", func(t *testing.T) {
		require.Eventually(t, func() bool { // A's peers know the last version in their own time
			preview, err := w.patient.PreviewConsent(t.Context(), consent.Nothing())
			if err != nil || preview.Replaces != 2 {
				return false
			}
			_, err = w.patient.PutConsent(t.Context(), consent.Nothing(), preview)
			return err == nil
		}, 20*time.Second, 100*time.Millisecond)
	})

	ruling := w.ruleNeedsTheHome(b, patient)

	t.Cleanup(func() { settle(t) })
	stop(t, "peer0.hospa", "peer1.hospa")
	t.Run("with the home down the rule about wide grants is not loosened", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		require.Error(t, b.SubmitAction(ctx, ledgerapi.SetGrantRule, ruling.set(3, emr.GrantBounds{})))
		require.EqualValues(t, 3, ruling.now(t).Version)
	})
	t.Run("with the home down an emergency opens", func(t *testing.T) {
		eventually(t, func() error {
			return b.SubmitAction(t.Context(), ledgerapi.OpenEmergency, reader.sign(reader.action(ledgerapi.OpenEmergency, ledgerapi.OpenEmergencyArgs{
				Session: fresh[emr.SessionID](t, emr.SessionPrefix), Patient: handle, Purpose: emr.PurposeEmergency,
				Ground: emr.GroundUnconscious, Text: "found unconscious at the station, no companion",
				Presence: emr.Presence{Method: emr.PresencePasskey, At: emr.TimeOf(time.Now()) - 10},
			})))
		})
	})
	t.Run("with the home down a consent is not put", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		require.Error(t, b.SubmitAction(ctx, ledgerapi.PutConsent, put(3)))
		c, err := current()
		require.NoError(t, err)
		require.EqualValues(t, 3, c.Version)
	})
	t.Run("with the home down a consent is withdrawn", func(t *testing.T) {
		eventually(t, func() error {
			return b.SubmitAction(t.Context(), ledgerapi.WithdrawConsent,
				patient.sign(patient.action(ledgerapi.WithdrawConsent, ledgerapi.WithdrawConsentArgs{Patient: handle})))
		})
		c, err := current()
		require.NoError(t, err)
		require.Equal(t, consent.Withdrawn, c.Status)
	})
	t.Run("the members release the patient, who moves and consents again", func(t *testing.T) {
		var made struct {
			Proposal emr.ProposalID `json:"proposal"`
		}
		out, err := net.Control(t.Context(), "governance", "propose", "--org", "HospB", "--release-patient", string(handle), "--from", "HospAMSP", "--json")
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(out, &made))
		_, err = net.Control(t.Context(), "governance", "vote", string(made.Proposal), "--org", "HospC", "--accept")
		require.NoError(t, err)
		eventually(t, func() error {
			return b.SubmitAction(t.Context(), ledgerapi.MoveHome, patient.sign(patient.action(ledgerapi.MoveHome, ledgerapi.MoveHomeArgs{
				Patient: handle, Home: "HospBMSP", Generation: 1,
			})))
		})
		eventually(t, func() error { return b.SubmitAction(t.Context(), ledgerapi.PutConsent, put(4)) })
		c, err := current()
		require.NoError(t, err)
		require.Equal(t, consent.Active, c.Status)
		require.EqualValues(t, 5, c.Version)
		eventually(t, func() error {
			return b.SubmitAction(t.Context(), ledgerapi.SetGrantRule, ruling.set(3, emr.GrantBounds{Scope: true, Days: 7}))
		})
		require.EqualValues(t, 4, ruling.now(t).Version, "the rule has moved along")
	})
}

// ruling is a patient who rules about wide grants, with a second key to confirm them.
type ruling struct {
	by     *testnet.Member
	person *stranger
	second *device
}

func (r *ruling) handle() emr.Handle { return r.person.profile.Handle }

func (r *ruling) set(version uint32, bounds emr.GrantBounds) *emr.SignedAction {
	args := ledgerapi.SetGrantRuleArgs{
		Patient: r.handle(), Version: version, Terms: emr.GrantRuleTerms{Bounds: bounds, Confirmers: []string{}},
	}
	if bounds != (emr.GrantBounds{}) {
		second := r.second.pinned()
		args.Terms.Second = &second
		if version == 0 {
			args.Proof = r.second.sign(r.person.t, r.person.action(ledgerapi.ProveSecondKey,
				ledgerapi.ProveSecondKeyArgs{Patient: r.handle(), Version: version, Second: second}))
		} else {
			args.Terms.WaitHours = ledgerapi.DefaultConfirmHours
		}
	}
	return r.person.sign(r.person.action(ledgerapi.SetGrantRule, args))
}

func (r *ruling) now(t *testing.T) *emr.GrantRule {
	t.Helper()
	var rule emr.GrantRule
	require.NoError(t, r.by.Query(t.Context(), ledgerapi.GetGrantRule, ledgerapi.HandleQuery{Patient: r.handle()}, &rule))
	return &rule
}

// ruleNeedsTheHome shows that neither the first rule about wide grants, nor a looser
// one that waits, comes to stand without the home hospital. It leaves version 3, in
// which nothing waits.
func (w *ward) ruleNeedsTheHome(b *testnet.Member, patient *stranger) *ruling {
	w.t.Helper()
	r := &ruling{by: b, person: patient, second: newDevice(w.t)}
	scope, none := emr.GrantBounds{Scope: true}, emr.GrantBounds{}
	without := func(t *testing.T, signed *emr.SignedAction) {
		t.Helper()
		before := r.now(t)
		code, err := b.SubmitEndorsed(t.Context(), ledgerapi.SetGrantRule, signed, "HospBMSP", "HospCMSP", "RegulatorMSP")
		require.NoError(t, err)
		require.Equal(t, peer.TxValidationCode_ENDORSEMENT_POLICY_FAILURE, code)
		require.Equal(t, before, r.now(t))
	}
	w.t.Run("a first rule about wide grants that the home did not endorse is invalid", func(t *testing.T) {
		require.Zero(t, r.now(t).Version)
		without(t, r.set(0, scope))
		code, err := b.SubmitEndorsed(t.Context(), ledgerapi.SetGrantRule, r.set(0, scope), "HospAMSP", "HospBMSP", "RegulatorMSP")
		require.NoError(t, err)
		require.Equal(t, peer.TxValidationCode_VALID, code)
		require.EqualValues(t, 1, r.now(t).Version)
	})
	w.t.Run("nor does a looser one wait that the home did not endorse", func(t *testing.T) {
		without(t, r.set(1, none))
		require.NoError(t, b.SubmitAction(t.Context(), ledgerapi.SetGrantRule, r.set(1, none)), "a peer that is left to choose finds the home")
		require.NotNil(t, r.now(t).Next)
	})
	w.t.Run("nor is one dropped, or the rule tightened", func(t *testing.T) {
		without(t, r.set(2, emr.GrantBounds{Scope: true, Days: 7}))
		require.NoError(t, b.SubmitAction(t.Context(), ledgerapi.SetGrantRule, r.set(2, scope)))
		require.Nil(t, r.now(t).Next)
		require.EqualValues(t, 3, r.now(t).Version)
	})
	return r
}

// eventually repeats what the peers may not be ready for: others lag behind by a
// block, and those that are down are still among the known ones.
func eventually(t *testing.T, submit func() error) {
	t.Helper()
	var err error
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		if err = submit(); err == nil || emr.CodeOf(err) == emr.CodeExists {
			return
		}
	}
	require.NoError(t, err)
}
