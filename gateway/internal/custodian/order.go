// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package custodian

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/emrys-health/emrys/pkg/blob"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// attend does what is left of one order, as the ledger has it now: what an earlier
// attempt has told, also one whose outcome did not become known, is not told again.
// tell says whether to tell of failures, too.
func (c *Custodian) attend(ctx context.Context, id emr.ErasureID, tell bool) error {
	var view ledgerapi.ErasureView
	if err := c.ledger.Query(ctx, ledgerapi.GetErasure, ledgerapi.ErasureQuery{Erasure: id}, &view); err != nil {
		return fmt.Errorf("ask for an order: %w", err)
	}
	if !c.owes(&view) {
		return c.revisit(ctx, &view)
	}
	purged := c.proceed(ctx, &view)
	all := []error{purged}
	for i := range view.Parts {
		w := &word{said: c.said(&view, view.Parts[i].Part), purged: purged, tell: tell}
		all = append(all, c.carryOutPart(ctx, &view.Parts[i], w))
	}
	return errors.Join(all...)
}

// owes tells whether the organisation is a holder that has not confirmed everything.
func (c *Custodian) owes(view *ledgerapi.ErasureView) bool {
	if !c.holder(view) {
		return false
	}
	for i := range view.Parts {
		if !c.said(view, view.Parts[i].Part).Fulfils(&view.Parts[i]) {
			return true
		}
	}
	return view.Erasure.Next != ""
}

// said is what the organisation has told of a part so far.
func (c *Custodian) said(view *ledgerapi.ErasureView, part uint32) *emr.ErasureReceipt {
	for i := range view.Holders {
		if view.Holders[i].Org != c.Organisation {
			continue
		}
		for j := range view.Holders[i].Receipts {
			if receipt := &view.Holders[i].Receipts[j]; receipt.Part == part {
				return receipt
			}
		}
	}
	return nil
}

// word is what is going to be told of a part.
type word struct {
	args ledgerapi.ConfirmErasureArgs
	said *emr.ErasureReceipt
	// purged is why the ledger could not be had to purge the rest, if it could not.
	purged error
	tell   bool
	errs   []error
}

func (c *Custodian) carryOutPart(ctx context.Context, part *emr.ErasurePart, w *word) error {
	if w.said.Fulfils(part) {
		return nil
	}
	living, err := c.living(ctx, part)
	if err != nil {
		return err
	}
	w.args = ledgerapi.ConfirmErasureArgs{
		Erasure: part.Erasure, Part: part.Part, Destroyed: []emr.Destroyed{}, Failed: []emr.Undestroyed{},
	}
	for i := range part.Records {
		if err := ctx.Err(); err != nil {
			return err
		}
		c.destroy(ctx, w, &part.Records[i], living[part.Records[i].CID])
	}
	if w.speaks() {
		w.errs = append(w.errs, c.confirm(ctx, w.args))
	}
	return errors.Join(w.errs...)
}

// speaks tells whether there is something new to tell. What has failed once or
// twice may soon be made good, and then all of it is told at once.
func (w *word) speaks() bool {
	return len(w.args.Destroyed)+len(w.args.Failed) > 0 && (w.tell || len(w.errs) == 0)
}

// living tells which contents of a part another record stands on. The ledger lets
// nobody register a content twice; should it know better than its own order, the
// content stays.
func (c *Custodian) living(ctx context.Context, part *emr.ErasurePart) (map[string]bool, error) {
	query := ledgerapi.IsErasedQuery{Records: []emr.RecordID{}, CIDs: []string{}, Digests: []emr.Digest{}}
	for i := range part.Records {
		query.CIDs = append(query.CIDs, part.Records[i].CID)
	}
	var list ledgerapi.ErasedList
	if err := c.ledger.Query(ctx, ledgerapi.IsErased, query, &list); err != nil {
		return nil, fmt.Errorf("ask for contents: %w", err)
	}
	living := make(map[string]bool)
	for i := range list.Items {
		living[list.Items[i].Asked] = list.Items[i].Known && !list.Items[i].Destroy
	}
	return living, nil
}

// destroy destroys what is left of one version, and notes what there is to tell.
// What was told to be destroyed before is not looked for again here: a copy that
// came back is found by compare.
func (c *Custodian) destroy(ctx context.Context, w *word, version *emr.ErasedVersion, living bool) {
	done := emr.Destroyed{Record: version.Record, CID: version.CID, Things: []emr.ErasureThing{}}
	for _, thing := range emr.ErasureThings() {
		if w.confirmed(version.Record, thing) {
			continue
		}
		var err error
		switch thing {
		case emr.ThingCache:
			err = c.forget(ctx, version.CID, living)
		case emr.ThingContent:
			err = c.erase(ctx, version.CID, living)
		case emr.ThingFragments:
			if err = w.purged; err == nil {
				err = c.lookForFragments(ctx, version)
			}
		}
		if err == nil {
			done.Things = append(done.Things, thing)
			continue
		}
		w.failed(version.Record, thing, err)
	}
	if len(done.Things) > 0 {
		w.args.Destroyed = append(w.args.Destroyed, done)
	}
}

func (w *word) confirmed(record emr.RecordID, thing emr.ErasureThing) bool {
	return w.said != nil && slices.ContainsFunc(w.said.Destroyed, func(d emr.Destroyed) bool {
		return d.Record == record && slices.Contains(d.Things, thing)
	})
}

// failed notes a failure, and what to tell of it unless that is told already.
func (w *word) failed(record emr.RecordID, thing emr.ErasureThing, err error) {
	w.errs = append(w.errs, err)
	cause := causeOf(err)
	if cause == "" {
		return
	}
	failed := emr.Undestroyed{Record: record, Thing: thing, Cause: cause}
	if w.said == nil || !slices.Contains(w.said.Failed, failed) {
		w.args.Failed = append(w.args.Failed, failed)
	}
}

