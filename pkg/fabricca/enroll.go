// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package fabricca

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
)

// Attribute is a name and a value that the CA vouches for. Attributes with
// ECert set go into enrolment certificates without being asked for.
type Attribute struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	ECert bool   `json:"ecert,omitempty"`
}

// AttributeRequest asks for an attribute in a certificate. A certificate is
// refused when the identity does not own an attribute that is not Optional.
// Asking for any attribute replaces the default set.
type AttributeRequest struct {
	Name     string `json:"name"`
	Optional bool   `json:"optional,omitempty"`
}

// Registration describes an identity to be made known to the CA.
type Registration struct {
	ID   string // also the common name of its certificates
	Type string // client, admin, peer or orderer: becomes the OU
	// Affiliation is a path in the CA's affiliation tree; empty is the root.
	Affiliation string
	Attrs       []Attribute
	// MaxEnrollments is how often the secret may be used; -1 is without
	// limit and 0 leaves it to the CA.
	MaxEnrollments int
	// Secret is chosen by the CA when empty.
	Secret string
}

type registrationRequest struct {
	ID             string      `json:"id"`
	Type           string      `json:"type"`
	Secret         string      `json:"secret,omitempty"`
	MaxEnrollments int         `json:"max_enrollments,omitempty"`
	Affiliation    string      `json:"affiliation"`
	Attrs          []Attribute `json:"attrs,omitempty"`
	CAName         string      `json:"caname"`
}

// Register makes an identity known and returns its enrolment secret. The
// registrar's certificate must come from the same authority and carry the
// right to register the type and the attributes. An identity that exists is
// refused with an error for which [IsAlreadyRegistered] holds.
func (c *Client) Register(ctx context.Context, registrar crypto.Signer, registrarCertPEM []byte, r Registration) (secret string, err error) {
	if r.ID == "" || r.Type == "" {
		return "", errors.New("register: id and type are required")
	}
	body := registrationRequest{
		ID: r.ID, Type: r.Type, Secret: r.Secret, MaxEnrollments: r.MaxEnrollments,
		Affiliation: r.Affiliation, Attrs: r.Attrs, CAName: c.caName,
	}
	var result struct {
		Secret string `json:"secret"`
	}
	if err := c.post(ctx, "register", body, signWith(registrar, registrarCertPEM), &result); err != nil {
		return "", fmt.Errorf("register %s: %w", r.ID, err)
	}
	if result.Secret == "" {
		return "", fmt.Errorf("register %s: the CA returned no secret", r.ID)
	}
	return result.Secret, nil
}

type enrollmentRequest struct {
	CSR    string             `json:"certificate_request"`
	CAName string             `json:"caname"`
	Attrs  []AttributeRequest `json:"attr_reqs,omitempty"`
}

type enrollmentResponse struct {
	Cert       string     `json:"Cert"`
	ServerInfo serverInfo `json:"ServerInfo"`
}

type serverInfo struct {
	CAName  string `json:"CAName"`
	CAChain string `json:"CAChain"`
}

func (s serverInfo) chain(want string) ([]byte, error) {
	if s.CAName != want {
		return nil, fmt.Errorf("the answer comes from CA %q, not %q", s.CAName, want)
	}
	chain, err := base64.StdEncoding.DecodeString(s.CAChain)
	if err != nil {
		return nil, fmt.Errorf("decode CA chain: %w", err)
	}
	if _, err := parseCertificate(chain); err != nil {
		return nil, fmt.Errorf("parse CA chain: %w", err)
	}
	return chain, nil
}

// Enroll exchanges an enrolment secret and a certificate signing request (its
// common name must be id) for a certificate. It checks that the certificate
// is for the requested key and name and that it verifies under the returned
// chain. Trust in that chain comes from the TLS roots of the client.
func (c *Client) Enroll(ctx context.Context, id, secret string, csrPEM []byte, attrs ...AttributeRequest) (certPEM, caChainPEM []byte, err error) {
	basic := func(req *http.Request, _ []byte) error {
		req.SetBasicAuth(id, secret)
		return nil
	}
	certPEM, caChainPEM, err = c.issue(ctx, "enroll", csrPEM, attrs, basic)
	if err != nil {
		return nil, nil, fmt.Errorf("enrol %s: %w", id, err)
	}
	return certPEM, caChainPEM, nil
}

// Reenroll renews a certificate: the request is signed by the identity's
// present certificate and key. The signing request may hold the same key.
func (c *Client) Reenroll(ctx context.Context, signer crypto.Signer, presentCertPEM, csrPEM []byte, attrs ...AttributeRequest) (certPEM, caChainPEM []byte, err error) {
	certPEM, caChainPEM, err = c.issue(ctx, "reenroll", csrPEM, attrs, signWith(signer, presentCertPEM))
	if err != nil {
		return nil, nil, fmt.Errorf("renew certificate: %w", err)
	}
	return certPEM, caChainPEM, nil
}

func (c *Client) issue(ctx context.Context, endpoint string, csrPEM []byte, attrs []AttributeRequest, authorise func(*http.Request, []byte) error) ([]byte, []byte, error) {
	csr, err := parseRequest(csrPEM)
	if err != nil {
		return nil, nil, err
	}
	body := enrollmentRequest{CSR: string(csrPEM), CAName: c.caName, Attrs: attrs}
	var result enrollmentResponse
	if err := c.post(ctx, endpoint, body, authorise, &result); err != nil {
		return nil, nil, err
	}
	chain, err := result.ServerInfo.chain(c.caName)
	if err != nil {
		return nil, nil, err
	}
	certPEM, err := base64.StdEncoding.DecodeString(result.Cert)
	if err != nil {
		return nil, nil, fmt.Errorf("decode certificate: %w", err)
	}
	if err := checkIssued(certPEM, chain, csr); err != nil {
		return nil, nil, err
	}
	return certPEM, chain, nil
}

// checkIssued refuses a certificate that is not the one asked for.
func checkIssued(certPEM, chainPEM []byte, csr *x509.CertificateRequest) error {
	cert, err := parseCertificate(certPEM)
	if err != nil {
		return fmt.Errorf("parse certificate: %w", err)
	}
	if cert.Subject.CommonName != csr.Subject.CommonName {
		return fmt.Errorf("the certificate names %q, the request %q", cert.Subject.CommonName, csr.Subject.CommonName)
	}
	want, ok := csr.PublicKey.(*ecdsa.PublicKey)
	if !ok || !want.Equal(cert.PublicKey) {
		return errors.New("the certificate is for another key than the request's")
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(chainPEM)
	_, err = cert.Verify(x509.VerifyOptions{
		Roots:     roots,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
		// A certificate issued now is checked at its own start, so that a
		// clock some minutes behind the CA's does not refuse it.
		CurrentTime: cert.NotBefore,
	})
	if err != nil {
		return fmt.Errorf("verify certificate under the CA's chain: %w", err)
	}
	return nil
}

func parseCertificate(data []byte) (*x509.Certificate, error) {
	block, _ := pem.Decode(data)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, errors.New("no PEM certificate")
	}
	return x509.ParseCertificate(block.Bytes)
}

func parseRequest(data []byte) (*x509.CertificateRequest, error) {
	block, _ := pem.Decode(data)
	if block == nil || block.Type != "CERTIFICATE REQUEST" {
		return nil, errors.New("no PEM certificate request")
	}
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("parse certificate request: %w", err)
	}
	return csr, nil
}
