// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package gateway_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/chaincode/ledger"
	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
	"github.com/emrys-health/emrys/pkg/trail"
)

// twoPersons makes an organisation ask for a second person.
func (n *network) twoPersons(t *testing.T, org emr.OrgID) {
	t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	tx := n.Begin(n.Facts(n.Orgs[org].Admin))
	_, err := ledger.SetEmergencyRules(tx, ledgerapi.SetEmergencyRulesArgs{TwoPerson: true, MaxMinutes: 60, ReviewDays: 7})
	require.NoError(t, err)
	require.NoError(t, tx.Commit())
}

func (n *network) presence() emr.Presence {
	return emr.Presence{Method: emr.PresencePasskey, At: emr.TimeOf(n.now())}
}

func (c *care) breakGlass(t *testing.T) (emr.SessionID, ledgerapi.DecisionReceipt) {
	t.Helper()
	args := ledgerapi.OpenEmergencyArgs{
		Session: ledgertest.ID[emr.SessionID](emr.SessionPrefix), Patient: c.patient.Handle, Purpose: emr.PurposeEmergency,
		Ground: emr.GroundUnconscious, Text: "brought in unconscious after a collision", Presence: c.presence(),
	}
	var receipt ledgerapi.DecisionReceipt
	c.atReader.post("/v1/emergencies", c.sign(t, c.reader, ledgerapi.OpenEmergency, args)).into(t, &receipt)
	return args.Session, receipt
}

func TestAnEmergencyPassesThroughTheGateways(t *testing.T) {
	t.Parallel()
	c := newCare(t)
	c.put(t)
	c.twoPersons(t, ledgertest.HospitalB)
	second, atSecond := c.doctor(t, ledgertest.HospitalC, emr.RolePhysician)
	officer, atOfficer := c.doctor(t, ledgertest.HospitalA, emr.RolePrivacyOfficer)
	_, atStranger := c.doctor(t, ledgertest.HospitalB, emr.RolePhysician)
	_, atUninvolved := c.doctor(t, ledgertest.HospitalC, emr.RolePrivacyOfficer)
	regulators, atRegulator := c.doctor(t, ledgertest.Regulator, emr.RolePrivacyOfficer)
	_, atOther := c.network.patient(t, ledgertest.HospitalA)

	id, receipt := c.breakGlass(t)
	require.Equal(t, emr.Ask, receipt.Decision)
	path := "/v1/emergencies/" + string(id)
	var view ledgerapi.EmergencyView
	atSecond.get(path).into(t, &view) // who may confirm sees what there is to confirm
	action, err := view.Signed.Parse()
	require.NoError(t, err)
	require.Contains(t, string(action.Args), "collision")
	atStranger.get(path).refused(t, emr.CodeNotFound)
	atSecond.post("/v1/emergencies/confirm", c.sign(t, second, ledgerapi.ConfirmEmergency,
		ledgerapi.ConfirmEmergencyArgs{Session: id, Presence: c.presence()})).into(t, &receipt)
	require.Equal(t, emr.Permit, receipt.Decision)

	c.atReader.post("/v1/disclosures", c.sign(t, c.reader, ledgerapi.Disclose, ledgerapi.DiscloseArgs{
		Disclosure: ledgertest.ID[emr.DisclosureID](emr.DisclosurePrefix), Record: c.manifest.Record, Session: id,
		Purpose: emr.PurposeEmergency,
	})).into(t, &receipt)
	require.Equal(t, emr.ReasonEmergency, receipt.Reason)
	// The ticket holds, but nobody keeps emergency fragments yet: that is said, and
	// not answered with nothing as for a patient's own reading.
	c.open(t, receipt.ID).refused(t, emr.CodeUnsupported)
	c.atReader.get("/v1/disclosures/"+receipt.ID+"/content").refused(t, emr.CodeUnsupported)

	c.atPatient.post("/v1/emergencies/close", c.sign(t, c.patient, ledgerapi.CloseEmergency,
		ledgerapi.EmergencyArgs{Session: id})).into(t, &ledgerapi.Receipt{})
	c.atPatient.post("/v1/emergencies/contest", c.sign(t, c.patient, ledgerapi.ContestEmergency,
		ledgerapi.ContestEmergencyArgs{Patient: c.patient.Handle, Session: id, Text: "I was awake"})).into(t, &ledgerapi.Receipt{})
	review := func(by *ledgertest.Clinician, at *session, outcome emr.ReviewOutcome) {
		at.post("/v1/emergencies/review", c.sign(t, by, ledgerapi.ReviewEmergency,
			ledgerapi.ReviewEmergencyArgs{Session: id, Outcome: outcome})).into(t, &receipt)
		require.Equal(t, emr.Permit, receipt.Decision, receipt.Reason)
	}
	review(officer, atOfficer, emr.ReviewEscalated)
	review(regulators, atRegulator, emr.ReviewUnjustified)

	for name, at := range map[string]*session{
		"patient": c.atPatient, "clinician": c.atReader, "second": atSecond, "officer": atOfficer, "regulator": atRegulator,
	} {
		at.get(path).into(t, &view)
		require.Len(t, view.Reviews, 2, name)
	}
	for _, at := range []*session{atStranger, atUninvolved, atOther, c.atAuthor} {
		at.get(path).refused(t, emr.CodeNotFound)
	}
	c.atPatient.get("/v1/emergencies/"+string(ledgertest.ID[emr.SessionID](emr.SessionPrefix))).refused(t, emr.CodeNotFound)
	c.atPatient.get("/v1/emergencies/eme_1").refused(t, emr.CodeInvalid)
	for name, want := range map[string]struct {
		at *session
		n  int
	}{
		"patient": {c.atPatient, 1}, "clinician": {c.atReader, 1}, "officer": {atOfficer, 1},
		"other patient": {atOther, 0}, "colleague": {atStranger, 0}, "uninvolved officer": {atUninvolved, 0},
	} {
		var page ledgerapi.EmergencyPage
		want.at.get("/v1/emergencies").into(t, &page)
		require.Len(t, page.Items, want.n, name)
	}
}

