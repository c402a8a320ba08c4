//go:build e2e

// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package sharing

import (
	"crypto/rand"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/network/e2e/testnet"
	"github.com/emrys-health/emrys/pkg/api"
	"github.com/emrys-health/emrys/pkg/client"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/keystore"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
	"github.com/emrys-health/emrys/pkg/trail"
)

func fresh[T ~string](t *testing.T, prefix string) T {
	t.Helper()
	id, err := emr.GenerateID[emr.RecordID](rand.Reader)
	require.NoError(t, err)
	return T(prefix + strings.TrimPrefix(string(id), emr.RecordPrefix))
}

func TestWhatDoesNotExistIsNotFound(t *testing.T) {
	w := newWard(t)
	_, err := w.author.PutRecord(t.Context(), strings.NewReader("x"), client.Upload{
		Patient: fresh[emr.PatientID](t, emr.PatientPrefix), Class: emr.ClassPrescription, Size: -1,
	})
	require.Equal(t, emr.CodeNotFound, emr.CodeOf(err), "unknown patient: %v", err)
	_, err = w.author.PutRecord(t.Context(), strings.NewReader("x"), client.Upload{Patient: w.pseudonym, Class: "diary", Size: -1})
	require.Equal(t, emr.CodeInvalid, emr.CodeOf(err), "unknown class: %v", err)
	_, err = w.reader.RequestAccess(t.Context(), fresh[emr.RecordID](t, emr.RecordPrefix), emr.PurposeTreatment, "")
	require.Equal(t, emr.CodeNotFound, emr.CodeOf(err), "unknown record: %v", err)
}

func TestAHospitalWithoutARelationshipWritesNothing(t *testing.T) {
	w := newWard(t)
	before := pins(t, "HospBMSP")
	_, err := w.reader.PutRecord(t.Context(), strings.NewReader("x"), client.Upload{
		Patient: w.pseudonym, Class: emr.ClassPrescription, Size: -1,
	})
	requireRefused(t, err, emr.CodeRule, emr.ReasonNoRelationship)
	requireNoStrayPins(t, "HospBMSP", before)
}

func TestReadingsAreRefusedForTheirReasonAndTheRefusalsStand(t *testing.T) {
	w := newWard(t)
	covered, other := w.put(strings.NewReader("covered")), w.put(strings.NewReader("other"))
	grant := w.grant(time.Hour, covered.Record)

	_, _, _, err := w.read(w.reader, covered.Record, "")
	requireRefused(t, err, emr.CodeRule, emr.ReasonNoGrant)
	_, _, _, err = w.read(w.reader, other.Record, grant)
	requireRefused(t, err, emr.CodeRule, emr.ReasonNotCovered)
	_, _, _, err = w.read(w.outsider, covered.Record, grant)
	requireRefused(t, err, emr.CodeRule, emr.ReasonNotGrantee)
	_, err = w.reader.Disclose(t.Context(), covered.Record, grant, emr.PurposeResearch)
	requireRefused(t, err, emr.CodeRule, emr.ReasonPurpose)

	ticket, err := w.reader.Disclose(t.Context(), covered.Record, grant, emr.PurposeTreatment)
	require.NoError(t, err)
	_, err = w.outsider.OpenTicket(t.Context(), emr.DisclosureID(ticket.ID))
	requireRefused(t, err, emr.CodeRule, emr.ReasonNotReader)

	revocation, err := w.patient.Revoke(t.Context(), grant)
	require.NoError(t, err)
	require.Len(t, revocation.Read, 1, "the answer names who has read")
	_, err = w.reader.OpenTicket(t.Context(), emr.DisclosureID(ticket.ID))
	requireRefused(t, err, emr.CodeRule, emr.ReasonRevoked)
	_, _, _, err = w.read(w.reader, covered.Record, grant)
	requireRefused(t, err, emr.CodeRule, emr.ReasonRevoked)

	require.EventuallyWithT(t, func(t *assert.CollectT) { // the patient's hospital commits in its own time
		denials := w.denials(t)
		for _, reason := range []emr.Reason{
			emr.ReasonNoGrant, emr.ReasonNotCovered, emr.ReasonNotGrantee, emr.ReasonPurpose, emr.ReasonNotReader, emr.ReasonRevoked,
		} {
			assert.True(t, denials[reason], "%s stands in the trail", reason)
		}
	}, 20*time.Second, 100*time.Millisecond)
	report, err := w.patient.VerifyTrail(t.Context(), nil)
	require.NoError(t, err)
	require.Equal(t, trail.Complete, report.Verdict, "%v", report.Faults)
	require.NotZero(t, report.Chained)
}

