// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package seal_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/emrys-health/emrys/pkg/seal"
)

func TestC4PaddedLengthsAreThoseOfTheTable(t *testing.T) {
	t.Parallel()
	for content, want := range map[uint64]uint64{
		0: 8, 1: 10, 2: 10, 8: 16, 9: 18, 13: 22, 100: 112, 1000: 1024, 262108: 262144, 600000: 606208,
		8388601: 8650752, 1e9: 1006632960, 1117103813820408: 1117103813820416,
	} {
		got, err := seal.PaddedSize(content)
		require.NoError(t, err)
		require.Equal(t, want, got, "%d", content)
	}
	for _, content := range []uint64{
		1117103813820409, seal.MaxSegments*full - 8, seal.MaxSegments*full - 7, seal.MaxSegments * full, math.MaxUint64 - 8, math.MaxUint64,
	} {
		_, err := seal.PaddedSize(content)
		require.ErrorIs(t, err, seal.ErrSize, "%d", content)
	}
}

func TestC4PaddingIsLittleAndSaysLittle(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		content := rapid.Uint64Range(0, 1117103813820408).Draw(t, "content")
		padded, err := seal.PaddedSize(content)
		require.NoError(t, err)
		length := content + 8
		require.GreaterOrEqual(t, padded, length)
		require.LessOrEqual(t, (padded-length)*1000, length*117, "at most 11.7 percent")
		again, err := seal.PaddedSize(padded - 8)
		require.NoError(t, err)
		require.Equal(t, padded, again)
		if content > 0 {
			before, err := seal.PaddedSize(content - 1)
			require.NoError(t, err)
			require.LessOrEqual(t, before, padded)
		}
	})
}

// sizes of contents around every edge: of a segment, of a segment less the length field, and one whose padding is longer
// than a segment.
var sizes = []int{0, 1, 2, 100, full - 9, full - 8, full - 7, full, full + 1, 2*full - 8, 3*full + 77, 8_388_601}

func TestAPaddedContentOpensAgain(t *testing.T) {
	t.Parallel()
	for _, size := range sizes {
		key, id, content := newKey(t), newFileID(t), content(size)
		for _, workers := range []seal.Workers{1, 2} {
			var out bytes.Buffer
			w := seal.NewWriter(&out, key, id, seal.Pad(size), workers)
			_, err := w.Write(content)
			require.NoError(t, err)
			require.NoError(t, w.Close())
			want, err := seal.PaddedSize(uint64(size))
			require.NoError(t, err)
			require.Equal(t, want, w.Size())

			r := seal.NewSealingReader(iotest.DataErrReader(bytes.NewReader(content)), key, id, seal.Pad(size), workers)
			pulled, err := io.ReadAll(r)
			require.NoError(t, err)
			require.Equal(t, want, r.Size())
			require.Len(t, pulled, out.Len())

			for _, stored := range [][]byte{out.Bytes(), pulled} {
				open := seal.NewReader(bytes.NewReader(stored), key, id, want, seal.Padded, workers)
				length, err := open.ContentSize()
				require.NoError(t, err)
				require.EqualValues(t, size, length)
				got, err := io.ReadAll(open)
				require.NoError(t, err)
				require.True(t, bytes.Equal(content, got), "%d bytes", size)
			}
		}
	}
}

func TestTheReaderOfAPaddedContentObeysTheReaderContract(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 1000, full - 8, full + 1000} {
		key, id, content := newKey(t), newFileID(t), content(size)
		stored, plain := sealedAs(t, key, id, seal.Padded, content)
		for _, workers := range []seal.Workers{1, 2} {
			require.NoError(t, iotest.TestReader(seal.NewReader(bytes.NewReader(stored), key, id, plain, seal.Padded, workers), content))
		}
	}
}

func TestALayoutDoesNotPassForTheOther(t *testing.T) { // C12
	t.Parallel()
	key, id, content := newKey(t), newFileID(t), content(1000)
	padded, size := sealedAs(t, key, id, seal.Padded, content)
	refusedAs(t, seal.Plain, key, id, size, nil, padded, seal.ErrAuthentication)
	// A plain payload whose content happens to look padded.
	plain, size := sealedAs(t, key, id, seal.Plain, plaintextOf(t, seal.Padded, content))
	refusedAs(t, seal.Padded, key, id, size, nil, plain, seal.ErrAuthentication)
}

