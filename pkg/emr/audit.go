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

	// Standing consent.
	AuditConsent           AuditKind = "consent.put"
	AuditConsentWithdrawal AuditKind = "consent.withdrawn"
	AuditDelegation        AuditKind = "delegate.named"
	AuditDelegationEnd     AuditKind = "delegation.ended"
)

// ActorPatient stands for the patient in the field Actor of an audit entry.
const ActorPatient = "patient"

// AuditEntry is one committed fact about a patient's records. Entries are
// written once and never changed.
type AuditEntry struct {
	V       int       `json:"v"`
	TxID    string    `json:"txId"`
	At      Time      `json:"at"`
	Kind    AuditKind `json:"kind"`
	Patient Handle    `json:"patient"`
	Record  RecordID  `json:"record"`
	// Actor is a ClinicianID, ActorPatient, or the Handle of another patient (an
	// attempt, or a delegate who signed); Org the organisation that vouches for it.
	Actor    string   `json:"actor"`
	Org      OrgID    `json:"org"`
	Purpose  Purpose  `json:"purpose"`
	Decision Decision `json:"decision"`
	Reason   Reason   `json:"reason"`
	// Ref is the id of the request, grant or disclosure concerned.
	Ref string `json:"ref"`
	// Consent is the version of the standing consent that the decision was made
	// from, or that was put; absent when the patient had none.
	Consent uint32 `json:"consent,omitempty"`
}
