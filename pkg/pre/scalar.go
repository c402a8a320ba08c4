// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package pre

import (
	"crypto/rand"
	"fmt"
	"io"
	"sync"

	"filippo.io/bigmod"
)

// ScalarSize is the length in bytes of an encoded scalar: big-endian, reduced, so there is one encoding per value.
const ScalarSize = 32

// wideSize is how many uniform bytes are reduced to one scalar. 48 bytes leave a bias of about 2^-128. Reducing a bare
// SHA-256 output instead, as Umbral does, would leave about 2^-32 on P-256, whose order is 2^224 away from 2^256.
const wideSize = 48

// The order n of the group and n-2, the exponent that inverts by Fermat's little theorem (SP 800-186, 3.2.1.3).
const (
	orderBytes = "\xff\xff\xff\xff\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff" +
		"\xbc\xe6\xfa\xad\xa7\x17\x9e\x84\xf3\xb9\xca\xc2\xfc\x63\x25\x51"
	orderMinus2Bytes = "\xff\xff\xff\xff\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff" +
		"\xbc\xe6\xfa\xad\xa7\x17\x9e\x84\xf3\xb9\xca\xc2\xfc\x63\x25\x4f"
)

// field holds what arithmetic modulo n needs. It is computed once and never written again.
type field struct {
	n     *bigmod.Modulus
	shift *bigmod.Nat // 2^192 mod n, joins the two halves of a wide value
}

var scalarField = sync.OnceValue(func() field {
	n, err := bigmod.NewModulus([]byte(orderBytes))
	if err != nil {
		panic("pre: the group order is a constant: " + err.Error())
	}
	var b [ScalarSize]byte
	b[7] = 1 // 2^192
	shift, err := bigmod.NewNat().SetBytes(b[:], n)
	if err != nil {
		panic("pre: 2^192 is below the group order: " + err.Error())
	}
	return field{n: n, shift: shift}
})

// scalar is an integer modulo n. Every operation runs in constant time and returns a new value.
type scalar struct{ n *bigmod.Nat }

// hide returns a pointer to keep a long-lived secret behind. Package fmt follows one pointer when a verb does not fit, even
// in unexported fields where it calls no Format method; it does not follow two.
func hide(s scalar) *scalar { return &s }

// parseScalar decodes 32 bytes, refusing zero and anything not below n: no scalar of the protocol may be either.
func parseScalar(b []byte) (scalar, error) {
	if len(b) != ScalarSize {
		return scalar{}, malformed("scalar of %d bytes", len(b))
	}
	n, err := bigmod.NewNat().SetBytes(b, scalarField().n)
	if err != nil {
		return scalar{}, malformed("scalar is not reduced")
	}
	if n.IsZero() == 1 {
		return scalar{}, malformed("scalar is zero")
	}
	return scalar{n}, nil
}

// reduceWide reduces 48 bytes modulo n: hi·2^192 + lo, where both halves are 24 bytes and so below n.
func reduceWide(b *[wideSize]byte) scalar {
	f := scalarField()
	half := func(part []byte) *bigmod.Nat {
		var padded [ScalarSize]byte
		copy(padded[ScalarSize-len(part):], part)
		x, err := bigmod.NewNat().SetBytes(padded[:], f.n)
		if err != nil {
			panic("pre: 24 bytes are below the group order: " + err.Error())
		}
		return x
	}
	hi, lo := half(b[:wideSize/2]), half(b[wideSize/2:])
	return scalar{hi.Mul(f.shift, f.n).Add(lo, f.n)}
}

// randomScalar returns a uniform non-zero scalar. A nil source means crypto/rand.
func randomScalar(source io.Reader) (scalar, error) {
	var b [wideSize]byte
	defer clear(b[:])
	// The loop cannot end without a broken source: zero has probability 2^-256. Two zeros in a row are refused.
	for range 2 {
		if _, err := io.ReadFull(randomOr(source), b[:]); err != nil {
			return scalar{}, fmt.Errorf("read randomness: %w", err)
		}
		if x := reduceWide(&b); !x.isZero() {
			return x, nil
		}
	}
	return scalar{}, parameter("random source yields only zeros")
}

func randomOr(source io.Reader) io.Reader {
	if source == nil {
		return rand.Reader
	}
	return source
}

// scalarFromInt returns a small public integer as a scalar.
func scalarFromInt(i uint8) scalar {
	return scalar{bigmod.NewNat().SetUint(uint(i)).ExpandFor(scalarField().n)}
}

func (a scalar) clone() *bigmod.Nat {
	n := scalarField().n
	return bigmod.NewNat().ExpandFor(n).Add(a.n, n)
}

func (a scalar) add(b scalar) scalar { return scalar{a.clone().Add(b.n, scalarField().n)} }
func (a scalar) sub(b scalar) scalar { return scalar{a.clone().Sub(b.n, scalarField().n)} }
func (a scalar) mul(b scalar) scalar { return scalar{a.clone().Mul(b.n, scalarField().n)} }

// inv returns a^(n-2), the inverse of a non-zero a. It is the constant-time way; bigmod's InverseVarTime is not.
func (a scalar) inv() scalar {
	return scalar{bigmod.NewNat().Exp(a.n, []byte(orderMinus2Bytes), scalarField().n)}
}

func (a scalar) isZero() bool        { return a.n.IsZero() == 1 }
func (a scalar) equal(b scalar) bool { return a.n.Equal(b.n) == 1 }
func (a scalar) bytes() []byte       { return a.n.Bytes(scalarField().n) }
