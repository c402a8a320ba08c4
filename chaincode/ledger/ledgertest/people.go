// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledgertest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/chaincode/ledger"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/pre"
)

// Authority is a certificate authority.
type Authority struct {
	Certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// Org is an organisation with its CA, gateway and administrator.
type Org struct {
	ID        emr.OrgID
	Kind      emr.OrgKind
	CA        *Authority
	Gateway   *ledger.Caller
	Admin     *ledger.Caller
	Proxy     *pre.HybridPrivateKey
	Record    *pre.HybridPrivateKey
	Receipt   *pre.PrivateKey
	notBefore time.Time
	notAfter  time.Time
}

// Wish says what a certificate is to hold.
type Wish struct {
	CN, Role, Level, Unit string
	// From and Until bound its validity; zero means as the CA's.
	From, Until time.Time
}

func newAuthority(t testing.TB, name string, from, until time.Time) *Authority {
	key := newECDSA(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: from, NotAfter: until,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	return &Authority{parsed(t, der), key}
}

// NewOrg makes an organisation whose CA is valid between the times given.
func NewOrg(t testing.TB, id emr.OrgID, kind emr.OrgKind, from, until time.Time) *Org {
	t.Helper()
	o := &Org{
		ID: id, Kind: kind, CA: newAuthority(t, "ca."+string(id), from, until), notBefore: from, notAfter: until,
		Proxy: NewHybrid(t), Record: NewHybrid(t), Receipt: NewKey(t),
	}
	gateway, _ := o.Issue(t, Wish{CN: "gateway", Role: string(emr.RoleGateway), Unit: "client"})
	admin, _ := o.Issue(t, Wish{CN: "admin", Unit: "admin"})
	o.Gateway = &ledger.Caller{MSP: id, Certificate: gateway}
	o.Admin = &ledger.Caller{MSP: id, Certificate: admin}
	return o
}

// Issue makes a certificate with the attributes wished for, and its key.
func (o *Org) Issue(t testing.TB, w Wish) (*x509.Certificate, *pre.PrivateKey) {
	t.Helper()
	key := NewKey(t)
	return o.IssueFor(t, w, key), key
}

// IssueFor makes a certificate for a key.
func (o *Org) IssueFor(t testing.TB, w Wish, key *pre.PrivateKey) *x509.Certificate {
	t.Helper()
	public, err := key.Public().ECDSA()
	require.NoError(t, err)
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: serial, NotBefore: o.notBefore, NotAfter: o.notAfter,
		Subject: pkix.Name{CommonName: w.CN, OrganizationalUnit: []string{w.Unit}}, KeyUsage: x509.KeyUsageDigitalSignature,
	}
	if !w.From.IsZero() {
		template.NotBefore = w.From
	}
	if !w.Until.IsZero() {
		template.NotAfter = w.Until
	}
	if attributes := w.attributes(); len(attributes) != 0 {
		value, err := json.Marshal(map[string]any{"attrs": attributes})
		require.NoError(t, err)
		oid := asn1.ObjectIdentifier{1, 2, 3, 4, 5, 6, 7, 8, 1}
		template.ExtraExtensions = []pkix.Extension{{Id: oid, Value: value}}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, o.CA.Certificate, public, o.CA.key)
	require.NoError(t, err)
	return parsed(t, der)
}

func (w *Wish) attributes() map[string]string {
	attributes := map[string]string{}
	if w.Role != "" {
		attributes[emr.AttributeRole] = w.Role
	}
	if w.Level != "" {
		attributes[emr.AttributeLevel] = w.Level
	}
	return attributes
}

// PEM writes a certificate.
func PEM(certificate *x509.Certificate) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Raw}))
}

// NewKey draws a P-256 key.
func NewKey(t testing.TB) *pre.PrivateKey {
	t.Helper()
	key, err := pre.GeneratePrivateKey(nil)
	require.NoError(t, err)
	return key
}

// NewHybrid draws a hybrid key.
func NewHybrid(t testing.TB) *pre.HybridPrivateKey {
	key, err := pre.GenerateHybridKey()
	require.NoError(t, err)
	return key
}

func newECDSA(t testing.TB) *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	return key
}

func parsed(t testing.TB, der []byte) *x509.Certificate {
	certificate, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return certificate
}
