// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package contract

import (
	"crypto/sha256"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// lifeFunctions are those of the life of keys and people, which a share does not call.
func lifeFunctions() []string {
	return []string{
		ledgerapi.RotatePatientKeys, ledgerapi.RotateClinicianKeys, ledgerapi.GetPatientKeys, ledgerapi.GetClinicianKeys,
		ledgerapi.AuditByClinician, ledgerapi.SuspendClinician, ledgerapi.ReinstateClinician, ledgerapi.OffboardClinician,
		ledgerapi.SetGuardians, ledgerapi.ProposeRecovery, ledgerapi.ApproveRecovery, ledgerapi.VetoRecovery,
		ledgerapi.CompleteRecovery, ledgerapi.GetGuardians, ledgerapi.GetRecovery, ledgerapi.ListRecoveries,
		ledgerapi.MoveHome, ledgerapi.RevokeCertificates, ledgerapi.ListRevocations, ledgerapi.GetContract,
	}
}

// TestTheLifeOfKeysThroughTheAdapter calls every function of it over the stub.
func TestTheLifeOfKeysThroughTheAdapter(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	called := map[string]bool{}
	do := func(actor ledgertest.Member, function string, args any) {
		t.Helper()
		called[function] = true
		r.succeeds(r.signed(actor, function, args))
	}
	ask := func(function string, q, answer any) {
		t.Helper()
		called[function] = true
		r.query(function, q, answer)
	}
	p := r.NewPatient(t, ledgertest.HospitalA)
	do(p, ledgerapi.RegisterPatient, p.Args())
	clinician := r.NewClinician(t, ledgertest.HospitalB, ledgertest.Wish{Role: string(emr.RolePhysician)})
	do(clinician, ledgerapi.RegisterClinician, clinician.Args())

	hybrid := ledgertest.NewHybrid(t).Public().Bytes()
	do(p, ledgerapi.RotatePatientKeys, ledgerapi.RotatePatientKeysArgs{
		Patient: p.Handle, Consent: p.Args().Consent, Hybrid: hybrid,
	})
	var keys emr.PatientKeys
	ask(ledgerapi.GetPatientKeys, ledgerapi.PatientKeysQuery{Patient: p.Handle}, &keys)
	require.Equal(t, p.Hybrid.Public().Bytes(), keys.Hybrid)
	do(clinician, ledgerapi.RotateClinicianKeys, ledgerapi.RotateClinicianKeysArgs{
		Clinician: clinician.ID, Reading: clinician.Reading.Public().Bytes(), Hybrid: hybrid,
	})
	var was emr.Clinician
	ask(ledgerapi.GetClinicianKeys, ledgerapi.ClinicianKeysQuery{Clinician: clinician.ID}, &was)
	require.Equal(t, clinician.Hybrid.Public().Bytes(), was.Hybrid)
	var trail ledgerapi.AuditPage
	ask(ledgerapi.AuditByClinician, ledgerapi.PageQuery{Clinician: clinician.ID}, &trail)
	require.Len(t, trail.Items, 2)

	recoverThrough(t, r, p, clinician, do, ask)
	mover := r.NewPatient(t, ledgertest.HospitalA)
	do(mover, ledgerapi.RegisterPatient, mover.Args())
	mover.Org = r.Orgs[ledgertest.HospitalC]
	do(mover, ledgerapi.MoveHome, ledgerapi.MoveHomeArgs{Patient: mover.Handle, Home: mover.Org.ID})
	about, err := emr.Canonical(ledgerapi.ClinicianStatusArgs{Clinician: clinician.ID})
	require.NoError(t, err)
	for _, function := range []string{
		ledgerapi.SuspendClinician, ledgerapi.ReinstateClinician, ledgerapi.OffboardClinician,
	} {
		called[function] = true
		stub := r.fabric.stub(identity(t, r.Orgs[ledgertest.HospitalA].Admin), r.Now, function, string(about))
		require.Equal(t, emr.CodeForbidden, r.fails(stub).Code)
		r.succeeds(r.fabric.stub(identity(t, clinician.Org.Admin), r.Now, function, string(about)))
	}
	ask(ledgerapi.GetClinicianKeys, ledgerapi.ClinicianKeysQuery{Clinician: clinician.ID, Version: 1}, &was)
	require.Equal(t, emr.ClinicianOffboarded, was.Status)

	revoke, err := emr.Canonical(ledgerapi.RevokeCertificatesArgs{
		Authority: sha256.Sum256(clinician.Org.CA.Certificate.Raw), Ground: emr.RevokedCessation,
		Certificates: []ledgerapi.Certificate{{Serial: clinician.Cert.SerialNumber.Text(16), Digest: sha256.Sum256(clinician.Cert.Raw)}},
	})
	require.NoError(t, err)
	called[ledgerapi.RevokeCertificates] = true
	r.succeeds(r.fabric.stub(identity(t, clinician.Org.Admin), r.Now, ledgerapi.RevokeCertificates, string(revoke)))
	var revoked ledgerapi.RevocationPage
	ask(ledgerapi.ListRevocations, ledgerapi.RevocationQuery{Org: clinician.Org.ID}, &revoked)
	require.Len(t, revoked.Items, 1)
	var version ledgerapi.ContractView
	ask(ledgerapi.GetContract, ledgerapi.Empty{}, &version)
	require.Equal(t, ledgerapi.ContractVersion, version.Version)

	for _, function := range lifeFunctions() {
		require.True(t, called[function], function)
	}
}

// recoverThrough has a patient's keys recovered by a friend and a clinician, once
// vetoed and once completed.
func recoverThrough(
	t *testing.T, r *rig, p *ledgertest.Patient, clinician *ledgertest.Clinician,
	do func(ledgertest.Member, string, any), ask func(string, any, any),
) {
	t.Helper()
	friend := r.NewPatient(t, ledgertest.HospitalC)
	do(friend, ledgerapi.RegisterPatient, friend.Args())
	do(p, ledgerapi.SetGuardians, ledgerapi.SetGuardiansArgs{
		Patient: p.Handle, Guardians: []string{string(clinician.ID), string(friend.Handle)}, Threshold: 2,
	})
	var set emr.GuardianSet
	ask(ledgerapi.GetGuardians, ledgerapi.HandleQuery{Patient: p.Handle}, &set)
	require.Equal(t, clinician.Org.ID, set.Guardians[0].Org)
	next := *p
	next.Consent = ledgertest.NewKey(t)
	propose := func() ledgerapi.RecoveryArgs {
		args := ledgerapi.ProposeRecoveryArgs{
			Recovery: ledgertest.ID[emr.RecoveryID](emr.RecoveryPrefix), Patient: p.Handle, Consent: next.Args().Consent,
			Hybrid: next.Hybrid.Public().Bytes(),
		}
		args.Proof = *r.Sign(t, &next, ledgerapi.ProveKey, ledgerapi.ProveKeyArgs{
			Patient: args.Patient, Recovery: args.Recovery, Consent: args.Consent, Hybrid: args.Hybrid,
		})
		do(friend, ledgerapi.ProposeRecovery, args)
		do(clinician, ledgerapi.ApproveRecovery, ledgerapi.ApproveRecoveryArgs{
			Recovery: args.Recovery, Patient: p.Handle, Claim: args.Proof.Digest(),
		})
		return ledgerapi.RecoveryArgs{Recovery: args.Recovery, Patient: p.Handle}
	}
	do(p, ledgerapi.VetoRecovery, propose())
	last := propose()
	r.Wait(72 * time.Hour)
	do(&next, ledgerapi.CompleteRecovery, last)
	var recovery emr.Recovery
	ask(ledgerapi.GetRecovery, ledgerapi.RecoveryQuery{Recovery: last.Recovery}, &recovery)
	require.Equal(t, emr.RecoveryCompleted, recovery.Status)
	var page ledgerapi.RecoveryPage
	ask(ledgerapi.ListRecoveries, ledgerapi.PageQuery{Patient: p.Handle}, &page)
	require.Len(t, page.Items, 2)
}
