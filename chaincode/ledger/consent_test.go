// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/chaincode/ledger"
	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/consent"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// consentArgs are those by which the patient puts a document as the next version.
func (s *scene) consentArgs(t testing.TB, d consent.Document) ledgerapi.PutConsentArgs {
	t.Helper()
	args := ledgerapi.PutConsentArgs{Patient: s.patient.Handle, Document: consent.Normal(d)}
	args.Previewed.People = []emr.ClinicianID{}
	current, err := ledger.GetConsent(s.Query(s.patient.Org), ledgerapi.ConsentQuery{Patient: s.patient.Handle})
	if err == nil {
		args.Replaces = current.Version
	}
	return args
}

func (s *scene) put(t testing.TB, d consent.Document) *ledgerapi.Receipt {
	t.Helper()
	return s.Do(t, s.patient, ledgerapi.PutConsent, s.consentArgs(t, d)).(*ledgerapi.Receipt)
}

func (s *scene) withdraw(t testing.TB) *ledgerapi.Receipt {
	t.Helper()
	return s.Do(t, s.patient, ledgerapi.WithdrawConsent,
		ledgerapi.WithdrawConsentArgs{Patient: s.patient.Handle}).(*ledgerapi.Receipt)
}

func (s *scene) consent(t testing.TB, version uint32) *consent.Consent {
	t.Helper()
	c, err := ledger.GetConsent(s.Query(s.Orgs[ledgertest.HospitalC]),
		ledgerapi.ConsentQuery{Patient: s.patient.Handle, Version: version})
	require.NoError(t, err)
	return c
}

func allow(change func(*consent.Provision)) consent.Provision {
	p := consent.Provision{Effect: emr.Permit}
	change(&p)
	return p
}

func exclude(change func(*consent.Provision)) consent.Provision {
	p := allow(change)
	p.Effect = emr.Deny
	return p
}

func atHospital(ids ...emr.OrgID) func(*consent.Provision) {
	return func(p *consent.Provision) { p.Hospitals = ids }
}

func person(ids ...emr.ClinicianID) func(*consent.Provision) {
	return func(p *consent.Provision) { p.People = ids }
}

func document(base emr.Decision, provisions ...consent.Provision) consent.Document {
	return consent.Document{Base: base, Provisions: provisions}
}

func TestAConsentIsPutVersionByVersion(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	_, err := ledger.GetConsent(s.Query(s.patient.Org), ledgerapi.ConsentQuery{Patient: s.patient.Handle})
	refuses(t, err, emr.CodeNotFound, "consent")
	first := document(emr.Ask, exclude(person(s.reader.ID)))
	require.Equal(t, "1", s.put(t, first).ID)
	s.Wait(time.Minute)
	signed := s.Sign(t, s.patient, ledgerapi.PutConsent, s.consentArgs(t, document(emr.Permit)))
	answer, err := s.Submit(t, s.Orgs[ledgertest.Regulator], ledgerapi.PutConsent, signed) // any gateway carries it
	require.NoError(t, err)
	require.Equal(t, "2", answer.(*ledgerapi.Receipt).ID)
	require.Equal(t, "3", s.withdraw(t).ID)

	second := s.consent(t, 2)
	require.Equal(t, &consent.Consent{
		V: 1, Patient: s.patient.Handle, Version: 2, Status: consent.Active, Document: consent.Normal(document(emr.Permit)),
		By: emr.ActorPatient, Action: signed.Digest(), At: s.Now,
	}, second)
	require.Equal(t, consent.Normal(first), s.consent(t, 1).Document)
	current := s.consent(t, 0)
	require.Equal(t, s.consent(t, 3), current)
	require.Equal(t, consent.Withdrawn, current.Status)
	require.Equal(t, consent.Nothing(), current.Document)

	_, err = ledger.GetConsent(s.Query(s.patient.Org), ledgerapi.ConsentQuery{Patient: s.patient.Handle, Version: 4})
	refuses(t, err, emr.CodeNotFound, "consent")
	_, err = ledger.GetConsent(s.Query(s.patient.Org), ledgerapi.ConsentQuery{Patient: "x"})
	refuses(t, err, emr.CodeInvalid, "patient")
	for _, version := range []uint32{1, 2, 3} {
		require.True(t, contains(s.trail(t, s.patient.Handle), func(e emr.AuditEntry) bool {
			return e.Consent == version && e.Ref == strconv.Itoa(int(version)) && e.Actor == emr.ActorPatient &&
				(e.Kind == emr.AuditConsent) == (version < 3) && (e.Kind == emr.AuditConsentWithdrawal) == (version == 3)
		}))
	}
	require.Equal(t, ledgerapi.EventConsentChanged, s.Events[len(s.Events)-1].Name)
}

