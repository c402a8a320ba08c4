// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/chaincode/ledger"
	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

func TestACopyIsComparedWithWhatWasRegistered(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	whole := ledgerapi.IntegrityQuery{Record: s.record.Record, CID: s.record.CID, Digest: s.record.Digest, Size: s.record.CipherSize}
	check := func(q ledgerapi.IntegrityQuery) *ledgerapi.IntegrityView {
		t.Helper()
		view, err := ledger.CheckIntegrity(s.Query(s.Orgs[ledgertest.HospitalC]), q)
		require.NoError(t, err)
		return view
	}
	view := check(whole)
	require.Equal(t, []any{ledgerapi.VerdictMatches, ledgerapi.ManifestMatches}, []any{view.Verdict, view.Manifest})
	require.Equal(t, []string{}, view.Differs)
	for name, test := range map[string]struct {
		change  func(*ledgerapi.IntegrityQuery)
		differs []string
	}{
		"another content id": {func(q *ledgerapi.IntegrityQuery) { q.CID = ledgertest.CID("x") }, []string{"cid"}},
		"another digest":     {func(q *ledgerapi.IntegrityQuery) { q.Digest[31] ^= 1 }, []string{"digest"}},
		"another length":     {func(q *ledgerapi.IntegrityQuery) { q.Size-- }, []string{"size"}},
		"nothing":            {func(q *ledgerapi.IntegrityQuery) { *q = ledgerapi.IntegrityQuery{Record: q.Record} }, []string{"cid", "digest", "size"}},
	} {
		t.Run(name, func(t *testing.T) {
			q := whole
			test.change(&q)
			view := check(q)
			require.Equal(t, ledgerapi.VerdictDiffers, view.Verdict)
			require.Equal(t, test.differs, view.Differs)
		})
	}
	key := ledgerapi.ManifestKey(s.record.Record)
	kept := s.Private(key)
	damaged := slices.Clone(kept)
	damaged[len(damaged)/2] ^= 1
	for name, test := range map[string]struct {
		data []byte
		want ledgerapi.ManifestVerdict
	}{
		"a peer that holds no manifest":     {nil, ledgerapi.ManifestAbsent},
		"a peer whose manifest is altered":  {damaged, ledgerapi.ManifestDiffers},
		"a peer that holds another value":   {[]byte("{}"), ledgerapi.ManifestDiffers},
		"a peer that has received it again": {kept, ledgerapi.ManifestMatches},
	} {
		t.Run(name, func(t *testing.T) {
			s.OverwritePrivate(key, test.data)
			require.Equal(t, test.want, check(whole).Manifest)
			s.OverwritePrivate(key, kept)
		})
	}
	second := s.next(t, s.record, nil)
	s.Do(t, s.author, ledgerapi.RegisterRecord, second)
	require.Equal(t, ledgerapi.VerdictSuperseded, check(whole).Verdict)
	wrong := whole
	wrong.Size++
	require.Equal(t, ledgerapi.VerdictDiffers, check(wrong).Verdict, "it is a newer version's turn only when this one is whole")
	s.erased(t, second.Record)
	view = check(whole)
	require.Equal(t, []any{ledgerapi.VerdictErased, ledgerapi.ManifestPurged}, []any{view.Verdict, view.Manifest})
	require.Equal(t, ledgerapi.VerdictErased, check(wrong).Verdict)

	_, err := ledger.CheckIntegrity(s.View(s.Facts(s.Orgs[ledgertest.HospitalC].Admin)), whole)
	refuses(t, err, emr.CodeForbidden, "gateway")
	for record, code := range map[emr.RecordID]emr.Code{"x": emr.CodeInvalid, ledgertest.ID[emr.RecordID]("rec_"): emr.CodeNotFound} {
		_, err := ledger.CheckIntegrity(s.Query(s.Orgs[ledgertest.HospitalC]), ledgerapi.IntegrityQuery{Record: record})
		refuses(t, err, code, "")
		_, err = ledger.GetIntegrity(s.Query(s.Orgs[ledgertest.HospitalC]), ledgerapi.RecordQuery{Record: record})
		refuses(t, err, code, "")
	}
}

