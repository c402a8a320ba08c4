// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package render

import (
	"net"
	"path"
	"strconv"

	"github.com/emrys-health/emrys/network/topology"
)

// ProcessKind says what program a process runs.
type ProcessKind string

// The kinds of process, in the order in which they start.
const (
	KindCA        ProcessKind = "ca"
	KindIPFS      ProcessKind = "ipfs"
	KindOrderer   ProcessKind = "orderer"
	KindPeer      ProcessKind = "peer"
	KindChaincode ProcessKind = "chaincode"
	KindGateway   ProcessKind = "gateway"
)

// Process is one process of the network: how to run it and where it listens.
type Process struct {
	Name    string
	Kind    ProcessKind
	Org     topology.Organisation
	Peer    topology.Peer // for a peer
	Address string        // its main address
	Command []string
	Env     []string // NAME=value, beyond what every process inherits
	Dir     string
	Configs []string // files that it reads when it starts
	Ports   []int    // every port it listens on, the main one first
}

// Processes lists all processes of a network. packageIDs maps an organisation
// id to its chaincode's package id; a chaincode without one cannot run yet
// and is left without its id.
func (s Site) Processes(t *topology.Topology, packageIDs map[string]string) []Process {
	var all []Process
	for _, kind := range []ProcessKind{KindCA, KindIPFS, KindOrderer, KindPeer, KindChaincode, KindGateway} {
		for _, org := range t.Organisations {
			all = append(all, s.processesOf(t, kind, org, packageIDs[org.ID])...)
		}
	}
	return all
}

func (s Site) processesOf(t *topology.Topology, kind ProcessKind, org topology.Organisation, packageID string) []Process {
	switch kind {
	case KindCA:
		return []Process{s.caProcess(org)}
	case KindIPFS:
		if org.IPFS == nil {
			return nil
		}
		return []Process{s.ipfsProcess(org)}
	case KindOrderer:
		return []Process{s.ordererProcess(org)}
	case KindPeer:
		var peers []Process
		for _, peer := range org.Peers {
			peers = append(peers, s.peerProcess(org, peer))
		}
		return peers
	case KindChaincode:
		return []Process{s.chaincodeProcess(org, packageID)}
	case KindGateway:
		return []Process{s.gatewayProcess(org)}
	}
	return nil
}

func (s Site) caProcess(org topology.Organisation) Process {
	dir := s.CADir(org)
	return Process{
		Name: CAName(org), Kind: KindCA, Org: org, Dir: dir, Address: s.address(CAName(org), org.CA.Port),
		Command: []string{s.program("fabric-ca-server"), "start", "--home", dir},
		Configs: []string{path.Join(dir, caConfigFile)},
		Ports:   []int{org.CA.Port, org.CA.Operations},
	}
}

func (s Site) ipfsProcess(org topology.Organisation) Process {
	dir := s.IPFSDir(org)
	return Process{
		Name: IPFSName(org), Kind: KindIPFS, Org: org, Dir: dir, Address: net.JoinHostPort(loopback, strconv.Itoa(org.IPFS.API)),
		Command: []string{s.program("ipfs"), "daemon", "--migrate=false"},
		Env:     []string{"IPFS_PATH=" + dir, "LIBP2P_FORCE_PNET=1", "IPFS_TELEMETRY=off"},
		Configs: []string{path.Join(dir, "config")},
		Ports:   []int{org.IPFS.API, org.IPFS.Swarm},
	}
}

// fabricLogging keeps routine messages out: at "info" each transaction writes
// a dozen lines per node. /logspec on the operations port changes it live.
const fabricLogging = "FABRIC_LOGGING_SPEC=warning"

func (s Site) ordererProcess(org topology.Organisation) Process {
	dir := s.OrdererDir(org)
	return Process{
		Name: OrdererName(org), Kind: KindOrderer, Org: org, Dir: dir, Address: s.address(OrdererName(org), org.Orderer.Port),
		Command: []string{s.program("orderer")},
		Env:     []string{"FABRIC_CFG_PATH=" + dir, fabricLogging},
		Configs: []string{path.Join(dir, "orderer.yaml"), path.Join(dir, "tls", TLSCertFile)},
		Ports:   []int{org.Orderer.Port, org.Orderer.Admin, org.Orderer.Operations},
	}
}

func (s Site) peerProcess(org topology.Organisation, peer topology.Peer) Process {
	dir := s.PeerDir(org, peer)
	return Process{
		Name: PeerName(org, peer), Kind: KindPeer, Org: org, Peer: peer, Dir: dir, Address: s.PeerAddress(org, peer),
		Command: []string{s.program("peer"), "node", "start"},
		Env:     []string{"FABRIC_CFG_PATH=" + dir, fabricLogging},
		Configs: []string{path.Join(dir, "core.yaml"), path.Join(dir, "tls", TLSCertFile)},
		Ports:   []int{peer.Port, peer.Chaincode, peer.Operations},
	}
}

func (s Site) chaincodeProcess(org topology.Organisation, packageID string) Process {
	dir := s.ChaincodeDir(org)
	return Process{
		Name: ChaincodeName(org), Kind: KindChaincode, Org: org, Dir: dir, Address: s.ChaincodeAddress(org),
		Command: []string{s.program("emrys-chaincode")},
		Env: []string{
			"CHAINCODE_SERVER_ADDRESS=" + s.listen(org.Chaincode.Port),
			"CORE_CHAINCODE_ID_NAME=" + packageID,
			"EMRYS_CHAINCODE_TLS_KEY=" + path.Join(dir, "tls", TLSKeyFile),
			"EMRYS_CHAINCODE_TLS_CERT=" + path.Join(dir, "tls", TLSCertFile),
			"EMRYS_CHAINCODE_TLS_CLIENT_CA=" + path.Join(dir, "tls", TLSCAFile),
		},
		Configs: []string{path.Join(dir, "tls", TLSCertFile)},
		Ports:   []int{org.Chaincode.Port},
	}
}

func (s Site) gatewayProcess(org topology.Organisation) Process {
	return Process{
		Name: GatewayName(org), Kind: KindGateway, Org: org, Dir: s.GatewayDir(org), Address: s.address(GatewayName(org), org.Gateway.Port),
		Command: []string{s.program("emrys-gateway"), "run", "--config", s.GatewayConfig(org)},
		Configs: []string{s.GatewayConfig(org)},
		Ports:   []int{org.Gateway.Port},
	}
}

// MetricsURL is where a Fabric node shows its metrics, and false for others.
func (s Site) MetricsURL(p Process) (string, bool) {
	switch p.Kind {
	case KindOrderer:
		return s.Operations(p.Name, p.Org.Orderer.Operations) + "/metrics", true
	case KindPeer:
		return s.Operations(p.Name, p.Peer.Operations) + "/metrics", true
	case KindCA, KindIPFS, KindChaincode, KindGateway:
	}
	return "", false
}
