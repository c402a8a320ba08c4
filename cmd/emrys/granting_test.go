// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/client"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

func TestAnInboxTellsWhatToTypeNext(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	patient := d.join("patient", "HospAMSP", emr.RolePatient, "")
	d.join("author", "HospAMSP", emr.RolePhysician, emr.LevelPrivate)
	reader := d.join("reader", "HospBMSP", emr.RolePhysician, emr.LevelPrivate)
	second := d.join("second", "HospCMSP", emr.RolePhysician, emr.LevelPrivate)
	as := func(who string, args ...string) []string { return append(args, "--profile", d.path(who)) }
	var stored struct{ Record string }
	d.decode(&stored, as("author", "record", "put", d.file("f", "content"), "--patient", patient, "--class", "medicine",
		"--signer", second, "--signer", reader)...)

	var page ledgerapi.InboxPage
	d.decode(&page, as("patient", "inbox")...)
	require.Empty(t, page.Items)
	var asked struct{ ID string }
	d.decode(&asked, as("reader", "access", "request", stored.Record, "--purpose", "TREAT")...)
	require.Contains(t, d.must(as("patient", "inbox")...), "emrys access show "+asked.ID)
	d.must(as("patient", "access", "refuse", asked.ID)...)
	require.NotContains(t, d.must(as("patient", "inbox")...), asked.ID)

	d.refused(7, as("patient", "record", "sign-off", stored.Record)...)
	require.Contains(t, d.refused(7, as("reader", "record", "sign-off", stored.Record)...), "turn")
	require.Contains(t, d.must(as("second", "inbox")...), "emrys record sign-off "+stored.Record)
	require.Contains(t, d.must(as("second", "record", "sign-off", stored.Record)...), "Signed off")
	require.Contains(t, d.must(as("reader", "record", "sign-off", stored.Record, "--refuse", "incomplete")...), "Refused")
	d.decode(&page, as("reader", "inbox")...)
	require.Empty(t, page.Items)
}

func TestAGrantIsNarrowedAsTyped(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	patient := d.join("patient", "HospAMSP", emr.RolePatient, "")
	d.join("author", "HospAMSP", emr.RolePhysician, emr.LevelPrivate)
	reader := d.join("reader", "HospBMSP", emr.RolePhysician, emr.LevelPrivate)
	as := func(who string, args ...string) []string { return append(args, "--profile", d.path(who)) }
	put := func() string {
		var stored struct{ Record string }
		d.decode(&stored, as("author", "record", "put", d.file("f", "content"), "--patient", patient, "--class", "medicine")...)
		return stored.Record
	}
	first, second, third := put(), put(), put()
	var given, left client.Given
	d.decode(&given, as("patient", "access", "grant", "--record", first, "--record", second, "--to", reader,
		"--purpose", "TREAT,HRESCH", "--until", "24h", "--uses", "5")...)
	grant := string(given.Terms.Grant)
	require.False(t, given.Terms.NoOnward)

	for wrong, flag := range map[string][]string{
		"does not cover":    {"--record", third},
		"is not for":        {"--purpose", "HPAYMT"},
		"later than":        {"--until", "2d"},
		"more than":         {"--uses", "6"},
		"say what is to be": {},
	} {
		require.Contains(t, d.refused(2, as("patient", append([]string{"access", "narrow", grant}, flag...)...)...), wrong)
	}
	d.refused(7, as("reader", "access", "narrow", grant, "--uses", "1")...)
	d.decode(&left, as("patient", "access", "narrow", grant, "--record", second, "--purpose", "TREAT", "--until", "1h", "--uses", "2", "--no-onward")...)
	require.Equal(t, []emr.RecordID{emr.RecordID(second)}, left.Terms.Records)
	require.Equal(t, []emr.Purpose{emr.PurposeTreatment}, left.Terms.Purposes)
	require.Less(t, left.Terms.Until, given.Terms.Until)
	require.Equal(t, uint32(2), left.Terms.MaxUses)
	require.True(t, left.Terms.NoOnward)
	shown := d.must(as("patient", "access", "narrow", grant, "--uses", "1")...)
	require.Contains(t, shown, "forbidden")
	require.Contains(t, shown, second)
	require.Contains(t, d.must(as("reader", "access", "list", "--only", "grants")...), "at most 1")
}

