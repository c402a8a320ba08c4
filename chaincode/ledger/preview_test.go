// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/chaincode/ledger"
	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/consent"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// preview returns the whole preview of a document, page by page.
func (s *scene) preview(t testing.TB, d consent.Document, limit int) *ledgerapi.ConsentPreview {
	t.Helper()
	q := ledgerapi.PreviewConsentQuery{Patient: s.patient.Handle, Document: consent.Normal(d), Limit: limit}
	var all *ledgerapi.ConsentPreview
	for {
		page, err := ledger.PreviewConsent(s.Query(s.patient.Org), q)
		require.NoError(t, err)
		if all == nil {
			all = page
		} else {
			require.Equal(t, all.Previewed, page.Previewed)
			all.Changes = append(all.Changes, page.Changes...)
		}
		if q.Bookmark = page.Bookmark; q.Bookmark == "" {
			all.Bookmark = ""
			return all
		}
	}
}

func TestAPreviewShowsWhoGainsAndWhoLosesWhat(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.give(t)
	asker := s.Clinician(t, ledgertest.HospitalC, emr.RoleNurse, emr.LevelPrivate)
	s.asks(t, asker, emr.PurposeTreatment)
	s.put(t, document(emr.Deny, allow(person(asker.ID)), allow(atHospital(ledgertest.HospitalB))))
	d := document(emr.Deny, allow(atHospital(ledgertest.HospitalB)), exclude(person(s.reader.ID)), allow(person(s.author.ID)))
	got := s.preview(t, d, 0)
	require.True(t, got.Complete)
	require.Equal(t, uint32(1), got.Replaces)
	require.Equal(t, s.Now, got.Previewed.At)
	require.ElementsMatch(t, []emr.ClinicianID{s.reader.ID, s.author.ID, asker.ID}, got.Previewed.People)
	one := []emr.RecordID{s.record.Record}
	var want []ledgerapi.ConsentChange
	for _, purpose := range []emr.Purpose{emr.PurposeTreatment, emr.PurposeOperations, emr.PurposeResearch} {
		open := []emr.RecordID{}
		if purpose == emr.PurposeTreatment {
			open = one
		}
		want = append(want,
			ledgerapi.ConsentChange{
				Person: s.reader.ID, Hospital: ledgertest.HospitalB, Role: emr.RolePhysician, Purpose: purpose, Before: emr.Permit,
				After: emr.Deny, Reason: emr.ReasonConsentDenies, Records: one, Open: open,
			},
			ledgerapi.ConsentChange{
				Person: asker.ID, Hospital: ledgertest.HospitalC, Role: emr.RoleNurse, Purpose: purpose, Before: emr.Permit,
				After: emr.Deny, Reason: emr.ReasonConsentDenies, Records: one, Open: []emr.RecordID{},
			},
			ledgerapi.ConsentChange{
				Person: s.author.ID, Hospital: ledgertest.HospitalA, Role: emr.RolePhysician, Purpose: purpose, Gains: true,
				Before: emr.Deny, After: emr.Permit, Reason: emr.ReasonConsentPermits, Records: one, Open: []emr.RecordID{},
			})
	}
	require.ElementsMatch(t, want, got.Changes, "nothing changes for strangers of the hospital that stays allowed")
	require.Equal(t, got, s.preview(t, d, 1), "however it is paged")
	require.Empty(t, s.preview(t, s.consent(t, 0).Document, 0).Changes, "putting the same changes nothing")
}

func TestAPreviewGathersTheRecordsThatChangeAlike(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	other := s.Record(t, s.author, s.scope, emr.ClassPrescription)
	guarded := s.labelled(t, emr.LabelHIV)
	scope := s.Grant(s.scope, s.reader)
	s.Do(t, s.patient, ledgerapi.GrantAccess, scope)
	got := s.preview(t, document(emr.Ask, exclude(func(p *consent.Provision) {
		p.People, p.Purposes = []emr.ClinicianID{s.reader.ID}, []emr.Purpose{emr.PurposeTreatment}
	})), 0)
	require.Equal(t, []ledgerapi.ConsentChange{{
		Person: s.reader.ID, Hospital: ledgertest.HospitalB, Role: emr.RolePhysician, Purpose: emr.PurposeTreatment,
		Before: emr.Ask, After: emr.Deny, Reason: emr.ReasonConsentDenies,
		Records: []emr.RecordID{guarded.Record, other.Record, s.record.Record},
		Open:    []emr.RecordID{other.Record, s.record.Record}, // a grant of a scope does not open what is guarded
	}}, got.Changes)
}

