// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/chaincode/ledger"
	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

func TestARequestIsDecided(t *testing.T) {
	t.Parallel()
	person := func(org emr.OrgID, role emr.Role, level emr.Level) func(*testing.T, *scene) *ledgertest.Clinician {
		return func(t *testing.T, s *scene) *ledgertest.Clinician { return s.Clinician(t, org, role, level) }
	}
	physician := func(_ *testing.T, s *scene) *ledgertest.Clinician { return s.reader }
	granted := func(change func(*scene, *ledgerapi.GrantAccessArgs)) func(*testing.T, *scene) *ledgertest.Clinician {
		return func(t *testing.T, s *scene) *ledgertest.Clinician {
			grant := s.Grant(s.scope, s.reader, s.record.Record)
			change(s, grant)
			s.Do(t, s.patient, ledgerapi.GrantAccess, grant)
			return s.reader
		}
	}
	for name, test := range map[string]struct {
		by       func(*testing.T, *scene) *ledgertest.Clinician
		purpose  emr.Purpose
		decision emr.Decision
		reason   emr.Reason
		status   emr.RequestStatus
	}{
		"ask: nothing covers it":               {physician, emr.PurposeTreatment, emr.Ask, emr.ReasonNoGrant, emr.RequestPending},
		"ask: even the author's hospital asks": {func(_ *testing.T, s *scene) *ledgertest.Clinician { return s.author }, emr.PurposeTreatment, emr.Ask, emr.ReasonNoGrant, emr.RequestPending},
		"deny: payment is not a physician's":   {physician, emr.PurposePayment, emr.Deny, emr.ReasonPurpose, emr.RequestClosed},
		"deny: the patient's purpose":          {physician, emr.PurposePatient, emr.Deny, emr.ReasonPurpose, emr.RequestClosed},
		"deny: treatment is not an insurer's":  {person(ledgertest.HospitalB, emr.RoleInsurer, emr.LevelPrivate), emr.PurposeTreatment, emr.Deny, emr.ReasonPurpose, emr.RequestClosed},
		"ask: research by a researcher":        {person(ledgertest.HospitalB, emr.RoleResearcher, emr.LevelPrivate), emr.PurposeResearch, emr.Ask, emr.ReasonNoGrant, emr.RequestPending},
		"deny: an auditor has no purpose":      {person(ledgertest.Regulator, emr.RoleAuditor, emr.LevelPrivate), emr.PurposeTreatment, emr.Deny, emr.ReasonRole, emr.RequestClosed},
		"deny: the level is too low":           {person(ledgertest.HospitalB, emr.RolePhysician, emr.LevelModerate), emr.PurposeTreatment, emr.Deny, emr.ReasonLevel, emr.RequestClosed},
		"deny: a newer version exists": {func(t *testing.T, s *scene) *ledgertest.Clinician {
			s.Do(t, s.author, ledgerapi.RegisterRecord, s.next(t, s.record, nil))
			return s.reader
		}, emr.PurposeTreatment, emr.Deny, emr.ReasonSuperseded, emr.RequestClosed},
		"permit: a grant of the record":    {granted(func(*scene, *ledgerapi.GrantAccessArgs) {}), emr.PurposeTreatment, emr.Permit, emr.ReasonGrant, emr.RequestGranted},
		"permit: a grant of the scope":     {granted(func(_ *scene, g *ledgerapi.GrantAccessArgs) { g.Terms.Records = []emr.RecordID{} }), emr.PurposeTreatment, emr.Permit, emr.ReasonGrant, emr.RequestGranted},
		"ask: a grant for another purpose": {granted(func(*scene, *ledgerapi.GrantAccessArgs) {}), emr.PurposeResearch, emr.Ask, emr.ReasonNoGrant, emr.RequestPending},
		"ask: a grant that has not begun":  {granted(func(s *scene, g *ledgerapi.GrantAccessArgs) { g.Terms.NotBefore = s.Now + 60 }), emr.PurposeTreatment, emr.Ask, emr.ReasonNoGrant, emr.RequestPending},
		"ask: a grant that is over":        {func(t *testing.T, s *scene) *ledgertest.Clinician { s.give(t); s.Wait(2 * time.Hour); return s.reader }, emr.PurposeTreatment, emr.Ask, emr.ReasonNoGrant, emr.RequestPending},
		"ask: somebody else's grant": {func(t *testing.T, s *scene) *ledgertest.Clinician {
			s.give(t)
			return s.Clinician(t, ledgertest.HospitalB, emr.RolePhysician, emr.LevelPrivate)
		}, emr.PurposeTreatment, emr.Ask, emr.ReasonNoGrant, emr.RequestPending},
		"permit: a scope grant behind a record grant for another purpose": {func(t *testing.T, s *scene) *ledgertest.Clinician {
			granted(func(_ *scene, g *ledgerapi.GrantAccessArgs) { g.Terms.Records = []emr.RecordID{} })(t, s)
			return granted(func(_ *scene, g *ledgerapi.GrantAccessArgs) { g.Terms.Purposes = []emr.Purpose{emr.PurposeResearch} })(t, s)
		}, emr.PurposeTreatment, emr.Permit, emr.ReasonGrant, emr.RequestGranted},
		"ask: a grant that was revoked": {func(t *testing.T, s *scene) *ledgertest.Clinician {
			g := s.give(t)
			s.Do(t, s.patient, ledgerapi.RevokeAccess, ledgerapi.RevokeAccessArgs{Patient: s.patient.Handle, Grant: g.Terms.Grant})
			return s.reader
		}, emr.PurposeTreatment, emr.Ask, emr.ReasonNoGrant, emr.RequestPending},
		"ask: a grant that is used up": {func(t *testing.T, s *scene) *ledgertest.Clinician {
			g := s.Grant(s.scope, s.reader, s.record.Record)
			g.Terms.MaxUses = 1
			s.Do(t, s.patient, ledgerapi.GrantAccess, g)
			s.disclose(t, s.reader, s.read(g.Terms.Grant))
			return s.reader
		}, emr.PurposeTreatment, emr.Ask, emr.ReasonNoGrant, emr.RequestPending},
		"ask: a grant to a key that has changed": {func(t *testing.T, s *scene) *ledgertest.Clinician {
			s.reader = s.NewClinician(t, ledgertest.HospitalB, ledgertest.Wish{Role: "physician", Level: "private", Until: s.Now.Std().Add(time.Hour)})
			s.Do(t, s.reader, ledgerapi.RegisterClinician, s.reader.Args())
			s.give(t)
			next := renewed(t, s.reader, ledgertest.Wish{Role: "physician", Level: "private"})
			next.Reading = ledgertest.NewKey(t)
			s.Do(t, next, ledgerapi.RegisterClinician, next.Args())
			return next
		}, emr.PurposeTreatment, emr.Ask, emr.ReasonNoGrant, emr.RequestPending},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			by := test.by(t, s)
			args := s.ask(s.record.Record)
			args.Purpose = test.purpose
			receipt := s.Do(t, by, ledgerapi.RequestAccess, args).(*ledgerapi.DecisionReceipt)
			require.Equal(t, test.decision, receipt.Decision)
			require.Equal(t, test.reason, receipt.Reason)
			require.Equal(t, test.decision == emr.Permit, receipt.Grant != "")
			request := s.getRequest(t, args.Request)
			require.Equal(t, test.status, request.Status)
			require.Equal(t, receipt.Grant, request.Grant)
			require.Equal(t, by.Org.ID, request.Org)
			entry := s.trail(t, s.patient.Handle)
			require.True(t, contains(entry, func(e emr.AuditEntry) bool {
				return e.Kind == emr.AuditRequest && e.Ref == string(args.Request) && e.Decision == test.decision && e.Reason == test.reason
			}), "the decision stands in the trail")
			require.Contains(t, string(s.Private(ledgerapi.NoteKey(args.Request))), "signature")
		})
	}
}

