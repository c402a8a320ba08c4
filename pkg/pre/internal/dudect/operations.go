// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/rand"
	"fmt"

	"github.com/emrys-health/emrys/pkg/pre"
	"github.com/emrys-health/emrys/pkg/pre/internal/algebra"
)

type (
	point  = algebra.Point[algebra.P256Element]
	scheme = algebra.Scheme[algebra.P256Element]
)

// lab holds the public values that all operations share.
type lab struct {
	group  algebra.P256Group
	other  algebra.Scalar // a factor or summand
	point  point
	peer   *pre.PublicKey
	scheme scheme
}

// operations returns what package pre does with secrets.
func operations() ([]target, error) {
	l, err := newLab()
	if err != nil {
		return nil, err
	}
	return append(l.arithmetic(), append(l.protocol(), l.parsers()...)...), nil
}

func newLab() (*lab, error) {
	l := &lab{group: algebra.P256()}
	var err error
	if l.other, err = l.group.Field().Random(rand.Reader); err != nil {
		return nil, fmt.Errorf("draw scalar: %w", err)
	}
	l.point = algebra.PointOf(l.group, l.group.BaseMul(l.other))
	key, err := pre.GeneratePrivateKey(nil)
	if err != nil {
		return nil, err
	}
	l.peer = key.Public()
	l.scheme = scheme{Group: l.group, U: l.point}
	return l, nil
}

// secret returns the scalar one, or a random one.
func (l *lab) secret(fixed bool) algebra.Scalar {
	return must(l.group.Field().Parse(secretBytes(fixed)))
}

func (l *lab) arithmetic() []target {
	on := func(f func(s algebra.Scalar)) func(bool) func() {
		return func(fixed bool) func() {
			s := l.secret(fixed)
			return func() { f(s) }
		}
	}
	return []target{
		{name: "scalar addition", repeat: 20, prepare: on(func(s algebra.Scalar) { s.Add(l.other) })},
		{name: "scalar subtraction", repeat: 20, prepare: on(func(s algebra.Scalar) { s.Sub(l.other) })},
		{name: "scalar multiplication", repeat: 20, prepare: on(func(s algebra.Scalar) { s.Mul(l.other) })},
		{name: "scalar inversion", repeat: 1, prepare: on(func(s algebra.Scalar) { s.Inv() })},
		{name: "scalar comparison", repeat: 50, prepare: func(fixed bool) func() {
			s, one := l.secret(fixed), l.secret(true)
			return func() { keep(s.Equal(one)) }
		}},
		{name: "scalar to bytes", repeat: 50, prepare: on(func(s algebra.Scalar) { s.Bytes() })},
		{name: "point multiplication", repeat: 1, prepare: on(func(s algebra.Scalar) { l.group.Mul(s, l.point.Element) })},
		{name: "generator multiplication", repeat: 1, prepare: on(func(s algebra.Scalar) { l.group.BaseMul(s) })},
	}
}

func (l *lab) protocol() []target {
	return []target{
		{name: "polynomial of Rekey at a secret point", repeat: 5, prepare: func(fixed bool) func() {
			f, x := algebra.Polynomial{l.secret(fixed), l.secret(fixed), l.secret(fixed)}, l.secret(fixed)
			return func() { f.At(x) }
		}},
		{name: "Lagrange coefficients of secret points", repeat: 1, prepare: func(fixed bool) func() {
			x := l.secret(fixed)
			xs := []algebra.Scalar{x, x.Add(x), x.Add(x).Add(x)}
			return func() { _, _ = algebra.LagrangeAtZero(xs) }
		}},
		{name: "re-encryption", repeat: 1, prepare: func(fixed bool) func() {
			rk, c := l.secret(fixed), l.capsule()
			return func() { l.scheme.Reencrypt(c, rk, l.point) }
		}},
		{name: "re-encryption proof", repeat: 1, prepare: func(fixed bool) func() {
			rk, c := l.secret(fixed), l.capsule()
			w := l.secret(false)
			challenge := func(algebra.First[algebra.P256Element]) algebra.Scalar { return l.other }
			return func() { _, _, _ = l.scheme.Prove(c, rk, w, challenge) }
		}},
		{name: "ECDH", repeat: 1, prepare: func(fixed bool) func() {
			key := must(pre.ParsePrivateKey(secretBytes(fixed)))
			return func() { _, _ = key.ECDH(l.peer) }
		}},
	}
}

func (l *lab) capsule() algebra.Capsule[algebra.P256Element] {
	return algebra.Capsule[algebra.P256Element]{E: l.point, V: l.point, S: l.other}
}

func (l *lab) parsers() []target {
	return []target{
		{name: "parse scalar", repeat: 50, prepare: func(fixed bool) func() {
			b := secretBytes(fixed)
			return func() { _, _ = l.group.Field().Parse(b) }
		}},
		{name: "reduce 48 bytes", repeat: 20, prepare: func(fixed bool) func() {
			var wide [algebra.WideSize]byte
			copy(wide[algebra.WideSize-32:], secretBytes(fixed))
			return func() { l.group.Field().Reduce(&wide) }
		}},
		{name: "parse private key", repeat: 1, prepare: func(fixed bool) func() {
			b := secretBytes(fixed)
			return func() { _, _ = pre.ParsePrivateKey(b) }
		}},
		{name: "parse key fragment", repeat: 1, prepare: func(fixed bool) func() {
			b := l.keyFragment(secretBytes(fixed))
			return func() { _, _ = pre.ParseKeyFragment(b) }
		}},
		{name: "key fragment to bytes", repeat: 10, prepare: func(fixed bool) func() {
			k := must(pre.ParseKeyFragment(l.keyFragment(secretBytes(fixed))))
			return func() { k.Bytes() }
		}},
	}
}

// keyFragment encodes a fragment with key rk: id 32 ‖ rk 32 ‖ X_A 33 ‖ U1 33 ‖ grant 32 ‖ signature 64 ‖ gateway.
func (l *lab) keyFragment(rk []byte) []byte {
	b := append(make([]byte, 32), rk...)
	b = append(append(b, l.point.Bytes()...), l.point.Bytes()...)
	return append(append(b, make([]byte, 32+64)...), 1, 'A')
}

// must returns what was made from bytes that are known to be right.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
