// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package custodian_test

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/gateway/internal/custodian"
	"github.com/emrys-health/emrys/gateway/internal/pin"
	"github.com/emrys-health/emrys/pkg/blob"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

const (
	own   = emr.OrgID("HospBMSP")
	other = emr.OrgID("HospAMSP")
	start = emr.Time(1_000_000)
)

// ledger has orders and what their holders have told. It follows the contract's
// rules of what a receipt says (docs/spec/erasure.md, E4).
type ledger struct {
	mu       sync.Mutex
	views    map[emr.ErasureID]*ledgerapi.ErasureView
	order    []emr.ErasureID
	living   map[string]bool // contents of records that live
	manifest map[emr.RecordID]ledgerapi.ManifestVerdict
	grants   []emr.GrantID // left over
	said     []emr.AmendmentID
	most     int // grants that one transaction ends; 0 for any
	told     []ledgerapi.ConfirmErasureArgs
	purged   []ledgerapi.ContinueErasureArgs
	asked    map[string]int
	pageSize int
	// down fails every call, refuse single functions. lost is an outcome that does not
	// become known: of a transaction that is committed, or with gone of one that is not.
	down       error
	refuse     map[string]error
	lost, gone bool
}

func newLedger() *ledger {
	return &ledger{
		views: map[emr.ErasureID]*ledgerapi.ErasureView{}, living: map[string]bool{}, manifest: map[emr.RecordID]ledgerapi.ManifestVerdict{},
		asked: map[string]int{}, refuse: map[string]error{}, pageSize: 100,
	}
}

// erase orders the destruction of contents, in one part.
func (l *ledger) erase(id emr.ErasureID, holders []emr.OrgID, cids ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	part := emr.ErasurePart{V: 1, Erasure: id, Part: 1}
	for _, cid := range cids {
		part.Records = append(part.Records, emr.ErasedVersion{Record: record(cid), CID: cid})
	}
	view := &ledgerapi.ErasureView{
		Erasure: emr.Erasure{ID: id, Hospital: other, Ordered: start, Holders: holders, Parts: 1}, Parts: []emr.ErasurePart{part},
	}
	for _, holder := range holders {
		view.Holders = append(view.Holders, ledgerapi.HolderState{Org: holder})
	}
	l.views[id] = view
	l.order = append(l.order, id)
}

// amendmentsOfPage are listed at once.
const amendmentsOfPage = 2

func record(cid string) emr.RecordID { return emr.RecordID("rec_" + cid) }

func (l *ledger) Query(_ context.Context, function string, argument, result any) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked[function]++
	if err := l.fault(function); err != nil {
		return err
	}
	switch q := argument.(type) {
	case ledgerapi.ErasuresQuery:
		return l.list(q, result.(*ledgerapi.ErasurePage))
	case ledgerapi.ErasureQuery:
		view, ok := l.views[q.Erasure]
		if !ok {
			return emr.E(emr.CodeNotFound, "no such order")
		}
		*result.(*ledgerapi.ErasureView) = copied(view)
	case ledgerapi.IsErasedQuery:
		for _, cid := range q.CIDs {
			list := result.(*ledgerapi.ErasedList)
			list.Items = append(list.Items, l.item(cid))
		}
	case ledgerapi.IntegrityQuery:
		verdict := l.manifest[q.Record]
		if verdict == "" {
			verdict = ledgerapi.ManifestPurged
		}
		result.(*ledgerapi.IntegrityView).Manifest = verdict
	case ledgerapi.LeftoversQuery:
		left := result.(*ledgerapi.Leftovers)
		left.Grants, left.Amendments = slices.Clone(l.grants), slices.Clone(l.said)
		if len(left.Amendments) > amendmentsOfPage {
			left.Amendments, left.AmendmentBookmark = left.Amendments[:amendmentsOfPage], "more"
		}
	default:
		return fmt.Errorf("no query %s", function)
	}
	return nil
}

func copied(view *ledgerapi.ErasureView) ledgerapi.ErasureView {
	c := *view
	c.Holders = slices.Clone(view.Holders)
	for i := range c.Holders {
		c.Holders[i].Receipts = slices.Clone(view.Holders[i].Receipts)
	}
	return c
}

func (l *ledger) fault(function string) error {
	if l.down != nil {
		return l.down
	}
	return l.refuse[function]
}

