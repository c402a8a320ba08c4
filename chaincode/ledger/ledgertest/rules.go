// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledgertest

import (
	"fmt"

	"github.com/emrys-health/emrys/chaincode/ledger"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// Run runs the rule of a transaction whose signed action is raw.
func Run(s ledger.State, function string, raw []byte) (any, error) {
	switch function {
	case ledgerapi.RegisterPatient:
		return result(ledger.RegisterPatient(s, raw))
	case ledgerapi.RegisterClinician:
		return result(ledger.RegisterClinician(s, raw))
	case ledgerapi.PublishScopes:
		return result(ledger.PublishScopes(s, raw))
	case ledgerapi.ProposeRelationship:
		return result(ledger.ProposeRelationship(s, raw))
	case ledgerapi.AnswerRelationship:
		return result(ledger.AnswerRelationship(s, raw))
	case ledgerapi.RegisterRecord:
		return result(ledger.RegisterRecord(s, raw))
	case ledgerapi.RequestAccess:
		return result(ledger.RequestAccess(s, raw))
	case ledgerapi.RefuseAccess:
		return result(ledger.RefuseAccess(s, raw))
	case ledgerapi.GrantAccess:
		return result(ledger.GrantAccess(s, raw))
	case ledgerapi.RevokeAccess:
		return result(ledger.RevokeAccess(s, raw))
	case ledgerapi.Disclose:
		return result(ledger.Disclose(s, raw))
	case ledgerapi.RecordAttempt:
		return result(ledger.RecordAttempt(s, raw))
	default:
		return nil, fmt.Errorf("ledgertest: no transaction %q", function)
	}
}

// result drops what a rule returns beside an error.
func result[A any](answer *A, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return answer, nil
}
