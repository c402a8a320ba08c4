// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

// Package pin keeps records' content on enough hospitals: it follows the ledger's
// events and pins what this hospital is chosen for. It pins nothing that no
// record names, and nobody has to ask it to.
package pin

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/emrys-health/emrys/pkg/blob"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// Place is a place in the stream of events: after Transaction in Block.
type Place struct {
	Block       uint64 `json:"block"`
	Transaction string `json:"tx"`
}

// Event is one committed event. The embedded payload is set for
// ledgerapi.EventRecordRegistered, EventErasureOrdered and EventErasureContinued only.
type Event struct {
	Place
	Name string
	ledgerapi.Event
}

// Content is the content store as the pinner needs it.
type Content interface {
	Pin(ctx context.Context, cid string) error
	Pinned(ctx context.Context, cid string) (bool, error)
}

// Source is the stream of events.
type Source interface {
	Events(ctx context.Context, log *slog.Logger, from Place, handle func(Event) error) error
}

// Members lists the organisations of the consortium.
type Members func(ctx context.Context) ([]emr.Organisation, error)

// Erased asks the ledger whether what a content was registered with is to be
// destroyed. It fails as long as the ledger cannot tell, also when it knows no such record yet.
type Erased func(ctx context.Context, cid string) (bool, error)

// Settings of a pinner.
type Settings struct {
	Organisation emr.OrgID
	// Replicas is the number of hospitals that keep a record's content.
	Replicas int
	// Path is the file of the pinner's progress.
	Path string
	// Timeout bounds one attempt to pin; Retry is the first pause between attempts.
	Timeout, Retry time.Duration
	Log            *slog.Logger
}

// Pinner pins records' content. Run it once.
type Pinner struct {
	Settings
	content Content
	source  Source
	members Members
	erased  Erased
	ledger  *progress
	queue   chan string
	work    sync.WaitGroup
	busy    attempts
}

// workers is the number of contents that are fetched at a time.
const workers = 4

// backlog is the number of contents that wait for a worker before events do.
const backlog = 1024

// New reads the progress of an earlier run.
func New(settings Settings, content Content, source Source, members Members, erased Erased) (*Pinner, error) {
	progress, err := openProgress(settings.Path)
	if err != nil {
		return nil, err
	}
	return &Pinner{
		Settings: settings, content: content, source: source, members: members, erased: erased,
		ledger: progress, queue: make(chan string, backlog),
	}, nil
}

// Run follows events until ctx ends. It first makes sure of what earlier runs
// have promised: what waits is pinned, and what was pinned is looked for.
func (p *Pinner) Run(ctx context.Context) error {
	defer p.ledger.close()
	for range workers {
		p.work.Go(func() { p.worker(ctx) })
	}
	p.work.Go(func() { p.reconcile(ctx) })
	err := p.source.Events(ctx, p.Log, p.ledger.place(), func(e Event) error { return p.handle(ctx, e) })
	p.work.Wait()
	return err
}

// Keeps tells whether a record names a content that this hospital is to keep.
func (p *Pinner) Keeps(cid string) bool { return p.ledger.wants(cid) }

// handle notes an event, and what it asks of this hospital, before it counts as seen.
func (p *Pinner) handle(ctx context.Context, e Event) error {
	if e.Name != ledgerapi.EventRecordRegistered {
		return nil
	}
	orgs, err := p.members(ctx)
	if err != nil {
		return fmt.Errorf("list hospitals: %w", err)
	}
	mine := slices.Contains(Chosen(e.CID, e.Hospital, orgs, p.Replicas), p.Organisation)
	fresh, err := p.ledger.saw(e.Place, e.CID, mine)
	if err != nil || !fresh {
		return err
	}
	p.enqueue(ctx, e.CID)
	return nil
}

func (p *Pinner) enqueue(ctx context.Context, cid string) {
	select {
	case p.queue <- cid:
	case <-ctx.Done():
	}
}

