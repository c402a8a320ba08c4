// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledgermodel

import (
	"encoding/json"
	"time"

	"github.com/emrys-health/emrys/chaincode/ledger"
	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
	"github.com/emrys-health/emrys/pkg/pre"
)

// Driver is a ledger on which sequences run: one in memory, the contract's adapter,
// or a network.
type Driver interface {
	// Channel is the name of the channel.
	Channel() string
	// Now is the time of the next transaction, as near as anybody can tell before, and
	// not after it: nothing that the model makes may be of the ledger's future.
	Now() emr.Time
	// Wait lets time pass. It returns false on a ledger whose time nobody moves.
	Wait(d time.Duration) bool
	// Profiles are the organisations that there are, by what they register as.
	Profiles() map[emr.OrgID]ledgerapi.RegisterOrganisationArgs
	// Issue makes a certificate (PEM) of an organisation's authority for a key.
	Issue(org emr.OrgID, wish ledgertest.Wish, key *pre.PrivateKey) (string, error)
	// Submit submits a transaction and waits until everybody sees what it wrote.
	Submit(call Call) Outcome
	// Ask asks a query as an organisation's gateway.
	Ask(via emr.OrgID, function string, q, answer any) error
	// Digest is a number that changes with the state, and whether the driver can tell.
	Digest() (uint64, bool)
}

// As tells as what of an organisation a caller calls.
type As int

// Callers.
const (
	AsGateway As = iota
	AsAdmin
	// AsForgedAdmin is an administrator's certificate by another organisation's
	// authority under the caller's MSP. Only a ledger in memory lets one that far.
	AsForgedAdmin
)

// Call is one transaction as it is sent.
type Call struct {
	Function string
	Org      emr.OrgID
	As       As
	// Field and Transient are the transient field; Argument is that of an order.
	Field     string
	Transient []byte
	Argument  []byte
}

// Outcome is what became of a call.
type Outcome struct {
	Err    error
	Answer json.RawMessage
	// Seen tells that Written, Home, Event and Purged are known.
	Seen    bool
	Written []ledger.Entry
	// Home returns the hospital whose endorsement a change of a key needs from now on, if it needs one's.
	Home   func(ledgerapi.Key) (emr.OrgID, bool)
	Event  string
	Purged int
}

// answer reads what the model compares of any receipt.
type answer = ledgerapi.DecisionReceipt
