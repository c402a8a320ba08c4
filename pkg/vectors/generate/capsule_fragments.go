// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"math/big"

	ref "github.com/emrys-health/emrys/pkg/vectors/internal/reference"
)

func capsuleFragmentPlaces() []place {
	return []place{
		{"E1", 0, 33, 'p'}, {"V1", 33, 33, 'p'}, {"id", 66, 32, 'b'}, {"X_A", 98, 33, 'p'}, {"U1", 131, 33, 'p'}, {"h", 164, 32, 's'},
		{"z", 196, 32, 's'}, {"signature", 228, 64, 'b'}, {"grant", 292, 32, 'b'},
	}
}

func capsuleFragments(m *maker) {
	w := newWorld(m.random, 2, 3)
	m.reencryptions(w)
	f := w.reencrypt(w.keyFragments[0])
	good := f.Bytes()
	m.ok("P9.2", "decode_capsule_fragment", "a capsule fragment taken apart", in{"capsule_fragment": good}, in{
		"E1": f.E1, "V1": f.V1, "id": f.ID, "X_A": f.XA, "U1": f.U1, "h": f.H, "z": f.Z, "signature": f.Signature, "grant": f.Grant, "gateway": f.Gateway,
	})
	for _, b := range append(brokenObjects(good, capsuleFragmentPlaces()), brokenIDs(good, 324)...) {
		m.bad("P5.4 P5.5 P9.2", "decode_capsule_fragment", "no capsule fragment: "+b.why, in{"capsule_fragment": b.bytes}, "malformed")
	}
	m.bad("P9.2", "decode_capsule_fragment", "no capsule fragment: a key fragment", in{"capsule_fragment": w.keyFragments[0].Bytes()}, "malformed")
	m.capsuleFragmentProofs(w, f)
}

func (m *maker) reencryptions(w *world) {
	m.begin("reencryptions")
	inputs := func(k ref.KeyFragment, random *big.Int) in {
		return w.keys("fragment", k.Bytes(), "capsule", w.capsule.Bytes(), "gateway", k.Gateway, "ctx", w.ctx, "grant", w.grant, "request", w.request, "k", random)
	}
	for i, k := range w.keyFragments {
		random := m.random.Scalar()
		nonce := k.Nonce(random, w.capsule, w.names, w.ctx, w.request)
		f := ref.Reencrypt(k, w.capsule, w.names, w.ctx, w.request, nonce)
		m.ok("P9.1", "reencrypt", fmt.Sprintf("gateway %d re-encrypts", i+1), inputs(k, random), in{"capsule_fragment": f.Bytes()}, in{"w": nonce})
		m.ok("P9.3 P9.4", "verify_capsule_fragment", fmt.Sprintf("the capsule fragment of gateway %d", i+1),
			w.keys("capsule_fragment", f.Bytes(), "capsule", w.capsule.Bytes(), "gateway", k.Gateway, "ctx", w.ctx, "grant", w.grant, "request", w.request),
			in{"commitment": k.Commitment()})
	}
	good := inputs(w.keyFragments[0], m.random.Scalar())
	bad := func(why string, changes ...any) { m.bad("P9.1", "reencrypt", why, with(good, changes...), "proof") }
	bad("asked for another record with this capsule", "ctx", w.secondRecord)
	bad("asked for this record with another record's capsule", "capsule", w.secondCapsule.Bytes())
	bad("asked to re-encrypt for another reader", "pk_B", w.otherPublic())
	bad("asked to re-encrypt for another scope key", "pk_A", w.otherPublic())
	bad("asked with another signer", "pk_S", w.otherPublic())
	bad("asked under another grant", "grant", w.other)
	bad("asked with another gateway's fragment", "fragment", w.keyFragments[1].Bytes())
	bad("asked as another gateway", "gateway", w.gateways[1])
	for _, c := range m.alteredKeyFragments(w) {
		bad("asked with an altered key fragment: "+c.why, "fragment", c.fragment.Bytes())
	}
	altered := w.capsule
	altered.S = ref.PlusMod(altered.S, big.NewInt(1))
	bad("asked with a capsule that proves nothing", "capsule", altered.Bytes())
	r := m.random.Scalar()
	nothing, _ := ref.NewCapsule(r, ref.MinusMod(new(big.Int), r), w.names.PKA, w.ctx)
	bad("asked with a capsule whose E and V cancel out", "capsule", nothing.Bytes())
}

