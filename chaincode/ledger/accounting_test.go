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

// accounts returns a whole accounting by an organisation's gateway.
func (s *scene) accounts(t testing.TB, org emr.OrgID, q ledgerapi.AccountQuery) []ledgerapi.AccountItem {
	t.Helper()
	all := []ledgerapi.AccountItem{}
	for {
		page, err := ledger.AccountDisclosures(s.Query(s.Orgs[org]), q)
		require.NoError(t, err)
		all = append(all, page.Items...)
		if page.Bookmark == "" {
			return all
		}
		q.Bookmark = page.Bookmark
	}
}

func (s *scene) mine() ledgerapi.AccountQuery {
	return ledgerapi.AccountQuery{Patient: s.patient.Handle}
}

func idsOf(items []ledgerapi.AccountItem) []emr.DisclosureID {
	ids := []emr.DisclosureID{}
	for _, item := range items {
		ids = append(ids, item.Disclosure)
	}
	return ids
}

// accounted is a scene in which the record was read by the patient, under a grant
// (twice), in an emergency, and in vain, in this order.
func accounted(t testing.TB) (s *scene, own, first, second, emergency ledgerapi.DiscloseArgs) {
	t.Helper()
	s = newScene(t)
	own = s.read("")
	own.Purpose = emr.PurposePatient
	require.Equal(t, emr.Permit, s.disclose(t, s.patient, own).Decision)
	s.Wait(time.Hour)
	grant := s.give(t)
	first, second = s.read(grant.Terms.Grant), s.read(grant.Terms.Grant)
	s.disclose(t, s.reader, first)
	s.Wait(time.Hour)
	s.disclose(t, s.reader, second)
	s.Wait(time.Hour)
	emergency = s.under(s.broken(t))
	require.Equal(t, emr.Permit, s.disclose(t, s.reader, emergency).Decision)
	require.Equal(t, emr.Deny, s.disclose(t, s.reader, s.read("")).Decision)
	return s, own, first, second, emergency
}

func TestAnAccountingTellsWhatWasDisclosed(t *testing.T) {
	t.Parallel()
	s, own, first, second, emergency := accounted(t)
	items := s.accounts(t, ledgertest.HospitalA, s.mine())
	require.Equal(t, []emr.DisclosureID{emergency.Disclosure, second.Disclosure, first.Disclosure, own.Disclosure}, idsOf(items))
	granted := items[2]
	require.Equal(t, ledgerapi.AccountItem{
		Disclosure: first.Disclosure, Record: s.record.Record, First: s.Now.Add(-2 * time.Hour), Last: s.Now.Add(-2 * time.Hour), Count: 1,
		Org: ledgertest.HospitalB, Name: "The HospitalBMSP", Reader: string(s.reader.ID), Hospital: ledgertest.HospitalA,
		Class: emr.ClassMedicalImaging, Purpose: emr.PurposeTreatment,
		Classes: []emr.AccountingClass{emr.AccountTPO, emr.AccountAuthorised},
	}, granted)
	require.Equal(t, []emr.AccountingClass{emr.AccountIndividual}, items[3].Classes)
	require.Equal(t, []any{emr.OrgID(""), "", string(s.patient.Handle)}, []any{items[3].Org, items[3].Name, items[3].Reader})
	require.Equal(t, []emr.AccountingClass{emr.AccountEmergency}, items[0].Classes)
	session := s.session(t, emergency.Session)
	require.Equal(t, &ledgerapi.AccountedEmergency{
		Session: session.ID, By: s.reader.ID, Org: ledgertest.HospitalB, Opened: session.Opened, Ended: session.Until, Nature: emr.GroundUnconscious,
	}, items[0].Emergency)
	s.DropPrivate(ledgerapi.StatementKey(session.Action))
	told := s.accounts(t, ledgertest.HospitalA, s.mine())[0].Emergency
	require.Empty(t, told.Nature, "what is destroyed is left out, and the rest is told")
	require.Equal(t, s.reader.ID, told.By)
}

