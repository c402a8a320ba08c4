// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/chaincode/ledger"
	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// What inspections must hold together with what other rules say.

func TestAnInspectorWhoseCertificateIsRevokedIsShownNoLog(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	auditor := s.auditor(t)
	args := inspecting(emr.LogSubject{Patient: s.patient.Handle})
	require.Equal(t, emr.Permit, s.inspect(t, auditor, args).Decision)
	require.NotEmpty(t, s.readLog(t, ledgertest.Regulator, reading(args)))
	require.NoError(t, s.revoke(t, auditor.Org.Admin, revoking(auditor.Org, auditor.Cert)))
	_, err := ledger.ReadLog(s.Query(auditor.Org), reading(args))
	refuses(t, err, emr.CodeRule, "")
	require.Equal(t, emr.ReasonRevokedCertificate, emr.Public(err).Reason)
}

// After a move that the old home did not endorse the patient's entry stands under
// another key: the old one still names the old home.
func TestThePrivacyOfficersOfAHomeThatAPatientHasLeftReadNoLog(t *testing.T) {
	t.Parallel()
	m := newMover(t)
	s := &scene{Consortium: m.Consortium}
	old, next := s.officer(t, ledgertest.HospitalA), s.officer(t, ledgertest.HospitalB)
	of := emr.LogSubject{Patient: m.patient.Handle}
	require.Equal(t, emr.Permit, s.inspect(t, old, inspecting(of)).Decision)
	m.pass(homeRelease(m.patient.Handle, ledgertest.HospitalA), ledgertest.HospitalB, ledgertest.HospitalC)
	m.Do(t, m.at(ledgertest.HospitalB), ledgerapi.MoveHome, m.to(ledgertest.HospitalB, 1))
	for _, of := range []emr.LogSubject{of, {Actor: string(m.patient.Handle)}} {
		require.Equal(t, emr.ReasonInspectorOrg, s.inspect(t, old, inspecting(of)).Reason)
		require.Equal(t, emr.Permit, s.inspect(t, next, inspecting(of)).Decision)
	}
}
