// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package main_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// maxGzip is what the program may weigh on its way to a browser, in bytes of gzip -9.
const maxGzip = 2_500_000

// run runs a command of a tool chain and returns what it wrote.
func run(t testing.TB, limit time.Duration, env []string, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s %v\n%s", name, args, out)
	return string(out)
}

// bundle builds what a page serves, with the test scripts beside it, and returns the directory.
func bundle(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	run(t, 5*time.Minute, nil, "./build.sh", dir)
	scripts, err := filepath.Glob("js/test/*")
	require.NoError(t, err)
	require.NoError(t, os.Mkdir(filepath.Join(dir, "test"), 0o700))
	for _, s := range scripts {
		b, err := os.ReadFile(s)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, "test", filepath.Base(s)), b, 0o600))
	}
	return dir
}

func TestProgramIsSmallEnoughForABrowser(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("builds the program")
	}
	program, err := os.ReadFile(filepath.Join(bundle(t), "emrys.wasm"))
	require.NoError(t, err)
	var packed bytes.Buffer
	w, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	require.NoError(t, err)
	_, err = w.Write(program)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	t.Logf("emrys.wasm: %d bytes, %d bytes of gzip -9", len(program), packed.Len())
	require.LessOrEqual(t, packed.Len(), maxGzip)
}

func TestPackagesOfTheDeviceCompileForTheBrowser(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("builds packages")
	}
	packages := []string{"pre", "seal", "emr", "ledgerapi", "manifest"}
	if _, err := os.Stat("../../pkg/pre/recovery"); err == nil {
		packages = append(packages, "pre/recovery")
	}
	for _, p := range packages {
		run(t, 5*time.Minute, []string{"GOOS=js", "GOARCH=wasm"}, "go", "build", "-o", os.DevNull, "../../pkg/"+p)
	}
}
