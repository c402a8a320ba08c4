// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"fmt"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// presented is a ticket in somebody's hand: what it names, and whether it holds.
type presented struct {
	presenter  *person
	disclosure *emr.Disclosure
	record     *emr.Record
	on         *basis // holds nothing for a patient's own reading
	verdict    verdict
}

// present evaluates the ticket that an OpenTicket action names, for its
// presenter, who must have been authenticated. Only an unknown disclosure is an error.
func present(s Lookup, presenter *person, id emr.DisclosureID) (*presented, error) {
	if err := emr.CheckID("disclosure", id); err != nil {
		return nil, err
	}
	d, err := require(s, ledgerapi.DisclosureKey(id), versionOfDisclosure)
	if err != nil {
		return nil, err
	}
	record, err := recordOf(s, d.Record)
	if err != nil {
		return nil, err
	}
	on, err := basisOf(s, record, d.Grant, d.Session, d.Onward)
	if err != nil {
		return nil, err
	}
	p := &presented{
		presenter: presenter, disclosure: d, record: record, on: on,
		verdict: decideTicket(d, presenter, record, on, s.Now()),
	}
	member, err := presenter.ofMember(s)
	if err == nil && !member && p.verdict.decision == emr.Permit {
		p.verdict = deny(emr.ReasonOrganisation)
	}
	return p, err
}

// ofMember tells whether a person's acts are still vouched for: a clinician's organisation must be a member.
func (p *person) ofMember(s Lookup) (bool, error) {
	if p.clinician == nil {
		return true, nil
	}
	org, err := organisation(s, p.clinician.Org)
	return org != nil && org.Removed == 0, err
}

// RecordAttempt commits that somebody presented a ticket that does not hold. The
// gateway that refused submits the OpenTicket action, whose signature names the
// person: the entry is about the signer and nobody else, once per action. It fails
// when the ticket holds after all.
func RecordAttempt(s State, raw []byte) (*ledgerapi.DecisionReceipt, error) {
	var args ledgerapi.OpenTicketArgs
	st, err := open(s, raw, ledgerapi.OpenTicket, &args)
	if err != nil {
		return nil, err
	}
	presenter, err := st.actor(s)
	if err != nil {
		return nil, err
	}
	if err := st.authenticate(s, presenter.key()); err != nil {
		return nil, err
	}
	if err := presenter.current(s.Now()); err != nil {
		return nil, err
	}
	p, err := present(s, presenter, args.Disclosure)
	if err != nil {
		return nil, err
	}
	if p.verdict.decision == emr.Permit {
		return nil, emr.E(emr.CodeRule, "ticket holds: there is no attempt to record")
	}
	if err := audit(s, p.attempt()); err != nil {
		return nil, err
	}
	return &ledgerapi.DecisionReceipt{
		TxID: s.TxID(), At: s.Now(), ID: string(args.Disclosure), Decision: p.verdict.decision, Reason: p.verdict.reason,
		Grant: p.disclosure.Grant, Consent: numberOf(p.on.standing),
	}, st.spend(s, string(args.Disclosure))
}

// attempt is the audit entry of a refused presentation, in the trail of the patient whose record it is.
func (p *presented) attempt() emr.AuditEntry {
	entry := emr.AuditEntry{
		Kind: emr.AuditAttempt, Patient: p.disclosure.Patient, Record: p.disclosure.Record, Actor: p.presenter.id(),
		Purpose: p.disclosure.Purpose, Decision: p.verdict.decision, Reason: p.verdict.reason, Ref: string(p.disclosure.ID),
		Consent: numberOf(p.on.standing),
	}
	switch {
	case p.presenter.clinician != nil:
		entry.Org = p.presenter.clinician.Org
	case p.presenter.patient.Handle == p.disclosure.Patient:
		entry.Actor, entry.Org = emr.ActorPatient, p.presenter.patient.Home
	default:
		entry.Org = p.presenter.patient.Home
	}
	return entry
}

// CheckTicket tells a proxy whether a ticket holds now for the signer of the
// OpenTicket action and, when it does, hands it what it needs to serve: the
// manifest, and the key fragment of the caller's own organisation and no other's.
// A refusal is an answer and not an error. A proxy asks its own peer.
func CheckTicket(r Reader, q ledgerapi.CheckTicketQuery) (*ledgerapi.Ticket, error) {
	gateway, err := requireGateway(r)
	if err != nil {
		return nil, err
	}
	var args ledgerapi.OpenTicketArgs
	st, err := openSigned(r, gateway, &q.Signed, ledgerapi.OpenTicket, &args)
	if err != nil {
		return nil, err
	}
	presenter, err := st.presenter(r)
	if err != nil {
		return nil, err
	}
	p, err := present(r, presenter, args.Disclosure)
	if err != nil {
		return nil, err
	}
	ticket := &ledgerapi.Ticket{Decision: p.verdict.decision, Reason: p.verdict.reason, Disclosure: *p.disclosure}
	if p.verdict.decision != emr.Permit {
		return ticket, nil
	}
	return ticket, fillTicket(r, ticket, p, gateway.ID)
}

// presenter authenticates the signer of an OpenTicket action. The same action
// goes to several proxies, so that it may have been seen before.
func (st *statement) presenter(s Lookup) (*person, error) {
	p, err := st.actor(s)
	if err != nil {
		return nil, err
	}
	if err := st.verify(p.key()); err != nil {
		return nil, err
	}
	if err := st.checkTime(s.Now()); err != nil {
		return nil, err
	}
	return p, p.current(s.Now())
}

func fillTicket(r Reader, ticket *ledgerapi.Ticket, p *presented, org emr.OrgID) error {
	view, err := manifestView(r, p.record)
	if err != nil {
		return err
	}
	ticket.Manifest = *view
	if err := fillStatements(ticket, p); err != nil {
		return err
	}
	if p.presenter.clinician != nil {
		ticket.Reader = *p.presenter.clinician
	}
	if p.on.session != nil {
		ticket.Session = *p.on.session
	}
	if p.on.grant == nil {
		return nil
	}
	ticket.Grant = *p.on.grant
	return fillSecret(r, ticket, org)
}

// privateAction reads a signed action from private data. A peer that does not
// hold it yet, or any more, is unavailable for this.
func privateAction(r Reader, key ledgerapi.Key) (*emr.SignedAction, *emr.Action, error) {
	value, err := r.GetPrivate(key)
	if err != nil {
		return nil, nil, fmt.Errorf("ledger: read private %s: %w", key.Type, err)
	}
	if value == nil {
		return nil, nil, emr.E(emr.CodeUnavailable, "this peer does not hold the private "+key.Type)
	}
	var signed emr.SignedAction
	if err := emr.Decode(value, &signed); err != nil {
		return nil, nil, fmt.Errorf("ledger: stored action cannot be read: %s", err.Error())
	}
	action, err := signed.Parse()
	if err != nil {
		return nil, nil, fmt.Errorf("ledger: stored action cannot be read: %s", err.Error())
	}
	return &signed, action, nil
}
