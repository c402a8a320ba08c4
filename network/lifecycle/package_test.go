// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/hyperledger/fabric-admin-sdk/pkg/chaincode"
	"github.com/hyperledger/fabric-protos-go-apiv2/msp"
	"github.com/hyperledger/fabric-protos-go-apiv2/peer"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/emrys-health/emrys/network/render"
	"github.com/emrys-health/emrys/network/topology"
	"github.com/emrys-health/emrys/pkg/atomicfile"
)

func defaultTopology(t *testing.T) *topology.Topology {
	t.Helper()
	parsed, err := topology.Parse(topology.Default())
	require.NoError(t, err)
	return parsed
}

// siteWithCredentials makes what a package is built from.
func siteWithCredentials(t *testing.T, org topology.Organisation) render.Site {
	t.Helper()
	site := render.Native(t.TempDir(), "/bin")
	for file, text := range map[string]string{
		filepath.Join(site.ChaincodeDir(org), "client", render.TLSKeyFile):  "the key",
		filepath.Join(site.ChaincodeDir(org), "client", render.TLSCertFile): "the certificate",
		site.TLSRoots(org): "the root",
	} {
		require.NoError(t, atomicfile.Write(file, []byte(text), 0o600))
	}
	return site
}

func untar(t *testing.T, data []byte) map[string][]byte {
	t.Helper()
	zip, err := gzip.NewReader(bytes.NewReader(data))
	require.NoError(t, err)
	archive, files := tar.NewReader(zip), map[string][]byte{}
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		require.NoError(t, err)
		require.True(t, header.ModTime.Unix() == 0, "%s carries a time", header.Name)
		files[header.Name], err = io.ReadAll(archive)
		require.NoError(t, err)
	}
}

func TestPackageIsWhatAPeerExpects(t *testing.T) {
	t.Parallel()
	topo := defaultTopology(t)
	org := topo.Organisations[0]
	pkg, err := NewPackage(siteWithCredentials(t, org), topo, org)
	require.NoError(t, err)

	// Fabric's own reading of the package, by its administrators' library.
	id, err := chaincode.PackageID(bytes.NewReader(pkg.Data))
	require.NoError(t, err)
	require.Equal(t, id, pkg.ID)
	digest := sha256.Sum256(pkg.Data)
	require.Equal(t, "emrys_1.0:"+hex.EncodeToString(digest[:]), pkg.ID)

	outer := untar(t, pkg.Data)
	require.JSONEq(t, `{"type":"ccaas","label":"emrys_1.0"}`, string(outer["metadata.json"]))
	inner := untar(t, outer["code.tar.gz"])
	var c connection
	require.NoError(t, json.Unmarshal(inner["connection.json"], &c))
	require.Equal(t, connection{
		Address: "127.0.0.1:7140", DialTimeout: "3s", TLSRequired: true, ClientAuthRequired: true,
		ClientKey: "the key", ClientCert: "the certificate", RootCert: "the root",
	}, c)
}

func TestPackageOfTheSameFilesIsTheSame(t *testing.T) {
	t.Parallel()
	topo := defaultTopology(t)
	org := topo.Organisations[0]
	site := siteWithCredentials(t, org)
	first, err := NewPackage(site, topo, org)
	require.NoError(t, err)
	second, err := NewPackage(site, topo, org)
	require.NoError(t, err)
	require.Equal(t, first, second)
	require.NoError(t, os.WriteFile(site.TLSRoots(org), []byte("another root"), 0o600))
	third, err := NewPackage(site, topo, org)
	require.NoError(t, err)
	require.NotEqual(t, first.ID, third.ID)
}

func TestPackageWithoutCredentialsIsAnError(t *testing.T) {
	t.Parallel()
	topo := defaultTopology(t)
	_, err := NewPackage(render.Native(t.TempDir(), "/bin"), topo, topo.Organisations[0])
	require.ErrorContains(t, err, "hospa")
}

