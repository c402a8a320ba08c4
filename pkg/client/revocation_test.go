// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/client"
	"github.com/emrys-health/emrys/pkg/client/clienttest"
	"github.com/emrys-health/emrys/pkg/emr"
)

// inviteWith is an invitation that pins more of an organisation.
func inviteWith(t *testing.T, w *clienttest.World, org emr.OrgID, more string) []byte {
	t.Helper()
	var m map[string]any
	require.NoError(t, json.Unmarshal(w.Invite("HospAMSP", emr.RolePatient, ""), &m))
	pins := m["consortium"].(map[string]any)
	pins[string(org)] = pins[string(org)].(string) + more
	return encode(t, m)
}

// What the invitation pinned holds for the device's life: a gateway that has the
// key of a peer which was revoked before cannot use it for a quorum.
func TestADeviceBelievesNoPeerThatItsInvitationHasRevoked(t *testing.T) {
	t.Parallel()
	w, dir := clienttest.New(t), t.TempDir()
	w.Endorsers = []emr.OrgID{"HospAMSP", "HospBMSP", "HospCMSP", "RegMSP"}
	inv, err := client.ParseInvitation(inviteWith(t, w, "HospBMSP", w.RevokePeer("HospBMSP")))
	require.NoError(t, err)
	joined, err := client.Join(t.Context(), dir, inv, nil, new(hurried).options(), nil)
	require.NoError(t, err, "two others have endorsed what a join asks")
	joined.Close()
	grants := func(endorsers ...emr.OrgID) error {
		patient, err := client.Open(dir, nil, new(hurried).options())
		require.NoError(t, err)
		defer patient.Close()
		reader := join(t, w, "HospBMSP", emr.RolePhysician, emr.LevelPrivate)
		author := join(t, w, "HospAMSP", emr.RolePhysician, emr.LevelPrivate)
		s := &scene{World: w, patient: patient, author: author, reader: reader}
		record := s.put(t, []byte("content")).Record
		giving := s.giving(record)
		w.Endorsers = endorsers
		_, err = patient.Grant(t.Context(), giving)
		return err
	}
	require.NoError(t, grants("HospAMSP", "HospCMSP", "RegMSP"))
	require.Equal(t, 1, w.Grants())
	w.Endorsers = []emr.OrgID{"HospAMSP", "HospBMSP", "HospCMSP", "RegMSP"}
	err = grants("HospAMSP", "HospBMSP", "HospCMSP")
	requireCode(t, emr.CodeCorrupt, err)
	require.ErrorContains(t, err, "certificate is revoked")
	require.Equal(t, 1, w.Grants())
}

func TestAnInvitationWithAListThatCannotBeBelievedIsRefused(t *testing.T) {
	t.Parallel()
	w := clienttest.New(t)
	for name, list := range map[string]string{
		"another organisation's": w.RevokePeer("HospCMSP"),
		"one of noise":           "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n",
	} {
		_, err := client.ParseInvitation(inviteWith(t, w, "HospBMSP", list))
		requireCode(t, emr.CodeInvalid, err)
		require.Equal(t, "consortium", emr.Public(err).Field, name)
	}
}
