// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledgertest

import (
	"crypto/sha256"

	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// Snapshot is a world's committed state as it can be kept in a file.
type Snapshot struct {
	Channel string  `json:"channel"`
	Public  []Value `json:"public"`
	Private []Value `json:"private"`
}

// Value is one key and the text of its value.
type Value struct {
	Type       string   `json:"type"`
	Attributes []string `json:"attributes"`
	Value      string   `json:"value"`
}

// Key returns the key of the value.
func (v *Value) Key() ledgerapi.Key { return ledgerapi.Key{Type: v.Type, Attributes: v.Attributes} }

// Snapshot returns the world's committed state, in the order of its keys.
func (w *World) Snapshot() Snapshot {
	list := func(values map[string]value) []Value {
		all := []Value{}
		for _, name := range sortedNames(values) {
			key := keyOf(name)
			all = append(all, Value{key.Type, key.Attributes, string(values[name].data)})
		}
		return all
	}
	return Snapshot{Channel: w.channel, Public: list(w.public), Private: list(w.private)}
}

// Load returns a world of a snapshot. It knows no events and no guards.
func Load(s *Snapshot) *World {
	w := NewWorld(s.Channel)
	w.height = 1
	for i := range s.Public {
		w.public[mustName(s.Public[i].Key())] = value{data: []byte(s.Public[i].Value), height: w.height}
	}
	for i := range s.Private {
		data := []byte(s.Private[i].Value)
		w.private[mustName(s.Private[i].Key())] = value{data: data, height: w.height, hash: sha256.Sum256(data)}
	}
	return w
}
