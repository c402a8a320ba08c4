// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"math/big"

	ref "github.com/emrys-health/emrys/pkg/vectors/internal/reference"
)

func capsulePlaces() []place {
	return []place{{"E", 0, 33, 'p'}, {"V", 33, 33, 'p'}, {"s", 66, 32, 's'}}
}

func capsules(m *maker) {
	w := newWorld(m.random, 2, 3)
	one := big.NewInt(1)
	for i, k := range []*big.Int{one, new(big.Int).Sub(ref.Order(), one), m.random.Scalar(), m.random.Scalar()} {
		m.encapsulation(w, fmt.Sprintf("a capsule, %d", i+1), k, w.ctx)
	}
	m.encapsulation(w, "the same random scalar for another record", one, w.secondRecord)

	good := w.capsule.Bytes()
	m.ok("P7", "decode_capsule", "a capsule taken apart", in{"capsule": good}, in{"E": w.capsule.E, "V": w.capsule.V, "s": w.capsule.S})
	for _, b := range brokenObjects(good, capsulePlaces()) {
		m.bad("P5.4 P7", "decode_capsule", "no capsule: "+b.why, in{"capsule": b.bytes}, "malformed")
	}
	m.capsuleProofs(w)
}

func (m *maker) encapsulation(w *world, why string, k *big.Int, ctx []byte) {
	c, kPre := ref.Encapsulate(k, w.names.PKA, ctx)
	r := ref.HashToScalar("capsule r", ref.B32(k), w.names.PKA, ctx)
	u := ref.HashToScalar("capsule u", ref.B32(k), w.names.PKA, ctx)
	m.ok("P7.1", "encapsulate", why+" is made", in{"k": k, "pk_A": w.names.PKA, "ctx": ctx}, in{"capsule": c.Bytes(), "K_pre": kPre},
		in{"r": r, "u": u, "h": c.Challenge(w.names.PKA, ctx), "Z": ref.X(ref.Mul(ref.PlusMod(r, u), w.names.PKA))})
	m.ok("P7.2", "verify_capsule", why+" verifies", in{"capsule": c.Bytes(), "pk_A": w.names.PKA, "ctx": ctx}, in{})
	m.ok("P7.3", "decapsulate", why+" opens for the patient", in{"a": w.a, "capsule": c.Bytes(), "ctx": ctx}, in{"K_pre": kPre})
}

// capsuleProofs adds capsules that decode and prove nothing, each for the public check and for the patient.
func (m *maker) capsuleProofs(w *world) {
	m.begin("capsuleProofs")
	add := func(why string, c ref.Capsule, pkA ref.Point, ctx []byte, a *big.Int) {
		m.bad("P7.2", "verify_capsule", why, in{"capsule": c.Bytes(), "pk_A": pkA, "ctx": ctx}, "proof")
		m.bad("P7.3", "decapsulate", why+", for the patient", in{"a": a, "capsule": c.Bytes(), "ctx": ctx}, "proof")
	}
	add("a capsule of another record of the scope", w.capsule, w.names.PKA, w.secondRecord, w.a)
	add("a capsule of another scope", w.capsule, w.otherPublic(), w.ctx, w.otherKey)
	add("a capsule under the negative of its scope key", w.capsule, ref.Neg(w.names.PKA), w.ctx, new(big.Int).Sub(ref.Order(), w.a))

	alter := func(change func(*ref.Capsule)) ref.Capsule {
		c := w.capsule
		change(&c)
		return c
	}
	add("E of another capsule", alter(func(c *ref.Capsule) { c.E = w.otherCapsule.E }), w.names.PKA, w.ctx, w.a)
	add("V of another capsule", alter(func(c *ref.Capsule) { c.V = w.otherCapsule.V }), w.names.PKA, w.ctx, w.a)
	add("s of another capsule", alter(func(c *ref.Capsule) { c.S = w.otherCapsule.S }), w.names.PKA, w.ctx, w.a)
	add("E negated", alter(func(c *ref.Capsule) { c.E = ref.Neg(c.E) }), w.names.PKA, w.ctx, w.a)
	add("V negated", alter(func(c *ref.Capsule) { c.V = ref.Neg(c.V) }), w.names.PKA, w.ctx, w.a)
	add("s negated", alter(func(c *ref.Capsule) { c.S = ref.MinusMod(new(big.Int), c.S) }), w.names.PKA, w.ctx, w.a)
	add("all three negated", ref.Capsule{E: ref.Neg(w.capsule.E), V: ref.Neg(w.capsule.V), S: ref.MinusMod(new(big.Int), w.capsule.S)},
		w.names.PKA, w.ctx, w.a)
	add("E and V exchanged", ref.Capsule{E: w.capsule.V, V: w.capsule.E, S: w.capsule.S}, w.names.PKA, w.ctx, w.a)
	add("s greater by one", alter(func(c *ref.Capsule) { c.S = ref.PlusMod(c.S, big.NewInt(1)) }), w.names.PKA, w.ctx, w.a)
	add("V moved by G and s by one, which a proof without V in its challenge would accept", alter(func(c *ref.Capsule) {
		c.V, c.S = ref.Add(c.V, ref.Base(big.NewInt(1))), ref.PlusMod(c.S, big.NewInt(1))
	}), w.names.PKA, w.ctx, w.a)
	add("all multiplied by two", ref.Capsule{
		E: ref.Mul(big.NewInt(2), w.capsule.E), V: ref.Mul(big.NewInt(2), w.capsule.V), S: ref.TimesMod(big.NewInt(2), w.capsule.S),
	}, w.names.PKA, w.ctx, w.a)

	// u = -r: the proof holds, E + V is the identity, and everybody would know the key.
	r := m.random.Scalar()
	nothing, _ := ref.NewCapsule(r, ref.MinusMod(new(big.Int), r), w.names.PKA, w.ctx)
	add("E = -V with a proof that holds", nothing, w.names.PKA, w.ctx, w.a)

	// A challenge that left something out would accept these.
	for _, left := range []struct {
		why   string
		parts [][]byte
	}{
		{"the scope key", [][]byte{w.ctx, nothing.E, w.capsule.V}},
		{"the record", [][]byte{w.names.PKA, w.capsule.E, w.capsule.V}},
	} {
		u := m.random.Scalar()
		c := ref.Capsule{E: ref.Base(r), V: ref.Base(u)}
		parts := left.parts
		parts[len(parts)-2], parts[len(parts)-1] = c.E, c.V
		c.S = ref.PlusMod(u, ref.TimesMod(r, ref.HashToScalar("capsule", parts...)))
		add("a challenge without "+left.why, c, w.names.PKA, w.ctx, w.a)
	}
	for _, label := range []string{"capsule r", "d"} {
		u := m.random.Scalar()
		c := ref.Capsule{E: ref.Base(r), V: ref.Base(u)}
		c.S = ref.PlusMod(u, ref.TimesMod(r, ref.HashToScalar(label, w.names.PKA, w.ctx, c.E, c.V)))
		add(fmt.Sprintf("a challenge under the label %q", label), c, w.names.PKA, w.ctx, w.a)
	}
	for _, b := range brokenPoints(w.names.PKA) {
		m.bad("P7.2", "verify_capsule", "the scope key is "+b.why, in{"capsule": w.capsule.Bytes(), "pk_A": b.bytes, "ctx": w.ctx}, "malformed")
	}
}
