// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger_test

import (
	"crypto/sha256"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/chaincode/ledger"
	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
	"github.com/emrys-health/emrys/pkg/pre"
)

func TestARecordIsRegisteredWithItsManifest(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	r := s.Query(s.Orgs[ledgertest.HospitalC])
	record, err := ledger.GetRecord(r, ledgerapi.RecordQuery{Record: s.record.Record})
	require.NoError(t, err)
	view, err := ledger.GetManifest(r, ledgerapi.RecordQuery{Record: s.record.Record})
	require.NoError(t, err)
	require.Equal(t, emr.Record{
		V: 1, ID: s.record.Record, Patient: s.patient.Handle, Scope: s.scope.ID, Class: emr.ClassMedicalImaging,
		Level: emr.LevelPrivate, Author: s.author.ID, Hospital: ledgertest.HospitalA, CID: s.record.CID,
		Digest: s.record.Digest, CipherSize: s.record.CipherSize, Manifest: view.Signed.Digest(), Series: s.record.Record,
		Version: 1, Registered: s.Now, Capsule: sha256.Sum256(s.record.Capsule),
	}, *record)
	require.Equal(t, *record, view.Record)
	require.Equal(t, s.author.ID, view.Author.ID)
	require.Equal(t, *s.scope, view.Scope)
	action, err := view.Signed.Parse()
	require.NoError(t, err)
	var m emr.Manifest
	require.NoError(t, emr.DecodeCanonical(action.Args, &m))
	require.Equal(t, *s.record, m)
	var event ledgerapi.Event
	require.NoError(t, emr.Decode(s.Events[0].Payload, &event))
	require.Equal(t, ledgerapi.EventRecordRegistered, s.Events[0].Name)
	require.Equal(t, ledgerapi.Event{
		V: 1, ID: string(m.Record), Record: m.Record, Hospital: ledgertest.HospitalA, CID: m.CID, At: s.Now,
	}, event)
}

