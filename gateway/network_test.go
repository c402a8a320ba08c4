// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package gateway_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/big"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hyperledger/fabric-protos-go-apiv2/common"
	"github.com/hyperledger/fabric-protos-go-apiv2/msp"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/emrys-health/emrys/chaincode/ledger"
	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/gateway"
	"github.com/emrys-health/emrys/pkg/api"
	"github.com/emrys-health/emrys/pkg/attest/attesttest"
	"github.com/emrys-health/emrys/pkg/blob"
	"github.com/emrys-health/emrys/pkg/blob/mem"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// network is a consortium of real gateways, each behind TLS on loopback, over the
// real rules and a ledger and a swarm in memory.
type network struct {
	*ledgertest.Consortium
	mu       sync.Mutex // of the consortium, which is not safe for concurrent use
	changed  chan struct{}
	gateways map[emr.OrgID]*node
	logs     *lockedBuffer
	roots    *x509.CertPool
	peers    *attesttest.Consortium
}

// node is one organisation's gateway with its dependencies.
type node struct {
	org    *ledgertest.Org
	cfg    gateway.Config
	url    string
	ledger *ledgerPort
	store  *store
	cert   tls.Certificate
	http   *http.Client
	stop   func()
	// unproven leaves the gateway without a prover.
	unproven bool
}

// lockedBuffer is a log that is read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// newNetwork starts a gateway for every organisation.
func newNetwork(t *testing.T) *network {
	t.Helper()
	n := &network{
		Consortium: ledgertest.NewConsortium(t), changed: make(chan struct{}),
		gateways: map[emr.OrgID]*node{}, logs: new(lockedBuffer), roots: x509.NewCertPool(),
	}
	n.peers = attesttest.New(t, n.Now.Std(), slices.Collect(maps.Keys(n.Orgs))...)
	authority := newTLSAuthority(t)
	n.roots.AddCert(authority.cert)
	var stores []*mem.Store
	for _, org := range n.Orgs {
		s := &store{Store: mem.New()}
		stores = append(stores, s.Store)
		n.start(t, org, authority.issue(t), s)
	}
	mem.Connect(stores...)
	return n
}

func (n *network) start(t *testing.T, org *ledgertest.Org, cert tls.Certificate, s *store) {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	url := "https://" + listener.Addr().String()
	args := org.Args()
	args.GatewayURL = url
	_, err = n.RegisterOrg(org.Admin, args)
	require.NoError(t, err)
	node := &node{org: org, url: url, store: s, cert: cert, http: n.client(nil)}
	node.ledger = &ledgerPort{network: n, org: org}
	node.cfg = config(t, org, url, listener.Addr().String())
	n.gateways[org.ID] = node
	n.run(t, node, listener)
}

