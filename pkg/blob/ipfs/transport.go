// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ipfs

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/ipfs/kubo/client/rpc"
	"github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

const (
	dialTimeout = 10 * time.Second
	bufferSize  = 256 << 10 // bytes, of a connection in each direction: one block
	maxSecret   = 4096      // bytes of a secret file
)

func newAPI(cfg Config) (*rpc.HttpApi, error) {
	target, err := parseEndpoint(cfg.Endpoint)
	if err != nil {
		return nil, err
	}
	if !target.private() && !cfg.InsecurePlainHTTP {
		return nil, fmt.Errorf("endpoint %s would carry the secret in clear to another machine: use https", cfg.Endpoint)
	}
	// No proxy: the daemon is a neighbour. No connection is kept: the daemon closes one whenever a stream breaks off, and
	// a POST cannot be repeated on a new one.
	dialer := net.Dialer{Timeout: dialTimeout}
	transport := &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			if target.socket != "" {
				network, address = "unix", target.socket
			}
			return dialer.DialContext(ctx, network, address)
		},
		DisableKeepAlives:   true,
		DisableCompression:  true,
		TLSHandshakeTimeout: dialTimeout,
		WriteBufferSize:     bufferSize,
		ReadBufferSize:      bufferSize,
	}
	api, err := rpc.NewURLApiWithClient(target.url, &http.Client{Transport: transport})
	if err != nil {
		return nil, fmt.Errorf("set up client: %w", err)
	}
	if cfg.SecretFile != "" {
		header, err := readSecret(cfg.SecretFile)
		if err != nil {
			return nil, err
		}
		api.Headers.Set("Authorization", header)
	}
	return api, nil
}

// target is where requests go: a base URL, and the socket to dial when it is not a network address.
type target struct {
	url    string
	socket string
}

func parseEndpoint(endpoint string) (target, error) {
	if strings.HasPrefix(endpoint, "/") {
		return parseMultiaddr(endpoint)
	}
	u, err := url.Parse(endpoint)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return target{}, errors.New("endpoint is neither a multiaddr nor an http or https URL")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "":
		return target{}, errors.New("endpoint URL may only name a host and a port")
	}
	return target{url: u.Scheme + "://" + u.Host}, nil
}

func parseMultiaddr(endpoint string) (target, error) {
	addr, err := multiaddr.NewMultiaddr(endpoint)
	if err != nil {
		return target{}, fmt.Errorf("parse endpoint: %w", err)
	}
	network, address, err := manet.DialArgs(addr)
	if err != nil {
		return target{}, fmt.Errorf("parse endpoint: %w", err)
	}
	if network == "unix" {
		return target{url: "http://unix", socket: address}, nil
	}
	if !strings.HasPrefix(network, "tcp") {
		return target{}, errors.New("endpoint multiaddr names no TCP port and no Unix socket")
	}
	scheme := "http"
	for _, p := range addr.Protocols() {
		if p.Code == multiaddr.P_HTTPS || p.Code == multiaddr.P_TLS {
			scheme = "https"
		}
	}
	return target{url: scheme + "://" + address}, nil
}

// private reports whether requests are encrypted or stay on this machine.
func (t target) private() bool {
	u, err := url.Parse(t.url)
	if err != nil {
		return false
	}
	if t.socket != "" || u.Scheme == "https" || u.Hostname() == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(u.Hostname())
	return err == nil && ip.IsLoopback()
}

// readSecret returns the Authorization header for the secret in a file, which must not be readable by everybody.
// Errors never quote the content.
func readSecret(path string) (string, error) {
	f, err := os.Open(path) //nolint:gosec // the path is the operator's configuration
	if err != nil {
		return "", fmt.Errorf("open secret file: %w", err)
	}
	defer func() { _ = f.Close() }() // read only
	info, err := f.Stat()
	if err != nil {
		return "", fmt.Errorf("look at secret file: %w", err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o007 != 0 {
		return "", fmt.Errorf("secret file %s is open to everybody (mode %04o); run: chmod 600 %s", path, info.Mode().Perm(), path)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	if err != nil {
		return "", fmt.Errorf("read secret file: %w", err)
	}
	if header, ok := authorization(bytes.TrimSpace(b)); ok && len(b) <= maxSecret {
		return header, nil
	}
	return "", fmt.Errorf("secret file %s is not of the form bearer:TOKEN, basic:USER:PASSWORD or Bearer TOKEN", path)
}

// authorization makes the header's value of a secret in any of its notations.
func authorization(secret []byte) (string, bool) {
	if bytes.ContainsFunc(secret, func(r rune) bool { return r < ' ' || r > '~' }) {
		return "", false
	}
	kind, value, _ := bytes.Cut(secret, []byte{':'})
	switch {
	case isHeader(secret):
		return string(secret), true
	case len(value) > 0 && string(kind) == "bearer":
		return "Bearer " + string(value), true
	case string(kind) == "basic" && bytes.IndexByte(value, ':') > 0:
		return "Basic " + base64.StdEncoding.EncodeToString(value), true
	default:
		return "", false
	}
}

// isHeader tells whether a secret is the header's value already (RFC 6750 section 2.1): a scheme, a space and one token.
func isHeader(secret []byte) bool {
	token, ok := bytes.CutPrefix(secret, []byte("Bearer "))
	return ok && len(token) > 0 && !bytes.ContainsAny(token, " :")
}
