// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/chaincode/ledger"
	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

func TestAnActionIsRefused(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	other := s.Patient(t, ledgertest.HospitalA)
	stranger := s.NewPatient(t, ledgertest.HospitalA)
	for name, test := range map[string]struct {
		change func(*emr.Action)
		key    ledgertest.Actor
		code   emr.Code
		text   string
	}{
		"signed for another channel":        {change: func(a *emr.Action) { a.Channel = "other" }, code: emr.CodeInvalid, text: "channel"},
		"signed for another contract":       {change: func(a *emr.Action) { a.Contract = "other" }, code: emr.CodeInvalid, text: "contract"},
		"signed for another function":       {change: func(a *emr.Action) { a.Function = ledgerapi.RevokeAccess }, code: emr.CodeInvalid, text: "function"},
		"of an unknown version":             {change: func(a *emr.Action) { a.V = 2 }, code: emr.CodeUnsupported, text: "version"},
		"with a short nonce":                {change: func(a *emr.Action) { a.Nonce = a.Nonce[1:] }, code: emr.CodeInvalid, text: "nonce"},
		"that has expired":                  {change: func(a *emr.Action) { a.Issued, a.Expires = s.Now-60, s.Now }, code: emr.CodeUnauthenticated, text: "expired"},
		"dated in the future":               {change: func(a *emr.Action) { a.Issued, a.Expires = s.Now+121, s.Now+200 }, code: emr.CodeUnauthenticated, text: "future"},
		"that lives too long":               {change: func(a *emr.Action) { a.Expires = a.Issued + 901 }, code: emr.CodeInvalid, text: "expires"},
		"that ends before it begins":        {change: func(a *emr.Action) { a.Expires = a.Issued }, code: emr.CodeInvalid, text: "expires"},
		"by an unregistered patient":        {change: func(a *emr.Action) { a.Actor = string(stranger.Handle) }, code: emr.CodeForbidden, text: "another patient"},
		"by somebody with no id":            {change: func(a *emr.Action) { a.Actor = "admin" }, code: emr.CodeInvalid, text: "actor"},
		"by a pseudonym":                    {change: func(a *emr.Action) { a.Actor = string(s.patient.ID) }, code: emr.CodeInvalid, text: "actor"},
		"with the key of another patient":   {key: other, code: emr.CodeUnauthenticated, text: "signature"},
		"with the key of a clinician":       {key: s.reader, code: emr.CodeUnauthenticated, text: "signature"},
		"with an argument in another order": {change: func(a *emr.Action) { a.Args = json.RawMessage(`{"scopes":[],"patient":""}`) }, code: emr.CodeInvalid, text: "canonical"},
		"with an unknown field":             {change: func(a *emr.Action) { a.Args = json.RawMessage(`{"patient":"","scopes":[],"x":1}`) }, code: emr.CodeInvalid},
		"with the argument of another call": {change: func(a *emr.Action) { a.Args = json.RawMessage(`{"grant":""}`) }, code: emr.CodeInvalid},
		"with an argument that is null":     {change: func(a *emr.Action) { a.Args = json.RawMessage(`null`) }, code: emr.CodeInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			action := s.Action(t, s.patient, ledgerapi.PublishScopes, ledgerapi.PublishScopesArgs{
				Patient: s.patient.Handle, Scopes: []ledgerapi.NewScope{ledgertest.NewScope(t, emr.LevelLow)},
			})
			if test.change != nil {
				test.change(action)
			}
			key := s.patient.Consent
			if test.key != nil {
				key = test.key.ActorKey()
			}
			before := s.Dump()
			_, err := s.Submit(t, s.patient.Org, ledgerapi.PublishScopes, ledgertest.Seal(t, action, key))
			refuses(t, err, test.code, test.text)
			require.Equal(t, before, s.Dump())
		})
	}
}

func TestAnActionMayBeSignedByAClockSlightlyAhead(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	action := s.Action(t, s.patient, ledgerapi.PublishScopes, ledgerapi.PublishScopesArgs{
		Patient: s.patient.Handle, Scopes: []ledgerapi.NewScope{ledgertest.NewScope(t, emr.LevelLow)},
	})
	action.Issued = s.Now.Add(emr.MaxActionSkew)
	action.Expires = action.Issued.Add(emr.MaxActionLife)
	_, err := s.Submit(t, s.patient.Org, ledgerapi.PublishScopes, ledgertest.Seal(t, action, s.patient.Consent))
	require.NoError(t, err)
}

