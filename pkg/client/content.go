// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/seal"
)

const (
	// stallTimeout is how long a download may stand still before it is resumed.
	stallTimeout = 30 * time.Second
	// answerTimeout is how long a gateway may take to find the content.
	answerTimeout = 2 * time.Minute
	// maxResumes is how often in a row a download is resumed without a segment gained.
	maxResumes = 8
)

// contentSource opens a ticket's ciphertext wherever the container asks for it.
type contentSource struct {
	client *Client
	ctx    context.Context //nolint:containedctx // of the one transfer that it is
	ticket emr.DisclosureID
}

// open asks for the content from offset on, to its end. Whether that is the
// right place is the container's business.
func (s *contentSource) open(offset, _ uint64) (io.ReadCloser, error) {
	ctx, stop := context.WithCancel(s.ctx)
	k := call{operation: "disclosure.content", path: []string{string(s.ticket)}, header: map[string]string{
		"Accept": "application/octet-stream, application/problem+json",
	}}
	if offset > 0 {
		k.header["Range"] = fmt.Sprintf("bytes=%d-", offset)
	}
	watch := time.AfterFunc(answerTimeout, stop)
	resp, err := s.client.send(ctx, k)
	watch.Stop()
	if err != nil {
		stop()
		return nil, err
	}
	t := &transfer{body: resp.Body, stop: stop, watch: watch}
	if err := t.align(resp, offset); err != nil {
		stop()
		_ = resp.Body.Close()
		return nil, err
	}
	t.ahead = newAheadReader(readerFunc(t.receive))
	return t, nil
}

// pause decides whether the transfer goes on after a failure, and waits.
func (s *contentSource) pause(failures int, cause error) error {
	if s.ctx.Err() != nil || !passing(cause) {
		return cause
	}
	return s.client.wait(s.ctx, backoff(failures))
}

// passing tells whether a failure to transfer may pass. What the gateway did not say itself may.
func passing(err error) bool {
	_, typed := errors.AsType[*emr.Error](err)
	return !typed || emr.CodeOf(err).Retryable()
}

// contentError gives what ended a reading its code. ctx is the caller's.
func (s *contentSource) contentError(ctx context.Context, out *progressWriter, err error) error {
	switch {
	case out.err != nil:
		return emr.Wrap(emr.CodeInvalid, "the output cannot be written: "+out.err.Error(), err)
	case errors.Is(ctx.Err(), context.Canceled):
		return interrupted()
	case errors.Is(err, seal.ErrAuthentication), errors.Is(err, seal.ErrTrailing), errors.Is(err, seal.ErrTruncated),
		errors.Is(err, seal.ErrSize), errors.Is(err, seal.ErrPadding):
		return emr.Wrap(emr.CodeCorrupt, "the ciphertext was altered; nothing of the altered part was written", err)
	case ctx.Err() == nil && passing(err):
		return emr.Wrap(emr.CodeUnavailable, "the content could not be transferred; the ticket is still good for a while: "+
			"emrys ticket open "+string(s.ticket), err)
	default:
		return err
	}
}

// transfer is one answer of the gateway with content in it. It is received in a
// goroutine of its own, so that the connection works while segments are opened.
type transfer struct {
	body  io.ReadCloser
	stop  context.CancelFunc
	watch *time.Timer // stops what stands still
	ahead *aheadReader
}

// align makes the body begin at offset, whether or not the gateway serves ranges.
func (t *transfer) align(resp *http.Response, offset uint64) error {
	if offset == 0 {
		return nil
	}
	if resp.StatusCode == http.StatusPartialContent {
		if strings.HasPrefix(resp.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-", offset)) {
			return nil
		}
		return emr.E(emr.CodeCorrupt, "the gateway resumed the content at another place than asked for")
	}
	if _, err := io.CopyN(io.Discard, readerFunc(t.receive), int64(offset)); err != nil { //nolint:gosec // at most 2^50
		return &sentError{err}
	}
	return nil
}

// receive reads from the connection and gives up when it stands still.
func (t *transfer) receive(p []byte) (int, error) {
	t.watch.Reset(stallTimeout)
	n, err := t.body.Read(p)
	t.watch.Stop()
	return n, err
}

func (t *transfer) Read(p []byte) (int, error) { return t.ahead.Read(p) }

// Close ends the transfer. Its goroutine ends soon after.
func (t *transfer) Close() error {
	t.stop()
	t.ahead.Close()
	return t.body.Close()
}

// readerFunc is a function that reads.
type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
