// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

// Package blobtest is the contract of package blob as a test suite. Every implementation runs it, and nothing that
// a caller relies on is tested anywhere else.
package blobtest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/iotest"

	"github.com/ipfs/go-cid"
	"github.com/multiformats/go-multihash"
	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/blob"
)

// leaf is the size in bytes of one block: the border where ids change their form.
const leaf = 262144

// Node is one node under test.
type Node struct {
	Store blob.Store
	// Pins lists the ids of all pinned content.
	Pins func(ctx context.Context) ([]string, error)
	// Collect runs the node's garbage collection.
	Collect func(ctx context.Context) error
}

// Config makes nodes. The suite asks for each only once, and runs its tests one after another on it.
type Config struct {
	// Pair makes two empty nodes of one swarm.
	Pair func(t *testing.T) (Node, Node)
	// Down makes a store whose service is not running.
	Down func(t *testing.T) blob.Store
}

// Run judges an implementation.
func Run(t *testing.T, cfg Config) {
	t.Helper()
	near, far := cfg.Pair(t)
	t.Run("content comes back as it was put", func(t *testing.T) { roundTrip(t, near) })
	t.Run("ranges are cut as asked", func(t *testing.T) { ranges(t, near) })
	t.Run("bad arguments are refused", func(t *testing.T) { badArguments(t, near) })
	t.Run("unknown content is not found", func(t *testing.T) { unknown(t, near) })
	t.Run("pins come and go", func(t *testing.T) { pins(t, near) })
	t.Run("a failing reader leaves nothing pinned", func(t *testing.T) { failingReader(t, near) })
	t.Run("a cancelled Put leaves nothing pinned", func(t *testing.T) { cancelledPut(t, near) })
	t.Run("an ended context ends every call", func(t *testing.T) { endedContext(t, near) })
	t.Run("a stream may be closed half-way", func(t *testing.T) { closedStream(t, near) })
	t.Run("calls run side by side", func(t *testing.T) { concurrent(t, near) })
	t.Run("content crosses the swarm", func(t *testing.T) { swarm(t, near, far) })
	t.Run("a store that is down is unavailable", func(t *testing.T) { down(t, cfg.Down(t)) })
}

// Content returns size pseudo-random bytes that depend on seed and size only.
func Content(seed byte, size int) []byte {
	b := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{seed, byte(size), byte(size >> 8), byte(size >> 16)}).Read(b)
	return b
}

func put(t *testing.T, s blob.Store, content []byte) string {
	t.Helper()
	ref, err := s.Put(t.Context(), bytes.NewReader(content))
	require.NoError(t, err)
	require.EqualValues(t, len(content), ref.Size)
	return ref.CID
}

func get(t *testing.T, s blob.Store, id string, offset, length int64) []byte {
	t.Helper()
	r, err := s.Get(t.Context(), id, offset, length)
	require.NoError(t, err)
	got, err := io.ReadAll(r)
	require.NoError(t, err)
	require.NoError(t, r.Close())
	return got
}

func requirePinned(t *testing.T, s blob.Store, id string, want bool) {
	t.Helper()
	pinned, err := s.Pinned(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, want, pinned)
}

func roundTrip(t *testing.T, n Node) {
	for _, size := range []int{0, 1, 100, leaf - 1, leaf, leaf + 1, 3*leaf + 7, 200 * leaf} {
		content := Content(1, size)
		id := put(t, n.Store, content)
		c, err := cid.Decode(id)
		require.NoError(t, err)
		require.EqualValues(t, 1, c.Version())
		require.Equal(t, c.String(), id)
		require.True(t, bytes.Equal(content, get(t, n.Store, id, 0, -1)), "size %d", size)
		requirePinned(t, n.Store, id, true)
		got, err := n.Store.Size(t.Context(), id)
		require.NoError(t, err)
		require.EqualValues(t, size, got)

		again, err := n.Store.Put(t.Context(), iotest.HalfReader(iotest.DataErrReader(bytes.NewReader(content))))
		require.NoError(t, err)
		require.Equal(t, blob.Ref{CID: id, Size: uint64(size)}, again)
	}
	require.NotEqual(t, put(t, n.Store, Content(1, 50)), put(t, n.Store, Content(2, 50)))
}

func ranges(t *testing.T, n Node) {
	for _, size := range []int{0, 100, 2*leaf + 50} {
		content := Content(3, size)
		id := put(t, n.Store, content)
		points := []int{0, 1, 60, 99, 100, 101, leaf - 1, leaf, leaf + 1, 2 * leaf, 2*leaf + 49, 2*leaf + 50, 2*leaf + 51, 9 * leaf}
		for _, offset := range points {
			for _, length := range append([]int{-1}, points...) {
				from, to := min(offset, size), size
				if length >= 0 {
					to = min(from+length, size)
				}
				got := get(t, n.Store, id, int64(offset), int64(length))
				require.True(t, bytes.Equal(content[from:to], got), "size %d offset %d length %d: got %d bytes", size, offset, length, len(got))
			}
		}
	}
}

