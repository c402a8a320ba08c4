// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package network

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/network/render"
	"github.com/emrys-health/emrys/pkg/attest/attesttest"
	"github.com/emrys-health/emrys/pkg/client"
	"github.com/emrys-health/emrys/pkg/emr"
)

// certify writes every organisation's certificate authority where enrolment puts
// it, but for the one named.
func certify(t *testing.T, n *Network, but string) map[string]string {
	t.Helper()
	want := map[string]string{}
	for _, org := range n.t.Organisations {
		if org.MSP == but {
			continue
		}
		want[org.MSP] = attesttest.PEM(attesttest.NewAuthority(t, emr.OrgID(org.MSP), time.Now()).Cert)
		file := filepath.Join(n.site.MSP(org), render.RootFile)
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o700))
		require.NoError(t, os.WriteFile(file, []byte(want[org.MSP]), 0o600))
	}
	return want
}

// What a registrar writes is what a person's device pins: it must take it.
func TestAnInvitationPinsEveryOrganisationsAuthority(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, Options{Home: filepath.Join(t.TempDir(), "home")})
	want := certify(t, n, "")
	consortium, err := n.authorities()
	require.NoError(t, err)
	require.Equal(t, want, consortium)

	org := n.t.Organisations[0]
	text, err := json.Marshal(Invitation{
		V: 1, Gateway: n.site.GatewayURL(org), GatewayRoots: want[org.MSP],
		CA:  InvitationCA{URL: n.site.CAURL(org), Name: render.IdentityCA(org), Roots: want[org.MSP]},
		Org: org.MSP, Role: emr.RolePatient, ID: "pat_0123456789abcdef0123456789abcdef", Secret: "s3cret", Consortium: consortium,
	})
	require.NoError(t, err)
	taken, err := client.ParseInvitation(text)
	require.NoError(t, err)
	require.Len(t, taken.Consortium, len(n.t.Organisations))
	for msp, root := range want {
		require.Equal(t, root, taken.Consortium[emr.OrgID(msp)])
	}
}

// An invitation that pins only some would make a device that believes nobody else.
func TestNoInvitationIsMadeBeforeEveryOrganisationHasItsAuthority(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, Options{Home: filepath.Join(t.TempDir(), "home")})
	certify(t, n, n.t.Organisations[1].MSP)
	_, err := n.authorities()
	require.ErrorIs(t, err, ErrNoNetwork)
	require.ErrorContains(t, err, n.t.Organisations[1].Name)
}

func TestAnInvitationPinsTheRevocationLists(t *testing.T) {
	t.Parallel()
	now := time.Now()
	c := attesttest.New(t, now, "AMSP", "BMSP", "CMSP")
	ca, peer := c.Authority("AMSP")
	own := ca.Revoke(t, now, peer.Certificate(t))
	pins := func() map[string]string {
		all := map[string]string{}
		for msp, root := range c.Roots() {
			all[string(msp)] = root
		}
		return all
	}
	all := pins()
	require.NoError(t, pin(all, map[string]string{"AMSP": own, "OrdererMSP": "of nobody who has peers"}))
	require.Equal(t, attesttest.PEM(ca.Cert)+own, all["AMSP"])
	require.Equal(t, pins()["BMSP"], all["BMSP"])
	require.Len(t, all, 3)
	for name, list := range map[string]string{
		"signed by another member": own,
		"of noise":                 "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n",
	} {
		err := pin(pins(), map[string]string{"BMSP": list})
		require.Equal(t, emr.CodeInvalid, emr.CodeOf(err), name)
		require.ErrorContains(t, err, "no device can pin", name)
	}
}
