// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

// Package attesttest makes attestations for tests: a [Consortium] has the
// certificate authority and a peer of each of its organisations, and endorses
// whatever answer a test wants endorsed, in the encoding that real peers use
// (package attest holds one that real peers made). Nothing in it is for
// production: its peers run no contract.
package attesttest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"testing"
	"time"

	"github.com/hyperledger/fabric-protos-go-apiv2/msp"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/emrys-health/emrys/pkg/attest"
	"github.com/emrys-health/emrys/pkg/emr"
)

// Consortium is a set of organisations, each with an authority and one peer. It
// may be used concurrently.
type Consortium struct {
	tb          testing.TB
	authorities map[emr.OrgID]*Authority
	peers       map[emr.OrgID]*Endorser
}

// Authority is the certificate authority of one organisation.
type Authority struct {
	Key  *ecdsa.PrivateKey
	Cert *x509.Certificate
}

// Endorser is somebody who signs responses, rightly or not.
type Endorser struct {
	// ID is the msp.SerializedIdentity that the endorser shows.
	ID  []byte
	Key *ecdsa.PrivateKey
	// High makes it sign with a high S, which Fabric and package attest refuse.
	High bool
}

// New makes a consortium whose certificates are valid for ten years about now.
func New(tb testing.TB, now time.Time, orgs ...emr.OrgID) *Consortium {
	tb.Helper()
	c := &Consortium{tb: tb, authorities: map[emr.OrgID]*Authority{}, peers: map[emr.OrgID]*Endorser{}}
	for _, org := range orgs {
		ca := NewAuthority(tb, org, now)
		key := NewKey(tb, elliptic.P256())
		c.authorities[org] = ca
		c.peers[org] = &Endorser{ID: Identity(tb, org, []byte(PEM(ca.Certify(tb, now, key, nil, "peer")))), Key: key}
	}
	return c
}

// Roots are what a client of this consortium pins.
func (c *Consortium) Roots() attest.Roots {
	roots := attest.Roots{}
	for org, ca := range c.authorities {
		roots[org] = PEM(ca.Cert)
	}
	return roots
}

// NewAuthority makes an organisation's certificate authority.
func NewAuthority(tb testing.TB, org emr.OrgID, now time.Time) *Authority {
	tb.Helper()
	key := NewKey(tb, elliptic.P256())
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ca." + string(org)},
		NotBefore: now.AddDate(-1, 0, 0), NotAfter: now.AddDate(10, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	return &Authority{Key: key, Cert: sign(tb, template, template, key.Public(), key)}
}

// Certify issues what Fabric CA issues, its attribute extension included, after
// change (or nil) altered the template. Units are the organisational units.
func (a *Authority) Certify(
	tb testing.TB, now time.Time, key *ecdsa.PrivateKey, change func(*x509.Certificate), units ...string,
) *x509.Certificate {
	tb.Helper()
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	require.NoError(tb, err)
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "somebody", OrganizationalUnit: units},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(10, 0, 0), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3, 4, 5, 6, 7, 8, 1}, Value: []byte(`{"attrs":{}}`)}},
	}
	if change != nil {
		change(template)
	}
	return sign(tb, template, a.Cert, key.Public(), a.Key)
}

func sign(tb testing.TB, template, parent *x509.Certificate, subject any, issuer *ecdsa.PrivateKey) *x509.Certificate {
	tb.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, subject, issuer)
	require.NoError(tb, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(tb, err)
	return cert
}

// NewKey makes a key pair.
func NewKey(tb testing.TB, curve elliptic.Curve) *ecdsa.PrivateKey {
	tb.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	require.NoError(tb, err)
	return key
}

// PEM encodes a certificate.
func PEM(cert *x509.Certificate) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}))
}

// Identity is what somebody shows who says to be of an organisation.
func Identity(tb testing.TB, says emr.OrgID, cert []byte) []byte {
	tb.Helper()
	return Encode(tb, &msp.SerializedIdentity{Mspid: string(says), IdBytes: cert})
}

// Endorse signs a response as Fabric's peers do (v3.1,
// core/handlers/endorsement/builtin): ECDSA over SHA-256, low S.
func (e *Endorser) Endorse(tb testing.TB, response []byte) attest.Endorsement {
	tb.Helper()
	digest := sha256.Sum256(append(append([]byte{}, response...), e.ID...))
	r, s, err := ecdsa.Sign(rand.Reader, e.Key, digest[:])
	require.NoError(tb, err)
	n := e.Key.Params().N
	if isHigh := s.Cmp(new(big.Int).Rsh(n, 1)) > 0; isHigh != e.High {
		s.Sub(n, s)
	}
	signature, err := asn1.Marshal(struct{ R, S *big.Int }{r, s})
	require.NoError(tb, err)
	return attest.Endorsement{Endorser: e.ID, Signature: signature}
}

// Encode serialises a protocol buffer.
func Encode(tb testing.TB, m proto.Message) []byte {
	tb.Helper()
	b, err := proto.Marshal(m)
	require.NoError(tb, err)
	return b
}
