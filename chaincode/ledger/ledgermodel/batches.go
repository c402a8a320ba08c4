// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledgermodel

import (
	"encoding/json"
	"slices"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// Several readings in one transaction.

// batchArgs are the parts of a batch.
type batchArgs []*part

type part struct {
	*step
	want   *reading // nil for a replay
	signed *emr.SignedAction
}

func (b batchArgs) raw(m *Model) []byte {
	var all []json.RawMessage
	for _, p := range b {
		raw, err := emr.Canonical(p.signed)
		require.NoError(m.t, err)
		all = append(all, raw)
	}
	raw, err := json.Marshal(all)
	require.NoError(m.t, err)
	return raw
}

// MarshalJSON shows the parts in a report.
func (b batchArgs) MarshalJSON() ([]byte, error) {
	var all []string
	for _, p := range b {
		all = append(all, p.String())
	}
	return json.Marshal(all)
}

// drawBatch reads several things at once: under one grant, by several readers of
// one hospital, some of them hostile.
func (m *Model) drawBatch() *step {
	if len(m.records) == 0 || len(m.grants) == 0 {
		return nil
	}
	s := &step{function: ledgerapi.DiscloseBatch, via: pick(m, m.orgIDs, "gateway"), event: ledgerapi.EventDisclosedBatch}
	var parts batchArgs
	g := m.recentGrant()
	for range 1 + m.c.Choose(4, "parts") {
		if m.mostly(3, "the same grant") {
			s.via = g.to.org
		} else {
			g = m.recentGrant()
		}
		want := m.underGrant(g)
		parts = append(parts, &part{step: &step{function: ledgerapi.Disclose, by: want.by, via: s.via, args: want.args()}, want: want})
	}
	s.fault(!m.orgs[s.via].member, emr.CodeForbidden)
	for _, p := range parts {
		p.signed = m.sign(m.action(p.step), p.by.key)
		p.any = m.seldom(8, "a stranger's key")
		if p.any {
			p.signed = m.sign(m.action(p.step), m.newKey())
		}
	}
	if old := m.spentReading(s.via); old != nil && m.seldom(4, "a replay") {
		parts = append(parts, old)
	}
	if m.seldom(10, "a part twice") {
		parts = append(parts, parts[0])
		s.fault(true, emr.CodeInvalid)
	}
	s.args = parts
	s.then = func(*answer) []emr.AuditEntry { return m.batched(s, parts) }
	return s
}

// spentReading is a part that was committed before, when there is one of the organisation.
func (m *Model) spentReading(of emr.OrgID) *part {
	for _, old := range slices.Backward(m.spent) {
		if old.call.Function != ledgerapi.Disclose || old.by.clinician == nil || old.by.org != of {
			continue
		}
		p := &part{step: &step{function: ledgerapi.Disclose, by: old.by, via: of, trick: "replayed "}, signed: &emr.SignedAction{}}
		require.NoError(m.t, json.Unmarshal(old.call.Transient, p.signed))
		p.fault(true, emr.CodeExists)
		p.fault(m.stopped[ledgerapi.Disclose], emr.CodeUnsupported)
		p.fault(old.by.key != old.key, emr.CodeUnauthenticated)
		return p
	}
	return nil
}

// batched holds every part against what it must have come to, in their order: each
// sees what those before it have used up.
func (m *Model) batched(s *step, parts batchArgs) []emr.AuditEntry {
	var got ledgerapi.BatchReceipt
	require.NoError(m.t, json.Unmarshal(m.answer, &got))
	require.Len(m.t, got.Outcomes, len(parts))
	var entries []emr.AuditEntry
	for i, p := range parts {
		out := &got.Outcomes[i]
		if p.want == nil {
			require.Contains(m.t, p.faults, out.Code, "part %d of %s", i, s)
			continue
		}
		fresh := m.signed(ledgerapi.Disclose, p.by, s.via, p.args)
		m.expect(fresh, p.want)
		fresh.fault(p.any, emr.CodeUnauthenticated)
		if len(fresh.faults) > 0 {
			require.Contains(m.t, fresh.faults, out.Code, "part %d of %s", i, s)
			continue
		}
		require.Empty(m.t, out.Code, "part %d of %s", i, s)
		require.Equal(m.t, fresh.says.decision, out.Receipt.Decision, "part %d: %s: %s", i, out.Receipt.Reason, s)
		require.Contains(m.t, fresh.says.reasons, out.Receipt.Reason)
		entries = append(entries, fresh.then(got.Of(i))...)
	}
	if len(entries) == 0 {
		s.event = ""
	}
	entries = slices.Clone(entries)
	return entries
}
