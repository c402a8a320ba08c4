// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

// Package custodian carries out what the ledger orders the own organisation to
// destroy, and tells the ledger what was destroyed and what could not be
// (docs/spec/erasure.md, E4). It decides nothing, and says of nothing that it is
// gone before it has looked.
package custodian

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/emrys-health/emrys/gateway/internal/pin"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// Ledger is the contract as the custodian needs it.
type Ledger interface {
	Query(ctx context.Context, function string, argument, result any) error
	// Order commits a transaction of the own organisation.
	Order(ctx context.Context, function string, argument, result any) error
}

// Source is the stream of events.
type Source interface {
	Events(ctx context.Context, log *slog.Logger, from pin.Place, handle func(pin.Event) error) error
}

// Content is the own content store.
type Content interface {
	// Erase removes the pin and every block that nothing else stands on. It fails with
	// blob.ErrShared when something else does stand on the first.
	Erase(ctx context.Context, cid string) error
	// Holds tells whether the first block is there. It never asks the swarm.
	Holds(ctx context.Context, cid string) (bool, error)
	// EachPin calls visit for everything that is pinned until it fails.
	EachPin(ctx context.Context, visit func(cid string) error) error
}

// Keeper is a part of the gateway that keeps something of contents, or is about to:
// the pinner, the uploads, the streams to readers. Forget ends that for good, and
// can be repeated.
type Keeper interface {
	Forget(ctx context.Context, cid string) error
}

// Settings of a custodian.
type Settings struct {
	Organisation emr.OrgID
	// Path is the file of how far events have been seen.
	Path string
	// Every is the time between rounds that nothing has caused; Timeout bounds the
	// work on one content; Retry is the first pause after something has failed.
	Every, Timeout, Retry time.Duration
	// Staged tells whether an upload of a content waits for its record; nil for never.
	Staged func(cid string) bool
	Now    func() time.Time
	Log    *slog.Logger
}

const (
	// longestRetry bounds the pause after failures.
	longestRetry = 5 * time.Minute
	// inspectEvery is the time between comparisons of all pins with the ledger.
	inspectEvery = 24 * time.Hour
	// tellAfter is how often in a row something must fail before the ledger is told:
	// a daemon that is being restarted is not worth two transactions.
	tellAfter = 3
	// standIn is how long other holders leave it to the record's hospital to continue an order.
	standIn = 15 * time.Minute
)

// Custodian carries out orders. Run it once.
type Custodian struct {
	Settings
	ledger  Ledger
	source  Source
	content Content // nil where the organisation keeps none
	keepers []Keeper
	woken   chan struct{}

	mu    sync.Mutex
	noted map[emr.ErasureID]bool // orders that events have told of

	// These belong to the goroutine of the rounds.
	orders  map[emr.ErasureID]*failure
	pins    failure // of the comparison of all pins
	listing failure
}

// failure is how often something has failed in a row and when it is tried again.
type failure struct {
	times int
	next  time.Time
}

// New makes a custodian. content is nil where the organisation keeps no content.
func New(settings Settings, ledger Ledger, source Source, content Content, keepers ...Keeper) *Custodian {
	return &Custodian{
		Settings: settings, ledger: ledger, source: source, content: content, keepers: keepers,
		woken: make(chan struct{}, 1), noted: make(map[emr.ErasureID]bool), orders: make(map[emr.ErasureID]*failure),
	}
}

// Run works until ctx ends: at once, when an order is committed, when something
// that failed is due again, and every so often besides. It remembers nothing of
// orders over a restart: the ledger tells what is owed, the store what is there.
func (c *Custodian) Run(ctx context.Context) {
	var followed sync.WaitGroup
	followed.Go(func() { c.follow(ctx) })
	for ctx.Err() == nil {
		timer := time.NewTimer(c.Round(ctx))
		select {
		case <-timer.C:
		case <-c.woken:
		case <-ctx.Done():
		}
		timer.Stop()
	}
	followed.Wait()
}

// Round does what is due and returns for how long nothing will be.
func (c *Custodian) Round(ctx context.Context) time.Duration {
	if c.content != nil && c.due(&c.pins) {
		c.finish(ctx, &c.pins, "pins are not compared with the ledger", c.compare(ctx))
		if c.pins.times == 0 {
			c.pins.next = c.Now().Add(inspectEvery)
		}
	}
	wait := c.until(c.Every, &c.pins)
	noted := c.take()
	owed, err := c.owed(ctx)
	c.finish(ctx, &c.listing, "orders to destroy are not known", err)
	if err != nil {
		for id := range noted {
			c.note(id)
		}
		return c.until(wait, &c.listing)
	}
	for _, id := range owed {
		delete(noted, id)
		failure := c.failureOf(id)
		wait = c.until(wait, c.attempt(ctx, failure, func() error { return c.carryOut(ctx, id, failure.times+1 >= tellAfter) }))
	}
	for id := range noted {
		failure := c.attempt(ctx, c.failureOf(id), func() error { return c.revisit(ctx, id) })
		if failure.times > 0 {
			c.note(id)
		}
		wait = c.until(wait, failure)
	}
	maps.DeleteFunc(c.orders, func(_ emr.ErasureID, f *failure) bool { return f.times == 0 })
	return wait
}

func (c *Custodian) failureOf(id emr.ErasureID) *failure {
	if c.orders[id] == nil {
		c.orders[id] = new(failure)
	}
	return c.orders[id]
}

// attempt does something, unless it has failed and is not due yet.
func (c *Custodian) attempt(ctx context.Context, f *failure, do func() error) *failure {
	if ctx.Err() == nil && c.due(f) {
		c.finish(ctx, f, "an order to destroy is not carried out yet", do())
	}
	return f
}

func (c *Custodian) due(f *failure) bool { return !c.Now().Before(f.next) }

// until returns the shorter of a pause and the time until something that failed is due.
func (c *Custodian) until(pause time.Duration, f *failure) time.Duration {
	if f.next.IsZero() {
		return pause
	}
	return min(pause, max(f.next.Sub(c.Now()), 0))
}

// finish notes how something ended, and says so when it failed.
func (c *Custodian) finish(ctx context.Context, f *failure, what string, err error) {
	if err == nil {
		*f = failure{}
		return
	}
	pause := min(c.Retry<<min(f.times, 16), longestRetry)
	f.times, f.next = f.times+1, c.Now().Add(pause)
	if ctx.Err() == nil {
		c.Log.WarnContext(ctx, what, slog.Any("err", err), slog.Int("times", f.times))
	}
}

// owed lists the orders of which the organisation still owes something, oldest first.
func (c *Custodian) owed(ctx context.Context) ([]emr.ErasureID, error) {
	query := ledgerapi.ErasuresQuery{Org: c.Organisation, Limit: ledgerapi.MaxPageSize}
	var orders []emr.ErasureID
	for {
		var page ledgerapi.ErasurePage
		if err := c.ledger.Query(ctx, ledgerapi.ListErasures, query, &page); err != nil {
			return nil, fmt.Errorf("list orders: %w", err)
		}
		for i := range page.Items {
			orders = append(orders, page.Items[i].ID)
		}
		if page.Bookmark == "" {
			slices.Reverse(orders)
			return orders, nil
		}
		query.Bookmark = page.Bookmark
	}
}
