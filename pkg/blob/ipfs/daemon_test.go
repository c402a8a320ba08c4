// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ipfs_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/blob/blobtest"
	"github.com/emrys-health/emrys/pkg/blob/ipfs"
)

const (
	secret      = "bearer:a-token-of-the-test" //nolint:gosec // of a daemon that lives as long as this test
	findTimeout = 1500 * time.Millisecond
)

// daemon is a private Kubo daemon of a test.
type daemon struct {
	bin, repo, url string
	flags          []string
	cmd            *exec.Cmd
	exited         chan struct{}
}

// binary finds the Kubo daemon, or skips the test: EMRYS_IPFS_BIN, or .cache/bin/ipfs in the root of the repository.
func binary(t testing.TB) string {
	t.Helper()
	bin := os.Getenv("EMRYS_IPFS_BIN")
	if bin == "" {
		bin = filepath.Join("..", "..", "..", ".cache", "bin", "ipfs")
	}
	if _, err := os.Stat(bin); err != nil {
		t.Skipf("no Kubo daemon at %s: set EMRYS_IPFS_BIN or build the daemons", bin)
	}
	bin, err := filepath.Abs(bin)
	require.NoError(t, err)
	return bin
}

// start runs a daemon with a repository of its own until the test ends. swarmKey makes it a member of a private swarm.
func start(t testing.TB, swarmKey string, flags ...string) *daemon {
	t.Helper()
	d := &daemon{bin: binary(t), repo: t.TempDir(), flags: flags}
	out, err := d.command("init", "--empty-repo").CombinedOutput()
	require.NoError(t, err, "%s", out)
	d.configure(t)
	if swarmKey != "" {
		require.NoError(t, os.WriteFile(filepath.Join(d.repo, "swarm.key"), []byte(swarmKey), 0o600))
	}
	d.run(t)
	t.Cleanup(d.stop)
	return d
}

func (d *daemon) command(args ...string) *exec.Cmd {
	cmd := exec.Command(d.bin, args...) //nolint:gosec // the daemon under test
	cmd.Env = append(os.Environ(), "IPFS_PATH="+d.repo, "IPFS_TELEMETRY=off")
	return cmd
}

// configure writes the settings of a private node: nothing in them reaches beyond the swarm's known peers.
func (d *daemon) configure(t testing.TB) {
	t.Helper()
	path := filepath.Join(d.repo, "config")
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	cfg := make(map[string]any)
	require.NoError(t, json.Unmarshal(raw, &cfg))
	type m = map[string]any
	private := m{
		"Addresses": m{"API": "/ip4/127.0.0.1/tcp/0", "Gateway": []string{}, "Swarm": []string{"/ip4/127.0.0.1/tcp/0"}},
		"API":       m{"Authorizations": m{"test": m{"AuthSecret": secret, "AllowedPaths": []string{"/api/v0"}}}},
		"AutoConf":  m{"Enabled": false}, "AutoTLS": m{"Enabled": false}, "Bootstrap": []string{},
		"Discovery": m{"MDNS": m{"Enabled": false}}, "DNS": m{"Resolvers": m{}},
		"Ipns":    m{"DelegatedPublishers": []string{}},
		"Plugins": m{"Plugins": m{"telemetry": m{"Config": m{"Mode": "off"}}}},
		"Provide": m{"Enabled": false},
		"Routing": m{"Type": "none", "DelegatedRouters": []string{}},
		"Swarm": m{
			"RelayClient": m{"Enabled": false}, "RelayService": m{"Enabled": false}, "Transports": m{"Network": m{
				"QUIC": false, "Relay": false, "WebTransport": false, "WebRTCDirect": false, "Websocket": false,
			}},
		},
	}
	for name, value := range private {
		cfg[name] = value
	}
	cfg["Datastore"].(m)["HashOnRead"] = true //nolint:forcetypeassert // as the daemon wrote it
	raw, err = json.Marshal(cfg)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, raw, 0o600))
}

func (d *daemon) run(t testing.TB) {
	t.Helper()
	d.cmd = d.command(append([]string{"daemon", "--migrate=false"}, d.flags...)...)
	out, err := d.cmd.StdoutPipe()
	require.NoError(t, err)
	d.cmd.Stderr = io.Discard
	require.NoError(t, d.cmd.Start())
	d.exited = make(chan struct{})
	ready := make(chan bool, 1)
	go func() {
		defer close(d.exited)
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			if strings.Contains(lines.Text(), "Daemon is ready") {
				ready <- true
			}
		}
		ready <- false
		_ = d.cmd.Wait()
	}()
	select {
	case ok := <-ready:
		require.True(t, ok, "the daemon ended at once")
	case <-time.After(time.Minute):
		d.stop()
		require.Fail(t, "the daemon was not ready in a minute")
	}
	raw, err := os.ReadFile(filepath.Join(d.repo, "api"))
	require.NoError(t, err)
	addr, err := multiaddr.NewMultiaddr(strings.TrimSpace(string(raw)))
	require.NoError(t, err)
	_, host, err := manet.DialArgs(addr)
	require.NoError(t, err)
	d.url = "http://" + host
}

// stop ends the daemon's process and waits for it.
func (d *daemon) stop() {
	_ = d.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-d.exited:
	case <-time.After(20 * time.Second):
		_ = d.cmd.Process.Kill()
		<-d.exited
	}
}

// call asks the daemon by plain HTTP, so that tests do not judge the client by itself.
func (d *daemon) call(ctx context.Context, command string, query url.Values, out any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.url+"/api/v0/"+command+"?"+query.Encode(), nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+strings.TrimPrefix(secret, "bearer:"))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(resp.Body)
		return fmt.Errorf("%s: %s", resp.Status, text)
	}
	if out == nil {
		_, err = io.Copy(io.Discard, resp.Body)
		return err
	}
	return json.NewDecoder(resp.Body).Decode(out)
}

func (d *daemon) pins(ctx context.Context) ([]string, error) {
	var out struct{ Keys map[string]any }
	if err := d.call(ctx, "pin/ls", url.Values{"type": {"recursive"}}, &out); err != nil {
		return nil, err
	}
	ids := make([]string, 0, len(out.Keys))
	for id := range out.Keys {
		ids = append(ids, id)
	}
	return ids, nil
}

func (d *daemon) collect(ctx context.Context) error {
	return d.call(ctx, "repo/gc", nil, nil)
}

// connect makes d dial the other daemon.
func (d *daemon) connect(t testing.TB, other *daemon) {
	t.Helper()
	var id struct{ Addresses []string }
	require.NoError(t, other.call(t.Context(), "id", nil, &id))
	require.NotEmpty(t, id.Addresses)
	require.NoError(t, d.call(t.Context(), "swarm/connect", url.Values{"arg": id.Addresses[:1]}, nil))
}

func secretFile(t testing.TB, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

func (d *daemon) store(t testing.TB) *ipfs.Store {
	t.Helper()
	s, err := ipfs.New(ipfs.Config{Endpoint: d.url, SecretFile: secretFile(t, secret+"\n"), FindTimeout: findTimeout})
	require.NoError(t, err)
	return s
}

func (d *daemon) node(t testing.TB) blobtest.Node {
	t.Helper()
	return blobtest.Node{Store: d.store(t), Pins: d.pins, Collect: d.collect}
}
