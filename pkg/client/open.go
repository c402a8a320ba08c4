// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"slices"

	"github.com/emrys-health/emrys/pkg/api"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
	"github.com/emrys-health/emrys/pkg/manifest"
	"github.com/emrys-health/emrys/pkg/pre"
	"github.com/emrys-health/emrys/pkg/seal"
	"github.com/emrys-health/emrys/pkg/signature"
)

// Opened is a record whose ticket, manifest, fragments and shares have been
// verified and whose data key is at hand. It prints without the key.
type Opened struct {
	Disclosure emr.Disclosure
	Record     emr.Record
	Manifest   emr.Manifest
	Author     emr.Clinician
	// Faults names the proxies that did not serve, those that the gateway
	// reports and those whose answers failed verification here (code corrupt).
	Faults []api.Fault

	// Size is the length of the content in bytes. That of a padded content is
	// known, and set, when it has been streamed; it is 0 before.
	Size uint64

	client *Client
	key    *seal.DataKey
	layout seal.Layout
}

// OpenTicket presents a ticket to the proxies and opens what they answer. The
// same ticket may be presented again as long as it is valid. A ticket that does
// not hold is a rule error with its reason, and the attempt is on the ledger.
// Too few honest answers are a corrupt error when a proxy lied, else an
// unavailable error; both name the proxies.
func (c *Client) OpenTicket(ctx context.Context, ticket emr.DisclosureID) (*Opened, error) {
	v, err := c.present(ctx, ticket)
	if err != nil {
		return nil, err
	}
	return v.open(ticket)
}

// present presents a ticket and returns what the gateway answers, of which the
// record's public part alone is verified yet.
func (c *Client) present(ctx context.Context, ticket emr.DisclosureID) (*verifier, error) {
	n, err := c.Network(ctx)
	if err != nil {
		return nil, err
	}
	signed, err := c.sign(ledgerapi.OpenTicket, &ledgerapi.OpenTicketArgs{Disclosure: ticket})
	if err != nil {
		return nil, err
	}
	var opening api.Opening
	if err := c.query(ctx, call{operation: "disclosure.open", json: signed}, &opening); err != nil {
		return nil, err
	}
	// The record is proven: its manifest's digest makes the manifest authentic, whatever the gateway says.
	record, err := c.Record(ctx, opening.Disclosure.Record)
	if err != nil {
		return nil, err
	}
	opening.Manifest.Record = *record
	return &verifier{client: c, network: n, opening: &opening}, nil
}

// verifier checks an opening piece by piece. Nothing of it is trusted before.
type verifier struct {
	client   *Client
	network  *api.Network
	opening  *api.Opening
	manifest emr.Manifest
	context  [pre.HashSize]byte
	capsule  *pre.Capsule
	envelope *pre.Envelope
	faults   []api.Fault
}

// check verifies all of the opening but the proxies' answers.
func (v *verifier) check(ticket emr.DisclosureID) error {
	if err := v.checkTicket(ticket); err != nil {
		return err
	}
	if err := v.checkManifest(); err != nil {
		return err
	}
	return v.bind()
}

func (v *verifier) open(ticket emr.DisclosureID) (*Opened, error) {
	if err := v.check(ticket); err != nil {
		return nil, err
	}
	var shareKey, preKey []byte
	var err error
	switch {
	case v.client.profile.IsPatient():
		shareKey, preKey, err = v.ownKeys()
	case v.opening.Grant.Terms.Direct:
		shareKey, preKey, err = v.givenKeys()
	default:
		shareKey, preKey, err = v.sharedKeys()
	}
	defer clear(shareKey)
	defer clear(preKey)
	if err != nil {
		return nil, err
	}
	key, layout, err := v.dataKey(shareKey, preKey)
	if err != nil {
		return nil, err
	}
	view := &v.opening.Manifest
	o := &Opened{
		Disclosure: v.opening.Disclosure, Record: view.Record, Manifest: v.manifest, Author: view.Author,
		Faults: v.faults, client: v.client, key: key, layout: layout,
	}
	if layout == seal.Plain {
		o.Size = v.manifest.PlainSize
	}
	return o, nil
}

