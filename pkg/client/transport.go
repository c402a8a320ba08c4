// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/emrys-health/emrys/pkg/api"
	"github.com/emrys-health/emrys/pkg/emr"
)

const (
	// maxAnswer bounds a JSON answer in bytes; the largest is an opening or a page of grants.
	maxAnswer = 8 << 20
	// maxProblem bounds the body of an error in bytes.
	maxProblem = 64 << 10
	// callTimeout bounds a call with JSON bodies. It leaves a gateway the time to see a ledger elect another leader.
	callTimeout = 60 * time.Second
	// storeTimeout is how long a gateway may take to answer after the last octet of an upload: it pins meanwhile.
	storeTimeout = 5 * time.Minute
	// streamBuffer is the size of the connection's buffers in bytes: fewer, larger TLS records.
	streamBuffer = 256 << 10
)

// newHTTP makes the HTTP client of one gateway. Only the given roots are
// trusted. It speaks HTTP/1.1: one request at a time needs no streams, and bulk
// transfers no flow-control windows.
func newHTTP(rootsPEM string) (*http.Client, error) {
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(rootsPEM)) {
		return nil, emr.Invalid("gatewayRoots", "must hold a PEM certificate")
	}
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 15 * time.Second}
	return &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext:           dialer.DialContext,
			TLSClientConfig:       &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS13},
			TLSHandshakeTimeout:   10 * time.Second,
			ResponseHeaderTimeout: storeTimeout,
			ExpectContinueTimeout: 2 * time.Second,
			IdleConnTimeout:       60 * time.Second,
			MaxIdleConnsPerHost:   4,
			WriteBufferSize:       streamBuffer,
			ReadBufferSize:        streamBuffer,
			DisableCompression:    true,
		},
	}, nil
}

// call is one request to the gateway.
type call struct {
	operation string            // row of api.Operations
	path      []string          // values of the path parameters, in order
	query     map[string]string // empty values are left out
	header    map[string]string
	body      io.Reader // of a request whose body is not JSON
	length    int64     // of body; -1 when it is not known
	json      any       // JSON body; nil for none
}

// sentError marks a failure after the request may have reached the gateway.
type sentError struct{ cause error }

func (e *sentError) Error() string { return "no answer to a request that was sent: " + e.cause.Error() }
func (e *sentError) Unwrap() error { return e.cause }

// gatewayError keeps what a problem says beside the error itself.
type gatewayError struct {
	status    int
	requestID string
}

func (e *gatewayError) Error() string {
	return fmt.Sprintf("gateway answered %d (request %s)", e.status, e.requestID)
}

// RequestID returns the id under which the gateway logged the request that
// failed, or "".
func RequestID(err error) string {
	if g, ok := errors.AsType[*gatewayError](err); ok {
		return g.requestID
	}
	return ""
}

// do performs a call whose answer is JSON and decodes it into out, which may be nil.
func (c *Client) do(ctx context.Context, k call, out any) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	began := time.Now()
	err := c.exchange(ctx, k, out)
	if c.observe != nil {
		c.observe(k.operation, time.Since(began))
	}
	return err
}

func (c *Client) exchange(ctx context.Context, k call, out any) error {
	resp, err := c.send(ctx, k)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return decodeAnswer(k.operation, resp, out)
}

func decodeAnswer(operation string, resp *http.Response, out any) error {
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return &sentError{fmt.Errorf("read answer of %s: %w", operation, err)}
	}
	if out == nil {
		return nil
	}
	if len(data) > maxAnswer {
		return emr.E(emr.CodeTooLarge, "the gateway's answer is larger than 8 MiB")
	}
	// Unknown fields are let through: a newer gateway may say more.
	if err := json.Unmarshal(data, out); err != nil {
		return &sentError{fmt.Errorf("decode answer of %s: %w", operation, err)}
	}
	return nil
}

// send performs a call and returns the response of a success. A refused token
// is renewed once, as long as nothing of the body has been consumed.
func (c *Client) send(ctx context.Context, k call) (*http.Response, error) {
	op, err := operation(k.operation)
	if err != nil {
		return nil, err
	}
	for attempt := 0; ; attempt++ {
		token := ""
		if op.Access == api.AccessPerson {
			if token, err = c.tokens.get(ctx, c); err != nil {
				return nil, err
			}
		}
		resp, started, err := c.roundTrip(ctx, op, k, token)
		if err != nil {
			return nil, err
		}
		if resp.StatusCode/100 == 2 {
			return resp, nil
		}
		err = readProblem(k.operation, resp)
		if token != "" && attempt == 0 && !started && resp.StatusCode == http.StatusUnauthorized {
			c.tokens.drop(token)
			continue
		}
		return nil, err
	}
}

