// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

// Package ledgerapi is the wire of the contract: names of transactions and
// queries, their arguments and results, the layout of keys, events, and the
// envelope in which errors cross the ledger. Contract, gateway and network
// share it; it holds no rule and no client.
//
// There are two kinds of submitted transaction. A person's transaction takes no
// public argument: the signed action travels in the transient field
// [TransientAction] and its Args hold the request of that function. An
// organisation's transaction takes one JSON argument and is authorised by the
// certificate that submits it. Queries take one JSON argument.
package ledgerapi
