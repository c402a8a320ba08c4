// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package pre

import (
	"bytes"
	"fmt"
	"io"
)

// ReencryptParams is everything a capsule fragment is bound to besides the capsule.
type ReencryptParams struct {
	Delegating *PublicKey     // the scope's public key
	Reader     *PublicKey     // who reads
	Signer     *PublicKey     // the scope's signing key
	Context    [HashSize]byte // hash of the record context, from the ledger
	Grant      [HashSize]byte // hash of the grant, from the ledger
	Request    [HashSize]byte // hash of this one request: reader, nonce, disclosure ticket, purpose
	Gateway    string         // the gateway that re-encrypts
}

func (p *ReencryptParams) names() fragmentNames {
	return fragmentNames{p.Delegating, p.Reader, p.Signer}
}

// CapsuleFragment is one gateway's re-encryption of a capsule, with the proof that it used the very key fragment the patient
// signed for it: E1 = rk·E, V1 = rk·V, and a Chaum-Pedersen proof (h, z) that E, V and U were multiplied by one and the same
// number. The proof is bound to record, request, gateway and grant, so a fragment proves an answer to one request. It holds
// no secret by itself, but threshold fragments open the record for the reader: send them to the reader only. It is immutable
// and safe for concurrent use.
type CapsuleFragment struct {
	fragmentBase
	e1, v1 point
	h, z   scalar
}

func (f *CapsuleFragment) valid() bool { return f != nil && f.e1.Valid() }

// ParseCapsuleFragment decodes E1 33 ‖ V1 33 ‖ id 32 ‖ X_A 33 ‖ U1 33 ‖ h 32 ‖ z 32 ‖ signature 64 ‖ grant 32 ‖ gateway
// id with a length byte.
func ParseCapsuleFragment(b []byte) (*CapsuleFragment, error) {
	r := reader{b: b}
	f := &CapsuleFragment{e1: r.point(), v1: r.point()}
	f.id = r.hash()
	f.xa, f.u1 = r.point(), r.point()
	f.h, f.z = r.scalar(), r.scalar()
	f.sig = r.signature()
	f.grant = r.hash()
	f.gateway = r.gateway()
	if err := r.end(); err != nil {
		return nil, fmt.Errorf("parse capsule fragment: %w", err)
	}
	return f, nil
}

// Bytes returns the encoding: 325 bytes and the gateway id.
func (f *CapsuleFragment) Bytes() []byte {
	if !f.valid() {
		return nil
	}
	b := bytes.Join([][]byte{
		f.e1.Bytes(), f.v1.Bytes(), f.id[:], f.xa.Bytes(), f.u1.Bytes(), f.h.Bytes(), f.z.Bytes(), f.sig[:], f.grant[:],
	}, nil)
	return appendGateway(b, f.gateway)
}

// Reencrypt transforms a capsule for the reader with one gateway's key fragment. It checks the capsule's proof and the
// fragment first (ErrProof). Whether the reader may read is not its business: a gateway checks ticket, grant, consent and
// expiry before, and takes the capsule and the values of p from the ledger, never from whoever asks. A nil source means
// crypto/rand.
func Reencrypt(source io.Reader, c *Capsule, k *KeyFragment, p ReencryptParams) (*CapsuleFragment, error) {
	if err := k.Verify(p.Delegating, p.Reader, p.Signer, p.Gateway, p.Grant); err != nil {
		return nil, fmt.Errorf("re-encrypt: %w", err)
	}
	if err := c.Verify(p.Delegating, p.Context); err != nil {
		return nil, fmt.Errorf("re-encrypt: %w", err)
	}
	f := &CapsuleFragment{fragmentBase: k.fragmentBase}
	made := suite().Reencrypt(c.parts, k.rk, k.u1)
	f.e1, f.v1 = made.E1, made.V1
	if err := f.prove(source, c, k.rk, p); err != nil {
		return nil, fmt.Errorf("re-encrypt: %w", err)
	}
	return f, nil
}

// prove makes (h, z): with w secret and (E2, V2, U2) = w·(E, V, U), h = H_s(all) and z = w + h·rk. Two proofs with one w would
// give rk away, so w is not the random number itself but a hash of it with rk and the statement: a source that repeats itself,
// as after the restore of a snapshot, does no harm.
func (f *CapsuleFragment) prove(source io.Reader, c *Capsule, rk scalar, p ReencryptParams) error {
	random, err := randomScalar(source)
	if err != nil {
		return err
	}
	w := hashToScalar(labelProofNonce, rk.Bytes(), random.Bytes(), p.Context[:], p.Request[:], p.Reader.pt.Bytes(),
		p.Delegating.pt.Bytes(), p.Signer.pt.Bytes(), f.grant[:], f.id[:], gatewayHash(f.gateway), c.Bytes())
	f.h, f.z, err = suite().Prove(c.parts, rk, w, f.challenge(c, p))
	return degenerate(err)
}

// challenge hashes the statement, everything it is bound to and the prover's first message.
func (f *CapsuleFragment) challenge(c *Capsule, p ReencryptParams) func(firstMessage) scalar {
	return func(first firstMessage) scalar {
		return hashToScalar(labelReencryption,
			p.Context[:], p.Request[:], gatewayHash(f.gateway), f.grant[:], f.id[:], f.xa.Bytes(),
			p.Delegating.pt.Bytes(), p.Reader.pt.Bytes(), p.Signer.pt.Bytes(),
			c.parts.E.Bytes(), c.parts.V.Bytes(), c.parts.S.Bytes(), suite().U.Bytes(),
			f.e1.Bytes(), f.v1.Bytes(), f.u1.Bytes(),
			first.E2.Bytes(), first.V2.Bytes(), first.U2.Bytes())
	}
}

// Verify checks that p.Gateway made the fragment from this capsule for exactly this record, request, reader and grant, with
// the key fragment that was signed for it. Otherwise a *GatewayError that wraps ErrProof. It is deterministic and needs
// no secret. The capsule's own proof is not checked again: see Capsule.Verify.
func (f *CapsuleFragment) Verify(c *Capsule, p ReencryptParams) error {
	names := p.names()
	if err := names.validate(); !f.valid() || !c.valid() || err != nil {
		return parameter("verify capsule fragment: fragment, capsule and all keys are required")
	}
	if err := f.verify(c, p); err != nil {
		return &GatewayError{f.gateway, err}
	}
	return nil
}

func (f *CapsuleFragment) verify(c *Capsule, p ReencryptParams) error {
	if err := f.verifyNames(p.names(), p.Gateway, p.Grant); err != nil {
		return fmt.Errorf("verify capsule fragment: %w", err)
	}
	first, ok := suite().FirstMessage(c.parts, f.image(), f.h, f.z)
	if !ok || !f.challenge(c, p)(first).Equal(f.h) {
		return unproven("verify capsule fragment: re-encryption is not proven for this record and request")
	}
	return nil
}

// image is what the fragment says the key fragment makes of E, V and U.
func (f *CapsuleFragment) image() image { return image{E1: f.e1, V1: f.v1, U1: f.u1} }
