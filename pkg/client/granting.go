// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"slices"
	"time"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// Inbox lists what waits for the caller's answer, newest first (docs/spec/granting.md,
// G8). A page may be short, or empty, and still have a bookmark.
func (c *Client) Inbox(ctx context.Context, p Page) (*ledgerapi.InboxPage, error) {
	return list[ledgerapi.InboxPage](ctx, c, "inbox.list", p)
}

// ShownGrant returns a grant of the calling patient, to the calling professional, or,
// while it waits, one that the caller may confirm. It is the gateway's word.
func (c *Client) ShownGrant(ctx context.Context, id emr.GrantID) (*emr.Grant, error) {
	var grant emr.Grant
	if err := c.query(ctx, call{operation: "grant.get", path: []string{string(id)}}, &grant); err != nil {
		return nil, err
	}
	if grant.ID != id || grant.Terms.Grant != id {
		return nil, emr.E(emr.CodeCorrupt, "the gateway answered with another grant")
	}
	return &grant, nil
}

// ConfirmGrant confirms somebody's wide grant, as one whom the patient has named for
// it. shown is what the caller has looked at: the signed action names the hash of its
// terms, so that a gateway which showed other terms gets nothing confirmed.
func (c *Client) ConfirmGrant(ctx context.Context, shown *emr.Grant) (*ledgerapi.DecisionReceipt, error) {
	terms, err := shown.Terms.Hash()
	if err != nil {
		return nil, err
	}
	args := ledgerapi.ConfirmGrantArgs{Patient: shown.Terms.Patient, Grant: shown.Terms.Grant, Terms: terms}
	return c.decided(ctx, "grant.confirm", ledgerapi.ConfirmGrant, &args)
}

// decided submits what the ledger answers with a decision. After a lost answer the
// receipt has neither time nor decision.
func (c *Client) decided(ctx context.Context, operation, function string, args any) (*ledgerapi.DecisionReceipt, error) {
	var receipt ledgerapi.DecisionReceipt
	done, err := c.submit(ctx, operation, function, args, &receipt, nil)
	if err != nil {
		return nil, err
	}
	if done.recovered {
		return &ledgerapi.DecisionReceipt{TxID: done.txID, ID: done.id}, nil
	}
	return &receipt, nil
}

// Narrowing is what is left of a grant. What is empty stays as it is.
type Narrowing struct {
	Records  []emr.RecordID
	Purposes []emr.Purpose
	Until    time.Time
	// MaxUses counts every reading under the grant; when it had no limit, those from now on.
	MaxUses uint32
	// NoOnward forbids onward sharing; SignedOff leaves only records that are signed
	// off. Neither is taken back by a later narrowing.
	NoOnward, SignedOff bool
}

// NarrowGrant takes back a part of a grant of the calling patient's, without new key
// fragments (docs/spec/granting.md, G3). It returns what is left.
func (c *Client) NarrowGrant(ctx context.Context, id emr.GrantID, left Narrowing) (*Given, error) {
	if err := c.onlyPatient(); err != nil {
		return nil, err
	}
	grant, err := c.ShownGrant(ctx, id)
	if err != nil {
		return nil, err
	}
	terms := grant.Effective()
	if err := left.apply(&terms); err != nil {
		return nil, err
	}
	args := ledgerapi.NarrowGrantArgs{
		Patient: c.profile.Handle, Grant: id, Records: terms.Records, Purposes: terms.Purposes, Until: terms.Until,
		MaxUses: terms.MaxUses, NoOnward: terms.NoOnward, SignedOff: terms.SignedOff,
	}
	receipt, err := c.transact(ctx, "grant.narrow", ledgerapi.NarrowGrant, &args)
	if err != nil {
		return nil, err
	}
	return &Given{Receipt: *receipt, Terms: terms}, nil
}

