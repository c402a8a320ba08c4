//go:build e2e

// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package sharing

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/network/e2e/testnet"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// TestTheContractOnRealPeers asks what an in-memory ledger cannot answer: how the
// contract's names, arguments, pages and bookmarks fare behind Fabric's own code.
func TestTheContractOnRealPeers(t *testing.T) {
	w := newWard(t)
	stored := w.put(strings.NewReader("x"))
	w.grant(time.Hour, stored.Record)
	member, err := net.AsGateway("HospBMSP")
	require.NoError(t, err)
	t.Cleanup(member.Close)
	handle := w.patient.Profile().Handle

	t.Run("a function is known by its exact name and number of arguments", func(t *testing.T) {
		for _, call := range [][]string{
			{"getRecord", "{}"}, {"emrys:GetRecord", "{}"}, {"GetRecord"}, {"GetRecord", "{}", "{}"}, {"Disclose", "{}"}, {"Nothing"},
		} {
			_, err := member.Contract(ledgerapi.ChaincodeName).EvaluateTransaction(call[0], call[1:]...)
			require.ErrorContains(t, err, "EMR1 {", "%q", call)
		}
	})
	t.Run("pages of one entry give what one page gives", func(t *testing.T) {
		q := ledgerapi.PageQuery{Patient: handle, Limit: ledgerapi.MaxPageSize}
		var all ledgerapi.AuditPage
		require.NoError(t, member.Query(t.Context(), ledgerapi.AuditByPatient, q, &all))
		require.Greater(t, len(all.Items), 4)
		require.Empty(t, all.Bookmark)
		require.Equal(t, all.Items, pages(t, member, ledgerapi.PageQuery{Patient: handle, Limit: 1}))
		require.IsNonIncreasing(t, times(all.Items))
	})
	t.Run("a forged bookmark shows nothing of another patient", func(t *testing.T) {
		other := newWard(t).patient.Profile().Handle
		for _, text := range []string{"0000000000000000000/0", "-/-", "zzz/zzz", "0/" + string(handle)} {
			q := ledgerapi.PageQuery{Patient: other, Bookmark: base64.RawURLEncoding.EncodeToString([]byte(text))}
			var page ledgerapi.AuditPage
			require.NoError(t, member.Query(t.Context(), ledgerapi.AuditByPatient, q, &page))
			for _, entry := range page.Items {
				require.Equal(t, other, entry.Patient)
			}
		}
	})
	t.Run("a query may be submitted and writes nothing", func(t *testing.T) {
		raw, err := emr.Canonical(ledgerapi.PageQuery{Patient: handle})
		require.NoError(t, err)
		_, err = member.Contract(ledgerapi.ChaincodeName).SubmitTransaction(ledgerapi.AuditByPatient, string(raw))
		require.NoError(t, err)
	})
	t.Run("the pseudonym resolves at every organisation", func(t *testing.T) {
		for _, org := range []string{"HospAMSP", "HospBMSP", "HospCMSP"} {
			at, err := net.AsGateway(org)
			require.NoError(t, err)
			t.Cleanup(at.Close)
			var view ledgerapi.PatientView
			require.NoError(t, at.Query(t.Context(), ledgerapi.ResolvePatient, ledgerapi.ResolvePatientQuery{Patient: w.pseudonym}, &view))
			require.Equal(t, handle, view.Patient.Handle)
		}
	})
}

func pages(t *testing.T, member *testnet.Member, q ledgerapi.PageQuery) []emr.AuditEntry {
	t.Helper()
	var all []emr.AuditEntry
	for {
		var page ledgerapi.AuditPage
		require.NoError(t, member.Query(t.Context(), ledgerapi.AuditByPatient, q, &page))
		all = append(all, page.Items...)
		if q.Bookmark = page.Bookmark; q.Bookmark == "" {
			return all
		}
	}
}

func times(entries []emr.AuditEntry) []int64 {
	list := make([]int64, len(entries))
	for i, e := range entries {
		list[i] = int64(e.At)
	}
	return list
}