func (l *ledger) list(q ledgerapi.ErasuresQuery, page *ledgerapi.ErasurePage) error {
	from := 0
	if q.Bookmark != "" {
		from, _ = strconv.Atoi(q.Bookmark)
	}
	for at := from; at < len(l.order); at++ {
		if len(page.Items) == l.pageSize {
			page.Bookmark = strconv.Itoa(at)
			return nil
		}
		if view := l.views[l.order[len(l.order)-1-at]]; l.owes(view, q.Org) {
			page.Items = append(page.Items, view.Erasure)
		}
	}
	return nil
}

func (l *ledger) owes(view *ledgerapi.ErasureView, org emr.OrgID) bool {
	at := slices.Index(view.Erasure.Holders, org)
	return at >= 0 && (view.Erasure.Next != "" || !l.done(view, at))
}

func (l *ledger) done(view *ledgerapi.ErasureView, holder int) bool {
	for i := range view.Parts {
		at := slices.IndexFunc(view.Holders[holder].Receipts, func(r emr.ErasureReceipt) bool { return r.Part == view.Parts[i].Part })
		if at < 0 || !view.Holders[holder].Receipts[at].Fulfils(&view.Parts[i]) {
			return false
		}
	}
	return true
}

func (l *ledger) item(cid string) ledgerapi.ErasedItem {
	item := ledgerapi.ErasedItem{Asked: cid}
	for id, view := range l.views {
		for _, part := range view.Parts {
			for _, version := range part.Records {
				if version.CID == cid {
					item.Known, item.Record, item.Order, item.Destroy = true, version.Record, id, true
				}
			}
		}
	}
	if l.living[cid] {
		item = ledgerapi.ErasedItem{Asked: cid, Known: true, Record: record("alive")}
	}
	return item
}

func (l *ledger) Order(_ context.Context, function string, argument, _ any) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.fault(function); err != nil {
		return err
	}
	lost, gone := l.lost, l.gone
	l.lost, l.gone = false, false
	if !gone {
		switch args := argument.(type) {
		case ledgerapi.ConfirmErasureArgs:
			l.confirm(args)
		case ledgerapi.ContinueErasureArgs:
			if l.most > 0 && len(args.Grants) > l.most {
				return emr.E(emr.CodeTooLarge, "name more than 256 records")
			}
			l.purged = append(l.purged, args)
			l.grants = slices.DeleteFunc(l.grants, func(g emr.GrantID) bool { return slices.Contains(args.Grants, g) })
			l.said = slices.DeleteFunc(l.said, func(a emr.AmendmentID) bool { return slices.Contains(args.Amendments, a) })
			if view := l.views[args.Erasure]; view.Erasure.Next != "" {
				cid := string(view.Erasure.Next)
				view.Erasure.Next = ""
				view.Parts = append(view.Parts, emr.ErasurePart{
					V: 1, Erasure: args.Erasure, Part: 2, Records: []emr.ErasedVersion{{Record: record(cid), CID: cid}},
				})
			}
		}
	}
	if lost || gone {
		return emr.E(emr.CodeUnknownOutcome, "the outcome is not known")
	}
	return nil
}

func (l *ledger) confirm(args ledgerapi.ConfirmErasureArgs) {
	l.told = append(l.told, args)
	view := l.views[args.Erasure]
	holder := &view.Holders[slices.Index(view.Erasure.Holders, own)]
	at := slices.IndexFunc(holder.Receipts, func(r emr.ErasureReceipt) bool { return r.Part == args.Part })
	if at < 0 {
		at = len(holder.Receipts)
		holder.Receipts = append(holder.Receipts, emr.ErasureReceipt{Erasure: args.Erasure, Part: args.Part, Org: own})
	}
	last := &holder.Receipts[at]
	was := *last
	last.Destroyed, last.Failed = nil, nil
	for _, version := range view.Parts[args.Part-1].Records {
		done := emr.Destroyed{Record: version.Record, CID: version.CID}
		for _, thing := range emr.ErasureThings() {
			switch destroyed, cause := lastWord(&was, args, version.Record, thing); {
			case destroyed:
				done.Things = append(done.Things, thing)
			case cause != "":
				last.Failed = append(last.Failed, emr.Undestroyed{Record: version.Record, Thing: thing, Cause: cause})
			}
		}
		last.Destroyed = append(last.Destroyed, done)
	}
}

func lastWord(was *emr.ErasureReceipt, args ledgerapi.ConfirmErasureArgs, record emr.RecordID, thing emr.ErasureThing) (bool, emr.ErasureCause) {
	for _, said := range []struct {
		destroyed []emr.Destroyed
		failed    []emr.Undestroyed
	}{{args.Destroyed, args.Failed}, {was.Destroyed, was.Failed}} {
		for _, d := range said.destroyed {
			if d.Record == record && slices.Contains(d.Things, thing) {
				return true, ""
			}
		}
		for _, f := range said.failed {
			if f.Record == record && f.Thing == thing {
				return false, f.Cause
			}
		}
	}
	return false, ""
}