// apply makes terms what is left of them, and refuses what would widen them.
func (l *Narrowing) apply(terms *emr.GrantTerms) error {
	if len(l.Records) > 0 {
		kept := slices.Compact(slices.Sorted(slices.Values(l.Records)))
		if len(terms.Records) > 0 && slices.ContainsFunc(kept, func(id emr.RecordID) bool { return !slices.Contains(terms.Records, id) }) {
			return emr.Invalid("records", "names one that the grant does not cover")
		}
		terms.Records = kept
	}
	if len(l.Purposes) > 0 {
		kept := slices.Compact(slices.Sorted(slices.Values(l.Purposes)))
		if slices.ContainsFunc(kept, func(p emr.Purpose) bool { return !slices.Contains(terms.Purposes, p) }) {
			return emr.Invalid("purposes", "names one that the grant is not for")
		}
		terms.Purposes = kept
	}
	if !l.Until.IsZero() {
		until := emr.TimeOf(l.Until)
		if until > terms.Until {
			return emr.Invalid("until", "is later than the grant ends")
		}
		terms.Until = until
	}
	if l.MaxUses > 0 {
		if terms.MaxUses > 0 && l.MaxUses > terms.MaxUses {
			return emr.Invalid("uses", "are more than the grant allows")
		}
		terms.MaxUses = l.MaxUses
	}
	terms.NoOnward, terms.SignedOff = terms.NoOnward || l.NoOnward, terms.SignedOff || l.SignedOff
	return nil
}

// SignOff signs a record off in the caller's turn, or, with a ground, refuses to,
// which ends the sign-off (docs/spec/granting.md, G7). What is signed is the digest of
// the author's manifest, from the record's entry as several organisations prove it.
// To sign is no right to read: read the record first, under a grant.
func (c *Client) SignOff(ctx context.Context, id emr.RecordID, refusal emr.SignOffGround) (*ledgerapi.DecisionReceipt, error) {
	if !c.profile.Role.MayWrite() {
		return nil, emr.Refused(emr.ReasonRole, "only physicians and nurses sign records off")
	}
	record, err := c.Record(ctx, id)
	if err != nil {
		return nil, err
	}
	args := ledgerapi.SignOffArgs{Record: id, Manifest: record.Manifest, Refuse: refusal != "", Ground: refusal}
	return c.decided(ctx, "record.signoff", ledgerapi.SignOff, &args)
}

// signers looks up those who are to sign a record off, in their order.
func (c *Client) signers(ctx context.Context, ids []emr.ClinicianID) ([]emr.Signer, error) {
	if len(ids) > ledgerapi.MaxSigners {
		return nil, emr.Invalid("signers", "must be at most 8")
	}
	var all []emr.Signer
	for _, id := range ids {
		who, err := c.Clinician(ctx, id)
		if err != nil {
			return nil, err
		}
		all = append(all, emr.Signer{Clinician: who.ID, Org: who.Org, Role: who.Role})
	}
	return all, nil
}

// GrantRule returns the calling patient's rule about wide grants; one of version 0 when
// there is none (docs/spec/granting.md, G6). It is the gateway's word.
func (c *Client) GrantRule(ctx context.Context) (*emr.GrantRule, error) {
	if err := c.onlyPatient(); err != nil {
		return nil, err
	}
	var rule emr.GrantRule
	if err := c.query(ctx, call{operation: "grant-rule.get"}, &rule); err != nil {
		return nil, err
	}
	if rule.Version > 0 && rule.Patient != c.profile.Handle {
		return nil, emr.E(emr.CodeCorrupt, "the gateway answered with another patient's rule")
	}
	return &rule, nil
}

// SetGrantRule sets the calling patient's rule about wide grants in the place of the
// one of the version given, 0 for none. A looser one waits for its confirmation: then
// the decision is ask.
func (c *Client) SetGrantRule(ctx context.Context, version uint32, terms emr.GrantRuleTerms) (*ledgerapi.DecisionReceipt, error) {
	if err := c.onlyPatient(); err != nil {
		return nil, err
	}
	terms.Confirmers = append([]string{}, terms.Confirmers...)
	slices.Sort(terms.Confirmers)
	args := ledgerapi.SetGrantRuleArgs{Patient: c.profile.Handle, Version: version, Terms: terms}
	return c.decided(ctx, "grant-rule.set", ledgerapi.SetGrantRule, &args)
}

// ConfirmGrantRule confirms the looser rule of a patient that waits, as one whom the
// rule in force names. version is that of the rule in force.
func (c *Client) ConfirmGrantRule(ctx context.Context, patient emr.Handle, version uint32) (*ledgerapi.Receipt, error) {
	args := ledgerapi.ConfirmGrantRuleArgs{Patient: patient, Version: version}
	return c.transact(ctx, "grant-rule.confirm", ledgerapi.ConfirmGrantRule, &args)
}
