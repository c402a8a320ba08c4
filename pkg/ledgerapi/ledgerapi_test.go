// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledgerapi_test

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

func TestEveryCodeSurvivesTheLedger(t *testing.T) {
	t.Parallel()
	for _, code := range emr.Codes() {
		text := ledgerapi.EncodeError(&emr.Error{Code: code, Op: "op", Message: "m", Field: "f", Reason: emr.ReasonExpired, Err: errors.New("cause")})
		require.NotContains(t, text, "cause")
		got, err := ledgerapi.DecodeError("rpc error: chaincode response 500, " + text)
		require.NoError(t, err)
		require.Equal(t, code, got.Code)
		require.Equal(t, emr.ReasonExpired, got.Reason)
		require.Equal(t, "f", got.Field)
	}
}

func TestUndeclaredErrorsCrossAsInternal(t *testing.T) {
	t.Parallel()
	got, err := ledgerapi.DecodeError(ledgerapi.EncodeError(errors.New("secret")))
	require.NoError(t, err)
	require.Equal(t, emr.CodeInternal, got.Code)
	require.Equal(t, emr.InternalMessage, got.Message)
}

func TestErrorEnvelopeIsBounded(t *testing.T) {
	t.Parallel()
	text := ledgerapi.EncodeError(emr.E(emr.CodeInvalid, strings.Repeat("x", 5000)))
	require.LessOrEqual(t, len(text), 1024)
	got, err := ledgerapi.DecodeError(text)
	require.NoError(t, err)
	require.Equal(t, emr.CodeInvalid, got.Code)
}

func TestTextWithoutEnvelopeIsNotGuessed(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "boom", "EMR1 ", "EMR1 {", `EMR1 {"code":"made-up"}`, `EMR2 {"code":"invalid"}`} {
		_, err := ledgerapi.DecodeError(text)
		require.ErrorIs(t, err, ledgerapi.ErrNoEnvelope, "%q", text)
	}
}

func TestLaterTimesSortFirst(t *testing.T) {
	t.Parallel()
	times := []emr.Time{math.MaxInt64, 2_000_000_000, 1_999_999_999, 1, 0}
	for i := 1; i < len(times); i++ {
		require.Less(t, ledgerapi.Inverted(times[i-1], 0), ledgerapi.Inverted(times[i], 999_999_999))
		require.Less(t, ledgerapi.Inverted(times[i], 7), ledgerapi.Inverted(times[i], 6))
		require.Len(t, ledgerapi.Inverted(times[i], 1), 28)
	}
}

func TestFunctionNamesAreDistinct(t *testing.T) {
	t.Parallel()
	all := slices.Concat(ledgerapi.SignedTransactions(), ledgerapi.OrganisationTransactions(), ledgerapi.Queries())
	seen := map[string]bool{}
	for _, name := range all {
		require.False(t, seen[name], name)
		seen[name] = true
	}
	require.False(t, seen[ledgerapi.OpenTicket], "presenting a ticket is not a transaction")
	require.False(t, seen[ledgerapi.ProveKey], "proving a key is not a transaction")
}

func FuzzDecodeError(f *testing.F) {
	f.Add(ledgerapi.EncodeError(emr.E(emr.CodeRule, "no")))
	f.Add("EMR1 {}")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := ledgerapi.DecodeError(text)
		if err != nil {
			return
		}
		require.True(t, got.Code.Valid())
	})
}

func TestTheTransactionThatSpentAnActionCrossesTheLedger(t *testing.T) {
	t.Parallel()
	got, err := ledgerapi.DecodeError(ledgerapi.EncodeError(&emr.Error{Code: emr.CodeExists, TxID: "abc"}))
	require.NoError(t, err)
	require.Equal(t, "abc", got.TxID)
}

// TestKeysAreOfDifferentTypesAndKeepTheirIDs fails when two kinds of thing would
// share a key, or a key loses what it was made of.
func TestKeysAreOfDifferentTypesAndKeepTheirIDs(t *testing.T) {
	t.Parallel()
	keys := []ledgerapi.Key{
		ledgerapi.RosterKey(), ledgerapi.OrganisationKey("a"), ledgerapi.PatientKey("a"), ledgerapi.ClinicianKey("a"),
		ledgerapi.ScopeKey("a"), ledgerapi.RelationshipKey("a", "b"), ledgerapi.RecordKey("a"), ledgerapi.RequestKey("a"),
		ledgerapi.GrantKey("a"), ledgerapi.GrantUseKey("a", 1), ledgerapi.DisclosureKey("a"),
		ledgerapi.ActionKey(emr.Digest{}), ledgerapi.CoveringKey("a", "b"), ledgerapi.LinkKey("a"), ledgerapi.ManifestKey("a"),
		ledgerapi.FragmentKey("a"), ledgerapi.NoteKey("a"), ledgerapi.ConsentKey("a"), ledgerapi.ConsentVersionKey("a", 1),
		ledgerapi.DelegationKey("a", "b"),
		ledgerapi.PatientKeysKey("a", 1), ledgerapi.ClinicianKeysKey("a", 1), ledgerapi.RetiredKey("a", []byte("b")),
		ledgerapi.AuditHeadKey("a"),
		ledgerapi.EmergencyKey("a"), ledgerapi.EmergencyPlanKey("a"), ledgerapi.EmergencyRulesKey("a"),
		ledgerapi.EmergencyDutyKey("a"), ledgerapi.StatementKey(emr.Digest{}),
		ledgerapi.GuardiansKey("a"), ledgerapi.RecoveryKey("a"), ledgerapi.ProposerKey("a", "b"),
		ledgerapi.AmendmentKey("a"), ledgerapi.HoldKey("a"),
		ledgerapi.ErasureKey("a"), ledgerapi.ErasurePartKey("a", 1), ledgerapi.ErasureReceiptKey("a", 1, "b"), ledgerapi.SeriesEndKey("a"),
		ledgerapi.UsedKey(ledgerapi.UsedContent, "a"), ledgerapi.ScopeKeyKey([]byte("a")), ledgerapi.RetentionKey("a"), ledgerapi.IntegrityKey("a", "b"),
		// The audit trail.
		ledgerapi.SealKey("a", 1), ledgerapi.SealHeadKey("a"), ledgerapi.SealLeavesKey("a", 1), ledgerapi.SealedKey("a", "b"), ledgerapi.InspectionKey("a"), ledgerapi.SuspensionKey("a"), ledgerapi.EmergencyPlanVersionKey("a", 1),
	}
	seen := map[string]bool{}
	for _, key := range keys {
		require.NotEmpty(t, key.Type)
		require.NotEmpty(t, key.Attributes)
		require.False(t, seen[key.Type], key.Type)
		seen[key.Type] = true
	}
	require.Equal(t, ledgerapi.Key{Type: "covering", Attributes: []string{"rec", "cli"}}, ledgerapi.CoveringKey("rec", "cli"))
	require.Equal(t, ledgerapi.Key{Type: "use", Attributes: []string{"gra", "00007"}}, ledgerapi.GrantUseKey("gra", 7))
}
