// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package client

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"slices"
	"time"

	"github.com/emrys-health/emrys/pkg/api"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
	"github.com/emrys-health/emrys/pkg/pre"
)

// ProposeRelationship proposes a treatment relationship of the caller's
// hospital with a patient.
func (c *Client) ProposeRelationship(ctx context.Context, patient emr.PatientID) (*ledgerapi.Receipt, error) {
	view, err := c.ResolvePatient(ctx, patient)
	if err != nil {
		return nil, err
	}
	args := ledgerapi.ProposeRelationshipArgs{Patient: view.Patient.Handle, Hospital: c.profile.Org}
	return c.transact(ctx, "relationship.propose", ledgerapi.ProposeRelationship, &args)
}

// AnswerRelationship accepts or refuses a proposed relationship. Refusing an
// accepted one ends it.
func (c *Client) AnswerRelationship(ctx context.Context, hospital emr.OrgID, accept bool) (*ledgerapi.Receipt, error) {
	if err := c.onlyPatient(); err != nil {
		return nil, err
	}
	args := ledgerapi.AnswerRelationshipArgs{Patient: c.profile.Handle, Hospital: hospital, Accept: accept}
	return c.transact(ctx, "relationship.answer", ledgerapi.AnswerRelationship, &args)
}

// transact submits a transaction whose result is a Receipt. After a lost answer
// the receipt has no time.
func (c *Client) transact(ctx context.Context, operation, function string, args any) (*ledgerapi.Receipt, error) {
	var receipt ledgerapi.Receipt
	done, err := c.submit(ctx, operation, function, args, &receipt, nil)
	if err != nil {
		return nil, err
	}
	if done.recovered {
		receipt = ledgerapi.Receipt{TxID: done.txID, ID: done.id}
	}
	return &receipt, nil
}

func (c *Client) onlyPatient() error {
	if !c.profile.IsPatient() {
		return emr.Refused(emr.ReasonRole, "only the patient can do this, on the patient's own device")
	}
	return nil
}

// RequestAccess asks for a record. The answer says what was decided: permit (a
// grant covers it already), ask (the patient has been told) or deny. A denial is
// no error here: it is the committed answer to the question.
func (c *Client) RequestAccess(ctx context.Context, record emr.RecordID, purpose emr.Purpose, note string) (*ledgerapi.DecisionReceipt, error) {
	id, err := emr.GenerateID[emr.RequestID](rand.Reader)
	if err != nil {
		return nil, err
	}
	args := ledgerapi.RequestAccessArgs{Request: id, Record: record, Purpose: purpose, Note: note}
	var receipt ledgerapi.DecisionReceipt
	done, err := c.submit(ctx, "request.create", ledgerapi.RequestAccess, &args, &receipt, nil)
	if err != nil || !done.recovered {
		return &receipt, err
	}
	made, err := c.findRequest(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("look up the request after a lost answer: %w", err)
	}
	return &ledgerapi.DecisionReceipt{
		TxID: done.txID, At: made.Made, ID: string(id), Decision: made.Decision, Reason: made.Reason, Grant: made.Grant,
	}, nil
}

// RefuseAccess refuses a pending request.
func (c *Client) RefuseAccess(ctx context.Context, request emr.RequestID) (*ledgerapi.Receipt, error) {
	if err := c.onlyPatient(); err != nil {
		return nil, err
	}
	args := ledgerapi.RefuseAccessArgs{Patient: c.profile.Handle, Request: request}
	return c.transact(ctx, "request.refuse", ledgerapi.RefuseAccess, &args)
}

// Revoke takes a grant back. The answer names who has read under it. After a
// lost answer Read is nil: the audit trail tells.
func (c *Client) Revoke(ctx context.Context, grant emr.GrantID) (*api.Revocation, error) {
	if err := c.onlyPatient(); err != nil {
		return nil, err
	}
	args := ledgerapi.RevokeAccessArgs{Patient: c.profile.Handle, Grant: grant}
	var answer api.Revocation
	done, err := c.submit(ctx, "grant.revoke", ledgerapi.RevokeAccess, &args, &answer, nil)
	if err != nil {
		return nil, err
	}
	if done.recovered {
		answer = api.Revocation{Receipt: ledgerapi.Receipt{TxID: done.txID, ID: done.id}}
	}
	return &answer, nil
}

