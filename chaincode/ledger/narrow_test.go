// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/consent"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// roomy gives the reader both of the scene's records, for two purposes, five times.
func (s *scene) roomy(t testing.TB, second emr.RecordID) *ledgerapi.GrantAccessArgs {
	t.Helper()
	grant := s.Grant(s.scope, s.reader, s.record.Record, second)
	grant.Terms.Purposes = []emr.Purpose{emr.PurposeResearch, emr.PurposeTreatment}
	slices.Sort(grant.Terms.Purposes)
	grant.Terms.MaxUses = 5
	s.Do(t, s.patient, ledgerapi.GrantAccess, grant)
	return grant
}

func TestAGrantIsNarrowedFieldByField(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*scene, *ledgerapi.NarrowGrantArgs, emr.RecordID)
		reason emr.Reason // of a reading, and of a ticket issued before
		ticket emr.Reason
	}{
		"fewer records": {func(_ *scene, a *ledgerapi.NarrowGrantArgs, second emr.RecordID) { a.Records = []emr.RecordID{second} }, emr.ReasonNotCovered, emr.ReasonNotCovered},
		"fewer purposes": {func(_ *scene, a *ledgerapi.NarrowGrantArgs, _ emr.RecordID) {
			a.Purposes = []emr.Purpose{emr.PurposeResearch}
		}, emr.ReasonPurpose, emr.ReasonPurpose},
		"a sooner end":    {func(s *scene, a *ledgerapi.NarrowGrantArgs, _ emr.RecordID) { a.Until = s.Now + 30 }, emr.ReasonExpired, emr.ReasonExpired},
		"fewer uses":      {func(_ *scene, a *ledgerapi.NarrowGrantArgs, _ emr.RecordID) { a.MaxUses = 1 }, emr.ReasonExhausted, emr.ReasonGrant},
		"signed off only": {func(_ *scene, a *ledgerapi.NarrowGrantArgs, _ emr.RecordID) { a.SignedOff = true }, emr.ReasonNotSignedOff, emr.ReasonNotSignedOff},
		"no onward use":   {func(_ *scene, a *ledgerapi.NarrowGrantArgs, _ emr.RecordID) { a.NoOnward = true }, emr.ReasonGrant, emr.ReasonGrant},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			second := s.Record(t, s.author, s.scope, emr.ClassPrescription).Record
			grant := s.roomy(t, second)
			before := s.read(grant.Terms.Grant)
			s.disclose(t, s.reader, before)
			less := narrowing(grant)
			test.change(s, &less, second)
			s.Do(t, s.patient, ledgerapi.NarrowGrant, less)
			stored := s.getGrant(t, grant.Terms.Grant)
			require.Equal(t, grant.Terms, stored.Terms, "what was signed, and what the fragments are bound to, stays")
			effective := stored.Effective()
			require.Equal(t, less, ledgerapi.NarrowGrantArgs{
				Patient: effective.Patient, Grant: effective.Grant, Records: effective.Records, Purposes: effective.Purposes, Until: effective.Until,
				MaxUses: effective.MaxUses, NoOnward: effective.NoOnward, SignedOff: effective.SignedOff,
			})
			s.Wait(time.Minute)
			require.Equal(t, test.reason, s.disclose(t, s.reader, s.read(grant.Terms.Grant)).Reason)
			ticket := s.check(t, ledgertest.HospitalA, s.open(t, s.reader, before.Disclosure))
			require.Equal(t, test.ticket, ticket.Reason, "earlier tickets obey at once")
			require.Equal(t, test.ticket == emr.ReasonGrant, len(ticket.Fragment.Sealed) != 0, "without new fragments")
			s.verified(t, s.patient.Handle)
		})
	}
}

func TestATicketEndsWithTheNarrowedGrant(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	grant := s.give(t)
	less := narrowing(grant)
	less.Until = s.Now + 60
	s.Do(t, s.patient, ledgerapi.NarrowGrant, less)
	require.Equal(t, s.Now+60, s.disclose(t, s.reader, s.read(grant.Terms.Grant)).Until)
}