// stands tells whether the organisation has done everything of an order.
func (l *ledger) stands(id emr.ErasureID) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	view := l.views[id]
	return l.done(view, slices.Index(view.Erasure.Holders, own))
}

// store has pins and blocks, each content one block.
type store struct {
	mu     sync.Mutex
	pins   map[string]bool
	blocks map[string]bool
	// down fails everything; erased is called after every erasure, and tells how it ends.
	down   error
	shared map[string]bool
	lying  bool
	erased func(cid string) error
	erases int
}

func newStore(cids ...string) *store {
	s := &store{pins: map[string]bool{}, blocks: map[string]bool{}, shared: map[string]bool{}}
	for _, cid := range cids {
		s.pins[cid], s.blocks[cid] = true, true
	}
	return s
}

func (s *store) Erase(_ context.Context, cid string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.erases++
	if s.down != nil {
		return s.down
	}
	delete(s.pins, cid)
	if s.shared[cid] {
		return fmt.Errorf("erase: %w", blob.ErrShared)
	}
	if !s.lying {
		delete(s.blocks, cid)
	}
	if s.erased != nil {
		return s.erased(cid)
	}
	return nil
}

func (s *store) Holds(_ context.Context, cid string) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.blocks[cid], s.down
}

func (s *store) EachPin(_ context.Context, visit func(string) error) error {
	s.mu.Lock()
	var all []string
	for cid := range s.pins {
		all = append(all, cid)
	}
	down := s.down
	s.mu.Unlock()
	if down != nil {
		return down
	}
	slices.Sort(all)
	for _, cid := range all {
		if err := visit(cid); err != nil {
			return err
		}
	}
	return nil
}

func (s *store) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

func (s *store) has(cid string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.blocks[cid] || s.pins[cid]
}

// keeper notes what it is told to forget.
type keeper struct {
	mu        sync.Mutex
	forgotten []string
	fail      error
}

func (k *keeper) Forget(_ context.Context, cid string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.fail != nil {
		return k.fail
	}
	k.forgotten = append(k.forgotten, cid)
	return nil
}

// source sends what is put into it, and tells from where it was asked.
type source struct {
	events chan pin.Event
	asked  chan pin.Place
}

func newSource() *source {
	return &source{events: make(chan pin.Event), asked: make(chan pin.Place, 10)}
}

func (s *source) Events(ctx context.Context, _ *slog.Logger, from pin.Place, handle func(pin.Event) error) error {
	s.asked <- from
	for {
		select {
		case e := <-s.events:
			if err := handle(e); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// bench is a custodian of hospital B, and the world around it.
type bench struct {
	*custodian.Custodian
	ledger *ledger
	store  *store
	keeper *keeper
	source *source
	path   string
	now    time.Time
	every  time.Duration
	staged map[string]bool
}

func newBench(t *testing.T, cids ...string) *bench {
	t.Helper()
	b := &bench{
		ledger: newLedger(), store: newStore(cids...), keeper: new(keeper), source: newSource(),
		path: filepath.Join(t.TempDir(), "erasures", "place.json"), now: start.Std(), every: 10 * time.Minute, staged: map[string]bool{},
	}
	b.restart()
	return b
}

func (b *bench) settings() custodian.Settings {
	return custodian.Settings{
		Organisation: own, Path: b.path, Every: b.every, Timeout: time.Minute, Retry: 2 * time.Second,
		Staged: func(cid string) bool { return b.staged[cid] }, Now: func() time.Time { return b.now },
		Log: slog.New(slog.DiscardHandler),
	}
}

// restart makes the custodian anew, as after a crash: it remembers nothing.
func (b *bench) restart() {
	b.Custodian = custodian.New(b.settings(), b.ledger, b.source, b.store, b.keeper)
}

// rounds does rounds, each when something is due again.
func (b *bench) rounds(t *testing.T, n int) {
	t.Helper()
	for range n {
		wait := b.Round(t.Context())
		require.LessOrEqual(t, wait, 10*time.Minute)
		b.now = b.now.Add(wait)
	}
}

func everything(cids ...string) []emr.Destroyed {
	var all []emr.Destroyed
	for _, cid := range cids {
		all = append(all, emr.Destroyed{Record: record(cid), CID: cid, Things: emr.ErasureThings()})
	}
	return all
}
