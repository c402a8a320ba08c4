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
// issue its peers (blocks CERTIFICATE). They are trust anchors: a certificate must
// have been issued by one of them directly. Beside them may stand the organisation's
// revocation lists (blocks X509 CRL, RFC 5280 section 5), each signed by one of its
// authorities here. Its JSON is an object with sorted keys.
//
// Revocation means what it means to a Fabric peer (v3.1 msp/mspimplvalidate.go): who
// is on a list that is pinned counts for nothing, whatever was endorsed when; the
// date of an entry and the dates of the list do not matter, nor does a newer list
// that is not pinned. Other than a peer, which passes over a list that the issuer has
// not signed, this refuses it with everything else, as [Roots.Validate] says.
type Roots map[emr.OrgID]string

// Validate checks what a client is about to pin: that every organisation is
// named properly and has at least one certificate authority, that no
// authority's key stands for two organisations, which would let one of them
// speak for both, and that every revocation list can be read and is signed by an
// authority of its own organisation. The error is an invalid error.
func (r Roots) Validate() error {
	_, err := r.trusts()
	return err
}

// trusts returns what is pinned of each organisation.
func (r Roots) trusts() (map[emr.OrgID]*trust, error) {
	trusts := make(map[emr.OrgID]*trust, len(r))
	owner := make(map[string]emr.OrgID)
	for org, text := range r {
		if _, err := emr.ParseOrgID("roots", string(org)); err != nil {
			return nil, err
		}
		authorities, lists, err := parseRoots(text)
		if err != nil {
			return nil, err
		}
		if trusts[org], err = newTrust(authorities, lists); err != nil {
			return nil, err
		}
		for _, ca := range authorities {
			key := keyOf(ca)
			if other, taken := owner[key]; taken && other != org {
				return nil, emr.Invalid("roots", "two organisations have the key of one certificate authority")
			}
			owner[key] = org
		}
	}
	return trusts, nil
}

func parseRoots(text string) (authorities []*x509.Certificate, lists []*x509.RevocationList, err error) {
	rest := bytes.TrimSpace([]byte(text))
	for len(rest) > 0 {
		var block *pem.Block
		block, rest = pem.Decode(rest)
		rest = bytes.TrimSpace(rest)
		switch {
		case block != nil && block.Type == blockCertificate:
			ca, err := parseAuthority(block.Bytes)
			if err != nil {
				return nil, nil, err
			}
			authorities = append(authorities, ca)
		case block != nil && block.Type == blockRevocations:
			list, err := parseRevocations(block.Bytes)
			if err != nil {
				return nil, nil, err
			}
			lists = append(lists, list)
		default:
			return nil, nil, emr.Invalid("roots", "must be PEM certificates and revocation lists, and nothing else")
		}
	}
	if len(authorities) == 0 {
		return nil, nil, emr.Invalid("roots", "an organisation has no certificate authority")
	}
	return authorities, lists, nil
}

// Types of PEM blocks (RFC 7468).
const (
	blockCertificate = "CERTIFICATE"
	blockRevocations = "X509 CRL"
)

func parseAuthority(der []byte) (*x509.Certificate, error) {
	ca, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, &emr.Error{Code: emr.CodeInvalid, Field: "roots", Message: "certificate cannot be read", Err: err}
	}
	if !ca.BasicConstraintsValid || !ca.IsCA {
		return nil, emr.Invalid("roots", "certificate is not that of a certificate authority")
	}
	return ca, nil
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

// trusts returns what is pinned of the organisations that count.
func (p Policy) trusts() (map[emr.OrgID]*trust, error) {
	if p.Quorum < MinQuorum {
		return nil, emr.Invalid("quorum", fmt.Sprintf("must be at least %d organisations", MinQuorum))
	}
	if p.MaxAge <= 0 {
		return nil, emr.Invalid("maxAge", "must be positive")
	}
	trusts, err := p.Roots.trusts()
	if err != nil {
		return nil, err
	}
	for org := range trusts {
		if slices.Contains(p.Exclude, org) {
			delete(trusts, org)
		}
	}
	if len(trusts) < p.Quorum {
		return nil, emr.Invalid("quorum", "is more than the organisations that count")
	}
	return trusts, nil
}
