// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package trail_test

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/trail"
)

const patient = emr.Handle("hnd_00000000000000000000000000000001")

// chainOf makes a chain of n entries, as the ledger does, and its head.
func chainOf(t testing.TB, n int, tag string) ([]emr.AuditEntry, emr.AuditHead) {
	t.Helper()
	return extend(t, nil, emr.AuditHead{V: 1, Patient: patient}, n, tag)
}

// extend continues a chain.
func extend(t testing.TB, entries []emr.AuditEntry, head emr.AuditHead, n int, tag string) ([]emr.AuditEntry, emr.AuditHead) {
	t.Helper()
	entries = slices.Clone(entries)
	for range n {
		e := emr.AuditEntry{
			V: 1, TxID: fmt.Sprintf("%s%d", tag, head.Sequence), At: emr.Time(1000 + head.Sequence), Kind: emr.AuditGrant,
			Patient: patient, Actor: emr.ActorPatient, Org: "AMSP", Sequence: head.Sequence + 1, Previous: head.Hash,
		}
		hash, err := e.Hash()
		require.NoError(t, err)
		head.Sequence, head.Hash, head.TxID, head.At = e.Sequence, hash, e.TxID, e.At
		entries = append(entries, e)
	}
	return entries, head
}

func reading() emr.AuditEntry {
	return emr.AuditEntry{V: 1, TxID: "d", At: 5, Kind: emr.AuditDisclosure, Patient: patient, Decision: emr.Permit, Reason: emr.ReasonGrant}
}

func verify(t testing.TB, entries []emr.AuditEntry, heads ...emr.AuditHead) *trail.Report {
	t.Helper()
	before := slices.Clone(entries)
	report, err := trail.Verify(entries, heads...)
	require.NoError(t, err)
	require.Equal(t, before, entries, "the input is left alone")
	return report
}