// corrupt is the error of an answer that contradicts itself or its proofs.
func corrupt(message string, cause error) error { return emr.Wrap(emr.CodeCorrupt, message, cause) }

func (v *verifier) checkTicket(ticket emr.DisclosureID) error {
	d := &v.opening.Disclosure
	switch {
	case d.ID != ticket:
		return corrupt("the gateway answered with another ticket", nil)
	case d.Decision != emr.Permit:
		return &emr.Error{Code: emr.CodeRule, Reason: d.Reason, Message: "reading was refused: " + d.Reason.Explain()}
	case d.Reader != v.client.profile.Actor():
		return corrupt("the ticket is somebody else's", nil)
	case d.Record != v.opening.Manifest.Record.ID:
		return corrupt("the gateway answered with another record than the ticket's", nil)
	}
	if v.client.profile.IsPatient() {
		return nil
	}
	return v.checkGrant()
}

func (v *verifier) checkGrant() error {
	d, g := &v.opening.Disclosure, &v.opening.Grant
	reader := v.client.keys.Reading().Public().Bytes()
	switch {
	case g.ID != d.Grant || g.Terms.Grant != d.Grant:
		return corrupt("the gateway answered with another grant than the ticket's", nil)
	case string(g.Terms.Grantee) != v.client.profile.ID || g.Terms.Channel != v.client.profile.Channel:
		return corrupt("the ticket's grant is somebody else's", nil)
	case !slices.Equal(g.Terms.Reader, reader), g.Terms.Direct && g.Terms.ReaderHybrid != v.client.hybridHash():
		return emr.Refused(emr.ReasonReaderKey, "the grant was made to another key than this device's")
	case !g.Terms.Covers(d.Record) || g.Terms.Patient != d.Patient:
		return corrupt("the ticket's grant does not cover its record", nil)
	}
	return nil
}

// checkManifest verifies that the author signed the manifest, that it is the one
// the ledger committed to, and that it says what the public record says.
func (v *verifier) checkManifest() error {
	view := &v.opening.Manifest
	action, err := view.Signed.Parse()
	if err != nil {
		return corrupt("the author's manifest is not a signed action", err)
	}
	digest := view.Signed.Digest()
	switch {
	case digest != view.Record.Manifest:
		return corrupt("the manifest is not the one that the ledger holds the digest of", nil)
	case action.Function != ledgerapi.RegisterRecord && action.Function != ledgerapi.RekeyRecord, action.Actor != string(view.Author.ID),
		action.Channel != v.client.profile.Channel || action.Contract != v.client.profile.Contract:
		return corrupt("the manifest was not signed for this ledger by the record's author", nil)
	}
	if err := signature.VerifyAction(&view.Signed, view.Author.Signing); err != nil {
		return corrupt("the author's signature of the manifest does not hold", err)
	}
	if err := emr.DecodeCanonical(action.Args, &v.manifest); err != nil {
		return corrupt("the manifest cannot be read", err)
	}
	return v.compareManifest()
}

// facts are what the author's manifest and the public record both say.
type facts struct {
	record     emr.RecordID
	patient    emr.Handle
	scope      emr.ScopeID
	class      emr.Class
	level      emr.Level
	author     string
	cid        string
	digest     emr.Digest
	cipherSize uint64
	version    uint32
	previous   emr.RecordID
	restricted bool
}