// reconcile puts to work what is not pinned although it should be.
func (p *Pinner) reconcile(ctx context.Context) {
	for _, cid := range p.ledger.wanted() {
		p.enqueue(ctx, cid)
	}
}

func (p *Pinner) worker(ctx context.Context) {
	for {
		select {
		case cid := <-p.queue:
			p.keep(ctx, cid)
		case <-ctx.Done():
			return
		}
	}
}

// longestRetry bounds the pause between attempts to pin one content.
const longestRetry = 5 * time.Minute

// keep pins one content. When that fails it is tried again later, by whichever
// worker is free then: content that nobody serves must not hold up the rest.
func (p *Pinner) keep(ctx context.Context, cid string) {
	pause := p.Retry << min(p.ledger.failures(cid), 10)
	err := p.try(ctx, cid)
	if err == nil || ctx.Err() != nil || errors.Is(err, blob.ErrInvalid) {
		return // what failed stays wanted; an id that is none can never be pinned
	}
	p.ledger.failed(cid)
	p.Log.WarnContext(ctx, "content not pinned yet", slog.String("error", err.Error()))
	p.work.Go(func() {
		select {
		case <-time.After(min(pause, longestRetry)):
			p.enqueue(ctx, cid)
		case <-ctx.Done():
		}
	})
}

// try makes one attempt, unless the content is to be forgotten.
func (p *Pinner) try(ctx context.Context, cid string) error {
	ctx, end := p.busy.begin(ctx, cid, p.Timeout)
	defer end()
	if !p.ledger.wants(cid) {
		return nil
	}
	err := p.attempt(ctx, cid)
	if errors.Is(err, errErased) {
		return p.ledger.forget(cid)
	}
	if !p.ledger.wants(cid) {
		return nil // forgotten meanwhile; whoever did that unpins it
	}
	if err != nil {
		return err
	}
	return p.ledger.held(cid)
}

var errErased = errors.New("what the content was registered with is erased")

// attempt pins a content that is not pinned, after asking the ledger whether it
// may: the event that named it may be older than its erasure.
func (p *Pinner) attempt(ctx context.Context, cid string) error {
	if pinned, err := p.content.Pinned(ctx, cid); err != nil || pinned {
		return err
	}
	erased, err := p.erased(ctx, cid)
	if err != nil {
		return fmt.Errorf("ask whether a content is erased: %w", err)
	}
	if erased {
		return errErased
	}
	return p.content.Pin(ctx, cid)
}

// Forget ends every attempt to pin a content and wants it no more. It returns when
// no attempt is under way any more; what one has pinned is the caller's to unpin.
func (p *Pinner) Forget(ctx context.Context, cid string) error {
	if err := p.ledger.forget(cid); err != nil {
		return err
	}
	return p.busy.stop(ctx, cid)
}

// Chosen returns the hospitals that keep a content: the record's own, and of the
// others those with the highest SHA-256 of hospital and content id (rendezvous
// hashing), so that every hospital comes to the same answer by itself and little
// moves when one joins.
func Chosen(cid string, home emr.OrgID, orgs []emr.Organisation, replicas int) []emr.OrgID {
	var others []emr.OrgID
	for _, org := range orgs {
		if org.Kind == emr.KindHospital && org.ID != home {
			others = append(others, org.ID)
		}
	}
	slices.SortFunc(others, func(a, b emr.OrgID) int {
		return cmp.Or(cmp.Compare(weight(b, cid), weight(a, cid)), cmp.Compare(a, b))
	})
	return append([]emr.OrgID{home}, others[:min(max(replicas-1, 0), len(others))]...)
}

func weight(org emr.OrgID, cid string) uint64 {
	sum := sha256.Sum256([]byte("EMRYS-PIN-V1\x00" + string(org) + "\x00" + cid))
	return binary.BigEndian.Uint64(sum[:8])
}
