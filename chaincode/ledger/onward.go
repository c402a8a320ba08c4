// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"fmt"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// denialOfUse returns why a grant that covers a record does not give it for the use
// that is declared, or in the state that it is in, and "" when it does. A label of
// the record forbids onward use whatever the grant says: which one is private, so
// that every label does.
func denialOfUse(grant *emr.Grant, record *emr.Record, onward emr.Onward, signOff *emr.SignOff) emr.Reason {
	terms := grant.Effective()
	switch {
	case onward != "" && (terms.NoOnward || record.Restricted):
		return emr.ReasonNoOnward
	case terms.SignedOff && statusOf(signOff) != emr.SignOffSigned:
		return emr.ReasonNotSignedOff
	default:
		return ""
	}
}

// noOnward tells whether what is read on this basis may not be shared on.
func (b *basis) noOnward(record *emr.Record) bool {
	return record.Restricted || b.grant != nil && b.grant.Effective().NoOnward
}

// fillStatements adds what travels with the record: the record's sign-off, and the
// statements that its labels and the limits of its ground demand. A patient's own
// reading needs no statement.
func fillStatements(ticket *ledgerapi.Ticket, p *presented) error {
	if p.on.signOff != nil {
		ticket.SignOff = *p.on.signOff
	}
	if p.presenter.patient != nil {
		return nil
	}
	action, err := ticket.Manifest.Signed.Parse()
	if err != nil {
		return fmt.Errorf("ledger: stored manifest cannot be read: %s", err.Error())
	}
	var m emr.Manifest
	if err := emr.DecodeCanonical(action.Args, &m); err != nil {
		return fmt.Errorf("ledger: stored manifest cannot be read: %s", err.Error())
	}
	ticket.Statements = emr.StatementsOf(m.Labels, p.disclosure.NoOnward || p.on.noOnward(p.record))
	return nil
}
