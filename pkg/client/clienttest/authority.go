// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package clienttest

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/subtle"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"math/big"
	"net/http"
	"strings"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jws"

	"github.com/emrys-health/emrys/pkg/api"
	"github.com/emrys-health/emrys/pkg/emr"
)

// authority is the enrolment endpoint of a Fabric CA.
func (w *World) authority(o *Org) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.Calls["ca.enroll"]++
		id, secret, _ := r.BasicAuth()
		m, known := o.secrets[id]
		if r.URL.Path != "/api/v1/enroll" || !known || m.used || subtle.ConstantTimeCompare([]byte(secret), []byte(m.secret)) != 1 {
			rw.WriteHeader(http.StatusUnauthorized)
			writeBody(rw, map[string]any{"success": false, "errors": []map[string]any{{"code": 20, "message": "Authentication failure"}}})
			return
		}
		var body struct {
			CSR string `json:"certificate_request"`
		}
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			rw.WriteHeader(http.StatusBadRequest)
			return
		}
		certificate, err := o.issue(body.CSR)
		if err != nil {
			rw.WriteHeader(http.StatusBadRequest)
			return
		}
		m.used = true
		o.secrets[id] = m
		chain := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: o.caCert.Raw})
		writeBody(rw, map[string]any{"success": true, "errors": []any{}, "result": map[string]any{
			"Cert":       base64.StdEncoding.EncodeToString(certificate),
			"ServerInfo": map[string]any{"CAName": "ca", "CAChain": base64.StdEncoding.EncodeToString(chain)},
		}})
	})
}

func (o *Org) issue(request string) ([]byte, error) {
	block, _ := pem.Decode([]byte(request))
	if block == nil {
		return nil, errors.New("no request")
	}
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: csr.Subject,
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(12 * time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, o.caCert, csr.PublicKey, o.caKey)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), nil
}

// caller is the person behind a token.
type caller struct {
	id      string
	role    emr.Role
	level   emr.Level
	org     emr.OrgID
	key     *ecdsa.PublicKey
	expires time.Time
}

func (c caller) isPatient() bool { return c.role == emr.RolePatient }

// token exchanges an assertion as api.TokenResponse documents it.
func (w *World) token(o *Org, r *http.Request) (any, error) {
	if r.FormValue("client_assertion_type") != api.AssertionType || r.FormValue("grant_type") != "client_credentials" {
		return nil, emr.E(emr.CodeInvalid, "form is not a token request")
	}
	who, id, err := o.judge(r.FormValue("client_assertion"))
	if err != nil {
		return nil, emr.Wrap(emr.CodeUnauthenticated, "assertion refused: "+err.Error(), err)
	}
	if w.assertions[id] {
		return nil, emr.E(emr.CodeUnauthenticated, "assertion was used before")
	}
	w.assertions[id] = true
	who.expires = time.Now().Add(w.TokenLife)
	token := randomHex(w.tb)
	o.tokens[token] = who
	return api.TokenResponse{AccessToken: token, TokenType: "Bearer", ExpiresIn: int(w.TokenLife / time.Second)}, nil
}

// judge verifies an assertion and returns its signer and id.
func (o *Org) judge(assertion string) (caller, string, error) {
	message, err := jws.Parse([]byte(assertion))
	if err != nil {
		return caller{}, "", err
	}
	chain, ok := message.Signatures()[0].ProtectedHeaders().X509CertChain()
	if !ok || chain.Len() != 1 {
		return caller{}, "", errors.New("no certificate")
	}
	raw, _ := chain.Get(0)
	der, err := base64.StdEncoding.DecodeString(string(raw))
	if err != nil {
		return caller{}, "", err
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return caller{}, "", err
	}
	if err := certificate.CheckSignatureFrom(o.caCert); err != nil {
		return caller{}, "", err
	}
	payload, err := jws.Verify([]byte(assertion), jws.WithKey(jwa.ES256(), certificate.PublicKey))
	if err != nil {
		return caller{}, "", err
	}
	return o.claims(certificate, payload)
}

func (o *Org) claims(certificate *x509.Certificate, payload []byte) (caller, string, error) {
	var c struct {
		Iss, Sub, Aud, Jti string
		Iat, Exp           int64
	}
	if err := json.Unmarshal(payload, &c); err != nil {
		return caller{}, "", err
	}
	now := time.Now().Unix()
	if c.Iss != c.Sub || c.Sub != certificate.Subject.CommonName || c.Aud != o.Gateway.URL+"/v1/token" || len(c.Jti) < 8 ||
		c.Exp <= now || c.Exp > now+300 || c.Iat > now+60 {
		return caller{}, "", errors.New("claims")
	}
	m := o.secrets[c.Sub]
	key, ok := certificate.PublicKey.(*ecdsa.PublicKey)
	if !ok {
		return caller{}, "", errors.New("key")
	}
	return caller{id: c.Sub, role: m.role, level: m.level, org: o.ID, key: key}, c.Jti, nil
}

// bearer returns the caller of a request.
func (w *World) bearer(o *Org, r *http.Request) (caller, error) {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	who, known := o.tokens[token]
	if !ok || !known || time.Now().After(who.expires) {
		return caller{}, emr.E(emr.CodeUnauthenticated, "the token is missing, unknown or expired")
	}
	return who, nil
}

func writeBody(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(body)
}
