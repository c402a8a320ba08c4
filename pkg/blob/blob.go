// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

// Package blob is a content-addressed store of immutable byte streams, shared by a swarm of nodes. It knows nothing of records
// or encryption: what it stores is ciphertext already. Sub-packages implement it in memory and over an IPFS daemon, and
// blobtest is the one suite that judges every implementation.
package blob

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// Errors that every implementation reports, so that a caller can branch with errors.Is. A context's error is passed on as
// it is (context.Canceled, context.DeadlineExceeded) and is none of these.
var (
	// ErrNotFound says that neither this node nor, within the implementation's waiting time, a node of the swarm has the
	// content. Absent content and an unreachable only holder look the same. Retrying helps only when a holder comes back.
	ErrNotFound = errors.New("content not found")
	// ErrUnavailable says that the store itself did not answer, refused the caller, or stopped answering half-way. The
	// same call may succeed later.
	ErrUnavailable = errors.New("content store is unavailable")
	// ErrCorrupt says that stored bytes are not those of the content id, as far as the store looks: it may also take them
	// for missing. Permanent on this node until a garbage collection after Unpin; then Pin fetches another copy from the
	// swarm.
	ErrCorrupt = errors.New("stored content is corrupt")
	// ErrShared says that content cannot be erased from this node because a pin of other content stands on it.
	ErrShared = errors.New("content is part of other content that is kept")
	// ErrInvalid says that an argument is not a content id or not a range. Permanent.
	ErrInvalid = errors.New("invalid argument")
)

// Ref names stored content.
type Ref struct {
	// CID is the content id: CIDv1, base32, of the form that the implementation gives it.
	CID string
	// Size is the length of the content in bytes.
	Size uint64
}

// Store keeps content by its id. All methods are safe for concurrent use, honour the context, and fail with one of this
// package's errors, a context error, or for Put an error of the reader. No method retries by itself; a method is said to be
// idempotent where the caller may simply call again.
type Store interface {
	// Put stores everything up to io.EOF of r, in constant memory, pins it on this node and returns its id and size. Equal
	// content gives an equal id. The content is complete and pinned when Put returns.
	//
	// On any error nothing of the call stays pinned, an error of r included, whose identity is kept. r is never read after
	// Put has returned, so a cancelled Put waits for a Read of r that is under way. A Put cannot be repeated with the same r.
	// When the store breaks down so that it cannot be asked, a pin that it made at its last instant may outlive the
	// error; the bytes are then unreferenced ciphertext.
	Put(ctx context.Context, r io.Reader) (Ref, error)

	// Get returns a stream of length bytes from offset; length -1 means to the end, and a range is cut off at the end of the
	// content, so an offset behind it gives an empty stream. Content that this node lacks is fetched from the swarm while
	// it is read, but not pinned. The caller must Close the stream, at any point. ctx must live as long as the stream is read.
	//
	// Errors after the first byte come from Read: a stream that breaks never ends with io.EOF. Idempotent. Get does not
	// promise to verify content that this node already holds: sealed content authenticates itself.
	Get(ctx context.Context, cid string, offset, length int64) (io.ReadCloser, error)

	// Pin keeps the content on this node, and fetches what is missing from the swarm first. Pinning what is pinned changes
	// nothing. On an error nothing new is pinned, and a pin that was there before is still there. Idempotent; what
	// was fetched before an error is not fetched again.
	Pin(ctx context.Context, cid string) error

	// Unpin lets this node forget the content; the space is freed at the node's next garbage collection. Other nodes are
	// not affected. Content that is not pinned, or unknown, is no error. Idempotent.
	Unpin(ctx context.Context, cid string) error

	// Pinned reports whether this node keeps the content. It never asks the swarm. Idempotent.
	Pinned(ctx context.Context, cid string) (bool, error)

	// Size returns the length of the content in bytes; it may fetch the content's first block from the swarm. Idempotent.
	Size(ctx context.Context, cid string) (uint64, error)
}

// CheckRange reports [ErrInvalid] unless offset and length are a range in the sense of [Store.Get].
func CheckRange(offset, length int64) error {
	if offset < 0 || length < -1 {
		return fmt.Errorf("%w: offset %d, length %d", ErrInvalid, offset, length)
	}
	return nil
}
