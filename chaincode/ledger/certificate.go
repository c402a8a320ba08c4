// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"slices"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/pre"
)

// maxCertificate bounds a PEM certificate in bytes.
const maxCertificate = 16 << 10

// adminUnit is the organisational unit by which Fabric's NodeOUs mark an administrator.
const adminUnit = "admin"

// attributeOID is the certificate extension in which Fabric CA writes attributes
// (fabric-ca, "Attribute-Based Access Control").
func attributeOID() asn1.ObjectIdentifier { return asn1.ObjectIdentifier{1, 2, 3, 4, 5, 6, 7, 8, 1} }

// parseCertificate reads exactly one PEM certificate and nothing else.
func parseCertificate(field, text string) (*x509.Certificate, error) {
	if len(text) > maxCertificate {
		return nil, &emr.Error{Code: emr.CodeTooLarge, Field: field, Message: "certificate is larger than 16 KiB"}
	}
	block, rest := pem.Decode([]byte(text))
	if block == nil || block.Type != "CERTIFICATE" || len(bytes.TrimSpace(rest)) != 0 {
		return nil, emr.Invalid(field, "must be one PEM certificate")
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, &emr.Error{Code: emr.CodeInvalid, Field: field, Message: "is not an X.509 certificate", Err: err}
	}
	return certificate, nil
}

// attribute returns the value that a certificate's issuer asserts under name, or
// "" when it asserts none.
func attribute(certificate *x509.Certificate, name string) (string, error) {
	var found []byte
	for _, extension := range certificate.Extensions {
		if !extension.Id.Equal(attributeOID()) {
			continue
		}
		if found != nil {
			return "", emr.Invalid("certificate", "has two extensions of attributes")
		}
		found = extension.Value
	}
	if found == nil {
		return "", nil
	}
	var attributes struct {
		Values map[string]string `json:"attrs"`
	}
	if err := json.Unmarshal(found, &attributes); err != nil {
		return "", &emr.Error{Code: emr.CodeInvalid, Field: "certificate", Message: "attributes cannot be read", Err: err}
	}
	return attributes.Values[name], nil
}

// checkIssued checks that a certificate was issued by an organisation's CA and
// that both are valid at the time now.
func checkIssued(field string, certificate *x509.Certificate, org *emr.Organisation, now emr.Time) error {
	authority, err := parseCertificate("caCert", org.CACert)
	if err != nil {
		return fmt.Errorf("ledger: stored CA certificate cannot be read: %s", err.Error())
	}
	if err := certificate.CheckSignatureFrom(authority); err != nil {
		return &emr.Error{
			Code: emr.CodeForbidden, Field: field, Message: "certificate was not issued by the organisation's CA", Err: err,
		}
	}
	if !validAt(certificate, now) || !validAt(authority, now) {
		return &emr.Error{Code: emr.CodeForbidden, Field: field, Message: "certificate is expired or not valid yet"}
	}
	return nil
}

// validAt tells whether now lies in the certificate's validity, the end excluded.
func validAt(certificate *x509.Certificate, now emr.Time) bool {
	return emr.TimeOf(certificate.NotBefore) <= now && now < emr.TimeOf(certificate.NotAfter)
}

// checkAuthority checks that a certificate is a CA's and issued the caller's.
func checkAuthority(authority *x509.Certificate, caller *Caller) error {
	if !authority.BasicConstraintsValid || !authority.IsCA {
		return emr.Invalid("caCert", "is not the certificate of a CA")
	}
	if err := caller.Certificate.CheckSignatureFrom(authority); err != nil {
		return &emr.Error{Code: emr.CodeForbidden, Field: "caCert", Message: "did not issue the caller's certificate", Err: err}
	}
	return nil
}

// isAdmin tells whether the caller's MSP calls it an administrator.
func (c *Caller) isAdmin() bool {
	return slices.Contains(c.Certificate.Subject.OrganizationalUnit, adminUnit)
}

// checkCaller refuses a caller without an X.509 certificate or a usable MSP id.
func checkCaller(s Lookup) (*Caller, error) {
	caller := s.Caller()
	if caller == nil || caller.Certificate == nil {
		return nil, emr.E(emr.CodeUnauthenticated, "caller has no X.509 certificate")
	}
	if _, err := emr.ParseOrgID("caller", string(caller.MSP)); err != nil {
		return nil, emr.E(emr.CodeUnauthenticated, "caller's MSP id is not usable")
	}
	return caller, nil
}

// requireAdmin returns the caller, who must be an administrator of its MSP.
func requireAdmin(s Lookup) (*Caller, error) {
	caller, err := checkCaller(s)
	if err != nil {
		return nil, err
	}
	if !caller.isAdmin() {
		return nil, emr.E(emr.CodeForbidden, "caller is not an administrator of its organisation")
	}
	return caller, checkNotRevoked(s, "caller", caller.MSP, caller.Certificate)
}

// requireGateway returns the organisation whose gateway the caller is. Anything
// but a certificate that a registered organisation marks as its gateway is forbidden.
func requireGateway(s Lookup) (*emr.Organisation, error) {
	caller, err := checkCaller(s)
	if err != nil {
		return nil, err
	}
	role, err := attribute(caller.Certificate, emr.AttributeRole)
	if err != nil {
		return nil, err
	}
	if emr.Role(role) != emr.RoleGateway {
		return nil, emr.E(emr.CodeForbidden, "caller is not a gateway")
	}
	org, err := organisation(s, caller.MSP)
	if err != nil {
		return nil, err
	}
	if org == nil || !org.Kind.MayAssert(emr.RoleGateway) {
		return nil, emr.E(emr.CodeForbidden, "caller's organisation is not registered")
	}
	if org.Removed != 0 {
		return nil, emr.E(emr.CodeForbidden, "the members have removed the caller's organisation")
	}
	return org, checkNotRevoked(s, "caller", org.ID, caller.Certificate)
}

// signingKey returns the certificate's key as a pinned key. It must be on P-256.
func signingKey(certificate *x509.Certificate) (emr.PinnedKey, error) {
	key, err := pre.PublicKeyOf(certificate.PublicKey)
	if err != nil {
		return emr.PinnedKey{}, &emr.Error{
			Code: emr.CodeUnsupported, Field: "certificate", Message: "certificate's key is not on P-256", Err: err,
		}
	}
	return emr.PinnedKey{Kind: emr.SignatureP256, Key: key.Bytes()}, nil
}
