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

// household is a scene whose patient has a rule: grants of a whole scope need the
// second device, a friend or the family doctor, and no key of theirs is new.
type household struct {
	*scene
	device *second
	friend *ledgertest.Patient
	doctor *ledgertest.Clinician
}

func newHousehold(t testing.TB, bounds emr.GrantBounds) *household {
	t.Helper()
	h := &household{scene: newScene(t)}
	h.device, h.friend = h.secondDevice(t), h.Patient(t, ledgertest.HospitalC)
	h.doctor = h.Clinician(t, ledgertest.HospitalC, emr.RolePhysician, emr.LevelPrivate)
	h.Do(t, h.patient, ledgerapi.SetGrantRule, h.ruling(t, 0, bounds, h.device, h.friend, h.doctor))
	h.Wait(72 * time.Hour)
	return h
}

// wide gives the whole scope, which waits.
func (h *household) wide(t testing.TB) *ledgerapi.GrantAccessArgs {
	t.Helper()
	grant := h.Grant(h.scope, h.reader)
	h.Do(t, h.patient, ledgerapi.GrantAccess, grant)
	require.Equal(t, emr.GrantWaiting, h.getGrant(t, grant.Terms.Grant).Status)
	return grant
}

func TestWhatIsWideIsThePatientsWord(t *testing.T) {
	t.Parallel()
	day := 24 * time.Hour
	for name, test := range map[string]struct {
		bounds emr.GrantBounds
		change func(*scene, *emr.GrantTerms)
		wide   bool
	}{
		"a scope, where scopes are":                {emr.GrantBounds{Scope: true}, func(_ *scene, g *emr.GrantTerms) { g.Records = []emr.RecordID{} }, true},
		"a record, where scopes are":               {emr.GrantBounds{Scope: true}, func(*scene, *emr.GrantTerms) {}, false},
		"a long one":                               {emr.GrantBounds{Days: 3}, func(s *scene, g *emr.GrantTerms) { g.Until = s.Now.Add(3*day) + 1 }, true},
		"one of just that length":                  {emr.GrantBounds{Days: 3}, func(s *scene, g *emr.GrantTerms) { g.Until = s.Now.Add(3 * day) }, false},
		"one record more than the bound":           {emr.GrantBounds{Records: 1}, func(s *scene, g *emr.GrantTerms) { g.Records = append(g.Records, s.extra()); slices.Sort(g.Records) }, true},
		"as many records as the bound":             {emr.GrantBounds{Records: 2}, func(s *scene, g *emr.GrantTerms) { g.Records = append(g.Records, s.extra()); slices.Sort(g.Records) }, false},
		"a scope is more than any number":          {emr.GrantBounds{Records: 100}, func(_ *scene, g *emr.GrantTerms) { g.Records = []emr.RecordID{} }, true},
		"a private record, where those are":        {emr.GrantBounds{Level: emr.LevelPrivate}, func(*scene, *emr.GrantTerms) {}, true},
		"a private record, where all above low is": {emr.GrantBounds{Level: emr.LevelModerate}, func(*scene, *emr.GrantTerms) {}, true},
		"a low record, where private ones are":     {emr.GrantBounds{Level: emr.LevelPrivate}, func(s *scene, g *emr.GrantTerms) { g.Records = []emr.RecordID{s.low()} }, false},
		"a private scope, where those are":         {emr.GrantBounds{Level: emr.LevelPrivate}, func(_ *scene, g *emr.GrantTerms) { g.Records = []emr.RecordID{} }, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHousehold(t, test.bounds)
			h.more = []*emr.Manifest{h.Record(t, h.author, h.scope, emr.ClassPrescription), h.Record(t, h.author, h.scope, emr.ClassMedicine)}
			grant := h.Grant(h.scope, h.reader, h.record.Record)
			test.change(h.scene, &grant.Terms)
			h.Do(t, h.patient, ledgerapi.GrantAccess, grant)
			want := emr.GrantLive
			if test.wide {
				want = emr.GrantWaiting
			}
			require.Equal(t, want, h.getGrant(t, grant.Terms.Grant).Status)
		})
	}
}

