// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/emrys-health/emrys/gateway/internal/fabric"
	"github.com/emrys-health/emrys/gateway/internal/proxy"
	"github.com/emrys-health/emrys/pkg/blob/ipfs"
	"github.com/emrys-health/emrys/pkg/keystore"
)

// Connect makes the dependencies that a configuration describes: it reads files
// and dials lazily, so that peers and daemons may still be down. The returned
// function closes them.
func Connect(cfg Config, log *slog.Logger) (Deps, func() error, error) {
	deps := Deps{Now: time.Now, Log: log}
	var err error
	if deps.Certificate, err = tls.LoadX509KeyPair(cfg.TLS.Cert, cfg.TLS.Key); err != nil {
		return deps, nil, fmt.Errorf("tls: load the listener's certificate: %w", err)
	}
	if deps.Roots, err = loadRoots(cfg.ClientRoots); err != nil {
		return deps, nil, fmt.Errorf("clientRoots: %w", err)
	}
	keys, err := keystore.OpenGateway(filepath.Dir(cfg.KeysFile), nil)
	if err != nil {
		return deps, nil, fmt.Errorf("keysFile: %w", err)
	}
	deps.Keys = proxy.Keys{Proxy: keys.Proxy(), Receipt: keys.Receipt()}
	if cfg.IPFS != nil {
		if deps.Store, err = connectIPFS(cfg); err != nil {
			return deps, nil, fmt.Errorf("ipfs: %w", err)
		}
	}
	ledger, err := connectFabric(cfg)
	if err != nil {
		return deps, nil, fmt.Errorf("fabric: %w", err)
	}
	deps.Ledger, deps.Prover = ledger, ledger
	return deps, ledger.Close, nil
}

func connectFabric(cfg Config) (*fabric.Ledger, error) {
	cert, err := os.ReadFile(cfg.Fabric.Cert)
	if err != nil {
		return nil, fmt.Errorf("read certificate: %w", err)
	}
	key, err := loadKey(cfg.Fabric.Key)
	if err != nil {
		return nil, err
	}
	c := fabric.Config{
		Channel: cfg.Fabric.Channel, Chaincode: cfg.Fabric.Chaincode, MSP: cfg.Fabric.MSP, Certificate: cert, Key: key,
		Timeouts: fabric.Timeouts{
			Evaluate: cfg.Timeouts.Evaluate, Endorse: cfg.Timeouts.Endorse,
			Submit: cfg.Timeouts.Submit, Commit: cfg.Timeouts.Commit,
		},
	}
	for i, peer := range cfg.Fabric.Peers {
		roots, err := loadRoots(peer.TLSRoots)
		if err != nil {
			return nil, fmt.Errorf("peers[%d].tlsRoots: %w", i, err)
		}
		c.Peers = append(c.Peers, fabric.Peer{Address: peer.Address, Roots: roots, ServerName: peer.ServerName})
	}
	return fabric.Connect(c)
}

func loadRoots(path string) (*x509.CertPool, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read roots: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, errNoCertificate
	}
	return pool, nil
}

// loadKey reads a P-256 key in PKCS #8 or SEC 1 form. Errors do not quote the file.
func loadKey(path string) (*ecdsa.PrivateKey, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read key: %w", err)
	}
	defer clear(text)
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("read key: not PEM")
	}
	defer clear(block.Bytes)
	if key, err := x509.ParseECPrivateKey(block.Bytes); err == nil {
		return key, nil
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, errors.New("read key: neither PKCS #8 nor SEC 1")
	}
	ec, ok := key.(*ecdsa.PrivateKey)
	if !ok {
		return nil, errors.New("read key: not an elliptic-curve key")
	}
	return ec, nil
}

// daemon is the Kubo daemon as the gateway's content store.
type daemon struct{ *ipfs.Store }

func connectIPFS(cfg Config) (Store, error) {
	store, err := ipfs.New(ipfs.Config{
		Endpoint: cfg.IPFS.API, SecretFile: cfg.IPFS.Authorization, StallTimeout: cfg.Timeouts.Stall,
	})
	if err != nil {
		return nil, err
	}
	return daemon{store}, nil
}

// Probe tells whether the daemon answers and accepts the gateway.
func (d daemon) Probe(ctx context.Context) error {
	_, err := d.Check(ctx)
	return err
}
