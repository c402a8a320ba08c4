// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package seal_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/emrys-health/emrys/pkg/seal"
)

var errBroken = errors.New("connection broke")

// flaky is a source whose connections break after so many bytes, one number for each; behind the last they hold. A
// negative number refuses to open.
type flaky struct {
	data   []byte
	breaks []int
	asked  []uint64
	open   int
}

func (s *flaky) source(offset, length uint64) (io.ReadCloser, error) {
	s.asked = append(s.asked, offset)
	part := s.data[offset:]
	if length != 0 {
		part = part[:length]
	}
	if len(s.breaks) == 0 {
		s.open++
		return body{bytes.NewReader(part), func() { s.open-- }}, nil
	}
	n := s.breaks[0]
	s.breaks = s.breaks[1:]
	if n < 0 {
		return nil, errBroken
	}
	s.open++
	return body{io.MultiReader(bytes.NewReader(part[:min(n, len(part))]), iotest.ErrReader(errBroken)), func() { s.open-- }}, nil
}

func TestC9ABrokenTransferGoesOnWithTheSegmentThatIsMissing(t *testing.T) {
	t.Parallel()
	key, id := newKey(t), newFileID(t)
	const size = 4*full + 50
	const stored = 4*seal.SegmentSize + 50 + seal.SegmentOverhead
	plain := content(size)
	ciphertext := sealed(t, key, id, plain)
	const s = seal.SegmentSize
	for name, c := range map[string]struct {
		breaks []int
		asked  []uint64
	}{
		"not at all":                        {nil, []uint64{0}},
		"before anything":                   {[]int{0}, []uint64{0, 0}},
		"when it is opened":                 {[]int{-1, -1}, []uint64{0, 0, 0}},
		"within a nonce":                    {[]int{5}, []uint64{0, 0}},
		"after a nonce":                     {[]int{12}, []uint64{0, 0}},
		"within a segment":                  {[]int{s + 1000}, []uint64{0, s}},
		"within a tag":                      {[]int{2*s - 3}, []uint64{0, s}},
		"one byte before a segment's end":   {[]int{3*s - 1}, []uint64{0, 2 * s}},
		"between two segments":              {[]int{2 * s}, []uint64{0, 2 * s}},
		"one byte into a segment":           {[]int{2*s + 1}, []uint64{0, 2 * s}},
		"before the final segment":          {[]int{4 * s}, []uint64{0, 4 * s}},
		"within the final segment":          {[]int{4*s + 20}, []uint64{0, 4 * s}},
		"in place of the end":               {[]int{stored}, []uint64{0, 4 * s}},
		"in place of the end, and again":    {[]int{stored, 78, -1}, []uint64{0, 4 * s, 4 * s, 4 * s}},
		"after each segment":                {[]int{s, s, s, s}, []uint64{0, s, 2 * s, 3 * s, 4 * s}},
		"often, but with a segment between": {[]int{9, 9, 9, s, 9, 9, s, 9, 9, s}, []uint64{0, 0, 0, 0, s, s, s, 2 * s, 2 * s, 2 * s, 3 * s}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, workers := range []seal.Workers{1, 3} {
				src := &flaky{data: ciphertext, breaks: c.breaks}
				var teed bytes.Buffer
				var pauses []int
				retry := seal.Retry{Attempts: 3, Pause: func(failures int, cause error) error {
					require.ErrorIs(t, cause, errBroken)
					pauses = append(pauses, failures)
					return nil
				}}
				got, err := io.ReadAll(seal.NewSourceReader(src.source, key, id, size, workers, retry, seal.Tee{Writer: &teed}))
				require.NoError(t, err)
				require.True(t, bytes.Equal(plain, got), "every byte once")
				require.True(t, bytes.Equal(ciphertext, teed.Bytes()), "the tee sees no break")
				require.Equal(t, c.asked, src.asked)
				require.Len(t, pauses, len(c.breaks))
				require.Zero(t, src.open, "every connection is closed")
			}
		})
	}
}

