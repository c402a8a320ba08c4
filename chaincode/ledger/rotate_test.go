// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/chaincode/ledger"
	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
	"github.com/emrys-health/emrys/pkg/signature"
	"github.com/emrys-health/emrys/pkg/signature/signaturetest"
)

// rekeyed is a patient with other keys.
func rekeyed(t testing.TB, p *ledgertest.Patient) *ledgertest.Patient {
	t.Helper()
	next := *p
	next.Consent, next.Hybrid = ledgertest.NewKey(t), ledgertest.NewHybrid(t)
	return &next
}

func pinned(p *ledgertest.Patient) emr.PinnedKey {
	return emr.PinnedKey{Kind: emr.SignatureP256, Key: p.Consent.Public().Bytes()}
}

// rotation makes the arguments by which next's keys replace those of a version, proof included.
func rotation(t testing.TB, c *ledgertest.Consortium, next *ledgertest.Patient, version uint32) ledgerapi.RotatePatientKeysArgs {
	t.Helper()
	args := ledgerapi.RotatePatientKeysArgs{
		Patient: next.Handle, Version: version, Consent: pinned(next), Hybrid: next.Hybrid.Public().Bytes(),
	}
	args.Proof = c.Sign(t, next, ledgerapi.ProveKey, ledgerapi.ProveKeyArgs{
		Patient: args.Patient, Version: version, Consent: args.Consent, Hybrid: args.Hybrid,
	})
	return args
}

func patientKeys(t testing.TB, c *ledgertest.Consortium, p *ledgertest.Patient, version uint32) (*emr.PatientKeys, error) {
	t.Helper()
	return ledger.GetPatientKeys(c.Query(p.Org), ledgerapi.PatientKeysQuery{Patient: p.Handle, Version: version})
}

func TestAPatientReplacesBothKeysAndTheOldOnesAreFound(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	old, registered := s.patient, s.Now
	s.Wait(time.Hour)
	next := rekeyed(t, old)
	_, err := s.Submit(t, s.Orgs[ledgertest.HospitalC], ledgerapi.RotatePatientKeys,
		s.Sign(t, old, ledgerapi.RotatePatientKeys, rotation(t, s.Consortium, next, 0)))
	require.NoError(t, err, "any gateway may carry it")
	entry := s.trail(t, old.Handle)[0]
	require.Equal(t, emr.AuditKeys, entry.Kind)
	require.Equal(t, emr.ActorPatient, entry.Actor)
	require.Equal(t, "1", entry.Ref)
	require.Equal(t, ledgerapi.EventKeysReplaced, s.Events[len(s.Events)-1].Name)

	first, err := patientKeys(t, s.Consortium, old, 0)
	require.NoError(t, err)
	require.Equal(t, emr.PatientKeys{
		V: 1, Patient: old.Handle, Version: 0, Consent: pinned(old), Hybrid: old.Hybrid.Public().Bytes(), From: registered, Until: s.Now,
	}, *first)
	second, err := patientKeys(t, s.Consortium, old, 1)
	require.NoError(t, err)
	require.Equal(t, emr.PatientKeys{
		V: 1, Patient: old.Handle, Version: 1, Consent: pinned(next), Hybrid: next.Hybrid.Public().Bytes(), From: s.Now,
	}, *second)
	_, err = patientKeys(t, s.Consortium, old, 2)
	refuses(t, err, emr.CodeNotFound, "")

	scopes := ledgerapi.PublishScopesArgs{Patient: old.Handle, Scopes: []ledgerapi.NewScope{ledgertest.NewScope(t, emr.LevelLow)}}
	_, err = s.Try(t, old, ledgerapi.PublishScopes, scopes)
	refuses(t, err, emr.CodeUnauthenticated, "signature")
	s.Do(t, next, ledgerapi.PublishScopes, scopes)
}

