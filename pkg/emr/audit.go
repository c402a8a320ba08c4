// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package emr

// AuditKind tells what an audit entry is about. The list is append-only.
type AuditKind string

// Kinds of audit entry.
const (
	AuditRegistered   AuditKind = "patient.registered"
	AuditScopes       AuditKind = "scopes.published"
	AuditRelationship AuditKind = "relationship"
	AuditRecord       AuditKind = "record.registered"
	AuditRequest      AuditKind = "access.requested"
	AuditRefusal      AuditKind = "access.refused"
	AuditGrant        AuditKind = "access.granted"
	AuditRevocation   AuditKind = "access.revoked"
	AuditDisclosure   AuditKind = "disclosure"
	// AuditAttempt: a ticket was presented by somebody it was not issued to, or out of time.
	AuditAttempt AuditKind = "ticket.refused"

	// The life of keys and people. Entries about a clinician name no patient.
	AuditKeys      AuditKind = "keys.replaced"
	AuditClinician AuditKind = "clinician.registered"
	AuditStatus    AuditKind = "clinician.status"
	AuditGuardians AuditKind = "guardians.set"
	// Of a recovery; Ref is its id.
	AuditRecoveryProposed  AuditKind = "recovery.proposed"
	AuditRecoveryApproved  AuditKind = "recovery.approved"
	AuditRecoveryVetoed    AuditKind = "recovery.vetoed"
	AuditRecoveryCompleted AuditKind = "recovery.completed"
	// AuditRecoveryEnded: it had expired, or another one was completed first.
	AuditRecoveryEnded AuditKind = "recovery.ended"
)

// ActorPatient stands for the patient in the field Actor of an audit entry.
const ActorPatient = "patient"

// ActorAdmin stands there for an administrator of the organisation.
const ActorAdmin = "administrator"

// AuditEntry is one committed fact about a patient's records. Entries are
// written once and never changed.
type AuditEntry struct {
	V       int       `json:"v"`
	TxID    string    `json:"txId"`
	At      Time      `json:"at"`
	Kind    AuditKind `json:"kind"`
	Patient Handle    `json:"patient"`
	Record  RecordID  `json:"record"`
	// Actor is a ClinicianID, ActorPatient, ActorAdmin, or the Handle of another
	// patient (an attempt, a guardian); Org the organisation that vouches for it.
	Actor    string   `json:"actor"`
	Org      OrgID    `json:"org"`
	Purpose  Purpose  `json:"purpose"`
	Decision Decision `json:"decision"`
	Reason   Reason   `json:"reason"`
	// Ref is the id of the request, grant or disclosure concerned.
	Ref string `json:"ref"`
}
