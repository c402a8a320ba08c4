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

func TestAReadingForSomebodyElseIsDecided(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		noOnward, labelled, emergency bool
		onward                        emr.Onward
		reason                        emr.Reason
		told                          bool
	}{
		"for the own use":                              {reason: emr.ReasonGrant},
		"an export that nothing forbids":               {onward: emr.OnwardExport, reason: emr.ReasonGrant},
		"on behalf, which nothing forbids":             {onward: emr.OnwardOnBehalf, reason: emr.ReasonGrant},
		"for the own use, under the limit":             {noOnward: true, reason: emr.ReasonGrant, told: true},
		"an export under the limit":                    {noOnward: true, onward: emr.OnwardExport, reason: emr.ReasonNoOnward},
		"on behalf under the limit":                    {noOnward: true, onward: emr.OnwardOnBehalf, reason: emr.ReasonNoOnward},
		"a labelled record, for the own use":           {labelled: true, reason: emr.ReasonGrant, told: true},
		"a labelled record is not exported":            {labelled: true, onward: emr.OnwardExport, reason: emr.ReasonNoOnward},
		"a labelled record is not read on behalf":      {labelled: true, onward: emr.OnwardOnBehalf, reason: emr.ReasonNoOnward},
		"an emergency is for whom it was opened":       {emergency: true, reason: emr.ReasonEmergency},
		"an emergency exports nothing":                 {emergency: true, onward: emr.OnwardExport, reason: emr.ReasonNoOnward},
		"an emergency is nobody else's":                {emergency: true, onward: emr.OnwardOnBehalf, reason: emr.ReasonNoOnward},
		"a labelled record in an emergency tells, too": {emergency: true, labelled: true, reason: emr.ReasonEmergency, told: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			if test.labelled {
				s.record = s.labelled(t, emr.LabelSubstanceUse)
			}
			grant := s.Grant(s.scope, s.reader, s.record.Record)
			grant.Terms.NoOnward = test.noOnward
			s.Do(t, s.patient, ledgerapi.GrantAccess, grant)
			args := s.read(grant.Terms.Grant)
			if test.emergency {
				args = s.under(s.broken(t))
				args.Record = s.record.Record
			}
			args.Onward = test.onward
			receipt := s.disclose(t, s.reader, args)
			require.Equal(t, test.reason, receipt.Reason)
			require.Equal(t, test.told, receipt.NoOnward)
			d, err := ledger.GetDisclosure(s.Query(s.Orgs[ledgertest.HospitalC]), ledgerapi.DisclosureQuery{Disclosure: args.Disclosure})
			require.NoError(t, err)
			require.Equal(t, test.onward, d.Onward, "what was declared stays with the disclosure")
			require.Equal(t, test.told, d.NoOnward)
			require.Equal(t, test.reason, s.trail(t, s.patient.Handle)[0].Reason)
			ticket := s.check(t, ledgertest.HospitalA, s.open(t, s.reader, args.Disclosure))
			var want []emr.Statement
			if test.told {
				want = append(want, emr.StatementNoOnward)
			}
			if test.labelled && receipt.Decision == emr.Permit {
				want = append(want, emr.StatementPart2)
			}
			require.Equal(t, want, ticket.Statements)
			require.NotContains(t, s.Dump(), string(emr.StatementPart2), "which label it is stays private")
		})
	}
}

func TestADeclarationIsRefused(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	grant := s.give(t)
	for name, try := range map[string]func() error{
		"an unknown one, of a reading": func() error {
			args := s.read(grant.Terms.Grant)
			args.Onward = "fun"
			_, err := s.Try(t, s.reader, ledgerapi.Disclose, args)
			return err
		},
		"an unknown one, of a request": func() error {
			args := s.ask(s.record.Record)
			args.Onward = "fun"
			_, err := s.Try(t, s.reader, ledgerapi.RequestAccess, args)
			return err
		},
		"of a patient, who owns the record": func() error {
			args := s.read("")
			args.Purpose, args.Onward = emr.PurposePatient, emr.OnwardExport
			_, err := s.Try(t, s.patient, ledgerapi.Disclose, args)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			before := s.Dump()
			refuses(t, try(), emr.CodeInvalid, "onward")
			require.Equal(t, before, s.Dump())
		})
	}
}

