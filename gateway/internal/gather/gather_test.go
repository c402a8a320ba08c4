// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package gather_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/gateway/internal/gather"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// flights is as many transactions as are under way before readings are gathered.
const flights = 4

// ledger holds every transaction back until it is told to let one go. batch
// answers a batch; without it every part commits.
type ledger struct {
	gate  chan struct{}
	batch func([]*emr.SignedAction) (*ledgerapi.BatchReceipt, error)

	mu      sync.Mutex
	singles int
	batches []int // their sizes
}

func newLedger() *ledger { return &ledger{gate: make(chan struct{})} }

func (l *ledger) Submit(ctx context.Context, _ string, signed *emr.SignedAction, result any) error {
	l.mu.Lock()
	l.singles++
	l.mu.Unlock()
	select {
	case <-l.gate:
	case <-ctx.Done():
		return ctx.Err()
	}
	if receipt, ok := result.(*ledgerapi.DecisionReceipt); ok {
		*receipt = ledgerapi.DecisionReceipt{TxID: "single", ID: string(signed.Signature)}
	}
	return nil
}

func (l *ledger) SubmitBatch(_ context.Context, signed []*emr.SignedAction) (*ledgerapi.BatchReceipt, error) {
	l.mu.Lock()
	l.batches = append(l.batches, len(signed))
	l.mu.Unlock()
	<-l.gate
	if l.batch != nil {
		return l.batch(signed)
	}
	return whole(signed), nil
}

// whole is the answer to a batch of which every part has committed.
func whole(signed []*emr.SignedAction) *ledgerapi.BatchReceipt {
	answer := &ledgerapi.BatchReceipt{TxID: "batch"}
	for _, s := range signed {
		answer.Outcomes = append(answer.Outcomes, ledgerapi.BatchOutcome{
			Action: s.Digest(), Receipt: ledgerapi.DecisionReceipt{ID: string(s.Signature)},
		})
	}
	return answer
}

// reading is a signed action by an actor. Its name stands where its signature would.
func reading(t testing.TB, actor, name string) *emr.SignedAction {
	t.Helper()
	nonce := sha256.Sum256([]byte(name))
	body, err := emr.Canonical(emr.Action{
		V: emr.DocumentVersion, Channel: "channel", Contract: "emrys", Function: ledgerapi.Disclose, Actor: actor,
		Nonce: nonce[:16], Issued: 1, Expires: 2, Args: []byte("{}"),
	})
	require.NoError(t, err)
	signed := &emr.SignedAction{Kind: emr.SignatureP256, Body: body, Signature: []byte(name)}
	_, err = signed.Parse()
	require.NoError(t, err)
	return signed
}

func clinician(t testing.TB, name string) *emr.SignedAction { return reading(t, "clinician", name) }

// told is what one caller was told.
type told struct {
	receipt ledgerapi.DecisionReceipt
	err     error
}

// begin has a caller begin a reading, and returns when nothing moves any more.
func begin(ctx context.Context, g *gather.Gatherer, signed *emr.SignedAction) <-chan told {
	done := make(chan told, 1)
	go func() {
		var answer told
		answer.err = g.Submit(ctx, ledgerapi.Disclose, signed, &answer.receipt)
		done <- answer
	}()
	synctest.Wait()
	return done
}

// fill takes every flight.
func fill(t *testing.T, g *gather.Gatherer) []<-chan told {
	t.Helper()
	var callers []<-chan told
	for i := range flights {
		callers = append(callers, begin(t.Context(), g, clinician(t, fmt.Sprint("first ", i))))
	}
	return callers
}

func TestNobodyWaitsWhileThereIsLittleToDo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLedger()
		callers := fill(t, gather.New(l))
		require.Equal(t, flights, l.singles, "all are under way at once")
		close(l.gate)
		for i, c := range callers {
			answer := <-c
			require.NoError(t, answer.err)
			require.Equal(t, fmt.Sprint("first ", i), answer.receipt.ID)
		}
		require.Empty(t, l.batches)
	})
}

