// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package control_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// governance publishes a bundle by the votes of three of four members, on real peers.
func governance(t *testing.T, l *lab) {
	bundle := filepath.Join(t.TempDir(), "portal.zip")
	require.NoError(t, os.WriteFile(bundle, []byte("a bundle"), 0o600))
	var made struct {
		Proposal emr.ProposalID `json:"proposal"`
	}
	out := l.must(t, "governance", "propose", "--org", "HospA", "--release", "portal", "--version", "1.0.0", "--file", bundle, "--json")
	require.NoError(t, json.Unmarshal([]byte(out.stdout), &made))
	id := string(made.Proposal)

	require.Equal(t, 6, l.ctl(t, "governance", "vote", id, "--org", "HospA", "--accept").code, "it has voted by proposing")
	l.must(t, "governance", "vote", id, "--org", "HospB", "--accept")
	var p emr.Proposal
	require.NoError(t, json.Unmarshal([]byte(l.must(t, "governance", "vote", id, "--org", "Regulator", "--accept", "--json").stdout), &p))
	require.Equal(t, emr.ProposalAccepted, p.Status)
	require.Equal(t, 5, l.ctl(t, "governance", "vote", id, "--org", "HospC", "--reject").code, "it is decided")
	require.Contains(t, l.must(t, "governance", "list").stdout, "publish portal 1.0.0")

	var c ledgerapi.ConstitutionView
	require.NoError(t, json.Unmarshal([]byte(l.must(t, "governance", "show", "--org", "HospB", "--json").stdout), &c))
	require.NotZero(t, c.Constitution.Founded, "up has closed the founding")
	require.Len(t, c.Members, 4)
	require.Equal(t, 7, l.ctl(t, "governance", "propose", "--org", "HospA", "--stop", ledgerapi.RevokeAccess).code)
	require.Equal(t, 4, l.ctl(t, "governance", "propose", "--org", "HospA", "--remove", "HospAMSP").code)
}
