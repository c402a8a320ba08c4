// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

// Package network runs a consortium on this machine: it brings a topology to
// life, tells how it is, and takes it down again. It joins the packages below
// it (topology, render, enrol, kubo, lifecycle, runner) and holds no rules of
// its own about Fabric or IPFS.
package network

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/emrys-health/emrys/network/daemons"
	"github.com/emrys-health/emrys/network/lockfile"
	"github.com/emrys-health/emrys/network/render"
	"github.com/emrys-health/emrys/network/runner"
	"github.com/emrys-health/emrys/network/topology"
	"github.com/emrys-health/emrys/pkg/atomicfile"
)

// Options say which network is meant and how to act on it.
type Options struct {
	Home       string // state of the network
	Source     string // source tree; empty where programs are built already
	Bin        string // folder of programs
	Topology   []byte // of a new network; nil is the default
	PortOffset int    // of a new network
	Containers bool   // a new network's processes run in containers, not here
	// Supervisor is the command that runs [Supervise] for this home.
	Supervisor []string
	// Report is told of each step; nil tells nobody.
	Report func(Step)
}

// Step is something that Up did.
type Step struct {
	What string        `json:"what"`
	Took time.Duration `json:"tookNs"`
}

// Network is a consortium's home on this machine.
type Network struct {
	options Options
	kept    settings
	t       *topology.Topology
	site    render.Site
	client  *runner.Client
}

// Errors that callers tell apart.
var (
	// ErrNoNetwork means that the home holds no network.
	ErrNoNetwork = errors.New("there is no network here")
	// ErrBusy means that another command is changing this network.
	ErrBusy = errors.New("another emrysctl is at work on this network")
)

const topologyFile = "topology.yaml"

// settings is what a home remembers beside its topology.
type settings struct {
	PortOffset int  `json:"portOffset"`
	Containers bool `json:"containers,omitempty"`
}

