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

// emergencyThroughTheAdapter runs a session from end to end over the stub.
func emergencyThroughTheAdapter(
	t *testing.T, r *rig, p *ledgertest.Patient, by *ledgertest.Clinician,
	do func(ledgertest.Member, string, any), ask func(string, any, any),
) {
	t.Helper()
	rules, err := emr.Canonical(ledgerapi.SetEmergencyRulesArgs{TwoPerson: true, MaxMinutes: 60, ReviewDays: 2})
	require.NoError(t, err)
	admin := identity(t, r.Orgs[ledgertest.HospitalB].Admin)
	r.succeeds(r.fabric.stub(admin, r.Now, ledgerapi.SetEmergencyRules, string(rules)))
	require.Equal(t, emr.CodeForbidden, r.fails(r.call(ledgerapi.SetEmergencyRules, string(rules))).Code)
	var stored emr.EmergencyRules
	ask(ledgerapi.GetEmergencyRules, ledgerapi.EmergencyRulesQuery{Org: ledgertest.HospitalB}, &stored)
	require.Equal(t, uint32(1), stored.Version)

	second := r.NewClinician(t, ledgertest.HospitalA, ledgertest.Wish{Role: string(emr.RoleNurse)})
	officer := r.NewClinician(t, ledgertest.Regulator, ledgertest.Wish{Role: string(emr.RolePrivacyOfficer)})
	do(second, ledgerapi.RegisterClinician, second.Args())
	do(officer, ledgerapi.RegisterClinician, officer.Args())
	do(p, ledgerapi.SetEmergencyPlan, ledgerapi.SetEmergencyPlanArgs{Patient: p.Handle, Declined: []emr.ScopeID{}})
	presence := emr.Presence{Method: emr.PresenceCard, At: r.Now}
	open := ledgerapi.OpenEmergencyArgs{
		Session: ledgertest.ID[emr.SessionID](emr.SessionPrefix), Patient: p.Handle, Purpose: emr.PurposeBreakGlass,
		Ground: emr.GroundLifeThreat, Text: "found on the floor, no pulse felt", Presence: presence,
	}
	do(by, ledgerapi.OpenEmergency, open)
	do(second, ledgerapi.ConfirmEmergency, ledgerapi.ConfirmEmergencyArgs{Session: open.Session, Presence: presence})
	do(p, ledgerapi.CloseEmergency, ledgerapi.EmergencyArgs{Session: open.Session})
	do(p, ledgerapi.ContestEmergency, ledgerapi.ContestEmergencyArgs{Patient: p.Handle, Session: open.Session, Text: "no"})
	do(officer, ledgerapi.ReviewEmergency,
		ledgerapi.ReviewEmergencyArgs{Session: open.Session, Outcome: emr.ReviewUnjustified, Text: "no"})

	var session emr.Emergency
	ask(ledgerapi.GetEmergency, ledgerapi.EmergencyArgs{Session: open.Session}, &session)
	require.Equal(t, emr.ReviewUnjustified, session.Reviews[0].Outcome)
	var view ledgerapi.EmergencyView
	ask(ledgerapi.GetEmergencyAction, ledgerapi.EmergencyArgs{Session: open.Session}, &view)
	require.Equal(t, session, view.Emergency)
	for _, q := range []ledgerapi.EmergenciesQuery{
		{Patient: p.Handle}, {Clinician: by.ID}, {Org: ledgertest.HospitalA}, {Org: ledgertest.HospitalB},
	} {
		var page ledgerapi.EmergencyPage
		ask(ledgerapi.ListEmergencies, q, &page)
		require.Equal(t, []emr.Emergency{session}, page.Items)
	}
	var head emr.AuditHead
	ask(ledgerapi.GetAuditHead, ledgerapi.HandleQuery{Patient: p.Handle}, &head)
	require.Greater(t, head.Sequence, uint64(5))
	var plan emr.EmergencyPlan
	ask(ledgerapi.GetEmergencyPlan, ledgerapi.HandleQuery{Patient: p.Handle}, &plan)
	require.Equal(t, uint32(1), plan.Version)
	var duty emr.EmergencyDuty
	ask(ledgerapi.GetEmergencyDuty, ledgerapi.ClinicianQuery{Clinician: by.ID}, &duty)
	require.Empty(t, duty.Owed)
}
