// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"strings"

	ref "github.com/emrys-health/emrys/pkg/vectors/internal/reference"
)

func envelopes(m *maker) {
	m.wraps()
	m.envelopeForms()
	m.envelopeCBOR()
}

func (m *maker) wraps() {
	m.begin("wraps")
	ctx, kShare, kPre, dek, nonce := digest("record 1"), m.random.Bytes(32), m.random.Bytes(32), m.random.Bytes(32), m.random.Bytes(12)
	wrapped := ref.Wrap(ctx, kShare, kPre, dek, nonce)
	keys := in{"ctx": ctx, "K_share": kShare, "K_pre": kPre}
	kek := in{"KEK": ref.KEK(ctx, kShare, kPre)}
	m.ok("P13.1", "wrap", "a data key wrapped", with(keys, "dek", dek, "nonce", nonce), in{"wrapped": wrapped}, kek)
	inputs := with(keys, "wrapped", wrapped)
	m.ok("P13.1", "unwrap", "a data key unwrapped", inputs, in{"dek": dek}, kek)
	for _, size := range []int{0, 16, 31, 33, 64} {
		wrong := bytes.Repeat([]byte{1}, size)
		m.bad("P13.1", "wrap", fmt.Sprintf("a data key of %d bytes", size), with(keys, "dek", wrong, "nonce", nonce), "parameter")
		m.bad("P13.1", "unwrap", fmt.Sprintf("K_share of %d bytes", size), with(inputs, "K_share", wrong), "parameter")
		m.bad("P13.1", "unwrap", fmt.Sprintf("K_pre of %d bytes", size), with(inputs, "K_pre", wrong), "parameter")
		m.bad("P13.1", "wrap", fmt.Sprintf("wrapping with K_share of %d bytes", size), with(keys, "dek", dek, "nonce", nonce, "K_share", wrong), "parameter")
		m.bad("P13.1", "wrap", fmt.Sprintf("wrapping with K_pre of %d bytes", size), with(keys, "dek", dek, "nonce", nonce, "K_pre", wrong), "parameter")
	}
	m.bad("P13.1", "unwrap", "K_share of 31 bytes and K_pre of 33", with(inputs, "K_share", kShare[:31], "K_pre", append(bytes.Clone(kPre), 0)), "parameter")
	flip := func(i int) []byte { return splice(wrapped, i, 1, []byte{wrapped[i] ^ 1}) }
	for _, b := range []broken{{"nothing", nil}, {"59 bytes", wrapped[:59]}, {"61 bytes", append(bytes.Clone(wrapped), 0)}, {"an empty key wrapped", wrapped[:28]}} {
		m.bad("P13.1", "unwrap", "no wrapped key: "+b.why, with(inputs, "wrapped", b.bytes), "malformed")
	}
	m.bad("P13.1", "unwrap", "no wrapped key, and keys of wrong length", with(inputs, "wrapped", wrapped[:59], "K_pre", []byte{}), "malformed")
	bad := func(why string, changes ...any) { m.bad("P13.1", "unwrap", why, with(inputs, changes...), "decrypt") }
	bad("the nonce altered", "wrapped", flip(0))
	bad("the ciphertext altered", "wrapped", flip(12))
	bad("the tag altered", "wrapped", flip(59))
	bad("the context of another record", "ctx", digest("record 2"))
	bad("another K_share", "K_share", m.random.Bytes(32))
	bad("another K_pre", "K_pre", m.random.Bytes(32))
	bad("K_share and K_pre exchanged", "K_share", kPre, "K_pre", kShare)
	bad("K_pre without K_share, zero bytes in its place", "K_share", make([]byte, 32))
	bad("K_share without K_pre, zero bytes in its place", "K_pre", make([]byte, 32))
	bad("a key wrapped for another record", "wrapped", ref.Wrap(digest("record 2"), kShare, kPre, dek, nonce))
	bad("a key wrapped without its record as additional data", "wrapped", ref.GCM(ref.KEK(ctx, kShare, kPre), nonce, nil, dek))
	bad("a key wrapped under a KEK without salt", "wrapped", ref.GCM(ref.KDF(ref.Join(kShare, kPre), nil, 32, "kek"), nonce, ref.Joined("wrapped key", ctx), dek))
	bad("a key wrapped under K_share alone", "wrapped", ref.GCM(ref.KDF(kShare, ctx, 32, "kek"), nonce, ref.Joined("wrapped key", ctx), dek))
	bad("a key wrapped under K_pre alone", "wrapped", ref.GCM(ref.KDF(kPre, ctx, 32, "kek"), nonce, ref.Joined("wrapped key", ctx), dek))
}

