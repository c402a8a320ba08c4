// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// TestABatchDecidesAsItsPartsOneAfterTheOther compares a random batch with the
// single transactions of the same actions, in the same order, on a copy.
func TestABatchDecidesAsItsPartsOneAfterTheOther(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	colleague := s.Clinician(t, ledgertest.HospitalB, emr.RolePhysician, emr.LevelPrivate)
	foreign := s.Clinician(t, ledgertest.HospitalC, emr.RolePhysician, emr.LevelPrivate)
	grants := []emr.GrantID{""}
	for uses := range uint32(4) {
		grant := s.Grant(s.scope, s.reader, s.record.Record)
		grant.Terms.MaxUses = uses
		s.Do(t, s.patient, ledgerapi.GrantAccess, grant)
		grants = append(grants, grant.Terms.Grant)
	}
	session := s.broken(t)
	taken := s.read("")
	s.disclose(t, s.reader, taken)
	rapid.Check(t, func(rt *rapid.T) {
		batched, single := *s, *s
		one, other := *s.Consortium, *s.Consortium
		one.World, other.World = s.Clone(), s.Clone()
		batched.Consortium, single.Consortium = &one, &other
		var parts [][]byte
		ids := []emr.DisclosureID{taken.Disclosure}
		for range rapid.IntRange(1, 12).Draw(rt, "parts") {
			args := s.read(rapid.SampledFrom(grants).Draw(rt, "grant"))
			if rapid.IntRange(0, 5).Draw(rt, "emergency") == 0 {
				args = s.under(session)
			}
			if rapid.IntRange(0, 4).Draw(rt, "id again") == 0 {
				args.Disclosure = rapid.SampledFrom(ids).Draw(rt, "id")
			}
			ids = append(ids, args.Disclosure)
			by := rapid.SampledFrom([]*ledgertest.Clinician{s.reader, s.reader, s.reader, colleague, foreign}).Draw(rt, "by")
			parts = append(parts, s.part(t, by, args))
		}
		answer := batched.batch(t, parts...)
		for i, part := range parts {
			receipt, err := single.SubmitRaw(s.reader.Org.Gateway, ledgerapi.Disclose, part)
			outcome := answer.Outcomes[i]
			require.Equal(rt, emr.CodeOf(err), outcome.Code)
			if err != nil {
				require.Equal(rt, emr.Public(err).Message, outcome.Message)
				continue
			}
			want := *receipt.(*ledgerapi.DecisionReceipt)
			want.TxID = answer.TxID
			require.Equal(rt, want, *answer.Of(i))
		}
		require.Len(rt, batched.trail(t, s.patient.Handle), len(single.trail(t, s.patient.Handle)))
	})
}
