// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ipfs_test

import (
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/blob/ipfs"
)

// FuzzEndpoint looks for an endpoint that would send the secret in clear to another machine.
func FuzzEndpoint(f *testing.F) {
	for _, seed := range []string{
		"/ip4/127.0.0.1/tcp/5001", "/unix/a/b", "http://127.0.0.1:5001", "http://127.0.0.1@10.0.0.5", "http://localhost.evil:1", "http://[::1%25x]:1",
		"/ip4/10.0.0.5/tcp/1", "/dns4/localhost/tcp/1", "http://127.1:5001", "http://0x7f000001", "//localhost", "http://localhost\\@evil",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, endpoint string) {
		if _, err := ipfs.New(ipfs.Config{Endpoint: endpoint}); err != nil || !strings.HasPrefix(endpoint, "http:") {
			return
		}
		u, err := url.Parse(endpoint)
		require.NoError(t, err)
		ip, err := netip.ParseAddr(u.Hostname())
		require.True(t, u.Hostname() == "localhost" || err == nil && ip.IsLoopback(), "%q", endpoint)
	})
}

// FuzzSecretFile looks for a secret that would break out of its header, or show up in an error.
func FuzzSecretFile(f *testing.F) {
	for _, seed := range []string{"bearer:a", "basic:a:b", "bearer:a\r\nX: y", "bearer:\x00", "basic:", "", "Bearer a", "Bearer a\x7fb"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		path := filepath.Join(t.TempDir(), "secret")
		require.NoError(t, os.WriteFile(path, content, 0o600))
		_, err := ipfs.New(ipfs.Config{Endpoint: "http://127.0.0.1:1", SecretFile: path})
		if err == nil {
			secret := strings.TrimSpace(string(content))
			require.Regexp(t, "^(bearer:|basic:|Bearer )", secret)
			require.Equal(t, -1, strings.IndexFunc(secret, func(r rune) bool { return r < ' ' || r > '~' }))
		} else if len(content) > 20 {
			require.NotContains(t, err.Error(), string(content))
		}
	})
}
