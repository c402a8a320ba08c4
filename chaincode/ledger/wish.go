// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"fmt"
	"slices"
	"time"

	"github.com/emrys-health/emrys/pkg/consent"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// A request may ask for more than its one record and purpose, and the patient may
// give less than it asks for.

// checkWish checks what a request asks for besides.
func checkWish(s Lookup, args *ledgerapi.RequestAccessArgs) error {
	w := args.Wish
	if w == nil {
		return nil
	}
	if err := checkWishLists(args); err != nil {
		return err
	}
	switch {
	case w.Until != 0 && (w.Until <= s.Now() || w.Until > s.Now().Add(ledgerapi.MaxGrantDays*24*time.Hour)):
		return emr.Invalid("wish.until", fmt.Sprintf("must be absent, or ahead by at most %d days", ledgerapi.MaxGrantDays))
	case w.MaxUses > ledgerapi.MaxGrantUses:
		return emr.Invalid("wish.maxUses", fmt.Sprintf("must be at most %d", ledgerapi.MaxGrantUses))
	case len(w.Records)+len(w.Purposes) == 0 && w.Until == 0 && w.MaxUses == 0:
		return emr.Invalid("wish", "must be absent when nothing more is asked for")
	default:
		return nil
	}
}

// checkWishLists checks the further records and purposes.
func checkWishLists(args *ledgerapi.RequestAccessArgs) error {
	w := args.Wish
	if w.Records == nil || len(w.Records) > ledgerapi.MaxWishRecords || !rising(w.Records) || slices.Contains(w.Records, args.Record) {
		return emr.Invalid("wish.records",
			fmt.Sprintf("must be a list of at most %d other records, sorted, none twice", ledgerapi.MaxWishRecords))
	}
	for _, record := range w.Records {
		if err := emr.CheckID("wish.records", record); err != nil {
			return err
		}
	}
	if w.Purposes == nil || !rising(w.Purposes) || slices.Contains(w.Purposes, args.Purpose) {
		return emr.Invalid("wish.purposes", "must be a list of other purposes, sorted, none twice")
	}
	for _, purpose := range w.Purposes {
		if _, err := emr.ParsePurpose("wish.purposes", string(purpose)); err != nil {
			return err
		}
	}
	return nil
}

// wishedRecords returns every record that is asked for, the first one first.
func wishedRecords(first emr.RecordID, w *emr.Wish) []emr.RecordID {
	if w == nil {
		return []emr.RecordID{first}
	}
	return append([]emr.RecordID{first}, w.Records...)
}

func wishedPurposes(first emr.Purpose, w *emr.Wish) []emr.Purpose {
	if w == nil {
		return []emr.Purpose{first}
	}
	return append([]emr.Purpose{first}, w.Purposes...)
}

// decideWish decides each record and purpose asked for by itself, and gives the
// strictest answer: one that must be denied denies the request, and it is permitted
// only when one grant gives all of it already. Every record is looked at before
// anything is decided: a denial stands in the trail of each of them.
func decideWish(
	s Lookup, clinician *emr.Clinician, first *emr.Record, args *ledgerapi.RequestAccessArgs, standing *consent.Consent,
) (verdict, emr.GrantID, error) {
	var asked []*asking
	for _, id := range wishedRecords(first.ID, args.Wish) {
		a, err := askingFor(s, clinician, first, id, args.Wish)
		if err != nil {
			return verdict{}, "", err
		}
		a.standing, a.onward = standing, args.Onward
		asked = append(asked, a)
	}
	var all verdict
	var by emr.GrantID
	for i, a := range asked {
		for j, purpose := range wishedPurposes(args.Purpose, args.Wish) {
			a.purpose = purpose
			v, grant := decideRequest(a, s.Now())
			switch {
			case v.decision == emr.Deny:
				return v, "", nil
			case i+j == 0:
				all, by = v, grant
			case all.reason == emr.ReasonConsentPermits && v.decision == emr.Ask:
				all = v // the device may answer by itself only what the consent permits whole
			case all.reason == emr.ReasonConsentPermits, all.decision == emr.Permit && (v.decision != emr.Permit || grant != by):
				all, by = verdict{emr.Ask, emr.ReasonNoGrant}, ""
			}
		}
	}
	return all, by, nil
}