func TestReadingsThatWaitGoTogetherAndEachLearnsItsOwnOutcome(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLedger()
		refused := emr.Refused(emr.ReasonRevoked, "revoked")
		l.batch = func(signed []*emr.SignedAction) (*ledgerapi.BatchReceipt, error) {
			answer := whole(signed)
			answer.Outcomes[1] = ledgerapi.BatchOutcome{
				Action: signed[1].Digest(), Code: refused.Code, Reason: refused.Reason, Message: refused.Message, Field: "f", SpentBy: "before",
			}
			return answer, nil
		}
		g := gather.New(l)
		first := fill(t, g)
		var later []<-chan told
		for i := range 3 {
			later = append(later, begin(t.Context(), g, clinician(t, fmt.Sprint("later ", i))))
		}
		require.Equal(t, flights, l.singles)
		l.gate <- struct{}{} // one lands
		synctest.Wait()
		require.Equal(t, []int{3}, l.batches)
		close(l.gate)
		for _, c := range first {
			require.NoError(t, (<-c).err)
		}
		answer := <-later[0]
		require.NoError(t, answer.err)
		require.Equal(t, "later 0", answer.receipt.ID)
		answer = <-later[1]
		var shown *emr.Error
		require.ErrorAs(t, answer.err, &shown)
		require.Equal(t, emr.CodeRule, shown.Code)
		require.Equal(t, emr.ReasonRevoked, shown.Reason)
		require.Equal(t, "before", shown.TxID)
		require.Equal(t, "f", shown.Field)
		require.Zero(t, answer.receipt)
		require.Equal(t, "later 2", (<-later[2]).receipt.ID)
		require.Equal(t, flights, l.singles)
	})
}

func TestABatchIsNoLargerThanTheContractTakes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLedger()
		g := gather.New(l)
		callers := fill(t, g)
		for i := range ledgerapi.MaxBatch + 1 {
			callers = append(callers, begin(t.Context(), g, clinician(t, fmt.Sprint("later ", i))))
		}
		l.gate <- struct{}{}
		l.gate <- struct{}{}
		synctest.Wait()
		require.Equal(t, []int{ledgerapi.MaxBatch}, l.batches)
		require.Equal(t, flights+1, l.singles, "the last one goes by itself")
		close(l.gate)
		for _, c := range callers {
			require.NoError(t, (<-c).err)
		}
		_ = fill(t, g)
		synctest.Wait()
		require.Equal(t, 2*flights+1, l.singles, "every flight is free again")
	})
}

func TestAnActionGoesOnceInATransaction(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLedger()
		g := gather.New(l)
		callers := fill(t, g)
		for range 2 {
			callers = append(callers, begin(t.Context(), g, clinician(t, "the same")))
		}
		callers = append(callers, begin(t.Context(), g, clinician(t, "another")))
		l.gate <- struct{}{}
		synctest.Wait()
		require.Equal(t, []int{2}, l.batches)
		close(l.gate)
		for _, c := range callers {
			require.NoError(t, (<-c).err)
		}
		require.Equal(t, flights+1, l.singles, "the copy by itself, which the ledger answers")
	})
}

func TestWhoHangsUpBeforeTheReadingIsSentIsNotRead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLedger()
		g := gather.New(l)
		_ = fill(t, g)
		ctx, hangUp := context.WithCancel(t.Context())
		caller := begin(ctx, g, clinician(t, "gone"))
		stays := begin(t.Context(), g, clinician(t, "stays"))
		hangUp()
		require.ErrorIs(t, (<-caller).err, context.Canceled)
		close(l.gate)
		require.Equal(t, "stays", (<-stays).receipt.ID)
		require.Empty(t, l.batches)
		require.Equal(t, flights+1, l.singles)
	})
}

