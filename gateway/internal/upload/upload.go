// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

// Package upload keeps ciphertext that waits for its record: what is stored, for
// whom, and until when. Every upload has an entry in a journal on disk before
// its content is pinned, so that no crash leaves a pin that nobody knows of.
package upload

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/emrys-health/emrys/gateway/internal/service"
	"github.com/emrys-health/emrys/pkg/api"
	"github.com/emrys-health/emrys/pkg/blob"
	"github.com/emrys-health/emrys/pkg/emr"
)

// Content is the content store as uploads need it.
type Content interface {
	// PutNamed stores and pins everything of r, with a name on the pin; Named finds pins by name.
	PutNamed(ctx context.Context, r io.Reader, name string) (blob.Ref, error)
	Named(ctx context.Context, name string) ([]string, error)
	Unpin(ctx context.Context, cid string) error
}

// Settings bound the uploads.
type Settings struct {
	// Dir is the directory of the journal.
	Dir string
	// MaxBytes is the largest upload in octets.
	MaxBytes int64
	// Life is how long an upload waits for its record.
	Life time.Duration
	// Keeps tells whether a record names a content, so that its pin must stay.
	Keeps func(cid string) bool
	// Now is the clock.
	Now func() time.Time
	Log *slog.Logger
}

// maxPending bounds the uploads that one person may have waiting.
const maxPending = 64

// claimMargin is how long after its action's expiry a claimed upload is kept: an
// action that was submitted in time may be ordered some minutes later.
const claimMargin = 10 * time.Minute

// Store is the uploads of one gateway. It is safe for concurrent use.
type Store struct {
	Settings
	content Content
	journal journal

	mu      sync.Mutex
	entries map[string]*entry
}

var _ service.Uploads = (*Store)(nil)

// Open reads the journal.
func Open(settings Settings, content Content) (*Store, error) {
	s := &Store{Settings: settings, content: content, journal: journal{dir: settings.Dir}}
	entries, err := s.journal.load()
	if err != nil {
		return nil, err
	}
	s.entries = entries
	return s, nil
}

var errMissing = emr.E(emr.CodeNotFound, "no such upload of the caller's")

// Create stores what body holds until its end. When it fails nothing is pinned.
func (s *Store) Create(ctx context.Context, owner string, body io.Reader, expect service.Expect) (api.Upload, error) {
	if expect.Size > s.MaxBytes {
		return api.Upload{}, errTooLarge
	}
	if s.pending(owner) >= maxPending {
		return api.Upload{}, emr.E(emr.CodeRateLimited, "too many uploads wait for their records")
	}
	e, err := s.begin(owner)
	if err != nil {
		return api.Upload{}, err
	}
	meter := &meter{r: body, hash: sha256.New(), max: s.MaxBytes}
	ref, err := s.content.PutNamed(ctx, meter, e.ID)
	// A caller who hangs up from now on must not leave half of it.
	ctx = context.WithoutCancel(ctx)
	if err != nil {
		return api.Upload{}, errors.Join(contentError(err), s.abandon(e, err))
	}
	digest := emr.Digest(meter.hash.Sum(nil))
	if err := s.complete(e, ref.CID, digest, uint64(meter.size)); err != nil { //nolint:gosec // not negative
		return api.Upload{}, err
	}
	switch {
	case expect.Size >= 0 && expect.Size != meter.size:
		err = emr.Invalid("Content-Length", "does not match the octets received")
	case !expect.Digest.IsZero() && expect.Digest != digest:
		err = emr.E(emr.CodeCorrupt, "the octets received do not have the digest announced")
	default:
		return e.api(), nil
	}
	return api.Upload{}, errors.Join(err, s.discard(ctx, e))
}

// begin notes an upload before anything of it is stored.
func (s *Store) begin(owner string) (*entry, error) {
	e, err := newEntry(owner, s.Now().Add(s.Life))
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.journal.write(e); err != nil {
		return nil, err
	}
	s.entries[e.ID] = e
	return e, nil
}