func (m *maker) capsuleFragmentProofs(w *world, f ref.CapsuleFragment) {
	m.begin("capsuleFragmentProofs")
	good := w.keys("capsule_fragment", f.Bytes(), "capsule", w.capsule.Bytes(), "gateway", f.Gateway, "ctx", w.ctx, "grant", w.grant, "request", w.request)
	bad := func(why string, changes ...any) {
		m.badBy("P9.4", "verify_capsule_fragment", why, with(good, changes...), "proof", f.Gateway)
	}
	bad("an answer to another request, replayed", "request", w.other)
	bad("an answer for another record", "ctx", w.secondRecord)
	bad("an answer under another grant", "grant", w.other)
	bad("an answer expected of another gateway", "gateway", w.gateways[1])
	bad("an answer to another reader", "pk_B", w.otherPublic())
	bad("an answer for another scope key", "pk_A", w.otherPublic())
	bad("an answer under another signer", "pk_S", w.otherPublic())
	bad("scope key and reader are exchanged", "pk_A", w.names.PKB, "pk_B", w.names.PKA)
	bad("another capsule of the same record", "capsule", w.otherCapsule.Bytes())
	bad("a capsule that differs in s only", "capsule", splice(w.capsule.Bytes(), 66, 32, ref.B32(ref.PlusMod(w.capsule.S, big.NewInt(1)))))
	bad("another record's capsule", "capsule", w.secondCapsule.Bytes())
	bad("another record and its capsule", "capsule", w.secondCapsule.Bytes(), "ctx", w.secondRecord)

	for _, c := range m.alteredCapsuleFragments(w, f) {
		gateway := c.fragment.Gateway
		m.badBy("P9.4", "verify_capsule_fragment", c.why, with(good, "capsule_fragment", c.fragment.Bytes()), "proof", gateway)
	}
	framed := f
	framed.Gateway = w.gateways[1]
	m.badBy("P9.4", "verify_capsule_fragment", "a fragment that frames another gateway",
		with(good, "capsule_fragment", framed.Bytes(), "gateway", w.gateways[1]), "proof", w.gateways[1])
	for _, b := range brokenObjects(f.Bytes(), capsuleFragmentPlaces())[:6] {
		m.bad("P9.4", "verify_capsule_fragment", "verified though it is no fragment: "+b.why, with(good, "capsule_fragment", b.bytes), "malformed")
	}
}

// alteredAnswer is a capsule fragment with one change.
type alteredAnswer struct {
	why      string
	fragment ref.CapsuleFragment
}

