// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package network

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/emrys-health/emrys/network/render"
	"github.com/emrys-health/emrys/network/topology"
	"github.com/emrys-health/emrys/pkg/atomicfile"
)

// Upgrade puts another definition of the contract on the channel of a running
// network: another version, or other members or numbers of its private data. text
// is a topology that differs from the present one in that alone, with the next
// sequence. The programs are not built: what is there runs.
//
// Where the version stays, the chaincode goes on serving while the organisations
// approve and commit. Where it changes, it starts anew once the definition is
// committed, and calls fail for the second that this takes. An upgrade that was
// interrupted is finished by Up.
func (n *Network) Upgrade(ctx context.Context, text []byte) error {
	lock, err := n.lock()
	if err != nil {
		return err
	}
	defer lock.Release()
	next, err := load(n.options, text, n.kept)
	if err != nil {
		return err
	}
	if err := upgradable(n.t, next.t); err != nil {
		return err
	}
	if err := atomicfile.Write(filepath.Join(n.options.Home, topologyFile), text, 0o600); err != nil {
		return err
	}
	*n = *next
	packages, err := n.packages()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	if err := n.step("definition committed", func() error { return n.define(ctx, packages) }); err != nil {
		return n.explain(err)
	}
	ids := map[string]string{}
	for org, pkg := range packages {
		ids[org] = pkg.ID
	}
	return n.step("chaincode running", func() error { return n.start(ctx, ids, render.KindChaincode) })
}

// upgradable refuses what a definition cannot change, and what would take private
// data from a member that has it.
func upgradable(present, next *topology.Topology) error {
	same := *next
	same.Chaincode = present.Chaincode
	a, _ := json.Marshal(present)
	b, _ := json.Marshal(&same)
	if string(a) != string(b) || next.Chaincode.Name != present.Chaincode.Name {
		return fmt.Errorf("an upgrade changes version, sequence and collections of the chaincode; the topology differs in more")
	}
	if next.Chaincode.Sequence != present.Chaincode.Sequence+1 {
		return fmt.Errorf("chaincode.sequence must be %d, the next one", present.Chaincode.Sequence+1)
	}
	for i := range present.Chaincode.Collections {
		was := &present.Chaincode.Collections[i]
		at := slices.IndexFunc(next.Chaincode.Collections, func(c topology.Collection) bool { return c.Name == was.Name })
		if at < 0 {
			return fmt.Errorf("collection %s cannot be removed: peers would lose what is in it", was.Name)
		}
		members := next.MembersOf(&next.Chaincode.Collections[at])
		for _, member := range present.MembersOf(was) {
			if !slices.Contains(members, member) {
				return fmt.Errorf("%s cannot leave collection %s: it keeps data of it", member, was.Name)
			}
		}
	}
	return nil
}
