// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package seal

import (
	"errors"
	"io"
)

// Source opens the stored bytes of a payload at an offset. length is how many bytes from there are wanted, and 0 when
// everything is, so that the end of the payload can be seen; more than wanted does no harm, less is a truncated payload. An
// error, of the Source or of what it returned, is a broken transfer, which [Retry] may try again; io.EOF before the wanted
// length is not: it says that the payload ends there. It is called by the goroutine that uses the Reader.
type Source func(offset, length uint64) (io.ReadCloser, error)

// feed delivers whole stored segments, from a stream or from a source that can be opened again.
type feed struct {
	src      io.Reader // nil: not open
	body     io.Closer // of src, when it came from open
	open     Source    // nil: src is a stream
	retry    Retry
	at       uint64 // stored offset that src is at
	until    uint64 // stored offset that src was asked for up to; 0: the end
	failures int    // in a row
}

// segment fills p with the stored bytes from offset. until is the stored offset up to which more will be asked for, 0 for
// the end. For the final segment of a whole payload (until is 0) it says in after whether something follows. It returns errEnd
// when the source ends before p is full, and an error of the source when trying again did not help or was not asked for.
func (f *feed) segment(p []byte, offset, until uint64, final bool) (after, err error) {
	for {
		after, err = f.try(p, offset, until, final)
		switch {
		case err == nil:
			f.failures = 0
			return after, nil
		case f.open == nil || errors.Is(err, errEnd):
			return nil, err
		}
		f.drop()
		f.failures++
		if f.failures > f.retry.Attempts {
			return nil, err
		}
		if f.retry.Pause != nil {
			if err := f.retry.Pause(f.failures, err); err != nil {
				return nil, err
			}
		}
	}
}

func (f *feed) try(p []byte, offset, until uint64, final bool) (after, err error) {
	if err := f.seek(offset, until); err != nil {
		return nil, err
	}
	n, err := readFull(f.src, p)
	f.at += uint64(n) //nolint:gosec // not negative
	if err != nil || !final || until != 0 {
		return nil, err
	}
	var extra [1]byte
	_, err = readFull(f.src, extra[:])
	switch {
	case err == nil:
		return ErrTrailing, nil
	case errors.Is(err, errEnd):
		return nil, nil
	default:
		return nil, err
	}
}

// seek has src at offset.
func (f *feed) seek(offset, until uint64) error {
	if f.open == nil || f.src != nil && f.at == offset && f.until == until {
		return nil
	}
	f.drop()
	length := uint64(0)
	if until != 0 {
		length = until - offset
	}
	body, err := f.open(offset, length)
	if err != nil {
		return err
	}
	f.src, f.body, f.at, f.until = body, body, offset, until
	return nil
}

// drop closes what the source opened. What it says about that no longer matters.
func (f *feed) drop() {
	if f.body != nil {
		_ = f.body.Close()
		f.src, f.body = nil, nil
	}
}
