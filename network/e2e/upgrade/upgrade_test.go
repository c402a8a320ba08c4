//go:build e2e

// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package upgrade

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/network/e2e/testnet"
	"github.com/emrys-health/emrys/pkg/api"
	"github.com/emrys-health/emrys/pkg/client"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

const soon = time.Minute

// members are the organisations by the name of their chaincode process.
func members() map[string]string {
	return map[string]string{"hospa": "HospAMSP", "hospb": "HospBMSP", "hospc": "HospCMSP", "regulator": "RegulatorMSP"}
}

func as(t *testing.T, connect func(string) (*testnet.Member, error), org string) *testnet.Member {
	t.Helper()
	m, err := connect(org)
	require.NoError(t, err)
	t.Cleanup(m.Close)
	return m
}

func eventually(t *testing.T, do func() error) {
	t.Helper()
	var err error
	for deadline := time.Now().Add(soon); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		if err = do(); err == nil {
			return
		}
	}
	require.NoError(t, err)
}

func upgrade(t *testing.T, sequence int, version, of string) error {
	t.Helper()
	file := filepath.Join(t.TempDir(), "topology.yaml")
	require.NoError(t, os.WriteFile(file, description(sequence, version, of), 0o600))
	_, err := net.Control(t.Context(), "upgrade", "--topology", file)
	return err
}

// reregister has an administrator register what the organisation has registered: it
// reads the organisation's document and writes it anew.
func reregister(ctx context.Context, m *testnet.Member, org emr.OrgID) error {
	var list ledgerapi.OrganisationList
	if err := m.Query(ctx, ledgerapi.GetOrganisations, ledgerapi.Empty{}, &list); err != nil {
		return err
	}
	for _, o := range list.Items {
		if o.ID == org {
			return m.Order(ctx, ledgerapi.RegisterOrganisation, ledgerapi.RegisterOrganisationArgs{
				Name: o.Name, Kind: o.Kind, CACert: o.CACert, GatewayURL: o.GatewayURL, Keys: o.Keys, IPFS: o.IPFS,
			})
		}
	}
	return emr.E(emr.CodeNotFound, "no such organisation")
}

// run with another contract: puts a program in the place of the contract and starts it at some organisations.
func runAt(t *testing.T, program string, orgs ...string) {
	t.Helper()
	require.NoError(t, copyFile(program, filepath.Join(bin, chaincode)))
	for _, org := range orgs {
		for _, action := range []string{"stop", "start"} {
			_, err := net.Control(t.Context(), action, "chaincode."+org)
			require.NoError(t, err)
		}
	}
}

// versionAt asks an organisation's own peer.
func versionAt(t *testing.T, org string) func() (int, error) {
	m := as(t, net.AsGateway, org)
	return func() (int, error) {
		var view ledgerapi.ContractView
		err := m.Query(t.Context(), ledgerapi.GetContract, ledgerapi.Empty{}, &view)
		return view.Version, err
	}
}

func awaitVersion(t *testing.T, org string, want int) {
	t.Helper()
	ask := versionAt(t, org)
	eventually(t, func() error {
		got, err := ask()
		if err == nil && got != want {
			err = emr.E(emr.CodeStale, "another version answers")
		}
		return err
	})
}

// story is what was written before anything changes.
type story struct {
	patient, author, reader *client.Client
	pseudonym               emr.PatientID
	record                  *client.Stored
	grant                   emr.GrantID
}

func tell(t *testing.T) *story {
	t.Helper()
	home := t.TempDir()
	join := func(name, org string, role emr.Role, level emr.Level) *client.Client {
		c, err := net.Join(t.Context(), filepath.Join(home, name), org, role, level)
		require.NoError(t, err)
		t.Cleanup(c.Close)
		return c
	}
	s := &story{
		patient: join("patient", "HospAMSP", emr.RolePatient, ""),
		author:  join("author", "HospAMSP", emr.RolePhysician, emr.LevelPrivate),
		reader:  join("reader", "HospBMSP", emr.RolePhysician, emr.LevelPrivate),
	}
	s.pseudonym = emr.PatientID(s.patient.Profile().ID)
	_, err := s.author.ProposeRelationship(t.Context(), s.pseudonym)
	require.NoError(t, err)
	_, err = s.patient.AnswerRelationship(t.Context(), "HospAMSP", true)
	require.NoError(t, err)
	s.record, err = s.author.PutRecord(t.Context(), strings.NewReader("of before"), client.Upload{
		Patient: s.pseudonym, Class: emr.ClassMedicalImaging, Size: -1,
	})
	require.NoError(t, err)
	eventually(t, func() error {
		page, err := s.reader.Search(t.Context(), api.Search{Patient: s.pseudonym})
		if err == nil && len(page.Items) == 0 {
			err = emr.E(emr.CodeNotFound, "not there yet")
		}
		return err
	})
	given, err := s.patient.Grant(t.Context(), client.Giving{
		Records: []emr.RecordID{s.record.Record}, To: emr.ClinicianID(s.reader.Profile().ID),
		Purposes: []emr.Purpose{emr.PurposeTreatment}, Until: time.Now().Add(time.Hour),
	})
	require.NoError(t, err)
	s.grant = given.Terms.Grant
	return s
}

