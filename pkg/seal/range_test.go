// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package seal_test

import (
	"bytes"
	"errors"
	"io"
	"math"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/emrys-health/emrys/pkg/seal"
)

// span is what a source was asked for.
type span struct{ offset, length uint64 }

// recorder is a source over bytes that notes what it was asked for, and closes.
type recorder struct {
	data   []byte
	asked  []span
	open   int // bodies not closed
	excess int // bytes to deliver beyond what was asked for
}

type body struct {
	io.Reader
	close func()
}

func (b body) Close() error { b.close(); return nil }

func (s *recorder) source(offset, length uint64) (io.ReadCloser, error) {
	s.asked = append(s.asked, span{offset, length})
	part := s.data[min(offset, uint64(len(s.data))):]
	if length != 0 {
		part = part[:min(length+uint64(s.excess), uint64(len(part)))]
	}
	s.open++
	return body{bytes.NewReader(part), func() { s.open-- }}, nil
}

func TestC7ARangeNeedsOnlyItsSegments(t *testing.T) {
	t.Parallel()
	key, id := newKey(t), newFileID(t)
	large := make([]byte, 4*full)
	for _, layout := range layouts {
		for _, size := range []int{0, 100, full - 8, full, 3*full + 50} {
			content := content(size)
			ciphertext, plain := sealedAs(t, key, id, layout, content)
			points := []uint64{0, 1, 99, 100, full - 9, full - 8, full, full + 1, 2 * full, 3*full + 49, 3*full + 50, 3*full + 51, math.MaxUint64}
			for _, offset := range points {
				for _, length := range points {
					from := min(offset, uint64(size))
					to := from + min(length, uint64(size)-from)
					s := &recorder{data: ciphertext}
					open := func(workers seal.Workers) *seal.Reader {
						s.asked = nil
						return seal.NewSourceReader(s.source, key, id, plain, layout, workers, seal.Range{Offset: offset, Length: length})
					}
					got, err := io.ReadAll(open(2))
					require.NoError(t, err)
					require.True(t, bytes.Equal(content[from:to], got), "%s size %d offset %d length %d", layout, size, offset, length)
					require.Zero(t, s.open)
					asked := s.asked
					checkAsked(t, layout, asked, from, to, len(ciphertext))

					n, err := io.ReadFull(open(1), large)
					require.ErrorIs(t, err, map[bool]error{true: io.EOF, false: io.ErrUnexpectedEOF}[from == to])
					require.True(t, bytes.Equal(content[from:to], large[:n]))
					require.Equal(t, asked, s.asked)
				}
			}
		}
	}
}

// checkAsked demands that a range fetched what C7 says and nothing else.
func checkAsked(t *testing.T, layout seal.Layout, asked []span, from, to uint64, stored int) {
	t.Helper()
	end := func(segment uint64) uint64 { return min((segment+1)*seal.SegmentSize, uint64(stored)) }
	var want []span
	first := uint64(0)
	if layout == seal.Padded {
		want = append(want, span{0, end(0)})
		from, to, first = from+8, to+8, 1
	}
	if from < to {
		first = max(first, from/full)
		if last := (to - 1) / full; last >= first {
			want = append(want, span{first * seal.SegmentSize, end(last) - first*seal.SegmentSize})
		}
	}
	require.Equal(t, want, asked)
}

