//go:build e2e

// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package sharing

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/client"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// waits waits until something stands in somebody's inbox, whose hospital commits in its own time.
func waits(t *testing.T, c *client.Client, kind ledgerapi.InboxKind, id string) {
	t.Helper()
	require.Eventually(t, func() bool {
		page, err := c.Inbox(t.Context(), client.Page{})
		return err == nil && slices.ContainsFunc(page.Items, func(item ledgerapi.InboxItem) bool { return item.Kind == kind && item.ID == id })
	}, 20*time.Second, 100*time.Millisecond, "%s %s", kind, id)
}

// A record that two clinicians sign off is given when it is signed, and less of it after.
func TestARecordIsSignedOffAndGivenInPart(t *testing.T) {
	w := newWard(t)
	second := emr.ClinicianID(w.outsider.Profile().ID)
	stored, err := w.author.PutRecord(t.Context(), strings.NewReader("a finding"), client.Upload{
		Patient: w.pseudonym, Class: emr.ClassMedicalImaging, Size: -1, Signers: []emr.ClinicianID{second, w.readerID},
	})
	require.NoError(t, err)
	w.await(stored)
	other := w.put(strings.NewReader("another"))
	giving := client.Giving{
		Records: []emr.RecordID{stored.Record, other.Record}, To: w.readerID,
		Purposes: []emr.Purpose{emr.PurposeTreatment, emr.PurposeResearch}, Until: time.Now().Add(time.Hour),
	}
	toSecond := giving
	toSecond.To = second
	all, err := w.patient.GrantAll(t.Context(), []client.Giving{giving, toSecond})
	require.NoError(t, err)
	require.Equal(t, all[0].Receipt.TxID, all[1].Receipt.TxID)
	given, grant := all[0], all[0].Terms.Grant
	require.Eventually(t, func() bool {
		_, _, _, err = w.read(w.outsider, stored.Record, all[1].Terms.Grant)
		return err == nil
	}, 20*time.Second, 100*time.Millisecond, "a signer reads before signing")

	_, err = w.reader.SignOff(t.Context(), stored.Record, "")
	requireRefused(t, err, emr.CodeRule, emr.ReasonSignOffOrder)
	waits(t, w.outsider, ledgerapi.InboxSignOff, string(stored.Record))
	_, err = w.outsider.SignOff(t.Context(), stored.Record, "")
	require.NoError(t, err)
	waits(t, w.reader, ledgerapi.InboxSignOff, string(stored.Record))

	// From here on only what is signed off is given.
	left, err := w.patient.NarrowGrant(t.Context(), grant, client.Narrowing{
		Purposes: []emr.Purpose{emr.PurposeTreatment}, SignedOff: true, NoOnward: true,
	})
	require.NoError(t, err)
	require.Equal(t, given.Terms.Records, left.Terms.Records)
	require.Eventually(t, func() bool {
		shown, err := w.reader.ShownGrant(t.Context(), grant)
		return err == nil && shown.Effective().SignedOff
	}, 20*time.Second, 100*time.Millisecond)
	_, _, _, err = w.read(w.reader, stored.Record, grant)
	requireRefused(t, err, emr.CodeRule, emr.ReasonNotSignedOff)
	_, err = w.reader.SignOff(t.Context(), stored.Record, "")
	require.NoError(t, err)
	_, n, _, err := w.read(w.reader, stored.Record, grant)
	require.NoError(t, err)
	require.Equal(t, int64(len("a finding")), n)

	_, err = w.patient.NarrowGrant(t.Context(), grant, client.Narrowing{Records: []emr.RecordID{other.Record}})
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		_, _, _, err = w.read(w.reader, stored.Record, grant)
		return err != nil
	}, 20*time.Second, 100*time.Millisecond, "what was taken back is not read")
	require.Equal(t, emr.CodeRule, emr.CodeOf(err), "%v", err)
}

// A wide grant gives nothing before somebody whom the patient has named confirms it,
// and then not before every key that takes part is old enough.
func TestAWideGrantWaitsOnARealNetwork(t *testing.T) {
	w := newWard(t)
	stored := w.put(strings.NewReader("everything"))
	rule, err := w.patient.GrantRule(t.Context())
	require.NoError(t, err)
	require.Zero(t, rule.Version)
	family := w.outsider.Profile().ID
	set, err := w.patient.SetGrantRule(t.Context(), 0, emr.GrantRuleTerms{Bounds: emr.GrantBounds{Scope: true}, Confirmers: []string{family}})
	require.NoError(t, err)
	require.Equal(t, emr.Permit, set.Decision)
	given, err := w.patient.Grant(t.Context(), client.Giving{
		Records: []emr.RecordID{stored.Record}, WholeScope: true, To: w.readerID,
		Purposes: []emr.Purpose{emr.PurposeTreatment}, Until: time.Now().Add(100 * time.Hour),
	})
	require.NoError(t, err)
	grant := given.Terms.Grant
	waits(t, w.patient, ledgerapi.InboxGrant, string(grant))
	waits(t, w.outsider, ledgerapi.InboxConfirm, string(grant))
	require.Eventually(t, func() bool {
		_, _, _, err = w.read(w.reader, stored.Record, grant)
		return emr.CodeOf(err) == emr.CodeRule
	}, 20*time.Second, 100*time.Millisecond)
	require.Equal(t, emr.ReasonGrantWaiting, emr.Public(err).Reason)

	shown, err := w.outsider.ShownGrant(t.Context(), grant)
	require.NoError(t, err)
	require.Equal(t, given.Terms, shown.Terms)
	_, err = w.author.ShownGrant(t.Context(), grant)
	require.Equal(t, emr.CodeNotFound, emr.CodeOf(err), "%v", err)
	own, err := w.reader.ShownGrant(t.Context(), grant)
	require.NoError(t, err)
	_, err = w.reader.ConfirmGrant(t.Context(), own)
	require.Equal(t, emr.CodeForbidden, emr.CodeOf(err), "%v", err)
	confirmed, err := w.outsider.ConfirmGrant(t.Context(), shown)
	require.NoError(t, err)
	require.Greater(t, confirmed.Until, emr.TimeOf(time.Now().Add(71*time.Hour)), "the keys are new")
	_, _, _, err = w.read(w.reader, stored.Record, grant)
	requireRefused(t, err, emr.CodeRule, emr.ReasonGrantWaiting)

	looser, err := w.patient.SetGrantRule(t.Context(), 1, emr.GrantRuleTerms{})
	require.NoError(t, err)
	require.Equal(t, emr.Ask, looser.Decision)
	_, err = w.outsider.ConfirmGrantRule(t.Context(), w.patient.Profile().Handle, 2)
	require.Equal(t, emr.CodeRule, emr.CodeOf(err), "no key may be new: %v", err)
}
