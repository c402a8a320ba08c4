// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package reference

import "math/big"

// Capsule is a capsule taken apart (pre.md P7).
type Capsule struct {
	E, V Point
	S    *big.Int
}

// Bytes is the encoding.
func (c Capsule) Bytes() []byte { return Join(c.E, c.V, B32(c.S)) }

// ParseCapsule takes 98 bytes apart.
func ParseCapsule(b []byte) Capsule {
	return Capsule{b[:33], b[33:66], new(big.Int).SetBytes(b[66:98])}
}

// Challenge is h of pre.md P7.1.
func (c Capsule) Challenge(pkA Point, ctx []byte) *big.Int {
	return HashToScalar("capsule", pkA, ctx, c.E, c.V)
}

// Key is K_pre from the shared x coordinate (pre.md P7.1).
func (c Capsule) Key(z, ctx []byte) []byte { return KDF(z, nil, 32, "K_pre", c.E, c.V, B32(c.S), ctx) }

// NewCapsule encapsulates with given r and u, and returns K_pre too; nil when E + V is the identity.
func NewCapsule(r, u *big.Int, pkA Point, ctx []byte) (Capsule, []byte) {
	c := Capsule{E: Base(r), V: Base(u)}
	c.S = PlusMod(u, TimesMod(r, c.Challenge(pkA, ctx)))
	if PlusMod(r, u).Sign() == 0 {
		return c, nil
	}
	return c, c.Key(X(Mul(PlusMod(r, u), pkA)), ctx)
}

// Encapsulate is pre.md P7.1 with the random scalar k.
func Encapsulate(k *big.Int, pkA Point, ctx []byte) (Capsule, []byte) {
	r := HashToScalar("capsule r", B32(k), pkA, ctx)
	u := HashToScalar("capsule u", B32(k), pkA, ctx)
	return NewCapsule(r, u, pkA, ctx)
}

// Decapsulate is pre.md P7.3 without the check.
func Decapsulate(a *big.Int, c Capsule, ctx []byte) []byte {
	return c.Key(X(Mul(a, Add(c.E, c.V))), ctx)
}

// Names are the public keys that fragments are bound to.
type Names struct{ PKA, PKB, PKS Point }

// Exchange is what patient and reader share through X_A (pre.md P8.1).
type Exchange struct {
	XA, PKB Point
	DH      []byte
}

// NewExchange is the patient's side; the reader's is ReaderExchange.
func NewExchange(xa *big.Int, pkB Point) Exchange { return Exchange{Base(xa), pkB, X(Mul(xa, pkB))} }

// ReaderExchange is the reader's side.
func ReaderExchange(xa Point, b *big.Int) Exchange { return Exchange{xa, Base(b), X(Mul(b, xa))} }

// D is d of pre.md P8.1.
func (x Exchange) D() *big.Int { return HashToScalar("d", x.XA, x.PKB, x.DH) }

// Coordinate is x_i of pre.md P8.1.
func (x Exchange) Coordinate(id []byte) *big.Int { return HashToScalar("x", x.XA, x.PKB, x.DH, id) }

// KeyFragment is a key fragment taken apart (pre.md P8.2).
type KeyFragment struct {
	ID        []byte
	RK        *big.Int
	XA, U1    Point
	Grant     []byte
	Signature []byte
	Gateway   string
}

// Bytes is the encoding.
func (k KeyFragment) Bytes() []byte {
	return Join(k.ID, B32(k.RK), k.XA, k.U1, k.Grant, k.Signature, []byte{byte(len(k.Gateway))}, []byte(k.Gateway))
}

// ParseKeyFragment takes an encoding apart.
func ParseKeyFragment(b []byte) KeyFragment {
	return KeyFragment{b[:32], new(big.Int).SetBytes(b[32:64]), b[64:97], b[97:130], b[130:162], b[162:226], string(b[227:])}
}

// Message is m of pre.md P8.1, which the scope signer signs.
func (k KeyFragment) Message(n Names) []byte {
	return H("key fragment signature", k.ID, k.U1, k.XA, n.PKA, n.PKB, n.PKS, Gateway(k.Gateway), k.Grant)
}

// Commitment is pre.md P8.4.
func (k KeyFragment) Commitment() []byte {
	return H("key fragment commitment", k.ID, k.U1, k.XA, Gateway(k.Gateway), k.Grant)
}

// Dealer makes the key fragments of one run (pre.md P8.1). Its polynomial's constant term should be a/d, and is whatever the
// caller wants.
type Dealer struct {
	Exchange   Exchange
	Polynomial Polynomial
	Names      Names
	Signer     *big.Int
	Grant      []byte
	Random     *Random
}

// NewDealer draws x_A and a polynomial of degree-1 = t-1 for a.
func NewDealer(random *Random, a, signer *big.Int, pkB Point, grant []byte, t int) *Dealer {
	ex := NewExchange(random.Scalar(), pkB)
	f := Polynomial{TimesMod(a, InvMod(ex.D()))}
	for len(f) < t {
		f = append(f, random.Scalar())
	}
	return &Dealer{ex, f, Names{Base(a), pkB, Base(signer)}, signer, grant, random}
}

