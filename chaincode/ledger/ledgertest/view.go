// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledgertest

import (
	"bytes"

	"github.com/emrys-health/emrys/chaincode/ledger"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// Facts are what a transaction or query knows of itself.
type Facts struct {
	Caller *ledger.Caller
	At     emr.Time
	TxID   string
}

// lookup implements ledger.Lookup and keeps what was read.
type lookup struct {
	world *World
	facts Facts
	reads map[string]int // version read, 0 when absent
	hooks Hooks
}

// Hooks let a test make the store fail.
type Hooks struct {
	// Fail is asked before every operation ("get", "put", ...); an error fails it.
	Fail func(operation string) error
}

func (h Hooks) check(operation string) error {
	if h.Fail == nil {
		return nil
	}
	return h.Fail(operation)
}

// Get implements ledger.Lookup.
func (l *lookup) Get(key ledgerapi.Key) ([]byte, error) {
	if err := l.hooks.check("get"); err != nil {
		return nil, err
	}
	name, err := nameOf(key)
	if err != nil {
		return nil, err
	}
	v := l.world.public[name]
	l.reads[name] = v.height
	return bytes.Clone(v.data), nil
}

// GetAll implements ledger.Lookup.
func (l *lookup) GetAll(keys []ledgerapi.Key) ([][]byte, error) {
	values := make([][]byte, len(keys))
	for i, key := range keys {
		var err error
		if values[i], err = l.Get(key); err != nil {
			return nil, err
		}
	}
	return values, nil
}

// Now implements ledger.Lookup.
func (l *lookup) Now() emr.Time { return l.facts.At }

// Nanos implements ledger.Lookup. It counts the blocks, so that what happens in
// one second of a test has an order.
func (l *lookup) Nanos() int32 { return int32(l.world.height) } //nolint:gosec // tests make few blocks

// TxID implements ledger.Lookup.
func (l *lookup) TxID() string { return l.facts.TxID }

// Channel implements ledger.Lookup.
func (l *lookup) Channel() string { return l.world.channel }

// Contract implements ledger.Lookup.
func (l *lookup) Contract() string { return ledgerapi.ContractName }

// Caller implements ledger.Lookup.
func (l *lookup) Caller() *ledger.Caller { return l.facts.Caller }

// View is a query.
type View struct{ lookup }

var _ ledger.Reader = (*View)(nil)

// View starts a query.
func (w *World) View(facts Facts) *View {
	return &View{lookup{world: w, facts: facts, reads: map[string]int{}}}
}

// With makes the store fail as hooks tell, and returns the view.
func (v *View) With(hooks Hooks) *View {
	v.hooks = hooks
	return v
}

// Reads returns how many public keys were read by name.
func (v *View) Reads() int { return len(v.reads) }

// GetPrivate implements ledger.Reader.
func (v *View) GetPrivate(key ledgerapi.Key) ([]byte, error) {
	if err := v.hooks.check("getPrivate"); err != nil {
		return nil, err
	}
	name, err := nameOf(key)
	return bytes.Clone(v.world.private[name].data), err
}

// PrivateHash implements ledger.Reader.
func (v *View) PrivateHash(key ledgerapi.Key) ([]byte, error) {
	if err := v.hooks.check("privateHash"); err != nil {
		return nil, err
	}
	name, err := nameOf(key)
	found, known := v.world.private[name]
	if !known {
		return nil, err
	}
	return found.hash[:], err
}

// Scan implements ledger.Reader.
func (v *View) Scan(
	prefix ledgerapi.Key, from *ledgerapi.Key, limit int,
) (entries []ledger.Entry, next *ledgerapi.Key, err error) {
	if err := v.hooks.check("scan"); err != nil {
		return nil, nil, err
	}
	within, err := nameOf(prefix)
	if err != nil {
		return nil, nil, err
	}
	start := within
	if from != nil {
		if start, err = nameOf(*from); err != nil {
			return nil, nil, err
		}
	}
	for _, name := range sortedNames(v.world.public) {
		// Like Fabric, which replaces the start of the range by the bookmark: a start
		// before the prefix would show other owners' entries.
		if name < start || name >= within+"\U0010FFFF" {
			continue
		}
		key := keyOf(name)
		if len(entries) == limit {
			return entries, &key, nil
		}
		entries = append(entries, ledger.Entry{Key: key, Value: bytes.Clone(v.world.public[name].data)})
	}
	return entries, nil, nil
}
