// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

// Package attest proves the answer of a query to somebody who trusts no single
// gateway. A gateway has the query endorsed by peers of several organisations
// and does not submit it; what it hands over is an [Attestation]. The client
// verifies it against certificate authorities that it pinned when it joined, so
// that a key from the registry is what a quorum of organisations say it is.
//
// What an attestation proves: peers of at least [Policy].Quorum organisations
// ran the query on their own ledgers and got this answer. How fresh it is rests
// on the proposal's timestamp, which the asking gateway chose and each honest
// peer compared with its own clock (peer.authentication.timewindow, 15 minutes
// as this project configures it). An answer can therefore be older than
// [Policy].MaxAge by that window; [Question].Challenge removes the doubt.
//
// An endorsement by a peer whose certificate is on a revocation list that the client
// has pinned counts for nothing, nor does one by a peer of an authority that is
// ([Roots]). A client knows of the lists of the day on which it pinned them and of no
// later one: who has the key of a peer that was revoked afterwards still speaks for
// its organisation, which is one of the [Policy].Quorum.
//
// What it does not prove: that something is absent. A peer endorses no error, so
// a gateway can always withhold an answer.
//
// The format is Hyperledger Fabric's (v3.1 core/endorser/msgvalidation.go,
// core/handlers/endorsement/builtin, protoutil.GetProposalHash2). Fabric hashes
// and signs plain concatenations of protocol buffers and ignores unknown and
// repeated fields, so that the same bytes could be cut in two ways and read as
// two questions. Every part must therefore be in the one encoding that this
// package accepts: known fields, each once, in order.
//
// The package does no I/O, keeps no state and logs nothing; everything in it may
// be used concurrently.
package attest
