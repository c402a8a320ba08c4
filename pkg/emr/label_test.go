// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package emr_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/emr"
)

func TestLabelsAreAKnownSortedList(t *testing.T) {
	t.Parallel()
	require.NoError(t, emr.CheckLabels("labels", emr.Labels()))
	require.NoError(t, emr.CheckLabels("labels", nil))
	for name, labels := range map[string][]emr.Label{
		"unknown": {"secret"}, "empty": {""}, "twice": {emr.LabelHIV, emr.LabelHIV}, "out of order": {emr.LabelHIV, emr.LabelGenetic},
	} {
		require.Equal(t, emr.CodeInvalid, emr.CodeOf(emr.CheckLabels("labels", labels)), name)
	}
	for _, label := range emr.Labels() {
		got, err := emr.ParseLabel("label", string(label))
		require.NoError(t, err)
		require.Equal(t, label, got)
	}
	require.True(t, slices.IsSorted(emr.Labels()))
}

// TestFieldsThatJoinedLaterLeaveOldDocumentsTheirBytes: digests and signatures of
// documents without them stay what they were.
func TestFieldsThatJoinedLaterLeaveOldDocumentsTheirBytes(t *testing.T) {
	t.Parallel()
	for _, document := range []any{emr.Manifest{}, emr.Record{}, emr.Request{}, emr.Disclosure{}, emr.AuditEntry{}} {
		b, err := emr.Canonical(document)
		require.NoError(t, err)
		for _, later := range []string{`"labels"`, `"restricted"`, `"consent"`} {
			require.NotContains(t, string(b), later)
		}
	}
	var m emr.Manifest
	b, err := emr.Canonical(emr.Manifest{})
	require.NoError(t, err)
	require.NoError(t, emr.DecodeCanonical(b, &m))
	none := append(b[:len(b)-1:len(b)-1], `,"labels":[]}`...)
	require.Error(t, emr.DecodeCanonical(none, &m), "an empty list has another encoding")
}
