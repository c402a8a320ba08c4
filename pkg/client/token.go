// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/emrys-health/emrys/pkg/api"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/keystore"
)

const (
	// assertionLife is how long an assertion may be presented; the gateway accepts at most five minutes.
	assertionLife = 2 * time.Minute
	// tokenMargin is how long before its end a token is replaced.
	tokenMargin = 30 * time.Second
)

// tokens holds the bearer token of a client. It is safe for concurrent use.
type tokens struct {
	mu    sync.Mutex
	value string
	until time.Time
}

// get returns a token that is good for at least tokenMargin.
func (t *tokens) get(ctx context.Context, c *Client) (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.value != "" && c.now().Before(t.until) {
		return t.value, nil
	}
	answer, err := c.requestToken(ctx)
	if err != nil {
		return "", err
	}
	t.value = answer.AccessToken
	t.until = c.now().Add(time.Duration(answer.ExpiresIn)*time.Second - tokenMargin)
	return t.value, nil
}

// drop forgets a token that the gateway refused, unless it has been replaced meanwhile.
func (t *tokens) drop(refused string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.value == refused {
		t.value = ""
	}
}

// requestToken exchanges an assertion signed by the enrolment key for a token (RFC 7523 section 2.2).
func (c *Client) requestToken(ctx context.Context) (*api.TokenResponse, error) {
	op, err := operation("token.create")
	if err != nil {
		return nil, err
	}
	assertion, err := c.assertion(c.profile.Gateway + op.Path)
	if err != nil {
		return nil, err
	}
	form := url.Values{
		"grant_type":            {"client_credentials"},
		"client_assertion_type": {api.AssertionType},
		"client_assertion":      {assertion},
	}
	req, err := http.NewRequestWithContext(ctx, op.Method, c.profile.Gateway+op.Path, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, fmt.Errorf("make token request: %w", err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json, application/problem+json")
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, connectionError(ctx, false, err) // a token changes nothing: asking again is free
	}
	if resp.StatusCode != http.StatusOK {
		return nil, readProblem(op.Name, resp)
	}
	defer resp.Body.Close()
	var answer api.TokenResponse
	if err := decodeAnswer(op.Name, resp, &answer); err != nil {
		return nil, err
	}
	if answer.AccessToken == "" || !strings.EqualFold(answer.TokenType, "Bearer") {
		return nil, emr.E(emr.CodeUnsupported, "the gateway issued a token of an unknown type")
	}
	return &answer, nil
}

// assertion makes the JWT of api.TokenResponse: ES256 (RFC 7518 section 3.4)
// with the certificate in x5c (RFC 7515 section 4.1.6).
func (c *Client) assertion(audience string) (string, error) {
	id := make([]byte, 16)
	if _, err := io.ReadFull(rand.Reader, id); err != nil {
		return "", fmt.Errorf("draw assertion id: %w", err)
	}
	now := c.now()
	header := map[string]any{
		"alg": "ES256", "typ": "JWT",
		"x5c": []string{base64.StdEncoding.EncodeToString(c.certificate.Raw)},
	}
	claims := map[string]any{
		"iss": c.profile.ID, "sub": c.profile.ID, "aud": audience, "jti": hex.EncodeToString(id),
		"iat": now.Unix(), "exp": now.Add(assertionLife).Unix(),
	}
	return signJWT(header, claims, c.keys.Enrolment())
}

func signJWT(header, claims map[string]any, key keystore.Signer) (string, error) {
	var parts [2]string
	for i, part := range []map[string]any{header, claims} {
		data, err := json.Marshal(part)
		if err != nil {
			return "", fmt.Errorf("encode assertion: %w", err)
		}
		parts[i] = base64.RawURLEncoding.EncodeToString(data)
	}
	input := parts[0] + "." + parts[1]
	digest := sha256.Sum256([]byte(input))
	signature, err := key.SignDigest(digest)
	if err != nil {
		return "", fmt.Errorf("sign assertion: %w", err)
	}
	return input + "." + base64.RawURLEncoding.EncodeToString(signature), nil
}