func TestRegisteringARecordIsRefusedForItsManifest(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	other := s.Patient(t, ledgertest.HospitalA)
	s.Accept(t, other, s.author)
	otherScope := s.Scope(t, other, emr.LevelPrivate)
	low := s.Scope(t, s.patient, emr.LevelLow)
	for name, test := range map[string]struct {
		change func(*emr.Manifest)
		code   emr.Code
		text   string
	}{
		"an id of another form":               {func(m *emr.Manifest) { m.Record = "rec_1" }, emr.CodeInvalid, "record"},
		"an id that another record has":       {func(m *emr.Manifest) { m.Record = s.record.Record }, emr.CodeExists, "already"},
		"a handle of another form":            {func(m *emr.Manifest) { m.Patient = "Jane" }, emr.CodeInvalid, "patient"},
		"an unknown patient":                  {func(m *emr.Manifest) { m.Patient = ledgertest.ID[emr.Handle]("hnd_") }, emr.CodeNotFound, "patient"},
		"a scope of another form":             {func(m *emr.Manifest) { m.Scope = "x" }, emr.CodeInvalid, "scope"},
		"an unknown scope":                    {func(m *emr.Manifest) { m.Scope = ledgertest.ID[emr.ScopeID]("scp_") }, emr.CodeNotFound, "scope"},
		"another patient's scope":             {func(m *emr.Manifest) { m.Scope = otherScope.ID }, emr.CodeNotFound, "scope"},
		"a scope of a lower level":            {func(m *emr.Manifest) { m.Scope = low.ID }, emr.CodeRule, "scope"},
		"another epoch":                       {func(m *emr.Manifest) { m.Epoch = 2 }, emr.CodeStale, "epoch"},
		"an unknown class":                    {func(m *emr.Manifest) { m.Class = "x-ray" }, emr.CodeInvalid, "class"},
		"a level that is not the class's":     {func(m *emr.Manifest) { m.Level = emr.LevelLow }, emr.CodeInvalid, "level"},
		"no media type":                       {func(m *emr.Manifest) { m.ContentType = "" }, emr.CodeInvalid, "contentType"},
		"a media type without subtype":        {func(m *emr.Manifest) { m.ContentType = "application/" }, emr.CodeInvalid, "contentType"},
		"a media type with parameters":        {func(m *emr.Manifest) { m.ContentType = "text/html; charset=x" }, emr.CodeInvalid, "contentType"},
		"a media type with a line break":      {func(m *emr.Manifest) { m.ContentType = "text/x\r\ny" }, emr.CodeInvalid, "contentType"},
		"a media type too long":               {func(m *emr.Manifest) { m.ContentType = "a/" + strings.Repeat("b", 128) }, emr.CodeInvalid, "contentType"},
		"no content id":                       {func(m *emr.Manifest) { m.CID = "" }, emr.CodeInvalid, "cid"},
		"a content id of version 0":           {func(m *emr.Manifest) { m.CID = "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG" }, emr.CodeInvalid, "cid"},
		"a content id in capitals":            {func(m *emr.Manifest) { m.CID = "b" + strings.ToUpper(m.CID[1:]) }, emr.CodeInvalid, "cid"},
		"a content id cut short":              {func(m *emr.Manifest) { m.CID = m.CID[:len(m.CID)-1] }, emr.CodeInvalid, "cid"},
		"a content id with a path":            {func(m *emr.Manifest) { m.CID += "/x" }, emr.CodeInvalid, "cid"},
		"a content id with loose bits":        {func(m *emr.Manifest) { m.CID = m.CID[:len(m.CID)-1] + "7" }, emr.CodeInvalid, "cid"},
		"a content id with a long s":          {func(m *emr.Manifest) { m.CID = "b" + strings.Repeat("ſ", 58) }, emr.CodeInvalid, "cid"},
		"a content id of another hash":        {func(m *emr.Manifest) { m.CID = "bafkqaaa" }, emr.CodeInvalid, "cid"},
		"no digest":                           {func(m *emr.Manifest) { m.Digest = emr.Digest{} }, emr.CodeInvalid, "digest"},
		"no file id":                          {func(m *emr.Manifest) { m.FileID = emr.Digest{} }, emr.CodeInvalid, "digest"},
		"no key commitment":                   {func(m *emr.Manifest) { m.KeyCommitment = emr.Digest{} }, emr.CodeInvalid, "digest"},
		"a threshold of one":                  {func(m *emr.Manifest) { m.Threshold = 1 }, emr.CodeInvalid, "threshold"},
		"a threshold that is not its shares'": {func(m *emr.Manifest) { m.Threshold = 3 }, emr.CodeInvalid, "threshold"},
		"another segment size":                {func(m *emr.Manifest) { m.SegmentSize = 65536 }, emr.CodeInvalid, "segmentSize"},
		"a ciphertext one byte short":         {func(m *emr.Manifest) { m.CipherSize-- }, emr.CodeInvalid, "cipherSize"},
		"a ciphertext of no size":             {func(m *emr.Manifest) { m.PlainSize, m.CipherSize = 0, 0 }, emr.CodeInvalid, "cipherSize"},
		"a plaintext over the limit":          {func(m *emr.Manifest) { m.PlainSize = 1 << 63 }, emr.CodeInvalid, "plainSize"},
		"a previous id of another form":       {func(m *emr.Manifest) { m.Previous = "x" }, emr.CodeInvalid, "previous"},
		"a first version that is not 1":       {func(m *emr.Manifest) { m.Version = 2 }, emr.CodeInvalid, "version"},
		"a capsule cut short":                 {func(m *emr.Manifest) { m.Capsule = m.Capsule[1:] }, emr.CodeInvalid, "capsule"},
		"a capsule altered":                   {func(m *emr.Manifest) { m.Capsule[len(m.Capsule)-1] ^= 1 }, emr.CodeCorrupt, "capsule"},
		"a capsule of another record":         {func(m *emr.Manifest) { m.Capsule = s.record.Capsule }, emr.CodeCorrupt, "capsule"},
		"no envelope":                         {func(m *emr.Manifest) { m.Envelope = nil }, emr.CodeInvalid, "envelope"},
		"an envelope cut short":               {func(m *emr.Manifest) { m.Envelope = m.Envelope[:100] }, emr.CodeInvalid, "envelope"},
	} {
		t.Run(name, func(t *testing.T) {
			m := s.Manifest(t, s.author, s.scope, emr.ClassMedicalImaging)
			test.change(m)
			if test.text == "version" {
				s.Complete(t, m, s.author, s.scope)
			}
			before := s.Dump()
			_, err := s.Try(t, s.author, ledgerapi.RegisterRecord, m)
			refuses(t, err, test.code, test.text)
			require.Equal(t, before, s.Dump())
		})
	}
}

