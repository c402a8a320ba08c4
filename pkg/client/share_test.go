// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/api"
	"github.com/emrys-health/emrys/pkg/client"
	"github.com/emrys-health/emrys/pkg/client/clienttest"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/seal"
)

func TestTheWholeShare(t *testing.T) {
	t.Parallel()
	s, ctx := newScene(t), t.Context()
	content := random(t, 3*seal.SegmentPlainSize+17)
	stored := s.put(t, content)
	require.EqualValues(t, len(content), stored.PlainSize)

	found, err := s.reader.Search(ctx, api.Search{Patient: emr.PatientID(s.patient.Profile().ID)})
	require.NoError(t, err)
	require.Len(t, found.Items, 1)
	require.Equal(t, stored.Record, found.Items[0].ID)

	asked, err := s.reader.RequestAccess(ctx, stored.Record, emr.PurposeTreatment, "second opinion")
	require.NoError(t, err)
	require.Equal(t, emr.Ask, asked.Decision)

	_, err = s.reader.Disclose(ctx, stored.Record, "", emr.PurposeTreatment)
	requireCode(t, emr.CodeRule, err)
	require.Equal(t, emr.ReasonNoGrant, emr.Public(err).Reason)
	require.NotEmpty(t, emr.Public(err).TxID, "a denial is committed")

	given, err := s.patient.Grant(ctx, client.Giving{Request: emr.RequestID(asked.ID), Until: time.Now().Add(2 * time.Hour)})
	require.NoError(t, err)
	require.Equal(t, []emr.OrgID{"HospAMSP", "HospCMSP", "RegMSP"}, given.Terms.Gateways, "never the reader's own hospital")
	require.Equal(t, []emr.RecordID{stored.Record}, given.Terms.Records)

	grant, live, err := s.reader.GrantFor(ctx, stored.Record, emr.PurposeTreatment)
	require.NoError(t, err)
	require.True(t, live)
	require.Equal(t, given.Terms.Grant, grant)
	got, opened, err := read(t, s.reader, s.ticket(t, stored.Record, grant))
	require.NoError(t, err)
	require.Equal(t, content, got)
	require.Empty(t, opened.Faults)
	require.Equal(t, emr.ClinicianID(s.author.Profile().ID), opened.Author.ID)

	trail, err := s.patient.Audit(ctx, client.Page{})
	require.NoError(t, err)
	require.Equal(t, emr.AuditDisclosure, trail.Items[0].Kind)
	require.Equal(t, emr.Permit, trail.Items[0].Decision)
	ofRecord, err := s.patient.AuditOfRecord(ctx, stored.Record, client.Page{})
	require.NoError(t, err)
	require.NotEmpty(t, ofRecord.Items)

	revoked, err := s.patient.Revoke(ctx, grant)
	require.NoError(t, err)
	require.Len(t, revoked.Read, 1)
	require.Equal(t, s.reader.Profile().ID, revoked.Read[0].Reader)

	_, err = s.reader.Disclose(ctx, stored.Record, grant, emr.PurposeTreatment)
	require.Equal(t, emr.ReasonRevoked, emr.Public(err).Reason)
}

