// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledgermodel

import (
	"crypto/sha256"
	"slices"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// Direct grants: single records by keys that are sealed to the reader (docs/spec/granting.md, G5).

// direct is what a direct grant was made of.
type direct struct {
	hybrid emr.Digest // of the reader's key to which it is sealed
	keys   []emr.SealedKey
	stale  bool // mostly sealed to a key that the reader has no more
}

func hashOf(hybrid []byte) emr.Digest { return sha256.Sum256(hybrid) }

// byKeys makes a grant of single records one of keys, now and then; of a whole scope seldom, which is refused.
func (m *Model) byKeys(g *grant) {
	if len(g.records) > 0 && m.seldom(3, "by keys") || m.seldom(40, "a scope by keys") {
		g.direct = &direct{}
	}
}

// sealKeys puts sealed keys in the place of the fragments.
func (m *Model) sealKeys(g *grant, args *ledgerapi.GrantAccessArgs) {
	of := g.to.hybrid
	if n := len(g.to.hybrids); n > 0 && (g.direct.stale || m.seldom(6, "a hybrid key of before")) {
		of = g.to.hybrids[n-1]
	}
	g.direct.hybrid, g.direct.keys = hashOf(of), nil
	for _, record := range args.Terms.Records {
		g.direct.keys = append(g.direct.keys, m.sealKey(g.id, record))
	}
	args.Terms.Direct, args.Terms.ReaderHybrid, args.Terms.Threshold = true, g.direct.hybrid, 0
	args.Terms.Gateways, args.Fragments, args.Direct = []emr.OrgID{}, []emr.SealedFragment{}, slices.Clone(g.direct.keys)
}

// sealKey seals something of a key's size: what is inside is for the reader alone.
func (m *Model) sealKey(of emr.GrantID, record emr.RecordID) emr.SealedKey {
	key := emr.SealedKey{Record: record, Sealed: append([]byte{0x00, 0x50}, random(1213)...)} // 1215 octets under the suite's KEM (pre.md)
	key.Commitment = m.commitment(of, &key)
	return key
}

// commitment is what a grant says in public of a sealed key.
func (m *Model) commitment(of emr.GrantID, key *emr.SealedKey) emr.Digest {
	type bound struct {
		Grant  emr.GrantID  `json:"grant"`
		Record emr.RecordID `json:"record"`
		Sealed []byte       `json:"sealed"`
	}
	b, err := emr.Canonical(&bound{of, key.Record, key.Sealed})
	require.NoError(m.t, err)
	return sha256.Sum256(append([]byte("EMRYS-DIRECT-V1\x00"), b...))
}

// faultsOfDirect is what can be wrong with a direct grant besides.
func (s *step) faultsOfDirect(g *grant) {
	if g.direct == nil {
		return
	}
	n := len(idsOf(g.records))
	s.fault(n == 0 || n > 32, emr.CodeInvalid)
	s.fault(g.direct.hybrid != hashOf(g.to.hybrid), emr.CodeStale)
}

// replaceHybrid replaces the key to which a direct grant is sealed, and reads under the
// grant, or gives the same once more to the old key.
func (m *Model) replaceHybrid(g *grant) *step {
	again := func() *step {
		next := &grant{
			owner: g.owner, scope: g.scope, to: g.to, records: g.signedRecords, purposes: g.signedPurposes, from: g.from,
			until: m.later("until"), direct: &direct{stale: true},
		}
		return m.give(next, g.owner.actor, nil)
	}
	if m.seldom(2, "read") {
		again = func() *step { return m.readUnder(g) }
	}
	return m.afterwards(m.rotateOf(g.to, g.to.actor, onlyHybrid), again)
}

// replaced tells whether a grant was sealed to a key that the reader has no more.
func (d *direct) replaced(c *clinician) bool { return d != nil && d.hybrid != hashOf(c.hybrid) }

// sameKeys: a ticket hands out the record's sealed key or the proxy's own fragment, and nothing else.
func (m *Model) sameKeys(d *disclosure, proxy emr.OrgID, ticket *ledgerapi.Ticket) {
	m.t.Helper()
	var fragment emr.SealedFragment
	var key emr.SealedKey
	if g := d.grant; g != nil && g.direct != nil {
		key = g.direct.keys[slices.IndexFunc(g.direct.keys, func(k emr.SealedKey) bool { return k.Record == d.record.id })]
	} else if g != nil && slices.Contains(g.gateways, proxy) {
		fragment = fragmentFor(proxy)
	}
	require.Equal(m.t, key, ticket.Direct, "the sealed key under %s, of %s", d.id, proxy)
	require.Equal(m.t, fragment, ticket.Fragment, "the fragment under %s, of %s", d.id, proxy)
}

// fragmentFor is what stands for the key fragment of a gateway.
func fragmentFor(id emr.OrgID) emr.SealedFragment {
	sealed := []byte("sealed for " + id)
	return emr.SealedFragment{Gateway: id, Commitment: sha256.Sum256(sealed), Sealed: sealed}
}

// committed is what a grant commits to in public.
func (g *grant) committed() []emr.Digest {
	all := []emr.Digest{}
	if g.direct != nil {
		for i := range g.direct.keys {
			all = append(all, g.direct.keys[i].Commitment)
		}
		return all
	}
	for _, id := range g.gateways {
		all = append(all, fragmentFor(id).Commitment)
	}
	return all
}
