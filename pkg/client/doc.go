// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

// Package client is the person's side of Emrys: a Go client of the gateway, and
// the part of the protocol that runs on a person's own device. It encrypts at
// upload, makes key fragments when a patient gives access, and verifies and
// opens what proxies answer.
//
// No private key and no plaintext leaves it. The gateway receives ciphertext,
// actions that this package signed, and questions under a short-lived token.
// What the gateway answers is verified where a signature, a proof or a
// commitment allows it: manifests, fragments, shares, receipts and content.
// What it says of the registry (who has which key, which digest a record has)
// is believed only with the endorsements of two other organisations, see package
// attest. What remains its word: that something is absent, what lists and
// searches leave out, and the threshold above the ledger's minimum.
//
// # Outcomes
//
// An action may be committed although no answer arrives. The client then asks
// the ledger by the digest of the action, submits the very same signed action
// once more if it is not there (it can be spent only once), and reports
// emr.CodeUnknownOutcome with the transaction id only when all that gave no
// answer.
//
// A Client is safe for concurrent use. Errors are emr.Error values; those that
// came from a gateway carry its request id, see [RequestID].
package client
