// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package custodian_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/gateway/internal/custodian"
	"github.com/emrys-health/emrys/pkg/blob"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

func both() []emr.OrgID { return []emr.OrgID{other, own} }

func TestAnOrderIsCarriedOutAndToldOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t, "a", "b", "kept")
	b.ledger.erase("one", both(), "a", "b")
	b.rounds(t, 3)
	require.True(t, b.ledger.stands("one"))
	require.False(t, b.store.has("a") || b.store.has("b"))
	require.True(t, b.store.has("kept"))
	require.Subset(t, b.keeper.forgotten, []string{"a", "b"})
	require.NotContains(t, b.keeper.forgotten, "kept")
	require.Len(t, b.ledger.told, 1)
	require.Equal(t, everything("a", "b"), b.ledger.told[0].Destroyed)
	require.Empty(t, b.ledger.told[0].Failed)
}

func TestOrdersOnSeveralPagesAreCarriedOutAllAndOfForeignOnesNone(t *testing.T) {
	t.Parallel()
	b := newBench(t, "foreign")
	b.ledger.pageSize = 2
	b.ledger.erase("foreign", []emr.OrgID{other}, "elsewhere")
	for n := range 7 {
		cid := fmt.Sprint("cid", n)
		b.store.pins[cid], b.store.blocks[cid] = true, true
		b.ledger.erase(emr.ErasureID(cid), both(), cid)
	}
	b.rounds(t, 1)
	require.Len(t, b.ledger.told, 7)
	require.Equal(t, emr.ErasureID("cid0"), b.ledger.told[0].Erasure, "the oldest first")
	require.Equal(t, map[string]bool{"foreign": true}, b.store.pins)
}

func TestWhatNeverWasHereIsConfirmed(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.ledger.erase("one", both(), "never here")
	b.rounds(t, 1)
	require.True(t, b.ledger.stands("one"))

	t.Run("also by an organisation that keeps no content", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		b.ledger.erase("one", both(), "never here")
		b.Custodian = custodian.New(b.settings(), b.ledger, b.source, nil)
		b.rounds(t, 2)
		require.True(t, b.ledger.stands("one"))
		require.Len(t, b.ledger.told, 1)
	})
}

func TestAStoreThatIsDownIsToldWhenItStaysDownAndMadeGoodAfterwards(t *testing.T) {
	t.Parallel()
	b := newBench(t, "a")
	b.ledger.erase("one", both(), "a")
	b.store.down = fmt.Errorf("dial: %w", blob.ErrUnavailable)
	b.rounds(t, 2)
	require.Empty(t, b.ledger.told, "it may be back in a moment")
	b.rounds(t, 20)
	require.Len(t, b.ledger.told, 1, "what was told is not told again and again")
	require.Equal(t, []emr.Undestroyed{{Record: record("a"), Thing: emr.ThingContent, Cause: emr.CauseUnavailable}}, b.ledger.told[0].Failed)
	require.Equal(t, []emr.ErasureThing{emr.ThingCache, emr.ThingFragments}, b.ledger.told[0].Destroyed[0].Things)
	require.False(t, b.ledger.stands("one"))
	b.store.down = nil
	b.rounds(t, 2)
	require.True(t, b.ledger.stands("one"))
	require.False(t, b.store.has("a"))
	require.Equal(t, []emr.ErasureThing{emr.ThingContent}, b.ledger.told[1].Destroyed[0].Things)
}

func TestAStoreThatBreaksDownInTheMiddleIsAskedAgain(t *testing.T) {
	t.Parallel()
	b := newBench(t, "a", "b")
	b.ledger.erase("one", both(), "a", "b")
	b.store.erased = func(cid string) error {
		if cid == "b" {
			b.store.erased = nil
			b.store.blocks["b"] = true // unpinned, and its blocks are left
			return blob.ErrUnavailable
		}
		return nil
	}
	b.rounds(t, 1)
	require.Empty(t, b.ledger.told)
	require.True(t, b.store.has("b"))
	b.rounds(t, 1)
	require.False(t, b.store.has("b"))
	require.Equal(t, everything("a", "b"), b.ledger.told[0].Destroyed)
	require.True(t, b.ledger.stands("one"))
}

