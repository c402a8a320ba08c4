// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/big"

	ref "github.com/emrys-health/emrys/pkg/vectors/internal/reference"
)

func keyID(b []byte) string { h := sha256.Sum256(b); return hex.EncodeToString(h[:16]) }

func keys(m *maker) {
	one := big.NewInt(1)
	good := ref.Base(m.random.Scalar())
	for _, p := range []struct {
		why string
		p   ref.Point
	}{
		{"the generator", ref.Base(one)},
		{"the generator's negative", ref.Neg(ref.Base(one))},
		{"U", ref.U()},
		{"some point", good},
		{"the point of the smallest x", ref.Join([]byte{2}, ref.B32(smallX()))},
	} {
		m.ok("P5.1 P5.7", "decode_point", p.why+" is a point", in{"point": p.p}, in{"key_id": keyID(p.p)})
	}
	for _, b := range brokenPoints(good) {
		m.bad("P5.1", "decode_point", "no point: "+b.why, in{"point": b.bytes}, "malformed")
	}
	scalar := m.random.Scalar()
	for _, c := range []struct {
		why string
		k   *big.Int
	}{{"1", one}, {"2", big.NewInt(2)}, {"n - 1", new(big.Int).Sub(ref.Order(), one)}, {"some number", scalar}} {
		m.ok("P5.2", "decode_scalar", c.why+" is a scalar", in{"scalar": c.k}, in{"public": ref.Base(c.k)})
	}
	for _, b := range brokenScalars(ref.B32(scalar)) {
		m.bad("P5.2", "decode_scalar", "no scalar: "+b.why, in{"scalar": b.bytes}, "malformed")
	}
	m.signatures()
	m.derivations()
	m.hybridKeys()
}

func (m *maker) signatures() {
	m.begin("signatures")
	key, n, half := m.random.Scalar(), ref.Order(), new(big.Int).Rsh(ref.Order(), 1)
	hash, public := digest("a message"), ref.Base(key)
	sig := ref.Sign(key, hash, m.random.Scalar())
	inputs := in{"public": public, "hash": hash, "signature": sig}
	m.ok("P5.3", "verify_signature", "a signature", inputs, in{})
	m.ok("P5.3", "verify_signature", "another signature of the same message",
		with(inputs, "signature", ref.Sign(key, hash, m.random.Scalar())), in{})
	zero := make([]byte, 32)
	m.ok("P5.3", "verify_signature", "a signature of the hash zero",
		with(inputs, "hash", zero, "signature", ref.Sign(key, zero, m.random.Scalar())), in{})
	ones := bytes.Repeat([]byte{0xff}, 32)
	m.ok("P5.3", "verify_signature", "a signature of a hash above n",
		with(inputs, "hash", ones, "signature", ref.Sign(key, ones, m.random.Scalar())), in{})

	r, s := sig[:32], new(big.Int).SetBytes(sig[32:])
	high := ref.B32(new(big.Int).Sub(n, s))
	for _, b := range []broken{
		{"the larger of the two s", ref.Join(r, high)},
		{"s just above (n-1)/2", ref.Join(r, ref.B32(new(big.Int).Add(half, big.NewInt(1))))},
		{"s of (n-1)/2, the largest allowed, but wrong", ref.Join(r, ref.B32(half))},
		{"r zero", ref.Join(zero, sig[32:])},
		{"s zero", ref.Join(r, zero)},
		{"both zero", make([]byte, 64)},
		{"r of n", ref.Join(ref.B32(n), sig[32:])},
		{"s of n", ref.Join(r, ref.B32(n))},
		{"r of 2^256 - 1", ref.Join(ones, sig[32:])},
		{"s of 2^256 - 1", ref.Join(r, ones)},
		{"r and s exchanged", ref.Join(sig[32:], r)},
		{"r altered", splice(sig, 31, 1, []byte{sig[31] ^ 1})},
		{"s altered", splice(sig, 63, 1, []byte{sig[63] ^ 1})},
		{"nothing", nil},
		{"one byte too few", sig[:63]},
		{"one byte too many", append(bytes.Clone(sig), 0)},
		{"r alone", r},
		{"DER", der(sig)},
	} {
		m.bad("P5.3", "verify_signature", "no signature: "+b.why, with(inputs, "signature", b.bytes), "proof")
	}
	m.bad("P5.3", "verify_signature", "a signature of another message", with(inputs, "hash", digest("another")), "proof")
	m.bad("P5.3", "verify_signature", "a signature by another key", with(inputs, "public", ref.Base(m.random.Scalar())), "proof")
	m.bad("P5.3", "verify_signature", "a signature under the negative of its key", with(inputs, "public", ref.Neg(public)), "proof")
	m.bad("P5.3", "verify_signature", "a hash of 31 bytes", with(inputs, "hash", hash[:31]), "parameter")
	m.bad("P5.3", "verify_signature", "a hash of 33 bytes", with(inputs, "hash", append(bytes.Clone(hash), 0)), "parameter")
	m.bad("P5.3", "verify_signature", "no hash", with(inputs, "hash", []byte{}), "parameter")
	for _, b := range brokenPoints(public) {
		m.bad("P5.3", "verify_signature", "the key is "+b.why, with(inputs, "public", b.bytes), "malformed")
	}
}

