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
	parts capsuleParts
}

func (c *Capsule) valid() bool { return c != nil && c.parts.Valid() }

// ParseCapsule decodes 98 bytes. It cannot check the proof, which needs the scope key and context: see Verify.
func ParseCapsule(b []byte) (*Capsule, error) {
	c, err := parseCapsule(b)
	if err != nil {
		return nil, fmt.Errorf("parse capsule: %w", err)
	}
	return c, nil
}

func parseCapsule(b []byte) (*Capsule, error) {
	r := reader{b: b}
	c := &Capsule{}
	c.parts.E, c.parts.V, c.parts.S = r.point(), r.point(), r.scalar()
	return c, r.end()
}

// Bytes returns the 98-byte encoding.
func (c *Capsule) Bytes() []byte {
	if !c.valid() {
		return nil
	}
	return bytes.Join(c.fields(), nil)
}

// fields returns the encodings of E, V and s.
func (c *Capsule) fields() [][]byte {
	return [][]byte{c.parts.E.Bytes(), c.parts.V.Bytes(), c.parts.S.Bytes()}
}

// Verify checks that the capsule was made for scope key pk and record context ctx: s·G = V + h·E. Otherwise ErrProof.
// It is deterministic and needs no secret, so a ledger can check it at registration.
func (c *Capsule) Verify(pk *PublicKey, ctx [HashSize]byte) error {
	if !c.valid() || !pk.valid() {
		return parameter("verify capsule: capsule and scope key are required")
	}
	if err := suite().CheckCapsule(c.parts, c.challenge(pk, ctx)); err != nil {
		return unproven("capsule is not of this scope key and record: %v", err)
	}
	return nil
}

func (c *Capsule) challenge(pk *PublicKey, ctx [HashSize]byte) scalar {
	return capsuleChallenge(pk, ctx)(c.parts.E, c.parts.V)
}

// capsuleChallenge binds a capsule's proof to scope key and record context.
func capsuleChallenge(pk *PublicKey, ctx [HashSize]byte) func(e, v point) scalar {
	return func(e, v point) scalar {
		return hashToScalar(labelCapsule, pk.pt.Bytes(), ctx[:], e.Bytes(), v.Bytes())
	}
}

// key derives K_pre from the x coordinate both sides share, and clears it.
func (c *Capsule) key(z []byte, ctx [HashSize]byte) ([]byte, error) {
	defer clear(z)
	return deriveKey(z, nil, KeySize, labelPreKey, append(c.fields(), ctx[:])...)
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
	r := hashToScalar(labelCapsuleR, random.Bytes(), pk.pt.Bytes(), ctx[:])
	u := hashToScalar(labelCapsuleU, random.Bytes(), pk.pt.Bytes(), ctx[:])
	parts, secret, err := suite().Encapsulate(pk.pt, r, u, capsuleChallenge(pk, ctx))
	if err != nil {
		return nil, nil, fmt.Errorf("encapsulate: %w", degenerate(err))
	}
	c := &Capsule{parts}
	key, err := c.key(secret.X(), ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("encapsulate: %w", err)
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
	z, err := agree(owner, &PublicKey{suite().Sum(c.parts)})
	if err != nil {
		return nil, fmt.Errorf("decapsulate: %w", err)
	}
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
