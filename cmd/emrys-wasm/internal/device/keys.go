// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package device

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"io"
	"math"

	"github.com/emrys-health/emrys/pkg/pre"
)

// The seed at rest: AES-256-GCM with a random nonce under HKDF-SHA-256(wrapping key, info sealedSeedLabel), with the label
// as additional data. nonce 12 ‖ ciphertext 32 ‖ tag 16.
const (
	sealedSeedLabel = "EMRYS-DEVICE-V1 seed"
	sealedSeedSize  = 12 + pre.SeedSize + 16
	wrappingKeySize = 32
)

// generateSeed draws a root seed. () -> handle.
func (d *Device) generateSeed(a *arguments) (Fields, error) {
	if err := a.end(); err != nil {
		return nil, err
	}
	h := &seedHolder{}
	if _, err := io.ReadFull(rand.Reader, h.seed[:]); err != nil {
		return nil, fmt.Errorf("draw seed: %w", err)
	}
	return d.keep(h, Fields{})
}

// sealSeed encrypts a seed for storage. (seed, key) -> sealed.
func (d *Device) sealSeed(a *arguments) (Fields, error) {
	h := secret[seedHolder](a, "seed")
	key := a.sized("key", wrappingKeySize)
	defer clear(key)
	if err := a.end(); err != nil {
		return nil, err
	}
	aead, err := seedCipher(key)
	if err != nil {
		return nil, err
	}
	return Fields{"sealed": aead.Seal(nil, nil, h.seed[:], []byte(sealedSeedLabel))}, nil
}

// openSeed decrypts a stored seed. (sealed, key) -> handle.
func (d *Device) openSeed(a *arguments) (Fields, error) {
	sealed := a.sized("sealed", sealedSeedSize)
	key := a.sized("key", wrappingKeySize)
	defer clear(key)
	if err := a.end(); err != nil {
		return nil, err
	}
	aead, err := seedCipher(key)
	if err != nil {
		return nil, err
	}
	seed, err := aead.Open(nil, nil, sealed, []byte(sealedSeedLabel))
	if err != nil {
		return nil, failed(CodeDecrypt, "the stored seed does not open with this key")
	}
	defer clear(seed)
	h := &seedHolder{}
	copy(h.seed[:], seed)
	return d.keep(h, Fields{})
}

func seedCipher(wrappingKey []byte) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, wrappingKey, nil, sealedSeedLabel, wrappingKeySize)
	if err != nil {
		return nil, fmt.Errorf("derive seed key: %w", err)
	}
	defer clear(key)
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("prepare AES: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("prepare AES-GCM: %w", err)
	}
	return aead, nil
}

// deriveScope derives both keys of a scope and epoch. (seed, scope, epoch) -> handle, delegating, fragment: the public keys
// that the patient publishes.
func (d *Device) deriveScope(a *arguments) (Fields, error) {
	h := secret[seedHolder](a, "seed")
	id := a.name("scope")
	epoch := uint32(a.number("epoch", 0, math.MaxUint32))
	if err := a.end(); err != nil {
		return nil, err
	}
	delegating, err := pre.DeriveScopeKey(h.seed[:], id, epoch)
	if err != nil {
		return nil, fmt.Errorf("derive scope: %w", err)
	}
	signer, err := pre.DeriveScopeSigner(h.seed[:], id, epoch)
	if err != nil {
		return nil, fmt.Errorf("derive scope: %w", err)
	}
	return d.keep(&scopeHolder{id, epoch, delegating, signer}, Fields{
		"delegating": delegating.Public().Bytes(), "fragment": signer.Public().Bytes(),
	})
}

// deriveHybrid derives the key that opens what is sealed to this person. (seed, purpose, epoch) -> handle, public.
func (d *Device) deriveHybrid(a *arguments) (Fields, error) {
	h := secret[seedHolder](a, "seed")
	purpose := a.name("purpose")
	epoch := uint32(a.number("epoch", 0, math.MaxUint32))
	if err := a.end(); err != nil {
		return nil, err
	}
	key, err := pre.DeriveHybridKey(h.seed[:], purpose, epoch)
	if err != nil {
		return nil, fmt.Errorf("derive hybrid key: %w", err)
	}
	return d.keep(&hybridHolder{key}, Fields{"public": key.Public().Bytes()})
}

// generateReadingKey draws a reading key that lives as long as its handle; a lasting one belongs into WebCrypto.
// () -> handle, public.
func (d *Device) generateReadingKey(a *arguments) (Fields, error) {
	key, err := generateKey(a)
	if err != nil {
		return nil, err
	}
	return d.keep(&readingHolder{key}, Fields{"public": key.Public().Bytes()})
}

// generateSigningKey draws a signing key that lives as long as its handle; a lasting one belongs into WebCrypto or a
// passkey. () -> handle, public.
func (d *Device) generateSigningKey(a *arguments) (Fields, error) {
	key, err := generateKey(a)
	if err != nil {
		return nil, err
	}
	return d.keep(&signingHolder{key}, Fields{"public": key.Public().Bytes()})
}

func generateKey(a *arguments) (*pre.PrivateKey, error) {
	if err := a.end(); err != nil {
		return nil, err
	}
	key, err := pre.GeneratePrivateKey(nil)
	if err != nil {
		return nil, fmt.Errorf("generate key: %w", err)
	}
	return key, nil
}

// closeHandle clears a secret. (handle) -> closed: false when it was not open.
func (d *Device) closeHandle(a *arguments) (Fields, error) {
	n := uint32(a.number("handle", 0, math.MaxUint32))
	if err := a.end(); err != nil {
		return nil, err
	}
	return Fields{"closed": d.secrets.close(n)}, nil
}

// closeAll clears every secret. () -> closed: how many.
func (d *Device) closeAll(a *arguments) (Fields, error) {
	if err := a.end(); err != nil {
		return nil, err
	}
	return Fields{"closed": d.secrets.closeAll()}, nil
}

// countHandles tells how many secrets are open. () -> open.
func (d *Device) countHandles(a *arguments) (Fields, error) {
	if err := a.end(); err != nil {
		return nil, err
	}
	return Fields{"open": len(d.secrets.entries)}, nil
}
