// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"fmt"
	"slices"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// ending names what ends together with versions of a record. A transaction may not
// scan for it, so that somebody names it and the contract checks that it is so.
type ending struct {
	grants     []emr.GrantID
	requests   []emr.RequestID
	amendments []emr.AmendmentID
}

func (e *ending) empty() bool { return len(e.grants)+len(e.requests)+len(e.amendments) == 0 }

func (e *ending) check() error {
	if err := checkNamed("grants", e.grants, emr.CheckID); err != nil {
		return err
	}
	if err := checkNamed("requests", e.requests, emr.CheckID); err != nil {
		return err
	}
	return checkNamed("amendments", e.amendments, emr.CheckID)
}

// checkNamed checks a list of ids: present, sorted, none twice, not too many.
func checkNamed[T ~string](field string, ids []T, check func(string, T) error) error {
	if ids == nil || len(ids) > ledgerapi.MaxEnded || !rising(ids) {
		return emr.Invalid(field, fmt.Sprintf("must be a list of at most %d, sorted, none twice", ledgerapi.MaxEnded))
	}
	for _, id := range ids {
		if err := check(field, id); err != nil {
			return err
		}
	}
	return nil
}

// changes counts what is changed of a state. Who may continue an order for ever,
// naming again what is gone, would lengthen the patient's chain at will.
type changes struct {
	State
	n int
}

func (c *changes) Put(key ledgerapi.Key, value []byte) error {
	c.n++
	return c.State.Put(key, value)
}

func (c *changes) PurgePrivate(key ledgerapi.Key) error {
	c.n++
	return c.State.PurgePrivate(key)
}

// endNamed ends grants that name closed versions only and purges their fragments,
// and purges the notes of requests for closed versions, and the texts of amendments
// about erased ones. closing are the versions that this transaction closes. It
// returns the grants.
func endNamed(s State, order *emr.Erasure, closing []*emr.Record, e ending) ([]*emr.Grant, error) {
	grants := make([]*emr.Grant, 0, len(e.grants))
	budget := ledgerapi.MaxEndedRecords
	for _, id := range e.grants {
		grant, err := require(s, ledgerapi.GrantKey(id), versionOfGrant)
		if err != nil {
			return nil, err
		}
		if grant.Terms.Patient != order.Patient {
			return nil, missing(ledgerapi.TypeGrant)
		}
		if budget -= len(grant.Terms.Records); budget < 0 {
			return nil, &emr.Error{Code: emr.CodeTooLarge, Field: "grants", Message: "name more than 256 records; end them in several transactions"}
		}
		if err := checkNamesClosed(s, grant, closing); err != nil {
			return nil, err
		}
		if err := endGrant(s, grant); err != nil {
			return nil, err
		}
		grants = append(grants, grant)
	}
	for _, id := range e.requests {
		if err := endRequest(s, order, id, closing); err != nil {
			return nil, err
		}
	}
	for _, id := range e.amendments {
		if err := endAmendment(s, order, id, closing); err != nil {
			return nil, err
		}
	}
	return grants, nil
}

// checkNamesClosed refuses a grant that gives anything besides closed versions.
func checkNamesClosed(s Lookup, grant *emr.Grant, closing []*emr.Record) error {
	closed := len(grant.Terms.Records) > 0
	for _, id := range grant.Terms.Records {
		is, err := isClosed(s, id, closing)
		if err != nil {
			return err
		}
		closed = closed && is
	}
	if !closed {
		return &emr.Error{Code: emr.CodeRule, Field: "grants", Message: "a grant names a record that is not closed"}
	}
	return nil
}

func isClosed(s Lookup, id emr.RecordID, closing []*emr.Record) (bool, error) {
	if slices.ContainsFunc(closing, func(version *emr.Record) bool { return version.ID == id }) {
		return true, nil
	}
	record, err := recordOf(s, id)
	return err == nil && record.Status != emr.RecordLive, err
}

// endGrant ends a grant that is live, or waits, and purges its fragments. Those of another are purged already.
func endGrant(s State, grant *emr.Grant) error {
	if grant.Status != emr.GrantLive && grant.Status != emr.GrantWaiting {
		return nil
	}
	grant.Status, grant.Revoked = emr.GrantEnded, s.Now()
	if err := put(s, ledgerapi.GrantKey(grant.ID), grant); err != nil {
		return err
	}
	if err := s.PurgePrivate(ledgerapi.FragmentKey(grant.ID)); err != nil {
		return fmt.Errorf("ledger: purge fragments: %w", err)
	}
	return nil
}

// endRequest purges the note of a request for a closed version, and closes the
// request when it waits for an answer.
func endRequest(s State, order *emr.Erasure, id emr.RequestID, closing []*emr.Record) error {
	request, err := require(s, ledgerapi.RequestKey(id), versionOfRequest)
	if err != nil {
		return err
	}
	if request.Patient != order.Patient {
		return missing(ledgerapi.TypeRequest)
	}
	closed, err := isClosed(s, request.Record, closing)
	if err != nil {
		return err
	}
	if !closed {
		return &emr.Error{Code: emr.CodeRule, Field: "requests", Message: "a request is for a record that is not closed"}
	}
	if request.Status == emr.RequestPending {
		request.Status, request.Decision, request.Reason = emr.RequestClosed, emr.Deny, emr.ReasonErased
		if order.Kind == emr.OrderRekey {
			request.Reason = emr.ReasonRekeyed
		}
		request.Answered = s.Now()
		if err := put(s, ledgerapi.RequestKey(id), request); err != nil {
			return err
		}
	}
	there, err := s.HasPrivate(ledgerapi.NoteKey(id))
	if err != nil || !there {
		return err
	}
	if err := s.PurgePrivate(ledgerapi.NoteKey(id)); err != nil {
		return fmt.Errorf("ledger: purge note: %w", err)
	}
	return nil
}
