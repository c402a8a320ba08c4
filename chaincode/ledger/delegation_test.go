// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/chaincode/ledger"
	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/consent"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// name lets a new patient of hospital B sign for the scene's, for an hour.
func (s *scene) name(t testing.TB) ledgerapi.NameDelegateArgs {
	t.Helper()
	s.delegate = s.Patient(t, ledgertest.HospitalB)
	args := ledgerapi.NameDelegateArgs{
		Patient: s.patient.Handle, Delegate: s.delegate.Handle, Kind: emr.DelegationChosen, Until: s.Now.Add(time.Hour),
	}
	s.Do(t, s.patient, ledgerapi.NameDelegate, args)
	return args
}

// deeds are the functions that a delegate may sign, each with arguments that succeed.
func (s *scene) deeds(t testing.TB) map[string]any {
	t.Helper()
	s.Do(t, s.reader, ledgerapi.ProposeRelationship,
		ledgerapi.ProposeRelationshipArgs{Patient: s.patient.Handle, Hospital: ledgertest.HospitalB})
	_, request := s.asks(t, s.reader, emr.PurposeTreatment)
	given := s.give(t)
	return map[string]any{
		ledgerapi.AnswerRelationship: ledgerapi.AnswerRelationshipArgs{
			Patient: s.patient.Handle, Hospital: ledgertest.HospitalB, Accept: true,
		},
		ledgerapi.RefuseAccess:    ledgerapi.RefuseAccessArgs{Patient: s.patient.Handle, Request: request.ID},
		ledgerapi.GrantAccess:     s.Grant(s.scope, s.reader, s.record.Record),
		ledgerapi.RevokeAccess:    ledgerapi.RevokeAccessArgs{Patient: s.patient.Handle, Grant: given.Terms.Grant},
		ledgerapi.PutConsent:      s.consentArgs(t, document(emr.Ask)),
		ledgerapi.WithdrawConsent: ledgerapi.WithdrawConsentArgs{Patient: s.patient.Handle},
	}
}

func TestADelegateSignsForThePatientAndTheTrailNamesBoth(t *testing.T) {
	t.Parallel()
	for _, function := range []string{
		ledgerapi.AnswerRelationship, ledgerapi.RefuseAccess, ledgerapi.GrantAccess, ledgerapi.RevokeAccess,
		ledgerapi.PutConsent, ledgerapi.WithdrawConsent,
	} {
		t.Run(function, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			args := s.deeds(t)[function]
			stranger := s.Patient(t, ledgertest.HospitalB)
			_, err := s.Try(t, stranger, function, args)
			refuses(t, err, emr.CodeForbidden, "no delegate")
			s.name(t)
			before := len(s.trail(t, s.patient.Handle))
			s.Do(t, s.delegate, function, args)
			trail := s.trail(t, s.patient.Handle)
			require.Len(t, trail, before+1)
			require.Equal(t, string(s.delegate.Handle), trail[0].Actor)
			require.Equal(t, ledgertest.HospitalB, trail[0].Org)
			require.Equal(t, s.patient.Handle, trail[0].Patient)
			require.Empty(t, s.trail(t, s.delegate.Handle)[1:], "nothing of it stands in the delegate's own trail but the registration")
		})
	}
	s := newScene(t)
	s.name(t)
	s.Do(t, s.delegate, ledgerapi.PutConsent, s.consentArgs(t, document(emr.Ask)))
	require.Equal(t, string(s.delegate.Handle), s.consent(t, 0).By)
}

