// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"math/big"

	"filippo.io/bigmod"
)

// controls are operations of which we know how they must come out: they test the tool.
func controls() []target {
	return []target{
		{name: "control: big.Int exponentiation", leaky: true, repeat: 1, prepare: bigExponent},
		{name: "control: variable-time inversion", leaky: true, repeat: 1, prepare: quickInverse},
		{name: "control: comparison that stops early", leaky: true, repeat: 20, prepare: earlyExit},
		{name: "control: two classes that are the same", repeat: 1, prepare: same},
	}
}

// bigExponent raises to a secret exponent, as naive code would: few bits set in the fixed one.
func bigExponent(fixed bool) func() {
	m := new(big.Int).SetBytes([]byte("a modulus of 32 bytes, odd,1234567"))
	m.SetBit(m, 0, 1)
	e := new(big.Int).SetBytes(secretBytes(fixed))
	base, out := big.NewInt(3), new(big.Int)
	return func() { out.Exp(base, e, m) }
}

// quickInverse is the inversion that our scalars do without.
func quickInverse(fixed bool) func() {
	m := must(bigmod.NewModulus(bytes.Repeat([]byte{0xff}, 32)))
	x := must(bigmod.NewNat().SetBytes(secretBytes(fixed), m))
	return func() { bigmod.NewNat().InverseVarTime(x, m) }
}

// earlyExit compares a secret to a guess that is right for the fixed one.
func earlyExit(fixed bool) func() {
	secret, guess := secretBytes(fixed), secretBytes(true)
	return func() { keep(equalUntilDifferent(secret, guess)) }
}

//go:noinline
func equalUntilDifferent(a, b []byte) bool {
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// same hashes 32 random bytes, whatever the class.
func same(bool) func() {
	secret := secretBytes(false)
	return func() { h := sha256.Sum256(secret); keep(h[0] == 0) }
}

// keep takes a result that has no other use, so that the compiler does not leave out what makes it.
//
//go:noinline
func keep(bool) {}

// secretBytes returns the fixed secret, the number one in 32 bytes, or 32 random bytes that make a number below every order here.
func secretBytes(fixed bool) []byte {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // never fails, and runs for both classes
	b[0] &= 0x7f
	if fixed {
		clear(b)
		b[31] = 1
	}
	return b
}
