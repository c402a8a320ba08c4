// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/chaincode/ledger"
	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// board are three physicians of three hospitals who sign in this order.
func board(t testing.TB, s *scene) []*ledgertest.Clinician {
	t.Helper()
	return []*ledgertest.Clinician{
		s.author, s.reader, s.Clinician(t, ledgertest.HospitalC, emr.RolePhysician, emr.LevelPrivate),
	}
}

// waits lists the records that wait for a clinician's signature.
func (s *scene) waits(t testing.TB, who *ledgertest.Clinician) []emr.RecordID {
	t.Helper()
	page, err := ledger.ListSignOffs(s.Query(s.Orgs[ledgertest.HospitalA]), ledgerapi.PageQuery{Clinician: who.ID})
	require.NoError(t, err)
	all := []emr.RecordID{}
	for _, one := range page.Items {
		all = append(all, one.Record)
	}
	return all
}

func TestARecordIsSignedOffInOrder(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	all := board(t, s)
	m := s.signable(t, all...)
	require.Equal(t, emr.SignOffDraft, s.signOff(t, m.Record).Status)
	for i, who := range all {
		for j, other := range all {
			want := []emr.RecordID{}
			if i == j {
				want = []emr.RecordID{m.Record}
			}
			require.Equal(t, want, s.waits(t, other))
		}
		s.Wait(time.Minute)
		receipt := s.Do(t, who, ledgerapi.SignOff, s.signing(t, m.Record)).(*ledgerapi.DecisionReceipt)
		want := emr.SignOffPartly
		if i == len(all)-1 {
			want = emr.SignOffSigned
		}
		require.Equal(t, []any{emr.Permit, want}, []any{receipt.Decision, receipt.SignOff})
		done := s.signOff(t, m.Record)
		require.Equal(t, []any{want, i + 1, who.ID, s.Now}, []any{done.Status, len(done.Signatures), done.Signatures[i].By, done.Signatures[i].At})
		entry := s.trail(t, s.patient.Handle)[0]
		require.Equal(t, []any{emr.AuditSignOff, string(who.ID), m.Record, emr.Permit}, []any{entry.Kind, entry.Actor, entry.Record, entry.Decision})
	}
	require.Equal(t, s.Now, s.signOff(t, m.Record).Ended)
	view, err := ledger.GetSignOffAction(s.Query(s.Orgs[ledgertest.HospitalA]), ledgerapi.RecordQuery{Record: m.Record})
	require.NoError(t, err)
	for i, who := range all {
		require.Equal(t, view.SignOff.Signatures[i].Action, view.Signed[i].Digest(), "what each signed stays as evidence")
		require.Equal(t, who.ID, view.Signers[i].ID)
	}
	record, err := ledger.GetRecord(s.Query(s.Orgs[ledgertest.HospitalA]), ledgerapi.RecordQuery{Record: m.Record})
	require.NoError(t, err)
	require.Equal(t, record.Manifest, view.SignOff.Manifest)
}

