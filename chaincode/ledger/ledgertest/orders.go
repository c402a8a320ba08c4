// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledgertest

import (
	"fmt"
	"maps"
	"slices"

	"github.com/emrys-health/emrys/chaincode/ledger"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// orders are the transactions of organisations that take one JSON argument.
func orders() map[string]rule {
	return map[string]rule{
		ledgerapi.RegisterOrganisation: orderOf(ledger.RegisterOrganisation),
		ledgerapi.CloseFounding:        orderOf(ledger.CloseFounding),
		ledgerapi.Propose:              orderOf(ledger.Propose),
		ledgerapi.CastVote:             orderOf(ledger.CastVote),
		ledgerapi.SetEmergencyRules:    orderOf(ledger.SetEmergencyRules),
		ledgerapi.HoldRecord:           orderOf(ledger.HoldRecord),
		ledgerapi.SealReadings:         orderOf(ledger.SealReadings),
		ledgerapi.SuspendAccounting:    orderOf(ledger.SuspendAccounting),
		ledgerapi.RevokeCertificates:   orderOf(ledger.RevokeCertificates),
		ledgerapi.SuspendClinician:     orderOf(ledger.SuspendClinician),
		ledgerapi.ReinstateClinician:   orderOf(ledger.ReinstateClinician),
		ledgerapi.OffboardClinician:    orderOf(ledger.OffboardClinician),
		// The end of records.
		ledgerapi.EraseExpired:    orderOf(ledger.EraseExpired),
		ledgerapi.ContinueErasure: orderOf(ledger.ContinueErasure),
		ledgerapi.ConfirmErasure:  orderOf(ledger.ConfirmErasure),
		ledgerapi.ReportIntegrity: orderOf(ledger.ReportIntegrity),
	}
}

func orderOf[Q, A any](of func(ledger.State, Q) (*A, error)) rule {
	return anyOf(func(s ledger.State, raw []byte) (*A, error) {
		var q Q
		if err := emr.Decode(raw, &q); err != nil {
			return nil, err
		}
		return of(s, q)
	})
}

// RunOrder runs the rule of a transaction of an organisation whose one argument is raw.
func RunOrder(s ledger.State, function string, raw []byte) (any, error) {
	of, known := orders()[function]
	if !known {
		return nil, fmt.Errorf("ledgertest: no order %q", function)
	}
	return of(s, raw)
}

// Transactions lists the transactions that Run and RunOrder know, sorted.
func Transactions() []string {
	return slices.Sorted(slices.Values(slices.Concat(slices.Collect(maps.Keys(rules())), slices.Collect(maps.Keys(orders())))))
}

// Written returns what the transaction would write in public, by key.
func (t *Tx) Written() []ledger.Entry {
	var all []ledger.Entry
	for _, name := range slices.Sorted(maps.Keys(t.writes)) {
		all = append(all, ledger.Entry{Key: keyOf(name), Value: t.writes[name]})
	}
	return all
}

// Purged returns how many private values the transaction would purge, and Emitted
// the name of its event, empty without one.
func (t *Tx) Purged() int { return len(t.purged) }

// Emitted returns the name of the transaction's event, empty when it has none.
func (t *Tx) Emitted() string {
	if t.event == nil {
		return ""
	}
	return t.event.Name
}