// TestAGrantThatTheConsentStopsIsNotOpen: who regains a record by the candidate
// does not have it now.
func TestAGrantThatTheConsentStopsIsNotOpen(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.give(t)
	s.put(t, document(emr.Ask, exclude(person(s.reader.ID))))
	got := s.preview(t, document(emr.Ask), 0)
	require.Len(t, got.Changes, 3)
	for _, change := range got.Changes {
		require.True(t, change.Gains)
		require.Empty(t, change.Open)
	}
}

// TestAPreviewIsItsEffect puts what was previewed and asks for everything that it told.
func TestAPreviewIsItsEffect(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	second := s.Clinician(t, ledgertest.HospitalC, emr.RolePhysician, emr.LevelPrivate)
	s.asks(t, second, emr.PurposeTreatment)
	s.asks(t, s.reader, emr.PurposeTreatment)
	d := document(emr.Ask, exclude(atHospital(ledgertest.HospitalC)), allow(person(s.reader.ID)))
	shown := s.preview(t, d, 0)
	args := s.consentArgs(t, d)
	args.Previewed = shown.Previewed
	s.Do(t, s.patient, ledgerapi.PutConsent, args)
	checked := 0
	for _, by := range []*ledgertest.Clinician{s.reader, second} {
		for _, change := range shown.Changes {
			if change.Person != by.ID {
				continue
			}
			receipt, _ := s.asks(t, by, change.Purpose)
			require.Equal(t, change.Reason, receipt.Reason)
			require.Equal(t, change.After == emr.Deny, receipt.Decision == emr.Deny)
			checked++
		}
	}
	require.Equal(t, 6, checked)
	stranger := false
	for _, change := range shown.Changes {
		stranger = stranger || change.Person == "" && change.Hospital == ledgertest.HospitalC && !change.Gains
	}
	require.True(t, stranger, "anybody of hospital C loses too")
}

func TestAConsentIsStaleWhenTheWorldOfItsPreviewMoved(t *testing.T) {
	t.Parallel()
	type world = func(*testing.T, *scene, *ledgerapi.PutConsentArgs)
	for name, test := range map[string]struct {
		move  world
		stale bool
	}{
		"nothing moved":         {func(*testing.T, *scene, *ledgerapi.PutConsentArgs) {}, false},
		"time passed, no more":  {func(_ *testing.T, s *scene, _ *ledgerapi.PutConsentArgs) { s.Wait(59 * time.Second) }, false},
		"a provision has begun": {func(_ *testing.T, s *scene, _ *ledgerapi.PutConsentArgs) { s.Wait(60 * time.Second) }, true},
		"a relationship was proposed": {func(t *testing.T, s *scene, _ *ledgerapi.PutConsentArgs) {
			s.Do(t, s.reader, ledgerapi.ProposeRelationship,
				ledgerapi.ProposeRelationshipArgs{Patient: s.patient.Handle, Hospital: ledgertest.HospitalB})
		}, true},
		"somebody's role changed": {func(t *testing.T, s *scene, _ *ledgerapi.PutConsentArgs) {
			next := renewed(t, s.reader, ledgertest.Wish{Role: "insurer", Level: "private", Until: s.Now.Std().AddDate(9, 0, 0)})
			s.Do(t, next, ledgerapi.RegisterClinician, next.Args())
		}, true},
		"a hospital joined": {func(t *testing.T, s *scene, _ *ledgerapi.PutConsentArgs) {
			from, until := s.Now.Std().AddDate(-1, 0, 0), s.Now.Std().AddDate(1, 0, 0)
			org := ledgertest.NewOrg(t, "HospitalDMSP", emr.KindHospital, from, until)
			_, err := s.RegisterOrg(org.Admin, org.Args())
			require.NoError(t, err)
		}, true},
		"another record came": {func(t *testing.T, s *scene, _ *ledgerapi.PutConsentArgs) {
			s.Record(t, s.author, s.scope, emr.ClassPrescription)
		}, false},
		"another document than was shown": {func(_ *testing.T, _ *scene, a *ledgerapi.PutConsentArgs) {
			a.Document.Base = emr.Permit
		}, true},
		"other people than were shown": {func(_ *testing.T, s *scene, a *ledgerapi.PutConsentArgs) {
			a.Previewed.People = []emr.ClinicianID{}
		}, true},
		"a moment long before": {func(_ *testing.T, s *scene, a *ledgerapi.PutConsentArgs) {
			s.Wait(100 * time.Second)
			a.Previewed.At -= 1000
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			s.reader = s.NewClinician(t, ledgertest.HospitalB,
				ledgertest.Wish{Role: "physician", Level: "private", Until: s.Now.Std().AddDate(1, 0, 0)})
			s.Do(t, s.reader, ledgerapi.RegisterClinician, s.reader.Args())
			d := document(emr.Ask, exclude(func(p *consent.Provision) { p.People, p.From = []emr.ClinicianID{s.reader.ID}, s.Now+60 }))
			args := s.consentArgs(t, d)
			args.Previewed = s.preview(t, d, 0).Previewed
			test.move(t, s, &args)
			before := s.Dump()
			_, err := s.Try(t, s.patient, ledgerapi.PutConsent, args)
			if !test.stale {
				require.NoError(t, err)
				return
			}
			refuses(t, err, emr.CodeStale, "preview again")
			require.Equal(t, before, s.Dump())
		})
	}
}

