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

func (s *scene) askAmendment() ledgerapi.AskAmendmentArgs {
	return ledgerapi.AskAmendmentArgs{
		Patient: s.patient.Handle, Amendment: ledgertest.ID[emr.AmendmentID](emr.AmendmentPrefix), Record: s.record.Record,
		Text: "this is not my knee",
	}
}

// asked asks for an amendment.
func (s *scene) asked(t testing.TB) emr.AmendmentID {
	t.Helper()
	args := s.askAmendment()
	s.Do(t, s.patient, ledgerapi.AskAmendment, args)
	return args.Amendment
}

func (s *scene) amendment(t testing.TB, id emr.AmendmentID) emr.Amendment {
	t.Helper()
	found, err := ledger.GetAmendment(s.Query(s.Orgs[ledgertest.HospitalC]), ledgerapi.AmendmentQuery{Amendment: id})
	require.NoError(t, err)
	return *found
}

// amendments runs an accepted and a disputed amendment.
func amendments(t *testing.T, check func(*ledgertest.Tx, string, []byte, any, error)) (s *scene, accepted, denied emr.AmendmentID) {
	t.Helper()
	s = newScene(t)
	if check != nil {
		s.Check = check
	}
	denied, accepted = s.asked(t), s.asked(t)
	s.Wait(time.Hour)
	s.Do(t, s.author, ledgerapi.AnswerAmendment, ledgerapi.AnswerAmendmentArgs{Amendment: denied, Text: "the label agrees"})
	s.Do(t, s.patient, ledgerapi.DisputeAmendment,
		ledgerapi.DisputeAmendmentArgs{Patient: s.patient.Handle, Amendment: denied, Text: "I have two knees"})
	next := s.next(t, s.record, nil)
	s.Do(t, s.author, ledgerapi.RegisterRecord, next)
	s.Do(t, s.author, ledgerapi.AnswerAmendment,
		ledgerapi.AnswerAmendmentArgs{Amendment: accepted, Accept: true, Version: next.Record})
	return s, accepted, denied
}

func TestAnAmendmentIsAcceptedOrDeniedAndDisputed(t *testing.T) {
	t.Parallel()
	s, accepted, denied := amendments(t, nil)
	yes, no := s.amendment(t, accepted), s.amendment(t, denied)
	require.Equal(t, emr.AmendmentAccepted, yes.Status)
	require.NotEqual(t, s.record.Record, yes.Version)
	require.Equal(t, s.author.ID, yes.By)
	require.Equal(t, yes.Asked.Add(60*24*time.Hour), yes.Due)
	require.Equal(t, emr.AmendmentDenied, no.Status)
	require.Equal(t, s.Now, no.Disputed)
	for _, private := range []string{"not my knee", "two knees", "label agrees"} {
		require.NotContains(t, s.Dump(), private, "texts are private")
	}
	view, err := ledger.GetAmendmentAction(s.Query(s.Orgs[ledgertest.HospitalB]), ledgerapi.AmendmentQuery{Amendment: denied})
	require.NoError(t, err)
	for text, signed := range map[string]emr.SignedAction{
		"not my knee": view.Asking, "label agrees": view.Answer, "two knees": view.Dispute,
	} {
		action, err := signed.Parse()
		require.NoError(t, err)
		require.Contains(t, string(action.Args), text)
	}
	for _, q := range []ledgerapi.PageQuery{{Patient: s.patient.Handle}, {Record: s.record.Record}} {
		page, err := ledger.ListAmendments(s.Query(s.Orgs[ledgertest.HospitalB]), q)
		require.NoError(t, err)
		require.Equal(t, []emr.Amendment{yes, no}, page.Items)
	}
	chain := s.verified(t, s.patient.Handle)
	var told []any
	for _, e := range chain[len(chain)-5:] {
		require.Equal(t, s.record.Record, e.Record)
		told = append(told, e.Kind, e.Ref, e.Decision)
	}
	require.Equal(t, []any{
		emr.AuditAmendmentAsked, string(denied), emr.Ask, emr.AuditAmendmentAsked, string(accepted), emr.Ask,
		emr.AuditAmendmentAnswered, string(denied), emr.Deny, emr.AuditAmendmentDisputed, string(denied), emr.Decision(""),
		emr.AuditAmendmentAnswered, string(accepted), emr.Permit,
	}, told)
	var events []string
	for _, e := range s.Events[1:] {
		events = append(events, e.Name)
		require.NotContains(t, string(e.Payload), string(s.patient.Handle))
	}
	require.Equal(t, []string{
		ledgerapi.EventAmendmentAsked, ledgerapi.EventAmendmentAsked, ledgerapi.EventAmendmentAnswered,
		ledgerapi.EventAmendmentDisputed, ledgerapi.EventRecordRegistered, ledgerapi.EventAmendmentAnswered,
	}, events)
}

