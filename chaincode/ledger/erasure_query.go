// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"slices"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// GetErasure tells how an order stands. The state is derived from the receipts: it
// is complete when every holder of the list has confirmed every thing of every
// version, and no version is left to be named. Nothing else makes it so, neither
// time nor that a holder has left the consortium.
func GetErasure(r Reader, q ledgerapi.ErasureQuery) (*ledgerapi.ErasureView, error) {
	if err := emr.CheckID("erasure", q.Erasure); err != nil {
		return nil, err
	}
	order, err := require(r, ledgerapi.ErasureKey(q.Erasure), versionOfErasure)
	if err != nil {
		return nil, err
	}
	parts, err := partsOf(r, order)
	if err != nil {
		return nil, err
	}
	view := &ledgerapi.ErasureView{
		Erasure: *order, Parts: parts, State: emr.ErasurePartial, Holders: []ledgerapi.HolderState{},
		Missing: []emr.OrgID{}, Failed: []emr.OrgID{},
	}
	complete := order.Next == ""
	for _, id := range order.Holders {
		holder, err := holderOf(r, parts, id)
		if err != nil {
			return nil, err
		}
		view.Holders = append(view.Holders, *holder)
		if !holder.Done {
			complete = false
			view.Missing = append(view.Missing, id)
		}
		if failed(holder) {
			view.Failed = append(view.Failed, id)
		}
	}
	if complete {
		view.State = emr.ErasureComplete
	}
	return view, nil
}

// failed tells whether a holder has told of something that it could not destroy.
func failed(holder *ledgerapi.HolderState) bool {
	return slices.ContainsFunc(holder.Receipts, func(receipt emr.ErasureReceipt) bool { return len(receipt.Failed) > 0 })
}

func partsOf(s Lookup, order *emr.Erasure) ([]emr.ErasurePart, error) {
	parts := make([]emr.ErasurePart, 0, order.Parts)
	for n := uint32(1); n <= order.Parts; n++ {
		part, err := require(s, ledgerapi.ErasurePartKey(order.ID, n), versionOfPart)
		if err != nil {
			return nil, err
		}
		parts = append(parts, *part)
	}
	return parts, nil
}

// holderOf returns how a holder stands.
func holderOf(s Lookup, parts []emr.ErasurePart, id emr.OrgID) (*ledgerapi.HolderState, error) {
	org, err := organisation(s, id)
	if err != nil {
		return nil, err
	}
	holder := &ledgerapi.HolderState{
		Org: id, Removed: org == nil || org.Removed != 0, Done: len(parts) > 0, Receipts: []emr.ErasureReceipt{},
	}
	for i := range parts {
		found, err := find(s, ledgerapi.ErasureReceiptKey(parts[i].Erasure, parts[i].Part, id), versionOfReceipt)
		if err != nil {
			return nil, err
		}
		if found != nil {
			holder.Receipts = append(holder.Receipts, *found)
		}
		holder.Done = holder.Done && found.Fulfils(&parts[i])
	}
	return holder, nil
}

// ListErasures lists a patient's orders, or those that an organisation still owes
// something, newest first.
func ListErasures(r Reader, q ledgerapi.ErasuresQuery) (*ledgerapi.ErasurePage, error) {
	var list query
	var err error
	switch {
	case (q.Patient == "") == (q.Org == ""):
		err = emr.Invalid("patient", "exactly one of patient and org must be set")
	case q.Patient != "":
		list, err = byOwner(ledgerapi.TypeErasureByPatient, string(q.Patient), q.Limit, q.Bookmark), emr.CheckID("patient", q.Patient)
	default:
		list = byOwner(ledgerapi.TypeErasureByHolder, string(q.Org), q.Limit, q.Bookmark)
		_, err = emr.ParseOrgID("org", string(q.Org))
	}
	if err != nil {
		return nil, err
	}
	items, bookmark, err := page(r, list, func(e Entry) (*emr.Erasure, step, error) {
		order, err := require(r, ledgerapi.ErasureKey(emr.ErasureID(e.Value)), versionOfErasure)
		if err != nil || q.Org == "" {
			return order, keep, err
		}
		owes, err := owesFor(r, order, q.Org)
		if !owes {
			return order, skip, err
		}
		return order, keep, err
	})
	if err != nil {
		return nil, err
	}
	return &ledgerapi.ErasurePage{Items: items, Bookmark: bookmark}, nil
}

// owesFor tells whether a holder has not confirmed everything of an order.
func owesFor(s Lookup, order *emr.Erasure, org emr.OrgID) (bool, error) {
	parts, err := partsOf(s, order)
	if err != nil {
		return false, err
	}
	holder, err := holderOf(s, parts, org)
	return err == nil && (!holder.Done || order.Next != ""), err
}

