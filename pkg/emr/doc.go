// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

// Package emr is the vocabulary of Emrys: identifiers, classes, levels,
// purposes, the documents that stand on the ledger, the signed actions that
// change them, and the one list of errors that every door translates.
//
// It imports the standard library only and nothing of this module, performs no
// I/O, reads no clock and draws no randomness by itself. Every document has one
// canonical encoding (see [Canonical]), so that its bytes can be hashed, signed
// and compared. Values of this package are plain data: they are safe for
// concurrent reading and must not be changed while another goroutine reads them.
//
// Two identifiers stand for a patient, and the difference matters. A [PatientID]
// is the pseudonym under which the home hospital's certificate authority knows
// the person; it never appears in public ledger state. A [Handle] is what the
// ledger knows: the keys that the patient pinned, and nothing else. Their link
// lives in the hospitals' private data collection, where it can be destroyed.
package emr
