// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger_test

import (
	"crypto/x509"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/chaincode/ledger"
	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// order runs a transaction about a clinician as an administrator of the clinician's organisation.
func (s *scene) order(
	t testing.TB, rule func(ledger.State, ledgerapi.ClinicianStatusArgs) (*ledgerapi.Receipt, error), about *ledgertest.Clinician,
) {
	t.Helper()
	_, err := ledgertest.Order(s.Consortium, about.Org.Admin, rule, ledgerapi.ClinicianStatusArgs{Clinician: about.ID})
	require.NoError(t, err)
}

func TestASuspendedClinicianIsDeniedAndThePatientSeesIt(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		rule   func(ledger.State, ledgerapi.ClinicianStatusArgs) (*ledgerapi.Receipt, error)
		reason emr.Reason
	}{
		"suspended":   {ledger.SuspendClinician, emr.ReasonSuspended},
		"off-boarded": {ledger.OffboardClinician, emr.ReasonOffboarded},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			grant := s.give(t)
			read := s.read(grant.Terms.Grant)
			require.Equal(t, emr.Permit, s.disclose(t, s.reader, read).Decision)
			open := s.open(t, s.reader, read.Disclosure)
			require.Equal(t, emr.Permit, s.check(t, ledgertest.HospitalA, open).Decision)

			s.order(t, test.rule, s.reader)

			request := s.Do(t, s.reader, ledgerapi.RequestAccess, s.ask(s.record.Record)).(*ledgerapi.DecisionReceipt)
			require.Equal(t, emr.Deny, request.Decision)
			require.Equal(t, test.reason, request.Reason)
			receipt := s.disclose(t, s.reader, s.read(grant.Terms.Grant))
			require.Equal(t, emr.Deny, receipt.Decision)
			require.Equal(t, test.reason, receipt.Reason)
			ticket := s.check(t, ledgertest.HospitalA, open)
			require.Equal(t, test.reason, ticket.Reason)
			require.Zero(t, ticket.Fragment, "an open ticket ends")
			attempt, err := s.Submit(t, s.Orgs[ledgertest.HospitalA], ledgerapi.RecordAttempt, open)
			require.NoError(t, err)
			require.Equal(t, test.reason, attempt.(*ledgerapi.DecisionReceipt).Reason)
			for i, kind := range []emr.AuditKind{emr.AuditAttempt, emr.AuditDisclosure, emr.AuditRequest} {
				entry := s.trail(t, s.patient.Handle)[i]
				require.Equal(t, kind, entry.Kind)
				require.Equal(t, emr.Deny, entry.Decision)
				require.Equal(t, test.reason, entry.Reason)
			}

			before := s.Dump()
			_, err = s.Try(t, s.patient, ledgerapi.GrantAccess, s.Grant(s.scope, s.reader, s.record.Record))
			requireReason(t, err, test.reason)
			_, err = s.Try(t, s.reader, ledgerapi.ProposeRelationship,
				ledgerapi.ProposeRelationshipArgs{Patient: s.patient.Handle, Hospital: s.reader.Org.ID})
			requireReason(t, err, test.reason)
			_, err = s.Try(t, s.reader, ledgerapi.RotateClinicianKeys, ledgerapi.RotateClinicianKeysArgs{
				Clinician: s.reader.ID, Reading: ledgertest.NewKey(t).Public().Bytes(), Hybrid: s.reader.Hybrid.Public().Bytes(),
			})
			requireReason(t, err, test.reason)
			require.Equal(t, before, s.Dump())
		})
	}
}

func requireReason(t testing.TB, err error, reason emr.Reason) {
	t.Helper()
	refuses(t, err, emr.CodeRule, "")
	require.Equal(t, reason, emr.Public(err).Reason)
}

func TestASuspendedAuthorRegistersNothingAndEarlierRecordsStay(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	m := s.Manifest(t, s.author, s.scope, emr.ClassMedicalImaging)
	s.order(t, ledger.SuspendClinician, s.author)
	_, err := s.Try(t, s.author, ledgerapi.RegisterRecord, m)
	requireReason(t, err, emr.ReasonSuspended)
	grant := s.give(t)
	require.Equal(t, emr.Permit, s.disclose(t, s.reader, s.read(grant.Terms.Grant)).Decision)
	s.order(t, ledger.ReinstateClinician, s.author)
	s.Do(t, s.author, ledgerapi.RegisterRecord, m)
}

