// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package seal_test

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"io"
	mathrand "math/rand/v2"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/emrys-health/emrys/pkg/seal"
)

const full = seal.SegmentPlainSize

func newKey(t testing.TB) *seal.DataKey {
	t.Helper()
	key, err := seal.GenerateDataKey(rand.Reader)
	require.NoError(t, err)
	return key
}

func newFileID(t testing.TB) [seal.FileIDSize]byte {
	t.Helper()
	id, err := seal.NewFileID(rand.Reader)
	require.NoError(t, err)
	return id
}

// content returns size pseudo-random bytes that depend on the size only.
func content(size int) []byte {
	b := make([]byte, size)
	_, _ = mathrand.NewChaCha8([32]byte{byte(size), byte(size >> 8)}).Read(b)
	return b
}

func sealed(t testing.TB, key *seal.DataKey, id [seal.FileIDSize]byte, plain []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := seal.NewWriter(&out, key, id)
	n, err := w.Write(plain)
	require.NoError(t, err)
	require.Equal(t, len(plain), n)
	require.NoError(t, w.Close())
	return out.Bytes()
}

func opened(key *seal.DataKey, id [seal.FileIDSize]byte, ciphertext []byte, size int) ([]byte, error) {
	return io.ReadAll(seal.NewReader(bytes.NewReader(ciphertext), key, id, uint64(size)))
}

func TestSealedContentOpensAgain(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 1, full - 1, full, full + 1, 2 * full, 3 * full, 3*full + 77} {
		key, id, plain := newKey(t), newFileID(t), content(size)
		ciphertext := sealed(t, key, id, plain)

		want, err := seal.CipherSize(uint64(size))
		require.NoError(t, err)
		require.Len(t, ciphertext, int(want))
		back, err := seal.PlainSize(want)
		require.NoError(t, err)
		require.Equal(t, uint64(size), back)

		got, err := opened(key, id, ciphertext, size)
		require.NoError(t, err)
		require.True(t, bytes.Equal(plain, got))

		var written bytes.Buffer
		n, err := seal.NewReader(bytes.NewReader(ciphertext), key, id, uint64(size)).WriteTo(&written)
		require.NoError(t, err)
		require.EqualValues(t, size, n)
		require.True(t, bytes.Equal(plain, written.Bytes()))
	}
}

func TestFullSegmentsHaveTheSizeOfAnIPFSLeaf(t *testing.T) {
	t.Parallel()
	require.Equal(t, 262144, seal.SegmentSize)
	require.Equal(t, 262116, seal.SegmentPlainSize)
	require.Len(t, sealed(t, newKey(t), newFileID(t), content(2*full)), 2*262144)
	require.Len(t, sealed(t, newKey(t), newFileID(t), nil), 28)
}

func TestPullAndPushSealingAgree(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 1, full - 1, full, full + 1, 2 * full, 2*full + 1} {
		key, id, plain := newKey(t), newFileID(t), content(size)
		for name, wrap := range map[string]func(io.Reader) io.Reader{
			"whole": func(r io.Reader) io.Reader { return r }, "data with error": iotest.DataErrReader, "half": iotest.HalfReader,
		} {
			r := seal.NewSealingReader(wrap(bytes.NewReader(plain)), key, id)
			ciphertext, err := io.ReadAll(r)
			require.NoError(t, err, name)
			require.EqualValues(t, size, r.Size())
			got, err := opened(key, id, ciphertext, size)
			require.NoError(t, err, name)
			require.True(t, bytes.Equal(plain, got))
		}
		var written bytes.Buffer
		n, err := seal.NewSealingReader(bytes.NewReader(plain), key, id).WriteTo(&written)
		require.NoError(t, err)
		require.EqualValues(t, written.Len(), n)
		got, err := opened(key, id, written.Bytes(), size)
		require.NoError(t, err)
		require.True(t, bytes.Equal(plain, got))
	}
}

func TestSealingTwiceGivesUnrelatedCiphertext(t *testing.T) {
	t.Parallel()
	key, id, plain := newKey(t), newFileID(t), content(100)
	require.NotEqual(t, sealed(t, key, id, plain), sealed(t, key, id, plain))
}

