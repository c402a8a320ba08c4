// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package network

import (
	"context"

	"github.com/emrys-health/emrys/pkg/atomicfile"
)

// A network in containers is brought up by a container engine, which starts
// the processes; the steps between are run as one-shot containers. They are
// the steps of [Network.Up] without the starting.

// Prepare writes what CA servers and IPFS daemons read at their start.
func (n *Network) Prepare(context.Context) error {
	return n.step("files of certificate authorities and IPFS written", n.prepare)
}

// Enrol obtains all certificates and writes all configuration, the genesis
// block and each chaincode's package id. The CA servers must be starting.
func (n *Network) Enrol(ctx context.Context) error {
	if err := n.step("identities enrolled", func() error { return n.enrol(ctx) }); err != nil {
		return err
	}
	return n.step("configuration and genesis block written", func() error {
		if err := n.configure(ctx); err != nil {
			return err
		}
		packages, err := n.packages()
		if err != nil {
			return err
		}
		for _, org := range n.t.Organisations {
			id := []byte(packages[org.ID].ID)
			if _, err := atomicfile.Update(n.site.PackageIDFile(org), id, 0o644); err != nil {
				return err
			}
		}
		return nil
	})
}

// Deploy joins all nodes to the channel, defines the contract and registers
// the organisations. Orderers, peers and chaincode must be starting.
func (n *Network) Deploy(ctx context.Context) error {
	if err := n.step("channel joined", func() error { return n.join(ctx) }); err != nil {
		return err
	}
	err := n.step("chaincode deployed", func() error {
		packages, err := n.packages()
		if err != nil {
			return err
		}
		return n.define(ctx, packages)
	})
	if err != nil {
		return err
	}
	return n.step("organisations registered", func() error { return n.register(ctx) })
}
