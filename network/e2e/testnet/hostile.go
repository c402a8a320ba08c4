// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package testnet

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/hyperledger/fabric-gateway/pkg/client"
	"github.com/hyperledger/fabric-gateway/pkg/hash"
	"github.com/hyperledger/fabric-gateway/pkg/identity"
	"github.com/hyperledger/fabric-protos-go-apiv2/gateway"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"github.com/emrys-health/emrys/network/render"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// Member is an identity of an organisation with a bare Fabric client, straight
// to a peer: what a hostile gateway has. It obeys no rule of the gateway program.
type Member struct {
	gateway *client.Gateway
	conn    *grpc.ClientConn
	channel string
}

// AsGateway connects with the certificate and key of an organisation's gateway.
func (n *Net) AsGateway(org string) (*Member, error) { return n.AsGatewayAt(org, 0) }

// AsGatewayAt is AsGateway at a peer of the organisation's, counted from 0.
func (n *Net) AsGatewayAt(org string, peer int) (*Member, error) {
	o, found := n.Topology.Organisation(org)
	if !found || peer >= len(o.Peers) {
		return nil, fmt.Errorf("no organisation %s with peer %d", org, peer)
	}
	site := n.Network.Site()
	dir := filepath.Join(site.GatewayDir(o), "msp")
	roots, err := os.ReadFile(site.TLSRoots(o))
	if err != nil {
		return nil, fmt.Errorf("read TLS roots: %w", err)
	}
	return n.connect(o.MSP, dir, site.PeerAddress(o, o.Peers[peer]), roots)
}

// AsAdmin connects with the certificate and key of an organisation's administrator.
func (n *Net) AsAdmin(org string) (*Member, error) {
	o, found := n.Topology.Organisation(org)
	if !found {
		return nil, fmt.Errorf("no organisation %s", org)
	}
	site := n.Network.Site()
	roots, err := os.ReadFile(site.TLSRoots(o))
	if err != nil {
		return nil, fmt.Errorf("read TLS roots: %w", err)
	}
	return n.connect(o.MSP, site.AdminMSP(o), site.PeerAddress(o, o.Peers[0]), roots)
}

func (n *Net) connect(msp, dir, address string, roots []byte) (*Member, error) {
	certPEM, err := os.ReadFile(filepath.Join(dir, render.CertFile))
	if err != nil {
		return nil, fmt.Errorf("read certificate: %w", err)
	}
	keyPEM, err := os.ReadFile(filepath.Join(dir, render.KeyFile))
	if err != nil {
		return nil, fmt.Errorf("read key: %w", err)
	}
	certificate, err := identity.CertificateFromPEM(certPEM)
	if err != nil {
		return nil, fmt.Errorf("parse certificate: %w", err)
	}
	id, err := identity.NewX509Identity(msp, certificate)
	if err != nil {
		return nil, fmt.Errorf("make identity: %w", err)
	}
	key, err := identity.PrivateKeyFromPEM(keyPEM)
	if err != nil {
		return nil, fmt.Errorf("parse key: %w", err)
	}
	sign, err := identity.NewPrivateKeySign(key)
	if err != nil {
		return nil, fmt.Errorf("make signer: %w", err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(roots)
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(credentials.NewClientTLSFromCert(pool, "")))
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	gw, err := client.Connect(id, client.WithSign(sign), client.WithHash(hash.SHA256), client.WithClientConnection(conn))
	if err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("connect: %w", err)
	}
	return &Member{gateway: gw, conn: conn, channel: n.Topology.Channel.Name}, nil
}

// Close ends the connection.
func (m *Member) Close() {
	_ = m.gateway.Close()
	_ = m.conn.Close()
}

// Contract returns a chaincode's contract for bare calls.
func (m *Member) Contract(chaincode string) *client.Contract {
	return m.gateway.GetNetwork(m.channel).GetContract(chaincode)
}

// SubmitAction submits a person's transaction with any signed action.
func (m *Member) SubmitAction(ctx context.Context, function string, signed *emr.SignedAction) error {
	raw, err := emr.Canonical(signed)
	if err != nil {
		return err
	}
	_, err = m.Contract(ledgerapi.ChaincodeName).SubmitWithContext(ctx, function,
		client.WithTransient(map[string][]byte{ledgerapi.TransientAction: raw}))
	return Decoded(err)
}

// Order submits a transaction of the organisation, with its one argument.
func (m *Member) Order(ctx context.Context, function string, argument any) error {
	raw, err := emr.Canonical(argument)
	if err != nil {
		return err
	}
	_, err = m.Contract(ledgerapi.ChaincodeName).SubmitWithContext(ctx, function, client.WithArguments(string(raw)))
	return Decoded(err)
}

// Query evaluates a query of the contract into out.
func (m *Member) Query(ctx context.Context, function string, argument, out any) error {
	raw, err := emr.Canonical(argument)
	if err != nil {
		return err
	}
	answer, err := m.Contract(ledgerapi.ChaincodeName).EvaluateWithContext(ctx, function, client.WithArguments(string(raw)))
	if err != nil {
		return Decoded(err)
	}
	return json.Unmarshal(answer, out)
}

// QueryAt is Query by the peers of one organisation and no others.
func (m *Member) QueryAt(ctx context.Context, org, function string, argument, out any) error {
	raw, err := emr.Canonical(argument)
	if err != nil {
		return err
	}
	answer, err := m.Contract(ledgerapi.ChaincodeName).EvaluateWithContext(ctx, function,
		client.WithArguments(string(raw)), client.WithEndorsingOrganizations(org))
	if err != nil {
		return Decoded(err)
	}
	return json.Unmarshal(answer, out)
}

// Decoded finds the contract's own error inside a Fabric error.
func Decoded(err error) error {
	if err == nil {
		return nil
	}
	for _, text := range append(details(err), err.Error()) {
		if e, notFound := ledgerapi.DecodeError(text); notFound == nil {
			return e
		}
	}
	return err
}

// details are what the parts of the network said of a Fabric error.
func details(err error) []string {
	var texts []string
	var staged interface{ GRPCStatus() *status.Status }
	if errors.As(err, &staged) {
		for _, detail := range staged.GRPCStatus().Details() {
			if d, ok := detail.(*gateway.ErrorDetail); ok {
				texts = append(texts, d.GetMessage())
			}
		}
	}
	return texts
}
