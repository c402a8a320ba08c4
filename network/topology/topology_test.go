// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package topology_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/network/topology"
)

func TestDefaultTopologyIsValid(t *testing.T) {
	t.Parallel()
	parsed, err := topology.Parse(topology.Default())
	require.NoError(t, err)
	require.Len(t, parsed.Organisations, 4)
	peers := 0
	for _, org := range parsed.Organisations {
		peers += len(org.Peers)
		require.Equal(t, org.Kind == topology.Hospital, org.IPFS != nil, "hospitals and only they keep content")
	}
	require.Equal(t, 7, peers)
	require.EqualValues(t, 7, parsed.Chaincode.Collections[0].MaxPeerCount)
}

func TestDefaultReturnsACopy(t *testing.T) {
	t.Parallel()
	topology.Default()[0] = 'X'
	require.NotEqual(t, byte('X'), topology.Default()[0])
}

// problems parses text and returns what is wrong with it, one line each.
func problems(t *testing.T, text string) []string {
	t.Helper()
	parsed, err := topology.Parse([]byte(text))
	require.Error(t, err)
	require.Nil(t, parsed)
	var invalid *topology.InvalidError
	require.ErrorAs(t, err, &invalid)
	var lines []string
	for _, p := range invalid.Problems {
		require.Contains(t, err.Error(), p.String(), "the error must name every problem")
		lines = append(lines, p.String())
	}
	return lines
}

func TestParseNamesTheFieldOfEachProblem(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ old, new, problem string }{
		"an unknown version":                 {"version: 1", "version: 2", "version: 2 is not 1"},
		"a name that is no identifier":       {"name: emrys\n\nchannel", "name: Em/rys\n\nchannel", "name: \"Em/rys\""},
		"a channel name in upper case":       {"channel:\n  name: emrys", "channel:\n  name: Emrys", "channel.name:"},
		"a batch interval of nothing":        {"batchInterval: 20ms", "batchInterval: 0s", "channel.ordering.batchInterval: 0s"},
		"a heartbeat below SmartBFT's tick":  {"heartbeatTimeout: 3s", "heartbeatTimeout: 10ms", "channel.ordering.heartbeatTimeout:"},
		"forwarding after complaining":       {"forwardTimeout: 500ms", "forwardTimeout: 3s", "channel.ordering.forwardTimeout: 3s is more than complainTimeout"},
		"complaining after forgetting":       {"autoRemoveTimeout: 1m", "autoRemoveTimeout: 1s", "channel.ordering.complainTimeout:"},
		"resending after giving up":          {"viewChangeResend: 1s", "viewChangeResend: 5s", "channel.ordering.viewChangeResend:"},
		"a chaincode sequence of zero":       {"sequence: 1", "sequence: 0", "chaincode.sequence:"},
		"more required peers than peers":     {"requiredPeerCount: 0", "requiredPeerCount: 9", "chaincode.collections[0].maxPeerCount:"},
		"a negative number of peers":         {"requiredPeerCount: 0", "requiredPeerCount: -1", "chaincode.collections[0].requiredPeerCount:"},
		"a threshold that nobody can meet":   {"threshold: 2", "threshold: 4", "proxies.threshold: 4"},
		"a threshold of zero":                {"threshold: 2", "threshold: 0", "proxies.threshold: 0"},
		"more replicas than hospitals":       {"replicas: 2", "replicas: 4", "proxies.replicas: 4"},
		"an identifier that escapes a path":  {"id: hospb", "id: ../x", "organisations[1].id:"},
		"an identifier used twice":           {"id: hospb", "id: hospa", "organisations[1].id: \"hospa\" is already used by organisations[0].id"},
		"an MSP used twice":                  {"msp: HospBMSP", "msp: HospAMSP", "organisations[1].msp:"},
		"an orderer in the peers' MSP":       {"ordererMsp: OrdBMSP", "ordererMsp: HospBMSP", "organisations[1].ordererMsp: \"HospBMSP\" is already used by organisations[1].msp"},
		"an MSP that breaks a policy's text": {"msp: HospBMSP", "msp: \"x') OR ('y\"", "organisations[1].msp:"},
		"a kind that does not exist":         {"kind: regulator", "kind: bank", "organisations[3].kind:"},
		"a port used twice":                  {"gateway: {port: 7250}", "gateway: {port: 7150}", "organisations[1].gateway.port: 7150 is already used by organisations[0].gateway.port"},
		"a port that needs privileges":       {"gateway: {port: 7250}", "gateway: {port: 443}", "organisations[1].gateway.port:"},
		"a port beyond the last":             {"gateway: {port: 7250}", "gateway: {port: 70000}", "organisations[1].gateway.port:"},
		"a hospital without content":         {"    ipfs: {api: 7260, swarm: 7261}\n", "", "organisations[1].ipfs:"},
		"a peer with another process's name": {"{name: peer1, port: 7230", "{name: orderer, port: 7230", "organisations[1].peers[1].name:"},
		"two peers of one name":              {"{name: peer1, port: 7230", "{name: peer0, port: 7230", "organisations[1].peers[1].name: \"peer0\" is used twice"},
		"an unknown field":                   {"kind: regulator", "kind: regulator\n    colour: red", "field colour not found"},
		"text for a number":                  {"port: 7100,", "port: seven,", "cannot unmarshal"},
		"a second document":                  {"version: 1", "version: 1\n---\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := string(topology.Default())
			require.Contains(t, text, test.old, "the test must change something")
			found := problems(t, strings.Replace(text, test.old, test.new, 1))
			require.Condition(t, func() bool {
				for _, line := range found {
					if strings.Contains(line, test.problem) {
						return true
					}
				}
				return false
			}, "want a problem with %q, got %q", test.problem, found)
		})
	}
}