func TestAReinstatedClinicianReadsAgain(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	grant := s.give(t)
	s.order(t, ledger.SuspendClinician, s.reader)
	s.Wait(time.Minute)
	s.order(t, ledger.ReinstateClinician, s.reader)
	require.Equal(t, emr.Permit, s.disclose(t, s.reader, s.read(grant.Terms.Grant)).Decision)
	page, err := ledger.AuditByClinician(s.Query(s.reader.Org), ledgerapi.PageQuery{Clinician: s.reader.ID})
	require.NoError(t, err)
	require.Len(t, page.Items, 3)
	for i, want := range []emr.AuditEntry{
		{Kind: emr.AuditStatus, Actor: emr.ActorAdmin, Decision: emr.Permit},
		{Kind: emr.AuditStatus, Actor: emr.ActorAdmin, Decision: emr.Deny, Reason: emr.ReasonSuspended},
		{Kind: emr.AuditClinician, Actor: string(s.reader.ID)},
	} {
		want.V, want.Org, want.Ref = 1, s.reader.Org.ID, string(s.reader.ID)
		got := page.Items[i]
		got.TxID, got.At = "", 0
		require.Equal(t, want, got)
	}
	last := s.Events[len(s.Events)-2]
	require.Equal(t, ledgerapi.EventClinicianStatus, last.Name)
}

func TestADisclosureHeldBackDoesNotCommitAfterTheSuspension(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	grant := s.give(t)
	held := s.Begin(s.Facts(s.reader.Org.Gateway))
	_, err := ledger.Disclose(held, ledgertest.Raw(t, s.Sign(t, s.reader, ledgerapi.Disclose, s.read(grant.Terms.Grant))))
	require.NoError(t, err)
	s.order(t, ledger.SuspendClinician, s.reader)
	require.ErrorIs(t, held.Commit(), ledgertest.ErrConflict)
}

func TestARenewedCertificateDoesNotEndASuspension(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	until := s.Now.Std().Add(time.Hour)
	p := s.NewClinician(t, ledgertest.HospitalA, ledgertest.Wish{Role: "physician", Level: "private", Until: until})
	s.Do(t, p, ledgerapi.RegisterClinician, p.Args())
	s.order(t, ledger.SuspendClinician, p)
	next := renewed(t, p, ledgertest.Wish{Role: "physician", Level: "private", Until: until.Add(time.Hour)})
	s.Do(t, next, ledgerapi.RegisterClinician, next.Args())
	request := s.Do(t, next, ledgerapi.RequestAccess, s.ask(s.record.Record)).(*ledgerapi.DecisionReceipt)
	require.Equal(t, emr.ReasonSuspended, request.Reason)

	s.order(t, ledger.OffboardClinician, p)
	last := renewed(t, p, ledgertest.Wish{Role: "physician", Level: "private", Until: until.Add(2 * time.Hour)})
	before := s.Dump()
	_, err := s.Try(t, last, ledgerapi.RegisterClinician, last.Args())
	requireReason(t, err, emr.ReasonOffboarded)
	require.Equal(t, before, s.Dump())
}

func TestAStatusIsChangedAlongItsMachineOnly(t *testing.T) {
	t.Parallel()
	type rule = func(ledger.State, ledgerapi.ClinicianStatusArgs) (*ledgerapi.Receipt, error)
	suspend, reinstate, offboard := ledger.SuspendClinician, ledger.ReinstateClinician, ledger.OffboardClinician
	for name, test := range map[string]struct {
		before []rule
		rule   rule
	}{
		"an active one is not reinstated":        {nil, reinstate},
		"a suspended one is not suspended twice": {[]rule{suspend}, suspend},
		"an off-boarded one is not reinstated":   {[]rule{offboard}, reinstate},
		"an off-boarded one is not suspended":    {[]rule{suspend, offboard}, suspend},
		"an off-boarded one is not off-boarded":  {[]rule{offboard}, offboard},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			for _, rule := range test.before {
				s.order(t, rule, s.reader)
			}
			before := s.Dump()
			_, err := ledgertest.Order(s.Consortium, s.reader.Org.Admin, test.rule, ledgerapi.ClinicianStatusArgs{Clinician: s.reader.ID})
			refuses(t, err, emr.CodeRule, "status")
			require.Equal(t, before, s.Dump())
		})
	}
}

