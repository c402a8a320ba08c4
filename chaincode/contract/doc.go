// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

// Package contract puts the rules of package ledger on Hyperledger Fabric: it
// decodes, calls one rule, and encodes. It takes no decision of its own.
//
// [New] returns the chaincode behind a guard that admits an exact list of
// functions with an exact number of arguments, bounds every size, lets no panic
// reach the shim (which would end the process), and makes every error the
// envelope of package ledgerapi.
package contract