func TestC7ARangeIsVerifiedLikeTheWhole(t *testing.T) {
	t.Parallel()
	key, id := newKey(t), newFileID(t)
	const size = 3*full + 50
	ciphertext := sealed(t, key, id, content(size))
	flip := func(at int) []byte {
		bad := bytes.Clone(ciphertext)
		bad[at] ^= 1
		return bad
	}
	swapped := bytes.Clone(ciphertext)
	copy(swapped[seal.SegmentSize:], ciphertext[:seal.SegmentSize])
	for name, c := range map[string]struct {
		stored []byte
		size   uint64
		want   error
	}{
		"another segment":              {swapped, size, seal.ErrAuthentication},
		"an altered segment":           {flip(2*seal.SegmentSize - 1), size, seal.ErrAuthentication},
		"a middle segment as the last": {ciphertext, 2 * full, seal.ErrAuthentication},
		"a cut segment":                {ciphertext[:seal.SegmentSize+1000], size, seal.ErrTruncated},
		"nothing":                      {nil, size, seal.ErrTruncated},
		"an impossible length":         {ciphertext, math.MaxUint64, seal.ErrSize},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, workers := range []seal.Workers{1, 2} {
				s := &recorder{data: c.stored}
				got, err := io.ReadAll(seal.NewSourceReader(s.source, key, id, c.size, workers, seal.Range{Offset: full + 5, Length: 10}))
				require.ErrorIs(t, err, c.want)
				require.Empty(t, got)
				require.Zero(t, s.open)
			}
		})
	}
	// What lies outside is not looked at, and a source that gives more does no harm.
	s := &recorder{data: flip(5), excess: 100}
	got, err := io.ReadAll(seal.NewSourceReader(s.source, key, id, size, seal.Range{Offset: full + 5, Length: 10}))
	require.NoError(t, err)
	require.Equal(t, content(size)[full+5:full+15], got)
}

func TestC7ARangeOfAMalformedPaddedPayloadIsRefused(t *testing.T) {
	t.Parallel()
	key, id := newKey(t), newFileID(t)
	plain := plaintextOf(t, seal.Padded, content(3*full))
	read := func(plain []byte, offset uint64) ([]byte, error) {
		s := &recorder{data: byHand(t, key, id, seal.Padded, plain)}
		return io.ReadAll(seal.NewSourceReader(s.source, key, id, uint64(len(plain)), seal.Padded, seal.Range{Offset: offset, Length: 9}))
	}
	bad := bytes.Clone(plain)
	bad[7] ^= 0x80
	bad[0] = 1
	_, err := read(bad, 2*full)
	require.ErrorIs(t, err, seal.ErrPadding, "the length field is read for every range")
	bad = bytes.Clone(plain)
	bad[len(bad)-1] = 1
	_, err = read(bad, 3*full-9)
	require.ErrorIs(t, err, seal.ErrPadding)
	got, err := read(bad, 0)
	require.NoError(t, err, "padding outside of the segments of the range is not looked at")
	require.Equal(t, plain[8:17], got)
}

func TestARangeNeedsASourceThatCanBeOpenedAnywhere(t *testing.T) {
	t.Parallel()
	_, err := seal.NewReader(bytes.NewReader(nil), newKey(t), newFileID(t), 0, seal.Range{}).Read(make([]byte, 1))
	require.ErrorContains(t, err, "range")
}

func TestEveryRangeIsWhatTheWholeHasThere(t *testing.T) {
	t.Parallel()
	key, id := newKey(t), newFileID(t)
	type payload struct {
		content, stored []byte
		plain           uint64
		layout          seal.Layout
	}
	var payloads []payload
	for _, layout := range layouts {
		for _, size := range []int{1, full, 2*full + 4000} {
			p := payload{content: content(size), layout: layout}
			p.stored, p.plain = sealedAs(t, key, id, layout, p.content)
			payloads = append(payloads, p)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		p := rapid.SampledFrom(payloads).Draw(t, "payload")
		offset := rapid.Uint64Range(0, uint64(len(p.content))+10).Draw(t, "offset")
		length := rapid.Uint64Range(0, uint64(len(p.content))+10).Draw(t, "length")
		workers := seal.Workers(rapid.IntRange(1, 4).Draw(t, "workers"))
		s := &recorder{data: p.stored}
		r := seal.NewSourceReader(s.source, key, id, p.plain, p.layout, workers, seal.Range{Offset: offset, Length: length})
		got, err := io.ReadAll(iotest.HalfReader(r))
		require.NoError(t, err)
		from := min(offset, uint64(len(p.content)))
		want := p.content[from : from+min(length, uint64(len(p.content))-from)]
		require.True(t, bytes.Equal(want, got))

		at, err := seal.NewReaderAt(bytes.NewReader(p.stored), key, id, p.plain, p.layout)
		require.NoError(t, err)
		buffer := make([]byte, length)
		n, err := at.ReadAt(buffer, int64(offset))
		require.True(t, bytes.Equal(want, buffer[:n]))
		require.True(t, err == nil && n == len(buffer) || errors.Is(err, io.EOF), "%v", err)
	})
}
