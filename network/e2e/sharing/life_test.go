//go:build e2e

// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package sharing

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/network/e2e/testnet"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
	"github.com/emrys-health/emrys/pkg/pre"
)

// device is a new device of a patient: keys that are pinned nowhere yet.
type device struct {
	consent *pre.PrivateKey
	hybrid  []byte
}

func newDevice(t *testing.T) *device {
	t.Helper()
	consent, err := pre.GeneratePrivateKey(nil)
	require.NoError(t, err)
	hybrid, err := pre.GenerateHybridKey()
	require.NoError(t, err)
	return &device{consent: consent, hybrid: hybrid.Public().Bytes()}
}

func (d *device) pinned() emr.PinnedKey {
	return emr.PinnedKey{Kind: emr.SignatureP256, Key: d.consent.Public().Bytes()}
}

// sign signs an action of somebody by the device's key.
func (d *device) sign(t *testing.T, a emr.Action) *emr.SignedAction {
	t.Helper()
	body, err := emr.Canonical(&a)
	require.NoError(t, err)
	digest := emr.ActionDigest(body)
	signature, err := pre.SignP256(nil, d.consent.Signer(), digest[:])
	require.NoError(t, err)
	return &emr.SignedAction{Kind: emr.SignatureP256, Body: body, Signature: signature}
}

// carrier submits actions of persons through the gateways' identities.
type carrier struct {
	t    *testing.T
	orgs map[string]*testnet.Member
}

func newCarrier(t *testing.T) *carrier {
	t.Helper()
	c := &carrier{t: t, orgs: map[string]*testnet.Member{}}
	for _, org := range []string{"HospAMSP", "HospBMSP"} {
		member, err := net.AsGateway(org)
		require.NoError(t, err)
		t.Cleanup(member.Close)
		c.orgs[org] = member
	}
	return c
}

func (c *carrier) submit(org, function string, signed *emr.SignedAction) error {
	return c.orgs[org].SubmitAction(c.t.Context(), function, signed)
}

// eventually submits what another organisation's peer may not know enough for yet.
func (c *carrier) eventually(org, function string, signed *emr.SignedAction) {
	c.t.Helper()
	var err error
	require.Eventually(c.t, func() bool {
		err = c.submit(org, function, signed)
		return err == nil || emr.CodeOf(err) == emr.CodeExists
	}, 20*time.Second, 200*time.Millisecond, "%s", function)
}

