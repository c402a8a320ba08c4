// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package pre

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
)

// KeyID names a public key: the first 16 bytes of the SHA-256 of its encoding.
type KeyID [16]byte

// String returns the id as 32 hexadecimal digits.
func (id KeyID) String() string { return hex.EncodeToString(id[:]) }

func keyID(encoding []byte) KeyID {
	h := sha256.Sum256(encoding)
	return KeyID(h[:16])
}

// PublicKey is a P-256 point other than the identity. It is immutable and safe for concurrent use. The zero value is no key
// and refused everywhere.
type PublicKey struct{ pt point }

func (k *PublicKey) valid() bool { return k != nil && k.pt.Valid() }

// ParsePublicKey decodes a key from its 33-byte compressed form (SEC 1, 2.3.4). Every other form is ErrMalformed.
func ParsePublicKey(b []byte) (*PublicKey, error) {
	pt, err := parsePoint(b)
	if err != nil {
		return nil, fmt.Errorf("parse public key: %w", err)
	}
	return &PublicKey{pt}, nil
}

// PublicKeyOf converts a key of the standard library, *ecdsa.PublicKey or *ecdh.PublicKey, which must be on P-256
// (ErrParameter).
func PublicKeyOf(pub crypto.PublicKey) (*PublicKey, error) {
	b, err := uncompressed(pub)
	if err != nil {
		return nil, err
	}
	return ParsePublicKey(append([]byte{2 | b[2*ScalarSize]&1}, b[1:PointSize]...))
}

// uncompressed returns 4 ‖ x 32 ‖ y 32 of a key of the standard library, which checks that it is on the curve.
func uncompressed(pub crypto.PublicKey) ([]byte, error) {
	switch k := pub.(type) {
	case *ecdsa.PublicKey:
		if k == nil || k.Curve != elliptic.P256() || k.X == nil || k.Y == nil { //nolint:staticcheck // Bytes needs both
			return nil, parameter("signing key is not on P-256")
		}
		b, err := k.Bytes()
		if err != nil {
			return nil, parameter("signing key is not on P-256")
		}
		return b, nil
	case *ecdh.PublicKey:
		if k == nil || k.Curve() != ecdh.P256() {
			return nil, parameter("agreement key is not on P-256")
		}
		return k.Bytes(), nil
	default:
		return nil, parameter("public key of type %T", pub)
	}
}

// Bytes returns the 33-byte compressed form.
func (k *PublicKey) Bytes() []byte {
	if !k.valid() {
		return nil
	}
	return k.pt.Bytes()
}

// Equal reports whether both are the same key.
func (k *PublicKey) Equal(other *PublicKey) bool {
	return k.valid() && other.valid() && k.pt.Encoding() == other.pt.Encoding()
}

// ID returns the key's id; that of no key is zero.
func (k *PublicKey) ID() KeyID {
	if !k.valid() {
		return KeyID{}
	}
	return keyID(k.pt.Bytes())
}

// String returns the key's id.
func (k *PublicKey) String() string {
	if !k.valid() {
		return "pre.PublicKey(nil)"
	}
	return "pre.PublicKey(" + k.ID().String() + ")"
}

// ECDSA returns the key for signature verification by the standard library.
func (k *PublicKey) ECDSA() (*ecdsa.PublicKey, error) {
	if !k.valid() {
		return nil, parameter("no public key")
	}
	pub, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), k.pt.Element.Bytes())
	if err != nil {
		return nil, fmt.Errorf("convert public key: %w", err)
	}
	return pub, nil
}

// ECDH returns the key for key agreement by the standard library.
func (k *PublicKey) ECDH() (*ecdh.PublicKey, error) {
	if !k.valid() {
		return nil, parameter("no public key")
	}
	pub, err := ecdh.P256().NewPublicKey(k.pt.Element.Bytes())
	if err != nil {
		return nil, fmt.Errorf("convert public key: %w", err)
	}
	return pub, nil
}

// ECDHer is the one operation that opening needs of a reader's or owner's private key. *PrivateKey implements it; so can a
// smart card, an HSM or a non-extractable browser key.
type ECDHer interface {
	// Public returns the public key that belongs to the private key.
	Public() *PublicKey
	// ECDH returns the x coordinate, 32 bytes, of the private key times peer (SP 800-56A, 5.7.1.2).
	ECDH(peer *PublicKey) ([]byte, error)
}

