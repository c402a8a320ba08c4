// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

// Package topology describes a consortium: who takes part, which processes
// each organisation runs, and how the channel is tuned. It is pure: it reads
// and judges a description and touches neither disk nor network. Everything
// else about a network is rendered from a [Topology].
package topology

import (
	_ "embed"
	"slices"
	"time"
)

// Version is the only version of the file format.
const Version = 1

//go:embed default.yaml
var defaultYAML []byte

// Default returns the text of the default topology.
func Default() []byte { return slices.Clone(defaultYAML) }

// Topology is a validated consortium. Treat it as immutable.
type Topology struct {
	Version       int            `yaml:"version"`
	Name          string         `yaml:"name"`
	Channel       Channel        `yaml:"channel"`
	Chaincode     Chaincode      `yaml:"chaincode"`
	Proxies       Proxies        `yaml:"proxies"`
	Organisations []Organisation `yaml:"organisations"`
}

// Channel is the one ledger that all organisations share.
type Channel struct {
	Name     string   `yaml:"name"`
	Ordering Ordering `yaml:"ordering"`
}

// Ordering tunes SmartBFT. Every value must be given: configtxgen writes
// empty durations for the ones left out and the orderer then refuses to start.
type Ordering struct {
	BatchInterval     time.Duration `yaml:"batchInterval"`
	MaxMessages       int           `yaml:"maxMessages"`
	RequestPoolSize   int           `yaml:"requestPoolSize"`
	HeartbeatTimeout  time.Duration `yaml:"heartbeatTimeout"`
	HeartbeatCount    int           `yaml:"heartbeatCount"`
	ForwardTimeout    time.Duration `yaml:"forwardTimeout"`
	ComplainTimeout   time.Duration `yaml:"complainTimeout"`
	AutoRemoveTimeout time.Duration `yaml:"autoRemoveTimeout"`
	ViewChangeTimeout time.Duration `yaml:"viewChangeTimeout"`
	ViewChangeResend  time.Duration `yaml:"viewChangeResend"`
}

// Chaincode is the contract's definition on the channel.
type Chaincode struct {
	Name        string       `yaml:"name"`
	Version     string       `yaml:"version"`
	Sequence    int64        `yaml:"sequence"`
	Collections []Collection `yaml:"collections"`
}

// Collection is a private data collection.
type Collection struct {
	Name              string `yaml:"name"`
	RequiredPeerCount int32  `yaml:"requiredPeerCount"`
	MaxPeerCount      int32  `yaml:"maxPeerCount"`
	// Members are the ids of the organisations that keep it. None means all of the topology.
	Members []string `yaml:"members,omitempty"`
}

// Proxies is the default policy of re-encryption and replication.
type Proxies struct {
	Threshold int `yaml:"threshold"` // proxies that must answer
	Replicas  int `yaml:"replicas"`  // hospitals that keep a record's content
}

// Kind says what an organisation is.
type Kind string

// The kinds of organisation.
const (
	Hospital  Kind = "hospital"
	Regulator Kind = "regulator"
)

// Organisation is one member, with the processes that it runs.
type Organisation struct {
	ID         string  `yaml:"id"`   // in file and process names
	Name       string  `yaml:"name"` // for people, and in certificates
	Kind       Kind    `yaml:"kind"`
	MSP        string  `yaml:"msp"`        // of its peers and people
	OrdererMSP string  `yaml:"ordererMsp"` // of its orderer
	CA         CA      `yaml:"ca"`
	Orderer    Orderer `yaml:"orderer"`
	Peers      []Peer  `yaml:"peers"`
	Chaincode  Port    `yaml:"chaincode"`
	Gateway    Port    `yaml:"gateway"`
	IPFS       *IPFS   `yaml:"ipfs"` // hospitals only
}

// CA is a Fabric CA server.
type CA struct {
	Port       int `yaml:"port"`
	Operations int `yaml:"operations"`
}

// Orderer is a consenter.
type Orderer struct {
	Port       int `yaml:"port"`
	Admin      int `yaml:"admin"`
	Operations int `yaml:"operations"`
}

// Peer is an endorsing and committing peer.
type Peer struct {
	Name       string `yaml:"name"`
	Port       int    `yaml:"port"`
	Chaincode  int    `yaml:"chaincode"`
	Operations int    `yaml:"operations"`
}

// Port is a process with a single listener.
type Port struct {
	Port int `yaml:"port"`
}

// IPFS is a Kubo daemon.
type IPFS struct {
	API   int `yaml:"api"`
	Swarm int `yaml:"swarm"`
}

// MembersOf returns the MSP ids of a collection's members, in the order of the topology.
func (t *Topology) MembersOf(c *Collection) []string {
	var members []string
	for _, org := range t.Organisations {
		if len(c.Members) == 0 || slices.Contains(c.Members, org.ID) {
			members = append(members, org.MSP)
		}
	}
	return members
}

// Organisation returns the member whose id, name or MSP id is given.
func (t *Topology) Organisation(idOrName string) (Organisation, bool) {
	for _, org := range t.Organisations {
		if org.ID == idOrName || org.Name == idOrName || org.MSP == idOrName {
			return org, true
		}
	}
	return Organisation{}, false
}

// WithPortOffset returns a copy whose every port is shifted, so that a second
// network can run beside the first. The result is validated again.
func (t *Topology) WithPortOffset(offset int) (*Topology, error) {
	shifted := *t
	shifted.Organisations = make([]Organisation, len(t.Organisations))
	for i, org := range t.Organisations {
		org.Peers = slices.Clone(org.Peers)
		if org.IPFS != nil {
			ipfs := *org.IPFS
			org.IPFS = &ipfs
		}
		for _, p := range org.ports("") {
			*p.port += offset
		}
		shifted.Organisations[i] = org
	}
	if err := shifted.Validate(); err != nil {
		return nil, err
	}
	return &shifted, nil
}
