// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package attest

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"slices"
	"time"

	"github.com/emrys-health/emrys/pkg/emr"
)

// MinQuorum is the least number of organisations that a [Policy] may ask for:
// with one, the organisation of the gateway could answer alone.
const MinQuorum = 2

// Roots pins, per organisation, the PEM of the certificate authorities that may
// issue its peers. They are trust anchors: a certificate must have been issued
// by one of them directly. Its JSON is an object with sorted keys.
type Roots map[emr.OrgID]string

// Validate checks what a client is about to pin: that every organisation is
// named properly and has at least one certificate authority, and that no
// authority's key stands for two organisations, which would let one of them
// speak for both. The error is an invalid error.
func (r Roots) Validate() error {
	_, err := r.pools()
	return err
}

// pools returns the trust anchors of each organisation.
func (r Roots) pools() (map[emr.OrgID]*x509.CertPool, error) {
	pools := make(map[emr.OrgID]*x509.CertPool, len(r))
	owner := make(map[string]emr.OrgID)
	for org, text := range r {
		if _, err := emr.ParseOrgID("roots", string(org)); err != nil {
			return nil, err
		}
		authorities, err := parseAuthorities(text)
		if err != nil {
			return nil, err
		}
		pools[org] = x509.NewCertPool()
		for _, ca := range authorities {
			key := string(ca.RawSubjectPublicKeyInfo)
			if other, taken := owner[key]; taken && other != org {
				return nil, emr.Invalid("roots", "two organisations have the key of one certificate authority")
			}
			owner[key] = org
			pools[org].AddCert(ca)
		}
	}
	return pools, nil
}

func parseAuthorities(text string) ([]*x509.Certificate, error) {
	var authorities []*x509.Certificate
	rest := bytes.TrimSpace([]byte(text))
	for len(rest) > 0 {
		var block *pem.Block
		block, rest = pem.Decode(rest)
		if block == nil || block.Type != "CERTIFICATE" {
			return nil, emr.Invalid("roots", "must be PEM certificates and nothing else")
		}
		rest = bytes.TrimSpace(rest)
		ca, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, &emr.Error{Code: emr.CodeInvalid, Field: "roots", Message: "certificate cannot be read", Err: err}
		}
		if !ca.BasicConstraintsValid || !ca.IsCA {
			return nil, emr.Invalid("roots", "certificate is not that of a certificate authority")
		}
		authorities = append(authorities, ca)
	}
	if len(authorities) == 0 {
		return nil, emr.Invalid("roots", "an organisation has no certificate authority")
	}
	return authorities, nil
}

// Policy is what a client asks of an attestation.
type Policy struct {
	// Roots are the organisations that count, with what they are known by.
	Roots Roots
	// Quorum is how many distinct organisations must have endorsed: MinQuorum or more.
	Quorum int
	// Exclude lists organisations that do not count although they are pinned, for
	// example that of the gateway that was asked.
	Exclude []emr.OrgID
	// MaxAge is how far the proposal's timestamp may lie from now, either way. It
	// must be positive.
	MaxAge time.Duration
}

// anchors returns the trust anchors of the organisations that count.
func (p Policy) anchors() (map[emr.OrgID]*x509.CertPool, error) {
	if p.Quorum < MinQuorum {
		return nil, emr.Invalid("quorum", fmt.Sprintf("must be at least %d organisations", MinQuorum))
	}
	if p.MaxAge <= 0 {
		return nil, emr.Invalid("maxAge", "must be positive")
	}
	pools, err := p.Roots.pools()
	if err != nil {
		return nil, err
	}
	for org := range pools {
		if slices.Contains(p.Exclude, org) {
			delete(pools, org)
		}
	}
	if len(pools) < p.Quorum {
		return nil, emr.Invalid("quorum", "is more than the organisations that count")
	}
	return pools, nil
}
