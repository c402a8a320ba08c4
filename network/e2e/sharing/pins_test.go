//go:build e2e

// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package sharing

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// pins lists what a hospital's IPFS daemon holds, asked of the daemon itself.
func pins(t *testing.T, hospital string) map[string]bool {
	t.Helper()
	org, found := net.Topology.Organisation(hospital)
	require.True(t, found)
	site := net.Network.Site()
	secret, err := os.ReadFile(site.IPFSAuthorization(org))
	require.NoError(t, err)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, site.IPFSAPIURL(org)+"/api/v0/pin/ls?type=recursive", nil)
	require.NoError(t, err)
	request.Header.Set("Authorization", strings.TrimSpace(string(secret)))
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, response.StatusCode, "%s", body)
	var answer struct{ Keys map[string]any }
	require.NoError(t, json.Unmarshal(body, &answer))
	all := map[string]bool{}
	for cid := range answer.Keys {
		all[cid] = true
	}
	return all
}

// requireNoStrayPins checks that a hospital pins nothing that no record names.
// What a fault left behind may take the gateway's clean-up a moment.
func requireNoStrayPins(t *testing.T, hospital string, known map[string]bool) {
	t.Helper()
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		for cid := range pins(t, hospital) {
			if !known[cid] {
				c.Errorf("%s pins %s, which no record names", hospital, cid)
			}
		}
	}, 20*time.Second, 300*time.Millisecond)
}

func TestARecordIsPinnedByTwoHospitals(t *testing.T) {
	w := newWard(t)
	stored := w.put(strings.NewReader("replicated " + t.Name() + time.Now().String()))
	require.Eventually(t, func() bool {
		holders := 0
		for _, hospital := range []string{"HospAMSP", "HospBMSP", "HospCMSP"} {
			if pins(t, hospital)[stored.CID] {
				holders++
			}
		}
		return holders == 2
	}, 30*time.Second, 200*time.Millisecond)
	require.True(t, pins(t, "HospAMSP")[stored.CID], "the record's own hospital holds it")
}
