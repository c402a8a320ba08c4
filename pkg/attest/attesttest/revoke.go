// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package attesttest

import (
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"testing"
	"time"

	"github.com/hyperledger/fabric-protos-go-apiv2/msp"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/emrys-health/emrys/pkg/emr"
)

// Revoke signs a revocation list (PEM) of certificates, as Fabric CA does.
func (a *Authority) Revoke(tb testing.TB, now time.Time, certificates ...*x509.Certificate) string {
	tb.Helper()
	var entries []x509.RevocationListEntry
	for _, c := range certificates {
		entries = append(entries, x509.RevocationListEntry{SerialNumber: c.SerialNumber, RevocationTime: now})
	}
	return a.SignList(tb, &x509.RevocationList{
		Number: big.NewInt(1), ThisUpdate: now, NextUpdate: now.AddDate(0, 0, 1), RevokedCertificateEntries: entries,
	})
}

// SignList signs a revocation list and returns its PEM.
func (a *Authority) SignList(tb testing.TB, list *x509.RevocationList) string {
	tb.Helper()
	der, err := x509.CreateRevocationList(rand.Reader, list, a.Cert, a.Key)
	require.NoError(tb, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der}))
}

// Below makes an authority that this one certifies.
func (a *Authority) Below(tb testing.TB, now time.Time) *Authority {
	tb.Helper()
	key := NewKey(tb, elliptic.P256())
	return &Authority{Key: key, Cert: a.Certify(tb, now, key, func(c *x509.Certificate) {
		c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign
		c.Subject.CommonName += " below " + a.Cert.Subject.CommonName
	})}
}

// Certificate is what an endorser shows.
func (e *Endorser) Certificate(tb testing.TB) *x509.Certificate {
	tb.Helper()
	id := &msp.SerializedIdentity{}
	require.NoError(tb, proto.Unmarshal(e.ID, id))
	block, _ := pem.Decode(id.GetIdBytes())
	require.NotNil(tb, block)
	cert, err := x509.ParseCertificate(block.Bytes)
	require.NoError(tb, err)
	return cert
}

// Authority returns an organisation's authority, and its peer.
func (c *Consortium) Authority(org emr.OrgID) (*Authority, *Endorser) {
	c.tb.Helper()
	require.Contains(c.tb, c.authorities, org)
	return c.authorities[org], c.peers[org]
}
