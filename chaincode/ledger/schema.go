// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// contractVersion counts the rules of this package.
const contractVersion = ledgerapi.ContractVersion

// schema says how documents of one type are stored. A later version of the contract
// that stores a type otherwise raises the type's version and gives both functions:
// lift turns what an earlier version stored into what this one decodes, and lower
// turns what this one encodes into what it stores. Both see canonical JSON.
type schema struct {
	version int
	lift    func(version int, value []byte) ([]byte, error)
	lower   func(value []byte) ([]byte, error)
}

// schemaOf returns how documents of a type are stored. It is asked for every value
// that is read or written, and for nothing else: the one place to change.
func schemaOf(string) schema { return schema{version: emr.DocumentVersion} }

// GetContract tells which version of the rules this peer's contract has, and the
// newest version of each type of document that it reads. Peers that give different
// answers do not endorse each other's changes of a type whose versions differ.
func GetContract(Reader, ledgerapi.Empty) (*ledgerapi.ContractView, error) {
	view := &ledgerapi.ContractView{Version: contractVersion, Schemas: []ledgerapi.SchemaVersion{}}
	for _, kind := range ledgerapi.DocumentTypes() {
		view.Schemas = append(view.Schemas, ledgerapi.SchemaVersion{Type: kind, Version: schemaOf(kind).version})
	}
	return view, nil
}