func TestEveryVersionIsListedByExactKeys(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	view := s.Query(s.patient.Org)
	page, err := ledger.ListConsents(view, ledgerapi.PageQuery{Patient: s.patient.Handle})
	require.NoError(t, err)
	require.Equal(t, &ledgerapi.ConsentPage{Items: []consent.Consent{}}, page)
	for range 5 {
		s.put(t, document(emr.Ask))
	}
	noScan := ledgertest.Hooks{Fail: func(operation string) error {
		require.NotEqual(t, "scan", operation)
		return nil
	}}
	var got []uint32
	q := ledgerapi.PageQuery{Patient: s.patient.Handle, Limit: 2}
	for {
		page, err := ledger.ListConsents(s.Query(s.patient.Org).With(noScan), q)
		require.NoError(t, err)
		for _, c := range page.Items {
			got = append(got, c.Version)
		}
		if q.Bookmark = page.Bookmark; q.Bookmark == "" {
			break
		}
	}
	require.Equal(t, []uint32{5, 4, 3, 2, 1}, got)
	for name, bad := range map[string]ledgerapi.PageQuery{
		"another's bookmark":   {Patient: s.patient.Handle, Bookmark: "6"},
		"a bookmark of zero":   {Patient: s.patient.Handle, Bookmark: "0"},
		"a padded bookmark":    {Patient: s.patient.Handle, Bookmark: "05"},
		"no number":            {Patient: s.patient.Handle, Bookmark: "x"},
		"a negative limit":     {Patient: s.patient.Handle, Limit: -1},
		"a clinician":          {Clinician: s.reader.ID},
		"a patient of no form": {Patient: "x"},
	} {
		_, err := ledger.ListConsents(s.Query(s.patient.Org), bad)
		require.Equal(t, emr.CodeInvalid, emr.CodeOf(err), name)
	}
	s.Overwrite(ledgerapi.ConsentVersionKey(s.patient.Handle, 3), nil)
	_, err = ledger.ListConsents(s.Query(s.patient.Org), ledgerapi.PageQuery{Patient: s.patient.Handle})
	refuses(t, err, emr.CodeCorrupt, "missing")
}

