// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"testing"
	"time"

	"github.com/hyperledger/fabric-protos-go-apiv2/common"
	"github.com/hyperledger/fabric-protos-go-apiv2/msp"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/emrys-health/emrys/pkg/emr"
)

// authorityKey is a certificate authority of a test.
type authorityKey struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newCA(t testing.TB, name string, parent *authorityKey) *authorityKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, SubjectKeyId: []byte(name),
	}
	issuer, signer := template, key
	if parent != nil {
		issuer, signer = parent.cert, parent.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, issuer, &key.PublicKey, signer)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return &authorityKey{cert, key}
}

func (a *authorityKey) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})
}

func (a *authorityKey) leaf(t testing.TB, serial int64, unit string) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "somebody", OrganizationalUnit: []string{unit}},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return cert
}

func (a *authorityKey) revoke(t testing.TB, serial int64) []byte {
	t.Helper()
	der, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
		Number: big.NewInt(1), ThisUpdate: time.Now(), NextUpdate: time.Now().Add(time.Hour),
		RevokedCertificateEntries: []x509.RevocationListEntry{{SerialNumber: big.NewInt(serial), RevocationTime: time.Now()}},
	}, a.cert, a.key)
	require.NoError(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der})
}

func block(t testing.TB, msps ...*msp.FabricMSPConfig) []byte {
	t.Helper()
	marshal := func(m proto.Message) []byte {
		b, err := proto.Marshal(m)
		require.NoError(t, err)
		return b
	}
	groups := map[string]*common.ConfigGroup{}
	for _, m := range msps {
		groups[m.GetName()] = &common.ConfigGroup{Values: map[string]*common.ConfigValue{
			mspValue: {Value: marshal(&msp.MSPConfig{Config: marshal(m)})},
		}}
	}
	root := &common.ConfigGroup{Groups: map[string]*common.ConfigGroup{applicationGroup: {Groups: groups}}}
	payload := marshal(&common.Payload{Data: marshal(&common.ConfigEnvelope{Config: &common.Config{ChannelGroup: root}})})
	return marshal(&common.Block{Data: &common.BlockData{Data: [][]byte{marshal(&common.Envelope{Payload: payload})}}})
}

func TestTrust(t *testing.T) {
	t.Parallel()
	root, other := newCA(t, "root", nil), newCA(t, "other", nil)
	intermediate := newCA(t, "intermediate", root)
	stray := newCA(t, "stray", root)
	trust, err := ParseTrust(block(t,
		&msp.FabricMSPConfig{
			Name: "AMSP", RootCerts: [][]byte{root.pem()}, IntermediateCerts: [][]byte{intermediate.pem()},
			RevocationList: [][]byte{root.revoke(t, 13)},
			FabricNodeOus:  &msp.FabricNodeOUs{ClientOuIdentifier: &msp.FabricOUIdentifier{OrganizationalUnitIdentifier: "people"}},
		},
		&msp.FabricMSPConfig{Name: "BMSP", RootCerts: [][]byte{other.pem()}}))
	require.NoError(t, err)
	require.Equal(t, []string{"AMSP", "BMSP"}, trust.Organisations())
	now := time.Now()
	for _, tt := range []struct {
		name string
		cert *x509.Certificate
		at   time.Time
		org  emr.OrgID
	}{
		{"by the root", root.leaf(t, 1, "people"), now, "AMSP"},
		{"by an intermediate that the channel names", intermediate.leaf(t, 2, "people"), now, "AMSP"},
		{"by an intermediate that the channel does not name", stray.leaf(t, 3, "people"), now, ""},
		{"by another organisation's root", other.leaf(t, 4, "client"), now, "BMSP"},
		{"revoked", root.leaf(t, 13, "people"), now, ""},
		{"the same serial of another issuer", intermediate.leaf(t, 13, "people"), now, "AMSP"},
		{"of another unit", root.leaf(t, 5, "client"), now, ""},
		{"over", root.leaf(t, 6, "people"), now.Add(2 * time.Hour), ""},
		{"an authority itself", root.cert, now, ""},
	} {
		org, err := trust.Verify(tt.cert, tt.at)
		require.Equal(t, tt.org, org, tt.name)
		require.Equal(t, tt.org == "", err != nil, tt.name)
	}
}

func TestAnAuthorityOfTwoOrganisationsVouchesForNobody(t *testing.T) {
	t.Parallel()
	root := newCA(t, "root", nil)
	trust, err := ParseTrust(block(t,
		&msp.FabricMSPConfig{Name: "AMSP", RootCerts: [][]byte{root.pem()}},
		&msp.FabricMSPConfig{Name: "BMSP", RootCerts: [][]byte{root.pem()}}))
	require.NoError(t, err)
	_, err = trust.Verify(root.leaf(t, 1, "client"), time.Now())
	require.ErrorIs(t, err, errUnknownAuthority)
}

func TestConfigurationBlocksThatAreRefused(t *testing.T) {
	t.Parallel()
	root, other := newCA(t, "root", nil), newCA(t, "other", nil)
	for name, text := range map[string][]byte{
		"nothing":                         nil,
		"no organisations":                block(t),
		"an MSP without roots":            block(t, &msp.FabricMSPConfig{Name: "AMSP"}),
		"an MSP without a name":           block(t, &msp.FabricMSPConfig{RootCerts: [][]byte{root.pem()}}),
		"a root that is no certificate":   block(t, &msp.FabricMSPConfig{Name: "AMSP", RootCerts: [][]byte{[]byte("x")}}),
		"a revocation list of a stranger": block(t, &msp.FabricMSPConfig{Name: "AMSP", RootCerts: [][]byte{root.pem()}, RevocationList: [][]byte{other.revoke(t, 1)}}),
	} {
		_, err := ParseTrust(text)
		require.Error(t, err, name)
	}
}

func FuzzParseTrust(f *testing.F) {
	root := newCA(f, "root", nil)
	f.Add(block(f, &msp.FabricMSPConfig{Name: "AMSP", RootCerts: [][]byte{root.pem()}}))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, text []byte) {
		trust, err := ParseTrust(text)
		if err == nil {
			require.NotEmpty(t, trust.Organisations())
		}
	})
}

func FuzzParseAssertion(f *testing.F) {
	for _, seed := range []string{"", "a.b.c", "eyJhbGciOiJFUzI1NiJ9.e30.AA", "eyJhbGciOiJub25lIn0.e30."} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		_, err := parseAssertion(text, "https://gateway.example/v1/token", time.Unix(1_800_000_000, 0))
		require.Error(t, err, "nothing made up is an assertion")
	})
}