func TestClassesAreLeftOutByFlag(t *testing.T) {
	t.Parallel()
	s, own, first, second, emergency := accounted(t)
	all := []emr.DisclosureID{emergency.Disclosure, second.Disclosure, first.Disclosure, own.Disclosure}
	for name, c := range map[string]struct {
		exclude []emr.AccountingClass
		left    []int
	}{
		"nothing":                 {nil, []int{0, 1, 2, 3}},
		"to the individual":       {[]emr.AccountingClass{emr.AccountIndividual}, []int{0, 1, 2}},
		"under a grant":           {[]emr.AccountingClass{emr.AccountAuthorised}, []int{0, 3}},
		"treatment":               {[]emr.AccountingClass{emr.AccountTPO}, []int{0, 3}},
		"emergencies":             {[]emr.AccountingClass{emr.AccountEmergency}, []int{1, 2, 3}},
		"what the law leaves out": {[]emr.AccountingClass{emr.AccountTPO, emr.AccountIndividual, emr.AccountAuthorised}, []int{0}},
		"everything":              {emr.AccountingClasses(), nil},
	} {
		want := []emr.DisclosureID{}
		for _, i := range c.left {
			want = append(want, all[i])
		}
		q := s.mine()
		q.Exclude = c.exclude
		require.Equal(t, want, idsOf(s.accounts(t, ledgertest.HospitalA, q)), name)
	}
}

func TestASeriesIsSummarised(t *testing.T) {
	t.Parallel()
	s, _, first, second, _ := accounted(t)
	q := s.mine()
	q.Series, q.Exclude = true, []emr.AccountingClass{emr.AccountIndividual}
	items := s.accounts(t, ledgertest.HospitalA, q)
	require.Len(t, items, 2)
	require.Equal(t, []any{second.Disclosure, uint32(2), s.Now.Add(-2 * time.Hour), s.Now.Add(-time.Hour)},
		[]any{items[1].Disclosure, items[1].Count, items[1].First, items[1].Last})
	require.NotNil(t, items[0].Emergency, "an emergency is another series")
	q.Limit = 1
	paged := s.accounts(t, ledgertest.HospitalA, q)
	require.Len(t, paged, 3, "a series that goes on appears on each page")
	require.Equal(t, first.Disclosure, paged[2].Disclosure)
}

func TestAnAccountingHasAPeriod(t *testing.T) {
	t.Parallel()
	s, own, first, second, emergency := accounted(t)
	ids := func(from, to emr.Time) []emr.DisclosureID {
		q := s.mine()
		q.From, q.To = from, to
		return idsOf(s.accounts(t, ledgertest.HospitalA, q))
	}
	hour := func(n int) emr.Time { return s.Now.Add(time.Duration(n) * time.Hour) }
	require.Equal(t, []emr.DisclosureID{second.Disclosure, first.Disclosure}, ids(hour(-2), s.Now))
	require.Equal(t, []emr.DisclosureID{second.Disclosure}, ids(hour(-2)+1, s.Now))
	require.Equal(t, []emr.DisclosureID{first.Disclosure}, ids(hour(-2), hour(-1)))
	require.Equal(t, []emr.DisclosureID{emergency.Disclosure}, ids(s.Now, s.Now+1))
	page, err := ledger.AccountDisclosures(s.Query(s.Orgs[ledgertest.HospitalA]), s.mine())
	require.NoError(t, err)
	require.Equal(t, []emr.Time{emr.TimeOf((s.Now + 1).Std().AddDate(-6, 0, 0)), s.Now + 1}, []emr.Time{page.From, page.To}, "six years")
	for s.Now < page.To.Add(6*366*24*time.Hour) {
		s.Wait(365 * 24 * time.Hour)
	}
	require.Empty(t, s.accounts(t, ledgertest.HospitalA, s.mine()), "six years later")
	require.Len(t, ids(1, 0), 4, "who asks for more gets more")
	_ = own
}

