// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package gateway_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/api"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

func TestTokenAbuse(t *testing.T) {
	t.Parallel()
	n := newNetwork(t)
	at := n.gateways[ledgertest.HospitalA]
	audience := at.url + "/v1/token"
	issue := func(org emr.OrgID, w ledgertest.Wish) person {
		cert, key := n.Orgs[org].Issue(t, w)
		return person{id: w.CN, cert: cert.Raw, key: key}
	}
	wish := func(role emr.Role, unit string) ledgertest.Wish {
		return ledgertest.Wish{
			CN: string(ledgertest.ID[emr.ClinicianID](emr.ClinicianPrefix)), Role: string(role), Level: "private", Unit: unit,
		}
	}
	honest := issue(ledgertest.HospitalA, wish(emr.RolePhysician, clientOU))
	stranger := ledgertest.NewOrg(t, ledgertest.HospitalA, emr.KindHospital, n.now().Add(-time.Hour), n.now().Add(time.Hour))
	foreignCert, foreignKey := stranger.Issue(t, wish(emr.RolePhysician, clientOU))
	foreign := person{id: foreignCert.Subject.CommonName, cert: foreignCert.Raw, key: foreignKey}
	claim := func(name string, value any) func(_, claims map[string]any) {
		return func(_, claims map[string]any) { claims[name] = value }
	}
	header := func(name string, value any) func(header, _ map[string]any) {
		return func(header, _ map[string]any) { header[name] = value }
	}
	now := n.now().Unix()
	for _, tt := range []struct {
		name   string
		who    person
		code   emr.Code
		change func(header, claims map[string]any)
	}{
		{"another key than the certificate's", person{honest.id, honest.cert, ledgertest.NewKey(t)}, emr.CodeUnauthenticated, nil},
		{"the algorithm none", honest, emr.CodeUnauthenticated, header("alg", "none")},
		{"a MAC instead of a signature", honest, emr.CodeUnauthenticated, header("alg", "HS256")},
		{"no certificate", honest, emr.CodeUnauthenticated, header("x5c", []string{})},
		{"a certificate that is none", honest, emr.CodeUnauthenticated, header("x5c", []string{"AAAA"})},
		{"a critical extension", honest, emr.CodeUnauthenticated, header("crit", []string{"b64"})},
		{"another gateway's audience", honest, emr.CodeUnauthenticated, claim("aud", "https://other.example/v1/token")},
		{"no audience", honest, emr.CodeUnauthenticated, claim("aud", []string{})},
		{"an expired assertion", honest, emr.CodeUnauthenticated, claim("exp", now-1)},
		{"an assertion for a day", honest, emr.CodeUnauthenticated, claim("exp", now+86400)},
		{"an assertion from the future", honest, emr.CodeUnauthenticated, claim("iat", now+600)},
		{"an assertion issued long ago", honest, emr.CodeUnauthenticated, claim("iat", now-600)},
		{"not valid yet", honest, emr.CodeUnauthenticated, claim("nbf", now+600)},
		{"no jti", honest, emr.CodeUnauthenticated, claim("jti", "")},
		{"a subject that is not the certificate's", honest, emr.CodeUnauthenticated, claim("sub", "cli_"+strings.Repeat("0", 32))},
		{"an issuer that is not the subject", honest, emr.CodeUnauthenticated, claim("iss", "somebody")},
		{"a certificate of an unknown authority with a known name", foreign, emr.CodeUnauthenticated, nil},
		{"a certificate that is not a client's", issue(ledgertest.HospitalA, wish(emr.RolePhysician, "peer")), emr.CodeUnauthenticated, nil},
		{"a certificate without attributes", issue(ledgertest.HospitalA, ledgertest.Wish{CN: "cli_" + strings.Repeat("1", 32), Unit: clientOU}), emr.CodeUnauthenticated, nil},
		{"an auditor by a hospital", issue(ledgertest.HospitalA, wish(emr.RoleAuditor, clientOU)), emr.CodeUnauthenticated, nil},
		{"a physician by the regulator", issue(ledgertest.Regulator, wish(emr.RolePhysician, clientOU)), emr.CodeUnauthenticated, nil},
		{"a gateway as a person", issue(ledgertest.HospitalA, wish(emr.RoleGateway, clientOU)), emr.CodeUnauthenticated, nil},
		{"an unknown role", issue(ledgertest.HospitalA, wish("surgeon-general", clientOU)), emr.CodeUnauthenticated, nil},
		{"a physician under a patient's name", issue(ledgertest.HospitalA, ledgertest.Wish{
			CN: "pat_" + strings.Repeat("2", 32), Role: "physician", Unit: clientOU}), emr.CodeUnauthenticated, nil},
		{"a patient under a physician's name", issue(ledgertest.HospitalA, ledgertest.Wish{
			CN: "cli_" + strings.Repeat("2", 32), Role: "patient", Unit: clientOU}), emr.CodeUnauthenticated, nil},
		{"an expired certificate", issue(ledgertest.HospitalA, ledgertest.Wish{
			CN: "cli_" + strings.Repeat("3", 32), Role: "physician", Unit: clientOU, Until: n.now().Add(-time.Minute)}), emr.CodeUnauthenticated, nil},
		{"a physician of another hospital", issue(ledgertest.HospitalB, wish(emr.RolePhysician, clientOU)), emr.CodeForbidden, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := n.exchange(t, at, n.assertion(t, tt.who, audience, tt.change))
			a.refused(t, tt.code)
			if tt.code == emr.CodeUnauthenticated {
				require.Contains(t, a.header.Get("WWW-Authenticate"), "Bearer")
			}
		})
	}
	t.Run("an assertion is good once", func(t *testing.T) {
		assertion := n.assertion(t, honest, audience, nil)
		n.exchange(t, at, assertion).into(t, &api.TokenResponse{})
		n.exchange(t, at, assertion).refused(t, emr.CodeUnauthenticated)
	})
	t.Run("no assertion", func(t *testing.T) { n.exchange(t, at, "").refused(t, emr.CodeUnauthenticated) })
	t.Run("rubbish", func(t *testing.T) { n.exchange(t, at, "a.b.c").refused(t, emr.CodeUnauthenticated) })
	t.Run("a huge assertion", func(t *testing.T) {
		n.exchange(t, at, strings.Repeat("x", 32<<10)).refused(t, emr.CodeUnauthenticated)
	})
	t.Run("a patient may use any gateway", func(t *testing.T) {
		_, who := n.newPatient(t, ledgertest.HospitalB)
		n.login(t, who, ledgertest.HospitalA)
	})
	t.Run("a token ends after ten minutes", func(t *testing.T) {
		s := n.login(t, honest, ledgertest.HospitalA)
		require.Equal(t, http.StatusForbidden, s.get("/v1/audit").status, "known, and not a patient")
		n.wait(10 * time.Minute)
		s.get("/v1/audit").refused(t, emr.CodeUnauthenticated)
	})
	t.Run("a made-up token", func(t *testing.T) {
		s := &session{t: t, net: n, node: at, token: "made-up"}
		s.get("/v1/audit").refused(t, emr.CodeUnauthenticated)
	})
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	c := newCare(t)
	c.put(t)
	other, atOther := c.network.patient(t, ledgertest.HospitalA)
	stranger := ledgertest.ID[emr.RecordID](emr.RecordPrefix)
	record := string(c.manifest.Record)
	propose := ledgerapi.ProposeRelationshipArgs{Patient: other.Handle, Hospital: ledgertest.HospitalA}
	for _, tt := range []struct {
		name string
		code emr.Code
		call func() *answer
	}{
		{"another patient cannot resolve a patient", emr.CodeNotFound, func() *answer {
			return atOther.post("/v1/patients/resolve", ledgerapi.ResolvePatientQuery{Patient: c.patient.ID})
		}},
		{"another patient cannot search a patient's records", emr.CodeNotFound, func() *answer {
			return atOther.post("/v1/records/search", api.Search{Patient: c.patient.ID})
		}},
		{"another patient cannot see a record", emr.CodeNotFound, func() *answer { return atOther.get("/v1/records/" + record) }},
		{"another patient cannot see a record's audit trail", emr.CodeNotFound, func() *answer { return atOther.get("/v1/records/" + record + "/audit") }},
		{"a reader cannot see a record's audit trail", emr.CodeNotFound, func() *answer { return c.atReader.get("/v1/records/" + record + "/audit") }},
		{"a professional has no audit trail of an own", emr.CodeForbidden, func() *answer { return c.atReader.get("/v1/audit") }},
		{"a professional has no relationships of an own", emr.CodeForbidden, func() *answer { return c.atReader.get("/v1/relationships") }},
		{"an action of somebody else", emr.CodeInvalid, func() *answer {
			return c.atReader.post("/v1/relationships", c.sign(t, c.author, ledgerapi.ProposeRelationship, propose))
		}},
		{"an action for another function", emr.CodeInvalid, func() *answer {
			return c.atReader.post("/v1/requests", c.sign(t, c.reader, ledgerapi.ProposeRelationship, propose))
		}},
		{"a patient's action by a professional", emr.CodeForbidden, func() *answer {
			return c.atReader.post("/v1/grants/revoke", c.sign(t, c.reader, ledgerapi.RevokeAccess, ledgerapi.RevokeAccessArgs{}))
		}},
		{"a professional's action by a patient", emr.CodeForbidden, func() *answer {
			return c.atPatient.post("/v1/relationships", c.sign(t, c.patient, ledgerapi.ProposeRelationship, propose))
		}},
		{"an expired action", emr.CodeInvalid, func() *answer {
			signed := c.sign(t, c.author, ledgerapi.ProposeRelationship, propose)
			c.wait(6 * time.Minute)
			return c.atAuthor.post("/v1/relationships", signed)
		}},
		{"an action with a false signature", emr.CodeUnauthenticated, func() *answer {
			signed := c.sign(t, c.author, ledgerapi.ProposeRelationship, propose)
			signed.Signature[0] ^= 1
			return c.atAuthor.post("/v1/relationships", signed)
		}},
		{"registering somebody else", emr.CodeInvalid, func() *answer {
			p, _ := c.newPatient(t, ledgertest.HospitalA)
			return atOther.post("/v1/patients", c.sign(t, p, ledgerapi.RegisterPatient, p.Args()))
		}},
		{"a body with an unknown field", emr.CodeInvalid, func() *answer {
			return c.atReader.do(http.MethodPost, "/v1/records/search", strings.NewReader(`{"patient":"x","evil":1}`), nil)
		}},
		{"two documents", emr.CodeInvalid, func() *answer {
			return c.atReader.do(http.MethodPost, "/v1/patients/resolve", strings.NewReader(`{"patient":"x"}{}`), nil)
		}},
		{"a body that is too large", emr.CodeTooLarge, func() *answer {
			return c.atReader.do(http.MethodPost, "/v1/requests", strings.NewReader(`{"kind":"`+strings.Repeat("x", 1<<20)+`"}`), nil)
		}},
		{"an id that is none", emr.CodeInvalid, func() *answer { return c.atReader.get("/v1/records/rec_1") }},
		{"a limit over the largest", emr.CodeInvalid, func() *answer { return c.atReader.get("/v1/grants?limit=101") }},
		{"a limit that is no number", emr.CodeInvalid, func() *answer { return c.atReader.get("/v1/grants?limit=x") }},
		{"an unknown parameter", emr.CodeInvalid, func() *answer { return c.atReader.get("/v1/grants?patient=x") }},
		{"an address that is none", emr.CodeNotFound, func() *answer { return c.atReader.get("/v2/grants") }},
		{"a method that is not offered", emr.CodeUnsupported, func() *answer { return c.atReader.do(http.MethodPut, "/v1/grants", nil, nil) }},
		{"a class that is none", emr.CodeInvalid, func() *answer {
			return c.atReader.post("/v1/records/search", api.Search{Patient: c.patient.ID, Class: "x"})
		}},
		{"an unknown patient", emr.CodeNotFound, func() *answer {
			return c.atReader.post("/v1/records/search", api.Search{Patient: ledgertest.ID[emr.PatientID](emr.PatientPrefix)})
		}},
		{"an unknown record", emr.CodeNotFound, func() *answer { return c.atReader.get("/v1/records/" + string(stranger)) }},
	} {
		t.Run(tt.name, func(t *testing.T) { tt.call().refused(t, tt.code) })
	}
	t.Run("a hidden record and an absent one look the same", func(t *testing.T) {
		hidden, absent := atOther.get("/v1/records/"+record), atOther.get("/v1/records/"+string(stranger))
		require.NotEmpty(t, hidden.problem.RequestID)
		require.Equal(t, bytes.ReplaceAll(hidden.body, []byte(hidden.problem.RequestID), nil),
			bytes.ReplaceAll(absent.body, []byte(absent.problem.RequestID), nil))
	})
	t.Run("those who may see a record do", func(t *testing.T) {
		auditor, atAuditor := c.doctor(t, ledgertest.Regulator, emr.RoleAuditor)
		require.NotEmpty(t, auditor.ID)
		for _, s := range []*session{c.atPatient, c.atAuthor, c.atReader, atAuditor} {
			s.get("/v1/records/"+record).into(t, &emr.Record{})
		}
		for _, s := range []*session{c.atPatient, c.atAuthor} {
			s.get("/v1/records/"+record+"/audit").into(t, &ledgerapi.AuditPage{})
		}
		atAuditor.post("/v1/records/search", api.Search{Patient: c.patient.ID}).into(t, &ledgerapi.RecordPage{})
	})
	t.Run("a professional whose level is too low sees nothing", func(t *testing.T) {
		low := c.NewClinician(t, ledgertest.HospitalB, ledgertest.Wish{Role: "nurse", Level: "low", Unit: clientOU})
		atLow := c.login(t, clinicianPerson(low), ledgertest.HospitalB)
		var page ledgerapi.RecordPage
		atLow.post("/v1/records/search", api.Search{Patient: c.patient.ID}).into(t, &page)
		require.Empty(t, page.Items)
		atLow.get("/v1/records/"+record).refused(t, emr.CodeNotFound)
	})
	t.Run("a spent action names its transaction", func(t *testing.T) {
		signed := c.sign(t, c.author, ledgerapi.ProposeRelationship, propose)
		var first ledgerapi.Receipt
		c.atAuthor.post("/v1/relationships", signed).into(t, &first)
		again := c.atAuthor.post("/v1/relationships", signed)
		again.refused(t, emr.CodeExists)
		require.Equal(t, first.TxID, again.problem.TransactionID)
		var view ledgerapi.ActionView
		c.atAuthor.get("/v1/actions/"+signed.Digest().String()).into(t, &view)
		require.True(t, view.Committed)
		require.Equal(t, first.TxID, view.TxID)
	})
}

