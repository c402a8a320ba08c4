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

// GrantFor returns the caller's newest live grant that covers a record for a
// purpose. When none lives it returns the newest that did: to present it makes
// the denial say why (revoked, expired). It returns "" when there was never one.
func (c *Client) GrantFor(ctx context.Context, record emr.RecordID, purpose emr.Purpose) (emr.GrantID, error) {
	r, err := c.Record(ctx, record)
	if err != nil {
		return "", err
	}
	now := emr.TimeOf(c.now())
	var past emr.GrantID
	grant, err := c.findGrant(ctx, func(g *emr.Grant) bool {
		t := &g.Terms
		if t.Scope != r.Scope || !t.Covers(record) || !slices.Contains(t.Purposes, purpose) {
			return false
		}
		if past == "" {
			past = g.ID
		}
		return g.Status == emr.GrantLive && t.NotBefore <= now && now < t.Until
	})
	if emr.CodeOf(err) == emr.CodeNotFound {
		return past, nil
	}
	if err != nil {
		return "", err
	}
	return grant.ID, nil
}