func contains(entries []emr.AuditEntry, f func(emr.AuditEntry) bool) bool {
	for _, e := range entries {
		if f(e) {
			return true
		}
	}
	return false
}

func TestARequestIsRefusedAsAnErrorAndLeavesNothing(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	made := s.ask(s.record.Record)
	s.Do(t, s.reader, ledgerapi.RequestAccess, made)
	for name, test := range map[string]struct {
		change func(*ledgerapi.RequestAccessArgs)
		code   emr.Code
	}{
		"of an unknown record":        {func(a *ledgerapi.RequestAccessArgs) { a.Record = ledgertest.ID[emr.RecordID]("rec_") }, emr.CodeNotFound},
		"of a record of another form": {func(a *ledgerapi.RequestAccessArgs) { a.Record = "x" }, emr.CodeInvalid},
		"with an id of another form":  {func(a *ledgerapi.RequestAccessArgs) { a.Request = "x" }, emr.CodeInvalid},
		"with an id that is taken":    {func(a *ledgerapi.RequestAccessArgs) { a.Request = made.Request }, emr.CodeExists},
		"for an unknown purpose":      {func(a *ledgerapi.RequestAccessArgs) { a.Purpose = "FUN" }, emr.CodeInvalid},
		"with a note too long":        {func(a *ledgerapi.RequestAccessArgs) { a.Note = strings.Repeat("n", 2001) }, emr.CodeTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			args := s.ask(s.record.Record)
			test.change(&args)
			before := s.Dump()
			_, err := s.Try(t, s.reader, ledgerapi.RequestAccess, args)
			refuses(t, err, test.code, "")
			require.Equal(t, before, s.Dump())
		})
	}
}