func TestTheGrantThatIsUsedByDefault(t *testing.T) {
	t.Parallel()
	s, ctx := newScene(t), t.Context()
	record, other := s.put(t, []byte("one")).Record, s.put(t, []byte("two")).Record
	requireGrant := func(want emr.GrantID, record emr.RecordID, purpose emr.Purpose) {
		t.Helper()
		got, _, err := s.reader.GrantFor(ctx, record, purpose)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	give := func(change func(*client.Giving)) emr.GrantID {
		g := s.giving(record)
		change(&g)
		given, err := s.patient.Grant(ctx, g)
		require.NoError(t, err)
		return given.Terms.Grant
	}
	requireGrant("", record, emr.PurposeTreatment)
	first := give(func(*client.Giving) {})
	requireGrant(first, record, emr.PurposeTreatment)
	requireGrant("", other, emr.PurposeTreatment)
	requireGrant("", record, emr.PurposeResearch)
	second := give(func(*client.Giving) {})
	requireGrant(second, record, emr.PurposeTreatment) // the newest
	short := give(func(g *client.Giving) { g.Until = time.Now().Add(1100 * time.Millisecond) })
	require.Eventually(t, func() bool { // an expired one is passed over
		got, _, err := s.reader.GrantFor(ctx, record, emr.PurposeTreatment)
		return err == nil && got == second
	}, 10*time.Second, 50*time.Millisecond)
	for _, g := range []emr.GrantID{first, second} {
		_, err := s.patient.Revoke(ctx, g)
		require.NoError(t, err)
	}
	requireGrant(short, record, emr.PurposeTreatment) // none lives: the newest one, so that the denial says why
	_, err := s.reader.Disclose(ctx, record, short, emr.PurposeTreatment)
	require.Equal(t, emr.ReasonExpired, emr.Public(err).Reason)
}

func TestContentOfEverySizeComesBackEqual(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	for _, size := range []int{
		0, 1, seal.SegmentPlainSize - 1, seal.SegmentPlainSize, seal.SegmentPlainSize + 1, 20 * seal.SegmentPlainSize,
	} {
		content := random(t, size)
		record, grant := s.shared(t, content)
		got, _, err := read(t, s.reader, s.ticket(t, record, grant))
		require.NoError(t, err)
		require.True(t, bytes.Equal(content, got), "%d bytes", size)
	}
}

func TestAPaddedRecordIsStoredLongerAndComesBackEqual(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	for content, plain := range map[int]uint64{0: 8, 1000: 1024, 600_000: 606_208} {
		content := random(t, content)
		up := s.upload(int64(len(content)))
		up.Pad = true
		stored, err := s.author.PutRecord(t.Context(), bytes.NewReader(content), up)
		require.NoError(t, err)
		require.Equal(t, plain, stored.PlainSize)
		given, err := s.patient.Grant(t.Context(), s.giving(stored.Record))
		require.NoError(t, err)
		s.CutContent, s.CutContentAfter = 1, 5 // the reader need not be told, not even after a break
		got, opened, err := read(t, s.reader, s.ticket(t, stored.Record, given.Terms.Grant))
		require.NoError(t, err)
		require.True(t, bytes.Equal(content, got))
		require.EqualValues(t, len(content), opened.Size)
	}
}

func TestAContentOfUnknownOrWrongLengthCannotBePadded(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	up := s.upload(-1)
	up.Pad = true
	_, err := s.author.PutRecord(t.Context(), bytes.NewReader([]byte("content")), up)
	requireCode(t, emr.CodeInvalid, err)
	for _, size := range []int64{6, 8} {
		up.Size = size
		_, err = s.author.PutRecord(t.Context(), bytes.NewReader([]byte("content")), up)
		requireCode(t, emr.CodeInvalid, err)
	}
	up.Size = 1 << 50
	_, err = s.author.PutRecord(t.Context(), bytes.NewReader([]byte("content")), up)
	requireCode(t, emr.CodeTooLarge, err)
	require.Zero(t, s.Count("record.register"))
}

func TestContentOfUnknownLengthIsUploaded(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	content := random(t, seal.SegmentPlainSize+100)
	stored, err := s.author.PutRecord(t.Context(), iotest.HalfReader(bytes.NewReader(content)), s.upload(-1))
	require.NoError(t, err)
	require.EqualValues(t, len(content), stored.PlainSize)
}

func TestAPatientReadsWithoutAnyProxy(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	content := random(t, 1000)
	stored := s.put(t, content)
	for _, org := range []emr.OrgID{"HospAMSP", "HospBMSP", "HospCMSP", "RegMSP"} {
		s.Down[org] = true
	}
	receipt, err := s.patient.Disclose(t.Context(), stored.Record, "", emr.PurposePatient)
	require.NoError(t, err)
	got, _, err := read(t, s.patient, emr.DisclosureID(receipt.ID))
	require.NoError(t, err)
	require.Equal(t, content, got)
}

func TestAGrantOfTheScopeCoversLaterRecords(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	first := s.put(t, []byte("first"))
	giving := s.giving(first.Record)
	giving.WholeScope = true
	given, err := s.patient.Grant(t.Context(), giving)
	require.NoError(t, err)
	require.Empty(t, given.Terms.Records)
	later := s.put(t, []byte("later"))
	got, _, err := read(t, s.reader, s.ticket(t, later.Record, given.Terms.Grant))
	require.NoError(t, err)
	require.Equal(t, "later", string(got))
}

func TestANewVersionFollowsTheOld(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	first := s.put(t, []byte("first"))
	up := s.upload(6)
	up.Previous = first.Record
	second, err := s.author.PutRecord(t.Context(), bytes.NewReader([]byte("second")), up)
	require.NoError(t, err)
	require.EqualValues(t, 2, second.Version)
	_, err = s.author.PutRecord(t.Context(), bytes.NewReader([]byte("third!")), up)
	requireCode(t, emr.CodeRule, err)
	require.Equal(t, emr.ReasonSuperseded, emr.Public(err).Reason)

	other := join(t, s.World, "HospAMSP", emr.RolePatient, "")
	up.Previous, up.Patient = second.Record, emr.PatientID(other.Profile().ID)
	_, err = s.author.PutRecord(t.Context(), bytes.NewReader([]byte("third!")), up)
	requireCode(t, emr.CodeInvalid, err)
}

func TestTheSniffedTypeIsInTheManifest(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	require.Equal(t, "application/pdf", s.put(t, []byte("%PDF-1.7 and so on")).ContentType)
}

func TestGrantsThatAreRefusedBeforeAnyKeyIsMade(t *testing.T) {
	t.Parallel()
	s, ctx := newScene(t), t.Context()
	record := s.put(t, []byte("private")).Record
	low := join(t, s.World, "HospCMSP", emr.RolePhysician, emr.LevelLow)
	up := s.upload(3)
	up.Class = emr.ClassLifelogSensor
	moderate, err := s.author.PutRecord(ctx, bytes.NewReader([]byte("abc")), up)
	require.NoError(t, err)
	stranger := join(t, s.World, "HospAMSP", emr.RolePatient, "")
	cases := map[string]struct {
		who    *client.Client
		change func(*client.Giving)
		code   emr.Code
		reason emr.Reason
	}{
		"a physician gives":          {s.reader, func(*client.Giving) {}, emr.CodeRule, emr.ReasonRole},
		"another patient gives":      {stranger, func(*client.Giving) {}, emr.CodeForbidden, ""},
		"to nobody":                  {s.patient, func(g *client.Giving) { g.To = "" }, emr.CodeInvalid, ""},
		"to somebody unknown":        {s.patient, func(g *client.Giving) { g.To = "cli_00000000000000000000000000000000" }, emr.CodeNotFound, ""},
		"for nothing":                {s.patient, func(g *client.Giving) { g.Purposes = nil }, emr.CodeInvalid, ""},
		"for a purpose of others":    {s.patient, func(g *client.Giving) { g.Purposes = []emr.Purpose{emr.PurposePayment} }, emr.CodeRule, emr.ReasonPurpose},
		"to a lower level":           {s.patient, func(g *client.Giving) { g.To = emr.ClinicianID(low.Profile().ID) }, emr.CodeRule, emr.ReasonLevel},
		"until the past":             {s.patient, func(g *client.Giving) { g.Until = time.Now().Add(-time.Hour) }, emr.CodeInvalid, ""},
		"until too far":              {s.patient, func(g *client.Giving) { g.Until = time.Now().AddDate(2, 0, 0) }, emr.CodeInvalid, ""},
		"no record":                  {s.patient, func(g *client.Giving) { g.Records = nil }, emr.CodeInvalid, ""},
		"an unknown record":          {s.patient, func(g *client.Giving) { g.Records[0] = "rec_00000000000000000000000000000000" }, emr.CodeNotFound, ""},
		"records of two levels":      {s.patient, func(g *client.Giving) { g.Records = append(g.Records, moderate.Record) }, emr.CodeInvalid, ""},
		"an answer to nothing":       {s.patient, func(g *client.Giving) { g.Request = "req_00000000000000000000000000000000" }, emr.CodeNotFound, ""},
		"more records than are held": {s.patient, func(g *client.Giving) { g.Records = make([]emr.RecordID, 101) }, emr.CodeInvalid, ""},
	}
	for name, c := range cases {
		g := s.giving(record)
		c.change(&g)
		_, err := c.who.Grant(ctx, g)
		requireCode(t, c.code, err)
		require.Equal(t, c.reason, emr.Public(err).Reason, name)
	}
	asked, err := s.reader.RequestAccess(ctx, record, emr.PurposeTreatment, "")
	require.NoError(t, err)
	g := s.giving(record)
	g.Request, g.To = emr.RequestID(asked.ID), emr.ClinicianID(low.Profile().ID)
	_, err = s.patient.Grant(ctx, g)
	requireCode(t, emr.CodeInvalid, err)
	s.Professional(g.To).NotAfter = emr.TimeOf(time.Now().Add(-time.Minute))
	s.Professional(emr.ClinicianID(s.reader.Profile().ID)).NotAfter = emr.TimeOf(time.Now().Add(-time.Minute))
	_, err = s.patient.Grant(ctx, s.giving(record))
	requireCode(t, emr.CodeRule, err)
	require.Zero(t, s.Count("grant.create"), "nothing was sent")
}

func TestAnExhaustedGrantIsPassedOver(t *testing.T) {
	t.Parallel()
	s, ctx := newScene(t), t.Context()
	record := s.put(t, []byte("one")).Record
	_, err := s.reader.DiscloseAny(ctx, record, emr.PurposeTreatment)
	require.Equal(t, emr.ReasonNoGrant, emr.Public(err).Reason)
	var given []emr.GrantID
	for _, uses := range []uint32{1, 2} {
		g := s.giving(record)
		g.MaxUses = uses
		grant, err := s.patient.Grant(ctx, g)
		require.NoError(t, err)
		given = append(given, grant.Terms.Grant)
	}
	for _, want := range []emr.GrantID{given[1], given[1], given[0]} {
		receipt, err := s.reader.DiscloseAny(ctx, record, emr.PurposeTreatment)
		require.NoError(t, err)
		require.Equal(t, want, receipt.Grant)
	}
	_, err = s.reader.DiscloseAny(ctx, record, emr.PurposeTreatment)
	requireCode(t, emr.CodeRule, err)
	require.Equal(t, emr.ReasonExhausted, emr.Public(err).Reason, "and not an older reason")
}

func TestWhoeverMayNotWriteDoesNotUpload(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	for _, who := range []*client.Client{s.patient, join(t, s.World, "HospAMSP", emr.RoleResearcher, emr.LevelLow)} {
		_, err := who.PutRecord(t.Context(), bytes.NewReader(nil), s.upload(0))
		requireCode(t, emr.CodeRule, err)
	}
	require.Zero(t, s.Count("upload.create"))
}

func TestAnUploadThatChangesOnItsWayIsNotRegistered(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*api.Upload){
		"another digest": func(u *api.Upload) { u.Digest[0] ^= 1 },
		"another size":   func(u *api.Upload) { u.Size++ },
		"no content id":  func(u *api.Upload) { u.CID = "" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			s.OnUpload = change
			_, err := s.author.PutRecord(t.Context(), bytes.NewReader([]byte("abc")), s.upload(3))
			requireCode(t, emr.CodeCorrupt, err)
			require.Zero(t, s.Records())
			require.Zero(t, s.Uploads(), "the upload is discarded")
		})
	}
}

