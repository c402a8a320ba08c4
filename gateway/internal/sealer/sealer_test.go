// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package sealer_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/gateway/internal/sealer"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// ledger has entries, newest first, of which some are sealed.
type ledger struct {
	mu      sync.Mutex
	entries []ledgerapi.UnsealedEntry
	sealed  map[string]bool
	sizes   []int
	from    []emr.Time
	fail    error // of the next seal
	lost    bool  // the next seal commits, and its outcome is lost
}

func newLedger(n int, at emr.Time) *ledger {
	l := &ledger{sealed: map[string]bool{}}
	l.add(n, at)
	return l
}

func (l *ledger) add(n int, at emr.Time) {
	for range n {
		name := ledgerapi.EntryName{ID: fmt.Sprint("entry", len(l.entries))}
		l.entries = append([]ledgerapi.UnsealedEntry{{Name: name, At: at}}, l.entries...)
	}
}

func (l *ledger) Query(_ context.Context, _ string, argument, result any) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	q, page := argument.(ledgerapi.UnsealedQuery), result.(*ledgerapi.UnsealedPage)
	at := 0
	if q.Bookmark == "" {
		l.from = append(l.from, q.From)
	} else {
		at, _ = strconv.Atoi(q.Bookmark)
	}
	for ; at < len(l.entries) && l.entries[at].At >= q.From; at++ {
		if len(page.Items) == q.Limit {
			page.Bookmark = strconv.Itoa(at)
			return nil
		}
		if !l.sealed[l.entries[at].Name.ID] {
			page.Items = append(page.Items, l.entries[at])
		}
	}
	return nil
}

func (l *ledger) Order(_ context.Context, _ string, argument, _ any) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.fail; err != nil && !l.lost {
		l.fail = nil
		return err
	}
	names := argument.(ledgerapi.SealReadingsArgs).Entries
	for _, name := range names {
		if l.sealed[name.ID] {
			return emr.E(emr.CodeExists, "sealed already")
		}
		l.sealed[name.ID] = true
	}
	l.sizes = append(l.sizes, len(names))
	if l.lost {
		err := l.fail
		l.fail, l.lost = nil, false
		return err
	}
	return nil
}

func (l *ledger) portions() []int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.sizes)
}

const start = emr.Time(1_000_000)

func begin(l *ledger) (*sealer.Sealer, *time.Time) {
	now := start.Std()
	return sealer.New(sealer.Settings{
		Organisation: "HospAMSP", Every: time.Minute, Now: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler),
	}, l), &now
}

func TestARoundSealsWhatIsUnderNoSealInPortions(t *testing.T) {
	t.Parallel()
	l := newLedger(2*ledgerapi.MaxSealed+7, start)
	s, _ := begin(l)
	n, err := s.Seal(t.Context())
	require.NoError(t, err)
	require.Equal(t, len(l.entries), n)
	require.Equal(t, []int{ledgerapi.MaxSealed, ledgerapi.MaxSealed, 7}, l.sizes)
	require.Len(t, l.sealed, len(l.entries))
	n, err = s.Seal(t.Context())
	require.NoError(t, err)
	require.Zero(t, n, "what is sealed is left alone, and nothing is committed")
	require.Len(t, l.sizes, 3)
}

func TestALaterRoundLooksBackAsFarAsALateCommitMayReach(t *testing.T) {
	t.Parallel()
	l := newLedger(1, start)
	s, now := begin(l)
	_, err := s.Seal(t.Context())
	require.NoError(t, err)
	*now = now.Add(10 * time.Minute)
	l.add(1, start.Add(-15*time.Minute)) // committed late, with an older time
	n, err := s.Seal(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.Equal(t, []emr.Time{0, start.Add(-time.Hour)}, l.from)
}

func TestWhatARoundCouldNotDoTheNextOneDoes(t *testing.T) {
	t.Parallel()
	for _, lost := range []bool{false, true} {
		l := newLedger(3, start)
		l.fail, l.lost = emr.E(emr.CodeUnknownOutcome, "lost"), lost
		s, _ := begin(l)
		_, err := s.Seal(t.Context())
		require.Equal(t, emr.CodeUnknownOutcome, emr.CodeOf(err))
		n, err := s.Seal(t.Context())
		require.NoError(t, err)
		require.Equal(t, map[bool]int{false: 3, true: 0}[lost], n)
		require.Len(t, l.sealed, 3)
		require.Equal(t, []int{3}, l.sizes)
		require.Equal(t, []emr.Time{0, 0}, l.from, "a round that failed moves nothing")
	}
}

func TestRunSealsAtOnceAndThenEverySoOften(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLedger(1, start)
		l.fail = errors.New("the peer is down")
		s, _ := begin(l)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { s.Run(ctx); close(ended) }()
		synctest.Wait()
		require.Empty(t, l.portions())
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Equal(t, []int{1}, l.portions())
		stop()
		<-ended
	})
}