// TestALimitThatComesLaterEndsTheTicketOfAnExport: a ticket is decided again.
func TestALimitThatComesLaterEndsTheTicketOfAnExport(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	grant := s.give(t)
	export, own := s.read(grant.Terms.Grant), s.read(grant.Terms.Grant)
	export.Onward = emr.OnwardExport
	s.disclose(t, s.reader, export)
	s.disclose(t, s.reader, own)
	less := narrowing(grant)
	less.NoOnward = true
	s.Do(t, s.patient, ledgerapi.NarrowGrant, less)
	require.Equal(t, emr.ReasonNoOnward, s.check(t, ledgertest.HospitalA, s.open(t, s.reader, export.Disclosure)).Reason)
	ticket := s.check(t, ledgertest.HospitalA, s.open(t, s.reader, own.Disclosure))
	require.Equal(t, emr.Permit, ticket.Decision)
	require.Equal(t, []emr.Statement{emr.StatementNoOnward}, ticket.Statements)
}

func TestARequestOnBehalfIsDecided(t *testing.T) {
	t.Parallel()
	ask := func(t *testing.T, s *scene) (*ledgerapi.DecisionReceipt, emr.RequestID) {
		args := s.ask(s.record.Record)
		args.Onward = emr.OnwardOnBehalf
		return s.Do(t, s.reader, ledgerapi.RequestAccess, args).(*ledgerapi.DecisionReceipt), args.Request
	}
	t.Run("it is asked, and what is left out of the answer is written down", func(t *testing.T) {
		t.Parallel()
		s := newScene(t)
		receipt, id := ask(t, s)
		require.Equal(t, emr.Ask, receipt.Decision)
		require.Equal(t, emr.OnwardOnBehalf, s.getRequest(t, id).Onward)
		grant := s.Grant(s.scope, s.reader, s.record.Record)
		grant.Request, grant.Terms.NoOnward = id, true
		s.Do(t, s.patient, ledgerapi.GrantAccess, grant)
		request := s.getRequest(t, id)
		require.Equal(t, emr.ReasonNarrowed, request.Reason)
		require.Equal(t, &emr.LeftOut{Records: []emr.RecordID{}, Purposes: []emr.Purpose{}, Onward: true}, request.LeftOut)
	})
	t.Run("a grant without the limit covers it already", func(t *testing.T) {
		t.Parallel()
		s := newScene(t)
		s.give(t)
		receipt, _ := ask(t, s)
		require.Equal(t, emr.Permit, receipt.Decision)
	})
	t.Run("a grant with the limit does not", func(t *testing.T) {
		t.Parallel()
		s := newScene(t)
		grant := s.Grant(s.scope, s.reader, s.record.Record)
		grant.Terms.NoOnward = true
		s.Do(t, s.patient, ledgerapi.GrantAccess, grant)
		receipt, _ := ask(t, s)
		require.Equal(t, emr.Ask, receipt.Decision)
	})
	t.Run("a labelled record is denied", func(t *testing.T) {
		t.Parallel()
		s := newScene(t)
		s.record = s.labelled(t, emr.LabelSubstanceUse)
		receipt, id := ask(t, s)
		require.Equal(t, emr.ReasonNoOnward, receipt.Reason)
		require.Equal(t, emr.RequestClosed, s.getRequest(t, id).Status)
	})
}

func TestAPatientsOwnReadingBearsNoStatement(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.record = s.labelled(t, emr.LabelSubstanceUse)
	args := s.read("")
	args.Purpose = emr.PurposePatient
	receipt := s.disclose(t, s.patient, args)
	require.Equal(t, emr.Permit, receipt.Decision)
	require.False(t, receipt.NoOnward)
	require.Empty(t, s.check(t, ledgertest.HospitalA, s.open(t, s.patient, args.Disclosure)).Statements)
}