// TestManySmallGrantsInOneActionAreAWideOne: a batch is bounded by all its records.
func TestManySmallGrantsInOneActionAreAWideOne(t *testing.T) {
	t.Parallel()
	h := newHousehold(t, emr.GrantBounds{Records: 1})
	other := h.Record(t, h.author, h.scope, emr.ClassPrescription).Record
	one, two := h.Grant(h.scope, h.reader, h.record.Record), h.Grant(h.scope, h.reader, other)
	answer := h.Do(t, h.patient, ledgerapi.GrantBatch, h.several(one, two)).(*ledgerapi.GrantBatchReceipt)
	require.Equal(t, answer.IDs, answer.Waiting)
	h.Do(t, h.patient, ledgerapi.GrantBatch, h.several(h.Grant(h.scope, h.reader, other)))
}

func TestAWaitingGrantGivesNothingUntilItIsConfirmed(t *testing.T) {
	t.Parallel()
	for name, confirmer := range map[string]func(*household) ledgertest.Member{
		"by the second device": func(h *household) ledgertest.Member { return h.device },
		"by a friend":          func(h *household) ledgertest.Member { return h.friend },
		"by a professional":    func(h *household) ledgertest.Member { return h.doctor },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHousehold(t, emr.GrantBounds{Scope: true})
			request := h.ask(h.record.Record)
			h.Do(t, h.reader, ledgerapi.RequestAccess, request)
			grant := h.Grant(h.scope, h.reader)
			grant.Request = request.Request
			h.Do(t, h.patient, ledgerapi.GrantAccess, grant)
			require.Equal(t, ledgerapi.EventGrantWaiting, h.Events[len(h.Events)-1].Name)
			require.Equal(t, emr.RequestPending, h.getRequest(t, request.Request).Status, "nothing is answered yet")
			require.Equal(t, emr.ReasonGrantWaiting, h.disclose(t, h.reader, h.read(grant.Terms.Grant)).Reason)
			require.Equal(t, emr.Ask, h.Do(t, h.reader, ledgerapi.RequestAccess, h.ask(h.record.Record)).(*ledgerapi.DecisionReceipt).Decision)

			by := confirmer(h)
			receipt := h.Do(t, by, ledgerapi.ConfirmGrant, h.confirmation(t, grant.Terms.Grant)).(*ledgerapi.DecisionReceipt)
			require.Zero(t, receipt.Until, "at once: no key was pinned recently")
			stored := h.getGrant(t, grant.Terms.Grant)
			require.Equal(t, []any{emr.GrantLive, by.ActorID(), h.Now}, []any{stored.Status, stored.ConfirmedBy, stored.Confirmed})
			require.Equal(t, emr.RequestGranted, h.getRequest(t, request.Request).Status)
			require.Equal(t, emr.Permit, h.disclose(t, h.reader, h.read(grant.Terms.Grant)).Decision)
			require.Equal(t, emr.Permit, h.Do(t, h.reader, ledgerapi.RequestAccess, h.ask(h.record.Record)).(*ledgerapi.DecisionReceipt).Decision)
			h.verified(t, h.patient.Handle)
			_, err := h.Try(t, h.device, ledgerapi.ConfirmGrant, h.confirmation(t, grant.Terms.Grant))
			refuses(t, err, emr.CodeExists, "already confirmed")
		})
	}
}

func TestRevokingAWaitingGrantIsOneStep(t *testing.T) {
	t.Parallel()
	h := newHousehold(t, emr.GrantBounds{Scope: true})
	grant := h.wide(t)
	h.Do(t, h.patient, ledgerapi.RevokeAccess, ledgerapi.RevokeAccessArgs{Patient: h.patient.Handle, Grant: grant.Terms.Grant})
	require.Empty(t, h.Private(ledgerapi.FragmentKey(grant.Terms.Grant)))
	_, err := h.Try(t, h.friend, ledgerapi.ConfirmGrant, h.confirmation(t, grant.Terms.Grant))
	refuses(t, err, emr.CodeGone, "revoked")
	require.Equal(t, emr.ReasonRevoked, h.disclose(t, h.reader, h.read(grant.Terms.Grant)).Reason)
}

