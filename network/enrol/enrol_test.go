// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package enrol

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/network/render"
	"github.com/emrys-health/emrys/network/topology"
	"github.com/emrys-health/emrys/pkg/atomicfile"
)

func organisation0(t *testing.T) topology.Organisation {
	t.Helper()
	parsed, err := topology.Parse(topology.Default())
	require.NoError(t, err)
	return parsed.Organisations[0]
}

func TestPlanGivesEachProcessAnIdentityOfItsKind(t *testing.T) {
	t.Parallel()
	org := organisation0(t)
	site := render.Native("/home", "/bin")
	dirs, kinds := map[string]bool{}, map[string]string{}
	for _, id := range plan(site, org) {
		require.False(t, dirs[id.dir], "%s is written twice", id.dir)
		dirs[id.dir] = true
		require.True(t, strings.HasPrefix(id.dir, site.Org(org)+"/"))
		if id.tls {
			require.Equal(t, render.TLSCA(org), id.authority)
			continue
		}
		kinds[id.authority+"/"+id.id] = id.kind
		require.Empty(t, id.hosts)
	}
	require.Equal(t, map[string]string{
		"ca-hospa/admin": "admin", "ca-hospa/gateway": "client", "ca-hospa/peer0": "peer", "ca-hospa/peer1": "peer",
		"orderer-ca-hospa/orderer": "orderer",
	}, kinds, "an orderer's certificate must not come from the hospital's own CA")
}

func TestServersCertificatesNameTheirHosts(t *testing.T) {
	t.Parallel()
	org := organisation0(t)
	site := render.Native("/home", "/bin")
	hosts := map[string][]string{}
	for _, id := range plan(site, org) {
		if id.tls {
			hosts[id.dir] = id.hosts
		}
	}
	require.Equal(t, []string{"peer1.hospa", "localhost", "127.0.0.1"}, hosts[filepath.Join(site.PeerDir(org, org.Peers[1]), "tls")])
	require.Equal(t, []string{"gateway.hospa", "localhost", "127.0.0.1"}, hosts[filepath.Join(site.GatewayDir(org), "tls")])
	require.Empty(t, hosts[site.AdminTLS(org)], "an administrator serves nothing")
}

func TestRegistrarSecretIsMadeOnceAndKept(t *testing.T) {
	t.Parallel()
	org := organisation0(t)
	site := render.Native(t.TempDir(), "/bin")
	first, err := RegistrarSecret(site, org)
	require.NoError(t, err)
	require.Len(t, first, 64)
	second, err := RegistrarSecret(site, org)
	require.NoError(t, err)
	require.Equal(t, first, second)
	info, err := os.Stat(site.RegistrarSecret(org))
	require.NoError(t, err)
	require.EqualValues(t, 0o600, info.Mode().Perm())
	other, err := RegistrarSecret(render.Native(t.TempDir(), "/bin"), org)
	require.NoError(t, err)
	require.NotEqual(t, first, other)
}

func TestDerivedSecretsDifferAndRepeat(t *testing.T) {
	t.Parallel()
	require.Equal(t, derivedSecret("s", "ca", "peer0"), derivedSecret("s", "ca", "peer0"))
	seen := map[string]bool{}
	for _, parts := range [][3]string{{"s", "ca", "peer0"}, {"t", "ca", "peer0"}, {"s", "cb", "peer0"}, {"s", "ca", "peer1"}, {"s", "cap", "eer0"}} {
		secret := derivedSecret(parts[0], parts[1], parts[2])
		require.False(t, seen[secret], "%v", parts)
		seen[secret] = true
	}
}

func TestAwaitTellsWhyItGaveUp(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	_, _, err := Await(ctx, render.Native(t.TempDir(), "/bin"), organisation0(t), "ca-hospa")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorIs(t, err, os.ErrNotExist, "the server never wrote its root")
}

func TestEveryoneGetsEverybodysTLSRoots(t *testing.T) {
	t.Parallel()
	topo, err := topology.Parse(topology.Default())
	require.NoError(t, err)
	site := render.Native(t.TempDir(), "/bin")
	require.Error(t, ShareTLSRoots(site, topo), "before enrolment there is nothing to share")
	want := ""
	for _, org := range topo.Organisations {
		require.NoError(t, atomicfile.Write(site.TLSRoots(org), []byte(org.ID+"\n"), 0o644))
		want += org.ID + "\n"
	}
	require.NoError(t, ShareTLSRoots(site, topo))
	for _, org := range topo.Organisations {
		raw, err := os.ReadFile(site.AllTLSRoots(org))
		require.NoError(t, err)
		require.Equal(t, want, string(raw))
	}
}