func TestASignatureByAReplacedKeyIsStillVerifiable(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	signed := s.Sign(t, s.patient, ledgerapi.RevokeAccess, ledgerapi.Empty{})
	next := rekeyed(t, s.patient)
	s.Do(t, s.patient, ledgerapi.RotatePatientKeys, rotation(t, s.Consortium, next, 0))
	old, err := patientKeys(t, s.Consortium, s.patient, 0)
	require.NoError(t, err)
	require.NoError(t, signature.VerifyAction(signed, old.Consent))
	present, err := patientKeys(t, s.Consortium, s.patient, 1)
	require.NoError(t, err)
	require.Error(t, signature.VerifyAction(signed, present.Consent))
}

func TestOneKeyMayBeReplacedAlone(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	hybridOnly := *s.patient
	hybridOnly.Hybrid = ledgertest.NewHybrid(t)
	args := rotation(t, s.Consortium, &hybridOnly, 0)
	_, err := s.Try(t, s.patient, ledgerapi.RotatePatientKeys, args)
	refuses(t, err, emr.CodeInvalid, "proof")
	args.Proof = nil
	s.Do(t, s.patient, ledgerapi.RotatePatientKeys, args)
	consentOnly := hybridOnly
	consentOnly.Consent = ledgertest.NewKey(t)
	s.Do(t, &hybridOnly, ledgerapi.RotatePatientKeys, rotation(t, s.Consortium, &consentOnly, 1))
	last, err := patientKeys(t, s.Consortium, s.patient, 2)
	require.NoError(t, err)
	require.Equal(t, pinned(&consentOnly), last.Consent)
	require.Equal(t, hybridOnly.Hybrid.Public().Bytes(), last.Hybrid)
}

func TestAPatientMovesToAPasskeyAndBack(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	passkey := signaturetest.New(t, "emrys.example", "https://patient.emrys.example")
	args := ledgerapi.RotatePatientKeysArgs{
		Patient: s.patient.Handle, Consent: passkey.Pinned(t), Hybrid: s.patient.Hybrid.Public().Bytes(),
	}
	statement := ledgerapi.ProveKeyArgs{Patient: args.Patient, Consent: args.Consent, Hybrid: args.Hybrid}
	args.Proof = assertion(t, passkey, s.Action(t, s.patient, ledgerapi.ProveKey, statement), nil)
	s.Do(t, s.patient, ledgerapi.RotatePatientKeys, args)

	next := *s.patient
	next.Consent = ledgertest.NewKey(t)
	back := s.Action(t, &next, ledgerapi.RotatePatientKeys, rotation(t, s.Consortium, &next, 1))
	_, err := s.Submit(t, s.patient.Org, ledgerapi.RotatePatientKeys, assertion(t, passkey, back, nil))
	require.NoError(t, err)
}