func TestAskingForAnAmendmentIsRefused(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	taken, other := s.asked(t), s.Patient(t, ledgertest.HospitalA)
	for name, test := range map[string]struct {
		by     ledgertest.Member
		change func(*ledgerapi.AskAmendmentArgs)
		code   emr.Code
	}{
		"another patient's record":  {other, func(a *ledgerapi.AskAmendmentArgs) { a.Patient = other.Handle }, emr.CodeNotFound},
		"in another patient's name": {other, func(*ledgerapi.AskAmendmentArgs) {}, emr.CodeForbidden},
		"by the author":             {s.author, func(*ledgerapi.AskAmendmentArgs) {}, emr.CodeForbidden},
		"an unknown record":         {s.patient, func(a *ledgerapi.AskAmendmentArgs) { a.Record = ledgertest.ID[emr.RecordID]("rec_") }, emr.CodeNotFound},
		"no record":                 {s.patient, func(a *ledgerapi.AskAmendmentArgs) { a.Record = "" }, emr.CodeInvalid},
		"an id of another form":     {s.patient, func(a *ledgerapi.AskAmendmentArgs) { a.Amendment = "amd_1" }, emr.CodeInvalid},
		"an id that is taken":       {s.patient, func(a *ledgerapi.AskAmendmentArgs) { a.Amendment = taken }, emr.CodeExists},
		"without a text":            {s.patient, func(a *ledgerapi.AskAmendmentArgs) { a.Text = " " }, emr.CodeInvalid},
		"with a text too long":      {s.patient, func(a *ledgerapi.AskAmendmentArgs) { a.Text = strings.Repeat("x", 4001) }, emr.CodeTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			args := s.askAmendment()
			test.change(&args)
			before := s.Dump()
			_, err := s.Try(t, test.by, ledgerapi.AskAmendment, args)
			refuses(t, err, test.code, "")
			require.Equal(t, before, s.Dump())
		})
	}
}

func TestAnsweringAnAmendmentIsRefused(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	before := s.next(t, s.record, nil) // corrected before anybody asked
	s.Do(t, s.author, ledgerapi.RegisterRecord, before)
	s.Wait(time.Minute)
	id := s.asked(t)
	next := s.next(t, before, nil)
	s.Do(t, s.author, ledgerapi.RegisterRecord, next)
	elsewhere := s.Record(t, s.author, s.scope, emr.ClassMedicalImaging)
	answered := s.asked(t)
	s.Do(t, s.author, ledgerapi.AnswerAmendment, ledgerapi.AnswerAmendmentArgs{Amendment: answered, Text: "no"})
	accept := func(version emr.RecordID) ledgerapi.AnswerAmendmentArgs {
		return ledgerapi.AnswerAmendmentArgs{Amendment: id, Accept: true, Version: version}
	}
	for name, test := range map[string]struct {
		by   ledgertest.Member
		args ledgerapi.AnswerAmendmentArgs
		code emr.Code
	}{
		"by another hospital":              {s.reader, accept(next.Record), emr.CodeForbidden},
		"by the patient":                   {s.patient, accept(next.Record), emr.CodeForbidden},
		"by a researcher of the hospital":  {s.Clinician(t, ledgertest.HospitalA, emr.RoleResearcher, emr.LevelPrivate), accept(next.Record), emr.CodeRule},
		"accepted without a version":       {s.author, accept(""), emr.CodeInvalid},
		"accepted with an unknown version": {s.author, accept(ledgertest.ID[emr.RecordID]("rec_")), emr.CodeNotFound},
		"accepted with the same version":   {s.author, accept(s.record.Record), emr.CodeRule},
		"accepted with an earlier change":  {s.author, accept(before.Record), emr.CodeRule},
		"accepted with another record":     {s.author, accept(elsewhere.Record), emr.CodeRule},
		"denied without a reason":          {s.author, ledgerapi.AnswerAmendmentArgs{Amendment: id}, emr.CodeInvalid},
		"denied with a version":            {s.author, ledgerapi.AnswerAmendmentArgs{Amendment: id, Version: next.Record, Text: "no"}, emr.CodeInvalid},
		"with a text too long":             {s.author, ledgerapi.AnswerAmendmentArgs{Amendment: id, Accept: true, Version: next.Record, Text: strings.Repeat("x", 4001)}, emr.CodeTooLarge},
		"of one that is answered":          {s.author, ledgerapi.AnswerAmendmentArgs{Amendment: answered, Text: "no"}, emr.CodeExists},
		"of an unknown one":                {s.author, ledgerapi.AnswerAmendmentArgs{Amendment: ledgertest.ID[emr.AmendmentID]("amd_"), Text: "no"}, emr.CodeNotFound},
		"of one of another form":           {s.author, ledgerapi.AnswerAmendmentArgs{Amendment: "x", Text: "no"}, emr.CodeInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			before := s.Dump()
			_, err := s.Try(t, test.by, ledgerapi.AnswerAmendment, test.args)
			refuses(t, err, test.code, "")
			require.Equal(t, before, s.Dump())
		})
	}
	s.Do(t, s.author, ledgerapi.AnswerAmendment, accept(next.Record))
}

