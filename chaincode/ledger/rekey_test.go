// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger_test

import (
	"crypto/sha256"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/chaincode/ledger"
	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
	"github.com/emrys-health/emrys/pkg/manifest"
	"github.com/emrys-health/emrys/pkg/pre"
)

func TestARekeyedVersionGivesNothingAndItsSuccessorTakesItsPlace(t *testing.T) {
	t.Parallel()
	for name, by := range map[string]func(*scene) (ledgertest.Member, *ledgertest.Clinician){
		"by a clinician of the hospital": func(s *scene) (ledgertest.Member, *ledgertest.Clinician) { return s.author, s.author },
		"by the patient":                 func(s *scene) (ledgertest.Member, *ledgertest.Clinician) { return s.patient, s.patientAuthor() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			member, author := by(s)
			grant := s.give(t)
			session := s.broken(t)
			read := s.read(grant.Terms.Grant)
			s.disclose(t, s.reader, read)
			ticket := s.open(t, s.reader, read.Disclosure)
			m := s.rekeyOf(t, author, s.record, nil)
			require.Equal(t, emr.Permit, s.decides(t, member, ledgerapi.RekeyRecord, m).Decision)
			require.Equal(t, emr.ReasonRekeyed, s.check(t, ledgertest.Regulator, ticket).Reason)
			s.nobodyReads(t, s.record.Record, grant.Terms.Grant, session, emr.ReasonRekeyed)
			record := s.getRecord(t, m.Record)
			require.Equal(t, []any{true, s.record.Record, s.record.Record, ledgertest.HospitalA, uint32(2), author.ID},
				[]any{record.Rekeys, record.Previous, record.Series, record.Hospital, record.Version, record.Author})
			old := s.getRecord(t, s.record.Record)
			require.Equal(t, []any{emr.RecordRekeyed, m.Record}, []any{old.Status, old.SupersededBy})
			manifest, err := ledger.GetManifest(s.Query(s.Orgs[ledgertest.HospitalB]), ledgerapi.RecordQuery{Record: m.Record})
			require.NoError(t, err)
			require.Equal(t, author.ID, manifest.Author.ID)
			require.Equal(t, member.ActorKey().Public().Bytes(), manifest.Author.Signing.Key)

			view := s.erasure(t, old.Order)
			require.Equal(t, []any{emr.OrderRekey, m.Record, holders()}, []any{view.Erasure.Kind, view.Erasure.Successor, view.Erasure.Holders})
			require.Equal(t, s.record.CID, view.Parts[0].Records[0].CID)
			require.Len(t, view.Parts[0].Records, 1, "the successor lives")
			s.confirmAll(t, old.Order, holders()...)
			require.Equal(t, emr.ErasureComplete, s.erasure(t, old.Order).State)
			next := s.Grant(s.scope, s.reader, m.Record)
			s.Do(t, s.patient, ledgerapi.GrantAccess, next)
			read = s.read(next.Terms.Grant)
			read.Record = m.Record
			require.Equal(t, emr.Permit, s.disclose(t, s.reader, read).Decision)
			read = s.read(grant.Terms.Grant)
			read.Record = m.Record
			require.Equal(t, emr.ReasonNotCovered, s.disclose(t, s.reader, read).Reason, "a grant of the old version gives nothing of the new")
		})
	}
}

func TestARekeyIsFoundAfterThePatientsKeysChanged(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	key := s.patient.Consent.Public().Bytes()
	m := s.rekeyOf(t, s.patientAuthor(), s.record, nil)
	s.Do(t, s.patient, ledgerapi.RekeyRecord, m)
	next := rekeyed(t, s.patient)
	s.Do(t, s.patient, ledgerapi.RotatePatientKeys, rotation(t, s.Consortium, next, 0))
	view, err := ledger.GetManifest(s.Query(s.Orgs[ledgertest.HospitalB]), ledgerapi.RecordQuery{Record: m.Record})
	require.NoError(t, err)
	require.Equal(t, key, view.Author.Signing.Key, "what was signed then is verified by the key of then")
}

