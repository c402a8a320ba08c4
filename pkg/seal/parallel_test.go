// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package seal_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"math"
	"runtime"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/emrys-health/emrys/pkg/seal"
)

func TestAnyNumberOfWorkersGivesTheSameContent(t *testing.T) {
	t.Parallel()
	key, id := newKey(t), newFileID(t)
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.OneOf(rapid.IntRange(0, 3000), rapid.IntRange(full-9, full+2), rapid.IntRange(3*full-9, 3*full+2),
			rapid.Just(9*full+1)).Draw(t, "size")
		layout := rapid.SampledFrom(layouts).Draw(t, "layout")
		workers := rapid.IntRange(-1, 5)
		plain := content(size)
		teed := sha256.New()
		opts := []seal.WriteOption{seal.Workers(workers.Draw(t, "sealers")), seal.Tee{Writer: teed}}
		if layout == seal.Padded {
			opts = append(opts, seal.Pad(size))
		}
		var out bytes.Buffer
		var total uint64
		if rapid.Bool().Draw(t, "push") {
			w := seal.NewWriter(&out, key, id, opts...)
			for rest := plain; len(rest) > 0; {
				n := min(max(size/4, rapid.IntRange(1, 20*full).Draw(t, "write")), len(rest))
				chunk := bytes.Clone(rest[:n])
				_, err := w.Write(chunk)
				require.NoError(t, err)
				clear(chunk) // Write must be through with it
				rest = rest[n:]
			}
			require.NoError(t, w.Close())
			total = w.Size()
		} else {
			r := seal.NewSealingReader(bytes.NewReader(plain), key, id, opts...)
			_, err := io.CopyBuffer(struct{ io.Writer }{&out}, struct{ io.Reader }{r}, make([]byte, rapid.IntRange(size/50+1, 2*full).Draw(t, "buffer")))
			require.NoError(t, err)
			total = r.Size()
		}
		stored := out.Bytes()
		require.Equal(t, sha256.Sum256(stored), [32]byte(teed.Sum(nil)))

		again := sha256.New()
		r := seal.NewReader(bytes.NewReader(stored), key, id, total, layout, seal.Workers(workers.Draw(t, "openers")), seal.Tee{Writer: again})
		got, err := io.ReadAll(r)
		require.NoError(t, err)
		require.True(t, bytes.Equal(plain, got))
		require.Equal(t, teed.Sum(nil), again.Sum(nil))
	})
}

// A write that is long enough is sealed where it lies; Write must be through with it when it returns, and after an error too.
func TestALongWriteIsNotUsedAfterItReturned(t *testing.T) {
	t.Parallel()
	key, id, plain := newKey(t), newFileID(t), content(18*full+5)
	for range 5 {
		var out bytes.Buffer
		w := seal.NewWriter(&out, key, id, seal.Workers(2))
		chunk := bytes.Clone(plain)
		n, err := w.Write(chunk)
		clear(chunk)
		require.NoError(t, err)
		require.Equal(t, len(plain), n)
		require.NoError(t, w.Close())
		got, err := opened(key, id, out.Bytes(), len(plain))
		require.NoError(t, err)
		require.True(t, bytes.Equal(plain, got))
	}
	w := seal.NewWriter(&sink{room: 3 * seal.SegmentSize, err: io.ErrClosedPipe}, key, id, seal.Workers(2))
	chunk := bytes.Clone(plain)
	_, err := w.Write(chunk)
	clear(chunk) // the race detector would see a worker at it
	require.ErrorIs(t, err, io.ErrClosedPipe)
	require.ErrorIs(t, w.Close(), io.ErrClosedPipe)
}

// settled waits until there are no more goroutines than before.
func settled(t *testing.T, before int) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > before; runtime.Gosched() {
		require.True(t, time.Now().Before(end), "%d goroutines, %d before", runtime.NumGoroutine(), before)
	}
}

// Not parallel: it counts goroutines.
func TestAnAbandonedStreamLeavesNoGoroutine(t *testing.T) {
	key, id := newKey(t), newFileID(t)
	ciphertext := sealed(t, key, id, content(20*full))
	before := runtime.NumGoroutine()
	for range 20 {
		w := seal.NewWriter(io.Discard, key, id, seal.Workers(4))
		_, err := w.Write(content(3 * full))
		require.NoError(t, err)
		s := seal.NewSealingReader(&pattern{}, key, id, seal.Workers(4))
		_, err = io.ReadFull(s, make([]byte, 2*full))
		require.NoError(t, err)
		r := seal.NewReader(bytes.NewReader(ciphertext), key, id, 20*full, seal.Workers(4), seal.Tee{Writer: io.Discard})
		_, err = io.ReadFull(r, make([]byte, full/2))
		require.NoError(t, err)
	}
	settled(t, before)

	failing := seal.NewWriter(&sink{room: 5, err: io.ErrClosedPipe}, key, id, seal.Workers(4))
	_, err := failing.Write(content(30 * full))
	require.ErrorIs(t, err, io.ErrClosedPipe)
	settled(t, before)
}

