// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package seal

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
)

// errEnd is the regular end of a source, told apart from an io.ErrUnexpectedEOF that the source itself reports (a broken
// connection).
var errEnd = errors.New("end of source")

// maxEmptyReads bounds how often a source may return neither bytes nor an error.
const maxEmptyReads = 100

// readFull fills p. It returns errEnd when the source ends before that, and the source's own error unchanged.
func readFull(src io.Reader, p []byte) (int, error) {
	n, empty := 0, 0
	for n < len(p) {
		m, err := src.Read(p[n:])
		if m < 0 || m > len(p)-n {
			return n, errors.New("source returned an impossible count")
		}
		n += m
		switch {
		case n == len(p): // an error that came with the last byte will come again
			return n, nil
		case err == io.EOF: //nolint:errorlint // the io.Reader contract: io.EOF itself, not wrapped
			return n, errEnd
		case err != nil:
			return n, err
		case m > 0:
			empty = 0
		default:
			if empty++; empty >= maxEmptyReads {
				return n, io.ErrNoProgress
			}
		}
	}
	return n, nil
}

// drain writes chunk after chunk to dst until fill sets err.
func drain(dst io.Writer, chunk *[]byte, err *error, fill func()) (int64, error) {
	var total int64
	for {
		if len(*chunk) > 0 {
			n, werr := dst.Write(*chunk)
			if n < 0 || n > len(*chunk) {
				return total, errors.New("destination returned an impossible count")
			}
			total += int64(n)
			*chunk = (*chunk)[n:]
			if werr != nil {
				return total, fmt.Errorf("write stream: %w", werr)
			}
			if len(*chunk) > 0 {
				return total, io.ErrShortWrite
			}
		}
		if *err != nil {
			if *err == io.EOF { //nolint:errorlint // only the end itself: a source's failure may wrap an io.EOF
				return total, nil
			}
			return total, *err
		}
		fill()
	}
}

// DigestReader passes a stream through and computes its SHA-256 and length on the way: put it between a [SealingReader]
// and an uploader, or between a download and a [Reader], to get the ciphertext digest for the ledger.
// Not safe for concurrent use.
type DigestReader struct {
	src  io.Reader
	hash hash.Hash
	size uint64
}

// NewDigestReader returns a DigestReader over src.
func NewDigestReader(src io.Reader) *DigestReader {
	return &DigestReader{src: src, hash: sha256.New()}
}

// Read reads from the source.
func (d *DigestReader) Read(p []byte) (int, error) {
	n, err := d.src.Read(p)
	if n > 0 {
		_, _ = d.hash.Write(p[:n]) // hash.Hash never fails
		d.size += uint64(n)
	}
	return n, err
}

// Sum returns the SHA-256 of everything read so far.
func (d *DigestReader) Sum() [sha256.Size]byte {
	var sum [sha256.Size]byte
	d.hash.Sum(sum[:0])
	return sum
}

// Size returns the number of bytes read so far.
func (d *DigestReader) Size() uint64 { return d.size }
