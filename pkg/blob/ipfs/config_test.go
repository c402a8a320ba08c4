// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ipfs_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/blob/ipfs"
)

func TestEndpointsAreCheckedBeforeUse(t *testing.T) {
	t.Parallel()
	for endpoint, good := range map[string]bool{
		"/ip4/127.0.0.1/tcp/5001": true, "/ip6/::1/tcp/5001": true, "/unix/run/ipfs/api": true, "/ip4/10.0.0.5/tcp/443/https": true,
		"http://127.0.0.1:5001": true, "http://localhost:5001": true, "https://ipfs.example": true, "http://[::1]:5001/": true,
		"": false, "127.0.0.1:5001": false, "ftp://127.0.0.1": false, "http://": false, "/ip4/127.0.0.1": false, "/nonsense/1": false,
		"http://user:password@127.0.0.1:5001": false, "http://127.0.0.1:5001/api": false, "http://127.0.0.1:5001?x=1": false,
		"http://10.0.0.5:5001": false, "/ip4/10.0.0.5/tcp/5001": false, "http://ipfs:5001": false, "/dns4/ipfs/tcp/5001": false,
	} {
		_, err := ipfs.New(ipfs.Config{Endpoint: endpoint})
		require.Equal(t, good, err == nil, "%q: %v", endpoint, err)
		if err != nil {
			require.NotContains(t, err.Error(), "password")
		}
	}
	_, err := ipfs.New(ipfs.Config{Endpoint: "http://ipfs:5001", InsecurePlainHTTP: true})
	require.NoError(t, err)
}

func TestSecretFilesAreReadStrictly(t *testing.T) {
	t.Parallel()
	headers := make(chan string, 1)
	server := func(w http.ResponseWriter, r *http.Request) {
		headers <- r.Header.Get("Authorization")
		answer(w, `{"Version":"1"}`)
	}
	url := testServer(t, server)
	for content, want := range map[string]string{
		"bearer:tok:en": "Bearer tok:en", "bearer:token\n": "Bearer token", "basic:user:pass": "Basic dXNlcjpwYXNz", " bearer:x \n": "Bearer x",
		"Bearer token\n": "Bearer token",
	} {
		s, err := ipfs.New(ipfs.Config{Endpoint: url, SecretFile: secretFile(t, content)})
		require.NoError(t, err)
		_, err = s.Check(t.Context())
		require.NoError(t, err)
		require.Equal(t, want, <-headers)
	}
	for _, content := range []string{"", "\n", "sesame", "bearer:", "basic:sesame", "basic::sesame", "digest:sesame", "bearer:sesame\nbearer:b", "bearer:sesame\x00", "bearer:sésame", "Bearer ", "Bearer sesame b", "Bearer sesame\x00"} {
		_, err := ipfs.New(ipfs.Config{Endpoint: url, SecretFile: secretFile(t, content)})
		require.Error(t, err, "%q", content)
		require.NotContains(t, err.Error(), "sesame")
	}
	long := secretFile(t, "bearer:"+string(bytes.Repeat([]byte("s"), 5000)))
	_, err := ipfs.New(ipfs.Config{Endpoint: url, SecretFile: long})
	require.Error(t, err)
	_, err = ipfs.New(ipfs.Config{Endpoint: url, SecretFile: filepath.Join(t.TempDir(), "absent")})
	require.ErrorIs(t, err, os.ErrNotExist)
	open := secretFile(t, "bearer:token")
	require.NoError(t, os.Chmod(open, 0o644)) //nolint:gosec // the wrong mode is the point
	_, err = ipfs.New(ipfs.Config{Endpoint: url, SecretFile: open})
	require.ErrorContains(t, err, "chmod 600 "+open)
}

func TestAStoreNeverPrintsItsSecret(t *testing.T) {
	t.Parallel()
	s, err := ipfs.New(ipfs.Config{Endpoint: "http://127.0.0.1:1", SecretFile: secretFile(t, "bearer:sesame")})
	require.NoError(t, err)
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		fmt.Fprintf(&out, verb+verb, s, struct{ S *ipfs.Store }{s})
	}
	slog.New(slog.NewJSONHandler(&out, nil)).LogAttrs(context.Background(), slog.LevelInfo, "m", slog.Any("s", s))
	_, err = s.Check(t.Context())
	require.Error(t, err)
	out.WriteString(err.Error())
	require.NotContains(t, out.String(), "sesame")
	require.NotContains(t, out.String(), "736573616d65")
	require.Contains(t, out.String(), "127.0.0.1:1")
}
