// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package pre

import (
	"sync"

	"filippo.io/nistec"
)

// PointSize is the length in bytes of an encoded point: SEC 1 compressed, the only form this package reads or writes.
const PointSize = 33

// uBytes is U, the second generator that key fragments are committed to: hash_to_curve of RFC 9380, suite
// P256_XMD:SHA-256_SSWU_RO_, of the message and domain tag below, so that nobody knows its logarithm. It is a constant
// and never read from the wire: a fragment that brings its own U can be made to verify for any key.
const (
	uMessage = "POINT_U"
	uDomain  = "EMRYS-PRE-V1-P256_XMD:SHA-256_SSWU_RO_"
	uBytes   = "\x03\x24\x3a\x30\x5c\xeb\x21\x4b\x51\xcb\xa1\xa3\x5e\xad\xd3\x55\x4e" +
		"\x57\x82\xd5\x05\x6a\x02\x6d\x3d\xc0\x96\x14\x48\xb8\x4b\xfc\x90"
)

var generatorU = sync.OnceValue(func() point {
	u, err := parsePoint([]byte(uBytes))
	if err != nil {
		panic("pre: U is a constant: " + err.Error())
	}
	return u
})

// element is any group element, the identity included: what arithmetic passes around.
type element = *nistec.P256Point

// point is a group element that is not the identity, with its encoding, which every use of it hashes or sends.
type point struct {
	p   element
	enc [PointSize]byte
}

// newPoint encodes p, refusing the identity: no point of the protocol may be it.
func newPoint(p element) (point, error) {
	if p.IsInfinity() == 1 {
		return point{}, malformed("point is the identity")
	}
	return point{p: p, enc: [PointSize]byte(p.BytesCompressed())}, nil
}

// parsePoint decodes a compressed point. The length check comes first because nistec would also read the one-byte identity
// and the uncompressed form.
func parsePoint(b []byte) (point, error) {
	if len(b) != PointSize {
		return point{}, malformed("point of %d bytes", len(b))
	}
	p, err := nistec.NewP256Point().SetBytes(b)
	if err != nil {
		return point{}, malformed("point is not on the curve")
	}
	return point{p: p, enc: [PointSize]byte(b)}, nil
}

func (p point) bytes() []byte { return p.enc[:] }

// baseMul returns k·G in constant time.
func baseMul(k scalar) element { return checked(nistec.NewP256Point().ScalarBaseMult(k.bytes())) }

// mul returns k·p in constant time.
func mul(k scalar, p element) element { return checked(nistec.NewP256Point().ScalarMult(p, k.bytes())) }

// checked turns the error of a scalar that is not 32 bytes long, which the scalar type rules out, into the identity, which
// every use of the result refuses.
func checked(p element, err error) element {
	if err != nil {
		return nistec.NewP256Point()
	}
	return p
}

func add(p, q element) element { return nistec.NewP256Point().Add(p, q) }

func sub(p, q element) element {
	return nistec.NewP256Point().Add(p, nistec.NewP256Point().Negate(q))
}
