// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package network

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/emrys-health/emrys/network/enrol"
	"github.com/emrys-health/emrys/network/kubo"
	"github.com/emrys-health/emrys/network/render"
	"github.com/emrys-health/emrys/network/runner"
	"github.com/emrys-health/emrys/network/topology"
	"github.com/emrys-health/emrys/pkg/atomicfile"
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
	if err := n.step("daemons built", func() error { return n.buildDaemons(ctx) }); err != nil {
		return err
	}
	servers, stopBuilding := n.buildMeanwhile(ctx)
	defer stopBuilding()
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
		{"contract and gateway built", servers},
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

// buildMeanwhile builds the project's own programs, which are needed late,
// beside the steps that do without. The first function waits for the outcome,
// the second ends a build that nobody waits for any more.
func (n *Network) buildMeanwhile(ctx context.Context) (wait func(context.Context) error, stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		err = n.buildServers(ctx)
	}()
	wait = func(context.Context) error {
		<-done
		return err
	}
	stop = func() {
		cancel()
		<-done
	}
	return wait, stop
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
