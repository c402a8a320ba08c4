// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/chaincode/ledger"
	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// FuzzTransientAction sends octets as the signed action of every function: nothing
// panics, and nothing that is not signed by a pinned key writes anything.
func FuzzTransientAction(f *testing.F) {
	s := newScene(f)
	for _, function := range ledgerapi.SignedTransactions() {
		f.Add(function, ledgertest.Raw(f, s.Sign(f, s.reader, function, s.ask(s.record.Record))))
	}
	_, passkey := passkeyPatient(f, s.Consortium)
	args := ledgerapi.RevokeAccessArgs{Patient: s.patient.Handle}
	f.Add(ledgerapi.RevokeAccess, ledgertest.Raw(f, assertion(f, passkey, s.Action(f, s.patient, ledgerapi.RevokeAccess, args), nil)))
	f.Add(ledgerapi.RecordAttempt, []byte(`{"kind":"p256","body":"e30=","signature":""}`))
	f.Add(ledgerapi.Disclose, []byte(`{"kind":"p256","body":null,"signature":null}`))
	f.Fuzz(func(t *testing.T, function string, raw []byte) {
		if function == ledgerapi.DiscloseBatch {
			return // it takes several: see FuzzDiscloseBatch
		}
		tx := s.World.Clone().Begin(s.Facts(s.reader.Org.Gateway))
		_, err := ledgertest.Run(tx, function, raw)
		if err == nil {
			var signed emr.SignedAction
			require.NoError(t, emr.Decode(raw, &signed))
			action, err := signed.Parse()
			require.NoError(t, err)
			require.Equal(t, string(s.reader.ID), action.Actor)
			return
		}
		require.LessOrEqual(t, len(ledgerapi.EncodeError(err)), 1024)
	})
}

// FuzzSignedArguments signs octets as the arguments of every function by a
// registered clinician and the patient: nothing panics, and an accepted argument
// was canonical.
func FuzzSignedArguments(f *testing.F) {
	s := newScene(f)
	for _, seed := range []any{
		s.ask(s.record.Record), s.read(""), s.record, s.Grant(s.scope, s.reader, s.record.Record), s.patient.Args(), s.reader.Args(),
		ledgerapi.PublishScopesArgs{Patient: s.patient.Handle}, ledgerapi.OpenTicketArgs{},
		ledgerapi.AnswerRelationshipArgs{Patient: s.patient.Handle, Hospital: ledgertest.HospitalA},
		s.consentArgs(f, document(emr.Ask, exclude(person(s.reader.ID)))), ledgerapi.WithdrawConsentArgs{Patient: s.patient.Handle},
		ledgerapi.NameDelegateArgs{Patient: s.patient.Handle, Kind: emr.DelegationChosen},
		s.glass(), ledgerapi.ConfirmEmergencyArgs{Session: s.broken(f), Presence: s.present()}, s.under(s.broken(f)),
		ledgerapi.SetEmergencyPlanArgs{Patient: s.patient.Handle, Declined: []emr.ScopeID{s.scope.ID}},
		ledgerapi.ReviewEmergencyArgs{Session: s.broken(f), Outcome: emr.ReviewEscalated},
		rotation(f, s.Consortium, rekeyed(f, s.patient), 0), ledgerapi.RecoveryArgs{Patient: s.patient.Handle},
		ledgerapi.RotateClinicianKeysArgs{Clinician: s.reader.ID, Reading: s.author.Reading.Public().Bytes(), Hybrid: s.reader.Hybrid.Public().Bytes()},
		ledgerapi.SetGuardiansArgs{Patient: s.patient.Handle, Guardians: []string{string(s.author.ID), string(s.reader.ID)}, Threshold: 2},
		inspecting(emr.LogSubject{Patient: s.patient.Handle}), inspecting(emr.LogSubject{Org: ledgertest.HospitalB}),
		ledgerapi.ProposeRecoveryArgs{Patient: s.patient.Handle}, ledgerapi.ApproveRecoveryArgs{Patient: s.patient.Handle},
	} {
		b, err := emr.Canonical(seed)
		require.NoError(f, err)
		for _, function := range ledgerapi.SignedTransactions() {
			f.Add(function, b)
		}
	}
	f.Fuzz(func(t *testing.T, function string, args []byte) {
		for _, by := range []ledgertest.Member{s.reader, s.patient} {
			action := s.Action(t, by, function, ledgerapi.Empty{})
			action.Args = args
			body, err := emr.Canonical(action)
			if err != nil {
				return // not JSON: no action holds it
			}
			tx := s.World.Clone().Begin(s.Facts(by.Home().Gateway))
			_, err = ledgertest.Run(tx, function, ledgertest.Raw(t, ledgertest.Seal(t, action, by.ActorKey())))
			require.NotEmpty(t, body)
			if err != nil {
				require.LessOrEqual(t, len(ledgerapi.EncodeError(err)), 1024)
			}
		}
	})
}

// FuzzBookmark asks for a page with any bookmark: only the owner's entries come back.
func FuzzBookmark(f *testing.F) {
	s := newScene(f)
	f.Add("")
	f.Add("MC8w")
	page, err := ledger.AuditByPatient(s.Query(s.Orgs[ledgertest.HospitalA]), ledgerapi.PageQuery{Patient: s.patient.Handle, Limit: 1})
	require.NoError(f, err)
	f.Add(page.Bookmark)
	f.Fuzz(func(t *testing.T, bookmark string) {
		page, err := ledger.AuditByPatient(s.Query(s.Orgs[ledgertest.HospitalA]),
			ledgerapi.PageQuery{Patient: s.patient.Handle, Bookmark: bookmark})
		if err != nil {
			require.Equal(t, emr.CodeInvalid, emr.CodeOf(err))
			return
		}
		for _, entry := range page.Items {
			require.Equal(t, s.patient.Handle, entry.Patient)
		}
	})
}
