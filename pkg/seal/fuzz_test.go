// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package seal_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/seal"
)

// seeds gives stored payloads of one content in both layouts, and of an empty one, with what is nearly one of them. The key
// is pinned, so that a stored corpus keeps its meaning.
func seeds(f *testing.F, add func(stored []byte, size uint64, layout byte)) (content []byte) {
	f.Helper()
	key, id := pinned(f)
	content = []byte("vital signs: ")
	for i, layout := range layouts {
		for _, c := range [][]byte{content, nil} {
			stored, size := sealedAs(f, key, id, layout, c)
			add(stored, size, byte(i))
			add(stored, size, byte(1-i))
			add(stored[:len(stored)-1], size, byte(i))
			add(append(bytes.Clone(stored), 0), size, byte(i))
			add(stored, size+1, byte(i))
			add(stored, math.MaxUint64, byte(i))
		}
	}
	malformed := plaintextOf(f, seal.Padded, content)
	malformed[len(malformed)-1] = 1
	add(byHand(f, key, id, seal.Padded, malformed), uint64(len(malformed)), 1)
	return content
}

func FuzzReader(f *testing.F) {
	key, id := pinned(f)
	want := seeds(f, func(stored []byte, size uint64, layout byte) { f.Add(stored, size, layout) })
	f.Fuzz(func(t *testing.T, stored []byte, size uint64, layout byte) {
		as := seal.Layout(layout % 3)
		got, err := io.ReadAll(seal.NewReader(bytes.NewReader(stored), key, id, size, as))
		again, err2 := io.ReadAll(seal.NewReader(bytes.NewReader(stored), key, id, size, as, seal.Workers(2)))
		require.Equal(t, got, again)
		require.Equal(t, err == nil, err2 == nil)
		if len(got) > 0 {
			require.Equal(t, want, got, "nobody without the key makes another content")
		}
		if err == nil {
			cipher, err := seal.CipherSize(size)
			require.NoError(t, err)
			require.EqualValues(t, cipher, len(stored))
		}
	})
}

func FuzzReaderAt(f *testing.F) {
	key, id := pinned(f)
	want := seeds(f, func(stored []byte, size uint64, layout byte) { f.Add(stored, size, layout, int64(3), uint16(5)) })
	f.Fuzz(func(t *testing.T, stored []byte, size uint64, layout byte, offset int64, length uint16) {
		r, err := seal.NewReaderAt(bytes.NewReader(stored), key, id, size, seal.Layout(layout%3))
		if err != nil {
			return
		}
		p := make([]byte, length)
		n, err := r.ReadAt(p, offset)
		require.True(t, n == len(p) || err != nil, "fewer bytes need an error")
		require.Equal(t, make([]byte, len(p)-n), p[n:])
		if n > 0 {
			require.Equal(t, want[offset:int(offset)+n], p[:n])
		}
	})
}

func FuzzRange(f *testing.F) {
	key, id := pinned(f)
	want := seeds(f, func(stored []byte, size uint64, layout byte) {
		f.Add(stored, size, layout, uint64(3), uint64(5), uint64(20))
		f.Add(stored, size, layout, uint64(0), uint64(math.MaxUint64), uint64(5))
	})
	f.Fuzz(func(t *testing.T, stored []byte, size uint64, layout byte, offset, length, cut uint64) {
		src := &flaky{data: stored, breaks: []int{int(cut % 64), -1}}
		open := func(from, length uint64) (io.ReadCloser, error) { // not more than there is
			from = min(from, uint64(len(stored)))
			return src.source(from, min(length, uint64(len(stored))-from))
		}
		r := seal.NewSourceReader(open, key, id, size, seal.Layout(layout%3), seal.Range{Offset: offset, Length: length}, seal.Retry{Attempts: 2})
		got, err := io.ReadAll(r)
		require.Zero(t, src.open)
		if len(got) > 0 {
			require.NoError(t, err)
			from := min(offset, uint64(len(want)))
			require.Equal(t, want[from:from+min(length, uint64(len(want))-from)], got)
		}
	})
}

// FuzzPadding opens any plaintext that somebody with the key might have sealed as a padded one.
func FuzzPadding(f *testing.F) {
	key, id := pinned(f)
	for _, size := range []int{0, 1, 100, 1000} {
		f.Add(plaintextOf(f, seal.Padded, content(size)))
	}
	f.Add(binary.BigEndian.AppendUint64(nil, math.MaxUint64))
	f.Add(binary.BigEndian.AppendUint64(nil, math.MaxUint64-7))
	f.Add(append(binary.BigEndian.AppendUint64(nil, 1), 7, 1))
	f.Fuzz(func(t *testing.T, plain []byte) {
		stored := byHand(t, key, id, seal.Padded, plain)
		got, err := io.ReadAll(seal.NewReader(bytes.NewReader(stored), key, id, uint64(len(plain)), seal.Padded))
		if err != nil {
			require.Empty(t, got)
			at, err := seal.NewReaderAt(bytes.NewReader(stored), key, id, uint64(len(plain)), seal.Padded)
			if err == nil && len(plain) <= full {
				require.Fail(t, "one segment has all the padding", "%d bytes", at.Size())
			}
			return
		}
		require.Equal(t, plaintextOf(t, seal.Padded, got), plain, "one plaintext per content (C4)")
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
