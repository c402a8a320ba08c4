// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"crypto/rand"
	"slices"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// Disclose begins a reading and commits its ticket. grant may be empty: for a
// patient's own reading, and where a professional has none (the denial is then
// committed). A denial is a rule error with its reason and the transaction that
// holds it. After a lost answer the receipt has neither time nor decision; the
// ticket then tells by itself whether it holds.
func (c *Client) Disclose(ctx context.Context, record emr.RecordID, grant emr.GrantID, purpose emr.Purpose) (*ledgerapi.DecisionReceipt, error) {
	id, err := emr.GenerateID[emr.DisclosureID](rand.Reader)
	if err != nil {
		return nil, err
	}
	args := ledgerapi.DiscloseArgs{Disclosure: id, Record: record, Grant: grant, Purpose: purpose}
	var receipt ledgerapi.DecisionReceipt
	done, err := c.submit(ctx, "disclosure.create", ledgerapi.Disclose, &args, &receipt, nil)
	switch {
	case err != nil:
		return nil, err
	case done.recovered:
		return &ledgerapi.DecisionReceipt{TxID: done.txID, ID: string(id), Grant: grant}, nil
	case receipt.Decision != emr.Permit:
		return nil, &emr.Error{
			Code: emr.CodeRule, Op: "disclosure.create", Reason: receipt.Reason, TxID: receipt.TxID,
			Message: "reading was refused: " + receipt.Reason.Explain(),
		}
	case receipt.ID != string(id):
		return nil, emr.E(emr.CodeCorrupt, "the gateway answered with another disclosure")
	}
	return &receipt, nil
}

// GrantFor returns the caller's newest live grant, other than those passed over,
// that covers a record for a purpose. When none lives it returns the newest that
// did, and false: to present it makes the denial say why (revoked, expired). It
// returns "" when there was never one. Whether a grant's uses are exhausted only
// the ledger knows.
func (c *Client) GrantFor(
	ctx context.Context, record emr.RecordID, purpose emr.Purpose, passOver ...emr.GrantID,
) (grant emr.GrantID, live bool, err error) {
	r, err := c.Record(ctx, record)
	if err != nil {
		return "", false, err
	}
	now := emr.TimeOf(c.now())
	var past emr.GrantID
	found, err := c.findGrant(ctx, func(g *emr.Grant) bool {
		t := &g.Terms
		if t.Scope != r.Scope || !t.Covers(record) || !slices.Contains(t.Purposes, purpose) || slices.Contains(passOver, g.ID) {
			return false
		}
		if past == "" {
			past = g.ID
		}
		return g.Status == emr.GrantLive && t.NotBefore <= now && now < t.Until
	})
	if emr.CodeOf(err) == emr.CodeNotFound {
		return past, false, nil
	}
	if err != nil {
		return "", false, err
	}
	return found.ID, true, nil
}

// DiscloseAny is Disclose with the grants of GrantFor: the newest live one, and
// when its uses turn out to be exhausted, the next. Every denial on the way is
// committed. Without any grant the reading is begun all the same, so that this
// denial is committed too.
func (c *Client) DiscloseAny(ctx context.Context, record emr.RecordID, purpose emr.Purpose) (*ledgerapi.DecisionReceipt, error) {
	var exhausted []emr.GrantID
	var refusal error
	for {
		grant, live, err := c.GrantFor(ctx, record, purpose, exhausted...)
		if err != nil {
			return nil, err
		}
		if refusal != nil && !live {
			return nil, refusal
		}
		receipt, err := c.Disclose(ctx, record, grant, purpose)
		if !live || err == nil || emr.Public(err).Reason != emr.ReasonExhausted {
			return receipt, err
		}
		exhausted, refusal = append(exhausted, grant), err
	}
}