// TestKeysAreReplacedAndRecoveredOnARealLedger takes a patient's keys as far as
// real time allows: a rotation, and a recovery up to its wait and its veto.
func TestKeysAreReplacedAndRecoveredOnARealLedger(t *testing.T) {
	w := newWard(t)
	c := newCarrier(t)
	patient, author, reader := w.signerOf("patient", w.patient), w.signerOf("author", w.author), w.signerOf("reader", w.reader)
	handle := w.patient.Profile().Handle

	current := newDevice(t)
	rotate := ledgerapi.RotatePatientKeysArgs{Patient: handle, Consent: current.pinned(), Hybrid: current.hybrid}
	rotate.Proof = current.sign(t, patient.action(ledgerapi.ProveKey, ledgerapi.ProveKeyArgs{
		Patient: handle, Consent: rotate.Consent, Hybrid: rotate.Hybrid,
	}))
	require.NoError(t, c.submit("HospBMSP", ledgerapi.RotatePatientKeys, patient.sign(patient.action(ledgerapi.RotatePatientKeys, rotate))))
	var old emr.PatientKeys
	require.Eventually(t, func() bool {
		return c.orgs["HospAMSP"].Query(t.Context(), ledgerapi.GetPatientKeys, ledgerapi.PatientKeysQuery{Patient: handle}, &old) == nil && !old.Until.IsZero()
	}, 20*time.Second, 200*time.Millisecond)
	require.Equal(t, patient.keys.Consent().Pinned(), old.Consent.Key)

	guardians := []string{w.author.Profile().ID, w.reader.Profile().ID}
	slices.SortFunc(guardians, strings.Compare)
	set := ledgerapi.SetGuardiansArgs{Patient: handle, Guardians: guardians, Threshold: 2}
	requireRefused(t, c.submit("HospAMSP", ledgerapi.SetGuardians, patient.sign(patient.action(ledgerapi.SetGuardians, set))), emr.CodeUnauthenticated, "")
	c.eventually("HospAMSP", ledgerapi.SetGuardians, current.sign(t, patient.action(ledgerapi.SetGuardians, set)))

	next := newDevice(t)
	propose := ledgerapi.ProposeRecoveryArgs{
		Recovery: fresh[emr.RecoveryID](t, emr.RecoveryPrefix), Patient: handle, Consent: next.pinned(), Hybrid: next.hybrid,
	}
	propose.Proof = *next.sign(t, patient.action(ledgerapi.ProveKey, ledgerapi.ProveKeyArgs{
		Patient: handle, Recovery: propose.Recovery, Consent: propose.Consent, Hybrid: propose.Hybrid,
	}))
	c.eventually("HospAMSP", ledgerapi.ProposeRecovery, author.sign(author.action(ledgerapi.ProposeRecovery, propose)))
	c.eventually("HospBMSP", ledgerapi.ApproveRecovery, reader.sign(reader.action(ledgerapi.ApproveRecovery, ledgerapi.ApproveRecoveryArgs{
		Recovery: propose.Recovery, Patient: handle, Claim: propose.Proof.Digest(),
	})))
	which := ledgerapi.RecoveryArgs{Recovery: propose.Recovery, Patient: handle}
	requireRefused(t, c.submit("HospBMSP", ledgerapi.CompleteRecovery, next.sign(t, patient.action(ledgerapi.CompleteRecovery, which))),
		emr.CodeRule, emr.ReasonWaiting)
	c.eventually("HospBMSP", ledgerapi.VetoRecovery, current.sign(t, patient.action(ledgerapi.VetoRecovery, which)))
	var recovery emr.Recovery
	require.NoError(t, c.orgs["HospBMSP"].Query(t.Context(), ledgerapi.GetRecovery, ledgerapi.RecoveryQuery{Recovery: propose.Recovery}, &recovery))
	require.Equal(t, emr.RecoveryVetoed, recovery.Status)
}

// TestAHospitalStopsItsOwnProfessionalOnARealLedger suspends a reader by the
// hospital's administrator, as the channel's MSP knows one, and by nobody else.
func TestAHospitalStopsItsOwnProfessionalOnARealLedger(t *testing.T) {
	w := newWard(t)
	stored := w.put(strings.NewReader("x"))
	grant := w.grant(time.Hour, stored.Record)
	_, _, _, err := w.read(w.reader, stored.Record, grant)
	require.NoError(t, err)
	about := ledgerapi.ClinicianStatusArgs{Clinician: w.readerID}
	own, err := net.AsAdmin("HospBMSP")
	require.NoError(t, err)
	t.Cleanup(own.Close)
	other, err := net.AsAdmin("HospAMSP")
	require.NoError(t, err)
	t.Cleanup(other.Close)
	gateway, err := net.AsGateway("HospBMSP")
	require.NoError(t, err)
	t.Cleanup(gateway.Close)
	for _, stranger := range []*testnet.Member{other, gateway} {
		requireRefused(t, stranger.Order(t.Context(), ledgerapi.SuspendClinician, about), emr.CodeForbidden, "")
	}
	require.NoError(t, own.Order(t.Context(), ledgerapi.SuspendClinician, about))
	require.Eventually(t, func() bool {
		_, _, _, err = w.read(w.reader, stored.Record, grant)
		return err != nil
	}, 20*time.Second, 200*time.Millisecond)
	requireRefused(t, err, emr.CodeRule, emr.ReasonSuspended)
	require.NoError(t, own.Order(t.Context(), ledgerapi.ReinstateClinician, about))
	require.Eventually(t, func() bool {
		_, _, _, err = w.read(w.reader, stored.Record, grant)
		return err == nil
	}, 20*time.Second, 200*time.Millisecond)
}