// complete notes what was stored.
func (s *Store) complete(e *entry, cid string, digest emr.Digest, size uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	full := *e
	full.CID, full.Digest, full.Size, full.receiving = cid, digest, size, false
	if err := s.journal.write(&full); err != nil {
		e.receiving, e.closed = false, true
		return err
	}
	*e = full
	return nil
}

// abandon ends an upload that was not stored. Where the store cannot be asked, a
// pin may be left over: then a sweep looks for it by its name.
func (s *Store) abandon(e *entry, cause error) error {
	if errors.Is(cause, blob.ErrUnavailable) {
		s.mu.Lock()
		defer s.mu.Unlock()
		e.receiving, e.closed = false, true
		return nil
	}
	return s.forget(e)
}

// Delete discards an upload that no record names.
func (s *Store) Delete(ctx context.Context, owner, id string) error {
	e, err := s.take(owner, id)
	if err != nil {
		return err
	}
	return s.discard(context.WithoutCancel(ctx), e)
}

// take finds an upload of the owner's and closes it to claims.
func (s *Store) take(owner, id string) (*entry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.entries[id]
	if !ok || e.Owner != owner || e.receiving {
		return nil, errMissing
	}
	if e.claimed() {
		return nil, emr.E(emr.CodeConflict, "a record that names the upload is being registered")
	}
	e.closed = true
	return e, nil
}

// discard unpins an entry's content, unless something else stands on the pin,
// and forgets the entry. It can be repeated.
func (s *Store) discard(ctx context.Context, e *entry) error {
	cids := []string{e.CID}
	if e.CID == "" {
		var err error
		if cids, err = s.content.Named(ctx, e.ID); err != nil {
			return contentError(err)
		}
	}
	for _, cid := range cids {
		if !s.lastHolder(e, cid) {
			continue
		}
		if err := s.content.Unpin(ctx, cid); err != nil {
			return contentError(err)
		}
	}
	return s.forget(e)
}

// lastHolder tells whether nothing but this entry stands on a content's pin.
func (s *Store) lastHolder(e *entry, cid string) bool {
	if s.Keeps(cid) {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.Shared {
		return false
	}
	for _, other := range s.entries {
		if other != e && other.CID == cid {
			return false
		}
	}
	return true
}

func (s *Store) forget(e *entry) error {
	if err := s.journal.remove(e.ID); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.entries, e.ID)
	return nil
}

// Claim binds an upload to the action that registers its record. The manifest
// must describe exactly what was stored. The same action may claim again.
func (s *Store) Claim(_ context.Context, owner, id string, m *emr.Manifest, action emr.Digest, expires emr.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.entries[id]
	if !ok || e.closed || e.receiving || e.Owner != owner {
		return errMissing
	}
	switch {
	case e.claimed() && e.Action != action:
		return emr.E(emr.CodeConflict, "another record that names the upload is being registered")
	case m.CID != e.CID:
		return emr.Invalid("args.cid", "is not that of the upload")
	case m.Digest != e.Digest:
		return emr.Invalid("args.digest", "is not that of the upload")
	case m.CipherSize != e.Size:
		return emr.Invalid("args.cipherSize", "is not that of the upload")
	}
	claimed := *e
	claimed.Action, claimed.ActionExpires = action, expires
	if err := s.journal.write(&claimed); err != nil {
		return err
	}
	*e = claimed
	return nil
}

// Commit forgets an upload whose record stands; its pin is the record's from now on.
func (s *Store) Commit(_ context.Context, id string) error {
	s.mu.Lock()
	e, ok := s.entries[id]
	if !ok {
		s.mu.Unlock()
		return nil
	}
	err := s.share(e)
	s.mu.Unlock()
	if err != nil {
		return err
	}
	return s.forget(e)
}