func TestARekeyIsRefused(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	stranger := s.Clinician(t, ledgertest.HospitalB, emr.RolePhysician, emr.LevelPrivate)
	s.Accept(t, s.patient, stranger)
	elsewhere := s.Scope(t, s.patient, emr.LevelPrivate)
	superseded := s.Record(t, s.author, s.scope, emr.ClassMedicalImaging)
	s.Do(t, s.author, ledgerapi.RegisterRecord, s.next(t, superseded, nil))
	restricted := s.Manifest(t, s.author, s.scope, emr.ClassMedicalImaging)
	restricted.Labels = []emr.Label{emr.Labels()[0]}
	s.Complete(t, restricted, s.author, s.scope)
	s.Do(t, s.author, ledgerapi.RegisterRecord, restricted)
	other := s.Patient(t, ledgertest.HospitalA)
	nurse := s.Clinician(t, ledgertest.HospitalA, emr.RoleResearcher, emr.LevelPrivate)
	for name, test := range map[string]struct {
		by     ledgertest.Member
		author *ledgertest.Clinician
		of     *emr.Manifest
		change func(*emr.Manifest)
		code   emr.Code
	}{
		"by another hospital":        {stranger, stranger, s.record, nil, emr.CodeForbidden},
		"by who may not write":       {nurse, nurse, s.record, nil, emr.CodeRule},
		"by another patient":         {other, s.patientAuthor(), s.record, nil, emr.CodeForbidden},
		"of nothing":                 {s.author, s.author, s.record, func(m *emr.Manifest) { m.Previous, m.Version = "", 1 }, emr.CodeInvalid},
		"of an unknown version":      {s.author, s.author, s.record, func(m *emr.Manifest) { m.Previous = ledgertest.ID[emr.RecordID]("rec_") }, emr.CodeNotFound},
		"of a superseded version":    {s.author, s.author, superseded, nil, emr.CodeStale},
		"of another class":           {s.author, s.author, s.record, func(m *emr.Manifest) { m.Class = emr.ClassPrescription }, emr.CodeInvalid},
		"of another length":          {s.author, s.author, s.record, func(m *emr.Manifest) { m.PlainSize++; m.CipherSize++ }, emr.CodeInvalid},
		"without the label":          {s.author, s.author, restricted, func(m *emr.Manifest) { m.Labels = nil }, emr.CodeInvalid},
		"with a label":               {s.author, s.author, s.record, func(m *emr.Manifest) { m.Labels = restricted.Labels }, emr.CodeInvalid},
		"into another scope":         {s.author, s.author, s.record, func(m *emr.Manifest) { m.Scope = elsewhere.ID }, emr.CodeInvalid},
		"with a version left out":    {s.author, s.author, s.record, func(m *emr.Manifest) { m.Version++ }, emr.CodeInvalid},
		"under the version's own id": {s.author, s.author, s.record, func(m *emr.Manifest) { m.Record = s.record.Record }, emr.CodeExists},
		"with somebody else's proof": {s.patient, s.author, s.record, nil, emr.CodeCorrupt},
	} {
		t.Run(name, func(t *testing.T) {
			m := s.rekeyOf(t, test.author, test.of, test.change)
			before := s.Dump()
			_, err := s.Try(t, test.by, ledgerapi.RekeyRecord, m)
			refuses(t, err, test.code, "")
			require.Equal(t, before, s.Dump())
		})
	}
	t.Run("after it has been re-keyed", func(t *testing.T) {
		s.rekeyed(t, s.record)
		_, err := s.Try(t, s.author, ledgerapi.RekeyRecord, s.rekeyOf(t, s.author, s.record, nil))
		refuses(t, err, emr.CodeGone, "new key")
		_, err = s.Try(t, s.author, ledgerapi.RegisterRecord, s.next(t, s.record, nil))
		refuses(t, err, emr.CodeStale, "newer version")
	})
}

func TestAHeldVersionIsNotRekeyed(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	require.NoError(t, s.hold(s.Orgs[ledgertest.HospitalA].Admin,
		ledgerapi.HoldRecordArgs{Record: s.record.Record, Hold: true, Ground: emr.HoldInvestigation}))
	m := s.rekeyOf(t, s.author, s.record, nil)
	require.Equal(t, emr.ReasonHeldInvestigation, s.decides(t, s.author, ledgerapi.RekeyRecord, m).Reason)
	require.Equal(t, emr.RecordLive, s.getRecord(t, s.record.Record).Status)
	_, err := ledger.GetRecord(s.Query(s.Orgs[ledgertest.HospitalA]), ledgerapi.RecordQuery{Record: m.Record})
	refuses(t, err, emr.CodeNotFound, "")
	last := s.trail(t, s.patient.Handle)[0]
	require.Equal(t, []any{emr.AuditRekeyed, emr.Deny, emr.ReasonHeldInvestigation}, []any{last.Kind, last.Decision, last.Reason})
}

