// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

// Package fabricca is a client of the Hyperledger Fabric CA server's REST
// interface: enough of it to register an identity, to enrol one and to renew
// a certificate.
//
// It depends on the standard library only. Private keys never pass through
// it: a caller makes its own certificate signing request and hands over a
// [crypto.Signer] where the server wants a signed request.
//
// The wire format is that of fabric-ca 1.5 (swagger-fabric-ca.json and
// util.GenECDSAToken in its source).
package fabricca

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	// requestTimeout bounds one exchange. A CA answers in well under a
	// second; enrolment costs it one bcrypt comparison.
	requestTimeout = 20 * time.Second
	// maxResponseBytes bounds what is read of an answer, which holds at most
	// a certificate and its chain.
	maxResponseBytes = 1 << 20
)

// Client speaks to one certificate authority of one Fabric CA server. A
// server may hold several, each with a name. It is safe for concurrent use.
type Client struct {
	base   *url.URL
	caName string
	http   *http.Client
}

// New returns a client of the authority caName at serverURL (an https URL
// without a path). tlsRootsPEM holds the certificates that the server's TLS
// certificate must chain to; the system's roots are not consulted.
func New(serverURL string, tlsRootsPEM []byte, caName string) (*Client, error) {
	base, err := url.Parse(serverURL)
	if err != nil {
		return nil, fmt.Errorf("parse CA address: %w", err)
	}
	if base.Scheme != "https" || base.Host == "" || base.User != nil || strings.Trim(base.Path, "/") != "" {
		return nil, fmt.Errorf("CA address %q: want https://host:port", base.Redacted())
	}
	if caName == "" {
		return nil, errors.New("the CA name is empty")
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(tlsRootsPEM) {
		return nil, errors.New("the CA's TLS roots hold no certificate")
	}
	transport := &http.Transport{
		TLSClientConfig:     &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		MaxIdleConnsPerHost: 8,
		IdleConnTimeout:     30 * time.Second,
	}
	return &Client{
		base:   &url.URL{Scheme: base.Scheme, Host: base.Host},
		caName: caName,
		http:   &http.Client{Transport: transport, Timeout: requestTimeout},
	}, nil
}

// Close drops idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Error is a refusal by the server.
type Error struct {
	Status  int    // the HTTP status
	Code    int    // fabric-ca's own code (lib/caerrors)
	Message string // the server's words
}

func (e *Error) Error() string {
	return fmt.Sprintf("fabric CA refused: %s (HTTP %d, code %d)", e.Message, e.Status, e.Code)
}

// codeDuplicateIdentity is caerrors.ErrDupIdentityReg.
const codeDuplicateIdentity = 74

// IsAlreadyRegistered reports whether err says that the identity exists.
func IsAlreadyRegistered(err error) bool {
	var refusal *Error
	return errors.As(err, &refusal) && refusal.Code == codeDuplicateIdentity
}

type envelope struct {
	Success bool            `json:"success"`
	Result  json.RawMessage `json:"result"`
	Errors  []struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	} `json:"errors"`
}

// post sends body to an endpoint and decodes the result of the answer.
// authorise adds the credentials; the URI it must sign is the request's.
func (c *Client) post(ctx context.Context, endpoint string, body any, authorise func(*http.Request, []byte) error, result any) error {
	payload, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("encode request: %w", err)
	}
	target := c.base.JoinPath("api", "v1", endpoint)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target.String(), bytes.NewReader(payload))
	if err != nil {
		return fmt.Errorf("make request: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	if err := authorise(req, payload); err != nil {
		return err
	}
	return c.do(req, result)
}

func (c *Client) do(req *http.Request, result any) error {
	resp, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("reach CA: %w", err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxResponseBytes))
	if err != nil {
		return fmt.Errorf("read CA answer: %w", err)
	}
	return decode(resp.StatusCode, raw, result)
}

// decode reads an answer: the envelope, its refusal if there is one, and the
// result. Success needs both a 2xx status and success=true.
func decode(status int, raw []byte, result any) error {
	var answer envelope
	if err := json.Unmarshal(raw, &answer); err != nil {
		return &Error{Status: status, Message: "the answer is not the JSON of a Fabric CA"}
	}
	if !answer.Success || status < 200 || status > 299 {
		refusal := &Error{Status: status, Message: "no reason given"}
		if len(answer.Errors) > 0 {
			refusal.Code = answer.Errors[0].Code
			refusal.Message = answer.Errors[0].Message
		}
		return refusal
	}
	if err := json.Unmarshal(answer.Result, result); err != nil {
		return fmt.Errorf("decode CA answer: %w", err)
	}
	return nil
}

// Info asks for the authority's certificate chain, root last, as PEM. It
// needs no credentials and serves as a readiness check.
func (c *Client) Info(ctx context.Context) (chainPEM []byte, err error) {
	target := c.base.JoinPath("api", "v1", "cainfo")
	target.RawQuery = url.Values{"ca": {c.caName}}.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	var info serverInfo
	if err := c.do(req, &info); err != nil {
		return nil, fmt.Errorf("ask CA %s for its chain: %w", c.caName, err)
	}
	return info.chain(c.caName)
}
