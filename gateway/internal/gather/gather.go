// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

// Package gather commits readings that begin at the same time together. What a
// transaction costs is the signatures of organisations and the ordering, hardly
// the readings in it: while some transactions are under way, the readings that
// arrive wait for one of them to land, and then go as one. Nobody waits while
// the gateway has little to do.
package gather

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// Ledger is what the readings are committed to.
type Ledger interface {
	// Submit commits one signed action and decodes its result.
	Submit(ctx context.Context, function string, signed *emr.SignedAction, result any) error
	// SubmitBatch commits signed Disclose actions of the own clinicians in one
	// transaction, with one outcome for each, in their order. An error is the
	// transaction's as a whole.
	SubmitBatch(ctx context.Context, signed []*emr.SignedAction) (*ledgerapi.BatchReceipt, error)
}

// flights is how many transactions of readings are under way before further
// readings are gathered. Each takes about a block's time.
const flights = 4

// Gatherer submits, gathering readings. It is safe for concurrent use.
type Gatherer struct {
	ledger Ledger

	mu      sync.Mutex
	flying  int
	waiting []*part // empty unless all flights are under way
}

// part is one reading that waits for a flight.
type part struct {
	signed *emr.SignedAction
	digest emr.Digest
	// done receives the outcome once.
	done chan outcome
}

type outcome struct {
	receipt *ledgerapi.DecisionReceipt
	err     error
}

// New makes a gatherer.
func New(ledger Ledger) *Gatherer { return &Gatherer{ledger: ledger} }

// Submit is the ledger's. A clinician's reading may go in one transaction with
// others': the result is the same. When ctx ends before the reading is sent,
// it is not sent; afterwards its outcome is waited for.
func (g *Gatherer) Submit(ctx context.Context, function string, signed *emr.SignedAction, result any) error {
	receipt, ok := result.(*ledgerapi.DecisionReceipt)
	if !ok || function != ledgerapi.Disclose || !fits(signed) {
		return g.ledger.Submit(ctx, function, signed, result)
	}
	p := g.board(signed)
	if p == nil {
		defer g.land()
		return g.ledger.Submit(ctx, function, signed, result)
	}
	var got outcome
	select {
	case got = <-p.done:
	case <-ctx.Done():
		if g.leave(p) {
			return emr.Wrap(emr.CodeTimeout, "the reading waited for others and was not sent; nothing is committed", context.Cause(ctx))
		}
		got = <-p.done // it has been sent
	}
	if got.err == nil {
		*receipt = *got.receipt
	}
	return got.err
}

// fits tells whether an action may be part of a batch: a clinician's, of the size that the contract takes.
func fits(signed *emr.SignedAction) bool {
	action, err := signed.Parse()
	if err != nil || strings.HasPrefix(action.Actor, emr.HandlePrefix) {
		return false
	}
	text, err := emr.Canonical(signed)
	return err == nil && len(text) <= ledgerapi.MaxBatchedAction
}

// board takes a free flight, and returns nil, or a place among those who wait for one.
func (g *Gatherer) board(signed *emr.SignedAction) *part {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.flying < flights {
		g.flying++
		return nil
	}
	p := &part{signed: signed, digest: signed.Digest(), done: make(chan outcome, 1)}
	g.waiting = append(g.waiting, p)
	return p
}

// leave gives a place up, unless the part has been sent.
func (g *Gatherer) leave(p *part) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	at := slices.Index(g.waiting, p)
	if at >= 0 {
		g.waiting = slices.Delete(g.waiting, at, at+1)
	}
	return at >= 0
}

// land ends a flight: those who wait take it.
func (g *Gatherer) land() {
	if parts := g.take(); len(parts) > 0 {
		go func() {
			defer g.land()
			g.fly(parts)
		}()
	}
}

// take returns who goes with the next transaction, or nobody, and then there is
// one flight less. An action goes once in a transaction: its copy waits for
// another, and is told that it is spent.
func (g *Gatherer) take() []*part {
	g.mu.Lock()
	defer g.mu.Unlock()
	aboard := make(map[emr.Digest]bool, ledgerapi.MaxBatch)
	var parts, left []*part
	for _, p := range g.waiting {
		if len(parts) == ledgerapi.MaxBatch || aboard[p.digest] {
			left = append(left, p)
			continue
		}
		aboard[p.digest] = true
		parts = append(parts, p)
	}
	g.waiting = left
	if len(parts) == 0 {
		g.flying--
	}
	return parts
}

// fly commits the parts and tells each its outcome.
func (g *Gatherer) fly(parts []*part) {
	ctx := context.Background() // nobody's hanging up ends what is others', too; the ledger bounds each step
	if len(parts) == 1 {
		g.single(ctx, parts[0])
		return
	}
	signed := make([]*emr.SignedAction, len(parts))
	for i, p := range parts {
		signed[i] = p.signed
	}
	answer, err := g.ledger.SubmitBatch(ctx, signed)
	switch {
	case err != nil && apart(err):
		var group sync.WaitGroup
		for _, p := range parts {
			group.Go(func() { g.single(ctx, p) })
		}
		group.Wait()
	case err != nil:
		for _, p := range parts {
			p.done <- outcome{err: err}
		}
	default:
		deal(parts, answer)
	}
}

// apart tells whether the contract refused the batch as such, with nothing
// written: its parts may still succeed one by one.
func apart(err error) bool {
	switch emr.CodeOf(err) {
	case emr.CodeUnsupported, emr.CodeInvalid, emr.CodeTooLarge:
		return true
	default:
		return false
	}
}

func (g *Gatherer) single(ctx context.Context, p *part) {
	var receipt ledgerapi.DecisionReceipt
	err := g.ledger.Submit(ctx, ledgerapi.Disclose, p.signed, &receipt)
	p.done <- outcome{&receipt, err}
}

// deal gives each part its own outcome. One that is not there, or is another
// action's, is unknown: the transaction has been committed.
func deal(parts []*part, answer *ledgerapi.BatchReceipt) {
	for i, p := range parts {
		if i >= len(answer.Outcomes) || answer.Outcomes[i].Action != p.digest {
			p.done <- outcome{err: &emr.Error{
				Code: emr.CodeUnknownOutcome, TxID: answer.TxID,
				Message: "the reading was sent with others, but its outcome was not told; look it up before trying again",
				Err:     fmt.Errorf("%d outcomes for %d readings", len(answer.Outcomes), len(parts)),
			}}
			continue
		}
		p.done <- outcomeOf(answer, i)
	}
}

func outcomeOf(answer *ledgerapi.BatchReceipt, i int) outcome {
	o := &answer.Outcomes[i]
	if o.Code == "" {
		return outcome{receipt: answer.Of(i)}
	}
	return outcome{err: &emr.Error{Code: o.Code, Message: o.Message, Field: o.Field, Reason: o.Reason, TxID: o.SpentBy}}
}