func TestAWaitingGrantIsNarrowedAndConfirmedAsItIsLeft(t *testing.T) {
	t.Parallel()
	h := newHousehold(t, emr.GrantBounds{Scope: true})
	other := h.Record(t, h.author, h.scope, emr.ClassPrescription).Record
	grant := h.wide(t)
	less := narrowing(grant)
	less.Records = []emr.RecordID{other}
	h.Do(t, h.patient, ledgerapi.NarrowGrant, less)
	require.Equal(t, emr.GrantWaiting, h.getGrant(t, grant.Terms.Grant).Status)
	h.Do(t, h.friend, ledgerapi.ConfirmGrant, h.confirmation(t, grant.Terms.Grant))
	require.Equal(t, emr.ReasonNotCovered, h.disclose(t, h.reader, h.read(grant.Terms.Grant)).Reason)
}

// TestAGrantIsConfirmedThoughWhatWasAskedForIsErased: it gives the rest of the scope,
// and leaves the request that nobody can grant any more.
func TestAGrantIsConfirmedThoughWhatWasAskedForIsErased(t *testing.T) {
	t.Parallel()
	h := newHousehold(t, emr.GrantBounds{Scope: true})
	other := h.Record(t, h.author, h.scope, emr.ClassPrescription).Record
	request := h.ask(h.record.Record)
	h.Do(t, h.reader, ledgerapi.RequestAccess, request)
	grant := h.Grant(h.scope, h.reader)
	grant.Request = request.Request
	h.Do(t, h.patient, ledgerapi.GrantAccess, grant)
	h.erased(t, h.record.Record)
	h.Do(t, h.friend, ledgerapi.ConfirmGrant, h.confirmation(t, grant.Terms.Grant))
	require.NotEqual(t, emr.RequestGranted, h.getRequest(t, request.Request).Status)
	reading := h.read(grant.Terms.Grant)
	require.Equal(t, emr.Deny, h.disclose(t, h.reader, reading).Decision)
	reading = h.read(grant.Terms.Grant)
	reading.Record = other
	require.Equal(t, emr.Permit, h.disclose(t, h.reader, reading).Decision)
}

// TestARecentKeyDelaysWhatItTakesPartIn: 72 hours from the last pinning, the rule's
// naming of the confirmer included.
func TestARecentKeyDelaysWhatItTakesPartIn(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*testing.T, *household)
		by     func(*household) ledgertest.Member
	}{
		"the patient's key was replaced": {func(t *testing.T, h *household) {
			next := rekeyed(t, h.patient)
			h.Do(t, h.patient, ledgerapi.RotatePatientKeys, rotation(t, h.Consortium, next, 0))
			h.patient = next
		}, func(h *household) ledgertest.Member { return h.friend }},
		"the confirmer's key was replaced": {func(t *testing.T, h *household) {
			next := rekeyed(t, h.friend)
			h.Do(t, h.friend, ledgerapi.RotatePatientKeys, rotation(t, h.Consortium, next, 0))
			h.friend = next
		}, func(h *household) ledgertest.Member { return h.friend }},
		"the professional's keys were replaced": {func(t *testing.T, h *household) {
			h.Do(t, h.doctor, ledgerapi.RotateClinicianKeys, ledgerapi.RotateClinicianKeysArgs{
				Clinician: h.doctor.ID, Reading: ledgertest.NewKey(t).Public().Bytes(), Hybrid: h.doctor.Hybrid.Public().Bytes(),
			})
		}, func(h *household) ledgertest.Member { return h.doctor }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHousehold(t, emr.GrantBounds{Scope: true})
			test.change(t, h)
			ready := h.Now.Add(72 * time.Hour)
			h.Wait(time.Hour)
			grant := h.Grant(h.scope, h.reader)
			grant.Terms.Until = h.Now.Add(200 * time.Hour)
			h.Do(t, h.patient, ledgerapi.GrantAccess, grant)
			receipt := h.Do(t, test.by(h), ledgerapi.ConfirmGrant, h.confirmation(t, grant.Terms.Grant)).(*ledgerapi.DecisionReceipt)
			require.Equal(t, ready, receipt.Until)
			require.Equal(t, emr.ReasonGrantWaiting, h.disclose(t, h.reader, h.read(grant.Terms.Grant)).Reason)
			h.Wait(71*time.Hour - time.Second)
			require.Equal(t, emr.ReasonGrantWaiting, h.disclose(t, h.reader, h.read(grant.Terms.Grant)).Reason)
			h.Wait(time.Second)
			require.Equal(t, emr.Permit, h.disclose(t, h.reader, h.read(grant.Terms.Grant)).Decision)
		})
	}
}