func TestAnAccountingIsRefused(t *testing.T) {
	t.Parallel()
	s, _, _, _, _ := accounted(t)
	auditor := s.auditor(t)
	other := inspecting(emr.LogSubject{Record: s.record.Record})
	s.inspect(t, auditor, other)
	for name, c := range map[string]struct {
		caller *ledger.Caller
		change func(*ledgerapi.AccountQuery)
		code   emr.Code
	}{
		"an administrator":                  {s.Orgs[ledgertest.HospitalA].Admin, func(*ledgerapi.AccountQuery) {}, emr.CodeForbidden},
		"no patient":                        {nil, func(q *ledgerapi.AccountQuery) { q.Patient = "" }, emr.CodeInvalid},
		"a class of no list":                {nil, func(q *ledgerapi.AccountQuery) { q.Exclude = []emr.AccountingClass{"all"} }, emr.CodeInvalid},
		"a period without a length":         {nil, func(q *ledgerapi.AccountQuery) { q.From, q.To = 5, 5 }, emr.CodeInvalid},
		"a negative beginning":              {nil, func(q *ledgerapi.AccountQuery) { q.From = -1 }, emr.CodeInvalid},
		"a bookmark of nothing":             {nil, func(q *ledgerapi.AccountQuery) { q.Bookmark = "%" }, emr.CodeInvalid},
		"a negative page":                   {nil, func(q *ledgerapi.AccountQuery) { q.Limit = -1 }, emr.CodeInvalid},
		"an inspection nobody made":         {nil, func(q *ledgerapi.AccountQuery) { q.Inspection = reading(inspecting(emr.LogSubject{})).Inspection }, emr.CodeNotFound},
		"an inspection of another log":      {s.Orgs[ledgertest.Regulator].Gateway, func(q *ledgerapi.AccountQuery) { q.Inspection = other.Inspection }, emr.CodeForbidden},
		"another organisation's inspection": {nil, func(q *ledgerapi.AccountQuery) { q.Inspection = other.Inspection }, emr.CodeForbidden},
	} {
		q := s.mine()
		c.change(&q)
		caller := c.caller
		if caller == nil {
			caller = s.Orgs[ledgertest.HospitalA].Gateway
		}
		_, err := ledger.AccountDisclosures(s.View(s.Facts(caller)), q)
		require.Equal(t, c.code, emr.CodeOf(err), "%s: %v", name, err)
	}
	stranger := s.Patient(t, ledgertest.HospitalC)
	require.Empty(t, s.accounts(t, ledgertest.HospitalC, ledgerapi.AccountQuery{Patient: stranger.Handle}), "nothing of anybody else")
}

// suspend runs SuspendAccounting by an organisation's administrator, as two peers do.
func (s *scene) suspend(t testing.TB, org emr.OrgID, args ledgerapi.SuspendAccountingArgs) error {
	t.Helper()
	tx := s.Begin(s.Facts(s.Orgs[org].Admin))
	again := tx.Again()
	_, err := ledger.SuspendAccounting(tx, args)
	_, secondErr := ledger.SuspendAccounting(again, args)
	require.Equal(t, err, secondErr)
	if err != nil {
		return err
	}
	require.Equal(t, tx.Effects(), again.Effects())
	return tx.Commit()
}

func (s *scene) suspension(ids ...emr.DisclosureID) ledgerapi.SuspendAccountingArgs {
	slices.Sort(ids)
	return ledgerapi.SuspendAccountingArgs{
		Disclosures: ids, Ground: emr.SuspendLawEnforcement, Written: true, Until: s.Now.Add(60 * 24 * time.Hour),
	}
}

