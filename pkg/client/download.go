// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/emrys-health/emrys/pkg/atomicfile"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/seal"
)

// Stream writes the content to w. Each segment is authenticated before its
// plaintext is written; a broken connection is resumed at the first segment that
// is missing. When an error is returned w may hold an authenticated beginning of
// the content, never anything else. The content is complete only when the error
// is nil.
func (o *Opened) Stream(ctx context.Context, w io.Writer, progress Progress) error {
	within, cancel := context.WithCancel(ctx)
	defer cancel()
	source := &contentSource{client: o.client, ctx: within, ticket: o.Disclosure.ID}
	digest := sha256.New()
	content := seal.NewSourceReader(source.open, o.key, o.Manifest.FileID, o.Manifest.PlainSize,
		o.layout, seal.Tee{Writer: digest}, seal.Retry{Attempts: maxResumes, Pause: source.pause})
	defer func() { _ = content.Close() }()
	out := &progressWriter{destination: w, report: progress}
	if _, err := content.WriteTo(out); err != nil {
		return source.contentError(ctx, out, err)
	}
	if emr.Digest(digest.Sum(nil)) != o.Manifest.Digest {
		return emr.E(emr.CodeCorrupt, "the ciphertext is not the one that the author registered")
	}
	o.Size = out.done
	return nil
}

// SaveTo writes the content to a file. The file appears under its name, mode
// 0600, only when it is complete, verified and on the disk; an existing file is
// replaced then.
func (o *Opened) SaveTo(ctx context.Context, path string, progress Progress) error {
	draft, err := atomicfile.Create(path)
	if err != nil {
		return emr.Wrap(emr.CodeInvalid, "cannot write beside "+path, err)
	}
	defer draft.Discard()
	steady := newSteadyWriter(draft.File)
	err = o.Stream(ctx, steady, progress)
	if err := errors.Join(err, steady.wait()); err != nil {
		return err
	}
	return draft.Commit()
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
