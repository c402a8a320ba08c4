// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"path"
	"time"

	"github.com/emrys-health/emrys/network/render"
	"github.com/emrys-health/emrys/network/topology"
)

const (
	adminTimeout     = 10 * time.Second
	pollInterval     = 50 * time.Millisecond
	maxAdminResponse = 1 << 20
)

// OrdererStatus is an orderer's part in a channel.
type OrdererStatus struct {
	Name              string `json:"name"`
	ConsensusRelation string `json:"consensusRelation"`
	Status            string `json:"status"`
	Height            uint64 `json:"height"`
}

// errNotJoined means that the orderer does not know the channel.
var errNotJoined = errors.New("the orderer has not joined the channel")

// Orderer is a client of one orderer's channel participation API.
type Orderer struct {
	name, url, channel string
	http               *http.Client
}

// NewOrderer returns a client that proves itself with the organisation's
// administrator TLS pair, the only one the orderer accepts.
func NewOrderer(site render.Site, t *topology.Topology, org topology.Organisation) (*Orderer, error) {
	roots, err := os.ReadFile(site.TLSRoots(org))
	if err != nil {
		return nil, fmt.Errorf("read TLS roots: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(roots) {
		return nil, fmt.Errorf("%s holds no certificate", site.TLSRoots(org))
	}
	dir := site.AdminTLS(org)
	pair, err := tls.LoadX509KeyPair(path.Join(dir, render.TLSCertFile), path.Join(dir, render.TLSKeyFile))
	if err != nil {
		return nil, fmt.Errorf("load administrator's TLS pair: %w", err)
	}
	config := &tls.Config{
		RootCAs: pool, MinVersion: tls.VersionTLS12,
		// The orderer trusts this very certificate, not its issuer. Left to
		// itself, Go offers a certificate only to who trusts the issuer.
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil },
	}
	return &Orderer{
		name: render.OrdererName(org), url: site.OrdererAdminURL(org), channel: t.Channel.Name,
		http: &http.Client{Timeout: adminTimeout, Transport: &http.Transport{TLSClientConfig: config}},
	}, nil
}

// Close drops idle connections.
func (o *Orderer) Close() { o.http.CloseIdleConnections() }

const participation = "/participation/v1/channels"

// Status asks for the orderer's part in the channel.
func (o *Orderer) Status(ctx context.Context) (OrdererStatus, error) {
	var status OrdererStatus
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, o.url+participation+"/"+o.channel, nil)
	if err != nil {
		return status, fmt.Errorf("make request: %w", err)
	}
	code, body, err := o.do(req)
	switch {
	case err != nil:
		return status, err
	case code == http.StatusNotFound:
		return status, errNotJoined
	case code != http.StatusOK:
		return status, fmt.Errorf("%s answered HTTP %d", o.name, code)
	}
	if err := json.Unmarshal(body, &status); err != nil {
		return status, fmt.Errorf("read status of %s: %w", o.name, err)
	}
	return status, nil
}

// Join makes the orderer a member of the channel unless it is one already,
// and waits until it is an active consenter.
func (o *Orderer) Join(ctx context.Context, genesis []byte) error {
	return poll(ctx, o.name+" to join the channel", func() error {
		status, err := o.Status(ctx)
		if errors.Is(err, errNotJoined) {
			if err := o.join(ctx, genesis); err != nil {
				return err
			}
			status, err = o.Status(ctx)
		}
		if err != nil {
			return err
		}
		if status.Status != "active" || status.ConsensusRelation != "consenter" {
			return fmt.Errorf("%s is %s, %s", o.name, status.ConsensusRelation, status.Status)
		}
		return nil
	})
}

func (o *Orderer) join(ctx context.Context, genesis []byte) error {
	var form bytes.Buffer
	writer := multipart.NewWriter(&form)
	part, err := writer.CreateFormFile("config-block", "genesis.block")
	if err != nil {
		return fmt.Errorf("make form: %w", err)
	}
	_, _ = part.Write(genesis) // a buffer takes all
	if err := writer.Close(); err != nil {
		return fmt.Errorf("end form: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, o.url+participation, &form)
	if err != nil {
		return fmt.Errorf("make request: %w", err)
	}
	req.Header.Set("Content-Type", writer.FormDataContentType())
	code, body, err := o.do(req)
	if err != nil {
		return err
	}
	if code != http.StatusCreated {
		return fmt.Errorf("%s refused to join: HTTP %d: %s", o.name, code, bytes.TrimSpace(body))
	}
	return nil
}

func (o *Orderer) do(req *http.Request) (int, []byte, error) {
	resp, err := o.http.Do(req)
	if err != nil {
		return 0, nil, fmt.Errorf("reach %s: %w", o.name, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAdminResponse))
	if err != nil {
		return 0, nil, fmt.Errorf("read answer of %s: %w", o.name, err)
	}
	return resp.StatusCode, body, nil
}

// poll repeats attempt until it succeeds or ctx ends, and then tells what
// went wrong last.
func poll(ctx context.Context, what string, attempt func() error) error {
	for {
		err := attempt()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w (last: %w)", what, ctx.Err(), err)
		case <-time.After(pollInterval):
		}
	}
}
