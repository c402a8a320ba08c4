// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package pin_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/gateway/internal/pin"
	"github.com/emrys-health/emrys/pkg/blob"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

func members() []emr.Organisation {
	return []emr.Organisation{
		{ID: "A", Kind: emr.KindHospital}, {ID: "B", Kind: emr.KindHospital}, {ID: "C", Kind: emr.KindHospital},
		{ID: "D", Kind: emr.KindHospital}, {ID: "R", Kind: emr.KindRegulator},
	}
}

func TestChosenHospitals(t *testing.T) {
	t.Parallel()
	counts := map[emr.OrgID]int{}
	for i := range 3000 {
		cid := fmt.Sprint("cid", i)
		chosen := pin.Chosen(cid, "A", members(), 2)
		require.Len(t, chosen, 2)
		require.Equal(t, emr.OrgID("A"), chosen[0], "the record's own hospital always")
		counts[chosen[1]]++
		require.Equal(t, chosen, pin.Chosen(cid, "A", members(), 2), "everybody comes to the same answer")
	}
	require.Zero(t, counts["R"], "the regulator keeps no content")
	for _, other := range []emr.OrgID{"B", "C", "D"} {
		require.InDelta(t, 1000, counts[other], 150, other)
	}
	require.Len(t, pin.Chosen("cid", "A", members(), 9), 4, "no more than there are")
	require.Len(t, pin.Chosen("cid", "A", members(), 1), 1)
}

// source sends events from a list and tells from where they were asked for.
type source struct {
	mu     sync.Mutex
	events []pin.Event
	asked  []pin.Place
}

func (s *source) Events(ctx context.Context, _ *slog.Logger, from pin.Place, handle func(pin.Event) error) error {
	s.mu.Lock()
	s.asked = append(s.asked, from)
	events := s.events
	s.mu.Unlock()
	for _, e := range events {
		if e.Block > from.Block {
			if err := handle(e); err != nil {
				return err
			}
		}
	}
	<-ctx.Done()
	return ctx.Err()
}

// content is a store whose contents can be missing for a while.
type content struct {
	mu      sync.Mutex
	pinned  map[string]bool
	missing map[string]int
	changed chan struct{}
	// erased and silent are what the ledger says of a content, and how often it says nothing.
	erased map[string]bool
	silent map[string]int
	asked  map[string]int
	given  atomic.Int32 // attempts that were given up
	// hanging, when set, is told of every attempt, which then waits for its context.
	hanging chan string
}

func (c *content) isErased(_ context.Context, cid string) (bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked[cid]++
	if c.silent[cid] > 0 {
		c.silent[cid]--
		return false, emr.E(emr.CodeUnavailable, "down")
	}
	return c.erased[cid], nil
}

func newContent() *content {
	return &content{pinned: map[string]bool{}, missing: map[string]int{}, changed: make(chan struct{}, 100),
		erased: map[string]bool{}, silent: map[string]int{}, asked: map[string]int{}}
}

func (c *content) Pin(ctx context.Context, cid string) error {
	if c.hanging != nil {
		c.hanging <- cid
		<-ctx.Done()
		c.given.Add(1)
		return ctx.Err()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.missing[cid] > 0 {
		c.missing[cid]--
		return blob.ErrNotFound
	}
	c.pinned[cid] = true
	c.changed <- struct{}{}
	return nil
}

func (c *content) Pinned(_ context.Context, cid string) (bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.pinned[cid], nil
}

func (c *content) has(cid string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.pinned[cid]
}

func registered(block uint64, cid string) pin.Event {
	return pin.Event{
		Place: pin.Place{Block: block, Transaction: "t"}, Name: ledgerapi.EventRecordRegistered,
		Event: ledgerapi.Event{V: 1, CID: cid, Hospital: "A"},
	}
}

// run runs a pinner of hospital A until the condition holds.
func run(t *testing.T, path string, c *content, s *source, until func() bool) {
	t.Helper()
	p, err := pin.New(pin.Settings{
		Organisation: "A", Replicas: 1, Path: path, Timeout: time.Second, Retry: time.Millisecond,
		Log: slog.New(slog.DiscardHandler),
	}, c, s, func(context.Context) ([]emr.Organisation, error) { return members(), nil }, c.isErased)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	require.Eventually(t, until, 5*time.Second, time.Millisecond)
	cancel()
	require.ErrorIs(t, <-done, context.Canceled)
}

func TestContentIsPinnedOnceItCanBeHad(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "pins", "progress.jsonl")
	c, s := newContent(), &source{events: []pin.Event{registered(1, "late"), registered(2, "now"), {Place: pin.Place{Block: 3}, Name: "disclosed"}}}
	c.missing["late"] = 3
	run(t, path, c, s, func() bool { return c.has("late") && c.has("now") })
	run(t, path, c, s, func() bool { s.mu.Lock(); defer s.mu.Unlock(); return len(s.asked) == 2 })
	require.Equal(t, pin.Place{}, s.asked[0])
	require.Equal(t, pin.Place{Block: 2, Transaction: "t"}, s.asked[1], "a later run goes on where the earlier stopped")
}

