// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ipfs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/ipfs/boxo/ipld/merkledag"
	"github.com/ipfs/go-cid"
	"github.com/ipfs/kubo/client/rpc"
	"github.com/multiformats/go-multihash"

	"github.com/emrys-health/emrys/pkg/blob"
)

// fewBlocks is the number of blocks up to which they are removed one by one. Before each the daemon walks all of its
// pins, so that for more one garbage collection, which walks them once, is the shorter way.
const fewBlocks = 32

// Erase makes this node forget the content now: the pin, and every block of it that no other pin stands on, also
// those of content that was read and never pinned, or fetched in part. When it returns nil the node has no first block, as
// [Store.Holds] sees it. [blob.ErrShared] says that another pin keeps the first block; then the pin of the content
// itself is gone. Content that is not there is no error. Idempotent; what an error left is found by the next call,
// because the first block goes last.
//
// Large content is removed by a garbage collection of the daemon, which frees everything else that is not pinned too.
// Either way the daemon waits for additions and pins under way, and lets no other begin; only ctx bounds that wait.
func (s *Store) Erase(ctx context.Context, id string) error {
	id, err := canonical(id)
	if err != nil {
		return err
	}
	unlock, err := s.pins.lock(ctx, id)
	if err != nil {
		return err
	}
	defer unlock()
	if err := s.Unpin(ctx, id); err != nil {
		return err
	}
	held, err := s.Holds(ctx, id)
	if err != nil || !held {
		return err
	}
	if err := s.removeTree(ctx, id); err != nil {
		return fmt.Errorf("erase %s: %w", id, err)
	}
	if held, err = s.Holds(ctx, id); err != nil || !held {
		return err
	}
	return fmt.Errorf("erase %s: %w", id, blob.ErrShared)
}

// Holds reports whether this node has the content's first block, pinned or not. It never asks the swarm. Idempotent.
func (s *Store) Holds(ctx context.Context, id string) (bool, error) {
	id, err := canonical(id)
	if err != nil {
		return false, err
	}
	var out json.RawMessage
	err = s.ask(ctx, s.api.Request("block/stat", id).Option("offline", true), errSlow, &out)
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, blob.ErrNotFound):
		return false, nil
	case errors.Is(err, blob.ErrCorrupt):
		return true, nil // it is there, and no good
	default:
		return false, fmt.Errorf("look for block %s: %w", id, err)
	}
}

// removeTree removes the blocks below an id and that of the id last.
func (s *Store) removeTree(ctx context.Context, id string) error {
	walk := &walk{store: s, seen: make(map[string]bool)}
	if err := walk.visit(ctx, id); err != nil {
		return err
	}
	if len(walk.order) > fewBlocks {
		return s.stream(ctx, s.api.Request("repo/gc").Option("stream-errors", true), func(dec *json.Decoder) error {
			var freed struct{ Error string }
			if err := dec.Decode(&freed); err != nil {
				return err
			}
			return reported(freed.Error)
		})
	}
	free, err := s.withoutTwins(ctx, walk.order)
	if err != nil || len(free) == 0 {
		return err
	}
	request := s.api.Request("block/rm", free...).Option("force", true)
	return s.stream(ctx, request, func(dec *json.Decoder) error {
		var removed struct{ Hash, Error string }
		if err := dec.Decode(&removed); err != nil || strings.HasPrefix(removed.Error, "pinned") {
			return err // another content stands on a block that is pinned
		}
		return reported(removed.Error)
	})
}

// withoutTwins leaves out the blocks that a pin stands on under the other codec. The daemon keeps a block by its
// hash alone and a pin by its whole id, so that block/rm takes such a block for nobody's: whoever had registered the
// hash of somebody's inner block as raw content could have had that destroyed. A garbage collection looks at hashes.
func (s *Store) withoutTwins(ctx context.Context, ids []string) ([]string, error) {
	free := make([]string, 0, len(ids))
	for _, id := range ids {
		twin, err := otherCodec(id)
		if err != nil {
			return nil, err
		}
		var out struct{ Keys map[string]json.RawMessage }
		err = s.ask(ctx, s.api.Request("pin/ls", twin).Option("type", "all"), errSlow, &out)
		if err != nil && !isNotPinned(err) {
			return nil, fmt.Errorf("look for pin of %s: %w", twin, err)
		}
		if len(out.Keys) == 0 {
			free = append(free, id)
		}
	}
	return free, nil
}