func TestARequestIsShownToItsPatientAndItsMakerOnly(t *testing.T) {
	t.Parallel()
	c := newCare(t)
	c.put(t)
	_, atOther := c.network.patient(t, ledgertest.HospitalA)
	_, atColleague := c.doctor(t, ledgertest.HospitalB, emr.RolePhysician)
	_, atAuditor := c.doctor(t, ledgertest.Regulator, emr.RoleAuditor)
	unregistered, who := c.newPatient(t, ledgertest.HospitalA)
	require.NotEmpty(t, unregistered.Handle)
	var asked ledgerapi.DecisionReceipt
	c.atReader.post("/v1/requests", c.sign(t, c.reader, ledgerapi.RequestAccess, ledgerapi.RequestAccessArgs{
		Request: ledgertest.ID[emr.RequestID](emr.RequestPrefix), Record: c.manifest.Record, Purpose: emr.PurposeTreatment,
		Note: "second opinion",
	})).into(t, &asked)
	absent := string(ledgertest.ID[emr.RequestID](emr.RequestPrefix))
	for name, s := range map[string]*session{
		"another patient": atOther, "a patient who is not on the ledger": c.login(t, who, ledgertest.HospitalA),
		"the record's author": c.atAuthor, "a colleague of the maker": atColleague, "an auditor": atAuditor,
	} {
		t.Run(name, func(t *testing.T) {
			hidden, missing := s.get("/v1/requests/"+asked.ID), s.get("/v1/requests/"+absent)
			hidden.refused(t, emr.CodeNotFound)
			require.NotContains(t, string(hidden.body), "opinion")
			require.Equal(t, bytes.ReplaceAll(hidden.body, []byte(hidden.problem.RequestID), nil),
				bytes.ReplaceAll(missing.body, []byte(missing.problem.RequestID), nil), "as an absent one")
		})
	}
	for name, s := range map[string]*session{"the patient": c.atPatient, "the maker": c.atReader} {
		t.Run(name, func(t *testing.T) {
			s.get("/v1/requests/"+asked.ID).into(t, &ledgerapi.RequestView{})
			s.get("/v1/requests/"+absent).refused(t, emr.CodeNotFound)
			s.get("/v1/requests/req_1").refused(t, emr.CodeInvalid)
			s.get("/v1/requests/"+string(c.manifest.Record)).refused(t, emr.CodeInvalid)
		})
	}
	t.Run("without a token", func(t *testing.T) {
		s := *c.atPatient
		s.token = "made-up"
		s.get("/v1/requests/"+asked.ID).refused(t, emr.CodeUnauthenticated)
	})
	t.Run("while the ledger is down", func(t *testing.T) {
		ledger := c.gateways[ledgertest.HospitalA].ledger
		ledger.fail(down)
		defer ledger.fail(nil)
		c.atPatient.get("/v1/requests/"+asked.ID).refused(t, emr.CodeUnavailable)
	})
}

