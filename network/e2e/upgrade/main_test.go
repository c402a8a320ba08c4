//go:build e2e

// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

// Package upgrade tests what a consortium goes through when its contract changes: a
// private collection gets a member, and a next version of the rules takes over.
package upgrade

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/emrys-health/emrys/network/e2e/testnet"
	"github.com/emrys-health/emrys/network/topology"
)

// portOffset keeps this package's consortium clear of a user's and of other tests'.
const portOffset = 21000

// The consortium of this package's tests, brought up once, and what is its own.
var (
	net  *testnet.Net
	dir  string // the consortium's home, programs and contracts
	bin  string // the folder of its programs
	next string // the contract's next version
	old  string // the contract as it is
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Minute)
	defer cancel()
	err := prepare()
	if err == nil {
		defer os.RemoveAll(dir)
		net, err = testnet.UpAs(ctx, filepath.Join(dir, "home"), portOffset, filepath.Join(dir, "topology.yaml"))
	}
	if net != nil {
		defer func() {
			if err := net.Down(context.Background(), true); err != nil {
				fmt.Fprintln(os.Stderr, err)
			}
		}()
	}
	if err == nil {
		old = filepath.Join(dir, "old")
		err = copyFile(filepath.Join(bin, chaincode), old)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

const chaincode = "emrys-chaincode"

// prepare makes a folder of programs of this consortium alone, since a test replaces
// one of them, the next contract, and a topology whose regulator keeps no private data.
func prepare() error {
	root, err := testnet.Root()
	if err != nil {
		return err
	}
	if dir, err = os.MkdirTemp("", "emrys-upgrade-"); err != nil {
		return err
	}
	bin, next = filepath.Join(dir, "cache", "bin"), filepath.Join(dir, "next")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		return err
	}
	shared, err := filepath.Glob(filepath.Join(root, ".cache", "bin", "*")) // the stamps of what was built are among them
	if err != nil {
		return err
	}
	for _, program := range shared {
		info, err := os.Stat(program)
		if err != nil || info.IsDir() || info.Name() == ".lock" || strings.HasPrefix(info.Name(), "emrys-") {
			continue
		}
		if err := os.Symlink(program, filepath.Join(bin, filepath.Base(program))); err != nil {
			return err
		}
	}
	if err := os.Setenv("EMRYS_CACHE", filepath.Join(dir, "cache")); err != nil {
		return err
	}
	if err := buildNext(root); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "topology.yaml"), description(1, "1.0", "hospa, hospb, hospc"), 0o600)
}

// buildNext builds the contract with another schema of organisations.
func buildNext(root string) error {
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {
		filepath.Join(root, "chaincode", "ledger", "schema.go"): filepath.Join(root, "network", "e2e", "upgrade", "testdata", "schema.go.next"),
	}})
	if err != nil {
		return err
	}
	file := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(file, overlay, 0o600); err != nil {
		return err
	}
	build := exec.Command("go", "build", "-trimpath", "-overlay", file, "-o", next, "./cmd/emrys-chaincode")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build the next contract: %w\n%s", err, out)
	}
	return nil
}

// description is the default topology with a definition of the contract.
func description(sequence int, version, members string) []byte {
	text := string(topology.Default())
	text = strings.Replace(text, "  sequence: 1\n", fmt.Sprintf("  sequence: %d\n", sequence), 1)
	text = strings.Replace(text, "  version: \"1.0\"\n", fmt.Sprintf("  version: %q\n", version), 1)
	return []byte(strings.Replace(text, "      maxPeerCount: 7\n", "      maxPeerCount: 7\n      members: ["+members+"]\n", 1))
}

func copyFile(from, to string) error {
	raw, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	part := to + ".part"
	if err := os.WriteFile(part, raw, 0o755); err != nil {
		return err
	}
	return os.Rename(part, to) // a program that runs keeps its old file
}
