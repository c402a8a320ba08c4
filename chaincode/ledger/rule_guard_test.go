// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/chaincode/ledger"
	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// shown is how the effects of a transaction show a key.
func shown(key ledgerapi.Key) string {
	return fmt.Sprintf("%q", "\x00"+strings.Join(append([]string{key.Type}, key.Attributes...), "\x00")+"\x00")
}

func touches(effects []string, key ledgerapi.Key) bool {
	return slices.ContainsFunc(effects, func(e string) bool { return strings.HasPrefix(e, shown(key)) })
}

// carried makes another hospital's gateway the one that carries the patient's actions.
func (h *household) carried(org emr.OrgID) *ledgertest.Patient {
	moved := *h.patient
	moved.Org = h.Orgs[org]
	return &moved
}

// leave lets the members release the patient from hospital A, and moves the patient to B.
func (h *household) leave(t *testing.T) {
	t.Helper()
	(&assembly{h.Consortium, t}).pass(homeRelease(h.patient.Handle, ledgertest.HospitalA), ledgertest.HospitalB, ledgertest.HospitalC)
	h.Do(t, h.carried(ledgertest.HospitalB), ledgerapi.MoveHome, ledgerapi.MoveHomeArgs{
		Patient: h.patient.Handle, Home: ledgertest.HospitalB, Generation: 1,
	})
}

func (h *household) overwriteRule(t *testing.T, key ledgerapi.Key, change func(*emr.GrantRule)) {
	t.Helper()
	rule := *h.rule(t)
	change(&rule)
	value, err := emr.Canonical(rule)
	require.NoError(t, err)
	h.Overwrite(key, value)
}

func TestEveryStepOfARuleNeedsTheHome(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	friend := s.Patient(t, ledgertest.HospitalC)
	key := ledgerapi.GrantRuleKey(s.patient.Handle)
	steps := 0
	s.Check = func(tx *ledgertest.Tx, function string, _ []byte, _ any, err error) {
		require.NoError(t, err)
		effects := tx.Effects()
		for _, w := range effects.Writes {
			if strings.Contains(w, `"confirmers"`) {
				require.True(t, strings.HasPrefix(w, shown(key)), "a rule, or one that waits, stands beside the guarded key: %s", w)
			}
		}
		require.True(t, touches(effects.Writes, key), "%s changes the rule without the home", function)
		require.Empty(t, effects.Guards, "the guard stays that of the home")
		require.Contains(t, ledgerapi.GuardedTransactions(), function, "the own peer must find the home")
		steps++
	}
	s.Do(t, s.patient, ledgerapi.SetGrantRule, s.ruling(t, 0, emr.GrantBounds{Scope: true}, nil, friend))
	s.Wait(73 * time.Hour)
	s.Do(t, s.patient, ledgerapi.SetGrantRule, s.ruling(t, 1, emr.GrantBounds{}, nil))
	s.Do(t, s.patient, ledgerapi.SetGrantRule, s.ruling(t, 2, emr.GrantBounds{Scope: true}, nil, friend)) // drops it
	s.Do(t, s.patient, ledgerapi.SetGrantRule, s.ruling(t, 3, emr.GrantBounds{}, nil))
	s.Do(t, friend, ledgerapi.ConfirmGrantRule, ledgerapi.ConfirmGrantRuleArgs{Patient: s.patient.Handle, Version: 4})
	require.Equal(t, 5, steps)
	guard, _ := s.GuardOf(key)
	require.Equal(t, ledgertest.HospitalA, guard.Home)
}

// A rule that changes before a grant is committed must invalidate the grant, also
// where there was none; a reading needs none.
func TestAGrantReadsTheRuleByItsExactKeyAndAReadingDoesNot(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	key := ledgerapi.GrantRuleKey(s.patient.Handle)
	read := func(actor ledgertest.Member, function string, args any) bool {
		var found bool
		s.Check = func(tx *ledgertest.Tx, _ string, _ []byte, _ any, err error) {
			require.NoError(t, err)
			found = touches(tx.Effects().Reads, key)
		}
		s.Do(t, actor, function, args)
		return found
	}
	for _, ruled := range []bool{false, true} {
		if ruled {
			s.Check = nil
			s.Do(t, s.patient, ledgerapi.SetGrantRule, s.ruling(t, 0, emr.GrantBounds{Days: 300}, s.secondDevice(t)))
		}
		grant := s.Grant(s.scope, s.reader)
		require.True(t, read(s.patient, ledgerapi.GrantAccess, grant))
		require.True(t, read(s.patient, ledgerapi.GrantBatch, ledgerapi.GrantBatchArgs{
			Patient: s.patient.Handle, Grants: []ledgerapi.GrantAccessArgs{*s.Grant(s.scope, s.reader)},
		}))
		require.False(t, read(s.reader, ledgerapi.Disclose, s.read(grant.Terms.Grant)))
	}
}

