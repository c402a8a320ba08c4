// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package emr_test

import (
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/emr"
)

// The leaves and roots that the reference implementation of RFC 6962 is tested with.
func referenceLeaves(t testing.TB) []emr.Digest {
	t.Helper()
	var leaves []emr.Digest
	for _, text := range []string{
		"", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f",
	} {
		data, err := hex.DecodeString(text)
		require.NoError(t, err)
		leaves = append(leaves, emr.MerkleLeaf(data))
	}
	return leaves
}

func texts(digests []emr.Digest) []string {
	out := []string{}
	for _, d := range digests {
		out = append(out, d.String())
	}
	return out
}

func TestTheTreeIsThatOfRFC6962(t *testing.T) {
	t.Parallel()
	leaves := referenceLeaves(t)
	for n, want := range []string{
		"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
		"6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
		"fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
		"aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
		"d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
		"4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
		"76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
		"ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
		"5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
	} {
		require.Equal(t, want, emr.MerkleRoot(leaves[:n]).String(), "%d leaves", n)
	}
}

func TestThePathsAreThoseOfRFC6962(t *testing.T) {
	t.Parallel()
	leaves := referenceLeaves(t)
	for _, c := range []struct {
		index, size int
		want        []string
	}{
		{0, 1, []string{}},
		{0, 8, []string{
			"96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
			"5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
			"6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
		}},
		{5, 8, []string{
			"bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
			"ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
			"d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
		}},
		{2, 3, []string{"fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"}},
		{1, 5, []string{
			"6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
			"5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
			"bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
		}},
	} {
		require.Equal(t, c.want, texts(emr.MerklePath(leaves[:c.size], c.index)), "%d of %d", c.index, c.size)
	}
	for _, index := range []int{-1, 8} {
		require.Nil(t, emr.MerklePath(leaves, index))
	}
	require.Nil(t, emr.MerklePath(nil, 0))
}

func TestASealsHashChangesWithEveryField(t *testing.T) {
	t.Parallel()
	base := emr.Seal{V: 1, Org: "A", Sequence: 2, Previous: emr.Digest{1}, Count: 3, Root: emr.Digest{2}, First: 4, Last: 5, TxID: "t", At: 6}
	want, err := base.Hash()
	require.NoError(t, err)
	for name, change := range map[string]func(*emr.Seal){
		"v": func(s *emr.Seal) { s.V++ }, "org": func(s *emr.Seal) { s.Org = "B" }, "sequence": func(s *emr.Seal) { s.Sequence++ },
		"previous": func(s *emr.Seal) { s.Previous[0]++ }, "count": func(s *emr.Seal) { s.Count++ }, "root": func(s *emr.Seal) { s.Root[0]++ },
		"first": func(s *emr.Seal) { s.First++ }, "last": func(s *emr.Seal) { s.Last++ }, "txId": func(s *emr.Seal) { s.TxID = "u" },
		"at": func(s *emr.Seal) { s.At++ },
	} {
		changed := base
		change(&changed)
		got, err := changed.Hash()
		require.NoError(t, err)
		require.NotEqual(t, want, got, name)
	}
}
