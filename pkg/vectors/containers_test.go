// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package vectors

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/seal"
	ref "github.com/emrys-health/emrys/pkg/vectors/internal/reference"
)

func recipeOf(in inputs) ref.Recipe {
	in.t.Helper()
	r := ref.Recipe{DEK: in.hex("dek"), FileID: in.hex("file_id"), Layout: ref.Layout(in.text("layout")), Nonce: byte(in.int("nonce")), Length: -1} //nolint:gosec // of the file
	if in.fields["content"] != nil {
		r.Content = in.hex("content")
	} else {
		r.Content = ref.Counting(in.int("length"))
	}
	if in.fields["plaintext_length"] != nil {
		r.Length = in.int("plaintext_length")
	}
	if in.fields["patches"] != nil {
		r.Patches = map[int][]byte{}
		for _, p := range in.objects("patches") {
			r.Patches[p.int("offset")] = p.hex("bytes")
		}
	}
	if in.fields["relabel"] != nil {
		r.Relabel = map[uint64]ref.SegmentLabel{}
		for _, l := range in.objects("relabel") {
			r.Relabel[l.uint("segment")] = ref.SegmentLabel{Number: l.uint("number"), Final: l.int("final") == 1}
		}
	}
	return r
}

// payload seals the k-th payload of the file and checks it against what the file says.
func (in inputs) payload(k int) []byte {
	in.t.Helper()
	if stored := in.sealed[k]; stored != nil {
		return stored
	}
	described := in.within(in.file.Payloads[k])
	stored := recipeOf(described).Bytes()
	require.Len(in.t, stored, described.int("stored_length"))
	sum := sha256.Sum256(stored)
	require.Equal(in.t, described.hex("sha256"), sum[:])
	in.sealed[k] = stored
	return stored
}

// stored puts the stored bytes of a case together.
func (in inputs) stored() []byte {
	in.t.Helper()
	var out []byte
	for _, p := range in.objects("pieces") {
		if p.fields["bytes"] != nil {
			out = append(out, p.hex("bytes")...)
			continue
		}
		out = append(out, in.payload(p.int("payload"))[p.int("from"):p.int("to")]...)
	}
	for _, f := range in.objects("flips") {
		out[f.int("offset")] ^= byte(f.int("mask")) //nolint:gosec // of the file
	}
	return out
}

// told is what a reader is given beside the stored bytes.
type told struct {
	key    *seal.DataKey
	fileID [32]byte
	layout seal.Layout
	plain  uint64
}

// tell does step 1 of container.md C6.
func (in inputs) tell() (told, error) {
	in.t.Helper()
	key, err := seal.ParseDataKey(in.hex("dek"))
	require.NoError(in.t, err)
	layout, err := key.Layout(in.hash("file_id"), in.hash("commitment"))
	return told{key, in.hash("file_id"), layout, in.uint("plain_size")}, err
}

func containerEntries() map[string][]entry {
	return map[string][]entry{
		"container_keys": {{"formula and Commitment", containerKeys}},
		"stored_length": {{"CipherSize", func(_ *testing.T, in inputs) (Fields, error) {
			n, err := seal.CipherSize(in.uint("plain_size"))
			return Fields{"stored": n}, err
		}}},
		"plain_length": {{"PlainSize", func(_ *testing.T, in inputs) (Fields, error) {
			n, err := seal.PlainSize(in.uint("stored"))
			return Fields{"plain_size": n}, err
		}}},
		"padme": {{"PaddedSize", func(_ *testing.T, in inputs) (Fields, error) {
			n, err := seal.PaddedSize(in.uint("length"))
			return Fields{"plain_size": n}, err
		}}},
		"read":       readEntries(),
		"read_range": rangeEntries(),
	}
}

func containerKeys(t *testing.T, in inputs) (Fields, error) {
	dek, fileID := in.hex("dek"), in.hex("file_id")
	key, err := seal.ParseDataKey(dek)
	require.NoError(t, err)
	plain, padded := key.Commitment(in.hash("file_id"), seal.Plain), key.Commitment(in.hash("file_id"), seal.Padded)
	return Fields{
		"plain_key": ref.Plain.PayloadKey(dek, fileID), "plain_commitment": plain[:],
		"padded_key": ref.Padded.PayloadKey(dek, fileID), "padded_commitment": padded[:],
	}, nil
}

var errBroken = errors.New("transfer broke")

// breaking is a source whose every transfer breaks after a segment and a bit, or ends where the stored bytes do.
func breaking(stored []byte) seal.Source {
	return func(offset, length uint64) (io.ReadCloser, error) {
		part := window(stored, offset, length)
		if len(part) > seal.SegmentSize+1000 {
			return io.NopCloser(io.MultiReader(bytes.NewReader(part[:seal.SegmentSize+1000]), iotest.ErrReader(errBroken))), nil
		}
		return io.NopCloser(bytes.NewReader(part)), nil
	}
}

// steady is a source that holds the stored bytes.
func steady(stored []byte) seal.Source {
	return func(offset, length uint64) (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(window(stored, offset, length))), nil
	}
}

