// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package gateway_test

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/api"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/pre"
)

// liar stands where a gateway should be: it asks the real one and alters its answer.
type liar struct {
	mu  sync.Mutex
	lie func(*api.Fragment)
}

func (l *liar) set(lie func(*api.Fragment)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lie = lie
}

func (l *liar) tell(f *api.Fragment) {
	l.mu.Lock()
	lie := l.lie
	l.mu.Unlock()
	lie(f)
}

// impersonate registers a liar as an organisation's gateway. All gateways forget
// where the real one was.
func (c *care) impersonate(t *testing.T, org emr.OrgID) *liar {
	t.Helper()
	l := &liar{lie: func(*api.Fragment) {}}
	genuine := c.gateways[org]
	forward := c.client(&genuine.cert)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		request, err := http.NewRequestWithContext(r.Context(), r.Method, genuine.url+r.URL.Path, r.Body)
		if err != nil {
			http.Error(w, "", http.StatusInternalServerError)
			return
		}
		response, err := forward.Do(request)
		if err != nil {
			http.Error(w, "", http.StatusBadGateway)
			return
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		var fragment api.Fragment
		if err != nil || json.Unmarshal(body, &fragment) != nil || response.StatusCode != http.StatusOK {
			w.WriteHeader(response.StatusCode)
			_, _ = io.Copy(w, bytes.NewReader(body))
			return
		}
		l.tell(&fragment)
		_ = json.NewEncoder(w).Encode(fragment)
	}))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{genuine.cert}, MinVersion: tls.VersionTLS13}
	server.StartTLS()
	t.Cleanup(server.Close)
	args := genuine.org.Args()
	args.GatewayURL = server.URL
	c.mu.Lock()
	_, err := c.RegisterOrg(genuine.org.Admin, args)
	c.mu.Unlock()
	require.NoError(t, err)
	c.wait(organisationsLife)
	return l
}

// organisationsLife is longer than gateways believe a list of organisations, and
// shorter than a ticket lives.
const organisationsLife = 11e9

// sealReceipt signs a lie with the liar's own receipt key, as a dishonest gateway would.
func (c *care) sealReceipt(t *testing.T, ticket string, f *api.Fragment) {
	t.Helper()
	disclosure := c.gateways[f.Gateway]
	var d emr.Disclosure
	require.NoError(t, disclosure.ledger.Query(t.Context(), "GetDisclosure", map[string]string{"disclosure": ticket}, &d))
	request, err := d.Hash()
	require.NoError(t, err)
	digest, err := api.ReceiptOf(d.ID, request, f).Digest()
	require.NoError(t, err)
	f.Receipt, err = pre.SignP256(nil, disclosure.org.Receipt.Signer(), digest[:])
	require.NoError(t, err)
}
