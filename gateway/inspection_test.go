// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package gateway_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

func TestAnAuditorSaysThatALogWillBeReadBeforeItIsShown(t *testing.T) {
	t.Parallel()
	c := newCare(t)
	c.put(t)
	auditor, atAuditor := c.doctor(t, ledgertest.Regulator, emr.RoleAuditor)
	_, atColleague := c.doctor(t, ledgertest.Regulator, emr.RoleAuditor)
	record := string(c.manifest.Record)
	atAuditor.get("/v1/records/"+record+"/audit").refused(t, emr.CodeForbidden)

	now := emr.TimeOf(c.now())
	args := ledgerapi.InspectLogArgs{
		Inspection: ledgertest.ID[emr.InspectionID](emr.InspectionPrefix), Subject: emr.LogSubject{Record: c.manifest.Record},
		To: now + 1, Ground: emr.InspectComplaint,
	}
	path := "/v1/inspections/" + string(args.Inspection) + "/log"
	atAuditor.get(path).refused(t, emr.CodeNotFound)
	var receipt ledgerapi.DecisionReceipt
	atAuditor.post("/v1/inspections", c.sign(t, auditor, ledgerapi.InspectLog, args)).into(t, &receipt)
	require.Equal(t, emr.Permit, receipt.Decision)

	var log ledgerapi.AuditPage
	atAuditor.get(path).into(t, &log)
	require.NotEmpty(t, log.Items)
	for _, entry := range log.Items {
		require.Equal(t, c.manifest.Record, entry.Record)
	}
	atColleague.get(path).refused(t, emr.CodeNotFound)
	c.atPatient.get(path).refused(t, emr.CodeNotFound)

	var trail ledgerapi.AuditPage
	c.atPatient.get("/v1/audit").into(t, &trail)
	require.Equal(t, emr.AuditLogRead, trail.Items[0].Kind, "the patient sees who reads the log")
	require.Equal(t, string(auditor.ID), trail.Items[0].Actor)
}