func TestNarrowingIsRefused(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	second := s.Record(t, s.author, s.scope, emr.ClassPrescription).Record
	third := s.Record(t, s.author, s.scope, emr.ClassPrescription).Record
	grant := s.roomy(t, second)
	limited := narrowing(grant)
	limited.NoOnward, limited.SignedOff, limited.MaxUses = true, true, 4
	s.Do(t, s.patient, ledgerapi.NarrowGrant, limited)
	whole := s.Grant(s.scope, s.reader)
	whole.Terms.NotBefore = s.Now + 50
	s.Do(t, s.patient, ledgerapi.GrantAccess, whole)
	revoked := s.give(t)
	s.Do(t, s.patient, ledgerapi.RevokeAccess, ledgerapi.RevokeAccessArgs{Patient: s.patient.Handle, Grant: revoked.Terms.Grant})
	other := s.Patient(t, ledgertest.HospitalA)
	elsewhere := s.Scope(t, s.patient, emr.LevelPrivate)
	foreign := s.Record(t, s.author, elsewhere, emr.ClassPrescription).Record
	type args = ledgerapi.NarrowGrantArgs
	for name, test := range map[string]struct {
		of     *ledgerapi.GrantAccessArgs
		by     ledgertest.Member
		change func(*args)
		code   emr.Code
		field  string
	}{
		"nothing less":                 {grant, s.patient, func(*args) {}, emr.CodeInvalid, "narrows nothing"},
		"a record more":                {grant, s.patient, func(a *args) { a.Records = append(slices.Clone(a.Records), third); slices.Sort(a.Records) }, emr.CodeRule, "records"},
		"another record instead":       {grant, s.patient, func(a *args) { a.Records = []emr.RecordID{third} }, emr.CodeRule, "records"},
		"the whole scope instead":      {grant, s.patient, func(a *args) { a.Records = []emr.RecordID{} }, emr.CodeRule, "records"},
		"no list of records":           {grant, s.patient, func(a *args) { a.Records = nil }, emr.CodeInvalid, "records"},
		"records out of order":         {grant, s.patient, func(a *args) { a.Records = slices.Clone(a.Records); slices.Reverse(a.Records) }, emr.CodeInvalid, "records"},
		"a record of another form":     {grant, s.patient, func(a *args) { a.Records = []emr.RecordID{"rec_1"} }, emr.CodeInvalid, "records"},
		"too many records":             {whole, s.patient, func(a *args) { a.Records = make([]emr.RecordID, 101) }, emr.CodeInvalid, "records"},
		"a purpose more":               {grant, s.patient, func(a *args) { a.Purposes = []emr.Purpose{emr.PurposeOperations} }, emr.CodeRule, "purposes"},
		"no purpose":                   {grant, s.patient, func(a *args) { a.Purposes = []emr.Purpose{} }, emr.CodeInvalid, "purposes"},
		"an unknown purpose":           {grant, s.patient, func(a *args) { a.Purposes = []emr.Purpose{"FUN"} }, emr.CodeInvalid, "purposes"},
		"a later end":                  {grant, s.patient, func(a *args) { a.Until++ }, emr.CodeRule, "until"},
		"no end":                       {grant, s.patient, func(a *args) { a.Until = 0 }, emr.CodeRule, "until"},
		"an end before the beginning":  {whole, s.patient, func(a *args) { a.Until = s.Now + 40 }, emr.CodeInvalid, "until"},
		"more uses":                    {grant, s.patient, func(a *args) { a.MaxUses = 5 }, emr.CodeRule, "maxUses"},
		"any number of uses":           {grant, s.patient, func(a *args) { a.MaxUses = 0 }, emr.CodeRule, "maxUses"},
		"a number over the limit":      {whole, s.patient, func(a *args) { a.MaxUses = ledgerapi.MaxGrantUses + 1 }, emr.CodeRule, "maxUses"},
		"onward use again":             {grant, s.patient, func(a *args) { a.NoOnward = false; a.MaxUses = 1 }, emr.CodeRule, "noOnward"},
		"drafts again":                 {grant, s.patient, func(a *args) { a.SignedOff = false; a.MaxUses = 1 }, emr.CodeRule, "signedOff"},
		"a record of another scope":    {whole, s.patient, func(a *args) { a.Records = []emr.RecordID{foreign} }, emr.CodeNotFound, "scope"},
		"an unknown record":            {whole, s.patient, func(a *args) { a.Records = []emr.RecordID{ledgertest.ID[emr.RecordID]("rec_")} }, emr.CodeNotFound, "record"},
		"of a revoked grant":           {revoked, s.patient, func(a *args) { a.MaxUses = 1 }, emr.CodeGone, "revoked"},
		"of an unknown grant":          {grant, s.patient, func(a *args) { a.Grant = ledgertest.ID[emr.GrantID]("gra_") }, emr.CodeNotFound, "grant"},
		"of another patient's grant":   {grant, other, func(a *args) { a.Patient = other.Handle; a.MaxUses = 1 }, emr.CodeNotFound, "grant"},
		"in the patient's name":        {grant, other, func(a *args) { a.MaxUses = 1 }, emr.CodeForbidden, ""},
		"by the grantee":               {grant, s.reader, func(a *args) { a.MaxUses = 1 }, emr.CodeForbidden, ""},
		"a scope grant back from some": {grant, s.patient, func(a *args) { a.Records = []emr.RecordID{}; a.MaxUses = 1 }, emr.CodeRule, "records"},
	} {
		t.Run(name, func(t *testing.T) {
			a := narrowing(test.of)
			if test.of == grant {
				a = limited
			}
			test.change(&a)
			before := s.Dump()
			_, err := s.Try(t, test.by, ledgerapi.NarrowGrant, a)
			refuses(t, err, test.code, test.field)
			require.Equal(t, before, s.Dump())
		})
	}
	one := narrowing(whole)
	one.Records = []emr.RecordID{s.record.Record, second}
	slices.Sort(one.Records)
	s.Do(t, s.patient, ledgerapi.NarrowGrant, one)
	one.Records = []emr.RecordID{}
	one.MaxUses = 1
	_, err := s.Try(t, s.patient, ledgerapi.NarrowGrant, one)
	refuses(t, err, emr.CodeRule, "records")
}

