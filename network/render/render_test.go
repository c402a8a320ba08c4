// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package render_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/emrys-health/emrys/network/render"
	"github.com/emrys-health/emrys/network/topology"
)

var update = flag.Bool("update", false, "write golden files instead of comparing")

func defaultTopology(t *testing.T) *topology.Topology {
	t.Helper()
	parsed, err := topology.Parse(topology.Default())
	require.NoError(t, err)
	return parsed
}

// golden compares got with a file of testdata.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, got, 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err, "run the test with -update after looking at the change")
	require.Equal(t, string(want), string(got))
}

func native() render.Site { return render.Native("/home/emrys state", "/opt/emrys/bin") }

func TestFilesAreAsTheyWereAgreed(t *testing.T) {
	t.Parallel()
	files, err := native().Files(defaultTopology(t))
	require.NoError(t, err)
	require.Len(t, files, 1+4+4+7, "the channel, and each orderer, gateway and peer")
	for _, f := range files {
		relative, err := filepath.Rel(native().Home, f.Path)
		require.NoError(t, err)
		golden(t, filepath.Join("native", relative), f.Data)
		require.True(t, validYAML(f.Data), f.Path)
	}
}

func validYAML(data []byte) bool { return yaml.Unmarshal(data, new(any)) == nil }

func TestFilesDoNotDifferBetweenTwoRenderings(t *testing.T) {
	t.Parallel()
	first, err := native().Files(defaultTopology(t))
	require.NoError(t, err)
	second, err := native().Files(defaultTopology(t))
	require.NoError(t, err)
	require.Equal(t, first, second)
}

func TestCAFilesHoldTheSecretForTheirOwnerOnly(t *testing.T) {
	t.Parallel()
	org := defaultTopology(t).Organisations[0]
	files, err := native().CAFiles(org, `a "quoted": secret`)
	require.NoError(t, err)
	require.Len(t, files, 3)
	for _, f := range files {
		require.EqualValues(t, 0o600, f.Mode, f.Path)
		relative, err := filepath.Rel(native().Home, f.Path)
		require.NoError(t, err)
		golden(t, filepath.Join("native", relative), f.Data)
		var parsed struct {
			Registry struct {
				Identities []struct{ Pass string }
			}
		}
		require.NoError(t, yaml.Unmarshal(f.Data, &parsed))
		require.Equal(t, `a "quoted": secret`, parsed.Registry.Identities[0].Pass)
	}
}

func kuboIdentities() map[string]render.KuboIdentity {
	return map[string]render.KuboIdentity{
		"hospa": {PeerID: "peerA", PrivateKey: "privateA"},
		"hospb": {PeerID: "peerB", PrivateKey: "privateB"},
		"hospc": {PeerID: "peerC", PrivateKey: "privateC"},
	}
}

func TestKuboFilesMakeAPrivateNode(t *testing.T) {
	t.Parallel()
	topo := defaultTopology(t)
	files, err := native().KuboFiles(topo, topo.Organisations[0], kuboIdentities(), "token", []byte("swarm key"))
	require.NoError(t, err)
	for _, f := range files {
		relative, err := filepath.Rel(native().Home, f.Path)
		require.NoError(t, err)
		golden(t, filepath.Join("native", relative), f.Data)
		if bytes.Contains(f.Data, []byte("token")) || bytes.Contains(f.Data, []byte("private")) || bytes.Contains(f.Data, []byte("swarm key")) {
			require.EqualValues(t, 0o600, f.Mode, f.Path)
		}
		require.NotContains(t, string(f.Data), "privateB", "another hospital's key")
	}
}

func TestKuboIdentityDoesNotPrintItsKey(t *testing.T) {
	t.Parallel()
	id := render.KuboIdentity{PeerID: "peer", PrivateKey: "very secret"}
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		require.NotContains(t, fmt.Sprintf(format, id), "secret", format)
	}
}

func TestProcessesKeepSecretsOutOfArgumentsAndEnvironment(t *testing.T) {
	t.Parallel()
	ids := map[string]string{"hospa": "emrys_1.0:aa", "hospb": "emrys_1.0:bb", "hospc": "emrys_1.0:cc", "regulator": "emrys_1.0:dd"}
	processes := native().Processes(defaultTopology(t), ids)
	require.Len(t, processes, 4+3+4+7+4+4)
	raw, err := json.MarshalIndent(processes, "", " ")
	require.NoError(t, err)
	golden(t, "processes.json", append(raw, '\n'))
	for _, word := range []string{"PASS", "SECRET", "TOKEN"} {
		require.NotContains(t, strings.ToUpper(string(raw)), word)
	}
}

func TestEveryPortBelongsToOneProcess(t *testing.T) {
	t.Parallel()
	owner := map[int]string{}
	for _, p := range native().Processes(defaultTopology(t), nil) {
		require.NotEmpty(t, p.Ports, p.Name)
		for _, port := range p.Ports {
			require.Empty(t, owner[port], "%d of %s", port, p.Name)
			owner[port] = p.Name
		}
	}
}

func TestNativeSiteListensOnLoopbackOnly(t *testing.T) {
	t.Parallel()
	topo := defaultTopology(t)
	files, err := native().Files(topo)
	require.NoError(t, err)
	for _, org := range topo.Organisations {
		ca, err := native().CAFiles(org, "x")
		require.NoError(t, err)
		files = append(files, ca...)
	}
	for _, f := range files {
		require.NotContains(t, string(f.Data), "0.0.0.0", f.Path)
	}
}

func TestTemplatesSurviveAwkwardPaths(t *testing.T) {
	t.Parallel()
	home := "/tmp/it's \"odd\": #1\\x"
	files, err := render.Native(home, "/bin").Files(defaultTopology(t))
	require.NoError(t, err)
	for _, f := range files {
		var parsed map[string]any
		require.NoError(t, yaml.Unmarshal(f.Data, &parsed), f.Path)
		raw, err := yaml.Marshal(parsed)
		require.NoError(t, err)
		require.NotEmpty(t, raw)
		if strings.HasSuffix(f.Path, "core.yaml") {
			peer, ok := parsed["peer"].(map[string]any)
			require.True(t, ok)
			require.Contains(t, peer["mspConfigPath"], home)
		}
	}
}

func TestNodeOUsIsYAML(t *testing.T) {
	t.Parallel()
	require.True(t, validYAML(render.NodeOUs()))
}