// der is the ASN.1 form of a signature.
func der(sig []byte) []byte {
	integer := func(b []byte) []byte {
		b = bytes.TrimLeft(b, "\x00")
		if b[0] >= 0x80 {
			b = append([]byte{0}, b...)
		}
		return append([]byte{2, byte(len(b))}, b...)
	}
	body := ref.Join(integer(sig[:32]), integer(sig[32:]))
	return append([]byte{0x30, byte(len(body))}, body...)
}

func (m *maker) derivations() {
	m.begin("derivations")
	seed := m.random.Bytes(32)
	for _, name := range []string{"private", "moderate", "record:7f3a", "Ä scope"} {
		for _, epoch := range []int{0, 1, 1<<32 - 1} {
			inputs := in{"seed": seed, "name": name, "epoch": epoch}
			a, s := ref.DeriveScalar("scope key", seed, name, uint32(epoch)), ref.DeriveScalar("scope signer", seed, name, uint32(epoch)) //nolint:gosec // small
			m.ok("P4.5", "derive_scope_key", fmt.Sprintf("the scope key of %q, epoch %d", name, epoch), inputs, in{"private": a, "public": ref.Base(a)})
			m.ok("P4.5", "derive_scope_signer", fmt.Sprintf("the scope signer of %q, epoch %d", name, epoch), inputs, in{"private": s, "public": ref.Base(s)})
			h := ref.NewHybrid(ref.DeriveHybrid(seed, name, uint32(epoch))) //nolint:gosec // small
			m.ok("P4.5", "derive_hybrid_key", fmt.Sprintf("the hybrid key of %q, epoch %d", name, epoch), inputs, in{"private": h.Private, "public": h.Public()})
		}
	}
	for _, operation := range []string{"derive_scope_key", "derive_scope_signer", "derive_hybrid_key"} {
		inputs := in{"seed": seed, "name": "private", "epoch": 1}
		m.bad("P4.5", operation, operation+" from an empty seed", with(inputs, "seed", []byte{}), "parameter")
		m.bad("P4.5", operation, operation+" from a seed of 31 bytes", with(inputs, "seed", seed[:31]), "parameter")
		m.bad("P4.5", operation, operation+" from a seed of 33 bytes", with(inputs, "seed", append(bytes.Clone(seed), 0)), "parameter")
		m.bad("P4.5", operation, operation+" from a seed of 64 bytes", with(inputs, "seed", append(bytes.Clone(seed), seed...)), "parameter")
		m.bad("P4.5", operation, operation+" for no name", with(inputs, "name", ""), "parameter")
	}
}

func (m *maker) hybridKeys() {
	m.begin("hybridKeys")
	private := m.random.Bytes(32)
	for _, sk := range []broken{{"some", private}, {"the zero", make([]byte, 32)}, {"the all-ones", bytes.Repeat([]byte{0xff}, 32)}} {
		h := ref.NewHybrid(sk.bytes)
		m.ok("P11.1", "decode_hybrid_private", sk.why+" hybrid private key", in{"private": sk.bytes}, in{"public": h.Public(), "key_id": keyID(h.Public())})
	}
	for _, b := range []broken{
		{"nothing", nil},
		{"31 bytes", private[:31]},
		{"33 bytes", append(bytes.Clone(private), 0)},
		{"64 bytes", append(bytes.Clone(private), private...)},
	} {
		m.bad("P11.1", "decode_hybrid_private", "no hybrid private key: "+b.why, in{"private": b.bytes}, "malformed")
	}
	public := ref.NewHybrid(private).Public()
	m.ok("P5.7 P11.1", "decode_hybrid_public", "a hybrid public key", in{"public": public}, in{"key_id": keyID(public)})
	large := bytes.Clone(public) // the first coefficient, 12 bits little-endian, becomes 3329
	large[0], large[1] = 0x01, public[1]&0xf0|0x0d
	last := bytes.Clone(public) // and the last one 4095
	last[1150], last[1151] = last[1150]|0xf0, 0xff
	point := func(b []byte) []byte { return splice(public, 1184, 65, b) }
	long := public[1184:]
	off := bytes.Clone(long)
	off[64] ^= 1
	for _, b := range []broken{
		{"nothing", nil},
		{"one byte too few", public[:1248]},
		{"one byte too many", append(bytes.Clone(public), 0)},
		{"the ML-KEM part alone", public[:1184]},
		{"the point alone", long},
		{"the first coefficient is 3329", large},
		{"the last coefficient is 4095", last},
		{"all coefficients are 4095", ref.Join(bytes.Repeat([]byte{0xff}, 1152), public[1152:])},
		{"the point is zero bytes", point(make([]byte, 65))},
		{"the point is not on the curve", point(off)},
		{"the point's first byte is 02", point(append([]byte{2}, long[1:]...))},
		{"the point's first byte is 06", point(append([]byte{6}, long[1:]...))},
		{"the point is compressed, zero bytes behind it", point(append(ref.Compressed(long), make([]byte, 32)...))},
		{"the point is compressed", point(ref.Compressed(long))},
		{"the point is the identity in one byte", point([]byte{0})},
		{"x of the point is the field prime", point(ref.Join([]byte{4}, ref.B32(ref.Prime()), long[33:]))},
		{"y of the point is the field prime", point(ref.Join(long[:33], ref.B32(ref.Prime())))},
	} {
		m.bad("P11.1", "decode_hybrid_public", "no hybrid public key: "+b.why, in{"public": b.bytes}, "malformed")
	}
}
