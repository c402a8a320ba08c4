//go:build e2e

// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package sharing

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/network/e2e/testnet"
	"github.com/emrys-health/emrys/pkg/client"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/seal"
)

// TestADirectGrantOpensItsRecordsAndNoOtherUntilItIsTakenBack goes the whole way of
// a direct grant on a real consortium.
func TestADirectGrantOpensItsRecordsAndNoOtherUntilItIsTakenBack(t *testing.T) {
	w := newWard(t)
	const size = 2*seal.SegmentPlainSize + 11
	first, second := w.put(testnet.Content(31, size)), w.put(testnet.Content(32, 1000))
	third := w.put(testnet.Content(33, 1000))
	given, err := w.patient.Grant(t.Context(), client.Giving{
		Records: []emr.RecordID{first.Record, second.Record}, To: w.readerID,
		Purposes: []emr.Purpose{emr.PurposeTreatment}, Until: time.Now().Add(time.Hour), Direct: true,
	})
	require.NoError(t, err)
	require.True(t, given.Terms.Direct)
	require.Empty(t, given.Terms.Gateways)
	grant := given.Terms.Grant

	got, n, faults, err := w.read(w.reader, first.Record, grant)
	require.NoError(t, err)
	require.EqualValues(t, size, n)
	require.Equal(t, digestOf(t, testnet.Content(31, size)), got, "byte for byte")
	for _, f := range faults {
		require.NotEqual(t, emr.CodeCorrupt, f.Code, "%v", f)
	}
	got, _, _, err = w.read(w.reader, second.Record, grant)
	require.NoError(t, err)
	require.Equal(t, digestOf(t, testnet.Content(32, 1000)), got)

	_, _, _, err = w.read(w.reader, third.Record, grant)
	requireRefused(t, err, emr.CodeRule, emr.ReasonNotCovered)
	_, _, _, err = w.read(w.outsider, first.Record, grant)
	requireRefused(t, err, emr.CodeRule, emr.ReasonNotGrantee)
	ticket, err := w.reader.Disclose(t.Context(), first.Record, grant, emr.PurposeTreatment)
	require.NoError(t, err)
	_, err = w.outsider.OpenTicket(t.Context(), emr.DisclosureID(ticket.ID))
	requireRefused(t, err, emr.CodeRule, emr.ReasonNotReader)

	t.Run("a proxy that hands out an altered key is named, and others are enough", func(t *testing.T) {
		t.Cleanup(func() { settle(t) })
		impersonate(t, "HospCMSP", func(r *http.Response) error { return alter(r, "direct") })
		got, _, faults, err := w.read(w.reader, first.Record, grant)
		require.NoError(t, err)
		require.Equal(t, digestOf(t, testnet.Content(31, size)), got)
		require.Contains(t, gateways(faults), emr.OrgID("HospCMSP"))
	})

	revocation, err := w.patient.Revoke(t.Context(), grant)
	require.NoError(t, err)
	require.NotEmpty(t, revocation.Read, "the answer names who has read")
	_, err = w.reader.OpenTicket(t.Context(), emr.DisclosureID(ticket.ID))
	requireRefused(t, err, emr.CodeRule, emr.ReasonRevoked)
	_, _, _, err = w.read(w.reader, first.Record, grant)
	requireRefused(t, err, emr.CodeRule, emr.ReasonRevoked)
}
