// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"math/big"
	"strings"

	ref "github.com/emrys-health/emrys/pkg/vectors/internal/reference"
)

func keyFragmentPlaces() []place {
	return []place{
		{"id", 0, 32, 'b'}, {"rk", 32, 32, 's'}, {"X_A", 64, 33, 'p'}, {"U1", 97, 33, 'p'}, {"grant", 130, 32, 'b'},
		{"signature", 162, 64, 'b'},
	}
}

func fragments(m *maker) {
	w := newWorld(m.random, 2, 3)
	for t := 1; t <= 3; t++ {
		m.dealing(w, t)
	}
	m.thresholds()
	k := w.keyFragments[0]
	good := k.Bytes()
	m.ok("P8.2", "decode_key_fragment", "a key fragment taken apart", in{"fragment": good}, keyFragmentFields(k))
	for _, id := range []string{"x", strings.Repeat("G", 128), "!~"} {
		k := w.dealer.Fragment(id)
		m.ok("P8.2", "decode_key_fragment", fmt.Sprintf("a key fragment of a gateway id of %d bytes: %.12s", len(id), id), in{"fragment": k.Bytes()}, keyFragmentFields(k))
	}
	for _, b := range append(brokenObjects(good, keyFragmentPlaces()), brokenIDs(good, 226)...) {
		m.bad("P5.4 P5.5 P8.2", "decode_key_fragment", "no key fragment: "+b.why, in{"fragment": b.bytes}, "malformed")
	}
	m.bad("P8.2", "decode_key_fragment", "no key fragment: a U of its own behind X_A", in{"fragment": splice(good, 97, 0, ref.U())}, "malformed")
	m.bad("P8.2", "decode_key_fragment", "no key fragment: a capsule fragment", in{"fragment": w.reencrypt(k).Bytes()}, "malformed")
	m.keyFragmentProofs(w)
}

func keyFragmentFields(k ref.KeyFragment) in {
	return in{"id": k.ID, "rk": k.RK, "X_A": k.XA, "U1": k.U1, "grant": k.Grant, "signature": k.Signature, "gateway": k.Gateway}
}

func (m *maker) dealing(w *world, t int) {
	m.begin(fmt.Sprintf("dealing %d", t))
	xa := m.random.Scalar()
	ex := ref.NewExchange(xa, w.names.PKB)
	d := &ref.Dealer{Exchange: ex, Names: w.names, Signer: w.signer, Grant: w.grant, Random: m.random}
	d.Polynomial = ref.Polynomial{ref.TimesMod(w.a, ref.InvMod(ex.D()))}
	for len(d.Polynomial) < t {
		d.Polynomial = append(d.Polynomial, m.random.Scalar())
	}
	var ids, frags, commitments, messages [][]byte
	var xs []*big.Int
	for _, g := range w.gateways {
		k := d.Fragment(g)
		ids, xs, commitments = append(ids, k.ID), append(xs, ex.Coordinate(k.ID)), append(commitments, k.Commitment())
		messages = append(messages, k.Message(w.names))
		k.Signature = make([]byte, 64)
		frags = append(frags, k.Bytes())
	}
	m.ok("P8.1", "rekey", fmt.Sprintf("fragments for three gateways with threshold %d", t),
		in{
			"a": w.a, "signer": w.signer, "pk_B": w.names.PKB, "grant": w.grant, "x_A": xa, "coefficients": []*big.Int(d.Polynomial[1:]),
			"ids": ids, "gateways": w.gateways,
		},
		in{"fragments": frags, "commitments": commitments},
		in{"dh": ex.DH, "d": ex.D(), "f0": d.Polynomial[0], "x": xs, "m": messages})
}

func (m *maker) thresholds() {
	three := []string{"A", "B", "C"}
	many := make([]string, 256)
	for i := range many {
		many[i] = fmt.Sprintf("G%d", i)
	}
	ok := func(why string, gateways []string, t int) {
		m.ok("P8.1 P12.1 P16", "check_threshold", why, in{"gateways": gateways, "threshold": t}, in{})
	}
	bad := func(why string, gateways []string, t int) {
		m.bad("P8.1 P12.1 P16", "check_threshold", why, in{"gateways": gateways, "threshold": t}, "parameter")
	}
	ok("one of three", three, 1)
	ok("three of three", three, 3)
	ok("one of one", three[:1], 1)
	ok("an id of 128 bytes", []string{strings.Repeat("g", 128)}, 1)
	ok("two of 255", many[:255], 2)
	bad("threshold zero", three, 0)
	bad("threshold minus one", three, -1)
	bad("four of three", three, 4)
	bad("threshold 257 of three, one modulo 256", three, 257)
	bad("no gateways", []string{}, 1)
	bad("no gateways and threshold zero", []string{}, 0)
	bad("256 gateways", many, 2)
	bad("a gateway named twice", []string{"A", "B", "A"}, 2)
	bad("a gateway named twice in a row", []string{"A", "A"}, 1)
	for _, g := range brokenGateways() {
		if g.why != "with a byte ff" { // no text of JSON
			bad("a gateway id "+g.why, []string{"A", string(g.bytes)}, 1)
		}
	}
}

