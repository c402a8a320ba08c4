// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package network

import (
	"context"
	"fmt"
	"os"

	"golang.org/x/sync/errgroup"

	"github.com/emrys-health/emrys/network/lifecycle"
	"github.com/emrys-health/emrys/network/render"
	"github.com/emrys-health/emrys/network/topology"
)

// join makes all orderers and then all peers members of the channel: a peer
// that finds no orderer there backs off for seconds.
func (n *Network) join(ctx context.Context) error {
	genesis, err := os.ReadFile(n.site.Genesis())
	if err != nil {
		return fmt.Errorf("read genesis block: %w", err)
	}
	err = n.each(ctx, func(ctx context.Context, org topology.Organisation) error {
		orderer, err := lifecycle.NewOrderer(n.site, n.t, org)
		if err != nil {
			return err
		}
		defer orderer.Close()
		return orderer.Join(ctx, genesis)
	})
	if err != nil {
		return err
	}
	return n.each(ctx, func(ctx context.Context, org topology.Organisation) error {
		member, err := lifecycle.Open(n.site, n.t, org)
		if err != nil {
			return err
		}
		defer member.Close()
		group, ctx := errgroup.WithContext(ctx)
		for i := range org.Peers {
			group.Go(func() error { return member.JoinPeer(ctx, i, genesis) })
		}
		return group.Wait()
	})
}

// deploy starts the chaincode servers and puts the contract on the channel.
func (n *Network) deploy(ctx context.Context) error {
	packages, err := n.packages()
	if err != nil {
		return err
	}
	ids := map[string]string{}
	for org, pkg := range packages {
		ids[org] = pkg.ID
	}
	if err := n.start(ctx, ids, render.KindChaincode); err != nil {
		return err
	}
	return n.define(ctx, packages)
}

// packages builds each organisation's chaincode package, by organisation id.
func (n *Network) packages() (map[string]lifecycle.Package, error) {
	packages := map[string]lifecycle.Package{}
	for _, org := range n.t.Organisations {
		pkg, err := lifecycle.NewPackage(n.site, n.t, org)
		if err != nil {
			return nil, err
		}
		packages[org.ID] = pkg
	}
	return packages, nil
}

// define has every organisation install and approve its package and one
// commit the definition; packages differ, the definition does not.
func (n *Network) define(ctx context.Context, packages map[string]lifecycle.Package) error {
	err := n.each(ctx, func(ctx context.Context, org topology.Organisation) error {
		return n.approve(ctx, org, packages[org.ID])
	})
	if err != nil {
		return err
	}
	if err := n.commit(ctx, n.t.Organisations[0]); err != nil {
		return err
	}
	return n.each(ctx, func(ctx context.Context, org topology.Organisation) error {
		member, err := lifecycle.Open(n.site, n.t, org)
		if err != nil {
			return err
		}
		defer member.Close()
		return member.AwaitCommit(ctx)
	})
}

func (n *Network) approve(ctx context.Context, org topology.Organisation, pkg lifecycle.Package) error {
	member, err := lifecycle.Open(n.site, n.t, org)
	if err != nil {
		return err
	}
	defer member.Close()
	group, groupCtx := errgroup.WithContext(ctx)
	for i := range org.Peers {
		group.Go(func() error { return member.Install(groupCtx, i, pkg) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return member.Approve(ctx, pkg)
}

func (n *Network) commit(ctx context.Context, org topology.Organisation) error {
	member, err := lifecycle.Open(n.site, n.t, org)
	if err != nil {
		return err
	}
	defer member.Close()
	return member.Commit(ctx)
}