// TestNarrowingToALabelledRecordDoesNotGiveIt: naming a record in what is left is
// no consent to it that the grant did not have.
func TestNarrowingToALabelledRecordDoesNotGiveIt(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	m := s.labelled(t, emr.LabelHIV)
	grant := s.Grant(s.scope, s.reader)
	s.Do(t, s.patient, ledgerapi.GrantAccess, grant)
	s.put(t, consent.Document{Base: emr.Ask})
	args := s.read(grant.Terms.Grant)
	args.Record = m.Record
	require.Equal(t, emr.ReasonConsentRestricted, s.disclose(t, s.reader, args).Reason)
	less := narrowing(grant)
	less.Records = []emr.RecordID{m.Record}
	s.Do(t, s.patient, ledgerapi.NarrowGrant, less)
	args.Disclosure = ledgertest.ID[emr.DisclosureID](emr.DisclosurePrefix)
	require.Equal(t, emr.ReasonConsentRestricted, s.disclose(t, s.reader, args).Reason)
}

// TestUsesOfAGrantWithoutALimitCountFromItsNarrowing: there was nothing to count before.
func TestUsesOfAGrantWithoutALimitCountFromItsNarrowing(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	grant := s.give(t)
	s.disclose(t, s.reader, s.read(grant.Terms.Grant))
	less := narrowing(grant)
	less.MaxUses = 1
	s.Do(t, s.patient, ledgerapi.NarrowGrant, less)
	require.Equal(t, emr.Permit, s.disclose(t, s.reader, s.read(grant.Terms.Grant)).Decision)
	require.Equal(t, emr.ReasonExhausted, s.disclose(t, s.reader, s.read(grant.Terms.Grant)).Reason)
}

