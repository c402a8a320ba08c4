// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package algebra

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"math/big"
	"testing"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/stretchr/testify/require"
)

// This file is the encodings and hashes of Umbral as npm package @nucypher/umbral-pre 0.10.0 has them, around our equations. It is
// here to test these equations against an implementation that others wrote, and nowhere else: the format binds nothing to a record,
// a request or a gateway, and its way of hashing to a scalar is unsound on P-256.

// Labels of hashes.
const (
	umbralCapsule = "CAPSULE_POINTS"
	umbralSecret  = "SHARED_SECRET"
	umbralArg     = "POLYNOMIAL_ARG"
	umbralProof   = "CFRAG_VERIFICATION"
)

// umbralU is the second generator of Umbral on secp256k1.
const umbralU = "\x03\x07\x93\x90\xd0\xfb\xe2\x20\xfc\x34\xaa\xb8\xec\xbf\x49\x09\x80\x98\x03\x68\x20\xfa\xdb\x98\xc0\x31\x43\xe5\x5d\xb8\xec\x73\xcd"

var (
	errUmbralFormat = errors.New("not the encoding of an Umbral object")
	errUmbralProof  = errors.New("proof or signature does not hold")
)

type (
	k1Point   = Point[k1Element]
	k1Capsule = Capsule[k1Element]
)

// umbral is the scheme with the package's hashes.
type umbral struct {
	Scheme[k1Element]
	order *big.Int
}

func newUmbral(tb testing.TB) umbral {
	tb.Helper()
	g := secp256k1Group(tb)
	u, err := ParsePoint[k1Element](g, []byte(umbralU))
	require.NoError(tb, err)
	return umbral{Scheme[k1Element]{Group: g, U: u}, secp256k1.Params().N}
}

// hash is SHA-256 modulo n-1, plus one: never zero, and biased by 2^256 mod n over n.
func (u umbral) hash(label string, parts ...[]byte) Scalar {
	h := sha256.New()
	h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(label))))
	h.Write([]byte(label))
	for _, p := range parts {
		h.Write(p)
	}
	one := big.NewInt(1)
	x := new(big.Int).SetBytes(h.Sum(nil))
	x.Mod(x, new(big.Int).Sub(u.order, one)).Add(x, one)
	return Must(u.Field().Parse(x.FillBytes(make([]byte, ScalarSize))))
}

func (u umbral) capsuleChallenge(e, v k1Point) Scalar {
	return u.hash(umbralCapsule, e.Bytes(), v.Bytes())
}

func (u umbral) proofChallenge(c k1Capsule, i Image[k1Element]) func(First[k1Element]) Scalar {
	return func(f First[k1Element]) Scalar {
		return u.hash(umbralProof, c.E.Bytes(), i.E1.Bytes(), f.E2.Bytes(), c.V.Bytes(), i.V1.Bytes(), f.V2.Bytes(),
			u.U.Bytes(), i.U1.Bytes(), f.U2.Bytes())
	}
}

func (u umbral) public(k Scalar) k1Point { return PointOf(u.Group, u.BaseMul(k)) }

// packed reads and writes the fixed shape that MessagePack gives each object. The first failure sticks.
type packed struct {
	b   []byte
	err error
}

// expect takes bytes that are always the same: array headers and lengths.
func (p *packed) expect(want ...byte) {
	if p.err == nil && !bytes.HasPrefix(p.b, want) {
		p.err = errUmbralFormat
	}
	if p.err == nil {
		p.b = p.b[len(want):]
	}
}

// bin takes n bytes behind their header.
func (p *packed) bin(n int) []byte {
	p.expect(0xc4, byte(n))
	if p.err == nil && len(p.b) < n {
		p.err = errUmbralFormat
	}
	if p.err != nil {
		return nil
	}
	out := p.b[:n:n]
	p.b = p.b[n:]
	return out
}

func (p *packed) boolean() bool {
	if p.err != nil || len(p.b) == 0 || p.b[0] != 0xc2 && p.b[0] != 0xc3 {
		p.err = errUmbralFormat
		return false
	}
	v := p.b[0] == 0xc3
	p.b = p.b[1:]
	return v
}

func (p *packed) point(u umbral) k1Point {
	b := p.bin(PointSize)
	if p.err != nil {
		return k1Point{}
	}
	pt, err := ParsePoint(u.Group, b)
	if err != nil {
		p.err = errors.Join(errUmbralFormat, err)
	}
	return pt
}

