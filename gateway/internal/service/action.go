// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package service

import (
	"context"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// signer tells who may sign a transaction at all. The ledger decides the rest.
type signer int

const (
	byPatient signer = iota + 1
	byProfessional
	byEither
)

func signerOf(function string) signer {
	switch function {
	case ledgerapi.RegisterPatient, ledgerapi.PublishScopes, ledgerapi.AnswerRelationship,
		ledgerapi.RefuseAccess, ledgerapi.GrantAccess, ledgerapi.RevokeAccess,
		ledgerapi.PutConsent, ledgerapi.WithdrawConsent, ledgerapi.NameDelegate, ledgerapi.EndDelegation,
		ledgerapi.SetEmergencyPlan, ledgerapi.ContestEmergency, ledgerapi.AskAmendment, ledgerapi.DisputeAmendment:
		return byPatient
	case ledgerapi.RegisterClinician, ledgerapi.ProposeRelationship, ledgerapi.RegisterRecord, ledgerapi.RequestAccess,
		ledgerapi.OpenEmergency, ledgerapi.ConfirmEmergency, ledgerapi.ReviewEmergency, ledgerapi.AnswerAmendment:
		return byProfessional
	case ledgerapi.Disclose, ledgerapi.OpenTicket, ledgerapi.CloseEmergency:
		return byEither
	default:
		return signerOfLife(function)
	}
}

// signerOfLife is signerOf for the life of keys, people and records. A gateway takes uploads of professionals alone, and so re-keys.
func signerOfLife(function string) signer {
	switch function {
	case ledgerapi.RotatePatientKeys, ledgerapi.SetGuardians, ledgerapi.VetoRecovery, ledgerapi.CompleteRecovery,
		ledgerapi.MoveHome, ledgerapi.EraseRecord, ledgerapi.RollScope:
		return byPatient
	case ledgerapi.RotateClinicianKeys, ledgerapi.RekeyRecord:
		return byProfessional
	case ledgerapi.ProposeRecovery, ledgerapi.ApproveRecovery:
		return byEither
	default:
		return signerOfGranting(function)
	}
}

// signerOfGranting is signerOf for asking, granting, signing off and inspecting. Who confirms
// may be the patient by the second key, or anybody whom the patient has named.
func signerOfGranting(function string) signer {
	switch function {
	case ledgerapi.NarrowGrant, ledgerapi.GrantBatch, ledgerapi.SetGrantRule:
		return byPatient
	case ledgerapi.SignOff, ledgerapi.InspectLog:
		return byProfessional
	case ledgerapi.ConfirmGrant, ledgerapi.ConfirmGrantRule:
		return byEither
	default:
		return 0
	}
}

// Relay submits what the caller has signed. result is the transaction's result.
func (s *Service) Relay(ctx context.Context, who Principal, function string, signed *emr.SignedAction, result any) error {
	if _, err := s.checkAction(ctx, who, function, signed); err != nil {
		return err
	}
	return s.submit(ctx, function, signed, result)
}

// submit sends a checked action. When the ledger knows the action already, the
// error names the transaction that spent it.
func (s *Service) submit(ctx context.Context, function string, signed *emr.SignedAction, result any) error {
	err := s.ports.Ledger.Submit(ctx, function, signed, result)
	if emr.CodeOf(err) != emr.CodeExists {
		return err
	}
	view, lookErr := s.Action(ctx, signed.Digest())
	if lookErr != nil || !view.Committed {
		return err
	}
	shown := emr.Public(err)
	shown.TxID = view.TxID
	return shown
}

// checkAction refuses an action that cannot succeed: of another function,
// ledger or signer, or out of time.
func (s *Service) checkAction(ctx context.Context, who Principal, function string, signed *emr.SignedAction) (*emr.Action, error) {
	action, err := signed.Parse()
	if err != nil {
		return nil, err
	}
	switch {
	case action.Function != function:
		return nil, emr.Invalid("function", "must be "+function+" here")
	case action.Channel != s.Channel:
		return nil, emr.Invalid("channel", "is not the channel of this network")
	case action.Contract != s.Contract:
		return nil, emr.Invalid("contract", "is not the contract of this network")
	case action.Expires <= s.now():
		return nil, emr.Invalid("expires", "the action has expired; sign it again")
	}
	if by := signerOf(function); by == byPatient && !who.IsPatient() || by == byProfessional && who.IsPatient() {
		return nil, emr.E(emr.CodeForbidden, "a caller of this role cannot do this")
	}
	if err := s.checkActor(ctx, who, action); err != nil {
		return nil, err
	}
	return action, nil
}

var errActor = emr.Invalid("actor", "is not the caller")

func (s *Service) checkActor(ctx context.Context, who Principal, action *emr.Action) error {
	if !who.IsPatient() {
		return sameActor(action.Actor, who.Subject)
	}
	if action.Function == ledgerapi.RegisterPatient {
		return checkRegistration(who, action)
	}
	handle, err := s.handleOf(ctx, who)
	if err != nil {
		return err
	}
	return sameActor(action.Actor, string(handle))
}

// checkRegistration looks at a patient's first action: the handle is not on the ledger yet.
func checkRegistration(who Principal, action *emr.Action) error {
	var args ledgerapi.RegisterPatientArgs
	if err := emr.DecodeCanonical(action.Args, &args); err != nil {
		return err
	}
	if string(args.Patient) != who.Subject {
		return emr.Invalid("args.patient", "is not the caller")
	}
	return sameActor(action.Actor, string(args.Handle))
}

func sameActor(actor, caller string) error {
	if actor != caller {
		return errActor
	}
	return nil
}

// Action tells whether a signed action has been committed.
func (s *Service) Action(ctx context.Context, digest emr.Digest) (ledgerapi.ActionView, error) {
	var view ledgerapi.ActionView
	err := s.ports.Ledger.Query(ctx, ledgerapi.GetAction, ledgerapi.ActionQuery{Action: digest}, &view)
	return view, err
}
