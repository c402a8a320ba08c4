// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package attesttest_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/attest"
	"github.com/emrys-health/emrys/pkg/attest/attesttest"
	"github.com/emrys-health/emrys/pkg/emr"
)

func TestAProofHoldsForItsQuorumAndASubstitutedAnswerForNobody(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	c := attesttest.New(t, now, "AMSP", "BMSP", "CMSP")
	question := attest.Question{Channel: "ch", Chaincode: "cc", Function: "Get", Argument: []byte(`{"a":1}`)}
	policy := attest.Policy{Roots: c.Roots(), Quorum: 2, MaxAge: time.Minute}
	prove := func(orgs ...emr.OrgID) *attest.Attestation {
		return c.Prove("ch", "cc", "Get", []byte(`{"a":1}`), []byte("answer"), now, orgs...)
	}

	answer, err := prove("AMSP", "CMSP").Verify(question, policy, now)
	require.NoError(t, err)
	require.Equal(t, "answer", string(answer))

	_, err = prove("AMSP").Verify(question, policy, now)
	require.Equal(t, emr.CodeCorrupt, emr.CodeOf(err))

	a := prove("AMSP", "BMSP", "CMSP")
	a.Response, err = attesttest.Substitute(a.Response, func(answer []byte) []byte {
		require.Equal(t, "answer", string(answer))
		return []byte("a lie")
	})
	require.NoError(t, err)
	_, err = a.Verify(question, policy, now)
	require.Equal(t, emr.CodeCorrupt, emr.CodeOf(err))
	require.ErrorContains(t, err, "signature does not verify")
	_, err = attesttest.Substitute([]byte{0xff}, nil)
	require.Error(t, err)
}