// otherCodec names the block of an id under the other codec that this package gives.
func otherCodec(id string) (string, error) {
	c, err := cid.Decode(id)
	if err != nil {
		return "", fmt.Errorf("%w: not a content id", blob.ErrInvalid)
	}
	if c.Type() == cid.Raw {
		return cid.NewCidV1(cid.DagProtobuf, c.Hash()).String(), nil
	}
	return cid.NewCidV1(cid.Raw, c.Hash()).String(), nil
}

// reported is the error that a daemon tells within a stream; empty is none.
func reported(message string) error {
	if message == "" {
		return nil
	}
	return fmt.Errorf("%w: %s", classify(message), message)
}

// walk lists the blocks of a tree that this node has, children before parents.
type walk struct {
	store *Store
	seen  map[string]bool
	order []string
}

func (w *walk) visit(ctx context.Context, id string) error {
	if w.seen[id] {
		return nil
	}
	w.seen[id] = true
	c, err := cid.Decode(id)
	if err != nil {
		return fmt.Errorf("%w: not a content id", blob.ErrInvalid)
	}
	if c.Type() == cid.DagProtobuf {
		children, err := w.store.links(ctx, id)
		if errors.Is(err, blob.ErrNotFound) {
			return nil // fetched in part
		}
		if err != nil {
			return err
		}
		for _, child := range children {
			if err := w.visit(ctx, child); err != nil {
				return err
			}
		}
	}
	w.order = append(w.order, id)
	return nil
}

// maxNode bounds an inner block: the daemon itself takes none of more than 2 MiB.
const maxNode = 4 << 20

// links lists what an inner block of this node points to.
func (s *Store) links(ctx context.Context, id string) ([]string, error) {
	watch := newWatchdog(ctx)
	defer watch.end()
	watch.arm(s.find, errSlow)
	resp, err := s.api.Request("block/get", id).Option("offline", true).Send(watch.ctx)
	if err := failure(resp, err); err != nil {
		return nil, watch.translate(err)
	}
	defer func() { _ = resp.Cancel() }()
	block, err := io.ReadAll(io.LimitReader(resp.Output, maxNode))
	if err != nil {
		return nil, watch.translate(err)
	}
	node, err := merkledag.DecodeProtobuf(block)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", blob.ErrCorrupt, err)
	}
	ids := make([]string, len(node.Links()))
	for i, link := range node.Links() {
		ids[i] = link.Cid.String()
	}
	return ids, nil
}

// EachPin calls visit for every content that this node keeps, in no order, and stops at its first error. Pins that
// were not made by this package, whose ids have another form, are left out. Idempotent.
func (s *Store) EachPin(ctx context.Context, visit func(id string) error) error {
	var stopped error
	request := s.api.Request("pin/ls").Option("type", "recursive").Option("stream", true)
	err := s.stream(ctx, request, func(dec *json.Decoder) error {
		var pin struct{ Cid string }
		if err := dec.Decode(&pin); err != nil {
			return err
		}
		c, err := cid.Decode(pin.Cid)
		if err != nil || !ours(c) {
			return nil //nolint:nilerr // somebody else's
		}
		stopped = visit(c.String())
		return stopped
	})
	if stopped != nil {
		return stopped
	}
	if err != nil {
		return fmt.Errorf("list pins: %w", err)
	}
	return nil
}

// ours tells whether an id has the form that this package gives.
func ours(c cid.Cid) bool {
	prefix := c.Prefix()
	return prefix.Version == 1 && (prefix.Codec == cid.Raw || prefix.Codec == cid.DagProtobuf) &&
		prefix.MhType == multihash.SHA2_256 && prefix.MhLength == 32
}

// stream sends a request that is answered piece by piece; next reads one piece.
func (s *Store) stream(ctx context.Context, request rpc.RequestBuilder, next func(*json.Decoder) error) error {
	resp, err := request.Send(ctx)
	if err := failure(resp, err); err != nil {
		return translate(ctx, err)
	}
	defer func() { _ = resp.Cancel() }()
	dec := json.NewDecoder(resp.Output)
	for {
		switch err := next(dec); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return translate(ctx, err)
		}
	}
}
