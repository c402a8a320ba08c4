// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jws"

	"github.com/emrys-health/emrys/pkg/emr"
)

// Limits of an assertion.
const (
	maxAssertion     = 16 << 10 // bytes
	maxAssertionLife = 5 * time.Minute
	maxSkew          = time.Minute
	maxChain         = 4 // certificates
	minJTI, maxJTI   = 8, 128
)

// assertion is a client's JWT whose signature has been checked against the
// certificate that came with it. The certificate itself has not been judged yet.
type assertion struct {
	cert    *x509.Certificate
	subject string
	id      string
	expires time.Time
}

// claims of RFC 7523 section 3.
type claims struct {
	Issuer    string   `json:"iss"`
	Subject   string   `json:"sub"`
	Audience  audience `json:"aud"`
	ID        string   `json:"jti"`
	Expires   int64    `json:"exp"`
	Issued    int64    `json:"iat"`
	NotBefore int64    `json:"nbf"`
}

// audience is one text, or a list of them (RFC 7519 section 4.1.3).
type audience []string

// UnmarshalJSON reads either form.
func (a *audience) UnmarshalJSON(text []byte) error {
	var one string
	if err := json.Unmarshal(text, &one); err == nil {
		*a = audience{one}
		return nil
	}
	var many []string
	if err := json.Unmarshal(text, &many); err != nil {
		return fmt.Errorf("aud: %w", err)
	}
	*a = many
	return nil
}

// parseAssertion checks form, algorithm, signature and claims.
func parseAssertion(text, audience string, now time.Time) (*assertion, error) {
	if len(text) > maxAssertion || strings.Count(text, ".") != 2 {
		return nil, errors.New("assertion is not a compact JWS of at most 16 KiB")
	}
	cert, err := headerCertificate(text)
	if err != nil {
		return nil, err
	}
	payload, err := jws.Verify([]byte(text), jws.WithKey(jwa.ES256(), cert.PublicKey))
	if err != nil {
		return nil, errors.New("assertion's signature does not verify under its certificate")
	}
	var c claims
	if err := json.Unmarshal(payload, &c); err != nil {
		return nil, errors.New("assertion's claims cannot be read")
	}
	if err := c.check(audience, cert.Subject.CommonName, now); err != nil {
		return nil, err
	}
	return &assertion{cert: cert, subject: c.Subject, id: c.ID, expires: time.Unix(c.Expires, 0)}, nil
}

// protected is the part of a JWS header that is used here. Everything else that
// could name a key is ignored: the certificate is the only one.
type protected struct {
	Algorithm string   `json:"alg"`
	Critical  []string `json:"crit"`
	Chain     []string `json:"x5c"`
}

func headerCertificate(text string) (*x509.Certificate, error) {
	head, _, _ := strings.Cut(text, ".")
	raw, err := base64.RawURLEncoding.DecodeString(head)
	if err != nil {
		return nil, errors.New("assertion's header cannot be read")
	}
	var h protected
	if err := json.Unmarshal(raw, &h); err != nil {
		return nil, errors.New("assertion's header cannot be read")
	}
	switch {
	case h.Algorithm != "ES256":
		return nil, errors.New("assertion is not signed with ES256")
	case len(h.Critical) > 0:
		return nil, errors.New("assertion has critical extensions")
	case len(h.Chain) == 0 || len(h.Chain) > maxChain:
		return nil, errors.New("assertion has no certificate in x5c, or too many")
	}
	der, err := base64.StdEncoding.DecodeString(h.Chain[0])
	if err != nil {
		return nil, errors.New("assertion's certificate cannot be read")
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, errors.New("assertion's certificate cannot be read")
	}
	if key, ok := cert.PublicKey.(*ecdsa.PublicKey); !ok || key.Curve != elliptic.P256() {
		return nil, errors.New("assertion's certificate is not for a P-256 key")
	}
	return cert, nil
}

func (c *claims) check(audience, commonName string, now time.Time) error {
	switch {
	case c.Issuer != c.Subject || c.Subject != commonName || c.Subject == "":
		return errors.New("assertion's iss, sub and the certificate's common name differ")
	case !slices.Contains(c.Audience, audience):
		return errors.New("assertion is not for this gateway")
	case len(c.ID) < minJTI || len(c.ID) > maxJTI:
		return errors.New("assertion's jti must have 8 to 128 characters")
	}
	return c.checkTimes(now)
}

func (c *claims) checkTimes(now time.Time) error {
	expires, issued := time.Unix(c.Expires, 0), time.Unix(c.Issued, 0)
	switch {
	case c.Expires == 0 || !now.Before(expires):
		return errors.New("assertion has expired")
	case expires.After(now.Add(maxAssertionLife + maxSkew)):
		return errors.New("assertion's exp is more than five minutes ahead")
	case c.Issued == 0 || issued.After(now.Add(maxSkew)) || expires.Sub(issued) > maxAssertionLife || !issued.Before(expires):
		return errors.New("assertion's iat does not fit its exp and the clock")
	case c.NotBefore != 0 && time.Unix(c.NotBefore, 0).After(now.Add(maxSkew)):
		return errors.New("assertion is not valid yet")
	}
	return nil
}

// attributes reads the attributes that a Fabric CA has put into a certificate.
func attributes(cert *x509.Certificate) (role emr.Role, level emr.Level, err error) {
	oid := asn1.ObjectIdentifier{1, 2, 3, 4, 5, 6, 7, 8, 1}
	var found []byte
	for _, extension := range cert.Extensions {
		if !extension.Id.Equal(oid) {
			continue
		}
		if found != nil {
			return "", "", errors.New("certificate has its attributes twice")
		}
		found = extension.Value
	}
	var value struct {
		Attrs map[string]string `json:"attrs"`
	}
	if err := json.Unmarshal(found, &value); err != nil {
		return "", "", errors.New("certificate has no readable attributes")
	}
	role = emr.Role(value.Attrs[emr.AttributeRole])
	if text := value.Attrs[emr.AttributeLevel]; text != "" {
		if level, err = emr.ParseLevel(emr.AttributeLevel, text); err != nil {
			return "", "", errors.New("certificate names an unknown level")
		}
	}
	return role, level, nil
}
