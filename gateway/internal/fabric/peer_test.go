// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package fabric_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/hyperledger/fabric-protos-go-apiv2/common"
	gw "github.com/hyperledger/fabric-protos-go-apiv2/gateway"
	"github.com/hyperledger/fabric-protos-go-apiv2/peer"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/emrys-health/emrys/gateway/internal/fabric"
)

// ownMSP is the organisation under test.
const ownMSP = "HospAMSP"

// fakePeer is the gateway service of a peer, with a script for each stage. It is
// reached over real gRPC and TLS by the real client.
type fakePeer struct {
	gw.UnimplementedGatewayServer
	address string
	server  *grpc.Server

	mu        sync.Mutex
	endorse   []func(*gw.EndorseRequest) error
	submit    []func(*gw.SubmitRequest) error
	status    []func(ctx context.Context) (peer.TxValidationCode, error)
	evaluate  func(*gw.EvaluateRequest) (string, error)
	endorsed  []*gw.EndorseRequest
	submitted []*gw.SubmitRequest
	streams   [][]*gw.ChaincodeEventsResponse // what each stream of events sends; nil breaks it
	asked     []*gw.ChaincodeEventsRequest
}

// next takes the first step of a script, or the zero step when it is over.
func next[F any](p *fakePeer, script *[]F) (F, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var zero F
	if len(*script) == 0 {
		return zero, false
	}
	step := (*script)[0]
	*script = (*script)[1:]
	return step, true
}

// result is what every transaction returns.
const result = `{"txId":"t","at":"","id":"made"}`

func (p *fakePeer) Endorse(_ context.Context, r *gw.EndorseRequest) (*gw.EndorseResponse, error) {
	p.mu.Lock()
	p.endorsed = append(p.endorsed, r)
	p.mu.Unlock()
	if step, ok := next(p, &p.endorse); ok {
		if err := step(r); err != nil {
			return nil, err
		}
	}
	return &gw.EndorseResponse{PreparedTransaction: envelope(r.GetChannelId())}, nil
}

func (p *fakePeer) Submit(_ context.Context, r *gw.SubmitRequest) (*gw.SubmitResponse, error) {
	p.mu.Lock()
	p.submitted = append(p.submitted, r)
	p.mu.Unlock()
	if step, ok := next(p, &p.submit); ok {
		if err := step(r); err != nil {
			return nil, err
		}
	}
	return &gw.SubmitResponse{}, nil
}

func (p *fakePeer) CommitStatus(ctx context.Context, _ *gw.SignedCommitStatusRequest) (*gw.CommitStatusResponse, error) {
	code := peer.TxValidationCode_VALID
	if step, ok := next(p, &p.status); ok {
		var err error
		if code, err = step(ctx); err != nil {
			return nil, err
		}
	}
	return &gw.CommitStatusResponse{Result: code, BlockNumber: 7}, nil
}

func (p *fakePeer) Evaluate(_ context.Context, r *gw.EvaluateRequest) (*gw.EvaluateResponse, error) {
	payload, err := p.evaluate(r)
	if err != nil {
		return nil, err
	}
	return &gw.EvaluateResponse{Result: &peer.Response{Status: 200, Payload: []byte(payload)}}, nil
}

func (p *fakePeer) ChaincodeEvents(r *gw.SignedChaincodeEventsRequest, stream gw.Gateway_ChaincodeEventsServer) error {
	var request gw.ChaincodeEventsRequest
	if err := proto.Unmarshal(r.GetRequest(), &request); err != nil {
		return err
	}
	p.mu.Lock()
	at := len(p.asked)
	p.asked = append(p.asked, &request)
	p.mu.Unlock()
	if at >= len(p.streams) {
		return status.Error(codes.Unavailable, "peer restarts")
	}
	for _, response := range p.streams[at] {
		if response == nil {
			return status.Error(codes.Unavailable, "peer restarts")
		}
		if err := stream.Send(response); err != nil {
			return err
		}
	}
	<-stream.Context().Done()
	return nil
}

// submissions returns the envelopes that were submitted.
func (p *fakePeer) submissions() []*gw.SubmitRequest {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]*gw.SubmitRequest(nil), p.submitted...)
}

// envelope is an endorsed transaction with a result.
func envelope(channel string) *common.Envelope {
	must := func(m proto.Message) []byte {
		b, err := proto.Marshal(m)
		if err != nil {
			panic(err)
		}
		return b
	}
	action := must(&peer.ChaincodeAction{Response: &peer.Response{Status: 200, Payload: []byte(result)}})
	payload := must(&peer.ChaincodeActionPayload{Action: &peer.ChaincodeEndorsedAction{
		ProposalResponsePayload: must(&peer.ProposalResponsePayload{Extension: action}),
	}})
	return &common.Envelope{Payload: must(&common.Payload{
		Header: &common.Header{ChannelHeader: must(&common.ChannelHeader{ChannelId: channel})},
		Data:   must(&peer.Transaction{Actions: []*peer.TransactionAction{{Payload: payload}}}),
	})}
}

// failure is a gRPC error with what single peers said.
func failure(code codes.Code, message string, details ...*gw.ErrorDetail) error {
	s := status.New(code, message)
	for _, d := range details {
		var err error
		if s, err = s.WithDetails(d); err != nil {
			panic(err)
		}
	}
	return s.Err()
}

func said(mspID, message string) *gw.ErrorDetail {
	return &gw.ErrorDetail{Address: "peer", MspId: mspID, Message: message}
}

// bench is a ledger over scripted peers.
type bench struct {
	*fabric.Ledger
	peers []*fakePeer
}

func newBench(t *testing.T, peers int) *bench {
	t.Helper()
	key, certPEM, cert := selfSigned(t)
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	b := &bench{}
	c := fabric.Config{
		Channel: "emrys", Chaincode: "emrys", MSP: ownMSP, Certificate: certPEM, Key: key,
		Timeouts: fabric.Timeouts{
			Evaluate: 2 * time.Second, Endorse: 2 * time.Second, Submit: time.Second, Commit: 2 * time.Second,
		},
	}
	for range peers {
		p := startPeer(t, tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key})
		b.peers = append(b.peers, p)
		c.Peers = append(c.Peers, fabric.Peer{Address: p.address, Roots: roots, ServerName: "peer"})
	}
	var err error
	b.Ledger, err = fabric.Connect(c)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Close()) })
	return b
}

func startPeer(t *testing.T, cert tls.Certificate) *fakePeer {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &fakePeer{address: listener.Addr().String()}
	p.evaluate = func(*gw.EvaluateRequest) (string, error) { return `{}`, nil }
	p.server = grpc.NewServer(grpc.Creds(credentials.NewServerTLSFromCert(&cert)))
	gw.RegisterGatewayServer(p.server, p)
	go func() { _ = p.server.Serve(listener) }()
	t.Cleanup(p.server.Stop)
	return p
}

func selfSigned(t *testing.T) (*ecdsa.PrivateKey, []byte, *x509.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "peer"}, DNSNames: []string{"peer"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return key, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), cert
}
