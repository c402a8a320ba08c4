// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package seal_test

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/fips140"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/seal"
)

func TestSizesConvertBothWays(t *testing.T) {
	t.Parallel()
	const limit = uint64(seal.MaxSegments) * seal.SegmentPlainSize
	for plain, cipher := range map[uint64]uint64{
		0: 28, 1: 29, full - 1: 262143, full: 262144, full + 1: 262144 + 29, 2 * full: 2 * 262144,
		limit - 1: seal.MaxSegments*262144 - 1, limit: seal.MaxSegments * 262144,
	} {
		got, err := seal.CipherSize(plain)
		require.NoError(t, err)
		require.Equal(t, cipher, got)
		got, err = seal.PlainSize(cipher)
		require.NoError(t, err)
		require.Equal(t, plain, got)
	}
	for _, plain := range []uint64{limit + 1, math.MaxUint64 - 1, math.MaxUint64} {
		_, err := seal.CipherSize(plain)
		require.ErrorIs(t, err, seal.ErrSize)
	}
	for _, cipher := range []uint64{
		0, 1, 27, 262144 + 1, 262144 + 27, 262144 + 28, 2*262144 + 28, seal.MaxSegments*262144 + 1, math.MaxUint64,
	} {
		_, err := seal.PlainSize(cipher)
		require.ErrorIs(t, err, seal.ErrSize, "%d", cipher)
	}
}

// TestTheFormatIsTheDocumentedOne opens a payload with nothing but the package's documentation and the standard library.
func TestTheFormatIsTheDocumentedOne(t *testing.T) {
	t.Parallel()
	if fips140.Enforced() {
		t.Skip("the comparison opens with a nonce of its own, which the strict mode refuses")
	}
	key, id, plain := newKey(t), newFileID(t), content(full+321)
	ciphertext := sealed(t, key, id, plain)

	payloadKey, err := hkdf.Key(sha256.New, key.InsecureBytes(), id[:], "EMRYS-PRE-V1 payload", 32)
	require.NoError(t, err)
	block, err := aes.NewCipher(payloadKey)
	require.NoError(t, err)
	aead, err := cipher.NewGCM(block)
	require.NoError(t, err)
	var got []byte
	for i, segment := range segmentsOf(ciphertext) {
		aad := append([]byte("EMRYS-PRE-V1 seg"), id[:]...)
		aad = binary.BigEndian.AppendUint64(aad, uint64(i))
		aad = append(aad, byte(i))
		got, err = aead.Open(got, segment[:12], segment[12:], aad)
		require.NoError(t, err)
	}
	require.True(t, bytes.Equal(plain, got))
}

// TestDerivedValuesArePinned holds the derivation to fixed vectors, made with another implementation (Python, pyca/cryptography).
func TestDerivedValuesArePinned(t *testing.T) {
	t.Parallel()
	raw, id := make([]byte, seal.DataKeySize), [seal.FileIDSize]byte{}
	for i := range raw {
		raw[i], id[i] = byte(i), byte(0xff-i)
	}
	key, err := seal.ParseDataKey(raw)
	require.NoError(t, err)
	kc := key.Commitment(id, seal.Plain)
	require.Equal(t, "d19fc1c2a194e5f56882d4ac1e9073424eee95a62df7e1dcd101be9e8cdc27f4", hex.EncodeToString(kc[:]))

	// A stored payload of 13 bytes, sealed there.
	stored, err := hex.DecodeString("a1b2c3d4e5f60718293a4b5c9ea267a2205ae3f8d964a32e77c05f3d634de200d2cdca36e521777dd0")
	require.NoError(t, err)
	plain, err := opened(key, id, stored, 13)
	require.NoError(t, err)
	require.Equal(t, "vital signs: ", string(plain))
}

