// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package algebra

import "fmt"

// PointSize is the length in bytes of an encoded point: SEC 1 compressed, the only form read or written.
const PointSize = 33

// Group is a group of prime order on a curve, with elements of type P, the identity included. Multiplication runs in constant time
// in the scalar.
type Group[P any] interface {
	// Field returns the integers modulo the group's order.
	Field() *Field
	// Mul returns k·p.
	Mul(k Scalar, p P) P
	// BaseMul returns k·G.
	BaseMul(k Scalar) P
	// Add returns p + q.
	Add(p, q P) P
	// Sub returns p - q.
	Sub(p, q P) P
	// Equal reports whether p and q are the same.
	Equal(p, q P) bool
	// IsIdentity reports whether p is the identity.
	IsIdentity(p P) bool
	// Encode returns the SEC 1 compressed form of p, which is not the identity.
	Encode(p P) [PointSize]byte
	// Decode reads the SEC 1 compressed form.
	Decode(b [PointSize]byte) (P, error)
}

// Point is an element that is not the identity, with its encoding, which every use of it hashes or sends. The zero Point
// stands for the identity, which no object may hold. It is immutable.
type Point[P any] struct {
	Element P
	enc     [PointSize]byte
}

// PointOf encodes p. Where p is the identity the result is not Valid.
func PointOf[P any](g Group[P], p P) Point[P] {
	if g.IsIdentity(p) {
		return Point[P]{}
	}
	return Point[P]{p, g.Encode(p)}
}

// ParsePoint decodes 33 bytes, SEC 1 compressed. Every other form is an error, the identity's too.
func ParsePoint[P any](g Group[P], b []byte) (Point[P], error) {
	if len(b) != PointSize {
		return Point[P]{}, fmt.Errorf("point of %d bytes", len(b))
	}
	enc := [PointSize]byte(b)
	p, err := g.Decode(enc)
	if err != nil {
		return Point[P]{}, fmt.Errorf("point is not on the curve: %w", err)
	}
	return Point[P]{p, enc}, nil
}

// Valid reports whether p is a point: neither the zero Point nor the identity.
func (p Point[P]) Valid() bool { return p.enc[0] != 0 }

// Bytes returns the 33-byte encoding.
func (p Point[P]) Bytes() []byte { return p.enc[:] }

// X returns the x coordinate, 32 bytes big-endian.
func (p Point[P]) X() []byte { return p.enc[1:] }

// Encoding returns the 33-byte encoding as an array, to compare or to key a map with.
func (p Point[P]) Encoding() [PointSize]byte { return p.enc }
