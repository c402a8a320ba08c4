// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package fabricca_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/fabricca"
)

const caName = "ca-test"

// authority is a stand-in for the server: it speaks the same wire format and
// checks what the real one checks. Tests alter single answers.
type authority struct {
	t      *testing.T
	key    *ecdsa.PrivateKey
	cert   *x509.Certificate
	alter  func(map[string]any)       // changes a successful result
	forge  func(*x509.Certificate)    // changes a certificate before it is signed
	other  *authority                 // signs certificates in its place
	public any                        // is certified when not the request's key
	last   map[string]json.RawMessage // the body of the last request
	auth   func(*http.Request, []byte) bool
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	return key
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key := newKey(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: caName},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return &authority{t: t, key: key, cert: cert}
}

func certPEM(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func (a *authority) serve() *fabricca.Client {
	a.t.Helper()
	server := httptest.NewTLSServer(a)
	a.t.Cleanup(server.Close)
	client, err := fabricca.New(server.URL, certPEM(server.Certificate().Raw), caName)
	require.NoError(a.t, err)
	a.t.Cleanup(client.Close)
	return client
}

func (a *authority) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	a.last = nil
	_ = json.Unmarshal(body, &a.last)
	if a.auth != nil && !a.auth(r, body) {
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprint(w, `{"success":false,"errors":[{"code":20,"message":"Authentication failure"}]}`)
		return
	}
	info := map[string]any{"CAName": caName, "CAChain": base64.StdEncoding.EncodeToString(certPEM(a.cert.Raw))}
	var result map[string]any
	switch r.URL.Path {
	case "/api/v1/cainfo":
		result = info
	case "/api/v1/register":
		result = map[string]any{"secret": "s3cret"}
	default:
		result = map[string]any{"Cert": base64.StdEncoding.EncodeToString(a.issue(body)), "ServerInfo": info}
	}
	if a.alter != nil {
		a.alter(result)
	}
	w.WriteHeader(http.StatusCreated)
	_ = json.NewEncoder(w).Encode(map[string]any{"success": true, "result": result, "errors": []any{}})
}

func (a *authority) issue(body []byte) []byte {
	var request struct {
		CSR string `json:"certificate_request"`
	}
	require.NoError(a.t, json.Unmarshal(body, &request))
	block, _ := pem.Decode([]byte(request.CSR))
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	require.NoError(a.t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: csr.Subject,
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Minute),
	}
	if a.forge != nil {
		a.forge(template)
	}
	public := csr.PublicKey
	if a.public != nil {
		public = a.public
	}
	signer := a
	if a.other != nil {
		signer = a.other
	}
	der, err := x509.CreateCertificate(rand.Reader, template, signer.cert, public, signer.key)
	require.NoError(a.t, err)
	return certPEM(der)
}

func TestEnrollReturnsTheCertificateAndItsChain(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	a.auth = func(r *http.Request, _ []byte) bool {
		id, secret, ok := r.BasicAuth()
		return ok && id == "pat_1" && secret == "once"
	}
	key := newKey(t)
	csr, err := fabricca.NewRequest(key, "pat_1")
	require.NoError(t, err)
	cert, chain, err := a.serve().Enroll(t.Context(), "pat_1", "once", csr, fabricca.AttributeRequest{Name: "emrys.role"})
	require.NoError(t, err)
	require.Equal(t, certPEM(a.cert.Raw), chain)
	block, _ := pem.Decode(cert)
	parsed, err := x509.ParseCertificate(block.Bytes)
	require.NoError(t, err)
	require.True(t, key.PublicKey.Equal(parsed.PublicKey))
	require.JSONEq(t, `"ca-test"`, string(a.last["caname"]))
	require.JSONEq(t, `[{"name":"emrys.role"}]`, string(a.last["attr_reqs"]))
}

