// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package custodian_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/gateway/internal/custodian"
	"github.com/emrys-health/emrys/gateway/internal/pin"
	"github.com/emrys-health/emrys/pkg/blob"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

func restored(cid string) []emr.Undestroyed {
	return []emr.Undestroyed{{Record: record(cid), Thing: emr.ThingContent, Cause: emr.CauseRestored}}
}

// carriedOut is a bench on which an order about a content is done, and others are pinned.
func carriedOut(t *testing.T, others ...string) *bench {
	t.Helper()
	b := newBench(t, append(others, "a")...)
	b.ledger.erase("one", both(), "a")
	b.rounds(t, 1)
	require.True(t, b.ledger.stands("one"))
	b.ledger.told = nil
	return b
}

func (b *bench) bringBack(cid string) {
	b.store.set(func() { b.store.pins[cid], b.store.blocks[cid] = true, true })
}

func TestWhatABackupBroughtBackIsToldAndDestroyedAtTheStart(t *testing.T) {
	t.Parallel()
	var others []string
	for n := range 250 { // several questions to the ledger
		others = append(others, fmt.Sprint("kept", n))
	}
	b := carriedOut(t, others...)
	b.bringBack("a")
	b.restart()
	b.rounds(t, 1)
	require.False(t, b.store.has("a"))
	require.Len(t, b.ledger.told, 2)
	require.Equal(t, restored("a"), b.ledger.told[0].Failed)
	require.Equal(t, []emr.ErasureThing{emr.ThingContent}, b.ledger.told[1].Destroyed[0].Things)
	require.True(t, b.ledger.stands("one"))
	for _, cid := range others {
		require.True(t, b.store.has(cid))
	}
}

func TestWhatABackupBroughtBackIsFoundWithinADay(t *testing.T) {
	t.Parallel()
	b := carriedOut(t)
	b.bringBack("a")
	b.rounds(t, 2)
	require.True(t, b.store.has("a"))
	b.now = b.now.Add(24 * time.Hour)
	b.rounds(t, 1)
	require.False(t, b.store.has("a"))
}

func TestNothingThatIsBackIsDestroyedUntold(t *testing.T) {
	t.Parallel()
	b := carriedOut(t)
	b.bringBack("a")
	b.restart()
	b.ledger.refuse[ledgerapi.ConfirmErasure] = emr.E(emr.CodeUnavailable, "down")
	b.rounds(t, 3)
	require.True(t, b.store.has("a"))
	delete(b.ledger.refuse, ledgerapi.ConfirmErasure)
	b.ledger.gone = true
	b.rounds(t, 3)
	require.Equal(t, restored("a"), b.ledger.told[0].Failed)
	require.True(t, b.ledger.stands("one"))
	require.False(t, b.store.has("a"))
}

func TestAnUploadOfWhatIsErasedIsDestroyedWithoutAWord(t *testing.T) {
	t.Parallel()
	b := carriedOut(t)
	b.bringBack("a")
	b.staged["a"] = true
	b.restart()
	b.rounds(t, 1)
	require.False(t, b.store.has("a"))
	require.Empty(t, b.ledger.told)
}

func TestWhatIsErasedIsDestroyedAlsoByWhoIsNoHolder(t *testing.T) {
	t.Parallel()
	b := newBench(t, "foreign")
	b.ledger.erase("one", []emr.OrgID{other}, "foreign")
	b.rounds(t, 1)
	require.False(t, b.store.has("foreign"))
	require.Empty(t, b.ledger.told)
}

func TestAStoreThatIsDownAtTheStartIsComparedWhenItIsBack(t *testing.T) {
	t.Parallel()
	b := carriedOut(t)
	b.bringBack("a")
	b.store.down = blob.ErrUnavailable
	b.restart()
	b.rounds(t, 3)
	b.store.down = nil
	b.rounds(t, 2)
	require.False(t, b.store.has("a"))
	require.True(t, b.ledger.stands("one"))
}

// running runs a custodian within synctest; the returned function ends it.
func (b *bench) running(t *testing.T) (stop func()) {
	t.Helper()
	settings := b.settings()
	settings.Now = time.Now
	c := custodian.New(settings, b.ledger, b.source, b.store, b.keeper)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { c.Run(ctx); close(ended) }()
	synctest.Wait()
	return func() { cancel(); <-ended }
}

func event(block uint64, name string, id string) pin.Event {
	e := pin.Event{Place: pin.Place{Block: block, Transaction: "t"}, Name: name, Event: ledgerapi.Event{V: 1, ID: id}}
	if name == ledgerapi.EventRecordRegistered {
		e.ID, e.Erasure = "rec_x", emr.ErasureID(id)
	}
	return e
}

