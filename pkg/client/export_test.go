// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package client

import (
	"bufio"
	"context"
	"io"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/pre"
)

// ManifestHook changes what an author registers. It is called with a nil envelope
// before the key is bound to the manifest, and with the envelope before the
// manifest is signed.
type ManifestHook func(*emr.Manifest, *pre.Envelope)

// PutDishonestly is PutRecord by an author who signs and proves something wrong.
func PutDishonestly(ctx context.Context, c *Client, content io.Reader, u Upload, hook ManifestHook) (*Stored, error) {
	w, err := c.newWriting(ctx, u)
	if err != nil {
		return nil, err
	}
	w.manifest.ContentType = "application/octet-stream"
	upload, err := w.upload(ctx, bufio.NewReader(content), u)
	if err != nil {
		return nil, err
	}
	hook(&w.manifest, nil)
	if err := w.wrapKey(); err != nil {
		return nil, err
	}
	e, err := pre.ParseEnvelope(w.manifest.Envelope)
	if err != nil {
		return nil, err
	}
	hook(&w.manifest, e)
	if w.manifest.Envelope, err = e.Marshal(); err != nil {
		return nil, err
	}
	return w.submit(ctx, upload.ID)
}