// Fragment makes a gateway's key fragment.
func (d *Dealer) Fragment(gateway string) KeyFragment {
	return d.FragmentWithID(gateway, d.Random.Bytes(32))
}

// FragmentWithID makes a gateway's key fragment with a given id.
func (d *Dealer) FragmentWithID(gateway string, id []byte) KeyFragment {
	k := KeyFragment{ID: id, XA: d.Exchange.XA, Grant: d.Grant, Gateway: gateway}
	k.RK = d.Polynomial.At(d.Exchange.Coordinate(id))
	k.U1 = Mul(k.RK, U())
	return d.Resign(k)
}

// Resign signs a fragment, as it is, with the scope signer.
func (d *Dealer) Resign(k KeyFragment) KeyFragment {
	k.Signature = Sign(d.Signer, k.Message(d.Names), d.Random.Scalar())
	return k
}

// CapsuleFragment is a capsule fragment taken apart (pre.md P9.2).
type CapsuleFragment struct {
	E1, V1    Point
	ID        []byte
	XA, U1    Point
	H, Z      *big.Int
	Signature []byte
	Grant     []byte
	Gateway   string
}

// Bytes is the encoding.
func (f CapsuleFragment) Bytes() []byte {
	return Join(f.E1, f.V1, f.ID, f.XA, f.U1, B32(f.H), B32(f.Z), f.Signature, f.Grant, []byte{byte(len(f.Gateway))}, []byte(f.Gateway))
}

// ParseCapsuleFragment takes an encoding apart.
func ParseCapsuleFragment(b []byte) CapsuleFragment {
	return CapsuleFragment{
		b[:33], b[33:66], b[66:98], b[98:131], b[131:164], new(big.Int).SetBytes(b[164:196]), new(big.Int).SetBytes(b[196:228]),
		b[228:292], b[292:324], string(b[325:]),
	}
}

// Challenge is h of pre.md P9.1.
func (f CapsuleFragment) Challenge(c Capsule, n Names, ctx, request []byte, e2, v2, u2 Point) *big.Int {
	return HashToScalar("reencryption", ctx, request, Gateway(f.Gateway), f.Grant, f.ID, f.XA, n.PKA, n.PKB, n.PKS,
		c.E, c.V, B32(c.S), U(), f.E1, f.V1, f.U1, e2, v2, u2)
}

// First is what the prover's first message must have been (pre.md P9.4, step 5).
func (f CapsuleFragment) First(c Capsule) (e2, v2, u2 Point) {
	first := func(base, image Point) Point { return Add(Mul(f.Z, base), Neg(Mul(f.H, image))) }
	return first(c.E, f.E1), first(c.V, f.V1), first(U(), f.U1)
}

// Nonce is w of pre.md P9.1 with the random scalar k.
func (k KeyFragment) Nonce(random *big.Int, c Capsule, n Names, ctx, request []byte) *big.Int {
	return HashToScalar("reencryption nonce", B32(k.RK), B32(random), ctx, request, n.PKB, n.PKA, n.PKS, k.Grant, k.ID,
		Gateway(k.Gateway), c.Bytes())
}

// Reencrypt is pre.md P9.1 with a given w, without the checks.
func Reencrypt(k KeyFragment, c Capsule, n Names, ctx, request []byte, w *big.Int) CapsuleFragment {
	return Transform(k, k.RK, k.RK, c, n, ctx, request, w)
}

// Transform is Reencrypt by a liar: E1 and V1 are made with e and v instead of rk, the proof with rk.
func Transform(k KeyFragment, e, v *big.Int, c Capsule, n Names, ctx, request []byte, w *big.Int) CapsuleFragment {
	f := CapsuleFragment{
		E1: Mul(e, c.E), V1: Mul(v, c.V), ID: k.ID, XA: k.XA, U1: k.U1, Signature: k.Signature, Grant: k.Grant, Gateway: k.Gateway,
	}
	f.H = f.Challenge(c, n, ctx, request, Mul(w, c.E), Mul(w, c.V), Mul(w, U()))
	f.Z = PlusMod(w, TimesMod(f.H, k.RK))
	return f
}

// Open is steps 6 and 8 of pre.md P10 without any check.
func Open(b *big.Int, c Capsule, ctx []byte, frags []CapsuleFragment) []byte {
	ex := ReaderExchange(frags[0].XA, b)
	xs := make([]*big.Int, len(frags))
	for i, f := range frags {
		xs[i] = ex.Coordinate(f.ID)
	}
	sum := Point{0}
	for i, l := range Lagrange(xs, new(big.Int)) {
		sum = Add(sum, Mul(l, Add(frags[i].E1, frags[i].V1)))
	}
	return c.Key(X(Mul(ex.D(), sum)), ctx)
}