func TestAnAlteredActionIsRefused(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	args := ledgerapi.AnswerRelationshipArgs{Patient: s.patient.Handle, Hospital: ledgertest.HospitalA}
	signed := s.Sign(t, s.patient, ledgerapi.AnswerRelationship, args)
	for i := range signed.Body {
		altered := *signed
		altered.Body = append([]byte{}, signed.Body...)
		altered.Body[i] ^= 1
		_, err := s.Submit(t, s.patient.Org, ledgerapi.AnswerRelationship, &altered)
		require.Error(t, err)
	}
	for i := range signed.Signature {
		altered := *signed
		altered.Signature = append([]byte{}, signed.Signature...)
		altered.Signature[i] ^= 1
		_, err := s.Submit(t, s.patient.Org, ledgerapi.AnswerRelationship, &altered)
		refuses(t, err, emr.CodeUnauthenticated, "signature")
	}
	altered := *signed
	altered.Kind = "ed25519"
	_, err := s.Submit(t, s.patient.Org, ledgerapi.AnswerRelationship, &altered)
	refuses(t, err, emr.CodeUnsupported, "kind")
	_, err = s.Submit(t, s.patient.Org, ledgerapi.AnswerRelationship, signed)
	require.NoError(t, err, "the action itself is good")
}

func TestAnActionOfAnUnregisteredPersonIsUnauthenticated(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	patient := s.NewPatient(t, ledgertest.HospitalA)
	_, err := s.Try(t, patient, ledgerapi.PublishScopes, ledgerapi.PublishScopesArgs{Patient: patient.Handle})
	refuses(t, err, emr.CodeUnauthenticated, "not registered")
	clinician := s.NewClinician(t, ledgertest.HospitalA, ledgertest.Wish{Role: "physician"})
	_, err = s.Try(t, clinician, ledgerapi.RequestAccess, s.ask(s.record.Record))
	refuses(t, err, emr.CodeUnauthenticated, "not registered")
}

func TestASpentActionIsNotSpentAgainAndNamesItsTransaction(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	signed := s.Sign(t, s.reader, ledgerapi.RequestAccess, s.ask(s.record.Record))
	answer, err := s.Submit(t, s.reader.Org, ledgerapi.RequestAccess, signed)
	require.NoError(t, err)
	txID := answer.(*ledgerapi.DecisionReceipt).TxID
	for _, wait := range []time.Duration{0, time.Minute, time.Hour} { // even after its expiry
		s.Wait(wait)
		_, err = s.Submit(t, s.reader.Org, ledgerapi.RequestAccess, signed)
		refuses(t, err, emr.CodeExists, txID)
		decoded, decodeErr := ledgerapi.DecodeError(ledgerapi.EncodeError(err))
		require.NoError(t, decodeErr)
		require.Equal(t, txID, decoded.TxID)
	}
}

func TestTwoCopiesOfAnActionCannotBothCommit(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	raw := ledgertest.Raw(t, s.Sign(t, s.reader, ledgerapi.RequestAccess, s.ask(s.record.Record)))
	first, second := s.Begin(s.Facts(s.reader.Org.Gateway)), s.Begin(s.Facts(s.reader.Org.Gateway))
	for _, tx := range []*ledgertest.Tx{first, second} {
		_, err := ledger.RequestAccess(tx, raw)
		require.NoError(t, err)
	}
	require.NoError(t, first.Commit())
	require.ErrorIs(t, second.Commit(), ledgertest.ErrConflict)
}

func TestOnlyAGatewayOfARegisteredOrganisationCarriesActions(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	request := s.ask(s.record.Record)
	s.Do(t, s.reader, ledgerapi.RequestAccess, request)
	a := s.Orgs[ledgertest.HospitalA]
	physician, _ := a.Issue(t, ledgertest.Wish{CN: "x", Role: "physician"})
	outsider := ledgertest.NewOrg(t, "OutsiderMSP", emr.KindHospital, a.CA.Certificate.NotBefore, a.CA.Certificate.NotAfter)
	for name, test := range map[string]struct {
		caller *ledger.Caller
		code   emr.Code
	}{
		"an administrator":                {a.Admin, emr.CodeForbidden},
		"a physician":                     {&ledger.Caller{MSP: a.ID, Certificate: physician}, emr.CodeForbidden},
		"an outsider's gateway":           {outsider.Gateway, emr.CodeForbidden},
		"a gateway of no MSP":             {&ledger.Caller{Certificate: a.Gateway.Certificate}, emr.CodeUnauthenticated},
		"a caller without a certificate":  {&ledger.Caller{MSP: a.ID}, emr.CodeUnauthenticated},
		"nobody":                          {nil, emr.CodeUnauthenticated},
		"a gateway whose attributes lie":  {&ledger.Caller{MSP: a.ID, Certificate: attributesTwice(t, a)}, emr.CodeInvalid},
		"a gateway with other attributes": {&ledger.Caller{MSP: a.ID, Certificate: attributesBroken(t, a)}, emr.CodeInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			for _, function := range append(ledgerapi.SignedTransactions(), ledgerapi.RecordAttempt) {
				_, err := s.SubmitRaw(test.caller, function, []byte("{}"))
				refuses(t, err, test.code, "")
			}
			view := s.View(s.Facts(test.caller))
			_, err := ledger.ResolvePatient(view, ledgerapi.ResolvePatientQuery{Patient: s.patient.ID})
			refuses(t, err, test.code, "")
			_, err = ledger.GetManifest(view, ledgerapi.RecordQuery{Record: s.record.Record})
			refuses(t, err, test.code, "")
			_, err = ledger.CheckTicket(view, ledgerapi.CheckTicketQuery{})
			refuses(t, err, test.code, "")
			_, err = ledger.GetRequestAction(view, ledgerapi.RequestQuery{Request: request.Request})
			refuses(t, err, test.code, "")
		})
	}
}

