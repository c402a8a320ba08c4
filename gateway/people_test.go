// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package gateway_test

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/api"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
	"github.com/emrys-health/emrys/pkg/manifest"
	"github.com/emrys-health/emrys/pkg/pre"
)

// clientOU is the organisational unit of people.
const clientOU = "client"

// session is one person at one gateway.
type session struct {
	t     *testing.T
	net   *network
	node  *node
	token string
}

// answer is what a gateway answered.
type answer struct {
	status  int
	header  http.Header
	body    []byte
	problem api.Problem
}

// into decodes a successful answer.
func (a *answer) into(t *testing.T, target any) {
	t.Helper()
	require.Equal(t, http.StatusOK, a.status, "%s", a.body)
	require.NoError(t, json.Unmarshal(a.body, target))
}

// refused requires a problem with a code.
func (a *answer) refused(t *testing.T, code emr.Code) {
	t.Helper()
	require.Equal(t, code, a.problem.Code, "%d %s", a.status, a.body)
	require.Equal(t, a.status, a.problem.Status)
	require.Equal(t, "application/problem+json", a.header.Get("Content-Type"))
	require.Equal(t, a.header.Get(api.RequestIDHeader), a.problem.RequestID)
}

// person is somebody with a certificate and its key.
type person struct {
	id   string
	cert []byte // DER
	key  *pre.PrivateKey
}

