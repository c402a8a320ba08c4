// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/chaincode/ledger"
	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// scene is a patient of hospital A with one private record there, its author, and
// a physician at hospital B who would like to read it.
type scene struct {
	*ledgertest.Consortium
	patient *ledgertest.Patient
	author  *ledgertest.Clinician
	reader  *ledgertest.Clinician
	scope   *emr.Scope
	record  *emr.Manifest
	// delegate signs for the patient where a test wants one.
	delegate *ledgertest.Patient
	// more are further records, a private and a low one, where a test wants them.
	more []*emr.Manifest
}

func (s *scene) extra() emr.RecordID { return s.more[0].Record }
func (s *scene) low() emr.RecordID   { return s.more[1].Record }

func newScene(t testing.TB) *scene {
	t.Helper()
	s := &scene{Consortium: ledgertest.NewConsortium(t)}
	s.Check = sameAgain(t)
	s.patient = s.Patient(t, ledgertest.HospitalA)
	s.author = s.Clinician(t, ledgertest.HospitalA, emr.RolePhysician, emr.LevelPrivate)
	s.reader = s.Clinician(t, ledgertest.HospitalB, emr.RolePhysician, emr.LevelPrivate)
	s.Accept(t, s.patient, s.author)
	s.scope = s.Scope(t, s.patient, emr.LevelPrivate)
	s.record = s.Record(t, s.author, s.scope, emr.ClassMedicalImaging)
	return s
}

// sameAgain runs every transaction of a scene a second time, as another peer
// does, refusals included, and compares what the two would endorse.
func sameAgain(t testing.TB) func(*ledgertest.Tx, string, []byte, any, error) {
	return func(tx *ledgertest.Tx, function string, raw []byte, answer any, err error) {
		again := tx.Again()
		secondAnswer, secondErr := ledgertest.Run(again, function, raw)
		if err != nil {
			assert.Error(t, secondErr)
			assert.Equal(t, ledgerapi.EncodeError(err), ledgerapi.EncodeError(secondErr), function)
			return
		}
		assert.NoError(t, secondErr)
		assert.Equal(t, answer, secondAnswer, function)
		assert.Equal(t, tx.Effects(), again.Effects(), function)
	}
}

// give grants the reader the scene's record and returns the arguments.
func (s *scene) give(t testing.TB) *ledgerapi.GrantAccessArgs {
	t.Helper()
	args := s.Grant(s.scope, s.reader, s.record.Record)
	s.Do(t, s.patient, ledgerapi.GrantAccess, args)
	return args
}

func (s *scene) ask(record emr.RecordID) ledgerapi.RequestAccessArgs {
	return ledgerapi.RequestAccessArgs{
		Request: ledgertest.ID[emr.RequestID](emr.RequestPrefix), Record: record, Purpose: emr.PurposeTreatment, Note: "please",
	}
}

func (s *scene) read(grant emr.GrantID) ledgerapi.DiscloseArgs {
	return ledgerapi.DiscloseArgs{
		Disclosure: ledgertest.ID[emr.DisclosureID](emr.DisclosurePrefix), Record: s.record.Record, Grant: grant,
		Purpose: emr.PurposeTreatment,
	}
}

// disclose requires that a disclosure is committed and returns its receipt.
func (s *scene) disclose(t testing.TB, by ledgertest.Member, args ledgerapi.DiscloseArgs) *ledgerapi.DecisionReceipt {
	t.Helper()
	return s.Do(t, by, ledgerapi.Disclose, args).(*ledgerapi.DecisionReceipt)
}

// open makes an OpenTicket action of somebody.
func (s *scene) open(t testing.TB, by ledgertest.Actor, id emr.DisclosureID) *emr.SignedAction {
	t.Helper()
	return s.Sign(t, by, ledgerapi.OpenTicket, ledgerapi.OpenTicketArgs{Disclosure: id})
}

// check asks an organisation's gateway whether a ticket holds.
func (s *scene) check(t testing.TB, org emr.OrgID, signed *emr.SignedAction) *ledgerapi.Ticket {
	t.Helper()
	ticket, err := ledger.CheckTicket(s.Query(s.Orgs[org]), ledgerapi.CheckTicketQuery{Signed: *signed})
	require.NoError(t, err)
	return ticket
}

// trail returns the patient's whole audit trail, newest first.
func (s *scene) trail(t testing.TB, patient emr.Handle) []emr.AuditEntry {
	t.Helper()
	var all []emr.AuditEntry
	q := ledgerapi.PageQuery{Patient: patient, Limit: 100}
	for {
		page, err := ledger.AuditByPatient(s.Query(s.Orgs[ledgertest.HospitalA]), q)
		require.NoError(t, err)
		all = append(all, page.Items...)
		if page.Bookmark == "" {
			return all
		}
		q.Bookmark = page.Bookmark
	}
}

func (s *scene) getGrant(t testing.TB, id emr.GrantID) *emr.Grant {
	t.Helper()
	g, err := ledger.GetGrant(s.Query(s.Orgs[ledgertest.HospitalA]), ledgerapi.GrantQuery{Grant: id})
	require.NoError(t, err)
	return g
}

func (s *scene) getRequest(t testing.TB, id emr.RequestID) *emr.Request {
	t.Helper()
	r, err := ledger.GetRequest(s.Query(s.Orgs[ledgertest.HospitalA]), ledgerapi.RequestQuery{Request: id})
	require.NoError(t, err)
	return r
}

// refuses requires an error of a code whose message or field contains a text.
func refuses(t testing.TB, err error, code emr.Code, contains string) {
	t.Helper()
	require.Error(t, err)
	require.Equal(t, code, emr.CodeOf(err), "%v", err)
	require.Contains(t, err.Error(), contains)
}