func TestATrailIsJudged(t *testing.T) {
	t.Parallel()
	type fault = trail.Fault
	for name, test := range map[string]struct {
		change  func(t *testing.T, e []emr.AuditEntry, h emr.AuditHead) ([]emr.AuditEntry, emr.AuditHead)
		verdict trail.Verdict
		faults  []fault
	}{
		"as it is": {nil, trail.Complete, nil},
		"newest first": {func(_ *testing.T, e []emr.AuditEntry, h emr.AuditHead) ([]emr.AuditEntry, emr.AuditHead) {
			slices.Reverse(e)
			return e, h
		}, trail.Complete, nil},
		"an answer given twice": {func(_ *testing.T, e []emr.AuditEntry, h emr.AuditHead) ([]emr.AuditEntry, emr.AuditHead) {
			return append(e, e...), h
		}, trail.Complete, nil},
		"with readings between": {func(_ *testing.T, e []emr.AuditEntry, h emr.AuditHead) ([]emr.AuditEntry, emr.AuditHead) {
			return slices.Insert(e, 3, reading(), reading()), h
		}, trail.Complete, nil},
		"nothing of nobody": {func(*testing.T, []emr.AuditEntry, emr.AuditHead) ([]emr.AuditEntry, emr.AuditHead) {
			return nil, emr.AuditHead{V: 1, Patient: patient}
		}, trail.Complete, nil},
		"gap: one is missing": {func(_ *testing.T, e []emr.AuditEntry, h emr.AuditHead) ([]emr.AuditEntry, emr.AuditHead) {
			return slices.Delete(e, 3, 4), h
		}, trail.Partial, []fault{{trail.FaultMissing, 4, 4}}},
		"gap: two holes": {func(_ *testing.T, e []emr.AuditEntry, h emr.AuditHead) ([]emr.AuditEntry, emr.AuditHead) {
			return slices.Concat(e[:2], e[4:6], e[7:]), h
		}, trail.Partial, []fault{{trail.FaultMissing, 3, 4}, {trail.FaultMissing, 7, 7}}},
		"truncation: the newest are missing": {func(_ *testing.T, e []emr.AuditEntry, h emr.AuditHead) ([]emr.AuditEntry, emr.AuditHead) {
			return e[:6], h
		}, trail.Partial, []fault{{trail.FaultMissing, 7, 10}}},
		"truncation: the oldest are missing": {func(_ *testing.T, e []emr.AuditEntry, h emr.AuditHead) ([]emr.AuditEntry, emr.AuditHead) {
			return e[2:], h
		}, trail.Partial, []fault{{trail.FaultMissing, 1, 2}}},
		"truncation: nothing is left": {func(_ *testing.T, _ []emr.AuditEntry, h emr.AuditHead) ([]emr.AuditEntry, emr.AuditHead) {
			return nil, h
		}, trail.Partial, []fault{{trail.FaultMissing, 1, 10}}},
		"a head of before": {func(t *testing.T, e []emr.AuditEntry, _ emr.AuditHead) ([]emr.AuditEntry, emr.AuditHead) {
			return e, headAt(t, e, 8)
		}, trail.Partial, []fault{{trail.FaultHeadBehind, 9, 9}, {trail.FaultHeadBehind, 10, 10}}},
		"alteration: another decision": {func(_ *testing.T, e []emr.AuditEntry, h emr.AuditHead) ([]emr.AuditEntry, emr.AuditHead) {
			e[4].Decision = emr.Deny
			return e, h
		}, trail.Conflicting, []fault{{trail.FaultAltered, 5, 6}}},
		"alteration: the newest": {func(_ *testing.T, e []emr.AuditEntry, h emr.AuditHead) ([]emr.AuditEntry, emr.AuditHead) {
			e[9].Actor = "cli_x"
			return e, h
		}, trail.Conflicting, []fault{{trail.FaultAltered, 10, 10}}},
		"alteration: the first": {func(_ *testing.T, e []emr.AuditEntry, h emr.AuditHead) ([]emr.AuditEntry, emr.AuditHead) {
			e[0].At++
			return e, h
		}, trail.Conflicting, []fault{{trail.FaultAltered, 1, 2}}},
		"alteration: a past before the first": {func(_ *testing.T, e []emr.AuditEntry, h emr.AuditHead) ([]emr.AuditEntry, emr.AuditHead) {
			e[0].Previous[0] = 1
			return e, h
		}, trail.Conflicting, []fault{{trail.FaultAltered, 1, 1}, {trail.FaultAltered, 1, 2}}},
		"alteration: the head": {func(_ *testing.T, e []emr.AuditEntry, h emr.AuditHead) ([]emr.AuditEntry, emr.AuditHead) {
			h.Hash[0] ^= 1
			return e, h
		}, trail.Conflicting, []fault{{trail.FaultAltered, 10, 10}}},
		"alteration: an empty head with a hash": {func(_ *testing.T, _ []emr.AuditEntry, h emr.AuditHead) ([]emr.AuditEntry, emr.AuditHead) {
			h.Sequence = 0
			return nil, h
		}, trail.Conflicting, []fault{{trail.FaultAltered, 0, 0}}},
		"reordering: two have changed places": {func(_ *testing.T, e []emr.AuditEntry, h emr.AuditHead) ([]emr.AuditEntry, emr.AuditHead) {
			e[3].Sequence, e[4].Sequence = e[4].Sequence, e[3].Sequence
			return e, h
		}, trail.Conflicting, []fault{{trail.FaultAltered, 3, 4}, {trail.FaultAltered, 4, 5}, {trail.FaultAltered, 5, 6}}},
		"reordering: with the links mended": {func(_ *testing.T, e []emr.AuditEntry, h emr.AuditHead) ([]emr.AuditEntry, emr.AuditHead) {
			e[3], e[4] = e[4], e[3]
			return e, relink(t, e, h)
		}, trail.Complete, nil}, // with a head of their own making: see TestTwoGatewaysAreCompared
		"gap: closed by counting anew": {func(_ *testing.T, e []emr.AuditEntry, h emr.AuditHead) ([]emr.AuditEntry, emr.AuditHead) {
			e = slices.Delete(e, 3, 4)
			relink(t, e, h)
			return e, h
		}, trail.Partial, []fault{{trail.FaultMissing, 10, 10}}}, // it cannot reach the head
		"fork: two entries in one place": {func(t *testing.T, e []emr.AuditEntry, h emr.AuditHead) ([]emr.AuditEntry, emr.AuditHead) {
			other, _ := extend(t, e[:4], headAt(t, e, 4), 1, "other")
			return append(e, other[4]), h
		}, trail.Conflicting, []fault{{trail.FaultFork, 5, 5}}},
		"fork: from there to the end": {func(t *testing.T, e []emr.AuditEntry, h emr.AuditHead) ([]emr.AuditEntry, emr.AuditHead) {
			other, _ := extend(t, e[:8], headAt(t, e, 8), 2, "other")
			return append(e, other...), h
		}, trail.Conflicting, []fault{{trail.FaultFork, 9, 9}, {trail.FaultFork, 10, 10}}},
		"foreign: another patient's entry": {func(_ *testing.T, e []emr.AuditEntry, h emr.AuditHead) ([]emr.AuditEntry, emr.AuditHead) {
			other := e[4]
			other.Patient = "hnd_2"
			return append(e, other), h
		}, trail.Conflicting, []fault{{trail.FaultForeign, 5, 5}}},
		"foreign: another patient's reading": {func(_ *testing.T, e []emr.AuditEntry, h emr.AuditHead) ([]emr.AuditEntry, emr.AuditHead) {
			other := reading()
			other.Patient = "hnd_2"
			return append(e, other), h
		}, trail.Conflicting, []fault{{trail.FaultForeign, 0, 0}}},
		"loose: a grant without a place": {func(_ *testing.T, e []emr.AuditEntry, h emr.AuditHead) ([]emr.AuditEntry, emr.AuditHead) {
			other := e[4]
			other.Sequence, other.Previous = 0, emr.Digest{}
			return append(e, other), h
		}, trail.Conflicting, []fault{{trail.FaultLoose, 0, 0}}},
		"loose: a reading with a place": {func(_ *testing.T, e []emr.AuditEntry, h emr.AuditHead) ([]emr.AuditEntry, emr.AuditHead) {
			other := reading()
			other.Sequence = 5
			return append(e, other), h
		}, trail.Conflicting, []fault{{trail.FaultLoose, 5, 5}}},
		"loose: a reading with a past": {func(_ *testing.T, e []emr.AuditEntry, h emr.AuditHead) ([]emr.AuditEntry, emr.AuditHead) {
			other := reading()
			other.Previous[0] = 1
			return append(e, other), h
		}, trail.Conflicting, []fault{{trail.FaultLoose, 0, 0}}},
		"the greatest number there is": {func(_ *testing.T, e []emr.AuditEntry, h emr.AuditHead) ([]emr.AuditEntry, emr.AuditHead) {
			h.Sequence = math.MaxUint64
			return e, h
		}, trail.Partial, []fault{{trail.FaultMissing, 11, math.MaxUint64}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			entries, head := chainOf(t, 10, "tx")
			if test.change != nil {
				entries, head = test.change(t, entries, head)
			}
			report := verify(t, entries, head)
			require.Equal(t, test.faults, report.Faults)
			require.Equal(t, test.verdict, report.Verdict)
		})
	}
}

