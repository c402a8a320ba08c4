// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package pre

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hpke"
	"encoding/binary"
	"errors"
	"fmt"
)

// KEMID is the HPKE identifier of MLKEM768-P256 (draft-ietf-hpke-pq), the KEM of suite EMRYS-PRE-V1. Every sealed object
// begins with it, so that another KEM can follow.
const KEMID uint16 = 0x0050

// Lengths in bytes of the hybrid layer.
const (
	HybridPublicKeySize  = 1249                                        // ML-KEM-768 encapsulation key 1184 ‖ P-256 point 65
	HybridPrivateKeySize = 32                                          // a seed
	encapsulationSize    = 1153                                        // ML-KEM-768 ciphertext 1088 ‖ P-256 point 65
	gcmOverhead          = 12 + 16                                     // nonce and tag
	SealOverhead         = kemIDSize + encapsulationSize + gcmOverhead // what SealTo adds to a plaintext
	SealedShareSize      = SealOverhead + ScalarSize + saltSize        // a sealed share
	SealedKeySize        = SealOverhead + KeySize                      // a sealed copy of one key
	WrappedKeySize       = KeySize + gcmOverhead                       // what WrapKey returns
	kemIDSize            = 2
	saltSize             = 32
	sealKeySize          = 32
)

// HybridPublicKey seals to one holder. Breaking it takes breaking both ML-KEM-768 and P-256. It is immutable and safe for
// concurrent use.
type HybridPublicKey struct {
	key hpke.PublicKey
	enc []byte
}

// ParseHybridPublicKey decodes 1249 bytes.
func ParseHybridPublicKey(b []byte) (*HybridPublicKey, error) {
	if len(b) != HybridPublicKeySize {
		return nil, malformed("parse hybrid public key: %d bytes", len(b))
	}
	key, err := hpke.MLKEM768P256().NewPublicKey(b)
	if err != nil {
		return nil, malformed("parse hybrid public key: %v", err)
	}
	return &HybridPublicKey{key, bytes.Clone(b)}, nil
}

// Bytes returns the 1249-byte encoding.
func (k *HybridPublicKey) Bytes() []byte {
	if k == nil {
		return nil
	}
	return bytes.Clone(k.enc)
}

// Equal reports whether both are the same key.
func (k *HybridPublicKey) Equal(other *HybridPublicKey) bool {
	return k != nil && other != nil && bytes.Equal(k.enc, other.enc)
}

// ID returns the key's id; that of no key is zero.
func (k *HybridPublicKey) ID() KeyID {
	if k == nil || len(k.enc) == 0 {
		return KeyID{}
	}
	return keyID(k.enc)
}

// String returns the key's id.
func (k *HybridPublicKey) String() string {
	if k == nil {
		return "pre.HybridPublicKey(nil)"
	}
	return "pre.HybridPublicKey(" + k.ID().String() + ")"
}

// HybridPrivateKey opens what was sealed to its public key. It prints as the id of its public key only. It is immutable and
// safe for concurrent use.
type HybridPrivateKey struct {
	key *hybridSecret
	pub *HybridPublicKey
}

// hybridSecret keeps the key behind two pointers, since package fmt follows one where a verb does not fit, but not two.
type hybridSecret struct{ hpke hpke.PrivateKey }

// GenerateHybridKey draws a key. There is no random source to choose: the key schedule takes its own from crypto/rand.
func GenerateHybridKey() (*HybridPrivateKey, error) {
	key, err := hpke.MLKEM768P256().GenerateKey()
	if err != nil {
		return nil, fmt.Errorf("generate hybrid key: %w", err)
	}
	return newHybridPrivateKey(key), nil
}

// ParseHybridPrivateKey expands a 32-byte seed.
func ParseHybridPrivateKey(seed []byte) (*HybridPrivateKey, error) {
	if len(seed) != HybridPrivateKeySize {
		return nil, malformed("parse hybrid private key: %d bytes", len(seed))
	}
	key, err := hpke.MLKEM768P256().NewPrivateKey(seed)
	if err != nil {
		return nil, malformed("parse hybrid private key: %v", err)
	}
	return newHybridPrivateKey(key), nil
}

func newHybridPrivateKey(key hpke.PrivateKey) *HybridPrivateKey {
	pub := key.PublicKey()
	return &HybridPrivateKey{&hybridSecret{key}, &HybridPublicKey{pub, pub.Bytes()}}
}