func TestWhatWaitedAndWhatGotLostIsPinnedAtTheNextStart(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "progress.jsonl")
	c, s := newContent(), &source{events: []pin.Event{registered(1, "held"), registered(2, "waiting")}}
	c.missing["waiting"] = 1 << 30
	run(t, path, c, s, func() bool { return c.has("held") })
	c.mu.Lock()
	delete(c.pinned, "held") // somebody has unpinned it
	c.missing["waiting"] = 0
	c.mu.Unlock()
	run(t, path, c, &source{}, func() bool { return c.has("held") && c.has("waiting") })
}

func TestAHospitalThatIsNotChosenPinsNothing(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "progress.jsonl")
	foreign := registered(1, "foreign")
	foreign.Hospital = "B"
	c, s := newContent(), &source{events: []pin.Event{foreign, registered(2, "own")}}
	run(t, path, c, s, func() bool { return c.has("own") })
	require.False(t, c.has("foreign"))
}

func TestProgressThatACrashCutShort(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "progress.jsonl")
	c, s := newContent(), &source{events: []pin.Event{registered(1, "one")}}
	run(t, path, c, s, func() bool { return c.has("one") })
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, append(text, []byte(`{"v":1,"wa`)...), 0o600))
	again := &source{events: []pin.Event{registered(1, "one"), registered(2, "two")}}
	run(t, path, c, again, func() bool { return c.has("two") })
	require.NoError(t, os.WriteFile(path, append([]byte("rubbish\n"), text...), 0o600))
	_, err = pin.New(pin.Settings{Path: path}, c, s, nil, nil)
	require.Error(t, err, "damage in the middle is not passed over")
}

func TestWhatIsErasedIsNotPinnedWhenOldEventsComeAgain(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "progress.jsonl")
	c, s := newContent(), &source{events: []pin.Event{registered(1, "erased"), registered(2, "kept")}}
	c.erased["erased"] = true
	run(t, path, c, s, func() bool { return c.has("kept") && c.wasAsked("erased") > 0 })
	require.False(t, c.has("erased"))
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Contains(t, string(text), `"gone":"erased"`)
	again := &source{}
	run(t, path, c, again, func() bool { again.mu.Lock(); defer again.mu.Unlock(); return len(again.asked) == 1 })
	text, err = os.ReadFile(path)
	require.NoError(t, err)
	require.NotContains(t, string(text), "erased", "nothing of it is kept")
	require.NoError(t, os.Remove(path)) // as a backup from before brings it back
	run(t, path, c, s, func() bool { return c.wasAsked("erased") > 1 })
	require.False(t, c.has("erased"))
}

func (c *content) wasAsked(cid string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.asked[cid]
}

func TestNothingIsPinnedBeforeTheLedgerHasAnswered(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "progress.jsonl")
	c, s := newContent(), &source{events: []pin.Event{registered(1, "one")}}
	c.silent["one"] = 2
	run(t, path, c, s, func() bool { return c.has("one") })
	require.Equal(t, 3, c.wasAsked("one"))
}

func TestForgettingEndsAnAttemptUnderWay(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "progress.jsonl")
	c, s := newContent(), &source{events: []pin.Event{registered(1, "one")}}
	c.hanging = make(chan string)
	p, err := pin.New(pin.Settings{
		Organisation: "A", Replicas: 1, Path: path, Timeout: time.Minute, Retry: time.Millisecond, Log: slog.New(slog.DiscardHandler),
	}, c, s, func(context.Context) ([]emr.Organisation, error) { return members(), nil }, c.isErased)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	require.Equal(t, "one", <-c.hanging)
	require.True(t, p.Keeps("one"))
	require.NoError(t, p.Forget(t.Context(), "one"))
	require.EqualValues(t, 1, c.given.Load(), "no attempt is under way any more")
	require.False(t, p.Keeps("one"))
	require.NoError(t, p.Forget(t.Context(), "one"), "again")
	require.NoError(t, p.Forget(t.Context(), "never heard of"))
	select {
	case cid := <-c.hanging:
		require.Fail(t, "tried again", cid)
	case <-time.After(50 * time.Millisecond): // many pauses between attempts
	}
	cancel()
	require.ErrorIs(t, <-done, context.Canceled)
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NotContains(t, string(text), `"held"`)
}