// Giving says what a patient gives.
type Giving struct {
	// Request is what the grant answers. It names record, grantee and purpose
	// where the fields below leave them out. It may be empty.
	Request emr.RequestID
	// Records lists the records; all must be of one scope. With WholeScope they
	// only name the scope, and the grant covers every record of it, past and
	// future.
	Records    []emr.RecordID
	WholeScope bool
	To         emr.ClinicianID
	Purposes   []emr.Purpose
	Until      time.Time
	// MaxUses bounds the readings; 0 means no limit.
	MaxUses uint32
	// Direct gives at most 32 records by keys sealed to the grantee, and not by
	// fragments of the scope's key: proxies that collude with the grantee gain no other
	// record (docs/spec/granting.md, G5). It goes with no WholeScope. To make the keys
	// this device reads each record as its own, and the trail says so.
	Direct bool
	// NoOnward forbids the reader to share it further; SignedOff gives only records that
	// every named clinician has signed off.
	NoOnward, SignedOff bool
}

// Given is a committed grant.
type Given struct {
	Receipt ledgerapi.Receipt `json:"receipt"`
	Terms   emr.GrantTerms    `json:"terms"`
}

// Grant gives access. On this device it makes the fragments of the scope's
// re-encryption key to the grantee's reading key, and seals one to the proxy of
// every organisation but the grantee's own; of a direct grant, it opens each
// record's capsule and seals what is inside to the grantee's hybrid key. Before that
// it checks that the grantee may read at all, that the records are the patient's own,
// and that the request is what the grantee signed.
func (c *Client) Grant(ctx context.Context, g Giving) (*Given, error) {
	args, err := c.prepareGrant(ctx, g)
	if err != nil {
		return nil, err
	}
	receipt, err := c.transact(ctx, "grant.create", ledgerapi.GrantAccess, args)
	if err != nil {
		return nil, err
	}
	return &Given{Receipt: *receipt, Terms: args.Terms}, nil
}

// GrantAll gives several grants by one signed action, all or none: at most 16, of 100
// records together. Each is made as by [Client.Grant]. The receipts differ in their id alone.
func (c *Client) GrantAll(ctx context.Context, list []Giving) ([]Given, error) {
	if len(list) == 0 || len(list) > ledgerapi.MaxGrantBatch {
		return nil, emr.Invalid("grants", fmt.Sprintf("must be 1 to %d at once", ledgerapi.MaxGrantBatch))
	}
	batch := ledgerapi.GrantBatchArgs{Patient: c.profile.Handle}
	for _, g := range list {
		args, err := c.prepareGrant(ctx, g)
		if err != nil {
			return nil, err
		}
		batch.Grants = append(batch.Grants, *args)
	}
	var receipt ledgerapi.GrantBatchReceipt
	done, err := c.submit(ctx, "grant.batch", ledgerapi.GrantBatch, &batch, &receipt, nil)
	if err != nil {
		return nil, err
	}
	if done.recovered {
		receipt = ledgerapi.GrantBatchReceipt{TxID: done.txID}
	}
	given := make([]Given, len(list))
	for i := range batch.Grants {
		terms := batch.Grants[i].Terms
		given[i] = Given{Receipt: ledgerapi.Receipt{TxID: receipt.TxID, At: receipt.At, ID: string(terms.Grant)}, Terms: terms}
	}
	return given, nil
}

// prepareGrant makes what a grant is given by: terms, and keys or fragments.
func (c *Client) prepareGrant(ctx context.Context, g Giving) (*ledgerapi.GrantAccessArgs, error) {
	if err := c.onlyPatient(); err != nil {
		return nil, err
	}
	if err := c.fromRequest(ctx, &g); err != nil {
		return nil, err
	}
	if err := g.checkDirect(); err != nil {
		return nil, err
	}
	scope, err := c.commonScope(ctx, g.Records)
	if err != nil {
		return nil, err
	}
	grantee, err := c.checkGrantee(ctx, g, scope.Level)
	if err != nil {
		return nil, err
	}
	n, err := c.Network(ctx)
	if err != nil {
		return nil, err
	}
	terms, err := c.terms(n, g, scope, grantee)
	if err != nil {
		return nil, err
	}
	args := ledgerapi.GrantAccessArgs{Terms: *terms, Request: g.Request, Fragments: []emr.SealedFragment{}}
	if g.Direct {
		args.Direct, err = c.directKeys(ctx, n, terms, grantee)
	} else {
		args.Fragments, err = c.fragments(n, terms)
	}
	if err != nil {
		return nil, err
	}
	return &args, nil
}

