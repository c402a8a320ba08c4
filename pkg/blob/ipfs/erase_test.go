// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ipfs_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/ipfs/go-cid"
	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/blob"
	"github.com/emrys-health/emrys/pkg/blob/ipfs"
)

// noise is content that does not repeat and follows from a seed.
func noise(seed byte, size int) []byte {
	content := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(content)
	return content
}

// blocks lists every block that the daemon has, in the form of raw leaves, asked of the daemon itself.
func (d *daemon) blocks(t *testing.T) map[string]bool {
	t.Helper()
	return d.refs(t, "refs/local", url.Values{})
}

// tree lists the blocks of a content that the daemon has whole, in the form of raw leaves.
func (d *daemon) tree(t *testing.T, id string) map[string]bool {
	t.Helper()
	all := d.refs(t, "refs", url.Values{"arg": {id}, "recursive": {"true"}})
	all[raw(t, id)] = true
	return all
}

func (d *daemon) refs(t *testing.T, command string, query url.Values) map[string]bool {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, d.url+"/api/v0/"+command+"?"+query.Encode(), nil)
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+strings.TrimPrefix(secret, "bearer:"))
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	require.Equal(t, http.StatusOK, resp.StatusCode)
	all := map[string]bool{}
	for dec := json.NewDecoder(resp.Body); ; {
		var link struct{ Ref, Err string }
		if err := dec.Decode(&link); errors.Is(err, io.EOF) {
			return all
		} else {
			require.NoError(t, err)
		}
		require.Empty(t, link.Err)
		all[raw(t, link.Ref)] = true
	}
}

func raw(t *testing.T, id string) string {
	t.Helper()
	c, err := cid.Decode(id)
	require.NoError(t, err)
	return cid.NewCidV1(cid.Raw, c.Hash()).String()
}

// requireGone requires that the daemon has none of the blocks.
func (d *daemon) requireGone(t *testing.T, tree map[string]bool, name string) {
	t.Helper()
	have := d.blocks(t)
	for id := range tree {
		require.False(t, have[id], "%s: %s", name, id)
	}
}

func put(t *testing.T, s *ipfs.Store, content []byte) string {
	t.Helper()
	ref, err := s.Put(t.Context(), bytes.NewReader(content))
	require.NoError(t, err)
	return ref.CID
}

func holds(t *testing.T, s *ipfs.Store, id string) bool {
	t.Helper()
	held, err := s.Holds(t.Context(), id)
	require.NoError(t, err)
	return held
}

func TestErasedContentLeavesNoBlock(t *testing.T) {
	t.Parallel()
	d := start(t, "")
	s := d.store(t)
	kept := put(t, s, noise(0, 3<<20))
	for seed, tt := range []struct {
		name string
		size int
	}{{"of one block", 1000}, {"of a few blocks", 3 << 20}, {"of many blocks", 50 << 20}} {
		id := put(t, s, noise(byte(10+seed), tt.size))
		require.True(t, holds(t, s, id), tt.name)
		tree := d.tree(t, id)
		require.Greater(t, len(tree), tt.size/262144, tt.name)
		require.NoError(t, s.Erase(t.Context(), id), tt.name)
		require.False(t, holds(t, s, id), tt.name)
		d.requireGone(t, tree, tt.name)
		require.NoError(t, s.Erase(t.Context(), id), "%s, again", tt.name)
		pins, err := d.pins(t.Context())
		require.NoError(t, err)
		require.Contains(t, pins, kept, tt.name)
		require.NotContains(t, pins, id, tt.name)
	}
	r, err := s.Get(t.Context(), kept, 0, -1)
	require.NoError(t, err)
	all, err := io.ReadAll(r)
	require.NoError(t, err)
	require.NoError(t, r.Close())
	require.Equal(t, noise(0, 3<<20), all, "other content is whole")
}

func TestABlockThatOtherContentIsMadeOfStays(t *testing.T) {
	t.Parallel()
	d := start(t, "")
	s := d.store(t)
	shared := noise(1, 262144)
	long := put(t, s, append(bytes.Clone(shared), noise(2, 1000)...))
	alsoLong := put(t, s, append(bytes.Clone(shared), noise(3, 1000)...))
	short := put(t, s, shared) // its one block is the first leaf of the other two
	require.NoError(t, s.Erase(t.Context(), long))
	require.False(t, holds(t, s, long))
	require.True(t, holds(t, s, short))
	require.ErrorIs(t, s.Erase(t.Context(), short), blob.ErrShared)
	pinned, err := s.Pinned(t.Context(), short)
	require.NoError(t, err)
	require.False(t, pinned, "its own pin is gone")
	r, err := s.Get(t.Context(), alsoLong, 0, -1)
	require.NoError(t, err)
	got, err := io.ReadAll(r)
	require.NoError(t, err)
	require.NoError(t, r.Close())
	require.Equal(t, append(bytes.Clone(shared), noise(3, 1000)...), got)
	tree := d.tree(t, alsoLong)
	require.True(t, tree[raw(t, short)])
	require.NoError(t, s.Erase(t.Context(), alsoLong))
	require.NoError(t, s.Erase(t.Context(), short))
	d.requireGone(t, tree, "now that nothing stands on it")
}

