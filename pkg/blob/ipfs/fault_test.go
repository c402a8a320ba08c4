// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ipfs_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/blob"
	"github.com/emrys-health/emrys/pkg/blob/ipfs"
)

const someID = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"

// faulty is a store over a server that misbehaves as the handler says. Waiting times are short.
func faulty(t *testing.T, handler http.HandlerFunc) *ipfs.Store {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	s, err := ipfs.New(ipfs.Config{Endpoint: server.URL, FindTimeout: 300 * time.Millisecond, StallTimeout: 300 * time.Millisecond})
	require.NoError(t, err)
	return s
}

func hang(r *http.Request) { <-r.Context().Done() }

func drain(r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }

func answer(w http.ResponseWriter, text string) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, text)
}

func TestADaemonThatHangsIsGivenUp(t *testing.T) {
	t.Parallel()
	s := faulty(t, func(_ http.ResponseWriter, r *http.Request) { hang(r) })
	ctx := t.Context()
	_, err := s.Get(ctx, someID, 0, -1)
	require.ErrorIs(t, err, blob.ErrNotFound)
	_, err = s.Size(ctx, someID)
	require.ErrorIs(t, err, blob.ErrNotFound)
	_, err = s.Pinned(ctx, someID)
	require.ErrorIs(t, err, blob.ErrUnavailable)
	require.ErrorIs(t, s.Unpin(ctx, someID), blob.ErrUnavailable)
	require.ErrorIs(t, s.Pin(ctx, someID), blob.ErrUnavailable)
	_, err = s.Check(ctx)
	require.ErrorIs(t, err, blob.ErrUnavailable)

	short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	_, err = s.Get(short, someID, 0, -1)
	require.ErrorIs(t, err, context.DeadlineExceeded, "the caller's own deadline is the caller's error")
	require.NotErrorIs(t, err, blob.ErrNotFound)
}

func TestABrokenStreamNeverLooksComplete(t *testing.T) {
	t.Parallel()
	half := bytes.Repeat([]byte("x"), 100_000)
	cases := map[string]struct {
		end  func(w http.ResponseWriter, r *http.Request)
		want error
	}{
		"it stops":                     {func(_ http.ResponseWriter, r *http.Request) { hang(r) }, blob.ErrUnavailable},
		"the connection drops":         {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, blob.ErrUnavailable},
		"the daemon reports an error":  {trailer("context deadline exceeded"), blob.ErrUnavailable},
		"a block is missing":           {trailer("ipld: could not find " + someID), blob.ErrNotFound},
		"a block is not what it was":   {trailer("block in storage has different hash than requested"), blob.ErrCorrupt},
		"the daemon reports gibberish": {trailer("\x00?"), blob.ErrUnavailable},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := faulty(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Trailer", "X-Stream-Error")
				w.Header().Set("Content-Type", "text/plain")
				_, _ = w.Write(half)
				w.(http.Flusher).Flush() //nolint:forcetypeassert // the server's own writer
				c.end(w, r)
			})
			stream, err := s.Get(t.Context(), someID, 0, -1)
			require.NoError(t, err)
			got, err := io.ReadAll(stream)
			require.ErrorIs(t, err, c.want)
			require.LessOrEqual(t, len(got), len(half))
			_, again := stream.Read(make([]byte, 1))
			require.Equal(t, err, again)
			require.NoError(t, stream.Close())
		})
	}
}

func trailer(message string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X-Stream-Error", message) }
}

func TestASlowConsumerIsNoStall(t *testing.T) {
	t.Parallel()
	content := bytes.Repeat([]byte("y"), 8<<20) // more than the sockets hold
	s := faulty(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		_, _ = w.Write(content)
	})
	stream, err := s.Get(t.Context(), someID, 0, -1)
	require.NoError(t, err)
	_, err = io.ReadFull(stream, make([]byte, 10))
	require.NoError(t, err)
	<-time.After(700 * time.Millisecond) // longer than both waiting times
	rest, err := io.ReadAll(stream)
	require.NoError(t, err)
	require.Len(t, rest, len(content)-10)
	require.NoError(t, stream.Close())
}

