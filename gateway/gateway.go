// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

// Package gateway is one organisation's gateway: the door through which people,
// other gateways and the hospital's own systems reach the ledger and the content
// store. It relays what people have signed and holds no key of theirs; its own
// keys open nothing but its part of what a patient has granted.
package gateway

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/emrys-health/emrys/gateway/internal/auth"
	"github.com/emrys-health/emrys/gateway/internal/custodian"
	"github.com/emrys-health/emrys/gateway/internal/gather"
	"github.com/emrys-health/emrys/gateway/internal/httpx"
	"github.com/emrys-health/emrys/gateway/internal/pin"
	"github.com/emrys-health/emrys/gateway/internal/proxy"
	"github.com/emrys-health/emrys/gateway/internal/quota"
	"github.com/emrys-health/emrys/gateway/internal/rest"
	"github.com/emrys-health/emrys/gateway/internal/sealer"
	"github.com/emrys-health/emrys/gateway/internal/service"
	"github.com/emrys-health/emrys/gateway/internal/upload"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// Place is a place in a Ledger's stream of events.
type Place = pin.Place

// Event is what a Ledger tells of something that was committed.
type Event = pin.Event

// Ledger is the ledger as a gateway needs it.
type Ledger interface {
	service.Ledger
	gather.Ledger
	sealer.Ledger
	custodian.Ledger
	pin.Source
	auth.ConfigBlocks
	// NameEndorsers says which organisations the channel has.
	NameEndorsers(orgs []string)
}

// gathered is a ledger that commits readings which begin at the same time together.
type gathered struct {
	service.Ledger
	gatherer *gather.Gatherer
}

// Submit implements service.Ledger.
func (g gathered) Submit(ctx context.Context, function string, signed *emr.SignedAction, result any) error {
	return g.gatherer.Submit(ctx, function, signed, result)
}

// Store is the content store as a gateway needs it.
type Store interface {
	service.Content
	upload.Content
	pin.Content
	custodian.Content
}

// Deps are what a gateway stands on.
type Deps struct {
	Ledger Ledger
	// Prover proves registry entries; nil where proofs are not offered (tests of other parts).
	Prover service.Prover
	// Store is nil for an organisation that keeps no content.
	Store Store
	// Keys are the proxy's; Certificate is the listener's, and shown to other gateways.
	Keys        proxy.Keys
	Certificate tls.Certificate
	// Roots verify other gateways.
	Roots *x509.CertPool
	Now   func() time.Time
	Log   *slog.Logger
}

// Intervals of the gateway's own work.
const (
	sweepEvery = time.Minute
	pinRetry   = 2 * time.Second
	eraseRetry = 2 * time.Second
	// grace is how long an opening waits for further proxies once enough have answered.
	grace = 30 * time.Millisecond
	// tokenPath is what assertions name after the public URL.
	tokenPath = "/v1/token"
)

// Gateway is one organisation's gateway.
type Gateway struct {
	cfg     Config
	deps    Deps
	auth    *auth.Authenticator
	uploads *upload.Store // nil without a content store
	pinner  *pin.Pinner   // nil without a content store
	eraser  *custodian.Custodian
	service *service.Service
	proxies *proxy.Client
	handler http.Handler
}

// New wires a gateway. It reads the journals in the state directory and asks
// nothing of the network.
func New(cfg Config, deps Deps) (*Gateway, error) {
	g := &Gateway{cfg: cfg, deps: deps}
	var err error
	if g.proxies, err = proxy.NewClient(deps.Certificate, deps.Roots); err != nil {
		return nil, err
	}
	ports := service.Ports{
		Ledger: gathered{deps.Ledger, gather.New(deps.Ledger)}, Prover: deps.Prover, Proxies: g.proxies, Verifier: proxy.Verifier{}, Now: deps.Now,
	}
	var readings *custodian.Readings
	if deps.Store != nil {
		if g.uploads, err = upload.Open(g.uploadSettings(), deps.Store); err != nil {
			return nil, err
		}
		readings = custodian.NewReadings(deps.Store)
		ports.Content, ports.Uploads = readings, g.uploads
	}
	org := emr.OrgID(cfg.Organisation)
	g.service = service.New(service.Settings{
		Organisation: org, Channel: cfg.Fabric.Channel, Contract: ledgerapi.ContractName,
		Threshold: uint8(cfg.Policy.Threshold), Replicas: cfg.Policy.Replicas, //nolint:gosec // validated
		Grace: grace, ProxyTimeout: cfg.Timeouts.Proxy,
	}, ports)
	if deps.Store != nil {
		erased := custodian.Erased(deps.Ledger)
		if g.pinner, err = pin.New(g.pinSettings(), deps.Store, deps.Ledger, g.service.Organisations, erased); err != nil {
			return nil, err
		}
	}
	g.eraser = g.newCustodian(readings)
	g.auth = auth.New(g.authSettings(), deps.Ledger, g.service)
	return g, g.mount()
}

func (g *Gateway) uploadSettings() upload.Settings {
	return upload.Settings{
		Dir: filepath.Join(g.cfg.StateDir, "uploads"), MaxBytes: g.cfg.Limits.UploadBytes,
		Life: g.cfg.Timeouts.UploadLife, Now: g.deps.Now, Log: g.deps.Log,
		Keeps: func(cid string) bool { return g.pinner.Keeps(cid) },
	}
}

