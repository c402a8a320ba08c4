// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package testnet

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/binary"
	"io"
)

// Content returns size bytes that follow from a seed and do not compress: the
// key stream of AES-128 in counter mode.
func Content(seed, size uint64) io.Reader {
	key := sha256.Sum256(binary.BigEndian.AppendUint64(nil, seed))
	block, err := aes.NewCipher(key[:16])
	if err != nil {
		return failing{err}
	}
	stream := cipher.StreamReader{S: cipher.NewCTR(block, make([]byte, aes.BlockSize)), R: zeros{}}
	return io.LimitReader(stream, int64(size)) //nolint:gosec // tests ask for gigabytes, not exabytes
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }
