// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"fmt"
	"strings"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
	"github.com/emrys-health/emrys/pkg/signature"
)

// MaxSignedAction bounds the JSON of a signed action in bytes: a body of
// emr.MaxActionSize in base64, and the rest.
const MaxSignedAction = emr.MaxActionSize/3*4 + 4096

// statement is a person's signed action on its way through a rule. Until
// authenticate has returned nil nothing in it is more than a claim.
type statement struct {
	signed  emr.SignedAction
	action  *emr.Action
	digest  emr.Digest
	gateway *emr.Organisation // that carries it
	// delegate is who signed for the patient; nil for the patient's own action.
	delegate *emr.Patient
	// apart tells that the private part of what is given stands by itself.
	apart bool
}

// open reads a signed action for function and decodes its argument into args. It
// verifies that a registered gateway carries it and that it is meant for this
// channel, contract and function. It verifies no signature: see authenticate.
func open(s Lookup, raw []byte, function string, args any) (*statement, error) {
	gateway, err := requireGateway(s)
	if err != nil {
		return nil, err
	}
	signed, err := decodeSigned(raw)
	if err != nil {
		return nil, err
	}
	return openSigned(s, gateway, signed, function, args)
}

func decodeSigned(raw []byte) (*emr.SignedAction, error) {
	if len(raw) == 0 {
		return nil, emr.Invalid(ledgerapi.TransientAction, "a signed action must be sent in the transient field")
	}
	if len(raw) > MaxSignedAction {
		return nil, &emr.Error{Code: emr.CodeTooLarge, Field: ledgerapi.TransientAction, Message: "signed action is too large"}
	}
	var signed emr.SignedAction
	if err := emr.Decode(raw, &signed); err != nil {
		return nil, err
	}
	return &signed, nil
}

func openSigned(
	s Lookup, gateway *emr.Organisation, signed *emr.SignedAction, function string, args any,
) (*statement, error) {
	action, err := signed.Parse()
	if err != nil {
		return nil, err
	}
	switch {
	case action.Channel != s.Channel():
		return nil, emr.Invalid("channel", "action was signed for another channel")
	case action.Contract != s.Contract():
		return nil, emr.Invalid("contract", "action was signed for another contract")
	case action.Function != function:
		return nil, emr.Invalid("function", "action was signed for another function")
	}
	if err := requireOffered(s, function); err != nil {
		return nil, err
	}
	if err := checkActor(action.Actor); err != nil {
		return nil, err
	}
	if err := emr.DecodeCanonical(action.Args, args); err != nil {
		return nil, err
	}
	return &statement{signed: *signed, action: action, digest: signed.Digest(), gateway: gateway}, nil
}

// authenticate verifies the signature by the actor's pinned key, that the action
// is in time, and that it has not been spent. An action that was spent is
// reported as such even when its time is over, so that a late retry finds the
// transaction that committed it.
func (st *statement) authenticate(s Lookup, key emr.PinnedKey) error {
	if err := st.verify(key); err != nil {
		return err
	}
	if err := st.checkUnspent(s); err != nil {
		return err
	}
	return st.checkTime(s.Now())
}

func (st *statement) verify(key emr.PinnedKey) error {
	return signature.VerifyAction(&st.signed, key)
}

func (st *statement) checkTime(now emr.Time) error {
	if st.action.Issued > now.Add(emr.MaxActionSkew) {
		return emr.E(emr.CodeUnauthenticated, "action is dated in the future")
	}
	if now >= st.action.Expires {
		return emr.E(emr.CodeUnauthenticated, "action has expired; sign it anew")
	}
	return nil
}

func (st *statement) checkUnspent(s Lookup) error {
	spent, err := spentAction(s, st.digest)
	if err != nil || spent == nil {
		return err
	}
	return &emr.Error{
		Code: emr.CodeExists, Message: "action was already spent by transaction " + spent.TxID, TxID: spent.TxID,
	}
}