// TestAPatientVerifiesTheTrailOfTheGateway: what the gateway answers is a chain.
func TestAPatientVerifiesTheTrailOfTheGateway(t *testing.T) {
	t.Parallel()
	c := newCare(t)
	c.put(t)
	c.give(t)
	c.disclose(t, emr.Permit)
	c.breakGlass(t)
	var page ledgerapi.AuditPage
	c.atPatient.get("/v1/audit?limit=100").into(t, &page)
	var head emr.AuditHead
	c.atPatient.get("/v1/audit/head").into(t, &head)
	report, err := trail.Verify(page.Items, head)
	require.NoError(t, err)
	require.Equal(t, trail.Complete, report.Verdict, "%v", report.Faults)
	require.GreaterOrEqual(t, len(report.Chain), 6)
	c.atReader.get("/v1/audit/head").refused(t, emr.CodeForbidden)
}

func TestWhoMaySignAnEmergencyIsCheckedAtTheDoor(t *testing.T) {
	t.Parallel()
	c := newCare(t)
	session := ledgertest.ID[emr.SessionID](emr.SessionPrefix)
	plan := ledgerapi.SetEmergencyPlanArgs{Patient: c.patient.Handle, DeclineAll: true, Declined: []emr.ScopeID{}}
	c.atPatient.post("/v1/emergencies", c.sign(t, c.patient, ledgerapi.OpenEmergency, ledgerapi.OpenEmergencyArgs{Session: session})).
		refused(t, emr.CodeForbidden)
	c.atReader.post("/v1/emergencies/plan", c.sign(t, c.reader, ledgerapi.SetEmergencyPlan, plan)).refused(t, emr.CodeForbidden)
	c.atReader.get("/v1/emergencies/plan").refused(t, emr.CodeForbidden)
	c.atReader.post("/v1/emergencies/close", c.sign(t, c.patient, ledgerapi.CloseEmergency, ledgerapi.EmergencyArgs{Session: session})).
		refused(t, emr.CodeInvalid)
	c.atPatient.post("/v1/emergencies/plan", c.sign(t, c.patient, ledgerapi.SetEmergencyPlan, plan)).into(t, &ledgerapi.Receipt{})
	var stored emr.EmergencyPlan
	c.atPatient.get("/v1/emergencies/plan").into(t, &stored)
	require.True(t, stored.DeclineAll)
	_, receipt := c.breakGlass(t)
	require.Equal(t, emr.ReasonDeclined, receipt.Reason)
	require.WithinDuration(t, c.now(), stored.Updated.Std(), time.Minute)
}
