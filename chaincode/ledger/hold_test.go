// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// TestTheHoldOfAnOrganisationThatWasRemovedIsEndedByARegulator, and by nobody else;
// and a regulator ends no hold of a member.
func TestTheHoldOfAnOrganisationThatWasRemovedIsEndedByARegulator(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	a := &assembly{s.Consortium, t}
	release := ledgerapi.HoldRecordArgs{Record: s.record.Record}
	put := ledgerapi.HoldRecordArgs{Record: s.record.Record, Hold: true, Ground: emr.HoldLitigation}
	hospital, regulator := s.Orgs[ledgertest.HospitalA].Admin, s.Orgs[ledgertest.Regulator].Admin
	require.NoError(t, s.hold(hospital, put))
	refuses(t, s.hold(regulator, release), emr.CodeRule, "does not hold")

	a.pass(removal(ledgertest.HospitalA), ledgertest.HospitalB, ledgertest.HospitalC)
	require.Error(t, s.hold(hospital, release))
	refuses(t, s.hold(s.Orgs[ledgertest.HospitalB].Admin, release), emr.CodeForbidden, "another hospital's")
	args := s.Sign(t, s.patient, ledgerapi.EraseRecord, s.erase(s.record.Record))
	answer, err := s.Submit(t, s.Orgs[ledgertest.HospitalB], ledgerapi.EraseRecord, args)
	require.NoError(t, err)
	require.Equal(t, emr.ReasonHeldLitigation, answer.(*ledgerapi.DecisionReceipt).Reason)

	require.NoError(t, s.hold(regulator, put), "where the ground still stands it holds the record itself")
	require.NoError(t, s.hold(regulator, release), "that ends its own")
	require.NoError(t, s.hold(regulator, release), "and that those of the removed")
	refuses(t, s.hold(regulator, release), emr.CodeRule, "does not hold")
	require.Equal(t, emr.AuditRecordReleased, s.trail(t, s.patient.Handle)[0].Kind)
	args = s.Sign(t, s.patient, ledgerapi.EraseRecord, s.erase(s.record.Record))
	answer, err = s.Submit(t, s.Orgs[ledgertest.HospitalB], ledgerapi.EraseRecord, args)
	require.NoError(t, err)
	require.Equal(t, emr.Permit, answer.(*ledgerapi.DecisionReceipt).Decision)
}
