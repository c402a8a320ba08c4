// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"fmt"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// Read decodes a stored document as the rules do. It is for tests.
func Read(kind string, value []byte) (any, error) {
	read, known := readers()[kind]
	if !known {
		return nil, fmt.Errorf("no rule reads %s", kind)
	}
	return read(kind, value)
}

type reader func(kind string, value []byte) (any, error)

func reads[T any](version func(*T) int) reader {
	return func(kind string, value []byte) (any, error) { return decode(kind, value, version) }
}

func readers() map[string]reader {
	entries := reads(versionOfAudit)
	return map[string]reader{
		ledgerapi.TypeOrganisation: reads(versionOfOrganisation), ledgerapi.TypePatient: reads(versionOfPatient),
		ledgerapi.TypeClinician: reads(versionOfClinician), ledgerapi.TypeScope: reads(versionOfScope),
		ledgerapi.TypeRelationship: reads(versionOfRelationship), ledgerapi.TypeRecord: reads(versionOfRecord),
		ledgerapi.TypeRequest: reads(versionOfRequest), ledgerapi.TypeGrant: reads(versionOfGrant),
		ledgerapi.TypeDisclosure: reads(versionOfDisclosure), ledgerapi.TypeRoster: reads(versionOfRoster),
		ledgerapi.TypeAuditHead: reads(versionOfHead), ledgerapi.TypeAuditByPatient: entries, ledgerapi.TypeAuditByRecord: entries,
		ledgerapi.TypeAuditByActor: entries, ledgerapi.TypeAuditByOrg: entries,
		ledgerapi.TypeAuditByClinician: entries, ledgerapi.TypeConstitution: reads(versionOfConstitution),
		ledgerapi.TypeProposal: reads(versionOfProposal), ledgerapi.TypeAdmission: reads(versionOfAdmission),
		ledgerapi.TypeRelease: reads(versionOfRelease), ledgerapi.TypeConsent: reads(versionOfConsent),
		ledgerapi.TypeConsentVersion: reads(versionOfConsent), ledgerapi.TypeConsentWithdrawal: reads(versionOfConsent),
		ledgerapi.TypeDelegation: reads(versionOfDelegation), ledgerapi.TypePatientKeys: reads(versionOfPatientKeys),
		ledgerapi.TypeClinicianKeys: reads(versionOfClinician), ledgerapi.TypeGuardians: reads(versionOfGuardians),
		ledgerapi.TypeRecovery: reads(versionOfRecovery), ledgerapi.TypeEmergency: reads(versionOfEmergency),
		ledgerapi.TypeEmergencyPlan: reads(versionOfPlan), ledgerapi.TypeEmergencyPlanVersion: reads(versionOfPlan),
		ledgerapi.TypeEmergencyRules: reads(versionOfRules),
		ledgerapi.TypeEmergencyDuty:  reads(versionOfDuty), ledgerapi.TypeAmendment: reads(versionOfAmendment),
		ledgerapi.TypeHold: reads(versionOfHold), ledgerapi.TypeHomeMove: reads(versionOfHomeMove),
		ledgerapi.TypeHomeRelease: reads(versionOfHomeRelease), ledgerapi.TypeRevokedCertificate: reads(versionOfRevocation),
		ledgerapi.TypeGrantRule: reads(versionOfGrantRule), ledgerapi.TypeSignOff: reads(versionOfSignOff),
		ledgerapi.TypeInspection: reads(versionOfInspection),
		ledgerapi.TypeSeal:       reads(versionOfSeal), ledgerapi.TypeSealHead: reads(versionOfSealHead),
		ledgerapi.TypeSealLeaves: reads(versionOfLeaves), ledgerapi.TypeSealed: reads(versionOfSealed),
		ledgerapi.TypeSuspension: reads(versionOfSuspension),
		ledgerapi.TypeErasure:    reads(versionOfErasure), ledgerapi.TypeErasurePart: reads(versionOfPart),
		ledgerapi.TypeErasureReceipt: reads(versionOfReceipt), ledgerapi.TypeRetention: reads(versionOfRetention),
		ledgerapi.TypeIntegrity: reads(versionOfIntegrity),
		ledgerapi.TypeAction:    reads(func(*ledgerapi.SpentAction) int { return emr.DocumentVersion }),
	}
}
