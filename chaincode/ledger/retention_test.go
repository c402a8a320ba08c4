// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/chaincode/ledger"
	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// keeps has the members set a rule.
func (s *scene) keeps(t *testing.T, rule emr.RetentionRule) {
	t.Helper()
	a := &assembly{s.Consortium, t}
	a.pass(emr.Subject{Kind: emr.ProposeRetention, Retention: rule}, ledgertest.HospitalA, ledgertest.HospitalB, ledgertest.HospitalC)
}

func (s *scene) expired(record emr.RecordID) ledgerapi.EraseExpiredArgs {
	return ledgerapi.EraseExpiredArgs{
		Erasure: ledgertest.ID[emr.ErasureID](emr.ErasurePrefix), Record: record,
		Grants: []emr.GrantID{}, Requests: []emr.RequestID{}, Amendments: []emr.AmendmentID{},
	}
}

func TestBeforeTheLeastTimeAnErasureIsDenied(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.keeps(t, emr.RetentionRule{Class: emr.ClassMedicalImaging, MinDays: 30})
	other := s.Record(t, s.author, s.scope, emr.ClassPrescription)
	s.erased(t, other.Record)
	s.Wait(20 * day)
	second := s.next(t, s.record, nil)
	s.Do(t, s.author, ledgerapi.RegisterRecord, second)
	s.Wait(30*day - time.Second)
	denied := s.decides(t, s.patient, ledgerapi.EraseRecord, s.erase(s.record.Record))
	require.Equal(t, emr.ReasonRetention, denied.Reason, "the youngest version counts")
	last := s.trail(t, s.patient.Handle)[0]
	require.Equal(t, []any{emr.AuditErasureOrdered, emr.Deny, emr.ReasonRetention}, []any{last.Kind, last.Decision, last.Reason})
	s.Wait(time.Second)
	s.erased(t, s.record.Record)
}

func TestWhereTheRuleSaysSoThePatientOverridesIt(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.keeps(t, emr.RetentionRule{Class: emr.ClassMedicalImaging, MinDays: 3650, PatientOverrides: true})
	require.NoError(t, s.hold(s.Orgs[ledgertest.HospitalA].Admin,
		ledgerapi.HoldRecordArgs{Record: s.record.Record, Hold: true, Ground: emr.HoldRetention}))
	require.Equal(t, emr.ReasonHeldRetention, s.decides(t, s.patient, ledgerapi.EraseRecord, s.erase(s.record.Record)).Reason,
		"a hold nobody overrides")
	require.NoError(t, s.hold(s.Orgs[ledgertest.HospitalA].Admin, ledgerapi.HoldRecordArgs{Record: s.record.Record}))
	s.erased(t, s.record.Record)
}