// share keeps other uploads of the same content from unpinning it. The caller holds mu.
func (s *Store) share(e *entry) error {
	for _, other := range s.entries {
		if other == e || other.CID != e.CID || other.Shared {
			continue
		}
		other.Shared = true
		if err := s.journal.write(other); err != nil {
			return err
		}
	}
	return nil
}

// Release frees an upload whose record the ledger refused, to be named again or discarded.
func (s *Store) Release(_ context.Context, id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.entries[id]
	if !ok {
		return nil
	}
	e.Action, e.ActionExpires = emr.Digest{}, 0
	return s.journal.write(e)
}

func (s *Store) pending(owner string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, e := range s.entries {
		if e.Owner == owner {
			n++
		}
	}
	return n
}

// Resolver asks the ledger whether an action has been committed.
type Resolver func(ctx context.Context, action emr.Digest) (committed bool, err error)

// Sweep settles what is left over: claims whose outcome was not known, and
// uploads whose time is over. What cannot be settled now stays for the next sweep.
func (s *Store) Sweep(ctx context.Context, resolve Resolver) {
	for _, e := range s.due() {
		if err := s.settle(ctx, &e, resolve); err != nil {
			s.Log.WarnContext(ctx, "upload not settled", slog.String("error", err.Error()))
		}
	}
}

// due lists copies of the entries that a sweep has to look at.
func (s *Store) due() []entry {
	now := emr.TimeOf(s.Now())
	s.mu.Lock()
	defer s.mu.Unlock()
	var due []entry
	for _, e := range s.entries {
		if !e.receiving && (e.claimed() || e.closed || e.CID == "" || e.Expires <= now) {
			due = append(due, *e)
		}
	}
	return due
}

func (s *Store) settle(ctx context.Context, e *entry, resolve Resolver) error {
	if e.claimed() {
		committed, err := resolve(ctx, e.Action)
		if err != nil {
			return fmt.Errorf("ask for the outcome of a registration: %w", err)
		}
		if committed {
			return s.Commit(ctx, e.ID)
		}
		if emr.TimeOf(s.Now()) <= max(e.Expires, e.ActionExpires.Add(claimMargin)) {
			return nil
		}
		if err := s.Release(ctx, e.ID); err != nil {
			return err
		}
	}
	taken, err := s.take(e.Owner, e.ID)
	if err != nil {
		return nil //nolint:nilerr // somebody else has settled or claimed it meanwhile
	}
	return s.discard(ctx, taken)
}

var errTooLarge = emr.E(emr.CodeTooLarge, "the upload is larger than this gateway takes")

// meter hashes and counts what passes and stops at the limit.
type meter struct {
	r    io.Reader
	hash hash.Hash
	size int64
	max  int64
}

func (m *meter) Read(p []byte) (int, error) {
	n, err := m.r.Read(p)
	m.size += int64(n)
	if m.size > m.max {
		return 0, errTooLarge
	}
	m.hash.Write(p[:n])
	return n, err
}

// contentError gives a content store's error its code.
func contentError(err error) error {
	var known *emr.Error
	switch {
	case errors.As(err, &known):
		return err
	case errors.Is(err, blob.ErrUnavailable):
		return emr.Wrap(emr.CodeUnavailable, "the content store is not available", err)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return emr.Wrap(emr.CodeTimeout, "the transfer ended too early", err)
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, blob.ErrInvalid):
		return emr.Wrap(emr.CodeInvalid, "the body ended before all of it had arrived", err)
	default:
		return fmt.Errorf("content store: %w", err)
	}
}

// uploadPrefix begins every upload id.
const uploadPrefix = "upl_"

func newEntry(owner string, expires time.Time) (*entry, error) {
	var id [16]byte
	if _, err := rand.Read(id[:]); err != nil {
		return nil, fmt.Errorf("draw upload id: %w", err)
	}
	return &entry{
		V: entryVersion, ID: uploadPrefix + hex.EncodeToString(id[:]), Owner: owner, Expires: emr.TimeOf(expires), receiving: true,
	}, nil
}
