// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package gateway_test

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// inbox is what waits for whoever asks, oldest first.
func inbox(t *testing.T, at *session) []ledgerapi.InboxKind {
	t.Helper()
	kinds := []ledgerapi.InboxKind{}
	path := "/v1/inbox?limit=1"
	for path != "" {
		var page ledgerapi.InboxPage
		at.get(path).into(t, &page)
		for _, item := range page.Items {
			kinds = append(kinds, item.Kind)
		}
		path = ""
		if page.Bookmark != "" {
			path = "/v1/inbox?limit=1&cursor=" + page.Bookmark
		}
	}
	slices.Reverse(kinds)
	return kinds
}

func TestAWideGrantWaitsForWhomThePatientNamed(t *testing.T) {
	t.Parallel()
	c := newCare(t)
	c.put(t)
	friend, atFriend := c.network.patient(t, ledgertest.HospitalC)
	_, atStranger := c.network.patient(t, ledgertest.HospitalA)
	none := emr.GrantRule{}
	c.atPatient.get("/v1/grant-rule").into(t, &none)
	require.Zero(t, none.Version)
	c.atReader.get("/v1/grant-rule").refused(t, emr.CodeForbidden)

	var set ledgerapi.DecisionReceipt
	c.atPatient.post("/v1/grant-rule", c.sign(t, c.patient, ledgerapi.SetGrantRule, ledgerapi.SetGrantRuleArgs{
		Patient: c.patient.Handle, Terms: emr.GrantRuleTerms{Bounds: emr.GrantBounds{Scope: true}, Confirmers: []string{string(friend.Handle)}},
	})).into(t, &set)
	require.Equal(t, emr.Permit, set.Decision)
	var rule emr.GrantRule
	c.atPatient.get("/v1/grant-rule").into(t, &rule)
	require.Equal(t, uint32(1), rule.Version)

	wide := c.Grant(c.scope, c.reader)
	wide.Terms.Until = emr.TimeOf(c.now().Add(100 * time.Hour))
	c.atPatient.post("/v1/grants", c.sign(t, c.patient, ledgerapi.GrantAccess, wide)).into(t, &ledgerapi.Receipt{})
	path := "/v1/grants/" + string(wide.Terms.Grant)
	require.Equal(t, []ledgerapi.InboxKind{ledgerapi.InboxGrant}, inbox(t, c.atPatient))
	require.Equal(t, []ledgerapi.InboxKind{ledgerapi.InboxConfirm}, inbox(t, atFriend))
	require.Empty(t, inbox(t, atStranger))
	var shown emr.Grant
	for _, at := range []*session{c.atPatient, c.atReader, atFriend} {
		at.get(path).into(t, &shown)
		require.Equal(t, emr.GrantWaiting, shown.Status)
	}
	for _, at := range []*session{c.atAuthor, atStranger} {
		at.get(path).refused(t, emr.CodeNotFound)
		at.get("/v1/grants/"+string(ledgertest.ID[emr.GrantID](emr.GrantPrefix))).refused(t, emr.CodeNotFound)
	}
	c.atPatient.get("/v1/grants/gra_1").refused(t, emr.CodeInvalid)
	require.Equal(t, emr.ReasonGrantWaiting, c.discloseBy(t, wide.Terms.Grant, emr.Deny).Reason)

	terms, err := shown.Terms.Hash()
	require.NoError(t, err)
	confirm := ledgerapi.ConfirmGrantArgs{Patient: c.patient.Handle, Grant: wide.Terms.Grant, Terms: terms}
	c.atReader.post("/v1/grants/confirm", c.sign(t, c.reader, ledgerapi.ConfirmGrant, confirm)).refused(t, emr.CodeForbidden)
	var confirmed ledgerapi.DecisionReceipt
	atFriend.post("/v1/grants/confirm", c.sign(t, friend, ledgerapi.ConfirmGrant, confirm)).into(t, &confirmed)
	require.Equal(t, emr.Permit, confirmed.Decision)
	require.Empty(t, inbox(t, c.atPatient))
	require.Empty(t, inbox(t, atFriend))
	atFriend.get(path).refused(t, emr.CodeNotFound)
	c.discloseBy(t, wide.Terms.Grant, emr.Deny)
	c.wait(72 * time.Hour) // until nobody's key is new
	c.atReader = c.login(t, clinicianPerson(c.reader), ledgertest.HospitalB)
	c.discloseBy(t, wide.Terms.Grant, emr.Permit)
}

