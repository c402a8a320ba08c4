// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package gateway_test

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/chaincode/ledger"
	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/api"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// guarded is a care whose patient has a friend at hospital C and both physicians
// as guardians, and a new device.
type guarded struct {
	*care
	friend   *ledgertest.Patient
	atFriend *session
	next     *ledgertest.Patient
}

func newGuarded(t *testing.T) *guarded {
	t.Helper()
	g := &guarded{care: newCare(t)}
	g.friend, g.atFriend = g.network.patient(t, ledgertest.HospitalC)
	next := *g.patient
	next.Consent, next.Hybrid = ledgertest.NewKey(t), ledgertest.NewHybrid(t)
	g.next = &next
	ids := []string{string(g.author.ID), string(g.friend.Handle), string(g.reader.ID)}
	slices.Sort(ids)
	g.atPatient.post("/v1/guardians", g.sign(t, g.patient, ledgerapi.SetGuardians, ledgerapi.SetGuardiansArgs{
		Patient: g.patient.Handle, Guardians: ids, Threshold: 2,
	})).into(t, &ledgerapi.Receipt{})
	return g
}

// propose proposes the new device's keys through the friend's gateway.
func (g *guarded) propose(t *testing.T) *ledgerapi.ProposeRecoveryArgs {
	t.Helper()
	args := ledgerapi.ProposeRecoveryArgs{
		Recovery: ledgertest.ID[emr.RecoveryID](emr.RecoveryPrefix), Patient: g.patient.Handle,
		Consent: g.next.Args().Consent, Hybrid: g.next.Hybrid.Public().Bytes(),
	}
	args.Proof = *g.sign(t, g.next, ledgerapi.ProveKey, ledgerapi.ProveKeyArgs{
		Patient: args.Patient, Recovery: args.Recovery, Consent: args.Consent, Hybrid: args.Hybrid,
	})
	g.atFriend.post("/v1/recoveries", g.sign(t, g.friend, ledgerapi.ProposeRecovery, args)).into(t, &ledgerapi.Receipt{})
	return &args
}

func (g *guarded) approve(t *testing.T, p *ledgerapi.ProposeRecoveryArgs) {
	t.Helper()
	var receipt ledgerapi.DecisionReceipt
	g.atReader.post("/v1/recoveries/approve", g.sign(t, g.reader, ledgerapi.ApproveRecovery, ledgerapi.ApproveRecoveryArgs{
		Recovery: p.Recovery, Patient: p.Patient, Claim: p.Proof.Digest(),
	})).into(t, &receipt)
	require.Equal(t, emr.ReasonWaiting, receipt.Reason)
}

func TestAPatientsKeysAreRecoveredThroughThreeGateways(t *testing.T) {
	t.Parallel()
	g := newGuarded(t)
	p := g.propose(t)
	g.approve(t, p)
	which := ledgerapi.RecoveryArgs{Recovery: p.Recovery, Patient: p.Patient}
	g.atPatient.post("/v1/recoveries/complete", g.sign(t, g.next, ledgerapi.CompleteRecovery, which)).refused(t, emr.CodeRule)
	g.wait(72 * time.Hour)
	atNew := g.login(t, g.reissued(t), ledgertest.HospitalA) // on the new device, with a new certificate
	var done ledgerapi.DecisionReceipt
	atNew.post("/v1/recoveries/complete", g.sign(t, g.next, ledgerapi.CompleteRecovery, which)).into(t, &done)
	require.Equal(t, emr.Permit, done.Decision)
	var list ledgerapi.RecoveryPage
	atNew.get("/v1/recoveries").into(t, &list)
	require.Equal(t, emr.RecoveryCompleted, list.Items[0].Status)
	var view ledgerapi.PatientView
	atNew.post("/v1/patients/resolve", ledgerapi.ResolvePatientQuery{Patient: g.patient.ID}).into(t, &view)
	require.Equal(t, p.Consent, view.Patient.Consent)
}

// reissued is the patient with an enrolment certificate for another key.
func (g *guarded) reissued(t *testing.T) person {
	t.Helper()
	cert, key := g.patient.Org.Issue(t, ledgertest.Wish{CN: string(g.patient.ID), Role: string(emr.RolePatient), Unit: clientOU})
	return person{id: string(g.patient.ID), cert: cert.Raw, key: key}
}