func TestACommitmentFitsOneKeyOneFileAndOneLayout(t *testing.T) { // C2
	t.Parallel()
	key, id := newKey(t), newFileID(t)
	require.NotEqual(t, key.Commitment(id, seal.Plain), key.Commitment(id, seal.Padded))
	for _, layout := range []seal.Layout{seal.Plain, seal.Padded} {
		kc := key.Commitment(id, layout)
		got, err := key.Layout(id, kc)
		require.NoError(t, err)
		require.Equal(t, layout, got)
		_, err = newKey(t).Layout(id, kc)
		require.ErrorIs(t, err, seal.ErrCommitment)
		_, err = key.Layout(newFileID(t), kc)
		require.ErrorIs(t, err, seal.ErrCommitment)
		for i := range kc {
			bad := kc
			bad[i] ^= 1
			_, err = key.Layout(id, bad)
			require.ErrorIs(t, err, seal.ErrCommitment)
		}
	}
	_, err := key.Layout(id, [32]byte{})
	require.ErrorIs(t, err, seal.ErrCommitment)
}

func TestALayoutThatDoesNotExistIsNoLayout(t *testing.T) {
	t.Parallel()
	key, id := newKey(t), newFileID(t)
	const none = seal.Layout(2)
	require.Equal(t, "plain padded Layout(2)", fmt.Sprint(seal.Plain, " ", seal.Padded, " ", none))
	require.Zero(t, key.Commitment(id, none))
	_, err := io.ReadAll(seal.NewReader(bytes.NewReader(nil), key, id, 0, none))
	require.ErrorIs(t, err, seal.ErrCommitment)
	_, err = seal.NewReaderAt(bytes.NewReader(nil), key, id, 0, none)
	require.ErrorIs(t, err, seal.ErrCommitment)
}

func TestDataKeysAreParsedStrictly(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 16, 31, 33, 64} {
		_, err := seal.ParseDataKey(make([]byte, n))
		require.Error(t, err)
	}
	key := newKey(t)
	again, err := seal.ParseDataKey(key.InsecureBytes())
	require.NoError(t, err)
	require.True(t, key.Equal(again))
	require.False(t, key.Equal(newKey(t)))
	require.False(t, key.Equal(nil))
	key.InsecureBytes()[0] ^= 1
	require.True(t, key.Equal(again), "the returned bytes are a copy")
}

func TestAFailingRandomSourceGivesNoKey(t *testing.T) {
	t.Parallel()
	boom := errors.New("boom")
	_, err := seal.GenerateDataKey(iotest.ErrReader(boom))
	require.ErrorIs(t, err, boom)
	_, err = seal.NewFileID(iotest.ErrReader(boom))
	require.ErrorIs(t, err, boom)
	_, err = seal.GenerateDataKey(bytes.NewReader(make([]byte, 31)))
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
}

func TestADataKeyNeverPrints(t *testing.T) {
	t.Parallel()
	raw := bytes.Repeat([]byte("K"), seal.DataKeySize)
	key, err := seal.ParseDataKey(raw)
	require.NoError(t, err)
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).LogAttrs(context.Background(), slog.LevelInfo, "m", slog.Any("key", key))
	slog.New(slog.NewJSONHandler(&log, nil)).LogAttrs(context.Background(), slog.LevelInfo, "m", slog.Any("key", struct{ K *seal.DataKey }{key}))
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%o"} {
		fmt.Fprintf(&log, verb+" "+verb, key, struct{ K *seal.DataKey }{key})
	}
	log.WriteString(key.String() + key.GoString())
	for _, leak := range []string{"KKKK", "4b4b", "4B4B", "75 75", "113 113", "S0tL"} {
		require.NotContains(t, log.String(), leak)
	}
	_, err = json.Marshal(struct{ K *seal.DataKey }{key})
	require.Error(t, err)
}

func FuzzReader(f *testing.F) {
	key, id := newKey(f), newFileID(f)
	plain := content(50)
	good := sealed(f, key, id, plain)
	f.Add(good, uint64(50))
	f.Add(good[:40], uint64(50))
	f.Add([]byte{}, uint64(0))
	f.Add(sealed(f, key, id, nil), uint64(0))
	f.Add(append(bytes.Clone(good), 0), uint64(50))
	f.Add(good, uint64(math.MaxUint64))
	f.Fuzz(func(t *testing.T, ciphertext []byte, size uint64) {
		got, err := io.ReadAll(seal.NewReader(bytes.NewReader(ciphertext), key, id, size))
		if err == nil && len(got) > 0 {
			require.Equal(t, good, ciphertext, "only the sealed bytes may open")
			require.Equal(t, plain, got)
		}
		require.True(t, err != nil || uint64(len(got)) == size)
	})
}