func TestAPatientRefusesAPendingRequestOnce(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	args := s.ask(s.record.Record)
	s.Do(t, s.reader, ledgerapi.RequestAccess, args)
	refuse := ledgerapi.RefuseAccessArgs{Patient: s.patient.Handle, Request: args.Request}
	s.Wait(time.Minute)
	s.Do(t, s.patient, ledgerapi.RefuseAccess, refuse)
	request := s.getRequest(t, args.Request)
	require.Equal(t, emr.RequestRefused, request.Status)
	require.Equal(t, emr.ReasonRefused, request.Reason)
	require.Equal(t, s.Now, request.Answered)
	_, err := s.Try(t, s.patient, ledgerapi.RefuseAccess, refuse)
	refuses(t, err, emr.CodeRule, "not pending")
	grant := s.Grant(s.scope, s.reader, s.record.Record)
	grant.Request = args.Request
	_, err = s.Try(t, s.patient, ledgerapi.GrantAccess, grant)
	refuses(t, err, emr.CodeRule, "not pending")

	other := s.Patient(t, ledgertest.HospitalA)
	again := s.ask(s.record.Record)
	s.Do(t, s.reader, ledgerapi.RequestAccess, again)
	_, err = s.Try(t, other, ledgerapi.RefuseAccess, ledgerapi.RefuseAccessArgs{Patient: other.Handle, Request: again.Request})
	refuses(t, err, emr.CodeNotFound, "request")
	_, err = s.Try(t, s.patient, ledgerapi.RefuseAccess, ledgerapi.RefuseAccessArgs{
		Patient: s.patient.Handle, Request: ledgertest.ID[emr.RequestID]("req_"),
	})
	refuses(t, err, emr.CodeNotFound, "request")
	_, err = s.Try(t, s.patient, ledgerapi.RefuseAccess, ledgerapi.RefuseAccessArgs{Patient: s.patient.Handle, Request: "x"})
	refuses(t, err, emr.CodeInvalid, "request")
}

