//go:build e2e

// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package sharing

import (
	"bytes"
	"encoding/json"
	"net/http"
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
	return replaceBody(r, proof)
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
