// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

// Package daemons builds the programs that a network runs: third-party
// daemons from Go modules of their own, so that their dependencies never meet
// the project's, and the project's own servers.
package daemons

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/emrys-health/emrys/network/lockfile"
	"github.com/emrys-health/emrys/pkg/atomicfile"
)

// modulePath marks the root of the source tree.
const modulePath = "module github.com/emrys-health/emrys\n"

// module is a folder below network/daemons with its go.mod.
type module struct {
	dir      string
	programs []string
	ldflags  string
}

func modules() []module {
	const fabricMetadata = "github.com/hyperledger/fabric/common/metadata"
	return []module{
		{
			"fabric", []string{"configtxgen", "configtxlator", "discover", "ledgerutil", "orderer", "osnadmin", "peer"},
			"-s -w -X " + fabricMetadata + ".Version=v3.1.1 -X " + fabricMetadata + ".CommitSHA=435a7f1a780a",
		},
		{"fabricca", []string{"fabric-ca-server"}, "-s -w"},
		{"kubo", []string{"ipfs"}, "-s -w"},
	}
}

// ownPrograms are the project's own servers, by name and package.
func ownPrograms() map[string]string {
	return map[string]string{
		"emrys-chaincode": "./cmd/emrys-chaincode",
		"emrys-gateway":   "./cmd/emrys-gateway",
		"ccaasbuilder":    "./network/ccaasbuilder",
	}
}

// ErrNoSource means that the source tree was not found.
var ErrNoSource = errors.New("the emrys source tree was not found: run inside it, or set EMRYS_SOURCE")

// FindSource returns the root of the source tree that holds dir.
func FindSource(dir string) (string, error) {
	for {
		raw, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && strings.HasPrefix(string(raw), modulePath) {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", ErrNoSource
		}
		dir = parent
	}
}

// Builder builds into one folder.
type Builder struct {
	Source string            // root of the source tree
	Bin    string            // where programs go
	Report func(what string) // told before something slow begins
}

// Build makes every program that is missing or older than what it is built
// from: [Builder.ThirdParty], then [Builder.Own].
func (b Builder) Build(ctx context.Context) error {
	if err := b.ThirdParty(ctx); err != nil {
		return err
	}
	return b.Own(ctx)
}

// ThirdParty makes the third-party daemons, again when their go.mod or go.sum
// changed.
func (b Builder) ThirdParty(ctx context.Context) error {
	if err := os.MkdirAll(b.Bin, 0o755); err != nil {
		return fmt.Errorf("make folder for programs: %w", err)
	}
	lock, err := b.lock(ctx)
	if err != nil {
		return err
	}
	defer lock.Release()
	for _, m := range modules() {
		if err := b.module(ctx, m); err != nil {
			return err
		}
	}
	// A peer looks for its external builder when it starts.
	return b.linkBuilder()
}

// lock keeps two builds apart: the networks of one machine share programs.
func (b Builder) lock(ctx context.Context) (*lockfile.Lock, error) {
	lock, err := lockfile.Acquire(ctx, filepath.Join(b.Bin, ".lock"))
	if err != nil {
		return nil, fmt.Errorf("wait for another build: %w", err)
	}
	return lock, nil
}

// Own makes the project's programs, which follow Go's build cache. It builds
// them beside their place and puts those that changed into it: the go tool
// writes a program even when nothing changed, and a program that was written
// anew is restarted.
func (b Builder) Own(ctx context.Context) error {
	lock, err := b.lock(ctx)
	if err != nil {
		return err
	}
	defer lock.Release()
	next := filepath.Join(b.Bin, ".next")
	args := []string{"build", "-trimpath", "-ldflags", "-s -w", "-o", next + string(filepath.Separator)}
	for _, pkg := range ownPrograms() {
		args = append(args, pkg)
	}
	if err := b.goCommand(ctx, b.Source, args...); err != nil {
		return fmt.Errorf("build the project's servers: %w", err)
	}
	for name := range ownPrograms() {
		program, err := os.ReadFile(filepath.Join(next, name))
		if err != nil {
			return fmt.Errorf("read built program: %w", err)
		}
		if _, err := atomicfile.Update(filepath.Join(b.Bin, name), program, 0o755); err != nil {
			return err
		}
	}
	return b.linkBuilder()
}

// Check reports the first program that is missing.
func (b Builder) Check() error {
	programs := []string{"emrys-chaincode", "emrys-gateway"}
	for _, m := range modules() {
		programs = append(programs, m.programs...)
	}
	for _, p := range programs {
		if !atomicfile.Exists(filepath.Join(b.Bin, p)) {
			return fmt.Errorf("%s is missing from %s", p, b.Bin)
		}
	}
	return b.linkBuilder()
}

func (b Builder) module(ctx context.Context, m module) error {
	dir := filepath.Join(b.Source, "network", "daemons", m.dir)
	stamp, err := stampOf(dir, m)
	if err != nil {
		return err
	}
	stampFile := filepath.Join(b.Bin, "."+m.dir+".stamp")
	present, _ := os.ReadFile(stampFile)
	if bytes.Equal(present, stamp) && b.has(m.programs) {
		return nil
	}
	b.Report("building " + strings.Join(m.programs, ", "))
	err = b.goCommand(ctx, dir, "build", "-trimpath", "-ldflags", m.ldflags, "-o", b.Bin+string(filepath.Separator), "tool")
	if err != nil {
		return fmt.Errorf("build daemons of %s: %w", m.dir, err)
	}
	return atomicfile.Write(stampFile, stamp, 0o644)
}

func (b Builder) has(programs []string) bool {
	for _, p := range programs {
		if !atomicfile.Exists(filepath.Join(b.Bin, p)) {
			return false
		}
	}
	return true
}

// stampOf sums up what a module's programs are built from.
func stampOf(dir string, m module) ([]byte, error) {
	digest := sha256.New()
	for _, name := range []string{"go.mod", "go.sum"} {
		raw, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return nil, fmt.Errorf("read %s of daemon module %s: %w", name, m.dir, err)
		}
		fmt.Fprintf(digest, "%s %d\n", name, len(raw))
		digest.Write(raw)
	}
	fmt.Fprintf(digest, "%s\n", m.ldflags)
	return []byte(hex.EncodeToString(digest.Sum(nil)) + "\n"), nil
}

// goCommand runs the go tool; what it printed becomes part of the error.
func (b Builder) goCommand(ctx context.Context, dir string, args ...string) error {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	// Each daemon module stands alone, whatever workspace surrounds it.
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=readonly")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("go %s: %w\n%s", args[0], err, bytes.TrimSpace(out))
	}
	return nil
}

// linkBuilder lays the external builder out as a peer expects it: one
// program, under the name of each of its parts.
func (b Builder) linkBuilder() error {
	dir := filepath.Join(b.Bin, "ccaas", "bin")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make builder folder: %w", err)
	}
	for _, part := range []string{"detect", "build", "release"} {
		link := filepath.Join(dir, part)
		if target, err := os.Readlink(link); err == nil && target == "../../ccaasbuilder" {
			continue
		}
		_ = os.Remove(link)
		if err := os.Symlink("../../ccaasbuilder", link); err != nil {
			return fmt.Errorf("link external builder: %w", err)
		}
	}
	return nil
}
