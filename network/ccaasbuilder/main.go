// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

// Command ccaasbuilder is Fabric's external builder for chaincode that runs
// as a service. One program plays three parts by the name it is called under:
//
//	detect SOURCE METADATA         is this package ours?
//	build SOURCE METADATA OUTPUT   keep the connection file
//	release OUTPUT RELEASE         show the peer where to dial
//
// There is no "run": a peer that finds chaincode/server/connection.json in
// the release directory dials instead (Fabric docs, cc_launcher).
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

const connectionFile = "connection.json"

func main() {
	if err := run(filepath.Base(os.Args[0]), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "ccaas builder:", err)
		os.Exit(1)
	}
}

func run(part string, args []string) error {
	switch {
	case part == "detect" && len(args) == 2:
		return detect(args[1])
	case part == "build" && len(args) == 3:
		return build(args[0], args[2])
	case part == "release" && len(args) == 2:
		return release(args[0], args[1])
	default:
		return fmt.Errorf("called as %q with %d arguments", part, len(args))
	}
}

func detect(metadataDir string) error {
	raw, err := os.ReadFile(filepath.Join(metadataDir, "metadata.json"))
	if err != nil {
		return err
	}
	var metadata struct {
		Type string `json:"type"`
	}
	if err := json.Unmarshal(raw, &metadata); err != nil {
		return fmt.Errorf("read metadata.json: %w", err)
	}
	if metadata.Type != "ccaas" {
		return fmt.Errorf("the package's type is %q, not ccaas", metadata.Type)
	}
	return nil
}

func build(source, output string) error {
	return copyFile(filepath.Join(source, connectionFile), filepath.Join(output, connectionFile))
}

func release(output, releaseDir string) error {
	server := filepath.Join(releaseDir, "chaincode", "server")
	if err := os.MkdirAll(server, 0o700); err != nil {
		return err
	}
	return copyFile(filepath.Join(output, connectionFile), filepath.Join(server, connectionFile))
}

// copyFile copies a connection file, which holds a client key, for its owner only.
func copyFile(from, to string) error {
	raw, err := os.ReadFile(from)
	if errors.Is(err, fs.ErrNotExist) {
		return errors.New("the package holds no " + connectionFile)
	}
	if err != nil {
		return err
	}
	if !json.Valid(raw) {
		return errors.New(connectionFile + " is not JSON")
	}
	return os.WriteFile(to, raw, 0o600)
}
