// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package render

import (
	"path"

	"github.com/emrys-health/emrys/network/topology"
)

// Profile is the name of the channel's profile in configtx.yaml.
const Profile = "EmrysChannel"

// channelOrg is an organisation as the configtx template sees it.
type channelOrg struct {
	Anchor, OrdererAnchor       string
	MSP, OrdererMSP             string
	MSPDir, OrdererMSPDir       string
	AnchorHost                  string
	AnchorPort                  int
	OrdererHost                 string
	OrdererPort                 int
	OrdererEndpoint             string
	OrdererCert, OrdererTLSCert string
	ConsenterID                 int
}

func (s Site) configtx(t *topology.Topology) (File, error) {
	data := struct {
		Profile  string
		Ordering topology.Ordering
		Orgs     []channelOrg
	}{Profile: Profile, Ordering: t.Channel.Ordering}
	for i, org := range t.Organisations {
		orderer, anchor := OrdererName(org), org.Peers[0]
		data.Orgs = append(data.Orgs, channelOrg{
			Anchor: org.ID, OrdererAnchor: org.ID + "Orderer",
			MSP: org.MSP, OrdererMSP: org.OrdererMSP,
			MSPDir: s.MSP(org), OrdererMSPDir: s.OrdererMSP(org),
			AnchorHost: s.HostOf(PeerName(org, anchor)), AnchorPort: anchor.Port,
			OrdererHost: s.HostOf(orderer), OrdererPort: org.Orderer.Port,
			OrdererEndpoint: s.address(orderer, org.Orderer.Port),
			OrdererCert:     path.Join(s.OrdererDir(org), "msp", CertFile),
			OrdererTLSCert:  path.Join(s.OrdererDir(org), "tls", TLSCertFile),
			ConsenterID:     i + 1,
		})
	}
	text, err := fill("configtx.yaml.tmpl", data)
	return File{path.Join(s.ChannelDir(), "configtx.yaml"), publicMode, text}, err
}

// tlsFiles names the parts of a TLS directory.
type tlsFiles struct{ TLSKey, TLSCert, TLSRoots string }

func tlsIn(dir string) tlsFiles {
	return tlsFiles{
		TLSKey:   path.Join(dir, "tls", TLSKeyFile),
		TLSCert:  path.Join(dir, "tls", TLSCertFile),
		TLSRoots: path.Join(dir, "tls", TLSCAFile),
	}
}

func (s Site) orderer(org topology.Organisation) (File, error) {
	dir := s.OrdererDir(org)
	text, err := fill("orderer.yaml.tmpl", struct {
		tlsFiles
		Name, Bind, MSP, MSPDir      string
		Port                         int
		Loopback                     bool
		LedgerDir, WALDir, SnapDir   string
		Operations, Admin, AdminCert string
	}{
		tlsFiles: tlsIn(dir),
		Name:     OrdererName(org), Bind: s.Bind, Port: org.Orderer.Port, Loopback: !s.Containers,
		MSP: org.OrdererMSP, MSPDir: path.Join(dir, "msp"),
		LedgerDir: path.Join(dir, "data", "ledger"), WALDir: path.Join(dir, "data", "wal"),
		SnapDir: path.Join(dir, "data", "snap"), Operations: s.listen(org.Orderer.Operations),
		Admin: s.listen(org.Orderer.Admin), AdminCert: path.Join(s.AdminTLS(org), TLSCertFile),
	})
	return File{path.Join(dir, "orderer.yaml"), publicMode, text}, err
}

func (s Site) peer(t *topology.Topology, org topology.Organisation, index int) (File, error) {
	peer := org.Peers[index]
	dir, name := s.PeerDir(org, peer), PeerName(org, peer)
	text, err := fill("core.yaml.tmpl", struct {
		tlsFiles
		Name, Network, Listen, Address, ChaincodeListen, ChaincodeAddress string
		GossipBootstrap, MSP, MSPDir, DataDir, SnapshotDir                string
		Operations, CCAAS                                                 string
	}{
		tlsFiles: tlsIn(dir),
		Name:     name, Network: t.Name,
		Listen: s.listen(peer.Port), Address: s.PeerAddress(org, peer),
		ChaincodeListen: s.listen(peer.Chaincode), ChaincodeAddress: s.address(name, peer.Chaincode),
		GossipBootstrap: s.PeerAddress(org, org.Peers[(index+1)%len(org.Peers)]),
		MSP:             org.MSP, MSPDir: path.Join(dir, "msp"), DataDir: path.Join(dir, "data"),
		SnapshotDir: path.Join(dir, "snapshots"), Operations: s.listen(peer.Operations), CCAAS: s.CCAAS,
	})
	return File{path.Join(dir, "core.yaml"), publicMode, text}, err
}

// NodeOUs is the config.yaml of an MSP directory: an identity's role is the
// organisational unit that its CA wrote into its certificate.
func NodeOUs() []byte {
	const text = `NodeOUs:
  Enable: true
  ClientOUIdentifier: {Certificate: ` + RootFile + `, OrganizationalUnitIdentifier: client}
  PeerOUIdentifier: {Certificate: ` + RootFile + `, OrganizationalUnitIdentifier: peer}
  AdminOUIdentifier: {Certificate: ` + RootFile + `, OrganizationalUnitIdentifier: admin}
  OrdererOUIdentifier: {Certificate: ` + RootFile + `, OrganizationalUnitIdentifier: orderer}
`
	return []byte(text)
}
