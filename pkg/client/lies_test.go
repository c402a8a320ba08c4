// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/api"
	"github.com/emrys-health/emrys/pkg/attest/attesttest"
	"github.com/emrys-health/emrys/pkg/client"
	"github.com/emrys-health/emrys/pkg/client/clienttest"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
	"github.com/emrys-health/emrys/pkg/pre"
)

// stage is a patient with a record at hospital A, whose gateway is about to lie,
// and devices that have asked it nothing yet.
type stage struct {
	*clienttest.World
	patient, author *client.Client
	record          emr.RecordID
	ticket          emr.DisclosureID // of the patient
	upload          client.Upload
	giving          client.Giving
}

func newStage(t *testing.T) *stage {
	t.Helper()
	w, patientDir, authorDir := clienttest.New(t), t.TempDir(), t.TempDir()
	s := &scene{
		World:   w,
		patient: joinIn(t, w, patientDir, "HospAMSP", emr.RolePatient, ""),
		author:  joinIn(t, w, authorDir, "HospAMSP", emr.RolePhysician, emr.LevelPrivate),
		reader:  join(t, w, "HospBMSP", emr.RolePhysician, emr.LevelPrivate),
	}
	record := s.put(t, []byte("content")).Record
	receipt, err := s.patient.Disclose(t.Context(), record, "", emr.PurposePatient)
	require.NoError(t, err)
	reopen := func(dir string) *client.Client {
		c, err := client.Open(dir, nil, new(hurried).options())
		require.NoError(t, err)
		t.Cleanup(c.Close)
		return c
	}
	return &stage{
		World: w, patient: reopen(patientDir), author: reopen(authorDir), record: record,
		ticket: emr.DisclosureID(receipt.ID), upload: s.upload(4), giving: s.giving(record),
	}
}

func (s *stage) grant(t *testing.T) error {
	t.Helper()
	_, err := s.patient.Grant(t.Context(), s.giving)
	return err
}

func (s *stage) put(t *testing.T) error {
	t.Helper()
	_, err := s.author.PutRecord(t.Context(), bytes.NewReader([]byte("more")), s.upload)
	return err
}

func (s *stage) read(t *testing.T) error {
	t.Helper()
	_, _, err := read(t, s.patient, s.ticket)
	return err
}

// sent counts what leaves a device when an action goes through.
func (s *stage) sent() map[string]int {
	sent := map[string]int{}
	for _, operation := range []string{"grant.create", "upload.create", "record.register", "disclosure.content"} {
		sent[operation] = s.Count(operation)
	}
	return sent
}

// rewritten decodes an answer of the registry, changes it and encodes it again.
func rewritten[T any](t *testing.T, change func(*T)) func([]byte) []byte {
	t.Helper()
	return func(answer []byte) []byte {
		var entry T
		require.NoError(t, json.Unmarshal(answer, &entry))
		change(&entry)
		lie, err := emr.Canonical(&entry)
		require.NoError(t, err)
		require.NotEqual(t, string(answer), string(lie))
		return lie
	}
}