// Open returns the network of an existing home.
func Open(o Options) (*Network, error) {
	text, err := os.ReadFile(filepath.Join(o.Home, topologyFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s", ErrNoNetwork, o.Home)
	}
	if err != nil {
		return nil, fmt.Errorf("read the network's topology: %w", err)
	}
	raw, err := os.ReadFile(settingsFile(o.Home))
	if err != nil {
		return nil, fmt.Errorf("read the network's settings: %w", err)
	}
	var kept settings
	if err := json.Unmarshal(raw, &kept); err != nil {
		return nil, fmt.Errorf("read the network's settings: %w", err)
	}
	return load(o, text, kept)
}

func (o Options) settings() settings {
	return settings{PortOffset: o.PortOffset, Containers: o.Containers}
}

func settingsFile(home string) string { return filepath.Join(home, "settings.json") }

func load(o Options, text []byte, kept settings) (*Network, error) {
	t, err := topology.Parse(text)
	if err != nil {
		return nil, err
	}
	if t, err = t.WithPortOffset(kept.PortOffset); err != nil {
		return nil, fmt.Errorf("with port offset %d: %w", kept.PortOffset, err)
	}
	if o.Report == nil {
		o.Report = func(Step) {}
	}
	site := render.Native(o.Home, o.Bin)
	if kept.Containers {
		site = render.Containers()
	}
	return &Network{options: o, kept: kept, t: t, site: site, client: runner.NewClient(runner.In(o.Home))}, nil
}

// Create returns the network of a home, making the home when it is new. An
// existing network keeps its topology and ports: another topology or offset
// is refused, since certificates and the channel were made from the first.
func Create(o Options) (*Network, error) {
	text := o.Topology
	if text == nil {
		text = topology.Default()
	}
	present, err := Open(o)
	if errors.Is(err, ErrNoNetwork) {
		if _, err := load(o, text, o.settings()); err != nil {
			return nil, err
		}
		return create(o, text)
	}
	if err != nil {
		return nil, err
	}
	return present, present.sameAs(o)
}

func create(o Options, text []byte) (*Network, error) {
	raw, err := json.Marshal(o.settings())
	if err != nil {
		return nil, fmt.Errorf("encode settings: %w", err)
	}
	if err := atomicfile.Write(settingsFile(o.Home), raw, 0o600); err != nil {
		return nil, err
	}
	// Last: a home with a topology is complete.
	if err := atomicfile.Write(filepath.Join(o.Home, topologyFile), text, 0o600); err != nil {
		return nil, err
	}
	return Open(o)
}

func (n *Network) sameAs(o Options) error {
	const remedy = "use another --home, or destroy this network first"
	if o.Topology != nil {
		wanted, err := load(o, o.Topology, o.settings())
		if err != nil {
			return err
		}
		a, _ := json.Marshal(n.t)
		b, _ := json.Marshal(wanted.t)
		if string(a) != string(b) {
			return fmt.Errorf("%s holds a network of another topology: %s", o.Home, remedy)
		}
	}
	// No offset given means the one that the network has.
	if o.PortOffset != 0 && o.PortOffset != n.kept.PortOffset {
		return fmt.Errorf("%s holds a network with port offset %d: %s", o.Home, n.kept.PortOffset, remedy)
	}
	return nil
}

// Topology returns the network's topology with its ports as they are used.
func (n *Network) Topology() *topology.Topology { return n.t }

// Site returns where the network lives.
func (n *Network) Site() render.Site { return n.site }

// lock keeps two commands from changing the network at once.
func (n *Network) lock() (*lockfile.Lock, error) {
	lock, err := lockfile.TryAcquire(filepath.Join(n.options.Home, "lock"))
	if errors.Is(err, lockfile.ErrHeld) {
		return nil, ErrBusy
	}
	return lock, err
}

// step times an action and reports it.
func (n *Network) step(what string, action func() error) error {
	began := time.Now()
	if err := action(); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	n.options.Report(Step{What: what, Took: time.Since(began)})
	return nil
}

// Down ends every process of the network and its supervisor, and returns the
// names of those that were running. Nothing else is touched.
func (n *Network) Down(ctx context.Context) ([]string, error) {
	lock, err := n.lock()
	if err != nil {
		return nil, err
	}
	defer lock.Release()
	return n.client.Shutdown(ctx)
}

// Destroy takes the network down and removes its home with all ledgers, keys
// and content.
func (n *Network) Destroy(ctx context.Context) error {
	if _, err := n.Down(ctx); err != nil {
		return err
	}
	if err := os.RemoveAll(n.options.Home); err != nil {
		return fmt.Errorf("remove %s: %w", n.options.Home, err)
	}
	return nil
}

// Start starts a process that was stopped.
func (n *Network) Start(ctx context.Context, process string) error {
	return n.client.Start(ctx, process)
}

// Stop ends a process until it is started again, or the network is.
func (n *Network) Stop(ctx context.Context, process string) error {
	return n.client.Stop(ctx, process)
}

// LogFile is where the output of a process goes.
func (n *Network) LogFile(process string) (string, error) {
	if process == "supervisor" {
		return runner.In(n.options.Home).LogFile(process), nil
	}
	for _, p := range n.site.Processes(n.t, nil) {
		if p.Name == process {
			return runner.In(n.options.Home).LogFile(process), nil
		}
	}
	return "", fmt.Errorf("%w: %s", runner.ErrUnknown, process)
}

// builder makes the network's programs current.
func (n *Network) builder() daemons.Builder {
	return daemons.Builder{Source: n.options.Source, Bin: n.options.Bin, Report: func(what string) {
		n.options.Report(Step{What: what})
	}}
}

// buildDaemons makes the third-party daemons current or, without a source
// tree, checks that all programs are there.
func (n *Network) buildDaemons(ctx context.Context) error {
	if n.options.Source == "" {
		return n.builder().Check()
	}
	return n.builder().ThirdParty(ctx)
}

// buildServers makes the project's own programs current.
func (n *Network) buildServers(ctx context.Context) error {
	if n.options.Source == "" {
		return nil
	}
	return n.builder().Own(ctx)
}

// Supervise runs the supervisor of a home until ctx ends or it is told to
// shut down.
func Supervise(ctx context.Context, home string, log *slog.Logger) error {
	return runner.Supervise(ctx, runner.In(home), log)
}
