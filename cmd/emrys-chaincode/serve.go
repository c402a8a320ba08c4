// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/hyperledger/fabric-chaincode-go/v2/shim"
	"github.com/hyperledger/fabric-protos-go-apiv2/peer"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

const (
	// maxMessage is the size limit of one message between peer and chaincode in
	// bytes, that of Fabric's peer.
	maxMessage = 100 << 20
	// Keepalive of Fabric's external chaincode servers: peers ping as often as once a minute.
	pingEvery    = time.Minute
	pingTimeout  = 20 * time.Second
	pingMinimum  = time.Minute
	handshakeMax = 5 * time.Second
	// drainTime is how long a stop waits for the invocations under way.
	drainTime = 10 * time.Second
)

// serve answers peers until ctx ends or the listener fails.
func serve(ctx context.Context, cfg *config, chaincode shim.Chaincode, logger *slog.Logger) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", cfg.address)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", cfg.address, err)
	}
	work := &tracker{next: chaincode, logger: logger}
	server := grpc.NewServer(serverOptions(cfg)...)
	peer.RegisterChaincodeServer(server, &shim.ChaincodeServer{CCID: cfg.id, CC: work})
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	logger.Info("serving chaincode", slog.String("address", listener.Addr().String()),
		slog.String("package", cfg.id), slog.Bool("tls", cfg.tls != nil))
	select {
	case err := <-failed:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	logger.Info("stopping", slog.Bool("drained", work.drain(drainTime)))
	server.Stop() // a peer's stream never ends by itself
	return nil
}

func serverOptions(cfg *config) []grpc.ServerOption {
	transport := insecure.NewCredentials()
	if cfg.tls != nil {
		transport = credentials.NewTLS(cfg.tls)
	}
	return []grpc.ServerOption{
		grpc.Creds(transport),
		grpc.MaxRecvMsgSize(maxMessage), grpc.MaxSendMsgSize(maxMessage),
		grpc.ConnectionTimeout(handshakeMax),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: pingEvery, Timeout: pingTimeout}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: pingMinimum, PermitWithoutStream: true}),
	}
}

// tracker counts the invocations under way, and writes one line for each.
type tracker struct {
	next   shim.Chaincode
	logger *slog.Logger

	mu       sync.Mutex
	stopping bool
	work     sync.WaitGroup
}

var _ shim.Chaincode = (*tracker)(nil)

// Init implements shim.Chaincode.
func (t *tracker) Init(stub shim.ChaincodeStubInterface) *peer.Response { return t.next.Init(stub) }

// Invoke implements shim.Chaincode. While the service stops it refuses.
func (t *tracker) Invoke(stub shim.ChaincodeStubInterface) *peer.Response {
	if !t.begin() {
		return shim.Error(ledgerapi.EncodeError(emr.E(emr.CodeUnavailable, "this chaincode service is stopping")))
	}
	defer t.work.Done()
	started := time.Now()
	response := t.next.Invoke(stub)
	t.log(stub, response, time.Since(started))
	return response
}

func (t *tracker) begin() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.stopping {
		return false
	}
	t.work.Add(1)
	return true
}

// drain refuses new invocations and waits for those under way. It tells whether
// all were answered in time.
func (t *tracker) drain(limit time.Duration) bool {
	t.mu.Lock()
	t.stopping = true
	t.mu.Unlock()
	done := make(chan struct{})
	go func() {
		t.work.Wait()
		close(done)
	}()
	select {
	case <-done:
		return true
	case <-time.After(limit):
		return false
	}
}

// log names the function only when it is one of the contract's: everything else
// in a call is a stranger's text, and may be a patient's.
func (t *tracker) log(stub shim.ChaincodeStubInterface, response *peer.Response, took time.Duration) {
	code := "ok"
	if response.GetStatus() >= shim.ERRORTHRESHOLD {
		code = "error"
		if e, err := ledgerapi.DecodeError(response.GetMessage()); err == nil {
			code = string(e.Code)
		}
	}
	t.logger.Info("invoked", slog.String("op", knownFunction(stub)), slog.String("code", code),
		slog.String("tx_id", stub.GetTxID()), slog.Float64("dur_ms", float64(took.Microseconds())/1000))
}

func knownFunction(stub shim.ChaincodeStubInterface) string {
	function, _ := stub.GetFunctionAndParameters()
	for _, list := range [][]string{
		ledgerapi.SignedTransactions(), ledgerapi.OrganisationTransactions(), ledgerapi.Queries(),
	} {
		for _, known := range list {
			if known == function {
				return known
			}
		}
	}
	return "other"
}