func TestContentThatWasReadInPartAndNeverPinnedIsErased(t *testing.T) {
	t.Parallel()
	key := "/key/swarm/psk/1.0.0/\n/base16/\n" + strings.Repeat("5e", 32) + "\n"
	far, near := start(t, key), start(t, key)
	near.connect(t, far)
	content := noise(4, 5<<20)
	id := put(t, far.store(t), content)
	s := near.store(t)
	require.False(t, holds(t, s, id), "the swarm is not asked")
	r, err := s.Get(t.Context(), id, 1<<20, 100)
	require.NoError(t, err)
	_, err = io.Copy(io.Discard, r)
	require.NoError(t, err)
	require.NoError(t, r.Close())
	require.True(t, holds(t, s, id))
	tree := far.tree(t, id)
	require.NoError(t, s.Erase(t.Context(), id))
	near.requireGone(t, tree, "read in part")
	require.True(t, holds(t, far.store(t), id), "other nodes are not affected")
}

func TestAnErasureOfADaemonThatIsDownFailsAndIsRepeated(t *testing.T) {
	t.Parallel()
	d := start(t, "")
	id := put(t, d.store(t), noise(5, 3<<20))
	tree := d.tree(t, id)
	s := d.store(t)
	d.stop()
	require.ErrorIs(t, s.Erase(t.Context(), id), blob.ErrUnavailable)
	_, err := s.Holds(t.Context(), id)
	require.ErrorIs(t, err, blob.ErrUnavailable)
	require.ErrorIs(t, s.EachPin(t.Context(), func(string) error { return nil }), blob.ErrUnavailable)
	d.run(t)
	s = d.store(t)
	require.True(t, holds(t, s, id))
	require.NoError(t, s.Erase(t.Context(), id))
	d.requireGone(t, tree, "after the daemon's return")
	require.ErrorIs(t, s.Erase(t.Context(), "no id"), blob.ErrInvalid)
	_, err = s.Holds(t.Context(), "no id")
	require.ErrorIs(t, err, blob.ErrInvalid)
}

func TestPinsAreListedAsFarAsTheyAreOurs(t *testing.T) {
	t.Parallel()
	d := start(t, "")
	s := d.store(t)
	want := map[string]bool{}
	for seed := range byte(3) {
		want[put(t, s, noise(seed, 300_000*int(seed)+1))] = true
	}
	require.NoError(t, d.call(t.Context(), "files/mkdir", url.Values{"arg": {"/d"}, "cid-version": {"0"}}, nil))
	var old struct{ Hash string }
	require.NoError(t, d.call(t.Context(), "files/stat", url.Values{"arg": {"/d"}}, &old))
	require.True(t, strings.HasPrefix(old.Hash, "Qm"), old.Hash)
	require.NoError(t, d.call(t.Context(), "pin/add", url.Values{"arg": {old.Hash}}, nil))
	got := map[string]bool{}
	require.NoError(t, s.EachPin(t.Context(), func(id string) error { got[id] = true; return nil }))
	require.Equal(t, want, got)
	enough := errors.New("enough")
	require.ErrorIs(t, s.EachPin(t.Context(), func(string) error { return enough }), enough)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, s.EachPin(ctx, func(string) error { return nil }), context.Canceled)
}

func TestAnErasureThatTheDaemonLeavesHalfDoneFails(t *testing.T) {
	t.Parallel()
	const id = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"
	for _, tt := range []struct {
		name, answer string
		want         error
	}{
		{"a block that cannot be removed", `{"Hash":"` + id + `","Error":"input/output error"}`, blob.ErrUnavailable},
		{"a stream that ends in the middle", `{"Hash":`, blob.ErrUnavailable},
		{"a block that is there afterwards", `{"Hash":"` + id + `"}`, blob.ErrShared},
	} {
		s := faulty(t, func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "block/rm") {
				answer(w, tt.answer)
				return
			}
			answer(w, `{}`)
		})
		require.ErrorIs(t, s.Erase(t.Context(), id), tt.want, tt.name)
	}
	s := faulty(t, func(_ http.ResponseWriter, r *http.Request) {
		drain(r)
		hang(r)
	})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, s.Erase(ctx, id), context.DeadlineExceeded)
}