func TestADelegateMayNarrow(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	grant := s.give(t)
	friend := s.Patient(t, ledgertest.HospitalB)
	less := narrowing(grant)
	less.MaxUses = 1
	_, err := s.Try(t, friend, ledgerapi.NarrowGrant, less)
	refuses(t, err, emr.CodeForbidden, "no delegate")
	s.Do(t, s.patient, ledgerapi.NameDelegate, ledgerapi.NameDelegateArgs{
		Patient: s.patient.Handle, Delegate: friend.Handle, Kind: emr.DelegationChosen, Until: s.Now.Add(time.Hour),
	})
	s.Do(t, friend, ledgerapi.NarrowGrant, less)
	require.Equal(t, string(friend.Handle), s.trail(t, s.patient.Handle)[0].Actor)
}

func TestARequestIsGrantedInPart(t *testing.T) {
	t.Parallel()
	type terms = emr.GrantTerms
	for name, test := range map[string]struct {
		change func(*scene, *terms, emr.RecordID)
		want   *emr.LeftOut
	}{
		"all of it": {func(*scene, *terms, emr.RecordID) {}, nil},
		"more than was asked for": {func(s *scene, g *terms, _ emr.RecordID) {
			g.Records, g.Until, g.MaxUses = []emr.RecordID{}, s.Now.Add(90*time.Minute), 0
		}, nil},
		"the first record only": {func(s *scene, g *terms, _ emr.RecordID) { g.Records = []emr.RecordID{s.record.Record} }, &emr.LeftOut{Records: []emr.RecordID{""}}},
		"one purpose":           {func(_ *scene, g *terms, _ emr.RecordID) { g.Purposes = []emr.Purpose{emr.PurposeResearch} }, &emr.LeftOut{Purposes: []emr.Purpose{emr.PurposeTreatment}}},
		"a sooner end":          {func(s *scene, g *terms, _ emr.RecordID) { g.Until = s.Now.Add(59 * time.Minute) }, &emr.LeftOut{Until: true}},
		"fewer uses":            {func(_ *scene, g *terms, _ emr.RecordID) { g.MaxUses = 2 }, &emr.LeftOut{MaxUses: true}},
		"less of everything": {func(s *scene, g *terms, _ emr.RecordID) {
			g.Records, g.Purposes, g.Until, g.MaxUses = []emr.RecordID{s.record.Record}, []emr.Purpose{emr.PurposeTreatment}, s.Now+60, 1
		}, &emr.LeftOut{Records: []emr.RecordID{""}, Purposes: []emr.Purpose{emr.PurposeResearch}, Until: true, MaxUses: true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			second := s.Record(t, s.author, s.scope, emr.ClassPrescription).Record
			args := s.ask(s.record.Record)
			args.Wish = &emr.Wish{Records: []emr.RecordID{second}, Purposes: []emr.Purpose{emr.PurposeResearch}, Until: s.Now.Add(time.Hour), MaxUses: 3}
			before := len(s.trail(t, s.patient.Handle))
			require.Equal(t, emr.Ask, s.Do(t, s.reader, ledgerapi.RequestAccess, args).(*ledgerapi.DecisionReceipt).Decision)
			require.Len(t, s.trail(t, s.patient.Handle), before+2, "each record asked for stands in the trail")
			grant := s.Grant(s.scope, s.reader, s.record.Record, second)
			grant.Request, grant.Terms.MaxUses, grant.Terms.Until = args.Request, 3, s.Now.Add(time.Hour)
			grant.Terms.Purposes = []emr.Purpose{emr.PurposeResearch, emr.PurposeTreatment}
			test.change(s, &grant.Terms, second)
			s.Do(t, s.patient, ledgerapi.GrantAccess, grant)
			request := s.getRequest(t, args.Request)
			require.Equal(t, []any{emr.RequestGranted, emr.Permit, grant.Terms.Grant}, []any{request.Status, request.Decision, request.Grant})
			if test.want == nil {
				require.Nil(t, request.LeftOut)
				require.Equal(t, emr.ReasonGrant, request.Reason)
				return
			}
			want := *test.want
			if len(want.Records) == 1 {
				want.Records = []emr.RecordID{second}
			} else {
				want.Records = []emr.RecordID{}
			}
			if want.Purposes == nil {
				want.Purposes = []emr.Purpose{}
			}
			require.Equal(t, emr.ReasonNarrowed, request.Reason)
			require.Equal(t, &want, request.LeftOut)
		})
	}
}