func (p *packed) scalar(u umbral) Scalar {
	b := p.bin(ScalarSize)
	if p.err != nil {
		return Scalar{}
	}
	s, err := u.Field().Parse(b)
	if err != nil {
		p.err = errors.Join(errUmbralFormat, err)
	}
	return s
}

func (p *packed) end() error {
	if p.err == nil && len(p.b) != 0 {
		p.err = errUmbralFormat
	}
	return p.err
}

func pack(fields ...[]byte) []byte {
	out := []byte{0x90 | byte(len(fields))}
	for _, f := range fields {
		out = append(append(out, 0xc4, byte(len(f))), f...)
	}
	return out
}

func (u umbral) parseCapsule(b []byte) (k1Capsule, error) {
	p := &packed{b: b}
	p.expect(0x93)
	c := k1Capsule{E: p.point(u), V: p.point(u), S: p.scalar(u)}
	if err := p.end(); err != nil {
		return k1Capsule{}, err
	}
	if err := u.CheckCapsule(c, u.capsuleChallenge(c.E, c.V)); err != nil {
		return k1Capsule{}, errors.Join(errUmbralProof, err)
	}
	return c, nil
}

func packCapsule(c k1Capsule) []byte { return pack(c.E.Bytes(), c.V.Bytes(), c.S.Bytes()) }

// umbralKey is a key fragment.
type umbralKey struct {
	id              []byte
	rk              Scalar
	xa, u1          k1Point
	forProxy, forB  []byte // signatures
	signedA, signed bool   // which keys forProxy covers: the delegating one, the receiving one
}

func (u umbral) parseKey(b []byte) (umbralKey, error) {
	p := &packed{b: b}
	p.expect(0x95, 0x91)
	params := p.bin(PointSize)
	if p.err == nil && string(params) != umbralU {
		p.err = errUmbralFormat // whoever computes with a U from the wire accepts any key: see the test of attack C
	}
	k := umbralKey{id: p.bin(32), rk: p.scalar(u), xa: p.point(u)}
	p.expect(0x95)
	k.u1, k.forProxy, k.forB = p.point(u), p.bin(64), p.bin(64)
	k.signedA, k.signed = p.boolean(), p.boolean()
	return k, p.end()
}

func (k umbralKey) pack(u []byte) []byte {
	boolean := func(v bool) byte {
		if v {
			return 0xc3
		}
		return 0xc2
	}
	out := append([]byte{0x95}, pack(u)...)
	out = append(out, pack(k.id, k.rk.Bytes(), k.xa.Bytes())[1:]...)
	proof := append(pack(k.u1.Bytes(), k.forProxy, k.forB), boolean(k.signedA), boolean(k.signed))
	proof[0] = 0x95
	return append(out, proof...)
}

// signed returns the message of a signature; a missing key stands as one zero byte.
func (k umbralKey) message(pkA, pkB *k1Point) []byte {
	optional := func(p *k1Point) []byte {
		if p == nil {
			return []byte{0}
		}
		return append([]byte{1}, p.Bytes()...)
	}
	return bytes.Join([][]byte{k.id, k.u1.Bytes(), k.xa.Bytes(), optional(pkA), optional(pkB)}, nil)
}

func (u umbral) checkKey(k umbralKey, verifying, pkA, pkB k1Point) error {
	var a, b *k1Point
	if k.signedA {
		a = &pkA
	}
	if k.signed {
		b = &pkB
	}
	if !u.CheckKeyFragment(k.rk, k.u1) || !umbralVerify(verifying, k.message(a, b), k.forProxy) {
		return errUmbralProof
	}
	return nil
}

// umbralFragment is a capsule fragment.
type umbralFragment struct {
	image Image[k1Element]
	id    []byte
	xa    k1Point
	first First[k1Element]
	z     Scalar
	forB  []byte
}

func (u umbral) parseFragment(b []byte) (umbralFragment, error) {
	p := &packed{b: b}
	p.expect(0x95)
	f := umbralFragment{image: Image[k1Element]{E1: p.point(u), V1: p.point(u)}, id: p.bin(32), xa: p.point(u)}
	p.expect(0x96)
	f.first.E2, f.first.V2, f.image.U1, f.first.U2 = p.point(u), p.point(u), p.point(u), p.point(u)
	f.z, f.forB = p.scalar(u), p.bin(64)
	return f, p.end()
}

