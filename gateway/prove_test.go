// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package gateway_test

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/api"
	"github.com/emrys-health/emrys/pkg/attest"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// prove asks for a proof in exactly these words.
func (s *session) prove(function, argument string) *answer {
	body := fmt.Sprintf(`{"function":%q,"argument":%s}`, function, argument)
	return s.do(http.MethodPost, "/v1/proofs", strings.NewReader(body), map[string]string{"Content-Type": "application/json"})
}

func canonical(t *testing.T, document any) string {
	t.Helper()
	text, err := emr.Canonical(document)
	require.NoError(t, err)
	return string(text)
}

// verify checks a proof as a client of hospital A does.
func (n *network) verify(t *testing.T, proof *api.Proof, function, argument string) []byte {
	t.Helper()
	a := attest.Attestation{Proposal: proof.Proposal, Response: proof.Response}
	for _, e := range proof.Endorsements {
		a.Endorsements = append(a.Endorsements, attest.Endorsement(e))
	}
	found, err := a.Verify(attest.Question{
		Channel: ledgertest.Channel, Chaincode: ledgerapi.ChaincodeName, Function: function, Argument: []byte(argument),
	}, attest.Policy{
		Roots: n.peers.Roots(), Quorum: 2, Exclude: []emr.OrgID{ledgertest.HospitalA}, MaxAge: time.Minute,
	}, n.now())
	require.NoError(t, err)
	return found
}

func TestWhoMaySeeARegistryEntryGetsItsProof(t *testing.T) {
	t.Parallel()
	c := newCare(t)
	c.put(t)
	c.atPatient.post("/v1/consents", c.sign(t, c.patient, ledgerapi.PutConsent, ledgerapi.PutConsentArgs{
		Patient: c.patient.Handle, Document: excluding(c.reader.ID), Previewed: ledgerapi.Previewed{People: []emr.ClinicianID{}},
	})).into(t, &ledgerapi.Receipt{})
	for _, tt := range []struct {
		name, function string
		by             *session
		argument       any
		want           string
	}{
		{"a patient asks who is in the consortium", ledgerapi.GetOrganisations, c.atPatient, ledgerapi.Empty{}, c.gateways[ledgertest.Regulator].url},
		{"a patient asks for a professional", ledgerapi.GetClinician, c.atPatient, ledgerapi.ClinicianQuery{Clinician: c.reader.ID}, string(c.reader.ID)},
		{"a patient asks for the own entry", ledgerapi.ResolvePatient, c.atPatient, ledgerapi.ResolvePatientQuery{Patient: c.patient.ID}, string(c.patient.Handle)},
		{"a professional asks for a patient", ledgerapi.ResolvePatient, c.atAuthor, ledgerapi.ResolvePatientQuery{Patient: c.patient.ID}, string(c.scope.ID)},
		{"a patient asks for an own record", ledgerapi.GetRecord, c.atPatient, ledgerapi.RecordQuery{Record: c.manifest.Record}, c.manifest.CID},
		{"a patient asks for the own consent", ledgerapi.GetConsent, c.atPatient, ledgerapi.ConsentQuery{Patient: c.patient.Handle}, `"base":"ask"`},
		{"a patient asks for the end of the own trail", ledgerapi.GetAuditHead, c.atPatient, ledgerapi.HandleQuery{Patient: c.patient.Handle}, `"sequence":`},
		{"a professional asks for a record", ledgerapi.GetRecord, c.atAuthor, ledgerapi.RecordQuery{Record: c.manifest.Record}, c.manifest.CID},
	} {
		t.Run(tt.name, func(t *testing.T) {
			argument := canonical(t, tt.argument)
			var proof api.Proof
			tt.by.prove(tt.function, argument).into(t, &proof)
			require.Contains(t, string(c.verify(t, &proof, tt.function, argument)), tt.want)
		})
	}
}

