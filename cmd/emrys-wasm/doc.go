// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

//go:build js && wasm

// Command emrys-wasm is a patient's and a reader's device compiled to WebAssembly. It is started by js/emrys.js, which passes the
// name of a one-time global function as the only argument; the program calls it once with its own entry point and leaves no
// other trace on the global object.
//
// The entry point is call(operation, arguments), which returns a Promise. The operations are those of internal/device.
package main
