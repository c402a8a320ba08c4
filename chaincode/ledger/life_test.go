// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// live runs every transaction of the life of keys and people once.
func live(t testing.TB, check func(*ledgertest.Tx, string, []byte, any, error)) *scene {
	t.Helper()
	s := newScene(t)
	s.Check = check
	next := rekeyed(t, s.patient)
	s.Do(t, s.patient, ledgerapi.RotatePatientKeys, rotation(t, s.Consortium, next, 0))
	s.patient = next
	s.Do(t, s.reader, ledgerapi.RotateClinicianKeys, ledgerapi.RotateClinicianKeysArgs{
		Clinician: s.reader.ID, Reading: ledgertest.NewKey(t).Public().Bytes(), Hybrid: s.reader.Hybrid.Public().Bytes(),
	})
	w := &ward{scene: s, friend: s.Patient(t, ledgertest.HospitalA)}
	w.all = []ledgertest.Member{w.friend, w.author, w.reader}
	s.Do(t, s.patient, ledgerapi.SetGuardians, w.guardians(0, 2, w.all...))
	w.next = rekeyed(t, s.patient)
	s.Do(t, s.patient, ledgerapi.VetoRecovery, named(w.waiting(t)))
	p := w.waiting(t)
	s.Wait(3 * day)
	s.Do(t, w.next, ledgerapi.CompleteRecovery, named(p))
	w.next.Org = s.Orgs[ledgertest.HospitalC]
	s.Do(t, w.next, ledgerapi.MoveHome, ledgerapi.MoveHomeArgs{Patient: s.patient.Handle, Home: w.next.Org.ID})
	return s
}

func TestTheEventsOfALifeNameNoPatient(t *testing.T) {
	t.Parallel()
	s := live(t, nil)
	for _, e := range s.Events {
		require.NotContains(t, string(e.Payload), emr.PatientPrefix)
		require.NotContains(t, string(e.Payload), emr.HandlePrefix, e.Name)
	}
}
