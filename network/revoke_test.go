// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package network

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/emr"
)

// issuer is a CA and what it issues.
type issuer struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func (i *issuer) issue(t *testing.T, serial int64) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "x"}, NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<32, 0),
		KeyUsage: x509.KeyUsageDigitalSignature,
	}
	parent, key := i.certificate, i.key
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	if parent == nil {
		template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign
		parent, key = template, own
		i.key = own
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &own.PublicKey, key)
	require.NoError(t, err)
	certificate, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return certificate
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	i := &issuer{}
	i.certificate = i.issue(t, 1)
	return i
}

func TestRevocationsNameCertificatesOfTheOwnCAAlone(t *testing.T) {
	t.Parallel()
	ca, other := newIssuer(t), newIssuer(t)
	text := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.certificate.Raw}))
	late, early := ca.issue(t, 0xfe), ca.issue(t, 0xab)
	args, err := revocation(text, []*x509.Certificate{late, early}, emr.RevokedCessation)
	require.NoError(t, err)
	require.Equal(t, emr.Digest(sha256.Sum256(ca.certificate.Raw)), args.Authority)
	require.Equal(t, "ab", args.Certificates[0].Serial)
	require.Equal(t, emr.Digest(sha256.Sum256(early.Raw)), args.Certificates[0].Digest)
	require.Equal(t, "fe", args.Certificates[1].Serial)
	_, err = revocation(text, []*x509.Certificate{early, other.issue(t, 0xac)}, emr.RevokedCessation)
	require.Equal(t, emr.CodeInvalid, emr.CodeOf(err), "%v", err)
	_, err = revocation("no PEM", []*x509.Certificate{early}, emr.RevokedCessation)
	require.Equal(t, emr.CodeCorrupt, emr.CodeOf(err), "%v", err)
}
