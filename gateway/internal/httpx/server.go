// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package httpx

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/emrys-health/emrys/pkg/emr"
)

// Limits of the server.
const (
	headerTimeout  = 10 * time.Second
	idleTimeout    = 2 * time.Minute
	maxHeaderBytes = 64 << 10
	// bodyTime is how long a JSON body may take to arrive.
	bodyTime = 30 * time.Second
	// MaxJSON is the largest JSON body in bytes: a signed action in base64, with room.
	MaxJSON = 512 << 10
)

// NewServer makes a server for handler. It has no overall read or write timeout,
// which would cut long transfers: handlers set deadlines by ReadBody and Stall.
// It speaks HTTP/1.1, where one transfer has a connection for itself and needs
// no window of its own.
func NewServer(handler http.Handler, config *tls.Config, log *slog.Logger) *http.Server {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	return &http.Server{
		Handler: handler, TLSConfig: config, Protocols: &protocols,
		ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaderBytes,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

// Serve runs a server until ctx ends, then waits up to drain for requests under way.
func Serve(ctx context.Context, server *http.Server, listener net.Listener, drain time.Duration) error {
	failed := make(chan error, 1)
	go func() { failed <- server.ServeTLS(listener, "", "") }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer cancel()
	if err := server.Shutdown(stop); err != nil {
		return errors.Join(fmt.Errorf("drain: %w", err), server.Close())
	}
	return nil
}

// ReadJSON reads a JSON body of at most MaxJSON bytes into target, refusing
// unknown fields.
func ReadJSON(w http.ResponseWriter, r *http.Request, target any) error {
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTime)) // not supported only in tests
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxJSON))
	if err != nil {
		return ReadError(err)
	}
	return emr.Decode(body, target)
}

// ReadError gives an error of reading a request's body its code.
func ReadError(err error) error {
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return emr.Wrap(emr.CodeTooLarge, "the body is larger than allowed", err)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return emr.Wrap(emr.CodeTimeout, "the body did not arrive in time", err)
	default:
		return emr.Wrap(emr.CodeInvalid, "the body ended before all of it had arrived", err)
	}
}

// stallStep is how often a transfer's deadline is moved on.
const stallStep = time.Second

// stallGuard moves a connection's deadline as long as octets move.
type stallGuard struct {
	set   func(time.Time) error
	limit time.Duration
	next  time.Time
}

func (g *stallGuard) touch() {
	now := time.Now()
	if now.Before(g.next) {
		return
	}
	g.next = now.Add(stallStep)
	_ = g.set(now.Add(g.limit)) // not supported only in tests
}

// StallReader is a request's body that fails when it stands still for limit.
func StallReader(w http.ResponseWriter, r *http.Request, limit time.Duration) io.Reader {
	return &stallReader{r: r.Body, guard: stallGuard{set: http.NewResponseController(w).SetReadDeadline, limit: limit}}
}

type stallReader struct {
	r     io.Reader
	guard stallGuard
}

// Read reads and moves the deadline.
func (s *stallReader) Read(p []byte) (int, error) {
	s.guard.touch()
	n, err := s.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = ReadError(err)
	}
	return n, err
}

// StallWriter writes a response that fails when the caller takes nothing for limit.
func StallWriter(w http.ResponseWriter, limit time.Duration) io.Writer {
	return &stallWriter{w: w, guard: stallGuard{set: http.NewResponseController(w).SetWriteDeadline, limit: limit}}
}

type stallWriter struct {
	w     io.Writer
	guard stallGuard
}

// Write writes and moves the deadline.
func (s *stallWriter) Write(p []byte) (int, error) {
	s.guard.touch()
	return s.w.Write(p)
}