// window is stored[offset:offset+length], as much of it as there is; everything when length is 0.
func window(stored []byte, offset, length uint64) []byte {
	n := uint64(len(stored))
	offset = min(offset, n)
	if length == 0 {
		length = n
	}
	return stored[offset : offset+min(length, n-offset)]
}

// readEntries are all ways to read a payload from the beginning.
func readEntries() []entry {
	var out []entry
	for _, workers := range []seal.Workers{1, 2} {
		name := func(s string) string { return fmt.Sprintf("%s with %d workers", s, workers) }
		for how, open := range map[string]func(stored []byte, t told) io.Reader{
			"Reader": func(stored []byte, t told) io.Reader {
				return seal.NewReader(bytes.NewReader(stored), t.key, t.fileID, t.plain, t.layout, workers)
			},
			"Reader byte by byte": func(stored []byte, t told) io.Reader {
				return seal.NewReader(iotest.OneByteReader(bytes.NewReader(stored)), t.key, t.fileID, t.plain, t.layout, workers)
			},
			"source reader": func(stored []byte, t told) io.Reader {
				return seal.NewSourceReader(steady(stored), t.key, t.fileID, t.plain, t.layout, workers)
			},
			"resuming reader": func(stored []byte, t told) io.Reader {
				return seal.NewSourceReader(breaking(stored), t.key, t.fileID, t.plain, t.layout, workers, seal.Retry{Attempts: 3})
			},
		} {
			if how == "Reader byte by byte" && workers != 1 {
				continue
			}
			out = append(out, entry{name(how), readWhole(open)})
		}
	}
	return append(out, entry{"ReaderAt", readAtWhole})
}

func readWhole(open func([]byte, told) io.Reader) func(*testing.T, inputs) (Fields, error) {
	return func(t *testing.T, in inputs) (Fields, error) {
		told, err := in.tell()
		if err != nil {
			return nil, released(t, err, 0)
		}
		var content bytes.Buffer
		_, err = io.Copy(&content, open(in.stored(), told))
		if err != nil {
			return nil, released(t, err, content.Len())
		}
		return contentFields(told.layout, content.Bytes()), nil
	}
}

func contentFields(l seal.Layout, content []byte) Fields {
	sum := sha256.Sum256(content)
	return Fields{"layout": l.String(), "length": uint64(len(content)), "sha256": sum[:]}
}

func released(t *testing.T, err error, n int) error {
	f := failureOf(t, err)
	f.Released = strconv.Itoa(n)
	return refusal{err, *f}
}

// readAtWhole reads all content by random access. It is told nothing of what lies behind the content.
func readAtWhole(t *testing.T, in inputs) (Fields, error) {
	told, err := in.tell()
	if err != nil {
		return nil, released(t, err, 0)
	}
	r, err := seal.NewReaderAt(bytes.NewReader(in.stored()), told.key, told.fileID, told.plain, told.layout)
	if err != nil {
		return nil, released(t, err, 0)
	}
	var content []byte
	for err == nil {
		chunk := make([]byte, 100_000)
		var n int
		n, err = r.ReadAt(chunk, int64(len(content)))
		content = append(content, chunk[:n]...)
	}
	if in.expected.Failure == nil {
		require.ErrorIs(t, err, io.EOF)
		return contentFields(told.layout, content), nil
	}
	if in.expected.Working["intact"] == true { // only what follows the content is wrong
		require.ErrorIs(t, err, io.EOF)
		require.EqualValues(t, r.Size(), len(content))
		return nil, refusal{err, *in.expected.Failure}
	}
	require.NotErrorIs(t, err, io.EOF)
	f := failureOf(t, err)
	f.Released = in.expected.Failure.Released // other steps than a sequential reader's
	return nil, refusal{err, *f}
}

func rangeEntries() []entry {
	var out []entry
	for _, workers := range []seal.Workers{1, 2} {
		for how, source := range map[string]func([]byte) seal.Source{"range reader": steady, "resuming range reader": breaking} {
			out = append(out, entry{fmt.Sprintf("%s with %d workers", how, workers), func(_ *testing.T, in inputs) (Fields, error) {
				told, err := in.tell()
				if err != nil {
					return nil, err
				}
				content, err := io.ReadAll(seal.NewSourceReader(source(in.stored()), told.key, told.fileID, told.plain, told.layout, workers,
					seal.Range{Offset: in.uint("offset"), Length: in.uint("length")}, seal.Retry{Attempts: 3}))
				return contentFields(told.layout, content), err
			}})
		}
	}
	return append(out, entry{"ReaderAt", readAtRange})
}

func readAtRange(t *testing.T, in inputs) (Fields, error) {
	told, err := in.tell()
	if err != nil {
		return nil, err
	}
	r, err := seal.NewReaderAt(bytes.NewReader(in.stored()), told.key, told.fileID, told.plain, told.layout)
	if err != nil {
		return nil, err
	}
	size := uint64(r.Size()) //nolint:gosec // not negative
	offset := min(in.uint("offset"), math.MaxInt64)
	p := make([]byte, min(in.uint("length"), size-min(offset, size)))
	n, err := r.ReadAt(p, int64(offset)) //nolint:gosec // cut off above
	if errors.Is(err, io.EOF) {
		err = nil
	}
	if err == nil {
		require.Len(t, p, n)
	}
	return contentFields(told.layout, p[:n]), err
}