func TestAPinThatStopsIsGivenUpAndOneThatGoesOnIsNot(t *testing.T) {
	t.Parallel()
	pinning := func(events func(w http.ResponseWriter, r *http.Request)) *ipfs.Store {
		return faulty(t, func(w http.ResponseWriter, r *http.Request) {
			if filepath.Base(r.URL.Path) == "ls" {
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(http.StatusInternalServerError)
				_, _ = io.WriteString(w, `{"Message":"path 'x' is not pinned","Code":0,"Type":"error"}`)
				return
			}
			w.Header().Set("Content-Type", "application/json")
			events(w, r)
		})
	}
	progress := func(w http.ResponseWriter, blocks int) {
		_, _ = fmt.Fprintf(w, `{"Progress":%d}`, blocks)
		w.(http.Flusher).Flush() //nolint:forcetypeassert // the server's own writer
	}
	repeat := func(w http.ResponseWriter, r *http.Request, blocks func(i int) int, times int) {
		for i := range times {
			progress(w, blocks(i))
			select {
			case <-time.After(100 * time.Millisecond):
			case <-r.Context().Done():
				return
			}
		}
	}
	s := pinning(func(w http.ResponseWriter, r *http.Request) { repeat(w, r, func(int) int { return 0 }, 100) })
	require.ErrorIs(t, s.Pin(t.Context(), someID), blob.ErrNotFound)

	s = pinning(func(w http.ResponseWriter, r *http.Request) { repeat(w, r, func(i int) int { return min(i, 2) }, 100) })
	require.ErrorIs(t, s.Pin(t.Context(), someID), blob.ErrUnavailable)

	s = pinning(func(w http.ResponseWriter, r *http.Request) {
		repeat(w, r, func(i int) int { return i + 1 }, 8)
		_, _ = io.WriteString(w, `{"Pins":["`+someID+`"]}`)
	})
	require.NoError(t, s.Pin(t.Context(), someID))

	s = pinning(func(w http.ResponseWriter, _ *http.Request) { progress(w, 1) })
	require.ErrorIs(t, s.Pin(t.Context(), someID), blob.ErrUnavailable, "an answer that just ends is no success")
}

func TestAPutThatTheDaemonDidNotReadToItsEndFails(t *testing.T) {
	t.Parallel()
	endless := io.LimitReader(zeros{}, 64<<20)
	s := faulty(t, func(w http.ResponseWriter, _ *http.Request) { answer(w, `{"Hash":"`+someID+`"}`) })
	_, err := s.Put(t.Context(), endless)
	require.ErrorIs(t, err, blob.ErrUnavailable)

	for _, bad := range []string{``, `{}`, `{"Hash":"x"}`, `{"Hash":"QmdfTbBqBPQ7VNxZEYEj14VmRuZBkqFbiwReogJgS1zR1n"}`, `{"Hash":`, `[]`} {
		s = faulty(t, func(w http.ResponseWriter, r *http.Request) {
			drain(r)
			answer(w, bad)
		})
		_, err = s.Put(t.Context(), bytes.NewReader([]byte("abc")))
		require.ErrorIs(t, err, blob.ErrUnavailable, "%q", bad)
	}
	s = faulty(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.CopyN(io.Discard, r.Body, 1000)
		panic(http.ErrAbortHandler)
	})
	_, err = s.Put(t.Context(), io.LimitReader(zeros{}, 64<<20))
	require.ErrorIs(t, err, blob.ErrUnavailable)
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func TestAPutCancelledAfterItsLastByteStillLearnsTheAnswer(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	s := faulty(t, func(w http.ResponseWriter, r *http.Request) {
		drain(r)
		cancel()
		select {
		case <-r.Context().Done():
		case <-time.After(200 * time.Millisecond):
		}
		answer(w, `{"Hash":"`+someID+`"}`)
	})
	ref, err := s.Put(ctx, bytes.NewReader([]byte("abc")))
	require.NoError(t, err, "otherwise a pin would be left that nobody knows of")
	require.Equal(t, blob.Ref{CID: someID, Size: 3}, ref)
}

func TestADaemonOnAUnixSocketIsReached(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", path)
	require.NoError(t, err)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { answer(w, `{"Version":"1.2.3"}`) }))
	server.Listener = listener
	server.Start()
	t.Cleanup(server.Close)
	s, err := ipfs.New(ipfs.Config{Endpoint: "/unix" + path})
	require.NoError(t, err)
	version, err := s.Check(t.Context())
	require.NoError(t, err)
	require.Equal(t, "1.2.3", version)
}