func (f umbralFragment) pack() []byte {
	outer := pack(f.image.E1.Bytes(), f.image.V1.Bytes(), f.id, f.xa.Bytes())
	outer[0] = 0x95
	return append(outer, pack(f.first.E2.Bytes(), f.first.V2.Bytes(), f.image.U1.Bytes(), f.first.U2.Bytes(), f.z.Bytes(), f.forB)...)
}

func (u umbral) checkFragment(c k1Capsule, f umbralFragment, verifying, pkA, pkB k1Point) error {
	k := umbralKey{id: f.id, xa: f.xa, u1: f.image.U1}
	if !umbralVerify(verifying, k.message(&pkA, &pkB), f.forB) {
		return errUmbralProof
	}
	first, ok := u.FirstMessage(c, f.image, u.proofChallenge(c, f.image)(f.first), f.z)
	same := first.E2.Encoding() == f.first.E2.Encoding() && first.V2.Encoding() == f.first.V2.Encoding() &&
		first.U2.Encoding() == f.first.U2.Encoding()
	if !ok || !same {
		return errUmbralProof
	}
	return nil
}

// shared is what owner and reader share through X_A.
func (u umbral) shared(xa, pkB, dh k1Point) (d Scalar, coordinate func(id []byte) Scalar) {
	return u.hash(umbralSecret, xa.Bytes(), pkB.Bytes(), dh.Bytes()), func(id []byte) Scalar {
		return u.hash(umbralArg, xa.Bytes(), pkB.Bytes(), dh.Bytes(), id)
	}
}

func (u umbral) encapsulate(source io.Reader, pkA k1Point) (k1Capsule, k1Point, error) {
	r, err := u.Field().Random(source)
	if err != nil {
		return k1Capsule{}, k1Point{}, err
	}
	v, err := u.Field().Random(source)
	if err != nil {
		return k1Capsule{}, k1Point{}, err
	}
	return u.Encapsulate(pkA, r, v, u.capsuleChallenge)
}

// rekey makes key fragments that are signed for both keys.
func (u umbral) rekey(source io.Reader, a, signing Scalar, pkB k1Point, threshold, shares int) ([]umbralKey, error) {
	x, err := u.Field().Random(source)
	if err != nil {
		return nil, err
	}
	xa, pkA := u.public(x), u.public(a)
	d, coordinate := u.shared(xa, pkB, u.times(x, pkB))
	f, err := u.Rekey(source, a, d, threshold)
	if err != nil {
		return nil, err
	}
	out := make([]umbralKey, shares)
	for i := range out {
		k := umbralKey{id: make([]byte, 32), xa: xa, signedA: true, signed: true}
		if _, err := io.ReadFull(source, k.id); err != nil {
			return nil, err
		}
		if k.rk, k.u1, err = u.KeyFragment(f, coordinate(k.id)); err != nil {
			return nil, err
		}
		k.forB = umbralSign(signing, k.message(&pkA, &pkB))
		k.forProxy = k.forB
		out[i] = k
	}
	return out, nil
}

func (u umbral) reencrypt(source io.Reader, c k1Capsule, k umbralKey) (umbralFragment, error) {
	w, err := u.Field().Random(source)
	if err != nil {
		return umbralFragment{}, err
	}
	f := umbralFragment{image: u.Reencrypt(c, k.rk, k.u1), id: k.id, xa: k.xa, forB: k.forB}
	challenge := u.proofChallenge(c, f.image)
	_, f.z, err = u.Prove(c, k.rk, w, func(first First[k1Element]) Scalar { f.first = first; return challenge(first) })
	return f, err
}

func (u umbral) open(b Scalar, pkA k1Point, c k1Capsule, frags []umbralFragment) (k1Point, error) {
	d, coordinate := u.shared(frags[0].xa, u.public(b), u.times(b, frags[0].xa))
	var xs []Scalar
	var images []Image[k1Element]
	for _, f := range frags {
		xs, images = append(xs, coordinate(f.id)), append(images, f.image)
	}
	return u.Open(c, pkA, u.capsuleChallenge(c.E, c.V), d, xs, images)
}