// headAt is the head as it was after n entries.
func headAt(t testing.TB, entries []emr.AuditEntry, n int) emr.AuditHead {
	t.Helper()
	hash, err := entries[n-1].Hash()
	require.NoError(t, err)
	return emr.AuditHead{V: 1, Patient: patient, Sequence: entries[n-1].Sequence, Hash: hash}
}

// relink counts and links entries anew, as a forger does, and returns their head.
func relink(t testing.TB, entries []emr.AuditEntry, head emr.AuditHead) emr.AuditHead {
	t.Helper()
	head.Sequence, head.Hash = 0, emr.Digest{}
	for i := range entries {
		entries[i].Sequence, entries[i].Previous = head.Sequence+1, head.Hash
		hash, err := entries[i].Hash()
		require.NoError(t, err)
		head.Sequence, head.Hash = entries[i].Sequence, hash
	}
	return head
}

// TestTwoGatewaysAreCompared: a chain that is consistent in itself does not
// survive a second gateway that tells the truth.
func TestTwoGatewaysAreCompared(t *testing.T) {
	t.Parallel()
	entries, head := chainOf(t, 10, "tx")
	older := headAt(t, entries, 6)
	require.Equal(t, trail.Complete, verify(t, entries, head, older).Verdict, "one gateway lags behind")
	require.Equal(t, trail.Complete, verify(t, entries, older, head).Verdict, "in either order")
	require.Equal(t, trail.Partial, verify(t, entries[:6], older, head).Verdict, "only the one that lags has answered")

	forged := slices.Delete(slices.Clone(entries), 4, 5) // one grant never was
	forgedHead := relink(t, forged, head)
	require.Equal(t, trail.Complete, verify(t, forged, forgedHead).Verdict, "one liar alone is believed")
	require.Equal(t, trail.Partial, verify(t, forged, forgedHead, head).Verdict, "a true head shows that something is missing")
	require.Equal(t, trail.Conflicting, verify(t, append(slices.Clone(forged), entries[9]), forgedHead, head).Verdict, "and once it is there, the lie")
	require.Equal(t, trail.Conflicting, verify(t, entries, head, forgedHead).Verdict)
	require.Equal(t, trail.Conflicting, verify(t, append(slices.Clone(entries), forged...), head).Verdict)

	other, otherHead := extend(t, entries[:8], headAt(t, entries, 8), 2, "other")
	require.Equal(t, trail.Conflicting, verify(t, entries[:8], head, otherHead).Verdict, "two heads in one place")
	require.Equal(t, trail.Conflicting, verify(t, other, head).Verdict)
	require.Equal(t, trail.Complete, verify(t, other, otherHead, headAt(t, entries, 8)).Verdict)

	foreign := head
	foreign.Patient = "hnd_2"
	require.Equal(t, trail.Conflicting, verify(t, entries, head, foreign).Verdict)
}

