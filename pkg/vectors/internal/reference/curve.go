// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package reference

import (
	"crypto/elliptic"
	"math/big"

	"filippo.io/nistec"
)

// Point is a point by its compressed encoding; the identity is the one byte 00.
type Point []byte

// Order returns n, a new number each time.
func Order() *big.Int { return new(big.Int).Set(elliptic.P256().Params().N) }

// Prime returns the field prime, a new number each time.
func Prime() *big.Int { return new(big.Int).Set(elliptic.P256().Params().P) }

// U is the second generator of pre.md P1.
func U() Point {
	return Scalar32Hex("03243a305ceb214b51cba1a35eadd3554e5782d5056a026d3dc0961448b84bfc90")
}

// Scalar32Hex decodes hexadecimal digits.
func Scalar32Hex(digits string) []byte {
	b, ok := new(big.Int).SetString(digits, 16)
	if !ok {
		panic("reference: not hexadecimal")
	}
	return b.FillBytes(make([]byte, len(digits)/2))
}

// Reduce reads big-endian bytes modulo n.
func Reduce(b []byte) *big.Int { return Mod(new(big.Int).SetBytes(b)) }

// Mod reduces modulo n.
func Mod(x *big.Int) *big.Int { return new(big.Int).Mod(x, Order()) }

// B32 writes a number below 2^256 as 32 bytes.
func B32(x *big.Int) []byte { return x.FillBytes(make([]byte, 32)) }

// PlusMod is a+b modulo n.
func PlusMod(a, b *big.Int) *big.Int { return Mod(new(big.Int).Add(a, b)) }

// TimesMod is a·b modulo n.
func TimesMod(a, b *big.Int) *big.Int { return Mod(new(big.Int).Mul(a, b)) }

// MinusMod is a-b modulo n.
func MinusMod(a, b *big.Int) *big.Int { return Mod(new(big.Int).Sub(a, b)) }

// InvMod is 1/a modulo n.
func InvMod(a *big.Int) *big.Int { return new(big.Int).ModInverse(a, Order()) }

func decode(p Point) *nistec.P256Point { return Must(nistec.NewP256Point().SetBytes(p)) }

// Base is k·G.
func Base(k *big.Int) Point {
	return Must(nistec.NewP256Point().ScalarBaseMult(B32(Mod(k)))).BytesCompressed()
}

// Mul is k·P.
func Mul(k *big.Int, p Point) Point {
	return Must(nistec.NewP256Point().ScalarMult(decode(p), B32(Mod(k)))).BytesCompressed()
}

// Add is P + Q.
func Add(p, q Point) Point { return nistec.NewP256Point().Add(decode(p), decode(q)).BytesCompressed() }

// Neg is -P.
func Neg(p Point) Point { return Mul(new(big.Int).Sub(Order(), big.NewInt(1)), p) }

// X is the x coordinate, 32 bytes, of a point other than the identity.
func X(p Point) []byte { return p[1:] }

// Uncompressed is the 65-byte form.
func Uncompressed(p Point) []byte { return decode(p).Bytes() }

// Compressed is the 33-byte form of a 65-byte one.
func Compressed(b []byte) Point { return decode(b).BytesCompressed() }

// Sign makes an ECDSA signature r ‖ s with low s over a 32-byte hash, with the nonce k (pre.md P5.3).
func Sign(key *big.Int, hash []byte, k *big.Int) []byte {
	r := Reduce(X(Base(k)))
	s := TimesMod(InvMod(k), PlusMod(new(big.Int).SetBytes(hash), TimesMod(r, key)))
	if s.Cmp(new(big.Int).Rsh(Order(), 1)) > 0 {
		s = MinusMod(new(big.Int), s)
	}
	return Join(B32(r), B32(s))
}

// Polynomial is f by its coefficients, constant term first.
type Polynomial []*big.Int

// At is f(x).
func (f Polynomial) At(x *big.Int) *big.Int {
	y := new(big.Int)
	for i := len(f) - 1; i >= 0; i-- {
		y = PlusMod(TimesMod(y, x), f[i])
	}
	return y
}

// Lagrange returns the λ_i with f(at) = Σ λ_i·f(x_i). The x_i must be distinct.
func Lagrange(xs []*big.Int, at *big.Int) []*big.Int {
	out := make([]*big.Int, len(xs))
	for i, xi := range xs {
		out[i] = big.NewInt(1)
		for j, xj := range xs {
			if i != j {
				out[i] = TimesMod(out[i], TimesMod(MinusMod(xj, at), InvMod(MinusMod(xj, xi))))
			}
		}
	}
	return out
}

// Interpolate returns f(at) of the polynomial of degree len(xs)-1 through the points.
func Interpolate(xs, ys []*big.Int, at *big.Int) *big.Int {
	sum := new(big.Int)
	for i, l := range Lagrange(xs, at) {
		sum = PlusMod(sum, TimesMod(l, ys[i]))
	}
	return sum
}