func (g *Gateway) pinSettings() pin.Settings {
	return pin.Settings{
		Organisation: emr.OrgID(g.cfg.Organisation), Replicas: g.cfg.Policy.Replicas,
		Path: filepath.Join(g.cfg.StateDir, "pins", "progress.jsonl"), Timeout: g.cfg.Timeouts.Pin,
		Retry: pinRetry, Log: g.deps.Log,
	}
}

func (g *Gateway) newCustodian(readings *custodian.Readings) *custodian.Custodian {
	settings := custodian.Settings{
		Organisation: emr.OrgID(g.cfg.Organisation), Path: filepath.Join(g.cfg.StateDir, "erasures", "place.json"),
		Every: g.cfg.Policy.EraseEvery, Timeout: g.cfg.Timeouts.Pin, Retry: eraseRetry, Now: g.deps.Now, Log: g.deps.Log,
	}
	if g.deps.Store == nil {
		return custodian.New(settings, g.deps.Ledger, g.deps.Ledger, nil)
	}
	settings.Staged = g.uploads.Staged
	return custodian.New(settings, g.deps.Ledger, g.deps.Ledger, g.deps.Store, g.pinner, g.uploads, readings)
}

func (g *Gateway) sealSettings() sealer.Settings {
	return sealer.Settings{Organisation: emr.OrgID(g.cfg.Organisation), Every: g.cfg.Policy.SealEvery, Now: g.deps.Now, Log: g.deps.Log}
}

func (g *Gateway) authSettings() auth.Settings {
	s := auth.Settings{
		Organisation: emr.OrgID(g.cfg.Organisation), Now: g.deps.Now, Log: g.deps.Log,
		Audience: strings.TrimSuffix(g.cfg.PublicURL, "/") + tokenPath,
	}
	if g.cfg.Fabric.Endorsers == EndorsersNamed {
		s.OnTrust = g.deps.Ledger.NameEndorsers
	}
	return s
}

func (g *Gateway) mount() error {
	server := &proxy.Server{
		Organisation: emr.OrgID(g.cfg.Organisation), Channel: g.cfg.Fabric.Channel, Contract: ledgerapi.ContractName,
		Keys: g.deps.Keys, Ledger: g.deps.Ledger,
		Limit: quota.New(g.cfg.Limits.FragmentsPerSecond, g.deps.Now), Now: g.deps.Now,
	}
	door, err := rest.New(g.service, g.auth, server, rest.Limits{
		Tokens:   quota.New(g.cfg.Limits.TokensPerSecond, g.deps.Now),
		Requests: quota.New(g.cfg.Limits.RequestsPerSecond, g.deps.Now),
		Stall:    g.cfg.Timeouts.Stall,
	})
	if err != nil {
		return fmt.Errorf("mount operations: %w", err)
	}
	g.handler = httpx.Wrap(door, g.deps.Log)
	return nil
}

// Handler returns the gateway's door, for tests and for servers of one's own.
func (g *Gateway) Handler() http.Handler { return g.handler }

// Run listens and serves until ctx ends, then waits for requests under way.
func (g *Gateway) Run(ctx context.Context) error {
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", g.cfg.Listen)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	return g.Serve(ctx, listener)
}

// Serve is Run on a listener, which it closes.
func (g *Gateway) Serve(ctx context.Context, listener net.Listener) error {
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	var work sync.WaitGroup
	work.Go(func() { _ = g.auth.Run(background) })
	if g.cfg.Policy.SealEvery > 0 {
		work.Go(func() { sealer.New(g.sealSettings(), g.deps.Ledger).Run(background) })
	}
	if g.cfg.Policy.EraseEvery > 0 {
		work.Go(func() { g.eraser.Run(background) })
	}
	if g.uploads != nil {
		work.Go(func() { g.sweep(background) })
		work.Go(func() { _ = g.pinner.Run(background) })
	}
	g.deps.Log.InfoContext(ctx, "gateway listens", slog.String("address", listener.Addr().String()),
		slog.String("org", g.cfg.Organisation))
	err := httpx.Serve(ctx, httpx.NewServer(g.handler, g.tlsConfig(), g.deps.Log), listener, g.cfg.Timeouts.Drain)
	// Requests under way still need what runs in the background; now nothing does.
	stop()
	work.Wait()
	g.proxies.Close()
	g.deps.Log.InfoContext(ctx, "gateway stopped")
	return err
}

// sweep settles what uploads have left over, at once and then every minute.
func (g *Gateway) sweep(ctx context.Context) {
	ticker := time.NewTicker(sweepEvery)
	defer ticker.Stop()
	for {
		g.uploads.Sweep(ctx, func(ctx context.Context, action emr.Digest) (bool, error) {
			view, err := g.service.Action(ctx, action)
			return view.Committed, err
		})
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// tlsConfig asks for a client's certificate without needing one: gateways show
// theirs, people have tokens.
func (g *Gateway) tlsConfig() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{g.deps.Certificate},
		ClientAuth: tls.VerifyClientCertIfGiven, ClientCAs: g.deps.Roots,
	}
}

var errNoCertificate = errors.New("no certificate in the file")
