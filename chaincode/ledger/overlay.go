// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"errors"
	"strings"

	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// overlay is a State whose writes are seen by later reads through it and by nobody
// else until they are flushed. A transaction of several parts gives each part an
// overlay: parts see what earlier parts did, and a part that fails leaves nothing.
// It holds public values alone, and swallows events. What is below is asked for a
// key once: it does not change while the transaction runs, and the parts of a batch
// ask for many keys again and again.
type overlay struct {
	State
	at     map[string]int // of a key's last write
	writes []pendingWrite
	read   map[string][]byte
}

type pendingWrite struct {
	key   ledgerapi.Key
	value []byte
}

func newOverlay(under State) *overlay {
	return &overlay{State: under, at: map[string]int{}, read: map[string][]byte{}}
}

// nameOf joins a key's parts with the separator that no part may hold.
func nameOf(key ledgerapi.Key) string {
	return key.Type + "\x00" + strings.Join(key.Attributes, "\x00")
}

// Get implements Lookup.
func (o *overlay) Get(key ledgerapi.Key) ([]byte, error) {
	name := nameOf(key)
	if at, written := o.at[name]; written {
		return o.writes[at].value, nil
	}
	if value, known := o.read[name]; known {
		return value, nil
	}
	value, err := o.State.Get(key)
	if err == nil {
		o.read[name] = value
	}
	return value, err
}

// GetAll implements Lookup.
func (o *overlay) GetAll(keys []ledgerapi.Key) ([][]byte, error) {
	values := make([][]byte, len(keys))
	for i, key := range keys {
		var err error
		if values[i], err = o.Get(key); err != nil {
			return nil, err
		}
	}
	return values, nil
}

// prefetch reads keys that will be asked for, in one step.
func (o *overlay) prefetch(keys []ledgerapi.Key) error {
	var unknown []ledgerapi.Key
	seen := map[string]bool{}
	for _, key := range keys {
		if name := nameOf(key); !seen[name] {
			seen[name] = true
			unknown = append(unknown, key)
		}
	}
	values, err := o.State.GetAll(unknown)
	if err != nil {
		return err
	}
	for i, key := range unknown {
		o.read[nameOf(key)] = values[i]
	}
	return nil
}

// Put implements State.
func (o *overlay) Put(key ledgerapi.Key, value []byte) error {
	o.at[nameOf(key)] = len(o.writes)
	o.writes = append(o.writes, pendingWrite{key, value})
	return nil
}

var errPublicOnly = errors.New("ledger: a part of a transaction touches public values alone")

// Guard implements State; it fails.
func (o *overlay) Guard(ledgerapi.Key, Guard) error { return errPublicOnly }

// HasPrivate implements State; it fails.
func (o *overlay) HasPrivate(ledgerapi.Key) (bool, error) { return false, errPublicOnly }

// PutPrivate implements State; it fails.
func (o *overlay) PutPrivate(ledgerapi.Key, []byte) error { return errPublicOnly }

// PurgePrivate implements State; it fails.
func (o *overlay) PurgePrivate(ledgerapi.Key) error { return errPublicOnly }

// Emit implements State. The transaction as a whole has the one event.
func (o *overlay) Emit(string, []byte) error { return nil }

// flush hands the writes to what is under the overlay, in their order.
func (o *overlay) flush() error {
	for i := range o.writes {
		if err := o.State.Put(o.writes[i].key, o.writes[i].value); err != nil {
			return err
		}
	}
	return nil
}
