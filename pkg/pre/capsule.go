// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package pre

import (
	"bytes"
	"fmt"
	"io"
)

// CapsuleSize is the length in bytes of an encoded capsule: E 33 ‖ V 33 ‖ s 32.
const CapsuleSize = 2*PointSize + ScalarSize

// KeySize is the length in bytes of K_pre, of K_share and of a record's data key.
const KeySize = 32

// Capsule is an encapsulation of a fresh K_pre to a scope key: E = r·G, V = u·G and s = u + r·H_s(pk, ctx, E, V). The
// last is a Schnorr proof over the scope key and the record context, so a capsule copied from one record cannot be
// registered under another. It holds no secret, is immutable and safe for concurrent use.
type Capsule struct {
	e, v point
	s    scalar
}

func (c *Capsule) valid() bool { return c != nil && c.e.p != nil && c.v.p != nil && c.s.n != nil }

// ParseCapsule decodes 98 bytes. It cannot check the proof, which needs the scope key and context: see Verify.
func ParseCapsule(b []byte) (*Capsule, error) {
	c, err := parseCapsule(b)
	if err != nil {
		return nil, fmt.Errorf("parse capsule: %w", err)
	}
	return c, nil
}

func parseCapsule(b []byte) (*Capsule, error) {
	if len(b) != CapsuleSize {
		return nil, malformed("%d bytes", len(b))
	}
	r := reader{b: b}
	c := &Capsule{e: r.point(), v: r.point(), s: r.scalar()}
	return c, r.end()
}

// Bytes returns the 98-byte encoding.
func (c *Capsule) Bytes() []byte {
	if !c.valid() {
		return nil
	}
	return bytes.Join([][]byte{c.e.bytes(), c.v.bytes(), c.s.bytes()}, nil)
}

// Verify checks that the capsule was made for scope key pk and record context ctx: s·G = V + h·E. Otherwise ErrProof.
// It is deterministic and needs no secret, so a ledger can check it at registration.
func (c *Capsule) Verify(pk *PublicKey, ctx [HashSize]byte) error {
	if !c.valid() || !pk.valid() {
		return parameter("verify capsule: capsule and scope key are required")
	}
	h := c.challenge(pk, ctx)
	if baseMul(c.s).Equal(add(c.v.p, mul(h, c.e.p))) != 1 {
		return unproven("capsule is not of this scope key and record")
	}
	if add(c.e.p, c.v.p).IsInfinity() == 1 {
		return unproven("capsule encapsulates no key")
	}
	return nil
}

func (c *Capsule) challenge(pk *PublicKey, ctx [HashSize]byte) scalar {
	return hashToScalar(labelCapsule, pk.pt.bytes(), ctx[:], c.e.bytes(), c.v.bytes())
}

// key derives K_pre from the x coordinate both sides share.
func (c *Capsule) key(z []byte, ctx [HashSize]byte) ([]byte, error) {
	return deriveKey(z, nil, KeySize, labelPreKey, c.e.bytes(), c.v.bytes(), c.s.bytes(), ctx[:])
}

// Encapsulate makes a capsule for scope key pk and record context ctx, and the 32-byte K_pre it carries. It needs nothing of
// the patient but the public key. A nil source means crypto/rand.
func Encapsulate(source io.Reader, pk *PublicKey, ctx [HashSize]byte) (*Capsule, []byte, error) {
	if !pk.valid() {
		return nil, nil, parameter("encapsulate: no scope key")
	}
	random, err := randomScalar(source)
	if err != nil {
		return nil, nil, fmt.Errorf("encapsulate: %w", err)
	}
	// Two capsules with one r and u would give both away through s, so both depend on the record too: a source that
	// repeats itself, as after the restore of a snapshot, does no harm.
	r := hashToScalar(labelCapsuleR, random.bytes(), pk.pt.bytes(), ctx[:])
	u := hashToScalar(labelCapsuleU, random.bytes(), pk.pt.bytes(), ctx[:])
	c := &Capsule{}
	if c.e, err = newPoint(baseMul(r)); err != nil {
		return nil, nil, err
	}
	if c.v, err = newPoint(baseMul(u)); err != nil {
		return nil, nil, err
	}
	c.s = u.add(r.mul(c.challenge(pk, ctx)))
	z, err := mul(r.add(u), pk.pt.p).BytesX()
	if err != nil || c.s.isZero() { // probability 2^-255
		return nil, nil, parameter("encapsulate: random source yields a zero key")
	}
	defer clear(z)
	key, err := c.key(z, ctx)
	if err != nil {
		return nil, nil, err
	}
	return c, key, nil
}

// Decapsulate recovers K_pre with the scope's private key, after checking the capsule's proof (ErrProof).
func Decapsulate(owner ECDHer, c *Capsule, ctx [HashSize]byte) ([]byte, error) {
	if owner == nil || !c.valid() {
		return nil, parameter("decapsulate: key and capsule are required")
	}
	if err := c.Verify(owner.Public(), ctx); err != nil {
		return nil, fmt.Errorf("decapsulate: %w", err)
	}
	sum, err := newPoint(add(c.e.p, c.v.p))
	if err != nil {
		return nil, fmt.Errorf("decapsulate: %w", err)
	}
	z, err := agree(owner, &PublicKey{sum})
	if err != nil {
		return nil, fmt.Errorf("decapsulate: %w", err)
	}
	defer clear(z)
	return c.key(z, ctx)
}

// agree runs a key operation that may be foreign hardware and checks the shape of its answer.
func agree(key ECDHer, peer *PublicKey) ([]byte, error) {
	x, err := key.ECDH(peer)
	if err != nil {
		return nil, fmt.Errorf("use private key: %w", err)
	}
	if len(x) != ScalarSize {
		return nil, parameter("key operation returned %d bytes", len(x))
	}
	return x, nil
}