// ListLeftovers lists the patient's grants that name closed versions only and are
// live, the requests for closed versions whose notes are still there, and the
// amendments about erased versions whose texts are, for ContinueErasure to name.
// Whoever carries an order out asks until nothing is left.
func ListLeftovers(r Reader, q ledgerapi.LeftoversQuery) (*ledgerapi.Leftovers, error) {
	if err := emr.CheckID("erasure", q.Erasure); err != nil {
		return nil, err
	}
	order, err := require(r, ledgerapi.ErasureKey(q.Erasure), versionOfErasure)
	if err != nil {
		return nil, err
	}
	left := &ledgerapi.Leftovers{}
	owner := string(order.Patient)
	grants := byOwner(ledgerapi.TypeGrantByPatient, owner, ledgerapi.MaxEnded, q.GrantBookmark)
	if left.Grants, left.GrantBookmark, err = pageOfLeft(r, grants, leftGrant); err != nil {
		return nil, err
	}
	requests := byOwner(ledgerapi.TypeRequestByPatient, owner, ledgerapi.MaxEnded, q.RequestBookmark)
	if left.Requests, left.RequestBookmark, err = pageOfLeft(r, requests, leftRequest); err != nil {
		return nil, err
	}
	if order.Kind == emr.OrderRekey {
		left.Amendments = []emr.AmendmentID{}
		return left, nil
	}
	amendments := byOwner(ledgerapi.TypeAmendmentByPatient, owner, ledgerapi.MaxEnded, q.AmendmentBookmark)
	if left.Amendments, left.AmendmentBookmark, err = pageOfLeft(r, amendments, leftAmendment); err != nil {
		return nil, err
	}
	return left, nil
}

// pageOfLeft is a page of ids, sorted, that an index of the patient points to.
func pageOfLeft[T ~string](r Reader, q query, choose func(Reader, T) (*T, step, error)) ([]T, string, error) {
	ids, bookmark, err := page(r, q, func(e Entry) (*T, step, error) { return choose(r, T(e.Value)) })
	slices.Sort(ids)
	return ids, bookmark, err
}

// leftGrant keeps a grant that is live, or waits, and names closed versions only.
func leftGrant(r Reader, id emr.GrantID) (*emr.GrantID, step, error) {
	grant, err := require(r, ledgerapi.GrantKey(id), versionOfGrant)
	if err != nil {
		return nil, stop, err
	}
	err = checkNamesClosed(r, grant, nil)
	if grant.Status != emr.GrantLive && grant.Status != emr.GrantWaiting || emr.CodeOf(err) == emr.CodeRule {
		return &id, skip, nil
	}
	return &id, keep, err
}

// leftRequest keeps a request for a closed version that waits for an answer or
// whose note is still in private data.
func leftRequest(r Reader, id emr.RequestID) (*emr.RequestID, step, error) {
	request, err := require(r, ledgerapi.RequestKey(id), versionOfRequest)
	if err != nil {
		return nil, stop, err
	}
	closed, err := isClosed(r, request.Record, nil)
	if err != nil {
		return nil, stop, err
	}
	hash, err := r.PrivateHash(ledgerapi.NoteKey(id))
	if !closed || hash == nil && request.Status != emr.RequestPending {
		return &id, skip, err
	}
	return &id, keep, err
}

// IsErased tells a gateway that has restored a backup what it must destroy before
// it serves anything: of records, contents and digests that it names. It is asked
// of the own peer, once that has caught up.
func IsErased(r Reader, q ledgerapi.IsErasedQuery) (*ledgerapi.ErasedList, error) {
	n := len(q.Records) + len(q.CIDs) + len(q.Digests)
	if n == 0 || n > ledgerapi.MaxIsErased {
		return nil, emr.Invalid("records", "records, cids and digests together must be 1 to 100")
	}
	list := &ledgerapi.ErasedList{Items: make([]ledgerapi.ErasedItem, 0, n)}
	for _, id := range q.Records {
		if err := emr.CheckID("records", id); err != nil {
			return nil, err
		}
		if err := tell(r, list, string(id), id); err != nil {
			return nil, err
		}
	}
	for _, cid := range q.CIDs {
		if !contentID(cid) {
			return nil, emr.Invalid("cids", "must be CIDv1 of SHA-256 in base32")
		}
		used, err := r.Get(ledgerapi.UsedKey(ledgerapi.UsedContent, cid))
		if err != nil {
			return nil, err
		}
		if err := tell(r, list, cid, emr.RecordID(used)); err != nil {
			return nil, err
		}
	}
	for _, digest := range q.Digests {
		record, err := recordByDigest(r, digest)
		if err != nil {
			return nil, err
		}
		if err := tell(r, list, digest.String(), record); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// tell adds what became of a record; an empty id is one that was never registered.
func tell(s Lookup, list *ledgerapi.ErasedList, asked string, id emr.RecordID) error {
	item := ledgerapi.ErasedItem{Asked: asked}
	if id != "" {
		record, err := recordOf(s, id)
		if emr.CodeOf(err) != emr.CodeNotFound && err != nil {
			return err
		}
		if err == nil {
			item.Known, item.Record, item.Status, item.Order = true, record.ID, record.Status, record.Order
			item.Destroy = record.Status != emr.RecordLive
		}
	}
	list.Items = append(list.Items, item)
	return nil
}

// recordByDigest finds a record by the digest of its ciphertext, of its capsule
// or of its author's signed manifest; empty when there is none.
func recordByDigest(s Lookup, digest emr.Digest) (emr.RecordID, error) {
	for _, as := range []ledgerapi.UsedAs{ledgerapi.UsedDigest, ledgerapi.UsedCapsule} {
		used, err := s.Get(ledgerapi.UsedKey(as, digest.String()))
		if err != nil || used != nil {
			return emr.RecordID(used), err
		}
	}
	spent, err := spentAction(s, digest)
	if err != nil || spent == nil || emr.CheckID("record", emr.RecordID(spent.ID)) != nil {
		return "", err
	}
	return emr.RecordID(spent.ID), nil
}
