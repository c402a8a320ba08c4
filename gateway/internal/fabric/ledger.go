// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

// Package fabric is the gateway's way to the ledger: it submits transactions and
// asks queries through the gateway services of the organisation's own peers,
// follows events, and gives every failure its code by the stage at which it
// happened.
package fabric

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/hyperledger/fabric-gateway/pkg/client"
	"github.com/hyperledger/fabric-gateway/pkg/identity"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"

	"github.com/emrys-health/emrys/gateway/internal/service"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// Peer is one peer of the own organisation.
type Peer struct {
	Address string
	// Roots verify the peer's TLS certificate; ServerName overrides the name in it.
	Roots      *x509.CertPool
	ServerName string
}

// Timeouts of the stages. Commit bounds the wait for a submitted transaction's outcome.
type Timeouts struct{ Evaluate, Endorse, Submit, Commit time.Duration }

// Config says where the ledger is and who this gateway is.
type Config struct {
	Peers     []Peer
	Channel   string
	Chaincode string
	MSP       string
	// Certificate (PEM) and Key are the gateway's enrolment identity.
	Certificate []byte
	Key         crypto.PrivateKey
	Timeouts    Timeouts
}

// Ledger is a connection to the contract. It is safe for concurrent use.
type Ledger struct {
	channel   string
	chaincode string
	msp       string
	creator   []byte
	timeouts  Timeouts
	nodes     []*node
	current   atomic.Int32 // index of the node that answers at present
	endorsers atomic.Pointer[[]string]
	unnamed   atomic.Int64 // Unix time until which endorsers are not named
}

var _ service.Ledger = (*Ledger)(nil)

// node is one peer's gateway service.
type node struct {
	conn     *grpc.ClientConn
	gateway  *client.Gateway
	network  *client.Network
	contract *client.Contract
}

// maxMessage bounds an answer of a peer in bytes.
const maxMessage = 32 << 20

// Connect makes a ledger. It dials lazily: peers may be down.
func Connect(c Config) (*Ledger, error) {
	cert, err := identity.CertificateFromPEM(c.Certificate)
	if err != nil {
		return nil, fmt.Errorf("read the gateway's certificate: %w", err)
	}
	id, err := identity.NewX509Identity(c.MSP, cert)
	if err != nil {
		return nil, fmt.Errorf("make the gateway's identity: %w", err)
	}
	sign, err := identity.NewPrivateKeySign(c.Key)
	if err != nil {
		return nil, fmt.Errorf("use the gateway's key: %w", err)
	}
	creator, err := serialize(id)
	if err != nil {
		return nil, err
	}
	l := &Ledger{
		channel: c.Channel, chaincode: c.Chaincode, msp: c.MSP, creator: creator,
		timeouts: c.Timeouts,
	}
	for _, peer := range c.Peers {
		n, err := dial(peer, id, sign, c.Channel, c.Chaincode)
		if err != nil {
			return nil, errors.Join(err, l.Close())
		}
		l.nodes = append(l.nodes, n)
	}
	return l, nil
}

func dial(p Peer, id identity.Identity, sign identity.Sign, channel, chaincode string) (*node, error) {
	retry := backoff.DefaultConfig
	retry.BaseDelay, retry.MaxDelay = 100*time.Millisecond, 2*time.Second
	conn, err := grpc.NewClient(p.Address,
		grpc.WithTransportCredentials(credentials.NewClientTLSFromCert(p.Roots, p.ServerName)),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: retry, MinConnectTimeout: 3 * time.Second}),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 2 * time.Minute, Timeout: 10 * time.Second}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage)))
	if err != nil {
		return nil, fmt.Errorf("dial peer %s: %w", p.Address, err)
	}
	gateway, err := client.Connect(id, client.WithSign(sign), client.WithClientConnection(conn))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("connect to peer %s: %w", p.Address, err), conn.Close())
	}
	network := gateway.GetNetwork(channel)
	return &node{conn: conn, gateway: gateway, network: network, contract: network.GetContract(chaincode)}, nil
}

// Close ends all connections.
func (l *Ledger) Close() error {
	var errs []error
	for _, n := range l.nodes {
		errs = append(errs, n.gateway.Close(), n.conn.Close())
	}
	return errors.Join(errs...)
}

// NameEndorsers makes a majority of the channel's organisations the ones that are
// asked for endorsement, all at once; the own and the next ones in the list, so
// that the load spreads. Without it the peer asks the own organisation first to
// learn the policy, which takes a round trip more.
func (l *Ledger) NameEndorsers(orgs []string) {
	own := slices.Index(orgs, l.msp)
	if own < 0 {
		l.endorsers.Store(nil)
		return
	}
	named := make([]string, len(orgs)/2+1)
	for i := range named {
		named[i] = orgs[(own+i)%len(orgs)]
	}
	l.endorsers.Store(&named)
}

// each tries the nodes in turn, beginning with the one that answered last, as
// long as the error says that the node itself is out of reach. The node that
// answers becomes the first: what was committed there can be read there.
func (l *Ledger) each(ctx context.Context, try func(*node) error) error {
	first := int(l.current.Load())
	var err error
	for i := range l.nodes {
		at := (first + i) % len(l.nodes)
		if err = try(l.nodes[at]); err == nil || !nodeDown(err) {
			if at != first {
				l.current.CompareAndSwap(int32(first), int32(at)) //nolint:gosec // an index of a short list
			}
			return err
		}
		if ctx.Err() != nil {
			return err
		}
	}
	return err
}

// Query implements service.Ledger.
func (l *Ledger) Query(ctx context.Context, function string, argument, result any) error {
	payload, err := l.evaluate(ctx, function, argument)
	if err != nil {
		return err
	}
	return decode(payload, result)
}

// Reach implements service.Ledger.
func (l *Ledger) Reach(ctx context.Context, org emr.OrgID) error {
	_, err := l.evaluate(ctx, ledgerapi.GetOrganisations, ledgerapi.Empty{}, client.WithEndorsingOrganizations(string(org)))
	return err
}

func (l *Ledger) evaluate(ctx context.Context, function string, argument any, options ...client.ProposalOption) ([]byte, error) {
	text, err := emr.Canonical(argument)
	if err != nil {
		return nil, err
	}
	options = append(options, client.WithBytesArguments(text))
	return l.evaluateOn(ctx, func(n *node) *client.Contract { return n.contract }, function, options)
}

func (l *Ledger) evaluateOn(
	ctx context.Context, contract func(*node) *client.Contract, function string, options []client.ProposalOption,
) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, l.timeouts.Evaluate)
	defer cancel()
	var payload []byte
	err := l.each(ctx, func(n *node) error {
		var err error
		payload, err = contract(n).EvaluateWithContext(ctx, function, options...)
		return err
	})
	return payload, l.beforeSubmit(err)
}

// ConfigBlock returns the channel's newest configuration block.
func (l *Ledger) ConfigBlock(ctx context.Context) ([]byte, error) {
	contract := func(n *node) *client.Contract { return n.network.GetContract("cscc") }
	return l.evaluateOn(ctx, contract, "GetConfigBlock", []client.ProposalOption{client.WithArguments(l.channel)})
}

func decode(payload []byte, result any) error {
	if err := json.Unmarshal(payload, result); err != nil {
		return fmt.Errorf("decode the contract's answer: %w", err)
	}
	return nil
}