func TestConfirmingAGrantIsRefused(t *testing.T) {
	t.Parallel()
	h := newHousehold(t, emr.GrantBounds{Scope: true})
	grant := h.wide(t)
	live := h.give(t)
	short := h.Grant(h.scope, h.reader)
	short.Terms.Until = h.Now + 60
	h.Do(t, h.patient, ledgerapi.GrantAccess, short)
	toDoctor := h.Grant(h.scope, h.doctor)
	h.Do(t, h.patient, ledgerapi.GrantAccess, toDoctor)
	h.Do(t, h.patient, ledgerapi.NameDelegate, ledgerapi.NameDelegateArgs{
		Patient: h.patient.Handle, Delegate: h.friend.Handle, Kind: emr.DelegationChosen, Until: h.Now.Add(time.Hour),
	})
	friends := h.Grant(h.scope, h.reader)
	h.Do(t, h.friend, ledgerapi.GrantAccess, friends)
	stranger := h.Patient(t, ledgertest.HospitalA)
	forger := &second{h.patient, ledgertest.NewKey(t)}
	h.Wait(time.Minute)
	type args = ledgerapi.ConfirmGrantArgs
	for name, test := range map[string]struct {
		by     ledgertest.Member
		of     *ledgerapi.GrantAccessArgs
		change func(*args)
		code   emr.Code
	}{
		"by the patient's own consent key": {h.patient, grant, func(*args) {}, emr.CodeUnauthenticated},
		"by a key that nobody pinned":      {forger, grant, func(*args) {}, emr.CodeUnauthenticated},
		"by a stranger":                    {stranger, grant, func(*args) {}, emr.CodeForbidden},
		"by the grantee":                   {h.reader, grant, func(*args) {}, emr.CodeForbidden},
		"by a confirmer who receives it":   {h.doctor, toDoctor, func(*args) {}, emr.CodeForbidden},
		"by a delegate who signed it":      {h.friend, friends, func(*args) {}, emr.CodeForbidden},
		"of other terms":                   {h.friend, grant, func(a *args) { a.Terms[0]++ }, emr.CodeInvalid},
		"of no terms":                      {h.friend, grant, func(a *args) { a.Terms = emr.Digest{} }, emr.CodeInvalid},
		"of a live grant":                  {h.friend, live, func(*args) {}, emr.CodeExists},
		"of a grant that is over":          {h.friend, short, func(*args) {}, emr.CodeRule},
		"of an unknown grant":              {h.friend, grant, func(a *args) { a.Grant = ledgertest.ID[emr.GrantID]("gra_") }, emr.CodeNotFound},
		"of another patient":               {h.friend, grant, func(a *args) { a.Patient = stranger.Handle }, emr.CodeNotFound},
		"of a patient of another form":     {h.friend, grant, func(a *args) { a.Patient = "x" }, emr.CodeInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			a := h.confirmation(t, test.of.Terms.Grant)
			test.change(&a)
			before := h.Dump()
			_, err := h.Try(t, test.by, ledgerapi.ConfirmGrant, a)
			refuses(t, err, test.code, "")
			require.Equal(t, before, h.Dump())
		})
	}
	h.order(t, ledger.SuspendClinician, h.doctor)
	_, err := h.Try(t, h.doctor, ledgerapi.ConfirmGrant, h.confirmation(t, grant.Terms.Grant))
	refuses(t, err, emr.CodeRule, "suspended")
	h.Do(t, h.device, ledgerapi.ConfirmGrant, h.confirmation(t, friends.Terms.Grant))
}

// TestOneKeyCannotBecomeBoth: whoever rotates the consent key to the second one
// has one key, and one key confirms nothing.
func TestOneKeyCannotBecomeBoth(t *testing.T) {
	t.Parallel()
	h := newHousehold(t, emr.GrantBounds{Scope: true})
	next := *h.patient
	next.Consent = h.device.key
	h.Do(t, h.patient, ledgerapi.RotatePatientKeys, rotation(t, h.Consortium, &next, 0))
	h.patient = &next
	h.Wait(100 * time.Hour)
	grant := h.wide(t)
	_, err := h.Try(t, h.device, ledgerapi.ConfirmGrant, h.confirmation(t, grant.Terms.Grant))
	refuses(t, err, emr.CodeForbidden, "may confirm")
}

