// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package render

import (
	"fmt"
	"path"

	"go.yaml.in/yaml/v3"

	"github.com/emrys-health/emrys/network/topology"
)

// gatewayConfig is the gateway's configuration file. The gateway reads it
// strictly, so both sides must agree on every name.
type gatewayConfig struct {
	Organisation string        `yaml:"organisation"`
	Listen       string        `yaml:"listen"`
	PublicURL    string        `yaml:"publicUrl"`
	TLS          keyPair       `yaml:"tls"`
	ClientRoots  string        `yaml:"clientRoots"`
	Fabric       gatewayFabric `yaml:"fabric"`
	IPFS         *gatewayIPFS  `yaml:"ipfs,omitempty"`
	StateDir     string        `yaml:"stateDir"`
	KeysFile     string        `yaml:"keysFile"`
	Policy       gatewayPolicy `yaml:"policy"`
	Log          gatewayLog    `yaml:"log"`
}

type keyPair struct {
	Cert string `yaml:"cert"`
	Key  string `yaml:"key"`
}

type gatewayFabric struct {
	Peers     []gatewayPeer `yaml:"peers"`
	Channel   string        `yaml:"channel"`
	Chaincode string        `yaml:"chaincode"`
	Cert      string        `yaml:"cert"`
	Key       string        `yaml:"key"`
	MSP       string        `yaml:"msp"`
}

type gatewayPeer struct {
	Address    string `yaml:"address"`
	TLSRoots   string `yaml:"tlsRoots"`
	ServerName string `yaml:"serverName"`
}

type gatewayIPFS struct {
	API           string `yaml:"api"`
	Authorization string `yaml:"authorization"`
}

type gatewayPolicy struct {
	Threshold int `yaml:"threshold"`
	Replicas  int `yaml:"replicas"`
}

type gatewayLog struct {
	Level  string `yaml:"level"`
	Format string `yaml:"format"`
}

func (s Site) gateway(t *topology.Topology, org topology.Organisation) (File, error) {
	dir := s.GatewayDir(org)
	tls := tlsIn(dir)
	config := gatewayConfig{
		Organisation: org.MSP,
		Listen:       s.listen(org.Gateway.Port),
		PublicURL:    s.GatewayURL(org),
		TLS:          keyPair{Cert: tls.TLSCert, Key: tls.TLSKey},
		ClientRoots:  s.AllTLSRoots(org),
		Fabric: gatewayFabric{
			Channel: t.Channel.Name, Chaincode: t.Chaincode.Name, MSP: org.MSP,
			Cert: path.Join(dir, "msp", CertFile), Key: path.Join(dir, "msp", KeyFile),
		},
		StateDir: path.Join(dir, "state"),
		KeysFile: path.Join(dir, "gateway-keys.json"),
		Policy:   gatewayPolicy(t.Proxies),
		Log:      gatewayLog{Level: "info", Format: "json"},
	}
	for _, peer := range org.Peers {
		config.Fabric.Peers = append(config.Fabric.Peers, gatewayPeer{
			Address: s.PeerAddress(org, peer), TLSRoots: s.TLSRoots(org), ServerName: PeerName(org, peer),
		})
	}
	if org.IPFS != nil {
		config.IPFS = &gatewayIPFS{API: s.IPFSAPIURL(org), Authorization: s.IPFSAuthorization(org)}
	}
	body, err := yaml.Marshal(config)
	if err != nil {
		return File{}, fmt.Errorf("render gateway configuration: %w", err)
	}
	text := append([]byte("# "+GatewayName(org)+": rendered from the topology.\n"), body...)
	return File{s.GatewayConfig(org), publicMode, text}, nil
}
