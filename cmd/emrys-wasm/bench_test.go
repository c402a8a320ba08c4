// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

//go:build benchwasm

package main_test

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestBench prints medians; it asserts nothing about time. EMRYS_BENCH_JSON asks for JSON.
func TestBench(t *testing.T) {
	wasmExec := runtime.GOROOT() + "/lib/wasm/go_js_wasm_exec" //nolint:staticcheck // the tool chain that runs the test
	protocol := run(t, 9*time.Minute, []string{"GOOS=js", "GOARCH=wasm"}, "go", "test", "-run", "^$", "-count", "5", "-benchtime", "50x",
		"-bench", "^Benchmark(Encapsulate|Decapsulate|Rekey|KeyFragmentVerify|Reencrypt|CapsuleFragmentVerify|Open)$",
		"-exec", wasmExec, "../../pkg/pre")
	file := filepath.Join(t.TempDir(), "protocol.txt")
	require.NoError(t, os.WriteFile(file, []byte(protocol), 0o600))
	args := []string{"js/test/bench.mjs"}
	if os.Getenv("EMRYS_BENCH_JSON") != "" {
		args = append(args, "--json")
	}
	out := run(t, 9*time.Minute, append(environment(t), "EMRYS_PROTOCOL="+file), "node", args...)
	_, err := os.Stdout.WriteString(out)
	require.NoError(t, err)
}
