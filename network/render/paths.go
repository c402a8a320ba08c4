// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package render

import (
	"path"

	"github.com/emrys-health/emrys/network/topology"
)

// File names inside an MSP directory and beside a TLS key pair.
const (
	CertFile    = "signcerts/cert.pem"
	KeyFile     = "keystore/priv_sk"
	RootFile    = "cacerts/ca.pem"
	TLSRootFile = "tlscacerts/tls-ca.pem"
	OUFile      = "config.yaml"
	TLSCertFile = "server.crt"
	TLSKeyFile  = "server.key"
	TLSCAFile   = "ca.crt"
)

// Org is the directory of everything one organisation owns. Nothing in it
// belongs on another organisation's machine, except MSP and OrdererMSP.
func (s Site) Org(org topology.Organisation) string { return path.Join(s.Home, "orgs", org.ID) }

// CADir is the home of the CA server.
func (s Site) CADir(org topology.Organisation) string { return path.Join(s.Org(org), "ca") }

// RegistrarSecret is the file with the registrar's password.
func (s Site) RegistrarSecret(org topology.Organisation) string {
	return path.Join(s.Org(org), "registrar", "secret")
}

// RegistrarMSP holds the certificate that registers people.
func (s Site) RegistrarMSP(org topology.Organisation) string {
	return path.Join(s.Org(org), "registrar", "msp")
}

// MSP is the public description of the organisation for the channel.
func (s Site) MSP(org topology.Organisation) string { return path.Join(s.Org(org), "msp") }

// OrdererMSP is the public description of its orderer organisation.
func (s Site) OrdererMSP(org topology.Organisation) string {
	return path.Join(s.Org(org), "orderer-msp")
}

// TLSRoots is the organisation's TLS root certificate.
func (s Site) TLSRoots(org topology.Organisation) string {
	return path.Join(s.MSP(org), TLSRootFile)
}

// AllTLSRoots is the bundle of every organisation's TLS roots, kept in each
// organisation's directory.
func (s Site) AllTLSRoots(org topology.Organisation) string {
	return path.Join(s.Org(org), "consortium-tls-roots.pem")
}

// AdminMSP is the administrator's identity; AdminTLS its TLS client pair.
func (s Site) AdminMSP(org topology.Organisation) string {
	return path.Join(s.Org(org), "admin", "msp")
}

// AdminTLS is the key pair that the orderer's admin interface is pinned to.
func (s Site) AdminTLS(org topology.Organisation) string {
	return path.Join(s.Org(org), "admin", "tls")
}

// OrdererDir holds an orderer's configuration, identity and ledger.
func (s Site) OrdererDir(org topology.Organisation) string {
	return path.Join(s.Org(org), "orderer")
}

// PeerDir holds a peer's configuration, identity and ledger.
func (s Site) PeerDir(org topology.Organisation, peer topology.Peer) string {
	return path.Join(s.Org(org), "peers", peer.Name)
}

// ChaincodeDir holds the chaincode server's TLS pair and the package.
func (s Site) ChaincodeDir(org topology.Organisation) string {
	return path.Join(s.Org(org), "chaincode")
}

// GatewayDir holds the gateway's configuration, identity, keys and state.
func (s Site) GatewayDir(org topology.Organisation) string {
	return path.Join(s.Org(org), "gateway")
}

// GatewayConfig is the gateway's configuration file.
func (s Site) GatewayConfig(org topology.Organisation) string {
	return path.Join(s.GatewayDir(org), "gateway.yaml")
}

// IPFSDir is the Kubo repository.
func (s Site) IPFSDir(org topology.Organisation) string { return path.Join(s.Org(org), "ipfs") }

// IPFSAuthorization is a file with the value of the Authorization header that
// the daemon's RPC interface asks for.
func (s Site) IPFSAuthorization(org topology.Organisation) string {
	return path.Join(s.GatewayDir(org), "ipfs-authorization")
}

// SwarmKey is the pre-shared key of the private swarm.
func (s Site) SwarmKey() string { return path.Join(s.Home, "channel", "swarm.key") }

// ChannelDir holds configtx.yaml and the genesis block.
func (s Site) ChannelDir() string { return path.Join(s.Home, "channel") }

// Genesis is the channel's first block.
func (s Site) Genesis() string { return path.Join(s.ChannelDir(), "genesis.block") }

// PackageIDFile holds the package id of the organisation's chaincode, for
// servers that are not started by the one who computed it.
func (s Site) PackageIDFile(org topology.Organisation) string {
	return path.Join(s.ChaincodeDir(org), "package-id")
}
