// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

// Package sealer puts what the own organisation's people have read, asked for and
// registered under seals, from time to time, so that each entry can be proven
// alone and none can be left out of a list unseen (docs/spec/audit.md).
package sealer

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// Ledger is the contract as the sealer needs it.
type Ledger interface {
	Query(ctx context.Context, function string, argument, result any) error
	// Order commits a transaction of the own organisation.
	Order(ctx context.Context, function string, argument, result any) error
}

// Settings of a sealer.
type Settings struct {
	Organisation emr.OrgID
	// Every is the time between rounds.
	Every time.Duration
	Now   func() time.Time
	Log   *slog.Logger
}

// overlap is how far a round goes back behind the one before it. An entry bears
// its transaction's time, which may be older than its commit by as much as the
// peers' window and the time until a transaction whose outcome was long unknown is in.
const overlap = time.Hour

// Sealer seals. Use it from one goroutine.
type Sealer struct {
	Settings
	ledger Ledger
	// from is the time before which nothing can be left to seal; 0 before the first whole round.
	from emr.Time
}

// New makes a sealer.
func New(settings Settings, ledger Ledger) *Sealer {
	return &Sealer{Settings: settings, ledger: ledger}
}

// Run seals at once and then every so often, until ctx ends. What a round could
// not do is the next one's: nothing is remembered that the ledger does not tell.
func (s *Sealer) Run(ctx context.Context) {
	ticker := time.NewTicker(s.Every)
	defer ticker.Stop()
	for {
		switch sealed, err := s.Seal(ctx); {
		case ctx.Err() != nil:
			return
		case err != nil:
			s.Log.WarnContext(ctx, "readings are not all sealed", slog.Int("sealed", sealed), slog.Any("err", err))
		case sealed > 0:
			s.Log.InfoContext(ctx, "readings are sealed", slog.Int("sealed", sealed))
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// Seal does one round: every entry that is under no seal goes under one, in
// constant memory. It returns how many did.
func (s *Sealer) Seal(ctx context.Context) (sealed int, err error) {
	began := emr.TimeOf(s.Now())
	query := ledgerapi.UnsealedQuery{Org: s.Organisation, From: s.from, Limit: ledgerapi.MaxPageSize}
	var names []ledgerapi.EntryName
	for {
		var page ledgerapi.UnsealedPage
		if err := s.ledger.Query(ctx, ledgerapi.ListUnsealed, query, &page); err != nil {
			return sealed, fmt.Errorf("list entries: %w", err)
		}
		for _, entry := range page.Items {
			names = append(names, entry.Name)
			if len(names) < ledgerapi.MaxSealed {
				continue
			}
			if err := s.put(ctx, names); err != nil {
				return sealed, err
			}
			sealed, names = sealed+len(names), names[:0]
		}
		if page.Bookmark == "" {
			break
		}
		query.Bookmark = page.Bookmark
	}
	if len(names) > 0 {
		if err := s.put(ctx, names); err != nil {
			return sealed, err
		}
	}
	s.from = max(s.from, began.Add(-overlap))
	return sealed + len(names), nil
}

func (s *Sealer) put(ctx context.Context, names []ledgerapi.EntryName) error {
	var receipt ledgerapi.Receipt
	args := ledgerapi.SealReadingsArgs{Entries: names}
	if err := s.ledger.Order(ctx, ledgerapi.SealReadings, args, &receipt); err != nil {
		return fmt.Errorf("seal entries: %w", err)
	}
	return nil
}