func TestUploads(t *testing.T) {
	t.Parallel()
	c := newCare(t)
	hospital := c.gateways[ledgertest.HospitalA].store
	pinned := func(cid string) bool {
		ok, err := hospital.Pinned(t.Context(), cid)
		require.NoError(t, err)
		return ok
	}
	content := newContent(t)
	t.Run("a deleted upload is unpinned", func(t *testing.T) {
		upload := c.atAuthor.upload([]byte("to be deleted"))
		require.True(t, pinned(upload.CID))
		require.Equal(t, http.StatusNoContent, c.atAuthor.do(http.MethodDelete, "/v1/uploads/"+upload.ID, nil, nil).status)
		require.False(t, pinned(upload.CID))
		c.atAuthor.do(http.MethodDelete, "/v1/uploads/"+upload.ID, nil, nil).refused(t, emr.CodeNotFound)
	})
	t.Run("nobody else can delete an upload", func(t *testing.T) {
		upload := c.atAuthor.upload([]byte("mine"))
		_, atColleague := c.doctor(t, ledgertest.HospitalA, emr.RoleNurse)
		atColleague.do(http.MethodDelete, "/v1/uploads/"+upload.ID, nil, nil).refused(t, emr.CodeNotFound)
		require.True(t, pinned(upload.CID))
	})
	t.Run("an empty upload is one", func(t *testing.T) {
		require.Zero(t, c.atAuthor.upload(nil).Size)
	})
	t.Run("a digest that does not fit", func(t *testing.T) {
		sum := sha256.Sum256([]byte("something else"))
		c.atAuthor.do(http.MethodPost, "/v1/uploads", strings.NewReader("content"), map[string]string{
			"Repr-Digest": "sha-256=:" + base64.StdEncoding.EncodeToString(sum[:]) + ":",
		}).refused(t, emr.CodeCorrupt)
		require.False(t, pinned(ledgertest.CID("content")))
	})
	t.Run("a digest that fits", func(t *testing.T) {
		sum := sha256.Sum256([]byte("content"))
		a := c.atAuthor.do(http.MethodPost, "/v1/uploads", strings.NewReader("content"), map[string]string{
			"Content-Digest": "sha-512=:AA==:, sha-256=:" + base64.StdEncoding.EncodeToString(sum[:]) + ":",
		})
		a.into(t, &api.Upload{})
	})
	t.Run("a digest that cannot be read", func(t *testing.T) {
		c.atAuthor.do(http.MethodPost, "/v1/uploads", strings.NewReader("content"), map[string]string{
			"Repr-Digest": "sha-256=:AAAA:",
		}).refused(t, emr.CodeInvalid)
	})
	t.Run("another media type", func(t *testing.T) {
		c.atAuthor.do(http.MethodPost, "/v1/uploads", strings.NewReader("x"), map[string]string{"Content-Type": "text/html"}).
			refused(t, emr.CodeInvalid)
	})
	t.Run("a body that is cut short leaves nothing", func(t *testing.T) {
		half := []byte("half of it")
		c.cutShort(t, half, 1000)
		require.False(t, pinned(ledgertest.CID(string(half))))
	})
	t.Run("patients and readers do not upload", func(t *testing.T) {
		c.atPatient.do(http.MethodPost, "/v1/uploads", strings.NewReader("x"), nil).refused(t, emr.CodeForbidden)
	})
	t.Run("the regulator keeps no content", func(t *testing.T) {
		_, atAuditor := c.doctor(t, ledgertest.Regulator, emr.RoleAuditor)
		atAuditor.get("/v1/disclosures/"+string(ledgertest.ID[emr.DisclosureID](emr.DisclosurePrefix))+"/content").
			refused(t, emr.CodeUnsupported)
	})
	t.Run("a record needs its upload", func(t *testing.T) {
		m := c.describe(t, c.atAuthor.upload(content))
		signed := c.sign(t, c.author, ledgerapi.RegisterRecord, m)
		c.atAuthor.post("/v1/records", signed).refused(t, emr.CodeInvalid)
		c.atAuthor.post("/v1/records", signed, api.UploadHeader, "upl_unknown").refused(t, emr.CodeNotFound)
		others := c.atAuthor.upload([]byte("other content"))
		c.atAuthor.post("/v1/records", signed, api.UploadHeader, others.ID).refused(t, emr.CodeInvalid)
	})
	t.Run("a refused registration leaves the upload, to be used or deleted", func(t *testing.T) {
		upload := c.atAuthor.upload(newContent(t))
		m := c.describe(t, upload)
		wrong := *m
		wrong.Capsule = bytes.Clone(m.Capsule)
		wrong.Capsule[97] ^= 1
		a := c.atAuthor.post("/v1/records", c.sign(t, c.author, ledgerapi.RegisterRecord, &wrong), api.UploadHeader, upload.ID)
		require.GreaterOrEqual(t, a.status, 400)
		require.True(t, pinned(upload.CID))
		c.atAuthor.post("/v1/records", c.sign(t, c.author, ledgerapi.RegisterRecord, m), api.UploadHeader, upload.ID).
			into(t, &ledgerapi.Receipt{})
		c.atAuthor.do(http.MethodDelete, "/v1/uploads/"+upload.ID, nil, nil).refused(t, emr.CodeNotFound)
		require.True(t, pinned(upload.CID), "it is the record's now")
	})
	t.Run("an unknown outcome is told as such and found out", func(t *testing.T) {
		upload := c.atAuthor.upload(newContent(t))
		m := c.describe(t, upload)
		signed := c.sign(t, c.author, ledgerapi.RegisterRecord, m)
		port := c.gateways[ledgertest.HospitalA].ledger
		port.fail(failing(ledgerapi.RegisterRecord, &emr.Error{Code: emr.CodeUnknownOutcome, TxID: "feed", Message: "not known yet"}))
		a := c.atAuthor.post("/v1/records", signed, api.UploadHeader, upload.ID)
		port.fail(nil)
		a.refused(t, emr.CodeUnknownOutcome)
		require.Equal(t, "feed", a.problem.TransactionID)
		c.atAuthor.do(http.MethodDelete, "/v1/uploads/"+upload.ID, nil, nil).refused(t, emr.CodeConflict)
		require.True(t, pinned(upload.CID))
		c.atAuthor.post("/v1/records", signed, api.UploadHeader, upload.ID).into(t, &ledgerapi.Receipt{})
		c.atAuthor.post("/v1/records", signed, api.UploadHeader, upload.ID).refused(t, emr.CodeExists)
	})
	t.Run("a content store that is down", func(t *testing.T) {
		hospital.SetDown(true)
		defer hospital.SetDown(false)
		c.atAuthor.do(http.MethodPost, "/v1/uploads", strings.NewReader("x"), nil).refused(t, emr.CodeUnavailable)
		ready := c.ready(t, ledgertest.HospitalA)
		require.False(t, ready.Ready)
	})
}