// denials returns the reasons of all denials in the patient's trail.
func (w *ward) denials(t require.TestingT) map[emr.Reason]bool {
	log, err := w.patient.Audit(w.t.Context(), client.Page{Limit: 100})
	require.NoError(t, err)
	reasons := map[emr.Reason]bool{}
	for _, entry := range log.Items {
		if entry.Decision == emr.Deny {
			reasons[entry.Reason] = true
		}
	}
	return reasons
}

func TestAGrantEndsWithItsTimeAndItsUses(t *testing.T) {
	w := newWard(t)
	stored := w.put(strings.NewReader("x"))
	given, err := w.patient.Grant(t.Context(), client.Giving{
		Records: []emr.RecordID{stored.Record}, To: w.readerID, Purposes: []emr.Purpose{emr.PurposeTreatment},
		Until: time.Now().Add(time.Hour), MaxUses: 1,
	})
	require.NoError(t, err)
	_, _, _, err = w.read(w.reader, stored.Record, given.Terms.Grant)
	require.NoError(t, err)
	_, _, _, err = w.read(w.reader, stored.Record, given.Terms.Grant)
	requireRefused(t, err, emr.CodeRule, emr.ReasonExhausted)

	short := w.grant(3*time.Second, stored.Record)
	require.Eventually(t, func() bool {
		_, _, _, err = w.read(w.reader, stored.Record, short)
		return err != nil
	}, 20*time.Second, 500*time.Millisecond)
	// That reading may have begun before the end and been refused at a proxy after it, as an expired ticket. The next begins after it.
	_, _, _, err = w.read(w.reader, stored.Record, short)
	requireRefused(t, err, emr.CodeRule, emr.ReasonExpired)
}

func TestNobodySeesAnothersTrail(t *testing.T) {
	w := newWard(t)
	stored := w.put(strings.NewReader("x"))
	_, err := w.outsider.AuditOfRecord(t.Context(), stored.Record, client.Page{})
	require.Equal(t, emr.CodeNotFound, emr.CodeOf(err), "%v", err)
	_, absent := w.outsider.AuditOfRecord(t.Context(), fresh[emr.RecordID](t, emr.RecordPrefix), client.Page{})
	require.Equal(t, emr.Public(absent).Message, emr.Public(err).Message, "hidden and absent look the same")
}

// stranger signs actions with a person's keys, as that person's own device would.
type stranger struct {
	t       *testing.T
	keys    *keystore.Store
	profile *client.Profile
}

func (w *ward) signerOf(name string, c *client.Client) *stranger {
	w.t.Helper()
	keys, err := keystore.Open(filepath.Join(w.dir, name), nil)
	require.NoError(w.t, err)
	return &stranger{t: w.t, keys: keys, profile: c.Profile()}
}

func (s *stranger) action(function string, args any) emr.Action {
	s.t.Helper()
	raw, err := emr.Canonical(args)
	require.NoError(s.t, err)
	nonce := make([]byte, 16)
	_, _ = rand.Read(nonce)
	now := emr.TimeOf(time.Now())
	return emr.Action{
		V: 1, Channel: s.profile.Channel, Contract: s.profile.Contract, Function: function, Actor: s.profile.Actor(),
		Nonce: nonce, Issued: now - 5, Expires: now + 120, Args: raw,
	}
}

func (s *stranger) sign(a emr.Action) *emr.SignedAction {
	s.t.Helper()
	body, err := emr.Canonical(&a)
	require.NoError(s.t, err)
	signer := s.keys.Enrolment()
	if s.profile.IsPatient() {
		signer = s.keys.Consent()
	}
	signature, err := signer.SignDigest(emr.ActionDigest(body))
	require.NoError(s.t, err)
	return &emr.SignedAction{Kind: emr.SignatureP256, Body: body, Signature: signature}
}