func TestSigningOffIsRefused(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	all := board(t, s)
	m := s.signable(t, all...)
	s.Do(t, s.author, ledgerapi.SignOff, s.signing(t, m.Record))
	over := s.signable(t, s.reader)
	no := s.signing(t, over.Record)
	no.Refuse, no.Ground = true, emr.SignOffDisagree
	s.Do(t, s.reader, ledgerapi.SignOff, no)
	twice := s.signable(t, s.reader, all[2])
	no = s.signing(t, twice.Record)
	no.Refuse, no.Ground = true, emr.SignOffWrongPatient
	s.Do(t, s.reader, ledgerapi.SignOff, no)
	stranger := s.Clinician(t, ledgertest.HospitalA, emr.RolePhysician, emr.LevelPrivate)
	type args = ledgerapi.SignOffArgs
	for name, test := range map[string]struct {
		by     ledgertest.Member
		of     *emr.Manifest
		change func(*args)
		code   emr.Code
		reason emr.Reason
	}{
		"out of order":                     {all[2], m, func(*args) {}, emr.CodeRule, emr.ReasonSignOffOrder},
		"a refusal out of order":           {all[2], m, func(a *args) { a.Refuse, a.Ground = true, emr.SignOffDisagree }, emr.CodeRule, emr.ReasonSignOffOrder},
		"again":                            {s.author, m, func(*args) {}, emr.CodeExists, ""},
		"by nobody whom the author names":  {stranger, m, func(*args) {}, emr.CodeForbidden, ""},
		"by the patient":                   {s.patient, m, func(*args) {}, emr.CodeForbidden, ""},
		"of another manifest":              {s.reader, m, func(a *args) { a.Manifest[0]++ }, emr.CodeInvalid, ""},
		"of no manifest":                   {s.reader, m, func(a *args) { a.Manifest = emr.Digest{} }, emr.CodeInvalid, ""},
		"refused without a ground":         {s.reader, m, func(a *args) { a.Refuse = true }, emr.CodeInvalid, ""},
		"refused on a ground off the list": {s.reader, m, func(a *args) { a.Refuse, a.Ground = true, "mood" }, emr.CodeInvalid, ""},
		"signed with a ground":             {s.reader, m, func(a *args) { a.Ground = emr.SignOffDisagree }, emr.CodeInvalid, ""},
		"after a refusal, by who refused":  {s.reader, over, func(*args) {}, emr.CodeExists, ""},
		"after a refusal, by the next":     {all[2], twice, func(*args) {}, emr.CodeRule, emr.ReasonSignOffOver},
		"of a record without signers":      {s.reader, s.record, func(*args) {}, emr.CodeNotFound, ""},
		"of an unknown record":             {s.reader, m, func(a *args) { a.Record = ledgertest.ID[emr.RecordID]("rec_") }, emr.CodeNotFound, ""},
		"of a record of another form":      {s.reader, m, func(a *args) { a.Record = "x" }, emr.CodeInvalid, ""},
	} {
		t.Run(name, func(t *testing.T) {
			a := s.signing(t, test.of.Record)
			test.change(&a)
			before := s.Dump()
			_, err := s.Try(t, test.by, ledgerapi.SignOff, a)
			refuses(t, err, test.code, "")
			require.Equal(t, test.reason, emr.Public(err).Reason)
			require.Equal(t, before, s.Dump())
		})
	}
	_, err := s.Submit(t, s.Orgs[ledgertest.HospitalA], ledgerapi.SignOff, s.Sign(t, s.reader, ledgerapi.SignOff, s.signing(t, m.Record)))
	refuses(t, err, emr.CodeForbidden, "own organisation")
	s.order(t, ledger.SuspendClinician, s.reader)
	_, err = s.Try(t, s.reader, ledgerapi.SignOff, s.signing(t, m.Record))
	refuses(t, err, emr.CodeRule, "suspended")
	ended := s.signOff(t, twice.Record)
	require.Equal(t, []any{emr.SignOffRefused, emr.SignOffWrongPatient, s.Now}, []any{ended.Status, ended.Ground, ended.Ended})
	require.Empty(t, s.waits(t, all[2]), "what is over waits for nobody")
}

// TestASignerInAnotherRoleDoesNotSign: the author named a physician.
func TestASignerInAnotherRoleDoesNotSign(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.reader = s.NewClinician(t, ledgertest.HospitalB, ledgertest.Wish{Role: "physician", Level: "private", Until: s.Now.Std().Add(time.Hour)})
	s.Do(t, s.reader, ledgerapi.RegisterClinician, s.reader.Args())
	m := s.signable(t, s.reader)
	next := renewed(t, s.reader, ledgertest.Wish{Role: "nurse", Level: "private"})
	s.Do(t, next, ledgerapi.RegisterClinician, next.Args())
	_, err := s.Try(t, next, ledgerapi.SignOff, s.signing(t, m.Record))
	refuses(t, err, emr.CodeRule, "role")
}

