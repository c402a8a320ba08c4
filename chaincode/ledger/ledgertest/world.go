// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

// Package ledgertest is a ledger in memory for tests: a world of committed state,
// transactions that read it and write beside it, and commits that conflict as
// Fabric's do. It also holds a consortium of test organisations and people with
// real keys and certificates, and a suite that any other implementation of the
// ledger's interfaces must pass.
package ledgertest

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/emrys-health/emrys/chaincode/ledger"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// ErrConflict says that something a transaction has read changed before its commit.
var ErrConflict = errors.New("ledgertest: conflict with an earlier commit")

// World is the committed state of one channel and contract. It is not safe for
// concurrent use.
type World struct {
	channel string
	public  map[string]value
	guards  map[string]ledger.Guard
	private map[string]value
	// Events lists what committed transactions emitted, in order.
	Events []Event
	height int
}

type value struct {
	data   []byte
	height int      // of the commit that wrote it
	hash   [32]byte // of a private value, as the channel keeps it
}

// Event is one emitted event.
type Event struct {
	Name    string
	Payload []byte
}

// NewWorld returns an empty ledger of the channel.
func NewWorld(channel string) *World {
	return &World{channel: channel, public: map[string]value{}, guards: map[string]ledger.Guard{}, private: map[string]value{}}
}

// Clone returns an independent copy.
func (w *World) Clone() *World {
	clone := NewWorld(w.channel)
	clone.height, clone.Events = w.height, slices.Clone(w.Events)
	for name, v := range w.public {
		clone.public[name] = v
	}
	for name, v := range w.private {
		clone.private[name] = v
	}
	for name, g := range w.guards {
		clone.guards[name] = g
	}
	return clone
}

// Dump returns every public key and value as one text, sorted by key.
func (w *World) Dump() string {
	var b strings.Builder
	for _, name := range sortedNames(w.public) {
		fmt.Fprintf(&b, "%q = %s\n", name, w.public[name].data)
	}
	return b.String()
}

// Private returns a private value, nil when there is none.
func (w *World) Private(key ledgerapi.Key) []byte { return w.private[mustName(key)].data }

// DropPrivate forgets a private value as a peer does that has not received it. The
// channel still knows its hash.
func (w *World) DropPrivate(key ledgerapi.Key) { w.OverwritePrivate(key, nil) }

// OverwritePrivate replaces a private value outside of any transaction, to test
// damage. The channel keeps the hash of what was there.
func (w *World) OverwritePrivate(key ledgerapi.Key, data []byte) {
	v := w.private[mustName(key)]
	v.data = data
	w.private[mustName(key)] = v
}

// Overwrite replaces a public value outside of any transaction, to test damage.
func (w *World) Overwrite(key ledgerapi.Key, data []byte) {
	w.height++
	w.public[mustName(key)] = value{data: data, height: w.height}
}

