// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"math/big"

	ref "github.com/emrys-health/emrys/pkg/vectors/internal/reference"
)

// Offsets in a sealed object (pre.md P11.3).
const (
	atMLKEM = 2
	atPoint = 2 + 1088
	atNonce = 2 + 1153
	atBox   = 2 + 1153 + 12
	sealMin = 1183
)

func hybrid(m *maker) {
	for i := range 3 {
		h := ref.NewHybrid(m.random.Bytes(32))
		m.ok("P11.1", "hybrid_expand", fmt.Sprintf("a hybrid private key expanded, %d", i+1), in{"private": h.Private},
			in{"mlkem_seed": h.Seed, "e": h.E, "public": h.Public()})
	}
	h := ref.NewHybrid(m.random.Bytes(32))
	info, plaintext := ref.Joined("patient copy", digest("record 1")), m.random.Bytes(32)
	for _, c := range []struct {
		why             string
		info, plaintext []byte
	}{{"32 bytes", info, plaintext}, {"nothing", info, nil}, {"one byte under an empty info", nil, []byte{7}}, {"300 bytes", []byte("info"), m.random.Bytes(300)}} {
		s := ref.NewSealing(m.random)
		sealed := ref.Seal(h.Public(), c.info, c.plaintext, s)
		ss, _ := ref.EncapsulateHybrid(h.Public(), s.Message, s.Y)
		m.ok("P11.2 P11.3", "hybrid_seal", "sealing "+c.why, in{
			"private": h.Private, "public": h.Public(), "info": c.info, "plaintext": c.plaintext, "m": s.Message, "y": s.Y, "nonce": s.Nonce,
		}, in{"sealed": sealed}, in{"ss": ss, "K": ref.SealKey(ss, c.info)})
		m.ok("P11.3", "hybrid_open", "opening "+c.why, in{"private": h.Private, "info": c.info, "sealed": sealed}, in{"plaintext": c.plaintext})
	}
	sealing := ref.NewSealing(m.random)
	sealed := ref.Seal(h.Public(), info, plaintext, sealing)
	inputs := in{"private": h.Private, "info": info, "sealed": sealed}
	m.sealedMalformed(h, inputs, sealed, info, plaintext, sealing)
	m.sealedAltered(h, inputs, sealed)
	m.sealedOtherwise(h, inputs, info, plaintext, sealing)
}

func (m *maker) sealedMalformed(h *ref.Hybrid, inputs in, sealed, info, plaintext []byte, s ref.Sealing) {
	for _, b := range []broken{
		{"nothing", nil},
		{"a KEM id alone", sealed[:2]},
		{"header alone", sealed[:atNonce]},
		{"one byte less than an empty plaintext needs", sealed[:sealMin-1]},
		{"KEM id 0000", splice(sealed, 0, 2, []byte{0, 0})},
		{"KEM id 0010, of DHKEM(P-256)", splice(sealed, 0, 2, []byte{0, 0x10})},
		{"KEM id 5000, bytes exchanged", splice(sealed, 0, 2, []byte{0x50, 0})},
		{"KEM id 0051", splice(sealed, 0, 2, []byte{0, 0x51})},
		{"KEM id 0150", splice(sealed, 0, 2, []byte{1, 0x50})},
		{"KEM id 0051, authenticated like that", ref.SealAs(0x51, h.Public(), info, plaintext, s)},
		{"without its KEM id", sealed[2:]},
		{"1183 zero bytes", make([]byte, sealMin)},
	} {
		m.bad("P11.3 P17", "hybrid_open", "no sealed object: "+b.why, with(inputs, "sealed", b.bytes), "malformed")
	}
	for _, private := range [][]byte{{}, h.Private[:31], append(bytes.Clone(h.Private), 0)} {
		m.bad("P11.3", "hybrid_open", fmt.Sprintf("opened with a private key of %d bytes", len(private)), with(inputs, "private", private), "malformed")
	}
}

