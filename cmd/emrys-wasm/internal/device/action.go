// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package device

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"reflect"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
	"github.com/emrys-health/emrys/pkg/pre"
)

const (
	nonceSize = 16
	// actionLabel and a zero byte precede an action's body in what is hashed and signed (emr.ActionDigest).
	actionLabel = "EMRYS-ACTION-V1\x00"
)

// requestOf returns a new argument of a person's function, or nil.
func requestOf(function string) any {
	switch function {
	case ledgerapi.RegisterPatient:
		return new(ledgerapi.RegisterPatientArgs)
	case ledgerapi.RegisterClinician:
		return new(ledgerapi.RegisterClinicianArgs)
	case ledgerapi.PublishScopes:
		return new(ledgerapi.PublishScopesArgs)
	case ledgerapi.ProposeRelationship:
		return new(ledgerapi.ProposeRelationshipArgs)
	case ledgerapi.AnswerRelationship:
		return new(ledgerapi.AnswerRelationshipArgs)
	case ledgerapi.RegisterRecord:
		return new(emr.Manifest)
	case ledgerapi.RequestAccess:
		return new(ledgerapi.RequestAccessArgs)
	case ledgerapi.RefuseAccess:
		return new(ledgerapi.RefuseAccessArgs)
	case ledgerapi.GrantAccess:
		return new(ledgerapi.GrantAccessArgs)
	case ledgerapi.RevokeAccess:
		return new(ledgerapi.RevokeAccessArgs)
	case ledgerapi.Disclose:
		return new(ledgerapi.DiscloseArgs)
	case ledgerapi.OpenTicket:
		return new(ledgerapi.OpenTicketArgs)
	default:
		return consentRequestOf(function)
	}
}

// consentRequestOf is requestOf for standing consent and delegation.
func consentRequestOf(function string) any {
	switch function {
	case ledgerapi.PutConsent:
		return new(ledgerapi.PutConsentArgs)
	case ledgerapi.WithdrawConsent:
		return new(ledgerapi.WithdrawConsentArgs)
	case ledgerapi.NameDelegate:
		return new(ledgerapi.NameDelegateArgs)
	case ledgerapi.EndDelegation:
		return new(ledgerapi.EndDelegationArgs)
	default:
		return requestOfLife(function)
	}
}

// requestOfLife is requestOf for the life of keys and people.
func requestOfLife(function string) any {
	switch function {
	case ledgerapi.RotatePatientKeys:
		return new(ledgerapi.RotatePatientKeysArgs)
	case ledgerapi.RotateClinicianKeys:
		return new(ledgerapi.RotateClinicianKeysArgs)
	case ledgerapi.SetGuardians:
		return new(ledgerapi.SetGuardiansArgs)
	case ledgerapi.ProposeRecovery:
		return new(ledgerapi.ProposeRecoveryArgs)
	case ledgerapi.ApproveRecovery:
		return new(ledgerapi.ApproveRecoveryArgs)
	case ledgerapi.VetoRecovery, ledgerapi.CompleteRecovery:
		return new(ledgerapi.RecoveryArgs)
	case ledgerapi.ProveKey:
		return new(ledgerapi.ProveKeyArgs)
	case ledgerapi.MoveHome:
		return new(ledgerapi.MoveHomeArgs)
	default:
		return laterRequestOf(function)
	}
}

// laterRequestOf is requestOf for emergency sessions, amendments and erasure.
func laterRequestOf(function string) any {
	switch function {
	case ledgerapi.EraseRecord:
		return new(ledgerapi.EraseRecordArgs)
	case ledgerapi.RekeyRecord:
		return new(emr.Manifest)
	case ledgerapi.RollScope:
		return new(ledgerapi.RollScopeArgs)
	case ledgerapi.SetEmergencyPlan:
		return new(ledgerapi.SetEmergencyPlanArgs)
	case ledgerapi.OpenEmergency:
		return new(ledgerapi.OpenEmergencyArgs)
	case ledgerapi.ConfirmEmergency:
		return new(ledgerapi.ConfirmEmergencyArgs)
	case ledgerapi.CloseEmergency:
		return new(ledgerapi.EmergencyArgs)
	case ledgerapi.ReviewEmergency:
		return new(ledgerapi.ReviewEmergencyArgs)
	case ledgerapi.ContestEmergency:
		return new(ledgerapi.ContestEmergencyArgs)
	case ledgerapi.AskAmendment:
		return new(ledgerapi.AskAmendmentArgs)
	case ledgerapi.AnswerAmendment:
		return new(ledgerapi.AnswerAmendmentArgs)
	case ledgerapi.DisputeAmendment:
		return new(ledgerapi.DisputeAmendmentArgs)
	case ledgerapi.InspectLog:
		return new(ledgerapi.InspectLogArgs)
	default:
		return grantingRequestOf(function)
	}
}

// grantingRequestOf is requestOf for asking, granting and signing off.
func grantingRequestOf(function string) any {
	switch function {
	case ledgerapi.NarrowGrant:
		return new(ledgerapi.NarrowGrantArgs)
	case ledgerapi.GrantBatch:
		return new(ledgerapi.GrantBatchArgs)
	case ledgerapi.SetGrantRule:
		return new(ledgerapi.SetGrantRuleArgs)
	case ledgerapi.ProveSecondKey:
		return new(ledgerapi.ProveSecondKeyArgs)
	case ledgerapi.ConfirmGrantRule:
		return new(ledgerapi.ConfirmGrantRuleArgs)
	case ledgerapi.ConfirmGrant:
		return new(ledgerapi.ConfirmGrantArgs)
	case ledgerapi.SignOff:
		return new(ledgerapi.SignOffArgs)
	default:
		return nil
	}
}