func TestADelegationEndsToTheSecondAndWhenItIsEnded(t *testing.T) {
	t.Parallel()
	end := func(s *scene) ledgerapi.EndDelegationArgs {
		return ledgerapi.EndDelegationArgs{Patient: s.patient.Handle, Delegate: s.delegate.Handle}
	}
	for name, test := range map[string]struct {
		change func(*testing.T, *scene)
		holds  bool
	}{
		"it holds at once":         {func(*testing.T, *scene) {}, true},
		"it holds a second before": {func(_ *testing.T, s *scene) { s.Wait(time.Hour - time.Second) }, true},
		"it is over at its time":   {func(_ *testing.T, s *scene) { s.Wait(time.Hour) }, false},
		"the patient ended it":     {func(t *testing.T, s *scene) { s.Do(t, s.patient, ledgerapi.EndDelegation, end(s)) }, false},
		"the delegate ended it":    {func(t *testing.T, s *scene) { s.Do(t, s.delegate, ledgerapi.EndDelegation, end(s)) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			s.name(t)
			test.change(t, s)
			before := s.Dump()
			_, err := s.Try(t, s.delegate, ledgerapi.WithdrawConsent, ledgerapi.WithdrawConsentArgs{Patient: s.patient.Handle})
			if test.holds {
				require.NoError(t, err)
				return
			}
			refuses(t, err, emr.CodeForbidden, "no delegate")
			require.Equal(t, before, s.Dump())
			_, err = s.Try(t, s.patient, ledgerapi.EndDelegation, end(s))
			refuses(t, err, emr.CodeGone, "ended")
		})
	}
}

func TestAnEndThatCommitsFirstInvalidatesWhatTheDelegateSigned(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.name(t)
	tx := s.Begin(s.Facts(s.delegate.Org.Gateway))
	_, err := ledger.PutConsent(tx, ledgertest.Raw(t,
		s.Sign(t, s.delegate, ledgerapi.PutConsent, s.consentArgs(t, document(emr.Permit)))))
	require.NoError(t, err)
	s.Do(t, s.patient, ledgerapi.EndDelegation,
		ledgerapi.EndDelegationArgs{Patient: s.patient.Handle, Delegate: s.delegate.Handle})
	require.ErrorIs(t, tx.Commit(), ledgertest.ErrConflict)
}

// TestWhatADelegateMayNot: delegate further, touch keys, read as the patient, or
// end what others hold.
func TestWhatADelegateMayNot(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	named := s.name(t)
	third := s.Patient(t, ledgertest.HospitalC)
	further := named
	further.Delegate = third.Handle
	longer := named
	longer.Until = s.Now.Add(300 * 24 * time.Hour)
	own := s.read("")
	own.Purpose = emr.PurposePatient
	for name, test := range map[string]struct {
		by       ledgertest.Member
		function string
		args     any
		code     emr.Code
	}{
		"delegate further":           {s.delegate, ledgerapi.NameDelegate, further, emr.CodeForbidden},
		"prolong the own delegation": {s.delegate, ledgerapi.NameDelegate, longer, emr.CodeForbidden},
		"publish scopes": {s.delegate, ledgerapi.PublishScopes, ledgerapi.PublishScopesArgs{
			Patient: s.patient.Handle, Scopes: []ledgerapi.NewScope{ledgertest.NewScope(t, emr.LevelLow)},
		}, emr.CodeForbidden},
		"register the patient anew": {s.delegate, ledgerapi.RegisterPatient, s.patient.Args(), emr.CodeForbidden},
		"read as the patient":       {s.delegate, ledgerapi.Disclose, own, emr.CodeNotFound},
		"be a delegate's delegate": {third, ledgerapi.WithdrawConsent,
			ledgerapi.WithdrawConsentArgs{Patient: s.patient.Handle}, emr.CodeForbidden},
		"turn it round: the patient for the delegate": {s.patient, ledgerapi.WithdrawConsent,
			ledgerapi.WithdrawConsentArgs{Patient: s.delegate.Handle}, emr.CodeForbidden},
		"sign for somebody else": {s.delegate, ledgerapi.WithdrawConsent,
			ledgerapi.WithdrawConsentArgs{Patient: third.Handle}, emr.CodeForbidden},
		"be a clinician": {s.reader, ledgerapi.WithdrawConsent,
			ledgerapi.WithdrawConsentArgs{Patient: s.patient.Handle}, emr.CodeForbidden},
		"end it as a third": {third, ledgerapi.EndDelegation,
			ledgerapi.EndDelegationArgs{Patient: s.patient.Handle, Delegate: s.delegate.Handle}, emr.CodeForbidden},
		"end what is not there": {s.patient, ledgerapi.EndDelegation,
			ledgerapi.EndDelegationArgs{Patient: s.patient.Handle, Delegate: third.Handle}, emr.CodeNotFound},
		"end with a handle of no form": {s.patient, ledgerapi.EndDelegation,
			ledgerapi.EndDelegationArgs{Patient: s.patient.Handle, Delegate: "x"}, emr.CodeInvalid},
		"end for a patient of no form": {s.delegate, ledgerapi.EndDelegation,
			ledgerapi.EndDelegationArgs{Patient: "x", Delegate: s.delegate.Handle}, emr.CodeInvalid},
		"sign for a patient of no form": {s.delegate, ledgerapi.WithdrawConsent,
			ledgerapi.WithdrawConsentArgs{Patient: "x"}, emr.CodeInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			before := s.Dump()
			_, err := s.Try(t, test.by, test.function, test.args)
			refuses(t, err, test.code, "")
			require.Equal(t, before, s.Dump())
		})
	}
	forged := ledgertest.Seal(t, s.Action(t, s.delegate, ledgerapi.WithdrawConsent,
		ledgerapi.WithdrawConsentArgs{Patient: s.patient.Handle}), third.Consent)
	_, err := s.Submit(t, s.delegate.Org, ledgerapi.WithdrawConsent, forged)
	refuses(t, err, emr.CodeUnauthenticated, "signature")
}

