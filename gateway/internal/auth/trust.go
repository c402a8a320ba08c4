// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hyperledger/fabric-protos-go-apiv2/common"
	"github.com/hyperledger/fabric-protos-go-apiv2/msp"
	"google.golang.org/protobuf/proto"

	"github.com/emrys-health/emrys/pkg/emr"
)

// Trust is who may certify people on a channel: the MSPs of its application
// organisations, as its configuration block names them. It is immutable.
type Trust struct{ authorities []authority }

// authority is one organisation's MSP.
type authority struct {
	org                  emr.OrgID
	roots, intermediates *x509.CertPool
	issuers              []*x509.Certificate
	revoked              []*x509.RevocationList
	clientOU             string
}

// Keys of a channel's configuration tree.
const (
	applicationGroup = "Application"
	mspValue         = "MSP"
	defaultClientOU  = "client"
)

// ParseTrust reads a configuration block (protobuf common.Block), which must come
// from the own peer: its signatures are not checked here.
func ParseTrust(block []byte) (*Trust, error) {
	root, err := channelGroup(block)
	if err != nil {
		return nil, fmt.Errorf("read configuration block: %w", err)
	}
	application, ok := root.GetGroups()[applicationGroup]
	if !ok {
		return nil, errors.New("read configuration block: it has no application organisations")
	}
	t := &Trust{}
	for name, group := range application.GetGroups() {
		a, err := parseAuthority(group)
		if err != nil {
			return nil, fmt.Errorf("read MSP of %s: %w", name, err)
		}
		t.authorities = append(t.authorities, a)
	}
	if len(t.authorities) == 0 {
		return nil, errors.New("read configuration block: it has no application organisations")
	}
	slices.SortFunc(t.authorities, func(a, b authority) int {
		if a.org < b.org {
			return -1
		}
		return 1
	})
	return t, nil
}

func channelGroup(block []byte) (*common.ConfigGroup, error) {
	var (
		b        common.Block
		envelope common.Envelope
		payload  common.Payload
		config   common.ConfigEnvelope
	)
	if err := proto.Unmarshal(block, &b); err != nil {
		return nil, err
	}
	if len(b.GetData().GetData()) != 1 {
		return nil, errors.New("it does not hold exactly one transaction")
	}
	if err := proto.Unmarshal(b.GetData().GetData()[0], &envelope); err != nil {
		return nil, err
	}
	if err := proto.Unmarshal(envelope.GetPayload(), &payload); err != nil {
		return nil, err
	}
	if err := proto.Unmarshal(payload.GetData(), &config); err != nil {
		return nil, err
	}
	return config.GetConfig().GetChannelGroup(), nil
}

func parseAuthority(group *common.ConfigGroup) (authority, error) {
	var (
		outer msp.MSPConfig
		inner msp.FabricMSPConfig
	)
	value, ok := group.GetValues()[mspValue]
	if !ok {
		return authority{}, errors.New("there is none")
	}
	if err := proto.Unmarshal(value.GetValue(), &outer); err != nil {
		return authority{}, err
	}
	if outer.GetType() != 0 {
		return authority{}, errors.New("it is not of the X.509 type")
	}
	if err := proto.Unmarshal(outer.GetConfig(), &inner); err != nil {
		return authority{}, err
	}
	return newAuthority(&inner)
}

func newAuthority(c *msp.FabricMSPConfig) (authority, error) {
	org, err := emr.ParseOrgID("name", c.GetName())
	if err != nil {
		return authority{}, err
	}
	a := authority{
		org: org, roots: x509.NewCertPool(), intermediates: x509.NewCertPool(), clientOU: defaultClientOU,
	}
	if ou := c.GetFabricNodeOus().GetClientOuIdentifier().GetOrganizationalUnitIdentifier(); ou != "" {
		a.clientOU = ou
	}
	if len(c.GetRootCerts()) == 0 {
		return authority{}, errors.New("it has no root certificate")
	}
	if err := a.add(a.roots, c.GetRootCerts()); err != nil {
		return authority{}, err
	}
	if err := a.add(a.intermediates, c.GetIntermediateCerts()); err != nil {
		return authority{}, err
	}
	return a, a.addRevocations(c.GetRevocationList())
}

func (a *authority) add(pool *x509.CertPool, certs [][]byte) error {
	for _, text := range certs {
		cert, err := x509.ParseCertificate(unPEM(text))
		if err != nil {
			return fmt.Errorf("parse certificate: %w", err)
		}
		pool.AddCert(cert)
		a.issuers = append(a.issuers, cert)
	}
	return nil
}

// addRevocations takes the MSP's revocation lists. One that none of the MSP's
// own authorities has signed is refused with the whole configuration.
func (a *authority) addRevocations(lists [][]byte) error {
	for _, text := range lists {
		list, err := x509.ParseRevocationList(unPEM(text))
		if err != nil {
			return fmt.Errorf("parse revocation list: %w", err)
		}
		if !slices.ContainsFunc(a.issuers, func(c *x509.Certificate) bool { return list.CheckSignatureFrom(c) == nil }) {
			return errors.New("a revocation list is not signed by the MSP's authorities")
		}
		a.revoked = append(a.revoked, list)
	}
	return nil
}

func unPEM(text []byte) []byte {
	if block, _ := pem.Decode(text); block != nil {
		return block.Bytes
	}
	return text
}

// Organisations lists the MSP ids of the channel's application organisations, sorted.
func (t *Trust) Organisations() []string {
	ids := make([]string, len(t.authorities))
	for i, a := range t.authorities {
		ids[i] = string(a.org)
	}
	return ids
}

// Errors of Verify.
var (
	errUnknownAuthority = errors.New("certificate is not from an authority of this channel")
	errRevoked          = errors.New("certificate is revoked")
	errNotClient        = errors.New("certificate is not a client's")
)

// Verify returns the organisation that certified a client. The certificate must
// chain to exactly one MSP, be valid at the given time, not be revoked, and carry
// the MSP's organisational unit for clients.
func (t *Trust) Verify(cert *x509.Certificate, at time.Time) (emr.OrgID, error) {
	var found *authority
	for i := range t.authorities {
		a := &t.authorities[i]
		chains, err := cert.Verify(x509.VerifyOptions{
			Roots: a.roots, Intermediates: a.intermediates, CurrentTime: at,
			KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
		})
		if err != nil {
			continue
		}
		if found != nil {
			return "", errUnknownAuthority // two organisations share an authority: nobody can tell whose person this is
		}
		if err := a.check(cert, chains); err != nil {
			return "", err
		}
		found = a
	}
	if found == nil {
		return "", errUnknownAuthority
	}
	return found.org, nil
}

func (a *authority) check(cert *x509.Certificate, chains [][]*x509.Certificate) error {
	for _, chain := range chains {
		for _, c := range chain {
			if a.isRevoked(c) {
				return errRevoked
			}
		}
	}
	if cert.IsCA || !slices.Contains(cert.Subject.OrganizationalUnit, a.clientOU) {
		return errNotClient
	}
	return nil
}

func (a *authority) isRevoked(cert *x509.Certificate) bool {
	for _, list := range a.revoked {
		if string(list.RawIssuer) != string(cert.RawIssuer) {
			continue
		}
		for _, entry := range list.RevokedCertificateEntries {
			if entry.SerialNumber.Cmp(cert.SerialNumber) == 0 {
				return true
			}
		}
	}
	return false
}