// TestARecordIsNotItsOwnCorrection: not even when both are of one second.
func TestARecordIsNotItsOwnCorrection(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	_, err := s.Try(t, s.author, ledgerapi.AnswerAmendment,
		ledgerapi.AnswerAmendmentArgs{Amendment: s.asked(t), Accept: true, Version: s.record.Record})
	refuses(t, err, emr.CodeRule, "later version")
}

func TestDisputingIsRefused(t *testing.T) {
	t.Parallel()
	s, accepted, denied := amendments(t, nil)
	open, other := s.asked(t), s.Patient(t, ledgertest.HospitalA)
	dispute := func(by *ledgertest.Patient, id emr.AmendmentID, text string) ledgerapi.DisputeAmendmentArgs {
		return ledgerapi.DisputeAmendmentArgs{Patient: by.Handle, Amendment: id, Text: text}
	}
	for name, test := range map[string]struct {
		by   ledgertest.Member
		args ledgerapi.DisputeAmendmentArgs
		code emr.Code
	}{
		"what is accepted":          {s.patient, dispute(s.patient, accepted, "x"), emr.CodeRule},
		"what is not answered":      {s.patient, dispute(s.patient, open, "x"), emr.CodeRule},
		"again":                     {s.patient, dispute(s.patient, denied, "x"), emr.CodeExists},
		"another patient's":         {other, dispute(other, denied, "x"), emr.CodeNotFound},
		"in another patient's name": {other, dispute(s.patient, denied, "x"), emr.CodeForbidden},
		"without a text":            {s.patient, dispute(s.patient, denied, ""), emr.CodeInvalid},
		"of another form":           {s.patient, dispute(s.patient, "x", "x"), emr.CodeInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			before := s.Dump()
			_, err := s.Try(t, test.by, ledgerapi.DisputeAmendment, test.args)
			refuses(t, err, test.code, "")
			require.Equal(t, before, s.Dump())
		})
	}
}

func TestAmendmentQueriesAreRefused(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	id := s.asked(t)
	r := s.Query(s.Orgs[ledgertest.HospitalA])
	_, err := ledger.GetAmendment(r, ledgerapi.AmendmentQuery{Amendment: "x"})
	refuses(t, err, emr.CodeInvalid, "")
	_, err = ledger.GetAmendment(r, ledgerapi.AmendmentQuery{Amendment: ledgertest.ID[emr.AmendmentID]("amd_")})
	refuses(t, err, emr.CodeNotFound, "")
	_, err = ledger.GetAmendmentAction(s.View(s.Facts(s.Orgs[ledgertest.HospitalA].Admin)), ledgerapi.AmendmentQuery{Amendment: id})
	refuses(t, err, emr.CodeForbidden, "gateway")
	for _, q := range []ledgerapi.PageQuery{
		{}, {Patient: "x"}, {Record: "x"}, {Clinician: s.author.ID}, {Patient: s.patient.Handle, Record: s.record.Record},
	} {
		_, err = ledger.ListAmendments(r, q)
		refuses(t, err, emr.CodeInvalid, "")
	}
	s.DropPrivate(ledgerapi.StatementKey(s.amendment(t, id).Asking))
	_, err = ledger.GetAmendmentAction(r, ledgerapi.AmendmentQuery{Amendment: id})
	refuses(t, err, emr.CodeUnavailable, "statement")
}

// hold runs HoldRecord as an organisation's administrator.
func (s *scene) hold(caller *ledger.Caller, args ledgerapi.HoldRecordArgs) error {
	tx := s.Begin(s.Facts(caller))
	if _, err := ledger.HoldRecord(tx, args); err != nil {
		return err
	}
	return tx.Commit()
}

