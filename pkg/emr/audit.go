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
	AuditDelegation        AuditKind = "delegate.named"    // the patient named a delegate
	AuditDelegationEnd     AuditKind = "delegation.ended"  // a delegation was ended before its time
	// The life of keys and people. Entries about a clinician name no patient.
	AuditKeys      AuditKind = "keys.replaced"        // somebody replaced pinned keys
	AuditClinician AuditKind = "clinician.registered" // a clinician registered, or renewed the certificate
	AuditStatus    AuditKind = "clinician.status"     // an administrator suspended (deny), reinstated (permit) or off-boarded (deny) a clinician
	AuditGuardians AuditKind = "guardians.set"        // the patient named guardians
	// Of a recovery; Ref is its id.
	AuditRecoveryProposed  AuditKind = "recovery.proposed"  // a new key was proposed
	AuditRecoveryApproved  AuditKind = "recovery.approved"  // a guardian approved
	AuditRecoveryVetoed    AuditKind = "recovery.vetoed"    // the patient vetoed
	AuditRecoveryCompleted AuditKind = "recovery.completed" // the new keys were pinned
	// AuditRecoveryEnded: it had expired, or another one was completed first.
	AuditRecoveryEnded AuditKind = "recovery.ended"
	// Emergency sessions: every step of theirs, and refused ones.
	AuditEmergencyOpened    AuditKind = "emergency.opened"    // a clinician opened a session (permit, or ask while it waits for a second person), or was refused (deny)
	AuditEmergencyConfirmed AuditKind = "emergency.confirmed" // the second person confirmed, or was refused
	AuditEmergencyClosed    AuditKind = "emergency.closed"    // a session was closed before its time
	AuditEmergencyReviewed  AuditKind = "emergency.reviewed"  // a session was reviewed
	AuditEmergencyContested AuditKind = "emergency.contested" // the patient contested a session
	AuditEmergencyPlan      AuditKind = "emergency.plan"      // the patient changed the emergency plan

	// Amendments and holds.
	AuditAmendmentAsked    AuditKind = "amendment.asked"    // the patient asked for a correction
	AuditAmendmentAnswered AuditKind = "amendment.answered" // the author accepted or denied it
	AuditAmendmentDisputed AuditKind = "amendment.disputed" // the patient disagreed with the denial
	AuditRecordHeld        AuditKind = "record.held"        // a legal hold was put on a record
	AuditRecordReleased    AuditKind = "record.released"    // a legal hold was lifted

	// The log itself.
	AuditLogRead AuditKind = "log.read" // an inspector asked to read the log of a patient, a record, an actor or an organisation
	// AuditSuspension names no patient; Ref is the disclosure.
	AuditSuspension AuditKind = "accounting.suspended" // a disclosure was withheld from the patient's accounting (deny), or listed again (permit)

	// Asking, granting and signing off.
	AuditNarrowed  AuditKind = "access.narrowed"  // the patient took back a part of a grant
	AuditConfirmed AuditKind = "access.confirmed" // somebody else confirmed a wide grant
	AuditGrantRule AuditKind = "grant.rule"       // the patient set a rule about wide grants (permit), asked for a looser one (ask), or it was confirmed (permit)
	AuditSignOff   AuditKind = "record.signed"    // a clinician signed a record off (permit), or refused to (deny)
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
	// patient (an attempt, a guardian, a delegate who signed); Org the organisation
	// that vouches for it.
	Actor    string   `json:"actor"`
	Org      OrgID    `json:"org"`
	Purpose  Purpose  `json:"purpose"`
	Decision Decision `json:"decision"`
	Reason   Reason   `json:"reason"`
	// Ref is the id of the request, grant, disclosure, emergency session, amendment, inspection or sign-off (a record's id) concerned.
	Ref string `json:"ref"`
	// Consent is the version of the standing consent that the decision was made
	// from, or that was put; absent when the patient had none.
	Consent uint32 `json:"consent,omitempty"`
	// Sequence counts the entries of chained kinds of one patient from 1, and Previous
	// is the hash of the one before; both are zero in an entry of another kind.
	Sequence uint64 `json:"sequence,omitzero"`
	Previous Digest `json:"previous,omitzero"`
}

// Chained tells whether the entry is counted and chained for its patient. What
// happens seldom is; disclosures, requests, attempts and new records are not, since a
// common head would make them wait for one another. What was asked for and denied is
// not either: it changed nothing, and who asks again and again, to be denied each
// time, must not hold up what the patient signs.
func (e *AuditEntry) Chained() bool {
	switch e.Kind {
	case AuditEmergencyOpened, AuditEmergencyConfirmed, AuditLogRead, AuditErasureOrdered:
		return e.Decision != Deny
	default:
		return e.Kind.chained()
	}
}

// chained tells whether a kind's entries are, whatever was decided.
func (k AuditKind) chained() bool {
	switch k {
	case AuditRegistered, AuditScopes, AuditRelationship, AuditRefusal, AuditGrant, AuditRevocation,
		AuditConsent, AuditConsentWithdrawal, AuditDelegation, AuditDelegationEnd,
		AuditKeys, AuditGuardians, AuditRecoveryProposed, AuditRecoveryApproved, AuditRecoveryVetoed, AuditRecoveryCompleted, AuditRecoveryEnded,
		AuditEmergencyClosed, AuditEmergencyReviewed, AuditEmergencyContested, AuditEmergencyPlan,
		AuditAmendmentAsked, AuditAmendmentAnswered, AuditAmendmentDisputed, AuditRecordHeld, AuditRecordReleased,
		// Asking, granting and signing off.
		AuditNarrowed, AuditConfirmed, AuditGrantRule,
		// A patient's home.
		AuditHome,
		AuditScopeRolled:
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