func TestAGrantAnswersARequest(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	args := s.ask(s.record.Record)
	s.Do(t, s.reader, ledgerapi.RequestAccess, args)
	grant := s.Grant(s.scope, s.reader, s.record.Record)
	grant.Request = args.Request
	s.Do(t, s.patient, ledgerapi.GrantAccess, grant)
	request := s.getRequest(t, args.Request)
	require.Equal(t, emr.RequestGranted, request.Status)
	require.Equal(t, grant.Terms.Grant, request.Grant)
	stored := s.getGrant(t, grant.Terms.Grant)
	require.Equal(t, grant.Terms, stored.Terms)
	require.Equal(t, emr.GrantLive, stored.Status)
	require.Equal(t, args.Request, stored.Request)
	require.Len(t, stored.Commitments, 3)
	for i, f := range grant.Fragments {
		require.Equal(t, f.Commitment, stored.Commitments[i])
	}
	require.Contains(t, string(s.Private(ledgerapi.FragmentKey(grant.Terms.Grant))), "signature")
}

func TestGivingAccessIsRefused(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	other := s.Patient(t, ledgertest.HospitalA)
	s.Accept(t, other, s.author)
	otherScope := s.Scope(t, other, emr.LevelPrivate)
	foreign := s.Record(t, s.author, otherScope, emr.ClassMedicalImaging)
	twin := s.Scope(t, s.patient, emr.LevelPrivate)
	inTwin := s.Record(t, s.author, twin, emr.ClassMedicalImaging)
	low := s.Clinician(t, ledgertest.HospitalB, emr.RolePhysician, emr.LevelLow)
	asked, foreignAsked := s.ask(s.record.Record), s.ask(foreign.Record)
	s.Do(t, s.reader, ledgerapi.RequestAccess, asked)
	s.Do(t, s.reader, ledgerapi.RequestAccess, foreignAsked)
	byAuthor, research := s.ask(s.record.Record), s.ask(s.record.Record)
	research.Purpose = emr.PurposeResearch
	s.Do(t, s.author, ledgerapi.RequestAccess, byAuthor)
	s.Do(t, s.reader, ledgerapi.RequestAccess, research)
	inTwinAsked := s.ask(inTwin.Record)
	s.Do(t, s.reader, ledgerapi.RequestAccess, inTwinAsked)
	given := s.give(t)
	type args = ledgerapi.GrantAccessArgs
	many := make([]emr.RecordID, ledgerapi.MaxRecordsPerGrant+1)
	for name, test := range map[string]struct {
		change func(*args)
		code   emr.Code
		text   string
	}{
		"on another channel":                    {func(a *args) { a.Terms.Channel = "x" }, emr.CodeInvalid, "channel"},
		"with an id of another form":            {func(a *args) { a.Terms.Grant = "x" }, emr.CodeInvalid, "terms.grant"},
		"with an id that is taken":              {func(a *args) { a.Terms.Grant = given.Terms.Grant }, emr.CodeExists, "already"},
		"by another patient than its signer":    {func(a *args) { a.Terms.Patient = other.Handle }, emr.CodeForbidden, "another patient"},
		"to somebody unknown":                   {func(a *args) { a.Terms.Grantee = ledgertest.ID[emr.ClinicianID]("cli_") }, emr.CodeNotFound, "clinician"},
		"to an id of another form":              {func(a *args) { a.Terms.Grantee = "x" }, emr.CodeInvalid, "grantee"},
		"to a grantee of another organisation":  {func(a *args) { a.Terms.Org = "HospitalXMSP" }, emr.CodeInvalid, "org"},
		"to another reading key":                {func(a *args) { a.Terms.Reader = s.author.Reading.Public().Bytes() }, emr.CodeStale, "reader"},
		"of an unknown scope":                   {func(a *args) { a.Terms.Scope = ledgertest.ID[emr.ScopeID]("scp_") }, emr.CodeNotFound, "scope"},
		"of a scope of another form":            {func(a *args) { a.Terms.Scope = "x" }, emr.CodeInvalid, "scope"},
		"of another patient's scope":            {func(a *args) { a.Terms.Scope = otherScope.ID }, emr.CodeNotFound, "scope"},
		"of another epoch":                      {func(a *args) { a.Terms.Epoch = 9 }, emr.CodeStale, "epoch"},
		"of another patient's record":           {func(a *args) { a.Terms.Records = []emr.RecordID{foreign.Record} }, emr.CodeNotFound, "record"},
		"of a record in another scope":          {func(a *args) { a.Terms.Records = []emr.RecordID{inTwin.Record} }, emr.CodeNotFound, "record"},
		"of an unknown record":                  {func(a *args) { a.Terms.Records = []emr.RecordID{ledgertest.ID[emr.RecordID]("rec_")} }, emr.CodeNotFound, "record"},
		"of a record of another form":           {func(a *args) { a.Terms.Records = []emr.RecordID{"x"} }, emr.CodeInvalid, "records"},
		"of a record twice":                     {func(a *args) { a.Terms.Records = []emr.RecordID{s.record.Record, s.record.Record} }, emr.CodeInvalid, "records"},
		"of too many records":                   {func(a *args) { a.Terms.Records = many }, emr.CodeInvalid, "records"},
		"of a list that is null":                {func(a *args) { a.Terms.Records = nil }, emr.CodeInvalid, "records"},
		"for no purpose":                        {func(a *args) { a.Terms.Purposes = []emr.Purpose{} }, emr.CodeInvalid, "purposes"},
		"for an unknown purpose":                {func(a *args) { a.Terms.Purposes = []emr.Purpose{"FUN"} }, emr.CodeInvalid, "purposes"},
		"for a purpose twice":                   {func(a *args) { a.Terms.Purposes = []emr.Purpose{"TREAT", "TREAT"} }, emr.CodeInvalid, "purposes"},
		"for purposes out of order":             {func(a *args) { a.Terms.Purposes = []emr.Purpose{"TREAT", "HRESCH"} }, emr.CodeInvalid, "purposes"},
		"for a purpose not the role's":          {func(a *args) { a.Terms.Purposes = []emr.Purpose{"HPAYMT"} }, emr.CodeRule, "purposes"},
		"from no time":                          {func(a *args) { a.Terms.NotBefore = 0 }, emr.CodeInvalid, "notBefore"},
		"from its end":                          {func(a *args) { a.Terms.NotBefore = a.Terms.Until }, emr.CodeInvalid, "notBefore"},
		"until a time that is over":             {func(a *args) { a.Terms.NotBefore, a.Terms.Until = s.Now-10, s.Now }, emr.CodeInvalid, "until"},
		"for more than a year":                  {func(a *args) { a.Terms.Until = s.Now.Add(365*24*time.Hour) + 1 }, emr.CodeInvalid, "until"},
		"for too many uses":                     {func(a *args) { a.Terms.MaxUses = ledgerapi.MaxGrantUses + 1 }, emr.CodeInvalid, "maxUses"},
		"with a threshold of one":               {func(a *args) { a.Terms.Threshold = 1 }, emr.CodeInvalid, "threshold"},
		"with a threshold over the gateways":    {func(a *args) { a.Terms.Threshold = 4 }, emr.CodeInvalid, "threshold"},
		"with gateways out of order":            {func(a *args) { a.Terms.Gateways[0], a.Terms.Gateways[1] = a.Terms.Gateways[1], a.Terms.Gateways[0] }, emr.CodeInvalid, "gateways"},
		"with a gateway twice":                  {func(a *args) { a.Terms.Gateways[1] = a.Terms.Gateways[0] }, emr.CodeInvalid, "gateways"},
		"with the grantee's own gateway":        {func(a *args) { a.Terms.Gateways[1] = ledgertest.HospitalB }, emr.CodeInvalid, "own organisation"},
		"with a gateway that is not registered": {func(a *args) { a.Terms.Gateways[2], a.Fragments[2].Gateway = "ZMSP", "ZMSP" }, emr.CodeInvalid, "not a member"},
		"with a gateway of another form":        {func(a *args) { a.Terms.Gateways[2], a.Fragments[2].Gateway = "Z MSP", "Z MSP" }, emr.CodeInvalid, "gateways"},
		"with a fragment missing":               {func(a *args) { a.Fragments = a.Fragments[1:] }, emr.CodeInvalid, "fragments"},
		"with fragments out of order":           {func(a *args) { a.Fragments[0], a.Fragments[1] = a.Fragments[1], a.Fragments[0] }, emr.CodeInvalid, "order"},
		"with an empty fragment":                {func(a *args) { a.Fragments[1].Sealed = []byte{} }, emr.CodeInvalid, "fragments[1].sealed"},
		"with a fragment too large":             {func(a *args) { a.Fragments[1].Sealed = make([]byte, 8<<10+1) }, emr.CodeTooLarge, "fragments[1].sealed"},
		"with a fragment without commitment":    {func(a *args) { a.Fragments[2].Commitment = emr.Digest{} }, emr.CodeInvalid, "commitment"},
		"answering an unknown request":          {func(a *args) { a.Request = ledgertest.ID[emr.RequestID]("req_") }, emr.CodeNotFound, "request"},
		"answering a request of another form":   {func(a *args) { a.Request = "x" }, emr.CodeInvalid, "request"},
		"answering a request to another":        {func(a *args) { a.Request = foreignAsked.Request }, emr.CodeNotFound, "request"},
		"answering somebody else's request":     {func(a *args) { a.Request = byAuthor.Request }, emr.CodeRule, "grantee"},
		"answering for another record":          {func(a *args) { a.Request = inTwinAsked.Request }, emr.CodeRule, "cover"},
		"answering for another scope": {func(a *args) {
			a.Request, a.Terms.Records = inTwinAsked.Request, []emr.RecordID{}
		}, emr.CodeRule, "cover"},
		"answering for another purpose": {func(a *args) { a.Request = research.Request }, emr.CodeRule, "cover"},
		"of a scope above the grantee's level": {func(a *args) {
			a.Terms.Grantee, a.Terms.Reader, a.Terms.Records = low.ID, low.Reading.Public().Bytes(), []emr.RecordID{}
		}, emr.CodeRule, "level"},
		"of a record above the grantee's level": {func(a *args) {
			a.Terms.Grantee, a.Terms.Reader = low.ID, low.Reading.Public().Bytes()
		}, emr.CodeRule, "level"},
	} {
		t.Run(name, func(t *testing.T) {
			a := s.Grant(s.scope, s.reader, s.record.Record)
			test.change(a)
			before := s.Dump()
			_, err := s.Try(t, s.patient, ledgerapi.GrantAccess, a)
			refuses(t, err, test.code, test.text)
			require.Equal(t, before, s.Dump())
		})
	}
}