func TestReplacingAPatientsKeysIsRefused(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	mallory := s.Patient(t, ledgertest.HospitalA)
	type args = ledgerapi.RotatePatientKeysArgs
	for name, test := range map[string]struct {
		change func(*testing.T, *ledgertest.Patient, *args)
		signer *ledgertest.Patient
		code   emr.Code
		text   string
	}{
		"without a proof":                  {change: func(_ *testing.T, _ *ledgertest.Patient, x *args) { x.Proof = nil }, code: emr.CodeInvalid, text: "proof"},
		"of a version that is not current": {change: func(t *testing.T, p *ledgertest.Patient, x *args) { *x = rotation(t, s.Consortium, p, 1) }, code: emr.CodeStale, text: "version"},
		"with a proof of another version":  {change: func(t *testing.T, p *ledgertest.Patient, x *args) { x.Proof = rotation(t, s.Consortium, p, 7).Proof }, code: emr.CodeInvalid, text: "another change"},
		"with a proof for another hybrid":  {change: func(t *testing.T, p *ledgertest.Patient, x *args) { x.Hybrid = mallory.Hybrid.Public().Bytes() }, code: emr.CodeInvalid, text: "another change"},
		"with a proof for another key": {change: func(t *testing.T, p *ledgertest.Patient, x *args) {
			x.Consent.Key = ledgertest.NewKey(t).Public().Bytes()
		}, code: emr.CodeInvalid, text: "another change"},
		"with a proof by the old key alone": {change: func(t *testing.T, p *ledgertest.Patient, x *args) {
			x.Proof = s.Sign(t, s.patient, ledgerapi.ProveKey, ledgerapi.ProveKeyArgs{Patient: x.Patient, Consent: x.Consent, Hybrid: x.Hybrid})
		}, code: emr.CodeUnauthenticated, text: "signature"},
		"with another patient's proof": {change: func(t *testing.T, p *ledgertest.Patient, x *args) {
			x.Proof = s.Sign(t, mallory, ledgerapi.ProveKey, ledgerapi.ProveKeyArgs{Patient: x.Patient, Consent: x.Consent, Hybrid: x.Hybrid})
		}, code: emr.CodeInvalid, text: "another person"},
		"with a proof that was an action": {change: func(t *testing.T, p *ledgertest.Patient, x *args) {
			x.Proof = s.Sign(t, p, ledgerapi.RotatePatientKeys, ledgerapi.ProveKeyArgs{Patient: x.Patient, Consent: x.Consent, Hybrid: x.Hybrid})
		}, code: emr.CodeInvalid, text: "function"},
		"with an expired proof": {change: func(t *testing.T, p *ledgertest.Patient, x *args) {
			proof := s.Action(t, p, ledgerapi.ProveKey, ledgerapi.ProveKeyArgs{Patient: x.Patient, Consent: x.Consent, Hybrid: x.Hybrid})
			proof.Issued, proof.Expires = s.Now-60, s.Now
			x.Proof = ledgertest.Seal(t, proof, p.Consent)
		}, code: emr.CodeUnauthenticated, text: "expired"},
		"by the same keys": {change: func(t *testing.T, _ *ledgertest.Patient, x *args) {
			*x = rotation(t, s.Consortium, s.patient, 0)
			x.Proof = nil
		}, code: emr.CodeInvalid, text: "replaces nothing"},
		"by a key that is none":         {change: func(_ *testing.T, _ *ledgertest.Patient, x *args) { x.Consent.Key = make([]byte, 33) }, code: emr.CodeInvalid, text: "consent"},
		"by a hybrid key that is none":  {change: func(_ *testing.T, _ *ledgertest.Patient, x *args) { x.Hybrid = x.Hybrid[1:] }, code: emr.CodeInvalid, text: "hybrid"},
		"by another patient":            {signer: mallory, code: emr.CodeForbidden, text: "another patient"},
		"of somebody who is no patient": {change: func(_ *testing.T, _ *ledgertest.Patient, x *args) { x.Patient = "hnd_1" }, code: emr.CodeInvalid, text: "patient"},
	} {
		t.Run(name, func(t *testing.T) {
			next := rekeyed(t, s.patient)
			x := rotation(t, s.Consortium, next, 0)
			if test.change != nil {
				test.change(t, next, &x)
			}
			signer := s.patient
			if test.signer != nil {
				signer = test.signer
			}
			before := s.Dump()
			_, err := s.Try(t, signer, ledgerapi.RotatePatientKeys, x)
			refuses(t, err, test.code, test.text)
			require.Equal(t, before, s.Dump())
		})
	}
}

func TestTheNewKeyAloneCannotReplaceTheOld(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	next := rekeyed(t, s.patient)
	_, err := s.Try(t, next, ledgerapi.RotatePatientKeys, rotation(t, s.Consortium, next, 0))
	refuses(t, err, emr.CodeUnauthenticated, "signature")
}

