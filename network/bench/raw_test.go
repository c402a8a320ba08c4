//go:build e2e

// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	fabric "github.com/hyperledger/fabric-gateway/pkg/client"
	"golang.org/x/sync/errgroup"

	"github.com/emrys-health/emrys/network/e2e/testnet"
	"github.com/emrys-health/emrys/network/lifecycle"
	"github.com/emrys-health/emrys/network/render"
	"github.com/emrys-health/emrys/network/topology"
)

// rawPortShift is where the chaincode servers of rawput listen, above the contract's.
const rawPortShift = 55

// raw is the least chaincode there can be, deployed on the running channel.
type raw struct {
	contract *fabric.Contract
	member   *testnet.Member
	servers  []*exec.Cmd
}

func (r *raw) stop() {
	if r.member != nil {
		r.member.Close()
	}
	for _, server := range r.servers {
		_ = server.Process.Signal(syscall.SIGTERM)
		_ = server.Wait()
	}
}

// deployRaw deploys rawput by the same lifecycle as the contract, one server per organisation.
func deployRaw(ctx context.Context, net *testnet.Net) (*raw, error) {
	site := net.Network.Site()
	t := *net.Topology
	t.Organisations = slices.Clone(t.Organisations)
	t.Chaincode = topology.Chaincode{Name: "rawput", Version: "1", Sequence: 1}
	for i := range t.Organisations {
		t.Organisations[i].Chaincode.Port += rawPortShift
	}
	program := filepath.Join(net.Root, ".cache", "rawput")
	build := exec.CommandContext(ctx, "go", "build", "-o", program, "./network/bench/rawput")
	build.Dir = net.Root
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build rawput: %w\n%s", err, out)
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	r := &raw{}
	packages, ids := map[string]lifecycle.Package{}, map[string]string{}
	for _, org := range t.Organisations {
		pkg, err := lifecycle.NewPackage(site, &t, org)
		if err != nil {
			return nil, err
		}
		packages[org.ID], ids[org.ID] = pkg, pkg.ID
	}
	for _, p := range site.Processes(&t, ids) {
		if p.Kind != render.KindChaincode {
			continue
		}
		server := exec.Command(program)
		server.Env = append(os.Environ(), p.Env...)
		server.Stderr = os.Stderr
		if err := server.Start(); err != nil {
			r.stop()
			return nil, fmt.Errorf("start rawput: %w", err)
		}
		r.servers = append(r.servers, server)
	}
	if err := approve(ctx, site, &t, packages); err != nil {
		r.stop()
		return nil, err
	}
	var err error
	if r.member, err = net.AsGateway(t.Organisations[0].MSP); err != nil {
		r.stop()
		return nil, err
	}
	r.contract = r.member.Contract("rawput")
	return r, r.ready(ctx)
}

func approve(ctx context.Context, site render.Site, t *topology.Topology, packages map[string]lifecycle.Package) error {
	group, groupCtx := errgroup.WithContext(ctx)
	for _, org := range t.Organisations {
		group.Go(func() error {
			member, err := lifecycle.Open(site, t, org)
			if err != nil {
				return err
			}
			defer member.Close()
			for i := range org.Peers {
				if err := member.Install(groupCtx, i, packages[org.ID]); err != nil {
					return err
				}
			}
			return member.Approve(groupCtx, packages[org.ID])
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for i, org := range t.Organisations {
		member, err := lifecycle.Open(site, t, org)
		if err != nil {
			return err
		}
		if i == 0 {
			err = member.Commit(ctx)
		}
		if err == nil {
			err = member.AwaitCommit(ctx)
		}
		member.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// ready waits until discovery offers enough endorsers.
func (r *raw) ready(ctx context.Context) error {
	for {
		_, err := r.contract.SubmitTransaction("put", "ready", "yes")
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("rawput does not answer: %w", err)
		case <-time.After(200 * time.Millisecond):
		}
		if strings.Contains(err.Error(), "two arguments") {
			return err
		}
	}
}