// envelopeParts is an envelope by the CBOR items of it, so that each can be replaced.
type envelopeParts struct {
	items  [][]byte // 8
	shares []envelopeShare
}

type envelopeShare struct {
	gateway            string
	index              uint64
	sealed, commitment []byte
}

func (s envelopeShare) items() [][]byte {
	return [][]byte{ref.Text(s.gateway), ref.Uint(s.index), ref.Bytes(s.sealed), ref.Bytes(s.commitment)}
}

func (s envelopeShare) bytes() []byte { return ref.Array(s.items()...) }

func newEnvelope(r *ref.Random, t uint64, n int, copies bool) *envelopeParts {
	e := &envelopeParts{}
	for i := range n {
		e.shares = append(e.shares, envelopeShare{fmt.Sprintf("G%d", i+1), uint64(i + 1), fake(r, 1247), r.Bytes(32)}) //nolint:gosec // small
	}
	patient, hospital := []byte{}, []byte{}
	if copies {
		patient, hospital = fake(r, 1215), fake(r, 1215)
	}
	e.items = [][]byte{
		ref.Uint(1), ref.Text(ref.Suite), ref.Uint(ref.KEM), ref.Bytes(r.Bytes(60)), ref.Uint(t), nil, ref.Bytes(patient), ref.Bytes(hospital),
	}
	e.items[5] = e.shareList()
	return e
}

// fake is as long as a sealed object. The envelope's decoder opens none.
func fake(r *ref.Random, n int) []byte { return bytes.Repeat(r.Bytes(1), n) }

func (e *envelopeParts) shareList() []byte {
	list := make([][]byte, len(e.shares))
	for i, s := range e.shares {
		list[i] = s.bytes()
	}
	return ref.Array(list...)
}

func (e *envelopeParts) bytes() []byte { return ref.Array(e.items...) }

// replaced is the envelope with item i replaced.
func (e *envelopeParts) replaced(i int, by []byte) []byte {
	items := append([][]byte{}, e.items...)
	items[i] = by
	return ref.Array(items...)
}

// changed is the envelope with its shares changed.
func (e *envelopeParts) changed(change func([]envelopeShare) []envelopeShare) []byte {
	c := &envelopeParts{shares: change(append([]envelopeShare{}, e.shares...))}
	return e.replaced(5, c.shareList())
}

func (e *envelopeParts) outputs(t int) in {
	list := make([]in, len(e.shares))
	for i, s := range e.shares {
		list[i] = in{"gateway": s.gateway, "index": int(s.index), "sealed": s.sealed, "commitment": s.commitment} //nolint:gosec // small
	}
	content := func(item []byte) []byte {
		switch item[0] {
		case 0x59:
			return item[3:]
		case 0x58:
			return item[2:]
		}
		return item[1:]
	}
	return in{
		"wrapped": content(e.items[3]), "threshold": t, "shares": list, "patient_copy": content(e.items[6]), "hospital_copy": content(e.items[7]),
	}
}

