// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package httpx

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/emrys-health/emrys/pkg/api"
	"github.com/emrys-health/emrys/pkg/emr"
)

// call is what the access log says of one request. It is filled in on the way.
type call struct {
	id      string
	op      string
	code    emr.Code
	err     error
	txID    string
	subject string
	org     emr.OrgID
}

type callKey struct{}

// callOf returns the request's call. Outside of Wrap it returns one that nobody reads.
func callOf(ctx context.Context) *call {
	if c, ok := ctx.Value(callKey{}).(*call); ok {
		return c
	}
	return &call{}
}

// SetOperation notes the name of the operation that serves the request.
func SetOperation(ctx context.Context, name string) { callOf(ctx).op = name }

// SetTransaction notes the transaction that the request led to.
func SetTransaction(ctx context.Context, txID string) { callOf(ctx).txID = txID }

// SetSubject notes who calls. The log shows a short hash of it only.
func SetSubject(ctx context.Context, subject string, org emr.OrgID) {
	sum := sha256.Sum256([]byte(subject))
	c := callOf(ctx)
	c.subject, c.org = hex.EncodeToString(sum[:4]), org
}

// Wrap puts around a handler what every request needs: a request id, recovery
// from panics, headers, and one line in the access log, which holds no path,
// parameter, body or token.
func Wrap(next http.Handler, log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		started := time.Now()
		c := &call{id: requestID(r.Header.Get(api.RequestIDHeader))}
		r = r.WithContext(context.WithValue(r.Context(), callKey{}, c))
		out := &recorder{ResponseWriter: w}
		header := out.Header()
		header.Set(api.RequestIDHeader, c.id)
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Cache-Control", "no-store")
		defer func() {
			v := recover()
			abort := v != nil && out.panicked(r, log, v)
			logCall(r.Context(), log, c, out, time.Since(started))
			if abort {
				panic(http.ErrAbortHandler) // how net/http is told to break a connection
			}
		}()
		next.ServeHTTP(out, r)
	})
}

func logCall(ctx context.Context, log *slog.Logger, c *call, out *recorder, took time.Duration) {
	attrs := []slog.Attr{
		slog.String("request_id", c.id), slog.String("op", c.op), slog.Int("status", out.status),
		slog.Int64("dur_ms", took.Milliseconds()), slog.Int64("bytes", out.written),
	}
	for name, value := range map[string]string{"code": string(c.code), "tx_id": c.txID, "subject": c.subject, "org": string(c.org)} {
		if value != "" {
			attrs = append(attrs, slog.String(name, value))
		}
	}
	level := slog.LevelInfo
	if c.err != nil && out.status >= http.StatusInternalServerError {
		level = slog.LevelWarn
		attrs = append(attrs, slog.String("error", c.err.Error()))
	}
	log.LogAttrs(ctx, level, "request", attrs...)
}

// maxRequestID bounds a caller's request id in bytes.
const maxRequestID = 64

// requestID returns the caller's id when it is a plain one, and a new one otherwise.
func requestID(given string) string {
	if given != "" && len(given) <= maxRequestID && plain(given) {
		return given
	}
	var b [12]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

func plain(s string) bool {
	for _, c := range []byte(s) {
		switch {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '-', c == '_', c == '.':
		default:
			return false
		}
	}
	return true
}

// recorder remembers what was answered.
type recorder struct {
	http.ResponseWriter
	status  int
	written int64
}

// WriteHeader notes the status.
func (o *recorder) WriteHeader(status int) {
	if o.status == 0 {
		o.status = status
	}
	o.ResponseWriter.WriteHeader(status)
}

// Write counts the octets.
func (o *recorder) Write(p []byte) (int, error) {
	if o.status == 0 {
		o.status = http.StatusOK
	}
	n, err := o.ResponseWriter.Write(p)
	o.written += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (o *recorder) Unwrap() http.ResponseWriter { return o.ResponseWriter }

// panicked answers a request whose handler panicked, and reports whether the
// answer had begun: breaking the connection is then the only way to tell that it
// is not whole.
func (o *recorder) panicked(r *http.Request, log *slog.Logger, v any) bool {
	c := callOf(r.Context())
	if v == http.ErrAbortHandler { //nolint:errorlint,err113 // the sentinel itself is thrown
		c.code = emr.CodeUnavailable
		return true
	}
	log.ErrorContext(r.Context(), "handler panicked", slog.String("request_id", c.id),
		slog.String("panic", fmt.Sprintf("%T", v)), slog.String("stack", string(debug.Stack())))
	if o.status != 0 {
		c.code = emr.CodeInternal
		return true
	}
	Fail(o, r, fmt.Errorf("handler panicked: %T", v))
	return false
}
