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
)

func TestARelationshipMovesOnlyAsItMay(t *testing.T) {
	t.Parallel()
	type move struct {
		what string
		code emr.Code // "" when it succeeds
		then emr.RelationshipStatus
	}
	proposed, accepted, refused := emr.RelationshipProposed, emr.RelationshipAccepted, emr.RelationshipRefused
	for name, moves := range map[string][]move{
		"nothing to accept":              {{"accept", emr.CodeNotFound, ""}},
		"nothing to refuse":              {{"refuse", emr.CodeNotFound, ""}},
		"accepted once":                  {{"propose", "", proposed}, {"accept", "", accepted}, {"accept", emr.CodeRule, accepted}},
		"refused once":                   {{"propose", "", proposed}, {"refuse", "", refused}, {"refuse", emr.CodeRule, refused}},
		"refused cannot be accepted":     {{"propose", "", proposed}, {"refuse", "", refused}, {"accept", emr.CodeRule, refused}},
		"accepted is ended":              {{"propose", "", proposed}, {"accept", "", accepted}, {"refuse", "", refused}},
		"refused is proposed again":      {{"propose", "", proposed}, {"refuse", "", refused}, {"propose", "", proposed}, {"accept", "", accepted}},
		"proposed is not proposed again": {{"propose", "", proposed}, {"propose", emr.CodeExists, proposed}},
		"accepted is not proposed again": {{"propose", "", proposed}, {"accept", "", accepted}, {"propose", emr.CodeExists, accepted}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := ledgertest.NewConsortium(t)
			p := c.Patient(t, ledgertest.HospitalA)
			by := c.Clinician(t, ledgertest.HospitalB, emr.RoleNurse, emr.LevelLow)
			for _, m := range moves {
				var err error
				if m.what == "propose" {
					_, err = c.Try(t, by, ledgerapi.ProposeRelationship,
						ledgerapi.ProposeRelationshipArgs{Patient: p.Handle, Hospital: by.Org.ID})
				} else {
					_, err = c.Try(t, p, ledgerapi.AnswerRelationship,
						ledgerapi.AnswerRelationshipArgs{Patient: p.Handle, Hospital: by.Org.ID, Accept: m.what == "accept"})
				}
				require.Equal(t, m.code, emr.CodeOf(err), "%v", err)
				page, err := ledger.ListRelationships(c.Query(p.Org), ledgerapi.PageQuery{Patient: p.Handle})
				require.NoError(t, err)
				if m.then == "" {
					require.Empty(t, page.Items)
					continue
				}
				require.Equal(t, m.then, page.Items[0].Status)
				require.Equal(t, by.ID, page.Items[0].By)
			}
		})
	}
}

func TestProposingARelationshipIsRefused(t *testing.T) {
	t.Parallel()
	c := ledgertest.NewConsortium(t)
	p := c.Patient(t, ledgertest.HospitalA)
	physician := c.Clinician(t, ledgertest.HospitalA, emr.RolePhysician, emr.LevelLow)
	researcher := c.Clinician(t, ledgertest.HospitalA, emr.RoleResearcher, emr.LevelPrivate)
	insurer := c.Clinician(t, ledgertest.HospitalA, emr.RoleInsurer, emr.LevelPrivate)
	auditor := c.Clinician(t, ledgertest.Regulator, emr.RoleAuditor, emr.LevelPrivate)
	for name, test := range map[string]struct {
		by       *ledgertest.Clinician
		patient  emr.Handle
		hospital emr.OrgID
		code     emr.Code
	}{
		"for another hospital":          {physician, p.Handle, ledgertest.HospitalB, emr.CodeForbidden},
		"by a researcher":               {researcher, p.Handle, ledgertest.HospitalA, emr.CodeRule},
		"by an insurer":                 {insurer, p.Handle, ledgertest.HospitalA, emr.CodeRule},
		"by an auditor":                 {auditor, p.Handle, ledgertest.Regulator, emr.CodeRule},
		"with a patient who is unknown": {physician, ledgertest.ID[emr.Handle]("hnd_"), ledgertest.HospitalA, emr.CodeNotFound},
		"with a handle of another form": {physician, "Jane", ledgertest.HospitalA, emr.CodeInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := c.Try(t, test.by, ledgerapi.ProposeRelationship,
				ledgerapi.ProposeRelationshipArgs{Patient: test.patient, Hospital: test.hospital})
			refuses(t, err, test.code, "")
		})
	}
	_, err := c.Try(t, p, ledgerapi.AnswerRelationship,
		ledgerapi.AnswerRelationshipArgs{Patient: p.Handle, Hospital: "a b", Accept: true})
	refuses(t, err, emr.CodeInvalid, "hospital")
}

// TestAnAcceptanceThatWasKeptBackDoesNotAnswerALaterProposal: the hospital proposes
// again what the patient has refused, and submits what the patient signed before.
func TestAnAcceptanceThatWasKeptBackDoesNotAnswerALaterProposal(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	propose := ledgerapi.ProposeRelationshipArgs{Patient: s.patient.Handle, Hospital: ledgertest.HospitalB}
	accept := ledgerapi.AnswerRelationshipArgs{Patient: s.patient.Handle, Hospital: ledgertest.HospitalB, Accept: true}
	refuse := accept
	refuse.Accept = false
	slow := s.Sign(t, s.patient, ledgerapi.AnswerRelationship, accept)
	s.Wait(emr.MaxActionSkew)
	s.Do(t, s.reader, ledgerapi.ProposeRelationship, propose)
	_, err := s.Submit(t, s.reader.Org, ledgerapi.AnswerRelationship, slow)
	require.NoError(t, err, "a device whose clock is slow")
	kept := s.Sign(t, s.patient, ledgerapi.AnswerRelationship, accept)
	s.Do(t, s.patient, ledgerapi.AnswerRelationship, refuse)
	s.Wait(emr.MaxActionSkew + time.Second)
	s.Do(t, s.reader, ledgerapi.ProposeRelationship, propose)
	_, err = s.Submit(t, s.reader.Org, ledgerapi.AnswerRelationship, kept)
	refuses(t, err, emr.CodeStale, "sign it anew")
	s.Do(t, s.patient, ledgerapi.AnswerRelationship, accept)
}