func TestOnlyAnAdministratorOfTheOwnOrganisationChangesAStatus(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	own := s.reader.Org
	physician, _ := own.Issue(t, ledgertest.Wish{CN: string(s.reader.ID), Role: "physician", Unit: "client"})
	claims, _ := own.Issue(t, ledgertest.Wish{CN: "admin", Role: "admin", Unit: "client"})
	caller := func(certificate *x509.Certificate) *ledger.Caller {
		return &ledger.Caller{MSP: own.ID, Certificate: certificate}
	}
	for name, test := range map[string]struct {
		caller *ledger.Caller
		id     emr.ClinicianID
		code   emr.Code
		text   string
	}{
		"another hospital's administrator":        {s.Orgs[ledgertest.HospitalA].Admin, s.reader.ID, emr.CodeForbidden, "another organisation"},
		"the regulator's administrator":           {s.Orgs[ledgertest.Regulator].Admin, s.reader.ID, emr.CodeForbidden, "another organisation"},
		"the own gateway":                         {own.Gateway, s.reader.ID, emr.CodeForbidden, "administrator"},
		"a colleague":                             {caller(physician), s.reader.ID, emr.CodeForbidden, "administrator"},
		"somebody with an attribute that says so": {caller(claims), s.reader.ID, emr.CodeForbidden, "administrator"},
		"nobody":                               {&ledger.Caller{MSP: own.ID}, s.reader.ID, emr.CodeUnauthenticated, "certificate"},
		"about somebody who is not registered": {own.Admin, ledgertest.ID[emr.ClinicianID]("cli_"), emr.CodeNotFound, ""},
		"about somebody whose id is none":      {own.Admin, "Dr. No", emr.CodeInvalid, "clinician"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, rule := range []func(ledger.State, ledgerapi.ClinicianStatusArgs) (*ledgerapi.Receipt, error){
				ledger.SuspendClinician, ledger.ReinstateClinician, ledger.OffboardClinician,
			} {
				before := s.Dump()
				_, err := ledgertest.Order(s.Consortium, test.caller, rule, ledgerapi.ClinicianStatusArgs{Clinician: test.id})
				refuses(t, err, test.code, test.text)
				require.Equal(t, before, s.Dump())
			}
		})
	}
}

// TestWhoIsDismissedSpeaksForTheHospitalNoMore: in what commits no denial, too.
func TestWhoIsDismissedSpeaksForTheHospitalNoMore(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		rule   func(ledger.State, ledgerapi.ClinicianStatusArgs) (*ledgerapi.Receipt, error)
		reason emr.Reason
	}{
		"suspended":   {ledger.SuspendClinician, emr.ReasonSuspended},
		"off-boarded": {ledger.OffboardClinician, emr.ReasonOffboarded},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			asked, session, officer := s.asked(t), s.broken(t), s.officer(t, ledgertest.HospitalA)
			for _, dismissed := range []*ledgertest.Clinician{s.author, s.reader, officer} {
				s.order(t, test.rule, dismissed)
			}
			before := s.Dump()
			_, err := s.Try(t, s.author, ledgerapi.AnswerAmendment, ledgerapi.AnswerAmendmentArgs{Amendment: asked, Text: "no"})
			requireReason(t, err, test.reason)
			_, err = s.Try(t, officer, ledgerapi.CloseEmergency, ledgerapi.EmergencyArgs{Session: session})
			requireReason(t, err, test.reason)
			require.Equal(t, before, s.Dump())
			s.Do(t, s.reader, ledgerapi.CloseEmergency, ledgerapi.EmergencyArgs{Session: session}) // the own one: it gives back
		})
	}
}
