// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package proxy

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
	"slices"
	"strings"
	"time"

	"github.com/emrys-health/emrys/gateway/internal/service"
	"github.com/emrys-health/emrys/pkg/api"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/pre"
)

// Verifier checks proxies' answers. It has no state.
type Verifier struct{}

var _ service.Verifier = Verifier{}

// Verify implements service.Verifier: the answer is the gateway's own (receipt),
// made with the very key fragment that the patient's grant commits to, and proven
// for exactly this record, reader and ticket; of a direct grant, it holds the very
// sealed key that the grant commits to for this record. The share is sealed to the
// reader: only the reader can check it.
func (Verifier) Verify(o *service.Opened, org emr.Organisation, f *api.Fragment) error {
	if f.Gateway != org.ID {
		return corrupt("answered in another gateway's name", nil)
	}
	receiptKey, err := pre.ParsePublicKey(org.Keys.Receipt)
	if err != nil {
		return corrupt("its receipt key cannot be read", err)
	}
	digest, err := receiptDigest(o, f)
	if err != nil {
		return err
	}
	if err := pre.VerifyP256(receiptKey, digest[:], f.Receipt); err != nil {
		return corrupt("its receipt does not verify", err)
	}
	if o.Grant.Terms.Direct {
		err = verifyDirect(o, f)
	} else {
		err = verifyFragment(o, org.ID, f)
	}
	if err != nil {
		return err
	}
	if len(f.Share) == 0 {
		return corrupt("its answer holds no share", nil)
	}
	return nil
}

func verifyFragment(o *service.Opened, gateway emr.OrgID, f *api.Fragment) error {
	if len(f.Direct) != 0 {
		return corrupt("it answered with a sealed key, and the grant has none", nil)
	}
	fragment, err := pre.ParseCapsuleFragment(f.Capsule)
	if err != nil {
		return corrupt("its fragment cannot be read", err)
	}
	params, capsule, err := parameters(o, gateway)
	if err != nil {
		return err
	}
	if err := fragment.Verify(capsule, params); err != nil {
		return corrupt("its fragment is not proven for this record and ticket", err)
	}
	at := slices.Index(o.Grant.Terms.Gateways, gateway)
	if at < 0 || at >= len(o.Grant.Commitments) || o.Grant.Commitments[at] != emr.Digest(fragment.Commitment()) {
		return corrupt("its fragment is not the one that the grant commits to", nil)
	}
	return nil
}

// maxAnswer bounds a proxy's answer in bytes.
const maxAnswer = 64 << 10

// Client asks the gateways of other organisations. It is safe for concurrent use.
type Client struct {
	http *http.Client
	path string
}

var _ service.Proxies = (*Client)(nil)

// NewClient makes a client that shows cert and trusts roots. It follows no
// redirects.
func NewClient(cert tls.Certificate, roots *x509.CertPool) (*Client, error) {
	path, err := operationPath("proxy.reencrypt")
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{
		TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{cert}, RootCAs: roots},
		MaxIdleConnsPerHost: 8, IdleConnTimeout: 90 * time.Second, TLSHandshakeTimeout: 3 * time.Second,
	}
	return &Client{path: path, http: &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

func operationPath(name string) (string, error) {
	for _, op := range api.Operations() {
		if op.Name == name {
			return op.Path, nil
		}
	}
	return "", fmt.Errorf("operation %s is not in the table", name)
}

// Close drops idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Ask implements service.Proxies.
func (c *Client) Ask(ctx context.Context, org emr.Organisation, signed *emr.SignedAction) (api.Fragment, error) {
	body, err := emr.Canonical(signed)
	if err != nil {
		return api.Fragment{}, err
	}
	url := strings.TrimSuffix(org.GatewayURL, "/") + c.path
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return api.Fragment{}, emr.Wrap(emr.CodeUnavailable, "its address is not valid", err)
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := c.http.Do(request)
	if err != nil {
		return api.Fragment{}, unreachable(err)
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return api.Fragment{}, unreachable(err)
	}
	if response.StatusCode != http.StatusOK {
		return api.Fragment{}, problem(answer)
	}
	var fragment api.Fragment
	if err := json.Unmarshal(answer, &fragment); err != nil {
		return api.Fragment{}, corrupt("its answer cannot be read", err)
	}
	return fragment, nil
}

func unreachable(err error) error {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return emr.Wrap(emr.CodeTimeout, "did not answer in time", err)
	}
	return emr.Wrap(emr.CodeUnavailable, "cannot be reached", err)
}

// problem reads another gateway's error. Its text is not passed on: a caller of
// this gateway should see only what this gateway says.
func problem(body []byte) error {
	var p api.Problem
	if err := json.Unmarshal(body, &p); err != nil || !p.Code.Valid() {
		return emr.E(emr.CodeUnavailable, "answered with an error that cannot be read")
	}
	e := &emr.Error{Code: p.Code, Message: "answered: " + string(p.Code)}
	if p.Code == emr.CodeRule && p.Reason.Valid() {
		e.Reason, e.Message = p.Reason, "refused: "+p.Reason.Explain()
	}
	if p.Code == emr.CodeUnauthenticated || p.Code == emr.CodeInternal {
		e.Code = emr.CodeUnavailable // its trouble with us, not the caller's
	}
	return e
}
