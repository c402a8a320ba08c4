// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package seal_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"fmt"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/seal"
)

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

var benchWorkers = []seal.Workers{1, 2}

func BenchmarkWriter(b *testing.B) {
	key, id, plain := newKey(b), newFileID(b), content(benchSize)
	for _, workers := range benchWorkers {
		for _, chunk := range []int{benchSize, 1 << 20, 32 << 10} {
			b.Run(fmt.Sprintf("workers=%d/chunk=%d", workers, chunk), func(b *testing.B) {
				b.SetBytes(benchSize)
				b.ReportAllocs()
				for b.Loop() {
					w := seal.NewWriter(io.Discard, key, id, workers)
					for at := 0; at < benchSize; at += chunk {
						_, _ = w.Write(plain[at : at+chunk])
					}
					require.NoError(b, w.Close())
				}
			})
		}
	}
}

func BenchmarkSealingReader(b *testing.B) {
	key, id, plain := newKey(b), newFileID(b), content(benchSize)
	benchReader(b, func(workers seal.Workers) io.Reader {
		return seal.NewSealingReader(bytes.NewReader(plain), key, id, workers)
	})
}

func BenchmarkReader(b *testing.B) {
	key, id := newKey(b), newFileID(b)
	ciphertext := sealed(b, key, id, content(benchSize))
	benchReader(b, func(workers seal.Workers) io.Reader {
		return seal.NewReader(bytes.NewReader(ciphertext), key, id, benchSize, workers)
	})
}

// benchReader reads to the end with buffers of several sizes, and by WriteTo.
func benchReader(b *testing.B, open func(seal.Workers) io.Reader) {
	b.Helper()
	for _, workers := range benchWorkers {
		for _, size := range []int{1 << 20, 32 << 10} {
			b.Run(fmt.Sprintf("workers=%d/buffer=%d", workers, size), func(b *testing.B) {
				b.SetBytes(benchSize)
				b.ReportAllocs()
				buf := make([]byte, size)
				for b.Loop() {
					for r, err := open(workers), error(nil); err == nil; {
						if _, err = r.Read(buf); err != nil {
							require.Equal(b, io.EOF, err)
						}
					}
				}
			})
		}
		b.Run(fmt.Sprintf("workers=%d/WriteTo", workers), func(b *testing.B) {
			b.SetBytes(benchSize)
			for b.Loop() {
				_, err := io.Copy(io.Discard, open(workers))
				require.NoError(b, err)
			}
		})
	}
}

// BenchmarkReaderAt reads everything by sections, and single records of 4 KiB at places far apart.
func BenchmarkReaderAt(b *testing.B) {
	key, id := newKey(b), newFileID(b)
	ciphertext := sealed(b, key, id, content(benchSize))
	r, err := seal.NewReaderAt(bytes.NewReader(ciphertext), key, id, benchSize)
	require.NoError(b, err)
	for _, size := range []int{1 << 20, 32 << 10} {
		b.Run(fmt.Sprintf("sections=%d", size), func(b *testing.B) {
			b.SetBytes(benchSize)
			buf := make([]byte, size)
			for b.Loop() {
				for at := 0; at < benchSize; at += size {
					_, err := r.ReadAt(buf, int64(at))
					require.NoError(b, err)
				}
			}
		})
	}
	b.Run("random=4096", func(b *testing.B) {
		b.SetBytes(4096)
		b.ReportAllocs()
		buf, at := make([]byte, 4096), 0
		for b.Loop() {
			at = (at + 7919*4096) % (benchSize - 4096)
			_, err := r.ReadAt(buf, int64(at))
			require.NoError(b, err)
		}
	})
}
