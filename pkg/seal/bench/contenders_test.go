// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"io"
	"testing"

	"filippo.io/age"
	"github.com/minio/sio"
	"github.com/stretchr/testify/require"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/streamingaead"
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/emrys-health/emrys/pkg/seal"
)

// size is the length of the measured content in bytes.
const size = 64 << 20

// contender is one way to seal and open. What it does not offer is nil.
type contender struct {
	name string
	// seal writes what it makes of content to dst.
	seal func(dst io.Writer, content []byte) error
	// open writes the content to dst.
	open func(dst io.Writer, stored []byte) error
	// at gives random access.
	at func(stored []byte) (io.ReaderAt, error)
}

func contenders(t testing.TB) []contender {
	t.Helper()
	return []contender{
		raw(t, "raw-256KiB", seal.SegmentPlainSize), raw(t, "raw-1MiB", 1<<20-seal.SegmentOverhead),
		emrys(t, "emrys-writer-1", 1, true, seal.Plain), emrys(t, "emrys-writer-2", 2, true, seal.Plain),
		emrys(t, "emrys-reader-1", 1, false, seal.Plain), emrys(t, "emrys-reader-2", 2, false, seal.Plain),
		emrys(t, "emrys-padded-1", 1, false, seal.Padded),
		ageX25519(t), tinkHKDF(t), sioDARE(t),
	}
}

// raw is the bare AEAD with random nonces, segment by segment through one buffer.
func raw(t testing.TB, name string, segment int) contender {
	t.Helper()
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	block, err := aes.NewCipher(key)
	require.NoError(t, err)
	aead, err := cipher.NewGCMWithRandomNonce(block)
	require.NoError(t, err)
	aad := make([]byte, 57)
	in, out := make([]byte, segment+seal.SegmentOverhead), make([]byte, 0, segment+seal.SegmentOverhead)
	return contender{
		name: name,
		seal: func(dst io.Writer, content []byte) error {
			for ; len(content) > 0; content = content[min(segment, len(content)):] {
				if _, err := dst.Write(aead.Seal(out[:0], nil, content[:min(segment, len(content))], aad)); err != nil {
					return err
				}
			}
			return nil
		},
		// Each segment is copied in, as every reader of a stream must.
		open: func(dst io.Writer, stored []byte) error {
			for len(stored) > 0 {
				n := copy(in, stored)
				stored = stored[n:]
				plain, err := aead.Open(out[:0], nil, in[:n], aad)
				if err != nil {
					return err
				}
				if _, err := dst.Write(plain); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

func emrys(t testing.TB, name string, workers seal.Workers, push bool, layout seal.Layout) contender {
	t.Helper()
	key, err := seal.GenerateDataKey(rand.Reader)
	require.NoError(t, err)
	id, err := seal.NewFileID(rand.Reader)
	require.NoError(t, err)
	plain := uint64(size)
	opts := []seal.WriteOption{workers}
	if layout == seal.Padded {
		opts = append(opts, seal.Pad(size))
		plain, err = seal.PaddedSize(size)
		require.NoError(t, err)
	}
	c := contender{
		name: name,
		seal: func(dst io.Writer, content []byte) error {
			_, err := io.Copy(dst, seal.NewSealingReader(bytes.NewReader(content), key, id, opts...))
			return err
		},
		open: func(dst io.Writer, stored []byte) error {
			_, err := io.Copy(dst, seal.NewReader(bytes.NewReader(stored), key, id, plain, layout, workers))
			return err
		},
		at: func(stored []byte) (io.ReaderAt, error) {
			return seal.NewReaderAt(bytes.NewReader(stored), key, id, plain, layout)
		},
	}
	if push {
		c.open, c.at = nil, nil // those of the reader
		c.seal = func(dst io.Writer, content []byte) error {
			return push64(seal.NewWriter(dst, key, id, opts...), content)
		}
	}
	if workers > 1 {
		c.at = nil // it has no workers
	}
	return c
}

// push64 writes content in pieces of 1 MiB and closes.
func push64(w io.WriteCloser, content []byte) error {
	for ; len(content) > 0; content = content[min(1<<20, len(content)):] {
		if _, err := w.Write(content[:min(1<<20, len(content))]); err != nil {
			return err
		}
	}
	return w.Close()
}

// copyOut drains a reader with a buffer of 1 MiB, or by its own WriteTo.
func copyOut(dst io.Writer, src io.Reader, err error) error {
	if err != nil {
		return err
	}
	_, err = io.CopyBuffer(dst, src, make([]byte, 1<<20))
	return err
}

// ageX25519 is age with one recipient (ChaCha20-Poly1305, 64 KiB).
func ageX25519(t testing.TB) contender {
	t.Helper()
	identity, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	return contender{
		name: "age-1.3.1",
		seal: func(dst io.Writer, content []byte) error {
			w, err := age.Encrypt(dst, identity.Recipient())
			if err != nil {
				return err
			}
			return push64(w, content)
		},
		open: func(dst io.Writer, stored []byte) error {
			r, err := age.Decrypt(bytes.NewReader(stored), identity)
			return copyOut(dst, r, err)
		},
		at: func(stored []byte) (io.ReaderAt, error) {
			r, _, err := age.DecryptReaderAt(bytes.NewReader(stored), int64(len(stored)), identity)
			return r, err
		},
	}
}

// tinkHKDF is tink's streaming AEAD AES256-GCM-HKDF-1MB. It has no random access.
func tinkHKDF(t testing.TB) contender {
	t.Helper()
	handle, err := keyset.NewHandle(streamingaead.AES256GCMHKDF1MBKeyTemplate())
	require.NoError(t, err)
	var primitive tink.StreamingAEAD
	primitive, err = streamingaead.New(handle)
	require.NoError(t, err)
	return contender{
		name: "tink-2.7.0",
		seal: func(dst io.Writer, content []byte) error {
			w, err := primitive.NewEncryptingWriter(dst, nil)
			if err != nil {
				return err
			}
			return push64(w, content)
		},
		open: func(dst io.Writer, stored []byte) error {
			r, err := primitive.NewDecryptingReader(bytes.NewReader(stored), nil)
			return copyOut(dst, r, err)
		},
	}
}

// sioDARE is sio's DARE 2.0 with AES-256-GCM (64 KiB).
func sioDARE(t testing.TB) contender {
	t.Helper()
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	config := sio.Config{MinVersion: sio.Version20, CipherSuites: []byte{sio.AES_256_GCM}, Key: key}
	return contender{
		name: "sio-0.4.3",
		seal: func(dst io.Writer, content []byte) error {
			w, err := sio.EncryptWriter(dst, config)
			if err != nil {
				return err
			}
			return push64(w, content)
		},
		open: func(dst io.Writer, stored []byte) error {
			r, err := sio.DecryptReader(bytes.NewReader(stored), config)
			return copyOut(dst, r, err)
		},
		at: func(stored []byte) (io.ReaderAt, error) {
			return sio.DecryptReaderAt(bytes.NewReader(stored), config)
		},
	}
}
