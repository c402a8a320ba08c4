// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package emr

// AuditKind tells what an audit entry is about. The list is append-only.
type AuditKind string

// Kinds of audit entry.
const (
	AuditRegistered   AuditKind = "patient.registered" // a patient pinned keys under a handle
	AuditScopes       AuditKind = "scopes.published"   // the patient published scopes
	AuditRelationship AuditKind = "relationship"       // a hospital proposed a relationship (ask), or the patient accepted (permit), refused or ended it (deny)
	AuditRecord       AuditKind = "record.registered"  // a record, or a version of one, was registered
	AuditRequest      AuditKind = "access.requested"   // a clinician asked for a record
	AuditRefusal      AuditKind = "access.refused"     // the patient refused a request
	AuditGrant        AuditKind = "access.granted"     // the patient gave access
	AuditRevocation   AuditKind = "access.revoked"     // the patient took a grant back
	AuditDisclosure   AuditKind = "disclosure"         // a reading began, or was denied
	// AuditAttempt: a ticket was presented by somebody it was not issued to, or out of time.
	AuditAttempt AuditKind = "ticket.refused"

	// Standing consent.
	AuditConsent           AuditKind = "consent.put"       // the patient put a version of the standing consent
	AuditConsentWithdrawal AuditKind = "consent.withdrawn" // the patient withdrew the standing consent
	// The life of keys and people. Entries about a clinician name no patient.
	AuditKeys      AuditKind = "keys.replaced"        // somebody replaced pinned keys
	AuditClinician AuditKind = "clinician.registered" // a clinician registered, or renewed the certificate
	AuditStatus    AuditKind = "clinician.status"     // an administrator suspended (deny), reinstated (permit) or off-boarded (deny) a clinician
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
	// Consent is the version of the standing consent that the decision was made
	// from, or that was put; absent when the patient had none.
	Consent uint32 `json:"consent,omitempty"`
}