func TestTheSignedActionIsReadStrictly(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	for name, test := range map[string]struct {
		raw  []byte
		code emr.Code
	}{
		"nothing":       {nil, emr.CodeInvalid},
		"not JSON":      {[]byte("{"), emr.CodeInvalid},
		"unknown field": {[]byte(`{"kind":"p256","body":"","signature":"","x":1}`), emr.CodeInvalid},
		"no kind":       {[]byte(`{"body":"e30=","signature":""}`), emr.CodeUnsupported},
		"empty body":    {[]byte(`{"kind":"p256","body":"","signature":""}`), emr.CodeInvalid},
		"empty action":  {[]byte(`{"kind":"p256","body":"e30=","signature":""}`), emr.CodeInvalid},
		"too large":     {make([]byte, ledger.MaxSignedAction+1), emr.CodeTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			for _, function := range append(ledgerapi.SignedTransactions(), ledgerapi.RecordAttempt) {
				_, err := s.SubmitRaw(s.patient.Org.Gateway, function, test.raw)
				refuses(t, err, test.code, "")
			}
		})
	}
	large := emr.SignedAction{Kind: emr.SignatureP256, Body: make([]byte, emr.MaxActionSize+1)}
	_, err := s.Submit(t, s.patient.Org, ledgerapi.Disclose, &large)
	refuses(t, err, emr.CodeTooLarge, "256 KiB")
}

func TestTheLargestSignedActionFits(t *testing.T) {
	t.Parallel()
	body := make([]byte, emr.MaxActionSize)
	raw := ledgertest.Raw(t, &emr.SignedAction{Kind: emr.SignatureP256, Body: body, Signature: make([]byte, 64)})
	require.LessOrEqual(t, len(raw), ledger.MaxSignedAction)
}

func TestAClinicianActsThroughTheOwnGatewayOnly(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	grant := s.give(t)
	for function, args := range map[string]any{
		ledgerapi.RequestAccess:  s.ask(s.record.Record),
		ledgerapi.Disclose:       s.read(grant.Terms.Grant),
		ledgerapi.RegisterRecord: s.record,
		ledgerapi.ProposeRelationship: ledgerapi.ProposeRelationshipArgs{
			Patient: s.patient.Handle, Hospital: ledgertest.HospitalB,
		},
	} {
		_, err := s.Submit(t, s.Orgs[ledgertest.HospitalC], function, s.Sign(t, s.reader, function, args))
		refuses(t, err, emr.CodeForbidden, "own organisation")
	}
}

func TestAPatientActsThroughAnyGateway(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	grant := s.Grant(s.scope, s.reader, s.record.Record)
	_, err := s.Submit(t, s.Orgs[ledgertest.Regulator], ledgerapi.GrantAccess,
		s.Sign(t, s.patient, ledgerapi.GrantAccess, grant))
	require.NoError(t, err)
	_, err = s.Submit(t, s.Orgs[ledgertest.HospitalC], ledgerapi.RevokeAccess, s.Sign(t, s.patient, ledgerapi.RevokeAccess,
		ledgerapi.RevokeAccessArgs{Patient: s.patient.Handle, Grant: grant.Terms.Grant}))
	require.NoError(t, err)
}

func TestAPatientCannotDoWhatIsForClinicians(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	for function, args := range map[string]any{
		ledgerapi.RequestAccess:  s.ask(s.record.Record),
		ledgerapi.RegisterRecord: s.record,
		ledgerapi.ProposeRelationship: ledgerapi.ProposeRelationshipArgs{
			Patient: s.patient.Handle, Hospital: ledgertest.HospitalA,
		},
	} {
		_, err := s.Try(t, s.patient, function, args)
		refuses(t, err, emr.CodeForbidden, "clinicians")
	}
}
