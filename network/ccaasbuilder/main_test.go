// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func write(t *testing.T, file, text string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o700))
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
}

func TestDetectTakesItsOwnTypeOnly(t *testing.T) {
	t.Parallel()
	for text, ours := range map[string]bool{
		`{"type":"ccaas","label":"x"}`: true,
		`{"type":"golang"}`:            false,
		`{"type":"CCAAS"}`:             false,
		`{}`:                           false,
		`not JSON`:                     false,
	} {
		dir := t.TempDir()
		write(t, filepath.Join(dir, "metadata.json"), text)
		require.Equal(t, ours, run("detect", []string{"/source", dir}) == nil, text)
	}
	require.Error(t, run("detect", []string{"/source", t.TempDir()}), "no metadata")
}

func TestBuildAndReleaseBringTheConnectionToThePeer(t *testing.T) {
	t.Parallel()
	source, output, release := t.TempDir(), t.TempDir(), t.TempDir()
	write(t, filepath.Join(source, "connection.json"), `{"address":"127.0.0.1:1"}`)
	require.NoError(t, run("build", []string{source, "/metadata", output}))
	require.NoError(t, run("release", []string{output, release}))
	file := filepath.Join(release, "chaincode", "server", "connection.json")
	raw, err := os.ReadFile(file)
	require.NoError(t, err)
	require.JSONEq(t, `{"address":"127.0.0.1:1"}`, string(raw))
	info, err := os.Stat(file)
	require.NoError(t, err)
	require.EqualValues(t, 0o600, info.Mode().Perm(), "it holds a client key")
}

func TestBuildRefusesAPackageWithoutAConnection(t *testing.T) {
	t.Parallel()
	require.ErrorContains(t, run("build", []string{t.TempDir(), "/metadata", t.TempDir()}), "connection.json")
	source := t.TempDir()
	write(t, filepath.Join(source, "connection.json"), "{")
	require.ErrorContains(t, run("build", []string{source, "/metadata", t.TempDir()}), "not JSON")
}

func TestOtherNamesAndCountsAreRefused(t *testing.T) {
	t.Parallel()
	for part, args := range map[string][]string{
		"run": {"a", "b"}, "detect": {"a"}, "build": {"a", "b"}, "release": {"a", "b", "c"}, "": nil,
	} {
		require.ErrorContains(t, run(part, args), "called as", part)
	}
}