func TestAReplacedKeyNeverComesBack(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	next := rekeyed(t, s.patient)
	s.Do(t, s.patient, ledgerapi.RotatePatientKeys, rotation(t, s.Consortium, next, 0))
	_, err := s.Try(t, next, ledgerapi.RotatePatientKeys, rotation(t, s.Consortium, s.patient, 1))
	refuses(t, err, emr.CodeRule, "cannot come back")
	third := rekeyed(t, s.patient)
	s.Do(t, next, ledgerapi.RotatePatientKeys, rotation(t, s.Consortium, third, 1))
	for _, old := range []*ledgertest.Patient{s.patient, next} {
		_, err = s.Try(t, third, ledgerapi.RotatePatientKeys, rotation(t, s.Consortium, old, 2))
		refuses(t, err, emr.CodeRule, "cannot come back")
	}
}

func TestTwoRotationsOfOneVersionCannotBothCommit(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	var all []*ledgertest.Tx
	for range 2 {
		tx := s.Begin(s.Facts(s.patient.Org.Gateway))
		args := rotation(t, s.Consortium, rekeyed(t, s.patient), 0)
		_, err := ledger.RotatePatientKeys(tx, ledgertest.Raw(t, s.Sign(t, s.patient, ledgerapi.RotatePatientKeys, args)))
		require.NoError(t, err)
		all = append(all, tx)
	}
	require.NoError(t, all[0].Commit())
	require.ErrorIs(t, all[1].Commit(), ledgertest.ErrConflict)
}

func TestAnActionHeldBackDoesNotCommitAfterTheKeyIsReplaced(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	held := s.Begin(s.Facts(s.patient.Org.Gateway))
	_, err := ledger.GrantAccess(held, ledgertest.Raw(t, s.Sign(t, s.patient, ledgerapi.GrantAccess, s.Grant(s.scope, s.reader, s.record.Record))))
	require.NoError(t, err)
	s.Do(t, s.patient, ledgerapi.RotatePatientKeys, rotation(t, s.Consortium, rekeyed(t, s.patient), 0))
	require.ErrorIs(t, held.Commit(), ledgertest.ErrConflict)
}

func TestAClinicianReplacesReadingKeysAndGrantsToTheOldOneEnd(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	grant := s.give(t)
	old := *s.reader
	s.reader.Reading, s.reader.Hybrid = ledgertest.NewKey(t), ledgertest.NewHybrid(t)
	args := ledgerapi.RotateClinicianKeysArgs{
		Clinician: old.ID, Reading: s.reader.Reading.Public().Bytes(), Hybrid: s.reader.Hybrid.Public().Bytes(),
	}
	s.Do(t, s.reader, ledgerapi.RotateClinicianKeys, args)
	require.Equal(t, emr.ReasonReaderKey, s.disclose(t, s.reader, s.read(grant.Terms.Grant)).Reason)
	again := s.give(t)
	require.Equal(t, emr.Permit, s.disclose(t, s.reader, s.read(again.Terms.Grant)).Decision)

	was, err := ledger.GetClinicianKeys(s.Query(old.Org), ledgerapi.ClinicianKeysQuery{Clinician: old.ID})
	require.NoError(t, err)
	require.Equal(t, old.Reading.Public().Bytes(), was.Reading)
	is, err := ledger.GetClinicianKeys(s.Query(old.Org), ledgerapi.ClinicianKeysQuery{Clinician: old.ID, Version: 1})
	require.NoError(t, err)
	require.Equal(t, args.Reading, is.Reading)
	require.Equal(t, s.Now, is.KeysFrom)
	page, err := ledger.AuditByClinician(s.Query(old.Org), ledgerapi.PageQuery{Clinician: old.ID})
	require.NoError(t, err)
	require.Equal(t, []emr.AuditKind{emr.AuditKeys, emr.AuditClinician}, []emr.AuditKind{page.Items[0].Kind, page.Items[1].Kind})

	back := args
	back.Version, back.Reading = 1, old.Reading.Public().Bytes()
	_, err = s.Try(t, s.reader, ledgerapi.RotateClinicianKeys, back)
	refuses(t, err, emr.CodeRule, "cannot come back")
}

