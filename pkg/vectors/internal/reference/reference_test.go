// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package reference

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hpke"
	"encoding/hex"
	"math/big"
	"testing"

	"github.com/cloudflare/circl/expander"
	"github.com/cloudflare/circl/group"
	"github.com/fxamacker/cbor/v2"
	"github.com/stretchr/testify/require"
)

// The formulas are held against what others published or implemented.

func TestExpandIsThatOfRFC9380(t *testing.T) {
	t.Parallel()
	const dst = "QUUX-V01-CS02-with-expander-SHA256-128"
	for msg, want := range map[string]string{ // K.1
		"":    "68a985b87eb6b46952128911f2a4412bbc302a9d759667f87f7a21d803f07235",
		"abc": "d8ccab23b5985ccea865c6c97b6e5b8350e794e603b4b97902f53a8a0d605615",
	} {
		require.Equal(t, want, hex.EncodeToString(Expand([]byte(msg), dst, 32)))
	}
	for _, size := range []int{1, 32, 33, 48, 96, 255 * 32} {
		require.Equal(t, expander.NewExpanderMD(crypto.SHA256, []byte(dst)).Expand([]byte("x"), uint(size)), Expand([]byte("x"), dst, size)) //nolint:gosec // positive
	}
}

func TestUIsHashedToTheCurve(t *testing.T) {
	t.Parallel()
	u := group.P256.HashToElement([]byte("POINT_U"), []byte("EMRYS-PRE-V1-P256_XMD:SHA-256_SSWU_RO_"))
	want, err := u.MarshalBinaryCompress()
	require.NoError(t, err)
	require.Equal(t, Point(want), U())
}

func TestSignaturesVerify(t *testing.T) {
	t.Parallel()
	r := NewRandom("signatures")
	key, hash := r.Scalar(), r.Bytes(32)
	sig := Sign(key, hash, r.Scalar())
	pub, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), Uncompressed(Base(key)))
	require.NoError(t, err)
	require.True(t, ecdsa.Verify(pub, hash, new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:])))
}

func TestHybridSealingIsHPKEs(t *testing.T) {
	t.Parallel()
	r := NewRandom("hybrid")
	h := NewHybrid(r.Bytes(32))
	kem := hpke.MLKEM768P256()
	private, err := kem.NewPrivateKey(h.Private)
	require.NoError(t, err)
	require.Equal(t, private.PublicKey().Bytes(), h.Public())

	ss, enc := EncapsulateHybrid(h.Public(), r.Bytes(32), r.Scalar())
	recipient, err := hpke.NewRecipient(enc, private, hpke.HKDFSHA256(), hpke.ExportOnly(), Joined("seal", []byte("info")))
	require.NoError(t, err)
	want, err := recipient.Export(string(Joined("seal key")), 32)
	require.NoError(t, err)
	require.Equal(t, want, SealKey(ss, []byte("info")))
	require.Equal(t, ss, h.Decapsulate(enc))

	sealed := Seal(h.Public(), []byte("info"), []byte("plaintext"), NewSealing(r))
	plaintext, err := h.Unseal([]byte("info"), sealed)
	require.NoError(t, err)
	require.Equal(t, "plaintext", string(plaintext))
	_, err = h.Unseal([]byte("other"), sealed)
	require.Error(t, err)
}

func TestInterpolationGivesThePolynomialBack(t *testing.T) {
	t.Parallel()
	r := NewRandom("polynomial")
	f := Polynomial{r.Scalar(), r.Scalar(), r.Scalar()}
	xs := []*big.Int{r.Scalar(), r.Scalar(), r.Scalar()}
	ys := []*big.Int{f.At(xs[0]), f.At(xs[1]), f.At(xs[2])}
	require.Equal(t, f[0], Interpolate(xs, ys, new(big.Int)))
	at := r.Scalar()
	require.Equal(t, f.At(at), Interpolate(xs, ys, at))
}

func TestCBORIsTheShortestForm(t *testing.T) {
	t.Parallel()
	mode, err := cbor.CoreDetEncOptions().EncMode()
	require.NoError(t, err)
	for _, n := range []uint64{0, 23, 24, 255, 256, 65535, 65536, 1<<32 - 1, 1 << 32, ^uint64(0)} {
		want, err := mode.Marshal(n)
		require.NoError(t, err)
		require.Equal(t, want, Uint(n))
	}
	want, err := mode.Marshal([]any{"text", bytes.Repeat([]byte{1}, 300), uint64(7)})
	require.NoError(t, err)
	require.Equal(t, want, Array(Text("text"), Bytes(bytes.Repeat([]byte{1}, 300)), Uint(7)))
}

// TestPadmeIsThatOfContainerC14 uses the figures of container.md C4 and C14.
func TestPadmeIsThatOfContainerC14(t *testing.T) {
	t.Parallel()
	for n, want := range map[uint64]uint64{
		0: 8, 1: 10, 2: 10, 8: 16, 9: 18, 13: 22, 100: 112, 1000: 1024, 262108: 262144, 600000: 606208, 8388601: 8650752, 1000000000: 1006632960,
	} {
		require.Equal(t, want, Padme(n+8))
	}
	var dek, fileID [32]byte
	for i := range dek {
		dek[i], fileID[i] = byte(i), byte(255-i)
	}
	require.Equal(t, "d19fc1c2a194e5f56882d4ac1e9073424eee95a62df7e1dcd101be9e8cdc27f4", hex.EncodeToString(Plain.Commitment(dek[:], fileID[:])))
	require.Equal(t, "174969ee6c8cd87f5ea6786509d6e16df9a45cfab9351af71434d9a4bbfe9ea7", hex.EncodeToString(Padded.PayloadKey(dek[:], fileID[:])))
	for layout, want := range map[Layout]string{
		Plain:  "a1b2c3d4e5f60718293a4b5c9ea267a2205ae3f8d964a32e77c05f3d634de200d2cdca36e521777dd0",
		Padded: "a1b2c3d4e5f60718293a4b5c451dbf2643296cc1a35cb52abaa8c7911f5ca5cb39e141f9c96c74f08c8b607e20c451180d5d",
	} {
		nonce := Scalar32Hex("a1b2c3d4e5f60718293a4b5c")
		sealed := SealSegment(layout.PayloadKey(dek[:], fileID[:]), fileID[:], nonce, 0, true, layout.Plaintext([]byte("vital signs: ")))
		require.Equal(t, want, hex.EncodeToString(sealed))
	}
}