func (s *story) read(t *testing.T) error {
	t.Helper()
	ticket, err := s.reader.Disclose(t.Context(), s.record.Record, s.grant, emr.PurposeTreatment)
	if err != nil {
		return err
	}
	opened, err := s.reader.OpenTicket(t.Context(), emr.DisclosureID(ticket.ID))
	if err != nil {
		return err
	}
	var content strings.Builder
	if err := opened.Stream(t.Context(), &content, nil); err != nil {
		return err
	}
	require.Equal(t, "of before", content.String())
	return nil
}

// TestAConsortiumChangesItsContract goes through it in order: each step builds on the one before.
func TestAConsortiumChangesItsContract(t *testing.T) {
	s := tell(t)
	for _, step := range []struct {
		name string
		do   func(*testing.T, *story)
	}{
		{"who is no member of the collection sees nothing of it", withoutPrivateData},
		{"an upgrade that takes data away or skips a sequence is refused", refusedUpgrades},
		{"the collection gets a member while transactions go on", extendCollection},
		{"the new member sees what was written before", reconciled},
		{"what was written before is read, and purged", purgedLater},
		{"peers of two versions agree on what they store alike", mixedAgree},
		{"and are refused on what they do not", mixedRefused},
		{"the next version takes over, and reads what the old one wrote", takeOver},
		{"the old version refuses what the next one wrote", goBack},
	} {
		if !t.Run(step.name, func(t *testing.T) { step.do(t, s) }) {
			t.FailNow()
		}
	}
}

// resolve reads a private value of before at an organisation's own peers, whose it must be.
func (s *story) resolve(t *testing.T, org string) error {
	t.Helper()
	return s.resolveAs(t, org, org)
}

// resolveAs asks the peers of one organisation as the gateway of another.
func (s *story) resolveAs(t *testing.T, who, org string) error {
	t.Helper()
	m := as(t, net.AsGateway, who)
	var view ledgerapi.PatientView
	return m.QueryAt(t.Context(), org, ledgerapi.ResolvePatient, ledgerapi.ResolvePatientQuery{Patient: s.pseudonym}, &view)
}

func withoutPrivateData(t *testing.T, s *story) {
	require.NoError(t, s.resolve(t, "HospCMSP"))
	require.Error(t, s.resolve(t, "RegulatorMSP"), "it may not ask")
	require.Error(t, s.resolveAs(t, "HospCMSP", "RegulatorMSP"), "and its peer has nothing to tell a member")
	require.NoError(t, s.read(t))
}

func refusedUpgrades(t *testing.T, _ *story) {
	require.ErrorContains(t, upgrade(t, 2, "1.0", "hospa, hospb"), "cannot leave collection sealed")
	require.ErrorContains(t, upgrade(t, 3, "1.0", "hospa, hospb, hospc, regulator"), "must be 2")
}

// Requests write private data, and none of them conflicts with another.
func extendCollection(t *testing.T, s *story) {
	ctx, stop := context.WithCancel(t.Context())
	var done, failed atomic.Int64
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for ctx.Err() == nil {
			if _, err := s.reader.RequestAccess(context.WithoutCancel(ctx), s.record.Record, emr.PurposeTreatment, "while it changes"); err != nil {
				t.Logf("while the definition changes: %v", err)
				failed.Add(1)
			}
			done.Add(1)
		}
	}()
	err := upgrade(t, 2, "1.0", "hospa, hospb, hospc, regulator")
	after := done.Load()
	for deadline := time.Now().Add(soon); done.Load() < after+10 && time.Now().Before(deadline); {
		time.Sleep(10 * time.Millisecond)
	}
	stop()
	<-ended
	require.NoError(t, err)
	t.Logf("%d transactions went on meanwhile", done.Load())
	require.GreaterOrEqual(t, done.Load(), after+10, "and go on after it")
	require.Zero(t, failed.Load(), "no transaction fails because a collection gets a member")
}

