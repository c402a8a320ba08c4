// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledgermodel

import (
	"bytes"
	"crypto/sha256"
	"slices"
	"time"

	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// Grants that are wrong in themselves, one thing each.

type badGrant struct {
	code emr.Code
	make func(*Model, *ledgerapi.GrantAccessArgs)
}

// spoilGrant makes a grant malformed, and remembers with which code it must be refused.
func (m *Model) spoilGrant(g *grant, args *ledgerapi.GrantAccessArgs) {
	all := badTerms()
	switch {
	case g.direct == nil:
		all = append(all, badFragments()...)
	case len(args.Direct) > 0:
		all = append(all, badKeys()...)
	}
	of := pick(m, all, "what is wrong")
	of.make(m, args)
	g.bad = of.code
}

func badTerms() []badGrant {
	type args = ledgerapi.GrantAccessArgs
	return []badGrant{
		{emr.CodeInvalid, func(_ *Model, a *args) { a.Terms.Channel += "x" }},
		{emr.CodeStale, func(_ *Model, a *args) { a.Terms.Epoch++ }},
		{emr.CodeInvalid, func(m *Model, a *args) {
			a.Terms.Until = m.beyond(365 * 24 * time.Hour)
		}},
		{emr.CodeInvalid, func(_ *Model, a *args) { a.Terms.NotBefore = 0 }},
		{emr.CodeInvalid, func(_ *Model, a *args) { a.Terms.NotBefore = a.Terms.Until }},
		{emr.CodeInvalid, func(_ *Model, a *args) { a.Terms.MaxUses = 101 }},
		{emr.CodeInvalid, func(_ *Model, a *args) { a.Terms.Purposes = []emr.Purpose{} }},
		{emr.CodeInvalid, func(_ *Model, a *args) { a.Terms.Purposes = append(a.Terms.Purposes, a.Terms.Purposes[0]) }},
		{emr.CodeInvalid, func(_ *Model, a *args) { a.Terms.Purposes = []emr.Purpose{"FUN"} }},
		{emr.CodeInvalid, func(_ *Model, a *args) { a.Terms.Records = nil }},
		{emr.CodeInvalid, func(_ *Model, a *args) {
			one := ledgertest.ID[emr.RecordID](emr.RecordPrefix)
			a.Terms.Records = []emr.RecordID{one, one}
		}},
		{emr.CodeInvalid, func(_ *Model, a *args) {
			a.Terms.Records = []emr.RecordID{}
			for range 101 {
				a.Terms.Records = append(a.Terms.Records, ledgertest.ID[emr.RecordID](emr.RecordPrefix))
			}
			slices.Sort(a.Terms.Records)
		}},
	}
}

func badFragments() []badGrant {
	type args = ledgerapi.GrantAccessArgs
	return []badGrant{
		{emr.CodeInvalid, func(_ *Model, a *args) { a.Terms.Threshold = 1 }},
		{emr.CodeInvalid, func(_ *Model, a *args) { a.Terms.Threshold = uint8(len(a.Terms.Gateways) + 1) }}, //nolint:gosec // small
		{emr.CodeInvalid, func(_ *Model, a *args) { // the grantee's own organisation would need nobody else
			a.Terms.Gateways = append(slices.Clone(a.Terms.Gateways), a.Terms.Org)
			a.Fragments = append(a.Fragments, fragmentFor(a.Terms.Org))
			sortGateways(a)
		}},
		{emr.CodeInvalid, func(_ *Model, a *args) {
			a.Terms.Gateways = append(slices.Clone(a.Terms.Gateways), "NobodyMSP")
			a.Fragments = append(a.Fragments, fragmentFor("NobodyMSP"))
			sortGateways(a)
		}},
		{emr.CodeInvalid, func(_ *Model, a *args) { // one gateway counts twice
			a.Terms.Gateways = append(slices.Clone(a.Terms.Gateways), a.Terms.Gateways[0])
			a.Fragments = append(a.Fragments, a.Fragments[0])
			sortGateways(a)
		}},
		{emr.CodeInvalid, func(_ *Model, a *args) { a.Fragments = a.Fragments[1:] }},
		{emr.CodeInvalid, func(_ *Model, a *args) { slices.Reverse(a.Fragments) }},
		{emr.CodeInvalid, func(_ *Model, a *args) { a.Fragments[0].Sealed = nil }},
		{emr.CodeInvalid, func(_ *Model, a *args) { a.Fragments[0].Commitment = emr.Digest{} }},
		{emr.CodeTooLarge, func(_ *Model, a *args) { a.Fragments[0].Sealed = make([]byte, 8193) }},
		{emr.CodeInvalid, func(m *Model, a *args) { a.Terms.ReaderHybrid = emr.Digest(random(32)) }},
		{emr.CodeInvalid, func(m *Model, a *args) {
			a.Direct = []emr.SealedKey{m.sealKey(a.Terms.Grant, ledgertest.ID[emr.RecordID](emr.RecordPrefix))}
		}},
	}
}

func sortGateways(a *ledgerapi.GrantAccessArgs) {
	slices.Sort(a.Terms.Gateways)
	slices.SortFunc(a.Fragments, func(x, y emr.SealedFragment) int { return bytes.Compare([]byte(x.Gateway), []byte(y.Gateway)) })
}

func badKeys() []badGrant {
	type args = ledgerapi.GrantAccessArgs
	again := func(m *Model, a *args, sealed []byte) {
		a.Direct[0].Sealed = sealed
		a.Direct[0].Commitment = m.commitment(a.Terms.Grant, &a.Direct[0])
	}
	return []badGrant{
		{emr.CodeInvalid, func(_ *Model, a *args) { a.Terms.Threshold = 2 }},
		{emr.CodeInvalid, func(_ *Model, a *args) { a.Terms.Gateways = nil }},
		{emr.CodeInvalid, func(m *Model, a *args) {
			a.Terms.Gateways = m.members()
			for _, id := range a.Terms.Gateways {
				a.Fragments = append(a.Fragments, fragmentFor(id))
			}
		}},
		{emr.CodeInvalid, func(m *Model, a *args) { a.Fragments = append(a.Fragments, fragmentFor(m.members()[0])) }},
		{emr.CodeStale, func(_ *Model, a *args) { a.Terms.ReaderHybrid = emr.Digest{} }},
		{emr.CodeInvalid, func(_ *Model, a *args) { a.Direct = a.Direct[1:] }},
		{emr.CodeInvalid, func(_ *Model, a *args) { a.Direct = append(a.Direct, a.Direct[0]) }},
		{emr.CodeInvalid, func(m *Model, a *args) {
			a.Direct[0] = m.sealKey(a.Terms.Grant, ledgertest.ID[emr.RecordID](emr.RecordPrefix))
		}},
		{emr.CodeInvalid, func(m *Model, a *args) {
			a.Direct[0] = m.sealKey(ledgertest.ID[emr.GrantID](emr.GrantPrefix), a.Direct[0].Record)
		}},
		{emr.CodeInvalid, func(_ *Model, a *args) { a.Direct[0].Commitment = sha256.Sum256(a.Direct[0].Sealed) }},
		{emr.CodeInvalid, func(m *Model, a *args) { again(m, a, a.Direct[0].Sealed[1:]) }},
		{emr.CodeInvalid, func(m *Model, a *args) { again(m, a, append([]byte{0, 0}, a.Direct[0].Sealed[2:]...)) }},
		{emr.CodeInvalid, func(m *Model, a *args) { // one key for two records, or too few
			last := len(a.Direct) - 1
			if last == 0 {
				a.Direct = nil
				return
			}
			again(m, a, a.Direct[last].Sealed)
		}},
	}
}