// run starts a node's gateway on a listener and stops it with the test, or earlier by node.stop.
func (n *network) run(t *testing.T, node *node, listener net.Listener) {
	t.Helper()
	deps := gateway.Deps{
		Ledger: node.ledger, Certificate: node.cert, Roots: n.roots, Now: n.now,
		Log: slog.New(slog.NewJSONHandler(n.logs, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	deps.Keys.Proxy, deps.Keys.Receipt = node.org.Proxy, node.org.Receipt.Signer()
	if !node.unproven {
		deps.Prover = node.ledger
	}
	if node.org.Kind == emr.KindHospital {
		deps.Store = node.store
	}
	g, err := gateway.New(node.cfg, deps)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- g.Serve(ctx, listener) }()
	node.stop = sync.OnceFunc(func() {
		node.http.CloseIdleConnections()
		cancel()
		require.NoError(t, <-done)
	})
	t.Cleanup(node.stop)
}

func config(t *testing.T, org *ledgertest.Org, url, address string) gateway.Config {
	t.Helper()
	c := gateway.Default()
	c.Organisation, c.PublicURL, c.Listen = string(org.ID), url, address
	c.StateDir = t.TempDir()
	c.Fabric.Channel = ledgertest.Channel
	c.Limits.RequestsPerSecond, c.Limits.TokensPerSecond, c.Limits.FragmentsPerSecond = 1e6, 1e6, 1e6
	c.Timeouts.Proxy = 2 * time.Second
	c.Timeouts.Drain = 5 * time.Second
	c.Policy.SealEvery, c.Policy.EraseEvery = 0, 0 // else a gateway would read the world while a test makes it
	return c
}

func (n *network) now() time.Time {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.Now.Std()
}

// client makes an HTTP client that may show a certificate.
func (n *network) client(cert *tls.Certificate) *http.Client {
	c := &tls.Config{RootCAs: n.roots, MinVersion: tls.VersionTLS13}
	if cert != nil {
		c.Certificates = []tls.Certificate{*cert}
	}
	return &http.Client{Transport: &http.Transport{TLSClientConfig: c}, Timeout: 20 * time.Second}
}

// store is a hospital's node of the swarm.
type store struct {
	*mem.Store
	// storing, when set, is told of every upload that begins.
	storing chan<- struct{}
}

func (s *store) PutNamed(ctx context.Context, r io.Reader, name string) (blob.Ref, error) {
	if s.storing != nil {
		s.storing <- struct{}{}
	}
	return s.Store.PutNamed(ctx, r, name)
}

func (s *store) Probe(ctx context.Context) error {
	_, err := s.Pinned(ctx, ledgertest.CID("probe"))
	return err
}

// ledgerPort is the ledger as one organisation's gateway reaches it. Errors cross
// it in the envelope of the contract, as they cross Fabric.
type ledgerPort struct {
	network *network
	org     *ledgertest.Org

	mu     sync.Mutex
	fault  func(function string) error
	change func(*ledgerapi.Ticket)
}

// retell has the peer tell of tickets as changed, until it is called with nil.
func (l *ledgerPort) retell(change func(*ledgerapi.Ticket)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.change = change
}

func (l *ledgerPort) told(result any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if ticket, ok := result.(*ledgerapi.Ticket); ok && l.change != nil {
		l.change(ticket)
	}
}

// fail makes calls fail as told, until it is called with nil.
func (l *ledgerPort) fail(fault func(function string) error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fault = fault
}

func (l *ledgerPort) broken(function string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fault == nil {
		return nil
	}
	return l.fault(function)
}

func across(err error) error {
	if err == nil {
		return nil
	}
	decoded, decodeErr := ledgerapi.DecodeError(ledgerapi.EncodeError(err))
	if decodeErr != nil {
		return err
	}
	return decoded
}

func copyResult(from, to any) error {
	text, err := json.Marshal(from)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, to)
}

func (l *ledgerPort) Submit(_ context.Context, function string, signed *emr.SignedAction, result any) error {
	return l.submit(function, signed, result)
}

func (l *ledgerPort) SubmitBatch(_ context.Context, signed []*emr.SignedAction) (*ledgerapi.BatchReceipt, error) {
	var receipt ledgerapi.BatchReceipt
	return &receipt, l.submit(ledgerapi.DiscloseBatch, signed, &receipt)
}

func (l *ledgerPort) submit(function string, carried, result any) error {
	return l.commit(function, carried, result, func(raw []byte) (any, error) {
		return l.network.SubmitRaw(l.org.Gateway, function, raw)
	})
}

// Order commits a transaction of the organisation.
func (l *ledgerPort) Order(_ context.Context, function string, argument, result any) error {
	return l.commit(function, argument, result, func(raw []byte) (any, error) {
		tx := l.network.Begin(l.network.Facts(l.org.Gateway))
		answer, err := order(tx, function, raw)
		if err != nil {
			return nil, err
		}
		return answer, tx.Commit()
	})
}

// order runs one transaction of an organisation by name.
func order(s ledger.State, function string, raw []byte) (any, error) {
	switch function {
	case ledgerapi.SealReadings:
		return ordered(s, raw, ledger.SealReadings)
	case ledgerapi.ConfirmErasure:
		return ordered(s, raw, ledger.ConfirmErasure)
	case ledgerapi.ContinueErasure:
		return ordered(s, raw, ledger.ContinueErasure)
	default:
		return nil, fmt.Errorf("the test's ledger has no transaction %q", function)
	}
}

func ordered[Q, A any](s ledger.State, raw []byte, rule func(ledger.State, Q) (*A, error)) (any, error) {
	var q Q
	if err := emr.Decode(raw, &q); err != nil {
		return nil, err
	}
	answer, err := rule(s, q)
	if err != nil {
		return nil, err
	}
	return answer, nil
}

// commit runs a transaction while nothing else moves, and tells who waits for events.
func (l *ledgerPort) commit(function string, carried, result any, run func([]byte) (any, error)) error {
	if err := l.broken(function); err != nil {
		return err
	}
	raw, err := emr.Canonical(carried)
	if err != nil {
		return err
	}
	l.network.mu.Lock()
	defer l.network.mu.Unlock()
	answer, err := run(raw)
	if err != nil {
		return across(err)
	}
	close(l.network.changed)
	l.network.changed = make(chan struct{})
	return copyResult(answer, result)
}

func (l *ledgerPort) Query(_ context.Context, function string, argument, result any) error {
	if err := l.broken(function); err != nil {
		return err
	}
	l.network.mu.Lock()
	defer l.network.mu.Unlock()
	if err := ledgertest.Ask(l.network.Query(l.org), function, argument, result); err != nil {
		return across(err)
	}
	l.told(result)
	return nil
}

// Prove has the answer endorsed by the gateway's own organisation and two others.
func (l *ledgerPort) Prove(ctx context.Context, function string, argument any) (api.Proof, error) {
	var answer json.RawMessage
	if err := l.Query(ctx, function, argument, &answer); err != nil {
		return api.Proof{}, err
	}
	question, err := emr.Canonical(argument)
	if err != nil {
		return api.Proof{}, err
	}
	by := []emr.OrgID{l.org.ID}
	for _, org := range slices.Sorted(maps.Keys(l.network.Orgs)) {
		if org != l.org.ID && len(by) < 3 {
			by = append(by, org)
		}
	}
	a := l.network.peers.Prove(ledgertest.Channel, ledgerapi.ChaincodeName, function, question, answer, l.network.now(), by...)
	proof := api.Proof{Proposal: a.Proposal, Response: a.Response}
	for _, e := range a.Endorsements {
		proof.Endorsements = append(proof.Endorsements, api.ProofEndorsement(e))
	}
	return proof, nil
}

func (l *ledgerPort) Reach(_ context.Context, org emr.OrgID) error {
	return l.broken("reach:" + string(org))
}

func (l *ledgerPort) NameEndorsers([]string) {}

// Events delivers every committed event once, from the place given on.
func (l *ledgerPort) Events(ctx context.Context, _ *slog.Logger, from gateway.Place, handle func(gateway.Event) error) error {
	next := int(from.Block) //nolint:gosec // a test's counter
	for {
		l.network.mu.Lock()
		events, changed := slices.Clone(l.network.Events), l.network.changed
		l.network.mu.Unlock()
		for ; next < len(events); next++ {
			e := gateway.Event{Place: gateway.Place{Block: uint64(next + 1), Transaction: fmt.Sprint(next)}, Name: events[next].Name}
			if err := json.Unmarshal(events[next].Payload, &e.Event); err != nil {
				return err
			}
			if err := handle(e); err != nil {
				return err
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// ConfigBlock is a configuration block with every organisation's MSP.
func (l *ledgerPort) ConfigBlock(context.Context) ([]byte, error) {
	if err := l.broken("config"); err != nil {
		return nil, err
	}
	groups := map[string]*common.ConfigGroup{}
	for id, org := range l.network.Orgs {
		inner, err := proto.Marshal(&msp.FabricMSPConfig{
			Name: string(id), RootCerts: [][]byte{[]byte(ledgertest.PEM(org.CA.Certificate))},
		})
		if err != nil {
			return nil, err
		}
		outer, err := proto.Marshal(&msp.MSPConfig{Config: inner})
		if err != nil {
			return nil, err
		}
		groups[string(id)] = &common.ConfigGroup{Values: map[string]*common.ConfigValue{"MSP": {Value: outer}}}
	}
	return configBlock(groups)
}

func configBlock(groups map[string]*common.ConfigGroup) ([]byte, error) {
	config, err := proto.Marshal(&common.ConfigEnvelope{Config: &common.Config{ChannelGroup: &common.ConfigGroup{
		Groups: map[string]*common.ConfigGroup{"Application": {Groups: groups}},
	}}})
	if err != nil {
		return nil, err
	}
	payload, err := proto.Marshal(&common.Payload{Data: config})
	if err != nil {
		return nil, err
	}
	envelope, err := proto.Marshal(&common.Envelope{Payload: payload})
	if err != nil {
		return nil, err
	}
	return proto.Marshal(&common.Block{Data: &common.BlockData{Data: [][]byte{envelope}}})
}

// tlsAuthority issues the gateways' TLS certificates.
type tlsAuthority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newTLSAuthority(t *testing.T) *tlsAuthority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "tls-ca"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return &tlsAuthority{cert: cert, key: key}
}

func (a *tlsAuthority) issue(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "gateway"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	require.NoError(t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

var errDown = errors.New("connection refused")

// down is a fault of everything.
func down(string) error { return emr.Wrap(emr.CodeUnavailable, "the ledger is not available", errDown) }

// failing is a fault of one function.
func failing(function string, err error) func(string) error {
	return func(called string) error {
		if called == function {
			return err
		}
		return nil
	}
}