// A gateway may do its worst with the actions that pass through it: here one
// submits straight to the peers, with a real gateway's certificate.
func TestAHostileGatewayCannotBendASignedAction(t *testing.T) {
	w := newWard(t)
	stored := w.put(strings.NewReader("x"))
	grant := w.grant(time.Hour, stored.Record)
	patient, reader := w.signerOf("patient", w.patient), w.signerOf("reader", w.reader)
	hostile, err := net.AsGateway("HospBMSP")
	require.NoError(t, err)
	t.Cleanup(hostile.Close)
	handle := w.patient.Profile().Handle
	revoke := ledgerapi.RevokeAccessArgs{Patient: handle, Grant: grant}
	submit := func(function string, signed *emr.SignedAction) error {
		return hostile.SubmitAction(t.Context(), function, signed)
	}

	t.Run("altered after signing", func(t *testing.T) {
		signed := patient.sign(patient.action(ledgerapi.RevokeAccess, revoke))
		signed.Body = []byte(strings.Replace(string(signed.Body), string(grant), string(fresh[emr.GrantID](t, emr.GrantPrefix)), 1))
		requireRefused(t, submit(ledgerapi.RevokeAccess, signed), emr.CodeUnauthenticated, "")
	})
	t.Run("for another function", func(t *testing.T) {
		signed := patient.sign(patient.action(ledgerapi.RevokeAccess, revoke))
		require.Equal(t, emr.CodeInvalid, emr.CodeOf(submit(ledgerapi.RefuseAccess, signed)))
	})
	t.Run("for another channel", func(t *testing.T) {
		a := patient.action(ledgerapi.RevokeAccess, revoke)
		a.Channel = "elsewhere"
		require.Equal(t, emr.CodeInvalid, emr.CodeOf(submit(ledgerapi.RevokeAccess, patient.sign(a))))
	})
	t.Run("expired", func(t *testing.T) {
		a := patient.action(ledgerapi.RevokeAccess, revoke)
		a.Issued, a.Expires = a.Issued-600, a.Issued-300
		requireRefused(t, submit(ledgerapi.RevokeAccess, patient.sign(a)), emr.CodeUnauthenticated, "")
	})
	t.Run("signed by somebody else in the patient's name", func(t *testing.T) {
		a := reader.action(ledgerapi.RevokeAccess, revoke)
		a.Actor = string(handle)
		requireRefused(t, submit(ledgerapi.RevokeAccess, reader.sign(a)), emr.CodeUnauthenticated, "")
	})
	t.Run("a clinician of another organisation", func(t *testing.T) {
		author := w.signerOf("author", w.author)
		signed := author.sign(author.action(ledgerapi.RequestAccess, ledgerapi.RequestAccessArgs{
			Request: fresh[emr.RequestID](t, emr.RequestPrefix), Record: stored.Record, Purpose: emr.PurposeTreatment,
		}))
		requireRefused(t, submit(ledgerapi.RequestAccess, signed), emr.CodeForbidden, "")
	})
	t.Run("a capsule copied to another record", func(t *testing.T) {
		author := w.signerOf("author", w.author)
		var view ledgerapi.ManifestView
		require.NoError(t, hostile.Query(t.Context(), ledgerapi.GetManifest, ledgerapi.RecordQuery{Record: stored.Record}, &view))
		action, err := view.Signed.Parse()
		require.NoError(t, err)
		var m emr.Manifest
		require.NoError(t, json.Unmarshal(action.Args, &m))
		m.Record = fresh[emr.RecordID](t, emr.RecordPrefix)
		own, err := net.AsGateway("HospAMSP")
		require.NoError(t, err)
		t.Cleanup(own.Close)
		err = own.SubmitAction(t.Context(), ledgerapi.RegisterRecord, author.sign(author.action(ledgerapi.RegisterRecord, m)))
		require.Equal(t, emr.CodeCorrupt, emr.CodeOf(err), "%v", err)
	})
	t.Run("replayed", func(t *testing.T) {
		signed := patient.sign(patient.action(ledgerapi.RevokeAccess, revoke))
		require.NoError(t, submit(ledgerapi.RevokeAccess, signed), "any gateway may relay a patient's action")
		requireRefused(t, submit(ledgerapi.RevokeAccess, signed), emr.CodeExists, "")
	})
}

func TestTheRegulatorCannotAssertAPhysician(t *testing.T) {
	_, err := net.Join(t.Context(), filepath.Join(t.TempDir(), "impostor"), "RegulatorMSP", emr.RolePhysician, emr.LevelPrivate)
	require.Error(t, err)
}

func TestContentThatIsNotTheSignedOneIsRefused(t *testing.T) {
	w := newWard(t)
	genuine := w.put(testnet.Content(1, 400_000))
	author := w.signerOf("author", w.author)
	other := w.put(testnet.Content(2, 400_000))
	own, err := net.AsGateway("HospAMSP")
	require.NoError(t, err)
	t.Cleanup(own.Close)
	var view ledgerapi.ManifestView
	require.NoError(t, own.Query(t.Context(), ledgerapi.GetManifest, ledgerapi.RecordQuery{Record: genuine.Record}, &view))
	action, err := view.Signed.Parse()
	require.NoError(t, err)
	var m emr.Manifest
	require.NoError(t, json.Unmarshal(action.Args, &m))
	// A hostile author swaps the content of a record by its CID: the capsule is bound to it.
	m.Record, m.CID = fresh[emr.RecordID](t, emr.RecordPrefix), other.CID
	err = own.SubmitAction(t.Context(), ledgerapi.RegisterRecord, author.sign(author.action(ledgerapi.RegisterRecord, m)))
	require.Equal(t, emr.CodeCorrupt, emr.CodeOf(err), "%v", err)
	page, err := w.reader.Search(t.Context(), api.Search{Patient: w.pseudonym})
	require.NoError(t, err)
	require.Len(t, page.Items, 2, "nothing was registered")
}
