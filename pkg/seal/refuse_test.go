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

	"github.com/emrys-health/emrys/pkg/seal"
)

// segmentsOf cuts a ciphertext into its segments.
func segmentsOf(ciphertext []byte) [][]byte {
	var segments [][]byte
	for len(ciphertext) > seal.SegmentSize {
		segments = append(segments, ciphertext[:seal.SegmentSize])
		ciphertext = ciphertext[seal.SegmentSize:]
	}
	return append(segments, ciphertext)
}

func TestAlteredCiphertextIsRefused(t *testing.T) {
	t.Parallel()
	key, id := newKey(t), newFileID(t)
	const size = 3*full + 500 // segments 0..2 are full, 3 is short and final
	plain := content(size)
	ciphertext := sealed(t, key, id, plain)
	seg := segmentsOf(ciphertext)
	require.Len(t, seg, 4)
	foreign := segmentsOf(sealed(t, key, newFileID(t), plain))
	twin := segmentsOf(sealed(t, key, id, content(2*full+500))) // final segment at index 2
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

	cases := map[string]struct {
		ciphertext []byte
		released   int // plaintext bytes that may come out before the error
		want       error
	}{
		"two segments swapped":                       {join(seg[1], seg[0], seg[2], seg[3]), 0, seal.ErrAuthentication},
		"later segments swapped":                     {join(seg[0], seg[2], seg[1], seg[3]), full, seal.ErrAuthentication},
		"a segment repeated":                         {join(seg[0], seg[0], seg[1], seg[2], seg[3]), full, seal.ErrAuthentication},
		"a segment repeated in place of another":     {join(seg[0], seg[0], seg[2], seg[3]), full, seal.ErrAuthentication},
		"the first segment dropped":                  {join(seg[1], seg[2], seg[3]), 0, seal.ErrAuthentication},
		"a middle segment dropped":                   {join(seg[0], seg[2], seg[3]), full, seal.ErrAuthentication},
		"the final segment dropped":                  {join(seg[0], seg[1], seg[2]), 3 * full, seal.ErrTruncated},
		"a segment of another file with this key":    {join(seg[0], foreign[1], seg[2], seg[3]), full, seal.ErrAuthentication},
		"the first segment of another file":          {join(foreign[0], seg[1], seg[2], seg[3]), 0, seal.ErrAuthentication},
		"the final segment of another file":          {join(seg[0], seg[1], seg[2], foreign[3]), 3 * full, seal.ErrAuthentication},
		"a final segment in a middle place":          {join(seg[0], seg[1], twin[2]), 2 * full, seal.ErrTruncated},
		"a final segment of the same file elsewhere": {join(seg[0], seg[1], seg[2], twin[2]), 3 * full, seal.ErrAuthentication},
		"a whole other file":                         {join(foreign...), 0, seal.ErrAuthentication},
		"one byte after the end":                     {join(ciphertext, []byte{0}), 3 * full, seal.ErrTrailing},
		"a segment after the end":                    {join(ciphertext, seg[3]), 3 * full, seal.ErrTrailing},
		"nothing":                                    {nil, 0, seal.ErrTruncated},
		"zeros":                                      {make([]byte, len(ciphertext)), 0, seal.ErrAuthentication},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			refused(t, key, id, plain, c.ciphertext, c.released, c.want)
		})
	}
}

// refused reads a bad ciphertext in every way there is and demands the error, at most the released prefix, and that the
// error stays.
func refused(t *testing.T, key *seal.DataKey, id [seal.FileIDSize]byte, plain, bad []byte, released int, want error) {
	t.Helper()
	refusedAs(t, seal.Plain, key, id, uint64(len(plain)), plain[:released], bad, want)
}

// refusedAs is refused for any layout: size is the plaintext length, prefix the content that may be released.
func refusedAs(
	t *testing.T, layout seal.Layout, key *seal.DataKey, id [seal.FileIDSize]byte, size uint64, prefix, bad []byte, want error,
) {
	t.Helper()
	for _, workers := range []seal.Workers{1, 3} {
		stream := func() *seal.Reader {
			return seal.NewReader(bytes.NewReader(bad), key, id, size, layout, workers)
		}
		got, err := io.ReadAll(stream())
		require.ErrorIs(t, err, want)
		require.True(t, bytes.Equal(prefix, got), "released %d bytes, want %d", len(got), len(prefix))

		var out bytes.Buffer
		_, err = stream().WriteTo(&out)
		require.ErrorIs(t, err, want)
		require.True(t, bytes.Equal(prefix, out.Bytes()))

		opens := 0
		source := seal.NewSourceReader(stored(bad, &opens), key, id, size, layout, workers, seal.Retry{Attempts: 9})
		got, err = io.ReadAll(source)
		require.ErrorIs(t, err, want)
		require.True(t, bytes.Equal(prefix, got))
		require.Equal(t, 1, opens, "the same bytes are not asked for again (C9.1)")

		direct(t, stream(), prefix, want)
	}
}

