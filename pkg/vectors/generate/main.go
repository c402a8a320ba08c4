// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

// Generate writes the vectors of the specification. It computes them with pkg/vectors/internal/reference from a fixed seed,
// so it writes the same bytes each time; the tests of pkg/vectors then hold them against pkg/pre and pkg/seal. The committed
// files are the promise: run it to add cases, and read the difference.
//
//	go run ./pkg/vectors/generate [directory]
//	go run ./pkg/vectors/generate corpus        seeds for the fuzz targets of pkg/pre, from the same cases
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// subjects are the files, and who fills each.
func subjects() map[string]func(*maker) {
	return map[string]func(*maker){
		"primitives":        primitives,
		"keys":              keys,
		"context":           contexts,
		"capsules":          capsules,
		"fragments":         fragments,
		"capsule-fragments": capsuleFragments,
		"opening":           opening,
		"hybrid":            hybrid,
		"shares":            shares,
		"envelopes":         envelopes,
		"copies":            copies,
		"containers":        containers,
	}
}

func main() {
	dir := filepath.Join("docs", "spec", "vectors")
	generate := writeAll
	if len(os.Args) > 1 && os.Args[1] == "corpus" {
		dir, generate = filepath.Join("pkg", "pre", "testdata", "fuzz"), writeCorpus
	} else if len(os.Args) > 1 {
		dir = os.Args[1]
	}
	if err := generate(dir); err != nil {
		fmt.Fprintln(os.Stderr, "generate vectors:", err)
		os.Exit(1)
	}
}

func writeAll(dir string) error {
	for subject, fill := range subjects() {
		m := newMaker(subject)
		fill(m)
		if err := write(filepath.Join(dir, subject+".json"), m.file); err != nil {
			return err
		}
	}
	return write(filepath.Join(dir, "story.json"), stories())
}

// write encodes a file with one case a line: long enough to differ in small steps, short enough to be read.
func write(path string, v any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil { //nolint:gosec // a public document
		return fmt.Errorf("write: %w", err)
	}
	return nil
}