func TestC4AMalformedPlaintextIsRefused(t *testing.T) {
	t.Parallel()
	const long = 8_388_601 // ends in segment 32; segment 33 is padding alone
	change := func(content int, f func(plain []byte)) []byte {
		plain := plaintextOf(t, seal.Padded, make([]byte, content))
		f(plain)
		return plain
	}
	field := func(n uint64) func([]byte) { return func(p []byte) { binary.BigEndian.PutUint64(p, n) } }
	key, id := newKey(t), newFileID(t)
	for name, c := range map[string]struct {
		plain    []byte
		released int
		want     error
	}{
		"a length beyond the end":               {change(100, field(105)), 0, seal.ErrPadding},
		"a length that overflows":               {change(100, field(math.MaxUint64)), 0, seal.ErrPadding},
		"a length that overflows with its size": {change(100, field(math.MaxUint64-7)), 0, seal.ErrPadding},
		"a length of a shorter padding":         {change(100, field(96)), 0, seal.ErrPadding},
		"no content where there is room":        {change(100, field(0)), 0, seal.ErrPadding},
		"the first padding byte":                {change(100, func(p []byte) { p[108] = 1 }), 0, seal.ErrPadding},
		"the last padding byte":                 {change(100, func(p []byte) { p[111] = 0x80 }), 0, seal.ErrPadding},
		"a byte of the padding behind a segment": {
			change(long, func(p []byte) { p[33*full] = 1 }), 32*full - 8, seal.ErrPadding,
		},
		"the last byte of a long padding": {
			change(long, func(p []byte) { p[len(p)-1] = 1 }), 32*full - 8, seal.ErrPadding,
		},
		"padding in the segment of the content": {
			change(long, func(p []byte) { p[33*full-1] = 1 }), 32*full - 8, seal.ErrPadding,
		},
		"a length that is not of Padmé": {make([]byte, 17), 0, seal.ErrSize},
		"less than a length field":      {make([]byte, 4), 0, seal.ErrSize},
		"nothing":                       {nil, 0, seal.ErrSize},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bad := byHand(t, key, id, seal.Padded, c.plain)
			if errors.Is(c.want, seal.ErrSize) { // refused before the source is touched
				_, err := seal.NewReader(iotest.ErrReader(io.ErrClosedPipe), key, id, uint64(len(c.plain)), seal.Padded).Read(make([]byte, 1))
				require.ErrorIs(t, err, c.want)
				_, err = seal.NewReaderAt(bytes.NewReader(bad), key, id, uint64(len(c.plain)), seal.Padded)
				require.ErrorIs(t, err, c.want)
				return
			}
			refusedAs(t, seal.Padded, key, id, uint64(len(c.plain)), make([]byte, c.released), bad, c.want)
		})
	}
}

// The last content byte is only released when the padding behind it has been seen (C6).
func TestTheEndOfAPaddedContentIsHeldBack(t *testing.T) {
	t.Parallel()
	const size = 8_388_601
	key, id := newKey(t), newFileID(t)
	content := content(size)
	stored, plain := sealedAs(t, key, id, seal.Padded, content)
	whole := content[:32*full-8]
	flipped := bytes.Clone(stored)
	flipped[33*seal.SegmentSize+20] ^= 1
	refusedAs(t, seal.Padded, key, id, plain, whole, flipped, seal.ErrAuthentication)
	refusedAs(t, seal.Padded, key, id, plain, whole, stored[:33*seal.SegmentSize], seal.ErrTruncated)
	refusedAs(t, seal.Padded, key, id, plain, whole, stored[:len(stored)-1], seal.ErrTruncated)
	refusedAs(t, seal.Padded, key, id, plain, whole, append(bytes.Clone(stored), 0), seal.ErrTrailing)

	// With every byte of the content asked for and no more, the check has been made.
	for _, workers := range []seal.Workers{1, 2} {
		r := seal.NewReader(bytes.NewReader(stored), key, id, plain, seal.Padded, workers)
		got := make([]byte, size)
		_, err := io.ReadFull(r, got)
		require.NoError(t, err)
		require.True(t, bytes.Equal(content, got))
	}
	// An empty content is complete only when its padding is, too.
	empty := byHand(t, key, id, seal.Padded, make([]byte, 8))
	refusedAs(t, seal.Padded, key, id, 8, nil, append(empty, 0), seal.ErrTrailing)
}