// direct reads straight into large destinations: nothing unauthenticated may be left in them.
func direct(t *testing.T, r *seal.Reader, prefix []byte, want error) {
	t.Helper()
	var got []byte
	for {
		p := make([]byte, full)
		n, err := r.Read(p)
		got = append(got, p[:n]...)
		if err != nil {
			require.ErrorIs(t, err, want)
			require.Equal(t, make([]byte, full-n), p[n:])
			break
		}
	}
	require.True(t, bytes.Equal(prefix, got))
	for range 2 {
		n, err := r.Read(make([]byte, full))
		require.Zero(t, n)
		require.ErrorIs(t, err, want)
	}
}

// stored is a source over bytes that counts how often it was opened, and hands over exactly what was asked for.
func stored(data []byte, opens *int) seal.Source {
	return func(offset, length uint64) (io.ReadCloser, error) {
		*opens++
		part := data[min(offset, uint64(len(data))):]
		if length != 0 {
			part = part[:min(length, uint64(len(part)))]
		}
		return io.NopCloser(bytes.NewReader(part)), nil
	}
}

func TestEveryFlippedByteIsRefused(t *testing.T) {
	t.Parallel()
	key, id := newKey(t), newFileID(t)
	plain := content(40)
	ciphertext := sealed(t, key, id, plain)
	for i := range ciphertext { // nonce, ciphertext and tag
		for _, bit := range []byte{0x01, 0x80} {
			bad := bytes.Clone(ciphertext)
			bad[i] ^= bit
			refused(t, key, id, plain, bad, 0, seal.ErrAuthentication)
		}
	}
	long := content(2*full + 9)
	ciphertext = sealed(t, key, id, long)
	for _, segment := range []int{0, 1, 2} {
		for _, at := range []int{0, 11, 12, 20} {
			bad := bytes.Clone(ciphertext)
			bad[segment*seal.SegmentSize+at] ^= 0x10
			refused(t, key, id, long, bad, segment*full, seal.ErrAuthentication)
		}
	}
	bad := bytes.Clone(ciphertext)
	bad[len(bad)-1] ^= 1
	refused(t, key, id, long, bad, 2*full, seal.ErrAuthentication)
}

func TestTruncationIsRefusedAtEveryLength(t *testing.T) {
	t.Parallel()
	key, id := newKey(t), newFileID(t)
	short := content(30)
	ciphertext := sealed(t, key, id, short)
	for n := range ciphertext {
		refused(t, key, id, short, ciphertext[:n], 0, seal.ErrTruncated)
	}
	long := content(2*full + 30)
	ciphertext = sealed(t, key, id, long)
	for _, n := range []int{
		0, 1, 12, 28, seal.SegmentSize - 1, seal.SegmentSize, seal.SegmentSize + 1, seal.SegmentSize + 28,
		2*seal.SegmentSize - 1, 2 * seal.SegmentSize, 2*seal.SegmentSize + 1, len(ciphertext) - 1,
	} {
		refused(t, key, id, long, ciphertext[:n], n/seal.SegmentSize*full, seal.ErrTruncated)
	}
}

func TestAWrongLengthIsRefused(t *testing.T) {
	t.Parallel()
	key, id := newKey(t), newFileID(t)
	for _, size := range []int{0, 1, 100, full - 1, full, full + 1, 2 * full, 2*full + 5} {
		ciphertext := sealed(t, key, id, content(size))
		for _, claim := range []int{0, 1, 99, 101, full - 1, full, full + 1, 2*full - 1, 2 * full, 2*full + 1, 3 * full} {
			if claim == size {
				continue
			}
			got, err := opened(key, id, ciphertext, claim)
			require.Error(t, err, "%d sealed, %d claimed", size, claim)
			require.Less(t, len(got), max(claim, 1))
			require.True(t, errors.Is(err, seal.ErrAuthentication) || errors.Is(err, seal.ErrTruncated), "%v", err)
		}
		_, err := opened(key, id, ciphertext, math.MaxInt64)
		require.ErrorIs(t, err, seal.ErrSize)
	}
}

func TestAWrongKeyOrFileIDIsRefused(t *testing.T) {
	t.Parallel()
	key, id, plain := newKey(t), newFileID(t), content(full+10)
	ciphertext := sealed(t, key, id, plain)
	refused(t, newKey(t), id, plain, ciphertext, 0, seal.ErrAuthentication)
	other := id
	other[31] ^= 1
	refused(t, key, other, plain, ciphertext, 0, seal.ErrAuthentication)
}