// TestTheTimeOfTheConsentBeforeCountsToo: what ends in it between preview and put
// changes who loses what.
func TestTheTimeOfTheConsentBeforeCountsToo(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.put(t, document(emr.Deny, allow(func(p *consent.Provision) { p.People, p.Until = []emr.ClinicianID{s.reader.ID}, s.Now+60 })))
	args := s.consentArgs(t, document(emr.Deny))
	args.Previewed = s.preview(t, document(emr.Deny), 0).Previewed
	s.Wait(time.Minute)
	_, err := s.Try(t, s.patient, ledgerapi.PutConsent, args)
	refuses(t, err, emr.CodeStale, "preview again")
	args.Previewed = s.preview(t, document(emr.Deny), 0).Previewed
	s.Do(t, s.patient, ledgerapi.PutConsent, args)
}

func TestAPreviewIsBoundedAndSaysSo(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	d := document(emr.Ask)
	for g := range 2 {
		group := consent.Group{Name: fmt.Sprintf("group-%d", g), Until: s.Now + 1000}
		for i := range consent.MaxMembers {
			group.Members = append(group.Members, emr.ClinicianID(fmt.Sprintf("cli_%031x%x", i, g)))
		}
		d.Groups = append(d.Groups, group)
		d.Provisions = append(d.Provisions, exclude(func(p *consent.Provision) { p.Groups = []string{group.Name} }))
	}
	got := s.preview(t, d, 0)
	require.False(t, got.Complete)
	require.Len(t, got.Previewed.People, ledgerapi.MaxPreviewPeople)
	args := s.consentArgs(t, d)
	args.Previewed = got.Previewed
	s.Do(t, s.patient, ledgerapi.PutConsent, args)
}

func TestAPreviewIsRefused(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	good := consent.Normal(document(emr.Ask))
	bad := consent.Normal(document(emr.Ask))
	bad.Base = ""
	for name, test := range map[string]struct {
		query ledgerapi.PreviewConsentQuery
		code  emr.Code
	}{
		"of nobody":            {ledgerapi.PreviewConsentQuery{Patient: "x", Document: good}, emr.CodeInvalid},
		"of a stranger":        {ledgerapi.PreviewConsentQuery{Patient: ledgertest.ID[emr.Handle]("hnd_"), Document: good}, emr.CodeNotFound},
		"of an invalid one":    {ledgerapi.PreviewConsentQuery{Patient: s.patient.Handle, Document: bad}, emr.CodeInvalid},
		"with a bad bookmark":  {ledgerapi.PreviewConsentQuery{Patient: s.patient.Handle, Document: good, Bookmark: "999"}, emr.CodeInvalid},
		"with a bad page size": {ledgerapi.PreviewConsentQuery{Patient: s.patient.Handle, Document: good, Limit: -1}, emr.CodeInvalid},
	} {
		_, err := ledger.PreviewConsent(s.Query(s.patient.Org), test.query)
		require.Equal(t, test.code, emr.CodeOf(err), name)
	}
}
