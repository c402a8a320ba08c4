// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package pre

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
)

// HashSize is the length in bytes of every hash of the protocol: SHA-256.
const HashSize = 32

// Domain labels. Each names one use of a hash, key derivation or seal; no two uses share one.
const (
	labelCapsule       = "capsule"
	labelCapsuleR      = "capsule r"
	labelCapsuleU      = "capsule u"
	labelSecret        = "d"
	labelCoordinate    = "x"
	labelReencryption  = "reencryption"
	labelProofNonce    = "reencryption nonce"
	labelPreKey        = "K_pre"
	labelFragmentSign  = "key fragment signature"
	labelFragmentID    = "key fragment commitment"
	labelGateway       = "gateway"
	labelScopeKey      = "scope key"
	labelScopeSigner   = "scope signer"
	labelHybridKey     = "hybrid key"
	labelSeal          = "seal"
	labelSealKey       = "seal key"
	labelShare         = "share"
	labelShareCommit   = "share commitment"
	labelReshare       = "share for reader"
	labelKEK           = "kek"
	labelWrap          = "wrapped key"
	labelSealFragment  = "key fragment for gateway"
	labelPatientCopy   = "patient copy"
	labelHospitalCopy  = "hospital copy"
	labelDirectKey     = "direct key for reader"
	labelRecordContext = "record context"
)

// appendPart appends part preceded by its length as four bytes, so that no two lists of parts have the same encoding.
func appendPart(b, part []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(part))) //nolint:gosec // parts are short
	return append(b, part...)
}

// joinParts returns suite and label, then every part, each length-prefixed.
func joinParts(label string, parts ...[]byte) []byte {
	n := 8 + len(Suite) + len(label)
	for _, p := range parts {
		n += 4 + len(p)
	}
	b := appendPart(make([]byte, 0, n), []byte(Suite))
	b = appendPart(b, []byte(label))
	for _, p := range parts {
		b = appendPart(b, p)
	}
	return b
}

// hash32 is SHA-256 over suite, label and parts.
func hash32(label string, parts ...[]byte) [HashSize]byte {
	return sha256.Sum256(joinParts(label, parts...))
}

// hashToScalar is H_s: expand_message_xmd (RFC 9380, 5.3.1) of the length-prefixed parts under a domain tag that carries
// the label, 48 bytes, modulo n. Its result is never zero.
func hashToScalar(label string, parts ...[]byte) scalar {
	var msg []byte
	for _, p := range parts {
		msg = appendPart(msg, p)
	}
	var wide [wideSize]byte
	expandXMD(wide[:], msg, Suite+"-P256-"+label)
	return nonZero(suite().Field().Reduce(&wide))
}

// nonZero replaces zero, which has probability 2^-256, by one.
func nonZero(x scalar) scalar {
	if x.IsZero() {
		return suite().Field().Small(1)
	}
	return x
}

// expandXMD fills out, at most 255·32 bytes, with expand_message_xmd of msg under a domain tag of at most 255 bytes
// (RFC 9380, 5.3.1, with SHA-256).
func expandXMD(out, msg []byte, domain string) {
	dst := append([]byte(domain), byte(len(domain)))
	h := sha256.New()
	h.Write(make([]byte, sha256.BlockSize))
	h.Write(msg)
	h.Write([]byte{byte(len(out) >> 8), byte(len(out)), 0})
	h.Write(dst)
	b0 := h.Sum(nil)

	block := make([]byte, sha256.Size)
	for i := byte(1); len(out) > 0; i++ {
		for j := range block {
			block[j] ^= b0[j]
		}
		h.Reset()
		h.Write(block)
		h.Write([]byte{i})
		h.Write(dst)
		block = h.Sum(block[:0])
		out = out[copy(out, block):]
	}
}

// deriveKey is HKDF-SHA-256 (RFC 5869) with suite, label and parts as info.
func deriveKey(secret, salt []byte, size int, label string, parts ...[]byte) ([]byte, error) {
	return hkdfSHA256(secret, salt, joinParts(label, parts...), size)
}

func hkdfSHA256(secret, salt, info []byte, size int) ([]byte, error) {
	key, err := hkdf.Key(sha256.New, secret, salt, string(info), size)
	if err != nil {
		return nil, fmt.Errorf("derive key: %w", err)
	}
	return key, nil
}

// gatewayHash is what stands for a gateway's id wherever it is signed or hashed.
func gatewayHash(gateway string) []byte {
	h := hash32(labelGateway, []byte(gateway))
	return h[:]
}

// MaxGatewayID is the longest gateway id in bytes. Ids are printable ASCII without spaces.
const MaxGatewayID = 128

func validGateway(id string) bool {
	if len(id) == 0 || len(id) > MaxGatewayID {
		return false
	}
	for i := range len(id) {
		if id[i] <= ' ' || id[i] > '~' {
			return false
		}
	}
	return true
}
