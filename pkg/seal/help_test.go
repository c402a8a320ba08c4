// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package seal_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/seal"
)

var layouts = []seal.Layout{seal.Plain, seal.Padded}

// payloadCipher is the payload cipher of the specification (C2), made without the package.
func payloadCipher(t testing.TB, key *seal.DataKey, id [seal.FileIDSize]byte, layout seal.Layout) cipher.Block {
	t.Helper()
	label := map[seal.Layout]string{seal.Plain: "EMRYS-PRE-V1 payload", seal.Padded: "EMRYS-PRE-V1 payload padded"}[layout]
	payloadKey, err := hkdf.Key(sha256.New, key.InsecureBytes(), id[:], label, 32)
	require.NoError(t, err)
	block, err := aes.NewCipher(payloadKey)
	require.NoError(t, err)
	return block
}

func additionalData(id [seal.FileIDSize]byte, i int, final bool) []byte {
	aad := append([]byte("EMRYS-PRE-V1 seg"), id[:]...)
	aad = binary.BigEndian.AppendUint64(aad, uint64(i))
	if final {
		return append(aad, 1)
	}
	return append(aad, 0)
}

// byHand seals any plaintext under the keys of a layout as the specification says (C3), well formed or not.
func byHand(t testing.TB, key *seal.DataKey, id [seal.FileIDSize]byte, layout seal.Layout, plaintext []byte) []byte {
	t.Helper()
	aead, err := cipher.NewGCMWithRandomNonce(payloadCipher(t, key, id, layout))
	require.NoError(t, err)
	return cutAndSeal(plaintext, func(i int, part []byte, final bool) []byte {
		return aead.Seal(nil, nil, part, additionalData(id, i, final))
	})
}

func cutAndSeal(plaintext []byte, segment func(i int, part []byte, final bool) []byte) []byte {
	var out []byte
	for i := 0; ; i++ {
		part := plaintext[:min(full, len(plaintext))]
		plaintext = plaintext[len(part):]
		out = append(out, segment(i, part, len(plaintext) == 0)...)
		if len(plaintext) == 0 {
			return out
		}
	}
}

// plaintextOf lays content out (C4), with the package's own lengths.
func plaintextOf(t testing.TB, layout seal.Layout, content []byte) []byte {
	t.Helper()
	if layout == seal.Plain {
		return content
	}
	size, err := seal.PaddedSize(uint64(len(content)))
	require.NoError(t, err)
	plain := make([]byte, size)
	binary.BigEndian.PutUint64(plain, uint64(len(content)))
	copy(plain[8:], content)
	return plain
}

// sealedAs seals content in a layout with the package, and returns the plaintext length as well.
func sealedAs(t testing.TB, key *seal.DataKey, id [seal.FileIDSize]byte, layout seal.Layout, content []byte) ([]byte, uint64) {
	t.Helper()
	var opts []seal.WriteOption
	if layout == seal.Padded {
		opts = append(opts, seal.Pad(len(content)))
	}
	r := seal.NewSealingReader(bytes.NewReader(content), key, id, opts...)
	stored, err := io.ReadAll(r)
	require.NoError(t, err)
	return stored, r.Size()
}
