// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package fabricca

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
)

// NewRequest makes a PEM certificate signing request for a P-256 key: common
// name id and, for a TLS server, the hosts (names or IP addresses) it answers to.
func NewRequest(signer crypto.Signer, id string, hosts ...string) ([]byte, error) {
	template := &x509.CertificateRequest{
		Subject:            pkix.Name{CommonName: id},
		SignatureAlgorithm: x509.ECDSAWithSHA256,
	}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, template, signer)
	if err != nil {
		return nil, fmt.Errorf("sign certificate request: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}), nil
}

// signWith authorises a request with fabric-ca's token: the certificate and a
// signature over method, URI, body and certificate, each in base64.
func signWith(signer crypto.Signer, certPEM []byte) func(*http.Request, []byte) error {
	return func(req *http.Request, body []byte) error {
		token, err := newToken(signer, certPEM, req.Method, req.URL.RequestURI(), body)
		if err != nil {
			return err
		}
		req.Header.Set("Authorization", token)
		return nil
	}
}

func newToken(signer crypto.Signer, certPEM []byte, method, uri string, body []byte) (string, error) {
	public, ok := signer.Public().(*ecdsa.PublicKey)
	if !ok || public.Curve != elliptic.P256() {
		return "", errors.New("sign CA request: want a P-256 key")
	}
	b64 := base64.StdEncoding.EncodeToString
	cert := b64(certPEM)
	digest := sha256.Sum256([]byte(method + "." + b64([]byte(uri)) + "." + b64(body) + "." + cert))
	signature, err := signer.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		return "", fmt.Errorf("sign CA request: %w", err)
	}
	signature, err = lowS(signature, public.Curve.Params().N)
	if err != nil {
		return "", fmt.Errorf("sign CA request: %w", err)
	}
	return cert + "." + b64(signature), nil
}

// lowS rewrites an ASN.1 ECDSA signature so that s is at most half the group
// order, the only form Fabric accepts. Both forms are public and valid for
// the same message, so big.Int's variable time reveals nothing.
func lowS(signature []byte, order *big.Int) ([]byte, error) {
	var parts struct{ R, S *big.Int }
	rest, err := asn1.Unmarshal(signature, &parts)
	if err != nil || len(rest) != 0 {
		return nil, errors.New("malformed ECDSA signature")
	}
	half := new(big.Int).Rsh(order, 1)
	if parts.S.Cmp(half) > 0 {
		parts.S.Sub(order, parts.S)
	}
	return asn1.Marshal(parts)
}