// TestASuspendedDisclosureIsWithheldAndListedAsSealed: from the patient for its
// time, and to the authority under an inspection.
func TestASuspendedDisclosureIsWithheldAndListedAsSealed(t *testing.T) {
	t.Parallel()
	s, own, first, second, emergency := accounted(t)
	before, head := s.trail(t, s.patient.Handle), s.head(t, s.patient.Handle)
	require.NoError(t, s.suspend(t, ledgertest.HospitalA, s.suspension(first.Disclosure, emergency.Disclosure)))
	require.Equal(t, before, s.trail(t, s.patient.Handle), "the patient's trail does not tell of it")
	require.Equal(t, head, s.head(t, s.patient.Handle))
	for _, org := range []emr.OrgID{ledgertest.HospitalA, ledgertest.HospitalB, ledgertest.Regulator} {
		require.Equal(t, []emr.DisclosureID{second.Disclosure, own.Disclosure}, idsOf(s.accounts(t, org, s.mine())), "in nobody's name, by %s", org)
	}
	sealed := func(by *ledgertest.Clinician) int {
		args := inspecting(emr.LogSubject{Patient: s.patient.Handle})
		s.inspect(t, by, args)
		q := s.mine()
		q.Inspection, q.Series = args.Inspection, true
		n := 0
		for _, item := range s.accounts(t, by.Org.ID, q) {
			if item.Sealed != nil {
				require.Equal(t, []any{ledgertest.HospitalA, emr.SuspendLawEnforcement}, []any{item.Sealed.Org, item.Sealed.Ground})
				require.Equal(t, uint32(1), item.Count, "what is sealed is in no series")
				n++
			}
		}
		return n
	}
	auditor, officer := s.auditor(t), s.officer(t, ledgertest.HospitalA)
	require.Equal(t, 2, sealed(auditor))
	require.Equal(t, 2, sealed(officer), "the hospital that suspended it")
	log := inspecting(emr.LogSubject{Org: ledgertest.HospitalA})
	s.inspect(t, auditor, log)
	found := 0
	for _, e := range s.readLog(t, ledgertest.Regulator, reading(log)) {
		if e.Kind == emr.AuditSuspension {
			require.Equal(t, []any{emr.Handle(""), emr.ActorAdmin, emr.Deny}, []any{e.Patient, e.Actor, e.Decision})
			found++
		}
	}
	require.Equal(t, 2, found, "the auditor finds it in the hospital's log")

	lift := s.suspension(first.Disclosure)
	lift.Until = 0
	require.NoError(t, s.suspend(t, ledgertest.HospitalA, lift))
	require.Equal(t, []emr.DisclosureID{second.Disclosure, first.Disclosure, own.Disclosure}, idsOf(s.accounts(t, ledgertest.HospitalA, s.mine())))
	s.Wait(60*24*time.Hour - time.Second)
	require.Len(t, s.accounts(t, ledgertest.HospitalA, s.mine()), 3)
	s.Wait(time.Second)
	require.Len(t, s.accounts(t, ledgertest.HospitalA, s.mine()), 4, "when its time is over it is listed")
}

// TestASuspensionByTheRegulatorIsNotTheHospitalsToSee: the officer of a hospital that did not suspend it sees nothing of it.
func TestASuspensionByTheRegulatorIsNotTheHospitalsToSee(t *testing.T) {
	t.Parallel()
	s, _, first, _, _ := accounted(t)
	require.NoError(t, s.suspend(t, ledgertest.Regulator, s.suspension(first.Disclosure)))
	args := inspecting(emr.LogSubject{Patient: s.patient.Handle})
	s.inspect(t, s.officer(t, ledgertest.HospitalA), args)
	q := s.mine()
	q.Inspection = args.Inspection
	require.Len(t, s.accounts(t, ledgertest.HospitalA, q), 3)
}

// TestASuspensionIsTheOrganisationsWhoMadeIt: a hospital does not lift what a regulator
// withholds, nor takes it over by renewing it, and the other way round.
func TestASuspensionIsTheOrganisationsWhoMadeIt(t *testing.T) {
	t.Parallel()
	s, _, first, second, _ := accounted(t)
	require.NoError(t, s.suspend(t, ledgertest.Regulator, s.suspension(first.Disclosure)))
	require.NoError(t, s.suspend(t, ledgertest.HospitalA, s.suspension(second.Disclosure)))
	before := s.Dump()
	for id, org := range map[emr.DisclosureID]emr.OrgID{first.Disclosure: ledgertest.HospitalA, second.Disclosure: ledgertest.Regulator} {
		longer, lift := s.suspension(id), s.suspension(id)
		longer.Until, lift.Until = longer.Until.Add(time.Hour), 0
		refuses(t, s.suspend(t, org, longer), emr.CodeForbidden, "another organisation")
		refuses(t, s.suspend(t, org, lift), emr.CodeForbidden, "another organisation")
	}
	require.Equal(t, before, s.Dump())
	s.Wait(60 * 24 * time.Hour)
	require.NoError(t, s.suspend(t, ledgertest.HospitalA, s.suspension(first.Disclosure)), "when it is over")
}