func reconciled(t *testing.T, s *story) {
	began := time.Now()
	for deadline := began.Add(3 * time.Minute); ; time.Sleep(time.Second) {
		err := s.resolve(t, "RegulatorMSP")
		if err == nil {
			break
		}
		require.True(t, time.Now().Before(deadline), "%v", err)
	}
	t.Logf("old private data came after %s", time.Since(began).Round(time.Second))
}

func purgedLater(t *testing.T, s *story) {
	require.NoError(t, s.read(t))
	_, err := s.patient.Revoke(t.Context(), s.grant)
	require.NoError(t, err)
	eventually(t, func() error {
		if err := s.read(t); err == nil || emr.Public(err).Reason != emr.ReasonRevoked {
			return emr.E(emr.CodeConflict, "the grant still gives")
		}
		return nil
	})
	// What is purged is a value of before; the registration, of before too, stays.
	require.NoError(t, s.resolve(t, "HospBMSP"))
}

func mixedAgree(t *testing.T, _ *story) {
	runAt(t, next, "hospa")
	awaitVersion(t, "HospAMSP", ledgerapi.ContractVersion+1)
	awaitVersion(t, "HospBMSP", ledgerapi.ContractVersion)
	tell(t) // every peer computes and stores the same of what both versions store alike
}

func mixedRefused(t *testing.T, _ *story) {
	a := as(t, net.AsAdmin, "HospAMSP")
	before := version(t, a, "HospAMSP")
	err := reregister(t.Context(), a, "HospAMSP")
	require.ErrorContains(t, err, "ProposalResponsePayloads do not match")
	require.Equal(t, before, version(t, a, "HospAMSP"), "nothing was submitted")
}

func version(t *testing.T, m *testnet.Member, org emr.OrgID) uint32 {
	t.Helper()
	var list ledgerapi.OrganisationList
	require.NoError(t, m.Query(t.Context(), ledgerapi.GetOrganisations, ledgerapi.Empty{}, &list))
	for _, o := range list.Items {
		if o.ID == org {
			return o.Version
		}
	}
	t.Fatalf("no organisation %s", org)
	return 0
}

func takeOver(t *testing.T, s *story) {
	a := as(t, net.AsAdmin, "HospAMSP")
	before := version(t, a, "HospAMSP")
	// The definition's version is another package, for which each server starts anew.
	require.NoError(t, copyFile(next, filepath.Join(bin, chaincode)))
	require.NoError(t, upgrade(t, 3, "2.0", "hospa, hospb, hospc, regulator"))
	for _, msp := range members() {
		awaitVersion(t, msp, ledgerapi.ContractVersion+1)
	}
	// Each peer dials the server of the new package at its first call.
	eventually(t, func() error { return s.resolve(t, "HospCMSP") })
	require.Equal(t, before, version(t, a, "HospAMSP"))
	eventually(t, func() error { return reregister(t.Context(), a, "HospAMSP") })
	require.Greater(t, version(t, a, "HospAMSP"), before, "written back in the next schema, and read")
	eventually(t, func() error {
		_, err := s.patient.Grant(t.Context(), client.Giving{
			Records: []emr.RecordID{s.record.Record}, To: emr.ClinicianID(s.reader.Profile().ID),
			Purposes: []emr.Purpose{emr.PurposeTreatment}, Until: time.Now().Add(time.Hour),
		})
		return err
	})
}

func goBack(t *testing.T, _ *story) {
	runAt(t, old, "hospc")
	c := as(t, net.AsGateway, "HospCMSP")
	awaitVersion(t, "HospCMSP", ledgerapi.ContractVersion)
	var err error
	eventually(t, func() error {
		err = c.Query(t.Context(), ledgerapi.GetOrganisations, ledgerapi.Empty{}, &ledgerapi.OrganisationList{})
		require.Error(t, err, "the old version reads nothing of the next schema")
		if emr.CodeOf(err) != emr.CodeUnsupported {
			return err
		}
		return nil
	})
	require.Contains(t, emr.Public(err).Message, "schema version 2")
	raw, err := json.Marshal(emr.Public(err).Message)
	require.NoError(t, err)
	require.NotContains(t, string(raw), "revised", "the message holds nothing of the document")
}
