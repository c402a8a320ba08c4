// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger_test

import (
	"crypto/sha256"
	"encoding/base32"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/chaincode/ledger"
	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// TestNothingBringsAnErasedRecordBack tries each way in turn.
func TestNothingBringsAnErasedRecordBack(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	fresh := ledgertest.NewScope(t, emr.LevelPrivate)
	s.Do(t, s.patient, ledgerapi.PublishScopes, ledgerapi.PublishScopesArgs{Patient: s.patient.Handle, Scopes: []ledgerapi.NewScope{fresh}})
	m := s.Manifest(t, s.author, s.scope, emr.ClassMedicalImaging)
	signed := s.Sign(t, s.author, ledgerapi.RegisterRecord, m)
	_, err := s.Submit(t, s.author.Org, ledgerapi.RegisterRecord, signed)
	require.NoError(t, err)
	grant := s.Grant(s.scope, s.reader, m.Record)
	s.Do(t, s.patient, ledgerapi.GrantAccess, grant)
	kept := s.Private(ledgerapi.ManifestKey(m.Record))
	s.erased(t, m.Record)
	register := func(change func(*emr.Manifest)) error {
		next := s.Manifest(t, s.author, s.scope, m.Class)
		change(next)
		s.Complete(t, next, s.author, s.scope)
		_, err := s.Try(t, s.author, ledgerapi.RegisterRecord, next)
		return err
	}
	t.Run("a replay of the author's signed action", func(t *testing.T) {
		_, err := s.Submit(t, s.author.Org, ledgerapi.RegisterRecord, signed)
		refuses(t, err, emr.CodeExists, "spent")
	})
	t.Run("the same manifest, signed anew", func(t *testing.T) {
		_, err := s.Try(t, s.author, ledgerapi.RegisterRecord, m)
		refuses(t, err, emr.CodeExists, "already registered")
	})
	t.Run("the same id with other content", func(t *testing.T) {
		refuses(t, register(func(n *emr.Manifest) { n.Record = m.Record }), emr.CodeExists, "already registered")
	})
	t.Run("the same content id under another record", func(t *testing.T) {
		refuses(t, register(func(n *emr.Manifest) { n.CID = m.CID }), emr.CodeGone, "cid")
	})
	t.Run("the same ciphertext under another record", func(t *testing.T) {
		refuses(t, register(func(n *emr.Manifest) { n.Digest = m.Digest }), emr.CodeGone, "digest")
	})
	t.Run("the same capsule under another record", func(t *testing.T) {
		next := s.Manifest(t, s.author, s.scope, m.Class)
		next.Capsule, next.Envelope = m.Capsule, m.Envelope
		_, err := s.Try(t, s.author, ledgerapi.RegisterRecord, next)
		refuses(t, err, emr.CodeCorrupt, "capsule")
	})
	t.Run("the same content by another hospital, of another patient", func(t *testing.T) {
		other := s.Patient(t, ledgertest.HospitalC)
		author := s.Clinician(t, ledgertest.HospitalC, emr.RolePhysician, emr.LevelPrivate)
		s.Accept(t, other, author)
		scope := s.Scope(t, other, emr.LevelPrivate)
		next := s.Manifest(t, author, scope, m.Class)
		next.CID = m.CID
		s.Complete(t, next, author, scope)
		_, err := s.Try(t, author, ledgerapi.RegisterRecord, next)
		refuses(t, err, emr.CodeGone, "gone for good")
	})
	t.Run("as the version before a new one", func(t *testing.T) {
		_, err := s.Try(t, s.author, ledgerapi.RegisterRecord, s.next(t, m, nil))
		refuses(t, err, emr.CodeGone, "erased")
		_, err = s.Try(t, s.author, ledgerapi.RekeyRecord, s.rekeyOf(t, s.author, m, nil))
		refuses(t, err, emr.CodeGone, "erased")
	})
	t.Run("the old grant's fragments, presented again", func(t *testing.T) {
		_, err := s.Try(t, s.patient, ledgerapi.GrantAccess, grant)
		refuses(t, err, emr.CodeExists, "already given")
		again := *grant
		again.Terms.Grant = ledgertest.ID[emr.GrantID](emr.GrantPrefix)
		_, err = s.Try(t, s.patient, ledgerapi.GrantAccess, again)
		refuses(t, err, emr.CodeGone, "erased")
		again.Terms.Records = []emr.RecordID{}
		s.Do(t, s.patient, ledgerapi.GrantAccess, again)
		read := s.read(again.Terms.Grant)
		read.Record = m.Record
		require.Equal(t, emr.ReasonErased, s.disclose(t, s.reader, read).Reason)
	})
	t.Run("a peer's backup of the private data", func(t *testing.T) {
		s.OverwritePrivate(ledgerapi.ManifestKey(m.Record), kept)
		r := s.Query(s.Orgs[ledgertest.HospitalA])
		_, err := ledger.GetManifest(r, ledgerapi.RecordQuery{Record: m.Record})
		refuses(t, err, emr.CodeGone, "erased")
		read := s.read(grant.Terms.Grant)
		read.Record = m.Record
		s.disclose(t, s.reader, read)
		require.Empty(t, s.check(t, ledgertest.Regulator, s.open(t, s.reader, read.Disclosure)).Manifest.Signed.Body)
		view, err := ledger.CheckIntegrity(r, ledgerapi.IntegrityQuery{Record: m.Record, CID: m.CID, Digest: m.Digest, Size: m.CipherSize})
		require.NoError(t, err)
		require.Equal(t, ledgerapi.VerdictErased, view.Verdict)
		require.Equal(t, ledgerapi.ManifestDiffers, view.Manifest, "the channel keeps no hash of it")
	})
	t.Run("the erased order again", func(t *testing.T) {
		_, err := s.Try(t, s.patient, ledgerapi.EraseRecord, s.erase(m.Record))
		refuses(t, err, emr.CodeGone, "erased")
	})
}

// TestNobodyClaimsSomebodyElsesCiphertext: else an erasure of the one would have
// the holders destroy the other.
func TestNobodyClaimsSomebodyElsesCiphertext(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	for field, change := range map[string]func(*emr.Manifest){
		"cid": func(m *emr.Manifest) { m.CID = s.record.CID }, "digest": func(m *emr.Manifest) { m.Digest = s.record.Digest },
	} {
		m := s.Manifest(t, s.author, s.scope, s.record.Class)
		change(m)
		s.Complete(t, m, s.author, s.scope)
		_, err := s.Try(t, s.author, ledgerapi.RegisterRecord, m)
		refuses(t, err, emr.CodeExists, field)
	}
	_, err := s.Try(t, s.author, ledgerapi.RekeyRecord, s.rekeyOf(t, s.author, s.record, func(m *emr.Manifest) { m.CID = s.record.CID }))
	refuses(t, err, emr.CodeExists, "cid")
}

func TestAGatewayLearnsWhatARestoredBackupMustNotServe(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	live := s.Record(t, s.author, s.scope, emr.ClassPrescription)
	first := s.Record(t, s.author, s.scope, emr.ClassPrescription)
	rekeyed := s.rekeyed(t, first)
	order := s.erased(t, s.record.Record)
	manifest := s.getRecord(t, s.record.Record).Manifest
	unknown := ledgertest.ID[emr.RecordID]("rec_")
	r := s.Query(s.Orgs[ledgertest.HospitalC])
	got, err := ledger.IsErased(r, ledgerapi.IsErasedQuery{
		Records: []emr.RecordID{s.record.Record, live.Record, first.Record, rekeyed.Record, unknown},
		CIDs:    []string{s.record.CID, live.CID, ledgertest.CID("nobody's")},
		Digests: []emr.Digest{s.record.Digest, sha256.Sum256(s.record.Capsule), manifest, live.Digest, {9}},
	})
	require.NoError(t, err)
	var destroy, known []bool
	for _, item := range got.Items {
		destroy, known = append(destroy, item.Destroy), append(known, item.Known)
	}
	require.Equal(t, []bool{true, false, true, false, false, true, false, false, true, true, true, false, false}, destroy)
	require.Equal(t, []bool{true, true, true, true, false, true, true, false, true, true, true, true, false}, known)
	require.Equal(t, ledgerapi.ErasedItem{
		Asked: manifest.String(), Known: true, Record: s.record.Record, Status: emr.RecordErased, Order: order, Destroy: true,
	}, got.Items[10])
	require.Equal(t, emr.RecordRekeyed, got.Items[2].Status)
	for name, q := range map[string]ledgerapi.IsErasedQuery{
		"nothing":        {},
		"too much":       {Digests: make([]emr.Digest, ledgerapi.MaxIsErased+1)},
		"no record's id": {Records: []emr.RecordID{"x"}},
		"no content id":  {CIDs: []string{"x"}},
	} {
		_, err := ledger.IsErased(r, q)
		refuses(t, err, emr.CodeInvalid, "")
		_ = name
	}
	spent := s.Sign(t, s.reader, ledgerapi.RequestAccess, s.ask(live.Record)).Digest()
	got, err = ledger.IsErased(r, ledgerapi.IsErasedQuery{Digests: []emr.Digest{spent}})
	require.NoError(t, err)
	require.False(t, got.Items[0].Known, "an action that registers no record is no manifest")
}

func TestALongSeriesIsErasedAtOnceAndNamedInParts(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.Check = nil // time
	all := []*emr.Manifest{s.record}
	for len(all) <= ledgerapi.MaxErasedVersions+1 {
		next := s.next(t, all[len(all)-1], nil)
		s.Do(t, s.author, ledgerapi.RegisterRecord, next)
		all = append(all, next)
	}
	head := all[len(all)-1]
	grant := s.Grant(s.scope, s.reader, head.Record)
	s.Do(t, s.patient, ledgerapi.GrantAccess, grant)
	session := s.broken(t)
	s.Check = sameAgain(t)
	late := s.Begin(s.Facts(s.author.Org.Gateway)) // endorsed before, committed after
	_, err := ledger.RegisterRecord(late, ledgertest.Raw(t, s.Sign(t, s.author, ledgerapi.RegisterRecord, s.next(t, head, nil))))
	require.NoError(t, err)
	require.NoError(t, s.hold(s.Orgs[ledgertest.Regulator].Admin,
		ledgerapi.HoldRecordArgs{Record: head.Record, Hold: true, Ground: emr.HoldInvestigation}))
	require.Equal(t, emr.ReasonHeldInvestigation, s.decides(t, s.patient, ledgerapi.EraseRecord, s.erase(s.record.Record)).Reason,
		"a hold on a version that the first part does not reach")
	require.NoError(t, s.hold(s.Orgs[ledgertest.Regulator].Admin, ledgerapi.HoldRecordArgs{Record: head.Record}))

	asked := s.askedOf(t, head.Record)
	early := s.erase(head.Record)
	early.Amendments = []emr.AmendmentID{asked}
	_, err = s.Try(t, s.patient, ledgerapi.EraseRecord, early)
	refuses(t, err, emr.CodeRule, "not erased") // by this transaction: it closes the first versions
	id := s.erased(t, head.Record)
	require.ErrorIs(t, late.Commit(), ledgertest.ErrConflict)
	s.gone(t, asked)
	require.Equal(t, [][]emr.AmendmentID{{asked}}, s.leftAmendments(t, id))
	require.Equal(t, emr.RecordErased, s.getRecord(t, head.Record).Status, "at once, and not when it is reached")
	read := s.read(grant.Terms.Grant)
	read.Record = head.Record
	require.Equal(t, emr.ReasonErased, s.disclose(t, s.reader, read).Reason)
	read = s.under(session)
	read.Record = head.Record
	require.Equal(t, emr.ReasonErased, s.disclose(t, s.reader, read).Reason)
	_, err = s.Try(t, s.author, ledgerapi.RegisterRecord, s.next(t, head, nil))
	refuses(t, err, emr.CodeGone, "erased")
	refuses(t, s.hold(s.Orgs[ledgertest.Regulator].Admin,
		ledgerapi.HoldRecordArgs{Record: head.Record, Hold: true, Ground: emr.HoldInvestigation}), emr.CodeGone, "erased")
	found, err := ledger.SearchRecords(s.Query(s.Orgs[ledgertest.HospitalA]), ledgerapi.SearchQuery{Patient: s.patient.Handle})
	require.NoError(t, err)
	require.Empty(t, found.Items)
	s.confirmAll(t, id, holders()...)
	view := s.erasure(t, id)
	require.Equal(t, emr.ErasurePartial, view.State, "there are versions that nobody was asked about")
	require.Empty(t, view.Missing)
	require.Equal(t, all[ledgerapi.MaxErasedVersions].Record, view.Erasure.Next)

	rest := ledgerapi.ContinueErasureArgs{Erasure: id, Grants: []emr.GrantID{grant.Terms.Grant}, Requests: []emr.RequestID{}, Amendments: []emr.AmendmentID{asked}}
	_, err = told(t, s, s.Orgs[ledgertest.HospitalB].Gateway, ledger.ContinueErasure, rest)
	require.NoError(t, err)
	view = s.erasure(t, id)
	require.Equal(t, []any{uint32(2), uint32(len(all)), emr.RecordID("")}, []any{view.Erasure.Parts, view.Erasure.Versions, view.Erasure.Next})
	require.Equal(t, holders(), view.Missing)
	require.Empty(t, s.Private(ledgerapi.ManifestKey(head.Record)))
	require.Empty(t, s.Private(ledgerapi.FragmentKey(grant.Terms.Grant)))
	require.Zero(t, s.texts(t, asked))
	s.confirmAll(t, id, holders()...)
	require.Equal(t, emr.ErasureComplete, s.erasure(t, id).State)
	s.verified(t, s.patient.Handle)
}

// TestAContentIdUnderTheOtherCodecIsTheSameContent: stores keep blocks by their hash,
// so that whoever registers the other name of somebody's first block, and has that
// erased, would have every holder destroy it.
func TestAContentIdUnderTheOtherCodecIsTheSameContent(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	crook, accomplice := s.Clinician(t, ledgertest.HospitalC, emr.RolePhysician, emr.LevelPrivate), s.Patient(t, ledgertest.HospitalC)
	s.Accept(t, accomplice, crook)
	scope := s.Scope(t, accomplice, emr.LevelPrivate)
	register := func() error {
		m := s.Manifest(t, crook, scope, emr.ClassMedicalImaging)
		m.CID = otherCodec(t, s.record.CID)
		s.Complete(t, m, crook, scope)
		_, err := s.Try(t, crook, ledgerapi.RegisterRecord, m)
		return err
	}
	refuses(t, register(), emr.CodeExists, "cid")
	s.erased(t, s.record.Record)
	refuses(t, register(), emr.CodeGone, "cid")
}

// otherCodec changes raw into dag-pb, and dag-pb into raw.
func otherCodec(t *testing.T, cid string) string {
	t.Helper()
	encoding := base32.StdEncoding.WithPadding(base32.NoPadding)
	b, err := encoding.DecodeString(strings.ToUpper(cid[1:]))
	require.NoError(t, err)
	b[1] ^= 0x55 ^ 0x70
	return "b" + strings.ToLower(encoding.EncodeToString(b))
}
