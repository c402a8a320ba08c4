// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ipfs_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"mime/multipart"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/blob/ipfs"
)

// random is a fast stream of size bytes that no daemon has seen before.
func random(size int64) io.Reader {
	var seed [32]byte
	for i := range seed {
		seed[i] = byte(rand.Uint32()) //nolint:gosec // test data
	}
	return io.LimitReader(rand.NewChaCha8(seed), size)
}

// TestTransfersRunInConstantMemory looks at all that is ever allocated, so a buffer that is freed again counts as well.
func TestTransfersRunInConstantMemory(t *testing.T) { //nolint:paralleltest // it measures the whole process
	if testing.Short() {
		t.Skip("moves 200 MB; run without -short")
	}
	s := start(t, "").store(t)
	const size, allowed = 200_000_000, 16 << 20
	var before, put, got runtime.MemStats
	runtime.ReadMemStats(&before)
	ref, err := s.Put(t.Context(), random(size))
	require.NoError(t, err)
	runtime.ReadMemStats(&put)
	stream, err := s.Get(t.Context(), ref.CID, 0, -1)
	require.NoError(t, err)
	n, err := io.Copy(io.Discard, stream)
	require.NoError(t, err)
	require.EqualValues(t, size, n)
	require.NoError(t, stream.Close())
	runtime.ReadMemStats(&got)
	t.Logf("allocated by Put: %d bytes, by Get: %d bytes", put.TotalAlloc-before.TotalAlloc, got.TotalAlloc-put.TotalAlloc)
	require.Less(t, put.TotalAlloc-before.TotalAlloc, uint64(allowed))
	require.Less(t, got.TotalAlloc-put.TotalAlloc, uint64(allowed))
}

// rawAdd and rawCat are the yardstick: the same requests with nothing but net/http.
func rawAdd(ctx context.Context, d *daemon, content io.Reader) (string, error) {
	r, w := io.Pipe()
	form := multipart.NewWriter(w)
	go func() {
		part, err := form.CreateFormFile("file", "")
		if err == nil {
			_, err = io.CopyBuffer(part, content, make([]byte, 256<<10))
		}
		if err == nil {
			err = form.Close()
		}
		_ = w.CloseWithError(err)
	}()
	url := d.url + "/api/v0/add?cid-version=1&raw-leaves=true&chunker=size-262144&pin=true&progress=false"
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, r)
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", form.FormDataContentType())
	req.Header.Set("Authorization", "Bearer "+strings.TrimPrefix(secret, "bearer:"))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	var added struct{ Hash string }
	return added.Hash, json.NewDecoder(resp.Body).Decode(&added)
}

func rawCat(ctx context.Context, d *daemon, id string) (int64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.url+"/api/v0/cat?arg="+id, nil)
	if err != nil {
		return 0, err
	}
	req.Header.Set("Authorization", "Bearer "+strings.TrimPrefix(secret, "bearer:"))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	return io.Copy(io.Discard, resp.Body)
}

func BenchmarkTransfer(b *testing.B) {
	d := start(b, "")
	s := d.store(b)
	sizes := []int64{100_000_000}
	if !testing.Short() {
		sizes = append(sizes, 1<<30)
	}
	for _, size := range sizes {
		benchTransfer(b, d, s, size)
	}
}

func benchTransfer(b *testing.B, d *daemon, s *ipfs.Store, size int64) {
	b.Helper()
	run := func(name string, f func(b *testing.B) error) {
		b.Run(fmt.Sprintf("%s/%dMB", name, size/1_000_000), func(b *testing.B) {
			b.SetBytes(size)
			b.ReportAllocs()
			for b.Loop() {
				require.NoError(b, f(b))
			}
			b.StopTimer()
			pins, err := d.pins(b.Context())
			require.NoError(b, err)
			for _, id := range pins {
				require.NoError(b, s.Unpin(b.Context(), id))
			}
			require.NoError(b, d.collect(b.Context()))
		})
	}
	run("add raw", func(b *testing.B) error {
		_, err := rawAdd(b.Context(), d, random(size))
		return err
	})
	run("Put", func(b *testing.B) error {
		_, err := s.Put(b.Context(), random(size))
		return err
	})
	var id string
	put := func(b *testing.B) {
		b.Helper()
		if id == "" {
			ref, err := s.Put(b.Context(), random(size))
			require.NoError(b, err)
			id = ref.CID
		}
	}
	b.Run(fmt.Sprintf("cat raw/%dMB", size/1_000_000), func(b *testing.B) {
		put(b)
		b.SetBytes(size)
		for b.Loop() {
			_, err := rawCat(b.Context(), d, id)
			require.NoError(b, err)
		}
	})
	b.Run(fmt.Sprintf("Get/%dMB", size/1_000_000), func(b *testing.B) {
		put(b)
		b.SetBytes(size)
		b.ReportAllocs()
		for b.Loop() {
			r, err := s.Get(b.Context(), id, 0, -1)
			require.NoError(b, err)
			_, err = io.Copy(io.Discard, r)
			require.NoError(b, err)
			require.NoError(b, r.Close())
		}
	})
}