func TestTighteningHoldsAtOnceAndLooseningWaits(t *testing.T) {
	t.Parallel()
	base := emr.GrantBounds{Scope: true, Days: 30, Records: 10, Level: emr.LevelPrivate}
	type terms = emr.GrantRuleTerms
	for name, test := range map[string]struct {
		change func(*household, *terms)
		tight  bool
	}{
		"the same again":         {func(*household, *terms) {}, true},
		"fewer days":             {func(_ *household, r *terms) { r.Bounds.Days = 29 }, true},
		"fewer records":          {func(_ *household, r *terms) { r.Bounds.Records = 9 }, true},
		"a lower level":          {func(_ *household, r *terms) { r.Bounds.Level = emr.LevelLow }, true},
		"a longer wait":          {func(_ *household, r *terms) { r.WaitHours = 73 }, true},
		"a confirmer less":       {func(h *household, r *terms) { r.Confirmers = []string{string(h.friend.Handle)} }, true},
		"no second key any more": {func(_ *household, r *terms) { r.Second = nil }, true},
		"scopes freely":          {func(_ *household, r *terms) { r.Bounds.Scope = false }, false},
		"more days":              {func(_ *household, r *terms) { r.Bounds.Days = 31 }, false},
		"any number of days":     {func(_ *household, r *terms) { r.Bounds.Days = 0 }, false},
		"more records":           {func(_ *household, r *terms) { r.Bounds.Records = 11 }, false},
		"any number of records":  {func(_ *household, r *terms) { r.Bounds.Records = 0 }, false},
		"private ones freely":    {func(_ *household, r *terms) { r.Bounds.Level = "" }, false},
		"a shorter wait":         {func(_ *household, r *terms) { r.WaitHours = 71 }, false},
		"another confirmer": {func(h *household, r *terms) {
			r.Confirmers = append(r.Confirmers, string(h.author.ID))
			slices.Sort(r.Confirmers)
		}, false},
		"no rule any more":                          {func(_ *household, r *terms) { *r = terms{Confirmers: []string{}} }, false},
		"tighter in one respect, looser in another": {func(_ *household, r *terms) { r.Bounds.Days, r.Bounds.Records = 1, 11 }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHousehold(t, base)
			before := h.rule(t)
			next := before.Terms
			test.change(h, &next)
			receipt := h.Do(t, h.patient, ledgerapi.SetGrantRule,
				ledgerapi.SetGrantRuleArgs{Patient: h.patient.Handle, Version: 1, Terms: next}).(*ledgerapi.DecisionReceipt)
			rule := h.rule(t)
			require.Equal(t, uint32(2), rule.Version)
			require.Equal(t, before.Since, rule.Since, "nobody new may confirm")
			if test.tight {
				require.Equal(t, emr.Permit, receipt.Decision)
				require.Equal(t, next, rule.Terms)
				require.Nil(t, rule.Next)
				return
			}
			require.Equal(t, []any{emr.Ask, emr.ReasonGrantWaiting}, []any{receipt.Decision, receipt.Reason})
			require.Equal(t, before.Terms, rule.Terms, "what held holds on")
			require.Equal(t, &next, rule.Next)
			waiting := h.wide(t)
			_, err := h.Try(t, h.patient, ledgerapi.ConfirmGrantRule, ledgerapi.ConfirmGrantRuleArgs{Patient: h.patient.Handle, Version: 2})
			refuses(t, err, emr.CodeUnauthenticated, "")
			h.Do(t, h.device, ledgerapi.ConfirmGrantRule, ledgerapi.ConfirmGrantRuleArgs{Patient: h.patient.Handle, Version: 2})
			rule = h.rule(t)
			require.Equal(t, next, rule.Terms)
			require.Nil(t, rule.Next)
			require.Equal(t, emr.GrantWaiting, h.getGrant(t, waiting.Terms.Grant).Status, "what waits waits on")
			require.Equal(t, name == "another confirmer", rule.Since == h.Now, "who is named now is named recently")
			h.verified(t, h.patient.Handle)
		})
	}
}