func (m *maker) sealedAltered(h *ref.Hybrid, inputs in, sealed []byte) {
	m.begin("sealedAltered")
	flip := func(i int) []byte { return splice(sealed, i, 1, []byte{sealed[i] ^ 1}) }
	point := sealed[atPoint:atNonce]
	other := ref.Seal(h.Public(), inputs["info"].([]byte), make([]byte, 32), ref.NewSealing(m.random)) //nolint:forcetypeassert // set above
	negative := ref.Uncompressed(ref.Neg(ref.Compressed(point)))
	for _, b := range []broken{
		{"the first byte of the ML-KEM ciphertext altered", flip(atMLKEM)},
		{"a middle byte of the ML-KEM ciphertext altered", flip(atMLKEM + 544)},
		{"the first byte of its second part altered", flip(atMLKEM + 960)},
		{"the last byte of the ML-KEM ciphertext altered", flip(atPoint - 1)},
		{"the ML-KEM ciphertext of another seal", splice(sealed, atMLKEM, 1088, other[atMLKEM:atPoint])},
		{"the ML-KEM ciphertext is zero bytes", splice(sealed, atMLKEM, 1088, make([]byte, 1088))},
		{"the ephemeral point of another seal", splice(sealed, atPoint, 65, other[atPoint:atNonce])},
		{"the ephemeral point negated, with the same x", splice(sealed, atPoint, 65, negative)},
		{"the ephemeral point is not on the curve: x altered", flip(atPoint + 5)},
		{"the ephemeral point is not on the curve: y altered", flip(atNonce - 1)},
		{"the ephemeral point's first byte is 05", flip(atPoint)},
		{"the ephemeral point's first byte is 06 or 07", splice(sealed, atPoint, 1, []byte{6 | point[64]&1})},
		{"the ephemeral point is zero bytes", splice(sealed, atPoint, 65, make([]byte, 65))},
		{"the ephemeral point is compressed, zero bytes behind it", splice(sealed, atPoint, 65, append(ref.Compressed(point), make([]byte, 32)...))},
		{"the ephemeral point's x is the field prime", splice(sealed, atPoint+1, 32, ref.B32(ref.Prime()))},
		{"the encapsulation of another seal", splice(sealed, atMLKEM, 1153, other[atMLKEM:atNonce])},
		{"first byte of the nonce altered", flip(atNonce)},
		{"last byte of the nonce altered", flip(atBox - 1)},
		{"first byte of the ciphertext altered", flip(atBox)},
		{"last byte of the ciphertext altered", flip(len(sealed) - 17)},
		{"first byte of the tag altered", flip(len(sealed) - 16)},
		{"last byte of the tag altered", flip(len(sealed) - 1)},
		{"the tag is zero bytes", splice(sealed, len(sealed)-16, 16, make([]byte, 16))},
		{"the tag cut off by one byte", sealed[:len(sealed)-1]},
		{"the tag cut off", sealed[:len(sealed)-16]},
		{"the plaintext cut off", append(bytes.Clone(sealed[:atBox]), sealed[len(sealed)-16:]...)},
		{"a byte left over", append(bytes.Clone(sealed), 0)},
		{"a byte before the nonce", splice(sealed, atNonce, 0, []byte{0})},
		{"nonce, ciphertext and tag of another seal", splice(sealed, atNonce, len(sealed)-atNonce, other[atNonce:])},
	} {
		m.bad("P11.3", "hybrid_open", b.why, with(inputs, "sealed", b.bytes), "decrypt")
	}
}

// sealedOtherwise adds objects that were sealed to the right key in another way than this one.
func (m *maker) sealedOtherwise(h *ref.Hybrid, inputs in, info, plaintext []byte, s ref.Sealing) {
	m.begin("sealedOtherwise")
	bad := func(why string, changes ...any) {
		m.bad("P11.2 P11.3", "hybrid_open", why, with(inputs, changes...), "decrypt")
	}
	bad("opened with another private key", "private", m.random.Bytes(32))
	bad("opened under another info", "info", ref.Joined("hospital copy", digest("record 1")))
	bad("opened under the info of another record", "info", ref.Joined("patient copy", digest("record 2")))
	bad("opened under an empty info", "info", []byte{})
	bad("opened under a longer info", "info", append(bytes.Clone(info), 0))
	bad("opened under a shorter info", "info", info[:len(info)-1])

	public := h.Public()
	ss, enc := ref.EncapsulateHybrid(public, s.Message, s.Y)
	header := append([]byte{0, 0x50}, enc...)
	box := func(key, aad []byte) []byte { return ref.Join(header, ref.GCM(key, s.Nonce, aad, plaintext)) }
	key := ref.SealKey(ss, info)
	bad("sealed without the header as additional data", "sealed", box(key, nil))
	bad("sealed with the KEM id alone as additional data", "sealed", box(key, header[:2]))
	bad("sealed with the info as additional data", "sealed", box(key, info))
	bad("sealed with the KEM's secret as the key", "sealed", box(ss, header))
	ctT, pkT := enc[1088:], public[1184:]
	ssT := ref.X(ref.Mul(s.Y, ref.Compressed(pkT)))
	zero := make([]byte, 32)
	bad("sealed with the P-256 half alone, zero bytes for ML-KEM's", "sealed", box(ref.SealKey(ref.Combine(zero, ssT, ctT, pkT), info), header))
	bad("sealed with the P-256 half as the secret", "sealed", box(ref.SealKey(ssT, info), header))
	y2 := new(big.Int).Add(s.Y, big.NewInt(1))
	wrong := ref.X(ref.Mul(y2, ref.Compressed(pkT)))
	ssPQ := ref.MLKEMSecret(public, s.Message)
	bad("sealed with the ML-KEM half alone, zero bytes for P-256's", "sealed", box(ref.SealKey(ref.Combine(ssPQ, zero, ctT, pkT), info), header))
	bad("sealed with another secret of the P-256 half", "sealed", box(ref.SealKey(ref.Combine(ssPQ, wrong, ctT, pkT), info), header))
	bad("sealed with a combiner that leaves out the ephemeral point", "sealed", box(ref.SealKey(ref.Combine(ssPQ, ssT, nil, pkT), info), header))
	bad("sealed with a combiner that leaves out the public point", "sealed", box(ref.SealKey(ref.Combine(ssPQ, ssT, ctT, nil), info), header))
	bad("sealed with a combiner that exchanges the secrets", "sealed", box(ref.SealKey(ref.Combine(ssT, ssPQ, ctT, pkT), info), header))
}
