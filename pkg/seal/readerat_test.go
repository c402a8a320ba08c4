// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package seal_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/seal"
)

func TestC8EveryPlaceIsReadAsItIs(t *testing.T) {
	t.Parallel()
	for _, layout := range layouts {
		for _, size := range []int{0, 1, 100, full - 8, full, full + 1, 2*full + 30} {
			key, id, content := newKey(t), newFileID(t), content(size)
			stored, plain := sealedAs(t, key, id, layout, content)
			r, err := seal.NewReaderAt(bytes.NewReader(stored), key, id, plain, layout)
			require.NoError(t, err)
			require.EqualValues(t, size, r.Size())
			require.NoError(t, iotest.TestReader(io.NewSectionReader(r, 0, r.Size()), content), "%s %d", layout, size)
			for _, at := range []int{0, 1, full - 9, full - 8, full - 1, full, full + 1, 2 * full, size - 1, size} {
				for _, length := range []int{0, 1, 8, full - 1, full, full + 1, 3 * full} {
					if at < 0 || at > size {
						continue
					}
					p := make([]byte, length)
					n, err := r.ReadAt(p, int64(at))
					want := content[at:min(at+length, size)]
					require.True(t, bytes.Equal(want, p[:n]), "%s size %d at %d length %d", layout, size, at, length)
					if n < length || at == size {
						require.Equal(t, io.EOF, err)
					} else {
						require.NoError(t, err)
					}
					require.Equal(t, make([]byte, length-n), p[n:])
				}
			}
		}
	}
}

func TestC8OffsetsOutsideOfTheContent(t *testing.T) {
	t.Parallel()
	key, id := newKey(t), newFileID(t)
	r, err := seal.NewReaderAt(bytes.NewReader(sealed(t, key, id, content(10))), key, id, 10)
	require.NoError(t, err)
	for _, at := range []int64{10, 11, math.MaxInt64} {
		n, err := r.ReadAt(make([]byte, 5), at)
		require.Zero(t, n)
		require.Equal(t, io.EOF, err)
	}
	for _, at := range []int64{-1, math.MinInt64} {
		n, err := r.ReadAt(make([]byte, 5), at)
		require.Zero(t, n)
		require.ErrorIs(t, err, seal.ErrSize)
	}
}

// places notes which stored bytes are read.
type places struct {
	io.ReaderAt
	mu    sync.Mutex
	asked []span
}

func (s *places) ReadAt(p []byte, off int64) (int, error) {
	s.mu.Lock()
	s.asked = append(s.asked, span{uint64(off), uint64(len(p))})
	s.mu.Unlock()
	return s.ReaderAt.ReadAt(p, off)
}

func TestC8OnlyTheSegmentsTouchedAreRead(t *testing.T) {
	t.Parallel()
	key, id := newKey(t), newFileID(t)
	const size = 3*full + 40
	src := &places{ReaderAt: bytes.NewReader(sealed(t, key, id, content(size)))}
	r, err := seal.NewReaderAt(src, key, id, size)
	require.NoError(t, err)
	require.Empty(t, src.asked)
	at := func(length int, offset int64) {
		_, err := r.ReadAt(make([]byte, length), offset)
		require.NoError(t, err)
	}
	at(10, full+7)
	at(10, full+1000) // the segment opened last is at hand
	require.Equal(t, []span{{seal.SegmentSize, seal.SegmentSize}}, src.asked)
	at(20, 2*full-10)
	require.Equal(t, []span{{seal.SegmentSize, seal.SegmentSize}, {2 * seal.SegmentSize, seal.SegmentSize}}, src.asked)
	at(40, 3*full)
	require.Equal(t, span{3 * seal.SegmentSize, 40 + seal.SegmentOverhead}, src.asked[2])
}

func TestC8ManyReadersMayShareOne(t *testing.T) {
	t.Parallel()
	for _, layout := range layouts {
		key, id, content := newKey(t), newFileID(t), content(4*full+99)
		stored, plain := sealedAs(t, key, id, layout, content)
		r, err := seal.NewReaderAt(bytes.NewReader(stored), key, id, plain, layout)
		require.NoError(t, err)
		var all sync.WaitGroup
		failures := make(chan error, 8)
		for g := range uint64(8) {
			all.Go(func() {
				random := rand.New(rand.NewPCG(g, 1))
				for range 60 {
					at, length := random.IntN(len(content)), random.IntN(2*full)
					p := make([]byte, min(length, len(content)-at))
					if n, err := r.ReadAt(p, int64(at)); err != nil || !bytes.Equal(content[at:at+n], p) {
						failures <- fmt.Errorf("%d bytes at %d: %w", len(p), at, err)
						return
					}
				}
			})
		}
		all.Wait()
		close(failures)
		for err := range failures {
			require.NoError(t, err)
		}
	}
}