func TestARuleThatWaitsCanBeDropped(t *testing.T) {
	t.Parallel()
	h := newHousehold(t, emr.GrantBounds{Scope: true})
	same := h.rule(t).Terms
	h.Do(t, h.patient, ledgerapi.SetGrantRule, h.ruling(t, 1, emr.GrantBounds{}, nil))
	h.Do(t, h.patient, ledgerapi.SetGrantRule, ledgerapi.SetGrantRuleArgs{Patient: h.patient.Handle, Version: 2, Terms: same})
	_, err := h.Try(t, h.device, ledgerapi.ConfirmGrantRule, ledgerapi.ConfirmGrantRuleArgs{Patient: h.patient.Handle, Version: 3})
	refuses(t, err, emr.CodeRule, "no looser rule waits")
	require.Equal(t, emr.GrantWaiting, h.getGrant(t, h.wide(t).Terms.Grant).Status)
}

func TestARuleThatWasLiftedCanBeSetAnew(t *testing.T) {
	t.Parallel()
	h := newHousehold(t, emr.GrantBounds{Scope: true})
	waiting := h.wide(t)
	h.Do(t, h.patient, ledgerapi.SetGrantRule, h.ruling(t, 1, emr.GrantBounds{}, nil))
	h.Do(t, h.friend, ledgerapi.ConfirmGrantRule, ledgerapi.ConfirmGrantRuleArgs{Patient: h.patient.Handle, Version: 2})
	h.Do(t, h.patient, ledgerapi.GrantAccess, h.Grant(h.scope, h.reader))
	_, err := h.Try(t, h.friend, ledgerapi.ConfirmGrant, h.confirmation(t, waiting.Terms.Grant))
	refuses(t, err, emr.CodeForbidden, "may confirm")
	h.Do(t, h.patient, ledgerapi.SetGrantRule, h.ruling(t, 3, emr.GrantBounds{Days: 1}, nil, h.doctor))
	rule := h.rule(t)
	require.Equal(t, []any{uint32(4), h.Now, uint32(72)}, []any{rule.Version, rule.Since, rule.Terms.WaitHours})
}

func TestConfirmingARuleIsRefused(t *testing.T) {
	t.Parallel()
	h := newHousehold(t, emr.GrantBounds{Scope: true})
	loose := h.ruling(t, 1, emr.GrantBounds{}, nil)
	h.Do(t, h.patient, ledgerapi.SetGrantRule, loose)
	stranger := h.Patient(t, ledgertest.HospitalA)
	type args = ledgerapi.ConfirmGrantRuleArgs
	for name, test := range map[string]struct {
		by   ledgertest.Member
		args args
		code emr.Code
	}{
		"by the consent key":      {h.patient, args{Patient: h.patient.Handle, Version: 2}, emr.CodeUnauthenticated},
		"by a stranger":           {stranger, args{Patient: h.patient.Handle, Version: 2}, emr.CodeForbidden},
		"of another version":      {h.friend, args{Patient: h.patient.Handle, Version: 1}, emr.CodeStale},
		"of a patient without":    {h.friend, args{Patient: stranger.Handle, Version: 0}, emr.CodeNotFound},
		"of another form":         {h.friend, args{Patient: "x", Version: 2}, emr.CodeInvalid},
		"by a delegate of nobody": {h.reader, args{Patient: h.patient.Handle, Version: 2}, emr.CodeForbidden},
	} {
		t.Run(name, func(t *testing.T) {
			before := h.Dump()
			_, err := h.Try(t, test.by, ledgerapi.ConfirmGrantRule, test.args)
			refuses(t, err, test.code, "")
			require.Equal(t, before, h.Dump())
		})
	}
	next := rekeyed(t, h.friend)
	h.Do(t, h.friend, ledgerapi.RotatePatientKeys, rotation(t, h.Consortium, next, 0))
	_, err := h.Try(t, next, ledgerapi.ConfirmGrantRule, args{Patient: h.patient.Handle, Version: 2})
	refuses(t, err, emr.CodeRule, "pinned recently")
	require.Equal(t, emr.ReasonGrantWaiting, emr.Public(err).Reason)
	h.Wait(72 * time.Hour)
	h.Do(t, next, ledgerapi.ConfirmGrantRule, args{Patient: h.patient.Handle, Version: 2})
}

