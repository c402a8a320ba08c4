// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"bytes"
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/client"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
	"github.com/emrys-health/emrys/pkg/pre"
)

// TestAGatewayCannotPutAKeyOfItsOwnIntoTheRegistry: who has which key decides
// who can read, so a gateway that changes an entry on its way, or finds too few
// others to vouch for it, is refused before any key is made or used.
func TestAGatewayCannotPutAKeyOfItsOwnIntoTheRegistry(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	record := s.put(t, []byte("content")).Record
	forged, err := pre.GeneratePrivateKey(nil)
	require.NoError(t, err)
	lie := func(entry []byte) []byte { // any change will do; this one is what a liar would like
		entry = bytes.Replace(entry, []byte("HospAMSP"), []byte("EvilAMSP"), 1)
		return append(bytes.TrimSuffix(entry, []byte("}")), []byte(`,"key":"`+forged.Public().ID().String()+`"}`)...)
	}
	ask := map[string]func(context.Context, *client.Client) error{
		ledgerapi.GetOrganisations: func(ctx context.Context, c *client.Client) error { _, err := c.Network(ctx); return err },
		ledgerapi.GetClinician: func(ctx context.Context, c *client.Client) error {
			_, err := c.Clinician(ctx, emr.ClinicianID(s.reader.Profile().ID))
			return err
		},
		ledgerapi.ResolvePatient: func(ctx context.Context, c *client.Client) error {
			_, err := c.ResolvePatient(ctx, emr.PatientID(s.patient.Profile().ID))
			return err
		},
		ledgerapi.GetRecord: func(ctx context.Context, c *client.Client) error { _, err := c.Record(ctx, record); return err },
	}
	for function, call := range ask {
		c := s.anew(t)
		require.NoError(t, call(t.Context(), c), function)

		c = s.anew(t)
		s.OnAnswer = func(_ string, entry []byte) []byte { return lie(entry) }
		requireCode(t, emr.CodeCorrupt, call(t.Context(), c))
		s.OnAnswer = nil

		for _, few := range [][]emr.OrgID{{}, {"HospAMSP"}, {"HospAMSP", "HospBMSP"}} { // its own does not count
			s.Endorsers = few
			requireCode(t, emr.CodeCorrupt, call(t.Context(), c))
		}
		s.Endorsers = []emr.OrgID{"HospBMSP", "RegMSP"}
		require.NoError(t, call(t.Context(), c), "%s: two others are enough", function)
		s.Endorsers = nil
	}
}

func TestNoFragmentIsMadeForAKeyThatIsNotProven(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	record := s.put(t, []byte("content")).Record
	s.OnAnswer = func(function string, entry []byte) []byte {
		if function == ledgerapi.GetClinician {
			return append(bytes.TrimSuffix(entry, []byte("}")), []byte(`,"more":1}`)...)
		}
		return entry
	}
	_, err := s.patient.Grant(t.Context(), s.giving(record))
	requireCode(t, emr.CodeCorrupt, err)
	require.Zero(t, s.Count("grant.create"))
}