func TestAWideGrantIsConfirmedOnlyWhenMeant(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	patient := d.join("patient", "HospAMSP", emr.RolePatient, "")
	d.join("author", "HospAMSP", emr.RolePhysician, emr.LevelPrivate)
	reader := d.join("reader", "HospBMSP", emr.RolePhysician, emr.LevelPrivate)
	family := d.join("family", "HospCMSP", emr.RolePhysician, emr.LevelPrivate)
	d.join("stranger", "HospCMSP", emr.RolePhysician, emr.LevelPrivate)
	as := func(who string, args ...string) []string { return append(args, "--profile", d.path(who)) }
	var stored struct{ Record string }
	d.decode(&stored, as("author", "record", "put", d.file("f", "content"), "--patient", patient, "--class", "medicine")...)
	ward := []string{"access", "grant", "--record", stored.Record, "--to", reader + "," + family, "--purpose", "TREAT"}
	var all []client.Given
	d.decode(&all, as("patient", ward...)...)
	require.Len(t, all, 2)
	require.Equal(t, emr.ClinicianID(family), all[1].Terms.Grantee)
	require.Equal(t, all[0].Receipt.TxID, all[1].Receipt.TxID, "one transaction gives both")
	require.Equal(t, 2, strings.Count(d.must(as("patient", ward...)...), "Granted"))

	d.Confirmers = []string{family}
	require.Contains(t, d.must(as("patient", "access", "grant", "--scope", "--record", stored.Record, "--to", reader, "--purpose", "TREAT")...),
		"waits until somebody")
	var given client.Given
	d.decode(&given, as("patient", "access", "grant", "--scope", "--record", stored.Record, "--to", reader, "--purpose", "TREAT")...)
	confirm := []string{"access", "confirm", string(given.Terms.Grant)}

	require.Contains(t, d.must(as("family", "inbox")...), "emrys access confirm "+string(given.Terms.Grant))
	shown := d.must(as("family", confirm...)...)
	require.Contains(t, shown, "every record of the level")
	require.Contains(t, shown, "waiting", "looking confirms nothing")
	d.refused(5, as("stranger", append(confirm, "--yes")...)...)

	d.OnGrant = func(g *emr.Grant) { g.Terms.Purposes = []emr.Purpose{emr.PurposePayment} }
	require.Contains(t, d.refused(2, as("family", append(confirm, "--yes")...)...), "terms", "what was not shown is not confirmed")
	d.OnGrant = func(g *emr.Grant) { g.ID = "gra_00000000000000000000000000000000" }
	require.Contains(t, d.refused(9, as("family", append(confirm, "--yes")...)...), "another grant")
	d.OnGrant = nil
	require.Contains(t, d.must(as("family", append(confirm, "--yes")...)...), "Confirmed")
	require.NotContains(t, d.must(as("family", "inbox")...), string(given.Terms.Grant))
}

func TestARuleAboutWideGrantsIsMadeLooserByTwo(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.join("patient", "HospAMSP", emr.RolePatient, "")
	family := d.join("family", "HospCMSP", emr.RolePhysician, emr.LevelPrivate)
	d.join("stranger", "HospCMSP", emr.RolePhysician, emr.LevelPrivate)
	as := func(who string, args ...string) []string { return append(args, "--profile", d.path(who)) }
	require.Contains(t, d.must(as("patient", "access", "rule", "show")...), "none")
	d.refused(7, as("family", "access", "rule", "show")...)
	set := as("patient", "access", "rule", "set", "--scope", "--days", "30", "--records", "5", "--level", "private", "--confirmer", family)
	require.Contains(t, d.must(set...), "in force")
	shown := d.must(as("patient", "access", "rule", "show")...)
	for _, part := range []string{"every record of a level", "longer than 30 days", "more than 5 records", "anything private or above", family} {
		require.Contains(t, shown, part)
	}
	require.Contains(t, d.must(as("patient", "access", "rule", "set", "--confirmer", family)...), "emrys access rule confirm hnd_")
	require.Contains(t, d.must(as("patient", "access", "rule", "show")...), "nothing")
	var rule emr.GrantRule
	d.decode(&rule, as("patient", "access", "rule", "show")...)
	require.NotNil(t, rule.Next)
	confirm := []string{"access", "rule", "confirm", string(rule.Patient), "--version", "2"}
	d.refused(4, as("stranger", confirm...)...)
	d.refused(6, as("family", append(confirm[:5:5], "1")...)...)
	require.Contains(t, d.must(as("family", confirm...)...), "Confirmed")
	d.decode(&rule, as("patient", "access", "rule", "show")...)
	require.Equal(t, emr.GrantBounds{}, rule.Terms.Bounds)
}