func (m *maker) envelopeForms() {
	m.begin("envelopeForms")
	ok := func(why string, e *envelopeParts, t int) {
		m.ok("P13.2", "decode_envelope", why, in{"envelope": e.bytes()}, e.outputs(t))
	}
	ok("an envelope with both copies", newEnvelope(m.random, 2, 3, true), 2)
	ok("an envelope without copies", newEnvelope(m.random, 1, 1, false), 1)
	gaps := newEnvelope(m.random, 2, 2, false)
	gaps.shares[0].index, gaps.shares[1].index = 7, 255
	gaps.items[5] = gaps.shareList()
	ok("indices with gaps, to 255", gaps, 2)
	long := newEnvelope(m.random, 1, 1, false)
	long.shares[0].gateway = strings.Repeat("g", 128)
	long.items[5] = long.shareList()
	ok("a gateway id of 128 bytes", long, 1)

	e := newEnvelope(m.random, 2, 2, false)
	bad := func(why string, b []byte) { m.bad("P13.2 P17", "decode_envelope", why, in{"envelope": b}, "malformed") }
	for _, b := range []broken{
		{"version 0", e.replaced(0, ref.Uint(0))}, {"version 2", e.replaced(0, ref.Uint(2))}, {"version 257", e.replaced(0, ref.Uint(257))},
		{"another suite", e.replaced(1, ref.Text("EMRYS-PRE-V2"))}, {"no suite", e.replaced(1, ref.Text(""))},
		{"the suite in small letters", e.replaced(1, ref.Text("emrys-pre-v1"))},
		{"KEM 0010", e.replaced(2, ref.Uint(0x10))}, {"KEM 0051", e.replaced(2, ref.Uint(0x51))}, {"KEM 65616, 80 modulo 65536", e.replaced(2, ref.Uint(65616))},
		{"a wrapped key of 59 bytes", e.replaced(3, ref.Bytes(make([]byte, 59)))}, {"a wrapped key of 61 bytes", e.replaced(3, ref.Bytes(make([]byte, 61)))},
		{"no wrapped key", e.replaced(3, ref.Bytes(nil))},
		{"threshold 0", e.replaced(4, ref.Uint(0))}, {"threshold 3 of 2", e.replaced(4, ref.Uint(3))}, {"threshold 258, 2 modulo 256", e.replaced(4, ref.Uint(258))},
		{"no shares", e.replaced(5, ref.Array())},
		{"a patient's copy of 1214 bytes", e.replaced(6, ref.Bytes(make([]byte, 1214)))}, {"a patient's copy of 1216 bytes", e.replaced(6, ref.Bytes(make([]byte, 1216)))},
		{"a patient's copy of one byte", e.replaced(6, ref.Bytes([]byte{1}))},
		{"a hospital's copy of 1214 bytes", e.replaced(7, ref.Bytes(make([]byte, 1214)))}, {"a hospital's copy of 1216 bytes", e.replaced(7, ref.Bytes(make([]byte, 1216)))},
		{"a hospital's copy of one byte", e.replaced(7, ref.Bytes([]byte{1}))},
	} {
		bad("an envelope with "+b.why, b.bytes)
	}
	m.envelopeShares(e, bad)
}

