// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledgermodel

import (
	"github.com/emrys-health/emrys/chaincode/ledger/ledgertest"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
	"github.com/emrys-health/emrys/pkg/pre"
)

// Proofs that somebody holds a key that is to be pinned.

// prove makes the action by which a new key shows that somebody holds it.
func (m *Model) prove(p *patient, key *pre.PrivateKey, args ledgerapi.ProveKeyArgs) *emr.SignedAction {
	s := &step{function: ledgerapi.ProveKey, by: p.actor, args: args}
	return m.sign(m.action(s), key)
}

// misprove makes a proof one of another change: the right key has signed it for
// another patient, version, recovery or pair of keys.
func (m *Model) misprove(said *ledgerapi.ProveKeyArgs) {
	switch m.c.Choose(5, "of which change") {
	case 0:
		said.Patient = ledgertest.ID[emr.Handle](emr.HandlePrefix)
	case 1:
		said.Version++
	case 2:
		said.Recovery = ledgertest.ID[emr.RecoveryID](emr.RecoveryPrefix)
	case 3:
		said.Consent = pinned(m.newKey())
	case 4:
		said.Hybrid = m.newHybrid()
	}
}