// fromRequest completes what is given from the request that it answers.
func (c *Client) fromRequest(ctx context.Context, g *Giving) error {
	if g.Request == "" {
		return nil
	}
	asked, err := c.awaitRequest(ctx, g.Request)
	if err != nil {
		return err
	}
	r := &asked.Request
	if r.Status != emr.RequestPending {
		return emr.E(emr.CodeRule, "the request is "+string(r.Status)+" already")
	}
	if g.To != "" && g.To != r.By {
		return emr.Invalid("to", "the request was made by "+string(r.By))
	}
	g.To = r.By
	if len(g.Records) == 0 {
		g.Records = []emr.RecordID{r.Record}
	}
	if len(g.Purposes) == 0 {
		g.Purposes = []emr.Purpose{r.Purpose}
	}
	return nil
}

// commonScope returns the profile's scope that all records belong to.
func (c *Client) commonScope(ctx context.Context, records []emr.RecordID) (*emr.Scope, error) {
	if len(records) == 0 {
		return nil, emr.Invalid("records", "name a request or at least one record")
	}
	if len(records) > ledgerapi.MaxRecordsPerGrant {
		return nil, emr.Invalid("records", fmt.Sprintf("at most %d in one grant", ledgerapi.MaxRecordsPerGrant))
	}
	var scope emr.ScopeID
	for _, id := range records {
		record, err := c.Record(ctx, id)
		if err != nil {
			return nil, err
		}
		if record.Patient != c.profile.Handle {
			return nil, emr.E(emr.CodeForbidden, string(id)+" is not a record of yours")
		}
		if scope != "" && record.Scope != scope {
			return nil, emr.Invalid("records", "are of different security levels; give one grant for each level")
		}
		scope = record.Scope
	}
	return c.ownScope(scope)
}

// ownScope returns a scope of this device with the public keys that follow from
// its root seed, whatever the gateway says.
func (c *Client) ownScope(id emr.ScopeID) (*emr.Scope, error) {
	for _, s := range c.profile.Scopes {
		if s.ID != id {
			continue
		}
		delegating, fragment, err := c.scopeKeys(s.ID, s.Epoch)
		if err != nil {
			return nil, err
		}
		return &emr.Scope{
			V: emr.DocumentVersion, ID: s.ID, Patient: c.profile.Handle, Epoch: s.Epoch, Level: s.Level,
			Delegating: delegating.Public().Bytes(), Fragment: fragment.Public().Bytes(),
		}, nil
	}
	return nil, emr.E(emr.CodeNotFound, "the record's scope was not made on this device, which cannot share it")
}

func (c *Client) scopeKeys(id emr.ScopeID, epoch uint32) (delegating, fragment *pre.PrivateKey, err error) {
	if delegating, err = c.keys.ScopeKey(string(id), epoch); err != nil {
		return nil, nil, fmt.Errorf("derive scope key: %w", err)
	}
	if fragment, err = c.keys.ScopeSigner(string(id), epoch); err != nil {
		return nil, nil, fmt.Errorf("derive fragment key: %w", err)
	}
	return delegating, fragment, nil
}

// checkGrantee reads the grantee's registry entry and refuses what the ledger
// would refuse, before any key is made.
func (c *Client) checkGrantee(ctx context.Context, g Giving, level emr.Level) (*emr.Clinician, error) {
	if g.To == "" {
		return nil, emr.Invalid("to", "say who is to read")
	}
	if len(g.Purposes) == 0 {
		return nil, emr.Invalid("purposes", "say what for")
	}
	who, err := c.Clinician(ctx, g.To)
	if err != nil {
		return nil, err
	}
	for _, p := range g.Purposes {
		if !who.Role.MayUse(p) {
			return nil, emr.Refused(emr.ReasonPurpose, fmt.Sprintf("a %s may not read for %s", who.Role, p))
		}
	}
	if !who.Level.Covers(level) {
		return nil, emr.Refused(emr.ReasonLevel, fmt.Sprintf("%s is cleared for %s, the record is %s", who.ID, who.Level, level))
	}
	if who.NotAfter <= emr.TimeOf(c.now()) {
		return nil, emr.E(emr.CodeRule, "the certificate of "+string(who.ID)+" has expired")
	}
	return who, nil
}

