// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"crypto/x509"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// Caller is the identity that signed the proposal, as the peers have checked it
// against the channel's MSPs. What its certificate asserts is the word of MSP and
// of nobody else.
type Caller struct {
	MSP         emr.OrgID
	Certificate *x509.Certificate
}

// Lookup is what every rule may know: the transaction's own facts, and exact keys.
// Reads see what was committed before the transaction, never its own writes.
type Lookup interface {
	// Get returns the value of a public key, or nil when there is none.
	Get(key ledgerapi.Key) ([]byte, error)
	// GetAll is Get of several keys in one step: the values in the order of the keys, nil where there is none.
	GetAll(keys []ledgerapi.Key) ([][]byte, error)
	// Now is the transaction's timestamp, the only clock there is, and Nanos its
	// nanoseconds within the second, which order entries and decide nothing.
	Now() emr.Time
	Nanos() int32
	// TxID, Channel and Contract name the transaction, its channel and this contract.
	TxID() string
	Channel() string
	Contract() string
	// Caller is never nil.
	Caller() *Caller
}

// State is what a submitted transaction works on. It offers no scan: a scan
// would be re-executed at validation and would conflict with every new entry. It
// offers no private value either, so that every peer can endorse.
type State interface {
	Lookup
	// HasPrivate tells by its hash whether a private key exists.
	HasPrivate(key ledgerapi.Key) (bool, error)
	Put(key ledgerapi.Key, value []byte) error
	// Guard makes every later change of a public key, which this transaction writes,
	// need the endorsements that the guard says. Nothing is written where it has that guard.
	Guard(key ledgerapi.Key, guard Guard) error
	PutPrivate(key ledgerapi.Key, value []byte) error
	// PurgePrivate deletes a private value and its history.
	PurgePrivate(key ledgerapi.Key) error
	// Emit sets the transaction's one event.
	Emit(name string, payload []byte) error
}

// Entry is one key and value of a scan.
type Entry struct {
	Key   ledgerapi.Key
	Value []byte
}

// Reader is what a query works on: it scans and sees private values, and cannot write.
type Reader interface {
	Lookup
	// GetPrivate returns a private value of this peer, or nil when there is none.
	GetPrivate(key ledgerapi.Key) ([]byte, error)
	// PrivateHash returns the SHA-256 of a private value as the channel keeps it, whether
	// this peer holds the value or not; nil when there is none or it was purged.
	PrivateHash(key ledgerapi.Key) ([]byte, error)
	// Scan returns at most limit entries whose keys have prefix's type and begin
	// with its attributes, in the order of their keys, beginning with the key from
	// (with the first one when from is nil). from has prefix's type, begins with its
	// attributes and need not exist. next is the key that follows, nil at the end.
	Scan(prefix ledgerapi.Key, from *ledgerapi.Key, limit int) (entries []Entry, next *ledgerapi.Key, err error)
}