func TestAMissingOrAlteredCopyIsReportedAndRepaired(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	head := s.head(t, s.patient.Handle)
	report := func(org emr.OrgID, finding emr.IntegrityFinding, digest emr.Digest, size uint64) error {
		_, err := told(t, s, s.Orgs[org].Gateway, ledger.ReportIntegrity,
			ledgerapi.ReportIntegrityArgs{Record: s.record.Record, Finding: finding, Digest: digest, Size: size})
		return err
	}
	found := func() []emr.IntegrityReport {
		list, err := ledger.GetIntegrity(s.Query(s.Orgs[ledgertest.HospitalA]), ledgerapi.RecordQuery{Record: s.record.Record})
		require.NoError(t, err)
		return list.Items
	}
	refuses(t, report(ledgertest.HospitalB, emr.FindingWhole, s.record.Digest, s.record.CipherSize), emr.CodeRule, "nothing was reported")
	require.NoError(t, report(ledgertest.HospitalB, emr.FindingMissing, emr.Digest{}, 0))
	require.NoError(t, report(ledgertest.HospitalC, emr.FindingAltered, emr.Digest{1}, s.record.CipherSize))
	all := found()
	require.Len(t, all, 2)
	require.Equal(t, []any{ledgertest.HospitalB, emr.FindingMissing, ledgertest.HospitalC, emr.FindingAltered},
		[]any{all[0].Org, all[0].Finding, all[1].Org, all[1].Finding})
	require.NoError(t, report(ledgertest.HospitalB, emr.FindingWhole, s.record.Digest, s.record.CipherSize))
	require.Equal(t, emr.FindingWhole, found()[0].Finding)
	trail := s.trail(t, s.patient.Handle)
	require.Equal(t, []any{emr.AuditIntegrity, emr.Permit, ledgertest.HospitalB, s.record.Record},
		[]any{trail[0].Kind, trail[0].Decision, trail[0].Org, trail[0].Record})
	require.Equal(t, emr.Deny, trail[1].Decision)
	require.Equal(t, head, s.head(t, s.patient.Handle), "a sweep waits for nobody")
	last := s.Events[len(s.Events)-1]
	require.Equal(t, ledgerapi.EventIntegrity, last.Name)
	require.Contains(t, string(last.Payload), s.record.CID, "for whoever repairs")

	for name, test := range map[string]struct {
		args ledgerapi.ReportIntegrityArgs
		code emr.Code
	}{
		"missing, with a digest":             {ledgerapi.ReportIntegrityArgs{Finding: emr.FindingMissing, Digest: emr.Digest{1}}, emr.CodeInvalid},
		"missing, with a length":             {ledgerapi.ReportIntegrityArgs{Finding: emr.FindingMissing, Size: 1}, emr.CodeInvalid},
		"altered, and like the record":       {ledgerapi.ReportIntegrityArgs{Finding: emr.FindingAltered, Digest: s.record.Digest, Size: s.record.CipherSize}, emr.CodeInvalid},
		"altered, without a digest":          {ledgerapi.ReportIntegrityArgs{Finding: emr.FindingAltered}, emr.CodeInvalid},
		"whole, and unlike the record":       {ledgerapi.ReportIntegrityArgs{Finding: emr.FindingWhole, Digest: emr.Digest{1}, Size: s.record.CipherSize}, emr.CodeInvalid},
		"whole, of another length":           {ledgerapi.ReportIntegrityArgs{Finding: emr.FindingWhole, Digest: s.record.Digest}, emr.CodeInvalid},
		"nothing":                            {ledgerapi.ReportIntegrityArgs{}, emr.CodeInvalid},
		"whole twice":                        {ledgerapi.ReportIntegrityArgs{Finding: emr.FindingWhole, Digest: s.record.Digest, Size: s.record.CipherSize}, emr.CodeRule},
		"about a record of another form":     {ledgerapi.ReportIntegrityArgs{Record: "x", Finding: emr.FindingMissing}, emr.CodeInvalid},
		"about a record that is not there":   {ledgerapi.ReportIntegrityArgs{Record: ledgertest.ID[emr.RecordID]("rec_"), Finding: emr.FindingMissing}, emr.CodeNotFound},
		"about a copy that is to be missing": {ledgerapi.ReportIntegrityArgs{Record: s.erasedAnother(t), Finding: emr.FindingMissing}, emr.CodeGone},
	} {
		t.Run(name, func(t *testing.T) {
			if test.args.Record == "" {
				test.args.Record = s.record.Record
			}
			_, err := told(t, s, s.Orgs[ledgertest.HospitalB].Gateway, ledger.ReportIntegrity, test.args)
			refuses(t, err, test.code, "")
		})
	}
	for _, caller := range []*ledger.Caller{s.Orgs[ledgertest.HospitalB].Admin, {MSP: ledgertest.HospitalB}} {
		_, err := told(t, s, caller, ledger.ReportIntegrity, ledgerapi.ReportIntegrityArgs{Record: s.record.Record, Finding: emr.FindingMissing})
		require.Error(t, err)
	}
}

func (s *scene) erasedAnother(t *testing.T) emr.RecordID {
	t.Helper()
	m := s.Record(t, s.author, s.scope, emr.ClassPrescription)
	s.erased(t, m.Record)
	return m.Record
}
