// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package network

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path"
	"strconv"
	"strings"

	"github.com/emrys-health/emrys/network/render"
	"github.com/emrys-health/emrys/network/topology"
)

const maxProbeBytes = 4 << 20 // metrics of a busy peer have some 200 kB

// observation is what a process says of itself.
type observation struct {
	height  uint64
	leader  bool
	version string
}

// probe asks one process whether it serves, in the way that its kind has.
func (n *Network) probe(ctx context.Context, p render.Process) (observation, error) {
	switch p.Kind {
	case render.KindOrderer:
		return n.probeFabric(ctx, n.site.Operations(p.Name, p.Org.Orderer.Operations))
	case render.KindPeer:
		return n.probeFabric(ctx, n.site.Operations(p.Name, p.Peer.Operations))
	case render.KindCA:
		return probeCA(ctx, n.site.Operations(p.Name, p.Org.CA.Operations))
	case render.KindIPFS:
		return n.probeIPFS(ctx, p.Org)
	case render.KindChaincode:
		return observation{}, n.probeChaincode(ctx, p)
	case render.KindGateway:
		return n.probeGateway(ctx, p.Org)
	}
	return observation{}, fmt.Errorf("no probe for a %s", p.Kind)
}

// fetch returns the body of a successful answer.
func fetch(client *http.Client, req *http.Request) ([]byte, error) {
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxProbeBytes))
	if err != nil {
		return nil, fmt.Errorf("read answer: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("HTTP %d: %s", resp.StatusCode, bytes.TrimSpace(body[:min(len(body), 300)]))
	}
	return body, nil
}

func get(ctx context.Context, client *http.Client, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	return fetch(client, req)
}

func (n *Network) probeFabric(ctx context.Context, operations string) (observation, error) {
	if _, err := get(ctx, http.DefaultClient, operations+"/healthz"); err != nil {
		return observation{}, err
	}
	metrics, err := get(ctx, http.DefaultClient, operations+"/metrics")
	if err != nil {
		return observation{}, err
	}
	seen := readMetrics(metrics, n.t.Channel.Name)
	if seen.height == 0 {
		return seen, fmt.Errorf("it has not joined channel %s", n.t.Channel.Name)
	}
	return seen, nil
}

// readMetrics picks what a status shows out of a node's Prometheus metrics.
func readMetrics(text []byte, channel string) observation {
	var seen observation
	of := `{channel="` + channel + `"} `
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		line := lines.Text()
		if value, ok := strings.CutPrefix(line, "ledger_blockchain_height"+of); ok {
			if height, err := strconv.ParseFloat(value, 64); err == nil {
				seen.height = uint64(height)
			}
		}
		if value, ok := strings.CutPrefix(line, "consensus_BFT_is_leader"+of); ok {
			seen.leader = value == "1"
		}
		if value, ok := strings.CutPrefix(line, `fabric_version{version="`); ok {
			seen.version, _, _ = strings.Cut(value, `"`)
		}
	}
	return seen
}

func probeCA(ctx context.Context, operations string) (observation, error) {
	if _, err := get(ctx, http.DefaultClient, operations+"/healthz"); err != nil {
		return observation{}, err
	}
	return askVersion(get(ctx, http.DefaultClient, operations+"/version"))
}

func askVersion(body []byte, err error) (observation, error) {
	if err != nil {
		return observation{}, err
	}
	var answer struct{ Version string }
	if err := json.Unmarshal(body, &answer); err != nil {
		return observation{}, fmt.Errorf("read version: %w", err)
	}
	return observation{version: answer.Version}, nil
}

func (n *Network) probeIPFS(ctx context.Context, org topology.Organisation) (observation, error) {
	authorization, err := os.ReadFile(n.site.IPFSAuthorization(org))
	if err != nil {
		return observation{}, fmt.Errorf("read authorization: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, n.site.IPFSAPIURL(org)+"/api/v0/version", nil)
	if err != nil {
		return observation{}, fmt.Errorf("make request: %w", err)
	}
	req.Header.Set("Authorization", strings.TrimSpace(string(authorization)))
	return askVersion(fetch(http.DefaultClient, req))
}

// clientTLS is how an organisation's tools reach its own servers; dir, if
// given, holds the client's key pair.
func (n *Network) clientTLS(org topology.Organisation, dir string) (*tls.Config, error) {
	raw, err := os.ReadFile(n.site.TLSRoots(org))
	if err != nil {
		return nil, fmt.Errorf("read TLS roots: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(raw) {
		return nil, errors.New("the TLS roots hold no certificate")
	}
	config := &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	if dir != "" {
		pair, err := tls.LoadX509KeyPair(path.Join(dir, render.TLSCertFile), path.Join(dir, render.TLSKeyFile))
		if err != nil {
			return nil, fmt.Errorf("load client key pair: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

// probeChaincode shakes hands as a peer would.
func (n *Network) probeChaincode(ctx context.Context, p render.Process) error {
	config, err := n.clientTLS(p.Org, path.Join(n.site.ChaincodeDir(p.Org), "client"))
	if err != nil {
		return err
	}
	config.NextProtos = []string{"h2"}
	conn, err := (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", p.Address)
	if err != nil {
		return err
	}
	return conn.Close()
}

func (n *Network) probeGateway(ctx context.Context, org topology.Organisation) (observation, error) {
	config, err := n.clientTLS(org, "")
	if err != nil {
		return observation{}, err
	}
	transport := &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}
	_, err = get(ctx, &http.Client{Transport: transport}, n.site.GatewayURL(org)+"/readyz")
	return observation{}, err
}