func TestNamingADelegateIsRefused(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	good := s.name(t)
	const day = 24 * time.Hour
	for name, test := range map[string]struct {
		change func(*ledgerapi.NameDelegateArgs)
		code   emr.Code
	}{
		"oneself":                       {func(a *ledgerapi.NameDelegateArgs) { a.Delegate = a.Patient }, emr.CodeInvalid},
		"nobody":                        {func(a *ledgerapi.NameDelegateArgs) { a.Delegate = "" }, emr.CodeInvalid},
		"somebody who is unknown":       {func(a *ledgerapi.NameDelegateArgs) { a.Delegate = ledgertest.ID[emr.Handle]("hnd_") }, emr.CodeNotFound},
		"of no kind":                    {func(a *ledgerapi.NameDelegateArgs) { a.Kind = "" }, emr.CodeInvalid},
		"without an end":                {func(a *ledgerapi.NameDelegateArgs) { a.Until = 0 }, emr.CodeInvalid},
		"until now":                     {func(a *ledgerapi.NameDelegateArgs) { a.Until = s.Now }, emr.CodeInvalid},
		"for more than a year":          {func(a *ledgerapi.NameDelegateArgs) { a.Until = s.Now.Add(366 * day) }, emr.CodeInvalid},
		"a guardian beyond a childhood": {func(a *ledgerapi.NameDelegateArgs) { a.Kind, a.Until = emr.DelegationGuardian, s.Now.Add(7000*day) }, emr.CodeInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			args := good
			test.change(&args)
			_, err := s.Try(t, s.patient, ledgerapi.NameDelegate, args)
			refuses(t, err, test.code, "")
		})
	}
}

func TestAGuardianIsNamedAndEndedThroughTheHomeHospital(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	args := s.name(t)
	args.Kind, args.Until = emr.DelegationGuardian, s.Now.Add(3*365*24*time.Hour)
	end := ledgerapi.EndDelegationArgs{Patient: args.Patient, Delegate: args.Delegate}
	through := func(org emr.OrgID, function string, args any) error {
		_, err := s.Submit(t, s.Orgs[org], function, s.Sign(t, s.patient, function, args))
		return err
	}
	refuses(t, through(ledgertest.HospitalC, ledgerapi.NameDelegate, args), emr.CodeForbidden, "home hospital")
	require.NoError(t, through(ledgertest.HospitalA, ledgerapi.NameDelegate, args))
	refuses(t, through(ledgertest.HospitalB, ledgerapi.EndDelegation, end), emr.CodeForbidden, "home hospital")
	lesser := args
	lesser.Kind, lesser.Until = emr.DelegationChosen, s.Now+60
	refuses(t, through(ledgertest.HospitalB, ledgerapi.NameDelegate, lesser), emr.CodeForbidden, "home hospital")
	s.Wait(3*365*24*time.Hour - time.Second)
	s.Do(t, s.delegate, ledgerapi.WithdrawConsent, ledgerapi.WithdrawConsentArgs{Patient: s.patient.Handle})
	came := *s.Consortium // of age, in a world of its own
	came.World = s.Clone()
	came.Wait(time.Second)
	_, err := came.Try(t, s.delegate, ledgerapi.PutConsent, s.consentArgs(t, consent.Document{Base: emr.Permit}))
	refuses(t, err, emr.CodeForbidden, "no delegate")
	require.NoError(t, through(ledgertest.HospitalA, ledgerapi.EndDelegation, end))
	_, err = s.Try(t, s.delegate, ledgerapi.PutConsent, s.consentArgs(t, consent.Document{Base: emr.Permit}))
	refuses(t, err, emr.CodeForbidden, "no delegate")
}

