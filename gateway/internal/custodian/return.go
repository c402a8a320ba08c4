// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package custodian

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"

	"github.com/emrys-health/emrys/gateway/internal/pin"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// Erased makes the question that the pinner asks before it pins a content.
func Erased(ledger Ledger) pin.Erased {
	return func(ctx context.Context, cid string) (bool, error) {
		items, err := ask(ctx, ledger, []string{cid})
		if err != nil {
			return false, err
		}
		if !items[0].Known {
			return false, emr.E(emr.CodeNotFound, "the peer knows no record of the content yet")
		}
		return items[0].Destroy, nil
	}
}

// ask asks what became of contents, in their order.
func ask(ctx context.Context, ledger Ledger, cids []string) ([]ledgerapi.ErasedItem, error) {
	query := ledgerapi.IsErasedQuery{Records: []emr.RecordID{}, CIDs: cids, Digests: []emr.Digest{}}
	var list ledgerapi.ErasedList
	if err := ledger.Query(ctx, ledgerapi.IsErased, query, &list); err != nil {
		return nil, fmt.Errorf("ask what became of contents: %w", err)
	}
	if len(list.Items) != len(cids) {
		return nil, emr.E(emr.CodeInternal, emr.InternalMessage)
	}
	return list.Items, nil
}

// compare compares all pins with the ledger: what a backup has brought back, or a
// crash has left, is destroyed.
func (c *Custodian) compare(ctx context.Context) error {
	batch := make([]string, 0, ledgerapi.MaxIsErased)
	flush := func() error {
		if len(batch) == 0 {
			return nil
		}
		items, err := ask(ctx, c.ledger, batch)
		if err != nil {
			return err
		}
		batch = batch[:0]
		for i := range items {
			if !items[i].Destroy {
				continue
			}
			if err := c.cameBack(ctx, items[i].Order, items[i].Asked); err != nil {
				return err
			}
		}
		return nil
	}
	err := c.content.EachPin(ctx, func(cid string) error {
		batch = append(batch, cid)
		if len(batch) < ledgerapi.MaxIsErased {
			return nil
		}
		return flush()
	})
	if err != nil {
		return err
	}
	return flush()
}

// revisit looks whether something of an order is there that was told to be
// destroyed: the peer, or the gateway, learns of an order that is older than a
// backup.
func (c *Custodian) revisit(ctx context.Context, view *ledgerapi.ErasureView) error {
	if c.content == nil {
		return nil
	}
	for i := range view.Parts {
		for _, version := range view.Parts[i].Records {
			held, err := c.content.Holds(ctx, version.CID)
			if err != nil {
				return err
			}
			if !held {
				continue
			}
			if err := c.putBack(ctx, view, version.CID); err != nil {
				return err
			}
		}
	}
	return nil
}

// cameBack is putBack by the order's id.
func (c *Custodian) cameBack(ctx context.Context, id emr.ErasureID, cid string) error {
	var view ledgerapi.ErasureView
	if err := c.ledger.Query(ctx, ledgerapi.GetErasure, ledgerapi.ErasureQuery{Erasure: id}, &view); err != nil {
		return fmt.Errorf("ask for an order: %w", err)
	}
	return c.putBack(ctx, &view, cid)
}

// putBack deals with a content that is there although it should not be. What was
// told to be destroyed is told to be back, so that the organisation owes it again;
// what nothing was told of is owed anyway. Where nobody asks the organisation, and
// where it is an upload that no record can name, it is simply destroyed.
func (c *Custodian) putBack(ctx context.Context, view *ledgerapi.ErasureView, cid string) error {
	part, record := find(view, cid)
	said := c.said(view, part)
	switch w := (&word{said: said}); {
	case !c.holder(view) || record == "", c.Staged != nil && c.Staged(cid):
		return c.erase(ctx, cid, false)
	case !w.confirmed(record, emr.ThingContent):
		return nil
	}
	c.Log.WarnContext(ctx, "something that was destroyed is back")
	c.note(view.Erasure.ID) // it is owed then
	return c.confirm(ctx, ledgerapi.ConfirmErasureArgs{
		Erasure: view.Erasure.ID, Part: part, Destroyed: []emr.Destroyed{},
		Failed: []emr.Undestroyed{{Record: record, Thing: emr.ThingContent, Cause: emr.CauseRestored}},
	})
}

func (c *Custodian) holder(view *ledgerapi.ErasureView) bool {
	for i := range view.Holders {
		if view.Holders[i].Org == c.Organisation {
			return true
		}
	}
	return false
}

// find returns the part and the record of an order by content; an empty record when there is none.
func find(view *ledgerapi.ErasureView, cid string) (uint32, emr.RecordID) {
	for i := range view.Parts {
		for _, version := range view.Parts[i].Records {
			if version.CID == cid {
				return view.Parts[i].Part, version.Record
			}
		}
	}
	return 0, ""
}

// follow wakes the custodian when an order is committed.
func (c *Custodian) follow(ctx context.Context) {
	from, err := readPlace(c.Path)
	if err != nil {
		c.Log.WarnContext(ctx, "events are followed from their beginning", slog.Any("err", err))
	}
	unsaved := 0
	_ = c.source.Events(ctx, c.Log, from, func(e pin.Event) error {
		id := orderOf(&e)
		if unsaved++; id == "" && unsaved < saveEvery {
			return nil
		}
		if id != "" {
			c.note(id)
		}
		unsaved = 0
		return writePlace(c.Path, e.Place)
	})
}

// saveEvery is the number of events after which their place is saved in any case.
const saveEvery = 256

// orderOf is the order that an event tells of; empty for another event.
func orderOf(e *pin.Event) emr.ErasureID {
	switch e.Name {
	case ledgerapi.EventErasureOrdered, ledgerapi.EventErasureContinued:
		return emr.ErasureID(e.ID)
	case ledgerapi.EventRecordRegistered:
		return e.Erasure
	default:
		return ""
	}
}

// note has a round look at an order soon, also when nothing is owed of it.
func (c *Custodian) note(id emr.ErasureID) {
	c.mu.Lock()
	c.noted[id] = true
	c.mu.Unlock()
	select {
	case c.woken <- struct{}{}:
	default:
	}
}

// take returns the orders that were noted since the last round.
func (c *Custodian) take() []emr.ErasureID {
	c.mu.Lock()
	defer c.mu.Unlock()
	noted := slices.Sorted(maps.Keys(c.noted))
	clear(c.noted)
	return noted
}
