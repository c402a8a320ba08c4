// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledgertest

import (
	"fmt"

	"github.com/emrys-health/emrys/chaincode/ledger"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// rule is a transaction of the contract without the type of its answer.
type rule func(ledger.State, []byte) (any, error)

// rules are the transactions whose signed action travels in the transient field.
func rules() map[string]rule {
	return map[string]rule{
		ledgerapi.RegisterPatient:     anyOf(ledger.RegisterPatient),
		ledgerapi.RegisterClinician:   anyOf(ledger.RegisterClinician),
		ledgerapi.PublishScopes:       anyOf(ledger.PublishScopes),
		ledgerapi.ProposeRelationship: anyOf(ledger.ProposeRelationship),
		ledgerapi.AnswerRelationship:  anyOf(ledger.AnswerRelationship),
		ledgerapi.RegisterRecord:      anyOf(ledger.RegisterRecord),
		ledgerapi.RequestAccess:       anyOf(ledger.RequestAccess),
		ledgerapi.RefuseAccess:        anyOf(ledger.RefuseAccess),
		ledgerapi.GrantAccess:         anyOf(ledger.GrantAccess),
		ledgerapi.RevokeAccess:        anyOf(ledger.RevokeAccess),
		ledgerapi.Disclose:            anyOf(ledger.Disclose),
		ledgerapi.RecordAttempt:       anyOf(ledger.RecordAttempt),
		// Standing consent.
		ledgerapi.PutConsent:      anyOf(ledger.PutConsent),
		ledgerapi.WithdrawConsent: anyOf(ledger.WithdrawConsent),
		ledgerapi.NameDelegate:    anyOf(ledger.NameDelegate),
		ledgerapi.EndDelegation:   anyOf(ledger.EndDelegation),
		// The life of keys and people.
		ledgerapi.RotatePatientKeys:   anyOf(ledger.RotatePatientKeys),
		ledgerapi.RotateClinicianKeys: anyOf(ledger.RotateClinicianKeys),
		// Batches: raw is an array.
		ledgerapi.DiscloseBatch: anyOf(ledger.DiscloseBatch),
		// Amendments.
		ledgerapi.AskAmendment:     anyOf(ledger.AskAmendment),
		ledgerapi.AnswerAmendment:  anyOf(ledger.AnswerAmendment),
		ledgerapi.DisputeAmendment: anyOf(ledger.DisputeAmendment),
		// The log itself.
		ledgerapi.InspectLog: anyOf(ledger.InspectLog),
		// Asking, granting and signing off.
		ledgerapi.NarrowGrant:      anyOf(ledger.NarrowGrant),
		ledgerapi.GrantBatch:       anyOf(ledger.GrantBatch),
		ledgerapi.SetGrantRule:     anyOf(ledger.SetGrantRule),
		ledgerapi.ConfirmGrantRule: anyOf(ledger.ConfirmGrantRule),
		ledgerapi.ConfirmGrant:     anyOf(ledger.ConfirmGrant),
		ledgerapi.SignOff:          anyOf(ledger.SignOff),
		// Emergency sessions.
		ledgerapi.SetEmergencyPlan: anyOf(ledger.SetEmergencyPlan),
		ledgerapi.OpenEmergency:    anyOf(ledger.OpenEmergency),
		ledgerapi.ConfirmEmergency: anyOf(ledger.ConfirmEmergency),
		ledgerapi.CloseEmergency:   anyOf(ledger.CloseEmergency),
		ledgerapi.ReviewEmergency:  anyOf(ledger.ReviewEmergency),
		ledgerapi.ContestEmergency: anyOf(ledger.ContestEmergency),
		ledgerapi.MoveHome:         anyOf(ledger.MoveHome),
		// Erasure.
		ledgerapi.EraseRecord:      anyOf(ledger.EraseRecord),
		ledgerapi.RekeyRecord:      anyOf(ledger.RekeyRecord),
		ledgerapi.RollScope:        anyOf(ledger.RollScope),
		ledgerapi.SetGuardians:     anyOf(ledger.SetGuardians),
		ledgerapi.ProposeRecovery:  anyOf(ledger.ProposeRecovery),
		ledgerapi.ApproveRecovery:  anyOf(ledger.ApproveRecovery),
		ledgerapi.VetoRecovery:     anyOf(ledger.VetoRecovery),
		ledgerapi.CompleteRecovery: anyOf(ledger.CompleteRecovery),
	}
}

// anyOf also drops what a rule returns beside an error.
func anyOf[A any](of func(ledger.State, []byte) (*A, error)) rule {
	return func(s ledger.State, raw []byte) (any, error) {
		answer, err := of(s, raw)
		if err != nil {
			return nil, err
		}
		return answer, nil
	}
}

// Run runs the rule of a transaction whose signed action is raw.
func Run(s ledger.State, function string, raw []byte) (any, error) {
	of, known := rules()[function]
	if !known {
		return nil, fmt.Errorf("ledgertest: no transaction %q", function)
	}
	return of(s, raw)
}