func (m *maker) alteredCapsuleFragments(w *world, good ref.CapsuleFragment) []alteredAnswer {
	var out []alteredAnswer
	add := func(why string, change func(*ref.CapsuleFragment)) {
		f := good
		change(&f)
		out = append(out, alteredAnswer{why, f})
	}
	k, other, two := w.keyFragments[0], w.reencrypt(w.keyFragments[1]), big.NewInt(2)
	again := w.reencrypt(k)
	add("another E1", func(f *ref.CapsuleFragment) { f.E1 = other.E1 })
	add("another V1", func(f *ref.CapsuleFragment) { f.V1 = other.V1 })
	add("E1 and V1 exchanged", func(f *ref.CapsuleFragment) { f.E1, f.V1 = f.V1, f.E1 })
	add("E1 negated", func(f *ref.CapsuleFragment) { f.E1 = ref.Neg(f.E1) })
	add("V1 negated", func(f *ref.CapsuleFragment) { f.V1 = ref.Neg(f.V1) })
	add("E1 and V1 of another gateway", func(f *ref.CapsuleFragment) { f.E1, f.V1 = other.E1, other.V1 })
	add("another id", func(f *ref.CapsuleFragment) { f.ID = other.ID })
	add("another X_A", func(f *ref.CapsuleFragment) { f.XA = w.otherPublic() })
	add("X_A negated", func(f *ref.CapsuleFragment) { f.XA = ref.Neg(f.XA) })
	add("another U1", func(f *ref.CapsuleFragment) { f.U1 = other.U1 })
	add("another h", func(f *ref.CapsuleFragment) { f.H = again.H })
	add("another z", func(f *ref.CapsuleFragment) { f.Z = again.Z })
	add("h greater by one", func(f *ref.CapsuleFragment) { f.H = ref.PlusMod(f.H, big.NewInt(1)) })
	add("z greater by one", func(f *ref.CapsuleFragment) { f.Z = ref.PlusMod(f.Z, big.NewInt(1)) })
	add("h and z negated", func(f *ref.CapsuleFragment) {
		f.H, f.Z = ref.MinusMod(new(big.Int), f.H), ref.MinusMod(new(big.Int), f.Z)
	})
	add("the proof of another fragment", func(f *ref.CapsuleFragment) { f.H, f.Z = other.H, other.Z })
	add("the signature of another fragment", func(f *ref.CapsuleFragment) { f.Signature = other.Signature })
	add("the signature is zero bytes", func(f *ref.CapsuleFragment) { f.Signature = make([]byte, 64) })
	add("the larger of the two s", func(f *ref.CapsuleFragment) {
		s := new(big.Int).SetBytes(f.Signature[32:])
		f.Signature = ref.Join(f.Signature[:32], ref.B32(new(big.Int).Sub(ref.Order(), s)))
	})
	add("another grant in it", func(f *ref.CapsuleFragment) { f.Grant = w.other })
	add("another gateway in it", func(f *ref.CapsuleFragment) { f.Gateway = w.gateways[1] })

	lie := func(e, v *big.Int) ref.CapsuleFragment {
		return ref.Transform(k, e, v, w.capsule, w.names, w.ctx, w.request, m.random.Scalar())
	}
	double := ref.TimesMod(two, k.RK)
	add("E1 made with another number, the proof with rk", func(f *ref.CapsuleFragment) { *f = lie(double, k.RK) })
	add("V1 made with another number, the proof with rk", func(f *ref.CapsuleFragment) { *f = lie(k.RK, double) })
	add("E1 and V1 made with another number, the proof with rk", func(f *ref.CapsuleFragment) { *f = lie(double, double) })
	add("everything made with another number than the signed one", func(f *ref.CapsuleFragment) {
		forged := k
		forged.RK = double
		*f = ref.Reencrypt(forged, w.capsule, w.names, w.ctx, w.request, m.random.Scalar())
	})
	add("another number and its U1, with the old signature", func(f *ref.CapsuleFragment) {
		forged := k
		forged.RK, forged.U1 = double, ref.Mul(double, ref.U())
		*f = ref.Reencrypt(forged, w.capsule, w.names, w.ctx, w.request, m.random.Scalar())
	})
	add("a proof for another request", func(f *ref.CapsuleFragment) {
		*f = ref.Reencrypt(k, w.capsule, w.names, w.ctx, w.other, m.random.Scalar())
	})
	add("a proof for another record", func(f *ref.CapsuleFragment) {
		*f = ref.Reencrypt(k, w.capsule, w.names, w.secondRecord, w.request, m.random.Scalar())
	})
	// z = h·rk, that is w = 0: all three first messages are the identity.
	for _, identity := range []broken{{"one byte", []byte{0}}, {"33 zero bytes", make([]byte, 33)}, {"nothing", nil}} {
		add("a proof whose first message is the identity, hashed as "+identity.why, func(f *ref.CapsuleFragment) {
			f.H = f.Challenge(w.capsule, w.names, w.ctx, w.request, identity.bytes, identity.bytes, identity.bytes)
			f.Z = ref.TimesMod(f.H, k.RK)
		})
	}
	for i, left := range reencryptionParts() {
		add("a challenge without "+left, func(f *ref.CapsuleFragment) { m.proveWithout(w, f, k, i) })
	}
	return out
}

func reencryptionParts() []string {
	return []string{
		"ctx", "request", "gateway", "grant", "id", "X_A", "pk_A", "pk_B", "pk_S", "E", "V", "s", "U", "E1", "V1", "U1", "E2", "V2", "U2",
	}
}

// proveWithout makes the proof over a challenge that leaves out one part.
func (m *maker) proveWithout(w *world, f *ref.CapsuleFragment, k ref.KeyFragment, left int) {
	nonce, c, n := m.random.Scalar(), w.capsule, w.names
	parts := [][]byte{
		w.ctx, w.request, ref.Gateway(f.Gateway), f.Grant, f.ID, f.XA, n.PKA, n.PKB, n.PKS, c.E, c.V, ref.B32(c.S), ref.U(), f.E1, f.V1, f.U1,
		ref.Mul(nonce, c.E), ref.Mul(nonce, c.V), ref.Mul(nonce, ref.U()),
	}
	parts = append(parts[:left:left], parts[left+1:]...)
	f.H = ref.HashToScalar("reencryption", parts...)
	f.Z = ref.PlusMod(nonce, ref.TimesMod(f.H, k.RK))
}
