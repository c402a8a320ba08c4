// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package seal

import (
	"errors"
	"fmt"
	"io"
)

// errEnd is the regular end of a source, told apart from an io.ErrUnexpectedEOF that the source itself reports (a broken
// connection).
var errEnd = errors.New("end of source")

// errCount says that a source breaks the contract of its interface.
var errCount = errors.New("source returned an impossible count")

// maxEmptyReads bounds how often a source may return neither bytes nor an error.
const maxEmptyReads = 100

// readFull fills p. It returns errEnd when the source ends before that, and the source's own error unchanged.
func readFull(src io.Reader, p []byte) (int, error) {
	n, empty := 0, 0
	for n < len(p) {
		m, err := src.Read(p[n:])
		if m < 0 || m > len(p)-n {
			return n, errCount
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
