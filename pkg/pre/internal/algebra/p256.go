// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package algebra

import (
	"sync"

	"filippo.io/nistec"
)

// p256Order is the order of P-256 (SP 800-186, 3.2.1.3).
const p256Order = "\xff\xff\xff\xff\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff" +
	"\xbc\xe6\xfa\xad\xa7\x17\x9e\x84\xf3\xb9\xca\xc2\xfc\x63\x25\x51"

// P256Element is an element of P-256.
type P256Element = *nistec.P256Point

// P256Group is P-256 over the constant-time code of the standard library's module.
type P256Group struct{ field *Field }

var p256 = sync.OnceValue(func() P256Group { return P256Group{Must(NewField([]byte(p256Order)))} })

// P256 returns the group P-256.
func P256() P256Group { return p256() }

var _ Group[P256Element] = P256Group{}

// Field implements Group.
func (g P256Group) Field() *Field { return g.field }

// Mul implements Group.
func (g P256Group) Mul(k Scalar, p P256Element) P256Element {
	return orIdentity(nistec.NewP256Point().ScalarMult(p, k.Bytes()))
}

// BaseMul implements Group.
func (g P256Group) BaseMul(k Scalar) P256Element {
	return orIdentity(nistec.NewP256Point().ScalarBaseMult(k.Bytes()))
}

// orIdentity turns the error of a scalar that is not 32 bytes long, which the type of scalars rules out, into the identity,
// which every use of the result refuses.
func orIdentity(p P256Element, err error) P256Element {
	if err != nil {
		return nistec.NewP256Point()
	}
	return p
}

// Add implements Group.
func (g P256Group) Add(p, q P256Element) P256Element { return nistec.NewP256Point().Add(p, q) }

// Sub implements Group.
func (g P256Group) Sub(p, q P256Element) P256Element {
	return g.Add(p, nistec.NewP256Point().Negate(q))
}

// Equal implements Group.
func (g P256Group) Equal(p, q P256Element) bool { return p.Equal(q) == 1 }

// IsIdentity implements Group.
func (g P256Group) IsIdentity(p P256Element) bool { return p.IsInfinity() == 1 }

// Encode implements Group.
func (g P256Group) Encode(p P256Element) [PointSize]byte { return [PointSize]byte(p.BytesCompressed()) }

// Decode implements Group. That the argument has 33 bytes keeps nistec from reading the one-byte identity and the
// uncompressed form, which it also knows.
func (g P256Group) Decode(b [PointSize]byte) (P256Element, error) {
	return nistec.NewP256Point().SetBytes(b[:])
}