func TestWhatIsStillThereIsNeverConfirmed(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		spoil func(*bench)
		thing emr.ErasureThing
		cause emr.ErasureCause
	}{
		{"a store that says it is gone when it is not", func(b *bench) { b.store.lying = true }, emr.ThingContent, emr.CauseOther},
		{"a block that other content is made of", func(b *bench) { b.store.shared["a"] = true }, emr.ThingContent, emr.CauseDuty},
		{
			"a damaged block", func(b *bench) { b.store.erased = func(string) error { return blob.ErrCorrupt } },
			emr.ThingContent, emr.CauseUnreadable,
		},
		{
			"a store that does not answer in time", func(b *bench) { b.store.erased = func(string) error { return context.DeadlineExceeded } },
			emr.ThingContent, emr.CauseUnavailable,
		},
		{
			"a peer whose private data a backup brought back",
			func(b *bench) { b.ledger.manifest[record("a")] = ledgerapi.ManifestDiffers }, emr.ThingFragments, emr.CauseRestored,
		},
		{
			"a peer that still has the manifest",
			func(b *bench) { b.ledger.manifest[record("a")] = ledgerapi.ManifestMatches }, emr.ThingFragments, emr.CauseOther,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, "a")
			b.ledger.erase("one", both(), "a")
			tt.spoil(b)
			b.rounds(t, 10)
			require.False(t, b.ledger.stands("one"))
			require.Len(t, b.ledger.told, 1)
			require.Equal(t, []emr.Undestroyed{{Record: record("a"), Thing: tt.thing, Cause: tt.cause}}, b.ledger.told[0].Failed)
			require.NotContains(t, b.ledger.told[0].Destroyed[0].Things, tt.thing)
			b.store.lying, b.store.shared, b.store.erased = false, nil, nil
			delete(b.ledger.manifest, record("a"))
			b.rounds(t, 2)
			require.True(t, b.ledger.stands("one"))
		})
	}
}

func TestAGatewayThatCannotForgetConfirmsNothingOfIt(t *testing.T) {
	t.Parallel()
	b := newBench(t, "a")
	b.ledger.erase("one", both(), "a")
	b.keeper.fail = errors.New("the disk is full")
	b.rounds(t, 5)
	require.Zero(t, b.store.erases, "the pinner would pin it again")
	require.Len(t, b.ledger.told, 1)
	require.Len(t, b.ledger.told[0].Failed, 2)
	b.keeper.fail = nil
	b.rounds(t, 2)
	require.True(t, b.ledger.stands("one"))
}

func TestAContentThatALivingRecordStandsOnIsKept(t *testing.T) {
	t.Parallel()
	b := newBench(t, "shared", "alone")
	b.ledger.erase("one", both(), "shared", "alone")
	b.ledger.living["shared"] = true
	b.rounds(t, 5)
	require.True(t, b.store.has("shared"))
	require.False(t, b.store.has("alone"))
	require.NotContains(t, b.keeper.forgotten, "shared")
	require.Equal(t, []emr.Undestroyed{
		{Record: record("shared"), Thing: emr.ThingCache, Cause: emr.CauseDuty},
		{Record: record("shared"), Thing: emr.ThingContent, Cause: emr.CauseDuty},
	}, b.ledger.told[0].Failed)
	delete(b.ledger.living, "shared") // until that record ends, too
	b.rounds(t, 2)
	require.False(t, b.store.has("shared"))
	require.True(t, b.ledger.stands("one"))
}

func TestALedgerOutOfReachDestroysAndTellsNothingOfTheStore(t *testing.T) {
	t.Parallel()
	b := newBench(t, "a")
	b.ledger.erase("one", both(), "a")
	b.ledger.down = emr.E(emr.CodeUnavailable, "down")
	b.rounds(t, 4)
	require.True(t, b.store.has("a"))
	b.ledger.down = nil
	for _, function := range []string{
		ledgerapi.GetErasure, ledgerapi.IsErased, ledgerapi.CheckIntegrity, ledgerapi.ConfirmErasure,
	} {
		b.ledger.refuse[function] = emr.E(emr.CodeTimeout, "late")
		b.rounds(t, 5)
		for _, args := range b.ledger.told {
			require.Empty(t, args.Failed, "the store has not failed")
		}
		require.False(t, b.ledger.stands("one"), function)
		delete(b.ledger.refuse, function)
	}
	b.rounds(t, 2)
	require.True(t, b.ledger.stands("one"))
	require.False(t, b.store.has("a"))
}

func TestAnUnknownOutcomeIsLookedUpBeforeAnythingIsSentAgain(t *testing.T) {
	t.Parallel()
	for name, committed := range map[string]bool{"that was committed": true, "that was not": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, "a")
			b.ledger.erase("one", both(), "a")
			b.ledger.lost, b.ledger.gone = committed, !committed
			b.rounds(t, 1)
			require.Equal(t, committed, b.ledger.stands("one"))
			b.rounds(t, 3)
			require.True(t, b.ledger.stands("one"))
			require.Len(t, b.ledger.told, 1)
		})
	}
}

func TestARestartedCustodianFinishesWhatACrashCutShort(t *testing.T) {
	t.Parallel()
	b := newBench(t, "a")
	b.ledger.erase("one", both(), "a")
	ctx, crash := context.WithCancel(t.Context())
	b.store.erased = func(string) error { crash(); return ctx.Err() } // destroyed, and not told
	b.Round(ctx)
	require.False(t, b.store.has("a"))
	require.Empty(t, b.ledger.told)
	b.store.erased = nil
	b.restart()
	b.rounds(t, 1)
	require.True(t, b.ledger.stands("one"))
	require.Equal(t, everything("a"), b.ledger.told[0].Destroyed)
	b.restart()
	b.rounds(t, 2)
	require.Len(t, b.ledger.told, 1)
}