func badArguments(t *testing.T, n Node) {
	ctx := t.Context()
	id := put(t, n.Store, Content(4, 10))
	for _, r := range [][2]int64{{-1, -1}, {-1, 5}, {0, -2}, {-5, 0}} {
		_, err := n.Store.Get(ctx, id, r[0], r[1])
		require.ErrorIs(t, err, blob.ErrInvalid)
	}
	for _, bad := range []string{"", "x", id + "/a", "/ipfs/" + id, id + "?arg=x", id + "&arg=x", "../" + id, id[:len(id)-1], "bafy\n"} {
		_, err := n.Store.Get(ctx, bad, 0, -1)
		require.ErrorIs(t, err, blob.ErrInvalid, "%q", bad)
		_, err = n.Store.Size(ctx, bad)
		require.ErrorIs(t, err, blob.ErrInvalid)
		_, err = n.Store.Pinned(ctx, bad)
		require.ErrorIs(t, err, blob.ErrInvalid)
		require.ErrorIs(t, n.Store.Pin(ctx, bad), blob.ErrInvalid)
		require.ErrorIs(t, n.Store.Unpin(ctx, bad), blob.ErrInvalid)
	}
}

// absent returns an id that no node has content for.
func absent(t *testing.T, codec uint64) string {
	t.Helper()
	sum, err := multihash.Sum(Content(5, 77), multihash.SHA2_256, -1)
	require.NoError(t, err)
	return cid.NewCidV1(codec, sum).String()
}

func unknown(t *testing.T, n Node) {
	for _, codec := range []uint64{cid.Raw, cid.DagProtobuf} {
		ctx, id := t.Context(), absent(t, codec)
		for _, length := range []int64{-1, 0, 10} {
			r, err := n.Store.Get(ctx, id, 0, length)
			if err == nil { // an implementation may find out only while reading
				_, err = r.Read(make([]byte, 1))
				require.NoError(t, r.Close())
			}
			require.ErrorIs(t, err, blob.ErrNotFound)
		}
		_, err := n.Store.Size(ctx, id)
		require.ErrorIs(t, err, blob.ErrNotFound)
		require.ErrorIs(t, n.Store.Pin(ctx, id), blob.ErrNotFound)
		requirePinned(t, n.Store, id, false)
		require.NoError(t, n.Store.Unpin(ctx, id))
	}
}

func pins(t *testing.T, n Node) {
	ctx := t.Context()
	for _, size := range []int{20, 2*leaf + 20} {
		content := Content(6, size)
		id := put(t, n.Store, content)
		require.NoError(t, n.Store.Pin(ctx, id), "pinning again changes nothing")
		requirePinned(t, n.Store, id, true)
		require.NoError(t, n.Collect(ctx))
		require.True(t, bytes.Equal(content, get(t, n.Store, id, 0, -1)))

		require.NoError(t, n.Store.Unpin(ctx, id))
		requirePinned(t, n.Store, id, false)
		require.NoError(t, n.Store.Unpin(ctx, id), "unpinning again changes nothing")
		require.NoError(t, n.Store.Pin(ctx, id), "until the collection the content is there")
		requirePinned(t, n.Store, id, true)

		require.NoError(t, n.Store.Unpin(ctx, id))
		require.NoError(t, n.Collect(ctx))
		_, err := n.Store.Size(ctx, id)
		require.ErrorIs(t, err, blob.ErrNotFound)
	}
}

// unchangedPins runs f and demands that the node's pins are the same before and after.
func unchangedPins(t *testing.T, n Node, f func()) {
	t.Helper()
	before, err := n.Pins(t.Context())
	require.NoError(t, err)
	f()
	after, err := n.Pins(t.Context())
	require.NoError(t, err)
	slices.Sort(before)
	slices.Sort(after)
	require.Equal(t, before, after)
}

func failingReader(t *testing.T, n Node) {
	boom := errors.New("boom")
	for _, cause := range []error{boom, io.ErrUnexpectedEOF, context.Canceled} {
		for _, at := range []int{0, 10, leaf, 5*leaf + 3, 40 * leaf} {
			unchangedPins(t, n, func() {
				ref, err := n.Store.Put(t.Context(), io.MultiReader(bytes.NewReader(Content(7, at)), iotest.ErrReader(cause)))
				require.ErrorIs(t, err, cause)
				require.Zero(t, ref)
			})
		}
	}
	sized := Content(8, 3*leaf)
	kept := put(t, n.Store, sized)
	_, err := n.Store.Put(t.Context(), io.MultiReader(bytes.NewReader(sized), iotest.ErrReader(boom)))
	require.ErrorIs(t, err, boom)
	requirePinned(t, n.Store, kept, true)
}

// gate delivers some content, then says so, and delivers more for ever.
type gate struct {
	left    int
	reached chan struct{}
	reads   chan struct{}
}

func (g *gate) Read(p []byte) (int, error) {
	select {
	case g.reads <- struct{}{}:
	default:
	}
	if g.left > 0 {
		g.left -= len(p)
		if g.left <= 0 {
			close(g.reached)
		}
	}
	return len(p), nil
}

