// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package rest

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/emrys-health/emrys/gateway/internal/httpx"
	"github.com/emrys-health/emrys/gateway/internal/service"
	"github.com/emrys-health/emrys/pkg/blob"
	"github.com/emrys-health/emrys/pkg/emr"
)

// octets is the media type of ciphertext.
const octets = "application/octet-stream"

func (d *Door) createUpload(c *call) (any, error) {
	expect, err := expectation(c.r)
	if err != nil {
		return nil, err
	}
	body := httpx.StallReader(c.w, c.r, d.limits.Stall)
	upload, err := d.service.CreateUpload(c.r.Context(), c.who, body, expect)
	if err != nil {
		// The rest of a body that nobody wants must not keep the connection.
		c.w.Header().Set("Connection", "close")
		return nil, err
	}
	return upload, nil
}

// expectation reads what the caller says of the body: its length, and its digest
// (Repr-Digest or Content-Digest, RFC 9530; the two are the same here).
func expectation(r *http.Request) (service.Expect, error) {
	expect := service.Expect{Size: r.ContentLength}
	if media := r.Header.Get("Content-Type"); media != "" && media != octets {
		return expect, emr.Invalid("Content-Type", "must be "+octets)
	}
	for _, name := range []string{"Content-Digest", "Repr-Digest"} {
		for _, value := range r.Header.Values(name) {
			digest, ok, err := parseDigest(name, value)
			if err != nil {
				return expect, err
			}
			if ok && !expect.Digest.IsZero() && expect.Digest != digest {
				return expect, emr.Invalid(name, "contradicts another digest of the request")
			}
			if ok {
				expect.Digest = digest
			}
		}
	}
	return expect, nil
}

// parseDigest finds the SHA-256 in a dictionary of digests (RFC 9530 section 2):
// sha-256=:BASE64:, others ignored.
func parseDigest(field, value string) (emr.Digest, bool, error) {
	for member := range strings.SplitSeq(value, ",") {
		name, text, ok := strings.Cut(strings.TrimSpace(member), "=")
		if !ok || name != "sha-256" {
			continue
		}
		raw, err := base64.StdEncoding.DecodeString(strings.Trim(text, ":"))
		if err != nil || len(raw) != len(emr.Digest{}) || len(text) < 2 || text[0] != ':' || text[len(text)-1] != ':' {
			return emr.Digest{}, false, emr.Invalid(field, "holds no readable sha-256 value")
		}
		return emr.Digest(raw), true, nil
	}
	return emr.Digest{}, false, nil
}

func (d *Door) deleteUpload(c *call) (any, error) {
	if err := d.service.DeleteUpload(c.r.Context(), c.who, c.r.PathValue("upload")); err != nil {
		return nil, err
	}
	c.w.WriteHeader(http.StatusNoContent)
	return nil, nil //nolint:nilnil // the answer has no body
}

// content streams a record's ciphertext, or one range of it.
func (d *Door) content(c *call) (any, error) {
	id, err := emr.ParseID[emr.DisclosureID]("disclosure", c.r.PathValue("disclosure"))
	if err != nil {
		return nil, err
	}
	ciphertext, err := d.service.Ciphertext(c.r.Context(), c.who, id)
	if err != nil {
		return nil, err
	}
	etag := `"` + ciphertext.Digest.String() + `"`
	part, err := rangeOf(c.r, etag, int64(ciphertext.Size)) //nolint:gosec // the ledger bounds sizes
	if err != nil {
		c.w.Header().Set("Content-Range", fmt.Sprintf("bytes */%d", ciphertext.Size))
		httpx.FailStatus(c.w, c.r, http.StatusRequestedRangeNotSatisfiable, err)
		return nil, nil //nolint:nilnil // written
	}
	source, err := ciphertext.Open(c.r.Context(), part.offset, part.length)
	if err != nil {
		return nil, contentError(err)
	}
	defer func() { _ = source.Close() }()
	return nil, d.stream(c, ciphertext, etag, part, source)
}