func TestAGrantOfALowRecordInAPrivateScopeIsForTheRecordsLevel(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	low := s.Clinician(t, ledgertest.HospitalB, emr.RolePhysician, emr.LevelLow)
	medicine := s.Record(t, s.author, s.scope, emr.ClassMedicine)
	s.Do(t, s.patient, ledgerapi.GrantAccess, s.Grant(s.scope, low, medicine.Record))
}

func TestRevokingPurgesTheFragmentsAndIsDoneOnce(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	grant := s.give(t)
	key := ledgerapi.FragmentKey(grant.Terms.Grant)
	require.NotEmpty(t, s.Private(key))
	s.Wait(time.Minute)
	revoke := ledgerapi.RevokeAccessArgs{Patient: s.patient.Handle, Grant: grant.Terms.Grant}
	s.Do(t, s.patient, ledgerapi.RevokeAccess, revoke)
	require.Empty(t, s.Private(key))
	stored := s.getGrant(t, grant.Terms.Grant)
	require.Equal(t, emr.GrantRevoked, stored.Status)
	require.Equal(t, s.Now, stored.Revoked)
	_, err := s.Try(t, s.patient, ledgerapi.RevokeAccess, revoke)
	refuses(t, err, emr.CodeGone, "revoked")
	_, err = s.Try(t, s.patient, ledgerapi.RevokeAccess,
		ledgerapi.RevokeAccessArgs{Patient: s.patient.Handle, Grant: ledgertest.ID[emr.GrantID]("gra_")})
	refuses(t, err, emr.CodeNotFound, "grant")
	_, err = s.Try(t, s.patient, ledgerapi.RevokeAccess, ledgerapi.RevokeAccessArgs{Patient: s.patient.Handle, Grant: "x"})
	refuses(t, err, emr.CodeInvalid, "grant")
	other := s.Patient(t, ledgertest.HospitalA)
	_, err = s.Try(t, other, ledgerapi.RevokeAccess, ledgerapi.RevokeAccessArgs{Patient: other.Handle, Grant: grant.Terms.Grant})
	refuses(t, err, emr.CodeNotFound, "grant")
}