// DeriveHybridKey derives a hybrid key from a patient's root seed of 32 random bytes, one for each purpose and epoch.
func DeriveHybridKey(seed []byte, purpose string, epoch uint32) (*HybridPrivateKey, error) {
	derived, err := deriveFromSeed(labelHybridKey, seed, HybridPrivateKeySize, purpose, epoch)
	if err != nil {
		return nil, fmt.Errorf("derive hybrid key: %w", err)
	}
	defer clear(derived)
	return ParseHybridPrivateKey(derived)
}

// Public returns the public key, or nil if there is no key.
func (k *HybridPrivateKey) Public() *HybridPublicKey {
	if k == nil {
		return nil
	}
	return k.pub
}

// InsecureBytes returns the 32-byte seed, which is the key, for a keystore that seals it.
func (k *HybridPrivateKey) InsecureBytes() ([]byte, error) {
	if k == nil || k.key == nil {
		return nil, parameter("encode hybrid private key: no key")
	}
	b, err := k.key.hpke.Bytes()
	if err != nil {
		return nil, fmt.Errorf("encode hybrid private key: %w", err)
	}
	return b, nil
}

// SealTo encrypts plaintext to pk, bound to info, which must say what is sealed and for which purpose: opening under another
// info fails. The result is KEM id 2 ‖ encapsulation 1153 ‖ nonce 12 ‖ ciphertext ‖ tag 16, SealOverhead longer than the
// plaintext. It authenticates nobody: anyone can seal to a public key.
//
// It is HPKE (RFC 9180) in base mode with an exported key, and AES-256-GCM with a nonce drawn inside the cryptographic module:
// HPKE's own encryption counts nonces outside of it, which the certified version of Go's FIPS 140-3 module refuses.
func SealTo(pk *HybridPublicKey, info, plaintext []byte) ([]byte, error) {
	if pk == nil || pk.key == nil {
		return nil, parameter("seal: no public key")
	}
	enc, sender, err := hpke.NewSender(pk.key, hpke.HKDFSHA256(), hpke.ExportOnly(), joinParts(labelSeal, info))
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	key, err := sender.Export(string(joinParts(labelSealKey)), sealKeySize)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	defer clear(key)
	header := append(binary.BigEndian.AppendUint16(nil, KEMID), enc...)
	box, err := encrypt(key, header, plaintext)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	return append(header, box...), nil
}

// OpenFrom decrypts what SealTo sealed under the same info. ErrMalformed says that it cannot be a sealed object of this suite,
// ErrDecrypt that it does not open with this key and info.
func (k *HybridPrivateKey) OpenFrom(info, sealed []byte) ([]byte, error) {
	if k == nil || k.key == nil {
		return nil, parameter("open sealed: no private key")
	}
	if len(sealed) < SealOverhead {
		return nil, malformed("open sealed: %d bytes", len(sealed))
	}
	header, box := sealed[:kemIDSize+encapsulationSize], sealed[kemIDSize+encapsulationSize:]
	if id := binary.BigEndian.Uint16(header); id != KEMID {
		return nil, malformed("open sealed: KEM %#04x", id)
	}
	recipient, err := hpke.NewRecipient(header[kemIDSize:], k.key.hpke, hpke.HKDFSHA256(), hpke.ExportOnly(),
		joinParts(labelSeal, info))
	if err != nil { // the P-256 half of the encapsulation is not a point
		return nil, fmt.Errorf("open sealed: %w", ErrDecrypt)
	}
	key, err := recipient.Export(string(joinParts(labelSealKey)), sealKeySize)
	if err != nil {
		return nil, fmt.Errorf("open sealed: %w", err)
	}
	defer clear(key)
	plaintext, err := decrypt(key, header, box)
	if err != nil {
		return nil, fmt.Errorf("open sealed: %w", err)
	}
	return plaintext, nil
}

// encrypt returns nonce ‖ ciphertext ‖ tag.
func encrypt(key, aad, plaintext []byte) ([]byte, error) {
	aead, err := newAEAD(key)
	if err != nil {
		return nil, err
	}
	return aead.Seal(nil, nil, plaintext, aad), nil
}

func decrypt(key, aad, box []byte) ([]byte, error) {
	aead, err := newAEAD(key)
	if err != nil {
		return nil, err
	}
	plaintext, err := aead.Open(nil, nil, box, aad)
	if err != nil {
		return nil, ErrDecrypt
	}
	return plaintext, nil
}

func newAEAD(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("prepare AES: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("prepare AES-GCM: %w", err)
	}
	if aead.Overhead() != gcmOverhead {
		return nil, errors.New("unexpected AES-GCM overhead")
	}
	return aead, nil
}
