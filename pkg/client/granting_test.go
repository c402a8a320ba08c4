// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/client"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// signing registers a record that the reader is to sign off.
func (s *scene) signing(t *testing.T) emr.RecordID {
	t.Helper()
	up := s.upload(7)
	up.Signers = []emr.ClinicianID{emr.ClinicianID(s.reader.Profile().ID)}
	stored, err := s.author.PutRecord(t.Context(), bytes.NewReader([]byte("content")), up)
	require.NoError(t, err)
	return stored.Record
}

func TestWhatIsSignedOffIsTheManifestThatSeveralOrganisationsProve(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	record := s.signing(t)
	s.OnAnswer = func(function string, answer []byte) []byte {
		if function == ledgerapi.GetRecord {
			return bytes.Replace(answer, []byte(`"manifest":"`), []byte(`"manifest":"00`), 1)
		}
		return answer
	}
	_, err := s.reader.SignOff(t.Context(), record, "")
	requireCode(t, emr.CodeCorrupt, err)
	s.OnAnswer = nil
	_, err = s.patient.SignOff(t.Context(), record, "")
	requireCode(t, emr.CodeRule, err)
	_, err = s.author.SignOff(t.Context(), record, "")
	requireCode(t, emr.CodeRule, err)

	s.LoseAnswers["record.signoff"] = 1
	receipt, err := s.reader.SignOff(t.Context(), record, "")
	require.NoError(t, err, "a lost answer is looked up")
	require.NotEmpty(t, receipt.TxID)
	require.Equal(t, string(record), receipt.ID)
	_, err = s.reader.SignOff(t.Context(), record, "")
	requireCode(t, emr.CodeRule, err)
}

func TestSignersThatCannotBe(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	up := s.upload(1)
	up.Signers = slices.Repeat([]emr.ClinicianID{emr.ClinicianID(s.reader.Profile().ID)}, ledgerapi.MaxSigners+1)
	_, err := s.author.PutRecord(t.Context(), bytes.NewReader([]byte("x")), up)
	requireCode(t, emr.CodeInvalid, err)
	up.Signers = []emr.ClinicianID{"cli_00000000000000000000000000000000"}
	_, err = s.author.PutRecord(t.Context(), bytes.NewReader([]byte("x")), up)
	requireCode(t, emr.CodeNotFound, err)
}

func TestAGatewayThatShowsAnotherGrantNarrowsNothing(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	record := s.put(t, []byte("content")).Record
	given, err := s.patient.Grant(t.Context(), s.giving(record))
	require.NoError(t, err)
	id := given.Terms.Grant
	s.OnGrant = func(g *emr.Grant) { g.Terms.Grant = "gra_00000000000000000000000000000000" }
	_, err = s.patient.NarrowGrant(t.Context(), id, client.Narrowing{MaxUses: 1})
	requireCode(t, emr.CodeCorrupt, err)
	s.OnGrant = nil
	_, err = s.reader.NarrowGrant(t.Context(), id, client.Narrowing{MaxUses: 1})
	requireCode(t, emr.CodeRule, err)
	_, err = s.patient.NarrowGrant(t.Context(), id, client.Narrowing{Until: time.Now().Add(1000 * time.Hour)})
	requireCode(t, emr.CodeInvalid, err)

	s.LoseAnswers["grant.narrow"] = 1
	left, err := s.patient.NarrowGrant(t.Context(), id, client.Narrowing{NoOnward: true})
	require.NoError(t, err)
	require.NotEmpty(t, left.Receipt.TxID)
	shown, err := s.reader.ShownGrant(t.Context(), id)
	require.NoError(t, err)
	require.True(t, shown.Effective().NoOnward)
	require.Equal(t, given.Terms.Records, shown.Effective().Records, "what is not named stays")
	require.False(t, shown.Terms.NoOnward, "the terms stay as they were signed")
}

func TestSeveralGrantsAreGivenByOneActionOrNone(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	record := s.put(t, []byte("content")).Record
	own := s.giving(record)
	own.To = emr.ClinicianID(s.author.Profile().ID)
	list := []client.Giving{s.giving(record), own}
	s.LoseAnswers["grant.batch"] = 1
	given, err := s.patient.GrantAll(t.Context(), list)
	require.NoError(t, err, "a lost answer is looked up")
	require.Len(t, given, 2)
	for i, g := range given {
		require.NotEmpty(t, g.Receipt.TxID)
		shown, err := s.patient.ShownGrant(t.Context(), emr.GrantID(g.Receipt.ID))
		require.NoError(t, err)
		require.Equal(t, list[i].To, shown.Terms.Grantee)
	}
	_, err = s.reader.GrantAll(t.Context(), list)
	requireCode(t, emr.CodeRule, err)
	_, err = s.patient.GrantAll(t.Context(), nil)
	requireCode(t, emr.CodeInvalid, err)
	_, err = s.patient.GrantAll(t.Context(), slices.Repeat(list, ledgerapi.MaxGrantBatch))
	requireCode(t, emr.CodeInvalid, err)
	list[1].To = "cli_00000000000000000000000000000000"
	_, err = s.patient.GrantAll(t.Context(), list)
	requireCode(t, emr.CodeNotFound, err)
	page, err := s.patient.Grants(t.Context(), client.Page{})
	require.NoError(t, err)
	require.Len(t, page.Items, 2, "one that cannot be given keeps the others from being given")
}