// A gateway substitutes keys of its own for those that secrets would be sealed
// to, and digests of its own for those that content is checked by. Told well
// enough a lie would work, so every way of telling it without two accomplices
// must be refused before anything leaves the device.
func TestALieAboutTheRegistryIsNotActedUpon(t *testing.T) {
	t.Parallel()
	key, err := pre.GeneratePrivateKey(nil)
	require.NoError(t, err)
	hybrid, err := pre.GenerateHybridKey()
	require.NoError(t, err)
	organisation := func(id emr.OrgID, change func(*emr.OrgKeys)) func([]byte) []byte {
		return rewritten(t, func(list *ledgerapi.OrganisationList) {
			for i := range list.Items {
				if list.Items[i].ID == id {
					change(&list.Items[i].Keys)
				}
			}
		})
	}
	proxyKey := organisation("HospCMSP", func(k *emr.OrgKeys) { k.Proxy = hybrid.Public().Bytes() })
	for name, lie := range map[string]struct {
		function string
		tell     func([]byte) []byte
		act      func(*stage, *testing.T) error
	}{
		"a proxy key, to a patient who grants": {ledgerapi.GetOrganisations, proxyKey, (*stage).grant},
		"a proxy key, to an author":            {ledgerapi.GetOrganisations, proxyKey, (*stage).put},
		"the hospital's record key, to an author": {ledgerapi.GetOrganisations, organisation("HospAMSP",
			func(k *emr.OrgKeys) { k.Record = hybrid.Public().Bytes() }), (*stage).put},
		"a reading key, to a patient who grants": {ledgerapi.GetClinician,
			rewritten(t, func(c *emr.Clinician) { c.Reading = key.Public().Bytes() }), (*stage).grant},
		"a scope key, to an author": {ledgerapi.ResolvePatient, rewritten(t, func(p *ledgerapi.PatientView) {
			for i := range p.Scopes {
				p.Scopes[i].Delegating = key.Public().Bytes()
			}
		}), (*stage).put},
		"a patient's key, to an author": {ledgerapi.ResolvePatient,
			rewritten(t, func(p *ledgerapi.PatientView) { p.Patient.Hybrid = hybrid.Public().Bytes() }), (*stage).put},
		"a manifest's digest, to a reader": {ledgerapi.GetRecord,
			rewritten(t, func(r *emr.Record) { r.Manifest[0] ^= 1 }), (*stage).read},
		"a record's scope, to a patient who grants": {ledgerapi.GetRecord,
			rewritten(t, func(r *emr.Record) { r.Scope = "scp_00000000000000000000000000000000" }), (*stage).grant},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			for way, tell := range waysToLie(t, s, lie.tell) {
				before := s.sent()
				s.OnAnswer, s.OnProving = tell.onAnswer(lie.function), tell.onProving(lie.function)
				err := lie.act(s, t)
				requireCode(t, emr.CodeCorrupt, err)
				require.Equal(t, before, s.sent(), way)
			}
			s.OnAnswer, s.OnProving = nil, nil
			require.NoError(t, lie.act(s, t), "told the truth, it works")
			require.Zero(t, s.Unproven(), "no entry is ever asked for without a proof")
		})
	}
}

// telling is one way of telling a lie: on the way, or to be endorsed.
type telling struct {
	answer  func([]byte) []byte
	proving func(*clienttest.Proving)
}

func (l telling) onAnswer(function string) func(string, []byte) []byte {
	if l.answer == nil {
		return nil
	}
	return func(asked string, answer []byte) []byte {
		if asked == function {
			return l.answer(answer)
		}
		return answer
	}
}

func (l telling) onProving(function string) func(*clienttest.Proving) {
	return func(p *clienttest.Proving) {
		if l.proving != nil && p.Function == function {
			l.proving(p)
		}
	}
}

func waysToLie(t *testing.T, s *stage, lie func([]byte) []byte) map[string]telling {
	t.Helper()
	others := attesttest.New(t, time.Now(), "HospAMSP", "HospBMSP", "HospCMSP", "RegMSP")
	endorsed := func(by ...emr.OrgID) telling {
		return telling{proving: func(p *clienttest.Proving) { p.Answer, p.By = lie(p.Answer), by }}
	}
	return map[string]telling{
		"on its way":                             {answer: lie},
		"endorsed by nobody":                     endorsed([]emr.OrgID{}...),
		"endorsed by the own peer":               endorsed("HospAMSP"),
		"endorsed by the own peer, often":        endorsed("HospAMSP", "HospAMSP", "HospAMSP"),
		"endorsed by the own peer and one other": endorsed("HospAMSP", "HospBMSP"),
		"endorsed by one other, often":           endorsed("HospBMSP", "HospBMSP", "HospBMSP"),
		"endorsed by authorities of its own making": {proving: func(p *clienttest.Proving) {
			p.Answer, p.By, p.Consortium = lie(p.Answer), []emr.OrgID{"HospAMSP", "HospBMSP", "HospCMSP", "RegMSP"}, others
		}},
	}
}