func TestAnAnswerThatGivesNothingAskedForIsRefused(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	second := s.Record(t, s.author, s.scope, emr.ClassPrescription).Record
	third := s.Record(t, s.author, s.scope, emr.ClassPrescription).Record
	args := s.ask(s.record.Record)
	args.Wish = &emr.Wish{Records: []emr.RecordID{second}, Purposes: []emr.Purpose{}}
	s.Do(t, s.reader, ledgerapi.RequestAccess, args)
	for name, change := range map[string]func(*emr.GrantTerms){
		"another record":  func(g *emr.GrantTerms) { g.Records = []emr.RecordID{third} },
		"another purpose": func(g *emr.GrantTerms) { g.Purposes = []emr.Purpose{emr.PurposeResearch} },
	} {
		grant := s.Grant(s.scope, s.reader, s.record.Record)
		grant.Request = args.Request
		change(&grant.Terms)
		before := s.Dump()
		_, err := s.Try(t, s.patient, ledgerapi.GrantAccess, grant)
		refuses(t, err, emr.CodeRule, "request")
		require.Equal(t, before, s.Dump(), name)
	}
}

func TestAWishIsRefused(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	second := s.Record(t, s.author, s.scope, emr.ClassPrescription).Record
	elsewhere := s.Record(t, s.author, s.Scope(t, s.patient, emr.LevelPrivate), emr.ClassPrescription).Record
	for name, test := range map[string]struct {
		change func(*emr.Wish)
		code   emr.Code
		field  string
	}{
		"nothing more":              {func(w *emr.Wish) { w.Records = []emr.RecordID{} }, emr.CodeInvalid, "wish"},
		"no list of records":        {func(w *emr.Wish) { w.Records = nil }, emr.CodeInvalid, "wish.records"},
		"the first record again":    {func(w *emr.Wish) { w.Records = []emr.RecordID{s.record.Record} }, emr.CodeInvalid, "wish.records"},
		"a record twice":            {func(w *emr.Wish) { w.Records = []emr.RecordID{second, second} }, emr.CodeInvalid, "wish.records"},
		"a record of another form":  {func(w *emr.Wish) { w.Records = []emr.RecordID{"x"} }, emr.CodeInvalid, "wish.records"},
		"too many records":          {func(w *emr.Wish) { w.Records = make([]emr.RecordID, 16) }, emr.CodeInvalid, "wish.records"},
		"an unknown record":         {func(w *emr.Wish) { w.Records = []emr.RecordID{ledgertest.ID[emr.RecordID]("rec_")} }, emr.CodeNotFound, "record"},
		"a record of another scope": {func(w *emr.Wish) { w.Records = []emr.RecordID{elsewhere} }, emr.CodeNotFound, "scope"},
		"no list of purposes":       {func(w *emr.Wish) { w.Purposes = nil }, emr.CodeInvalid, "wish.purposes"},
		"the first purpose again":   {func(w *emr.Wish) { w.Purposes = []emr.Purpose{emr.PurposeTreatment} }, emr.CodeInvalid, "wish.purposes"},
		"an unknown purpose":        {func(w *emr.Wish) { w.Purposes = []emr.Purpose{"FUN"} }, emr.CodeInvalid, "wish.purposes"},
		"an end that is over":       {func(w *emr.Wish) { w.Until = s.Now }, emr.CodeInvalid, "wish.until"},
		"an end too far ahead":      {func(w *emr.Wish) { w.Until = s.Now.Add(366 * 24 * time.Hour) }, emr.CodeInvalid, "wish.until"},
		"too many uses":             {func(w *emr.Wish) { w.MaxUses = 101 }, emr.CodeInvalid, "wish.maxUses"},
	} {
		t.Run(name, func(t *testing.T) {
			args := s.ask(s.record.Record)
			args.Wish = &emr.Wish{Records: []emr.RecordID{second}, Purposes: []emr.Purpose{}}
			test.change(args.Wish)
			before := s.Dump()
			_, err := s.Try(t, s.reader, ledgerapi.RequestAccess, args)
			refuses(t, err, test.code, test.field)
			require.Equal(t, before, s.Dump())
		})
	}
}

