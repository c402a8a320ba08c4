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

	// Emergency sessions: every step of theirs, and refused ones.
	AuditEmergencyOpened    AuditKind = "emergency.opened"
	AuditEmergencyConfirmed AuditKind = "emergency.confirmed"
	AuditEmergencyClosed    AuditKind = "emergency.closed"
	AuditEmergencyReviewed  AuditKind = "emergency.reviewed"
	AuditEmergencyContested AuditKind = "emergency.contested"
	AuditEmergencyPlan      AuditKind = "emergency.plan"

	// Amendments and holds.
	AuditAmendmentAsked    AuditKind = "amendment.asked"
	AuditAmendmentAnswered AuditKind = "amendment.answered"
	AuditAmendmentDisputed AuditKind = "amendment.disputed"
	AuditRecordHeld        AuditKind = "record.held"
	AuditRecordReleased    AuditKind = "record.released"
)

// ActorPatient stands for the patient in the field Actor of an audit entry.
const ActorPatient = "patient"

// ActorAdmin stands for an administrator of Org in the field Actor of an audit entry.
const ActorAdmin = "admin"

// AuditEntry is one committed fact about a patient's records. Entries are
// written once and never changed.
type AuditEntry struct {
	V       int       `json:"v"`
	TxID    string    `json:"txId"`
	At      Time      `json:"at"`
	Kind    AuditKind `json:"kind"`
	Patient Handle    `json:"patient"`
	Record  RecordID  `json:"record"`
	// Actor is a ClinicianID, ActorPatient, ActorAdmin, or the Handle of another patient (an
	// attempt); Org the organisation that vouches for it.
	Actor    string   `json:"actor"`
	Org      OrgID    `json:"org"`
	Purpose  Purpose  `json:"purpose"`
	Decision Decision `json:"decision"`
	Reason   Reason   `json:"reason"`
	// Ref is the id of the request, grant, disclosure, emergency session or amendment concerned.
	Ref string `json:"ref"`
	// Sequence counts the entries of chained kinds of one patient from 1, and Previous
	// is the hash of the one before; both are zero in an entry of another kind.
	Sequence uint64 `json:"sequence,omitzero"`
	Previous Digest `json:"previous,omitzero"`
}

// Chained tells whether entries of the kind are counted and chained for their
// patient. What happens seldom is; disclosures, requests, attempts and new records
// are not, since a common head would make them wait for one another.
func (k AuditKind) Chained() bool {
	switch k {
	case AuditRegistered, AuditScopes, AuditRelationship, AuditRefusal, AuditGrant, AuditRevocation,
		AuditEmergencyOpened, AuditEmergencyConfirmed, AuditEmergencyClosed, AuditEmergencyReviewed,
		AuditEmergencyContested, AuditEmergencyPlan,
		AuditAmendmentAsked, AuditAmendmentAnswered, AuditAmendmentDisputed, AuditRecordHeld, AuditRecordReleased:
		return true
	default:
		return false
	}
}

// Hash is what the next entry of the chain names: the SHA-256 of the label
// "EMRYS-AUDIT-V1", a zero byte and the canonical encoding.
func (e *AuditEntry) Hash() (Digest, error) { return labelled("EMRYS-AUDIT-V1", e) }

// AuditHead is the end of a patient's chain of audit entries. Key: Handle.
type AuditHead struct {
	V        int    `json:"v"`
	Patient  Handle `json:"patient"`
	Sequence uint64 `json:"sequence"` // of the last entry; 0 when there is none
	Hash     Digest `json:"hash"`     // of the last entry
	TxID     string `json:"txId"`
	At       Time   `json:"at"`
}