func TestARuleMovesToAnotherHomeWithTheOneThatWaits(t *testing.T) {
	t.Parallel()
	for name, move := range map[string]func(*household){
		"with the old home's endorsement": func(h *household) {
			h.Do(t, h.carried(ledgertest.HospitalB), ledgerapi.MoveHome,
				ledgerapi.MoveHomeArgs{Patient: h.patient.Handle, Home: ledgertest.HospitalB})
		},
		"released from the old home": func(h *household) {
			key := ledgerapi.GrantRuleKey(h.patient.Handle)
			h.Check = func(tx *ledgertest.Tx, _ string, _ []byte, _ any, _ error) {
				require.False(t, touches(tx.Effects().Writes, key), "the old home need not endorse")
			}
			h.leave(t)
			h.Check = nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHousehold(t, emr.GrantBounds{Scope: true})
			h.Do(t, h.patient, ledgerapi.SetGrantRule, h.ruling(t, 1, emr.GrantBounds{}, nil))
			before := h.rule(t)
			require.NotNil(t, before.Next)
			move(h)
			require.Equal(t, before, h.rule(t), "version, terms, since when, and what waits")
			view, err := ledger.GetPatient(h.Query(h.reader.Org), ledgerapi.HandleQuery{Patient: h.patient.Handle})
			require.NoError(t, err)
			guard, guarded := h.GuardOf(ledgerapi.GrantRuleKeyAt(h.patient.Handle, view.Patient.Generation))
			require.True(t, guarded)
			require.Equal(t, ledgertest.HospitalB, guard.Home)
			require.NotContains(t, guard.Others, ledgertest.HospitalB)
			h.wide(t)
			h.Do(t, h.friend, ledgerapi.ConfirmGrantRule, ledgerapi.ConfirmGrantRuleArgs{Patient: h.patient.Handle, Version: 2})
			require.EqualValues(t, 3, h.rule(t).Version)
			h.Do(t, h.carried(ledgertest.HospitalB), ledgerapi.GrantAccess, h.Grant(h.scope, h.reader))
		})
	}
}

// A patient without a rule has its absence moved along, guarded: who leaves a home
// must not come to a place where a majority could write the first rule.
func TestNoRuleIsGuardedAfterAMove(t *testing.T) {
	t.Parallel()
	m := newMover(t)
	m.pass(homeRelease(m.patient.Handle, ledgertest.HospitalA), ledgertest.HospitalB, ledgertest.HospitalC)
	m.Do(t, m.at(ledgertest.HospitalB), ledgerapi.MoveHome, m.to(ledgertest.HospitalB, 1))
	m.guardedBy(ledgertest.HospitalB, 1)
	rule, err := ledger.GetGrantRule(m.Query(m.Orgs[ledgertest.HospitalC]), ledgerapi.HandleQuery{Patient: m.patient.Handle})
	require.NoError(t, err)
	require.Zero(t, rule.Version)
}

// The old home can still write what it guarded: nothing reads it any more.
func TestARuleOfAGenerationThatWasLeftCountsForNothing(t *testing.T) {
	t.Parallel()
	h := newHousehold(t, emr.GrantBounds{Scope: true})
	h.leave(t)
	h.overwriteRule(t, ledgerapi.GrantRuleKey(h.patient.Handle), func(r *emr.GrantRule) {
		r.Version, r.Terms.Bounds = 9, emr.GrantBounds{}
	})
	require.EqualValues(t, 1, h.rule(t).Version)
	h.wide(t)
}

// What a majority without the home could write: a rule under the keys of a
// generation that no move began, and a move that the patient did not sign.
func TestARuleOfAForgedMoveCountsForNothing(t *testing.T) {
	t.Parallel()
	h := newHousehold(t, emr.GrantBounds{Scope: true})
	h.overwriteRule(t, ledgerapi.GrantRuleKeyAt(h.patient.Handle, 1), func(r *emr.GrantRule) { r.Terms.Bounds = emr.GrantBounds{} })
	h.wide(t)
	stranger := *h.patient
	stranger.Consent = ledgertest.NewKey(t)
	signed := h.Sign(t, &stranger, ledgerapi.MoveHome, ledgerapi.MoveHomeArgs{
		Patient: h.patient.Handle, Home: ledgertest.HospitalB, Generation: 1,
	})
	value, err := emr.Canonical(emr.HomeMove{
		V: emr.DocumentVersion, Patient: h.patient.Handle, Generation: 1, From: ledgertest.HospitalA, To: ledgertest.HospitalB,
		At: h.Now, Signed: *signed,
	})
	require.NoError(t, err)
	h.Overwrite(ledgerapi.HomeMoveKey(h.patient.Handle, 1), value)
	_, err = ledger.GetGrantRule(h.Query(h.reader.Org), ledgerapi.HandleQuery{Patient: h.patient.Handle})
	require.Equal(t, emr.CodeCorrupt, emr.CodeOf(err), "%v", err)
	_, err = h.Try(t, h.friend, ledgerapi.ConfirmGrantRule, ledgerapi.ConfirmGrantRuleArgs{Patient: h.patient.Handle, Version: 1})
	require.Equal(t, emr.CodeCorrupt, emr.CodeOf(err), "%v", err)
}
