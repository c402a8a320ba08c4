// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	ref "github.com/emrys-health/emrys/pkg/vectors/internal/reference"
)

// copyKind is one of the sealed copies of pre.md P14.
type copyKind struct {
	section, operation, output string
	info                       func(ctx, grant []byte) []byte
}

func copyKinds() []copyKind {
	return []copyKind{
		{"P14.2", "open_patient_copy", "K_share", func(ctx, _ []byte) []byte { return ref.Joined("patient copy", ctx) }},
		{"P14.3", "open_hospital_copy", "dek", func(ctx, _ []byte) []byte { return ref.Joined("hospital copy", ctx) }},
		{"P14.4", "open_direct_key", "K_pre", func(ctx, grant []byte) []byte { return ref.Joined("direct key for reader", ctx, grant) }},
	}
}

func copies(m *maker) {
	h, ctx, grant := ref.NewHybrid(m.random.Bytes(32)), digest("record 1"), digest("grant 1")
	key := m.random.Bytes(32)
	for _, k := range copyKinds() {
		seal := func(info, plaintext []byte) []byte {
			return ref.Seal(h.Public(), info, plaintext, ref.NewSealing(m.random))
		}
		sealed := seal(k.info(ctx, grant), key)
		inputs := in{"private": h.Private, "ctx": ctx, "sealed": sealed}
		if k.output == "K_pre" {
			inputs["grant"] = grant
		}
		m.ok(k.section, k.operation, k.operation+": a copy", inputs, in{k.output: key})
		bad := func(why, class string, changes ...any) {
			m.bad(k.section, k.operation, k.operation+": "+why, with(inputs, changes...), class)
		}
		bad("of another record", "decrypt", "ctx", digest("record 2"))
		bad("with another key", "decrypt", "private", m.random.Bytes(32))
		if k.output == "K_pre" {
			bad("under another grant", "decrypt", "grant", digest("grant 2"))
			bad("sealed without a grant", "decrypt", "sealed", seal(ref.Joined("direct key for reader", ctx), key))
			bad("grant and record exchanged", "decrypt", "ctx", grant, "grant", ctx)
		}
		for _, other := range copyKinds() {
			if other.operation != k.operation {
				bad("a copy for "+other.operation, "decrypt", "sealed", seal(other.info(ctx, grant), key))
			}
		}
		for _, b := range brokenSeals(sealed) {
			bad("a copy "+b.why, b.class, "sealed", b.bytes)
		}
		bad("a copy of a key of 31 bytes", "malformed", "sealed", seal(k.info(ctx, grant), key[:31]))
		bad("a copy of a key of 33 bytes", "malformed", "sealed", seal(k.info(ctx, grant), append(key[:32:32], 0)))
		bad("a copy of nothing", "malformed", "sealed", seal(k.info(ctx, grant), nil))
		bad("a copy with a byte left over", "malformed", "sealed", append(sealed[:len(sealed):len(sealed)], 0))
		bad("a copy cut off by one byte", "malformed", "sealed", sealed[:len(sealed)-1])
	}
	m.sealedFragments(h)
}

func (m *maker) sealedFragments(h *ref.Hybrid) {
	m.begin("sealedFragments")
	w := newWorld(m.random, 2, 3)
	k := w.keyFragments[0]
	info := func(grant []byte, gateway string) []byte {
		return ref.Joined("key fragment for gateway", grant, ref.Gateway(gateway))
	}
	seal := func(info, plaintext []byte) []byte {
		return ref.Seal(h.Public(), info, plaintext, ref.NewSealing(m.random))
	}
	own := info(w.grant, k.Gateway)
	sealed := seal(own, k.Bytes())
	inputs := in{"private": h.Private, "gateway": k.Gateway, "grant": w.grant, "sealed": sealed}
	m.ok("P14.1", "open_key_fragment", "a key fragment sealed to its gateway", inputs, in{"fragment": k.Bytes()})
	unsigned := k
	unsigned.Signature = make([]byte, 64)
	m.ok("P14.1", "open_key_fragment", "its signature is checked by P8.3, not here", with(inputs, "sealed", seal(own, unsigned.Bytes())), in{"fragment": unsigned.Bytes()})
	bad := func(why, class string, changes ...any) {
		m.bad("P14.1", "open_key_fragment", why, with(inputs, changes...), class)
	}
	bad("another gateway's key", "decrypt", "private", m.random.Bytes(32))
	bad("as another gateway", "decrypt", "gateway", w.gateways[1])
	bad("under another grant", "decrypt", "grant", w.other)
	bad("a fragment sealed under another label", "decrypt", "sealed", seal(ref.Joined("share", w.grant, ref.Gateway(k.Gateway)), k.Bytes()))
	bad("a fragment sealed with grant and gateway exchanged", "decrypt", "sealed", seal(ref.Joined("key fragment for gateway", ref.Gateway(k.Gateway), w.grant), k.Bytes()))
	bad("a fragment of another gateway inside", "proof", "sealed", seal(own, w.keyFragments[1].Bytes()))
	regranted := k
	regranted.Grant = w.other
	bad("a fragment of another grant inside", "proof", "sealed", seal(own, regranted.Bytes()))
	for _, b := range brokenObjects(k.Bytes(), keyFragmentPlaces())[:6] {
		bad("no fragment inside: "+b.why, "malformed", "sealed", seal(own, b.bytes))
	}
	bad("a capsule fragment inside", "malformed", "sealed", seal(own, w.reencrypt(k).Bytes()))
	for _, b := range brokenSeals(sealed) {
		bad("a sealed fragment "+b.why, b.class, "sealed", b.bytes)
	}
	bad("a sealed fragment with a byte left over", "decrypt", "sealed", append(sealed[:len(sealed):len(sealed)], 0))
}