func TestSignersAreRefused(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	researcher := s.Clinician(t, ledgertest.HospitalB, emr.RoleResearcher, emr.LevelPrivate)
	junior := s.Clinician(t, ledgertest.HospitalB, emr.RolePhysician, emr.LevelLow)
	left := s.Clinician(t, ledgertest.HospitalB, emr.RolePhysician, emr.LevelPrivate)
	s.order(t, ledger.OffboardClinician, left)
	named := func(c *ledgertest.Clinician, role emr.Role) emr.Signer {
		return emr.Signer{Clinician: c.ID, Org: c.Org.ID, Role: role}
	}
	good := named(s.reader, emr.RolePhysician)
	crowd := []emr.Signer{}
	for range ledgerapi.MaxSigners + 1 {
		crowd = append(crowd, emr.Signer{Clinician: ledgertest.ID[emr.ClinicianID](emr.ClinicianPrefix), Org: ledgertest.HospitalB, Role: emr.RolePhysician})
	}
	for name, test := range map[string]struct {
		signers []emr.Signer
		code    emr.Code
		field   string
	}{
		"an empty list":            {[]emr.Signer{}, "", ""},
		"somebody twice":           {[]emr.Signer{good, good}, emr.CodeInvalid, "signers"},
		"too many":                 {crowd, emr.CodeInvalid, "signers"},
		"somebody unknown":         {crowd[:1], emr.CodeNotFound, "clinician"},
		"an id of another form":    {[]emr.Signer{{Clinician: "x"}}, emr.CodeInvalid, "signers[0].clinician"},
		"of another organisation":  {[]emr.Signer{{Clinician: s.reader.ID, Org: ledgertest.HospitalA, Role: emr.RolePhysician}}, emr.CodeInvalid, "signers[0].org"},
		"in another role":          {[]emr.Signer{named(s.reader, emr.RoleNurse)}, emr.CodeInvalid, "signers[0].role"},
		"a researcher":             {[]emr.Signer{good, named(researcher, emr.RoleResearcher)}, emr.CodeRule, "role"},
		"somebody below the level": {[]emr.Signer{named(junior, emr.RolePhysician)}, emr.CodeRule, "level"},
		"somebody who has left":    {[]emr.Signer{named(left, emr.RolePhysician)}, emr.CodeRule, "left"},
	} {
		t.Run(name, func(t *testing.T) {
			m := s.Manifest(t, s.author, s.scope, emr.ClassMedicalImaging)
			m.Signers = test.signers
			if test.code == "" {
				s.Do(t, s.author, ledgerapi.RegisterRecord, m)
				_, err := ledger.GetSignOff(s.Query(s.Orgs[ledgertest.HospitalA]), ledgerapi.RecordQuery{Record: m.Record})
				refuses(t, err, emr.CodeNotFound, "")
				return
			}
			before := s.Dump()
			_, err := s.Try(t, s.author, ledgerapi.RegisterRecord, m)
			refuses(t, err, test.code, test.field)
			require.Equal(t, before, s.Dump())
		})
	}
}

// TestALaterVersionNeedsItsOwnSignOff: signatures are of one manifest, and a version
// that drops its signers would pass a draft for final.
func TestALaterVersionNeedsItsOwnSignOff(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	m := s.signable(t, s.reader)
	bare := s.next(t, m, nil)
	_, err := s.Try(t, s.author, ledgerapi.RegisterRecord, bare)
	refuses(t, err, emr.CodeRule, "signers")
	next := s.next(t, m, func(n *emr.Manifest) { n.Signers = m.Signers })
	s.Do(t, s.author, ledgerapi.RegisterRecord, next)
	require.Equal(t, []emr.RecordID{next.Record}, s.waits(t, s.reader), "the old version waits no more")
	_, err = s.Try(t, s.reader, ledgerapi.SignOff, s.signing(t, m.Record))
	refuses(t, err, emr.CodeRule, "newer version")
	wrong := s.signing(t, next.Record)
	wrong.Manifest = s.signing(t, m.Record).Manifest
	_, err = s.Try(t, s.reader, ledgerapi.SignOff, wrong)
	refuses(t, err, emr.CodeInvalid, "manifest")
	s.Do(t, s.reader, ledgerapi.SignOff, s.signing(t, next.Record))
	require.Equal(t, emr.SignOffDraft, s.signOff(t, m.Record).Status)
}

func TestAReaderIsToldThatARecordIsNotFinal(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	plain := s.give(t)
	require.Empty(t, s.disclose(t, s.reader, s.read(plain.Terms.Grant)).SignOff, "a record without signers says nothing")
	m := s.signable(t, s.author, s.reader)
	s.record = m
	grant := s.give(t)
	read := func() (*ledgerapi.DecisionReceipt, *ledgerapi.Ticket, emr.SignOffStatus) {
		args := s.read(grant.Terms.Grant)
		receipt := s.disclose(t, s.reader, args)
		d, err := ledger.GetDisclosure(s.Query(s.Orgs[ledgertest.HospitalC]), ledgerapi.DisclosureQuery{Disclosure: args.Disclosure})
		require.NoError(t, err)
		return receipt, s.check(t, ledgertest.HospitalA, s.open(t, s.reader, args.Disclosure)), d.SignOff
	}
	told := func(want emr.SignOffStatus) {
		receipt, ticket, stored := read()
		require.Equal(t, []emr.SignOffStatus{want, want, want}, []emr.SignOffStatus{receipt.SignOff, ticket.SignOff.Status, stored})
		own := s.read("")
		own.Purpose = emr.PurposePatient
		require.Equal(t, want, s.disclose(t, s.patient, own).SignOff)
	}
	told(emr.SignOffDraft)
	s.Do(t, s.author, ledgerapi.SignOff, s.signing(t, m.Record))
	told(emr.SignOffPartly)
	s.Do(t, s.reader, ledgerapi.SignOff, s.signing(t, m.Record))
	told(emr.SignOffSigned)
}