// PrivateKey is a non-zero P-256 scalar with its public key. It prints as the id of its public key only. It is immutable
// and safe for concurrent use.
type PrivateKey struct {
	d   scalar
	pub *PublicKey
}

func (k *PrivateKey) valid() bool { return k != nil && k.pub.valid() }

var _ ECDHer = (*PrivateKey)(nil)

// newPrivateKey makes a key of a scalar other than zero.
func newPrivateKey(d scalar) *PrivateKey {
	return &PrivateKey{d: d, pub: &PublicKey{basePoint(d)}}
}

// GeneratePrivateKey draws a key. A nil source means crypto/rand, which is what all but tests want.
func GeneratePrivateKey(source io.Reader) (*PrivateKey, error) {
	d, err := randomScalar(source)
	if err != nil {
		return nil, fmt.Errorf("generate private key: %w", err)
	}
	return newPrivateKey(d), nil
}

// ParsePrivateKey decodes 32 big-endian bytes. Zero and values not below the group order are ErrMalformed.
func ParsePrivateKey(b []byte) (*PrivateKey, error) {
	d, err := parseScalar(b)
	if err != nil {
		return nil, fmt.Errorf("parse private key: %w", err)
	}
	return newPrivateKey(d), nil
}

// Public returns the public key, or nil if there is no key.
func (k *PrivateKey) Public() *PublicKey {
	if !k.valid() {
		return nil
	}
	return k.pub
}

// InsecureBytes returns the secret scalar, 32 bytes, for a keystore that seals it. The name is a warning to the reader of
// the call: these bytes are the key.
func (k *PrivateKey) InsecureBytes() []byte {
	if !k.valid() {
		return nil
	}
	return k.d.Bytes()
}

// ECDH implements ECDHer with crypto/ecdh.
func (k *PrivateKey) ECDH(peer *PublicKey) ([]byte, error) {
	if !k.valid() || !peer.valid() {
		return nil, parameter("private key and peer key are required")
	}
	priv, err := ecdh.P256().NewPrivateKey(k.d.Bytes())
	if err != nil {
		return nil, fmt.Errorf("convert private key: %w", err)
	}
	pub, err := peer.ECDH()
	if err != nil {
		return nil, err
	}
	x, err := priv.ECDH(pub)
	if err != nil {
		return nil, fmt.Errorf("agree on key: %w", err)
	}
	return x, nil
}

// SeedSize is the length in bytes of a patient's root seed.
const SeedSize = 32

// DeriveScopeKey derives the delegating key of one scope and epoch from the patient's root seed of 32 random bytes, by
// HKDF-SHA-256 to 48 bytes reduced modulo n. Records of the scope are encapsulated to its public key, and it is the one key
// that t colluding gateways with a reader could recover, so it is used for nothing else.
func DeriveScopeKey(seed []byte, scopeID string, epoch uint32) (*PrivateKey, error) {
	return deriveScope(labelScopeKey, seed, scopeID, epoch)
}

// DeriveScopeSigner derives the key that signs the key fragments of one scope and epoch: independent of the delegating key,
// so that recovering that one forges no fragments.
func DeriveScopeSigner(seed []byte, scopeID string, epoch uint32) (*PrivateKey, error) {
	return deriveScope(labelScopeSigner, seed, scopeID, epoch)
}

func deriveScope(label string, seed []byte, scopeID string, epoch uint32) (*PrivateKey, error) {
	wide, err := deriveFromSeed(label, seed, wideSize, scopeID, epoch)
	if err != nil {
		return nil, fmt.Errorf("derive %s: %w", label, err)
	}
	defer clear(wide)
	d := suite().Field().Reduce((*[wideSize]byte)(wide))
	if d.IsZero() { // probability 2^-256; another epoch gives another key
		return nil, parameter("derive %s: seed, scope and epoch derive no key", label)
	}
	return newPrivateKey(d), nil
}

// deriveFromSeed derives size bytes from a root seed for one name and epoch.
func deriveFromSeed(label string, seed []byte, size int, name string, epoch uint32) ([]byte, error) {
	if len(seed) != SeedSize {
		return nil, parameter("seed of %d bytes", len(seed))
	}
	if name == "" {
		return nil, parameter("no name")
	}
	return deriveKey(seed, nil, size, label, []byte(name), binary.BigEndian.AppendUint32(nil, epoch))
}