func TestAGuardianMayLayItDownThroughAnyHospital(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	args := s.name(t)
	args.Kind = emr.DelegationGuardian
	s.Do(t, s.patient, ledgerapi.NameDelegate, args)
	require.NotEqual(t, s.patient.Org.ID, s.delegate.Org.ID)
	s.Do(t, s.delegate, ledgerapi.EndDelegation, ledgerapi.EndDelegationArgs{Patient: args.Patient, Delegate: args.Delegate})
	_, err := s.Try(t, s.delegate, ledgerapi.WithdrawConsent, ledgerapi.WithdrawConsentArgs{Patient: s.patient.Handle})
	refuses(t, err, emr.CodeForbidden, "no delegate")
}

func TestDelegationsAreListed(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.name(t)
	first := s.delegate
	s.Do(t, s.patient, ledgerapi.EndDelegation,
		ledgerapi.EndDelegationArgs{Patient: s.patient.Handle, Delegate: first.Handle})
	s.name(t)
	var all []emr.Delegation
	q := ledgerapi.PageQuery{Patient: s.patient.Handle, Limit: 1}
	for {
		page, err := ledger.ListDelegations(s.Query(s.patient.Org), q)
		require.NoError(t, err)
		all = append(all, page.Items...)
		if q.Bookmark = page.Bookmark; q.Bookmark == "" {
			break
		}
	}
	require.Len(t, all, 2)
	for _, d := range all {
		require.Equal(t, d.Delegate == first.Handle, d.Status == emr.DelegationEnded)
		require.Equal(t, s.patient.Handle, d.Patient)
	}
	for _, bad := range []ledgerapi.PageQuery{{Clinician: s.reader.ID}, {Patient: "x"}, {Patient: s.patient.Handle, Bookmark: "!"}} {
		_, err := ledger.ListDelegations(s.Query(s.patient.Org), bad)
		require.Equal(t, emr.CodeInvalid, emr.CodeOf(err))
	}
}

// TestANamingThatWasKeptBackDoesNotReviveADelegation: whoever relays may be late, but
// not later than the patient's next word about the same delegate.
func TestANamingThatWasKeptBackDoesNotReviveADelegation(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	delegate := s.Patient(t, ledgertest.HospitalB)
	args := ledgerapi.NameDelegateArgs{
		Patient: s.patient.Handle, Delegate: delegate.Handle, Kind: emr.DelegationChosen, Until: s.Now.Add(100 * time.Hour),
	}
	kept := s.Sign(t, s.patient, ledgerapi.NameDelegate, args)
	s.Wait(time.Second)
	shorter := args
	shorter.Until = s.Now.Add(time.Hour)
	s.Do(t, s.patient, ledgerapi.NameDelegate, shorter)
	_, err := s.Submit(t, s.Orgs[ledgertest.HospitalC], ledgerapi.NameDelegate, kept)
	refuses(t, err, emr.CodeStale, "sign it anew")
	s.Wait(time.Second)
	again := s.Sign(t, s.patient, ledgerapi.NameDelegate, args)
	s.Wait(time.Second)
	s.Do(t, s.patient, ledgerapi.EndDelegation, ledgerapi.EndDelegationArgs{Patient: s.patient.Handle, Delegate: delegate.Handle})
	for _, one := range []*emr.SignedAction{kept, again} {
		_, err := s.Submit(t, s.Orgs[ledgertest.HospitalC], ledgerapi.NameDelegate, one)
		refuses(t, err, emr.CodeStale, "sign it anew")
	}
	s.Do(t, s.patient, ledgerapi.NameDelegate, args) // the patient's own next word, in the same second
}
