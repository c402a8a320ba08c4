// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hyperledger/fabric-chaincode-go/v2/shim"
	"github.com/hyperledger/fabric-protos-go-apiv2/peer"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// authority issues certificates for one test.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ca"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return &authority{t, cert, key}
}

func (a *authority) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})
}

// issue returns certificate and key, PEM, good for server and client.
func (a *authority) issue() (cert, key []byte) {
	a.t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(a.t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "x"}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &private.PublicKey, a.key)
	require.NoError(a.t, err)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(a.t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
}

func write(t *testing.T, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, content, 0o600))
	return path
}

// environment is that of a service with TLS whose peers have certificates by clients.
func environment(t *testing.T, server, clients *authority) map[string]string {
	t.Helper()
	cert, key := server.issue()
	return map[string]string{
		envAddress: "127.0.0.1:0", envID: "emrys:abc", envCert: write(t, "cert.pem", cert), envKey: write(t, "key.pem", key),
		envClientCA: write(t, "ca.pem", clients.pem()),
	}
}

// output collects what the service writes, and waits for text in it.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
	grew chan struct{}
}

func newOutput() *output { return &output{grew: make(chan struct{}, 1000)} }

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.grew <- struct{}{}
	return o.text.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

func (o *output) find(t *testing.T, pattern string) string {
	t.Helper()
	for {
		if found := regexp.MustCompile(pattern).FindStringSubmatch(o.String()); found != nil {
			return found[len(found)-1]
		}
		select {
		case <-o.grew:
		case <-time.After(time.Minute): // the framework compiles its schemas, which takes long under the race detector
			t.Fatalf("%q is not in %s", pattern, o.String())
		}
	}
}

// service is a running emrys-chaincode.
type service struct {
	address string
	log     *output
	stop    func() int
}

func start(t *testing.T, env map[string]string) *service {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	log, code := newOutput(), make(chan int, 1)
	go func() { code <- run(ctx, nil, log, log, func(name string) string { return env[name] }) }()
	stop := sync.OnceValue(func() int {
		cancel()
		return <-code
	})
	t.Cleanup(func() { stop() })
	return &service{log.find(t, `"address":"([^"]+)"`), log, stop}
}

// connect opens a stream as a peer does and returns the chaincode's first message.
func connect(t *testing.T, address string, creds credentials.TransportCredentials) (
	peer.Chaincode_ConnectClient, *peer.ChaincodeMessage, error,
) {
	t.Helper()
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(creds))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	stream, err := peer.NewChaincodeClient(conn).Connect(t.Context())
	if err != nil {
		return nil, nil, err
	}
	first, err := stream.Recv()
	return stream, first, err
}

func clientTLS(t *testing.T, server *authority, client *authority) credentials.TransportCredentials {
	t.Helper()
	pool := x509.NewCertPool()
	pool.AddCert(server.cert)
	config := &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	if client != nil {
		cert, key := client.issue()
		pair, err := tls.X509KeyPair(cert, key)
		require.NoError(t, err)
		config.Certificates = []tls.Certificate{pair}
	}
	return credentials.NewTLS(config)
}

func TestAPeerIsServedOverMutualTLSAndNobodyElse(t *testing.T) {
	t.Parallel()
	server, peers, strangers := newAuthority(t), newAuthority(t), newAuthority(t)
	s := start(t, environment(t, server, peers))

	_, first, err := connect(t, s.address, clientTLS(t, server, peers))
	require.NoError(t, err)
	require.Equal(t, peer.ChaincodeMessage_REGISTER, first.GetType())
	var id peer.ChaincodeID
	require.NoError(t, proto.Unmarshal(first.GetPayload(), &id))
	require.Equal(t, "emrys:abc", id.GetName())

	_, _, err = connect(t, s.address, clientTLS(t, server, nil))
	require.Error(t, err, "without a client certificate")
	_, _, err = connect(t, s.address, clientTLS(t, server, strangers))
	require.Error(t, err, "with a certificate by another CA")
	_, _, err = connect(t, s.address, insecure.NewCredentials())
	require.Error(t, err, "in plain text")

	require.Equal(t, exitOK, s.stop())
	require.Contains(t, s.log.String(), `"drained":true`)
}

// TestACallIsAnsweredOverTheWire speaks a peer's part of the shim protocol.
func TestACallIsAnsweredOverTheWire(t *testing.T) {
	t.Parallel()
	s := start(t, map[string]string{envAddress: "127.0.0.1:0", envID: "emrys:abc", envPlaintext: "yes"})
	stream, _, err := connect(t, s.address, insecure.NewCredentials())
	require.NoError(t, err)
	require.NoError(t, stream.Send(&peer.ChaincodeMessage{Type: peer.ChaincodeMessage_REGISTERED}))
	require.NoError(t, stream.Send(&peer.ChaincodeMessage{Type: peer.ChaincodeMessage_READY}))
	input, err := proto.Marshal(&peer.ChaincodeInput{Args: [][]byte{[]byte("getRecord"), []byte("secret")}})
	require.NoError(t, err)
	require.NoError(t, stream.Send(&peer.ChaincodeMessage{
		Type: peer.ChaincodeMessage_TRANSACTION, Payload: input, Txid: "tx1", ChannelId: "emrys",
	}))
	answer, err := stream.Recv()
	require.NoError(t, err)
	require.Equal(t, peer.ChaincodeMessage_COMPLETED, answer.GetType())
	var response peer.Response
	require.NoError(t, proto.Unmarshal(answer.GetPayload(), &response))
	e, err := ledgerapi.DecodeError(response.GetMessage())
	require.NoError(t, err)
	require.Equal(t, emr.CodeUnsupported, e.Code)
	s.log.find(t, `"op":"(other)","code":"unsupported","tx_id":"tx1"`)
	require.Equal(t, exitOK, s.stop())
	require.NotContains(t, s.log.String(), "secret")
	require.NotContains(t, s.log.String(), "getRecord")
}

