// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledgertest

import (
	"encoding/json"
	"fmt"
	"hash/maphash"

	"github.com/emrys-health/emrys/chaincode/ledger"
	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

type question func(ledger.Reader, []byte) (any, error)

// questions are queries by name: those by which a test reads a ledger back.
func questions() map[string]question {
	return map[string]question{
		ledgerapi.GetOrganisations:   questionOf(ledger.GetOrganisations),
		ledgerapi.GetPatient:         questionOf(ledger.GetPatient),
		ledgerapi.GetClinician:       questionOf(ledger.GetClinician),
		ledgerapi.GetRecord:          questionOf(ledger.GetRecord),
		ledgerapi.ListRelationships:  questionOf(ledger.ListRelationships),
		ledgerapi.GetRequest:         questionOf(ledger.GetRequest),
		ledgerapi.GetGrant:           questionOf(ledger.GetGrant),
		ledgerapi.GetDisclosure:      questionOf(ledger.GetDisclosure),
		ledgerapi.GetAction:          questionOf(ledger.GetAction),
		ledgerapi.CheckTicket:        questionOf(ledger.CheckTicket),
		ledgerapi.AuditByPatient:     questionOf(ledger.AuditByPatient),
		ledgerapi.AuditByRecord:      questionOf(ledger.AuditByRecord),
		ledgerapi.AuditByClinician:   questionOf(ledger.AuditByClinician),
		ledgerapi.GetAuditHead:       questionOf(ledger.GetAuditHead),
		ledgerapi.GetConstitution:    questionOf(ledger.GetConstitution),
		ledgerapi.GetProposal:        questionOf(ledger.GetProposal),
		ledgerapi.GetConsent:         questionOf(ledger.GetConsent),
		ledgerapi.ListConsents:       questionOf(ledger.ListConsents),
		ledgerapi.ListDelegations:    questionOf(ledger.ListDelegations),
		ledgerapi.GetPatientKeys:     questionOf(ledger.GetPatientKeys),
		ledgerapi.GetGuardians:       questionOf(ledger.GetGuardians),
		ledgerapi.GetRecovery:        questionOf(ledger.GetRecovery),
		ledgerapi.GetEmergency:       questionOf(ledger.GetEmergency),
		ledgerapi.GetEmergencyPlan:   questionOf(ledger.GetEmergencyPlan),
		ledgerapi.GetEmergencyRules:  questionOf(ledger.GetEmergencyRules),
		ledgerapi.GetEmergencyDuty:   questionOf(ledger.GetEmergencyDuty),
		ledgerapi.GetAmendment:       questionOf(ledger.GetAmendment),
		ledgerapi.GetHold:            questionOf(ledger.GetHold),
		ledgerapi.ListSeals:          questionOf(ledger.ListSeals),
		ledgerapi.ReadLog:            questionOf(ledger.ReadLog),
		ledgerapi.AccountDisclosures: questionOf(ledger.AccountDisclosures),
		ledgerapi.ProveSealed:        questionOf(ledger.ProveSealed),
		ledgerapi.ListUnsealed:       questionOf(ledger.ListUnsealed),
		ledgerapi.GetInspection:      questionOf(ledger.GetInspection),
		ledgerapi.GetEmergencyAction: questionOf(ledger.GetEmergencyAction),
		ledgerapi.ListEmergencies:    questionOf(ledger.ListEmergencies),
		ledgerapi.GetAmendmentAction: questionOf(ledger.GetAmendmentAction),
		ledgerapi.ListAmendments:     questionOf(ledger.ListAmendments),
		// What gateways ask for people.
		ledgerapi.ResolvePatient:   questionOf(ledger.ResolvePatient),
		ledgerapi.ListRequests:     questionOf(ledger.ListRequests),
		ledgerapi.GetRequestAction: questionOf(ledger.GetRequestAction),
		ledgerapi.ListGrants:       questionOf(ledger.ListGrants),
		ledgerapi.PreviewConsent:   questionOf(ledger.PreviewConsent),
		ledgerapi.GetClinicianKeys: questionOf(ledger.GetClinicianKeys),
		ledgerapi.ListRecoveries:   questionOf(ledger.ListRecoveries),
		// Wide grants and sign-offs.
		ledgerapi.GetGrantRule:     questionOf(ledger.GetGrantRule),
		ledgerapi.GetSignOff:       questionOf(ledger.GetSignOff),
		ledgerapi.GetSignOffAction: questionOf(ledger.GetSignOffAction),
		ledgerapi.ListSignOffs:     questionOf(ledger.ListSignOffs),
		ledgerapi.GetInbox:         questionOf(ledger.GetInbox),
		// The end of records.
		ledgerapi.GetErasure:     questionOf(ledger.GetErasure),
		ledgerapi.ListErasures:   questionOf(ledger.ListErasures),
		ledgerapi.ListLeftovers:  questionOf(ledger.ListLeftovers),
		ledgerapi.IsErased:       questionOf(ledger.IsErased),
		ledgerapi.WhoHasRead:     questionOf(ledger.WhoHasRead),
		ledgerapi.GetRetention:   questionOf(ledger.GetRetention),
		ledgerapi.CheckIntegrity: questionOf(ledger.CheckIntegrity),
		ledgerapi.GetIntegrity:   questionOf(ledger.GetIntegrity),
		ledgerapi.GetManifest:    questionOf(ledger.GetManifest),
		ledgerapi.SearchRecords:  questionOf(ledger.SearchRecords),
	}
}

func questionOf[Q, A any](of func(ledger.Reader, Q) (*A, error)) question {
	return func(r ledger.Reader, raw []byte) (any, error) {
		var q Q
		if err := emr.Decode(raw, &q); err != nil {
			return nil, err
		}
		return of(r, q)
	}
}

// Ask runs a query by its name, and reads its answer into answer.
func Ask(r ledger.Reader, function string, q, answer any) error {
	of, known := questions()[function]
	if !known {
		return fmt.Errorf("ledgertest: no query %q", function)
	}
	raw, err := emr.Canonical(q)
	if err != nil {
		return err
	}
	found, err := of(r, raw)
	if err != nil {
		return err
	}
	if raw, err = emr.Canonical(found); err != nil {
		return err
	}
	return json.Unmarshal(raw, answer)
}

// Digest is a number that changes with every change of the committed state,
// private values included. It is of use within one process only.
func (w *World) Digest(seed maphash.Seed) uint64 {
	sum := uint64(w.height) //nolint:gosec // counts commits
	for _, values := range []map[string]value{w.public, w.private} {
		for name, v := range values {
			var h maphash.Hash
			h.SetSeed(seed)
			h.WriteString(name)
			h.WriteByte(0)
			h.Write(v.data)
			sum += h.Sum64() // in no order
		}
	}
	return sum
}