func (m *maker) envelopeShares(e *envelopeParts, bad func(string, []byte)) {
	change := func(why string, f func([]envelopeShare) []envelopeShare) { bad("an envelope with "+why, e.changed(f)) }
	second := func(f func(*envelopeShare)) func([]envelopeShare) []envelopeShare {
		return func(s []envelopeShare) []envelopeShare { f(&s[1]); return s }
	}
	change("index zero", func(s []envelopeShare) []envelopeShare { s[0].index = 0; return s })
	change("an index twice", second(func(s *envelopeShare) { s.index = 1 }))
	change("falling indices", func(s []envelopeShare) []envelopeShare { s[0], s[1] = s[1], s[0]; return s })
	change("index 256", second(func(s *envelopeShare) { s.index = 256 }))
	change("index 258, 2 modulo 256", second(func(s *envelopeShare) { s.index = 258 }))
	change("a gateway twice", second(func(s *envelopeShare) { s.gateway = "G1" }))
	change("a gateway twice, not in a row", func(s []envelopeShare) []envelopeShare {
		return append(s, envelopeShare{"G1", 3, s[0].sealed, s[0].commitment})
	})
	for _, g := range brokenGateways() {
		change("a gateway id "+g.why, second(func(s *envelopeShare) { s.gateway = string(g.bytes) }))
	}
	for _, n := range []int{0, 31, 33} {
		change(fmt.Sprintf("a commitment of %d bytes", n), second(func(s *envelopeShare) { s.commitment = make([]byte, n) }))
	}
	for _, n := range []int{0, 1215, 1246, 1248} {
		change(fmt.Sprintf("a sealed share of %d bytes", n), second(func(s *envelopeShare) { s.sealed = make([]byte, n) }))
	}
	items := e.shares[1].items()
	for _, b := range []broken{
		{"a share of three elements", ref.Array(items[:3]...)},
		{"a share of five elements", ref.Array(append(items, ref.Uint(0))...)},
		{"an empty share array", ref.Array()},
		{"a share that is a map", ref.Join(ref.Head(ref.MajorMap, 2), ref.Join(items...))},
		{"a share that is null", []byte{0xf6}},
		{"a gateway id as bytes", ref.Array(ref.Bytes([]byte("G2")), items[1], items[2], items[3])},
		{"an index as text", ref.Array(items[0], ref.Text("2"), items[2], items[3])},
		{"a negative index", ref.Array(items[0], []byte{0x21}, items[2], items[3])},
		{"an index in two bytes", ref.Array(items[0], ref.HeadIn(ref.MajorUint, 1, 2), items[2], items[3])},
		{"a sealed share as text", ref.Array(items[0], items[1], ref.Text(strings.Repeat("s", 1247)), items[3])},
		{"a commitment of indefinite length", ref.Array(items[0], items[1], items[2], ref.Join([]byte{0x5f}, items[3], []byte{0xff}))},
		{"elements of a share in another order", ref.Array(items[0], items[1], items[3], items[2])},
	} {
		bad("an envelope with "+b.why, e.replaced(5, ref.Array(e.shares[0].bytes(), b.bytes)))
	}
	if len(e.shares) != 2 {
		panic("two shares are expected")
	}
}

