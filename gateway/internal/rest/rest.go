// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

// Package rest is the gateway's REST door: it mounts the operations of package
// api, decodes what comes, calls the service, and encodes what goes. It decides
// nothing.
package rest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/emrys-health/emrys/gateway/internal/httpx"
	"github.com/emrys-health/emrys/gateway/internal/quota"
	"github.com/emrys-health/emrys/gateway/internal/service"
	"github.com/emrys-health/emrys/pkg/api"
	"github.com/emrys-health/emrys/pkg/emr"
)

// Tokens issues and recognises tokens.
type Tokens interface {
	Exchange(ctx context.Context, assertion string) (api.TokenResponse, service.Principal, error)
	Authenticate(token string) (service.Principal, error)
}

// Reencryptor serves other gateways' tickets.
type Reencryptor interface {
	Reencrypt(ctx context.Context, signed *emr.SignedAction) (api.Fragment, error)
}

// Limits of the door.
type Limits struct {
	Tokens, Requests *quota.Limiter
	// Stall is how long a transfer may stand still.
	Stall time.Duration
}

// Door is the REST door.
type Door struct {
	service *service.Service
	tokens  Tokens
	proxy   Reencryptor
	limits  Limits
	buffers sync.Pool // of *[]byte, for transfers
}

// call is one authenticated request on its way through a handler.
type call struct {
	w   http.ResponseWriter
	r   *http.Request
	op  api.Operation
	who service.Principal
}

// handler serves one operation. It returns the answer, or nil when it has
// written one itself.
type handler func(*call) (any, error)

// New mounts every operation. A row without a handler, and a handler without a
// row, is an error.
func New(s *service.Service, tokens Tokens, proxy Reencryptor, limits Limits) (http.Handler, error) {
	d := &Door{service: s, tokens: tokens, proxy: proxy, limits: limits}
	handlers := d.handlers()
	mux := http.NewServeMux()
	for _, op := range api.Operations() {
		h, ok := handlers[op.Name]
		if !ok {
			return nil, fmt.Errorf("operation %s has no handler", op.Name)
		}
		delete(handlers, op.Name)
		mux.Handle(op.Method+" "+op.Path, d.mount(op, h))
	}
	if len(handlers) > 0 {
		return nil, errors.New("a handler has no operation")
	}
	d.mountHealth(mux)
	return withProblems(mux), nil
}

func (d *Door) mountHealth(mux *http.ServeMux) {
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, r *http.Request) {
		httpx.SetOperation(r.Context(), "healthz")
		httpx.JSON(w, http.StatusOK, api.Readiness{Ready: true, Checks: []api.Check{}})
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		httpx.SetOperation(r.Context(), "readyz")
		ready := d.service.Ready(r.Context())
		status := http.StatusOK
		if !ready.Ready {
			status = http.StatusServiceUnavailable
		}
		httpx.JSON(w, status, ready)
	})
}

// withProblems makes problems of the answers that the mux gives by itself.
func withProblems(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		own, pattern := mux.Handler(r)
		if pattern != "" {
			mux.ServeHTTP(w, r)
			return
		}
		answer := &discard{header: make(http.Header)}
		own.ServeHTTP(answer, r)
		if answer.status != http.StatusMethodNotAllowed {
			httpx.Fail(w, r, emr.E(emr.CodeNotFound, "there is nothing at this address"))
			return
		}
		w.Header().Set("Allow", answer.header.Get("Allow"))
		httpx.FailStatus(w, r, answer.status, emr.E(emr.CodeUnsupported, "the method is not offered at this address"))
	})
}

// discard takes an answer and keeps its status and headers only.
type discard struct {
	header http.Header
	status int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) WriteHeader(status int)      { d.status = status }

// mount puts authentication and the writing of answers around a handler.
func (d *Door) mount(op api.Operation, h handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		httpx.SetOperation(r.Context(), op.Name)
		answer, err := d.serve(&call{w: w, r: r, op: op}, h)
		switch {
		case err != nil:
			httpx.Fail(w, r, err)
		case answer != nil:
			httpx.JSON(w, http.StatusOK, answer)
		}
	})
}

func (d *Door) serve(c *call, h handler) (any, error) {
	if err := d.admit(c); err != nil {
		return nil, err
	}
	if err := checkQuery(c.r, c.op.Query); err != nil {
		return nil, err
	}
	return h(c)
}

// admit finds out who calls.
func (d *Door) admit(c *call) error {
	switch c.op.Access {
	case api.AccessPublic:
		return nil
	case api.AccessGateway:
		if c.r.TLS == nil || len(c.r.TLS.VerifiedChains) == 0 {
			return emr.E(emr.CodeUnauthenticated, "only gateways of the consortium may call this, with their certificate")
		}
		return nil
	case api.AccessPerson:
		return d.admitPerson(c)
	default:
		return emr.E(emr.CodeInternal, "unknown kind of access")
	}
}

const bearer = "Bearer "

func (d *Door) admitPerson(c *call) error {
	header := c.r.Header.Get("Authorization")
	if len(header) < len(bearer) || !strings.EqualFold(header[:len(bearer)], bearer) {
		return emr.E(emr.CodeUnauthenticated, "a bearer token is needed")
	}
	who, err := d.tokens.Authenticate(header[len(bearer):])
	if err != nil {
		return err
	}
	httpx.SetSubject(c.r.Context(), who.Subject, who.Org)
	if !d.limits.Requests.Allow(who.Subject) {
		return emr.E(emr.CodeRateLimited, "too many requests")
	}
	c.who = who
	return nil
}

// checkQuery refuses query parameters that the operation does not have.
func checkQuery(r *http.Request, known []string) error {
	if r.URL.RawQuery == "" {
		return nil
	}
	for name, values := range r.URL.Query() {
		if !slices.Contains(known, name) || len(values) != 1 {
			return emr.Invalid("query", "holds a parameter that is unknown or given twice")
		}
	}
	return nil
}

// address is the caller's address without its port.
func address(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}
