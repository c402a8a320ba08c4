// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"math/big"
	"strings"

	ref "github.com/emrys-health/emrys/pkg/vectors/internal/reference"
)

func primitives(m *maker) {
	ab, c := []byte("ab"), []byte("c")
	lists := []struct {
		why   string
		parts [][]byte
	}{
		{"no parts", [][]byte{}},
		{"one empty part", [][]byte{{}}},
		{"two empty parts", [][]byte{{}, {}}},
		{"ab and c", [][]byte{ab, c}},
		{"a and bc, which concatenate to the same", [][]byte{[]byte("a"), []byte("bc")}},
		{"a part of 300 bytes", [][]byte{bytes.Repeat([]byte{7}, 300)}},
		{"what a length prefix could be taken for", [][]byte{{0, 0, 0, 1, 7}, {0, 0, 0, 0}}},
	}
	for _, l := range lists {
		m.ok("P4.1", "parts", "parts of "+l.why, in{"parts": l.parts}, in{"bytes": ref.Parts(l.parts...)})
		for _, label := range []string{"gateway", "seal"} {
			inputs := in{"label": label, "parts": l.parts}
			m.ok("P4.1", "joined", fmt.Sprintf("joined under %q: %s", label, l.why), inputs, in{"bytes": ref.Joined(label, l.parts...)})
			m.ok("P4.2", "hash", fmt.Sprintf("H under %q: %s", label, l.why), inputs, in{"hash": ref.H(label, l.parts...)})
		}
	}
	m.expansions()
	m.scalars()
	m.ok("P1", "second_generator", "the second generator U", in{}, in{"point": ref.U()})
	for _, g := range []string{"Hospital1MSP", "g", strings.Repeat("G", 128), "!~"} {
		m.ok("P5.5", "gateway_hash", fmt.Sprintf("gw of an id of %d bytes: %.12s", len(g), g), in{"gateway": g}, in{"hash": ref.Gateway(g)})
	}
}

func (m *maker) expansions() {
	m.begin("expansions")
	const rfc = "QUUX-V01-CS02-with-expander-SHA256-128"
	for _, msg := range []string{"", "abc", "abcdef0123456789"} {
		for _, size := range []int{32, 128} {
			m.ok("P4.3", "expand", fmt.Sprintf("RFC 9380, K.1: %q to %d bytes", msg, size),
				in{"message": []byte(msg), "dst": rfc, "size": size}, in{"bytes": ref.Expand([]byte(msg), rfc, size)})
		}
	}
	m.ok("P4.3", "expand", "48 bytes under a tag of the suite",
		in{"message": []byte("x"), "dst": "EMRYS-PRE-V1-P256-d", "size": 48}, in{"bytes": ref.Expand([]byte("x"), "EMRYS-PRE-V1-P256-d", 48)})
	for _, label := range []string{"capsule", "capsule r", "capsule u", "d", "x", "reencryption", "reencryption nonce"} {
		for i, parts := range [][][]byte{{}, {[]byte("one"), []byte("two")}, {m.random.Bytes(33), m.random.Bytes(32)}} {
			expanded := ref.Expand(ref.Parts(parts...), ref.Suite+"-P256-"+label, 48)
			m.ok("P4.3 P4.6", "hash_to_scalar", fmt.Sprintf("H_s under %q, %d", label, i+1), in{"label": label, "parts": parts},
				in{"scalar": ref.HashToScalar(label, parts...)}, in{"expanded": expanded})
		}
	}
}

func (m *maker) scalars() {
	m.begin("scalars")
	n := ref.Order()
	wide := func(x *big.Int) []byte { return x.FillBytes(make([]byte, 48)) }
	one := big.NewInt(1)
	for _, c := range []struct {
		why string
		b   []byte
	}{
		{"zero", make([]byte, 48)},
		{"one", wide(one)},
		{"n - 1", wide(new(big.Int).Sub(n, one))},
		{"n, which is zero", wide(n)},
		{"n + 1", wide(new(big.Int).Add(n, one))},
		{"2^256", wide(new(big.Int).Lsh(one, 256))},
		{"2^192", wide(new(big.Int).Lsh(one, 192))},
		{"2^384 - 1", bytes.Repeat([]byte{0xff}, 48)},
		{"n times 2^100, which is zero", wide(new(big.Int).Lsh(n, 100))},
		{"random bytes", m.random.Bytes(48)},
	} {
		m.ok("P4.3", "reduce", "48 bytes modulo n: "+c.why, in{"bytes": c.b}, in{"scalar": ref.Reduce(c.b)})
	}
	secret := m.random.Bytes(32)
	for _, salt := range [][]byte{{}, m.random.Bytes(32)} {
		for _, size := range []int{32, 48} {
			m.ok("P4.4", "kdf", fmt.Sprintf("%d bytes with a salt of %d", size, len(salt)),
				in{"secret": secret, "salt": salt, "size": size, "label": "kek", "parts": [][]byte{[]byte("a"), {}}},
				in{"key": ref.KDF(secret, salt, size, "kek", []byte("a"), nil)})
		}
	}
}