func TestWithoutAHeadNothingIsComplete(t *testing.T) {
	t.Parallel()
	entries, _ := chainOf(t, 3, "tx")
	report := verify(t, entries)
	require.Equal(t, trail.Partial, report.Verdict)
	require.Equal(t, []trail.Fault{{Kind: trail.FaultNoHead}}, report.Faults)
	require.Equal(t, trail.Partial, verify(t, nil).Verdict)
}

func TestAFaultTellsItsPlace(t *testing.T) {
	t.Parallel()
	require.Equal(t, "missing at entries 3 to 4", trail.Fault{Kind: trail.FaultMissing, From: 3, To: 4}.String())
	require.Equal(t, "fork at entry 3", trail.Fault{Kind: trail.FaultFork, From: 3, To: 3}.String())
}

// TestNothingButTheWholeChainIsComplete: whatever is removed, altered, doubled or
// moved, only the same entries verify against a true head.
func TestNothingButTheWholeChainIsComplete(t *testing.T) {
	t.Parallel()
	entries, head := chainOf(t, 12, "tx")
	rapid.Check(t, func(rt *rapid.T) {
		got := slices.Clone(entries)
		whole := true
		for range rapid.IntRange(1, 4).Draw(rt, "steps") {
			if len(got) == 0 {
				break
			}
			i := rapid.IntRange(0, len(got)-1).Draw(rt, "at")
			switch rapid.IntRange(0, 5).Draw(rt, "what") {
			case 0:
				n := got[i].Sequence
				got = slices.Delete(got, i, i+1)
				whole = whole && slices.ContainsFunc(got, func(e emr.AuditEntry) bool { return e.Sequence == n })
			case 1:
				got[i].Reason, whole = emr.ReasonLevel, false
			case 2:
				got[i].Sequence, whole = got[i].Sequence+1, false
			case 3:
				got[i].Previous[7], whole = got[i].Previous[7]^1, false
			case 4:
				got = append(got, got[i])
			case 5:
				rand.New(rand.NewPCG(uint64(i), 1)).Shuffle(len(got), func(a, b int) { got[a], got[b] = got[b], got[a] })
			}
		}
		report, err := trail.Verify(got, head)
		require.NoError(rt, err)
		if whole {
			require.Equal(rt, trail.Complete, report.Verdict, "%v", report.Faults)
		} else if report.Verdict == trail.Complete {
			require.Equal(rt, entries, report.Chain, "a change was undone by another")
		}
	})
}

func FuzzVerify(f *testing.F) {
	entries, head := chainOf(f, 3, "tx")
	b, err := json.Marshal(entries)
	require.NoError(f, err)
	h, err := json.Marshal([]emr.AuditHead{head})
	require.NoError(f, err)
	f.Add(b, h)
	f.Add([]byte(`[{"sequence":18446744073709551615,"kind":"relationship"},{"sequence":18446744073709551615,"kind":"access.granted"}]`), []byte(`[]`))
	f.Add([]byte(`[]`), []byte(`[{"sequence":18446744073709551615}]`))
	f.Fuzz(func(t *testing.T, entries, heads []byte) {
		var es []emr.AuditEntry
		var hs []emr.AuditHead
		if json.Unmarshal(entries, &es) != nil || json.Unmarshal(heads, &hs) != nil {
			return
		}
		report, err := trail.Verify(es, hs...)
		require.NoError(t, err)
		require.Equal(t, report.Verdict == trail.Complete, len(report.Faults) == 0)
	})
}