func TestReaderObeysTheReaderContract(t *testing.T) {
	t.Parallel()
	key, id, plain := newKey(t), newFileID(t), content(full+1000)
	ciphertext := sealed(t, key, id, plain)
	require.NoError(t, iotest.TestReader(seal.NewReader(bytes.NewReader(ciphertext), key, id, uint64(len(plain))), plain))
	r := seal.NewReader(bytes.NewReader(ciphertext), key, id, uint64(len(plain)))
	_, err := io.Copy(io.Discard, r)
	require.NoError(t, err)
	for range 3 {
		n, err := r.Read(make([]byte, 10))
		require.Zero(t, n)
		require.Equal(t, io.EOF, err)
	}
	n, err := r.Read(nil)
	require.Zero(t, n)
	require.NoError(t, err)
}

func TestAnyChunkingOnBothSidesGivesTheSameContent(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.OneOf(rapid.IntRange(0, 3000), rapid.IntRange(full-2, full+2), rapid.IntRange(2*full-2, 2*full+2)).Draw(t, "size")
		plain := content(size)
		key, err := seal.ParseDataKey(rapid.SliceOfN(rapid.Byte(), seal.DataKeySize, seal.DataKeySize).Draw(t, "key"))
		require.NoError(t, err)
		var id [seal.FileIDSize]byte
		chunk := rapid.OneOf(rapid.IntRange(1, 5000), rapid.IntRange(full-1, full+1), rapid.Just(2*full))
		atLeast := size/50 + 1 // keeps the number of chunks small

		var out bytes.Buffer
		w := seal.NewWriter(&out, key, id)
		for rest := plain; len(rest) > 0; {
			n := min(max(chunk.Draw(t, "write"), atLeast), len(rest))
			m, err := w.Write(rest[:n])
			require.NoError(t, err)
			require.Equal(t, n, m)
			rest = rest[n:]
		}
		require.NoError(t, w.Close())
		require.EqualValues(t, size, w.Size())

		r := seal.NewReader(&out, key, id, uint64(size))
		var got []byte
		for {
			p := make([]byte, max(chunk.Draw(t, "read"), atLeast))
			n, err := r.Read(p)
			got = append(got, p[:n]...)
			if errors.Is(err, io.EOF) {
				break
			}
			require.NoError(t, err)
		}
		require.True(t, bytes.Equal(plain, got))
	})
}

// pattern is an endless cheap stream.
type pattern struct{ n byte }

func (p *pattern) Read(b []byte) (int, error) {
	for i := 0; i < len(b); i += 512 {
		p.n++
		b[i] = p.n
	}
	return len(b), nil
}

func TestAHundredMegabytesStreamThrough(t *testing.T) {
	if testing.Short() {
		t.Skip("streams 100 MB; run without -short")
	}
	t.Parallel()
	const size = 100_000_000
	key, id := newKey(t), newFileID(t)
	for _, workers := range []seal.Workers{1, 2} {
		plain, stored, again, got := sha256.New(), sha256.New(), sha256.New(), sha256.New()
		source := io.TeeReader(io.LimitReader(&pattern{}, size), plain)
		stream := seal.NewSealingReader(source, key, id, workers, seal.Tee{Writer: stored})
		n, err := io.Copy(got, seal.NewReader(stream, key, id, size, workers, seal.Tee{Writer: again}))
		require.NoError(t, err)
		require.EqualValues(t, size, n)
		require.EqualValues(t, size, stream.Size())
		require.Equal(t, plain.Sum(nil), got.Sum(nil))
		require.Equal(t, stored.Sum(nil), again.Sum(nil))
	}
}

func TestSegmentsCostNoAllocation(t *testing.T) {
	key, id := newKey(t), newFileID(t)
	plain := make([]byte, full)
	w := seal.NewWriter(io.Discard, key, id)
	require.Zero(t, testing.AllocsPerRun(50, func() { _, _ = w.Write(plain) }))

	r := seal.NewReader(seal.NewSealingReader(&pattern{}, key, id), key, id, 1<<40)
	require.Zero(t, testing.AllocsPerRun(50, func() { _, _ = io.ReadFull(r, plain) }))
}