func TestASuspensionIsRefused(t *testing.T) {
	t.Parallel()
	s, own, first, _, _ := accounted(t)
	denied := s.read("")
	s.disclose(t, s.reader, denied)
	internal := s.Clinician(t, ledgertest.HospitalA, emr.RolePhysician, emr.LevelPrivate)
	grant := s.Grant(s.scope, internal, s.record.Record)
	s.Do(t, s.patient, ledgerapi.GrantAccess, grant)
	snoop := s.read(grant.Terms.Grant)
	require.Equal(t, emr.Permit, s.disclose(t, internal, snoop).Decision)
	day := 24 * time.Hour
	before := s.Dump()
	for name, c := range map[string]struct {
		org    emr.OrgID
		change func(*ledgerapi.SuspendAccountingArgs)
		code   emr.Code
	}{
		"another hospital":     {ledgertest.HospitalC, func(*ledgerapi.SuspendAccountingArgs) {}, emr.CodeForbidden},
		"who has read it":      {ledgertest.HospitalB, func(*ledgerapi.SuspendAccountingArgs) {}, emr.CodeForbidden},
		"a reading of the own": {ledgertest.HospitalA, func(a *ledgerapi.SuspendAccountingArgs) { a.Disclosures = []emr.DisclosureID{snoop.Disclosure} }, emr.CodeForbidden},
		"the patient's own":    {ledgertest.HospitalA, func(a *ledgerapi.SuspendAccountingArgs) { a.Disclosures = []emr.DisclosureID{own.Disclosure} }, emr.CodeRule},
		"a denial":             {ledgertest.HospitalA, func(a *ledgerapi.SuspendAccountingArgs) { a.Disclosures = []emr.DisclosureID{denied.Disclosure} }, emr.CodeRule},
		"nothing":              {ledgertest.HospitalA, func(a *ledgerapi.SuspendAccountingArgs) { a.Disclosures = nil }, emr.CodeInvalid},
		"one twice":            {ledgertest.HospitalA, func(a *ledgerapi.SuspendAccountingArgs) { a.Disclosures = append(a.Disclosures, first.Disclosure) }, emr.CodeInvalid},
		"too many":             {ledgertest.HospitalA, func(a *ledgerapi.SuspendAccountingArgs) { a.Disclosures = make([]emr.DisclosureID, 65) }, emr.CodeInvalid},
		"what is no id":        {ledgertest.HospitalA, func(a *ledgerapi.SuspendAccountingArgs) { a.Disclosures = []emr.DisclosureID{"x"} }, emr.CodeInvalid},
		"what does not exist":  {ledgertest.HospitalA, func(a *ledgerapi.SuspendAccountingArgs) { a.Disclosures = []emr.DisclosureID{s.read("").Disclosure} }, emr.CodeNotFound},
		"one good and one not": {ledgertest.HospitalA, func(a *ledgerapi.SuspendAccountingArgs) {
			a.Disclosures = append(a.Disclosures, denied.Disclosure)
			slices.Sort(a.Disclosures)
		}, emr.CodeRule},
		"no ground":            {ledgertest.HospitalA, func(a *ledgerapi.SuspendAccountingArgs) { a.Ground = "" }, emr.CodeInvalid},
		"an end that has been": {ledgertest.HospitalA, func(a *ledgerapi.SuspendAccountingArgs) { a.Until = s.Now }, emr.CodeInvalid},
		"more than a year":     {ledgertest.HospitalA, func(a *ledgerapi.SuspendAccountingArgs) { a.Until = s.Now.Add(365*day) + 1 }, emr.CodeInvalid},
		"more than 30 days, said": {ledgertest.HospitalA, func(a *ledgerapi.SuspendAccountingArgs) {
			a.Written, a.Until = false, s.Now.Add(30*day)+1
		}, emr.CodeInvalid},
	} {
		args := s.suspension(first.Disclosure)
		c.change(&args)
		require.Equal(t, c.code, emr.CodeOf(s.suspend(t, c.org, args)), name)
	}
	_, err := ledger.SuspendAccounting(s.Begin(s.Facts(s.Orgs[ledgertest.HospitalA].Gateway)), s.suspension(first.Disclosure))
	require.Equal(t, emr.CodeForbidden, emr.CodeOf(err), "a gateway is no administrator")
	require.Equal(t, before, s.Dump())
}