func TestAGrantOfSignedOffRecordsGivesNoDraft(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	m := s.signable(t, s.author, s.reader)
	never := s.record.Record
	s.record = m
	grant := s.Grant(s.scope, s.reader)
	grant.Terms.SignedOff = true
	s.Do(t, s.patient, ledgerapi.GrantAccess, grant)
	asks := func(record emr.RecordID) emr.Decision {
		return s.Do(t, s.reader, ledgerapi.RequestAccess, s.ask(record)).(*ledgerapi.DecisionReceipt).Decision
	}
	reads := func() emr.Reason { return s.disclose(t, s.reader, s.read(grant.Terms.Grant)).Reason }
	require.Equal(t, []any{emr.ReasonNotSignedOff, emr.Ask}, []any{reads(), asks(m.Record)})
	s.Do(t, s.author, ledgerapi.SignOff, s.signing(t, m.Record))
	require.Equal(t, emr.ReasonNotSignedOff, reads(), "partly is not")
	s.Do(t, s.reader, ledgerapi.SignOff, s.signing(t, m.Record))
	require.Equal(t, []any{emr.ReasonGrant, emr.Permit}, []any{reads(), asks(m.Record)})
	args := s.read(grant.Terms.Grant)
	args.Record = never
	require.Equal(t, emr.ReasonNotSignedOff, s.disclose(t, s.reader, args).Reason, "a record that nobody is to sign is not signed off")
}

func TestSignOffQueriesAreRefused(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	m := s.signable(t, s.reader)
	s.Do(t, s.reader, ledgerapi.SignOff, s.signing(t, m.Record))
	r := s.Query(s.Orgs[ledgertest.HospitalA])
	for _, q := range []ledgerapi.PageQuery{{}, {Clinician: "x"}, {Patient: s.patient.Handle}, {Clinician: s.reader.ID, Record: m.Record}} {
		_, err := ledger.ListSignOffs(r, q)
		refuses(t, err, emr.CodeInvalid, "clinician")
	}
	_, err := ledger.GetSignOff(r, ledgerapi.RecordQuery{Record: "x"})
	refuses(t, err, emr.CodeInvalid, "record")
	_, err = ledger.GetSignOffAction(s.View(s.Facts(s.Orgs[ledgertest.HospitalA].Admin)), ledgerapi.RecordQuery{Record: m.Record})
	refuses(t, err, emr.CodeForbidden, "gateway")
	s.DropPrivate(ledgerapi.StatementKey(s.signOff(t, m.Record).Signatures[0].Action))
	_, err = ledger.GetSignOffAction(r, ledgerapi.RecordQuery{Record: m.Record})
	refuses(t, err, emr.CodeUnavailable, "statement")
}

// TestSignOffsConflictWithTheirOwnRecordAlone: what two sign of two records, and what
// is read of a third, waits for nobody.
func TestSignOffsConflictWithTheirOwnRecordAlone(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	a, b := s.signable(t, s.reader, s.author), s.signable(t, s.reader)
	grant := s.give(t)
	begin := func(by ledgertest.Member, function string, args any) *ledgertest.Tx {
		tx := s.Begin(s.Facts(by.Home().Gateway))
		_, err := ledgertest.Run(tx, function, ledgertest.Raw(t, s.Sign(t, by, function, args)))
		require.NoError(t, err)
		return tx
	}
	refusal := s.signing(t, a.Record)
	refusal.Refuse, refusal.Ground = true, emr.SignOffDisagree
	first, again := begin(s.reader, ledgerapi.SignOff, s.signing(t, a.Record)), begin(s.reader, ledgerapi.SignOff, refusal)
	other, reading := begin(s.reader, ledgerapi.SignOff, s.signing(t, b.Record)), begin(s.reader, ledgerapi.Disclose, s.read(grant.Terms.Grant))
	for _, tx := range []*ledgertest.Tx{first, other, reading} {
		require.NoError(t, tx.Commit())
	}
	require.ErrorIs(t, again.Commit(), ledgertest.ErrConflict, "one answer")
	require.True(t, slices.Contains(s.waits(t, s.author), a.Record))
}
