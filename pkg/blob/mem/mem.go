// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

// Package mem is a content-addressed store in memory, for tests and single-process trials. Several stores can form a swarm.
// Its content ids are those of raw blocks: for content of more than one segment they differ from the ids that IPFS gives.
package mem

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"

	"github.com/ipfs/go-cid"
	"github.com/multiformats/go-multihash"

	"github.com/emrys-health/emrys/pkg/blob"
)

// Store is a node: its content, its pins and its peers. It is safe for concurrent use.
type Store struct {
	mu      sync.Mutex
	content map[string][]byte
	pinned  map[string]bool
	names   map[string]string
	peers   []*Store
	down    bool
}

var _ blob.Store = (*Store)(nil)

// New returns an empty store without peers.
func New() *Store {
	return &Store{content: make(map[string][]byte), pinned: make(map[string]bool), names: make(map[string]string)}
}

// Connect makes the stores peers of each other: each finds what another has.
func Connect(stores ...*Store) {
	for _, s := range stores {
		s.mu.Lock()
		for _, peer := range stores {
			if peer != s {
				s.peers = append(s.peers, peer)
			}
		}
		s.mu.Unlock()
	}
}

// SetDown lets every call fail with [blob.ErrUnavailable], and peers not find this store, until it is called with false.
func (s *Store) SetDown(down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = down
}

// Collect forgets all content that is not pinned.
func (s *Store) Collect() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id := range s.content {
		if !s.pinned[id] {
			delete(s.content, id)
		}
	}
}

// Pins returns the ids of all pinned content, in no order.
func (s *Store) Pins() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Keys(s.pinned))
}

// Put implements [blob.Store].
func (s *Store) Put(ctx context.Context, r io.Reader) (blob.Ref, error) { return s.put(ctx, r, "") }

// PutNamed is Put with a name on the pin, by which [Store.Named] finds it.
func (s *Store) PutNamed(ctx context.Context, r io.Reader, name string) (blob.Ref, error) {
	return s.put(ctx, r, name)
}

// Named lists the content ids that are pinned under a name.
func (s *Store) Named(ctx context.Context, name string) ([]string, error) {
	if err := s.ready(ctx); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var ids []string
	for id, n := range s.names {
		if n == name && s.pinned[id] {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

func (s *Store) put(ctx context.Context, r io.Reader, name string) (blob.Ref, error) {
	if err := s.ready(ctx); err != nil {
		return blob.Ref{}, err
	}
	var content bytes.Buffer
	if _, err := content.ReadFrom(contextReader{ctx, r}); err != nil {
		return blob.Ref{}, fmt.Errorf("read content: %w", err)
	}
	if err := s.ready(ctx); err != nil {
		return blob.Ref{}, err
	}
	sum, err := multihash.Sum(content.Bytes(), multihash.SHA2_256, -1)
	if err != nil {
		return blob.Ref{}, fmt.Errorf("hash content: %w", err)
	}
	id := cid.NewCidV1(cid.Raw, sum).String()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.content[id] = content.Bytes()
	s.pinned[id] = true
	s.names[id] = name
	return blob.Ref{CID: id, Size: uint64(content.Len())}, nil //nolint:gosec // a length is not negative
}

// Get implements [blob.Store].
func (s *Store) Get(ctx context.Context, id string, offset, length int64) (io.ReadCloser, error) {
	if err := blob.CheckRange(offset, length); err != nil {
		return nil, err
	}
	content, err := s.find(ctx, id)
	if err != nil {
		return nil, err
	}
	size := int64(len(content))
	offset = min(offset, size)
	if length < 0 || length > size-offset {
		length = size - offset
	}
	return &stream{contextReader{ctx, bytes.NewReader(content[offset : offset+length])}, false}, nil
}

// Pin implements [blob.Store].
func (s *Store) Pin(ctx context.Context, id string) error {
	content, err := s.find(ctx, id)
	if err != nil {
		return err
	}
	id, err = canonical(id)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.content[id] = content
	s.pinned[id] = true
	return nil
}

// Unpin implements [blob.Store]. The content stays until [Store.Collect].
func (s *Store) Unpin(ctx context.Context, id string) error {
	id, err := s.prepare(ctx, id)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.pinned, id)
	return nil
}

// Erase forgets the pin and the content at once. Content that is not there is no error.
func (s *Store) Erase(ctx context.Context, id string) error {
	id, err := s.prepare(ctx, id)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.pinned, id)
	delete(s.content, id)
	return nil
}

// Holds reports whether this node has the content, pinned or not.
func (s *Store) Holds(ctx context.Context, id string) (bool, error) {
	id, err := s.prepare(ctx, id)
	if err != nil {
		return false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.content[id]
	return ok, nil
}

// EachPin calls visit for every content that is pinned, in no order, until it fails.
func (s *Store) EachPin(ctx context.Context, visit func(id string) error) error {
	if err := s.ready(ctx); err != nil {
		return err
	}
	for _, id := range s.Pins() {
		if err := visit(id); err != nil {
			return err
		}
	}
	return nil
}

// Pinned implements [blob.Store].
func (s *Store) Pinned(ctx context.Context, id string) (bool, error) {
	id, err := s.prepare(ctx, id)
	if err != nil {
		return false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pinned[id], nil
}

// Size implements [blob.Store].
func (s *Store) Size(ctx context.Context, id string) (uint64, error) {
	content, err := s.find(ctx, id)
	if err != nil {
		return 0, err
	}
	return uint64(len(content)), nil
}

// find returns content of this store or a peer. The bytes are shared and never changed.
func (s *Store) find(ctx context.Context, id string) ([]byte, error) {
	id, err := s.prepare(ctx, id)
	if err != nil {
		return nil, err
	}
	content, peers := s.local(id)
	for i := 0; content == nil && i < len(peers); i++ {
		content, _ = peers[i].local(id)
	}
	if content == nil {
		return nil, fmt.Errorf("%w: %s", blob.ErrNotFound, id)
	}
	return content, nil
}

func (s *Store) local(id string) ([]byte, []*Store) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down {
		return nil, nil
	}
	content, ok := s.content[id]
	if ok && content == nil {
		content = []byte{}
	}
	return content, s.peers
}

func (s *Store) prepare(ctx context.Context, id string) (string, error) {
	id, err := canonical(id)
	if err != nil {
		return "", err
	}
	return id, s.ready(ctx)
}

func (s *Store) ready(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down {
		return blob.ErrUnavailable
	}
	return nil
}

func canonical(id string) (string, error) {
	c, err := cid.Decode(id)
	if err != nil {
		return "", fmt.Errorf("%w: not a content id", blob.ErrInvalid)
	}
	return c.String(), nil
}

// contextReader ends a stream when its context does.
type contextReader struct {
	ctx context.Context //nolint:containedctx // a stream lives as long as the call's context, by contract
	r   io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}

// stream is the answer of a Get.
type stream struct {
	contextReader
	closed bool
}

func (s *stream) Read(p []byte) (int, error) {
	if s.closed {
		return 0, errors.New("read of a closed stream")
	}
	return s.contextReader.Read(p)
}

func (s *stream) Close() error {
	s.closed = true
	return nil
}