func TestEnrollRefusesWhatItDidNotAskFor(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*authority){
		"a certificate for another key":          func(a *authority) { a.public = &newKey(a.t).PublicKey },
		"a certificate with another name":        func(a *authority) { a.forge = func(c *x509.Certificate) { c.Subject.CommonName = "pat_2" } },
		"a certificate that the CA did not sign": func(a *authority) { a.other = newAuthority(a.t) },
		"another CA's answer": func(a *authority) {
			a.alter = func(r map[string]any) { r["ServerInfo"].(map[string]any)["CAName"] = "other" }
		},
		"no certificate":                   func(a *authority) { a.alter = func(r map[string]any) { delete(r, "Cert") } },
		"a certificate that is not base64": func(a *authority) { a.alter = func(r map[string]any) { r["Cert"] = "%%%" } },
		"a certificate that is none":       func(a *authority) { a.alter = func(r map[string]any) { r["Cert"] = "aGVsbG8=" } },
		"no chain": func(a *authority) {
			a.alter = func(r map[string]any) { r["ServerInfo"].(map[string]any)["CAChain"] = "" }
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAuthority(t)
			spoil(a)
			csr, err := fabricca.NewRequest(newKey(t), "pat_1")
			require.NoError(t, err)
			cert, chain, err := a.serve().Enroll(t.Context(), "pat_1", "once", csr)
			require.Error(t, err)
			require.Empty(t, cert)
			require.Empty(t, chain)
		})
	}
}

func TestEnrollDoesNotRepeatTheSecretInAnError(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	a.auth = func(*http.Request, []byte) bool { return false }
	csr, err := fabricca.NewRequest(newKey(t), "pat_1")
	require.NoError(t, err)
	_, _, err = a.serve().Enroll(t.Context(), "pat_1", "very-secret", csr)
	require.ErrorContains(t, err, "Authentication failure")
	require.NotContains(t, err.Error(), "very-secret")
	var refusal *fabricca.Error
	require.ErrorAs(t, err, &refusal)
	require.Equal(t, http.StatusUnauthorized, refusal.Status)
	require.Equal(t, 20, refusal.Code)
}

func TestEnrollRefusesASigningRequestThatIsNone(t *testing.T) {
	t.Parallel()
	for _, csr := range []string{"", "hello", string(certPEM([]byte("x")))} {
		_, _, err := newAuthority(t).serve().Enroll(t.Context(), "pat_1", "once", []byte(csr))
		require.Error(t, err)
	}
}

// validToken checks a request's token as fabric-ca's VerifyToken does.
func validToken(t *testing.T, r *http.Request, body, cert []byte, key *ecdsa.PublicKey) bool {
	t.Helper()
	b64 := base64.StdEncoding.EncodeToString
	presented, signature, ok := strings.Cut(r.Header.Get("Authorization"), ".")
	if !ok || presented != b64(cert) {
		return false
	}
	raw, err := base64.StdEncoding.DecodeString(signature)
	require.NoError(t, err)
	digest := sha256.Sum256([]byte(r.Method + "." + b64([]byte(r.URL.RequestURI())) + "." + b64(body) + "." + presented))
	var parts struct{ R, S *big.Int }
	_, err = asn1.Unmarshal(raw, &parts)
	require.NoError(t, err)
	low := parts.S.Cmp(new(big.Int).Rsh(key.Params().N, 1)) <= 0
	return low && ecdsa.VerifyASN1(key, digest[:], raw)
}

func TestRegisterSignsItsRequestWithALowS(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	registrar, cert := newKey(t), []byte("-----BEGIN CERTIFICATE-----\n")
	a.auth = func(r *http.Request, body []byte) bool { return validToken(t, r, body, cert, &registrar.PublicKey) }
	client := a.serve()
	for range 16 { // half of all signatures have a high s
		secret, err := client.Register(t.Context(), registrar, cert, fabricca.Registration{
			ID: "cli_1", Type: "client", MaxEnrollments: 1,
			Attrs: []fabricca.Attribute{{Name: "emrys.role", Value: "nurse", ECert: true}},
		})
		require.NoError(t, err)
		require.Equal(t, "s3cret", secret)
	}
	require.JSONEq(t, `1`, string(a.last["max_enrollments"]))
	require.JSONEq(t, `[{"name":"emrys.role","value":"nurse","ecert":true}]`, string(a.last["attrs"]))
	_, err := client.Register(t.Context(), newKey(t), cert, fabricca.Registration{ID: "cli_1", Type: "client"})
	require.Error(t, err, "another key's signature must be refused by the check above")
}