// TestAWishIsDecidedByItsStrictestPart: deny beats ask beats permit.
func TestAWishIsDecidedByItsStrictestPart(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	second := s.Record(t, s.author, s.scope, emr.ClassPrescription).Record
	ask := func(purposes ...emr.Purpose) *ledgerapi.DecisionReceipt {
		args := s.ask(s.record.Record)
		args.Wish = &emr.Wish{Records: []emr.RecordID{second}, Purposes: append([]emr.Purpose{}, purposes...)}
		return s.Do(t, s.reader, ledgerapi.RequestAccess, args).(*ledgerapi.DecisionReceipt)
	}
	require.Equal(t, emr.Deny, ask(emr.PurposePayment).Decision, "one that nobody could grant denies all")
	s.give(t)
	require.Equal(t, emr.Ask, ask().Decision, "one that is covered is not all")
	both := s.Grant(s.scope, s.reader, s.record.Record, second)
	s.Do(t, s.patient, ledgerapi.GrantAccess, both)
	receipt := ask()
	require.Equal(t, []any{emr.Permit, both.Terms.Grant}, []any{receipt.Decision, receipt.Grant})
	require.Equal(t, emr.Ask, ask(emr.PurposeResearch).Decision)
	s.Do(t, s.patient, ledgerapi.GrantAccess, s.Grant(s.scope, s.reader, second))
	require.Equal(t, emr.Ask, ask().Decision, "two grants are not one that gives all of it")
}

// TestAWishIsAnsweredByItselfOnlyWhereTheConsentPermitsAllOfIt: a device takes the
// reason for its leave to answer without asking the person.
func TestAWishIsAnsweredByItselfOnlyWhereTheConsentPermitsAllOfIt(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	other := s.Record(t, s.author, s.scope, emr.ClassMedicalImaging)
	permits := func(record emr.RecordID) consent.Document {
		return document(emr.Ask, allow(func(p *consent.Provision) { p.Records = []emr.RecordID{record} }))
	}
	wish := s.ask(s.record.Record)
	wish.Wish = &emr.Wish{Records: []emr.RecordID{other.Record}, Purposes: []emr.Purpose{}}
	for _, test := range []struct {
		document consent.Document
		reason   emr.Reason
	}{
		{permits(s.record.Record), emr.ReasonConsentAsks},
		{permits(other.Record), emr.ReasonConsentAsks},
		{document(emr.Permit), emr.ReasonConsentPermits},
	} {
		s.put(t, test.document)
		wish.Request = ledgertest.ID[emr.RequestID](emr.RequestPrefix)
		got := s.decides(t, s.reader, ledgerapi.RequestAccess, wish)
		require.Equal(t, []any{emr.Ask, test.reason}, []any{got.Decision, got.Reason})
	}
}
