// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package contract

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// grantingThroughTheAdapter runs a batch with a wide grant, its narrowing and
// confirmation, a rule and its lifting, and a sign-off over the stub.
func grantingThroughTheAdapter(
	t *testing.T, r *rig, p *ledgertest.Patient, author *ledgertest.Clinician, scope *emr.Scope, record emr.RecordID,
	do func(ledgertest.Member, string, any), ask func(string, any, any),
) {
	t.Helper()
	rule := ledgerapi.SetGrantRuleArgs{Patient: p.Handle, Terms: emr.GrantRuleTerms{
		Bounds: emr.GrantBounds{Scope: true}, Confirmers: []string{string(author.ID)}, WaitHours: 1,
	}}
	do(p, ledgerapi.SetGrantRule, rule)
	r.Wait(2 * time.Hour)
	reader := r.NewClinician(t, ledgertest.HospitalC, ledgertest.Wish{Role: string(emr.RolePhysician), Level: string(emr.LevelPrivate)})
	do(reader, ledgerapi.RegisterClinician, reader.Args())
	one, whole := r.Grant(scope, reader, record), r.Grant(scope, reader)
	do(p, ledgerapi.GrantBatch, ledgerapi.GrantBatchArgs{Patient: p.Handle, Grants: []ledgerapi.GrantAccessArgs{*one, *whole}})
	do(p, ledgerapi.NarrowGrant, ledgerapi.NarrowGrantArgs{
		Patient: p.Handle, Grant: one.Terms.Grant, Records: one.Terms.Records, Purposes: one.Terms.Purposes, Until: one.Terms.Until, MaxUses: 1,
	})
	var inbox ledgerapi.InboxPage
	ask(ledgerapi.GetInbox, ledgerapi.PageQuery{Clinician: author.ID}, &inbox)
	require.Equal(t, ledgerapi.InboxConfirm, inbox.Items[0].Kind)
	hash, err := whole.Terms.Hash()
	require.NoError(t, err)
	do(author, ledgerapi.ConfirmGrant, ledgerapi.ConfirmGrantArgs{Patient: p.Handle, Grant: whole.Terms.Grant, Terms: hash})
	do(p, ledgerapi.SetGrantRule, ledgerapi.SetGrantRuleArgs{
		Patient: p.Handle, Version: 1, Terms: emr.GrantRuleTerms{Confirmers: []string{}},
	})
	do(author, ledgerapi.ConfirmGrantRule, ledgerapi.ConfirmGrantRuleArgs{Patient: p.Handle, Version: 2})
	var lifted emr.GrantRule
	ask(ledgerapi.GetGrantRule, ledgerapi.HandleQuery{Patient: p.Handle}, &lifted)
	require.Equal(t, uint32(3), lifted.Version)
	require.Zero(t, lifted.Terms.Bounds)

	m := r.Manifest(t, author, scope, emr.ClassMedicalImaging)
	m.Signers = []emr.Signer{{Clinician: author.ID, Org: author.Org.ID, Role: emr.RolePhysician}}
	do(author, ledgerapi.RegisterRecord, m)
	var waiting ledgerapi.SignOffPage
	ask(ledgerapi.ListSignOffs, ledgerapi.PageQuery{Clinician: author.ID}, &waiting)
	require.Len(t, waiting.Items, 1)
	do(author, ledgerapi.SignOff, ledgerapi.SignOffArgs{Record: m.Record, Manifest: waiting.Items[0].Manifest})
	var done emr.SignOff
	ask(ledgerapi.GetSignOff, ledgerapi.RecordQuery{Record: m.Record}, &done)
	require.Equal(t, emr.SignOffSigned, done.Status)
	var view ledgerapi.SignOffView
	ask(ledgerapi.GetSignOffAction, ledgerapi.RecordQuery{Record: m.Record}, &view)
	require.Equal(t, done.Signatures[0].Action, view.Signed[0].Digest())
}
