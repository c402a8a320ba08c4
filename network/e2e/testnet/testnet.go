// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

// Package testnet gives tests a real consortium of their own: real peers,
// orderers, IPFS daemons and gateways, under a home and on ports of its own, and
// people who have joined it. It drives the same programs that people use.
package testnet

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/emrys-health/emrys/network"
	"github.com/emrys-health/emrys/network/topology"
	"github.com/emrys-health/emrys/pkg/client"
	"github.com/emrys-health/emrys/pkg/emr"
)

// Net is a running consortium. Its methods are safe for concurrent use.
type Net struct {
	// Home is its folder, Root the source tree's.
	Home, Root string
	// Network is the consortium as the network package sees it.
	Network *network.Network
	// Topology has the ports that are in use.
	Topology *topology.Topology
}

// Root returns the source tree that holds the working folder.
func Root() (string, error) {
	out, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("find the source tree: %w", err)
	}
	return filepath.Dir(strings.TrimSpace(string(out))), nil
}

// Up starts a consortium under home with every port shifted by offset, or
// resumes it. The programs are built when they are not current.
func Up(ctx context.Context, home string, offset int) (*Net, error) {
	return UpAs(ctx, home, offset, "")
}

// UpAs is Up of the consortium that a topology file describes.
func UpAs(ctx context.Context, home string, offset int, topologyFile string) (*Net, error) {
	root, err := Root()
	if err != nil {
		return nil, err
	}
	if err := build(ctx, root); err != nil {
		return nil, err
	}
	n := &Net{Home: home, Root: root}
	args := []string{"up", "--port-offset", strconv.Itoa(offset)}
	if topologyFile != "" {
		args = append(args, "--topology", topologyFile)
	}
	if _, err := n.Control(ctx, args...); err != nil {
		return nil, err
	}
	return n, n.open()
}

// Attach returns the consortium that is up under home.
func Attach(home string) (*Net, error) {
	root, err := Root()
	if err != nil {
		return nil, err
	}
	n := &Net{Home: home, Root: root}
	return n, n.open()
}

func (n *Net) open() error {
	opened, err := network.Open(network.Options{Home: n.Home, Bin: filepath.Join(n.Root, ".cache", "bin")})
	if err != nil {
		return fmt.Errorf("open the network: %w", err)
	}
	n.Network, n.Topology = opened, opened.Topology()
	return nil
}

func build(ctx context.Context, root string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", filepath.Join(root, "bin")+"/", "./cmd/...")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build the programs: %w\n%s", err, out)
	}
	return nil
}

// Program is the path of one of our programs.
func (n *Net) Program(name string) string { return filepath.Join(n.Root, "bin", name) }

// Control runs emrysctl on this network and returns its standard output.
func (n *Net) Control(ctx context.Context, args ...string) ([]byte, error) {
	return n.run(ctx, "emrysctl", append(args, "--home", n.Home))
}

func (n *Net) run(ctx context.Context, program string, args []string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, n.Program(program), args...)
	cmd.Dir = n.Root
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	if err := cmd.Run(); err != nil {
		return out.Bytes(), fmt.Errorf("%s %s: %w\n%s", program, strings.Join(args, " "), err, problems.Bytes())
	}
	return out.Bytes(), nil
}

// Down stops everything and, with destroy, removes the home.
func (n *Net) Down(ctx context.Context, destroy bool) error {
	args := []string{"down"}
	if destroy {
		args = []string{"destroy", "--yes"}
	}
	_, err := n.Control(ctx, args...)
	return err
}

// Invite has an organisation's registrar invite somebody and returns the file.
func (n *Net) Invite(ctx context.Context, dir, org string, role emr.Role, level emr.Level) (string, error) {
	file, err := os.CreateTemp(dir, "invitation-*.json")
	if err != nil {
		return "", fmt.Errorf("make invitation: %w", err)
	}
	_ = file.Close()
	if err := os.Remove(file.Name()); err != nil {
		return "", fmt.Errorf("make invitation: %w", err)
	}
	args := []string{"invite", "--org", org, "--role", string(role), "-o", file.Name()}
	if level != "" {
		args = append(args, "--level", string(level))
	}
	_, err = n.Control(ctx, args...)
	return file.Name(), err
}

// Join invites somebody and has them join, with keys in dir.
func (n *Net) Join(ctx context.Context, dir, org string, role emr.Role, level emr.Level) (*client.Client, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make profile: %w", err)
	}
	file, err := n.Invite(ctx, filepath.Dir(dir), org, role, level)
	if err != nil {
		return nil, err
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read invitation: %w", err)
	}
	invitation, err := client.ParseInvitation(raw)
	if err != nil {
		return nil, err
	}
	return client.Join(ctx, dir, invitation, nil, client.Options{}, nil)
}

// Process is one line of emrysctl status.
type Process struct {
	Name    string `json:"name"`
	Address string `json:"address"`
	PID     int    `json:"pid"`
	State   string `json:"state"`
	Leader  bool   `json:"leader"` // of the ordering service
}

// Leader returns the name of the orderer that leads.
func (n *Net) Leader(ctx context.Context) (string, error) {
	all, err := n.Status(ctx)
	if err != nil {
		return "", err
	}
	for name, p := range all {
		if p.Leader {
			return name, nil
		}
	}
	return "", fmt.Errorf("no orderer leads")
}

// Status returns every process of the network by name.
func (n *Net) Status(ctx context.Context) (map[string]Process, error) {
	out, err := n.Control(ctx, "status", "--json")
	if err != nil && len(out) == 0 {
		return nil, err
	}
	var status struct {
		Processes []Process `json:"processes"`
	}
	if err := json.Unmarshal(out, &status); err != nil {
		return nil, fmt.Errorf("read status: %w", err)
	}
	all := map[string]Process{}
	for _, p := range status.Processes {
		all[p.Name] = p
	}
	return all, nil
}