func TestARuleIsRefused(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	device, friend, off := s.secondDevice(t), s.Patient(t, ledgertest.HospitalB), s.Clinician(t, ledgertest.HospitalB, emr.RoleNurse, emr.LevelLow)
	s.order(t, ledger.OffboardClinician, off)
	old := rekeyed(t, s.patient)
	s.Do(t, s.patient, ledgerapi.RotatePatientKeys, rotation(t, s.Consortium, old, 0))
	retired := &second{s.patient, s.patient.Consent}
	s.patient = old
	device.Patient, retired.Patient = old, old
	own := &second{s.patient, s.patient.Consent}
	scope := emr.GrantBounds{Scope: true}
	type args = ledgerapi.SetGrantRuleArgs
	for name, test := range map[string]struct {
		by     ledgertest.Member
		args   args
		change func(*args)
		code   emr.Code
		field  string
	}{
		"nobody could confirm":         {s.patient, s.ruling(t, 0, scope, nil), func(*args) {}, emr.CodeInvalid, "terms.confirmers"},
		"it calls nothing wide":        {s.patient, s.ruling(t, 0, emr.GrantBounds{}, nil, friend), func(*args) {}, emr.CodeInvalid, "terms.bounds"},
		"it only waits":                {s.patient, s.ruling(t, 0, emr.GrantBounds{}, nil), func(a *args) { a.Terms.WaitHours = 1 }, emr.CodeInvalid, "terms.bounds"},
		"an unknown level":             {s.patient, s.ruling(t, 0, emr.GrantBounds{Level: "x"}, nil, friend), func(*args) {}, emr.CodeInvalid, "level"},
		"the patient confirms":         {s.patient, s.ruling(t, 0, scope, nil, s.patient), func(*args) {}, emr.CodeInvalid, "terms.confirmers"},
		"somebody unknown":             {s.patient, s.ruling(t, 0, scope, nil, friend), func(a *args) { a.Terms.Confirmers[0] = string(ledgertest.ID[emr.Handle]("hnd_")) }, emr.CodeInvalid, "not registered"},
		"something else":               {s.patient, s.ruling(t, 0, scope, nil, friend), func(a *args) { a.Terms.Confirmers[0] = "friend" }, emr.CodeInvalid, "terms.confirmers"},
		"somebody who has left":        {s.patient, s.ruling(t, 0, scope, nil, off), func(*args) {}, emr.CodeRule, "left"},
		"somebody twice":               {s.patient, s.ruling(t, 0, scope, nil, friend, friend), func(*args) {}, emr.CodeInvalid, "terms.confirmers"},
		"no list of people":            {s.patient, s.ruling(t, 0, scope, device), func(a *args) { a.Terms.Confirmers = nil }, emr.CodeInvalid, "terms.confirmers"},
		"too many people":              {s.patient, s.ruling(t, 0, scope, nil), func(a *args) { a.Terms.Confirmers = []string{"a", "b", "c", "d", "e"} }, emr.CodeInvalid, "terms.confirmers"},
		"a wait too long":              {s.patient, s.ruling(t, 0, scope, nil, friend), func(a *args) { a.Terms.WaitHours = 721 }, emr.CodeInvalid, "terms.waitHours"},
		"another version":              {s.patient, s.ruling(t, 1, scope, nil, friend), func(*args) {}, emr.CodeStale, "version"},
		"a second key without a proof": {s.patient, s.ruling(t, 0, scope, device), func(a *args) { a.Proof = nil }, emr.CodeInvalid, "proof"},
		"a proof without a second key": {s.patient, s.ruling(t, 0, scope, device, friend), func(a *args) { a.Terms.Second = nil }, emr.CodeInvalid, "proof"},
		"a proof of another key":       {s.patient, s.ruling(t, 0, scope, device), func(a *args) { a.Proof = s.ruling(t, 0, scope, s.secondDevice(t)).Proof }, emr.CodeInvalid, "another change"},
		"a proof of another version":   {s.patient, s.ruling(t, 0, scope, device), func(a *args) { a.Proof = s.ruling(t, 7, scope, device).Proof }, emr.CodeInvalid, "another change"},
		"a proof by another key": {s.patient, s.ruling(t, 0, scope, device), func(a *args) {
			a.Proof = s.Sign(t, s.patient, ledgerapi.ProveSecondKey, ledgerapi.ProveSecondKeyArgs{Patient: a.Patient, Second: *a.Terms.Second})
		}, emr.CodeUnauthenticated, ""},
		"a proof by another person": {s.patient, s.ruling(t, 0, scope, device), func(a *args) {
			a.Proof = s.Sign(t, friend, ledgerapi.ProveSecondKey, ledgerapi.ProveSecondKeyArgs{Patient: a.Patient, Second: *a.Terms.Second})
		}, emr.CodeInvalid, "another person"},
		"a proof of something else": {s.patient, s.ruling(t, 0, scope, device), func(a *args) {
			a.Proof = s.Sign(t, device, ledgerapi.ProveKey, ledgerapi.ProveSecondKeyArgs{Patient: a.Patient, Second: *a.Terms.Second})
		}, emr.CodeInvalid, "function"},
		"the consent key as second": {s.patient, s.ruling(t, 0, scope, own), func(*args) {}, emr.CodeInvalid, "differ"},
		"a key that was replaced":   {s.patient, s.ruling(t, 0, scope, retired), func(*args) {}, emr.CodeRule, "second"},
		"no key at all":             {s.patient, s.ruling(t, 0, scope, device), func(a *args) { a.Terms.Second.Key = []byte{2} }, emr.CodeInvalid, "second"},
		"in another patient's name": {friend, s.ruling(t, 0, scope, device), func(*args) {}, emr.CodeForbidden, ""},
	} {
		t.Run(name, func(t *testing.T) {
			test.change(&test.args)
			before := s.Dump()
			_, err := s.Try(t, test.by, ledgerapi.SetGrantRule, test.args)
			refuses(t, err, test.code, test.field)
			require.Equal(t, before, s.Dump())
		})
	}
	s.Do(t, s.patient, ledgerapi.NameDelegate, ledgerapi.NameDelegateArgs{
		Patient: s.patient.Handle, Delegate: friend.Handle, Kind: emr.DelegationChosen, Until: s.Now.Add(time.Hour),
	})
	_, err := s.Try(t, friend, ledgerapi.SetGrantRule, s.ruling(t, 0, scope, device))
	refuses(t, err, emr.CodeForbidden, "another patient")
	none := s.rule(t)
	require.Equal(t, []any{uint32(0), []string{}}, []any{none.Version, none.Terms.Confirmers})
}