func TestAClosedReaderReadsNoMore(t *testing.T) {
	t.Parallel()
	key, id := newKey(t), newFileID(t)
	s := &recorder{data: sealed(t, key, id, content(5*full))}
	for _, workers := range []seal.Workers{1, 3} {
		r := seal.NewSourceReader(s.source, key, id, 5*full, workers)
		require.Zero(t, s.open)
		_, err := r.Read(make([]byte, 10))
		require.NoError(t, err)
		require.Equal(t, 1, s.open)
		require.NoError(t, r.Close())
		require.Zero(t, s.open)
		_, err = r.Read(make([]byte, 10))
		require.ErrorIs(t, err, seal.ErrClosed)
		_, err = r.WriteTo(io.Discard)
		require.ErrorIs(t, err, seal.ErrClosed)
		require.NoError(t, r.Close())
	}
	r := seal.NewReader(bytes.NewReader(sealed(t, key, id, nil)), key, id, 0)
	_, err := io.ReadAll(r)
	require.NoError(t, err)
	require.NoError(t, r.Close())
	_, err = r.Read(make([]byte, 10))
	require.Equal(t, io.EOF, err, "an end stays an end")
}

// The error that comes first in the stream is the one that is reported, however many segments behind it are being opened.
func TestTheFirstErrorInTheStreamWins(t *testing.T) {
	t.Parallel()
	key, id, plain := newKey(t), newFileID(t), content(9*full)
	bad := sealed(t, key, id, plain)
	for _, i := range []int{8, 5, 3} { // 3 last: the segment that decides
		bad[i*seal.SegmentSize+100] ^= 1
	}
	for range 30 {
		r := seal.NewReader(io.MultiReader(bytes.NewReader(bad[:6*seal.SegmentSize+5]), iotest.ErrReader(io.ErrClosedPipe)), key, id, 9*full, seal.Workers(4))
		got, err := io.ReadAll(r)
		require.ErrorIs(t, err, seal.ErrAuthentication)
		require.ErrorContains(t, err, "segment 3:")
		require.True(t, bytes.Equal(plain[:3*full], got))
		_, again := r.Read(make([]byte, 1))
		require.Equal(t, err, again)
	}
}

// However many segments are on their way when a source fails, those before the failure are released, and the error after them.
func TestWhatWasFetchedBeforeAFailureIsReleased(t *testing.T) {
	t.Parallel()
	key, id, plain := newKey(t), newFileID(t), content(9*full)
	ciphertext := sealed(t, key, id, plain)
	for at := range 9 {
		src := io.MultiReader(bytes.NewReader(ciphertext[:at*seal.SegmentSize+7]), iotest.ErrReader(io.ErrClosedPipe))
		got, err := io.ReadAll(seal.NewReader(src, key, id, 9*full, seal.Workers(4)))
		require.ErrorIs(t, err, io.ErrClosedPipe)
		require.True(t, bytes.Equal(plain[:at*full], got))

		src = io.MultiReader(bytes.NewReader(plain[:at*full+7]), iotest.ErrReader(io.ErrClosedPipe))
		got, err = io.ReadAll(seal.NewSealingReader(src, key, id, seal.Workers(4)))
		require.ErrorIs(t, err, io.ErrClosedPipe)
		require.Len(t, got, at*seal.SegmentSize)
	}
}

// counter fails at the n-th write, or takes too little.
type counter struct {
	left  int
	short bool
	err   error
}

func (c *counter) Write(p []byte) (int, error) {
	if c.left--; c.left >= 0 {
		return len(p), nil
	}
	if c.short {
		return len(p) - 1, nil
	}
	return 0, c.err
}

