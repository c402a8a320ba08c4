// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package ledgerapi

// Queries about the contract itself.
const (
	GetContract = "GetContract" // Empty -> ContractView: the version of this peer's rules, and of the documents that they read
)

// ContractView is what one peer's contract is. Version counts the rules, as ContractVersion does.
type ContractView struct {
	Version int             `json:"version"`
	Schemas []SchemaVersion `json:"schemas"` // of every type of document
}

// SchemaVersion is the newest version of a type of document that a contract reads, and the one that it writes.
type SchemaVersion struct {
	Type    string `json:"type"`
	Version int    `json:"version"`
}

// DocumentTypes lists the object types of public state whose values are documents with a version.
func DocumentTypes() []string {
	return []string{
		TypeOrganisation, TypePatient, TypeClinician, TypeScope, TypeRelationship, TypeRecord, TypeRequest, TypeGrant, TypeDisclosure,
		TypeRoster, TypeAuditHead, TypeAuditByPatient, TypeAuditByRecord,
		TypeConstitution, TypeProposal, TypeAdmission, TypeRelease,
		TypeConsent, TypeConsentVersion, TypeConsentWithdrawal, TypeDelegation,
		TypePatientKeys, TypeClinicianKeys, TypeAuditByClinician, TypeGuardians, TypeRecovery,
		TypeEmergency, TypeEmergencyPlan, TypeEmergencyPlanVersion, TypeEmergencyRules, TypeEmergencyDuty, TypeAmendment, TypeHold,
		TypeHomeMove, TypeHomeRelease, TypeRevokedCertificate,
		TypeAuditByActor, TypeAuditByOrg, TypeInspection, TypeSeal, TypeSealHead, TypeSealLeaves, TypeSealed, TypeSuspension,
		TypeGrantRule, TypeSignOff,
		TypeErasure, TypeErasurePart, TypeErasureReceipt, TypeRetention, TypeIntegrity,
	}
}