// roundTrip sends one request. started tells that some of a streamed body is gone.
func (c *Client) roundTrip(ctx context.Context, op api.Operation, k call, token string) (*http.Response, bool, error) {
	var wrote atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteHeaders: func() { wrote.Store(true) }})
	body := &countingReader{source: k.body}
	req, err := c.newRequest(ctx, op, k, body)
	if err != nil {
		return nil, false, err
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, body.started(), connectionError(ctx, wrote.Load(), err)
	}
	return resp, body.started(), nil
}

func (c *Client) newRequest(ctx context.Context, op api.Operation, k call, streamed *countingReader) (*http.Request, error) {
	target, err := c.address(op, k)
	if err != nil {
		return nil, err
	}
	var body io.Reader
	contentType := "application/json"
	switch {
	case k.body != nil:
		body, contentType = streamed, "application/octet-stream"
	case k.json != nil:
		data, err := emr.Canonical(k.json)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, op.Method, target, body)
	if err != nil {
		return nil, fmt.Errorf("make request %s: %w", op.Name, err)
	}
	if body != nil {
		req.Header.Set("Content-Type", contentType)
	}
	if k.body != nil {
		req.ContentLength = k.length
		// A token that is refused is refused before the body is spent.
		req.Header.Set("Expect", "100-continue")
	}
	req.Header.Set("Accept", "application/json, application/problem+json")
	for name, value := range k.header {
		req.Header.Set(name, value)
	}
	return req, nil
}

// address fills the parameters of an operation's path.
func (c *Client) address(op api.Operation, k call) (string, error) {
	path := op.Path
	for _, value := range k.path {
		open, end := strings.IndexByte(path, '{'), strings.IndexByte(path, '}')
		if open < 0 || end < open {
			return "", fmt.Errorf("client: operation %s takes fewer path parameters", op.Name)
		}
		path = path[:open] + url.PathEscape(value) + path[end+1:]
	}
	query := url.Values{}
	for name, value := range k.query {
		if value != "" {
			query.Set(name, value)
		}
	}
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	return c.profile.Gateway + path, nil
}

func operation(name string) (api.Operation, error) {
	for _, op := range api.Operations() {
		if op.Name == name {
			return op, nil
		}
	}
	return api.Operation{}, fmt.Errorf("client: no operation %q", name)
}

// connectionError tells a gateway that was never reached from an answer that
// never came.
func connectionError(ctx context.Context, sent bool, err error) error {
	if sent {
		return &sentError{err}
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return interrupted()
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return emr.Wrap(emr.CodeUnauthenticated, "the gateway's certificate is not one that this profile trusts", err)
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return emr.Wrap(emr.CodeTimeout, "the gateway did not answer in time; nothing was sent", err)
	}
	return emr.Wrap(emr.CodeUnavailable, "the gateway cannot be reached; nothing was sent", err)
}

func interrupted() error { return fmt.Errorf("interrupted: %w", context.Canceled) }

// readProblem turns an unsuccessful response into an error and closes it.
func readProblem(operation string, resp *http.Response) error {
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxProblem))
	cause := &gatewayError{status: resp.StatusCode, requestID: resp.Header.Get(api.RequestIDHeader)}
	var p api.Problem
	if err != nil || json.Unmarshal(data, &p) != nil || !p.Code.Valid() {
		return foreignProblem(operation, resp.StatusCode, cause)
	}
	if cause.requestID == "" {
		cause.requestID = p.RequestID
	}
	return &emr.Error{
		Code: p.Code, Op: operation, Message: p.Detail, Field: p.Field, Reason: p.Reason, TxID: p.TransactionID, Err: cause,
	}
}

// foreignProblem judges an answer that is not the gateway's own, for example
// from something in between. Whether the gateway acted is then open.
func foreignProblem(operation string, status int, cause error) error {
	codes := map[int]emr.Code{
		http.StatusBadRequest: emr.CodeInvalid, http.StatusUnauthorized: emr.CodeUnauthenticated,
		http.StatusForbidden: emr.CodeForbidden, http.StatusNotFound: emr.CodeNotFound,
		http.StatusMethodNotAllowed: emr.CodeUnsupported, http.StatusRequestEntityTooLarge: emr.CodeTooLarge,
		http.StatusTooManyRequests: emr.CodeRateLimited, http.StatusServiceUnavailable: emr.CodeUnavailable,
	}
	if code, ok := codes[status]; ok {
		return &emr.Error{Code: code, Op: operation, Message: fmt.Sprintf("the gateway answered %d", status), Err: cause}
	}
	return &sentError{cause}
}

// countingReader tells whether anything has been read of its source.
type countingReader struct {
	source io.Reader
	n      atomic.Int64
}

func (r *countingReader) Read(p []byte) (int, error) {
	n, err := r.source.Read(p)
	r.n.Add(int64(n))
	return n, err
}

func (r *countingReader) started() bool { return r.n.Load() > 0 }