// TestWhatCannotBeRekeyedIsRefusedAndNotDeniedByAHold: who may not re-key a version, and what cannot be, learns nothing of a hold and
// leaves nothing in the patient's trail.
func TestWhatCannotBeRekeyedIsRefusedAndNotDeniedByAHold(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	stranger := s.Clinician(t, ledgertest.HospitalB, emr.RolePhysician, emr.LevelPrivate)
	s.Accept(t, s.patient, stranger)
	superseded := s.Record(t, s.author, s.scope, emr.ClassMedicalImaging)
	s.Do(t, s.author, ledgerapi.RegisterRecord, s.next(t, superseded, nil))
	for _, held := range []*emr.Manifest{s.record, superseded} {
		args := ledgerapi.HoldRecordArgs{Record: held.Record, Hold: true, Ground: emr.HoldLitigation}
		require.NoError(t, s.hold(s.Orgs[ledgertest.HospitalA].Admin, args))
	}
	for name, test := range map[string]struct {
		by     *ledgertest.Clinician
		of     *emr.Manifest
		change func(*emr.Manifest)
		code   emr.Code
	}{
		"by another hospital":     {stranger, s.record, nil, emr.CodeForbidden},
		"of a superseded version": {s.author, superseded, nil, emr.CodeStale},
		"of another class":        {s.author, s.record, func(m *emr.Manifest) { m.Class = emr.ClassPrescription }, emr.CodeInvalid},
		"with a version left out": {s.author, s.record, func(m *emr.Manifest) { m.Version++ }, emr.CodeInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			m := s.rekeyOf(t, test.by, test.of, test.change)
			before := s.Dump()
			_, err := s.Try(t, test.by, ledgerapi.RekeyRecord, m)
			refuses(t, err, test.code, "")
			require.Equal(t, before, s.Dump())
		})
	}
}

// TestARekeyFollowsTheEpochs: a version of an epoch that is over moves to the next.
func TestARekeyFollowsTheEpochs(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	old := s.scope
	s.rolled(t)
	s.rolled(t)
	stale := s.Manifest(t, s.author, old, s.record.Class)
	stale.Previous, stale.Version = s.record.Record, 2
	s.Complete(t, stale, s.author, old)
	_, err := s.Try(t, s.author, ledgerapi.RekeyRecord, stale)
	refuses(t, err, emr.CodeStale, "epoch is over")
	m := s.rekeyed(t, s.record)
	require.Equal(t, uint32(3), m.Epoch)
	s.Do(t, s.patient, ledgerapi.GrantAccess, s.Grant(s.scope, s.reader, m.Record))
}

// TestCachedFragmentsOfAVersionOpenNothingOfItsRekeyedSuccessor: what a reader has
// kept of the old version, with the reader's own key, is of no use against the new one.
func TestCachedFragmentsOfAVersionOpenNothingOfItsRekeyedSuccessor(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	scope, signer, reader := ledgertest.NewKey(t), ledgertest.NewKey(t), ledgertest.NewKey(t)
	encapsulated := func(m *emr.Manifest) (*pre.Capsule, [32]byte) {
		entry := &emr.Clinician{ID: s.author.ID, Signing: emr.PinnedKey{Kind: emr.SignatureP256, Key: s.author.Key.Public().Bytes()}}
		ctx, err := manifest.Context(ledgertest.Channel, m, entry, &emr.Scope{ID: s.scope.ID, Delegating: scope.Public().Bytes()}).Hash()
		require.NoError(t, err)
		capsule, _, err := pre.Encapsulate(nil, scope.Public(), ctx)
		require.NoError(t, err)
		return capsule, ctx
	}
	old, ctx := encapsulated(s.record)
	next, nextCtx := encapsulated(s.rekeyOf(t, s.author, s.record, nil))
	params := pre.ReencryptParams{
		Delegating: scope.Public(), Reader: reader.Public(), Signer: signer.Public(), Context: ctx,
		Grant: sha256.Sum256([]byte("grant")), Request: sha256.Sum256([]byte("ticket")),
	}
	keys, err := pre.Rekey(nil, scope, signer.Signer(), pre.RekeyParams{
		Grant: params.Grant, Reader: reader.Public(), Gateways: []string{"A", "B"}, Threshold: 2,
	})
	require.NoError(t, err)
	var cached []*pre.CapsuleFragment
	for _, key := range keys {
		p := params
		p.Gateway = key.Gateway()
		fragment, err := pre.Reencrypt(nil, old, key, p)
		require.NoError(t, err)
		cached = append(cached, fragment)
	}
	_, err = pre.Open(reader, old, 2, params, cached)
	require.NoError(t, err, "they opened the old version")
	_, err = pre.Open(reader, next, 2, params, cached)
	require.Error(t, err)
	params.Context = nextCtx
	_, err = pre.Open(reader, next, 2, params, cached)
	require.Error(t, err)
}

func TestRequestsForARekeyedVersionAreClosedAsSuch(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	ask := s.ask(s.record.Record)
	s.Do(t, s.reader, ledgerapi.RequestAccess, ask)
	s.rekeyed(t, s.record)
	order := s.getRecord(t, s.record.Record).Order
	_, err := told(t, s, s.Orgs[ledgertest.HospitalB].Gateway, ledger.ContinueErasure,
		ledgerapi.ContinueErasureArgs{Erasure: order, Grants: []emr.GrantID{}, Requests: []emr.RequestID{ask.Request}, Amendments: []emr.AmendmentID{}})
	require.NoError(t, err)
	require.Equal(t, emr.ReasonRekeyed, s.getRequest(t, ask.Request).Reason)
	require.Empty(t, s.Private(ledgerapi.NoteKey(ask.Request)))
}
