// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package kubo_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/pnet"
	"github.com/multiformats/go-multiaddr"
	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/network/kubo"
	"github.com/emrys-health/emrys/network/render"
	"github.com/emrys-health/emrys/network/topology"
)

func prepared(t *testing.T) (render.Site, *topology.Topology) {
	t.Helper()
	topo, err := topology.Parse(topology.Default())
	require.NoError(t, err)
	site := render.Native(t.TempDir(), "/bin")
	require.NoError(t, kubo.Prepare(site, topo))
	return site, topo
}

// config is the part of a daemon's configuration that the tests look at.
type config struct {
	Identity struct{ PeerID, PrivKey string }
	Peering  struct {
		Peers []struct {
			ID    string
			Addrs []string
		}
	}
}

func readConfig(t *testing.T, site render.Site, org topology.Organisation) config {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(site.IPFSDir(org), "config"))
	require.NoError(t, err)
	var c config
	require.NoError(t, json.Unmarshal(raw, &c))
	return c
}

func TestEachDaemonHasAnIdentityAndKnowsTheOthers(t *testing.T) {
	t.Parallel()
	site, topo := prepared(t)
	ids := map[string]bool{}
	for _, org := range topo.Organisations[:3] {
		c := readConfig(t, site, org)
		raw, err := base64.StdEncoding.DecodeString(c.Identity.PrivKey)
		require.NoError(t, err)
		key, err := crypto.UnmarshalPrivateKey(raw)
		require.NoError(t, err)
		id, err := peer.IDFromPrivateKey(key)
		require.NoError(t, err)
		require.Equal(t, id.String(), c.Identity.PeerID)
		ids[c.Identity.PeerID] = true
	}
	require.Len(t, ids, 3)
	for _, org := range topo.Organisations[:3] {
		c := readConfig(t, site, org)
		require.Len(t, c.Peering.Peers, 2)
		for _, other := range c.Peering.Peers {
			require.True(t, ids[other.ID])
			require.NotEqual(t, c.Identity.PeerID, other.ID)
			_, err := multiaddr.NewMultiaddr(other.Addrs[0])
			require.NoError(t, err)
		}
	}
	require.NoDirExists(t, site.IPFSDir(topo.Organisations[3]), "the regulator keeps no content")
}

func TestAllDaemonsShareASwarmKeyThatLibp2pReads(t *testing.T) {
	t.Parallel()
	site, topo := prepared(t)
	want, err := os.ReadFile(site.SwarmKey())
	require.NoError(t, err)
	_, err = pnet.DecodeV1PSK(bytes.NewReader(want))
	require.NoError(t, err)
	for _, org := range topo.Organisations[:3] {
		file := filepath.Join(site.IPFSDir(org), "swarm.key")
		got, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Equal(t, want, got)
		info, err := os.Stat(file)
		require.NoError(t, err)
		require.EqualValues(t, 0o600, info.Mode().Perm())
	}
}

func TestPreparingAgainKeepsEverySecret(t *testing.T) {
	t.Parallel()
	site, topo := prepared(t)
	before := readConfig(t, site, topo.Organisations[0])
	key, err := os.ReadFile(site.SwarmKey())
	require.NoError(t, err)
	authorization, err := os.ReadFile(site.IPFSAuthorization(topo.Organisations[0]))
	require.NoError(t, err)
	require.NoError(t, kubo.Prepare(site, topo))
	require.Equal(t, before, readConfig(t, site, topo.Organisations[0]))
	again, err := os.ReadFile(site.SwarmKey())
	require.NoError(t, err)
	require.Equal(t, key, again)
	authorizationAgain, err := os.ReadFile(site.IPFSAuthorization(topo.Organisations[0]))
	require.NoError(t, err)
	require.Equal(t, authorization, authorizationAgain)
	other, err := os.ReadFile(site.IPFSAuthorization(topo.Organisations[1]))
	require.NoError(t, err)
	require.NotEqual(t, authorization, other, "one hospital's access is not another's")
}

func TestAddressEndsInThePeerID(t *testing.T) {
	t.Parallel()
	site, topo := prepared(t)
	org := topo.Organisations[1]
	address, err := kubo.Address(site, org)
	require.NoError(t, err)
	require.Equal(t, "/ip4/127.0.0.1/tcp/7261/p2p/"+readConfig(t, site, org).Identity.PeerID, address)
	_, err = kubo.Address(render.Native(t.TempDir(), "/bin"), org)
	require.Error(t, err)
}