func TestASourceErrorKeepsItsIdentityAndReleasesNothingMore(t *testing.T) {
	t.Parallel()
	boom := errors.New("boom")
	key, id, plain := newKey(t), newFileID(t), content(2*full+10)
	ciphertext := sealed(t, key, id, plain)
	for _, cause := range []error{boom, io.ErrUnexpectedEOF} {
		for _, at := range []int{0, 5, seal.SegmentSize, seal.SegmentSize + 100, len(ciphertext) - 1} {
			src := io.MultiReader(bytes.NewReader(ciphertext[:at]), iotest.ErrReader(cause))
			got, err := io.ReadAll(seal.NewReader(src, key, id, uint64(len(plain))))
			require.ErrorIs(t, err, cause)
			require.NotErrorIs(t, err, seal.ErrTruncated)
			require.Len(t, got, at/seal.SegmentSize*full)
		}
		// An error in place of the end: the final segment might not be the end, so it is held back.
		src := io.MultiReader(bytes.NewReader(ciphertext), iotest.ErrReader(cause))
		got, err := io.ReadAll(seal.NewReader(src, key, id, uint64(len(plain))))
		require.ErrorIs(t, err, cause)
		require.Len(t, got, 2*full)

		for _, at := range []int{0, 5, full, full + 1} {
			src := io.MultiReader(bytes.NewReader(plain[:at]), iotest.ErrReader(cause))
			r := seal.NewSealingReader(src, key, id)
			half, err := io.ReadAll(r)
			require.ErrorIs(t, err, cause)
			_, err = opened(key, id, half, at)
			require.ErrorIs(t, err, seal.ErrTruncated, "an interrupted sealing must not look complete")
		}
	}
}

func TestASourceThatNeverDeliversIsGivenUp(t *testing.T) {
	t.Parallel()
	key, id := newKey(t), newFileID(t)
	_, err := seal.NewReader(idle{}, key, id, 10).Read(make([]byte, 1))
	require.ErrorIs(t, err, io.ErrNoProgress)
	_, err = seal.NewSealingReader(idle{}, key, id).Read(make([]byte, 1))
	require.ErrorIs(t, err, io.ErrNoProgress)
	_, err = seal.NewReader(liar{}, key, id, 10).Read(make([]byte, 1))
	require.Error(t, err)
}

type idle struct{}

func (idle) Read([]byte) (int, error) { return 0, nil }

type liar struct{}

func (liar) Read(p []byte) (int, error) { return len(p) + 1, nil }

// sink accepts room bytes, then fails, or with short set pretends success while it takes less.
type sink struct {
	room  int
	short bool
	err   error
}

func (s *sink) Write(p []byte) (int, error) {
	if len(p) <= s.room {
		s.room -= len(p)
		return len(p), nil
	}
	n := s.room
	s.room = 0
	if s.short {
		return n, nil
	}
	return n, s.err
}

func TestAFailingDestinationEndsTheWriterForGood(t *testing.T) {
	t.Parallel()
	boom := errors.New("boom")
	key, id := newKey(t), newFileID(t)
	for name, dst := range map[string]*sink{
		"error": {room: seal.SegmentSize + 3, err: boom}, "short write": {room: seal.SegmentSize + 3, short: true},
	} {
		want := boom
		if dst.short {
			want = io.ErrShortWrite
		}
		w := seal.NewWriter(dst, key, id)
		n, err := w.Write(content(3 * full))
		require.ErrorIs(t, err, want, name)
		require.Equal(t, full, n)
		require.EqualValues(t, full, w.Size())
		_, err = w.Write([]byte{1})
		require.ErrorIs(t, err, want)
		require.ErrorIs(t, w.Close(), want)
	}
	ciphertext := sealed(t, key, id, content(3*full))
	_, err := seal.NewReader(bytes.NewReader(ciphertext), key, id, 3*full).WriteTo(&sink{room: full + 1, err: boom})
	require.ErrorIs(t, err, boom)
	_, err = seal.NewReader(bytes.NewReader(ciphertext), key, id, 3*full).WriteTo(&sink{room: full + 1, short: true})
	require.ErrorIs(t, err, io.ErrShortWrite)
}

func TestACloseFailureIsReportedAndRepeated(t *testing.T) {
	t.Parallel()
	boom := errors.New("boom")
	w := seal.NewWriter(&sink{err: boom}, newKey(t), newFileID(t))
	_, err := w.Write([]byte("some"))
	require.NoError(t, err)
	require.ErrorIs(t, w.Close(), boom)
	require.ErrorIs(t, w.Close(), boom)
}

func TestAClosedWriterTakesNothing(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	w := seal.NewWriter(&out, newKey(t), newFileID(t))
	require.NoError(t, w.Close())
	size := out.Len()
	_, err := w.Write([]byte{1})
	require.ErrorIs(t, err, seal.ErrClosed)
	require.NoError(t, w.Close())
	require.Equal(t, size, out.Len())
}

func TestAnUnclosedWriterLeavesATruncatedFile(t *testing.T) {
	t.Parallel()
	key, id, plain := newKey(t), newFileID(t), content(2*full)
	var out bytes.Buffer
	_, err := seal.NewWriter(&out, key, id).Write(plain)
	require.NoError(t, err)
	_, err = opened(key, id, out.Bytes(), len(plain))
	require.ErrorIs(t, err, seal.ErrTruncated)
	_, err = opened(key, id, out.Bytes(), full)
	require.ErrorIs(t, err, seal.ErrAuthentication, "a middle segment must not pass as the last")
}
