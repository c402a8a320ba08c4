// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/client"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

func TestAnErasureWhoseAnswerIsLostIsOrderedOnce(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	record := s.put(t, []byte("content")).Record
	s.LoseAnswers["record.erase"] = 1
	receipt, err := s.patient.EraseRecord(t.Context(), record, emr.EraseWithdrawn)
	require.NoError(t, err)
	require.NotEmpty(t, receipt.TxID)
	page, err := s.patient.Erasures(t.Context(), client.Page{})
	require.NoError(t, err)
	require.Len(t, page.Items, 1)
	require.Equal(t, receipt.ID, string(page.Items[0].ID))
	_, err = s.patient.EraseRecord(t.Context(), record, emr.EraseWithdrawn)
	requireCode(t, emr.CodeGone, err)
}

func TestAGatewayCannotSayThatEverybodyHasDestroyedARecord(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	record := s.put(t, []byte("content")).Record
	receipt, err := s.patient.EraseRecord(t.Context(), record, emr.EraseWithdrawn)
	require.NoError(t, err)
	id := emr.ErasureID(receipt.ID)
	view, err := s.patient.Erasure(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, emr.ErasurePartial, view.State)
	require.Len(t, view.Missing, 4)

	s.OnAnswer = func(function string, answer []byte) []byte {
		if function == ledgerapi.GetErasure {
			return bytes.Replace(answer, []byte(`"partial"`), []byte(`"complete"`), 1)
		}
		return answer
	}
	_, err = s.patient.Erasure(t.Context(), id)
	requireCode(t, emr.CodeCorrupt, err)
	s.OnAnswer = nil
	s.Endorsers = []emr.OrgID{"HospAMSP"}
	_, err = s.patient.Erasure(t.Context(), id)
	requireCode(t, emr.CodeCorrupt, err)
	s.Endorsers = nil
	_, err = s.patient.Erasure(t.Context(), "ers_00000000000000000000000000000000")
	requireCode(t, emr.CodeNotFound, err)
	_, err = s.reader.Erasure(t.Context(), id)
	requireCode(t, emr.CodeRule, err)
	_, err = s.reader.Erasures(t.Context(), client.Page{})
	requireCode(t, emr.CodeRule, err)
	_, err = s.reader.EraseRecord(t.Context(), record, emr.EraseWithdrawn)
	requireCode(t, emr.CodeRule, err)
}