func TestTheServiceRefusesToStart(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	cert, _ := a.issue()
	_, otherKey := a.issue()
	for name, test := range map[string]struct {
		change func(map[string]string)
		code   int
		text   string
	}{
		"without an address":           {func(e map[string]string) { delete(e, envAddress) }, exitUsage, envAddress},
		"without a package id":         {func(e map[string]string) { delete(e, envID) }, exitUsage, envID},
		"without a key":                {func(e map[string]string) { delete(e, envKey) }, exitUsage, "mutual TLS"},
		"without a certificate":        {func(e map[string]string) { delete(e, envCert) }, exitUsage, "mutual TLS"},
		"without a client CA":          {func(e map[string]string) { delete(e, envClientCA) }, exitUsage, "mutual TLS"},
		"with a key that is not there": {func(e map[string]string) { e[envKey] = "/nonexistent" }, exitUsage, envKey},
		"with the key of another":      {func(e map[string]string) { e[envKey] = write(t, "k", otherKey) }, exitUsage, envKey},
		"with a CA that is not there":  {func(e map[string]string) { e[envClientCA] = "/nonexistent" }, exitUsage, envClientCA},
		"with a CA that is none":       {func(e map[string]string) { e[envClientCA] = write(t, "c", []byte("x")) }, exitUsage, envClientCA},
		"with TLS and plain text":      {func(e map[string]string) { e[envPlaintext] = "yes" }, exitUsage, "contradicts"},
		"with another yes":             {func(e map[string]string) { clear(e); e[envPlaintext] = "true" }, exitUsage, "mutual TLS"},
		"with an unknown log level":    {func(e map[string]string) { e[envLogLevel] = "loud" }, exitUsage, envLogLevel},
		"with an address of no host":   {func(e map[string]string) { e[envAddress] = "256.0.0.1:1" }, exitFailed, "listen"},
	} {
		t.Run(name, func(t *testing.T) {
			env := environment(t, a, a)
			require.NotEmpty(t, cert)
			test.change(env)
			var stderr bytes.Buffer
			code := run(t.Context(), nil, &stderr, &stderr, func(n string) string { return env[n] })
			require.Equal(t, test.code, code, stderr.String())
			require.Contains(t, stderr.String(), test.text)
		})
	}
}

func TestAPortInUseIsReported(t *testing.T) {
	t.Parallel()
	taken, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	env := map[string]string{envAddress: taken.Addr().String(), envID: "x:y", envPlaintext: "yes"}
	var stderr bytes.Buffer
	require.Equal(t, exitFailed, run(t.Context(), nil, &stderr, &stderr, func(n string) string { return env[n] }))
	require.Contains(t, stderr.String(), "address already in use")
}

func TestFlags(t *testing.T) {
	t.Parallel()
	none := func(string) string { return "" }
	var stdout, stderr bytes.Buffer
	require.Equal(t, exitOK, run(t.Context(), []string{"--version"}, &stdout, &stderr, none))
	require.True(t, strings.HasPrefix(stdout.String(), "emrys-chaincode "))
	require.Equal(t, exitUsage, run(t.Context(), []string{"--nothing"}, &stdout, &stderr, none))
	require.Equal(t, exitUsage, run(t.Context(), []string{"argument"}, &stdout, &stderr, none))
}

// slow is a chaincode that answers when it is told to.
type slow struct {
	shim.Chaincode
	entered, release chan struct{}
}

func (s *slow) Invoke(shim.ChaincodeStubInterface) *peer.Response {
	s.entered <- struct{}{}
	<-s.release
	return shim.Success(nil)
}

// namedStub answers what the tracker asks of a call.
type namedStub struct{ shim.ChaincodeStubInterface }

func (namedStub) GetFunctionAndParameters() (string, []string) { return ledgerapi.Disclose, nil }
func (namedStub) GetTxID() string                              { return "tx" }

func TestAStopWaitsForInvocationsUnderWayAndRefusesNewOnes(t *testing.T) {
	t.Parallel()
	s := &slow{entered: make(chan struct{}), release: make(chan struct{})}
	work := &tracker{next: s, logger: slog.New(slog.DiscardHandler)}
	answered := make(chan *peer.Response)
	go func() { answered <- work.Invoke(namedStub{}) }()
	<-s.entered
	require.False(t, work.drain(time.Millisecond), "one is under way")
	refused := work.Invoke(namedStub{})
	e, err := ledgerapi.DecodeError(refused.GetMessage())
	require.NoError(t, err)
	require.Equal(t, emr.CodeUnavailable, e.Code)
	close(s.release)
	require.Equal(t, int32(shim.OK), (<-answered).GetStatus())
	require.True(t, work.drain(time.Minute))
}
