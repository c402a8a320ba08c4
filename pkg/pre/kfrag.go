// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package pre

import (
	"bytes"
	"fmt"
)

// fragmentBase is what a key fragment and the capsule fragments made with it have in common: all that the scope signer
// signed.
type fragmentBase struct {
	id      [HashSize]byte // random
	xa, u1  point          // ephemeral key of the Rekey run; rk·U
	gateway string
	grant   [HashSize]byte
	sig     [SignatureSize]byte
}

// fragmentNames are the keys a fragment's signature is bound to. All three always are.
type fragmentNames struct{ delegating, reader, signer *PublicKey }

func (n fragmentNames) validate() error {
	if !n.delegating.valid() || !n.reader.valid() || !n.signer.valid() {
		return parameter("delegating, reader and signer keys are required")
	}
	return nil
}

// digest is what the scope signer signs.
func (f *fragmentBase) digest(n fragmentNames) [HashSize]byte {
	return hash32(labelFragmentSign, f.id[:], f.u1.Bytes(), f.xa.Bytes(), n.delegating.pt.Bytes(), n.reader.pt.Bytes(),
		n.signer.pt.Bytes(), gatewayHash(f.gateway), f.grant[:])
}

// verifyNames checks gateway, grant and signature.
func (f *fragmentBase) verifyNames(n fragmentNames, gateway string, grant [HashSize]byte) error {
	if f.gateway != gateway {
		return unproven("fragment was made for another gateway")
	}
	if f.grant != grant {
		return unproven("fragment was made under another grant")
	}
	digest := f.digest(n)
	if err := VerifyP256(n.signer, digest[:], f.sig[:]); err != nil {
		return fmt.Errorf("fragment is not signed for these keys: %w", err)
	}
	return nil
}

// Gateway returns the id of the gateway the fragment was made for. It is only as true as Verify found it.
func (f *fragmentBase) Gateway() string { return f.gateway }

// Grant returns the hash of the grant the fragment was made under. It is only as true as Verify found it.
func (f *fragmentBase) Grant() [HashSize]byte { return f.grant }

// Commitment returns the hash of fragment id, U1, X_A, gateway and grant: what the patient's signed grant may list in public.
// A capsule fragment has the commitment of the key fragment it was made with.
func (f *fragmentBase) Commitment() [HashSize]byte {
	return hash32(labelFragmentID, f.id[:], f.u1.Bytes(), f.xa.Bytes(), gatewayHash(f.gateway), f.grant[:])
}

// KeyFragment is one gateway's part of a re-encryption key. It is a secret of that gateway: seal it (SealKeyFragment) on its
// way, never show it to the reader. It prints without its secret, is immutable and safe for concurrent use.
type KeyFragment struct {
	fragmentBase
	rk scalar
}

func (k *KeyFragment) valid() bool { return k != nil && k.rk.Valid() }

// ParseKeyFragment decodes id 32 ‖ rk 32 ‖ X_A 33 ‖ U1 33 ‖ grant 32 ‖ signature 64 ‖ gateway id with a length byte. U is
// not part of it: it is a constant of the suite.
func ParseKeyFragment(b []byte) (*KeyFragment, error) {
	r := reader{b: b}
	k := &KeyFragment{}
	k.id = r.hash()
	k.rk = r.scalar()
	k.xa, k.u1 = r.point(), r.point()
	k.grant = r.hash()
	k.sig = r.signature()
	k.gateway = r.gateway()
	if err := r.end(); err != nil {
		return nil, fmt.Errorf("parse key fragment: %w", err)
	}
	return k, nil
}

// Bytes returns the encoding, which contains the secret: 227 bytes and the gateway id.
func (k *KeyFragment) Bytes() []byte {
	if !k.valid() {
		return nil
	}
	b := bytes.Join([][]byte{
		k.id[:], k.rk.Bytes(), k.xa.Bytes(), k.u1.Bytes(), k.grant[:], k.sig[:],
	}, nil)
	return appendGateway(b, k.gateway)
}

// Verify checks that the fragment was made for this gateway under this grant, that its commitment is U1 = rk·U and that the
// signer signed it for both the delegating and the reader's key. Otherwise ErrProof. It cannot show that the fragments of one
// set lie on one polynomial: only opening does.
func (k *KeyFragment) Verify(delegating, reader, signer *PublicKey, gateway string, grant [HashSize]byte) error {
	names := fragmentNames{delegating, reader, signer}
	if err := names.validate(); !k.valid() || err != nil {
		return parameter("verify key fragment: fragment and all keys are required")
	}
	if !suite().CheckKeyFragment(k.rk, k.u1) {
		return unproven("verify key fragment: commitment does not match")
	}
	if err := k.verifyNames(names, gateway, grant); err != nil {
		return fmt.Errorf("verify key fragment: %w", err)
	}
	return nil
}
