// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
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
	// maxResumes is how often in a row a download is resumed without any progress.
	maxResumes = 5
)

// Stream writes the content to w. Each segment is authenticated before its
// plaintext is written; a broken connection is resumed where it broke. When an
// error is returned w may hold an authenticated beginning of the content, never
// anything else. The content is complete only when the error is nil.
func (o *Opened) Stream(ctx context.Context, w io.Writer, progress Progress) error {
	source := &resumingReader{client: o.client, ticket: o.Disclosure.ID}
	source.ctx, source.cancel = context.WithCancel(ctx)
	defer source.close()
	digesting := seal.NewDigestReader(source)
	ahead := newAheadReader(digesting)
	defer ahead.Close()
	content := seal.NewReader(ahead, o.key, o.Manifest.FileID, o.Manifest.PlainSize)
	out := &progressWriter{destination: w, report: progress}
	if _, err := content.WriteTo(out); err != nil {
		return contentError(ctx, out, err)
	}
	if !ahead.Finished() || emr.Digest(digesting.Sum()) != o.Manifest.Digest {
		return emr.E(emr.CodeCorrupt, "the ciphertext is not the one that the author registered")
	}
	return nil
}

// SaveTo writes the content to a file. The file appears under its name, mode
// 0600, only when it is complete, verified and on the disk; an existing file is
// replaced then.
func (o *Opened) SaveTo(ctx context.Context, path string, progress Progress) error {
	t, err := newTemporary(path)
	if err != nil {
		return err
	}
	defer t.discard()
	steady := newSteadyWriter(t.file)
	err = o.Stream(ctx, steady, progress)
	if err := errors.Join(err, steady.wait()); err != nil {
		return err
	}
	return t.commit()
}

// steadyStep is how much is written before the disk is told to begin, in bytes.
const steadyStep = 64 << 20

// steadyWriter has the disk write while the transfer goes on, so that the last
// sync, which makes the file durable, finds little left to do.
type steadyWriter struct {
	file    *os.File
	pending int
	running chan error // nil when no sync is under way
}

func newSteadyWriter(file *os.File) *steadyWriter { return &steadyWriter{file: file} }

func (w *steadyWriter) Write(p []byte) (int, error) {
	n, err := w.file.Write(p)
	w.pending += n
	if err != nil || w.pending < steadyStep {
		return n, err
	}
	w.pending = 0
	if err := w.wait(); err != nil {
		return n, err
	}
	w.running = make(chan error, 1)
	go func(done chan<- error) { done <- w.file.Sync() }(w.running)
	return n, nil
}

// wait returns when no sync is under way.
func (w *steadyWriter) wait() error {
	if w.running == nil {
		return nil
	}
	err := <-w.running
	w.running = nil
	if err != nil {
		return emr.Wrap(emr.CodeInvalid, "the output cannot be written", err)
	}
	return nil
}

// Format writes the record's id for every verb, and no key.
func (o *Opened) Format(s fmt.State, _ rune) {
	_, _ = io.WriteString(s, "client.Opened("+string(o.Record.ID)+")")
}

func contentError(ctx context.Context, out *progressWriter, err error) error {
	switch {
	case out.err != nil:
		return emr.Wrap(emr.CodeInvalid, "the output cannot be written: "+out.err.Error(), err)
	case errors.Is(ctx.Err(), context.Canceled):
		return interrupted()
	case errors.Is(err, seal.ErrAuthentication), errors.Is(err, seal.ErrTrailing), errors.Is(err, seal.ErrTruncated),
		errors.Is(err, seal.ErrSize):
		return emr.Wrap(emr.CodeCorrupt, "the ciphertext was altered; nothing of the altered part was written", err)
	default:
		return err
	}
}

// progressWriter reports what has been written and keeps its own failure apart.
type progressWriter struct {
	destination io.Writer
	report      Progress
	done        uint64
	err         error
}

