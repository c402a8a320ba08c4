//go:build e2e

// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package sharing

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"io"
	"log"
	stdnet "net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// impersonate moves an organisation's gateway to another port and stands in its
// place, with its own TLS key: a gateway that changes what it hands on.
func impersonate(t *testing.T, msp string, alter func(*http.Response) error) {
	t.Helper()
	org, found := net.Topology.Organisation(msp)
	require.True(t, found)
	stop(t, "gateway."+org.ID)
	honest := moveGateway(t, net.Network.Site().GatewayConfig(org))
	target, err := url.Parse("https://" + honest.listen)
	require.NoError(t, err)
	certificate, err := tls.LoadX509KeyPair(honest.cert, honest.key)
	require.NoError(t, err)
	proxy := &httputil.ReverseProxy{
		Rewrite:        func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport:      &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{certificate}}},
		ModifyResponse: alter,
		ErrorLog:       log.New(io.Discard, "", 0),
	}
	listener, err := tls.Listen("tcp", stdnet.JoinHostPort("127.0.0.1", strconv.Itoa(org.Gateway.Port)), &tls.Config{
		Certificates: []tls.Certificate{certificate}, ClientAuth: tls.RequestClientCert, MinVersion: tls.VersionTLS13,
	})
	require.NoError(t, err)
	server := &http.Server{Handler: proxy, ErrorLog: log.New(io.Discard, "", 0)}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
}

// replaceBody puts another JSON document into a response.
func replaceBody(r *http.Response, document any) error {
	body, err := json.Marshal(document)
	if err != nil {
		return err
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	r.Header.Set("Content-Length", strconv.Itoa(len(body)))
	return nil
}

// moved is a gateway that runs at another address than the topology says.
type moved struct{ listen, cert, key string }

func moveGateway(t *testing.T, config string) moved {
	t.Helper()
	raw, err := os.ReadFile(config)
	require.NoError(t, err)
	var document map[string]any
	require.NoError(t, yaml.Unmarshal(raw, &document))
	free, err := stdnet.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	m := moved{listen: free.Addr().String()}
	require.NoError(t, free.Close())
	document["listen"] = m.listen
	pair, _ := document["tls"].(map[string]any)
	m.cert, _ = pair["cert"].(string)
	m.key, _ = pair["key"].(string)
	raw, err = yaml.Marshal(document)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "gateway.yaml")
	require.NoError(t, os.WriteFile(file, raw, 0o600))
	cmd := exec.Command(net.Program("emrys-gateway"), "run", "--config", file)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	})
	insecure := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	require.Eventually(t, func() bool {
		response, err := insecure.Get("https://" + m.listen + "/readyz")
		if err != nil {
			return false
		}
		_ = response.Body.Close()
		return response.StatusCode == http.StatusOK
	}, 30*time.Second, 100*time.Millisecond)
	return m
}
