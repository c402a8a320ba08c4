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

// lifeFunctions are those of the life of keys and people, which a share does not call.
func lifeFunctions() []string {
	return []string{
		ledgerapi.RotatePatientKeys, ledgerapi.RotateClinicianKeys, ledgerapi.GetPatientKeys, ledgerapi.GetClinicianKeys,
		ledgerapi.AuditByClinician, ledgerapi.SuspendClinician, ledgerapi.ReinstateClinician, ledgerapi.OffboardClinician,
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

	for _, function := range lifeFunctions() {
		require.True(t, called[function], function)
	}
}
