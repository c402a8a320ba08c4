// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/client"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
	"github.com/emrys-health/emrys/pkg/trail"
)

func TestAWholeTrailIsToldComplete(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	require.NoError(t, s.grant(t))
	var counted []int
	report, err := s.patient.VerifyTrail(t.Context(), func(n int) { counted = append(counted, n) })
	require.NoError(t, err)
	require.Equal(t, trail.Complete, report.Verdict)
	require.NotZero(t, report.Chained)
	require.EqualValues(t, report.Head.Sequence, report.Chained)
	require.NotZero(t, report.Loose, "the record and the own reading")
	require.Empty(t, report.Faults)
	require.Equal(t, []int{report.Chained + report.Loose}, counted)
}

func TestAGatewayThatLiesAboutATrailIsFoundOut(t *testing.T) {
	t.Parallel()
	chained := func(told []emr.AuditEntry) int {
		return slices.IndexFunc(told, func(e emr.AuditEntry) bool { return e.Kind == emr.AuditGrant })
	}
	for _, tt := range []struct {
		name    string
		lie     func([]emr.AuditEntry) []emr.AuditEntry
		verdict trail.Verdict
		fault   trail.FaultKind
	}{
		{"by leaving an entry out", func(told []emr.AuditEntry) []emr.AuditEntry {
			at := chained(told)
			return slices.Delete(told, at, at+1)
		}, trail.Partial, trail.FaultMissing},
		{"by altering one", func(told []emr.AuditEntry) []emr.AuditEntry {
			told[chained(told)].Actor = "somebody else"
			return told
		}, trail.Conflicting, trail.FaultAltered},
		{"by making one up in another's place", func(told []emr.AuditEntry) []emr.AuditEntry {
			other := told[chained(told)]
			other.TxID = "another"
			return append(told, other)
		}, trail.Conflicting, trail.FaultFork},
		{"by telling a chained entry as a loose one", func(told []emr.AuditEntry) []emr.AuditEntry {
			at := chained(told)
			told[at].Sequence, told[at].Previous = 0, emr.Digest{}
			return told
		}, trail.Conflicting, trail.FaultLoose},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			require.NoError(t, s.grant(t))
			s.OnAudit = tt.lie
			report, err := s.patient.VerifyTrail(t.Context(), nil)
			require.NoError(t, err)
			require.Equal(t, tt.verdict, report.Verdict)
			require.True(t, slices.ContainsFunc(report.Faults, func(f client.TrailFault) bool { return f.Kind == tt.fault }), "%v", report.Faults)
		})
	}
}

func TestTheEndOfATrailIsNotTheGatewaysToSay(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.OnAnswer = func(function string, answer []byte) []byte {
		if function == ledgerapi.GetAuditHead {
			return []byte(`{"v":1}`)
		}
		return answer
	}
	_, err := s.patient.VerifyTrail(t.Context(), nil)
	require.Equal(t, emr.CodeCorrupt, emr.CodeOf(err))
	s.OnAnswer = nil
	_, err = s.author.VerifyTrail(t.Context(), nil)
	require.Equal(t, emr.CodeRule, emr.CodeOf(err), "a professional has no trail of the kind")
}

func TestWhatHappensWhileATrailIsReadIsLeftToTheNextTime(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.OnAudit = func(told []emr.AuditEntry) []emr.AuditEntry {
		newest := told[len(told)-1]
		for _, e := range told {
			newest.Sequence = max(newest.Sequence, e.Sequence+1)
		}
		newest.Kind = emr.AuditGrant
		return append(told, newest)
	}
	report, err := s.patient.VerifyTrail(t.Context(), nil)
	require.NoError(t, err)
	require.Equal(t, trail.Complete, report.Verdict)
}