func TestProofsThatAreRefused(t *testing.T) {
	t.Parallel()
	c := newCare(t)
	c.put(t)
	_, atOther := c.network.patient(t, ledgertest.HospitalA)
	lowly := c.NewClinician(t, ledgertest.HospitalA, ledgertest.Wish{
		Role: string(emr.RoleNurse), Level: string(emr.LevelLow), Unit: clientOU,
	})
	atLowly := c.login(t, clinicianPerson(lowly), ledgertest.HospitalA)
	record := canonical(t, ledgerapi.RecordQuery{Record: c.manifest.Record})
	absent := canonical(t, ledgerapi.RecordQuery{Record: ledgertest.ID[emr.RecordID](emr.RecordPrefix)})
	patient := canonical(t, ledgerapi.ResolvePatientQuery{Patient: c.patient.ID})
	nobody := canonical(t, ledgerapi.ResolvePatientQuery{Patient: ledgertest.ID[emr.PatientID](emr.PatientPrefix)})
	clinician := canonical(t, ledgerapi.ClinicianQuery{Clinician: c.reader.ID})
	trail := canonical(t, ledgerapi.HandleQuery{Patient: c.patient.Handle})
	consented := canonical(t, ledgerapi.ConsentQuery{Patient: c.patient.Handle})
	for _, tt := range []struct {
		name               string
		by                 *session
		function, argument string
		code               emr.Code
	}{
		{"another patient cannot resolve a patient", atOther, ledgerapi.ResolvePatient, patient, emr.CodeNotFound},
		{"an unknown patient", c.atAuthor, ledgerapi.ResolvePatient, nobody, emr.CodeNotFound},
		{"another patient cannot see a record", atOther, ledgerapi.GetRecord, record, emr.CodeNotFound},
		{"a professional who is not cleared cannot see a record", atLowly, ledgerapi.GetRecord, record, emr.CodeNotFound},
		{"an unknown record", c.atAuthor, ledgerapi.GetRecord, absent, emr.CodeNotFound},
		{"an unknown professional", c.atPatient, ledgerapi.GetClinician,
			canonical(t, ledgerapi.ClinicianQuery{Clinician: ledgertest.ID[emr.ClinicianID](emr.ClinicianPrefix)}), emr.CodeNotFound},
		{"another patient cannot see a consent", atOther, ledgerapi.GetConsent, consented, emr.CodeNotFound},
		{"a professional cannot see a consent", c.atReader, ledgerapi.GetConsent, consented, emr.CodeForbidden},
		{"a consent that is not there", c.atPatient, ledgerapi.GetConsent, consented, emr.CodeNotFound},
		{"a consent of no patient", c.atPatient, ledgerapi.GetConsent, `{"patient":"x","version":0}`, emr.CodeNotFound},
		{"a consent in other words", c.atPatient, ledgerapi.GetConsent, `{"patient":"x"}`, emr.CodeInvalid},
		{"another patient cannot see the end of a trail", atOther, ledgerapi.GetAuditHead, trail, emr.CodeNotFound},
		{"a professional cannot see the end of a trail", c.atReader, ledgerapi.GetAuditHead, trail, emr.CodeNotFound},
		{"the trail of nobody", c.atPatient, ledgerapi.GetAuditHead, `{"patient":"x"}`, emr.CodeNotFound},
		{"a trail in other words", c.atPatient, ledgerapi.GetAuditHead, `{}`, emr.CodeInvalid},
		{"a query that is not of the registry", c.atPatient, ledgerapi.AuditByPatient, `{}`, emr.CodeInvalid},
		{"a manifest, which is for gateways", c.atReader, ledgerapi.GetManifest, record, emr.CodeInvalid},
		{"a transaction", c.atPatient, ledgerapi.RevokeAccess, `{}`, emr.CodeInvalid},
		{"the function of another chaincode", c.atPatient, "other:" + ledgerapi.GetClinician, clinician, emr.CodeInvalid},
		{"no function", c.atPatient, "", `{}`, emr.CodeInvalid},
		{"white space in the argument", c.atPatient, ledgerapi.GetClinician, strings.Replace(clinician, ":", ": ", 1), emr.CodeInvalid},
		{"an unknown field in the argument", c.atPatient, ledgerapi.GetOrganisations, `{"all":true}`, emr.CodeInvalid},
		{"a field twice in the argument", c.atAuthor, ledgerapi.GetRecord, strings.Replace(record, "{", `{"record":"x",`, 1), emr.CodeInvalid},
		{"an argument that is none", c.atPatient, ledgerapi.GetClinician, `null`, emr.CodeInvalid},
		{"an id of something else", c.atAuthor, ledgerapi.GetRecord, `{"record":"cli_1"}`, emr.CodeInvalid},
		{"an id of no patient", c.atAuthor, ledgerapi.ResolvePatient, `{"patient":"x"}`, emr.CodeInvalid},
		{"an id of no professional", c.atAuthor, ledgerapi.GetClinician, `{"clinician":"x"}`, emr.CodeInvalid},
	} {
		t.Run(tt.name, func(t *testing.T) { tt.by.prove(tt.function, tt.argument).refused(t, tt.code) })
	}
	t.Run("without a token", func(t *testing.T) {
		s := *c.atPatient
		s.token = "made-up"
		s.prove(ledgerapi.GetOrganisations, `{}`).refused(t, emr.CodeUnauthenticated)
	})
	t.Run("what is hidden and what is absent look the same", func(t *testing.T) {
		for _, function := range []string{ledgerapi.GetRecord, ledgerapi.ResolvePatient} {
			hidden, missing := record, absent
			if function == ledgerapi.ResolvePatient {
				hidden, missing = patient, nobody
			}
			a, b := atOther.prove(function, hidden).problem, atOther.prove(function, missing).problem
			a.RequestID, b.RequestID = "", ""
			require.Equal(t, a, b, function)
		}
	})
	t.Run("while the ledger is down", func(t *testing.T) {
		ledger := c.gateways[ledgertest.HospitalA].ledger
		ledger.fail(down)
		defer ledger.fail(nil)
		c.atPatient.prove(ledgerapi.GetOrganisations, `{}`).refused(t, emr.CodeUnavailable)
	})
}

func TestAGatewayWithoutAProverSaysSo(t *testing.T) {
	t.Parallel()
	n := newNetwork(t)
	node := n.gateways[ledgertest.HospitalB]
	node.stop()
	node.unproven = true
	// On a port of its own: the old one may be another connection's by now.
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	node.url = "https://" + listener.Addr().String()
	node.cfg.Listen, node.cfg.PublicURL = listener.Addr().String(), node.url
	n.run(t, node, listener)
	_, s := n.patient(t, ledgertest.HospitalB)
	s.prove(ledgerapi.GetOrganisations, `{}`).refused(t, emr.CodeUnsupported)
	var network api.Network
	s.get("/v1/network").into(t, &network)
	require.Equal(t, ledgertest.HospitalB, network.Organisation, "everything else goes on")
}
