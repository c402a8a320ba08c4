// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package network

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/emrys-health/emrys/network/atomicfile"
	"github.com/emrys-health/emrys/network/enrol"
	"github.com/emrys-health/emrys/network/kubo"
	"github.com/emrys-health/emrys/network/lifecycle"
	"github.com/emrys-health/emrys/network/render"
	"github.com/emrys-health/emrys/network/runner"
	"github.com/emrys-health/emrys/network/topology"
)

// stepTimeout bounds each step of Up but the building of programs. On two
// idle cores the longest takes three seconds.
const stepTimeout = 90 * time.Second

// Up brings the network to life, or back to life: every step first looks at
// what is there, so that a repeated or interrupted Up goes on where it is
// needed and changes nothing else.
func (n *Network) Up(ctx context.Context) error {
	lock, err := n.lock()
	if err != nil {
		return err
	}
	defer lock.Release()
	if err := n.checkPorts(ctx); err != nil {
		return err
	}
	if err := n.step("programs built", func() error { return n.build(ctx) }); err != nil {
		return err
	}
	for _, step := range []struct {
		what string
		do   func(context.Context) error
	}{
		{"supervisor running", n.supervise},
		{"certificate authorities and IPFS started", n.startFoundations},
		{"identities enrolled", n.enrol},
		{"configuration and genesis block written", n.configure},
		{"orderers and peers started", n.startNodes},
		{"channel joined", n.join},
		{"chaincode deployed", n.deploy},
		{"organisations registered", n.register},
		{"gateways ready", n.startGateways},
	} {
		ctx, cancel := context.WithTimeout(ctx, stepTimeout)
		err := n.step(step.what, func() error { return step.do(ctx) })
		cancel()
		if err != nil {
			return n.explain(err)
		}
	}
	return nil
}

// explain adds to a failed step the processes that keep dying: what waited
// for them only knows that they did not answer.
func (n *Network) explain(failed error) error {
	ctx, cancel := context.WithTimeout(context.Background(), probeTimeout)
	defer cancel()
	statuses, err := n.client.Status(ctx)
	if err != nil {
		return failed
	}
	for _, s := range statuses {
		if s.State == runner.Waiting || s.Restarts >= hopelessRestarts {
			failed = fmt.Errorf("%w; %s died %d time(s) (%s): see emrysctl logs %s", failed, s.Name, s.Restarts+1, s.LastExit, s.Name)
		}
	}
	return failed
}

func (n *Network) supervise(ctx context.Context) error {
	return n.client.Ensure(ctx, n.options.Supervisor...)
}

// each runs an action for every organisation at once.
func (n *Network) each(ctx context.Context, action func(context.Context, topology.Organisation) error) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, org := range n.t.Organisations {
		group.Go(func() error { return action(ctx, org) })
	}
	return group.Wait()
}

// start makes the processes of the given kinds run.
func (n *Network) start(ctx context.Context, packageIDs map[string]string, kinds ...render.ProcessKind) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, p := range n.site.Processes(n.t, packageIDs) {
		for _, kind := range kinds {
			if p.Kind == kind {
				group.Go(func() error { return n.client.Run(ctx, n.spec(p)) })
			}
		}
	}
	return group.Wait()
}

// spec is how the supervisor is to run a process. The fingerprint of program
// and configuration makes it restart what was rebuilt or reconfigured.
func (n *Network) spec(p render.Process) runner.Spec {
	return runner.Spec{
		Name: p.Name, Command: p.Command, Env: p.Env, Dir: p.Dir,
		Fingerprint: fingerprint(append([]string{p.Command[0]}, p.Configs...)),
	}
}

// startFoundations starts what depends on nothing: the CA servers, which the
// next step needs, and the IPFS daemons, which take a while to come up.
func (n *Network) startFoundations(ctx context.Context) error {
	if err := n.prepare(); err != nil {
		return err
	}
	return n.start(ctx, nil, render.KindCA, render.KindIPFS)
}

// prepare writes what the CA servers and IPFS daemons read at their start.
func (n *Network) prepare() error {
	if err := kubo.Prepare(n.site, n.t); err != nil {
		return err
	}
	for _, org := range n.t.Organisations {
		secret, err := enrol.RegistrarSecret(n.site, org)
		if err != nil {
			return err
		}
		files, err := n.site.CAFiles(org, secret)
		if err != nil {
			return err
		}
		if err := write(files); err != nil {
			return err
		}
	}
	return nil
}

func write(files []render.File) error {
	for _, f := range files {
		if _, err := atomicfile.Update(f.Path, f.Data, f.Mode); err != nil {
			return err
		}
	}
	return nil
}

func (n *Network) enrol(ctx context.Context) error {
	err := n.each(ctx, func(ctx context.Context, org topology.Organisation) error {
		return enrol.Organisation(ctx, n.site, org)
	})
	if err != nil {
		return err
	}
	return enrol.ShareTLSRoots(n.site, n.t)
}

// configure writes all configuration and, once in the network's life, the
// genesis block: another one would be another channel.
func (n *Network) configure(ctx context.Context) error {
	files, err := n.site.Files(n.t)
	if err != nil {
		return err
	}
	if err := write(files); err != nil {
		return err
	}
	if atomicfile.Exists(n.site.Genesis()) {
		return nil
	}
	part := n.site.Genesis() + ".part"
	cmd := exec.CommandContext(ctx, filepath.Join(n.options.Bin, "configtxgen"),
		"-configPath", n.site.ChannelDir(), "-profile", render.Profile,
		"-channelID", n.t.Channel.Name, "-outputBlock", part)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("run configtxgen: %w\n%s", err, out)
	}
	block, err := os.ReadFile(part)
	if err != nil {
		return fmt.Errorf("read genesis block: %w", err)
	}
	if err := atomicfile.Write(n.site.Genesis(), block, 0o644); err != nil {
		return err
	}
	_ = os.Remove(part)
	return nil
}

func (n *Network) startNodes(ctx context.Context) error {
	return n.start(ctx, nil, render.KindOrderer, render.KindPeer)
}

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

// checkPorts fails when a port that is needed now belongs to somebody else.
// It runs before anything is started.
func (n *Network) checkPorts(ctx context.Context) error {
	running := map[string]bool{}
	statuses, err := n.client.Status(ctx)
	if err != nil && !errors.Is(err, runner.ErrNotRunning) {
		return err
	}
	for _, s := range statuses {
		running[s.Name] = s.State == runner.Running
	}
	var taken []PortUse
	for _, p := range n.site.Processes(n.t, nil) {
		if running[p.Name] {
			continue
		}
		for _, port := range p.Ports {
			address := net.JoinHostPort(n.site.Bind, strconv.Itoa(port))
			listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
			if err != nil {
				taken = append(taken, PortUse{Process: p.Name, Address: address})
				continue
			}
			_ = listener.Close()
		}
	}
	if len(taken) > 0 {
		return &PortError{InUse: taken}
	}
	return nil
}