func TestReplacingAClinicianKeyIsRefused(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	type args = ledgerapi.RotateClinicianKeysArgs
	for name, test := range map[string]struct {
		change func(*args)
		via    emr.OrgID
		signer ledgertest.Member
		code   emr.Code
		text   string
	}{
		"by a colleague":                     {signer: s.author, code: emr.CodeForbidden, text: "another clinician"},
		"by a patient":                       {signer: s.patient, code: emr.CodeForbidden, text: "clinicians"},
		"through another hospital's gateway": {via: ledgertest.HospitalA, code: emr.CodeForbidden, text: "own organisation"},
		"of another version":                 {change: func(x *args) { x.Version = 1 }, code: emr.CodeStale, text: "version"},
		"by a key off the curve":             {change: func(x *args) { x.Reading = make([]byte, 33) }, code: emr.CodeInvalid, text: "reading"},
		"by a hybrid key that is none":       {change: func(x *args) { x.Hybrid = nil }, code: emr.CodeInvalid, text: "hybrid"},
		"by the same keys": {change: func(x *args) {
			x.Reading = s.reader.Reading.Public().Bytes()
			x.Hybrid = s.reader.Hybrid.Public().Bytes()
		}, code: emr.CodeInvalid, text: "replaces nothing"},
	} {
		t.Run(name, func(t *testing.T) {
			x := args{Clinician: s.reader.ID, Reading: ledgertest.NewKey(t).Public().Bytes(), Hybrid: s.reader.Hybrid.Public().Bytes()}
			if test.change != nil {
				test.change(&x)
			}
			signer, via := ledgertest.Member(s.reader), s.reader.Org
			if test.signer != nil {
				signer, via = test.signer, test.signer.Home()
			}
			if test.via != "" {
				via = s.Orgs[test.via]
			}
			before := s.Dump()
			_, err := s.Submit(t, via, ledgerapi.RotateClinicianKeys, s.Sign(t, signer, ledgerapi.RotateClinicianKeys, x))
			refuses(t, err, test.code, test.text)
			require.Equal(t, before, s.Dump())
		})
	}
}

// TestAManifestIsVerifiedByTheKeysOfItsTime fails when a renewed certificate makes
// what its owner signed before unreadable.
func TestAManifestIsVerifiedByTheKeysOfItsTime(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	until := s.Now.Std().Add(time.Hour)
	author := s.NewClinician(t, ledgertest.HospitalA, ledgertest.Wish{Role: "physician", Level: "private", Until: until})
	s.Do(t, author, ledgerapi.RegisterClinician, author.Args())
	first := s.Record(t, author, s.scope, emr.ClassMedicalImaging)
	request := s.ask(first.Record)
	s.Do(t, author, ledgerapi.RequestAccess, request)
	next := renewed(t, author, ledgertest.Wish{Role: "physician", Level: "private", Until: until.Add(time.Hour)})
	s.Do(t, next, ledgerapi.RegisterClinician, next.Args())
	second := s.Record(t, next, s.scope, emr.ClassMedicalImaging)
	for record, key := range map[emr.RecordID][]byte{
		first.Record: author.Key.Public().Bytes(), second.Record: next.Key.Public().Bytes(),
	} {
		view, err := ledger.GetManifest(s.Query(s.Orgs[ledgertest.HospitalB]), ledgerapi.RecordQuery{Record: record})
		require.NoError(t, err)
		require.Equal(t, key, view.Author.Signing.Key)
		require.NoError(t, signature.VerifyAction(&view.Signed, view.Author.Signing))
	}
	asked, err := ledger.GetRequestAction(s.Query(author.Org), ledgerapi.RequestQuery{Request: request.Request})
	require.NoError(t, err)
	require.NoError(t, signature.VerifyAction(&asked.Signed, asked.Maker.Signing))
	require.Equal(t, ledgerapi.EventKeysReplaced, lastButOne(s.Events).Name)
}

func lastButOne(events []ledgertest.Event) ledgertest.Event { return events[len(events)-2] }