func TestC9RetriesAreBounded(t *testing.T) {
	t.Parallel()
	key, id, plain := newKey(t), newFileID(t), content(3*full)
	ciphertext := sealed(t, key, id, plain)
	for _, workers := range []seal.Workers{1, 3} {
		src := &flaky{data: ciphertext, breaks: []int{seal.SegmentSize + 5, 5, 5, 5, 5}}
		r := seal.NewSourceReader(src.source, key, id, 3*full, workers, seal.Retry{Attempts: 3})
		got, err := io.ReadAll(r)
		require.ErrorIs(t, err, errBroken)
		require.True(t, bytes.Equal(plain[:full], got))
		require.Len(t, src.asked, 4)
		require.Zero(t, src.open)
		_, again := r.Read(make([]byte, 1))
		require.Equal(t, err, again)
		require.Len(t, src.asked, 4, "the error is final")

		src = &flaky{data: ciphertext, breaks: []int{5}}
		_, err = io.ReadAll(seal.NewSourceReader(src.source, key, id, 3*full, workers))
		require.ErrorIs(t, err, errBroken, "who does not ask for retries gets none")

		stop := errors.New("no more")
		src = &flaky{data: ciphertext, breaks: []int{5, 5, 5}}
		retry := seal.Retry{Attempts: 100, Pause: func(failures int, _ error) error {
			if failures == 2 {
				return stop
			}
			return nil
		}}
		_, err = io.ReadAll(seal.NewSourceReader(src.source, key, id, 3*full, workers, retry))
		require.ErrorIs(t, err, stop)
		require.Len(t, src.asked, 2)
	}
}

// What fails verification is not fetched again: see also refusedAs, which every altered ciphertext goes through.
func TestC9AnAlteredSegmentAfterABreakIsFinal(t *testing.T) {
	t.Parallel()
	key, id, plain := newKey(t), newFileID(t), content(3*full)
	good := sealed(t, key, id, plain)
	bad := bytes.Clone(good)
	bad[seal.SegmentSize+9] ^= 1
	for _, workers := range []seal.Workers{1, 3} {
		opens := 0
		src := func(offset, _ uint64) (io.ReadCloser, error) {
			opens++
			if opens == 1 {
				return io.NopCloser(io.MultiReader(bytes.NewReader(good[:seal.SegmentSize+5]), iotest.ErrReader(errBroken))), nil
			}
			return io.NopCloser(bytes.NewReader(bad[offset:])), nil // somebody else answers
		}
		got, err := io.ReadAll(seal.NewSourceReader(src, key, id, 3*full, workers, seal.Retry{Attempts: 9}))
		require.ErrorIs(t, err, seal.ErrAuthentication)
		require.True(t, bytes.Equal(plain[:full], got))
		require.Equal(t, 2, opens)
	}
}

func TestC9ABrokenRangeGoesOn(t *testing.T) {
	t.Parallel()
	key, id, content := newKey(t), newFileID(t), content(5*full)
	for _, layout := range layouts {
		ciphertext, plain := sealedAs(t, key, id, layout, content)
		src := &flaky{data: ciphertext, breaks: []int{100, seal.SegmentSize + 5, 0, 7}}
		r := seal.NewSourceReader(src.source, key, id, plain, layout, seal.Retry{Attempts: 3}, seal.Range{Offset: full + 100, Length: 2 * full})
		got, err := io.ReadAll(r)
		require.NoError(t, err)
		require.True(t, bytes.Equal(content[full+100:3*full+100], got))
	}
}

func TestC9AnyBreaksGiveTheContentOnce(t *testing.T) {
	t.Parallel()
	key, id := newKey(t), newFileID(t)
	plain := content(3*full + 10)
	ciphertext := sealed(t, key, id, plain)
	rapid.Check(t, func(t *rapid.T) {
		breaks := rapid.SliceOfN(rapid.IntRange(-1, len(ciphertext)+1), 0, 12).Draw(t, "breaks")
		workers := seal.Workers(rapid.IntRange(1, 4).Draw(t, "workers"))
		src := &flaky{data: ciphertext, breaks: breaks}
		var out bytes.Buffer
		_, err := seal.NewSourceReader(src.source, key, id, uint64(len(plain)), workers, seal.Retry{Attempts: 4}).WriteTo(&out)
		require.True(t, bytes.Equal(plain[:out.Len()], out.Bytes()))
		if err == nil {
			require.Equal(t, len(plain), out.Len())
		} else {
			require.ErrorIs(t, err, errBroken)
		}
		require.Zero(t, src.open)
	})
}