// assertion makes a JWT; change may alter header and claims before it is signed.
func (n *network) assertion(t *testing.T, p person, audience string, change func(header, claims map[string]any)) string {
	t.Helper()
	id := make([]byte, 16)
	_, err := rand.Read(id)
	require.NoError(t, err)
	now := n.now().Unix()
	header := map[string]any{"alg": "ES256", "typ": "JWT", "x5c": []string{base64.StdEncoding.EncodeToString(p.cert)}}
	claims := map[string]any{
		"iss": p.id, "sub": p.id, "aud": audience, "jti": hex.EncodeToString(id), "iat": now, "exp": now + 120,
	}
	if change != nil {
		change(header, claims)
	}
	var parts []string
	for _, part := range []map[string]any{header, claims} {
		text, err := json.Marshal(part)
		require.NoError(t, err)
		parts = append(parts, base64.RawURLEncoding.EncodeToString(text))
	}
	input := strings.Join(parts, ".")
	digest := sha256.Sum256([]byte(input))
	signature, err := pre.SignP256(nil, p.key.Signer(), digest[:])
	require.NoError(t, err)
	return input + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// exchange asks for a token.
func (n *network) exchange(t *testing.T, at *node, assertion string) *answer {
	t.Helper()
	form := url.Values{
		"grant_type": {"client_credentials"}, "client_assertion_type": {api.AssertionType}, "client_assertion": {assertion},
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, at.url+"/v1/token", strings.NewReader(form.Encode()))
	require.NoError(t, err)
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return n.send(t, at.http, request)
}

func (n *network) send(t *testing.T, client *http.Client, request *http.Request) *answer {
	t.Helper()
	response, err := client.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	a := &answer{status: response.StatusCode, header: response.Header, body: body}
	if response.StatusCode >= http.StatusBadRequest {
		require.NoError(t, json.Unmarshal(body, &a.problem), "%s", body)
	}
	return a
}

// login signs a person in at a gateway.
func (n *network) login(t *testing.T, p person, org emr.OrgID) *session {
	t.Helper()
	at := n.gateways[org]
	var token api.TokenResponse
	n.exchange(t, at, n.assertion(t, p, at.url+"/v1/token", nil)).into(t, &token)
	require.Equal(t, "Bearer", token.TokenType)
	require.Equal(t, 600, token.ExpiresIn)
	return &session{t: t, net: n, node: at, token: token.AccessToken}
}

// do sends a request with the token.
func (s *session) do(method, path string, body io.Reader, header map[string]string) *answer {
	s.t.Helper()
	request, err := http.NewRequestWithContext(s.t.Context(), method, s.node.url+path, body)
	require.NoError(s.t, err)
	request.Header.Set("Authorization", "Bearer "+s.token)
	for name, value := range header {
		request.Header.Set(name, value)
	}
	return s.net.send(s.t, s.node.http, request)
}

func (s *session) get(path string) *answer { return s.do(http.MethodGet, path, nil, nil) }

// post sends a JSON body.
func (s *session) post(path string, body any, header ...string) *answer {
	s.t.Helper()
	text, err := emr.Canonical(body)
	require.NoError(s.t, err)
	fields := map[string]string{"Content-Type": "application/json"}
	for i := 0; i+1 < len(header); i += 2 {
		fields[header[i]] = header[i+1]
	}
	return s.do(http.MethodPost, path, bytes.NewReader(text), fields)
}

// upload stores content.
func (s *session) upload(content []byte) api.Upload {
	s.t.Helper()
	var upload api.Upload
	s.do(http.MethodPost, "/v1/uploads", bytes.NewReader(content), nil).into(s.t, &upload)
	return upload
}

// sign signs an action under the lock of the network.
func (n *network) sign(t *testing.T, actor ledgertest.Actor, function string, args any) *emr.SignedAction {
	t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.Sign(t, actor, function, args)
}

// doctor makes a professional with a session, registered through the gateway.
func (n *network) doctor(t *testing.T, org emr.OrgID, role emr.Role) (*ledgertest.Clinician, *session) {
	t.Helper()
	d := n.NewClinician(t, org, ledgertest.Wish{Role: string(role), Level: string(emr.LevelPrivate), Unit: clientOU})
	s := n.login(t, clinicianPerson(d), org)
	s.post("/v1/clinicians", n.sign(t, d, ledgerapi.RegisterClinician, d.Args())).into(t, &ledgerapi.Receipt{})
	return d, s
}

func clinicianPerson(d *ledgertest.Clinician) person {
	return person{id: string(d.ID), cert: d.Cert.Raw, key: d.Key}
}

// newPatient makes a patient whose certificate is for a key of its own.
func (n *network) newPatient(t *testing.T, org emr.OrgID) (*ledgertest.Patient, person) {
	t.Helper()
	p := n.NewPatient(t, org)
	cert, key := p.Org.Issue(t, ledgertest.Wish{CN: string(p.ID), Role: string(emr.RolePatient), Unit: clientOU})
	p.Cert = cert
	return p, person{id: string(p.ID), cert: cert.Raw, key: key}
}

// patient makes a patient with a session, registered through the gateway.
func (n *network) patient(t *testing.T, org emr.OrgID) (*ledgertest.Patient, *session) {
	t.Helper()
	p, who := n.newPatient(t, org)
	s := n.login(t, who, org)
	s.post("/v1/patients", n.sign(t, p, ledgerapi.RegisterPatient, p.Args())).into(t, &ledgerapi.Receipt{})
	return p, s
}

// care is a patient of hospital A with a record by A's physician, and a physician
// at B who would like to read it.
type care struct {
	*network
	patient         *ledgertest.Patient
	author, reader  *ledgertest.Clinician
	atPatient       *session
	atAuthor        *session
	atReader        *session
	scope           *emr.Scope
	scopeKey        *pre.PrivateKey
	scopeSigner     *pre.PrivateKey
	manifest        *emr.Manifest
	content         []byte
	grant           emr.GrantID
	grantedFragment []emr.SealedFragment
}

func newCare(t *testing.T) *care {
	t.Helper()
	c := &care{network: newNetwork(t)}
	c.patient, c.atPatient = c.network.patient(t, ledgertest.HospitalA)
	c.author, c.atAuthor = c.doctor(t, ledgertest.HospitalA, emr.RolePhysician)
	c.reader, c.atReader = c.doctor(t, ledgertest.HospitalB, emr.RolePhysician)
	c.publish(t)
	c.atAuthor.post("/v1/relationships", c.sign(t, c.author, ledgerapi.ProposeRelationship,
		ledgerapi.ProposeRelationshipArgs{Patient: c.patient.Handle, Hospital: ledgertest.HospitalA})).into(t, &ledgerapi.Receipt{})
	c.atPatient.post("/v1/relationships/answer", c.sign(t, c.patient, ledgerapi.AnswerRelationship,
		ledgerapi.AnswerRelationshipArgs{Patient: c.patient.Handle, Hospital: ledgertest.HospitalA, Accept: true})).into(t, &ledgerapi.Receipt{})
	return c
}

func (c *care) publish(t *testing.T) {
	t.Helper()
	c.scopeKey, c.scopeSigner = ledgertest.NewKey(t), ledgertest.NewKey(t)
	scope := ledgertest.NewScope(t, emr.LevelPrivate)
	scope.Delegating, scope.Fragment = c.scopeKey.Public().Bytes(), c.scopeSigner.Public().Bytes()
	c.atPatient.post("/v1/scopes", c.sign(t, c.patient, ledgerapi.PublishScopes,
		ledgerapi.PublishScopesArgs{Patient: c.patient.Handle, Scopes: []ledgerapi.NewScope{scope}})).into(t, &ledgerapi.Receipt{})
	c.scope = &emr.Scope{
		V: emr.DocumentVersion, ID: scope.ID, Patient: c.patient.Handle, Epoch: scope.Epoch, Level: scope.Level,
		Delegating: scope.Delegating, Fragment: scope.Fragment, Published: c.Now,
	}
}

// describe makes the manifest of the content that an upload holds.
func (c *care) describe(t *testing.T, upload api.Upload) *emr.Manifest {
	t.Helper()
	m := c.Manifest(t, c.author, c.scope, emr.ClassMedicalImaging)
	m.CID, m.Digest, m.CipherSize = upload.CID, upload.Digest, upload.Size
	c.Complete(t, m, c.author, c.scope)
	return m
}

// plain is a content whose length is that of 1,000 octets sealed.
func newContent(t *testing.T) []byte {
	t.Helper()
	size, err := manifest.CipherSize(1000)
	require.NoError(t, err)
	content := make([]byte, size)
	_, err = rand.Read(content)
	require.NoError(t, err)
	return content
}

// put uploads content and registers its record.
func (c *care) put(t *testing.T) {
	t.Helper()
	c.content = newContent(t)
	upload := c.atAuthor.upload(c.content)
	c.manifest = c.describe(t, upload)
	c.atAuthor.post("/v1/records", c.sign(t, c.author, ledgerapi.RegisterRecord, c.manifest), api.UploadHeader, upload.ID).
		into(t, &ledgerapi.Receipt{})
}

// give grants the reader the record, with real fragments.
func (c *care) give(t *testing.T) {
	t.Helper()
	args := c.Grant(c.scope, c.reader, c.manifest.Record)
	hash, err := args.Terms.Hash()
	require.NoError(t, err)
	gateways := make([]string, len(args.Terms.Gateways))
	for i, id := range args.Terms.Gateways {
		gateways[i] = string(id)
	}
	fragments, err := pre.Rekey(nil, c.scopeKey, c.scopeSigner.Signer(), pre.RekeyParams{
		Grant: hash, Reader: c.reader.Reading.Public(), Gateways: gateways, Threshold: int(args.Terms.Threshold),
	})
	require.NoError(t, err)
	args.Fragments = nil
	for i, fragment := range fragments {
		sealed, err := pre.SealKeyFragment(c.Orgs[args.Terms.Gateways[i]].Proxy.Public(), fragment)
		require.NoError(t, err)
		args.Fragments = append(args.Fragments, emr.SealedFragment{
			Gateway: args.Terms.Gateways[i], Commitment: fragment.Commitment(), Sealed: sealed,
		})
	}
	c.atPatient.post("/v1/grants", c.sign(t, c.patient, ledgerapi.GrantAccess, args)).into(t, &ledgerapi.Receipt{})
	c.grant, c.grantedFragment = args.Terms.Grant, args.Fragments
}

// disclose begins a reading and requires the decision.
func (c *care) disclose(t *testing.T, want emr.Decision) ledgerapi.DecisionReceipt {
	t.Helper()
	var receipt ledgerapi.DecisionReceipt
	c.atReader.post("/v1/disclosures", c.sign(t, c.reader, ledgerapi.Disclose, ledgerapi.DiscloseArgs{
		Disclosure: ledgertest.ID[emr.DisclosureID](emr.DisclosurePrefix), Record: c.manifest.Record,
		Grant: c.grant, Purpose: emr.PurposeTreatment,
	})).into(t, &receipt)
	require.Equal(t, want, receipt.Decision, receipt.Reason)
	return receipt
}

// open presents a ticket.
func (c *care) open(t *testing.T, ticket string) *answer {
	t.Helper()
	return c.atReader.post("/v1/disclosures/open", c.sign(t, c.reader, ledgerapi.OpenTicket,
		ledgerapi.OpenTicketArgs{Disclosure: emr.DisclosureID(ticket)}))
}

// unlock opens the data key as the reader's device does, verifying everything.
func (c *care) unlock(t *testing.T, o *api.Opening) []byte {
	t.Helper()
	ctx, err := manifest.Context(ledgertest.Channel, c.manifest, &o.Manifest.Author, &o.Manifest.Scope).Hash()
	require.NoError(t, err)
	grant, err := o.Grant.Terms.Hash()
	require.NoError(t, err)
	request, err := o.Disclosure.Hash()
	require.NoError(t, err)
	params := pre.ReencryptParams{
		Delegating: c.scopeKey.Public(), Signer: c.scopeSigner.Public(), Reader: c.reader.Reading.Public(),
		Context: ctx, Grant: grant, Request: request,
	}
	capsule, err := pre.ParseCapsule(c.manifest.Capsule)
	require.NoError(t, err)
	envelope, err := pre.ParseEnvelope(c.manifest.Envelope)
	require.NoError(t, err)
	var fragments []*pre.CapsuleFragment
	var shares []pre.Share
	for _, f := range o.Fragments {
		fragment, err := pre.ParseCapsuleFragment(f.Capsule)
		require.NoError(t, err)
		fragments = append(fragments, fragment)
		sealed, ok := envelope.Shares.ShareOf(string(f.Gateway))
		require.True(t, ok)
		share, err := pre.OpenReSealedShare(c.reader.Hybrid, ctx, request, sealed, f.Share)
		require.NoError(t, err)
		shares = append(shares, share)
	}
	kPre, err := pre.Open(c.reader.Reading, capsule, int(o.Grant.Terms.Threshold), params, fragments)
	require.NoError(t, err)
	kShare, err := pre.CombineShares(int(c.manifest.Threshold), shares)
	require.NoError(t, err)
	key, err := pre.UnwrapKey(ctx, kShare, kPre, envelope.Wrapped)
	require.NoError(t, err)
	return key
}

// wait moves the clock of ledger and gateways.
func (n *network) wait(d time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.Wait(d)
}