func TestPuttingAConsentIsRefused(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	other := s.Patient(t, ledgertest.HospitalA)
	s.put(t, document(emr.Ask))
	s.put(t, document(emr.Deny))
	good := func() ledgerapi.PutConsentArgs {
		return s.consentArgs(t, document(emr.Ask, exclude(atHospital(ledgertest.HospitalB))))
	}
	require.Equal(t, uint32(2), good().Replaces)
	for name, test := range map[string]struct {
		by     ledgertest.Member
		change func(*ledgerapi.PutConsentArgs)
		code   emr.Code
		text   string
	}{
		"by another patient":           {other, func(*ledgerapi.PutConsentArgs) {}, emr.CodeForbidden, "another patient"},
		"by a clinician":               {s.reader, func(*ledgerapi.PutConsentArgs) {}, emr.CodeForbidden, "another patient"},
		"for a handle of no form":      {s.patient, func(a *ledgerapi.PutConsentArgs) { a.Patient = "x" }, emr.CodeInvalid, "patient"},
		"that replaces an old version": {s.patient, func(a *ledgerapi.PutConsentArgs) { a.Replaces = 1 }, emr.CodeStale, "version 2"},
		"as if it were the first":      {s.patient, func(a *ledgerapi.PutConsentArgs) { a.Replaces = 0 }, emr.CodeStale, "version 2"},
		"that replaces a later one":    {s.patient, func(a *ledgerapi.PutConsentArgs) { a.Replaces = 3 }, emr.CodeStale, "version 2"},
		"with a base of its own":       {s.patient, func(a *ledgerapi.PutConsentArgs) { a.Document.Base = "yes" }, emr.CodeInvalid, "base"},
		"with a name nobody has": {s.patient, func(a *ledgerapi.PutConsentArgs) {
			a.Document = consent.Normal(document(emr.Ask, exclude(atHospital("HospitalXMSP"))))
		}, emr.CodeInvalid, "not registered"},
		"with a past end": {s.patient, func(a *ledgerapi.PutConsentArgs) { a.Document.Provisions[0].Until = s.Now }, emr.CodeInvalid, "over"},
		"with a preview without its hash": {s.patient, func(a *ledgerapi.PutConsentArgs) {
			a.Previewed.At = s.Now
		}, emr.CodeInvalid, "previewed.basis"},
		"with people without a hash": {s.patient, func(a *ledgerapi.PutConsentArgs) {
			a.Previewed.People = []emr.ClinicianID{s.reader.ID}
		}, emr.CodeInvalid, "previewed.basis"},
		"without a list of people": {s.patient, func(a *ledgerapi.PutConsentArgs) { a.Previewed.People = nil }, emr.CodeInvalid, "previewed.people"},
		"with people of no form": {s.patient, func(a *ledgerapi.PutConsentArgs) {
			a.Previewed.People = []emr.ClinicianID{"x"}
		}, emr.CodeInvalid, "previewed.people"},
		"with a preview of the future": {s.patient, func(a *ledgerapi.PutConsentArgs) {
			a.Previewed.At, a.Previewed.Basis = s.Now.Add(time.Hour), emr.Digest{1}
		}, emr.CodeInvalid, "previewed.at"},
		"with a forged hash of a preview": {s.patient, func(a *ledgerapi.PutConsentArgs) {
			a.Previewed.At, a.Previewed.Basis = s.Now, emr.Digest{1}
		}, emr.CodeStale, "preview again"},
	} {
		t.Run(name, func(t *testing.T) {
			args := good()
			test.change(&args)
			before := s.Dump()
			_, err := s.Try(t, test.by, ledgerapi.PutConsent, args)
			refuses(t, err, test.code, test.text)
			require.Equal(t, before, s.Dump())
		})
	}
	s.Do(t, s.patient, ledgerapi.PutConsent, good())
}

func TestTwoDevicesDoNotOverwriteOneAnother(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	for _, replaces := range []uint32{0, 1} {
		args := s.consentArgs(t, document(emr.Ask))
		require.Equal(t, replaces, args.Replaces)
		var txs []*ledgertest.Tx
		for range 2 {
			tx := s.Begin(s.Facts(s.patient.Org.Gateway))
			_, err := ledger.PutConsent(tx, ledgertest.Raw(t, s.Sign(t, s.patient, ledgerapi.PutConsent, args)))
			require.NoError(t, err)
			txs = append(txs, tx)
		}
		require.NoError(t, txs[0].Commit())
		require.ErrorIs(t, txs[1].Commit(), ledgertest.ErrConflict)
	}
}

func TestWithdrawingIsOneCallAndNeverStale(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	other := s.Patient(t, ledgertest.HospitalA)
	early := s.Sign(t, s.patient, ledgerapi.WithdrawConsent, ledgerapi.WithdrawConsentArgs{Patient: s.patient.Handle})
	s.put(t, document(emr.Permit))
	s.put(t, document(emr.Ask))
	_, err := s.Try(t, other, ledgerapi.WithdrawConsent, ledgerapi.WithdrawConsentArgs{Patient: s.patient.Handle})
	refuses(t, err, emr.CodeForbidden, "another patient")
	_, err = s.Submit(t, s.patient.Org, ledgerapi.WithdrawConsent, early)
	require.NoError(t, err)
	require.Equal(t, consent.Withdrawn, s.consent(t, 0).Status)
	_, err = s.Try(t, s.patient, ledgerapi.WithdrawConsent, ledgerapi.WithdrawConsentArgs{Patient: s.patient.Handle})
	refuses(t, err, emr.CodeGone, "already withdrawn")
	s.put(t, document(emr.Ask))
	require.Equal(t, uint32(4), s.consent(t, 0).Version)
	s.Do(t, other, ledgerapi.WithdrawConsent, ledgerapi.WithdrawConsentArgs{Patient: other.Handle})
}
