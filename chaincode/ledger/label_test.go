// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/chaincode/ledger"
	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/consent"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

func (s *scene) labelled(t testing.TB, labels ...emr.Label) *emr.Manifest {
	t.Helper()
	m := s.Manifest(t, s.author, s.scope, emr.ClassMedicalInformation)
	m.Labels = labels
	s.Do(t, s.author, ledgerapi.RegisterRecord, m)
	return m
}

func TestLabelsStayPrivateAndTheirPresenceIsPublic(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	m := s.labelled(t, emr.LabelHIV, emr.LabelMentalHealth)
	view, err := ledger.GetManifest(s.Query(s.Orgs[ledgertest.HospitalA]), ledgerapi.RecordQuery{Record: m.Record})
	require.NoError(t, err)
	require.True(t, view.Record.Restricted)
	require.Contains(t, string(view.Signed.Body), `"labels":["hiv","mental-health"]`)
	for _, label := range emr.Labels() {
		require.NotContains(t, s.Dump(), `"`+string(label)+`"`, "%s", label)
	}
	plain, err := ledger.GetRecord(s.Query(s.Orgs[ledgertest.HospitalA]), ledgerapi.RecordQuery{Record: s.record.Record})
	require.NoError(t, err)
	require.False(t, plain.Restricted)
}

func TestLabelsAreRefused(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	for name, labels := range map[string][]emr.Label{
		"unknown": {"secret"}, "twice": {emr.LabelHIV, emr.LabelHIV}, "out of order": {emr.LabelHIV, emr.LabelGenetic},
	} {
		m := s.Manifest(t, s.author, s.scope, emr.ClassMedicalInformation)
		m.Labels = labels
		_, err := s.Try(t, s.author, ledgerapi.RegisterRecord, m)
		require.Equal(t, emr.CodeInvalid, emr.CodeOf(err), name)
	}
}

func TestANewVersionDoesNotLoseTheLabel(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	m := s.labelled(t, emr.LabelGenetic)
	bare := s.next(t, m, func(next *emr.Manifest) { next.Labels = nil })
	_, err := s.Try(t, s.author, ledgerapi.RegisterRecord, bare)
	refuses(t, err, emr.CodeRule, "labels")
	s.Do(t, s.author, ledgerapi.RegisterRecord, s.next(t, m, func(next *emr.Manifest) { next.Labels = []emr.Label{emr.LabelHIV} }))
	s.Do(t, s.author, ledgerapi.RegisterRecord, s.next(t, s.record, func(next *emr.Manifest) { next.Labels = []emr.Label{emr.LabelHIV} }))
}

func TestARestrictedRecordIsOutsideOfGeneralPermits(t *testing.T) {
	t.Parallel()
	hospital := allow(atHospital(ledgertest.HospitalB))
	named := allow(func(p *consent.Provision) { p.Hospitals, p.Restricted = []emr.OrgID{ledgertest.HospitalB}, true })
	scoped := func(s *scene) consent.Provision {
		return allow(func(p *consent.Provision) { p.Scopes, p.Restricted = []emr.ScopeID{s.scope.ID}, true })
	}
	for name, test := range map[string]struct {
		document func(*scene) consent.Document
		decision emr.Decision
		reason   emr.Reason
	}{
		"a general permit":             {func(*scene) consent.Document { return document(emr.Deny, hospital) }, emr.Deny, emr.ReasonConsentDenies},
		"a general permit, else asked": {func(*scene) consent.Document { return document(emr.Ask, hospital) }, emr.Ask, emr.ReasonConsentAsks},
		"a base that permits":          {func(*scene) consent.Document { return document(emr.Permit) }, emr.Ask, emr.ReasonConsentRestricted},
		"a permit that names it":       {func(*scene) consent.Document { return document(emr.Deny, named) }, emr.Ask, emr.ReasonConsentPermits},
		"a permit for its scope":       {func(s *scene) consent.Document { return document(emr.Deny, scoped(s)) }, emr.Ask, emr.ReasonConsentPermits},
		"no consent":                   {nil, emr.Ask, emr.ReasonNoGrant},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			s.record = s.labelled(t, emr.LabelSubstanceUse)
			if test.document != nil {
				s.put(t, test.document(s))
			}
			receipt, _ := s.asks(t, s.reader, emr.PurposeTreatment)
			require.Equal(t, test.decision, receipt.Decision)
			require.Equal(t, test.reason, receipt.Reason)
		})
	}
}

// TestAGrantOfAScopeDoesNotCarryRestrictedRecordsAlong: a grant of everything is
// general, with or without a consent. Naming the record, or the label, is not.
func TestAGrantOfAScopeDoesNotCarryRestrictedRecordsAlong(t *testing.T) {
	t.Parallel()
	hospital := allow(atHospital(ledgertest.HospitalB))
	named := allow(func(p *consent.Provision) { p.Hospitals, p.Restricted = []emr.OrgID{ledgertest.HospitalB}, true })
	for name, test := range map[string]struct {
		document consent.Document
		plain    emr.Reason // of a reading of the plain record
		guarded  emr.Reason // of the restricted one under the grant of the scope
		byName   emr.Reason // and under a grant that names it; empty when it cannot be given
	}{
		"no consent":                {consent.Document{}, emr.ReasonGrant, emr.ReasonConsentRestricted, emr.ReasonGrant},
		"a base that asks":          {document(emr.Ask), emr.ReasonGrant, emr.ReasonConsentRestricted, emr.ReasonGrant},
		"a base that permits":       {document(emr.Permit), emr.ReasonGrant, emr.ReasonConsentRestricted, emr.ReasonGrant},
		"a general permit":          {document(emr.Deny, hospital), emr.ReasonGrant, emr.ReasonConsentDenies, ""},
		"a permit that names it":    {document(emr.Ask, named), emr.ReasonGrant, emr.ReasonGrant, emr.ReasonGrant},
		"both, general and by name": {document(emr.Deny, hospital, named), emr.ReasonGrant, emr.ReasonGrant, emr.ReasonGrant},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			if test.document.Base != "" {
				s.put(t, test.document)
			}
			grant := s.Grant(s.scope, s.reader)
			s.Do(t, s.patient, ledgerapi.GrantAccess, grant)
			require.Equal(t, test.plain, s.disclose(t, s.reader, s.read(grant.Terms.Grant)).Reason)
			s.record = s.labelled(t, emr.LabelReproductive)
			require.Equal(t, test.guarded, s.disclose(t, s.reader, s.read(grant.Terms.Grant)).Reason)
			receipt, _ := s.asks(t, s.reader, emr.PurposeTreatment)
			require.Equal(t, test.guarded == emr.ReasonGrant, receipt.Decision == emr.Permit, receipt.Reason)
			one := s.Grant(s.scope, s.reader, s.record.Record)
			_, err := s.Try(t, s.patient, ledgerapi.GrantAccess, one)
			if test.byName == "" {
				refuses(t, err, emr.CodeRule, "change the consent first")
				return
			}
			require.NoError(t, err)
			require.Equal(t, test.byName, s.disclose(t, s.reader, s.read(one.Terms.Grant)).Reason)
		})
	}
}
