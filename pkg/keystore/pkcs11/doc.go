// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

// Package pkcs11 keeps a person's signing and reading keys in a PKCS#11 token: a smart card or an HSM, whose keys cannot be copied
// (docs/spec/keys.md K8). It is built with the tag pkcs11, because it loads the token's library through cgo:
//
//	go build -tags pkcs11 ./...
//
// The seed and what follows from it, scope keys and the hybrid key, cannot be used inside of a token: none knows ML-KEM with P-256,
// or the arithmetic of key fragments. They rest in a file that a key of the token encrypts, and are in this process's memory while in use.
package pkcs11