func TestAfterTheLongestTimeAnyMemberOrdersTheErasure(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	gateway := s.Orgs[ledgertest.Regulator].Gateway
	order := func() *ledgerapi.DecisionReceipt {
		answer, err := told(t, s, gateway, ledger.EraseExpired, s.expired(s.record.Record))
		require.NoError(t, err)
		return answer
	}
	require.Equal(t, emr.ReasonNotDue, order().Reason, "without a rule nothing is ever over")
	s.keeps(t, emr.RetentionRule{Class: emr.ClassPrescription, MaxDays: 1})
	s.Wait(10 * day)
	require.Equal(t, emr.ReasonNotDue, order().Reason, "another class's rule")
	s.keeps(t, emr.RetentionRule{Class: emr.ClassMedicalImaging, MaxDays: 11})
	s.Wait(day - time.Second)
	require.Equal(t, emr.ReasonNotDue, order().Reason)
	last := s.trail(t, s.patient.Handle)[0]
	require.Equal(t, []any{emr.ActorGateway, ledgertest.Regulator, emr.Deny}, []any{last.Actor, last.Org, last.Decision})
	s.Wait(time.Second)
	hold := ledgerapi.HoldRecordArgs{Record: s.record.Record, Hold: true, Ground: emr.HoldLitigation}
	require.NoError(t, s.hold(s.Orgs[ledgertest.HospitalA].Admin, hold))
	require.Equal(t, emr.ReasonHeldLitigation, order().Reason)
	require.NoError(t, s.hold(s.Orgs[ledgertest.HospitalA].Admin, ledgerapi.HoldRecordArgs{Record: s.record.Record}))
	done := order()
	require.Equal(t, []any{emr.Permit, emr.ReasonRetentionOver}, []any{done.Decision, done.Reason})
	view := s.erasure(t, emr.ErasureID(done.ID))
	require.Equal(t, []any{emr.OrderRetention, emr.EraseRetention, emr.ActorGateway, ledgertest.Regulator},
		[]any{view.Erasure.Kind, view.Erasure.Ground, view.Erasure.By, view.Erasure.Org})
	s.confirmAll(t, view.Erasure.ID, holders()...)
	require.Equal(t, emr.ErasureComplete, s.erasure(t, view.Erasure.ID).State)
	s.verified(t, s.patient.Handle)
	for _, caller := range []*ledger.Caller{s.Orgs[ledgertest.Regulator].Admin, {MSP: ledgertest.HospitalA}} {
		_, err := told(t, s, caller, ledger.EraseExpired, s.expired(s.record.Record))
		require.Error(t, err)
	}
	_, err := told(t, s, gateway, ledger.EraseExpired, s.expired(s.record.Record))
	refuses(t, err, emr.CodeGone, "erased")
	bad := s.expired(s.record.Record)
	bad.Erasure = "x"
	_, err = told(t, s, gateway, ledger.EraseExpired, bad)
	refuses(t, err, emr.CodeInvalid, "erasure")
}

func TestARetentionRuleIsSetByVoteAlone(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	a := &assembly{s.Consortium, t}
	rule := emr.RetentionRule{Class: emr.ClassOmics, MinDays: 10, MaxDays: 20, PatientOverrides: true}
	list := func() []emr.Retention {
		found, err := ledger.GetRetention(s.Query(s.Orgs[ledgertest.HospitalB]), ledgerapi.Empty{})
		require.NoError(t, err)
		return found.Items
	}
	id, err := a.propose(ledgertest.HospitalA, emr.Subject{Kind: emr.ProposeRetention, Retention: rule})
	require.NoError(t, err)
	require.NoError(t, a.vote(ledgertest.HospitalB, id, true))
	require.Empty(t, list(), "two of four are no majority")
	require.NoError(t, a.vote(ledgertest.HospitalC, id, true))
	require.Equal(t, []emr.Retention{{V: 1, Rule: rule, Proposal: id, Since: s.Now}}, list())
	_, err = a.propose(ledgertest.HospitalA, emr.Subject{Kind: emr.ProposeRetention, Retention: rule})
	refuses(t, err, emr.CodeExists, "in force")
	s.keeps(t, emr.RetentionRule{Class: emr.ClassOmics})
	require.Zero(t, list()[0].Rule.MinDays, "a rule is taken back by one without bounds")
	for name, change := range map[string]func(*emr.Subject){
		"of no class":                    func(x *emr.Subject) { x.Retention.Class = "" },
		"of an unknown class":            func(x *emr.Subject) { x.Retention.Class = "soul" },
		"with the least above the most":  func(x *emr.Subject) { x.Retention.MinDays = 21 },
		"with too long a least time":     func(x *emr.Subject) { x.Retention.MinDays, x.Retention.MaxDays = 73051, 0 },
		"with too long a most time":      func(x *emr.Subject) { x.Retention.MaxDays = 73051 },
		"with nothing to override":       func(x *emr.Subject) { x.Retention.MinDays = 0 },
		"with a field of another kind":   func(x *emr.Subject) { x.Function = ledgerapi.Disclose },
		"as the subject of another kind": func(x *emr.Subject) { x.Kind, x.Function = emr.ProposeStop, ledgerapi.Disclose },
	} {
		t.Run(name, func(t *testing.T) {
			subject := emr.Subject{Kind: emr.ProposeRetention, Retention: rule}
			change(&subject)
			_, err := a.propose(ledgertest.HospitalA, subject)
			refuses(t, err, emr.CodeInvalid, "subject")
		})
	}
}