// causeOf is what to tell of a failure; empty when it says nothing of the thing.
func causeOf(err error) emr.ErasureCause {
	var known *emr.Error
	switch {
	case errors.Is(err, errRestored):
		return emr.CauseRestored
	case errors.Is(err, errLiving), errors.Is(err, blob.ErrShared):
		return emr.CauseDuty
	case errors.Is(err, blob.ErrCorrupt):
		return emr.CauseUnreadable
	case errors.Is(err, context.Canceled), errors.As(err, &known):
		return "" // stopped, or the ledger's trouble
	case errors.Is(err, blob.ErrUnavailable), errors.Is(err, context.DeadlineExceeded):
		return emr.CauseUnavailable
	default:
		return emr.CauseOther
	}
}

var (
	errLiving   = errors.New("a record that lives stands on the content")
	errRestored = errors.New("a backup has brought it back to the peer")
	errStill    = errors.New("it is still there")
)

// forget makes every part of the gateway forget a content.
func (c *Custodian) forget(ctx context.Context, cid string, living bool) error {
	if living {
		return errLiving
	}
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	for _, keeper := range c.keepers {
		if err := keeper.Forget(ctx, cid); err != nil {
			return fmt.Errorf("forget a content: %w", err)
		}
	}
	return nil
}

// erase removes a content from the store and looks whether it is gone. Nothing of
// the gateway may pin or read it meanwhile, so that it forgets first.
func (c *Custodian) erase(ctx context.Context, cid string, living bool) error {
	if err := c.forget(ctx, cid, living); err != nil || c.content == nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	if err := c.content.Erase(ctx, cid); err != nil {
		return err
	}
	held, err := c.content.Holds(ctx, cid)
	if err == nil && held {
		err = errStill
	}
	return err
}

// lookForFragments looks whether the own peer still has the private manifest with
// shares and capsule. The gateway itself copies neither it nor key fragments anywhere.
func (c *Custodian) lookForFragments(ctx context.Context, version *emr.ErasedVersion) error {
	query := ledgerapi.IntegrityQuery{Record: version.Record, CID: version.CID, Digest: version.Digest}
	var view ledgerapi.IntegrityView
	if err := c.ledger.Query(ctx, ledgerapi.CheckIntegrity, query, &view); err != nil {
		return fmt.Errorf("ask for a private manifest: %w", err)
	}
	switch view.Manifest {
	case ledgerapi.ManifestPurged, ledgerapi.ManifestAbsent:
		return nil
	case ledgerapi.ManifestDiffers:
		return errRestored
	default:
		return errStill
	}
}

func (c *Custodian) confirm(ctx context.Context, args ledgerapi.ConfirmErasureArgs) error {
	var receipt ledgerapi.DecisionReceipt
	if err := c.ledger.Order(ctx, ledgerapi.ConfirmErasure, args, &receipt); err != nil {
		return fmt.Errorf("confirm an order: %w", err)
	}
	c.Log.InfoContext(ctx, "an order to destroy is answered", slog.String("decision", string(receipt.Decision)),
		slog.Int("destroyed", len(args.Destroyed)), slog.Int("failed", len(args.Failed)))
	return nil
}

// proceed has the ledger name the versions that the order does not name yet, and
// purge what the order left out. It is for the record's hospital, which tells of no
// fragments before; another holder does it when that has not for a while.
func (c *Custodian) proceed(ctx context.Context, view *ledgerapi.ErasureView) error {
	order := &view.Erasure
	if order.Hospital != c.Organisation && emr.TimeOf(c.Now()) < order.Ordered.Add(standIn) {
		return nil
	}
	more := order.Next != ""
	query := ledgerapi.LeftoversQuery{Erasure: order.ID}
	for {
		var left ledgerapi.Leftovers
		if err := c.ledger.Query(ctx, ledgerapi.ListLeftovers, query, &left); err != nil {
			return fmt.Errorf("list what an order left: %w", err)
		}
		if more || len(left.Grants)+len(left.Requests)+len(left.Amendments) > 0 {
			args := ledgerapi.ContinueErasureArgs{Erasure: order.ID, Grants: left.Grants, Requests: left.Requests, Amendments: left.Amendments}
			if err := c.purge(ctx, args); err != nil {
				return err
			}
		}
		if more {
			c.note(order.ID) // it names more now
		}
		more = false
		query.GrantBookmark, query.RequestBookmark, query.AmendmentBookmark = left.GrantBookmark, left.RequestBookmark, left.AmendmentBookmark
		if query.GrantBookmark == "" && query.RequestBookmark == "" && query.AmendmentBookmark == "" {
			return nil
		}
	}
}

// purge continues an order. Grants that name more records together than one
// transaction takes are ended by several.
func (c *Custodian) purge(ctx context.Context, args ledgerapi.ContinueErasureArgs) error {
	args.Grants, args.Requests = append([]emr.GrantID{}, args.Grants...), append([]emr.RequestID{}, args.Requests...)
	args.Amendments = append([]emr.AmendmentID{}, args.Amendments...)
	var receipt ledgerapi.Receipt
	err := c.ledger.Order(ctx, ledgerapi.ContinueErasure, args, &receipt)
	if half := len(args.Grants) / 2; half > 0 && emr.CodeOf(err) == emr.CodeTooLarge {
		first := args
		first.Grants = args.Grants[:half]
		if err := c.purge(ctx, first); err != nil {
			return err
		}
		return c.purge(ctx, ledgerapi.ContinueErasureArgs{Erasure: args.Erasure, Grants: args.Grants[half:]})
	}
	if err != nil {
		return fmt.Errorf("continue an order: %w", err)
	}
	return nil
}
