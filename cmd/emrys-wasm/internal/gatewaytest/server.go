// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package gatewaytest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/seal"
)

// BlockSize is the period of the content of every record, a prime number of bytes, so that no two segments are alike.
const BlockSize = 1048573

// Block returns one period of the content: pseudo-random and the same every time.
func Block() []byte {
	b := make([]byte, BlockSize)
	_, _ = rand.NewChaCha8([32]byte([]byte("emrys: the content of a test....."[:32]))).Read(b)
	return b
}

// content reads size bytes of the block, over and over.
type content struct {
	block []byte
	at    uint64
	size  uint64
}

func (c *content) Read(p []byte) (int, error) {
	if c.at == c.size {
		return 0, io.EOF
	}
	from := c.block[c.at%BlockSize:]
	n := copy(p[:min(uint64(len(p)), c.size-c.at)], from)
	c.at += uint64(n)
	return n, nil
}

// sealed seals the record's content, with fresh nonces each time.
func (r *record) sealed() io.Reader {
	src := &content{block: Block(), size: r.size}
	if r.padded {
		return seal.NewSealingReader(src, r.key, r.fileID, seal.Pad(r.size))
	}
	return seal.NewSealingReader(src, r.key, r.fileID)
}

// Handler serves the files of dir, the block, and the consortium's operations as JSON.
func (c *Consortium) Handler(dir http.FileSystem) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /", http.FileServer(dir))
	mux.HandleFunc("GET /favicon.ico", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	mux.HandleFunc("GET /block", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(Block()) })
	mux.HandleFunc("GET /gateways", c.listGateways)
	mux.HandleFunc("POST /records", serve(c.Seal))
	mux.HandleFunc("POST /readings", serve(c.Serve))
	mux.HandleFunc("GET /payload/{id}", c.servePayload)
	return isolated(mux)
}

// isolated sends what a page needs to measure its memory, and the policy that docs/browser.md recommends.
func isolated(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Embedder-Policy", "require-corp")
		h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; "+
			"connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'")
		next.ServeHTTP(w, r)
	})
}

func (c *Consortium) listGateways(w http.ResponseWriter, _ *http.Request) {
	type entry struct {
		ID  string `json:"id"`
		Key []byte `json:"key"`
	}
	var out []entry
	for _, g := range c.gateways {
		out = append(out, entry{g.id, g.key.Public().Bytes()})
	}
	answer(w, out)
}

// serve makes a handler of an operation: JSON in, JSON out.
func serve[In, Out any](operation func(*In) (Out, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		in := new(In)
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
		if err == nil {
			err = emr.Decode(body, in)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		out, err := operation(in)
		if err != nil {
			http.Error(w, err.Error(), http.StatusUnprocessableEntity)
			return
		}
		answer(w, out)
	}
}

func answer(w http.ResponseWriter, out any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(out)
}

func (c *Consortium) servePayload(w http.ResponseWriter, r *http.Request) {
	rec, err := c.record(emr.RecordID(r.PathValue("id")))
	if errors.Is(err, errNoRecord) {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	if rec.bytes != nil {
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(rec.bytes))
		return
	}
	_, _ = io.Copy(w, rec.sealed())
}
