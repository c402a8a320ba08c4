// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package attest

import (
	"bytes"
	"crypto/x509"
	"slices"

	"github.com/emrys-health/emrys/pkg/emr"
)

// trust is what is pinned of one organisation.
type trust struct {
	anchors *x509.CertPool
	// revoked holds the serial numbers that an authority has revoked, by its key.
	revoked map[string]map[string]bool
	// withdrawn holds the pinned authorities (DER) that another pinned one has revoked,
	// or one above it.
	withdrawn map[string]bool
}

// newTrust joins an organisation's authorities and their revocation lists. A list
// that none of them has signed is refused: to leave it out would believe somebody
// whose certificate was meant to be revoked.
func newTrust(authorities []*x509.Certificate, lists []*x509.RevocationList) (*trust, error) {
	t := &trust{anchors: x509.NewCertPool(), revoked: map[string]map[string]bool{}, withdrawn: map[string]bool{}}
	for _, ca := range authorities {
		t.anchors.AddCert(ca)
	}
	for _, list := range lists {
		at := slices.IndexFunc(authorities, func(ca *x509.Certificate) bool { return list.CheckSignatureFrom(ca) == nil })
		if at < 0 {
			return nil, emr.Invalid("roots", "a revocation list is not signed by an authority of its organisation")
		}
		key := keyOf(authorities[at])
		if t.revoked[key] == nil {
			t.revoked[key] = map[string]bool{}
		}
		for _, entry := range list.RevokedCertificateEntries {
			t.revoked[key][entry.SerialNumber.String()] = true
		}
	}
	t.withdraw(authorities)
	return t, nil
}

// withdraw finds the authorities that others have revoked, and from them those that
// they have issued. An authority that signed itself is not asked about itself: it is
// trusted because it is pinned.
func (t *trust) withdraw(authorities []*x509.Certificate) {
	for found := true; found; {
		found = false
		for _, ca := range authorities {
			if !t.withdrawn[string(ca.Raw)] && slices.ContainsFunc(authorities, func(issuer *x509.Certificate) bool {
				return keyOf(issuer) != keyOf(ca) && t.ends(ca, issuer) && ca.CheckSignatureFrom(issuer) == nil
			}) {
				t.withdrawn[string(ca.Raw)], found = true, true
			}
		}
	}
}

// ends tells whether a certificate is worth nothing if it was issued by that authority.
func (t *trust) ends(cert, issuer *x509.Certificate) bool {
	return t.withdrawn[string(issuer.Raw)] || t.revoked[keyOf(issuer)][cert.SerialNumber.String()]
}

// check refuses a certificate that is revoked in any of its chains, each of which is
// the certificate and its pinned issuer.
func (t *trust) check(chains [][]*x509.Certificate) error {
	for _, chain := range chains {
		for i, cert := range chain[:len(chain)-1] {
			if t.withdrawn[string(chain[i+1].Raw)] {
				return corrupt("endorser's certificate was issued by an authority that is revoked")
			}
			if t.ends(cert, chain[i+1]) {
				return corrupt("endorser's certificate is revoked")
			}
		}
	}
	return nil
}

// keyOf names an authority by its key: of two certificates of one key, a renewed one
// for example, each stands for the same serial numbers.
func keyOf(ca *x509.Certificate) string { return string(ca.RawSubjectPublicKeyInfo) }

func parseRevocations(der []byte) (*x509.RevocationList, error) {
	list, err := x509.ParseRevocationList(der)
	if err != nil {
		return nil, &emr.Error{Code: emr.CodeInvalid, Field: "roots", Message: "revocation list cannot be read", Err: err}
	}
	if !bytes.Equal(list.Raw, der) {
		return nil, emr.Invalid("roots", "revocation list has something behind it")
	}
	return list, nil
}
