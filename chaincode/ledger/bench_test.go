// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/chaincode/ledger"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// BenchmarkDiscloseBatch measures what the rules alone cost for one full batch, and
// how much a reading makes every peer of the channel store.
func BenchmarkDiscloseBatch(b *testing.B) {
	s := newScene(b)
	grant := s.give(b)
	parts := make([][]byte, ledgerapi.MaxBatch)
	for i := range parts {
		parts[i] = s.part(b, s.reader, s.read(grant.Terms.Grant))
	}
	batch := array(parts...)
	tx := s.Begin(s.Facts(s.reader.Org.Gateway))
	written := 0
	for b.Loop() {
		tx = tx.Again()
		_, err := ledger.DiscloseBatch(tx, batch)
		require.NoError(b, err)
	}
	for _, write := range tx.Effects().Writes { // quoted key, an equals sign, value
		written += len(write)
	}
	b.ReportMetric(float64(written)/float64(len(parts)), "written-B/reading")
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(parts)), "ns/reading")
}