func cancelledPut(t *testing.T, n Node) {
	for _, at := range []int{1, 20 * leaf} {
		unchangedPins(t, n, func() {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			g := &gate{left: at, reached: make(chan struct{}), reads: make(chan struct{}, 1)}
			go func() {
				<-g.reached
				cancel()
			}()
			_, err := n.Store.Put(ctx, g)
			require.ErrorIs(t, err, context.Canceled)
			select { // forget the reads so far
			case <-g.reads:
			default:
			}
			require.NoError(t, n.Collect(t.Context())) // any time passes
			require.Empty(t, g.reads, "the reader was used after Put had returned")
		})
	}
}

func endedContext(t *testing.T, n Node) {
	id := put(t, n.Store, Content(9, 10))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	unchangedPins(t, n, func() {
		_, err := n.Store.Put(ctx, bytes.NewReader(Content(10, 10)))
		require.ErrorIs(t, err, context.Canceled)
	})
	_, err := n.Store.Get(ctx, id, 0, -1)
	require.ErrorIs(t, err, context.Canceled)
	_, err = n.Store.Size(ctx, id)
	require.ErrorIs(t, err, context.Canceled)
	_, err = n.Store.Pinned(ctx, id)
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, n.Store.Pin(ctx, id), context.Canceled)
	require.ErrorIs(t, n.Store.Unpin(ctx, id), context.Canceled)
	requirePinned(t, n.Store, id, true)

	// A context that ends while a stream is read ends the stream, never as if it were complete.
	id = put(t, n.Store, Content(11, 100*leaf))
	ctx, cancel = context.WithCancel(t.Context())
	defer cancel()
	r, err := n.Store.Get(ctx, id, 0, -1)
	require.NoError(t, err)
	_, err = io.ReadFull(r, make([]byte, 10))
	require.NoError(t, err)
	cancel()
	_, err = io.Copy(io.Discard, r)
	require.ErrorIs(t, err, context.Canceled)
	require.NoError(t, r.Close())
}

func closedStream(t *testing.T, n Node) {
	content := Content(12, 50*leaf)
	id := put(t, n.Store, content)
	for _, read := range []int{0, 1, leaf} {
		r, err := n.Store.Get(t.Context(), id, 0, -1)
		require.NoError(t, err)
		_, err = io.ReadFull(r, make([]byte, read))
		require.NoError(t, err)
		require.NoError(t, r.Close())
		_, err = r.Read(make([]byte, 1))
		require.Error(t, err)
		require.NotErrorIs(t, err, io.EOF)
	}
	require.True(t, bytes.Equal(content, get(t, n.Store, id, 0, -1)))
}

func concurrent(t *testing.T, n Node) {
	shared := put(t, n.Store, Content(13, 2*leaf))
	errs := make(chan error)
	const workers = 8
	for i := range workers {
		go func() {
			errs <- func() error {
				ref, err := n.Store.Put(t.Context(), bytes.NewReader(Content(byte(20+i), leaf+i)))
				if err != nil {
					return err
				}
				return errors.Join(n.Store.Pin(t.Context(), shared), n.Store.Unpin(t.Context(), ref.CID))
			}()
		}()
	}
	for range workers {
		require.NoError(t, <-errs)
	}
	requirePinned(t, n.Store, shared, true)
}

func swarm(t *testing.T, near, far Node) {
	ctx := t.Context()
	for _, size := range []int{30, 12*leaf + 30} {
		content := Content(14, size)
		id := put(t, far.Store, content)
		requirePinned(t, near.Store, id, false)
		require.True(t, bytes.Equal(content[5:20], get(t, near.Store, id, 5, 15)))
		require.True(t, bytes.Equal(content, get(t, near.Store, id, 0, -1)))
		requirePinned(t, near.Store, id, false)

		content = Content(15, size)
		id = put(t, far.Store, content)
		require.NoError(t, near.Store.Pin(ctx, id), "the content comes from the other node")
		requirePinned(t, near.Store, id, true)
		require.NoError(t, far.Store.Unpin(ctx, id))
		require.NoError(t, far.Collect(ctx))
		requirePinned(t, near.Store, id, true)
		require.NoError(t, near.Collect(ctx))
		require.True(t, bytes.Equal(content, get(t, near.Store, id, 0, -1)), "the copy outlives the origin's")
	}
}

func down(t *testing.T, s blob.Store) {
	ctx, id := t.Context(), absent(t, cid.Raw)
	_, err := s.Put(ctx, bytes.NewReader(Content(16, 10*leaf)))
	require.ErrorIs(t, err, blob.ErrUnavailable)
	_, err = s.Get(ctx, id, 0, -1)
	require.ErrorIs(t, err, blob.ErrUnavailable)
	_, err = s.Size(ctx, id)
	require.ErrorIs(t, err, blob.ErrUnavailable)
	_, err = s.Pinned(ctx, id)
	require.ErrorIs(t, err, blob.ErrUnavailable)
	require.ErrorIs(t, s.Pin(ctx, id), blob.ErrUnavailable)
	require.ErrorIs(t, s.Unpin(ctx, id), blob.ErrUnavailable)
}