func (w *progressWriter) Write(p []byte) (int, error) {
	n, err := w.destination.Write(p)
	w.done += uint64(max(n, 0)) //nolint:gosec // not negative
	if w.report != nil {
		w.report(w.done)
	}
	if err != nil {
		w.err = err
	}
	return n, err
}

// resumingReader reads a ticket's ciphertext and asks for the rest when a
// connection breaks or stands still. It returns io.EOF where the gateway ends
// the content; whether that is the right place is the container's business.
type resumingReader struct {
	client *Client
	ctx    context.Context //nolint:containedctx // of the one transfer that it is
	cancel context.CancelFunc
	ticket emr.DisclosureID
	offset uint64
	fails  int
	body   io.ReadCloser
	stop   func() // of body
	watch  *time.Timer
}

func (r *resumingReader) Read(p []byte) (int, error) {
	for {
		if r.body == nil {
			if err := r.connect(); err != nil {
				if err := r.retry(err); err != nil {
					return 0, err
				}
				continue
			}
		}
		r.watch.Reset(stallTimeout)
		n, err := r.body.Read(p)
		r.watch.Stop()
		r.offset += uint64(max(n, 0)) //nolint:gosec // not negative
		if n > 0 {
			r.fails = 0
			return n, nil
		}
		if err == nil {
			continue
		}
		if err == io.EOF { //nolint:errorlint // a broken connection is io.ErrUnexpectedEOF
			r.stop()
			return 0, io.EOF
		}
		r.drop()
		if err := r.retry(err); err != nil {
			return 0, err
		}
	}
}

// connect asks for the content from offset on.
func (r *resumingReader) connect() error {
	ctx, stop := context.WithCancel(r.ctx)
	k := call{operation: "disclosure.content", path: []string{string(r.ticket)}, header: map[string]string{
		"Accept": "application/octet-stream, application/problem+json",
	}}
	if r.offset > 0 {
		k.header["Range"] = fmt.Sprintf("bytes=%d-", r.offset)
	}
	r.watch, r.stop = time.AfterFunc(answerTimeout, stop), stop
	resp, err := r.client.send(ctx, k) //nolint:bodyclose // it is kept: see drop
	r.watch.Stop()
	if err != nil {
		stop()
		return err
	}
	r.body = resp.Body
	return r.align(resp)
}

// align makes the body begin at offset, whether or not the gateway serves ranges.
func (r *resumingReader) align(resp *http.Response) error {
	if r.offset == 0 {
		return nil
	}
	if resp.StatusCode == http.StatusPartialContent {
		want := fmt.Sprintf("bytes %d-", r.offset)
		if strings.HasPrefix(resp.Header.Get("Content-Range"), want) {
			return nil
		}
		r.drop()
		return emr.E(emr.CodeCorrupt, "the gateway resumed the content at another place than asked for")
	}
	if _, err := io.CopyN(io.Discard, r.body, int64(r.offset)); err != nil { //nolint:gosec // at most 2^50
		r.drop()
		return &sentError{err}
	}
	return nil
}

// retry decides whether the transfer goes on after a failure, and pauses.
func (r *resumingReader) retry(cause error) error {
	_, typed := errors.AsType[*emr.Error](cause)
	if typed && !emr.CodeOf(cause).Retryable() || r.ctx.Err() != nil {
		return cause
	}
	r.fails++
	if r.fails > maxResumes {
		return emr.Wrap(emr.CodeUnavailable, "the content could not be transferred; the ticket is still good for a while: "+
			"emrys ticket open "+string(r.ticket), cause)
	}
	return r.client.wait(r.ctx, backoff(r.fails))
}

func (r *resumingReader) drop() {
	if r.body == nil {
		return
	}
	r.watch.Stop()
	r.stop()
	_ = r.body.Close()
	r.body = nil
}

// close ends the transfer. A Read in another goroutine returns soon after.
func (r *resumingReader) close() { r.cancel() }