func TestParseReportsAllProblemsAtOnce(t *testing.T) {
	t.Parallel()
	text := string(topology.Default())
	for _, change := range [][2]string{{"version: 1", "version: 9"}, {"threshold: 2", "threshold: 0"}, {"kind: regulator", "kind: bank"}} {
		text = strings.Replace(text, change[0], change[1], 1)
	}
	require.Len(t, problems(t, text), 3)
}

func TestParseRefusesWhatIsNoTopology(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"nothing":              "",
		"a comment":            "# empty\n",
		"a scalar":             "emrys",
		"a sequence":           "- 1\n- 2\n",
		"three organisations":  string(topology.Default()[:bytes.Index(topology.Default(), []byte("  - id: regulator"))]),
		"more than a megabyte": "version: 1 #" + strings.Repeat("x", 1<<20),
		"broken YAML":          "version: [1",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.NotEmpty(t, problems(t, text))
		})
	}
}

func TestPortOffsetShiftsEveryPortAndLeavesTheOriginal(t *testing.T) {
	t.Parallel()
	before, err := topology.Parse(topology.Default())
	require.NoError(t, err)
	after, err := before.WithPortOffset(1000)
	require.NoError(t, err)
	for i, org := range before.Organisations {
		moved := after.Organisations[i]
		require.Equal(t, org.CA.Port+1000, moved.CA.Port)
		require.Equal(t, org.CA.Operations+1000, moved.CA.Operations)
		require.Equal(t, org.Orderer.Admin+1000, moved.Orderer.Admin)
		require.Equal(t, org.Gateway.Port+1000, moved.Gateway.Port)
		for j, peer := range org.Peers {
			require.Equal(t, peer.Port+1000, moved.Peers[j].Port)
			require.Equal(t, peer.Chaincode+1000, moved.Peers[j].Chaincode)
			require.Equal(t, peer.Operations+1000, moved.Peers[j].Operations)
		}
		if org.IPFS != nil {
			require.Equal(t, org.IPFS.API+1000, moved.IPFS.API)
			require.Equal(t, org.IPFS.Swarm+1000, moved.IPFS.Swarm)
		}
	}
	require.Equal(t, 7100, before.Organisations[0].CA.Port)
}

func TestPortOffsetOutOfRangeIsRefused(t *testing.T) {
	t.Parallel()
	parsed, err := topology.Parse(topology.Default())
	require.NoError(t, err)
	for _, offset := range []int{60000, -7000} {
		_, err := parsed.WithPortOffset(offset)
		var invalid *topology.InvalidError
		require.ErrorAs(t, err, &invalid, "offset %d", offset)
	}
}

func TestOrganisationIsFoundByEachOfItsNames(t *testing.T) {
	t.Parallel()
	parsed, err := topology.Parse(topology.Default())
	require.NoError(t, err)
	for _, name := range []string{"hospb", "HospB", "HospBMSP"} {
		org, ok := parsed.Organisation(name)
		require.True(t, ok, name)
		require.Equal(t, "hospb", org.ID)
	}
	for _, name := range []string{"", "hospz", "OrdBMSP"} {
		_, ok := parsed.Organisation(name)
		require.False(t, ok, name)
	}
}

// FuzzParse holds the parser to its promise: a topology or an InvalidError
// with at least one problem, never a panic; and what it accepts is valid.
func FuzzParse(f *testing.F) {
	f.Add(topology.Default())
	f.Add([]byte("version: 1\norganisations: [{id: a, ipfs: {}}]\n"))
	f.Add([]byte("a: &a [*a]"))
	f.Add([]byte("channel: {ordering: {batchInterval: 99999999999h}}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		parsed, err := topology.Parse(text)
		if err == nil {
			require.NoError(t, parsed.Validate())
			return
		}
		var invalid *topology.InvalidError
		require.True(t, errors.As(err, &invalid))
		require.NotEmpty(t, invalid.Problems)
	})
}