// cutShort announces more octets than it sends, and hangs up.
func (c *care) cutShort(t *testing.T, body []byte, announced int64) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	reader, writer := io.Pipe()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.atAuthor.node.url+"/v1/uploads", reader)
	require.NoError(t, err)
	request.ContentLength = announced
	request.Header.Set("Authorization", "Bearer "+c.atAuthor.token)
	done := make(chan error, 1)
	go func() {
		response, err := c.atAuthor.node.http.Do(request)
		if err == nil {
			_ = response.Body.Close()
		}
		done <- err
	}()
	_, err = writer.Write(body)
	require.NoError(t, err)
	cancel()
	_ = writer.CloseWithError(errors.New("hung up"))
	require.Error(t, <-done)
}

func (n *network) ready(t *testing.T, org emr.OrgID) api.Readiness {
	t.Helper()
	at := n.gateways[org]
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, at.url+"/readyz", nil)
	require.NoError(t, err)
	response, err := at.http.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	var ready api.Readiness
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.NoError(t, emr.Decode(body, &ready))
	require.Equal(t, ready.Ready, response.StatusCode == http.StatusOK)
	return ready
}

func TestReadiness(t *testing.T) {
	t.Parallel()
	n := newNetwork(t)
	require.True(t, n.ready(t, ledgertest.HospitalA).Ready)
	require.Len(t, n.ready(t, ledgertest.Regulator).Checks, 5, "the ledger and four organisations; no content")
	port := n.gateways[ledgertest.HospitalA].ledger
	port.fail(failing("reach:"+string(ledgertest.HospitalC), errDown))
	ready := n.ready(t, ledgertest.HospitalA)
	require.False(t, ready.Ready)
	for _, check := range ready.Checks {
		require.Equal(t, check.Name != "peers of HospitalCMSP", check.OK, check.Name)
		require.NotContains(t, check.Error, errDown.Error(), "causes stay inside")
	}
	port.fail(down)
	require.False(t, n.ready(t, ledgertest.HospitalA).Ready)
}