func TestARefusedRegistrationDiscardsTheUpload(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.Intercept = func(op string, w http.ResponseWriter, _ *http.Request) bool {
		if op == "record.register" {
			clienttest.WriteProblem(w, emr.Invalid("manifest", "is refused"))
			return true
		}
		return false
	}
	_, err := s.author.PutRecord(t.Context(), bytes.NewReader([]byte("abc")), s.upload(3))
	requireCode(t, emr.CodeInvalid, err)
	require.Zero(t, s.Uploads())
	require.Equal(t, 1, s.Count("upload.delete"))
	require.Equal(t, "request-1", client.RequestID(err))
}

func TestASourceThatFailsIsNotRegistered(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	broken := io.MultiReader(bytes.NewReader(random(t, 5000)), iotest.ErrReader(errors.New("disk")))
	_, err := s.author.PutRecord(t.Context(), broken, s.upload(-1))
	requireCode(t, emr.CodeInvalid, err)
	_, err = s.author.PutRecord(t.Context(), bytes.NewReader([]byte("shorter")), s.upload(70000))
	requireCode(t, emr.CodeInvalid, err)
	_, err = s.author.PutRecord(t.Context(), bytes.NewReader(random(t, 70000)), s.upload(60000))
	requireCode(t, emr.CodeInvalid, err)
	require.Zero(t, s.Records())
}