func sortedNames(values map[string]value) []string {
	names := make([]string, 0, len(values))
	for name := range values {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// separator ends every part of a composite key, as in Fabric.
const separator = "\x00"

func nameOf(key ledgerapi.Key) (string, error) {
	parts := append([]string{key.Type}, key.Attributes...)
	for _, part := range parts {
		if !utf8.ValidString(part) || strings.ContainsAny(part, "\x00\U0010FFFF") {
			return "", fmt.Errorf("ledgertest: part %q cannot stand in a key", part)
		}
	}
	return separator + strings.Join(parts, separator) + separator, nil
}

func mustName(key ledgerapi.Key) string {
	name, err := nameOf(key)
	if err != nil {
		panic(err)
	}
	return name
}

func keyOf(name string) ledgerapi.Key {
	parts := strings.Split(strings.Trim(name, separator), separator)
	return ledgerapi.Key{Type: parts[0], Attributes: parts[1:]}
}

// Tx is a submitted transaction. What it writes is not to be seen before Commit.
type Tx struct {
	lookup
	writes  map[string][]byte
	guards  map[string]ledger.Guard
	private map[string][]byte
	purged  map[string]bool
	event   *Event
}

var _ ledger.State = (*Tx)(nil)

// Begin starts a transaction.
func (w *World) Begin(facts Facts) *Tx {
	return &Tx{
		lookup: lookup{world: w, facts: facts, reads: map[string]int{}},
		writes: map[string][]byte{}, guards: map[string]ledger.Guard{}, private: map[string][]byte{}, purged: map[string]bool{},
	}
}

// With makes the store fail as hooks tell, and returns the transaction.
func (t *Tx) With(hooks Hooks) *Tx {
	t.hooks = hooks
	return t
}

// HasPrivate implements ledger.State.
func (t *Tx) HasPrivate(key ledgerapi.Key) (bool, error) {
	if err := t.hooks.check("hasPrivate"); err != nil {
		return false, err
	}
	name, err := nameOf(key)
	if err != nil {
		return false, err
	}
	v, found := t.world.private[name]
	t.reads[hashed(name)] = v.height
	return found, nil
}

// hashed is how a private key appears in a read set: by its hash alone.
func hashed(name string) string { return fmt.Sprintf("private:%x", sha256.Sum256([]byte(name))) }

// Put implements ledger.State.
func (t *Tx) Put(key ledgerapi.Key, data []byte) error { return t.write("put", t.writes, key, data) }

// Guard implements ledger.State. Like a peer, it reads the key.
func (t *Tx) Guard(key ledgerapi.Key, guard ledger.Guard) error {
	if err := t.hooks.check("guard"); err != nil {
		return err
	}
	name, err := nameOf(key)
	if err != nil {
		return err
	}
	if t.writes[name] == nil {
		return errors.New("ledgertest: a guard on a key that the transaction does not write")
	}
	t.reads[name] = t.world.public[name].height
	if present, guarded := t.world.guards[name]; !guarded || !reflect.DeepEqual(present, guard) {
		t.guards[name] = guard
	}
	return nil
}

// GuardOf returns the guard of a public key, and whether it has one.
func (w *World) GuardOf(key ledgerapi.Key) (ledger.Guard, bool) {
	guard, guarded := w.guards[mustName(key)]
	return guard, guarded
}

// Guarded returns the types of the public keys that have a guard, sorted, each once.
func (w *World) Guarded() []string {
	var types []string
	for name := range w.guards {
		types = append(types, keyOf(name).Type)
	}
	slices.Sort(types)
	return slices.Compact(types)
}

// PutPrivate implements ledger.State.
func (t *Tx) PutPrivate(key ledgerapi.Key, data []byte) error {
	return t.write("putPrivate", t.private, key, data)
}

func (t *Tx) write(operation string, to map[string][]byte, key ledgerapi.Key, data []byte) error {
	if err := t.hooks.check(operation); err != nil {
		return err
	}
	name, err := nameOf(key)
	if err != nil {
		return err
	}
	if len(data) == 0 {
		return errors.New("ledgertest: a value must not be empty")
	}
	to[name] = bytes.Clone(data)
	return nil
}

// PurgePrivate implements ledger.State.
func (t *Tx) PurgePrivate(key ledgerapi.Key) error {
	if err := t.hooks.check("purge"); err != nil {
		return err
	}
	name, err := nameOf(key)
	t.purged[name] = true
	return err
}

// Emit implements ledger.State. A transaction has one event at most.
func (t *Tx) Emit(name string, payload []byte) error {
	if err := t.hooks.check("emit"); err != nil {
		return err
	}
	if t.event != nil {
		return errors.New("ledgertest: second event in one transaction")
	}
	t.event = &Event{name, bytes.Clone(payload)}
	return nil
}

// Commit makes the writes visible. It fails with ErrConflict, and changes
// nothing, when something that was read has been written since.
func (t *Tx) Commit() error {
	for name, version := range t.reads {
		current := t.world.public[name].height
		if strings.HasPrefix(name, "private:") {
			current = t.world.privateVersion(name)
		}
		if current != version {
			return fmt.Errorf("%w: %q", ErrConflict, name)
		}
	}
	t.world.height++
	for name, data := range t.writes {
		t.world.public[name] = value{data: data, height: t.world.height}
	}
	for name, guard := range t.guards {
		t.world.guards[name] = guard
	}
	for name, data := range t.private {
		t.world.private[name] = value{data: data, height: t.world.height, hash: sha256.Sum256(data)}
	}
	for name := range t.purged {
		delete(t.world.private, name)
	}
	if t.event != nil {
		t.world.Events = append(t.world.Events, *t.event)
	}
	return nil
}

func (w *World) privateVersion(hash string) int {
	for name, v := range w.private {
		if hashed(name) == hash {
			return v.height
		}
	}
	return 0
}

// Effects is everything that a transaction would have a peer endorse, in a fixed
// order: two runs of one transaction must give equal effects.
type Effects struct {
	Reads, Writes, Guards, Private, Purged []string
	Event                                  *Event
}

// Effects returns the transaction's read and write sets and its event.
func (t *Tx) Effects() Effects {
	e := Effects{Event: t.event}
	for name, version := range t.reads {
		e.Reads = append(e.Reads, fmt.Sprintf("%q@%d", name, version))
	}
	for name, data := range t.writes {
		e.Writes = append(e.Writes, fmt.Sprintf("%q=%s", name, data))
	}
	for name, guard := range t.guards {
		e.Guards = append(e.Guards, fmt.Sprintf("%q=%v", name, guard))
	}
	for name, data := range t.private {
		e.Private = append(e.Private, fmt.Sprintf("%q=%s", name, data))
	}
	for name := range t.purged {
		e.Purged = append(e.Purged, name)
	}
	for _, list := range [][]string{e.Reads, e.Writes, e.Guards, e.Private, e.Purged} {
		slices.Sort(list)
	}
	return e
}

// Again returns a transaction with the same facts on a copy of the state that
// this one saw. It must be called before anything is committed.
func (t *Tx) Again() *Tx { return t.world.Clone().Begin(t.facts) }