func TestWhoHangsUpAfterwardsLearnsTheOutcome(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLedger()
		g := gather.New(l)
		_ = fill(t, g)
		ctx, hangUp := context.WithCancel(t.Context())
		caller := begin(ctx, g, clinician(t, "sent"))
		other := begin(t.Context(), g, clinician(t, "other"))
		l.gate <- struct{}{}
		synctest.Wait()
		require.Equal(t, []int{2}, l.batches)
		hangUp()
		synctest.Wait()
		close(l.gate)
		answer := <-caller
		require.NoError(t, answer.err)
		require.Equal(t, "sent", answer.receipt.ID)
		require.NoError(t, (<-other).err)
	})
}

func TestABatchThatFails(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		err     error
		answer  func([]*emr.SignedAction) *ledgerapi.BatchReceipt
		code    emr.Code
		singles int
	}{
		{"has been stopped: each goes by itself", emr.E(emr.CodeUnsupported, "stopped"), nil, "", 2},
		{"was refused as such: each goes by itself", emr.E(emr.CodeTooLarge, "too large"), nil, "", 2},
		{"has an unknown outcome, and so has each", &emr.Error{Code: emr.CodeUnknownOutcome, TxID: "sent"}, nil, emr.CodeUnknownOutcome, 0},
		{"lost every race, and so did each", &emr.Error{Code: emr.CodeConflict, TxID: "sent"}, nil, emr.CodeConflict, 0},
		{"found no peers, and neither did any", emr.E(emr.CodeUnavailable, "down"), nil, emr.CodeUnavailable, 0},
		{"broke in a way of its own", errors.New("broke"), nil, emr.CodeInternal, 0},
		{"tells too few outcomes", nil, func([]*emr.SignedAction) *ledgerapi.BatchReceipt {
			return &ledgerapi.BatchReceipt{TxID: "sent"}
		}, emr.CodeUnknownOutcome, 0},
		{"tells the outcomes of others", nil, func(signed []*emr.SignedAction) *ledgerapi.BatchReceipt {
			answer := whole(signed)
			answer.TxID = "sent"
			answer.Outcomes[0], answer.Outcomes[1] = answer.Outcomes[1], answer.Outcomes[0]
			return answer
		}, emr.CodeUnknownOutcome, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := newLedger()
				l.batch = func(signed []*emr.SignedAction) (*ledgerapi.BatchReceipt, error) {
					if tt.answer != nil {
						return tt.answer(signed), nil
					}
					return nil, tt.err
				}
				g := gather.New(l)
				_ = fill(t, g)
				callers := []<-chan told{begin(t.Context(), g, clinician(t, "a")), begin(t.Context(), g, clinician(t, "b"))}
				close(l.gate)
				for _, c := range callers {
					answer := <-c
					if tt.code == "" {
						require.NoError(t, answer.err)
						require.Equal(t, "single", answer.receipt.TxID)
						continue
					}
					require.Equal(t, tt.code, emr.CodeOf(answer.err))
					if tt.code == emr.CodeUnknownOutcome {
						require.Equal(t, "sent", emr.Public(answer.err).TxID)
					}
				}
				require.Equal(t, flights+tt.singles, l.singles)
			})
		})
	}
}

func TestWhatIsNoCliniciansReadingIsNotGathered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLedger()
		g := gather.New(l)
		_ = fill(t, g)
		_ = begin(t.Context(), g, reading(t, emr.HandlePrefix+"patient", "own"))
		_ = begin(t.Context(), g, reading(t, "clinician"+strings.Repeat("x", ledgerapi.MaxBatchedAction), "long"))
		_ = begin(t.Context(), g, &emr.SignedAction{Body: []byte("no action")})
		go func() {
			_ = g.Submit(t.Context(), ledgerapi.RequestAccess, clinician(t, "asks"), &ledgerapi.DecisionReceipt{})
		}()
		synctest.Wait()
		require.Equal(t, flights+4, l.singles)
		close(l.gate)
		synctest.Wait()
		require.Empty(t, l.batches)
	})
}
