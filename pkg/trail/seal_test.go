// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package trail_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/trail"
)

// sealed makes a seal over n readings and the inclusion of each.
func sealed(t testing.TB, n int) []emr.Inclusion {
	t.Helper()
	entries := make([]emr.AuditEntry, n)
	leaves := make([]emr.Digest, n)
	for i := range n {
		entries[i] = reading()
		entries[i].Org, entries[i].At, entries[i].Ref = "AMSP", emr.Time(100+i), fmt.Sprint(i)
		var err error
		leaves[i], err = entries[i].Leaf()
		require.NoError(t, err)
	}
	seal := emr.Seal{
		V: 1, Org: "AMSP", Sequence: 1, Count: uint32(n), Root: emr.MerkleRoot(leaves), First: 100, Last: emr.Time(100 + n - 1), TxID: "s", At: 1000, //nolint:gosec // small
	}
	out := make([]emr.Inclusion, n)
	for i := range n {
		out[i] = emr.Inclusion{Entry: entries[i], Index: uint32(i), Path: emr.MerklePath(leaves, i), Seal: seal} //nolint:gosec // small
	}
	return out
}

func TestEveryEntryIsProvenAloneAndAtNoOtherPlace(t *testing.T) {
	t.Parallel()
	for n := 1; n <= 40; n++ {
		all := sealed(t, n)
		for i := range all {
			require.NoError(t, trail.VerifyInclusion(&all[i]), "%d of %d", i, n)
			for j := range n {
				if j != i {
					moved := all[i]
					moved.Index = uint32(j) //nolint:gosec // small
					require.Error(t, trail.VerifyInclusion(&moved), "%d of %d as %d", i, n, j)
				}
			}
		}
	}
}

func TestAnInclusionIsRefused(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*emr.Inclusion){
		"an altered entry":             func(p *emr.Inclusion) { p.Entry.Decision = emr.Deny },
		"another reader":               func(p *emr.Inclusion) { p.Entry.Actor = "cli_x" },
		"another organisation's entry": func(p *emr.Inclusion) { p.Entry.Org = "BMSP" },
		"another organisation's seal":  func(p *emr.Inclusion) { p.Seal.Org = "BMSP" },
		"a chained entry":              func(p *emr.Inclusion) { p.Entry.Sequence = 1 },
		"an entry before the seal":     func(p *emr.Inclusion) { p.Entry.At = p.Seal.First - 1 },
		"an entry after the seal":      func(p *emr.Inclusion) { p.Entry.At = p.Seal.Last + 1 },
		"a place beyond the last":      func(p *emr.Inclusion) { p.Index = p.Seal.Count },
		"a path too short":             func(p *emr.Inclusion) { p.Path = p.Path[1:] },
		"a path too long":              func(p *emr.Inclusion) { p.Path = append(slices.Clone(p.Path), emr.Digest{}) },
		"an altered path":              func(p *emr.Inclusion) { p.Path = slices.Clone(p.Path); p.Path[1][0] ^= 1 },
		"another root":                 func(p *emr.Inclusion) { p.Seal.Root[31] ^= 1 },
		"a smaller count":              func(p *emr.Inclusion) { p.Seal.Count = 4 },
		"a seal over nothing":          func(p *emr.Inclusion) { p.Seal.Count = 0 },
	} {
		p := sealed(t, 7)[3]
		change(&p)
		require.Equal(t, emr.CodeCorrupt, emr.CodeOf(trail.VerifyInclusion(&p)), name)
	}
}

// TestANodeIsNoLeaf: the hash of an inner node cannot be shown as an entry's.
func TestANodeIsNoLeaf(t *testing.T) {
	t.Parallel()
	all := sealed(t, 2)
	left, err := all[0].Entry.Leaf()
	require.NoError(t, err)
	right, err := all[1].Entry.Leaf()
	require.NoError(t, err)
	require.NotEqual(t, all[0].Seal.Root, emr.MerkleLeaf(append(left[:], right[:]...)))
	require.Equal(t, all[0].Seal.Root, emr.MerkleNode(left, right))
}

// sealsOf makes a chain of n seals, as the ledger does, and its head.
func sealsOf(t testing.TB, n int, tag string) ([]emr.Seal, emr.SealHead) {
	t.Helper()
	head := emr.SealHead{V: 1, Org: "AMSP"}
	var seals []emr.Seal
	for range n {
		s := emr.Seal{
			V: 1, Org: "AMSP", Sequence: head.Sequence + 1, Previous: head.Hash, Count: 2, Root: emr.Digest{byte(head.Sequence)},
			First: 1, Last: 2, TxID: fmt.Sprintf("%s%d", tag, head.Sequence), At: 3,
		}
		hash, err := s.Hash()
		require.NoError(t, err)
		head.Sequence, head.Hash, head.Entries = s.Sequence, hash, head.Entries+2
		seals = append(seals, s)
	}
	return seals, head
}