func TestARecordIsHeldByItsHospitalAndTheRegulatorAlone(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	a, b, regulator := s.Orgs[ledgertest.HospitalA], s.Orgs[ledgertest.HospitalB], s.Orgs[ledgertest.Regulator]
	put := ledgerapi.HoldRecordArgs{Record: s.record.Record, Hold: true, Ground: emr.HoldLitigation}
	end := ledgerapi.HoldRecordArgs{Record: s.record.Record}
	for name, test := range map[string]struct {
		caller *ledger.Caller
		args   ledgerapi.HoldRecordArgs
		code   emr.Code
	}{
		"another hospital":      {b.Admin, put, emr.CodeForbidden},
		"a gateway":             {a.Gateway, put, emr.CodeForbidden},
		"nobody":                {&ledger.Caller{MSP: a.ID}, put, emr.CodeUnauthenticated},
		"an unregistered MSP":   {&ledger.Caller{MSP: "OtherMSP", Certificate: a.Admin.Certificate}, put, emr.CodeForbidden},
		"no ground":             {a.Admin, ledgerapi.HoldRecordArgs{Record: put.Record, Hold: true}, emr.CodeInvalid},
		"a ground off the list": {a.Admin, ledgerapi.HoldRecordArgs{Record: put.Record, Hold: true, Ground: "spite"}, emr.CodeInvalid},
		"a ground for its end":  {a.Admin, ledgerapi.HoldRecordArgs{Record: put.Record, Ground: emr.HoldLitigation}, emr.CodeInvalid},
		"garbage for its end":   {a.Admin, ledgerapi.HoldRecordArgs{Record: put.Record, Ground: "spite"}, emr.CodeInvalid},
		"an unknown record":     {a.Admin, ledgerapi.HoldRecordArgs{Record: ledgertest.ID[emr.RecordID]("rec_"), Hold: true, Ground: emr.HoldLitigation}, emr.CodeNotFound},
		"no record":             {a.Admin, ledgerapi.HoldRecordArgs{Hold: true, Ground: emr.HoldLitigation}, emr.CodeInvalid},
		"ending what is not":    {a.Admin, end, emr.CodeRule},
	} {
		t.Run(name, func(t *testing.T) {
			before := s.Dump()
			refuses(t, s.hold(test.caller, test.args), test.code, "")
			require.Equal(t, before, s.Dump())
		})
	}
	require.NoError(t, s.hold(regulator.Admin, put))
	own := put
	own.Ground = emr.HoldRetention
	require.NoError(t, s.hold(a.Admin, own))
	refuses(t, s.hold(a.Admin, put), emr.CodeExists, "already")
	held := func() []emr.Holder {
		hold, err := ledger.GetHold(s.Query(b), ledgerapi.RecordQuery{Record: put.Record})
		require.NoError(t, err)
		return hold.Holders
	}
	require.Equal(t, []emr.Holder{
		{Org: ledgertest.HospitalA, Ground: emr.HoldRetention, Since: s.Now},
		{Org: ledgertest.Regulator, Ground: emr.HoldLitigation, Since: s.Now},
	}, held())
	require.NoError(t, s.hold(a.Admin, end))
	require.Len(t, held(), 1, "no organisation ends another one's hold")
	refuses(t, s.hold(a.Admin, end), emr.CodeRule, "does not hold")
	require.NoError(t, s.hold(regulator.Admin, end))
	require.Empty(t, held())
	chain := s.verified(t, s.patient.Handle)
	var told []any
	for _, e := range chain[len(chain)-4:] {
		require.Equal(t, []any{emr.ActorAdmin, s.record.Record}, []any{e.Actor, e.Record})
		told = append(told, e.Kind, e.Org)
	}
	require.Equal(t, []any{
		emr.AuditRecordHeld, ledgertest.Regulator, emr.AuditRecordHeld, ledgertest.HospitalA,
		emr.AuditRecordReleased, ledgertest.HospitalA, emr.AuditRecordReleased, ledgertest.Regulator,
	}, told)
	_, err := ledger.GetHold(s.Query(b), ledgerapi.RecordQuery{Record: "x"})
	refuses(t, err, emr.CodeInvalid, "")
	_, err = ledger.GetHold(s.Query(b), ledgerapi.RecordQuery{Record: ledgertest.ID[emr.RecordID]("rec_")})
	refuses(t, err, emr.CodeNotFound, "")
}
