// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package algebra

import (
	"errors"
	"fmt"
	"io"

	"filippo.io/bigmod"
)

// ScalarSize is the length in bytes of an encoded scalar: big-endian and reduced, so there is one encoding per value.
const ScalarSize = 32

// WideSize is how many uniform bytes Reduce turns into one scalar: 128 bits more than the order has, so that the bias is
// about 2^-128 for any order of 256 bits (RFC 9380, 5.1).
const WideSize = 48

// Field is the integers modulo a prime n of 256 bits. It is immutable and safe for concurrent use.
type Field struct {
	n         *bigmod.Modulus
	minusTwo  []byte      // n-2, the exponent that inverts by Fermat's little theorem
	wideShift *bigmod.Nat // 2^192, joins the two halves of a wide value
}

// NewField returns the integers modulo order, 32 bytes big-endian. The order must have 256 bits and be odd; that it is
// prime is the caller's word.
func NewField(order []byte) (*Field, error) {
	if len(order) != ScalarSize || order[0]&0x80 == 0 || order[ScalarSize-1]&1 == 0 {
		return nil, errors.New("the order of a field must be odd and have 256 bits")
	}
	f := &Field{n: Must(bigmod.NewModulus(order))} // refuses 0 and 1 only
	f.minusTwo = f.Small(0).Sub(f.Small(2)).Bytes()
	var shift [ScalarSize]byte
	shift[ScalarSize-WideSize/2-1] = 1
	f.wideShift = f.below(shift[:])
	return f, nil
}

// below decodes at most 32 bytes that are below n because of their length or leading bits.
func (f *Field) below(b []byte) *bigmod.Nat {
	var padded [ScalarSize]byte
	defer clear(padded[:])
	copy(padded[ScalarSize-len(b):], b)
	return Must(bigmod.NewNat().SetBytes(padded[:], f.n))
}

// Parse decodes 32 bytes. It refuses zero and everything not below n: no scalar that travels may be either.
func (f *Field) Parse(b []byte) (Scalar, error) {
	if len(b) != ScalarSize {
		return Scalar{}, fmt.Errorf("scalar of %d bytes", len(b))
	}
	n, err := bigmod.NewNat().SetBytes(b, f.n)
	if err != nil {
		return Scalar{}, errors.New("scalar is not reduced")
	}
	if n.IsZero() == 1 {
		return Scalar{}, errors.New("scalar is zero")
	}
	return f.scalar(n), nil
}

// Reduce reads 48 bytes big-endian and reduces them modulo n: hi·2^192 + lo, where both halves are below n.
func (f *Field) Reduce(b *[WideSize]byte) Scalar {
	hi, lo := f.below(b[:WideSize/2]), f.below(b[WideSize/2:])
	return f.scalar(hi.Mul(f.wideShift, f.n).Add(lo, f.n))
}

// Random returns a uniform non-zero scalar made of 48 bytes of source. ErrDegenerate if the source yields only zeros.
func (f *Field) Random(source io.Reader) (Scalar, error) {
	var b [WideSize]byte
	defer clear(b[:])
	for range 2 { // a sound source never needs the second round
		if _, err := io.ReadFull(source, b[:]); err != nil {
			return Scalar{}, fmt.Errorf("read randomness: %w", err)
		}
		if x := f.Reduce(&b); !x.IsZero() {
			return x, nil
		}
	}
	return Scalar{}, fmt.Errorf("random source yields only zeros: %w", ErrDegenerate)
}

// Small returns a small public integer as a scalar.
func (f *Field) Small(i uint8) Scalar {
	return f.scalar(bigmod.NewNat().SetUint(uint(i)).ExpandFor(f.n))
}

// Scalar is an element of a Field. It is immutable: every operation runs in constant time and returns a new value. Both operands
// must be of one field. It prints without its value, also in places where package fmt cannot call its methods.
type Scalar struct {
	n *hidden
	f *Field
}

// hidden keeps a number behind a second pointer. Where a verb does not fit, package fmt follows one pointer, even in unexported
// fields; it does not follow two.
type hidden struct{ nat *bigmod.Nat }

func (f *Field) scalar(n *bigmod.Nat) Scalar { return Scalar{&hidden{n}, f} }

// Valid reports whether a is an element of a field, which the zero Scalar is not.
func (a Scalar) Valid() bool { return a.n != nil }

func (a Scalar) clone() *bigmod.Nat { return bigmod.NewNat().ExpandFor(a.f.n).Add(a.n.nat, a.f.n) }

// Add returns a + b.
func (a Scalar) Add(b Scalar) Scalar { return a.f.scalar(a.clone().Add(b.n.nat, a.f.n)) }

// Sub returns a - b.
func (a Scalar) Sub(b Scalar) Scalar { return a.f.scalar(a.clone().Sub(b.n.nat, a.f.n)) }

// Mul returns a·b.
func (a Scalar) Mul(b Scalar) Scalar { return a.f.scalar(a.clone().Mul(b.n.nat, a.f.n)) }

// Inv returns 1/a as a^(n-2); that of zero is zero. bigmod's own inversion is faster, but not constant in time.
func (a Scalar) Inv() Scalar {
	return a.f.scalar(bigmod.NewNat().Exp(a.n.nat, a.f.minusTwo, a.f.n))
}

// IsZero reports whether a is zero.
func (a Scalar) IsZero() bool { return a.n.nat.IsZero() == 1 }

// Equal reports whether a and b are the same.
func (a Scalar) Equal(b Scalar) bool { return a.n.nat.Equal(b.n.nat) == 1 }

// Bytes returns the 32-byte encoding.
func (a Scalar) Bytes() []byte { return a.n.nat.Bytes(a.f.n) }

// String returns the name of the type and no value.
func (a Scalar) String() string { return "algebra.Scalar" }

// GoString is String.
func (a Scalar) GoString() string { return a.String() }

// Format writes String for every verb.
func (a Scalar) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, a.String()) }