func TestEveryOrganisationIsAMemberOfEachCollection(t *testing.T) {
	t.Parallel()
	topo := defaultTopology(t)
	configs := collections(topo).GetConfig()
	require.Len(t, configs, 1)
	static := configs[0].GetStaticCollectionConfig()
	require.Equal(t, "sealed", static.GetName())
	require.EqualValues(t, 7, static.GetMaximumPeerCount())
	require.Zero(t, static.GetBlockToLive())
	require.True(t, static.GetMemberOnlyRead())
	require.True(t, static.GetMemberOnlyWrite())
	policy := static.GetMemberOrgsPolicy().GetSignaturePolicy()
	require.EqualValues(t, 1, policy.GetRule().GetNOutOf().GetN())
	var members []string
	for i, identity := range policy.GetIdentities() {
		role := new(msp.MSPRole)
		require.NoError(t, proto.Unmarshal(identity.GetPrincipal(), role))
		require.Equal(t, msp.MSPRole_MEMBER, role.GetRole())
		require.EqualValues(t, i, policy.GetRule().GetNOutOf().GetRules()[i].GetSignedBy())
		members = append(members, role.GetMspIdentifier())
	}
	require.Equal(t, []string{"HospAMSP", "HospBMSP", "HospCMSP", "RegulatorMSP"}, members)
}

func TestNoCollectionsMeansNone(t *testing.T) {
	t.Parallel()
	topo := *defaultTopology(t)
	topo.Chaincode.Collections = nil
	require.Nil(t, collections(&topo))
}

// members returns the MSP ids that a collection's policy names, in its order.
func members(t *testing.T, static *peer.StaticCollectionConfig) []string {
	t.Helper()
	var names []string
	for _, identity := range static.GetMemberOrgsPolicy().GetSignaturePolicy().GetIdentities() {
		role := new(msp.MSPRole)
		require.NoError(t, proto.Unmarshal(identity.GetPrincipal(), role))
		names = append(names, role.GetMspIdentifier())
	}
	return names
}

func TestAnOrganisationMoreExtendsTheMembersAndNothingElse(t *testing.T) {
	t.Parallel()
	before := *defaultTopology(t)
	after := before
	joined := before.Organisations[0]
	joined.ID, joined.MSP = "hospd", "HospDMSP"
	after.Organisations = append(slices.Clone(before.Organisations), joined)
	old, extended := collections(&before), collections(&after)
	require.Len(t, extended.GetConfig(), len(old.GetConfig()))
	for i := range old.GetConfig() {
		a, b := old.GetConfig()[i].GetStaticCollectionConfig(), extended.GetConfig()[i].GetStaticCollectionConfig()
		require.Equal(t, append(members(t, a), "HospDMSP"), members(t, b))
		require.Len(t, b.GetMemberOrgsPolicy().GetSignaturePolicy().GetRule().GetNOutOf().GetRules(), 5)
		require.EqualValues(t, 1, b.GetMemberOrgsPolicy().GetSignaturePolicy().GetRule().GetNOutOf().GetN(), "any one of them")
		b = proto.Clone(b).(*peer.StaticCollectionConfig)
		b.MemberOrgsPolicy = a.GetMemberOrgsPolicy()
		require.True(t, proto.Equal(a, b), "name, block to live, peer counts and the rest stay")
	}
	require.True(t, proto.Equal(extended, collections(&after)), "the same at every organisation")
}

func TestACollectionMayHaveSomeMembersOnly(t *testing.T) {
	t.Parallel()
	topo := *defaultTopology(t)
	topo.Chaincode.Collections = slices.Clone(topo.Chaincode.Collections)
	topo.Chaincode.Collections[0].Members = []string{"regulator", "hospa"}
	static := collections(&topo).GetConfig()[0].GetStaticCollectionConfig()
	require.Equal(t, []string{"HospAMSP", "RegulatorMSP"}, members(t, static), "in the order of the topology")
}