func TestAnExpiredGrantCanStillBeRevoked(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	grant := s.give(t)
	s.Wait(3 * time.Hour)
	s.Do(t, s.patient, ledgerapi.RevokeAccess,
		ledgerapi.RevokeAccessArgs{Patient: s.patient.Handle, Grant: grant.Terms.Grant})
}

func TestListsOfRequestsAndGrants(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	var requests, grants []string
	for range 5 {
		args := s.ask(s.record.Record)
		args.Purpose = emr.PurposeResearch
		s.Do(t, s.reader, ledgerapi.RequestAccess, args)
		grant := s.give(t)
		requests = append([]string{string(args.Request)}, requests...)
		grants = append([]string{string(grant.Terms.Grant)}, grants...)
		s.Wait(time.Second)
	}
	for name, q := range map[string]ledgerapi.PageQuery{
		"by patient": {Patient: s.patient.Handle, Limit: 2}, "by clinician": {Clinician: s.reader.ID, Limit: 2},
	} {
		var gotRequests, gotGrants []string
		for next := q; ; {
			page, err := ledger.ListRequests(s.Query(s.Orgs[ledgertest.HospitalA]), next)
			require.NoError(t, err)
			for _, r := range page.Items {
				gotRequests = append(gotRequests, string(r.ID))
			}
			if next.Bookmark = page.Bookmark; next.Bookmark == "" {
				break
			}
		}
		for next := q; ; {
			page, err := ledger.ListGrants(s.Query(s.Orgs[ledgertest.HospitalA]), next)
			require.NoError(t, err)
			for _, g := range page.Items {
				gotGrants = append(gotGrants, string(g.ID))
			}
			if next.Bookmark = page.Bookmark; next.Bookmark == "" {
				break
			}
		}
		require.Equal(t, requests, gotRequests, name)
		require.Equal(t, grants, gotGrants, name)
	}
}

func TestAGrantOfSeveralRecordsStandsInEachTrail(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	second := s.Record(t, s.author, s.scope, emr.ClassPrescription)
	grant := s.Grant(s.scope, s.reader, s.record.Record, second.Record)
	s.Do(t, s.patient, ledgerapi.GrantAccess, grant)
	var named []emr.RecordID
	for _, e := range s.trail(t, s.patient.Handle) {
		if e.Kind == emr.AuditGrant {
			named = append(named, e.Record)
		}
	}
	require.ElementsMatch(t, grant.Terms.Records, named)
	for _, record := range grant.Terms.Records {
		page, err := ledger.AuditByRecord(s.Query(s.patient.Org), ledgerapi.PageQuery{Record: record})
		require.NoError(t, err)
		require.True(t, contains(page.Items, func(e emr.AuditEntry) bool { return e.Ref == string(grant.Terms.Grant) }))
	}
}
