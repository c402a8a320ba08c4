// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

// Command specification writes the tables of docs/spec/ledger.md from the source
// of the wire and of the vocabulary: functions, messages, keys, events, codes,
// reasons, kinds of entry and limits. A test fails when they differ.
//
//	go run ./pkg/ledgerapi/specification docs/spec/ledger.md
package main

import (
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: specification FILE")
		os.Exit(2)
	}
	if err := rewrite(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "specification:", err)
		os.Exit(1)
	}
}

// rewrite renders the tables of a page of docs/spec again.
func rewrite(page string) error {
	text, err := os.ReadFile(page)
	if err != nil {
		return fmt.Errorf("read page: %w", err)
	}
	tables, err := tablesOf(filepath.Join(filepath.Dir(page), "..", ".."))
	if err != nil {
		return err
	}
	rendered, err := fill(string(text), tables)
	if err != nil {
		return err
	}
	if err := os.WriteFile(page, []byte(rendered), 0o644); err != nil { //nolint:gosec // documentation
		return fmt.Errorf("write page: %w", err)
	}
	return nil
}