func TestOneOrderThatFailsDoesNotHoldUpTheOthers(t *testing.T) {
	t.Parallel()
	b := newBench(t, "bad", "good")
	b.ledger.erase("bad", both(), "bad")
	b.ledger.erase("good", both(), "good")
	b.store.shared["bad"] = true
	b.rounds(t, 1)
	require.True(t, b.ledger.stands("good"))
	require.False(t, b.ledger.stands("bad"))
}

func TestPausesAfterFailuresGrowAndAreBounded(t *testing.T) {
	t.Parallel()
	b := newBench(t, "a")
	b.ledger.erase("one", both(), "a")
	b.store.shared["a"] = true
	b.every = 24 * time.Hour
	b.restart()
	var last time.Duration
	for n := range 12 {
		wait := b.Round(t.Context())
		require.GreaterOrEqual(t, wait, last, n)
		require.LessOrEqual(t, wait, 5*time.Minute)
		b.now, last = b.now.Add(wait), wait
	}
	require.Equal(t, 5*time.Minute, last)
	erases := b.store.erases
	b.Round(t.Context())
	b.Round(t.Context()) // woken, and nothing is due
	require.Equal(t, erases+1, b.store.erases)
}

func TestTheRecordsHospitalHasTheRestNamedAndPurged(t *testing.T) {
	t.Parallel()
	b := newBench(t, "a", "later")
	b.ledger.erase("one", both(), "a")
	b.ledger.views["one"].Erasure.Hospital = own
	b.ledger.views["one"].Erasure.Next = "later"
	b.ledger.grants = []emr.GrantID{"g1", "g2", "g3", "g4", "g5"}
	b.ledger.most = 2
	b.rounds(t, 3)
	require.True(t, b.ledger.stands("one"))
	require.False(t, b.store.has("later"), "the second part, too")
	require.Empty(t, b.ledger.grants)
	var ended []emr.GrantID
	for _, args := range b.ledger.purged {
		ended = append(ended, args.Grants...)
	}
	require.ElementsMatch(t, []emr.GrantID{"g1", "g2", "g3", "g4", "g5"}, ended)

	t.Run("what was said about the record, too, page by page and once", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, "a")
		b.ledger.erase("one", both(), "a")
		b.ledger.views["one"].Erasure.Hospital = own
		all := []emr.AmendmentID{"a1", "a2", "a3", "a4", "a5"}
		b.ledger.said = slices.Clone(all)
		b.rounds(t, 3)
		require.True(t, b.ledger.stands("one"))
		require.Empty(t, b.ledger.said)
		var ended []emr.AmendmentID
		for _, args := range b.ledger.purged {
			require.NotNil(t, args.Grants)
			require.NotNil(t, args.Requests)
			ended = append(ended, args.Amendments...)
		}
		require.Equal(t, all, ended)
	})

	t.Run("with more grants than one transaction ends, too", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, "a")
		b.ledger.erase("one", both(), "a")
		b.ledger.views["one"].Erasure.Hospital = own
		b.ledger.grants, b.ledger.most = []emr.GrantID{"g1", "g2", "g3"}, 1
		b.ledger.said = []emr.AmendmentID{"a1"}
		b.rounds(t, 3)
		require.True(t, b.ledger.stands("one"))
		require.Empty(t, b.ledger.said)
		require.Empty(t, b.ledger.grants)
		for i, args := range b.ledger.purged {
			require.NotNil(t, args.Amendments)
			require.Equal(t, i == 0, len(args.Amendments) == 1, "named once")
		}
	})

	t.Run("and tells of no fragments before", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, "a")
		b.ledger.erase("one", both(), "a")
		b.ledger.views["one"].Erasure.Hospital = own
		b.ledger.grants = []emr.GrantID{"g"}
		b.ledger.refuse[ledgerapi.ContinueErasure] = emr.E(emr.CodeUnavailable, "down")
		b.rounds(t, 5)
		require.Len(t, b.ledger.told, 1)
		require.Equal(t, []emr.ErasureThing{emr.ThingCache, emr.ThingContent}, b.ledger.told[0].Destroyed[0].Things)
		require.Empty(t, b.ledger.told[0].Failed)
		delete(b.ledger.refuse, ledgerapi.ContinueErasure)
		b.rounds(t, 2)
		require.True(t, b.ledger.stands("one"))
	})
}

func TestAnotherHolderContinuesAnOrderOnlyWhenItsHospitalDoesNot(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.ledger.erase("one", both(), "a")
	b.ledger.views["one"].Erasure.Next = "later"
	b.rounds(t, 1)
	require.Empty(t, b.ledger.purged)
	b.now = start.Std().Add(16 * time.Minute)
	b.rounds(t, 2)
	require.Len(t, b.ledger.purged, 1)
	require.True(t, b.ledger.stands("one"))
}

func TestAnEventHasItsOwnOrderAloneLookedAt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "a")
		defer b.running(t)()
		lists := b.ledger.asked[ledgerapi.ListErasures]
		require.Equal(t, 1, lists)
		b.ledger.erase("one", both(), "a")
		b.source.events <- event(1, ledgerapi.EventErasureOrdered, "one")
		synctest.Wait()
		require.True(t, b.ledger.stands("one"))
		require.Equal(t, lists, b.ledger.asked[ledgerapi.ListErasures])
	})
}
