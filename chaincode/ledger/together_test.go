// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/chaincode/ledger"
	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// What one rule says must hold in the others, too.

func TestASuspendedClinicianHasNoPartInAnEmergency(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	open := s.broken(t)
	s.order(t, ledger.SuspendClinician, s.reader)
	require.Equal(t, emr.ReasonSuspended, s.decides(t, s.reader, ledgerapi.OpenEmergency, s.glass()).Reason)
	require.Equal(t, emr.ReasonSuspended, s.disclose(t, s.reader, s.under(open)).Reason)
	batch := s.batch(t, s.part(t, s.reader, s.under(open)))
	require.Equal(t, emr.ReasonSuspended, batch.Outcomes[0].Receipt.Reason)

	s = newScene(t)
	waiting := s.waiting(t)
	second := s.Clinician(t, ledgertest.HospitalC, emr.RolePhysician, emr.LevelPrivate)
	s.order(t, ledger.SuspendClinician, second)
	confirmation := s.decides(t, second, ledgerapi.ConfirmEmergency, ledgerapi.ConfirmEmergencyArgs{Session: waiting, Presence: s.present()})
	require.Equal(t, emr.ReasonSuspended, confirmation.Reason)

	s = newScene(t)
	ended := s.broken(t)
	s.Wait(5 * time.Hour)
	officer := s.officer(t, ledgertest.HospitalA)
	s.order(t, ledger.OffboardClinician, officer)
	review := s.decides(t, officer, ledgerapi.ReviewEmergency,
		ledgerapi.ReviewEmergencyArgs{Session: ended, Outcome: emr.ReviewJustified, Text: "looked at the chart and spoke to the ward"})
	require.Equal(t, emr.ReasonOffboarded, review.Reason)
}

func TestAWithdrawnConsentEndsGrantsAndNotEmergencies(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	grant := s.give(t)
	s.Do(t, s.patient, ledgerapi.PutConsent, s.consentArgs(t, document(emr.Permit)))
	require.Equal(t, emr.Permit, s.disclose(t, s.reader, s.read(grant.Terms.Grant)).Decision)
	s.withdraw(t)
	require.Equal(t, emr.ReasonConsentWithdrawn, s.disclose(t, s.reader, s.read(grant.Terms.Grant)).Reason)
	session := s.broken(t)
	require.Equal(t, emr.Permit, s.disclose(t, s.reader, s.under(session)).Decision, "an emergency is declined in the plan")
	s.Do(t, s.patient, ledgerapi.SetEmergencyPlan, ledgerapi.SetEmergencyPlanArgs{Patient: s.patient.Handle, Declined: []emr.ScopeID{}, DeclineAll: true})
	require.Equal(t, emr.ReasonDeclined, s.disclose(t, s.reader, s.under(session)).Reason)
}

func TestADelegateTouchesNeitherKeysNorGuardiansNorTheEmergencyPlan(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	friend := s.Patient(t, ledgertest.HospitalB)
	s.Do(t, s.patient, ledgerapi.NameDelegate, ledgerapi.NameDelegateArgs{
		Patient: s.patient.Handle, Delegate: friend.Handle, Kind: emr.DelegationChosen, Until: s.Now.Add(time.Hour),
	})
	mine := s.patient.Handle
	for function, args := range map[string]any{
		ledgerapi.RotatePatientKeys: ledgerapi.RotatePatientKeysArgs{
			Patient: mine, Consent: s.patient.Args().Consent, Hybrid: s.patient.Args().Hybrid,
		},
		ledgerapi.SetGuardians:     ledgerapi.SetGuardiansArgs{Patient: mine},
		ledgerapi.SetEmergencyPlan: ledgerapi.SetEmergencyPlanArgs{Patient: mine, Declined: []emr.ScopeID{}, DeclineAll: true},
		ledgerapi.PublishScopes: ledgerapi.PublishScopesArgs{
			Patient: mine, Scopes: []ledgerapi.NewScope{ledgertest.NewScope(t, emr.LevelPrivate)},
		},
		ledgerapi.NameDelegate: ledgerapi.NameDelegateArgs{
			Patient: mine, Delegate: friend.Handle, Kind: emr.DelegationChosen, Until: s.Now.Add(2 * time.Hour),
		},
	} {
		before := s.Dump()
		_, err := s.Try(t, friend, function, args)
		require.Contains(t, []emr.Code{emr.CodeForbidden, emr.CodeInvalid}, emr.CodeOf(err), "%s: %v", function, err)
		require.Equal(t, before, s.Dump())
	}
}

func TestThePeopleOfARemovedOrganisationHaveNoPartInAnEmergency(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	session := s.broken(t)
	read := s.under(session)
	require.Equal(t, emr.Permit, s.disclose(t, s.reader, read).Decision)
	open := s.open(t, s.reader, read.Disclosure)
	require.Equal(t, emr.Permit, s.check(t, ledgertest.Regulator, open).Decision)
	a := &assembly{s.Consortium, t}
	a.pass(removal(s.reader.Org.ID), ledgertest.HospitalA, ledgertest.HospitalC)
	require.Equal(t, emr.ReasonOrganisation, s.check(t, ledgertest.Regulator, open).Reason)
	_, err := s.Try(t, s.reader, ledgerapi.OpenEmergency, s.glass())
	refuses(t, err, emr.CodeForbidden, "removed")
}

func TestNobodyStopsWhatTakesBack(t *testing.T) {
	t.Parallel()
	a := newAssembly(t)
	for _, function := range []string{
		ledgerapi.RevokeAccess, ledgerapi.WithdrawConsent, ledgerapi.VetoRecovery, ledgerapi.EndDelegation, ledgerapi.SetEmergencyPlan,
	} {
		_, err := a.propose(ledgertest.HospitalA, emr.Subject{Kind: emr.ProposeStop, Function: function})
		refuses(t, err, emr.CodeRule, "nobody may stop")
	}
}
