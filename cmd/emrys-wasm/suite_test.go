// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

//go:build node

package main_test

import (
	"runtime"
	"testing"
	"time"
)

func TestWrapperAndProgramInNode(t *testing.T) {
	t.Parallel()
	t.Log(run(t, 5*time.Minute, environment(t), "node", "--test", "js/test/device.test.mjs", "js/test/payload.test.mjs",
		"js/test/vectors.test.mjs"))
}

func TestTypesOfTheWrapper(t *testing.T) {
	t.Parallel()
	t.Log(run(t, 5*time.Minute, nil, "node", "--test", "js/test/types.check.mjs"))
}

// The unit tests of the protocol run as a browser would run them: vectors, refusals, properties.
func TestProtocolInNode(t *testing.T) {
	t.Parallel()
	wasmExec := runtime.GOROOT() + "/lib/wasm/go_js_wasm_exec" //nolint:staticcheck // the tool chain that runs the test
	// A program in Node starts no other: not the go command, which the tests of imports ask, and not itself to see it panic.
	run(t, 9*time.Minute, []string{"GOOS=js", "GOARCH=wasm"}, "go", "test", "-short", "-skip", "Import|Panic", "-exec", wasmExec,
		"../../pkg/pre", "../../pkg/seal", "../../pkg/emr")
}