func (c *Client) terms(n *api.Network, g Giving, scope *emr.Scope, to *emr.Clinician) (*emr.GrantTerms, error) {
	id, err := emr.GenerateID[emr.GrantID](rand.Reader)
	if err != nil {
		return nil, err
	}
	now, until := emr.TimeOf(c.now()), emr.TimeOf(g.Until)
	if until <= now {
		return nil, emr.Invalid("until", "must lie in the future")
	}
	if until > now.Add(ledgerapi.MaxGrantDays*24*time.Hour) {
		return nil, emr.Invalid("until", fmt.Sprintf("must be at most %d days ahead", ledgerapi.MaxGrantDays))
	}
	t := &emr.GrantTerms{
		Channel: c.profile.Channel, Grant: id, Patient: c.profile.Handle, Scope: scope.ID, Epoch: scope.Epoch,
		Grantee: to.ID, Org: to.Org, Reader: bytes.Clone(to.Reading), Records: []emr.RecordID{},
		Purposes: slices.Clone(g.Purposes), NotBefore: now.Add(-actionBackdate), Until: until, MaxUses: g.MaxUses,
		Gateways: []emr.OrgID{}, NoOnward: g.NoOnward, SignedOff: g.SignedOff,
	}
	if !g.WholeScope {
		t.Records = slices.Clone(g.Records)
		slices.Sort(t.Records)
		t.Records = slices.Compact(t.Records)
	}
	slices.Sort(t.Purposes)
	t.Purposes = slices.Compact(t.Purposes)
	if g.Direct {
		t.Direct, t.ReaderHybrid = true, sha256.Sum256(to.Hybrid)
		return t, nil
	}
	return t, through(n, t)
}

var errTooFewOthers = emr.E(emr.CodeUnavailable, "too few organisations besides the reader's own to share through")

// through names the gateways that are to hold a fragment: every one but the reader's own.
func through(n *api.Network, t *emr.GrantTerms) error {
	t.Threshold = n.Threshold
	for _, o := range n.Organisations {
		if o.ID != t.Org {
			t.Gateways = append(t.Gateways, o.ID)
		}
	}
	slices.Sort(t.Gateways)
	if len(t.Gateways) < int(t.Threshold) {
		return errTooFewOthers
	}
	return nil
}

// fragments makes the grant's key fragments, in the order of its gateways.
func (c *Client) fragments(n *api.Network, t *emr.GrantTerms) ([]emr.SealedFragment, error) {
	hash, err := t.Hash()
	if err != nil {
		return nil, err
	}
	reader, err := pre.ParsePublicKey(t.Reader)
	if err != nil {
		return nil, emr.Wrap(emr.CodeCorrupt, "the reader's key is not a key", err)
	}
	delegating, signer, err := c.scopeKeys(t.Scope, t.Epoch)
	if err != nil {
		return nil, err
	}
	params := pre.RekeyParams{Grant: hash, Reader: reader, Threshold: int(t.Threshold)}
	for _, g := range t.Gateways {
		params.Gateways = append(params.Gateways, string(g))
	}
	keys, err := pre.Rekey(rand.Reader, delegating, signer.Signer(), params)
	if err != nil {
		return nil, fmt.Errorf("make key fragments: %w", err)
	}
	sealed := make([]emr.SealedFragment, len(keys))
	for i, k := range keys {
		if sealed[i], err = sealFragment(n, t.Gateways[i], k); err != nil {
			return nil, err
		}
	}
	return sealed, nil
}

func sealFragment(n *api.Network, gateway emr.OrgID, k *pre.KeyFragment) (emr.SealedFragment, error) {
	o, err := organisation(n, gateway)
	if err != nil {
		return emr.SealedFragment{}, err
	}
	proxy, err := pre.ParseHybridPublicKey(o.Keys.Proxy)
	if err != nil {
		return emr.SealedFragment{}, emr.Wrap(emr.CodeCorrupt, "the proxy key of "+string(gateway)+" is not a key", err)
	}
	sealed, err := pre.SealKeyFragment(proxy, k)
	if err != nil {
		return emr.SealedFragment{}, fmt.Errorf("seal key fragment: %w", err)
	}
	return emr.SealedFragment{Gateway: gateway, Commitment: k.Commitment(), Sealed: sealed}, nil
}