// TestACapsuleCannotBeTransplanted changes each bound field of a manifest and
// nothing else: the capsule's proof no longer holds.
func TestACapsuleCannotBeTransplanted(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	other := s.Patient(t, ledgertest.HospitalA)
	s.Accept(t, other, s.author)
	otherScope := s.Scope(t, other, emr.LevelPrivate)
	twin := s.Scope(t, s.patient, emr.LevelPrivate)
	colleague := s.Clinician(t, ledgertest.HospitalA, emr.RolePhysician, emr.LevelPrivate)
	for name, change := range map[string]func(*emr.Manifest){
		"to another record":     func(m *emr.Manifest) { m.Record = ledgertest.ID[emr.RecordID]("rec_") },
		"to another patient":    func(m *emr.Manifest) { m.Patient, m.Scope = other.Handle, otherScope.ID },
		"to another scope":      func(m *emr.Manifest) { m.Scope = twin.ID },
		"to another class":      func(m *emr.Manifest) { m.Class = emr.ClassPrescription },
		"to another content":    func(m *emr.Manifest) { m.CID = ledgertest.CID("other") },
		"to another digest":     func(m *emr.Manifest) { m.Digest[0] ^= 1 },
		"to another file":       func(m *emr.Manifest) { m.FileID[0] ^= 1 },
		"to another commitment": func(m *emr.Manifest) { m.KeyCommitment[0] ^= 1 },
		"to another length":     func(m *emr.Manifest) { m.PlainSize++; m.CipherSize++ },
	} {
		t.Run(name, func(t *testing.T) {
			m := s.Manifest(t, s.author, s.scope, emr.ClassMedicalImaging)
			change(m)
			_, err := s.Try(t, s.author, ledgerapi.RegisterRecord, m)
			refuses(t, err, emr.CodeCorrupt, "capsule")
		})
	}
	m := s.Manifest(t, s.author, s.scope, emr.ClassMedicalImaging)
	_, err := s.Try(t, colleague, ledgerapi.RegisterRecord, m)
	refuses(t, err, emr.CodeCorrupt, "capsule")
}

func TestTheEnvelopeHoldsAShareForEveryOrganisationAndNoOther(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	all := []pre.Recipient{}
	for _, org := range s.Orgs {
		all = append(all, pre.Recipient{ID: string(org.ID), Key: org.Proxy.Public()})
	}
	stranger := pre.Recipient{ID: "OutsiderMSP", Key: all[0].Key}
	for name, to := range map[string][]pre.Recipient{
		"one share is missing":    all[:3],
		"one share is a stranger": append([]pre.Recipient{stranger}, all[:3]...),
		"one share is too many":   append([]pre.Recipient{stranger}, all...),
	} {
		m := s.Manifest(t, s.author, s.scope, emr.ClassMedicalImaging)
		m.Envelope = ledgertest.Envelope(t, [32]byte{1}, make([]byte, 32), 2, to, s.Orgs[ledgertest.HospitalA])
		_, err := s.Try(t, s.author, ledgerapi.RegisterRecord, m)
		refuses(t, err, emr.CodeStale, "envelope")
		require.NotEmpty(t, name)
	}
	for _, drop := range []func(*pre.Envelope){
		func(e *pre.Envelope) { e.PatientCopy = nil }, func(e *pre.Envelope) { e.HospitalCopy = nil },
	} {
		m := s.Manifest(t, s.author, s.scope, emr.ClassMedicalImaging)
		e, err := pre.ParseEnvelope(m.Envelope)
		require.NoError(t, err)
		drop(e)
		m.Envelope, err = e.Marshal()
		require.NoError(t, err)
		_, err = s.Try(t, s.author, ledgerapi.RegisterRecord, m)
		refuses(t, err, emr.CodeInvalid, "copy")
	}
}

func TestAnOrganisationThatJoinsLaterNeedsAShareFromThenOn(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	before := s.Manifest(t, s.author, s.scope, emr.ClassMedicalImaging)
	a := s.Orgs[ledgertest.HospitalA]
	d := ledgertest.NewOrg(t, "AHospitalDMSP", emr.KindHospital, a.CA.Certificate.NotBefore, a.CA.Certificate.NotAfter)
	s.Orgs[d.ID] = d
	_, err := s.RegisterOrg(d.Admin, d.Args())
	require.NoError(t, err)
	_, err = s.Try(t, s.author, ledgerapi.RegisterRecord, before)
	refuses(t, err, emr.CodeStale, "envelope")
	s.Record(t, s.author, s.scope, emr.ClassMedicalImaging)
}