// stream sends one part. The status is only sent once the first octets are
// there: until then a store that is down is still an error with a body.
func (d *Door) stream(c *call, ciphertext *service.Ciphertext, etag string, part byteRange, source io.Reader) error {
	buffer, ok := d.buffers.Get().(*[]byte)
	if !ok {
		buffer = newBuffer()
	}
	defer d.buffers.Put(buffer)
	first, err := io.ReadAtLeast(source, *buffer, int(min(part.length, 1)))
	if err != nil && part.length > 0 {
		return contentError(err)
	}
	header := c.w.Header()
	header.Set("Content-Type", octets)
	header.Set("ETag", etag)
	header.Set("Accept-Ranges", "bytes")
	header.Set("Content-Length", strconv.FormatInt(part.length, 10))
	header.Set("Repr-Digest", "sha-256=:"+base64.StdEncoding.EncodeToString(ciphertext.Digest[:])+":")
	status := http.StatusOK
	if part.partial {
		status = http.StatusPartialContent
		header.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", part.offset, part.offset+part.length-1, ciphertext.Size))
	}
	c.w.WriteHeader(status)
	if c.r.Method == http.MethodHead {
		return nil
	}
	out := httpx.StallWriter(c.w, d.limits.Stall)
	if _, err := out.Write((*buffer)[:first]); err != nil {
		panic(http.ErrAbortHandler)
	}
	// Only Read and Write are shown, so that the pooled buffer is the one in use.
	n, err := io.CopyBuffer(struct{ io.Writer }{out}, struct{ io.Reader }{source}, *buffer)
	if err != nil || n+int64(first) != part.length {
		// The status is sent: a broken connection is the one way to say that the
		// content is not whole.
		panic(http.ErrAbortHandler)
	}
	return nil
}

// bufferSize is the size in bytes of a transfer's buffer: one segment of a record's container.
const bufferSize = 256 << 10

func newBuffer() *[]byte {
	b := make([]byte, bufferSize)
	return &b
}

// contentError gives a content store's error its code.
func contentError(err error) error {
	switch {
	case errors.Is(err, blob.ErrNotFound), errors.Is(err, blob.ErrUnavailable):
		return emr.Wrap(emr.CodeUnavailable, "the content cannot be had at present: its holders or the content store are out of reach", err)
	case errors.Is(err, blob.ErrCorrupt):
		return emr.Wrap(emr.CodeCorrupt, "the stored content is damaged", err)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return emr.Wrap(emr.CodeCorrupt, "the stored content is shorter than its record says", err)
	default:
		return fmt.Errorf("read content: %w", err)
	}
}

// byteRange is one range of octets.
type byteRange struct {
	offset, length int64
	partial        bool
}

var errRange = emr.Invalid("Range", "lies outside of the content")

// rangeOf reads the header Range (RFC 9110 section 14): a single range of bytes.
// Anything else in it is ignored, as the standard allows, and so is a range whose
// If-Range names other content.
func rangeOf(r *http.Request, etag string, size int64) (byteRange, error) {
	whole := byteRange{length: size}
	text, ok := strings.CutPrefix(r.Header.Get("Range"), "bytes=")
	if !ok || strings.Contains(text, ",") {
		return whole, nil
	}
	if condition := r.Header.Get("If-Range"); condition != "" && condition != etag {
		return whole, nil
	}
	first, last, ok := strings.Cut(text, "-")
	if !ok {
		return whole, nil
	}
	if first == "" {
		return suffixRange(whole, last)
	}
	from, err := parseOffset(first)
	if err != nil {
		return whole, nil //nolint:nilerr // not a range that is understood
	}
	to := size - 1
	if last != "" {
		if to, err = parseOffset(last); err != nil || to < from {
			return whole, nil //nolint:nilerr // not a range that is understood
		}
		to = min(to, size-1)
	}
	if from >= size {
		return whole, errRange
	}
	return byteRange{offset: from, length: to - from + 1, partial: true}, nil
}

func suffixRange(whole byteRange, text string) (byteRange, error) {
	n, err := parseOffset(text)
	if err != nil {
		return whole, nil //nolint:nilerr // not a range that is understood
	}
	if n == 0 || whole.length == 0 {
		return whole, errRange
	}
	n = min(n, whole.length)
	return byteRange{offset: whole.length - n, length: n, partial: true}, nil
}

// parseOffset reads digits only: no sign, no space.
func parseOffset(text string) (int64, error) {
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil {
		return 0, fmt.Errorf("parse offset: %w", err)
	}
	return int64(n), nil //nolint:gosec // 63 bits
}