// keyFragmentProofs adds key fragments that decode and that a gateway must not use.
func (m *maker) keyFragmentProofs(w *world) {
	m.begin("keyFragmentProofs")
	k := w.keyFragments[0]
	inputs := w.keys("fragment", k.Bytes(), "gateway", k.Gateway, "grant", w.grant)
	for i, k := range w.keyFragments {
		m.ok("P8.3 P8.4", "verify_key_fragment", fmt.Sprintf("the key fragment of gateway %d", i+1),
			with(inputs, "fragment", k.Bytes(), "gateway", k.Gateway), in{"commitment": k.Commitment()})
	}
	bad := func(why string, changes ...any) {
		m.bad("P8.3", "verify_key_fragment", why, with(inputs, changes...), "proof")
	}
	bad("for another scope key", "pk_A", w.otherPublic())
	bad("for another reader", "pk_B", w.otherPublic())
	bad("by another signer", "pk_S", w.otherPublic())
	bad("scope key and reader exchanged", "pk_A", w.names.PKB, "pk_B", w.names.PKA)
	bad("the scope key as signer", "pk_S", w.names.PKA)
	bad("another gateway's fragment", "gateway", w.gateways[1])
	bad("for a gateway whose id only begins alike", "gateway", k.Gateway+"2")
	bad("for a gateway whose id differs in case", "gateway", strings.ToLower(k.Gateway))
	bad("under another grant, or one that has expired and was renewed", "grant", w.other)

	for _, c := range m.alteredKeyFragments(w) {
		bad(c.why, "fragment", c.fragment.Bytes())
	}
	renamed := k
	renamed.Gateway = w.gateways[1]
	bad("a fragment readdressed to the gateway that verifies it", "fragment", renamed.Bytes(), "gateway", w.gateways[1])
	regranted := k
	regranted.Grant = w.other
	bad("a fragment moved to the grant that it is verified under", "fragment", regranted.Bytes(), "grant", w.other)
	for _, b := range brokenObjects(k.Bytes(), keyFragmentPlaces())[:6] {
		m.bad("P8.3", "verify_key_fragment", "verified though it is no fragment: "+b.why, with(inputs, "fragment", b.bytes), "malformed")
	}
}

// alteredFragment is the first gateway's key fragment with one change.
type alteredFragment struct {
	why      string
	fragment ref.KeyFragment
}

func (m *maker) alteredKeyFragments(w *world) []alteredFragment {
	n, other := ref.Order(), w.keyFragments[1]
	var out []alteredFragment
	add := func(why string, change func(*ref.KeyFragment)) {
		k := w.keyFragments[0]
		change(&k)
		out = append(out, alteredFragment{why, k})
	}
	s := new(big.Int).SetBytes(w.keyFragments[0].Signature[32:])
	r := w.keyFragments[0].Signature[:32]
	add("another id", func(k *ref.KeyFragment) { k.ID = other.ID })
	add("another rk", func(k *ref.KeyFragment) { k.RK = other.RK })
	add("rk negated", func(k *ref.KeyFragment) { k.RK = ref.MinusMod(new(big.Int), k.RK) })
	add("rk greater by one", func(k *ref.KeyFragment) { k.RK = ref.PlusMod(k.RK, big.NewInt(1)) })
	add("another X_A", func(k *ref.KeyFragment) { k.XA = w.otherPublic() })
	add("X_A negated, which has the same x", func(k *ref.KeyFragment) { k.XA = ref.Neg(k.XA) })
	add("another U1", func(k *ref.KeyFragment) { k.U1 = other.U1 })
	add("another rk and U1 that fit, with the signature of the first", func(k *ref.KeyFragment) { k.RK, k.U1 = other.RK, other.U1 })
	add("U1 negated, and rk", func(k *ref.KeyFragment) { k.RK, k.U1 = ref.MinusMod(new(big.Int), k.RK), ref.Neg(k.U1) })
	add("another grant in it", func(k *ref.KeyFragment) { k.Grant = w.other })
	add("another gateway in it", func(k *ref.KeyFragment) { k.Gateway = w.gateways[1] })
	add("the signature of another fragment", func(k *ref.KeyFragment) { k.Signature = other.Signature })
	add("the signature is zero bytes", func(k *ref.KeyFragment) { k.Signature = make([]byte, 64) })
	add("the larger of the two s", func(k *ref.KeyFragment) { k.Signature = ref.Join(r, ref.B32(new(big.Int).Sub(n, s))) })
	add("r zero", func(k *ref.KeyFragment) { k.Signature = ref.Join(make([]byte, 32), k.Signature[32:]) })
	add("s zero", func(k *ref.KeyFragment) { k.Signature = ref.Join(r, make([]byte, 32)) })
	add("r of n", func(k *ref.KeyFragment) { k.Signature = ref.Join(ref.B32(n), k.Signature[32:]) })
	add("s of n", func(k *ref.KeyFragment) { k.Signature = ref.Join(r, ref.B32(n)) })
	add("signed by the delegating key", func(k *ref.KeyFragment) { k.Signature = ref.Sign(w.a, k.Message(w.names), m.random.Scalar()) })
	add("U1 = rk·G, signed by the right signer", func(k *ref.KeyFragment) { k.U1 = ref.Base(k.RK); *k = w.dealer.Resign(*k) })
	add("U1 of another number, signed by the right signer", func(k *ref.KeyFragment) { k.U1 = other.U1; *k = w.dealer.Resign(*k) })
	for i, left := range []string{"id", "U1", "X_A", "pk_A", "pk_B", "pk_S", "gateway", "grant"} {
		add("a signature that does not cover "+left, func(k *ref.KeyFragment) {
			parts := [][]byte{k.ID, k.U1, k.XA, w.names.PKA, w.names.PKB, w.names.PKS, ref.Gateway(k.Gateway), k.Grant}
			parts = append(parts[:i:i], parts[i+1:]...)
			k.Signature = ref.Sign(w.signer, ref.H("key fragment signature", parts...), m.random.Scalar())
		})
	}
	add("the commitment signed instead of the message", func(k *ref.KeyFragment) { k.Signature = ref.Sign(w.signer, k.Commitment(), m.random.Scalar()) })
	return out
}