func TestSavingLeavesACompleteFileOrNone(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	content := random(t, 2*seal.SegmentPlainSize)
	record, grant := s.shared(t, content)
	path := filepath.Join(t.TempDir(), "out")
	opened, err := s.reader.OpenTicket(t.Context(), s.ticket(t, record, grant))
	require.NoError(t, err)

	s.OnContent = func(b []byte) []byte { altered := bytes.Clone(b); altered[len(b)-1] ^= 1; return altered }
	requireCode(t, emr.CodeCorrupt, opened.SaveTo(t.Context(), path, nil))
	entries, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	require.Empty(t, entries, "no file and no remains of one")

	s.OnContent = nil
	var last uint64
	require.NoError(t, opened.SaveTo(t.Context(), path, func(done uint64) { last = done }))
	got, err := os.ReadFile(path)
	require.NoError(t, err)
	require.True(t, bytes.Equal(content, got))
	require.EqualValues(t, len(content), last)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
}

func TestRelationships(t *testing.T) {
	t.Parallel()
	s, ctx := newScene(t), t.Context()
	_, err := s.reader.ProposeRelationship(ctx, emr.PatientID(s.patient.Profile().ID))
	require.NoError(t, err)
	_, err = s.patient.AnswerRelationship(ctx, "HospBMSP", true)
	require.NoError(t, err)
	page, err := s.patient.Relationships(ctx, client.Page{})
	require.NoError(t, err)
	require.Len(t, page.Items, 1)
	require.Equal(t, emr.RelationshipAccepted, page.Items[0].Status)
	_, err = s.reader.AnswerRelationship(ctx, "HospBMSP", true)
	requireCode(t, emr.CodeRule, err)
}