func TestAContentOfAnotherLengthThanSaidIsNotPadded(t *testing.T) {
	t.Parallel()
	key, id := newKey(t), newFileID(t)
	for _, c := range []struct{ said, is int }{{0, 1}, {1, 0}, {100, 99}, {100, 101}, {full, full - 1}, {full - 8, full}, {2 * full, full}} {
		for _, workers := range []seal.Workers{1, 2} {
			stored, err := io.ReadAll(seal.NewSealingReader(bytes.NewReader(content(c.is)), key, id, seal.Pad(c.said), workers))
			require.ErrorIs(t, err, seal.ErrSize)
			size, err := seal.PaddedSize(uint64(c.said))
			require.NoError(t, err)
			_, err = io.ReadAll(seal.NewReader(bytes.NewReader(stored), key, id, size, seal.Padded))
			require.ErrorIs(t, err, seal.ErrTruncated)

			w := seal.NewWriter(io.Discard, key, id, seal.Pad(c.said), workers)
			_, err = w.Write(content(c.is))
			if c.is > c.said {
				require.ErrorIs(t, err, seal.ErrSize)
			}
			require.ErrorIs(t, w.Close(), seal.ErrSize)
			require.ErrorIs(t, w.Close(), seal.ErrSize)
		}
	}
	tooLong := seal.Pad(math.MaxUint64)
	_, err := seal.NewSealingReader(bytes.NewReader(nil), key, id, tooLong).Read(make([]byte, 1))
	require.ErrorIs(t, err, seal.ErrSize)
	require.ErrorIs(t, seal.NewWriter(io.Discard, key, id, tooLong).Close(), seal.ErrSize)
}

func TestASourceOfPaddedContentThatFailsKeepsItsError(t *testing.T) {
	t.Parallel()
	key, id := newKey(t), newFileID(t)
	for _, at := range []int{0, 50, 100} { // before, within, and in place of the end
		for _, cause := range []error{io.ErrUnexpectedEOF, io.ErrClosedPipe} {
			src := io.MultiReader(bytes.NewReader(content(at)), iotest.ErrReader(cause))
			_, err := io.ReadAll(seal.NewSealingReader(src, key, id, seal.Pad(100)))
			require.ErrorIs(t, err, cause)
		}
	}
	_, err := io.ReadAll(seal.NewSealingReader(liar{}, key, id, seal.Pad(100)))
	require.ErrorContains(t, err, "impossible count")
	_, err = io.ReadAll(seal.NewSealingReader(idle{}, key, id, seal.Pad(100)))
	require.ErrorIs(t, err, io.ErrNoProgress)
}

func TestTheLengthOfAPaddedContentIsAuthenticated(t *testing.T) {
	t.Parallel()
	key, id := newKey(t), newFileID(t)
	stored, plain := sealedAs(t, key, id, seal.Padded, content(1000))
	stored[len(stored)/2] ^= 1
	r := seal.NewReader(bytes.NewReader(stored), key, id, plain, seal.Padded)
	_, err := r.ContentSize()
	require.ErrorIs(t, err, seal.ErrAuthentication)
}

func TestAnyNumberOfWorkersWorks(t *testing.T) {
	t.Parallel()
	key, id, want := newKey(t), newFileID(t), content(2*full+5)
	for _, workers := range []seal.Workers{-3, 0, 1, 1000} {
		var out bytes.Buffer
		w := seal.NewWriter(&out, key, id, workers)
		_, err := w.Write(want)
		require.NoError(t, err)
		require.NoError(t, w.Close())
		got, err := io.ReadAll(seal.NewReader(&out, key, id, uint64(len(want)), workers))
		require.NoError(t, err)
		require.True(t, bytes.Equal(want, got))
	}
}