func (v *verifier) compareManifest() error {
	r, m := &v.opening.Manifest.Record, &v.manifest
	public := facts{
		r.ID, r.Patient, r.Scope, r.Class, r.Level, string(r.Author), r.CID, r.Digest, r.CipherSize, r.Version, r.Previous,
		r.Restricted,
	}
	signed := facts{
		m.Record, m.Patient, m.Scope, m.Class, m.Level, string(v.opening.Manifest.Author.ID), m.CID, m.Digest, m.CipherSize,
		m.Version, m.Previous, len(m.Labels) > 0,
	}
	if public != signed {
		return corrupt("the author's manifest and the public record do not agree", nil)
	}
	size, err := seal.CipherSize(m.PlainSize)
	if err != nil || size != m.CipherSize || m.SegmentSize != seal.SegmentSize {
		return corrupt("the manifest's sizes are impossible", err)
	}
	return v.compareScope()
}

func (v *verifier) compareScope() error {
	m, s, t := &v.manifest, &v.opening.Manifest.Scope, &v.opening.Grant.Terms
	if s.ID != m.Scope || s.Epoch != m.Epoch || s.Patient != m.Patient {
		return corrupt("the gateway answered with another scope than the record's", nil)
	}
	if !v.client.profile.IsPatient() && (t.Scope != m.Scope || t.Epoch != m.Epoch) {
		return corrupt("the ticket's grant is for another scope than the record's", nil)
	}
	return nil
}

// bind recomputes what the record's keys are bound to and reads the key material.
func (v *verifier) bind() error {
	view := &v.opening.Manifest
	var err error
	if v.context, err = manifest.Context(v.client.profile.Channel, &v.manifest, &view.Author, &view.Scope).Hash(); err != nil {
		return corrupt("the manifest is incomplete", err)
	}
	if v.capsule, err = pre.ParseCapsule(v.manifest.Capsule); err != nil {
		return corrupt("the record's capsule is not a capsule", err)
	}
	scope, err := pre.ParsePublicKey(view.Scope.Delegating)
	if err != nil {
		return corrupt("the scope's key is not a key", err)
	}
	if err := v.capsule.Verify(scope, v.context); err != nil {
		return corrupt("the capsule was not made for this record", err)
	}
	if v.envelope, err = pre.ParseEnvelope(v.manifest.Envelope); err != nil {
		return corrupt("the record's key envelope cannot be read", err)
	}
	return nil
}

// ownPreKey opens the capsule of a patient's own record.
func (v *verifier) ownPreKey() ([]byte, error) {
	if v.manifest.Patient != v.client.profile.Handle {
		return nil, corrupt("the record is somebody else's", nil)
	}
	delegating, _, err := v.client.scopeKeys(v.manifest.Scope, v.manifest.Epoch)
	if err != nil {
		return nil, err
	}
	preKey, err := pre.Decapsulate(delegating, v.capsule, v.context)
	if err != nil {
		return nil, corrupt("the record was not encrypted to a scope of this device", err)
	}
	return preKey, nil
}

// ownKeys opens a patient's own record without any proxy.
func (v *verifier) ownKeys() (shareKey, preKey []byte, err error) {
	if preKey, err = v.ownPreKey(); err != nil {
		return nil, nil, err
	}
	shareKey, err = pre.OpenPatientCopy(v.client.keys.Hybrid(), v.context, v.envelope.PatientCopy)
	if err != nil {
		return nil, preKey, corrupt("the patient's copy of the key does not open", err)
	}
	return shareKey, preKey, nil
}

// dataKey unwraps the data key and checks it against the author's commitment,
// which also says how the content is laid out.
func (v *verifier) dataKey(shareKey, preKey []byte) (*seal.DataKey, seal.Layout, error) {
	raw, err := pre.UnwrapKey(v.context, shareKey, preKey, v.envelope.Wrapped)
	if err != nil {
		return nil, 0, corrupt("the record's data key does not unwrap", err)
	}
	defer clear(raw)
	key, err := seal.ParseDataKey(raw)
	if err != nil {
		return nil, 0, corrupt("the record's data key is not a key", err)
	}
	layout, err := key.Layout(v.manifest.FileID, v.manifest.KeyCommitment)
	if err != nil {
		return nil, 0, corrupt("the data key is not the one that the author committed to", err)
	}
	return key, layout, nil
}