func TestC9AnUploadGoesOnBehindTheSegmentsThatAreStored(t *testing.T) {
	t.Parallel()
	key, id := newKey(t), newFileID(t)
	for _, layout := range layouts {
		for _, size := range []int{2*full + 1, 3 * full, 3*full + 500} {
			content := content(size)
			first, plain := sealedAs(t, key, id, layout, content)
			for k := uint64(0); k*full < plain; k++ {
				for _, workers := range []seal.Workers{1, 3} {
					opts := []seal.WriteOption{workers, seal.From(k)}
					if layout == seal.Padded {
						opts = append(opts, seal.Pad(size))
					}
					rest := content[layout.ContentOffset(k):]
					r := seal.NewSealingReader(bytes.NewReader(rest), key, id, opts...)
					pulled, err := io.ReadAll(r)
					require.NoError(t, err)
					require.Equal(t, plain, r.Size(), "the length of the whole")
					var pushed bytes.Buffer
					w := seal.NewWriter(&pushed, key, id, opts...)
					_, err = w.Write(rest)
					require.NoError(t, err)
					require.NoError(t, w.Close())
					require.Equal(t, plain, w.Size())

					for _, second := range [][]byte{pulled, pushed.Bytes()} {
						whole := append(bytes.Clone(first[:k*seal.SegmentSize]), second...)
						got, err := io.ReadAll(seal.NewReader(bytes.NewReader(whole), key, id, plain, layout))
						require.NoError(t, err)
						require.True(t, bytes.Equal(content, got))
						for i := int(k); i*seal.SegmentSize < len(first); i++ {
							at := i * seal.SegmentSize
							require.NotEqual(t, first[at:at+12], whole[at:at+12], "a segment sealed again has another nonce")
						}
					}
				}
			}
		}
	}
}

func TestC9NothingLeftIsNoContinuation(t *testing.T) {
	t.Parallel()
	key, id := newKey(t), newFileID(t)
	for _, opts := range [][]seal.WriteOption{
		{seal.From(2)}, {seal.From(2), seal.Workers(2)}, {seal.From(2), seal.Pad(100)}, {seal.From(3), seal.Pad(2 * full)},
	} {
		_, err := io.ReadAll(seal.NewSealingReader(bytes.NewReader(nil), key, id, opts...))
		require.ErrorIs(t, err, seal.ErrSize)
		require.ErrorIs(t, seal.NewWriter(io.Discard, key, id, opts...).Close(), seal.ErrSize)
	}
}

func TestC9TheContinuationOfAPaddedPayloadMayBePaddingAlone(t *testing.T) {
	t.Parallel()
	const size = 8_388_601
	key, id, content := newKey(t), newFileID(t), content(size)
	first, plain := sealedAs(t, key, id, seal.Padded, content)
	second, err := io.ReadAll(seal.NewSealingReader(bytes.NewReader(nil), key, id, seal.Pad(size), seal.From(33)))
	require.NoError(t, err)
	whole := append(bytes.Clone(first[:33*seal.SegmentSize]), second...)
	got, err := io.ReadAll(seal.NewReader(bytes.NewReader(whole), key, id, plain, seal.Padded))
	require.NoError(t, err)
	require.True(t, bytes.Equal(content, got))
	_, err = io.ReadAll(seal.NewSealingReader(bytes.NewReader([]byte{1}), key, id, seal.Pad(size), seal.From(33)))
	require.ErrorIs(t, err, seal.ErrSize)
}

// ExampleNewSourceReader reads a part of a record, and goes on when the connection breaks.
func ExampleNewSourceReader() {
	key, _ := seal.ParseDataKey(make([]byte, seal.DataKeySize))
	var fileID [seal.FileIDSize]byte
	stored, _ := io.ReadAll(seal.NewSealingReader(bytes.NewReader([]byte("a long study")), key, fileID))

	broken := true
	source := func(offset, length uint64) (io.ReadCloser, error) { // in truth: a request with a Range header
		if broken {
			broken = false
			return nil, errors.New("connection reset")
		}
		return io.NopCloser(bytes.NewReader(stored[offset : offset+length])), nil
	}
	r := seal.NewSourceReader(source, key, fileID, 12, seal.Range{Offset: 2, Length: 4}, seal.Retry{
		Attempts: 5,
		Pause:    func(failures int, _ error) error { fmt.Println("failure", failures); return nil },
	})
	part, err := io.ReadAll(r)
	fmt.Println(string(part), err)
	// Output:
	// failure 1
	// long <nil>
}