func TestATeeThatFailsEndsTheStream(t *testing.T) {
	t.Parallel()
	key, id, plain := newKey(t), newFileID(t), content(5*full)
	ciphertext := sealed(t, key, id, plain)
	boom := errors.New("boom")
	for _, workers := range []seal.Workers{1, 3} {
		for _, short := range []bool{false, true} {
			want := boom
			if short {
				want = io.ErrShortWrite
			}
			tee := func() seal.Tee { return seal.Tee{Writer: &counter{left: 2, short: short, err: boom}} }
			got, err := io.ReadAll(seal.NewReader(bytes.NewReader(ciphertext), key, id, 5*full, workers, tee()))
			require.ErrorIs(t, err, want)
			require.True(t, bytes.Equal(plain[:2*full], got))
			out, err := io.ReadAll(seal.NewSealingReader(bytes.NewReader(plain), key, id, workers, tee()))
			require.ErrorIs(t, err, want)
			require.Len(t, out, 2*seal.SegmentSize)
			w := seal.NewWriter(io.Discard, key, id, workers, tee())
			_, _ = w.Write(plain)
			require.ErrorIs(t, w.Close(), want)
		}
	}
}

func TestOnlyAuthenticatedSegmentsReachTheTee(t *testing.T) {
	t.Parallel()
	key, id := newKey(t), newFileID(t)
	bad := sealed(t, key, id, content(5*full))
	good := bytes.Clone(bad[:2*seal.SegmentSize])
	for i := 2; i < 5; i++ {
		bad[i*seal.SegmentSize+50] ^= 4
	}
	for _, workers := range []seal.Workers{1, 3} {
		var teed bytes.Buffer
		_, err := io.Copy(io.Discard, seal.NewReader(bytes.NewReader(bad), key, id, 5*full, workers, seal.Tee{Writer: &teed}))
		require.ErrorIs(t, err, seal.ErrAuthentication)
		require.True(t, bytes.Equal(good, teed.Bytes()))
	}
}

// Memory does not grow with the stream (the sum of all allocations is bounded, so what is held at once is as well), and is
// bounded by the workers. Not parallel: it reads the process's counters.
func TestMemoryIsFlat(t *testing.T) {
	if testing.Short() {
		t.Skip("streams more than 2 GB; run without -short")
	}
	const size = 400_000_000
	key, id := newKey(t), newFileID(t)
	for _, layout := range layouts {
		for _, workers := range []seal.Workers{1, 2, 4} {
			var seals []seal.WriteOption
			plain := uint64(size)
			if layout == seal.Padded {
				seals = append(seals, seal.Pad(size))
				var err error
				plain, err = seal.PaddedSize(size)
				require.NoError(t, err)
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			sealing := seal.NewSealingReader(io.LimitReader(&pattern{}, size), key, id, append(seals, workers)...)
			n, err := io.Copy(io.Discard, seal.NewReader(sealing, key, id, plain, layout, workers))
			require.NoError(t, err)
			require.EqualValues(t, size, n)
			runtime.ReadMemStats(&after)
			segments := uint64(2 * 2)
			if workers > 1 {
				segments = uint64(2 * 4 * workers)
			}
			// One segment more is held at the end of a padded content; buffers are rounded up to whole pages.
			require.Less(t, after.TotalAlloc-before.TotalAlloc, (segments+1)*(seal.SegmentSize+16<<10)+1<<20, "%s, %d workers", layout, workers)
		}
	}
}

func TestC10TheLastSegmentOfAKeyIsTheLast(t *testing.T) {
	t.Parallel()
	key, id := newKey(t), newFileID(t)
	for _, workers := range []seal.Workers{1, 2} {
		for from, size := range map[uint64]int{seal.MaxSegments - 1: full + 1, seal.MaxSegments: 1, math.MaxUint64: 1} {
			_, err := io.ReadAll(seal.NewSealingReader(bytes.NewReader(content(size)), key, id, seal.From(from), workers))
			require.ErrorIs(t, err, seal.ErrSize)
			w := seal.NewWriter(io.Discard, key, id, seal.From(from), workers)
			_, _ = w.Write(content(size))
			require.ErrorIs(t, w.Close(), seal.ErrSize)
		}
		last, err := io.ReadAll(seal.NewSealingReader(bytes.NewReader(content(full)), key, id, seal.From(seal.MaxSegments-1), workers))
		require.NoError(t, err)
		s := func(uint64, uint64) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(last)), nil }
		const size = seal.MaxSegments * full
		got, err := io.ReadAll(seal.NewSourceReader(s, key, id, size, workers, seal.Range{Offset: size - 3, Length: 9}))
		require.NoError(t, err)
		require.Equal(t, content(full)[full-3:], got)
	}
}
