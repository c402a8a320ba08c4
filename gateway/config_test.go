// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package gateway_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/emrys-health/emrys/gateway"
)

const minimal = `
organisation: HospAMSP
listen: 127.0.0.1:7150
publicUrl: https://127.0.0.1:7150
tls: {cert: server.crt, key: server.key}
clientRoots: roots.pem
fabric:
  peers: [{address: "127.0.0.1:7120", tlsRoots: tls.pem, serverName: peer0.hospa}]
  channel: emrys
  chaincode: emrys
  cert: cert.pem
  key: key.pem
  msp: HospAMSP
ipfs: {api: "http://127.0.0.1:7160", authorization: ipfs-authorization}
stateDir: state
keysFile: gateway-keys.json
policy: {threshold: 2, replicas: 2}
log: {level: info, format: json}
`

func TestConfiguration(t *testing.T) {
	t.Parallel()
	c, err := gateway.Parse([]byte(minimal))
	require.NoError(t, err)
	require.Equal(t, "HospAMSP", c.Organisation)
	require.Equal(t, 30*time.Minute, c.Timeouts.UploadLife, "what is left out has its default")
	require.Equal(t, 10*time.Minute, c.Policy.EraseEvery, "every gateway carries out what is ordered unless it is told not to")
	c, err = gateway.Parse([]byte(strings.Replace(minimal, "ipfs:", "#", 1) + "timeouts: {commit: 5s}\nlimits: {uploadBytes: 1024}\n"))
	require.NoError(t, err)
	require.Nil(t, c.IPFS)
	require.Equal(t, 5*time.Second, c.Timeouts.Commit)
}

func TestConfigurationsThatAreRefused(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, old, replacement, field string }{
		{"an unknown field", "stateDir:", "statDir:", "statDir"},
		{"no organisation", "organisation: HospAMSP", "organisation: ''", "organisation: must"},
		{"an address without a port", "listen: 127.0.0.1:7150", "listen: localhost", "listen: must"},
		{"a URL without TLS", "publicUrl: https", "publicUrl: http", "publicUrl: must"},
		{"a URL with a path", "127.0.0.1:7150\ntls", "127.0.0.1:7150/x\ntls", "publicUrl: must"},
		{"no peers", `[{address: "127.0.0.1:7120", tlsRoots: tls.pem, serverName: peer0.hospa}]`, "[]", "fabric.peers: must"},
		{"a peer without roots", "tlsRoots: tls.pem, ", "", "fabric.peers[0].tlsRoots: must"},
		{"a key file of another name", "gateway-keys.json", "keys.json", "keysFile: must"},
		{"one proxy is none", "threshold: 2", "threshold: 1", "policy.threshold: must"},
		{"no replicas", "replicas: 2", "replicas: 0", "policy.replicas: must"},
		{"sealing backwards", "replicas: 2", "replicas: 2, sealEvery: -1s", "policy.sealEvery: must"},
		{"erasing backwards", "replicas: 2", "replicas: 2, eraseEvery: -1s", "policy.eraseEvery: must"},
		{"an unknown level of logs", "level: info", "level: loud", "log.level: must"},
		{"an unknown format of logs", "format: json", "format: xml", "log.format: must"},
		{"a second document", "log:", "---\nlog:", ""},
		{"a timeout of nothing", "log:", "timeouts: {commit: 0s}\nlog:", "timeouts.commit: must"},
		{"an unknown way to choose endorsers", "chaincode: emrys", "chaincode: emrys\n  endorsers: dice", "fabric.endorsers: must"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			text := strings.Replace(minimal, tt.old, tt.replacement, 1)
			require.NotEqual(t, minimal, text)
			_, err := gateway.Parse([]byte(text))
			require.ErrorContains(t, err, tt.field)
		})
	}
	_, err := gateway.Parse(nil)
	for _, field := range []string{"organisation", "listen", "publicUrl", "tls.cert", "clientRoots", "fabric.peers", "keysFile", "stateDir"} {
		require.ErrorContains(t, err, field, "every problem is told at once")
	}
	_, err = gateway.Load("does-not-exist.yaml")
	require.Error(t, err)
}

func FuzzConfig(f *testing.F) {
	f.Add(minimal)
	f.Add("")
	f.Add("organisation: [")
	f.Add("limits: {tokensPerSecond: .nan}")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := gateway.Parse([]byte(text))
		if err == nil {
			require.NoError(t, c.Validate())
		}
	})
}