func FuzzPlainSize(f *testing.F) {
	f.Add(uint64(0))
	f.Add(uint64(28))
	f.Add(uint64(262144 + 28))
	f.Add(uint64(math.MaxUint64))
	f.Fuzz(func(t *testing.T, n uint64) {
		if plain, err := seal.PlainSize(n); err == nil {
			back, err := seal.CipherSize(plain)
			require.NoError(t, err)
			require.Equal(t, n, back)
		}
		if cipher, err := seal.CipherSize(n); err == nil {
			back, err := seal.PlainSize(cipher)
			require.NoError(t, err)
			require.Equal(t, n, back)
		}
	})
}

const benchSize = 64 << 20

func benchAEAD(b *testing.B) cipher.AEAD {
	b.Helper()
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	block, err := aes.NewCipher(key)
	require.NoError(b, err)
	aead, err := cipher.NewGCMWithRandomNonce(block)
	require.NoError(b, err)
	return aead
}

// BenchmarkRawSeal is the yardstick: the bare AEAD over the same segments, into one buffer.
func BenchmarkRawSeal(b *testing.B) {
	aead, aad := benchAEAD(b), make([]byte, 57)
	plain, out := content(benchSize), make([]byte, 0, seal.SegmentSize)
	b.SetBytes(benchSize)
	b.ReportAllocs()
	for b.Loop() {
		for at := 0; at < benchSize; at += full {
			out = aead.Seal(out[:0], nil, plain[at:min(at+full, benchSize)], aad)
		}
	}
}

// BenchmarkRawOpen copies each segment in, as every reader of a stream must, and opens it with the bare AEAD.
func BenchmarkRawOpen(b *testing.B) {
	aead, aad := benchAEAD(b), make([]byte, 57)
	plain, out, in := content(benchSize), make([]byte, 0, seal.SegmentSize), make([]byte, seal.SegmentSize)
	var segments [][]byte
	for at := 0; at < benchSize; at += full {
		segments = append(segments, aead.Seal(nil, nil, plain[at:min(at+full, benchSize)], aad))
	}
	b.SetBytes(benchSize)
	for b.Loop() {
		for _, s := range segments {
			if _, err := aead.Open(out[:0], nil, in[:copy(in, s)], aad); err != nil {
				b.Fatal(err)
			}
		}
	}
}

func BenchmarkWriter(b *testing.B) {
	key, id, plain := newKey(b), newFileID(b), content(benchSize)
	for name, chunk := range map[string]int{"whole": benchSize, "1MiB": 1 << 20, "32KiB": 32 << 10} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(benchSize)
			b.ReportAllocs()
			for b.Loop() {
				w := seal.NewWriter(io.Discard, key, id)
				for at := 0; at < benchSize; at += chunk {
					_, _ = w.Write(plain[at : at+chunk])
				}
				require.NoError(b, w.Close())
			}
		})
	}
}

func BenchmarkSealingReader(b *testing.B) {
	key, id, plain := newKey(b), newFileID(b), content(benchSize)
	for name, size := range map[string]int{"1MiB": 1 << 20, "32KiB": 32 << 10} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(benchSize)
			b.ReportAllocs()
			buf := make([]byte, size)
			for b.Loop() {
				r := seal.NewSealingReader(bytes.NewReader(plain), key, id)
				for {
					if _, err := r.Read(buf); err != nil {
						require.Equal(b, io.EOF, err)
						break
					}
				}
			}
		})
	}
}

func BenchmarkReader(b *testing.B) {
	key, id := newKey(b), newFileID(b)
	ciphertext := sealed(b, key, id, content(benchSize))
	for name, size := range map[string]int{"1MiB": 1 << 20, "32KiB": 32 << 10} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(benchSize)
			b.ReportAllocs()
			buf := make([]byte, size)
			for b.Loop() {
				r := seal.NewReader(bytes.NewReader(ciphertext), key, id, benchSize)
				for {
					if _, err := r.Read(buf); err != nil {
						require.Equal(b, io.EOF, err)
						break
					}
				}
			}
		})
	}
	b.Run("WriteTo", func(b *testing.B) {
		b.SetBytes(benchSize)
		for b.Loop() {
			_, err := io.Copy(io.Discard, seal.NewReader(bytes.NewReader(ciphertext), key, id, benchSize))
			require.NoError(b, err)
		}
	})
}