func (m *maker) envelopeCBOR() {
	m.begin("envelopeCBOR")
	e := newEnvelope(m.random, 1, 1, false)
	good := e.bytes()
	all := ref.Join(e.items...)
	wrapped := e.items[3]
	for _, b := range []broken{
		{"nothing", nil},
		{"truncated by one byte", good[:len(good)-1]},
		{"its head alone", good[:1]},
		{"a byte left over", append(bytes.Clone(good), 0)},
		{"itself twice", append(bytes.Clone(good), good...)},
		{"an array of seven elements", ref.Array(e.items[:7]...)},
		{"an array of nine elements", ref.Array(append(e.items[:8:8], ref.Uint(0))...)},
		{"an array of indefinite length", ref.Join([]byte{0x9f}, all, []byte{0xff})},
		{"an array head of two bytes", ref.Join(ref.HeadIn(ref.MajorArray, 1, 8), all)},
		{"an array head of three bytes", ref.Join(ref.HeadIn(ref.MajorArray, 2, 8), all)},
		{"an array head of nine bytes", ref.Join(ref.HeadIn(ref.MajorArray, 8, 8), all)},
		{"a tag before it", ref.Join([]byte{0xd9, 0xd9, 0xf7}, good)},
		{"a tag on its version", e.replaced(0, ref.Join([]byte{0xc2}, ref.Uint(1)))},
		{"a tag on its wrapped key", e.replaced(3, ref.Join([]byte{0xd8, 0x18}, wrapped))},
		{"a byte string around it", ref.Bytes(good)},
		{"an array around it", ref.Array(good)},
		{"a map of four pairs", ref.Join(ref.Head(ref.MajorMap, 4), all)},
		{"a map with one key twice", ref.Join(ref.Head(ref.MajorMap, 2), ref.Uint(0), ref.Uint(1), ref.Uint(0), ref.Uint(1))},
		{"null", []byte{0xf6}},
		{"undefined", []byte{0xf7}},
		{"an integer", ref.Uint(1)},
		{"a text", ref.Text(ref.Suite)},
		{"the break code", []byte{0xff}},
		{"the reserved head 9c", []byte{0x9c}},
		{"version in two bytes", e.replaced(0, ref.HeadIn(ref.MajorUint, 1, 1))},
		{"version in nine bytes", e.replaced(0, ref.HeadIn(ref.MajorUint, 8, 1))},
		{"version as a floating point number", e.replaced(0, []byte{0xf9, 0x3c, 0x00})},
		{"version as a text", e.replaced(0, ref.Text("1"))},
		{"version true", e.replaced(0, []byte{0xf5})},
		{"a negative version", e.replaced(0, []byte{0x20})},
		{"suite as bytes", e.replaced(1, ref.Bytes([]byte(ref.Suite)))},
		{"suite of indefinite length", e.replaced(1, ref.Join([]byte{0x7f}, ref.Text(ref.Suite), []byte{0xff}))},
		{"suite with a head of two bytes", e.replaced(1, ref.Join(ref.HeadIn(ref.MajorText, 1, 12), []byte(ref.Suite)))},
		{"KEM in three bytes", e.replaced(2, ref.HeadIn(ref.MajorUint, 2, 0x50))},
		{"KEM in five bytes", e.replaced(2, ref.HeadIn(ref.MajorUint, 4, 0x50))},
		{"KEM as a big number", e.replaced(2, []byte{0xc2, 0x41, 0x50})},
		{"wrapped key as text", e.replaced(3, ref.Text(strings.Repeat("w", 60)))},
		{"wrapped key as an array of integers", e.replaced(3, ref.Join(ref.Head(ref.MajorArray, 60), make([]byte, 60)))},
		{"wrapped key with a head of three bytes", e.replaced(3, ref.Join(ref.HeadIn(ref.MajorBytes, 2, 60), wrapped[2:]))},
		{"wrapped key of indefinite length", e.replaced(3, ref.Join([]byte{0x5f}, wrapped, []byte{0xff}))},
		{"wrapped key null", e.replaced(3, []byte{0xf6})},
		{"wrapped key longer than what follows", e.replaced(3, ref.Join(ref.HeadIn(ref.MajorBytes, 4, 1<<32-1), wrapped[2:]))},
		{"threshold in two bytes", e.replaced(4, ref.HeadIn(ref.MajorUint, 1, 1))},
		{"threshold null", e.replaced(4, []byte{0xf6})},
		{"shares null", e.replaced(5, []byte{0xf6})},
		{"shares of indefinite length", e.replaced(5, ref.Join([]byte{0x9f}, e.shares[0].bytes(), []byte{0xff}))},
		{"shares that say more than follow", e.replaced(5, ref.Join(ref.Head(ref.MajorArray, 2), e.shares[0].bytes()))},
		{"an enormous array of shares", e.replaced(5, ref.HeadIn(ref.MajorArray, 4, 1<<31))},
		{"patient's copy null", e.replaced(6, []byte{0xf6})},
		{"patient's copy an empty text", e.replaced(6, ref.Text(""))},
		{"patient's copy an empty array", e.replaced(6, ref.Array())},
		{"patient's copy of indefinite length and empty", e.replaced(6, []byte{0x5f, 0xff})},
		{"hospital's copy undefined", e.replaced(7, []byte{0xf7})},
		{"hospital's copy with a head of two bytes", e.replaced(7, ref.HeadIn(ref.MajorBytes, 1, 0))},
	} {
		m.bad("P5.6 P13.2", "decode_envelope", "no envelope: "+b.why, in{"envelope": b.bytes}, "malformed")
	}
}
