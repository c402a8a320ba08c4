// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

const root = "../../.."

func TestThePageSaysWhatTheSourceSays(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join(root, "docs", "spec", "ledger.md"))
	require.NoError(t, err)
	tables, err := tablesOf(root)
	require.NoError(t, err)
	rendered, err := fill(string(page), tables)
	require.NoError(t, err)
	require.Equal(t, rendered, string(page), "run: make generate")
}

func TestAPageThatDoesNotFitIsRefused(t *testing.T) {
	t.Parallel()
	tables := []table{{"a", "| x |\n"}}
	for page, want := range map[string]string{
		"":                     "no place",
		"<!-- table: a -->\n":  "no end",
		"<!-- table: b -->\nx": "no place",
		"<!-- table: a -->\n<!-- end -->\n<!-- table: b -->\n<!-- end -->\n": "places for 2",
	} {
		_, err := fill(page, tables)
		require.ErrorContains(t, err, want)
	}
	got, err := fill("<!-- table: a -->\nold\n<!-- end -->\nrest\n", tables)
	require.NoError(t, err)
	require.Equal(t, "<!-- table: a -->\n| x |\n<!-- end -->\nrest\n", got)
}

func TestAFunctionThatIsNotExplainedIsRefused(t *testing.T) {
	t.Parallel()
	_, err := functions(&source{constants: []constant{{name: "A", value: "A"}}}, []string{"A"})
	require.ErrorContains(t, err, "A is not explained")
	_, err = read("testdata-that-is-not-there")
	require.NoError(t, err)
	_, err = tablesOf("testdata-that-is-not-there")
	require.Error(t, err)
}

func TestThePageIsRewrittenInPlace(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join(root, "docs", "spec", "ledger.md"))
	require.NoError(t, err)
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "docs", "spec"), 0o755))
	for _, pkg := range []string{"ledgerapi", "emr"} {
		require.NoError(t, os.CopyFS(filepath.Join(dir, "pkg", pkg), os.DirFS(filepath.Join(root, "pkg", pkg))))
	}
	copied := filepath.Join(dir, "docs", "spec", "ledger.md")
	require.NoError(t, os.WriteFile(copied, page, 0o644))
	require.NoError(t, rewrite(copied))
	again, err := os.ReadFile(copied)
	require.NoError(t, err)
	require.Equal(t, string(page), string(again))
	require.Error(t, rewrite(filepath.Join(dir, "absent.md")))
}
