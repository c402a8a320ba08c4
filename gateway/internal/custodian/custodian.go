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
	tasks   []*task // orders to attend to
	pins    failure // of the comparison of all pins
	listing failure // of what is owed
}

// task is an order to attend to.
type task struct {
	failure
	id emr.ErasureID
}

// failure is how often something has failed in a row and when it is due again.
type failure struct {
	times int
	next  time.Time
}

// New makes a custodian. content is nil where the organisation keeps no content.
func New(settings Settings, ledger Ledger, source Source, content Content, keepers ...Keeper) *Custodian {
	return &Custodian{
		Settings: settings, ledger: ledger, source: source, content: content, keepers: keepers,
		woken: make(chan struct{}, 1), noted: make(map[emr.ErasureID]bool),
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

// Round does what is due and returns for how long nothing will be. Only the list of
// what is owed tells of every order; it grows with the orders there ever were, so
// that an event has its own order alone looked at.
func (c *Custodian) Round(ctx context.Context) time.Duration {
	if c.content != nil && c.due(&c.pins) {
		c.finish(ctx, &c.pins, "pins are not compared with the ledger", inspectEvery, c.compare(ctx))
	}
	if c.due(&c.listing) {
		owed, err := c.owed(ctx)
		c.finish(ctx, &c.listing, "orders to destroy are not known", c.Every, err)
		c.add(owed...)
	}
	c.add(c.take()...)
	wait := c.until(c.until(c.Every, &c.pins), &c.listing)
	for _, t := range c.tasks {
		if ctx.Err() == nil && c.due(&t.failure) {
			err := c.attend(ctx, t.id, t.times+1 >= tellAfter)
			c.finish(ctx, &t.failure, "an order to destroy is not carried out yet", 0, err)
		}
		if t.times > 0 {
			wait = c.until(wait, &t.failure)
		}
	}
	c.tasks = slices.DeleteFunc(c.tasks, func(t *task) bool { return t.times == 0 && !t.next.IsZero() })
	return wait
}

// add puts orders on the list of tasks, each once.
func (c *Custodian) add(ids ...emr.ErasureID) {
	known := make(map[emr.ErasureID]bool, len(c.tasks))
	for _, t := range c.tasks {
		known[t.id] = true
	}
	for _, id := range ids {
		if !known[id] {
			known[id] = true
			c.tasks = append(c.tasks, &task{id: id})
		}
	}
}

func (c *Custodian) due(f *failure) bool { return !c.Now().Before(f.next) }

// until returns the shorter of a pause and the time until something is due.
func (c *Custodian) until(pause time.Duration, f *failure) time.Duration {
	if f.next.IsZero() {
		return pause // never done: there is no content
	}
	return min(pause, max(f.next.Sub(c.Now()), 0))
}

// finish notes how something ended, and says so when it failed. What has succeeded
// is due again after a while.
func (c *Custodian) finish(ctx context.Context, f *failure, what string, again time.Duration, err error) {
	if err == nil {
		*f = failure{next: c.Now().Add(again)}
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
