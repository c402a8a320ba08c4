// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package seal_test

import (
	"bytes"
	"crypto/cipher"
	"crypto/fips140"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/seal"
)

// pinned returns the data key and file id of C14.
func pinned(t testing.TB) (*seal.DataKey, [seal.FileIDSize]byte) {
	t.Helper()
	raw, id := make([]byte, seal.DataKeySize), [seal.FileIDSize]byte{}
	for i := range raw {
		raw[i], id[i] = byte(i), byte(0xff-i)
	}
	key, err := seal.ParseDataKey(raw)
	require.NoError(t, err)
	return key, id
}

func unhex(t testing.TB, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(text)
	require.NoError(t, err)
	return b
}

// The values of C14 were made with another implementation (Python, pyca/cryptography).
func TestC14CommitmentsArePinned(t *testing.T) {
	t.Parallel()
	key, id := pinned(t)
	for layout, want := range map[seal.Layout]string{
		seal.Plain:  "d19fc1c2a194e5f56882d4ac1e9073424eee95a62df7e1dcd101be9e8cdc27f4",
		seal.Padded: "e5052de832e89cb5673cce98c3b79563e9362a7c9aeacacf1c8204030bb108ef",
	} {
		kc := key.Commitment(id, layout)
		require.Equal(t, want, hex.EncodeToString(kc[:]))
	}
}

func TestC14StoredPayloadsOpen(t *testing.T) {
	t.Parallel()
	key, id := pinned(t)
	for name, c := range map[string]struct {
		layout  seal.Layout
		size    uint64
		content string
		stored  string
	}{
		"plain":  {seal.Plain, 13, "vital signs: ", "a1b2c3d4e5f60718293a4b5c9ea267a2205ae3f8d964a32e77c05f3d634de200d2cdca36e521777dd0"},
		"padded": {seal.Padded, 22, "vital signs: ", "a1b2c3d4e5f60718293a4b5c451dbf2643296cc1a35cb52abaa8c7911f5ca5cb39e141f9c96c74f08c8b607e20c451180d5d"},
		"empty":  {seal.Plain, 0, "", "a1b2c3d4e5f60718293a4b5c564645a23e6a9d6d3eba8a42acc490f1"},
		"empty and padded": {
			seal.Padded, 8, "", "a1b2c3d4e5f60718293a4b5c451dbf2643296ccc4513abce931837b610d55cc83c2a7f21",
		},
	} {
		stored := unhex(t, c.stored)
		got, err := io.ReadAll(seal.NewReader(bytes.NewReader(stored), key, id, c.size, c.layout))
		require.NoError(t, err, name)
		require.Equal(t, c.content, string(got))
		at, err := seal.NewReaderAt(bytes.NewReader(stored), key, id, c.size, c.layout)
		require.NoError(t, err, name)
		require.EqualValues(t, len(c.content), at.Size())
	}
}

func TestC14LongPayloadsOpen(t *testing.T) {
	t.Parallel()
	if fips140.Enforced() {
		t.Skip("the payloads are made with nonces of their own, which the strict mode refuses")
	}
	key, id := pinned(t)
	for _, c := range []struct {
		size   int
		layout seal.Layout
		plain  uint64
		digest string
	}{
		{600_000, seal.Plain, 600_000, "3b225ac24ca6a81c55d9e485b62e10b842884d55ea84f4575ce8679c09006407"},
		{600_000, seal.Padded, 606_208, "3f3f34cbbcb775349dd6034b446a61e7032e1781ecfa2dc04d8d79b8e0601812"},
		{8_388_601, seal.Padded, 8_650_752, "c303eff5da0cd7792c6c51d4ba1b0ae38b3321a1816d377fb57122dfb08ce437"},
	} {
		content := make([]byte, c.size)
		for j := range content {
			content[j] = byte(j % 251)
		}
		aead, err := cipher.NewGCM(payloadCipher(t, key, id, c.layout))
		require.NoError(t, err)
		stored := cutAndSeal(plaintextOf(t, c.layout, content), func(i int, part []byte, final bool) []byte {
			nonce := bytes.Repeat([]byte{byte(0xa0 + i)}, 12)
			return aead.Seal(nonce, nonce, part, additionalData(id, i, final))
		})
		digest := sha256.Sum256(stored)
		require.Equal(t, c.digest, hex.EncodeToString(digest[:]))
		got, err := io.ReadAll(seal.NewReader(bytes.NewReader(stored), key, id, c.plain, c.layout, seal.Workers(2)))
		require.NoError(t, err)
		require.True(t, bytes.Equal(content, got))
	}
}

// TestC3TheBytesAreTheSpecifiedOnes opens payloads with nothing but the specification and the standard library.
func TestC3TheBytesAreTheSpecifiedOnes(t *testing.T) {
	t.Parallel()
	if fips140.Enforced() {
		t.Skip("the comparison opens with a nonce of its own, which the strict mode refuses")
	}
	key, id := newKey(t), newFileID(t)
	for _, layout := range layouts {
		content := content(full + 321)
		ciphertext, size := sealedAs(t, key, id, layout, content)
		aead, err := cipher.NewGCM(payloadCipher(t, key, id, layout))
		require.NoError(t, err)
		var got []byte
		for i, segment := range segmentsOf(ciphertext) {
			got, err = aead.Open(got, segment[:12], segment[12:], additionalData(id, i, i == 1))
			require.NoError(t, err)
		}
		require.EqualValues(t, len(got), size)
		require.True(t, bytes.Equal(plaintextOf(t, layout, content), got))
	}
}
