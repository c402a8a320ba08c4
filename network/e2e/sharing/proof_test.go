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
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/api"
	"github.com/emrys-health/emrys/pkg/attest/attesttest"
	"github.com/emrys-health/emrys/pkg/client"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/pre"
)

// substitution puts bytes into the answers of registry.prove, and counts how often it did.
type substitution struct {
	old, by []byte
	told    atomic.Int32
}

func (s *substitution) alter(r *http.Response) error {
	if r.StatusCode != http.StatusOK || !strings.HasSuffix(r.Request.URL.Path, "/v1/proofs") {
		return nil
	}
	var proof api.Proof
	err := json.NewDecoder(r.Body).Decode(&proof)
	if err != nil {
		return err
	}
	proof.Response, err = attesttest.Substitute(proof.Response, func(answer []byte) []byte {
		if bytes.Contains(answer, s.old) {
			s.told.Add(1)
		}
		return bytes.ReplaceAll(answer, s.old, s.by)
	})
	if err != nil {
		return err
	}
	body, err := json.Marshal(proof)
	if err != nil {
		return err
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	r.Header.Set("Content-Length", strconv.Itoa(len(body)))
	return nil
}

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

// quoted is a value as canonical JSON holds it.
func quoted(t *testing.T, value any) []byte {
	t.Helper()
	text, err := emr.Canonical(value)
	require.NoError(t, err)
	return text
}

// The patient's own hospital lies about who has which key: the patient's device
// notices, makes no fragment, and nothing is on the ledger.
func TestAGatewayThatSubstitutesAKeyGetsNoGrant(t *testing.T) {
	w := newWard(t)
	stored := w.put(strings.NewReader("x"))
	reader, err := w.patient.Clinician(t.Context(), w.readerID)
	require.NoError(t, err)
	network, err := w.patient.Network(t.Context())
	require.NoError(t, err)
	key, err := pre.GeneratePrivateKey(nil)
	require.NoError(t, err)
	hybrid, err := pre.GenerateHybridKey()
	require.NoError(t, err)
	proxy := network.Organisations[0].Keys.Proxy
	t.Cleanup(func() { settle(t) })
	for name, lie := range map[string]*substitution{
		"the reader's reading key": {old: quoted(t, reader.Reading), by: quoted(t, key.Public().Bytes())},
		"a proxy's key":            {old: quoted(t, proxy), by: quoted(t, hybrid.Public().Bytes())},
	} {
		t.Run(name, func(t *testing.T) {
			impersonate(t, "HospAMSP", lie.alter)
			patient, err := client.Open(w.dir+"/patient", nil, client.Options{}) // a device that remembers nothing
			require.NoError(t, err)
			defer patient.Close()
			_, err = patient.Grant(t.Context(), client.Giving{
				Records: []emr.RecordID{stored.Record}, To: w.readerID, Purposes: []emr.Purpose{emr.PurposeTreatment},
				Until: time.Now().Add(time.Hour),
			})
			require.Equal(t, emr.CodeCorrupt, emr.CodeOf(err), "%v", err)
			require.Positive(t, lie.told.Load(), "the lie was told")
			page, err := w.reader.Grants(t.Context(), client.Page{}) // by an honest gateway
			require.NoError(t, err)
			require.Empty(t, page.Items)
		})
	}
	settle(t)
	w.grant(time.Hour, stored.Record)
}