// askingFor reads what one record of a request is decided from. It must be of the
// patient and scope of the first one: one grant answers a request. Grants that end
// sooner, or allow fewer uses, than is wished do not give what is asked for.
func askingFor(s Lookup, clinician *emr.Clinician, first *emr.Record, id emr.RecordID, w *emr.Wish) (*asking, error) {
	a := &asking{clinician: clinician, record: first}
	var err error
	if id != first.ID {
		if a.record, err = recordOf(s, id); err != nil {
			return nil, err
		}
		if a.record.Patient != first.Patient || a.record.Scope != first.Scope {
			return nil, missing(ledgerapi.TypeRecord + " in the scope of the first")
		}
	}
	if a.grants, err = namingGrants(s, a.record, clinician.ID); err != nil {
		return nil, err
	}
	a.grants = slices.DeleteFunc(a.grants, func(g *emr.Grant) bool {
		terms := g.Effective()
		sooner, fewer := shortOf(w, &terms)
		return sooner || fewer
	})
	a.signOff, err = signOffOf(s, id)
	return a, err
}

// shortOf tells whether terms end sooner, or allow fewer uses, than is wished.
func shortOf(w *emr.Wish, terms *emr.GrantTerms) (sooner, fewer bool) {
	if w == nil {
		return false, false
	}
	return w.Until != 0 && terms.Until < w.Until, w.MaxUses != 0 && terms.MaxUses != 0 && terms.MaxUses < w.MaxUses
}

// answeredRequest returns the request that a grant names, as granted; nil when it
// names none. It must be a pending request of the grantee to this patient. The grant
// must give something of what was asked for; what it does not give is written down.
func answeredRequest(s Lookup, grant *emr.Grant) (*emr.Request, error) {
	if grant.Request == "" {
		return nil, nil
	}
	terms := grant.Effective()
	request, err := pendingRequest(s, terms.Patient, grant.Request)
	if err != nil {
		return nil, err
	}
	if request.By != terms.Grantee {
		return nil, &emr.Error{Code: emr.CodeRule, Field: "request", Message: "request was made by somebody else than the grantee"}
	}
	record, err := liveRecord(s, request.Record)
	if err != nil {
		return nil, err
	}
	asked, purposes := wishedRecords(request.Record, request.Wish), wishedPurposes(request.Purpose, request.Wish)
	left := leftOut(request, &terms)
	if record.Scope != terms.Scope || len(left.Records) == len(asked) || len(left.Purposes) == len(purposes) {
		return nil, &emr.Error{
			Code: emr.CodeRule, Field: "request", Message: "grant does not cover the record and purpose of the request it answers",
		}
	}
	request.Status, request.Decision, request.Reason = emr.RequestGranted, emr.Permit, emr.ReasonGrant
	if !left.None() {
		request.Reason, request.LeftOut = emr.ReasonNarrowed, left
	}
	request.Grant, request.Answered = grant.ID, s.Now()
	return request, nil
}

// leftOut compares what was asked for with what terms give.
func leftOut(request *emr.Request, terms *emr.GrantTerms) *emr.LeftOut {
	left := &emr.LeftOut{Records: []emr.RecordID{}, Purposes: []emr.Purpose{}, Onward: request.Onward != "" && terms.NoOnward}
	for _, record := range wishedRecords(request.Record, request.Wish) {
		if !terms.Covers(record) {
			left.Records = append(left.Records, record)
		}
	}
	for _, purpose := range wishedPurposes(request.Purpose, request.Wish) {
		if !slices.Contains(terms.Purposes, purpose) {
			left.Purposes = append(left.Purposes, purpose)
		}
	}
	slices.Sort(left.Records)
	slices.Sort(left.Purposes)
	left.Until, left.MaxUses = shortOf(request.Wish, terms)
	return left
}
