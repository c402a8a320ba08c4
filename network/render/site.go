// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

// Package render turns a topology into the configuration of every process:
// Fabric's channel, peers, orderers and CAs, Kubo, the gateways, and a Compose
// file. Functions here are pure: the same topology and site give the same
// bytes, which golden tests hold them to.
package render

import (
	"net"
	"path"
	"strconv"

	"github.com/emrys-health/emrys/network/topology"
)

// Site is where a network lives: the root of its files, as the processes see
// them, and how they reach each other.
type Site struct {
	Home       string                      // root of all state
	Bin        string                      // directory of the programs; empty where they are on the PATH
	CCAAS      string                      // external builder for chaincode as a service
	Bind       string                      // address that servers listen on
	HostOf     func(process string) string // host under which a process is dialled
	Containers bool                        // each process in a container of its own
}

// Native is a site on this machine: processes under home, on loopback.
func Native(home, bin string) Site {
	return Site{
		Home: home, Bin: bin, CCAAS: path.Join(bin, "ccaas"), Bind: loopback,
		HostOf: func(string) string { return loopback },
	}
}

// composeHome is where containers mount the state.
const composeHome = "/emrys"

// Containers is a site of containers on one network, where a process is
// reached under its own name.
func Containers() Site {
	return Site{
		Home: composeHome, CCAAS: "/opt/hyperledger/ccaas_builder", Bind: "0.0.0.0",
		HostOf: func(process string) string { return process }, Containers: true,
	}
}

func (s Site) address(process string, port int) string {
	return net.JoinHostPort(s.HostOf(process), strconv.Itoa(port))
}

func (s Site) listen(port int) string { return net.JoinHostPort(s.Bind, strconv.Itoa(port)) }

func (s Site) program(name string) string {
	if s.Bin == "" {
		return name
	}
	return path.Join(s.Bin, name)
}

// Names of processes: kind and organisation, as in orderer.hospa.

// CAName is the process name of an organisation's CA server.
func CAName(org topology.Organisation) string { return "ca." + org.ID }

// OrdererName is the process name of an organisation's orderer.
func OrdererName(org topology.Organisation) string { return "orderer." + org.ID }

// PeerName is the process name of one peer.
func PeerName(org topology.Organisation, peer topology.Peer) string { return peer.Name + "." + org.ID }

// ChaincodeName is the process name of an organisation's chaincode server.
func ChaincodeName(org topology.Organisation) string { return "chaincode." + org.ID }

// GatewayName is the process name of an organisation's gateway.
func GatewayName(org topology.Organisation) string { return "gateway." + org.ID }

// IPFSName is the process name of a hospital's Kubo daemon.
func IPFSName(org topology.Organisation) string { return "ipfs." + org.ID }

// CAURL is where an organisation's CA server answers.
func (s Site) CAURL(org topology.Organisation) string {
	return "https://" + s.address(CAName(org), org.CA.Port)
}

// OrdererAdminURL is where the orderer's channel participation API answers.
func (s Site) OrdererAdminURL(org topology.Organisation) string {
	return "https://" + s.address(OrdererName(org), org.Orderer.Admin)
}

// PeerAddress is the host and port of a peer's gRPC service.
func (s Site) PeerAddress(org topology.Organisation, peer topology.Peer) string {
	return s.address(PeerName(org, peer), peer.Port)
}

// ChaincodeAddress is what the peers of an organisation dial.
func (s Site) ChaincodeAddress(org topology.Organisation) string {
	return s.address(ChaincodeName(org), org.Chaincode.Port)
}

// GatewayURL is where people and other gateways reach a gateway.
func (s Site) GatewayURL(org topology.Organisation) string {
	return "https://" + s.address(GatewayName(org), org.Gateway.Port)
}

// loopback is where every Kubo daemon's RPC interface listens: it speaks plain
// HTTP, and its secret must not cross a network. In containers the gateway
// shares the daemon's network namespace.
const loopback = "127.0.0.1"

// IPFSAPIURL is the root of a Kubo daemon's RPC interface, as its gateway sees it.
func (s Site) IPFSAPIURL(org topology.Organisation) string {
	return "http://" + net.JoinHostPort(loopback, strconv.Itoa(org.IPFS.API))
}

// Operations returns the root of the operations service (health, metrics,
// version) on the given port of a Fabric process.
func (s Site) Operations(process string, port int) string {
	return "http://" + s.address(process, port)
}

// Names of the authorities in one CA server. Peers and people, orderers, and
// TLS have a root each: an orderer's certificate is not a member of the
// hospital's MSP, and a person's certificate opens no TLS door.

// IdentityCA is the authority of peers, administrators and people.
func IdentityCA(org topology.Organisation) string { return "ca-" + org.ID }

// OrdererCA is the authority of the orderer organisation.
func OrdererCA(org topology.Organisation) string { return "orderer-ca-" + org.ID }

// TLSCA is the authority of TLS certificates, and the server's default.
func TLSCA(org topology.Organisation) string { return "tls-ca-" + org.ID }
