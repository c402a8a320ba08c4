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
// commitment allows it: manifests, fragments, shares, receipts and content, and
// the entries of the registry.
//
// # What the registry says
//
// Who has which key decides who can read, and a gateway that could put a key of
// its own in its place could read with it. Organisations and their keys,
// professionals, patients with their scopes, and records are therefore asked
// for with a proof (package attest), and believed only when peers of at least
// two organisations other than the gateway's own have endorsed the answer to
// this very question. A gateway needs two accomplices to lie about them. An
// answer that is not proven is a corrupt error, and nothing is signed, sealed or
// uploaded on the strength of it.
//
// The peers are known by the certificate authorities that the registrar put into
// the invitation and that the profile keeps from the join on. Whoever gives the
// invitation is trusted for them, once; an organisation that changes its
// authority, or joins later, does not count until the person is invited anew.
//
// What is not proven, and stays the gateway's word:
//
//   - that something is absent or refused: a peer endorses no error, so a gateway
//     can always withhold;
//   - that an answer is the newest: the proposal's time may be five minutes off
//     this device's clock either way, and the asking gateway may have dated it up
//     to fifteen minutes off the clocks of the peers (the time window of peers), so
//     an entry that was replaced can be shown for twenty minutes, and the
//     organisations as long as a Client lives, which asks for them once;
//   - policy: replicas, and the threshold, which is refused below what the ledger allows;
//   - lists: searches, requests, grants, relationships and the audit trail. Who
//     a request is from is among them: the keys of whoever it names are proven,
//     not that they asked;
//   - receipts and outcomes of transactions.
//
// Of an opened record the manifest is the one whose digest the proven record
// holds. Author, author's key and scope key are those that its capsule was made
// for; the author's role and organisation beside it are the gateway's word.
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
