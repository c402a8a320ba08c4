// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package render_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/schema"
	composetypes "github.com/compose-spec/compose-go/v2/types"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/emrys-health/emrys/network/render"
)

const composePath = "../../docker-compose.yaml"

func TestCheckedInComposeFileIsTheRenderedOne(t *testing.T) {
	t.Parallel()
	want, err := render.Compose(defaultTopology(t))
	require.NoError(t, err)
	if *update {
		require.NoError(t, os.WriteFile(composePath, want, 0o644))
	}
	got, err := os.ReadFile(composePath)
	require.NoError(t, err)
	require.Equal(t, string(want), string(got), "run: emrysctl render compose > docker-compose.yaml")
}

func TestComposeFileFollowsTheSchema(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(composePath)
	require.NoError(t, err)
	var parsed map[string]any
	require.NoError(t, yaml.Unmarshal(text, &parsed))
	require.NoError(t, schema.Validate(parsed))
	parsed["services"].(map[string]any)["prepare"].(map[string]any)["comand"] = "typo"
	require.Error(t, schema.Validate(parsed), "the schema must be strict enough to notice")
}

// loadCompose loads the file as the docker CLI would, which also checks that
// services, volumes and networks refer to each other.
func loadCompose(t *testing.T) *composetypes.Project {
	t.Helper()
	path, err := filepath.Abs(composePath)
	require.NoError(t, err)
	options, err := cli.NewProjectOptions([]string{path}, cli.WithName("emrys"), cli.WithProfiles([]string{"*"}))
	require.NoError(t, err)
	project, err := options.LoadProject(t.Context())
	require.NoError(t, err)
	return project
}

func TestComposeProjectRunsEveryProcess(t *testing.T) {
	t.Parallel()
	project := loadCompose(t)
	services := project.ServiceNames()
	for _, p := range render.Containers().Processes(defaultTopology(t), nil) {
		require.Contains(t, services, p.Name)
	}
	require.Subset(t, services, []string{"prepare", "enrol", "deploy", "admin"})
}

func TestComposeServicesRunUnprivileged(t *testing.T) {
	t.Parallel()
	for name, service := range loadCompose(t).Services {
		require.Equal(t, "10001:10001", service.User, name)
		require.Contains(t, service.CapDrop, "ALL", name)
		require.False(t, service.Privileged, name)
		for _, port := range service.Ports {
			require.Equal(t, "127.0.0.1", port.HostIP, "%s publishes beyond this host", name)
		}
	}
}

func TestComposeImagesArePinned(t *testing.T) {
	t.Parallel()
	for name, service := range loadCompose(t).Services {
		_, tag, ok := strings.Cut(service.Image, ":")
		require.True(t, ok, name)
		require.NotEqual(t, "latest", tag, name)
	}
}

func TestComposeStepsWaitForEachOther(t *testing.T) {
	t.Parallel()
	project := loadCompose(t)
	done := func(service, step string) {
		require.Equal(t, "service_completed_successfully", project.Services[service].DependsOn[step].Condition, service)
	}
	done("ca.hospa", "prepare")
	done("ipfs.hospa", "prepare")
	done("peer0.hospa", "enrol")
	done("orderer.regulator", "enrol")
	done("chaincode.hospb", "enrol")
	done("gateway.hospc", "deploy")
}

func TestComposeHospitalGatewaysReachIPFSOnLoopbackOnly(t *testing.T) {
	t.Parallel()
	project := loadCompose(t)
	for _, org := range defaultTopology(t).Organisations[:3] {
		gateway, ipfs := project.Services[render.GatewayName(org)], project.Services[render.IPFSName(org)]
		require.Equal(t, "service:"+render.IPFSName(org), gateway.NetworkMode)
		require.Empty(t, gateway.Ports, "ports belong to the namespace's owner")
		require.Contains(t, ipfs.Networks["emrys"].Aliases, render.GatewayName(org))
		require.Len(t, ipfs.Ports, 1)
		require.EqualValues(t, org.Gateway.Port, ipfs.Ports[0].Target, "the RPC interface must not be published")
	}
	topo := defaultTopology(t)
	files, err := render.Containers().KuboFiles(topo, topo.Organisations[0], kuboIdentities(), "token", nil)
	require.NoError(t, err)
	require.Contains(t, string(files[3].Data), `"API": "/ip4/127.0.0.1/tcp/7160"`)
}

func TestComposeChaincodeReadsItsPackageID(t *testing.T) {
	t.Parallel()
	service := loadCompose(t).Services["chaincode.hospa"]
	require.Contains(t, strings.Join(service.Entrypoint, " "), "/emrys/orgs/hospa/chaincode/package-id")
	require.NotContains(t, slices.Collect(func(yield func(string) bool) {
		for key := range service.Environment {
			if !yield(key) {
				return
			}
		}
	}), "CORE_CHAINCODE_ID_NAME")
}