func TestSeveralGrantsAreGivenAndNarrowedThroughAGateway(t *testing.T) {
	t.Parallel()
	c := newCare(t)
	c.put(t)
	second := c.another(t)
	both := c.Grant(c.scope, c.reader, c.manifest.Record, second.Record)
	other := c.Grant(c.scope, c.author, second.Record)
	var given ledgerapi.GrantBatchReceipt
	batch := ledgerapi.GrantBatchArgs{Patient: c.patient.Handle, Grants: []ledgerapi.GrantAccessArgs{*both, *other}}
	c.atPatient.post("/v1/grants/batch", c.sign(t, c.patient, ledgerapi.GrantBatch, batch)).into(t, &given)
	require.Equal(t, []emr.GrantID{both.Terms.Grant, other.Terms.Grant}, given.IDs, "the answer names what was given")
	require.Empty(t, given.Waiting)
	require.NotEmpty(t, given.TxID)
	c.discloseBy(t, both.Terms.Grant, emr.Permit)

	left := ledgerapi.NarrowGrantArgs{
		Patient: c.patient.Handle, Grant: both.Terms.Grant, Records: []emr.RecordID{second.Record}, Purposes: both.Terms.Purposes,
		Until: both.Terms.Until, MaxUses: both.Terms.MaxUses,
	}
	c.atReader.post("/v1/grants/narrow", c.sign(t, c.reader, ledgerapi.NarrowGrant, left)).refused(t, emr.CodeForbidden)
	c.atPatient.post("/v1/grants/narrow", c.sign(t, c.patient, ledgerapi.NarrowGrant, left)).into(t, &ledgerapi.Receipt{})
	var grant emr.Grant
	c.atReader.get("/v1/grants/"+string(both.Terms.Grant)).into(t, &grant)
	require.Equal(t, []emr.RecordID{second.Record}, grant.Effective().Records)
	c.discloseBy(t, both.Terms.Grant, emr.Deny)
}

func TestAnInboxIsTheCallersOwn(t *testing.T) {
	t.Parallel()
	c := newCare(t)
	c.put(t)
	require.Empty(t, inbox(t, c.atPatient))
	var asked ledgerapi.DecisionReceipt
	c.atReader.post("/v1/requests", c.sign(t, c.reader, ledgerapi.RequestAccess, ledgerapi.RequestAccessArgs{
		Request: ledgertest.ID[emr.RequestID](emr.RequestPrefix), Record: c.manifest.Record, Purpose: emr.PurposeTreatment,
	})).into(t, &asked)
	c.wait(time.Second)
	third, atThird := c.doctor(t, ledgertest.HospitalC, emr.RolePhysician)
	atThird.post("/v1/relationships", c.sign(t, third, ledgerapi.ProposeRelationship,
		ledgerapi.ProposeRelationshipArgs{Patient: c.patient.Handle, Hospital: ledgertest.HospitalC})).into(t, &ledgerapi.Receipt{})
	require.Equal(t, []ledgerapi.InboxKind{ledgerapi.InboxRequest, ledgerapi.InboxRelationship}, inbox(t, c.atPatient))
	for _, at := range []*session{c.atReader, c.atAuthor, atThird} {
		require.Empty(t, inbox(t, at))
	}
	c.atPatient.get("/v1/inbox?limit=101").refused(t, emr.CodeInvalid)
	nobody := &session{t: t, net: c.network, node: c.atPatient.node}
	require.Equal(t, http.StatusUnauthorized, nobody.get("/v1/inbox").status)

	c.atPatient.post("/v1/requests/refuse", c.sign(t, c.patient, ledgerapi.RefuseAccess,
		ledgerapi.RefuseAccessArgs{Patient: c.patient.Handle, Request: emr.RequestID(asked.ID)})).into(t, &ledgerapi.Receipt{})
	require.Equal(t, []ledgerapi.InboxKind{ledgerapi.InboxRelationship}, inbox(t, c.atPatient))
}

// discloseBy is a reading of the record under a named grant.
func (c *care) discloseBy(t *testing.T, grant emr.GrantID, want emr.Decision) ledgerapi.DecisionReceipt {
	t.Helper()
	c.grant = grant
	return c.disclose(t, want)
}
