// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package reference

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/mlkem"
	"crypto/mlkem/mlkemtest"
	"crypto/sha256"
	"crypto/sha3"
	"encoding/binary"
	"math/big"
)

// KEM is the identifier of MLKEM768-P256 (pre.md P11.1).
const KEM = 0x0050

const kemLabel = "MLKEM768-P256"

// hybridSuite is suite_id of pre.md P11.2.
const hybridSuite = "HPKE\x00\x50\x00\x01\xff\xff"

// Hybrid is an expanded hybrid private key (pre.md P11.1).
type Hybrid struct {
	Private []byte
	Seed    []byte // d ‖ z of ML-KEM-768
	E       *big.Int
	kem     *mlkem.DecapsulationKey768
}

// NewHybrid expands 32 bytes.
func NewHybrid(private []byte) *Hybrid {
	stream := sha3.NewSHAKE256()
	Must(stream.Write(private))
	take := func(n int) []byte { b := make([]byte, n); Must(stream.Read(b)); return b }
	h := &Hybrid{Private: private, Seed: take(64)}
	for {
		h.E = new(big.Int).SetBytes(take(32))
		if h.E.Sign() != 0 && h.E.Cmp(Order()) < 0 {
			break
		}
	}
	h.kem = Must(mlkem.NewDecapsulationKey768(h.Seed))
	return h
}

// Public is the public key, 1249 bytes.
func (h *Hybrid) Public() []byte {
	return Join(h.kem.EncapsulationKey().Bytes(), Uncompressed(Base(h.E)))
}

// Combine is ss of pre.md P11.1.
func Combine(ssPQ, ssT, ctT, pkT []byte) []byte {
	h := sha3.Sum256(Join(ssPQ, ssT, ctT, pkT, []byte(kemLabel)))
	return h[:]
}

// EncapsulateHybrid is pre.md P11.1 with the ML-KEM message and the ephemeral scalar given.
func EncapsulateHybrid(public, message []byte, y *big.Int) (ss, enc []byte) {
	ek := Must(mlkem.NewEncapsulationKey768(public[:1184]))
	ssPQ, ctPQ, err := mlkemtest.Encapsulate768(ek, message)
	if err != nil {
		panic(err)
	}
	ctT := Uncompressed(Base(y))
	ssT := X(Mul(y, Compressed(public[1184:])))
	return Combine(ssPQ, ssT, ctT, public[1184:]), Join(ctPQ, ctT)
}

// Decapsulate reverses it.
func (h *Hybrid) Decapsulate(enc []byte) []byte {
	ssPQ := Must(h.kem.Decapsulate(enc[:1088]))
	ssT := X(Mul(h.E, Compressed(enc[1088:])))
	return Combine(ssPQ, ssT, enc[1088:], h.Public()[1184:])
}

// SealKey is K of pre.md P11.2 from the KEM's secret.
func SealKey(ss, info []byte) []byte {
	extract := func(label string, ikm []byte) []byte {
		return Must(hkdf.Extract(sha256.New, Join([]byte("HPKE-v1"+hybridSuite+label), ikm), nil))
	}
	secretWith := func(salt []byte, label string, ikm []byte) []byte {
		return Must(hkdf.Extract(sha256.New, Join([]byte("HPKE-v1"+hybridSuite+label), ikm), salt))
	}
	expand := func(prk []byte, label string, info []byte, size int) []byte {
		full := Join(binary.BigEndian.AppendUint16(nil, uint16(size)), []byte("HPKE-v1"+hybridSuite+label), info) //nolint:gosec // small
		return Must(hkdf.Expand(sha256.New, prk, string(full), size))
	}
	schedule := Join([]byte{0}, extract("psk_id_hash", nil), extract("info_hash", Joined("seal", info)))
	exporter := expand(secretWith(ss, "secret", nil), "exp", schedule, 32)
	return expand(exporter, "sec", Joined("seal key"), 32)
}

// Sealing is what sealing draws.
type Sealing struct {
	Message []byte // of ML-KEM, 32 bytes
	Y       *big.Int
	Nonce   []byte // 12 bytes
}

// NewSealing draws one.
func NewSealing(r *Random) Sealing { return Sealing{r.Bytes(32), r.Scalar(), r.Bytes(12)} }

// Seal is pre.md P11.3 under info'.
func Seal(public, info, plaintext []byte, s Sealing) []byte {
	return SealAs(KEM, public, info, plaintext, s)
}

// SealAs is Seal with another KEM id in the header, which the tag covers.
func SealAs(kem uint16, public, info, plaintext []byte, s Sealing) []byte {
	ss, enc := EncapsulateHybrid(public, s.Message, s.Y)
	header := append(binary.BigEndian.AppendUint16(nil, kem), enc...)
	return Join(header, GCM(SealKey(ss, info), s.Nonce, header, plaintext))
}

// Unseal reverses Seal without any check but that of the tag.
func (h *Hybrid) Unseal(info, sealed []byte) ([]byte, error) {
	key := SealKey(h.Decapsulate(sealed[2:1155]), info)
	return newGCM(key).Open(nil, sealed[1155:1167], sealed[1167:], sealed[:1155])
}

func newGCM(key []byte) cipher.AEAD { return Must(cipher.NewGCM(Must(aes.NewCipher(key)))) }

// GCM returns nonce ‖ ciphertext ‖ tag.
func GCM(key, nonce, aad, plaintext []byte) []byte {
	return Join(nonce, newGCM(key).Seal(nil, nonce, plaintext, aad))
}

// ShareInfo is info' of pre.md P12.1.
func ShareInfo(ctx []byte, gateway string, index uint8, commitment []byte) []byte {
	return Joined("share", ctx, Gateway(gateway), []byte{index}, commitment)
}

// ReShareInfo is info' of pre.md P12.3.
func ReShareInfo(ctx []byte, gateway string, index uint8, commitment, request []byte) []byte {
	return Joined("share for reader", ctx, Gateway(gateway), []byte{index}, commitment, request)
}

// ShareCommitment is pre.md P12.1.
func ShareCommitment(ctx []byte, gateway string, index uint8, y, salt []byte) []byte {
	return H("share commitment", ctx, Gateway(gateway), []byte{index}, y, salt)
}

// KEK is pre.md P13.1.
func KEK(ctx, kShare, kPre []byte) []byte { return KDF(Join(kShare, kPre), ctx, 32, "kek") }

// Wrap is pre.md P13.1.
func Wrap(ctx, kShare, kPre, dek, nonce []byte) []byte {
	return GCM(KEK(ctx, kShare, kPre), nonce, Joined("wrapped key", ctx), dek)
}

// MLKEMSecret is ssPQ of pre.md P11.1.
func MLKEMSecret(public, message []byte) []byte {
	ss, _, err := mlkemtest.Encapsulate768(Must(mlkem.NewEncapsulationKey768(public[:1184])), message)
	if err != nil {
		panic(err)
	}
	return ss
}

// OpenGCM opens nonce ‖ ciphertext ‖ tag.
func OpenGCM(key, box, aad []byte) ([]byte, error) {
	return newGCM(key).Open(nil, box[:12], box[12:], aad)
}