func TestTheSwarmKeepsEachRecordTwiceAndNothingElse(t *testing.T) {
	t.Parallel()
	c := newCare(t)
	orphan := c.atAuthor.upload([]byte("no record names this"))
	c.put(t)
	count := func(cid string) int {
		found := 0
		for _, node := range c.gateways {
			ok, err := node.store.Pinned(t.Context(), cid)
			require.NoError(t, err)
			if ok {
				found++
			}
		}
		return found
	}
	require.Eventually(t, func() bool { return count(c.manifest.CID) == 2 }, 5*time.Second, 5*time.Millisecond)
	require.Equal(t, 1, count(orphan.CID), "by the upload alone")
}

func TestAGatewayThatStopsFinishesWhatIsUnderWay(t *testing.T) {
	t.Parallel()
	c := newCare(t)
	storing := make(chan struct{}, 1)
	c.atAuthor.node.store.storing = storing
	reader, writer := io.Pipe()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, c.atAuthor.node.url+"/v1/uploads", reader)
	require.NoError(t, err)
	request.Header.Set("Authorization", "Bearer "+c.atAuthor.token)
	done := make(chan *answer, 1)
	go func() { done <- c.send(t, c.client(nil), request) }()
	half := bytes.Repeat([]byte("half"), 64<<10) // more than the client holds back
	_, err = writer.Write(half)
	require.NoError(t, err)
	<-storing
	stopped := make(chan struct{})
	go func() { defer close(stopped); c.atAuthor.node.stop() }()
	require.Eventually(t, func() bool {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(c.atAuthor.node.url, "https://"))
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	}, 5*time.Second, 5*time.Millisecond, "no new connections are taken")
	_, err = writer.Write(half)
	require.NoError(t, err)
	require.NoError(t, writer.Close())
	var upload api.Upload
	(<-done).into(t, &upload)
	require.Equal(t, emr.Digest(sha256.Sum256(append(half, half...))), upload.Digest)
	<-stopped
}