func TestAnAuthorIsRefused(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	low := s.Clinician(t, ledgertest.HospitalA, emr.RoleNurse, emr.LevelLow)
	researcher := s.Clinician(t, ledgertest.HospitalA, emr.RoleResearcher, emr.LevelPrivate)
	for name, test := range map[string]struct {
		author *ledgertest.Clinician
		reason emr.Reason
	}{
		"whose level is too low":                          {low, emr.ReasonLevel},
		"whose role does not write":                       {researcher, emr.ReasonRole},
		"of a hospital that the patient has not accepted": {s.reader, emr.ReasonNoRelationship},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := s.Try(t, test.author, ledgerapi.RegisterRecord,
				s.Manifest(t, test.author, s.scope, emr.ClassMedicalImaging))
			refuses(t, err, emr.CodeRule, "")
			require.Equal(t, test.reason, emr.Public(err).Reason)
		})
	}
	s.Record(t, low, s.scope, emr.ClassMedicine) // a class of level low
	s.Do(t, s.patient, ledgerapi.AnswerRelationship,
		ledgerapi.AnswerRelationshipArgs{Patient: s.patient.Handle, Hospital: ledgertest.HospitalA})
	_, err := s.Try(t, s.author, ledgerapi.RegisterRecord, s.Manifest(t, s.author, s.scope, emr.ClassMedicalImaging))
	refuses(t, err, emr.CodeRule, "relationship")
}

// next makes the manifest of the version after a record.
func (s *scene) next(t *testing.T, previous *emr.Manifest, change func(*emr.Manifest)) *emr.Manifest {
	t.Helper()
	m := s.Manifest(t, s.author, s.scope, previous.Class)
	m.Previous, m.Version = previous.Record, previous.Version+1
	if change != nil {
		change(m)
	}
	s.Complete(t, m, s.author, s.scope)
	return m
}

func TestVersionsOfARecordFormAChain(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	second := s.next(t, s.record, nil)
	s.Do(t, s.author, ledgerapi.RegisterRecord, second)
	third := s.next(t, second, nil)
	s.Do(t, s.author, ledgerapi.RegisterRecord, third)
	r := s.Query(s.Orgs[ledgertest.HospitalA])
	for i, want := range []struct {
		id       emr.RecordID
		previous emr.RecordID
		next     emr.RecordID
	}{
		{s.record.Record, "", second.Record}, {second.Record, s.record.Record, third.Record}, {third.Record, second.Record, ""},
	} {
		record, err := ledger.GetRecord(r, ledgerapi.RecordQuery{Record: want.id})
		require.NoError(t, err)
		require.Equal(t, s.record.Record, record.Series)
		require.Equal(t, uint32(i+1), record.Version)
		require.Equal(t, want.previous, record.Previous)
		require.Equal(t, want.next, record.SupersededBy)
	}
}

func TestANewVersionIsRefused(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	other := s.Patient(t, ledgertest.HospitalA)
	s.Accept(t, other, s.author)
	foreign := s.Record(t, s.author, s.Scope(t, other, emr.LevelPrivate), emr.ClassMedicalImaging)
	s.Accept(t, s.patient, s.reader)
	atB := s.Record(t, s.reader, s.scope, emr.ClassMedicalImaging)
	for name, test := range map[string]struct {
		change func(*emr.Manifest)
		code   emr.Code
		text   string
	}{
		"of a record that is unknown":  {func(m *emr.Manifest) { m.Previous = ledgertest.ID[emr.RecordID]("rec_") }, emr.CodeNotFound, "record"},
		"of another patient's record":  {func(m *emr.Manifest) { m.Previous = foreign.Record }, emr.CodeNotFound, "record"},
		"of another hospital's record": {func(m *emr.Manifest) { m.Previous = atB.Record }, emr.CodeForbidden, "hospital"},
		"of another class":             {func(m *emr.Manifest) { m.Class = emr.ClassPrescription }, emr.CodeInvalid, "class"},
		"that skips a number":          {func(m *emr.Manifest) { m.Version = 3 }, emr.CodeInvalid, "version"},
		"that repeats a number":        {func(m *emr.Manifest) { m.Version = 1 }, emr.CodeInvalid, "version"},
		"of itself":                    {func(m *emr.Manifest) { m.Previous = m.Record }, emr.CodeNotFound, "record"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := s.Try(t, s.author, ledgerapi.RegisterRecord, s.next(t, s.record, test.change))
			refuses(t, err, test.code, test.text)
		})
	}
	s.Do(t, s.author, ledgerapi.RegisterRecord, s.next(t, s.record, nil))
	_, err := s.Try(t, s.author, ledgerapi.RegisterRecord, s.next(t, s.record, nil))
	refuses(t, err, emr.CodeStale, "newer version")
}

func TestOfTwoNewVersionsAtOnceOneCommits(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	var txs []*ledgertest.Tx
	for range 2 {
		tx := s.Begin(s.Facts(s.author.Org.Gateway))
		_, err := ledger.RegisterRecord(tx, ledgertest.Raw(t, s.Sign(t, s.author, ledgerapi.RegisterRecord, s.next(t, s.record, nil))))
		require.NoError(t, err)
		txs = append(txs, tx)
	}
	require.NoError(t, txs[0].Commit())
	require.ErrorIs(t, txs[1].Commit(), ledgertest.ErrConflict)
}

