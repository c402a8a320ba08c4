// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package pre

import (
	"crypto"
	"fmt"
	"io"

	"github.com/emrys-health/emrys/pkg/pre/internal/algebra"
)

// MaxGateways is the largest number of gateways one set of fragments or shares can be made for.
const MaxGateways = 255

// RekeyParams says to whom a scope is delegated and through which gateways.
type RekeyParams struct {
	Grant     [HashSize]byte // hash of the grant: scope, epoch, purpose, validity, threshold, policy
	Reader    *PublicKey     // who shall be able to read
	Gateways  []string       // distinct gateway ids (organisation MSP ids), at most 255
	Threshold int            // how many of them it takes, 1 <= Threshold <= len(Gateways)
}

func (p *RekeyParams) validate() error {
	if !p.Reader.valid() {
		return parameter("no reader key")
	}
	return validateThreshold(p.Threshold, p.Gateways)
}

func validateThreshold(threshold int, gateways []string) error {
	if len(gateways) == 0 || len(gateways) > MaxGateways {
		return parameter("%d gateways", len(gateways))
	}
	if threshold < 1 || threshold > len(gateways) {
		return parameter("threshold %d of %d gateways", threshold, len(gateways))
	}
	seen := make(map[string]bool, len(gateways))
	for _, g := range gateways {
		if !validGateway(g) {
			return parameter("gateway id %q", g)
		}
		if seen[g] {
			return parameter("gateway %q is named twice", g)
		}
		seen[g] = true
	}
	return nil
}

// Rekey splits the re-encryption key from the delegating key to a reader into one signed fragment per gateway, in the order
// of p.Gateways. Any p.Threshold of them transform every capsule of the delegating key for this reader; fewer are worth
// nothing. The reader takes no part, and must never receive a fragment: threshold fragments together with the reader's
// private key give the delegating key. The signer is the scope's signing key, whose public key the ledger pins.
//
// With x_A fresh, X_A = x_A·G and dh = x(x_A·pk_B): d = H_s("d", X_A, pk_B, dh), f random of degree t-1 with f(0) = a/d,
// x_i = H_s("x", X_A, pk_B, dh, id_i) and rk_i = f(x_i). The points x_i of evaluation are secret from the gateways.
func Rekey(source io.Reader, delegating *PrivateKey, signer crypto.Signer, p RekeyParams) ([]*KeyFragment, error) {
	if !delegating.valid() || signer == nil {
		return nil, parameter("rekey: delegating key and signer are required")
	}
	if err := p.validate(); err != nil {
		return nil, fmt.Errorf("rekey: %w", err)
	}
	signerKey, err := PublicKeyOf(signer.Public())
	if err != nil {
		return nil, fmt.Errorf("rekey: signer: %w", err)
	}
	s, err := newSharing(source, delegating, p)
	if err != nil {
		return nil, fmt.Errorf("rekey: %w", err)
	}
	names := fragmentNames{delegating.Public(), p.Reader, signerKey}
	frags := make([]*KeyFragment, len(p.Gateways))
	for i, gateway := range p.Gateways {
		k, err := s.fragment(source, gateway, p.Grant)
		if err != nil {
			return nil, fmt.Errorf("rekey: %w", err)
		}
		digest := k.digest(names)
		sig, err := SignP256(source, signer, digest[:])
		if err != nil {
			return nil, fmt.Errorf("rekey: %w", err)
		}
		k.sig = [SignatureSize]byte(sig)
		frags[i] = k
	}
	return frags, nil
}

// sharing is one run of Rekey: the ephemeral exchange with the reader and the polynomial.
type sharing struct {
	exchange exchange
	f        algebra.Polynomial
}

func newSharing(source io.Reader, delegating *PrivateKey, p RekeyParams) (*sharing, error) {
	ephemeral, err := GeneratePrivateKey(source)
	if err != nil {
		return nil, err
	}
	dh, err := ephemeral.ECDH(p.Reader)
	if err != nil {
		return nil, err
	}
	ex := exchange{xa: ephemeral.pub.pt, reader: p.Reader.pt, dh: dh}
	f, err := suite().Rekey(randomOr(source), delegating.d, ex.d(), p.Threshold)
	if err != nil {
		return nil, degenerate(err)
	}
	return &sharing{ex, f}, nil
}

func (s *sharing) fragment(source io.Reader, gateway string, grant [HashSize]byte) (*KeyFragment, error) {
	k := &KeyFragment{fragmentBase: fragmentBase{xa: s.exchange.xa, gateway: gateway, grant: grant}}
	if _, err := io.ReadFull(randomOr(source), k.id[:]); err != nil {
		return nil, fmt.Errorf("read randomness: %w", err)
	}
	rk, u1, err := suite().KeyFragment(s.f, s.exchange.coordinate(k.id))
	if err != nil {
		return nil, degenerate(err)
	}
	k.rk, k.u1 = rk, u1
	return k, nil
}

// exchange is what patient and reader share through X_A: dh is the x coordinate of the Diffie-Hellman point.
type exchange struct {
	xa, reader point
	dh         []byte
}

// d blinds the delegating key: f(0) = a/d.
func (x exchange) d() scalar { return hashToScalar(labelSecret, x.xa.Bytes(), x.reader.Bytes(), x.dh) }

// coordinate is where the polynomial is evaluated for fragment id.
func (x exchange) coordinate(id [HashSize]byte) scalar {
	return hashToScalar(labelCoordinate, x.xa.Bytes(), x.reader.Bytes(), x.dh, id[:])
}
