// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package runner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

const maxSpecBytes = 1 << 20

// serve answers on the control socket until ctx ends or a shutdown request.
func (s *Supervisor) serve(ctx context.Context) error {
	socket := s.dirs.Socket()
	if err := os.MkdirAll(filepath.Dir(socket), 0o700); err != nil {
		return fmt.Errorf("make socket directory: %w", err)
	}
	// The lock is held: a socket that is there belongs to a dead supervisor.
	_ = os.Remove(socket)
	listener, err := new(net.ListenConfig).Listen(ctx, "unix", socket)
	if err != nil {
		return fmt.Errorf("listen on control socket: %w", err)
	}
	if err := os.Chmod(socket, 0o600); err != nil {
		return fmt.Errorf("protect control socket: %w", err)
	}
	ctx, shutdown := context.WithCancel(ctx)
	defer shutdown()
	server := &http.Server{Handler: s.routes(shutdown), ReadHeaderTimeout: 5 * time.Second}
	go func() {
		<-ctx.Done()
		s.stopAll()
		_ = server.Shutdown(context.Background())
	}()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve control socket: %w", err)
	}
	return nil
}

func (s *Supervisor) routes(shutdown func()) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /processes", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, s.status(), nil)
	})
	mux.HandleFunc("PUT /processes", func(w http.ResponseWriter, r *http.Request) {
		var spec Spec
		decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxSpecBytes))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&spec); err != nil {
			answer(w, nil, fmt.Errorf("read process: %w", err))
			return
		}
		answer(w, struct{}{}, s.define(spec))
	})
	mux.HandleFunc("POST /processes/{name}/start", func(w http.ResponseWriter, r *http.Request) {
		c, err := s.find(r.PathValue("name"))
		if err == nil {
			err = c.start()
		}
		answer(w, struct{}{}, err)
	})
	mux.HandleFunc("POST /processes/{name}/stop", func(w http.ResponseWriter, r *http.Request) {
		c, err := s.find(r.PathValue("name"))
		if err == nil {
			c.stop()
		}
		answer(w, struct{}{}, err)
	})
	mux.HandleFunc("POST /shutdown", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, struct{}{}, nil)
		shutdown()
	})
	return mux
}

type failure struct {
	Error   string `json:"error"`
	Unknown bool   `json:"unknown,omitempty"`
}

func answer(w http.ResponseWriter, value any, err error) {
	w.Header().Set("Content-Type", "application/json")
	if err != nil {
		w.WriteHeader(http.StatusConflict)
		value = failure{Error: err.Error(), Unknown: errors.Is(err, ErrUnknown)}
	}
	_ = json.NewEncoder(w).Encode(value)
}