func TestSearchFindsAPatientsRecords(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	start := s.Now
	s.Wait(time.Minute)
	prescription := s.Record(t, s.author, s.scope, emr.ClassPrescription)
	s.Wait(time.Minute)
	medicine := s.Record(t, s.author, s.scope, emr.ClassMedicine)
	s.Wait(time.Minute)
	newer := s.next(t, s.record, nil)
	s.Do(t, s.author, ledgerapi.RegisterRecord, newer)
	other := s.Patient(t, ledgertest.HospitalA)
	s.Accept(t, other, s.author)
	s.Record(t, s.author, s.Scope(t, other, emr.LevelPrivate), emr.ClassMedicine)
	minute := func(n int) emr.Time { return start.Add(time.Duration(n) * time.Minute) }
	all := []emr.RecordID{newer.Record, medicine.Record, prescription.Record, s.record.Record}
	for name, test := range map[string]struct {
		q    ledgerapi.SearchQuery
		want []emr.RecordID
	}{
		"current ones, newest first":      {ledgerapi.SearchQuery{}, all[:3]},
		"all versions":                    {ledgerapi.SearchQuery{All: true}, all},
		"of a class":                      {ledgerapi.SearchQuery{Class: emr.ClassMedicalImaging}, all[:1]},
		"of a class with no record":       {ledgerapi.SearchQuery{Class: emr.ClassOmics}, nil},
		"up to a level":                   {ledgerapi.SearchQuery{Level: emr.LevelModerate}, all[1:2]},
		"from a time on, inclusive":       {ledgerapi.SearchQuery{From: minute(2), All: true}, all[:2]},
		"up to a time, exclusive":         {ledgerapi.SearchQuery{To: minute(2), All: true}, all[2:]},
		"of one second":                   {ledgerapi.SearchQuery{From: minute(1), To: minute(1) + 1}, all[2:3]},
		"before everything":               {ledgerapi.SearchQuery{To: start, All: true}, nil},
		"after everything":                {ledgerapi.SearchQuery{From: minute(9), All: true}, nil},
		"of another patient finds others": {ledgerapi.SearchQuery{Patient: ledgertest.ID[emr.Handle]("hnd_")}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			if test.q.Patient == "" {
				test.q.Patient = s.patient.Handle
			}
			for limit := 1; limit <= 5; limit++ {
				var got []emr.RecordID
				q := test.q
				q.Limit = limit
				for range 10 {
					page, err := ledger.SearchRecords(s.Query(s.Orgs[ledgertest.HospitalA]), q)
					require.NoError(t, err)
					require.NotNil(t, page.Items)
					require.LessOrEqual(t, len(page.Items), limit)
					for _, record := range page.Items {
						got = append(got, record.ID)
					}
					if q.Bookmark = page.Bookmark; q.Bookmark == "" {
						break
					}
				}
				require.Empty(t, q.Bookmark)
				require.Equal(t, test.want, got)
			}
		})
	}
}

func TestASearchIsRefused(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	p := s.patient.Handle
	for name, q := range map[string]ledgerapi.SearchQuery{
		"without a patient":             {},
		"of a pseudonym":                {Patient: emr.Handle(s.patient.ID)},
		"of an unknown class":           {Patient: p, Class: "x"},
		"of an unknown level":           {Patient: p, Level: "x"},
		"of a time turned around":       {Patient: p, From: 10, To: 10},
		"of a negative time":            {Patient: p, From: -1},
		"with a negative limit":         {Patient: p, Limit: -1},
		"with a bookmark of no base64":  {Patient: p, Bookmark: "%"},
		"with a bookmark of one part":   {Patient: p, Bookmark: "YQ"},
		"with a bookmark of a NUL byte": {Patient: p, Bookmark: "YQBiL2M"},
	} {
		_, err := ledger.SearchRecords(s.Query(s.Orgs[ledgertest.HospitalA]), q)
		refuses(t, err, emr.CodeInvalid, "")
		require.NotEmpty(t, name)
	}
}

func TestASearchStopsAtItsBeginning(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	for range 5 {
		s.Record(t, s.author, s.scope, emr.ClassMedicine)
	}
	r := s.Query(s.patient.Org)
	page, err := ledger.SearchRecords(r, ledgerapi.SearchQuery{Patient: s.patient.Handle, From: s.Now + 1})
	require.NoError(t, err)
	require.Empty(t, page.Items)
	require.Equal(t, 1, r.Reads(), "it reads the newest record and no other")
}
