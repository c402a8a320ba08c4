// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

// Package api is the wire of the gateway: one table of operations, from which
// the REST door (and every later door and specification) follows, and the
// bodies that those operations take and give. It holds no handler and imports
// no HTTP server.
//
// What a person does to the ledger is a signed action (emr.SignedAction): the
// gateway relays it and cannot change it. What a person asks is an ordinary
// request under a bearer token (see [TokenResponse]).
package api