// TestADelegatesGrantIsUnderThePatientsRule: who signs for the patient is bound as the patient is.
func TestADelegatesGrantIsUnderThePatientsRule(t *testing.T) {
	t.Parallel()
	h := newHousehold(t, emr.GrantBounds{Scope: true})
	h.Do(t, h.patient, ledgerapi.NameDelegate, ledgerapi.NameDelegateArgs{
		Patient: h.patient.Handle, Delegate: h.friend.Handle, Kind: emr.DelegationChosen, Until: h.Now.Add(time.Hour),
	})
	grant := h.Grant(h.scope, h.reader)
	h.Do(t, h.friend, ledgerapi.GrantAccess, grant)
	stored := h.getGrant(t, grant.Terms.Grant)
	require.Equal(t, []any{emr.GrantWaiting, h.friend.Handle}, []any{stored.Status, stored.By})
	h.Do(t, h.device, ledgerapi.ConfirmGrant, h.confirmation(t, grant.Terms.Grant))
}

// TestARuleThatCommitsFirstInvalidatesAGrant: the rule is read by its exact key.
func TestARuleThatCommitsFirstInvalidatesAGrant(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	friend := s.Patient(t, ledgertest.HospitalB)
	tx := s.Begin(s.Facts(s.patient.Org.Gateway))
	_, err := ledger.GrantAccess(tx, ledgertest.Raw(t, s.Sign(t, s.patient, ledgerapi.GrantAccess, s.Grant(s.scope, s.reader))))
	require.NoError(t, err)
	s.Do(t, s.patient, ledgerapi.SetGrantRule, s.ruling(t, 0, emr.GrantBounds{Scope: true}, nil, friend))
	require.ErrorIs(t, tx.Commit(), ledgertest.ErrConflict)
}