func TestSealsAreJudged(t *testing.T) {
	t.Parallel()
	type fault = trail.Fault
	for name, c := range map[string]struct {
		change  func(s []emr.Seal, h *emr.SealHead) []emr.Seal
		verdict trail.Verdict
		faults  []fault
	}{
		"as they are":            {func(s []emr.Seal, _ *emr.SealHead) []emr.Seal { return s }, trail.Complete, nil},
		"an answer given twice":  {func(s []emr.Seal, _ *emr.SealHead) []emr.Seal { return append(s, s...) }, trail.Complete, nil},
		"newest first":           {func(s []emr.Seal, _ *emr.SealHead) []emr.Seal { slices.Reverse(s); return s }, trail.Complete, nil},
		"one is missing":         {func(s []emr.Seal, _ *emr.SealHead) []emr.Seal { return slices.Delete(s, 2, 3) }, trail.Partial, []fault{{trail.FaultMissing, 3, 3}}},
		"the newest are missing": {func(s []emr.Seal, _ *emr.SealHead) []emr.Seal { return s[:3] }, trail.Partial, []fault{{trail.FaultMissing, 4, 5}}},
		"an altered root": {func(s []emr.Seal, _ *emr.SealHead) []emr.Seal { s[1].Root[0] = 9; return s }, trail.Conflicting,
			[]fault{{trail.FaultAltered, 2, 3}}},
		"an altered count, the newest": {func(s []emr.Seal, _ *emr.SealHead) []emr.Seal { s[4].Count++; return s }, trail.Conflicting,
			[]fault{{trail.FaultAltered, 5, 5}}},
		"two for one place": {func(s []emr.Seal, _ *emr.SealHead) []emr.Seal {
			other := s[4]
			other.Count++
			return append(s, other)
		}, trail.Conflicting, []fault{{trail.FaultFork, 5, 5}}},
		"another organisation's": {func(s []emr.Seal, _ *emr.SealHead) []emr.Seal {
			other := s[0]
			other.Org = "BMSP"
			return append(s, other)
		}, trail.Conflicting, []fault{{trail.FaultForeign, 1, 1}}},
		"a seal over nothing": {func(s []emr.Seal, _ *emr.SealHead) []emr.Seal { return append(s, emr.Seal{Org: "AMSP", Sequence: 6}) },
			trail.Conflicting, []fault{{trail.FaultLoose, 6, 6}}},
		"a head of before": {func(s []emr.Seal, h *emr.SealHead) []emr.Seal {
			h.Sequence, h.Hash = 4, s[4].Previous
			return s
		}, trail.Partial, []fault{{trail.FaultHeadBehind, 5, 5}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			seals, head := sealsOf(t, 5, "s")
			seals = c.change(seals, &head)
			report, err := trail.VerifySeals(seals, head)
			require.NoError(t, err)
			require.Equal(t, c.verdict, report.Verdict, "%v", report.Faults)
			require.Equal(t, c.faults, report.Faults)
		})
	}
	seals, _ := sealsOf(t, 2, "s")
	report, err := trail.VerifySeals(seals)
	require.NoError(t, err)
	require.Equal(t, trail.Partial, report.Verdict, "there is no head")
	report, err = trail.VerifySeals(nil, emr.SealHead{V: 1, Org: "AMSP"})
	require.NoError(t, err)
	require.Equal(t, trail.Complete, report.Verdict, "an organisation that has sealed nothing")
}

// TestAnyChangeOfAnInclusionIsFound changes one octet anywhere in the proof.
func TestAnyChangeOfAnInclusionIsFound(t *testing.T) {
	t.Parallel()
	all := sealed(t, 13)
	rapid.Check(t, func(rt *rapid.T) {
		p := all[rapid.IntRange(0, len(all)-1).Draw(rt, "entry")]
		p.Path = slices.Clone(p.Path)
		at, bit := rapid.IntRange(0, 31).Draw(rt, "octet"), byte(1)<<rapid.IntRange(0, 7).Draw(rt, "bit")
		switch rapid.IntRange(0, 2).Draw(rt, "where") {
		case 0:
			p.Path[rapid.IntRange(0, len(p.Path)-1).Draw(rt, "sibling")][at] ^= bit
		case 1:
			p.Seal.Root[at] ^= bit
		default:
			p.Entry.Previous[at] ^= bit
		}
		if trail.VerifyInclusion(&p) == nil {
			rt.Fatal("a change was not found")
		}
	})
}

// FuzzVerifyInclusion: nothing panics, and what is accepted is the entry at its
// place, since the root is that of a fixed seal.
func FuzzVerifyInclusion(f *testing.F) {
	all := sealed(f, 11)
	for _, p := range []emr.Inclusion{all[0], all[7], all[10]} {
		b, err := json.Marshal(p)
		require.NoError(f, err)
		f.Add(b)
	}
	f.Add([]byte(`{"index":4294967295,"seal":{"count":4294967295},"path":[]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var p emr.Inclusion
		if json.Unmarshal(data, &p) != nil {
			return
		}
		p.Seal = all[0].Seal
		if trail.VerifyInclusion(&p) != nil {
			return
		}
		require.Equal(t, all[p.Index].Entry, p.Entry)
		require.Equal(t, all[p.Index].Path, p.Path)
	})
}

// FuzzVerifySeals: nothing panics, and a complete verdict names each place once.
func FuzzVerifySeals(f *testing.F) {
	seals, head := sealsOf(f, 3, "s")
	for _, list := range [][]emr.Seal{seals, seals[:2], append(seals, seals[0])} {
		b, err := json.Marshal(list)
		require.NoError(f, err)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var list []emr.Seal
		if json.Unmarshal(data, &list) != nil {
			return
		}
		report, err := trail.VerifySeals(list, head)
		require.NoError(t, err)
		if report.Verdict == trail.Complete {
			require.Equal(t, seals, report.Chain)
		}
	})
}
