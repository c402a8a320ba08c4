// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"math/big"
	"strings"

	ref "github.com/emrys-health/emrys/pkg/vectors/internal/reference"
)

// broken is something that is no encoding, and a phrase that says why.
type broken struct {
	why   string
	bytes []byte
}

// smallX is the smallest positive x of a point on the curve: x + p still fits into 32 bytes.
func smallX() *big.Int {
	for x := int64(1); ; x++ {
		if onCurve(big.NewInt(x)) {
			return big.NewInt(x)
		}
	}
}

// offCurve is the smallest positive x without a point.
func offCurve() *big.Int {
	for x := int64(1); ; x++ {
		if !onCurve(big.NewInt(x)) {
			return big.NewInt(x)
		}
	}
}

// onCurve reports whether x³ - 3x + b is a square.
func onCurve(x *big.Int) bool {
	p := ref.Prime()
	b := new(big.Int).SetBytes(ref.Scalar32Hex("5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b"))
	y := new(big.Int).Exp(x, big.NewInt(3), p)
	y.Sub(y, new(big.Int).Mul(x, big.NewInt(3)))
	y.Add(y, b)
	return big.Jacobi(y.Mod(y, p), p) >= 0
}

// brokenPoints33 are 33 bytes each, so that they can take the place of a point in an object.
func brokenPoints33(good ref.Point) []broken {
	first := func(b byte) []byte { return append([]byte{b}, good[1:]...) }
	above := new(big.Int).Add(smallX(), ref.Prime())
	return []broken{
		{"33 zero bytes", make([]byte, 33)},
		{"33 bytes ff", bytes.Repeat([]byte{0xff}, 33)},
		{"first byte 00", first(0)},
		{"first byte 01", first(1)},
		{"first byte 04, of the uncompressed form", first(4)},
		{"first byte 05", first(5)},
		{"first byte 82", first(0x82)},
		{"an x without a point", ref.Join([]byte{2}, ref.B32(offCurve()))},
		{"x equal to the field prime", ref.Join([]byte{2}, ref.B32(ref.Prime()))},
		{"x above the field prime, of a point otherwise", ref.Join([]byte{3}, ref.B32(above))},
	}
}

// brokenPoints are those of any length.
func brokenPoints(good ref.Point) []broken {
	long := ref.Uncompressed(good)
	mixed := bytes.Clone(long)
	mixed[0] = 6 | good[0]&1
	return append(brokenPoints33(good),
		broken{"nothing", nil},
		broken{"the identity in its one-byte form", []byte{0}},
		broken{"one byte 02", []byte{2}},
		broken{"the uncompressed form", long},
		broken{"the hybrid form of SEC 1", mixed},
		broken{"one byte too few", good[:32]},
		broken{"one byte too many", append(bytes.Clone(good), 0)},
		broken{"65 zero bytes", make([]byte, 65)},
	)
}

// brokenScalars32 are 32 bytes each.
func brokenScalars32() []broken {
	n := ref.Order()
	return []broken{
		{"zero", make([]byte, 32)},
		{"n", ref.B32(n)},
		{"n + 1", ref.B32(new(big.Int).Add(n, big.NewInt(1)))},
		{"2^256 - 1", bytes.Repeat([]byte{0xff}, 32)},
	}
}

func brokenScalars(good []byte) []broken {
	return append(brokenScalars32(),
		broken{"nothing", nil},
		broken{"31 bytes", good[:31]},
		broken{"33 bytes, the first zero", append([]byte{0}, good...)},
		broken{"33 bytes, the last zero", append(bytes.Clone(good), 0)},
	)
}

// place is where a field stands in an encoding.
type place struct {
	name         string
	offset, size int
	kind         byte // 'p'oint, 's'calar, 'b'ytes
}

// splice replaces size bytes at offset.
func splice(b []byte, offset, size int, by []byte) []byte {
	return ref.Join(b[:offset], by, b[offset+size:])
}

// brokenObjects are all ways to break an object of fixed fields.
func brokenObjects(good []byte, places []place) []broken {
	out := []broken{
		{"nothing", nil},
		{"the first byte only", good[:1]},
		{"truncated by one byte", good[:len(good)-1]},
		{"a byte before it", append([]byte{0}, good...)},
		{"a byte left over", append(bytes.Clone(good), 0)},
		{"itself twice", append(bytes.Clone(good), good...)},
	}
	for _, p := range places {
		field := good[p.offset : p.offset+p.size]
		out = append(out, broken{p.name + " left out", splice(good, p.offset, p.size, nil)})
		var candidates []broken
		switch p.kind {
		case 'p':
			candidates = append(brokenPoints33(field),
				broken{"the identity in its one-byte form", []byte{0}},
				broken{"the uncompressed form", ref.Uncompressed(field)})
		case 's':
			candidates = brokenScalars32()
		}
		for _, c := range candidates {
			out = append(out, broken{p.name + " is " + c.why, splice(good, p.offset, p.size, c.bytes)})
		}
	}
	return out
}

// brokenGateways are gateway ids that none may have, with the length byte they come behind in an object.
func brokenGateways() []broken {
	return []broken{
		{"empty", nil},
		{"129 bytes long", []byte(strings.Repeat("g", 129))},
		{"255 bytes long", []byte(strings.Repeat("g", 255))},
		{"with a space", []byte("Hospital 1")},
		{"with a line feed", []byte("Hospital\n1")},
		{"with a zero byte", []byte("Hospital\x001")},
		{"with a byte 7f", []byte("Hospital\x7f1")},
		{"with UTF-8 beyond ASCII", []byte("Hospitäl1")},
		{"with a byte ff", []byte("Hospital\xff1")},
	}
}

// brokenIDs break the gateway id at the end of an object, which begins at offset with its length byte.
func brokenIDs(good []byte, offset int) []broken {
	var out []broken
	for _, g := range brokenGateways() {
		out = append(out, broken{"gateway id " + g.why, ref.Join(good[:offset], []byte{byte(len(g.bytes))}, g.bytes)})
	}
	id := good[offset+1:]
	return append(out,
		broken{"gateway id one byte shorter than its length byte", good[:len(good)-1]},
		broken{"length byte of the gateway id one too small", ref.Join(good[:offset], []byte{byte(len(id) - 1)}, id)},
		broken{"length byte of the gateway id one too large", ref.Join(good[:offset], []byte{byte(len(id) + 1)}, id)},
		broken{"gateway id without its length byte", ref.Join(good[:offset], id)},
	)
}