func TestRefusedRequestsAreRefused(t *testing.T) {
	t.Parallel()
	s, ctx := newScene(t), t.Context()
	record := s.put(t, []byte("abc")).Record
	asked, err := s.reader.RequestAccess(ctx, record, emr.PurposeTreatment, "")
	require.NoError(t, err)
	_, err = s.patient.RefuseAccess(ctx, emr.RequestID(asked.ID))
	require.NoError(t, err)
	_, err = s.patient.Grant(ctx, client.Giving{Request: emr.RequestID(asked.ID), Until: time.Now().Add(time.Hour)})
	requireCode(t, emr.CodeRule, err)
	denied, err := s.reader.RequestAccess(ctx, record, emr.PurposePayment, "")
	require.NoError(t, err, "a denial is an answer")
	require.Equal(t, emr.Deny, denied.Decision)
}

func TestListsAreWalkedToTheirEnd(t *testing.T) {
	t.Parallel()
	s, ctx := newScene(t), t.Context()
	record := s.put(t, []byte("abc")).Record
	first, err := s.reader.RequestAccess(ctx, record, emr.PurposeTreatment, "")
	require.NoError(t, err)
	for range 101 {
		_, err := s.reader.RequestAccess(ctx, record, emr.PurposeTreatment, "")
		require.NoError(t, err)
	}
	_, err = s.patient.Grant(ctx, client.Giving{Request: emr.RequestID(first.ID), Until: time.Now().Add(time.Hour)})
	require.NoError(t, err)
	page, err := s.patient.Requests(ctx, client.Page{Limit: 10})
	require.NoError(t, err)
	require.Len(t, page.Items, 10)
	next, err := s.patient.Requests(ctx, client.Page{Limit: 10, Cursor: page.Bookmark})
	require.NoError(t, err)
	require.NotEqual(t, page.Items[0].ID, next.Items[0].ID)
}