func TestAPatientVetoesThroughTheGateway(t *testing.T) {
	t.Parallel()
	g := newGuarded(t)
	p := g.propose(t)
	which := ledgerapi.RecoveryArgs{Recovery: p.Recovery, Patient: p.Patient}
	g.atPatient.post("/v1/recoveries/veto", g.sign(t, g.patient, ledgerapi.VetoRecovery, which)).into(t, &ledgerapi.DecisionReceipt{})
	for _, s := range []*session{g.atPatient, g.atFriend, g.atReader, g.atAuthor} {
		var seen emr.Recovery
		s.get("/v1/recoveries/"+string(p.Recovery)).into(t, &seen)
		require.Equal(t, emr.RecoveryVetoed, seen.Status)
	}
	_, atStranger := g.network.patient(t, ledgertest.HospitalA)
	_, atColleague := g.doctor(t, ledgertest.HospitalB, emr.RoleNurse)
	for _, s := range []*session{atStranger, atColleague} {
		s.get("/v1/recoveries/"+string(p.Recovery)).refused(t, emr.CodeNotFound)
	}
	g.atPatient.get("/v1/recoveries/"+string(ledgertest.ID[emr.RecoveryID](emr.RecoveryPrefix))).refused(t, emr.CodeNotFound)
	g.atPatient.get("/v1/recoveries/rcv_1").refused(t, emr.CodeInvalid)
	g.atReader.get("/v1/recoveries").refused(t, emr.CodeForbidden)
	g.atReader.get("/v1/guardians").refused(t, emr.CodeForbidden)
	atStranger.get("/v1/guardians").refused(t, emr.CodeNotFound)
	var set emr.GuardianSet
	g.atPatient.get("/v1/guardians").into(t, &set)
	require.Len(t, set.Guardians, 3)
}

func TestKeysAreReplacedThroughTheGateway(t *testing.T) {
	t.Parallel()
	g := newGuarded(t)
	args := ledgerapi.RotatePatientKeysArgs{
		Patient: g.patient.Handle, Consent: g.next.Args().Consent, Hybrid: g.next.Hybrid.Public().Bytes(),
	}
	args.Proof = g.sign(t, g.next, ledgerapi.ProveKey, ledgerapi.ProveKeyArgs{
		Patient: args.Patient, Consent: args.Consent, Hybrid: args.Hybrid,
	})
	g.atPatient.post("/v1/patients/keys", g.sign(t, g.patient, ledgerapi.RotatePatientKeys, args)).into(t, &ledgerapi.Receipt{})
	was := g.reader.Reading.Public().Bytes()
	rotate := ledgerapi.RotateClinicianKeysArgs{
		Clinician: g.reader.ID, Reading: ledgertest.NewKey(t).Public().Bytes(), Hybrid: g.reader.Hybrid.Public().Bytes(),
	}
	g.atReader.post("/v1/clinicians/keys", g.sign(t, g.reader, ledgerapi.RotateClinicianKeys, rotate)).into(t, &ledgerapi.Receipt{})
	var old emr.Clinician
	g.atPatient.get("/v1/clinicians/"+string(g.reader.ID)+"/keys/0").into(t, &old)
	require.Equal(t, was, old.Reading)
	g.atPatient.get("/v1/clinicians/"+string(g.reader.ID)+"/keys/9").refused(t, emr.CodeNotFound)
	for _, bad := range []string{"x", "-1", "4294967296"} {
		g.atPatient.get("/v1/clinicians/"+string(g.reader.ID)+"/keys/"+bad).refused(t, emr.CodeInvalid)
	}
}

func TestAPatientMovesHomeThroughTheNewHomesGateway(t *testing.T) {
	t.Parallel()
	g := newGuarded(t)
	move := g.sign(t, g.patient, ledgerapi.MoveHome, ledgerapi.MoveHomeArgs{Patient: g.patient.Handle, Home: ledgertest.HospitalA})
	g.atPatient.post("/v1/patients/home", move).refused(t, emr.CodeExists)
}

