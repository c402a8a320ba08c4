// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ipfs_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/blob"
	"github.com/emrys-health/emrys/pkg/blob/blobtest"
	"github.com/emrys-health/emrys/pkg/blob/ipfs"
)

const swarmKey = "/key/swarm/psk/1.0.0/\n/base16/\n" +
	"2f1e7ac6d0b94d1c8f0e5b3a69d7c2481f0e9d8c7b6a5948372615f4e3d2c1b0\n"

func TestTheIPFSStoreKeepsTheContract(t *testing.T) {
	t.Parallel()
	blobtest.Run(t, blobtest.Config{
		Pair: func(t *testing.T) (blobtest.Node, blobtest.Node) {
			t.Helper()
			near, far := start(t, swarmKey), start(t, swarmKey)
			near.connect(t, far)
			return near.node(t), far.node(t)
		},
		Down: func(t *testing.T) blob.Store {
			t.Helper()
			s, err := ipfs.New(ipfs.Config{Endpoint: "/ip4/127.0.0.1/tcp/1"})
			require.NoError(t, err)
			return s
		},
	})
}

func TestIDsAreThoseOfTheDocumentedTree(t *testing.T) {
	t.Parallel()
	s := start(t, "").store(t)
	ref, err := s.Put(t.Context(), bytes.NewReader(nil))
	require.NoError(t, err)
	require.Equal(t, "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku", ref.CID, "the raw block of no bytes")
}

func testServer(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

func TestTheDaemonDemandsTheSecret(t *testing.T) {
	t.Parallel()
	d := start(t, "")
	version, err := d.store(t).Check(t.Context())
	require.NoError(t, err)
	require.NotEmpty(t, version)
	for _, file := range []string{"", secretFile(t, "bearer:sesame"), secretFile(t, "basic:test:sesame")} {
		s, err := ipfs.New(ipfs.Config{Endpoint: d.url, SecretFile: file})
		require.NoError(t, err)
		_, err = s.Put(t.Context(), bytes.NewReader(blobtest.Content(1, 1<<20)))
		require.ErrorIs(t, err, blob.ErrUnavailable)
		require.NotContains(t, err.Error(), "sesame")
		_, err = s.Pinned(t.Context(), someID)
		require.ErrorIs(t, err, blob.ErrUnavailable)
		_, err = s.Check(t.Context())
		require.ErrorIs(t, err, blob.ErrUnavailable)
	}
}

// TestAnAlteredBlockNeverPasses needs a daemon that verifies what it reads and asks nobody else: in a swarm it takes the block
// for missing and fetches another copy. Within a tree the daemon does not say more than that a leaf is missing.
func TestAnAlteredBlockNeverPasses(t *testing.T) {
	t.Parallel()
	d := start(t, "", "--offline")
	s := d.store(t)
	for leaves, want := range map[int]error{1: blob.ErrCorrupt, 4: blob.ErrNotFound} {
		content := blobtest.Content(30, leaves*262144)
		ref, err := s.Put(t.Context(), bytes.NewReader(content))
		require.NoError(t, err)
		alterBlock(t, d, content[len(content)-262144:])
		stream, err := s.Get(t.Context(), ref.CID, 0, -1)
		if err == nil {
			var got []byte
			got, err = io.ReadAll(stream)
			require.True(t, bytes.HasPrefix(content, got))
			require.NoError(t, stream.Close())
		}
		require.ErrorIs(t, err, want)
	}
}

// alterBlock changes a byte of the file that holds the block.
func alterBlock(t *testing.T, d *daemon, block []byte) {
	t.Helper()
	found := false
	require.NoError(t, filepath.WalkDir(filepath.Join(d.repo, "blocks"), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".data") {
			return err
		}
		b, err := os.ReadFile(path) //nolint:gosec // a file of the test's own repository
		if err != nil || !bytes.Equal(b, block) {
			return err
		}
		found = true
		b[100] ^= 1
		return errors.Join(os.Chmod(path, 0o600), os.WriteFile(path, b, 0o600))
	}))
	require.True(t, found)
}

func TestADaemonThatDiesBreaksStreamsAndKeepsItsPins(t *testing.T) {
	t.Parallel()
	d := start(t, "")
	s := d.store(t)
	content := blobtest.Content(31, 64*262144)
	ref, err := s.Put(t.Context(), bytes.NewReader(content))
	require.NoError(t, err)
	before, err := d.pins(t.Context())
	require.NoError(t, err)

	stream, err := s.Get(t.Context(), ref.CID, 0, -1)
	require.NoError(t, err)
	_, err = io.ReadFull(stream, make([]byte, 1000))
	require.NoError(t, err)
	// Half-way through a Put the daemon is killed.
	_, err = s.Put(t.Context(), io.MultiReader(bytes.NewReader(blobtest.Content(32, 8*262144)), &killer{d}, zeros{}))
	require.ErrorIs(t, err, blob.ErrUnavailable)
	_, err = io.Copy(io.Discard, stream)
	require.ErrorIs(t, err, blob.ErrUnavailable)
	require.NoError(t, stream.Close())
	_, err = s.Pinned(t.Context(), ref.CID)
	require.ErrorIs(t, err, blob.ErrUnavailable)

	d.run(t) // on another port
	s = d.store(t)
	after, err := d.pins(t.Context())
	require.NoError(t, err)
	require.ElementsMatch(t, before, after)
	pinned, err := s.Pinned(t.Context(), ref.CID)
	require.NoError(t, err)
	require.True(t, pinned)
}

// killer is a reader that kills the daemon and delivers nothing.
type killer struct{ d *daemon }

func (k *killer) Read([]byte) (int, error) {
	_ = k.d.cmd.Process.Kill()
	<-k.d.exited
	return 0, io.EOF
}

// TestACancelledPinDoesNotLoseThePin guards against the daemon's way of removing a pin before it is made anew.
func TestACancelledPinDoesNotLoseThePin(t *testing.T) {
	t.Parallel()
	d := start(t, "")
	s := d.store(t)
	ref, err := s.Put(t.Context(), bytes.NewReader(blobtest.Content(33, 300*262144)))
	require.NoError(t, err)
	for range 20 {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		for range 3 {
			go func() { done <- s.Pin(ctx, ref.CID) }()
		}
		cancel()
		for range 3 {
			if err := <-done; err != nil {
				require.ErrorIs(t, err, context.Canceled)
			}
		}
		pinned, err := s.Pinned(t.Context(), ref.CID)
		require.NoError(t, err)
		require.True(t, pinned)
	}
}
