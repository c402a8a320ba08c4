// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package seal_test

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	"math"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/seal"
)

func TestARangeNeedsOnlyItsSegments(t *testing.T) {
	t.Parallel()
	key, id := newKey(t), newFileID(t)
	for _, size := range []int{0, 100, full, 3*full + 50} {
		plain := content(size)
		ciphertext := sealed(t, key, id, plain)
		points := []uint64{0, 1, 99, 100, full - 1, full, full + 1, 2 * full, 3*full + 49, 3*full + 50, 3*full + 51, math.MaxUint64}
		for _, offset := range points {
			for _, length := range points {
				from := min(offset, uint64(size))
				to := from + min(length, uint64(size)-from)
				at, n, err := seal.StoredRange(uint64(size), offset, length)
				require.NoError(t, err)
				require.LessOrEqual(t, n, to-from+2*seal.SegmentSize)
				stored := ciphertext[at : at+n]
				r := seal.NewRangeReader(bytes.NewReader(stored), key, id, uint64(size), offset, length)
				got, err := io.ReadAll(iotest.HalfReader(r))
				require.NoError(t, err)
				require.True(t, bytes.Equal(plain[from:to], got), "size %d offset %d length %d", size, offset, length)

				large := make([]byte, 4*full)
				n2, err := io.ReadFull(seal.NewRangeReader(bytes.NewReader(stored), key, id, uint64(size), offset, length), large)
				require.ErrorIs(t, err, map[bool]error{true: io.EOF, false: io.ErrUnexpectedEOF}[from == to])
				require.True(t, bytes.Equal(plain[from:to], large[:n2]))
			}
		}
	}
	_, _, err := seal.StoredRange(math.MaxUint64, 0, 1)
	require.ErrorIs(t, err, seal.ErrSize)
}

func TestARangeIsVerifiedLikeTheWhole(t *testing.T) {
	t.Parallel()
	key, id := newKey(t), newFileID(t)
	const size = 3*full + 50
	ciphertext := sealed(t, key, id, content(size))
	read := func(stored []byte, size, offset, length uint64) ([]byte, error) {
		return io.ReadAll(seal.NewRangeReader(bytes.NewReader(stored), key, id, size, offset, length))
	}
	middle := ciphertext[seal.SegmentSize : 2*seal.SegmentSize]
	got, err := read(middle, size, full+5, 10)
	require.NoError(t, err)
	require.Len(t, got, 10)

	for name, c := range map[string]struct {
		stored         []byte
		size           uint64
		offset, length uint64
		want           error
	}{
		"another segment":              {ciphertext[:seal.SegmentSize], size, full + 5, 10, seal.ErrAuthentication},
		"a middle segment as the last": {middle, 2 * full, full + 5, 10, seal.ErrAuthentication},
		"a cut segment":                {middle[:1000], size, full + 5, 10, seal.ErrTruncated},
		"more than the range":          {ciphertext[seal.SegmentSize:], size, full + 5, 10, seal.ErrTrailing},
		"nothing":                      {nil, size, full + 5, 10, seal.ErrTruncated},
		"an impossible length":         {middle, math.MaxUint64, full + 5, 10, seal.ErrSize},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := read(c.stored, c.size, c.offset, c.length)
			require.ErrorIs(t, err, c.want)
			require.Empty(t, got)
		})
	}
	bad := bytes.Clone(middle)
	bad[len(bad)-1] ^= 1
	_, err = read(bad, size, full+5, 10)
	require.ErrorIs(t, err, seal.ErrAuthentication)
}

// Example seals a stream for an uploader, and opens what a download delivers.
func Example() {
	key, err := seal.GenerateDataKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	fileID, err := seal.NewFileID(rand.Reader)
	if err != nil {
		panic(err)
	}
	record := []byte("{\"resourceType\":\"Observation\"}")

	upload := seal.NewSealingReader(bytes.NewReader(record), key, fileID)
	digest := seal.NewDigestReader(upload) // for the ledger
	stored, err := io.ReadAll(digest)      // in truth: the store's Put
	if err != nil {
		panic(err)
	}

	if err := key.VerifyCommitment(fileID, key.Commitment(fileID)); err != nil {
		panic(err)
	}
	opened, err := io.ReadAll(seal.NewReader(bytes.NewReader(stored), key, fileID, upload.Size()))
	if err != nil {
		panic(err)
	}
	fmt.Println(len(stored), string(opened))
	// Output: 58 {"resourceType":"Observation"}
}