func TestTheGatewayRelaysALifeForItsSignersOnly(t *testing.T) {
	t.Parallel()
	g := newGuarded(t)
	for path, function := range map[string]string{
		"/v1/patients/keys": ledgerapi.RotatePatientKeys, "/v1/guardians": ledgerapi.SetGuardians,
		"/v1/recoveries/veto": ledgerapi.VetoRecovery, "/v1/recoveries/complete": ledgerapi.CompleteRecovery,
		"/v1/patients/home": ledgerapi.MoveHome,
	} {
		g.atReader.post(path, g.sign(t, g.reader, function, ledgerapi.Empty{})).refused(t, emr.CodeForbidden)
		g.atFriend.post(path, g.sign(t, g.patient, function, ledgerapi.Empty{})).refused(t, emr.CodeInvalid) // another's action
	}
	g.atPatient.post("/v1/clinicians/keys", g.sign(t, g.patient, ledgerapi.RotateClinicianKeys, ledgerapi.Empty{})).
		refused(t, emr.CodeForbidden)
	for path, function := range map[string]string{
		"/v1/recoveries": ledgerapi.ProposeRecovery, "/v1/recoveries/approve": ledgerapi.ApproveRecovery,
	} {
		g.atAuthor.post(path, g.sign(t, g.reader, function, ledgerapi.Empty{})).refused(t, emr.CodeInvalid)
	}
}

func TestASuspendedReaderGetsNothingFromTheProxies(t *testing.T) {
	t.Parallel()
	g := newGuarded(t)
	g.put(t)
	g.give(t)
	ticket := g.disclose(t, emr.Permit)
	g.mu.Lock()
	_, err := ledgertest.Order(g.Consortium, g.reader.Org.Admin, ledger.SuspendClinician, ledgerapi.ClinicianStatusArgs{Clinician: g.reader.ID})
	g.mu.Unlock()
	require.NoError(t, err)
	g.open(t, ticket.ID).refused(t, emr.CodeRule)
	g.atReader.get("/v1/disclosures/"+ticket.ID+"/content").refused(t, emr.CodeRule)
	g.atReader.get("/v1/records/"+string(g.manifest.Record)).refused(t, emr.CodeRule)
	g.atReader.post("/v1/records/search", api.Search{Patient: g.patient.ID}).refused(t, emr.CodeRule)
	g.atReader.post("/v1/patients/resolve", ledgerapi.ResolvePatientQuery{Patient: g.patient.ID}).refused(t, emr.CodeRule)
	g.atReader.prove(ledgerapi.ResolvePatient, canonical(t, ledgerapi.ResolvePatientQuery{Patient: g.patient.ID})).refused(t, emr.CodeRule)
	g.atReader.do("POST", "/v1/uploads", bytes.NewReader(g.content), nil).refused(t, emr.CodeRule)
	g.disclose(t, emr.Deny)
	var audit ledgerapi.AuditPage
	g.atPatient.get("/v1/audit?limit=100").into(t, &audit)
	require.Equal(t, emr.ReasonSuspended, audit.Items[0].Reason)
}

func TestADismissedAuthorAndAuditorAreShownNothing(t *testing.T) {
	t.Parallel()
	g := newGuarded(t)
	g.put(t)
	auditor := g.NewClinician(t, ledgertest.Regulator, ledgertest.Wish{Role: string(emr.RoleAuditor), Unit: clientOU})
	atAuditor := g.login(t, clinicianPerson(auditor), ledgertest.Regulator)
	atAuditor.post("/v1/clinicians", g.sign(t, auditor, ledgerapi.RegisterClinician, auditor.Args())).into(t, &ledgerapi.Receipt{})
	inspection := ledgertest.ID[emr.InspectionID](emr.InspectionPrefix)
	atAuditor.post("/v1/inspections", g.sign(t, auditor, ledgerapi.InspectLog, ledgerapi.InspectLogArgs{
		Inspection: inspection, Subject: emr.LogSubject{Record: g.manifest.Record}, To: emr.TimeOf(g.now()) + 1, Ground: emr.InspectRoutine,
	})).into(t, &ledgerapi.DecisionReceipt{})
	for _, who := range []struct {
		at   *session
		of   *ledgertest.Clinician
		path string
	}{
		{g.atAuthor, g.author, "/v1/records/" + string(g.manifest.Record) + "/audit"},
		{atAuditor, auditor, "/v1/inspections/" + string(inspection) + "/log"},
	} {
		path := who.path
		who.at.get(path).into(t, &ledgerapi.AuditPage{})
		g.mu.Lock()
		_, err := ledgertest.Order(g.Consortium, who.of.Org.Admin, ledger.OffboardClinician, ledgerapi.ClinicianStatusArgs{Clinician: who.of.ID})
		g.mu.Unlock()
		require.NoError(t, err)
		who.at.get(path).refused(t, emr.CodeRule)
	}
}