func spentAction(s Lookup, digest emr.Digest) (*ledgerapi.SpentAction, error) {
	always := func(*ledgerapi.SpentAction) int { return emr.DocumentVersion } // it has no version field
	return find(s, ledgerapi.ActionKey(digest), always)
}

// spend marks the action as spent by this transaction, which made or changed id.
func (st *statement) spend(s State, id string) error {
	return put(s, ledgerapi.ActionKey(st.digest), ledgerapi.SpentAction{TxID: s.TxID(), ID: id})
}

// putSigned stores the signed action itself as a private value.
func (st *statement) putSigned(s State, key ledgerapi.Key) error {
	b, err := emr.Canonical(st.signed)
	if err != nil {
		return err
	}
	if err := s.PutPrivate(key, b); err != nil {
		return fmt.Errorf("ledger: write private %s: %w", key.Type, err)
	}
	return nil
}

// fromPatient tells whether the actor claims to be a patient.
func (st *statement) fromPatient() bool { return strings.HasPrefix(st.action.Actor, emr.HandlePrefix) }

// person is the registered actor of a statement: a patient or a clinician.
type person struct {
	patient   *emr.Patient
	clinician *emr.Clinician
}

func (p *person) id() string {
	if p.patient != nil {
		return string(p.patient.Handle)
	}
	return string(p.clinician.ID)
}

func (p *person) key() emr.PinnedKey {
	if p.patient != nil {
		return p.patient.Consent
	}
	return p.clinician.Signing
}

// current refuses a clinician whose certificate has expired.
func (p *person) current(now emr.Time) error {
	if p.clinician != nil && now >= p.clinician.NotAfter {
		return emr.E(emr.CodeUnauthenticated, "actor's certificate has expired; register the renewed one")
	}
	return nil
}

// actor returns the registry entry of whoever the action names as its signer.
func (st *statement) actor(s Lookup) (*person, error) {
	var p person
	var err error
	if st.fromPatient() {
		p.patient, err = findPatient(s, emr.Handle(st.action.Actor))
	} else {
		p.clinician, err = findClinician(s, emr.ClinicianID(st.action.Actor))
	}
	if err != nil {
		return nil, err
	}
	if p.patient == nil && p.clinician == nil {
		return nil, emr.E(emr.CodeUnauthenticated, "actor is not registered")
	}
	return &p, nil
}

// checkActor refuses an actor that is no id of a person.
func checkActor(actor string) error {
	if _, err := emr.ParseID[emr.Handle]("actor", actor); err == nil {
		return nil
	}
	_, err := emr.ParseID[emr.ClinicianID]("actor", actor)
	return err
}

// byPatient authenticates the action as the patient's own.
func (st *statement) byPatient(s Lookup, handle emr.Handle) (*emr.Patient, error) {
	if err := emr.CheckID("patient", handle); err != nil {
		return nil, err
	}
	if st.action.Actor != string(handle) {
		return nil, emr.E(emr.CodeForbidden, "action names another patient than its signer")
	}
	p, err := st.actor(s)
	if err != nil {
		return nil, err
	}
	return p.patient, st.authenticate(s, p.key())
}

// byOwnClinician authenticates the action as that of a registered clinician with
// a current certificate, through the gateway of the clinician's own organisation,
// which vouches for the session in which it was signed.
func (st *statement) byOwnClinician(s Lookup) (*emr.Clinician, error) {
	if st.fromPatient() {
		return nil, emr.E(emr.CodeForbidden, "function is for clinicians")
	}
	p, err := st.actor(s)
	if err != nil {
		return nil, err
	}
	if err := st.authenticate(s, p.key()); err != nil {
		return nil, err
	}
	if err := p.current(s.Now()); err != nil {
		return nil, err
	}
	if p.clinician.Org != st.gateway.ID {
		return nil, emr.E(emr.CodeForbidden, "a clinician's action must come through the clinician's own organisation")
	}
	return p.clinician, nil
}
