// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/emr"
)

// command line under test: exit code, standard output, standard error.
func try(args ...string) (int, string, string) {
	var stdout, stderr bytes.Buffer
	code := run(context.Background(), args, strings.NewReader(""), &stdout, &stderr, func(string) string { return "" })
	return code, stdout.String(), stderr.String()
}

func configFile(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o700))
	text := strings.ReplaceAll(`
organisation: HospAMSP
listen: 127.0.0.1:0
publicUrl: https://127.0.0.1:7150
tls: {cert: DIR/server.crt, key: DIR/server.key}
clientRoots: DIR/roots.pem
fabric:
  peers: [{address: "127.0.0.1:7120", tlsRoots: DIR/roots.pem, serverName: peer0}]
  channel: emrys
  cert: DIR/cert.pem
  key: DIR/key.pem
  msp: HospAMSP
stateDir: DIR/state
keysFile: DIR/keys/gateway-keys.json
`, "DIR", dir)
	path := filepath.Join(dir, "gateway.yaml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func TestInitMakesKeysOnceAndShowsThePublicPart(t *testing.T) {
	t.Parallel()
	path := configFile(t)
	code, first, stderr := try("init", "--config", path, "--json")
	require.Equal(t, exitOK, code, stderr)
	var keys emr.OrgKeys
	require.NoError(t, json.Unmarshal([]byte(first), &keys))
	require.Len(t, keys.Proxy, emr.HybridKeySize)
	require.Len(t, keys.Record, emr.HybridKeySize)
	require.Len(t, keys.Receipt, emr.PointSize)
	_, second, _ := try("init", "--config", path, "--json")
	require.Equal(t, first, second)
	code, text, _ := try("init", "--config", path)
	require.Equal(t, exitOK, code)
	require.Contains(t, text, "receipt")
}

func TestWhatFailsSaysWhy(t *testing.T) {
	t.Parallel()
	path := configFile(t)
	broken := filepath.Join(t.TempDir(), "broken.yaml")
	require.NoError(t, os.WriteFile(broken, []byte("organization: x\n"), 0o600))
	for _, tt := range []struct {
		name string
		args []string
		says string
	}{
		{"no configuration", []string{"run"}, "config"},
		{"a configuration that is not there", []string{"run", "--config", "nowhere.yaml"}, "read configuration"},
		{"a configuration with an unknown field", []string{"config", "check", "--config", broken}, "organization"},
		{"a certificate that is not there", []string{"config", "check", "--config", path}, "tls: load"},
		{"an unknown command", []string{"fly"}, "unknown command"},
		{"arguments too many", []string{"version", "x"}, "unknown command"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			code, _, stderr := try(tt.args...)
			require.Equal(t, exitFailed, code)
			require.Contains(t, stderr, tt.says)
		})
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	code, stdout, _ := try("version")
	require.Equal(t, exitOK, code)
	require.Contains(t, stdout, "emrys-gateway")
}
