//go:build e2e

// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package sharing

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/network/e2e/testnet"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// TestARecordIsErasedOnARealLedger orders an erasure, sees every peer's private
// data purged and every reading refused, and has each holder confirm.
func TestARecordIsErasedOnARealLedger(t *testing.T) {
	w := newWard(t)
	stored := w.put(strings.NewReader("to be forgotten"))
	grant := w.grant(time.Hour, stored.Record)
	_, _, _, err := w.read(w.reader, stored.Record, grant)
	require.NoError(t, err)
	members := map[emr.OrgID]*testnet.Member{}
	patient := w.signerOf("patient", w.patient)
	c := newCarrier(t)
	order := ledgerapi.EraseRecordArgs{
		Patient: w.patient.Profile().Handle, Erasure: fresh[emr.ErasureID](t, emr.ErasurePrefix), Record: stored.Record,
		Ground: emr.EraseWithdrawn, Grants: []emr.GrantID{grant}, Requests: []emr.RequestID{},
	}
	c.eventually("HospBMSP", ledgerapi.EraseRecord, patient.sign(patient.action(ledgerapi.EraseRecord, order)))
	view := func() *ledgerapi.ErasureView {
		var found ledgerapi.ErasureView
		require.NoError(t, c.orgs["HospBMSP"].Query(t.Context(), ledgerapi.GetErasure, ledgerapi.ErasureQuery{Erasure: order.Erasure}, &found))
		return &found
	}
	placed := view()
	require.Equal(t, emr.ErasurePartial, placed.State)
	require.Equal(t, placed.Erasure.Holders, placed.Missing)
	require.Len(t, placed.Missing, 4)
	for _, org := range placed.Missing {
		member, err := net.AsGateway(string(org))
		require.NoError(t, err)
		t.Cleanup(member.Close)
		members[org] = member
	}
	record := placed.Parts[0].Records[0]
	for org, member := range members {
		var found ledgerapi.IntegrityView
		require.Eventually(t, func() bool {
			err := member.Query(t.Context(), ledgerapi.CheckIntegrity, ledgerapi.IntegrityQuery{Record: stored.Record, CID: record.CID}, &found)
			return err == nil && found.Verdict == ledgerapi.VerdictErased && found.Manifest == ledgerapi.ManifestPurged
		}, 20*time.Second, 200*time.Millisecond, "%s: %+v", org, found)
	}
	_, _, _, err = w.read(w.reader, stored.Record, grant)
	requireRefused(t, err, emr.CodeRule, emr.ReasonErased)

	confirmed := ledgerapi.ConfirmErasureArgs{
		Erasure: order.Erasure, Part: 1, Failed: []emr.Undestroyed{},
		Destroyed: []emr.Destroyed{{Record: record.Record, CID: record.CID, Things: emr.ErasureThings()}},
	}
	for n, org := range placed.Missing {
		require.NoError(t, members[org].Order(t.Context(), ledgerapi.ConfirmErasure, confirmed))
		require.Eventually(t, func() bool { return len(view().Missing) == len(placed.Missing)-n-1 }, 20*time.Second, 200*time.Millisecond)
	}
	require.Equal(t, emr.ErasureComplete, view().State)
	var erased ledgerapi.ErasedList
	backup := ledgerapi.IsErasedQuery{Records: []emr.RecordID{}, CIDs: []string{record.CID}, Digests: []emr.Digest{record.Digest}}
	require.NoError(t, c.orgs["HospBMSP"].Query(t.Context(), ledgerapi.IsErased, backup, &erased))
	require.True(t, erased.Items[0].Destroy && erased.Items[1].Destroy)
	var readings ledgerapi.ReadingPage
	asked := ledgerapi.WhoHasReadQuery{Patient: order.Patient, Record: stored.Record}
	require.NoError(t, c.orgs["HospBMSP"].Query(t.Context(), ledgerapi.WhoHasRead, asked, &readings))
	require.Equal(t, []string{string(w.readerID)}, readings.Readers)
}
