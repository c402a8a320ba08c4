// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger_test

import (
	"encoding/base64"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/chaincode/ledger"
	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

func (s *scene) auditor(t testing.TB) *ledgertest.Clinician {
	t.Helper()
	return s.Clinician(t, ledgertest.Regulator, emr.RoleAuditor, emr.LevelLow)
}

// inspecting are the arguments for everything there is about a subject.
func inspecting(of emr.LogSubject) ledgerapi.InspectLogArgs {
	return ledgerapi.InspectLogArgs{
		Inspection: ledgertest.ID[emr.InspectionID](emr.InspectionPrefix), Subject: of, From: 0, To: math.MaxInt32, Ground: emr.InspectComplaint,
	}
}

// inspect commits an inspection and returns its receipt.
func (s *scene) inspect(t testing.TB, by ledgertest.Member, args ledgerapi.InspectLogArgs) *ledgerapi.DecisionReceipt {
	t.Helper()
	return s.Do(t, by, ledgerapi.InspectLog, args).(*ledgerapi.DecisionReceipt)
}

// readLog reads everything that an inspection shows, two entries at a time.
func (s *scene) readLog(t testing.TB, org emr.OrgID, q ledgerapi.ReadLogQuery) []emr.AuditEntry {
	t.Helper()
	all := []emr.AuditEntry{}
	q.Limit = 2
	for {
		page, err := ledger.ReadLog(s.Query(s.Orgs[org]), q)
		require.NoError(t, err)
		all = append(all, page.Items...)
		if page.Bookmark == "" {
			return all
		}
		q.Bookmark = page.Bookmark
	}
}

func reading(args ledgerapi.InspectLogArgs) ledgerapi.ReadLogQuery {
	return ledgerapi.ReadLogQuery{Inspection: args.Inspection}
}

// inspections asks for the log of a patient and of a record, permitted and denied, with check set.
func inspections(t testing.TB, check func(*ledgertest.Tx, string, []byte, any, error)) {
	t.Helper()
	s := newScene(t)
	auditor := s.auditor(t)
	s.Check = check
	for _, of := range []emr.LogSubject{{Patient: s.patient.Handle}, {Actor: string(s.patient.Handle)}} {
		s.inspect(t, auditor, inspecting(of))
	}
	s.inspect(t, s.reader, inspecting(emr.LogSubject{Record: s.record.Record}))
}

// TestAnAuditorReadsEveryLogAndIsFoundInIt: log before release, for the log itself.
func TestAnAuditorReadsEveryLogAndIsFoundInIt(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	auditor := s.auditor(t)
	s.disclose(t, s.reader, s.read(""))
	hospital := emr.LogSubject{Org: ledgertest.HospitalB}
	for name, c := range map[string]struct {
		of   emr.LogSubject
		want func(e *emr.AuditEntry) bool
	}{
		"a patient":   {emr.LogSubject{Patient: s.patient.Handle}, func(e *emr.AuditEntry) bool { return e.Patient == s.patient.Handle }},
		"a record":    {emr.LogSubject{Record: s.record.Record}, func(e *emr.AuditEntry) bool { return e.Record == s.record.Record }},
		"a clinician": {emr.LogSubject{Actor: string(s.reader.ID)}, func(e *emr.AuditEntry) bool { return e.Actor == string(s.reader.ID) }},
		"a patient's acts": {emr.LogSubject{Actor: string(s.patient.Handle)}, func(e *emr.AuditEntry) bool {
			return e.Patient == s.patient.Handle && e.Actor == emr.ActorPatient
		}},
		"an organisation": {hospital, func(e *emr.AuditEntry) bool { return e.Org == ledgertest.HospitalB || e.Kind == emr.AuditLogRead }},
	} {
		args := inspecting(c.of)
		receipt := s.inspect(t, auditor, args)
		require.Equal(t, []any{emr.Permit, emr.ReasonInspector, s.Now.Add(30 * time.Minute)}, []any{receipt.Decision, receipt.Reason, receipt.Until}, name)
		entries := s.readLog(t, ledgertest.Regulator, reading(args))
		require.NotEmpty(t, entries, name)
		for _, e := range entries {
			require.True(t, c.want(&e), "%s: %+v", name, e)
		}
		inspection, err := ledger.GetInspection(s.Query(s.Orgs[ledgertest.HospitalA]), ledgerapi.InspectionQuery{Inspection: args.Inspection})
		require.NoError(t, err)
		require.Equal(t, []any{auditor.ID, c.of, emr.InspectComplaint}, []any{inspection.By, inspection.Subject, inspection.Ground})
	}
	found := 0
	for _, e := range s.verified(t, s.patient.Handle) {
		if e.Kind == emr.AuditLogRead {
			require.Equal(t, []any{string(auditor.ID), ledgertest.Regulator, emr.Permit}, []any{e.Actor, e.Org, e.Decision})
			found++
		}
	}
	require.Equal(t, 3, found, "patient, record and the patient's acts, in the patient's chain")
	about, err := ledger.AuditByClinician(s.Query(s.Orgs[ledgertest.HospitalB]), ledgerapi.PageQuery{Clinician: s.reader.ID})
	require.NoError(t, err)
	require.Equal(t, emr.AuditLogRead, about.Items[0].Kind, "the clinician finds it")
	again := inspecting(hospital)
	s.inspect(t, auditor, again)
	require.Equal(t, string(again.Inspection), s.readLog(t, ledgertest.Regulator, reading(again))[0].Ref, "the organisation finds it")
}

func TestAPrivacyOfficerReadsTheLogsOfTheOwnOrganisation(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	stranger := s.Patient(t, ledgertest.HospitalC)
	officer := s.officer(t, ledgertest.HospitalA)
	for name, of := range map[string]emr.LogSubject{
		"a patient of the hospital": {Patient: s.patient.Handle}, "a record of the hospital": {Record: s.record.Record},
		"a colleague": {Actor: string(s.author.ID)}, "the hospital": {Org: ledgertest.HospitalA},
	} {
		args := inspecting(of)
		require.Equal(t, emr.Permit, s.inspect(t, officer, args).Decision, name)
		require.NotEmpty(t, s.readLog(t, ledgertest.HospitalA, reading(args)), name)
	}
	for name, of := range map[string]emr.LogSubject{
		"another hospital's patient": {Patient: stranger.Handle}, "another hospital's clinician": {Actor: string(s.reader.ID)},
		"another hospital": {Org: ledgertest.HospitalB}, "another hospital's patient's acts": {Actor: string(stranger.Handle)},
	} {
		args := inspecting(of)
		receipt := s.inspect(t, officer, args)
		require.Equal(t, []any{emr.Deny, emr.ReasonInspectorOrg, emr.Time(0)}, []any{receipt.Decision, receipt.Reason, receipt.Until}, name)
		_, err := ledger.ReadLog(s.Query(s.Orgs[ledgertest.HospitalA]), reading(args))
		refuses(t, err, emr.CodeRule, "own organisation")
	}
	require.Equal(t, emr.Deny, s.trail(t, stranger.Handle)[0].Decision, "a denied inspection is found, too")
	s.verified(t, stranger.Handle)
}

// TestNobodyElseReadsALog: denials are committed facts in the log that was asked for.
func TestNobodyElseReadsALog(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	for _, by := range []*ledgertest.Clinician{
		s.reader, s.author, s.Clinician(t, ledgertest.HospitalA, emr.RoleNurse, emr.LevelPrivate),
		s.Clinician(t, ledgertest.HospitalA, emr.RoleInsurer, emr.LevelPrivate),
	} {
		args := inspecting(emr.LogSubject{Patient: s.patient.Handle})
		require.Equal(t, emr.ReasonRole, s.inspect(t, by, args).Reason)
		require.Equal(t, string(args.Inspection), s.trail(t, s.patient.Handle)[0].Ref)
		_, err := ledger.ReadLog(s.Query(by.Org), reading(args))
		require.Equal(t, emr.CodeRule, emr.CodeOf(err))
	}
	_, err := s.Try(t, s.patient, ledgerapi.InspectLog, inspecting(emr.LogSubject{Patient: s.patient.Handle}))
	refuses(t, err, emr.CodeForbidden, "for clinicians")
	auditor := s.auditor(t)
	signed := s.Sign(t, auditor, ledgerapi.InspectLog, inspecting(emr.LogSubject{Patient: s.patient.Handle}))
	_, err = s.Submit(t, s.Orgs[ledgertest.HospitalA], ledgerapi.InspectLog, signed)
	refuses(t, err, emr.CodeForbidden, "own organisation")
	s.order(t, ledger.SuspendClinician, auditor)
	require.Equal(t, emr.ReasonSuspended, s.inspect(t, auditor, inspecting(emr.LogSubject{Patient: s.patient.Handle})).Reason)
}

func TestAnInspectionIsRefused(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	auditor := s.auditor(t)
	taken := inspecting(emr.LogSubject{Patient: s.patient.Handle})
	s.inspect(t, auditor, taken)
	before := s.Dump()
	for name, c := range map[string]struct {
		change func(*ledgerapi.InspectLogArgs)
		code   emr.Code
	}{
		"no id":                      {func(a *ledgerapi.InspectLogArgs) { a.Inspection = "" }, emr.CodeInvalid},
		"an id that is taken":        {func(a *ledgerapi.InspectLogArgs) { a.Inspection = taken.Inspection }, emr.CodeExists},
		"no subject":                 {func(a *ledgerapi.InspectLogArgs) { a.Subject = emr.LogSubject{} }, emr.CodeInvalid},
		"two subjects":               {func(a *ledgerapi.InspectLogArgs) { a.Subject.Org = ledgertest.HospitalA }, emr.CodeInvalid},
		"no ground":                  {func(a *ledgerapi.InspectLogArgs) { a.Ground = "" }, emr.CodeInvalid},
		"a ground of no list":        {func(a *ledgerapi.InspectLogArgs) { a.Ground = "curiosity" }, emr.CodeInvalid},
		"a period without a length":  {func(a *ledgerapi.InspectLogArgs) { a.From = a.To }, emr.CodeInvalid},
		"a period without an end":    {func(a *ledgerapi.InspectLogArgs) { a.To = 0 }, emr.CodeInvalid},
		"a period before time began": {func(a *ledgerapi.InspectLogArgs) { a.From = -1 }, emr.CodeInvalid},
		"a patient that is none":     {func(a *ledgerapi.InspectLogArgs) { a.Subject.Patient = "hnd_x" }, emr.CodeInvalid},
		"nobody": {func(a *ledgerapi.InspectLogArgs) {
			a.Subject.Patient = ledgertest.ID[emr.Handle](emr.HandlePrefix)
		}, emr.CodeNotFound},
		"no record": {func(a *ledgerapi.InspectLogArgs) {
			a.Subject = emr.LogSubject{Record: ledgertest.ID[emr.RecordID](emr.RecordPrefix)}
		}, emr.CodeNotFound},
		"a record that is none": {func(a *ledgerapi.InspectLogArgs) { a.Subject = emr.LogSubject{Record: "rec_x"} }, emr.CodeInvalid},
		"no clinician": {func(a *ledgerapi.InspectLogArgs) {
			a.Subject = emr.LogSubject{Actor: string(ledgertest.ID[emr.ClinicianID](emr.ClinicianPrefix))}
		}, emr.CodeNotFound},
		"an actor that is none":          {func(a *ledgerapi.InspectLogArgs) { a.Subject = emr.LogSubject{Actor: emr.ActorAdmin} }, emr.CodeInvalid},
		"an organisation that is none":   {func(a *ledgerapi.InspectLogArgs) { a.Subject = emr.LogSubject{Org: "a b"} }, emr.CodeInvalid},
		"an organisation not registered": {func(a *ledgerapi.InspectLogArgs) { a.Subject = emr.LogSubject{Org: "OtherMSP"} }, emr.CodeNotFound},
	} {
		args := inspecting(emr.LogSubject{Patient: s.patient.Handle})
		c.change(&args)
		_, err := s.Try(t, auditor, ledgerapi.InspectLog, args)
		require.Equal(t, c.code, emr.CodeOf(err), "%s: %v", name, err)
	}
	require.Equal(t, before, s.Dump())
}

// TestALogIsShownUnderALiveInspectionAlone: no other organisation, no other time, no other period.
func TestALogIsShownUnderALiveInspectionAlone(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.Wait(time.Hour)
	begin := s.Now
	s.disclose(t, s.reader, s.read(""))
	s.Wait(time.Hour)
	s.disclose(t, s.reader, s.read(""))
	s.Wait(time.Hour)
	s.disclose(t, s.reader, s.read(""))
	officer, auditor := s.officer(t, ledgertest.HospitalB), s.auditor(t)
	args := inspecting(emr.LogSubject{Actor: string(s.reader.ID)})
	args.From, args.To = begin, begin.Add(2*time.Hour)
	s.inspect(t, officer, args)
	q := reading(args)
	require.Len(t, s.readLog(t, ledgertest.HospitalB, q), 2)
	narrow := q
	narrow.From = begin + 1
	require.Len(t, s.readLog(t, ledgertest.HospitalB, narrow), 1)
	narrow.From, narrow.To = begin, begin+1
	require.Len(t, s.readLog(t, ledgertest.HospitalB, narrow), 1)
	narrow.From, narrow.To = begin+1, begin.Add(time.Hour)
	require.Empty(t, s.readLog(t, ledgertest.HospitalB, narrow))
	forged := base64.RawURLEncoding.EncodeToString([]byte(ledgerapi.Inverted(math.MaxInt32, 0) + "/x"))
	page, err := ledger.ReadLog(s.Query(s.Orgs[ledgertest.HospitalB]), ledgerapi.ReadLogQuery{Inspection: q.Inspection, Bookmark: forged})
	require.NoError(t, err)
	require.Len(t, page.Items, 2, "a forged bookmark shows nothing newer than the period")

	wide := inspecting(emr.LogSubject{Actor: string(s.reader.ID)})
	s.inspect(t, auditor, wide)
	for name, c := range map[string]struct {
		caller *ledger.Caller
		q      ledgerapi.ReadLogQuery
		code   emr.Code
	}{
		"without an inspection":       {s.Orgs[ledgertest.HospitalB].Gateway, ledgerapi.ReadLogQuery{}, emr.CodeInvalid},
		"one that nobody has made":    {s.Orgs[ledgertest.HospitalB].Gateway, reading(inspecting(emr.LogSubject{})), emr.CodeNotFound},
		"another hospital's gateway":  {s.Orgs[ledgertest.HospitalA].Gateway, q, emr.CodeForbidden},
		"the regulator's gateway":     {s.Orgs[ledgertest.Regulator].Gateway, q, emr.CodeForbidden},
		"the auditor's, by another":   {s.Orgs[ledgertest.HospitalB].Gateway, reading(wide), emr.CodeForbidden},
		"an administrator":            {s.Orgs[ledgertest.HospitalB].Admin, q, emr.CodeForbidden},
		"the inspector, no gateway":   {&ledger.Caller{MSP: officer.Org.ID, Certificate: officer.Cert}, q, emr.CodeForbidden},
		"an earlier period":           {s.Orgs[ledgertest.HospitalB].Gateway, ledgerapi.ReadLogQuery{Inspection: q.Inspection, From: begin - 1}, emr.CodeForbidden},
		"a later period":              {s.Orgs[ledgertest.HospitalB].Gateway, ledgerapi.ReadLogQuery{Inspection: q.Inspection, To: args.To + 1}, emr.CodeForbidden},
		"a period of negative length": {s.Orgs[ledgertest.HospitalB].Gateway, ledgerapi.ReadLogQuery{Inspection: q.Inspection, From: begin + 9, To: begin + 9}, emr.CodeInvalid},
		"a negative page":             {s.Orgs[ledgertest.HospitalB].Gateway, ledgerapi.ReadLogQuery{Inspection: q.Inspection, Limit: -1}, emr.CodeInvalid},
		"a bookmark of nothing":       {s.Orgs[ledgertest.HospitalB].Gateway, ledgerapi.ReadLogQuery{Inspection: q.Inspection, Bookmark: "x"}, emr.CodeInvalid},
	} {
		_, err := ledger.ReadLog(s.View(s.Facts(c.caller)), c.q)
		require.Equal(t, c.code, emr.CodeOf(err), "%s: %v", name, err)
	}
	s.order(t, ledger.SuspendClinician, officer)
	_, err = ledger.ReadLog(s.Query(s.Orgs[ledgertest.HospitalB]), q)
	refuses(t, err, emr.CodeRule, "suspended")
	s.order(t, ledger.ReinstateClinician, officer)
	s.Wait(30*time.Minute - time.Second)
	require.Len(t, s.readLog(t, ledgertest.HospitalB, q), 2)
	s.Wait(time.Second)
	_, err = ledger.ReadLog(s.Query(s.Orgs[ledgertest.HospitalB]), q)
	refuses(t, err, emr.CodeGone, "over")
}

// TestARevokedInspectorReadsNoMore: what ends an inspector's acts ends the inspections that live.
func TestARevokedInspectorReadsNoMore(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	auditor := s.auditor(t)
	args := inspecting(emr.LogSubject{Patient: s.patient.Handle})
	s.inspect(t, auditor, args)
	require.NotEmpty(t, s.readLog(t, ledgertest.Regulator, reading(args)))
	require.NoError(t, govern(&assembly{s.Consortium, t}, auditor.Org.Admin, ledger.RevokeCertificates, revoking(auditor.Org, auditor.Cert)))
	_, err := ledger.ReadLog(s.Query(s.Orgs[ledgertest.Regulator]), reading(args))
	require.Equal(t, emr.CodeRule, emr.CodeOf(err))
}

// TestALogOfAnyLengthIsPagedInBoundedSteps: what one answer reads does not grow with the log.
func TestALogOfAnyLengthIsPagedInBoundedSteps(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	auditor := s.auditor(t)
	for range 130 {
		s.disclose(t, s.reader, s.read(""))
	}
	args := inspecting(emr.LogSubject{Org: ledgertest.HospitalB})
	s.inspect(t, auditor, args)
	page, err := ledger.ReadLog(s.Query(s.Orgs[ledgertest.Regulator]), ledgerapi.ReadLogQuery{Inspection: args.Inspection, Limit: 1000})
	require.NoError(t, err)
	require.Len(t, page.Items, ledgerapi.MaxPageSize)
	require.NotEmpty(t, page.Bookmark)
	entries := s.readLog(t, ledgertest.Regulator, reading(args))
	require.Len(t, entries, 132, "the readings, the reader's registration, and this inspection")
	seen := map[string]bool{}
	for i, e := range entries {
		require.False(t, seen[e.TxID+e.Ref])
		seen[e.TxID+e.Ref] = true
		require.True(t, i == 0 || e.At <= entries[i-1].At)
	}
}

// TestReadingsOfOneActorNeverConflict: the indexes by actor and organisation are no common keys.
func TestReadingsOfOneActorNeverConflict(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	var open []*ledgertest.Tx
	for range 4 {
		tx := s.Begin(s.Facts(s.reader.Org.Gateway))
		_, err := ledgertest.Run(tx, ledgerapi.Disclose, ledgertest.Raw(t, s.Sign(t, s.reader, ledgerapi.Disclose, s.read(""))))
		require.NoError(t, err)
		open = append(open, tx)
	}
	for _, tx := range open {
		require.NoError(t, tx.Commit())
	}
	args := inspecting(emr.LogSubject{Actor: string(s.reader.ID)})
	s.inspect(t, s.auditor(t), args)
	entries := s.readLog(t, ledgertest.Regulator, reading(args))
	require.Len(t, entries, 5, "four readings and the registration")
}

// TestAnEntryAboutAnOrganisationIsSealedByWhoseItIs: the log of the inspected
// organisation shows another one's act, which is the other's to seal.
func TestAnEntryAboutAnOrganisationIsSealedByWhoseItIs(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	args := inspecting(emr.LogSubject{Org: ledgertest.HospitalB})
	s.inspect(t, s.auditor(t), args)
	s.inspect(t, s.auditor(t), inspecting(emr.LogSubject{Org: ledgertest.HospitalB}))
	for _, e := range s.unsealed(t, ledgertest.HospitalB) {
		require.NotEqual(t, emr.AuditLogRead, e.Kind)
	}
	var about ledgerapi.EntryName
	for _, e := range s.unsealed(t, ledgertest.Regulator) {
		if e.Kind == emr.AuditLogRead {
			about = e.Name
		}
	}
	_, err := s.seal(t, ledgertest.HospitalB, about)
	refuses(t, err, emr.CodeRule, "another organisation's")
	_, err = s.seal(t, ledgertest.Regulator, about)
	require.NoError(t, err)
}