func TestAnEventBeginsTheWorkAtOnce(t *testing.T) {
	t.Parallel()
	for n, name := range []string{ledgerapi.EventErasureOrdered, ledgerapi.EventErasureContinued, ledgerapi.EventRecordRegistered} {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t, "a")
			stop := b.running(t)
			b.ledger.erase("one", both(), "a")
			b.source.events <- event(7, ledgerapi.EventRecordRegistered, "") // of no order
			b.source.events <- event(8, ledgerapi.EventDisclosed, "d")
			synctest.Wait()
			require.True(t, b.store.has("a"))
			b.source.events <- event(9, name, "one")
			synctest.Wait()
			require.False(t, b.store.has("a"), name)
			require.True(t, b.ledger.stands("one"), name)
			stop()
			require.Equal(t, pin.Place{}, <-b.source.asked)
			stop = b.running(t)
			require.Equal(t, pin.Place{Block: 9, Transaction: "t"}, <-b.source.asked, "%d: events are followed from where they were left", n)
			stop()
		})
	}
}

func TestWithoutAnEventTheTimerBeginsTheWork(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "a")
		defer b.running(t)()
		b.ledger.erase("one", both(), "a")
		time.Sleep(10*time.Minute - time.Second)
		synctest.Wait()
		require.True(t, b.store.has("a"))
		time.Sleep(2 * time.Second)
		synctest.Wait()
		require.True(t, b.ledger.stands("one"))
	})
}

func TestAnEventOfAnOrderThatWasDoneFindsWhatIsBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := carriedOut(t)
		defer b.running(t)() // on a peer that has not caught up: the comparison finds nothing
		b.bringBack("a")
		b.store.set(func() { b.store.down = blob.ErrUnavailable })
		b.source.events <- event(1, ledgerapi.EventErasureOrdered, "one")
		synctest.Wait()
		b.store.set(func() { b.store.down = nil })
		time.Sleep(10 * time.Second)
		synctest.Wait()
		require.False(t, b.store.has("a"))
		require.True(t, b.ledger.stands("one"))
		require.Equal(t, restored("a"), b.ledger.told[0].Failed)
	})
}

func TestADamagedPlaceBeginsAtTheBeginning(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := carriedOut(t)
		require.NoError(t, os.MkdirAll(strings.TrimSuffix(b.path, "/place.json"), 0o700))
		require.NoError(t, os.WriteFile(b.path, []byte("{"), 0o600))
		b.running(t)()
		require.Equal(t, pin.Place{}, <-b.source.asked)
	})
}

func TestThePinnersQuestionFailsUntilTheLedgerCanTell(t *testing.T) {
	t.Parallel()
	l := newLedger()
	l.erase("one", both(), "erased")
	l.living["live"] = true
	erased := custodian.Erased(l)
	for cid, want := range map[string]bool{"erased": true, "live": false} {
		got, err := erased(t.Context(), cid)
		require.NoError(t, err)
		require.Equal(t, want, got, cid)
	}
	_, err := erased(t.Context(), "unknown")
	require.Equal(t, emr.CodeNotFound, emr.CodeOf(err))
	l.down = emr.E(emr.CodeUnavailable, "down")
	_, err = erased(t.Context(), "live")
	require.Equal(t, emr.CodeUnavailable, emr.CodeOf(err))
}

// slow is a store whose streams wait for their context.
type slow struct{ fail error }

func (s slow) Probe(context.Context) error { return nil }

func (s slow) Get(ctx context.Context, _ string, _, _ int64) (io.ReadCloser, error) {
	if s.fail != nil {
		return nil, s.fail
	}
	return io.NopCloser(waiting{ctx}), nil
}

type waiting struct{ ctx context.Context } //nolint:containedctx // as a stream's is

func (w waiting) Read([]byte) (int, error) {
	<-w.ctx.Done()
	return 0, w.ctx.Err()
}

func TestReadingsOfWhatIsForgottenEndAndNoneBegins(t *testing.T) {
	t.Parallel()
	r := custodian.NewReadings(slow{})
	open := func(cid string) io.ReadCloser {
		stream, err := r.Get(t.Context(), cid, 0, -1)
		require.NoError(t, err)
		return stream
	}
	first, second, closed, other := open("a"), open("a"), open("a"), open("b")
	require.NoError(t, closed.Close())
	require.NoError(t, r.Forget(t.Context(), "a"))
	for _, stream := range []io.ReadCloser{first, second} {
		_, err := stream.Read(make([]byte, 1))
		require.ErrorIs(t, err, context.Canceled)
		require.NoError(t, stream.Close())
	}
	_, err := r.Get(t.Context(), "a", 0, -1)
	require.Equal(t, emr.ReasonErased, emr.Public(err).Reason)
	require.NoError(t, r.Forget(t.Context(), "a"))
	require.NoError(t, other.Close())
	require.NoError(t, open("b").Close())
	failing := custodian.NewReadings(slow{fail: errors.New("down")})
	_, err = failing.Get(t.Context(), "a", 0, -1)
	require.ErrorContains(t, err, "down")
}