func TestC8WhatIsNotAuthenticIsNotReleased(t *testing.T) {
	t.Parallel()
	key, id := newKey(t), newFileID(t)
	const size = 3*full + 50
	plain := content(size)
	good := sealed(t, key, id, plain)
	foreign := sealed(t, key, newFileID(t), plain)
	for name, c := range map[string]struct {
		change func(b []byte) []byte
		want   error
	}{
		"a flipped bit":               {func(b []byte) []byte { b[seal.SegmentSize+9999] ^= 1; return b }, seal.ErrAuthentication},
		"the segment before":          {func(b []byte) []byte { copy(b[seal.SegmentSize:], good[:seal.SegmentSize]); return b }, seal.ErrAuthentication},
		"a segment of another file":   {func([]byte) []byte { return foreign }, seal.ErrAuthentication},
		"an end within the segment":   {func(b []byte) []byte { return b[:2*seal.SegmentSize-1] }, seal.ErrTruncated},
		"an end before the segment":   {func(b []byte) []byte { return b[:seal.SegmentSize] }, seal.ErrTruncated},
		"an end far before the place": {func([]byte) []byte { return nil }, seal.ErrTruncated},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := seal.NewReaderAt(bytes.NewReader(c.change(bytes.Clone(good))), key, id, size)
			require.NoError(t, err)
			for _, length := range []int{1, 1000, full} { // within the segment, and all of it
				p := make([]byte, length)
				n, err := r.ReadAt(p, full)
				require.ErrorIs(t, err, c.want)
				require.Zero(t, n)
				require.Equal(t, make([]byte, length), p)
			}
			p := make([]byte, 3*full)
			n, err := r.ReadAt(p, 10)
			require.ErrorIs(t, err, c.want)
			require.True(t, n == full-10 && bytes.Equal(plain[10:full], p[:n]) || n == 0, "%d bytes", n)
			require.Equal(t, make([]byte, len(p)-n), p[n:])
		})
	}
}

func TestC8AFailureIsNotFinal(t *testing.T) {
	t.Parallel()
	key, id, plain := newKey(t), newFileID(t), content(full+5)
	src := &fickle{data: sealed(t, key, id, plain), err: errors.New("boom")}
	r, err := seal.NewReaderAt(src, key, id, full+5)
	require.NoError(t, err)
	p := make([]byte, 5)
	_, err = r.ReadAt(p, full)
	require.ErrorIs(t, err, src.err)
	src.err = fmt.Errorf("connection: %w", io.EOF)
	_, err = r.ReadAt(p, full)
	require.ErrorIs(t, err, src.err)
	require.NotErrorIs(t, err, seal.ErrTruncated, "a failure that wraps an io.EOF is no end")
	src.err = nil
	n, err := r.ReadAt(p, full)
	require.NoError(t, err)
	require.Equal(t, plain[full:], p[:n])
}

// fickle fails as long as it has an error, with half of what was asked for.
type fickle struct {
	data []byte
	err  error
}

func (s *fickle) ReadAt(p []byte, off int64) (int, error) {
	if s.err != nil {
		return copy(p[:len(p)/2], s.data[off:]), s.err
	}
	return copy(p, s.data[off:]), nil
}

// answer is a source that always says the same.
type answer struct {
	n   func(asked int) int
	err error
}

func (s answer) ReadAt(p []byte, _ int64) (int, error) { return s.n(len(p)), s.err }

func TestC8AHostileSourceIsRefused(t *testing.T) {
	t.Parallel()
	key, id := newKey(t), newFileID(t)
	for name, src := range map[string]answer{
		"more than asked":         {n: func(n int) int { return n + 1 }},
		"less than nothing":       {n: func(int) int { return -1 }},
		"less without an error":   {n: func(n int) int { return n - 1 }},
		"nothing, without error":  {n: func(int) int { return 0 }},
		"more, with an error":     {n: func(n int) int { return 2 * n }, err: io.EOF},
		"the smallest of numbers": {n: func(int) int { return math.MinInt }, err: io.EOF},
	} {
		r, err := seal.NewReaderAt(src, key, id, 100)
		require.NoError(t, err)
		n, err := r.ReadAt(make([]byte, 10), 0)
		require.Zero(t, n)
		require.ErrorContains(t, err, "impossible count", name)
		_, err = seal.NewReaderAt(src, key, id, 112, seal.Padded)
		require.ErrorContains(t, err, "impossible count", name)
	}
	// The contract lets io.EOF come with the last byte.
	plain := content(100)
	whole := sealed(t, key, id, plain)
	r, err := seal.NewReaderAt(eager{whole}, key, id, 100)
	require.NoError(t, err)
	p := make([]byte, 100)
	_, err = r.ReadAt(p, 0)
	require.NoError(t, err)
	require.Equal(t, plain, p)
}

type eager struct{ data []byte }

func (s eager) ReadAt(p []byte, off int64) (int, error) { return copy(p, s.data[off:]), io.EOF }

func TestC8AMalformedPaddedPayloadIsRefused(t *testing.T) {
	t.Parallel()
	key, id := newKey(t), newFileID(t)
	plain := plaintextOf(t, seal.Padded, content(8_388_601))
	size := uint64(len(plain))
	bad := bytes.Clone(plain)
	bad[0] = 1
	_, err := seal.NewReaderAt(bytes.NewReader(byHand(t, key, id, seal.Padded, bad)), key, id, size, seal.Padded)
	require.ErrorIs(t, err, seal.ErrPadding)

	bad = bytes.Clone(plain)
	bad[33*full-1], bad[len(bad)-1] = 1, 1
	r, err := seal.NewReaderAt(bytes.NewReader(byHand(t, key, id, seal.Padded, bad)), key, id, size, seal.Padded)
	require.NoError(t, err)
	p := make([]byte, 10)
	_, err = r.ReadAt(p, 31*full)
	require.NoError(t, err, "the padding elsewhere is not looked at")
	n, err := r.ReadAt(p, 8_388_591)
	require.ErrorIs(t, err, seal.ErrPadding)
	require.Zero(t, n)
	require.Equal(t, plain[8+31*full:8+31*full+10], p, "the refused segment left nothing here")
}