// document takes a JSON text for a document of the ledger, in any order of fields and with any white space. Fields that
// are unknown, missing or written differently are refused: the document must say everything, and only once.
func (a *arguments) document(name string, target any) {
	text := a.text(name)
	if a.err != nil {
		return
	}
	if err := strictly([]byte(text), target); err != nil {
		f := documentError(err)
		if f.Field != "" {
			f.Message = f.Field + " " + f.Message
		}
		f.Field = a.path + name
		a.err = f
	}
}

func strictly(text []byte, target any) error {
	if err := emr.Decode(text, target); err != nil {
		return err
	}
	again, err := emr.Canonical(target)
	if err != nil {
		return err
	}
	var given, understood any
	if json.Unmarshal(text, &given) != nil || json.Unmarshal(again, &understood) != nil || !reflect.DeepEqual(given, understood) {
		return emr.Invalid("", "a field is missing, or its name or value is not written as the ledger writes it")
	}
	return nil
}

// prepareAction makes the action of a function, to be signed here or elsewhere.
// (channel, contract, function, actor, issued, expires: seconds since the epoch; args: JSON)
// -> body, digest: what a passkey or card signs; message: what WebCrypto signs with ECDSA and SHA-256; args: canonical JSON.
func prepareAction(a *arguments) (Fields, error) {
	action := emr.Action{
		V: emr.DocumentVersion, Channel: a.name("channel"), Contract: a.name("contract"), Function: a.name("function"),
		Actor: a.name("actor"), Nonce: make([]byte, nonceSize),
		Issued: emr.Time(a.number("issued", 1, maxSeconds)), Expires: emr.Time(a.number("expires", 1, maxSeconds)),
	}
	request := requestOf(action.Function)
	if a.err == nil && request == nil {
		a.fail("function", "is not a function of a person")
	}
	if a.err == nil {
		a.document("args", request)
	}
	if err := a.end(); err != nil {
		return nil, err
	}
	var err error
	if action.Args, err = emr.Canonical(request); err != nil {
		return nil, documentError(err)
	}
	if _, err := io.ReadFull(rand.Reader, action.Nonce); err != nil {
		return nil, fmt.Errorf("draw nonce: %w", err)
	}
	if err := action.Validate(); err != nil {
		return nil, documentError(err)
	}
	body, err := emr.Canonical(&action)
	if err != nil {
		return nil, documentError(err)
	}
	if len(body) > emr.MaxActionSize {
		return nil, failed(CodeDocument, "the action is larger than 256 KiB")
	}
	digest := emr.ActionDigest(body)
	return Fields{
		"body": body, "digest": digest[:], "message": append([]byte(actionLabel), body...), "args": string(action.Args),
	}, nil
}

// maxSeconds is the last second of the year 9999, the last that RFC 3339 can write.
const maxSeconds = 253402300799

// signAction signs an action's body with a signing key of this device. (body, key) -> signed: JSON of emr.SignedAction.
func signAction(a *arguments) (Fields, error) {
	body := a.bytes("body")
	h := secret[signingHolder](a, "key")
	if err := a.end(); err != nil {
		return nil, err
	}
	if err := checkBody(body); err != nil {
		return nil, err
	}
	digest := emr.ActionDigest(body)
	signature, err := pre.SignP256(rand.Reader, h.key.Signer(), digest[:])
	if err != nil {
		return nil, fmt.Errorf("sign action: %w", err)
	}
	return signedAction(body, signature)
}

// finishAction joins an action's body and a signature made elsewhere, r ‖ s of 64 bytes, brings the signature to its one
// accepted form (low s) and verifies it. (body, signature, public) -> signed: JSON of emr.SignedAction.
func finishAction(a *arguments) (Fields, error) {
	body := a.bytes("body")
	signature := a.sized("signature", pre.SignatureSize)
	public := a.publicKey("public")
	if err := a.end(); err != nil {
		return nil, err
	}
	if err := checkBody(body); err != nil {
		return nil, err
	}
	lowS(signature)
	digest := emr.ActionDigest(body)
	if err := pre.VerifyP256(public, digest[:], signature); err != nil {
		return nil, fmt.Errorf("verify action: %w", err)
	}
	return signedAction(body, signature)
}

// checkBody refuses to sign or send what the ledger would not parse.
func checkBody(body []byte) error {
	s := emr.SignedAction{Kind: emr.SignatureP256, Body: body}
	action, err := s.Parse()
	if err != nil {
		return documentError(err)
	}
	request := requestOf(action.Function)
	if request == nil {
		return failed(CodeDocument, "the action is not of a person's function")
	}
	if err := emr.DecodeCanonical(action.Args, request); err != nil {
		return documentError(err)
	}
	return nil
}

// lowS replaces s by n - s where that is smaller. WebCrypto returns either.
func lowS(signature []byte) {
	n, ok := new(big.Int).SetString("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551", 16)
	s := new(big.Int).SetBytes(signature[sha256.Size:])
	if ok && s.Cmp(n) < 0 && s.Cmp(new(big.Int).Rsh(n, 1)) > 0 {
		s.Sub(n, s).FillBytes(signature[sha256.Size:])
	}
}

func signedAction(body, signature []byte) (Fields, error) {
	signed, err := emr.Canonical(&emr.SignedAction{Kind: emr.SignatureP256, Body: body, Signature: signature})
	if err != nil {
		return nil, documentError(err)
	}
	return Fields{"signed": string(signed)}, nil
}
