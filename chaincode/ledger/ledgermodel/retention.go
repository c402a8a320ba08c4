// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledgermodel

import (
	"time"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// How long the members keep records of a class.

// foundRetention reads the rules that there are in the beginning.
func (m *Model) foundRetention() {
	m.retention, m.published = map[emr.Class]emr.RetentionRule{}, map[string]bool{}
	var list ledgerapi.RetentionList
	require.NoError(m.t, m.d.Ask(m.orgIDs[0], ledgerapi.GetRetention, ledgerapi.Empty{}, &list))
	for _, item := range list.Items {
		m.retention[item.Rule.Class] = item.Rule
	}
}

func (m *Model) finishRetention() {
	m.t.Helper()
	var list ledgerapi.RetentionList
	m.ask(ledgerapi.GetRetention, ledgerapi.Empty{}, &list)
	require.Len(m.t, list.Items, len(m.retention))
	for _, item := range list.Items {
		require.Equal(m.t, m.retention[item.Rule.Class], item.Rule)
	}
}

// aRule is a rule that the members might set, mostly for a class of which there is something.
func (m *Model) aRule() emr.RetentionRule {
	rule := pick(m, []emr.RetentionRule{
		{MaxDays: 2}, {MinDays: 1, MaxDays: 4}, {MinDays: 2}, {MinDays: 1, PatientOverrides: true, MaxDays: 3}, {}, {MaxDays: 3},
		{MinDays: 3, MaxDays: 2}, {PatientOverrides: true}, {MaxDays: 73051},
	}, "rule")
	rule.Class = emr.ClassPrescription
	if len(m.records) > 0 {
		rule.Class = pick(m, m.records, "of whose class").class
	}
	return rule
}

func (m *Model) faultsOfRetention(s *step, rule *emr.RetentionRule) {
	s.fault(rule.MinDays > 73050 || rule.MaxDays > 73050, emr.CodeInvalid)
	s.fault(rule.MaxDays != 0 && rule.MaxDays < rule.MinDays, emr.CodeInvalid)
	s.fault(rule.PatientOverrides && rule.MinDays == 0, emr.CodeInvalid)
	now := m.retention[rule.Class]
	now.Class = rule.Class
	s.fault(now == *rule, emr.CodeExists) // no rule is one without bounds
}

// waitForBound lets time pass up to the very second at which a bound of a record is
// met, or a second less, and then tries it.
func (m *Model) waitForBound() bool {
	if len(m.retention) == 0 || len(m.records) == 0 || m.mostly(3, "for nothing") {
		return false
	}
	r := pick(m, m.records, "whose bound")
	all := m.seriesOf(r)
	rule := m.retention[r.class]
	for _, days := range []uint32{rule.MinDays, rule.MaxDays} {
		bound := all[len(all)-1].registered.Add(time.Duration(days) * 24 * time.Hour)
		if r.erased != nil || days == 0 || bound <= m.now() || m.seldom(3, "not this one") {
			continue
		}
		m.urge = func() *step {
			if days == rule.MinDays {
				return m.erase(r, r.owner, r.owner.actor)
			}
			return m.expire(r)
		}
		return m.d.Wait(time.Duration(bound-m.now()-emr.Time(m.c.Choose(2, "a second early"))) * time.Second)
	}
	return false
}
