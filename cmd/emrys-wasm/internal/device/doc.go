// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

// Package device is what a patient's or a reader's device does, behind one narrow border: named operations whose arguments
// and results are plain values (text, numbers, bytes, lists, fields). It is the portable core of the WebAssembly build; the
// border to JavaScript itself is in package main.
//
// Secrets do not cross the border. Seeds, private keys and data keys stay on this side behind opaque handles, numbers that
// are never used twice and can be closed; what leaves is public, sealed, or a [PayloadKey], which the border hands to WebCrypto
// as a key that cannot be extracted. What may come in is 32 bytes that wrap a seed at rest (the output of a passkey's PRF).
//
// No operation panics across the border: [Device.Call] turns everything that goes wrong into a [Error] with a code.
package device