// What enough organisations did endorse does not answer every question.
func TestAProofOfSomethingElseIsRefused(t *testing.T) {
	t.Parallel()
	other, err := emr.Canonical(&ledgerapi.ClinicianQuery{Clinician: "cli_00000000000000000000000000000000"})
	require.NoError(t, err)
	for name, change := range map[string]func(*clienttest.Proving){
		"of another question":         func(p *clienttest.Proving) { p.Argument = other },
		"of another function":         func(p *clienttest.Proving) { p.Function = ledgerapi.GetPatient },
		"of another channel":          func(p *clienttest.Proving) { p.Channel = "other" },
		"of before the last minutes":  func(p *clienttest.Proving) { p.At = p.At.Add(-6 * time.Minute) },
		"of a time to come":           func(p *clienttest.Proving) { p.At = p.At.Add(6 * time.Minute) },
		"of an answer that is none":   func(p *clienttest.Proving) { p.Answer = []byte("[]") },
		"of an answer that is absent": func(p *clienttest.Proving) { p.Answer = nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			s.OnProving = func(p *clienttest.Proving) {
				if p.Function == ledgerapi.GetClinician {
					change(p)
				}
			}
			requireCode(t, emr.CodeCorrupt, s.grant(t))
			require.Zero(t, s.Count("grant.create"))
			require.Zero(t, s.Grants())
		})
	}
}

func TestAnswersWithoutAProofAreRefused(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*api.Proof){
		"no endorsements": func(p *api.Proof) { p.Endorsements = nil },
		"no proposal":     func(p *api.Proof) { p.Proposal = nil },
		"no response":     func(p *api.Proof) { p.Response = nil },
		"nothing":         func(p *api.Proof) { *p = api.Proof{} },
		"rubbish":         func(p *api.Proof) { p.Proposal, p.Response = []byte{0xff}, []byte{0xff} },
		"endorsers swapped": func(p *api.Proof) {
			p.Endorsements[1].Endorser, p.Endorsements[2].Endorser = p.Endorsements[2].Endorser, p.Endorsements[1].Endorser
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			s.OnProof = func(_ string, p *api.Proof) { change(p) }
			requireCode(t, emr.CodeCorrupt, s.grant(t))
			requireCode(t, emr.CodeCorrupt, s.put(t))
			requireCode(t, emr.CodeCorrupt, s.read(t))
			require.Zero(t, s.Grants())
			require.Zero(t, s.Uploads())
			require.Equal(t, 1, s.Records())
		})
	}
}

// The threshold is policy that no proof covers: it cannot be lowered below what the ledger allows.
func TestAThresholdOfOneIsRefused(t *testing.T) {
	t.Parallel()
	for _, threshold := range []uint8{0, 1} {
		s := newStage(t)
		s.Threshold = threshold
		requireCode(t, emr.CodeCorrupt, s.grant(t))
		requireCode(t, emr.CodeCorrupt, s.put(t))
		require.Zero(t, s.Grants())
		require.Equal(t, 1, s.Count("upload.create"), "the honest one before")
	}
}

// What network.get says of keys is not even looked at.
func TestKeysBesideAProofAreIgnored(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	lie := api.Network{
		Channel: clienttest.Channel, Contract: clienttest.Contract, Organisation: "HospAMSP", Threshold: 2, Replicas: 2,
		Organisations: []emr.Organisation{s.Org("HospAMSP").Entry, s.Org("HospBMSP").Entry},
	}
	lie.Organisations[1].Keys.Proxy = []byte("the gateway's own")
	s.Intercept = func(operation string, w http.ResponseWriter, _ *http.Request) bool {
		if operation != "network.get" {
			return false
		}
		_ = json.NewEncoder(w).Encode(lie)
		return true
	}
	n, err := s.patient.Network(t.Context())
	require.NoError(t, err)
	require.Len(t, n.Organisations, 4)
	for _, o := range n.Organisations {
		require.Equal(t, s.Org(o.ID).Entry, o)
	}
	require.NoError(t, s.grant(t))
}
