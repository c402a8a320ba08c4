// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledgermodel

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"slices"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// Revocation of certificates. Those of gateways are not drawn: an organisation
// without one does nothing any more.

// certificate names a certificate as revocations do.
func (m *Model) certificate(text string) ledgerapi.Certificate {
	block, _ := pem.Decode([]byte(text))
	parsed, err := x509.ParseCertificate(block.Bytes)
	require.NoError(m.t, err)
	return ledgerapi.Certificate{Serial: parsed.SerialNumber.Text(16), Digest: sha256.Sum256(block.Bytes)}
}

func (m *Model) drawRevokeCertificates() *step {
	c := pick(m, knownClinicians(m), "professional")
	if m.mostly(12, "none of the first") {
		c = m.clinicians[len(m.clinicians)-1]
	}
	if len(m.inspections) > 0 && m.seldom(4, "an inspector's") {
		c = m.inspections[len(m.inspections)-1].by
	}
	by := m.orgs[c.org]
	if m.seldom(5, "another organisation") {
		by = m.orgs[pick(m, m.orgIDs, "organisation")]
	}
	cert := c.cert
	args := ledgerapi.RevokeCertificatesArgs{Authority: authorityOf(by), Ground: emr.RevokedKeyCompromise}
	s := m.order(ledgerapi.RevokeCertificates, by.id, nil)
	switch m.c.Choose(8, "what") {
	case 5:
		other := m.orgs[pick(m, m.orgIDs, "whose authority")]
		args.Authority = authorityOf(other)
		s.fault(other != by, emr.CodeForbidden)
	case 6:
		args.Ground = "for now"
		s.fault(true, emr.CodeInvalid)
	case 7:
		cert.Serial = "0" + cert.Serial
		s.fault(true, emr.CodeInvalid)
	}
	args.Certificates = []ledgerapi.Certificate{cert}
	s.args = args
	s.fault(!c.registered, emr.CodeInvalid)
	name := string(by.id) + cert.Serial
	s.fault(slices.Contains(m.void, name), emr.CodeExists)
	s.event = ledgerapi.EventCertificatesRevoked
	s.then = func(*answer) []emr.AuditEntry {
		m.void = append(m.void, name)
		c.revoked = c.revoked || by.id == c.org
		m.urge = func() *step { return m.readAgain(func(g *grant) bool { return g.to == c }) }
		return nil
	}
	return s
}
