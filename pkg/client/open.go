// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/emrys-health/emrys/pkg/api"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
	"github.com/emrys-health/emrys/pkg/manifest"
	"github.com/emrys-health/emrys/pkg/pre"
	"github.com/emrys-health/emrys/pkg/seal"
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

	client *Client
	key    *seal.DataKey
}

// OpenTicket presents a ticket to the proxies and opens what they answer. The
// same ticket may be presented again as long as it is valid. A ticket that does
// not hold is a rule error with its reason, and the attempt is on the ledger.
// Too few honest answers are a corrupt error when a proxy lied, else an
// unavailable error; both name the proxies.
func (c *Client) OpenTicket(ctx context.Context, ticket emr.DisclosureID) (*Opened, error) {
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
	v := &verifier{client: c, network: n, opening: &opening}
	return v.open(ticket)
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

func (v *verifier) open(ticket emr.DisclosureID) (*Opened, error) {
	if err := v.checkTicket(ticket); err != nil {
		return nil, err
	}
	if err := v.checkManifest(); err != nil {
		return nil, err
	}
	if err := v.bind(); err != nil {
		return nil, err
	}
	var shareKey, preKey []byte
	var err error
	if v.client.profile.IsPatient() {
		shareKey, preKey, err = v.ownKeys()
	} else {
		shareKey, preKey, err = v.sharedKeys()
	}
	defer clear(shareKey)
	defer clear(preKey)
	if err != nil {
		return nil, err
	}
	key, err := v.dataKey(shareKey, preKey)
	if err != nil {
		return nil, err
	}
	view := &v.opening.Manifest
	return &Opened{
		Disclosure: v.opening.Disclosure, Record: view.Record, Manifest: v.manifest, Author: view.Author,
		Faults: v.faults, client: v.client, key: key,
	}, nil
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
	case !slices.Equal(g.Terms.Reader, reader):
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
	case action.Function != ledgerapi.RegisterRecord || action.Actor != string(view.Author.ID),
		action.Channel != v.client.profile.Channel || action.Contract != v.client.profile.Contract:
		return corrupt("the manifest was not signed for this ledger by the record's author", nil)
	}
	key, err := pre.ParsePublicKey(view.Author.Signing.Key)
	if err != nil {
		return corrupt("the author's key is not a key", err)
	}
	if err := pre.VerifyP256(key, digest[:], view.Signed.Signature); err != nil {
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
}

func (v *verifier) compareManifest() error {
	r, m := &v.opening.Manifest.Record, &v.manifest
	public := facts{
		r.ID, r.Patient, r.Scope, r.Class, r.Level, string(r.Author), r.CID, r.Digest, r.CipherSize, r.Version, r.Previous,
	}
	signed := facts{
		m.Record, m.Patient, m.Scope, m.Class, m.Level, string(v.opening.Manifest.Author.ID), m.CID, m.Digest, m.CipherSize,
		m.Version, m.Previous,
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

// ownKeys opens a patient's own record without any proxy.
func (v *verifier) ownKeys() (shareKey, preKey []byte, err error) {
	if v.manifest.Patient != v.client.profile.Handle {
		return nil, nil, corrupt("the record is somebody else's", nil)
	}
	delegating, _, err := v.client.scopeKeys(v.manifest.Scope, v.manifest.Epoch)
	if err != nil {
		return nil, nil, err
	}
	if preKey, err = pre.Decapsulate(delegating, v.capsule, v.context); err != nil {
		return nil, nil, corrupt("the record was not encrypted to a scope of this device", err)
	}
	shareKey, err = pre.OpenPatientCopy(v.client.keys.Hybrid(), v.context, v.envelope.PatientCopy)
	if err != nil {
		return nil, preKey, corrupt("the patient's copy of the key does not open", err)
	}
	return shareKey, preKey, nil
}

// dataKey unwraps the data key and checks it against the author's commitment.
func (v *verifier) dataKey(shareKey, preKey []byte) (*seal.DataKey, error) {
	raw, err := pre.UnwrapKey(v.context, shareKey, preKey, v.envelope.Wrapped)
	if err != nil {
		return nil, corrupt("the record's data key does not unwrap", err)
	}
	defer clear(raw)
	key, err := seal.ParseDataKey(raw)
	if err != nil {
		return nil, corrupt("the record's data key is not a key", err)
	}
	if err := key.VerifyCommitment(v.manifest.FileID, v.manifest.KeyCommitment); err != nil {
		return nil, corrupt("the data key is not the one that the author committed to", err)
	}
	return key, nil
}

// sharedKeys recovers both keys from the proxies' answers. What fails
// verification is set aside and its proxy named; the rest may be enough.
func (v *verifier) sharedKeys() (shareKey, preKey []byte, err error) {
	v.faults = slices.Clone(v.opening.Faults)
	params, err := v.parameters()
	if err != nil {
		return nil, nil, err
	}
	capsules, shares := v.fragments(params.Request)
	threshold := int(v.opening.Grant.Terms.Threshold)
	preKey, liars, err := pre.OpenReport(v.client.keys.Reading(), v.capsule, threshold, params, capsules)
	for _, liar := range liars {
		v.accuse(emr.OrgID(liar.Gateway), "its fragment is not proven for this reading")
	}
	if err != nil {
		return nil, nil, v.tooFew(err)
	}
	shareKey, err = pre.CombineShares(int(v.manifest.Threshold), shares)
	if err != nil {
		return nil, preKey, v.tooFew(err)
	}
	return shareKey, preKey, nil
}

// parameters is what every fragment must be proven for.
func (v *verifier) parameters() (pre.ReencryptParams, error) {
	p := pre.ReencryptParams{Reader: v.client.keys.Reading().Public(), Context: v.context}
	request, err := v.opening.Disclosure.Hash()
	if err != nil {
		return p, err
	}
	grant, err := v.opening.Grant.Terms.Hash()
	if err != nil {
		return p, err
	}
	p.Request, p.Grant = request, grant
	if p.Delegating, err = pre.ParsePublicKey(v.opening.Manifest.Scope.Delegating); err != nil {
		return p, corrupt("the scope's key is not a key", err)
	}
	if p.Signer, err = pre.ParsePublicKey(v.opening.Manifest.Scope.Fragment); err != nil {
		return p, corrupt("the scope's fragment key is not a key", err)
	}
	return p, nil
}

// fragments reads the proxies' answers and keeps those whose receipt holds. A
// capsule fragment and a share of one proxy are judged apart.
func (v *verifier) fragments(request emr.Digest) ([]*pre.CapsuleFragment, []pre.Share) {
	var capsules []*pre.CapsuleFragment
	var shares []pre.Share
	seen := map[emr.OrgID]bool{}
	for i := range v.opening.Fragments {
		f := &v.opening.Fragments[i]
		if seen[f.Gateway] {
			continue
		}
		seen[f.Gateway] = true
		if problem := v.checkReceipt(f, request); problem != "" {
			v.accuse(f.Gateway, problem)
			continue
		}
		if c, err := pre.ParseCapsuleFragment(f.Capsule); err != nil || c.Gateway() != string(f.Gateway) {
			v.accuse(f.Gateway, "its capsule fragment is not its own")
		} else {
			capsules = append(capsules, c)
		}
		if s, err := v.openShare(f, request); err != nil {
			v.accuse(f.Gateway, "its share is not the one that the author committed to")
		} else {
			shares = append(shares, s)
		}
	}
	return capsules, shares
}

func (v *verifier) openShare(f *api.Fragment, request emr.Digest) (pre.Share, error) {
	share, ok := v.envelope.Shares.ShareOf(string(f.Gateway))
	if !ok {
		return pre.Share{}, emr.E(emr.CodeNotFound, "the gateway holds no share of this record")
	}
	return pre.OpenReSealedShare(v.client.keys.Hybrid(), v.context, request, share, f.Share)
}

// checkReceipt verifies the proxy's signature over its own answer and returns
// what is wrong, or "".
func (v *verifier) checkReceipt(f *api.Fragment, request emr.Digest) string {
	if !slices.Contains(v.opening.Grant.Terms.Gateways, f.Gateway) {
		return "it holds no part of this grant"
	}
	o, err := organisation(v.network, f.Gateway)
	if err != nil {
		return "it is not of this network"
	}
	key, err := pre.ParsePublicKey(o.Keys.Receipt)
	if err != nil {
		return "its receipt key is not a key"
	}
	digest, err := api.ReceiptOf(v.opening.Disclosure.ID, request, f).Digest()
	if err != nil {
		return "its receipt cannot be encoded"
	}
	if err := pre.VerifyP256(key, digest[:], f.Receipt); err != nil {
		return "its receipt does not hold for its answer"
	}
	return ""
}

// accuse names a proxy whose answer failed verification.
func (v *verifier) accuse(gateway emr.OrgID, message string) {
	v.faults = append(v.faults, api.Fault{Gateway: gateway, Code: emr.CodeCorrupt, Message: message})
}

// tooFew explains why a record does not open, naming every proxy at fault.
func (v *verifier) tooFew(cause error) error {
	code, message := emr.CodeUnavailable, "too few proxies answered; try again later"
	if !errors.Is(cause, pre.ErrTooFewFragments) {
		code, message = emr.CodeCorrupt, "the proxies' answers do not open the record"
	}
	for _, f := range v.faults {
		if f.Code == emr.CodeCorrupt {
			code = emr.CodeCorrupt
		}
		message += fmt.Sprintf("; %s: %s", f.Gateway, faultText(f))
	}
	return emr.Wrap(code, message, cause)
}

func faultText(f api.Fault) string {
	switch {
	case f.Message != "":
		return f.Message
	case f.Reason != "":
		return f.Reason.Explain()
	default:
		return string(f.Code)
	}
}
