// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package emr_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/emr"
)

func TestADirectGrantCommitsToEachRecordsOwnKey(t *testing.T) {
	t.Parallel()
	const a, b, c emr.RecordID = "rec_a", "rec_b", "rec_c"
	keys := map[emr.RecordID][]byte{a: []byte("sealed a"), b: []byte("sealed b")}
	given := func() *emr.Grant {
		g := &emr.Grant{ID: "gra_1", Terms: emr.GrantTerms{Direct: true, Records: []emr.RecordID{a, b}}}
		for _, record := range g.Terms.Records {
			one := emr.SealedKey{Record: record, Sealed: keys[record]}
			commitment, err := one.Commit(g.ID)
			require.NoError(t, err)
			g.Commitments = append(g.Commitments, commitment)
		}
		return g
	}
	g := given()
	require.True(t, g.CommitsTo(a, keys[a]))
	require.True(t, g.CommitsTo(b, keys[b]))
	require.False(t, g.CommitsTo(a, keys[b]), "another record's key")
	require.False(t, g.CommitsTo(a, nil), "no key")
	require.False(t, g.CommitsTo(c, keys[a]), "a record that is not named")
	for name, change := range map[string]func(*emr.Grant){
		"a grant of fragments": func(g *emr.Grant) { g.Terms.Direct = false },
		"another grant":        func(g *emr.Grant) { g.ID = "gra_2" },
		"a commitment too few": func(g *emr.Grant) { g.Commitments = g.Commitments[:1] },
		"no commitments":       func(g *emr.Grant) { g.Commitments = nil },
		"commitments in another order": func(g *emr.Grant) {
			g.Commitments[0], g.Commitments[1] = g.Commitments[1], g.Commitments[0]
		},
	} {
		g := given()
		change(g)
		require.False(t, g.CommitsTo(a, keys[a]), name)
	}
}
