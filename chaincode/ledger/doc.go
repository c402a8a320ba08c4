// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

// Package ledger holds the rules of the contract: who may register, propose,
// record, ask, grant, disclose and take back, and what each of these writes.
//
// Every rule is a pure function over a narrow interface. The package imports no
// Fabric, reads no clock, draws no randomness, starts no goroutine and ranges
// over no map, so that every peer of every hospital computes the same result,
// and so that the same code runs in a peer, in a unit test and in a model.
//
// A transaction of a person is a signed action ([emr.SignedAction]). The gateway
// that submits it is only a carrier: it must belong to a registered organisation,
// and it can neither forge nor alter nor repeat what it carries.
//
// All functions return errors of type *emr.Error for what a caller can be told;
// any other error is a defect or a failing store, and is shown as internal.
package ledger