func TestNothingSensitiveIsLogged(t *testing.T) {
	t.Parallel()
	c := newCare(t)
	const sentinel = "SENTINEL-5f0e"
	c.put(t)
	c.give(t)
	ticket := c.disclose(t, emr.Permit)
	c.open(t, ticket.ID).into(t, &api.Opening{})
	c.atReader.get("/v1/disclosures/" + ticket.ID + "/content")
	c.atReader.post("/v1/requests", c.sign(t, c.reader, ledgerapi.RequestAccess, ledgerapi.RequestAccessArgs{
		Request: ledgertest.ID[emr.RequestID](emr.RequestPrefix), Record: c.manifest.Record, Purpose: emr.PurposeTreatment, Note: sentinel,
	})).into(t, &ledgerapi.DecisionReceipt{})
	c.atReader.do(http.MethodPost, "/v1/uploads", strings.NewReader(sentinel), nil)
	c.atReader.do(http.MethodPost, "/v1/records/search", strings.NewReader(`{"patient":"`+sentinel+`"}`), nil)
	c.atReader.get("/v1/records/" + sentinel)
	c.atReader.get("/v1/" + sentinel + "?" + sentinel + "=" + sentinel)
	c.atReader.do(http.MethodGet, "/v1/grants", nil, map[string]string{"Authorization": "Bearer " + sentinel, api.RequestIDHeader: sentinel + "/"})
	for _, port := range c.gateways {
		port.ledger.fail(down)
	}
	c.atReader.get("/v1/grants").refused(t, emr.CodeUnavailable)
	logs := c.logs.String()
	require.Contains(t, logs, `"op":"disclosure.open"`)
	for what, secret := range map[string]string{
		"a sentinel": sentinel, "a token": c.atReader.token, "the patient's pseudonym": string(c.patient.ID),
		"the patient's handle": string(c.patient.Handle), "a professional's id": string(c.reader.ID),
		"a record's id": string(c.manifest.Record), "a ticket": ticket.ID, "a content id": c.manifest.CID,
	} {
		require.NotContains(t, logs, secret, what)
	}
}