func TestRegisterRefusesIncompleteCalls(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	client := a.serve()
	_, err := client.Register(t.Context(), newKey(t), nil, fabricca.Registration{Type: "client"})
	require.Error(t, err)
	_, err = client.Register(t.Context(), newKey(t), nil, fabricca.Registration{ID: "x"})
	require.Error(t, err)
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	require.NoError(t, err)
	_, err = client.Register(t.Context(), p384, nil, fabricca.Registration{ID: "x", Type: "client"})
	require.ErrorContains(t, err, "P-256")
	a.alter = func(r map[string]any) { r["secret"] = "" }
	_, err = client.Register(t.Context(), newKey(t), nil, fabricca.Registration{ID: "x", Type: "client"})
	require.ErrorContains(t, err, "no secret")
}

func TestAlreadyRegisteredIsTold(t *testing.T) {
	t.Parallel()
	require.True(t, fabricca.IsAlreadyRegistered(fmt.Errorf("wrapped: %w", &fabricca.Error{Status: 409, Code: 74})))
	require.False(t, fabricca.IsAlreadyRegistered(&fabricca.Error{Status: 401, Code: 20}))
	require.False(t, fabricca.IsAlreadyRegistered(nil))
}

func TestReenrollIsSignedByThePresentCertificate(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	key, cert := newKey(t), []byte("present certificate")
	a.auth = func(r *http.Request, body []byte) bool {
		return r.URL.Path == "/api/v1/reenroll" && validToken(t, r, body, cert, &key.PublicKey)
	}
	csr, err := fabricca.NewRequest(key, "peer0")
	require.NoError(t, err)
	_, _, err = a.serve().Reenroll(t.Context(), key, cert, csr)
	require.NoError(t, err)
}

func TestInfoReturnsTheChain(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	chain, err := a.serve().Info(t.Context())
	require.NoError(t, err)
	require.Equal(t, certPEM(a.cert.Raw), chain)
}

func TestNewRefusesWhatCannotBeTrusted(t *testing.T) {
	t.Parallel()
	roots := certPEM(newAuthority(t).cert.Raw)
	for name, try := range map[string]struct {
		url, ca string
		roots   []byte
	}{
		"plain HTTP":         {"http://127.0.0.1:1", "ca", roots},
		"a path":             {"https://127.0.0.1:1/api", "ca", roots},
		"credentials":        {"https://user:secret@127.0.0.1:1", "ca", roots},
		"no host":            {"https://", "ca", roots},
		"no CA name":         {"https://127.0.0.1:1", "", roots},
		"no roots":           {"https://127.0.0.1:1", "ca", nil},
		"roots that are not": {"https://127.0.0.1:1", "ca", []byte("hello")},
		"an unparsable URL":  {"https://%zz", "ca", roots},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := fabricca.New(try.url, try.roots, try.ca)
			require.Error(t, err)
			require.NotContains(t, err.Error(), "secret")
		})
	}
}

func TestAServerUnderAnotherRootIsRefused(t *testing.T) {
	t.Parallel()
	server := httptest.NewTLSServer(newAuthority(t))
	t.Cleanup(server.Close)
	client, err := fabricca.New(server.URL, certPEM(newAuthority(t).cert.Raw), caName)
	require.NoError(t, err)
	_, err = client.Info(t.Context())
	require.ErrorContains(t, err, "certificate")
}

func TestACancelledCallEnds(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := newAuthority(t).serve().Info(ctx)
	require.ErrorIs(t, err, context.Canceled)
}

func TestAnswersThatAreNotTheServersAreRefused(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]string{
		"HTML":             "<html>proxy error</html>",
		"nothing":          "",
		"failure with 200": `{"success":false,"errors":[]}`,
		"an empty result":  `{"success":true}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				_, _ = io.WriteString(w, answer)
			}))
			t.Cleanup(server.Close)
			client, err := fabricca.New(server.URL, certPEM(server.Certificate().Raw), caName)
			require.NoError(t, err)
			_, err = client.Info(t.Context())
			require.Error(t, err)
		})
	}
}

func TestNewRequestNamesHostsByTheirKind(t *testing.T) {
	t.Parallel()
	var signer crypto.Signer = newKey(t)
	raw, err := fabricca.NewRequest(signer, "node", "peer0.hospa", "127.0.0.1", "::1")
	require.NoError(t, err)
	block, _ := pem.Decode(raw)
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	require.NoError(t, err)
	require.NoError(t, csr.CheckSignature())
	require.Equal(t, []string{"peer0.hospa"}, csr.DNSNames)
	require.Len(t, csr.IPAddresses, 2)
}
